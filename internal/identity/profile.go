package identity

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/deployguardian/adg"
)

// Profile is how people call somebody and where they write to him. Nothing is decided by it.
type Profile struct {
	DisplayName string `json:"display_name,omitempty"`
	Email       string `json:"email,omitempty"`
}

// Validate refuses what is too long or cannot be printed.
func (p Profile) Validate() error {
	return errors.Join(validText("display name", p.DisplayName), validText("email", p.Email))
}

// Update is what becomes of a user; what is nil stays.
type Update struct {
	DisplayName *string
	Email       *string
	Disabled    *bool       // true: as DisableUser has it
	Password    *adg.Secret // as SetPassword has it
	Unlock      bool        // wrong passwords so far are forgotten
}

// User is one user: oneself, or with identity.read anybody.
func (d *Directory) User(ctx context.Context, by Caller, name string) (User, error) {
	if !by.isPerson() || by.Person != name {
		if err := Allowed(by.Identity, IdentityRead, "", ""); err != nil {
			return User{}, err
		}
	}
	doc, err := d.store.Document(ctx, kindUser, name)
	if adg.CodeOf(err) == adg.NotFound {
		return User{}, adg.Errorf(adg.NotFound, "there is no user %.140q", name)
	}
	if err != nil {
		return User{}, err
	}
	return d.shown(ctx, doc)
}

// UpdateUser changes a user, all of it or nothing, and gives him as he is then. The last admin stays able to log in.
func (d *Directory) UpdateUser(ctx context.Context, by Caller, name string, u Update) (User, error) {
	if err := d.mayManage(ctx, by, by.entry("user.update", "user/"+name)); err != nil {
		return User{}, err
	}
	if u == (Update{}) {
		return d.User(ctx, by, name)
	}
	hash := ""
	if u.Password != nil {
		if err := CheckPassword(name, u.Password.Reveal()); err != nil {
			return User{}, err
		}
		hashed, err := d.passwords.hash(ctx, u.Password.Reveal())
		if err != nil {
			return User{}, err
		}
		hash = hashed
	}
	err := d.settle(ctx, func() (change, error) {
		c := change{entries: u.entries(by, name)}
		given, err := d.readRoles(ctx)
		if err != nil {
			return c, err
		}
		a, version, err := load[account](ctx, d, kindUser, name)
		if err != nil {
			return c, err
		}
		if err := errors.Join(by.saw(version), u.apply(&a, name, hash), a.Validate()); err != nil {
			return c, err
		}
		c.writes = append(c.writes, put(kindUser, name, a, version, time.Time{}), given.unchanged())
		if u.Unlock {
			c.writes = append(c.writes, drop(kindFailures, userKey(name), adg.AnyVersion))
		}
		return c, errors.Join(d.keepAnAdmin(ctx, given.list, given.list, name, &a), d.endBootstrap(ctx, &c, by, given.list, name, &a))
	})
	if err != nil {
		return User{}, err
	}
	return d.User(ctx, by, name)
}

// Private

const (
	maxText   = 200
	maxOrigin = 300
)

func validText(what, text string) error {
	if len(text) > maxText || !utf8.ValidString(text) || adg.Printable(text) != text || strings.ContainsAny(text, "\n\t") {
		return adg.Errorf(adg.Invalid, "%s %.80q: use up to %d bytes of printable text in one line", what, text, maxText)
	}
	return nil
}

// clip is foreign text in one printable line of at most that many bytes.
func clip(text string, most int) string {
	text = strings.Join(strings.Fields(adg.Printable(strings.ToValidUTF8(text, ""))), " ")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "")
	}
	return text
}

// Unchanging is the version of what never changes until it is gone: a token, a session, a binding.
const Unchanging = 1

// saw refuses a change of what has changed since the caller looked at it.
func (c Caller) saw(version int64) error {
	if c.Version == 0 || c.Version == version {
		return nil
	}
	return adg.Advised(adg.Errorf(adg.Conflict, "this has changed since it was looked at"), "look again, and decide anew")
}

// entries are what an update does, in the words of the methods that do one part of it each.
func (u Update) entries(by Caller, name string) []adg.AuditEntry {
	var all []adg.AuditEntry
	add := func(done bool, action string) {
		if done {
			all = append(all, by.entry(action, "user/"+name))
		}
	}
	add(u.DisplayName != nil || u.Email != nil, "user.update")
	add(u.Disabled != nil && *u.Disabled, "user.disable")
	add(u.Disabled != nil && !*u.Disabled, "user.enable")
	add(u.Password != nil, "user.password")
	add(u.Unlock, "user.unlock")
	return all
}

func (u Update) apply(a *account, name, hash string) error {
	if u.DisplayName != nil {
		a.DisplayName = *u.DisplayName
	}
	if u.Email != nil {
		a.Email = *u.Email
	}
	if u.Disabled != nil {
		a.Disabled = *u.Disabled
	}
	if u.Password != nil {
		if a.Issuer != "" {
			return adg.Errorf(adg.Conflict, "%s logs in at %s and has no password here", name, a.Issuer)
		}
		a.Hash = hash
	}
	if a.Disabled || u.Password != nil {
		a.Epoch = randomText(idBytes)
	}
	return nil
}

// shown is a user as others see him.
func (d *Directory) shown(ctx context.Context, doc adg.Document) (User, error) {
	a, version, err := decode[account](doc)
	if err != nil {
		return User{}, err
	}
	now, err := d.store.Now(ctx)
	if err != nil {
		return User{}, err
	}
	f, _, err := load[failures](ctx, d, kindFailures, userKey(doc.Key))
	if err != nil && adg.CodeOf(err) != adg.NotFound {
		return User{}, err
	}
	return User{Name: doc.Key, Issuer: a.Issuer, Groups: a.Groups, Disabled: a.Disabled, Created: a.Created, Login: a.Login,
		Profile: a.Profile, Locked: f.waiting(now), Version: version}, nil
}
