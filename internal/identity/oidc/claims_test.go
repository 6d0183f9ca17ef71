package oidc

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/identity"
)

func TestWhoSomebodyIsFollowsFromTheClaims(t *testing.T) {
	mail := Options{}
	byName := Options{NameClaim: "preferred_username", GroupsClaim: "roles"}
	for _, tt := range []struct {
		name    string
		options Options
		claims  map[string]any
		want    identity.External
		refused string
	}{
		{"a verified address", mail, map[string]any{"email": "Ann@Example.com", "email_verified": true}, identity.External{Name: "ann@example.com"}, ""},
		{"a provider that writes true in quotes", mail, map[string]any{"email": "a@b.c", "email_verified": "true"}, identity.External{Name: "a@b.c"}, ""},
		{"an address that nobody verified", mail, map[string]any{"email": "a@b.c", "email_verified": false}, identity.External{}, "not verified"},
		{"an address of which nothing is said", mail, map[string]any{"email": "a@b.c"}, identity.External{}, "not verified"},
		{"unverified addresses were allowed", Options{UnverifiedEmail: true}, map[string]any{"email": "a@b.c"}, identity.External{Name: "a@b.c"}, ""},
		{"a domain that may log in", Options{EmailDomains: []string{"B.c"}}, map[string]any{"email": "a@b.c", "email_verified": true}, identity.External{Name: "a@b.c"}, ""},
		{"a domain that may not", Options{EmailDomains: []string{"b.c"}}, map[string]any{"email": "a@x.b.c", "email_verified": true}, identity.External{}, "no domain"},
		{"a letter of another alphabet that is small a k", mail, map[string]any{"email": "\u212Aate@b.c", "email_verified": true}, identity.External{}, "small letters"},
		{"two at signs", Options{EmailDomains: []string{"b.c"}}, map[string]any{"email": "a@evil@b.c", "email_verified": true}, identity.External{}, "no domain"},
		{"another claim for the name, one group as text", byName, map[string]any{"preferred_username": "ann", "roles": "sre"}, identity.External{Name: "ann", Groups: []string{"sre"}}, ""},
		{"several groups", mail, map[string]any{"email": "a@b.c", "email_verified": true, "groups": []any{"x", "y"}}, identity.External{Name: "a@b.c", Groups: []string{"x", "y"}}, ""},
		{"groups that are numbers", mail, map[string]any{"email": "a@b.c", "email_verified": true, "groups": []any{1.0}}, identity.External{Name: "a@b.c"}, "more than names"},
		{"groups that are an object", mail, map[string]any{"email": "a@b.c", "email_verified": true, "groups": map[string]any{}}, identity.External{Name: "a@b.c"}, "no list"},
		{"no name at all", byName, map[string]any{"email": "a@b.c"}, identity.External{}, "no claim"},
		{"a name that looks like another", byName, map[string]any{"preferred_username": "аnn"}, identity.External{}, "small letters"},
		{"a name with a colon", byName, map[string]any{"preferred_username": "group:sre"}, identity.External{}, "small letters"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.options.withDefaults().person("", "", tt.claims)
			if tt.refused == "" {
				if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
					t.Errorf("%s\n%v", diff, err)
				}
				return
			}
			refused(t, err, adg.Unauthorized, tt.refused)
		})
	}
}

func TestOptionsThatWouldNotBeSafeAreRefused(t *testing.T) {
	good := Options{Issuer: "https://id.example.com", ClientID: "adg", RedirectURL: "https://adg.example.com/callback"}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		change func(*Options)
		text   string
	}{
		{"a provider without TLS", func(o *Options) { o.Issuer = "http://id.example.com" }, "use https"},
		{"a callback without TLS", func(o *Options) { o.RedirectURL = "http://adg.example.com/" }, "use https"},
		{"no provider", func(o *Options) { o.Issuer = "" }, "issuer"},
		{"no client", func(o *Options) { o.ClientID = "" }, "client_id"},
		{"a signature with the client's password", func(o *Options) { o.Algorithms = []string{"HS256"} }, "HS256"},
		{"no signature", func(o *Options) { o.Algorithms = []string{"none"} }, "none"},
		{"clocks that nobody set", func(o *Options) { o.Skew = time.Hour }, "skew"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := good
			tt.change(&o)
			if _, err := New(nil, o); err == nil || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("got %v, want %q", err, tt.text)
			}
		})
	}
}

func TestNobodyIsSentElsewhereAfterALogin(t *testing.T) {
	for next, want := range map[string]string{"/deployments?service=a#b": "/deployments?service=a#b", "/": "/", "": "/", "https://evil.example": "/",
		"//evil.example": "/", "/\\evil.example": "/", "/\t/evil.example": "/", "javascript:alert(1)": "/", "evil": "/", "/" + strings.Repeat("x", maxNext): "/"} {
		if got := ownPath(next); got != want {
			t.Errorf("%.40q leads to %.40q", next, got)
		}
	}
}
