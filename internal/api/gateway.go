package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"

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
	var mux *runtime.ServeMux
	mux = runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, &runtime.HTTPBodyMarshaler{Marshaler: plain}), // reports are no JSON
		runtime.WithMarshalerOption("text/event-stream", eventStream{plain}),
		runtime.WithMetadata(a.annotate),
		runtime.WithMetadata(annotateLogin),
		runtime.WithMetadata(annotateMatch),
		runtime.WithIncomingHeaderMatcher(func(name string) (string, bool) {
			return name, strings.EqualFold(name, "Authorization") || strings.EqualFold(name, "Traceparent")
		}),
		runtime.WithOutgoingHeaderMatcher(func(string) (string, bool) { return "", false }),
		runtime.WithErrorHandler(answerError),
		runtime.WithStreamErrorHandler(func(ctx context.Context, err error) *status.Status { return status.Convert(whyEnded(ctx, err)) }),
		runtime.WithForwardResponseOption(a.setCookie),
		runtime.WithForwardResponseOption(a.setLoginCookie),
		runtime.WithForwardResponseOption(setEtag),
		runtime.WithDisablePathLengthFallback(),
		runtime.WithMiddlewares(a.strictly(func(w http.ResponseWriter, r *http.Request, err error) {
			answerError(r.Context(), mux, plain, w, r, err)
		})),
	)
	for _, register := range []func(context.Context, *runtime.ServeMux, *grpc.ClientConn) error{
		adgv1.RegisterDeploymentServiceHandler, adgv1.RegisterEventServiceHandler, adgv1.RegisterSystemServiceHandler,
		adgv1.RegisterLineServiceHandler, adgv1.RegisterReleaseServiceHandler, adgv1.RegisterAuditServiceHandler, adgv1.RegisterConnectionServiceHandler,
		adgv1.RegisterPolicyServiceHandler,
		adgv1.RegisterEvidenceServiceHandler, adgv1.RegisterReportServiceHandler,
		adgv1.RegisterCatalogServiceHandler, adgv1.RegisterPredictionServiceHandler,
		adgv1.RegisterIdentityServiceHandler, adgv1.RegisterLoginServiceHandler,
	} {
		if err := register(context.Background(), mux, a.conn); err != nil {
			return nil, adg.Errorf(adg.Internal, "opening the gateway: %w", err)
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !legible(r) {
			answerError(r.Context(), mux, plain, w, r, status.Error(codes.InvalidArgument, "the address is no UTF-8 text, or a header no ASCII: escape the bytes of such text, as in %C3%A9"))
			return
		}
		// Where it comes from was found out before; what a client claims is of no use to the server beside us.
		r.Header.Del("X-Forwarded-For")
		r.Header.Del("X-Forwarded-Host")
		// A browser that lost its stream says what it saw last.
		if last := r.Header.Get("Last-Event-ID"); last != "" && r.URL.Path == "/v1/events:stream" {
			query := r.URL.Query()
			query.Set("after", last)
			r.URL.RawQuery = query.Encode()
		}
		ctx, cancel := context.WithCancelCause(r.Context())
		defer cancel(nil)
		if strings.HasSuffix(r.URL.Path, ":watch") || strings.HasSuffix(r.URL.Path, ":stream") {
			go func() {
				select {
				case <-draining:
					cancel(a.problem(ctx, "", true, errDraining))
				case <-ctx.Done():
				}
			}()
		}
		mux.ServeHTTP(w, r.WithContext(ctx))
	}), nil
}

// legible tells whether the address of a request is text, and what is handed on of its headers ASCII: messages and
// metadata hold nothing else.
func legible(r *http.Request) bool {
	for _, name := range []string{"Authorization", "Traceparent"} {
		for _, value := range r.Header.Values(name) {
			if strings.ContainsFunc(value, func(c rune) bool { return c < ' ' || c > '~' }) {
				return false
			}
		}
	}
	if !utf8.ValidString(r.URL.Path) {
		return false
	}
	for name, values := range r.URL.Query() {
		if !utf8.ValidString(name) || slices.ContainsFunc(values, func(v string) bool { return !utf8.ValidString(v) }) {
			return false
		}
	}
	return utf8.ValidString(r.Header.Get("Last-Event-ID")) && utf8.ValidString(r.Header.Get("If-Match"))
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
	s := explained(status.Convert(whyEnded(r.Context(), err)))
	code := httpStatus(s.Code())
	if code == 0 {
		code = runtime.HTTPStatusFromCode(s.Code())
	}
	runtime.DefaultHTTPErrorHandler(ctx, mux, m, w, r, &runtime.HTTPStatusError{HTTPStatus: code, Err: s.Err()})
}

// whyEnded says why a stream has ended: its end for the server that goes down looks as if the caller had ended it.
func whyEnded(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && status.Code(cause) == codes.Unavailable {
		return cause
	}
	return err
}

// wrongField finds the field in what the gateway says of a body, or of a parameter.
var wrongField = regexp.MustCompile(`(unknown field|parsing field|parsing list|parsing map entry) "([^"]{1,200})"`)

// explained gives an error of the gateway itself, such as a body that is no JSON, what every other error has.
func explained(s *status.Status) *status.Status {
	detail := &adgv1.ErrorDetail{Sentence: legibly(strings.TrimPrefix(strings.ReplaceAll(s.Message(), "\u00a0", " "), "proto: "))}
	switch code := s.Code(); {
	case len(s.Details()) > 0:
		return s
	case code == codes.InvalidArgument:
		detail.Code, detail.WayOut = adgv1.ErrorCode_ERROR_CODE_INVALID, wayOut(adg.Invalid, nil)
	case code == codes.NotFound || code == codes.Unimplemented:
		detail.Code, detail.WayOut = adgv1.ErrorCode_ERROR_CODE_NOT_FOUND, "look at /docs/api for the addresses that there are, and their methods"
	default:
		return s
	}
	details := []protoadapt.MessageV1{detail}
	if found := wrongField.FindStringSubmatch(detail.GetSentence()); found != nil {
		says := "there is no such field"
		if found[1] != "unknown field" {
			says = "this is no value of the field"
		}
		details = append(details, &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: found[2], Description: says}}})
	}
	if with, err := status.New(s.Code(), detail.GetSentence()).WithDetails(details...); err == nil {
		return with
	}
	return s
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
