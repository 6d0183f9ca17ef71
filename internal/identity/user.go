package identity

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/deployguardian/adg"
)

// User is a person as others see him.
type User struct {
	Name     string
	Issuer   string   // the OpenID provider that vouches for him; empty: he has a password here
	Groups   []string // as the provider said at the last login
	Disabled bool
	Created  time.Time
	Login    time.Time // the last one; zero: never
	Profile
	Locked  bool  // he has to wait, after too many wrong passwords
	Version int64 // counts the changes, for Caller.Version
}

// CreateUser makes a local user with a password. He holds no role yet.
func (d *Directory) CreateUser(ctx context.Context, by Caller, name string, password adg.Secret) error {
	return d.CreateUserWith(ctx, by, name, password, Profile{})
}

// CreateUserWith makes a local user with a password and a profile. He holds no role yet.
func (d *Directory) CreateUserWith(ctx context.Context, by Caller, name string, password adg.Secret, p Profile) error {
	if err := errors.Join(free(name), CheckPassword(name, password.Reveal()), p.Validate()); err != nil {
		return err
	}
	if err := d.mayManage(ctx, by, by.entry("user.create", "user/"+name)); err != nil {
		return err
	}
	hash, err := d.passwords.hash(ctx, password.Reveal())
	if err != nil {
		return err
	}
	now, err := d.store.Now(ctx)
	if err != nil {
		return err
	}
	made := account{ID: randomText(idBytes), Epoch: randomText(idBytes), Hash: hash, Created: now, Profile: p}
	return d.settle(ctx, func() (change, error) {
		c := change{entries: []adg.AuditEntry{by.entry("user.create", "user/"+name)}}
		switch _, _, err := load[account](ctx, d, kindUser, name); {
		case err == nil:
			return c, adg.Errorf(adg.Conflict, "there is a user %s already", name)
		case adg.CodeOf(err) != adg.NotFound:
			return c, err
		}
		given, err := d.readRoles(ctx)
		if err != nil {
			return c, err
		}
		c.writes = append(c.writes, put(kindUser, name, made, 0, time.Time{}))
		return c, d.endBootstrap(ctx, &c, by, given.list, name, &made)
	})
}

// DisableUser ends a user's sessions and keeps him and his tokens out until EnableUser. The last admin stays.
func (d *Directory) DisableUser(ctx context.Context, by Caller, name string) error {
	return d.alter(ctx, by, "user.disable", name, func(a *account) {
		a.Disabled, a.Epoch = true, randomText(idBytes)
	})
}

// EnableUser lets a user in again.
func (d *Directory) EnableUser(ctx context.Context, by Caller, name string) error {
	return d.alter(ctx, by, "user.enable", name, func(a *account) { a.Disabled = false })
}

// RemoveUser forgets a user and the roles given to him by name, and ends his sessions and tokens. The last admin stays.
func (d *Directory) RemoveUser(ctx context.Context, by Caller, name string) error {
	return d.settle(ctx, func() (change, error) {
		c := change{entries: []adg.AuditEntry{by.entry("user.remove", "user/"+name)}}
		given, err := d.readRoles(ctx)
		if err := errors.Join(err, Allowed(by.Identity, IdentityWrite, "", "")); err != nil {
			return c, err
		}
		a, version, err := load[account](ctx, d, kindUser, name)
		if err != nil {
			return c, err
		}
		if a.Issuer != "" {
			c.writes = append(c.writes, drop(kindLink, linkKey(a.Issuer, a.External), adg.AnyVersion))
		}
		if err := by.saw(version); err != nil {
			return c, err
		}
		left := given.without("user:" + name)
		c.writes = append(c.writes, drop(kindUser, name, version), given.replacedBy(left))
		return c, d.keepAnAdmin(ctx, given.list, left, name, nil)
	})
}

// SetPassword gives a local user another password and ends his sessions. It takes the permission identity.write; for
// one's own there is ChangePassword.
func (d *Directory) SetPassword(ctx context.Context, by Caller, name string, password adg.Secret) error {
	if err := CheckPassword(name, password.Reveal()); err != nil {
		return err
	}
	if err := d.mayManage(ctx, by, by.entry("user.password", "user/"+name)); err != nil {
		return err
	}
	return d.storePassword(ctx, by, name, password)
}

// ChangePassword gives the caller another password, if he knows the old one, and ends his sessions. A wrong old one
// counts as a failed login.
func (d *Directory) ChangePassword(ctx context.Context, by Caller, old, password adg.Secret) error {
	if by.Kind != KindUser && by.Kind != KindSession {
		return adg.Advised(adg.Errorf(adg.Unauthorized, "%w: a password is changed by the person himself, logged in, or by an admin", ErrDenied), "log in, or ask an admin")
	}
	if err := CheckPassword(by.Person, password.Reveal()); err != nil {
		return err
	}
	proof, err := d.prove(ctx, Attempt{Name: by.Person, Password: old, From: by.From})
	if err != nil {
		return err
	}
	err = d.settle(ctx, func() (change, error) {
		forgiven, err := d.forgive(ctx, proof)
		return change{writes: forgiven}, err
	})
	if err != nil {
		return err
	}
	return d.storePassword(ctx, by, by.Person, password)
}

// Users are up to limit users (at most 1,000; zero: 100) after a name, by name.
func (d *Directory) Users(ctx context.Context, by Caller, after string, limit int) ([]User, error) {
	if err := Allowed(by.Identity, IdentityRead, "", ""); err != nil {
		return nil, err
	}
	docs, err := d.store.ListDocuments(ctx, adg.DocumentFilter{Kind: kindUser, After: after, Limit: limit})
	if err != nil {
		return nil, err
	}
	var users []User
	for _, doc := range docs {
		u, err := d.shown(ctx, doc)
		if err != nil {
			return nil, err
		}
		users = append(users, u)
	}
	return users, nil
}

// Private

// account is a person on record.
type account struct {
	ID       string     `json:"id"`             // another one where a name is given to somebody else
	Epoch    string     `json:"epoch"`          // the sessions of another epoch are over
	Hash     string     `json:"hash,omitempty"` // of the password, as a PHC string
	Issuer   string     `json:"issuer,omitempty"`
	External string     `json:"external,omitempty"` // who he is to the issuer
	Groups   []string   `json:"groups,omitempty"`
	Disabled bool       `json:"disabled,omitempty"`
	Created  time.Time  `json:"created"`
	Login    time.Time  `json:"login,omitzero"`
	Sessions []string   `json:"sessions,omitempty"` // the ids of those that may be open, the oldest first
	Places   []familiar `json:"places,omitempty"`   // where he logged in from with his password, the last one first
	Profile
}

// mayManage refuses, on record, whoever may not change identities, before any work is done for him.
func (d *Directory) mayManage(ctx context.Context, by Caller, e adg.AuditEntry) error {
	if Allowed(by.Identity, IdentityWrite, "", "") == nil {
		return nil
	}
	return d.settle(ctx, func() (change, error) {
		return change{entries: []adg.AuditEntry{e}}, Allowed(by.Identity, IdentityWrite, "", "")
	})
}

// alter changes an account. The roles are written along, as they are, so that of two admins who disable each other at
// the same time one comes second.
func (d *Directory) alter(ctx context.Context, by Caller, action, name string, apply func(*account)) error {
	return d.settle(ctx, func() (change, error) {
		c := change{entries: []adg.AuditEntry{by.entry(action, "user/"+name)}}
		given, err := d.readRoles(ctx)
		if err := errors.Join(err, Allowed(by.Identity, IdentityWrite, "", "")); err != nil {
			return c, err
		}
		a, version, err := load[account](ctx, d, kindUser, name)
		if err != nil {
			return c, err
		}
		apply(&a)
		c.writes = append(c.writes, put(kindUser, name, a, version, time.Time{}), given.unchanged())
		return c, errors.Join(d.keepAnAdmin(ctx, given.list, given.list, name, &a), d.endBootstrap(ctx, &c, by, given.list, name, &a))
	})
}

func (d *Directory) storePassword(ctx context.Context, by Caller, name string, password adg.Secret) error {
	hash, err := d.passwords.hash(ctx, password.Reveal())
	if err != nil {
		return err
	}
	return d.settle(ctx, func() (change, error) {
		c := change{entries: []adg.AuditEntry{by.entry("user.password", "user/"+name)}}
		a, version, err := load[account](ctx, d, kindUser, name)
		switch {
		case err != nil:
			return c, err
		case a.Issuer != "":
			return c, adg.Errorf(adg.Conflict, "%s logs in at %s and has no password here", name, a.Issuer)
		}
		a.Hash, a.Epoch = hash, randomText(idBytes)
		c.writes = append(c.writes, put(kindUser, name, a, version, time.Time{}))
		return c, nil
	})
}

// activeAccount is the account of somebody who may come in; with an id, only if he is still that person.
func (d *Directory) activeAccount(ctx context.Context, name, id string) (account, error) {
	gone := func() error { return adg.Errorf(adg.Unauthorized, "the user %s does not exist any more", name) }
	a, _, err := load[account](ctx, d, kindUser, name)
	switch {
	case adg.CodeOf(err) == adg.NotFound:
		return account{}, gone()
	case err != nil:
		return account{}, err
	case id != "" && a.ID != id:
		return account{}, gone()
	case a.Disabled:
		return account{}, adg.Advised(adg.Errorf(adg.Unauthorized, "the user %s is disabled", name), "ask an admin")
	default:
		return a, nil
	}
}

// personal is the identity of a person with all that he holds.
func (d *Directory) personal(ctx context.Context, kind Kind, name string, a account) (Identity, error) {
	given, err := d.readRoles(ctx)
	if err != nil {
		return Identity{}, err
	}
	return Identity{Subject: "user:" + name, Kind: kind, Person: name, Email: a.Email, Groups: a.Groups, Bindings: given.held(subjects(name, a.Groups)...)}, nil
}

func lowered(name string) string { return strings.ToLower(strings.TrimSpace(name)) }
