package api

import (
	"context"
	"crypto/rand"
	"net"
	"runtime/debug"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/identity"
	"github.com/deployguardian/adg/internal/trace"
)

// open are the methods that nobody has to be logged in for: logging in, and what a load balancer asks.
var open = map[string]bool{
	"/adg.v1.LoginService/ListLoginProviders": true, "/adg.v1.LoginService/LogIn": true, "/adg.v1.LoginService/StartOidcLogin": true,
	"/adg.v1.LoginService/CompleteOidcLogin": true, "/adg.v1.LoginService/StartDeviceLogin": true, "/adg.v1.LoginService/PollDeviceLogin": true,
	"/adg.v1.SystemService/GetVersion": true, "/grpc.health.v1.Health/Check": true, "/grpc.health.v1.Health/Watch": true,
}

// Private

type (
	callerKey struct{}
	drainKey  struct{}
)

// The metadata that only the gateway beside us may set.
const (
	metaFrom    = "adg-from"
	metaSession = "adg-session"
	metaCookie  = "adg-set-session"
)

// caller is who makes the request.
func caller(ctx context.Context) identity.Caller {
	who, _ := ctx.Value(callerKey{}).(identity.Caller)
	return who
}

// because is the caller with what he says why.
func because(ctx context.Context, reason string) identity.Caller {
	who := caller(ctx)
	who.Reason = reason
	return who
}

// unary surrounds every request that is no stream.
func (a *API) unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (answer any, err error) {
	id, begin := rand.Text()[:13], time.Now() //nolint:forbidigo // how long requests take is real time
	ctx, end := trace.Start(ctx, info.FullMethod)
	defer func() {
		if broken := recover(); broken != nil {
			err = a.broken(ctx, id, info.FullMethod, broken)
		}
		err = a.answered(ctx, id, info.FullMethod, begin, err)
		end(err)
	}()
	ctx, cancel := context.WithTimeout(ctx, a.o.Request)
	defer cancel()
	if ctx, err = a.admit(ctx, info.FullMethod); err != nil {
		return nil, err
	}
	return handle(ctx, request)
}

// stream surrounds every stream.
func (a *API) stream(server any, s grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) (err error) {
	id, begin, ctx := rand.Text()[:13], time.Now(), s.Context() //nolint:forbidigo // see above
	defer func() {
		if broken := recover(); broken != nil {
			err = a.broken(ctx, id, info.FullMethod, broken)
		}
		err = a.answered(ctx, id, info.FullMethod, begin, err)
	}()
	if ctx, err = a.admit(ctx, info.FullMethod); err != nil {
		return err
	}
	select {
	case a.streams <- struct{}{}:
		defer func() { <-a.streams }()
	default:
		return adg.Throttled(adg.Errorf(adg.Unavailable, "this server has %d streams open, which is its limit", a.o.Watchers), 10*time.Second)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	draining, _ := ctx.Value(drainKey{}).(<-chan struct{})
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-draining:
			cancel(errDraining)
		case <-done:
		}
	}()
	err = handle(server, &streaming{s, ctx})
	if cause := context.Cause(ctx); cause == errDraining { //nolint:errorlint // it is ours, and not wrapped
		return cause
	}
	return err
}

var errDraining = adg.Errorf(adg.Unavailable, "this server is going down: connect again")

// streaming is a stream within another context.
type streaming struct {
	grpc.ServerStream
	ctx context.Context //nolint:containedctx // gRPC has it so
}

func (s *streaming) Context() context.Context { return s.ctx }

func (a *API) broken(ctx context.Context, id, method string, broken any) error {
	a.o.Log.ErrorContext(ctx, "a request broke the server's code", "request", id, "method", method, "panic", broken, "stack", string(debug.Stack()))
	return adg.Errorf(adg.Internal, "panic")
}

func (a *API) answered(ctx context.Context, id, method string, begin time.Time, err error) error {
	err = a.problem(ctx, id, err)
	if a.o.Metrics != nil {
		a.o.Metrics.Answered(method, strings.ToLower(status.Code(err).String()), time.Since(begin)) //nolint:forbidigo // see unary
	}
	return err
}

// admit finds out who asks, and whether he may ask now. What he may do is decided by who does it.
func (a *API) admit(ctx context.Context, method string) (context.Context, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	from := address(ctx, md)
	who := identity.Caller{From: from}
	key := "address " + from
	if !open[method] {
		credential := credentialOf(md)
		if credential == "" {
			return ctx, a.slow(key, adg.Errorf(adg.Unauthorized, "this needs a login: send a token as Authorization: Bearer adg_…"))
		}
		found, err := a.o.Directory.Authenticate(ctx, credential)
		if err != nil {
			return ctx, a.slow(key, err)
		}
		who.Identity, key = found, found.Subject
	}
	if ok, wait := a.o.Rate.Allow(key); !ok {
		return ctx, adg.Throttled(adg.Errorf(adg.Unavailable, "too many requests"), wait)
	}
	return context.WithValue(ctx, callerKey{}, who), nil
}

// slow counts a refusal against the address, so that guessing is slow.
func (a *API) slow(key string, err error) error {
	if ok, wait := a.o.Rate.Allow(key); !ok {
		return adg.Throttled(adg.Errorf(adg.Unavailable, "too many requests"), wait)
	}
	return err
}

// credentialOf is what the caller shows: a token, or the session that the gateway found in the cookie.
func credentialOf(md metadata.MD) string {
	for _, value := range md.Get("authorization") {
		if scheme, token, _ := strings.Cut(value, " "); strings.EqualFold(scheme, "bearer") && token != "" {
			return token
		}
	}
	for _, value := range md.Get(metaSession) {
		return value
	}
	return ""
}

// address is where the request comes from: what the gateway says, if it is ours, else the connection's other end.
func address(ctx context.Context, md metadata.MD) string {
	p, ok := peer.FromContext(ctx)
	if !ok || p.Addr == nil {
		return ""
	}
	if p.Addr.Network() == "bufconn" {
		for _, from := range md.Get(metaFrom) {
			return from
		}
		return "inside"
	}
	host, _, err := net.SplitHostPort(p.Addr.String())
	if err != nil {
		return p.Addr.String()
	}
	return host
}

// inside tells whether the request comes from the gateway beside us.
func inside(ctx context.Context) bool {
	p, ok := peer.FromContext(ctx)
	return ok && p.Addr != nil && p.Addr.Network() == "bufconn"
}
