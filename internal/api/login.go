package api

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/api/wire"
	"github.com/deployguardian/adg/internal/identity"
	"github.com/deployguardian/adg/internal/identity/device"
	"github.com/deployguardian/adg/internal/identity/oidc"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// LoginCookie is the name of the cookie by which a browser is known again when it comes back from a provider.
const LoginCookie = "adg_login"

// logins answers LoginService.
type logins struct {
	adgv1.UnimplementedLoginServiceServer
	*API
}

// ListLoginProviders lists the ways to log in.
func (s *logins) ListLoginProviders(_ context.Context, r *adgv1.ListLoginProvidersRequest) (*adgv1.ListLoginProvidersResponse, error) {
	rows, err := newListing(r, func(p *adgv1.LoginProvider) string { return "/" + p.GetName() })
	if err != nil {
		return nil, err
	}
	if s.o.Local {
		rows.add(&adgv1.LoginProvider{DisplayName: "Name and password"})
	}
	for name := range s.o.Providers {
		rows.add(&adgv1.LoginProvider{Name: name, DisplayName: name})
	}
	page, next := rows.page()
	return &adgv1.ListLoginProvidersResponse{Providers: page, NextPageToken: next}, nil
}

// LogIn logs a local user in.
func (s *logins) LogIn(ctx context.Context, r *adgv1.LogInRequest) (*adgv1.LogInResponse, error) {
	if !inside(ctx) { // nobody would receive the session
		return nil, adg.Advised(adg.Errorf(adg.Invalid, "a login by name gives a browser its session, as a cookie, which gRPC has not"), "log in over HTTP (POST /v1/login), or let a program in with adg login or an API token")
	}
	if !s.o.Local {
		return nil, adg.Advised(adg.Errorf(adg.Unauthorized, "nobody logs in here with a password"), "choose one of the providers")
	}
	return s.opened(ctx, "/", func() (identity.Opened, error) {
		return s.o.Directory.Login(ctx, identity.Attempt{Name: r.GetName(), Password: adg.NewSecret(r.GetPassword()), From: caller(ctx).From, Agent: agent(ctx)})
	})
}

// LogOut ends the caller's session, or the token that a login gave to his program.
func (s *logins) LogOut(ctx context.Context, _ *adgv1.LogOutRequest) (*adgv1.LogOutResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	if err := s.o.Directory.LogOut(ctx, caller(ctx), credentialOf(md)); err != nil {
		return nil, err
	}
	return &adgv1.LogOutResponse{}, carry(ctx, metaCookie, "")
}

// StartOidcLogin begins a login elsewhere.
func (s *logins) StartOidcLogin(ctx context.Context, r *adgv1.StartOidcLoginRequest) (*adgv1.StartOidcLoginResponse, error) {
	p, err := s.provider(r.GetProvider())
	if err != nil {
		return nil, err
	}
	next := orElse(r.GetReturnTo(), "/")
	if !ownPage(next) {
		return nil, wire.Wrong("return_to", "return_to is the path of a page of this server, such as /deployments")
	}
	begun, err := p.Begin(ctx, next)
	if err != nil {
		return nil, err
	}
	return &adgv1.StartOidcLoginResponse{Url: begun.URL}, carry(ctx, metaLoginCookie, begun.Cookie.Reveal())
}

// CompleteOidcLogin ends a login elsewhere.
func (s *logins) CompleteOidcLogin(ctx context.Context, r *adgv1.CompleteOidcLoginRequest) (*adgv1.LogInResponse, error) {
	p, err := s.provider(r.GetProvider())
	if err != nil {
		return nil, err
	}
	back := oidc.Callback{State: r.GetState(), Code: r.GetCode(), Cookie: carried(ctx, metaLogin)}
	if back.Code == "" {
		back.Error = "it sent no code"
	}
	who, next, err := p.Finish(ctx, back)
	if err != nil {
		return nil, s.rejected(ctx, r.GetProvider(), who, err)
	}
	who.Agent = agent(ctx)
	if err := carry(ctx, metaLoginCookie, ""); err != nil {
		return nil, err
	}
	return s.opened(ctx, next, func() (identity.Opened, error) {
		o, err := s.o.Directory.Admit(ctx, who, caller(ctx).From)
		if err != nil {
			err = s.rejected(ctx, r.GetProvider(), who, err)
		}
		return o, err
	})
}

// StartDeviceLogin begins the login of a program without a browser.
func (s *logins) StartDeviceLogin(ctx context.Context, r *adgv1.StartDeviceLoginRequest) (*adgv1.StartDeviceLoginResponse, error) {
	begun, err := s.o.Devices.Begin(ctx, r.GetClient(), caller(ctx).From)
	if err != nil {
		return nil, err
	}
	at := strings.TrimSuffix(s.o.BaseURL, "/") + "/device"
	return &adgv1.StartDeviceLoginResponse{
		DeviceCode: begun.DeviceCode.Reveal(), UserCode: begun.UserCode, VerificationUri: at,
		VerificationUriComplete: at + "?" + url.Values{"user_code": {begun.UserCode}}.Encode(),
		ExpiresIn:               wire.Duration(device.Life), Interval: wire.Duration(begun.Interval),
	}, nil
}

// PollDeviceLogin says how far the login of a program is. Once it was approved, it gives a token of whoever approved.
func (s *logins) PollDeviceLogin(ctx context.Context, r *adgv1.PollDeviceLoginRequest) (*adgv1.PollDeviceLoginResponse, error) {
	asked, err := s.o.Devices.Asked(ctx, r.GetDeviceCode())
	person := ""
	if err == nil {
		person, err = s.o.Devices.Poll(ctx, r.GetDeviceCode())
	}
	for refusal, state := range deviceStates {
		if errors.Is(err, refusal) {
			return &adgv1.PollDeviceLoginResponse{State: state}, nil
		}
	}
	if err != nil {
		return nil, err
	}
	who := caller(ctx)
	if who.Identity, err = s.o.Directory.Identify(ctx, person); err != nil {
		return nil, err
	}
	who.Reason = "a device was let in"
	secret, token, err := s.o.Directory.CreateToken(ctx, who, identity.NewToken{Label: deviceLabel(asked.Client), Life: min(deviceTokenLife, s.o.Directory.LongestToken()), Login: true})
	if err != nil {
		return nil, err
	}
	return &adgv1.PollDeviceLoginResponse{
		State: adgv1.DeviceLoginState_DEVICE_LOGIN_STATE_APPROVED, Token: secret.Reveal(), ExpireTime: wire.Timestamp(token.Expires), Identity: wire.Identity(who.Identity),
	}, nil
}

// GetDeviceLogin shows a person which program wants to be let in.
func (s *logins) GetDeviceLogin(ctx context.Context, r *adgv1.GetDeviceLoginRequest) (*adgv1.DeviceLogin, error) {
	if err := identity.InPerson(caller(ctx).Identity); err != nil {
		return nil, err
	}
	asked, err := s.o.Devices.Pending(ctx, r.GetUserCode())
	if err != nil {
		return nil, err
	}
	return &adgv1.DeviceLogin{Client: asked.Client, Address: asked.From, CreateTime: wire.Timestamp(asked.Begun), ExpireTime: wire.Timestamp(asked.Begun.Add(device.Life))}, nil
}

// ApproveDeviceLogin lets a program in as the caller, or refuses it.
func (s *logins) ApproveDeviceLogin(ctx context.Context, r *adgv1.ApproveDeviceLoginRequest) (*adgv1.ApproveDeviceLoginResponse, error) {
	who := caller(ctx)
	if err := identity.InPerson(who.Identity); err != nil {
		return nil, err
	}
	answer := s.o.Devices.Approve
	if r.GetDeny() {
		answer = s.o.Devices.Deny
	}
	return &adgv1.ApproveDeviceLoginResponse{}, answer(ctx, r.GetUserCode(), device.Person{Name: who.Person, From: who.From})
}

// Private

// More metadata of the gateway's.
const (
	metaAgent       = "adg-agent"
	metaLogin       = "adg-login"
	metaLoginCookie = "adg-set-login"
)

const deviceTokenLife = 30 * 24 * time.Hour

var deviceStates = map[error]adgv1.DeviceLoginState{
	device.ErrPending: adgv1.DeviceLoginState_DEVICE_LOGIN_STATE_PENDING, device.ErrSlowDown: adgv1.DeviceLoginState_DEVICE_LOGIN_STATE_SLOW_DOWN,
	device.ErrDenied: adgv1.DeviceLoginState_DEVICE_LOGIN_STATE_DENIED, device.ErrExpired: adgv1.DeviceLoginState_DEVICE_LOGIN_STATE_EXPIRED,
	device.ErrUnknown: adgv1.DeviceLoginState_DEVICE_LOGIN_STATE_EXPIRED,
}

// opened opens a session, and gives it to the browser if there is one.
func (s *logins) opened(ctx context.Context, next string, open func() (identity.Opened, error)) (*adgv1.LogInResponse, error) {
	o, err := open()
	if err != nil {
		return nil, err
	}
	return &adgv1.LogInResponse{Identity: wire.Identity(o.Identity), ExpireTime: wire.Timestamp(o.Until), ReturnTo: next}, carry(ctx, metaCookie, o.Credential.Reveal())
}

// rejected puts on record who was not let in from elsewhere, as often as an address may begin logins: anybody can bring
// back a state that nobody began, and the audit log forgets nothing.
func (s *logins) rejected(ctx context.Context, provider string, who identity.External, refusal error) error {
	from := caller(ctx).From
	if err := s.mayBegin(from); err != nil {
		return err
	}
	return s.o.Directory.Reject(ctx, provider, who, from, refusal)
}

func (s *logins) provider(name string) (*oidc.Provider, error) {
	p, known := s.o.Providers[name]
	if !known {
		return nil, adg.Errorf(adg.NotFound, "there is no login provider %.60q", name)
	}
	return p, nil
}

// deviceLabel names a token after the program that it is for.
func deviceLabel(client string) string {
	const most = 100
	label := strings.Join(strings.Fields(client), " ")
	if len(label) > most {
		label = strings.ToValidUTF8(label[:most], "")
	}
	return orElse(label, "device login")
}

// ownPage tells whether it is the path of a page here, so that nobody is sent elsewhere after a login.
func ownPage(path string) bool {
	u, err := url.Parse(path)
	return err == nil && u.Scheme == "" && u.Host == "" && strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "//") &&
		!strings.ContainsAny(path, "\\\t\r\n") && len(path) <= 2048
}

// carry tells the gateway beside us something for the browser; other callers are not told.
func carry(ctx context.Context, key, value string) error {
	if !inside(ctx) {
		return nil
	}
	return grpc.SetHeader(ctx, metadata.Pairs(key, value))
}

// carried is what the gateway beside us says about the browser.
func carried(ctx context.Context, key string) string {
	md, _ := metadata.FromIncomingContext(ctx)
	if values := md.Get(key); inside(ctx) && len(values) > 0 {
		return values[0]
	}
	return ""
}

// agent is what the caller's program calls itself.
func agent(ctx context.Context) string {
	if inside(ctx) {
		return carried(ctx, metaAgent)
	}
	md, _ := metadata.FromIncomingContext(ctx)
	return strings.Join(md.Get("user-agent"), " ")
}

// annotateLogin tells the server what a login needs to know of the browser.
func annotateLogin(_ context.Context, r *http.Request) metadata.MD {
	md := metadata.MD{}
	ascii := func(c rune) rune { // metadata holds nothing else
		if c < ' ' || c > '~' {
			return '?'
		}
		return c
	}
	md.Set(metaAgent, strings.Map(ascii, r.UserAgent()))
	if cookie, err := r.Cookie(LoginCookie); err == nil {
		md.Set(metaLogin, cookie.Value)
	}
	return md
}

// setLoginCookie lets the browser be known again when it comes back from a provider.
func (a *API) setLoginCookie(ctx context.Context, w http.ResponseWriter, _ proto.Message) error {
	md, found := runtime.ServerMetadataFromContext(ctx)
	if !found {
		return nil
	}
	for _, value := range md.HeaderMD.Get(metaLoginCookie) {
		cookie := &http.Cookie{Name: LoginCookie, Value: value, Path: "/", HttpOnly: true, Secure: a.o.Secure, SameSite: http.SameSiteLaxMode, MaxAge: int(oidc.Life.Seconds())}
		if value == "" {
			cookie.MaxAge = -1
		}
		http.SetCookie(w, cookie)
	}
	return nil
}
