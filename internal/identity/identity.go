// Package identity is who somebody is and what he may do: people, the credentials that they and their programs show,
// and the roles that they hold per service and environment. Nobody may do anything that no role gives him.
package identity

import (
	"errors"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/deployguardian/adg"
)

// ErrDenied is in the chain of every refusal of somebody who is known and may not do what he asked for. Other errors
// of the code Unauthorized mean that nobody knows who is asking.
var ErrDenied = errors.New("not allowed")

// Kind is what somebody showed to say who he is.
type Kind uint8

// The kinds.
const (
	KindNone      Kind = iota
	KindUser           // a person, by what the server itself knows
	KindToken          // a program, with a token that a person made for it
	KindSession        // a person, with a browser
	KindBootstrap      // whoever read the output of the first start; he may only say who the people are
)

var kindNames = []string{"none", "user", "token", "session", "bootstrap"}

// String is the kind's name.
func (k Kind) String() string { return nameOf(k, kindNames) }

// Identity is who is asking, as the authorisation needs it. The zero value is nobody and may do nothing.
type Identity struct {
	Subject  string // "user:NAME", "token:ID" or "bootstrap:ID"
	Kind     Kind
	Person   string    // the name of the person behind it; of a token, who made it; empty: none
	Email    string    // the person's address; empty: not known
	Groups   []string  // of the person
	Bindings []Binding // the roles that he holds, and where
	Session  string    // the id of his session; empty: he shows none
	Login    bool      // of a token: it comes of a login, so that it is the person who asks, and no program of his
	Until    time.Time // when what he shows ends at the latest; zero: it does not end
}

// Name is who it is to people: the person, also behind a token, whose number tells them nothing.
func (i Identity) Name() string {
	if i.Person != "" {
		return i.Person
	}
	return orNobody(i.Subject)
}

// Caller is an identity in one request, as the audit log has it.
type Caller struct {
	Identity
	From   string // the address that the request came from
	Via    string // how it came, such as adg.ViaCLI; empty: nobody says
	Reason string // what the caller said why
	// Version is that of what the caller looked at before he changes or removes a user, or ends a token, a session or a
	// binding, which never change: with another one since then it is a Conflict. Zero: it does not matter to him.
	Version int64
}

// Binding gives a role to a subject, where both patterns match.
type Binding struct {
	Subject     string `json:"subject"` // "user:NAME", "group:NAME" or "token:ID"
	Role        Role   `json:"role"`
	Service     string `json:"service"`     // a name, a beginning with a final "*", or "*"
	Environment string `json:"environment"` // the same
}

// Validate refuses a binding that could not mean anything.
func (b Binding) Validate() error {
	kind, name, _ := strings.Cut(b.Subject, ":")
	var err error
	switch kind {
	case "user":
		err = ValidUser(name)
	case "group":
		err = ValidGroup(name)
	case "token":
		if !idAlphabet.MatchString(name) {
			err = adg.Errorf(adg.Invalid, "token %.80q: use the id that `adg token list` shows", name)
		}
	default:
		err = adg.Errorf(adg.Invalid, "subject %.80q: use user:NAME, group:NAME or token:ID", b.Subject)
	}
	return errors.Join(err, b.validPlace())
}

// ValidUser refuses what is no name of a person. Names have one case and one alphabet, so that no two of them look alike.
func ValidUser(name string) error {
	if !userAlphabet.MatchString(name) {
		return adg.Errorf(adg.Invalid, "user name %.140q: use 1 to 128 small letters, digits, '.', '_', '-', '+' or '@', starting with a letter or digit", name)
	}
	return nil
}

// ValidGroup refuses what is no name of a group.
func ValidGroup(name string) error {
	if name == "" || len(name) > maxGroup || !utf8.ValidString(name) || adg.Printable(name) != name || strings.ContainsAny(name, "\n\t") {
		return adg.Errorf(adg.Invalid, "group %.80q: use 1 to %d bytes of printable text", name, maxGroup)
	}
	return nil
}

// Private

const maxGroup = 256

// reserved are the names under which the machine itself stands on record, or nobody does.
var reserved = map[string]bool{"adg": true, "nobody": true, "restore": true, "backup": true}

var (
	userAlphabet = regexp.MustCompile(`^[a-z0-9][a-z0-9._+@-]{0,127}$`)
	idAlphabet   = regexp.MustCompile(`^[a-z2-7]{13}$`)
)

func (b Binding) validPlace() error {
	var err error
	if b.Role == RoleNone || int(b.Role) >= len(roleNames) {
		err = adg.Errorf(adg.Invalid, "a binding needs a role: choose one of %s", strings.Join(roleNames[1:], ", "))
	}
	return errors.Join(err, validPattern("service", b.Service), validPattern("environment", b.Environment))
}

// subjects are the names under which an identity's bindings stand.
func subjects(person string, groups []string) []string {
	all := []string{"user:" + person}
	for _, g := range groups {
		all = append(all, "group:"+g)
	}
	return all
}

// free refuses what is no name for a person, or one that stands for something else.
func free(name string) error {
	if reserved[name] {
		return adg.Errorf(adg.Invalid, "user name %s: on record that is no person: choose another", name)
	}
	return ValidUser(name)
}
