package api_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/identity/oidc"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// elsewhere is an OpenID provider whose only person is eve@example.com, and who asks her nothing.
type elsewhere struct {
	*httptest.Server
	key *rsa.PrivateKey

	mu     sync.Mutex
	asked  map[string]url.Values // what each code was given for
	claims map[string]any        // in place of what it says otherwise
	given  []string              // what nobody else may see: codes, states and tokens
}

func newElsewhere(t *testing.T) *elsewhere {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	e := &elsewhere{key: key, asked: map[string]url.Values{}}
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, v any) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v)
	}
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"issuer": e.URL, "authorization_endpoint": e.URL + "/auth", "token_endpoint": e.URL + "/token", "jwks_uri": e.URL + "/keys"})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"keys": []any{map[string]string{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "1",
			"n": base64.RawURLEncoding.EncodeToString(key.N.Bytes()), "e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.E)).Bytes())}}})
	})
	mux.HandleFunc("/auth", func(w http.ResponseWriter, r *http.Request) {
		code := rand.Text()
		e.mu.Lock()
		e.asked[code] = r.URL.Query()
		e.given = append(e.given, code, r.URL.Query().Get("state"))
		e.mu.Unlock()
		http.Redirect(w, r, r.URL.Query().Get("redirect_uri")+"?"+url.Values{"code": {code}, "state": {r.URL.Query().Get("state")}}.Encode(), http.StatusSeeOther)
	})
	mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
		e.mu.Lock()
		asked := e.asked[r.PostFormValue("code")]
		e.mu.Unlock()
		if challenge := sha256.Sum256([]byte(r.PostFormValue("code_verifier"))); base64.RawURLEncoding.EncodeToString(challenge[:]) != asked.Get("code_challenge") {
			w.WriteHeader(http.StatusBadRequest)
			answer(w, map[string]string{"error": "invalid_grant"})
			return
		}
		answer(w, map[string]any{"access_token": "x", "token_type": "Bearer", "id_token": e.token(t, asked.Get("nonce"))})
	})
	e.Server = httptest.NewServer(mux)
	t.Cleanup(e.Close)
	return e
}

func (e *elsewhere) token(t *testing.T, nonce string) string {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	says := map[string]any{"iss": e.URL, "aud": "adg", "sub": "7", "nonce": nonce, "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
		"email": "eve@example.com", "email_verified": true, "groups": []string{"oncall"}}
	maps.Copy(says, e.claims)
	claims, err := json.Marshal(says)
	if err != nil {
		t.Error(err)
	}
	signed := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","kid":"1"}`)) + "." + base64.RawURLEncoding.EncodeToString(claims)
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, e.key, crypto.SHA256, sum[:])
	if err != nil {
		t.Error(err)
	}
	raw := signed + "." + base64.RawURLEncoding.EncodeToString(signature)
	e.given = append(e.given, raw)
	return raw
}

// says lets it say something else about its person from now on.
func (e *elsewhere) says(claims map[string]any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.claims = claims
}

func newHouseWithProvider(t *testing.T) *house {
	t.Helper()
	return newHouseBeside(t, newElsewhere(t))
}

func newHouseBeside(t *testing.T, e *elsewhere) *house {
	t.Helper()
	return newHouse(t, func(store adg.Store) map[string]*oidc.Provider {
		p, err := oidc.New(store, oidc.Options{Issuer: e.URL, ClientID: "adg", ClientSecret: adg.NewSecret("s"), RedirectURL: "http://localhost/login/oidc/work/callback"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Close)
		return map[string]*oidc.Provider{"work": p}
	})
}

// back follows the browser to the provider, and gives what it brings back.
func (b browser) back(to string) url.Values {
	b.t.Helper()
	answer, _ := b.get(to)
	u, err := url.Parse(answer.Header.Get("Location"))
	b.must(err)
	return u.Query()
}

func TestAPersonComesInByAProviderOverREST(t *testing.T) {
	h := newHouseWithProvider(t)
	ways, err := h.login.ListLoginProviders(t.Context(), &adgv1.ListLoginProvidersRequest{})
	if err != nil || len(ways.GetProviders()) != 2 || ways.GetProviders()[0].GetName() != "" || ways.GetProviders()[1].GetName() != "work" {
		t.Errorf("got %v %v", ways, err)
	}
	b := h.browser()
	b.rest(http.StatusBadRequest, http.MethodPost, "/v1/login/oidc/work:start", &adgv1.StartOidcLoginRequest{ReturnTo: "https://evil.example/"}, nil)
	b.rest(http.StatusNotFound, http.MethodPost, "/v1/login/oidc/other:start", &adgv1.StartOidcLoginRequest{}, nil)
	var begun adgv1.StartOidcLoginResponse
	b.rest(http.StatusOK, http.MethodPost, "/v1/login/oidc/work:start", &adgv1.StartOidcLoginRequest{ReturnTo: "/events"}, &begun)
	brought := b.back(begun.GetUrl())
	done := &adgv1.CompleteOidcLoginRequest{Code: brought.Get("code"), State: brought.Get("state")}

	h.browser().rest(http.StatusUnauthorized, http.MethodPost, "/v1/login/oidc/work:complete", done, nil) // which another browser has not begun
	var in adgv1.LogInResponse
	answer := b.rest(http.StatusOK, http.MethodPost, "/v1/login/oidc/work:complete", done, &in)
	if who, _ := b.me(); who != "user:eve@example.com" || in.GetReturnTo() != "/events" || len(answer.Cookies()) != 2 {
		t.Errorf("got %q, %v, %v", who, &in, answer.Cookies())
	}
	if groups := in.GetIdentity().GetGroups(); len(groups) != 1 || groups[0] != "oncall" {
		t.Errorf("got the groups %v", groups)
	}
	b.rest(http.StatusUnauthorized, http.MethodPost, "/v1/login/oidc/work:complete", done, nil)

	grpcBegun, err := h.login.StartOidcLogin(t.Context(), &adgv1.StartOidcLoginRequest{Provider: "work"})
	h.must(err)
	brought = b.back(grpcBegun.GetUrl())
	_, err = h.login.CompleteOidcLogin(t.Context(), &adgv1.CompleteOidcLoginRequest{Provider: "work", Code: brought.Get("code"), State: brought.Get("state")})
	refused(t, err, codes.Unauthenticated, "another browser")
}

func TestAPersonComesInByAProviderByThePages(t *testing.T) {
	h := newHouseWithProvider(t)
	b := h.browser()
	if _, text := b.get("/login?return_to=/events%3Fx=1"); !strings.Contains(text, `href="/login/oidc/work?return_to=%2fevents%3fx%3d1"`) {
		t.Errorf("got %s", text)
	}
	answer, _ := b.get("/login/oidc/work?return_to=/events%3Fx=1")
	if answer.StatusCode != http.StatusSeeOther {
		t.Fatalf("got %d", answer.StatusCode)
	}
	for _, c := range answer.Cookies() {
		if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.MaxAge != 600 {
			t.Errorf("got the cookie %v", c)
		}
	}
	callback := "/login/oidc/work/callback?" + b.back(answer.Header.Get("Location")).Encode()
	if answer, text := h.browser().get(callback); answer.StatusCode != http.StatusUnauthorized || !strings.Contains(text, `role="alert"`) {
		t.Errorf("got %d %s", answer.StatusCode, text)
	}
	answer, text := b.get(callback)
	if who, _ := b.me(); who != "user:eve@example.com" || answer.Header.Get("Location") != "/events?x=1" {
		t.Errorf("got %q, %d to %s: %s", who, answer.StatusCode, answer.Header.Get("Location"), text)
	}
	answer, text = b.get("/login/oidc/work/callback?error=access_denied&error_description=call+0800")
	if answer.StatusCode != http.StatusUnauthorized || strings.Contains(text, "0800") {
		t.Errorf("got %d %s", answer.StatusCode, text)
	}
	if answer, _ := b.get("/login/oidc/other"); answer.StatusCode != http.StatusNotFound {
		t.Errorf("got %d", answer.StatusCode)
	}
}

func TestARefusedLoginElsewhereIsOnRecordWithoutWhatWasBrought(t *testing.T) {
	e := newElsewhere(t)
	h := newHouseBeside(t, e)
	bring := func(b browser) url.Values {
		var begun adgv1.StartOidcLoginResponse
		b.rest(http.StatusOK, http.MethodPost, "/v1/login/oidc/work:start", &adgv1.StartOidcLoginRequest{}, &begun)
		return b.back(begun.GetUrl())
	}
	for _, tt := range []struct {
		name   string
		claims map[string]any
		change func(back url.Values) browser // nil: nothing
		why    string
		user   string // where it is known who it is
	}{
		{"a token for another program", map[string]any{"aud": "another"}, nil, "expected audience", ""},
		{"a token that has expired", map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}, nil, "expired", ""},
		{"a token of another login", map[string]any{"nonce": "another"}, nil, "nonce", ""},
		{"a person whose address nobody verified", map[string]any{"email_verified": false}, nil, "not verified the address of \"eve@example.com\"", ""},
		{"a person who has the name of another here", map[string]any{"email": "root", "sub": "8"}, nil, "belongs to somebody else", "root"},
		{"a state that nobody began", nil, func(back url.Values) browser { back.Set("state", "planted-state"); return browser{} }, "login is over", ""},
		{"a code that the provider did not give", nil, func(back url.Values) browser { back.Set("code", "planted-code"); return browser{} }, "does not accept the login", ""},
		{"another browser", nil, func(url.Values) browser { return h.browser() }, "another browser", ""},
		{"a provider that said no", nil, func(back url.Values) browser { back.Del("code"); return browser{} }, "has not let you in", ""},
	} {
		before := len(h.audited("login.oidc"))
		e.says(tt.claims)
		b := h.browser()
		back := bring(b)
		if tt.change != nil {
			if another := tt.change(back); another.house != nil {
				b = another
			}
		}
		if answer, text := b.get("/login/oidc/work/callback?" + back.Encode()); answer.StatusCode != http.StatusUnauthorized || b.session() != "" {
			t.Errorf("%s: %s %s", tt.name, answer.Status, text)
		}
		found := h.audited("login.oidc")[before:]
		if len(found) != 1 {
			t.Errorf("%s: on record %+v", tt.name, found)
			continue
		}
		one := found[0]
		if one.Actor != "nobody" || one.From != "127.0.0.1" || one.Outcome != adg.AuditDenied || one.Resource != "login/oidc/work" || !strings.Contains(one.Reason, tt.why) || one.Detail["user"] != tt.user {
			t.Errorf("%s: on record %+v", tt.name, one)
		}
		text, err := json.Marshal(one)
		h.must(err)
		for _, secret := range append([]string{"planted-code", "planted-state"}, e.given...) {
			if strings.Contains(string(text), secret) {
				t.Errorf("%s: %s holds %s", tt.name, text, secret)
			}
		}
	}
	if len(e.given) < 9 {
		t.Errorf("only %d codes, states and tokens were given", len(e.given))
	}
}

func TestNobodyFillsTheAuditLogWithLoginsElsewhereThatNobodyBegan(t *testing.T) {
	h := newHouseWithProvider(t)
	b := h.browser()
	slowed, began := 0, time.Now()
	for range 40 {
		answer, _ := b.send(http.MethodPost, "/v1/login/oidc/work:complete", "application/json", []byte(`{"code": "x", "state": "y"}`))
		if answer.StatusCode == http.StatusTooManyRequests {
			slowed++
		}
	}
	took := time.Since(began)
	most := 21 + int(20*took.Minutes()) // of which 20 at once
	if n := len(h.audited("login.oidc")); n < 20 || n > most || slowed != 40-n {
		t.Errorf("%d of 40 are on record, want at most %d in %s, and %d were told to wait", n, most, took, slowed)
	}
}
