package oidc

import (
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
)

// Options say which provider is trusted, and what is made of what it says.
type Options struct {
	Issuer       string     `yaml:"issuer" doc:"Address of the provider, as it names itself; https, except on this machine."`
	ClientID     string     `yaml:"client_id" doc:"What adg is called there; the only audience that is accepted."`
	ClientSecret adg.Secret `yaml:"client_secret" doc:"Password of adg there: {env: NAME} or {file: PATH}."`
	RedirectURL  string     `yaml:"redirect_url" doc:"Address of adg's own page that the provider sends people back to."`
	Scopes       []string   `yaml:"scopes" doc:"What is asked for beside openid; default: profile, email."`
	Algorithms   []string   `yaml:"algorithms" doc:"Signatures that are accepted; default: RS256."`

	NameClaim       string        `yaml:"name_claim" doc:"Claim of the ID token that names the person; default: email."`
	GroupsClaim     string        `yaml:"groups_claim" doc:"Claim with the names of the groups; default: groups."`
	EmailDomains    []string      `yaml:"email_domains" doc:"Only names that end with @ and one of these domains come in; default: all."`
	UnverifiedEmail bool          `yaml:"unverified_email" doc:"Accept addresses that the provider did not verify. Who can choose his address there can then come in as somebody else."`
	Skew            time.Duration `yaml:"skew" doc:"How far the clocks may be apart, at most 5m; default: 1m."`
	TLS             remote.TLS    `yaml:"tls"`
}

// Validate reports all that is wrong.
func (o Options) Validate() error {
	o = o.withDefaults()
	problems := []error{address("issuer", o.Issuer), address("redirect_url", o.RedirectURL)}
	if o.ClientID == "" {
		problems = append(problems, adg.Errorf(adg.Invalid, "client_id is missing: it is what adg is registered as at the provider"))
	}
	for _, a := range o.Algorithms {
		if !slices.Contains(algorithms, a) {
			problems = append(problems, adg.Errorf(adg.Invalid, "algorithm %.20q: choose among %s", a, strings.Join(algorithms, ", ")))
		}
	}
	if o.Skew < 0 || o.Skew > maxSkew {
		problems = append(problems, adg.Errorf(adg.Invalid, "skew %v: use at most %v, and set the clocks", adg.Short(o.Skew), adg.Short(maxSkew)))
	}
	return errors.Join(problems...)
}

// Private

const (
	emailClaim = "email"
	maxSkew    = 5 * time.Minute
)

// algorithms are those with a public key: of the others the client's password would be the key, and "none" is none.
var algorithms = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}

func (o Options) withDefaults() Options {
	if o.NameClaim == "" {
		o.NameClaim = emailClaim
	}
	if o.GroupsClaim == "" {
		o.GroupsClaim = "groups"
	}
	if o.Skew == 0 {
		o.Skew = time.Minute
	}
	if len(o.Algorithms) == 0 {
		o.Algorithms = []string{"RS256"}
	}
	if o.Scopes == nil {
		o.Scopes = []string{"profile", "email"}
	}
	return o
}

func address(option, text string) error {
	if err := remote.ValidURL(text); err != nil {
		return adg.Errorf(adg.Invalid, "%s: %w", option, err)
	}
	u, err := url.Parse(text)
	if err != nil {
		return adg.Errorf(adg.Invalid, "%s is no address", option)
	}
	host, parse := netip.ParseAddr(u.Hostname())
	local := u.Hostname() == "localhost" || parse == nil && host.IsLoopback()
	if u.Scheme != "https" && !local {
		return adg.Errorf(adg.Invalid, "%s %s: use https, or whoever sits between can log in as anybody", option, text)
	}
	return nil
}
