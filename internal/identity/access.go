package identity

import (
	"cmp"
	"errors"
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
		return adg.Advised(adg.Errorf(adg.Unauthorized, "%w: the token of the first start may not do %s", ErrDenied, p), "make the first admin with it, and go on as him")
	}
	if who.Subject == "" || who.Kind == KindNone {
		return adg.Advised(adg.Errorf(adg.Unauthorized, "%w: nobody is logged in", ErrDenied), "log in")
	}
	for _, b := range who.Bindings {
		if b.Role.Has(p) && matches(b.Service, service) && matches(b.Environment, environment) {
			return nil
		}
	}
	return missing(who, p, service, environment)
}

// Sees tells of services and environments whether somebody has the permission there: what a list shows him. An empty
// service or environment is what belongs to all of them.
func Sees(who Identity, p Permission) func(service, environment string) bool {
	return func(service, environment string) bool { return Allowed(who, p, service, environment) == nil }
}

// SeesFact tells of facts whether somebody sees them. What was changed is seen by who may see what it is now. A stop or a
// freeze is the business of everybody who sees anything of what it is for.
func SeesFact(who Identity) func(adg.Fact) bool {
	events := Sees(who, EventRead)
	return func(f adg.Fact) bool {
		switch area, _, _ := strings.Cut(f.Action, "."); area {
		case "user", "token", "role":
			return Allowed(who, IdentityRead, "", "") == nil
		case "connection":
			return Allowed(who, ConnectionRead, "", "") == nil
		case "stop", "freeze":
			return seesPart(who, EventRead, cmp.Or(f.Service, "*"), cmp.Or(f.Environment, "*"))
		default:
			return events(f.Service, f.Environment)
		}
	}
}

// Names are names of services: that one, or where it is open all that begin so.
type Names struct {
	Text string
	Open bool
}

// Mean tells whether a name is one of them.
func (n Names) Mean(name string) bool {
	return name == n.Text || n.Open && strings.HasPrefix(name, n.Text)
}

// Within are the services that somebody may have the permission for, in some environment, of those whose names begin with
// a prefix: in the order of their names, and none of them twice. Of others he sees nothing, so that nobody has to look.
func Within(who Identity, p Permission, prefix string) []Names {
	var all []Names
	for _, b := range who.Bindings {
		if pattern, found := overlap(b.Service, prefix+"*"); found && b.Role.Has(p) {
			text, open := strings.CutSuffix(pattern, "*")
			all = append(all, Names{text, open})
		}
	}
	slices.SortFunc(all, func(a, b Names) int {
		if a.Text == b.Text && a.Open != b.Open {
			return map[bool]int{true: -1, false: 1}[a.Open]
		}
		return strings.Compare(a.Text, b.Text)
	})
	kept := all[:0]
	for _, n := range all {
		// What begins like one of them follows it.
		if len(kept) == 0 || !kept[len(kept)-1].Mean(n.Text) {
			kept = append(kept, n)
		}
	}
	return kept
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
	return adg.Advised(adg.Errorf(adg.Unauthorized, "%w: nobody grants or takes what he does not hold himself, and %s is no admin of %s",
		ErrDenied, orNobody(who.Subject), place(b.Service, b.Environment)), "ask an admin of it")
}

// SecondPerson is nil if the approver is a person, and where four eyes are wanted another one than who started the
// deployment or wrote the change. The starter is the person behind whatever started it (Identity.Person), so that nobody
// approves what his token started; where no person started it, any person may approve.
func SecondPerson(spec adg.Spec, approver Identity) error {
	fourEyes, starter := spec.Policy.FourEyes, spec.Actor
	switch {
	case approver.Person == "":
		return adg.Advised(adg.Errorf(adg.Unauthorized, "%w: an approval is a person's word, and there is none behind %s", ErrDenied, orNobody(approver.Subject)), "log in")
	case fourEyes && strings.HasPrefix(starter, "token:"):
		return adg.Advised(adg.Errorf(adg.Unauthorized, "%w: %s started this, and it is not on record whose it is", ErrDenied, starter), "start it again, or as a person")
	case fourEyes && (strings.EqualFold(strings.TrimPrefix(starter, "user:"), approver.Person) || spec.By(approver.Person) || spec.By(approver.Email)):
		return adg.Advised(adg.Errorf(adg.Unauthorized, "%w: %s started this or wrote the change, and the policy wants a second person (four_eyes)",
			ErrDenied, approver.Person), "ask somebody else with the role approver there")
	default:
		return nil
	}
}

// OnRecord marks a refusal that stands in the audit log, so that nobody puts it there a second time.
func OnRecord(refusal error) error { return recorded{refusal} }

// IsOnRecord tells whether a refusal was marked so.
func IsOnRecord(refusal error) bool {
	_, marked := errors.AsType[recorded](refusal)
	return marked
}

// Private

type recorded struct{ error }

func (r recorded) Unwrap() error { return r.error }

// seesPart tells whether somebody has the permission somewhere among those services and environments, which may be patterns.
func seesPart(who Identity, p Permission, services, environments string) bool {
	return slices.ContainsFunc(who.Bindings, func(b Binding) bool {
		service, one := overlap(b.Service, services)
		environment, other := overlap(b.Environment, environments)
		return one && other && Allowed(who, p, service, environment) == nil
	})
}

// missing refuses, and says what would have been enough, and who could give it.
func missing(who Identity, p Permission, service, environment string) error {
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
		err := adg.Errorf(adg.Unauthorized, "%w: %s needs %s in %s, which takes the role %s there: of the token, and of %s, who made it",
			ErrDenied, who.Subject, p, place(service, environment), least, orNobody(who.Person))
		return adg.Advised(err, "make a token with a wider scope, or ask %s for the role", granter)
	}
	err := adg.Errorf(adg.Unauthorized, "%w: %s needs %s in %s, which takes the role %s there", ErrDenied, who.Subject, p, place(service, environment), least)
	return adg.Advised(err, "ask %s for it", granter)
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
