// Package oidc logs people in at an OpenID Connect provider: authorization code flow with PKCE, state and nonce. A login
// may end at another replica than it began at, and ends once.
package oidc

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/identity"
)

// Life is how long a person has for logging in at the provider.
const Life = 10 * time.Minute

// Store is what a provider needs of the store.
type Store interface {
	adg.Documents
	adg.Clock
}

// Provider is a provider that people log in at. It is safe for concurrent use.
type Provider struct {
	options Options
	store   Store
	client  *http.Client

	mu   sync.Mutex
	with *oidc.Provider // what it says about itself; nil: not asked yet
}

// New makes a provider; it is asked at the first login only, so that a server starts without it.
func New(store Store, o Options) (*Provider, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	client, err := newClient(o.TLS)
	if err != nil {
		return nil, err
	}
	return &Provider{options: o.withDefaults(), store: store, client: client}, nil
}

// Close lets go of idle connections.
func (p *Provider) Close() { p.client.CloseIdleConnections() }

// Reach asks the provider about itself, unless it has said that already: Unavailable, if it does not answer.
func (p *Provider) Reach(ctx context.Context) error {
	_, _, err := p.discovered(ctx)
	return err
}

// Begun is a login that was begun.
type Begun struct {
	URL    string     // where the browser goes
	Cookie adg.Secret // what the browser brings back: HttpOnly, Secure, SameSite=Lax, for the time of Life
}

// Begin begins a login. Next is the page of ours that the person wanted to see; Finish gives it back, or "/" for what is
// no path of ours. Where the provider cannot
// be reached it is Unavailable.
func (p *Provider) Begin(ctx context.Context, next string) (Begun, error) {
	config, _, err := p.discovered(ctx)
	if err != nil {
		return Begun{}, err
	}
	now, err := p.store.Now(ctx)
	if err != nil {
		return Begun{}, err
	}
	state, cookie := rand.Text(), rand.Text()+rand.Text()
	data, err := json.Marshal(begun{Cookie: derived("cookie", cookie), Next: ownPath(next), Back: p.options.RedirectURL})
	if err != nil {
		return Begun{}, adg.Errorf(adg.Internal, "begin a login: %w", err)
	}
	w := adg.Write{Document: adg.Document{Kind: kindLogin, Key: derived("state", state), Data: data, Expires: now.Add(Life)}}
	if _, err := p.store.WriteDocuments(ctx, []adg.Write{w}); err != nil {
		return Begun{}, err
	}
	to := config.AuthCodeURL(state, oidc.Nonce(derived("nonce", cookie)), oauth2.S256ChallengeOption(derived("verifier", cookie)))
	return Begun{URL: to, Cookie: adg.NewSecret(cookie)}, nil
}

// Callback is what the browser brings back from the provider.
type Callback struct {
	State  string
	Code   string
	Error  string // "error" and "error_description"; empty: none
	Cookie string
}

// Finish ends a login: who it is, and the page that he wanted to see. Whatever is not in order is Unauthorized, and the
// person begins again; a provider that does not answer is Unavailable.
func (p *Provider) Finish(ctx context.Context, c Callback) (who identity.External, next string, err error) {
	next, err = p.use(ctx, c)
	if err != nil {
		return identity.External{}, "", err
	}
	if c.Error != "" {
		return identity.External{}, "", adg.Errorf(adg.Unauthorized, "the provider has not let you in: %.200s", adg.Printable(c.Error))
	}
	config, provider, err := p.discovered(ctx)
	if err != nil {
		return identity.External{}, "", err
	}
	ctx = oidc.ClientContext(ctx, p.client)
	answer, err := config.Exchange(ctx, c.Code, oauth2.VerifierOption(derived("verifier", c.Cookie)))
	if err != nil {
		return identity.External{}, "", exchangeFailed(err)
	}
	raw, ok := answer.Extra("id_token").(string)
	if !ok {
		return identity.External{}, "", adg.Advised(adg.Errorf(adg.Unauthorized, "the provider sent no ID token"), "allow the scope openid for %s there", p.options.ClientID)
	}
	token, err := p.verified(ctx, provider, raw, derived("nonce", c.Cookie))
	if err != nil {
		return identity.External{}, "", err
	}
	claims := map[string]any{}
	if err := token.Claims(&claims); err != nil {
		return identity.External{}, "", adg.Errorf(adg.Unauthorized, "read the claims of the ID token: %w", err)
	}
	who, err = p.options.person(token.Issuer, token.Subject, claims)
	return who, next, err
}

// Private

const (
	kindLogin = "oidc_login"
	maxNext   = 2048
)

// begun is a login under way. Nothing in it is secret: nonce and verifier come from the browser's cookie.
type begun struct {
	Cookie string `json:"cookie"` // its digest
	Next   string `json:"next,omitempty"`
	Back   string `json:"back,omitempty"` // where the provider that it was begun at sends people: each to a page of its own
}

// ownPath is a path of ours, so that nobody is sent elsewhere after a login.
func ownPath(next string) string {
	u, err := url.Parse(next)
	if err != nil || len(next) > maxNext || u.IsAbs() || u.Host != "" || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\t\r\n") {
		return "/"
	}
	return next
}

// derived is one of the values of a login that follow from a secret; none tells about the others.
func derived(purpose, secret string) string {
	sum := sha256.Sum256([]byte("adg oidc " + purpose + " " + secret))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// use takes a login out of the store, so that nobody can finish it again, and gives the page that was wanted.
func (p *Provider) use(ctx context.Context, c Callback) (next string, err error) {
	gone := adg.Advised(adg.Errorf(adg.Unauthorized, "this login is over, or was begun in another browser"), "log in again")
	doc, err := p.store.Document(ctx, kindLogin, derived("state", c.State))
	if adg.CodeOf(err) == adg.NotFound {
		return "", gone
	}
	if err != nil {
		return "", err
	}
	var b begun
	if err := json.Unmarshal(doc.Data, &b); err != nil {
		return "", adg.Errorf(adg.Internal, "read a login: %w", err)
	}
	if subtle.ConstantTimeCompare([]byte(b.Cookie), []byte(derived("cookie", c.Cookie))) != 1 {
		return "", gone
	}
	if b.Back != "" && b.Back != p.options.RedirectURL { // one provider has handed the login on to another; a replica of the version before does not say
		return "", gone
	}
	_, err = p.store.WriteDocuments(ctx, []adg.Write{{Document: doc, If: doc.Version, Drop: true}})
	if adg.CodeOf(err) == adg.Conflict {
		return "", gone
	}
	return b.Next, err
}

// discovered is what the provider says about itself, asked until it has answered once.
func (p *Provider) discovered(ctx context.Context) (*oauth2.Config, *oidc.Provider, error) {
	p.mu.Lock()
	with := p.with
	p.mu.Unlock()
	if with == nil {
		found, err := oidc.NewProvider(oidc.ClientContext(ctx, p.client), p.options.Issuer)
		if err != nil {
			return nil, nil, adg.Errorf(adg.Unavailable, "ask the provider %s about itself: %.300s", p.options.Issuer, adg.Printable(err.Error()))
		}
		with = found
		p.mu.Lock()
		p.with = found
		p.mu.Unlock()
	}
	return &oauth2.Config{
		ClientID:     p.options.ClientID,
		ClientSecret: p.options.ClientSecret.Reveal(),
		Endpoint:     with.Endpoint(),
		RedirectURL:  p.options.RedirectURL,
		Scopes:       append([]string{oidc.ScopeOpenID}, p.options.Scopes...),
	}, with, nil
}

func (p *Provider) verified(ctx context.Context, provider *oidc.Provider, raw, nonce string) (*oidc.IDToken, error) {
	now, err := p.store.Now(ctx)
	if err != nil {
		return nil, err
	}
	token, err := provider.Verifier(&oidc.Config{
		ClientID:             p.options.ClientID,
		SupportedSigningAlgs: p.options.Algorithms,
		Now:                  func() time.Time { return now.Add(-p.options.Skew) },
	}).Verify(ctx, raw)
	if err != nil {
		return nil, adg.Errorf(adg.Unauthorized, "the provider's ID token is not valid: %w", err)
	}
	var party struct {
		Authorized string `json:"azp"`
	}
	if err := token.Claims(&party); err != nil {
		return nil, adg.Errorf(adg.Unauthorized, "read the claims of the ID token: %w", err)
	}
	switch {
	case subtle.ConstantTimeCompare([]byte(token.Nonce), []byte(nonce)) != 1:
		return nil, adg.Advised(adg.Errorf(adg.Unauthorized, "the provider's ID token is of another login (nonce)"), "log in again")
	case token.IssuedAt.After(now.Add(p.options.Skew)):
		return nil, adg.Advised(adg.Errorf(adg.Unauthorized, "the provider's ID token is from the future"), "set the clocks of both servers")
	case (len(token.Audience) > 1 || party.Authorized != "") && party.Authorized != p.options.ClientID:
		return nil, adg.Errorf(adg.Unauthorized, "the provider's ID token was issued to %.100q, not to %s", party.Authorized, p.options.ClientID)
	default:
		return token, nil
	}
}

// exchangeFailed does not repeat what the provider answered: its code says enough.
func exchangeFailed(err error) error {
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		code := adg.Unauthorized
		if refused.Response != nil && refused.Response.StatusCode >= http.StatusInternalServerError {
			code = adg.Unavailable
		}
		reason := refused.ErrorCode
		if reason == "" && refused.Response != nil {
			reason = fmt.Sprint("status ", refused.Response.StatusCode)
		}
		return adg.Errorf(code, "the provider does not accept the login (%.100s): log in again", adg.Printable(reason))
	}
	return adg.Errorf(adg.Unavailable, "finish the login at the provider: %w", err)
}
