package identity

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/deployguardian/adg"
)

// The lives of tokens, unless Options say others.
const (
	TokenLife    = 90 * 24 * time.Hour
	MaxTokenLife = 365 * 24 * time.Hour
)

// NewToken is what somebody wants a token for.
type NewToken struct {
	Label string // for people: what it is used by
	// Scope is what it may do at most, without subjects; empty: all that its maker may do at the time.
	Scope []Binding
	Life  time.Duration // zero: Options.TokenLife
	Login bool          // it comes of a login, and ends as a session does: with Directory.LogOut, and with a new password
}

// Token is a token as others see it: without its secret.
type Token struct {
	ID      string
	Label   string
	Person  string // who made it: it never may more than he
	Scope   []Binding
	Created time.Time
	Expires time.Time
	Used    time.Time // the last time, to five minutes; zero: never
}

// CreateToken makes a token for a person. The secret is shown this once: the store has its hash only. A person has at
// most 100 tokens. What the caller may not do himself he cannot give to a token. A token cannot make another, unless it
// comes of a login: somebody who logged in with the command line does what he could do in a browser.
func (d *Directory) CreateToken(ctx context.Context, by Caller, n NewToken) (adg.Secret, Token, error) {
	if n.Life == 0 {
		n.Life = d.o.TokenLife
	}
	if err := n.validate(d.o.MaxTokenLife); err != nil {
		return adg.Secret{}, Token{}, err
	}
	c := newCredential(tokenPrefix)
	var made tokenRecord
	err := d.settle(ctx, func() (change, error) {
		ch := change{entries: []adg.AuditEntry{by.entry("token.create", "token/"+c.id).With("label", n.Label)}}
		if err := mayCreate(by.Identity, n.Scope); err != nil {
			return ch, err
		}
		a, err := d.activeAccount(ctx, by.Person, "")
		if err != nil {
			return ch, err
		}
		now, err := d.store.Now(ctx)
		if err != nil {
			return ch, err
		}
		own, err := d.Tokens(ctx, by, TokenFilter{Person: by.Person, Limit: maxTokens})
		if err == nil && len(own) >= maxTokens {
			err = adg.Errorf(adg.Invalid, "%s has %d tokens, which is the limit: revoke one that is not needed any more", by.Person, maxTokens)
		}
		if err != nil {
			return ch, err
		}
		made = tokenRecord{Label: n.Label, Person: by.Person, PersonID: a.ID, Digest: c.digest(), Scope: withSubject(n.Scope, "token:"+c.id),
			Created: now, Expires: now.Add(n.Life), Login: n.Login}
		if n.Login {
			made.Epoch = a.Epoch
		}
		ch.writes = append(ch.writes, made.write(c.id, 0))
		return ch, nil
	})
	if err != nil {
		return adg.Secret{}, Token{}, err
	}
	return adg.NewSecret(c.text), made.token(c.id), nil
}

// LongestToken is how long a token can be valid here.
func (d *Directory) LongestToken() time.Duration { return d.o.MaxTokenLife }

// RevokeToken ends a token at once, and the roles given to it. A person may do that to his own, a token to itself, and identity.write to all.
func (d *Directory) RevokeToken(ctx context.Context, by Caller, id string) error {
	return d.settle(ctx, func() (change, error) {
		c := change{entries: []adg.AuditEntry{by.entry("token.revoke", "token/"+id)}}
		record, version, err := load[tokenRecord](ctx, d, kindToken, id)
		if err != nil && adg.CodeOf(err) != adg.NotFound {
			return c, err
		}
		own := err == nil && (by.inPerson() && record.Person == by.Person || by.Subject == "token:"+id)
		if !own {
			if denied := Allowed(by.Identity, IdentityWrite, "", ""); denied != nil {
				return c, denied // the same, whether it exists or not
			}
		}
		if err == nil {
			err = by.saw(Unchanging)
		}
		if err != nil {
			return c, err
		}
		c.writes = append(c.writes, drop(kindToken, id, version))
		given, err := d.readRoles(ctx)
		if err == nil && len(given.held("token:"+id)) > 0 {
			c.writes = append(c.writes, given.replacedBy(given.without("token:"+id)))
		}
		return c, err
	})
}

// TokenFilter selects tokens, by id.
type TokenFilter struct {
	Person string // empty: everybody's
	After  string // only those with an id after this one: the cursor of a page
	Limit  int    // at most 1,000; zero: 100
}

// Tokens are the tokens that are valid, and those that expired in the last 30 days. It takes identity.read to see those
// of others, and a token sees none.
func (d *Directory) Tokens(ctx context.Context, by Caller, f TokenFilter) ([]Token, error) {
	if !by.inPerson() || f.Person != by.Person {
		if err := Allowed(by.Identity, IdentityRead, "", ""); err != nil {
			return nil, err
		}
	}
	if f.Limit <= 0 {
		f.Limit = 100
	}
	var found []Token
	err := d.each(ctx, kindToken, f.After, func(doc adg.Document) (bool, error) {
		record, _, err := decode[tokenRecord](doc)
		if err == nil && (f.Person == "" || record.Person == f.Person) {
			found = append(found, record.token(doc.Key))
		}
		return len(found) >= min(f.Limit, 1000), err
	})
	return found, err
}

// Private

const (
	maxTokens     = 100 // of one person
	maxScope      = 20
	maxLabel      = 100
	tokenMemory   = 30 * 24 * time.Hour // so long it is known that a token has expired
	usedPrecision = 5 * time.Minute
)

// everything is the scope of a token that may all that its maker may.
var everything = []Binding{{Role: Admin, Service: "*", Environment: "*"}}

type tokenRecord struct {
	Label    string    `json:"label"`
	Person   string    `json:"person"`
	PersonID string    `json:"person_id"`
	Digest   []byte    `json:"digest"`
	Scope    []Binding `json:"scope,omitempty"`
	Created  time.Time `json:"created"`
	Expires  time.Time `json:"expires"`
	Login    bool      `json:"login,omitempty"`
	Epoch    string    `json:"epoch,omitempty"` // with Login: of the account when it was made, as of a session
	Used     time.Time `json:"used,omitzero"`
}

func (n NewToken) validate(longest time.Duration) error {
	var problems []error
	if n.Label == "" || len(n.Label) > maxLabel || !utf8.ValidString(n.Label) || adg.Printable(n.Label) != n.Label || strings.ContainsAny(n.Label, "\n\t") {
		problems = append(problems, adg.Errorf(adg.Invalid, "a token needs a label of up to %d bytes of printable text that says what uses it", maxLabel))
	}
	if n.Life < time.Minute || n.Life > longest {
		problems = append(problems, adg.Errorf(adg.Invalid, "a token lives between a minute and %d days here, not %v", longest/(24*time.Hour), n.Life))
	}
	if len(n.Scope) > maxScope {
		problems = append(problems, adg.Errorf(adg.Invalid, "the scope of a token has at most %d parts", maxScope))
	}
	for _, b := range n.Scope {
		problems = append(problems, b.validPlace())
	}
	return errors.Join(problems...)
}

func (i Identity) isPerson() bool {
	return i.Person != "" && (i.Kind == KindUser || i.Kind == KindSession)
}

var errUnknownToken = adg.Advised(adg.Errorf(adg.Unauthorized, "this token is not known, it was revoked, or is of another server"), "make a new one with `adg token create`")

var errLoginOver = adg.Advised(adg.Errorf(adg.Unauthorized, "this login is over: since then the password was changed, or all sessions of the user were ended"), "log in again with adg login")

// inPerson tells whether the person asks himself: in a browser, or at a command line where he logged in.
func (i Identity) inPerson() bool {
	return i.isPerson() || i.Person != "" && i.Kind == KindToken && i.Login
}

func mayCreate(who Identity, scope []Binding) error {
	if !who.inPerson() {
		return adg.Advised(adg.Errorf(adg.Unauthorized, "%w: tokens are made by people, not by %s", ErrDenied, orNobody(who.Subject)), "log in with adg login, or in a browser")
	}
	for _, want := range scope {
		holds := func(own Binding) bool {
			return own.Role.contains(want.Role) && covers(own.Service, want.Service) && covers(own.Environment, want.Environment)
		}
		if !slices.ContainsFunc(who.Bindings, holds) {
			return adg.Advised(adg.Errorf(adg.Unauthorized, "%w: %s does not hold the role %s in %s himself",
				ErrDenied, who.Subject, want.Role, place(want.Service, want.Environment)), "choose a narrower scope, or ask an admin of it for the role")
		}
	}
	return nil
}

func withSubject(scope []Binding, subject string) []Binding {
	own := slices.Clone(scope)
	for i := range own {
		own[i].Subject = subject
	}
	return own
}

func (r tokenRecord) token(id string) Token {
	return Token{ID: id, Label: r.Label, Person: r.Person, Scope: r.Scope, Created: r.Created, Expires: r.Expires, Used: r.Used}
}

func (r tokenRecord) write(id string, version int64) adg.Write {
	return put(kindToken, id, r, version, r.Expires.Add(tokenMemory))
}

// byToken is the identity of a token: what it was made for and what was granted to it, as far as its maker may do that
// himself now.
func (d *Directory) byToken(ctx context.Context, c credential, note used) (Identity, error) {
	record, version, err := load[tokenRecord](ctx, d, kindToken, c.id)
	if err != nil {
		return Identity{}, unknownIfMissing(err, errUnknownToken)
	}
	if !c.is(record.Digest) {
		return Identity{}, errUnknownToken
	}
	now, err := d.store.Now(ctx)
	if err != nil {
		return Identity{}, err
	}
	if !now.Before(record.Expires) {
		return Identity{}, adg.Advised(adg.Errorf(adg.Unauthorized, "the token %s expired on %s", c.id, record.Expires.UTC().Format(time.DateOnly)), "make a new one with `adg token create`")
	}
	a, err := d.activeAccount(ctx, record.Person, record.PersonID)
	if err != nil {
		return Identity{}, err
	}
	if record.Epoch != "" && record.Epoch != a.Epoch {
		return Identity{}, errLoginOver
	}
	given, err := d.readRoles(ctx)
	if err != nil {
		return Identity{}, err
	}
	subject := "token:" + c.id
	scope := record.Scope
	if len(scope) == 0 {
		scope = withSubject(everything, subject)
	}
	scope = append(slices.Clone(scope), given.held(subject)...)
	if now.Sub(record.Used) >= usedPrecision {
		record.Used = now
		note(ctx, record.write(c.id, version))
	}
	return Identity{Subject: subject, Kind: KindToken, Person: record.Person, Email: a.Email, Groups: a.Groups, Until: record.Expires, Login: record.Login,
		Bindings: Intersect(scope, given.held(subjects(record.Person, a.Groups)...))}, nil
}

// touch notes that a credential was used. Another replica may have been faster, or it was ended meanwhile: both are
// right. A store that cannot write keeps nobody out.
func (d *Directory) touch(ctx context.Context, w adg.Write) {
	if _, err := d.store.WriteDocuments(ctx, []adg.Write{w}); err != nil && adg.CodeOf(err) != adg.Conflict {
		d.log.WarnContext(ctx, "the last use of a credential was not noted", "kind", w.Document.Kind, "id", w.Document.Key, "error", err)
	}
}
