package identity

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/deployguardian/adg"
)

// Session is an open session as others see it: without its credential.
type Session struct {
	ID      string
	Person  string
	From    string // the address that it was opened from
	Agent   string // what the program called itself
	Started time.Time
	Seen    time.Time // its last use, to five minutes
	Until   time.Time // at the latest
}

// Sessions are the open sessions of a person, at most the newest 1,000, the newest first: one's own, or with
// identity.read anybody's.
func (d *Directory) Sessions(ctx context.Context, by Caller, person string) ([]Session, error) {
	if !by.isPerson() || by.Person != person {
		if err := Allowed(by.Identity, IdentityRead, "", ""); err != nil {
			return nil, err
		}
	}
	a, _, err := load[account](ctx, d, kindUser, person)
	if err != nil || a.Disabled {
		return nil, err
	}
	var open []Session
	err = d.each(ctx, kindSession, "", func(doc adg.Document) (bool, error) {
		s, _, err := decode[session](doc)
		if err == nil && s.Person == person && s.Epoch == a.Epoch {
			open = append(open, Session{ID: doc.Key, Person: s.Person, From: s.From, Agent: s.Agent, Started: s.Started, Seen: s.Seen, Until: s.Started.Add(d.o.SessionLife)})
		}
		if len(open) >= 2*maxSessions {
			open = newest(open)
		}
		return false, err
	})
	return newest(open), err
}

// RevokeSession ends a session by its id: one's own, or with identity.write anybody's.
func (d *Directory) RevokeSession(ctx context.Context, by Caller, id string) error {
	return d.settle(ctx, func() (change, error) {
		c := change{entries: []adg.AuditEntry{by.entry("session.end", "session/"+id)}}
		s, version, err := load[session](ctx, d, kindSession, id)
		if err != nil && adg.CodeOf(err) != adg.NotFound {
			return c, err
		}
		if own := err == nil && by.isPerson() && s.Person == by.Person; !own {
			if denied := Allowed(by.Identity, IdentityWrite, "", ""); denied != nil {
				return c, denied // the same, whether it exists or not
			}
		}
		c.writes = append(c.writes, drop(kindSession, id, version))
		if err == nil {
			err = by.saw(Unchanging)
		}
		return c, err
	})
}

// InPerson is nil if a person is asking himself, rather than a program with his token: what makes a new credential for
// him takes that.
func InPerson(who Identity) error {
	if who.isPerson() {
		return nil
	}
	return adg.Advised(adg.Errorf(adg.Unauthorized, "%w: this takes a person who is logged in himself, not %s", ErrDenied, orNobody(who.Subject)), "log in, in a browser")
}

// Private

const maxSessions = 1000

func newest(all []Session) []Session {
	slices.SortFunc(all, func(a, b Session) int { return cmp.Or(b.Started.Compare(a.Started), cmp.Compare(a.ID, b.ID)) })
	return all[:min(len(all), maxSessions)]
}
