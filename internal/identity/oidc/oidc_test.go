package oidc

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"golang.org/x/oauth2"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/identity"
	"github.com/deployguardian/adg/internal/identity/oidc/oidctest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var alice = account{"email": "Alice@example.com", "email_verified": true, "preferred_username": "alice", "groups": []string{"payments", "oncall"}}

// stage is a provider with one person, and adg as a client of it.
type stage struct {
	server *oidctest.Server
	store  adg.Store
	clock  *clock
}

func newStage(t *testing.T) stage {
	t.Helper()
	return newStageAt(t, sharedServer(t))
}

func newStageAt(t *testing.T, at *oidctest.Server) stage {
	t.Helper()
	c := &clock{}
	s := stage{server: at, store: newStore(t, c), clock: c}
	accounts(t, s.server, map[string]account{"a1": alice})
	return s
}

// as is adg, registered under that name.
func (s stage) as(t *testing.T, client string, change func(*Options)) *Provider {
	t.Helper()
	o := Options{Issuer: s.server.Issuer, ClientID: client, ClientSecret: adg.NewSecret(client + "-secret"), RedirectURL: redirectURL, Scopes: []string{"email", "profile", "groups"}}
	if change != nil {
		change(&o)
	}
	p, err := New(s.store, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// login logs a person in up to the callback.
func login(t *testing.T, p *Provider, name string) (Callback, Begun) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	b, err := p.Begin(ctx, "/deployments")
	cancel() // what was learnt of the provider must outlive the request
	if err != nil {
		t.Fatal(err)
	}
	back := newBrowser(t).login(b.URL, name)
	back.Cookie = b.Cookie.Reveal()
	return back, b
}

func refused(t *testing.T, err error, code adg.Code, text string) {
	t.Helper()
	if adg.CodeOf(err) != code || err == nil || !strings.Contains(err.Error(), text) {
		t.Fatalf("got %v (%v), want %v with %q", err, adg.CodeOf(err), code, text)
	}
}

func TestAPersonLogsInAtTheProvidersPagesAndComesBackWithNameAndGroups(t *testing.T) {
	s := newStage(t)
	p := s.as(t, "adg", nil)
	back, _ := login(t, p, "a1")
	other := s.as(t, "adg", nil) // another replica, that has begun nothing
	who, next, err := other.Finish(t.Context(), back)
	if err != nil {
		t.Fatal(err)
	}
	want := identity.External{Name: "alice@example.com", Issuer: s.server.Issuer, Subject: "a1", Groups: []string{"payments", "oncall"}}
	if diff := cmp.Diff(want, who); diff != "" || next != "/deployments" {
		t.Errorf("%s\nnext %q", diff, next)
	}

	_, _, err = p.Finish(t.Context(), back)
	refused(t, err, adg.Unauthorized, "this login is over")
}

func TestGroupsChangeAtTheNextLoginAndRolesWithThem(t *testing.T) {
	s := newStage(t)
	p := s.as(t, "adg", nil)
	d, err := identity.New(s.store, identity.Options{})
	if err != nil {
		t.Fatal(err)
	}
	root := identity.Caller{Identity: identity.Identity{Subject: "user:root", Kind: identity.KindUser, Person: "root",
		Bindings: []identity.Binding{{Role: identity.Admin, Service: "*", Environment: "*"}}}}
	if err := d.Grant(t.Context(), root, identity.Binding{Subject: "group:payments", Role: identity.Deployer, Service: "pay-*", Environment: "*"}); err != nil {
		t.Fatal(err)
	}
	admit := func() identity.Opened {
		back, _ := login(t, p, "a1")
		who, _, err := p.Finish(t.Context(), back)
		if err != nil {
			t.Fatal(err)
		}
		o, err := d.Admit(t.Context(), who, "192.0.2.1:999")
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	first := admit()
	if err := identity.Allowed(first.Identity, identity.DeploymentStart, "pay-card", "production"); err != nil {
		t.Error(err)
	}
	token, _, err := d.CreateToken(t.Context(), identity.Caller{Identity: first.Identity}, identity.NewToken{Label: "pipeline"})
	if err != nil {
		t.Fatal(err)
	}

	moved := account{"email": "alice@example.com", "email_verified": true, "groups": []string{"search"}}
	accounts(t, s.server, map[string]account{"a1": moved})
	second := admit()
	bot, err := d.Authenticate(t.Context(), token.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	old, err := d.Authenticate(t.Context(), first.Credential.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	for name, who := range map[string]identity.Identity{"the new session": second.Identity, "her token": bot, "the old session": old} {
		if identity.Allowed(who, identity.DeploymentRead, "pay-card", "production") == nil {
			t.Errorf("%s still has the role of a group that she has left", name)
		}
	}

	accounts(t, s.server, map[string]account{"a2": moved})
	back, _ := login(t, p, "a2")
	impostor, _, err := p.Finish(t.Context(), back)
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.Admit(t.Context(), impostor, "192.0.2.1")
	refused(t, err, adg.Unauthorized, "belongs to somebody else")
}

func TestALoginThatIsNotInOrderIsRefused(t *testing.T) {
	s := newStage(t)
	p := s.as(t, "adg", nil)
	for _, tt := range []struct {
		name   string
		change func(t *testing.T, back *Callback)
		text   string
	}{
		{"a state that nobody began", func(_ *testing.T, c *Callback) { c.State += "x" }, "login is over"},
		{"no state", func(_ *testing.T, c *Callback) { c.State = "" }, "login is over"},
		{"another browser's cookie", func(_ *testing.T, c *Callback) { c.Cookie += "x" }, "another browser"},
		{"no cookie", func(_ *testing.T, c *Callback) { c.Cookie = "" }, "another browser"},
		{"a code that the provider did not give", func(_ *testing.T, c *Callback) { c.Code += "x" }, "invalid_grant"},
		{"the provider says no", func(_ *testing.T, c *Callback) { c.Error = "access_denied\x1b[31m" }, "access_denied·"},
		{"the code of another login", func(t *testing.T, c *Callback) {
			stolen, _ := login(t, p, "a1")
			c.Code = stolen.Code
		}, "invalid_grant"},
		{"more than ten minutes at the provider", func(*testing.T, *Callback) { s.clock.ahead += Life + time.Second }, "login is over"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			back, _ := login(t, p, "a1")
			tt.change(t, &back)
			who, _, err := p.Finish(t.Context(), back)
			refused(t, err, adg.Unauthorized, tt.text)
			if diff := cmp.Diff(identity.External{}, who); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A provider could hand on a login that was begun at it: whoever believes to come in from there would be somebody else here.
func TestALoginEndsAtTheProviderThatItBeganAt(t *testing.T) {
	s := newStage(t)
	p := s.as(t, "adg", nil)
	other := s.as(t, "adg", func(o *Options) { o.RedirectURL = "http://127.0.0.1:1/other/callback" })
	back, _ := login(t, p, "a1")
	_, _, err := other.Finish(t.Context(), back)
	refused(t, err, adg.Unauthorized, "this login is over")
	if _, _, err := p.Finish(t.Context(), back); err != nil {
		t.Error(err)
	}
}

func TestACodeThatWasUsedAtTheProviderIsRefused(t *testing.T) {
	s := newStage(t)
	p := s.as(t, "adg", nil)
	back, b := login(t, p, "a1")
	config, _, err := p.discovered(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx := oidc.ClientContext(t.Context(), p.client)
	if _, err := config.Exchange(ctx, back.Code, oauth2.VerifierOption(derived("verifier", b.Cookie.Reveal()))); err != nil {
		t.Fatal(err)
	}
	_, _, err = p.Finish(t.Context(), back)
	refused(t, err, adg.Unauthorized, "invalid_grant")
}

func TestOneLoginThatComesBackTwiceAtOnceEndsOnce(t *testing.T) {
	s := newStage(t)
	p := s.as(t, "adg", nil)
	back, _ := login(t, p, "a1")
	results := make([]error, 8)
	var all sync.WaitGroup
	for i := range results {
		all.Go(func() { _, _, results[i] = p.Finish(t.Context(), back) })
	}
	all.Wait()
	good := 0
	for _, err := range results {
		if err == nil {
			good++
		} else {
			refused(t, err, adg.Unauthorized, "login is over")
		}
	}
	if good != 1 {
		t.Errorf("%d of %d logins with one state succeeded", good, len(results))
	}
}

func TestAnIDTokenWithAnotherNonceIsRefused(t *testing.T) {
	s := newStage(t)
	p := s.as(t, "adg", nil)
	b, err := p.Begin(t.Context(), "/")
	if err != nil {
		t.Fatal(err)
	}
	to, err := url.Parse(b.URL)
	if err != nil {
		t.Fatal(err)
	}
	q := to.Query()
	q.Set("nonce", "of-another-login")
	to.RawQuery = q.Encode()
	back := newBrowser(t).login(to.String(), "a1")
	back.Cookie = b.Cookie.Reveal()
	_, _, err = p.Finish(t.Context(), back)
	refused(t, err, adg.Unauthorized, "nonce")
}

func TestTheClockMayBeOffByTheSkewAndNoMore(t *testing.T) {
	s := newStage(t)
	p := s.as(t, "adg", nil)
	for _, tt := range []struct {
		name  string
		ahead time.Duration
		text  string // empty: good
	}{
		{"half a minute late, the token is just expired", 90 * time.Second, ""},
		{"the token expired minutes ago", 5 * time.Minute, "expired"},
		{"half a minute early", -30 * time.Second, ""},
		{"the token is from the future", -5 * time.Minute, "future"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			store := newStore(t, &clock{ahead: tt.ahead}) // whose clock is off for the whole login
			off, err := New(store, p.options)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(off.Close)
			back, _ := login(t, off, "a1")
			_, _, err = off.Finish(t.Context(), back)
			if tt.text == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			refused(t, err, adg.Unauthorized, tt.text)
		})
	}
}

// rawToken is a real ID token for a client, with its nonce.
func rawToken(t *testing.T, p *Provider) (raw, nonce string) {
	t.Helper()
	back, b := login(t, p, "a1")
	config, _, err := p.discovered(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx := oidc.ClientContext(t.Context(), p.client)
	answer, err := config.Exchange(ctx, back.Code, oauth2.VerifierOption(derived("verifier", b.Cookie.Reveal())))
	if err != nil {
		t.Fatal(err)
	}
	raw, _ = answer.Extra("id_token").(string)
	return raw, derived("nonce", b.Cookie.Reveal())
}

func TestAnIDTokenForAnotherAudienceIssuerOrAlgorithmIsRefused(t *testing.T) {
	s := newStage(t)
	p := s.as(t, "adg", nil)
	_, provider, err := p.discovered(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	good, goodNonce := rawToken(t, p)
	if _, err := p.verified(t.Context(), provider, good, goodNonce); err != nil {
		t.Fatalf("the good one, for comparison: %v", err)
	}
	other, otherNonce := rawToken(t, s.as(t, "other", nil))
	asElliptic := s.as(t, "elliptic", nil)
	elliptic, ellipticNonce := rawToken(t, asElliptic)
	asHMAC := s.as(t, "hmac", func(o *Options) {
		o.ClientSecret = adg.NewSecret("a secret that is long enough to be a key of its own")
	})
	hmac, hmacNonce := rawToken(t, asHMAC)
	foreign := newStageAt(t, newServer(t, "0"))
	stranger, strangerNonce := rawToken(t, foreign.as(t, "adg", nil))
	header, body, _ := strings.Cut(good, ".")
	payload, _, _ := strings.Cut(body, ".")
	for _, tt := range []struct {
		name, raw, nonce string
		by               *Provider
		text             string
	}{
		{"for another client", other, otherNonce, p, "expected audience"},
		{"from another provider", stranger, strangerNonce, p, "not valid"},
		{"signed with an algorithm that was not chosen", elliptic, ellipticNonce, asElliptic, "unexpected signature algorithm"},
		{"signed with the client's password", hmac, hmacNonce, asHMAC, "unexpected signature algorithm"},
		{"without a signature", "eyJhbGciOiJub25lIn0." + payload + ".", goodNonce, p, "unexpected signature algorithm"},
		{"with the signature cut off", header + "." + payload + ".", goodNonce, p, "not valid"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := tt.by.verified(t.Context(), provider, tt.raw, tt.nonce)
			refused(t, err, adg.Unauthorized, tt.text)
		})
	}

	asElliptic.options.Algorithms = []string{"ES256"}
	if _, err := asElliptic.verified(t.Context(), provider, elliptic, ellipticNonce); err != nil {
		t.Errorf("an algorithm that was chosen: %v", err)
	}
}

func TestNewKeysOfTheProviderAreFetched(t *testing.T) {
	s := newStage(t)
	p := s.as(t, "adg", nil)
	for range 2 {
		back, _ := login(t, p, "a1")
		if _, _, err := p.Finish(t.Context(), back); err != nil {
			t.Fatal(err)
		}
		if err := s.server.Rotate(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAProviderThatIsDownIsUnavailableAndComesBack(t *testing.T) {
	s := newStageAt(t, newServer(t, "0"))
	p := s.as(t, "adg", nil)
	back, _ := login(t, p, "a1")
	unasked := s.as(t, "adg", nil)
	s.server.Stop()
	_, err := unasked.Begin(t.Context(), "/")
	refused(t, err, adg.Unavailable, "ask the provider")
	_, _, err = p.Finish(t.Context(), back)
	refused(t, err, adg.Unavailable, "finish the login")

	address, err := url.Parse(s.server.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	accounts(t, newServer(t, address.Port()), map[string]account{"a1": alice})
	for _, p := range []*Provider{p, unasked} {
		back, _ = login(t, p, "a1")
		if _, _, err := p.Finish(t.Context(), back); err != nil {
			t.Error(err)
		}
	}
}

func TestAWrongPasswordOfTheClientIsNotShown(t *testing.T) {
	s := newStage(t)
	p := s.as(t, "adg", func(o *Options) { o.ClientSecret = adg.NewSecret("canary-7f3a") })
	back, _ := login(t, p, "a1")
	_, _, err := p.Finish(t.Context(), back)
	refused(t, err, adg.Unauthorized, "invalid_client")
	if strings.Contains(err.Error(), "canary") {
		t.Errorf("the error shows the client's password: %v", err)
	}
}

func TestAProviderThatSendsUsElsewhereIsNotFollowed(t *testing.T) {
	followed := false
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if followed = r.URL.Path == "/elsewhere"; !followed {
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		}
	}))
	t.Cleanup(evil.Close)
	p, err := New(newStore(t, &clock{}), Options{Issuer: evil.URL, ClientID: "adg", RedirectURL: redirectURL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	_, err = p.Begin(t.Context(), "/")
	refused(t, err, adg.Unavailable, "302")
	if followed {
		t.Error("the redirect was followed")
	}
}

func TestAnAnswerWithoutEndIsCut(t *testing.T) {
	sent := make(chan int, 1)
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := 0
		defer func() { sent <- n }()
		for chunk := bytes.Repeat([]byte(" "), 1<<16); ; {
			if _, err := w.Write(chunk); err != nil {
				return
			}
			n += len(chunk)
		}
	}))
	t.Cleanup(endless.Close)
	p, err := New(newStore(t, &clock{}), Options{Issuer: endless.URL, ClientID: "adg", RedirectURL: redirectURL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	_, err = p.Begin(t.Context(), "/")
	refused(t, err, adg.Unavailable, "ask the provider")
	if n := <-sent; n > 64<<20 { // what is on its way is more than what is read
		t.Errorf("%d bytes were read before anybody had enough", n)
	}
}
