package identity

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/deployguardian/adg"
)

func TestThePageAboutRolesSaysWhatTheyMayDo(t *testing.T) {
	const path = "../../docs/reference/roles.md"
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(page[:min(len(page), len(RolesPage()))]), RolesPage()); diff != "" {
		t.Errorf("%s is stale, run go test ./internal/api -run ThePageAboutRoles -update, and look at what changes:\n%s", path, diff)
	}
}

// who is a person with those roles.
func who(bindings ...Binding) Identity {
	return Identity{Subject: "user:ann", Kind: KindUser, Person: "ann", Bindings: bindings}
}

func at(r Role, service, environment string) Binding {
	return Binding{Role: r, Service: service, Environment: environment}
}

func TestEachRoleMayDoExactlyWhatItContainsWhereItIsHeld(t *testing.T) {
	granted := map[Role]string{
		Viewer:   "deployment.read policy.read event.read prediction.read report.read",
		Deployer: "deployment.read policy.read event.read prediction.read report.read deployment.start deployment.command",
		Approver: "deployment.read policy.read event.read prediction.read report.read deployment.approve release.mark hold.write freeze.write",
	}
	fleet := strings.Fields("connection.read connection.write audit.read identity.read identity.write setting.read setting.write")
	for _, p := range Permissions() {
		for _, r := range Roles() {
			has := r == Admin || slices.Contains(strings.Fields(granted[r]), p.String())
			local := has && !slices.Contains(fleet, p.String())
			for _, place := range []struct {
				service, environment string
				own                  bool
			}{{"checkout", "production", true}, {"checkout", "staging", false}, {"search", "production", false}, {"search", "staging", false},
				{"", "production", false}, {"checkout", "", false}, {"", "", false}} {
				err := Allowed(who(at(r, "checkout", "production")), p, place.service, place.environment)
				if (err == nil) != (local && place.own) {
					t.Errorf("%s of checkout in production: %s of %q in %q: %v", r, p, place.service, place.environment, err)
				}
				if err != nil && (!errors.Is(err, ErrDenied) || adg.CodeOf(err) != adg.Unauthorized) {
					t.Errorf("%v is no refusal", err)
				}
				if err := Allowed(who(at(r, "*", "*")), p, place.service, place.environment); (err == nil) != has {
					t.Errorf("%s of everything: %s of %q in %q: %v", r, p, place.service, place.environment, err)
				}
			}
		}
	}
}

func TestNobodyMayAnything(t *testing.T) {
	stranger := Identity{Bindings: []Binding{at(Admin, "*", "*")}}
	for _, p := range append(Permissions(), PermissionNone, Permission(200)) {
		if Allowed(Identity{}, p, "a", "b") == nil || Allowed(stranger, p, "a", "b") == nil || Allowed(who(), p, "a", "b") == nil {
			t.Errorf("somebody without a name or a role may %s", p)
		}
	}
	for _, p := range []Permission{PermissionNone, Permission(200)} {
		if Allowed(who(at(Admin, "*", "*")), p, "a", "b") == nil {
			t.Errorf("%s is no permission, and an admin has it", p)
		}
	}
}

func TestTheTokenOfTheFirstStartIsForIdentitiesOnly(t *testing.T) {
	first := Identity{Subject: "bootstrap:x", Kind: KindBootstrap, Bindings: []Binding{at(Admin, "*", "*")}}
	for _, p := range Permissions() {
		want := p == IdentityRead || p == IdentityWrite || p == RoleGrant
		if got := Allowed(first, p, "", ""); (got == nil) != want {
			t.Errorf("%s: %v", p, got)
		}
	}
}

func TestARefusalSaysWhatIsMissingAndWhoCouldGrantIt(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		want string
	}{
		{"a person", Allowed(who(), DeploymentStart, "checkout", "production"),
			"not allowed: user:ann needs deployment.start in service checkout and environment production, which takes the role deployer there: ask an admin of service checkout and environment production for it"},
		{"a token", Allowed(Identity{Subject: "token:t", Kind: KindToken, Person: "ann"}, DeploymentApprove, "checkout", "production"),
			"not allowed: token:t needs deployment.approve in service checkout and environment production, which takes the role approver there: of the token, and of ann, who made it: make a token with a wider scope, or ask an admin of service checkout and environment production for the role"},
		{"the whole fleet", Allowed(who(at(Admin, "checkout", "*")), AuditRead, "checkout", "production"),
			"not allowed: user:ann needs audit.read in all services and all environments, which takes the role admin there: ask an admin of everything for it"},
		{"stopping everything", Allowed(who(at(Admin, "checkout", "*")), StopWrite, "", ""),
			"not allowed: user:ann needs stop.write in all services and all environments, which takes the role admin there: ask an admin of everything for it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, tt.err.Error()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAListShowsWhatOneMaySee(t *testing.T) {
	sees := Sees(who(at(Viewer, "shop-*", "staging"), at(Approver, "search", "*")), DeploymentRead)
	for place, want := range map[string]bool{"shop-a staging": true, "shop-a production": false, "search staging": true, "search x": true, "shop staging": false, " staging": false} {
		service, environment, _ := strings.Cut(place, " ")
		if sees(service, environment) != want {
			t.Errorf("%q: %v", place, !want)
		}
	}
}

func TestAStopOrAFreezeIsSeenByWhoSeesAnythingOfWhatItIsFor(t *testing.T) {
	ann := who(at(Viewer, "shop", "staging"), at(Viewer, "cart-*", "production"))
	for place, want := range map[string]bool{
		" ": true, "* *": true, " staging": true, "* staging": true, "* production": true, "shop ": true, "shop staging": true, "sh* ": true, "cart-* ": true, "cart-a production": true,
		" dev": false, "shop production": false, "till ": false, "cart ": false, "cart-a staging": false, "till staging": false,
	} {
		service, environment, _ := strings.Cut(place, " ")
		for _, action := range []string{"freeze.put", "stop.drop"} {
			f := adg.Fact{Kind: adg.FactChanged, Action: action, Service: service, Environment: environment}
			if SeesFact(ann)(f) != want || SeesFact(who())(f) {
				t.Errorf("%s for %q is seen: %t", action, place, !want)
			}
		}
	}
	if of := (adg.Fact{Kind: adg.FactChanged, Action: "policy.put", Environment: "staging"}); SeesFact(ann)(of) {
		t.Error("what is no stop and no freeze is seen by who sees all of its place")
	}
}

func TestASecondPersonIsAnotherPerson(t *testing.T) {
	token := Identity{Subject: "token:t", Kind: KindToken, Person: "ann"}
	known := who()
	known.Email = "Ann.B@example.com"
	for _, tt := range []struct {
		name     string
		fourEyes bool
		starter  string
		author   string
		approver Identity
		allowed  bool
	}{
		{"somebody else", true, "bob", "", who(), true},
		{"the same person", true, "ann", "", who(), false},
		{"the same person as a subject", true, "user:ann", "", who(), false},
		{"the same person in capitals", true, "Ann", "", who(), false},
		{"the same person's token", true, "ann", "", token, false},
		{"who wrote the change, whoever started it", true, "bob", "ann", who(), false},
		{"who wrote the change, with a token", true, "bob", "ann", token, false},
		{"who wrote the change, by the address on record", true, "bob", "ann.b@example.com", known, false},
		{"who wrote the change, as Git says it", true, "bob", "Ann B. <ann.b@EXAMPLE.com>", known, false},
		{"who wrote the change, as Git says it, by name", true, "bob", "Ann <else@example.com>", who(), false},
		{"another author", true, "bob", "Cid <cid@example.com>", known, true},
		{"an author that is not known, and no address either", true, "bob", "", who(), true},
		{"a token that nobody knows the maker of", true, "token:t", "", who(), false},
		{"one eye is enough", false, "ann", "ann", who(), true},
		{"a webhook started it", true, "webhook:github", "", who(), true},
		{"no person behind the approval", false, "bob", "", Identity{Subject: "bootstrap:x", Kind: KindBootstrap}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := SecondPerson(adg.Spec{Actor: tt.starter, Author: tt.author, Policy: adg.Policy{FourEyes: tt.fourEyes}}, tt.approver); (err == nil) != tt.allowed {
				t.Errorf("got %v", err)
			}
		})
	}
}

// drawBinding favours patterns and names that have to do with each other.
func drawBinding(t *rapid.T, label string) Binding {
	pattern := rapid.SampledFrom([]string{"*", "a*", "ab*", "abc*", "b*", "a", "ab", "abc", "b"})
	return at(rapid.SampledFrom(Roles()).Draw(t, label+" role"), pattern.Draw(t, label+" service"), pattern.Draw(t, label+" environment"))
}

// drawPlace may be of all services or environments together.
func drawPlace(t *rapid.T) (Permission, string, string) {
	name := rapid.SampledFrom([]string{"", "a", "ab", "abc", "abcd", "b", "ba", "c"})
	return rapid.SampledFrom(Permissions()).Draw(t, "permission"), name.Draw(t, "service"), name.Draw(t, "environment")
}

func drawBindings(t *rapid.T, label string) []Binding {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Binding { return drawBinding(t, label) }), 0, 5).Draw(t, label)
}

func TestAnIntersectionAllowsWhatBothAllow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawBindings(t, "a"), drawBindings(t, "b")
		p, service, environment := drawPlace(t)
		both := Allowed(who(a...), p, service, environment) == nil && Allowed(who(b...), p, service, environment) == nil
		if got := Allowed(who(Intersect(a, b)...), p, service, environment) == nil; got != both {
			t.Fatalf("%s in %q and %q: the intersection says %v, both say %v", p, service, environment, got, both)
		}
	})
}

func TestNobodyGrantsWhatHeDoesNotHold(t *testing.T) {
	granted := 0
	rapid.Check(t, func(t *rapid.T) {
		own, given := drawBindings(t, "own"), drawBinding(t, "given")
		p, service, environment := drawPlace(t)
		if MayGrant(who(own...), given) != nil && mayCreate(who(own...), []Binding{given}) != nil {
			return
		}
		granted++
		if Allowed(who(given), p, service, environment) == nil && Allowed(who(own...), p, service, environment) != nil {
			t.Fatalf("he gave %s in %q and %q, and may not do it himself", p, service, environment)
		}
	})
	if granted == 0 {
		t.Error("nothing was ever granted")
	}
}

func TestOnlyAdminsOfAPlaceGrantRolesThere(t *testing.T) {
	for _, tt := range []struct {
		name    string
		holds   Binding
		gives   Binding
		allowed bool
	}{
		{"an admin of everything", at(Admin, "*", "*"), at(Admin, "*", "*"), true},
		{"an admin in his own place", at(Admin, "shop-*", "staging"), at(Deployer, "shop-cart", "staging"), true},
		{"an admin makes another of his place", at(Admin, "shop-*", "*"), at(Admin, "shop-*", "*"), true},
		{"an admin beyond his services", at(Admin, "shop-*", "*"), at(Viewer, "shop*", "*"), false},
		{"an admin beyond his environment", at(Admin, "*", "staging"), at(Viewer, "*", "*"), false},
		{"an approver who holds the role himself", at(Approver, "*", "*"), at(Approver, "a", "b"), false},
		{"a deployer", at(Deployer, "*", "*"), at(Viewer, "a", "b"), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := MayGrant(who(tt.holds), tt.gives); (err == nil) != tt.allowed {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestWhatTwoRolesShareIsARole(t *testing.T) {
	for _, a := range append(Roles(), RoleNone) {
		for _, b := range append(Roles(), RoleNone) {
			contained := true
			for _, p := range Permissions() {
				if got := a.meet(b).Has(p); got != (a.Has(p) && b.Has(p)) {
					t.Errorf("%s and %s share %s: %v", a, b, p, got)
				}
				contained = contained && (a.Has(p) || !b.Has(p))
			}
			if b != RoleNone && a.contains(b) != contained {
				t.Errorf("%s contains %s: %v", a, b, !contained)
			}
		}
	}
}

func TestBindingsThatMeanNothingAreRefused(t *testing.T) {
	for _, tt := range []struct {
		name    string
		binding Binding
		text    string // empty: good
	}{
		{"a user", Binding{"user:ann", Viewer, "*", "production"}, ""},
		{"a user by address", Binding{"user:ann@example.com", Viewer, "shop-*", "*"}, ""},
		{"a group", Binding{"group:Payments / on-call", Admin, "shop", "*"}, ""},
		{"a token", Binding{"token:abcdefghij234", Deployer, "*", "*"}, ""},
		{"no subject", Binding{"", Viewer, "*", "*"}, "user:NAME"},
		{"another kind of subject", Binding{"role:admin", Viewer, "*", "*"}, "user:NAME"},
		{"a user in capitals", Binding{"user:Ann", Viewer, "*", "*"}, "small letters"},
		{"a group with a line end", Binding{"group:a\nb", Viewer, "*", "*"}, "printable"},
		{"a token that is none", Binding{"token:../x", Viewer, "*", "*"}, "adg token list"},
		{"no role", Binding{"user:ann", RoleNone, "*", "*"}, "needs a role"},
		{"a role that does not exist", Binding{"user:ann", Role(9), "*", "*"}, "needs a role"},
		{"no service", Binding{"user:ann", Viewer, "", "*"}, "service"},
		{"a star in the middle", Binding{"user:ann", Viewer, "a*b", "*"}, "service"},
		{"two stars", Binding{"user:ann", Viewer, "*", "a**"}, "environment"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.binding.Validate()
			if tt.text == "" && err == nil {
				return
			}
			if tt.text == "" || adg.CodeOf(err) != adg.Invalid || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("got %v, want %q", err, tt.text)
			}
		})
	}
}

func TestNamesOfRolesAreReadBack(t *testing.T) {
	for _, r := range Roles() {
		text, err := r.MarshalText()
		var back Role
		if err != nil || back.UnmarshalText(text) != nil || back != r {
			t.Errorf("%s came back as %s", r, back)
		}
	}
	var r Role
	for _, bad := range []string{"", "none", "owner", "ADMIN"} {
		if r.UnmarshalText([]byte(bad)) == nil {
			t.Errorf("%q is no role", bad)
		}
	}
	if _, err := Role(9).MarshalText(); err == nil {
		t.Error("a role that does not exist was written")
	}
}

func TestWhereSomebodyHasToLookFollowsFromHisRoles(t *testing.T) {
	for _, c := range []struct {
		name   string
		roles  []Binding
		prefix string
		want   []Names
	}{
		{"everything", []Binding{at(Viewer, "*", "*")}, "", []Names{{"", true}}},
		{"everything in one environment, and a service", []Binding{at(Viewer, "shop", "*"), at(Admin, "*", "staging")}, "", []Names{{"", true}}},
		{"names, in their order", []Binding{at(Viewer, "b", "*"), at(Viewer, "a-*", "*"), at(Viewer, "a", "*")}, "", []Names{{"a", false}, {"a-", true}, {"b", false}}},
		{"one in another", []Binding{at(Viewer, "a-b", "*"), at(Viewer, "a-*", "x"), at(Viewer, "a-b-*", "*"), at(Viewer, "a*", "*")}, "", []Names{{"a", true}}},
		{"the same twice", []Binding{at(Viewer, "a", "*"), at(Viewer, "a*", "*"), at(Viewer, "a", "x")}, "", []Names{{"a", true}}},
		{"all that begin so", []Binding{at(Viewer, "*", "*")}, "shop", []Names{{"shop", true}}},
		{"those of his that begin so", []Binding{at(Viewer, "shop-*", "*"), at(Viewer, "cart", "*")}, "sh", []Names{{"shop-", true}}},
		{"none of his", []Binding{at(Viewer, "shop-*", "*"), at(Viewer, "cart", "*")}, "b", nil},
		{"no role", nil, "", nil},
		{"a role that may not", []Binding{{Role: RoleNone, Service: "*", Environment: "*"}}, "", nil},
	} {
		if diff := cmp.Diff(c.want, Within(who(c.roles...), DeploymentRead, c.prefix)); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}
