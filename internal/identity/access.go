package identity

import (
	"fmt"
	"slices"
	"strings"

	"github.com/deployguardian/adg"
)

// Allowed is nil if somebody may do that there, or ErrDenied with a sentence about what is missing and who could grant
// it. An empty service or environment means all of them together, and so does anything fleet-wide.
func Allowed(who Identity, p Permission, service, environment string) error {
	if p.FleetWide() {
		service, environment = "", ""
	}
	if who.Kind == KindBootstrap && !slices.Contains([]Permission{IdentityRead, IdentityWrite, RoleGrant}, p) {
		return adg.Errorf(adg.Unauthorized, "%w: the token of the first start may not do %s: make the first admin with it, and go on as him", ErrDenied, p)
	}
	if who.Subject == "" || who.Kind == KindNone {
		return adg.Errorf(adg.Unauthorized, "%w: nobody is logged in", ErrDenied)
	}
	for _, b := range who.Bindings {
		if b.Role.Has(p) && matches(b.Service, service) && matches(b.Environment, environment) {
			return nil
		}
	}
	return adg.Errorf(adg.Unauthorized, "%w: %s", ErrDenied, missing(who, p, service, environment))
}

// Sees tells of services and environments whether somebody has the permission there: what a list shows him. An empty
// service or environment is what belongs to all of them.
func Sees(who Identity, p Permission) func(service, environment string) bool {
	return func(service, environment string) bool { return Allowed(who, p, service, environment) == nil }
}

// Intersect are the bindings that allow what both sets allow, and nothing else. Their subjects are those of a.
func Intersect(a, b []Binding) []Binding {
	var both []Binding
	for _, x := range a {
		for _, y := range b {
			service, one := overlap(x.Service, y.Service)
			environment, other := overlap(x.Environment, y.Environment)
			role := x.Role.meet(y.Role)
			joint := Binding{Subject: x.Subject, Role: role, Service: service, Environment: environment}
			if one && other && role != RoleNone && !slices.Contains(both, joint) {
				both = append(both, joint)
			}
		}
	}
	return both
}

// MayGrant is nil if somebody may give or take the role there: he may grant there, and holds that role there himself.
func MayGrant(who Identity, b Binding) error {
	for _, own := range who.Bindings {
		if own.Role.Has(RoleGrant) && own.Role.contains(b.Role) && covers(own.Service, b.Service) && covers(own.Environment, b.Environment) {
			return nil
		}
	}
	return adg.Errorf(adg.Unauthorized, "%w: nobody grants or takes what he does not hold himself, and %s is no admin of %s: ask an admin of it",
		ErrDenied, orNobody(who.Subject), place(b.Service, b.Environment))
}

// SecondPerson is nil if the approver is a person, and where four eyes are wanted another one than who started it. The
// starter is the person behind whatever started it (Identity.Person), so that nobody approves what his token started;
// where no person started it, any person may approve.
func SecondPerson(fourEyes bool, starter string, approver Identity) error {
	switch {
	case approver.Person == "":
		return adg.Errorf(adg.Unauthorized, "%w: an approval is a person's word, and there is none behind %s: log in", ErrDenied, orNobody(approver.Subject))
	case fourEyes && strings.HasPrefix(starter, "token:"):
		return adg.Errorf(adg.Unauthorized, "%w: %s started this, and it is not on record whose it is: start it again, or as a person", ErrDenied, starter)
	case fourEyes && strings.EqualFold(strings.TrimPrefix(starter, "user:"), approver.Person):
		return adg.Errorf(adg.Unauthorized, "%w: %s started this, and the policy wants a second person (four_eyes): ask somebody else with the role approver there",
			ErrDenied, approver.Person)
	default:
		return nil
	}
}

// Private

// missing says what would have been enough, and who could give it.
func missing(who Identity, p Permission, service, environment string) string {
	least := Admin
	for _, r := range Roles() {
		if r.Has(p) {
			least = r
			break
		}
	}
	granter := "an admin of " + place(service, environment)
	if service == "" && environment == "" {
		granter = "an admin of everything"
	}
	if who.Kind == KindToken {
		return fmt.Sprintf("%s needs %s in %s, which takes the role %s there: of the token, and of %s, who made it. Make a token with a wider scope, or ask %s for the role",
			who.Subject, p, place(service, environment), least, orNobody(who.Person), granter)
	}
	return fmt.Sprintf("%s needs %s in %s, which takes the role %s there: ask %s for it", who.Subject, p, place(service, environment), least, granter)
}

func place(service, environment string) string {
	all := func(what, name string) string {
		if name == "" || name == "*" {
			return "all " + what + "s"
		}
		return what + " " + name
	}
	return all("service", service) + " and " + all("environment", environment)
}

func orNobody(name string) string {
	if name == "" {
		return "nobody"
	}
	return name
}
