package api

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/identity"
	"github.com/deployguardian/adg/internal/serve"
	"github.com/deployguardian/adg/internal/trace"
)

// open are the methods that nobody has to be logged in for: logging in, and what a load balancer asks.
var open = map[string]bool{
	"/adg.v1.LoginService/ListLoginProviders": true, "/adg.v1.LoginService/LogIn": true, "/adg.v1.LoginService/StartOidcLogin": true,
	"/adg.v1.LoginService/CompleteOidcLogin": true, "/adg.v1.LoginService/StartDeviceLogin": true, "/adg.v1.LoginService/PollDeviceLogin": true,
	"/adg.v1.SystemService/GetVersion": true, "/grpc.health.v1.Health/Check": true, "/grpc.health.v1.Health/Watch": true,
}

// beginning are the methods that begin a login.
var beginning = map[string]bool{
	"/adg.v1.LoginService/LogIn": true, "/adg.v1.LoginService/StartOidcLogin": true, "/adg.v1.LoginService/StartDeviceLogin": true,
}

// Private

type (
	callerKey struct{}
	drainKey  struct{}
)

// recordWithin is how long the store may take to put a refusal on record.
const recordWithin = 5 * time.Second

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
	asked, end := ctx, func(error) {}
	defer func() {
		if broken := recover(); broken != nil {
			err = a.broken(ctx, id, info.FullMethod, broken)
		}
		err = a.answered(ctx, asked, id, info.FullMethod, begin, err)
		end(err)
	}()
	ctx, cancel := context.WithTimeout(ctx, a.o.Request)
	defer cancel()
	if ctx, err = a.admit(ctx, info.FullMethod); err != nil {
		return nil, err
	}
	ctx, end = trace.Start(continued(ctx), info.FullMethod)
	if err := bounded(request); err != nil {
		return nil, err
	}
	if err := matched(ctx, request); err != nil {
		return nil, err
	}
	if !open[info.FullMethod] { // a login does not say what was wrong
		if err := complete(request); err != nil {
			return nil, err
		}
	}
	return handle(ctx, request)
}

// continued is the request within the trace that its caller says it belongs to, and with it his word that it is recorded:
// from who is known only. What outsiders ask for costs a collector nothing.
func continued(ctx context.Context) context.Context {
	if caller(ctx).Subject == "" {
		return ctx
	}
	md, _ := metadata.FromIncomingContext(ctx)
	return trace.Continued(ctx, strings.Join(md.Get("traceparent"), ""))
}

func (a *API) broken(ctx context.Context, id, method string, broken any) error {
	a.o.Log.ErrorContext(ctx, "a request broke the server's code", "request", id, "method", method, "panic", broken, "stack", string(debug.Stack()))
	return adg.Errorf(adg.Internal, "panic")
}

// answered counts an answer, and makes of an error what is told. Whether the caller waits still is known to the context
// that he asked with: the request's own has ended by now.
func (a *API) answered(ctx, asked context.Context, id, method string, begin time.Time, err error) error {
	a.record(ctx, method, err)
	err = a.problem(asked, id, caller(ctx).Subject != "", err)
	if a.o.Metrics != nil {
		a.o.Metrics.Answered(method, strconv.Itoa(runtime.HTTPStatusFromCode(status.Code(err))), time.Since(begin)) //nolint:forbidigo // see unary
	}
	return err
}

// record puts a refusal in the audit log that whoever refused has not put there: so that none is forgotten.
func (a *API) record(ctx context.Context, method string, err error) {
	who := caller(ctx)
	if !errors.Is(err, identity.ErrDenied) || identity.IsOnRecord(err) || who.Subject == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordWithin)
	defer cancel()
	entry := adg.AuditEntry{Actor: who.Subject, From: who.From, Action: "api.call", Resource: strings.TrimPrefix(method, "/adg.v1."), Outcome: adg.AuditDenied, Reason: err.Error()}.With(adg.Via, who.Via)
	if _, failed := a.o.Store.AppendAudit(ctx, entry); failed != nil {
		a.o.Log.ErrorContext(ctx, "a refusal is not on record", "actor", who.Subject, "method", method, "error", failed)
	}
}

// admit finds out who asks, and whether he may ask now. What he may do is decided by who does it.
func (a *API) admit(ctx context.Context, method string) (context.Context, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	from := address(ctx, md)
	who := identity.Caller{From: from, Via: way(ctx, md)}
	key := "address " + serve.Network(from)
	if !open[method] {
		credential := credentialOf(md)
		if credential == "" {
			return ctx, a.slow(key, adg.Advised(adg.Errorf(adg.Unauthorized, "this needs a login"), "send a token as Authorization: Bearer adg_…"))
		}
		found, err := a.o.Directory.Authenticate(ctx, credential)
		if err != nil {
			return ctx, a.slow(key, err)
		}
		who.Identity, key = found, orElse(found.Person, found.Subject) // many tokens are one person
	}
	if ok, wait := a.o.Rate.Allow(key); !ok {
		return ctx, adg.Throttled(adg.Errorf(adg.Unavailable, "too many requests"), wait)
	}
	if beginning[method] {
		if err := a.mayBegin(from); err != nil {
			return ctx, err
		}
	}
	return context.WithValue(ctx, callerKey{}, who), nil
}

// mayBegin counts a login against the address.
func (a *API) mayBegin(from string) error {
	if ok, wait := a.o.Logins.Allow(serve.Network(from)); !ok {
		return adg.Throttled(adg.Errorf(adg.Unavailable, "too many logins from this address"), wait)
	}
	return nil
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

// way is how the request came. The command line is known by what it calls itself.
func way(ctx context.Context, md metadata.MD) string {
	switch {
	case strings.HasPrefix(agent(ctx), "adg/"):
		return adg.ViaCLI
	case !inside(ctx):
		return adg.ViaGRPC
	case len(md.Get("authorization")) == 0 && len(md.Get(metaSession)) > 0:
		return adg.ViaDashboard
	default:
		return adg.ViaREST
	}
}

// inside tells whether the request comes from the gateway beside us.
func inside(ctx context.Context) bool {
	p, ok := peer.FromContext(ctx)
	return ok && p.Addr != nil && p.Addr.Network() == "bufconn"
}
