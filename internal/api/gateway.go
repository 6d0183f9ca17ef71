package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/deployguardian/adg"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// SessionCookie is the name of the browser's cookie.
const SessionCookie = "adg_session"

// Private

var plain = &runtime.JSONPb{
	MarshalOptions:   protojson.MarshalOptions{EmitDefaultValues: true},
	UnmarshalOptions: protojson.UnmarshalOptions{}, // an unknown field is a mistake, and is said
}

// gateway answers REST requests by the gRPC server beside it.
func (a *API) gateway(draining <-chan struct{}) (http.Handler, error) {
	mux := runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, plain),
		runtime.WithMarshalerOption("text/event-stream", eventStream{plain}),
		runtime.WithMetadata(a.annotate),
		runtime.WithMetadata(annotateLogin),
		runtime.WithIncomingHeaderMatcher(func(name string) (string, bool) {
			return name, strings.EqualFold(name, "Authorization") || strings.EqualFold(name, "Traceparent")
		}),
		runtime.WithOutgoingHeaderMatcher(func(string) (string, bool) { return "", false }),
		runtime.WithErrorHandler(answerError),
		runtime.WithForwardResponseOption(a.setCookie),
		runtime.WithForwardResponseOption(a.setLoginCookie),
		runtime.WithDisablePathLengthFallback(),
	)
	for _, register := range []func(context.Context, *runtime.ServeMux, *grpc.ClientConn) error{
		adgv1.RegisterDeploymentServiceHandler, adgv1.RegisterEventServiceHandler, adgv1.RegisterSystemServiceHandler,
		adgv1.RegisterIdentityServiceHandler, adgv1.RegisterLoginServiceHandler,
	} {
		if err := register(context.Background(), mux, a.conn); err != nil {
			return nil, adg.Errorf(adg.Internal, "opening the gateway: %w", err)
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A browser that lost its stream says what it saw last.
		if last := r.Header.Get("Last-Event-ID"); last != "" {
			query := r.URL.Query()
			query.Set("after", last)
			r.URL.RawQuery = query.Encode()
		}
		// What a person looked at when he decided: the header is the same as the field.
		if etag := strings.Trim(r.Header.Get("If-Match"), `"`); etag != "" && r.Method != http.MethodPost {
			query := r.URL.Query()
			query.Set("etag", etag)
			r.URL.RawQuery = query.Encode()
		}
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		if strings.HasSuffix(r.URL.Path, ":watch") || strings.HasSuffix(r.URL.Path, ":stream") {
			go func() {
				select {
				case <-draining:
					cancel()
				case <-ctx.Done():
				}
			}()
		}
		mux.ServeHTTP(w, r.WithContext(ctx))
	}), nil
}

// annotate tells the server who asks, and from where.
func (a *API) annotate(_ context.Context, r *http.Request) metadata.MD {
	md := metadata.MD{}
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		md.Set(metaFrom, host)
	}
	if cookie, err := r.Cookie(SessionCookie); err == nil {
		md.Set(metaSession, cookie.Value)
	}
	return md
}

// setCookie gives the browser the session that a login has opened, and takes it back when it ends.
func (a *API) setCookie(ctx context.Context, w http.ResponseWriter, _ proto.Message) error {
	md, found := runtime.ServerMetadataFromContext(ctx)
	if !found {
		return nil
	}
	for _, value := range md.HeaderMD.Get(metaCookie) {
		cookie := &http.Cookie{Name: SessionCookie, Value: value, Path: "/", HttpOnly: true, Secure: a.o.Secure, SameSite: http.SameSiteLaxMode}
		if value == "" {
			cookie.MaxAge = -1
		}
		http.SetCookie(w, cookie)
	}
	return nil
}

// answerError answers with the error as JSON, its details included, and the status that fits it best.
func answerError(ctx context.Context, mux *runtime.ServeMux, m runtime.Marshaler, w http.ResponseWriter, r *http.Request, err error) {
	s := status.Convert(err)
	code := httpStatus(s.Code())
	if code == 0 {
		code = runtime.HTTPStatusFromCode(s.Code())
	}
	runtime.DefaultHTTPErrorHandler(ctx, mux, m, w, r, &runtime.HTTPStatusError{HTTPStatus: code, Err: err})
}

// eventStream writes a stream as browsers read it (server-sent events). Each event's id is the cursor to go on after.
type eventStream struct{ *runtime.JSONPb }

// ContentType is that of server-sent events.
func (eventStream) ContentType(any) string { return "text/event-stream" }

// StreamContentType is the same.
func (eventStream) StreamContentType(any) string { return "text/event-stream" }

// Delimiter ends an event.
func (eventStream) Delimiter() []byte { return []byte("\n\n") }

// Marshal writes one event.
func (e eventStream) Marshal(v any) ([]byte, error) {
	body, err := e.JSONPb.Marshal(v)
	if err != nil {
		return nil, err
	}
	id := ""
	if wrapped, ok := v.(map[string]any); ok {
		if one, ok := wrapped["result"].(*adgv1.StreamEventsResponse); ok {
			id = fmt.Sprintf("id: %d\n", one.GetCursor())
		}
	}
	if !json.Valid(body) {
		return nil, adg.Errorf(adg.Internal, "an event is no JSON")
	}
	return []byte(id + "data: " + string(body)), nil
}
