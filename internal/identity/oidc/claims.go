package oidc

import (
	"slices"
	"strings"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/identity"
)

// Private

// person reads the claims: who it is, by the rules of the options.
func (o Options) person(issuer, subject string, claims map[string]any) (identity.External, error) {
	name, ok := claims[o.NameClaim].(string)
	if !ok || name == "" {
		return identity.External{}, adg.Advised(adg.Errorf(adg.Unauthorized, "the ID token has no claim %q, which names the person", o.NameClaim), "have the provider put it there, or set name_claim")
	}
	name = strings.Map(small, name)
	if o.NameClaim == emailClaim && !o.UnverifiedEmail && claims["email_verified"] != true && claims["email_verified"] != "true" {
		return identity.External{}, adg.Advised(adg.Errorf(adg.Unauthorized, "the provider has not verified the address of %.100q", name), "verify it there, or set name_claim to another claim")
	}
	if _, domain, _ := strings.Cut(name, "@"); len(o.EmailDomains) > 0 && !slices.ContainsFunc(o.EmailDomains, func(d string) bool { return strings.EqualFold(d, domain) }) {
		return identity.External{}, adg.Errorf(adg.Unauthorized, "%.100q is of no domain that may log in: those of %s may", name, strings.Join(o.EmailDomains, ", "))
	}
	if err := identity.ValidUser(name); err != nil {
		return identity.External{}, adg.Errorf(adg.Unauthorized, "the claim %q: %w", o.NameClaim, err)
	}
	groups, err := o.groups(claims[o.GroupsClaim])
	return identity.External{Name: name, Issuer: issuer, Subject: subject, Groups: groups}, err
}

// small is a capital letter as a small one, within the alphabet of names: of others, some become letters of it, so that the
// sign of Kelvin would be somebody's k.
func small(letter rune) rune {
	if 'A' <= letter && letter <= 'Z' {
		return letter + 'a' - 'A'
	}
	return letter
}

// groups reads a list of names, or a single one; a claim that is not there is no group.
func (o Options) groups(claim any) ([]string, error) {
	switch v := claim.(type) {
	case nil:
		return nil, nil
	case string:
		return []string{v}, nil
	case []any:
		groups := make([]string, 0, len(v))
		for _, g := range v {
			name, ok := g.(string)
			if !ok {
				return nil, adg.Errorf(adg.Unauthorized, "the claim %q of the ID token holds more than names", o.GroupsClaim)
			}
			groups = append(groups, name)
		}
		return groups, nil
	default:
		return nil, adg.Errorf(adg.Unauthorized, "the claim %q of the ID token is no list of names", o.GroupsClaim)
	}
}
