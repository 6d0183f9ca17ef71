package identity

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/deployguardian/adg"
)

// Grant gives a role to a subject. The same again changes nothing. Whoever does not hold the role there himself is
// refused. The first grant that makes somebody an admin of everything ends the token of the first start.
func (d *Directory) Grant(ctx context.Context, by Caller, b Binding) error {
	if err := b.Validate(); err != nil {
		return err
	}
	return d.settle(ctx, func() (change, error) {
		c := change{entries: []adg.AuditEntry{by.bindingEntry("role.grant", b)}}
		now, err := d.readRoles(ctx)
		if err := errors.Join(err, MayGrant(by.Identity, b)); err != nil {
			return c, err
		}
		switch {
		case slices.Contains(now.list, b):
			return change{}, nil
		case len(now.list) >= maxBindings:
			return c, adg.Advised(adg.Errorf(adg.Invalid, "there are %d roles given already, which is the limit", maxBindings), "give them to groups, or take some back")
		}
		at, err := d.store.Now(ctx)
		if err != nil {
			return c, err
		}
		after := append(slices.Clone(now.list), b)
		c.writes = append(c.writes, now.noting(b, Given{By: by.Name(), At: at}).replacedBy(after))
		return c, d.endBootstrap(ctx, &c, by, after, "", nil)
	})
}

// Revoke takes a role back; one that was not given is NotFound. Nobody takes what he does not hold himself, and the last
// admin of everything stays.
func (d *Directory) Revoke(ctx context.Context, by Caller, b Binding) error {
	return d.settle(ctx, func() (change, error) {
		c := change{entries: []adg.AuditEntry{by.bindingEntry("role.revoke", b)}}
		now, err := d.readRoles(ctx)
		if err := errors.Join(err, MayGrant(by.Identity, b)); err != nil {
			return c, err
		}
		i := slices.Index(now.list, b)
		if i < 0 {
			return c, adg.Errorf(adg.NotFound, "%s does not hold the role %s in %s", b.Subject, b.Role, place(b.Service, b.Environment))
		}
		if err := by.saw(Unchanging); err != nil {
			return c, err
		}
		after := slices.Delete(slices.Clone(now.list), i, i+1)
		c.writes = append(c.writes, now.replacedBy(after))
		return c, d.keepAnAdmin(ctx, now.list, after, "", nil)
	})
}

// Bindings are the roles that the caller may know of: his own, those that he could take back, and with identity.read all.
func (d *Directory) Bindings(ctx context.Context, by Caller) ([]Binding, error) {
	now, err := d.readRoles(ctx)
	if err != nil {
		return nil, err
	}
	all := Sees(by.Identity, IdentityRead)("", "")
	own := append(subjects(by.Person, by.Groups), by.Subject)
	var seen []Binding
	for _, b := range now.list {
		if all || slices.Contains(own, b.Subject) || MayGrant(by.Identity, b) == nil {
			seen = append(seen, b)
		}
	}
	return seen, nil
}

// Given is who gave a role, and when; zero where that was before it was noted.
type Given struct {
	By string    `json:"by,omitempty"` // the person, or the subject where there is none
	At time.Time `json:"at,omitzero"`
}

// Given says of every binding who gave it. Whoever shows it has asked for the Bindings that his caller may know of.
func (d *Directory) Given(ctx context.Context) (map[Binding]Given, error) {
	now, err := d.readRoles(ctx)
	if err != nil {
		return nil, err
	}
	return maps.Clone(now.given), nil
}

// Private

// grant is a binding as it is kept.
type grant struct {
	Binding
	Given
}

const (
	roleKey     = "bindings"
	maxBindings = 5000
)

// roles are all bindings. They are one document, so that two who change them at the same time cannot both believe that
// the other remains an admin.
type roles struct {
	list    []Binding
	given   map[Binding]Given
	of      map[string][]Binding // by subject
	version int64
	updated time.Time
}

func (d *Directory) readRoles(ctx context.Context) (*roles, error) {
	head, err := d.store.ListDocuments(ctx, adg.DocumentFilter{Kind: kindRole, Prefix: roleKey, Bare: true, Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(head) == 0 {
		return &roles{}, nil
	}
	d.mu.Lock()
	known := d.known
	d.mu.Unlock()
	if known != nil && known.version == head[0].Version && known.updated.Equal(head[0].Updated) {
		return known, nil
	}
	doc, err := d.store.Document(ctx, kindRole, roleKey)
	if err != nil {
		return nil, err
	}
	kept, version, err := decode[[]grant](doc)
	if err != nil {
		return nil, err
	}
	read := &roles{given: map[Binding]Given{}, of: map[string][]Binding{}, version: version, updated: doc.Updated}
	for _, g := range kept {
		read.list, read.given[g.Binding] = append(read.list, g.Binding), g.Given
		read.of[g.Subject] = append(read.of[g.Subject], g.Binding)
	}
	d.mu.Lock()
	d.known = read
	d.mu.Unlock()
	return read, nil
}

func (r *roles) replacedBy(list []Binding) adg.Write {
	kept := make([]grant, len(list))
	for i, b := range list {
		kept[i] = grant{b, r.given[b]}
	}
	return put(kindRole, roleKey, kept, r.version, time.Time{})
}

// noting are the same roles that know of one more who gave it.
func (r *roles) noting(b Binding, by Given) *roles {
	given := maps.Clone(r.given)
	if given == nil {
		given = map[Binding]Given{}
	}
	given[b] = by
	return &roles{list: r.list, given: given, of: r.of, version: r.version, updated: r.updated}
}

// without are the roles of everybody but that subject.
func (r *roles) without(subject string) []Binding {
	return slices.DeleteFunc(slices.Clone(r.list), func(b Binding) bool { return b.Subject == subject })
}

// unchanged makes a write fail if a role was given or taken since.
func (r *roles) unchanged() adg.Write { return r.replacedBy(r.list) }

func (r *roles) held(subjects ...string) []Binding {
	var own []Binding
	for _, s := range subjects {
		own = append(own, r.of[s]...)
	}
	return own
}

func (c Caller) bindingEntry(action string, b Binding) adg.AuditEntry {
	e := c.entry(action, "role/"+b.Subject).With("role", b.Role.String())
	e.Service, e.Environment = b.Service, b.Environment
	return e
}

// keepAnAdmin refuses a change after which nobody who can log in would be admin of everything. The account of that name
// counts as it will be; nil: it will be gone.
func (d *Directory) keepAnAdmin(ctx context.Context, before, after []Binding, name string, changed *account) error {
	left, err := d.adminAmong(ctx, after, name, changed)
	if left || err != nil {
		return err
	}
	if had, err := d.adminAmong(ctx, before, "", nil); !had || err != nil {
		return err
	}
	return adg.Advised(adg.Errorf(adg.Conflict, "this is the last admin of everything who can log in"), "make another one first")
}

// adminAmong tells whether somebody who can log in is admin of everything.
func (d *Directory) adminAmong(ctx context.Context, bindings []Binding, name string, changed *account) (bool, error) {
	groups := map[string]bool{}
	for _, b := range bindings {
		if b.Role != Admin || b.Service != "*" || b.Environment != "*" {
			continue
		}
		kind, subject, _ := strings.Cut(b.Subject, ":")
		switch {
		case kind == "group":
			groups[subject] = true
		case kind == "user" && subject == name:
			if changed != nil && !changed.Disabled {
				return true, nil
			}
		case kind == "user":
			a, _, err := load[account](ctx, d, kindUser, subject)
			if err != nil && adg.CodeOf(err) != adg.NotFound {
				return false, err
			}
			if err == nil && !a.Disabled {
				return true, nil
			}
		}
	}
	inGroup := func(a account) bool {
		return !a.Disabled && slices.ContainsFunc(a.Groups, func(g string) bool { return groups[g] })
	}
	if len(groups) == 0 || changed != nil && inGroup(*changed) {
		return changed != nil && inGroup(*changed), nil
	}
	found := false
	err := d.each(ctx, kindUser, "", func(doc adg.Document) (bool, error) {
		a, _, err := decode[account](doc)
		found = err == nil && doc.Key != name && inGroup(a)
		return found, err
	})
	return found, err
}
