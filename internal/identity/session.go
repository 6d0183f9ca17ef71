package identity

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"github.com/deployguardian/adg"
)

// The limits of a session, unless Options say others: in all, and without a request.
const (
	SessionLife = 12 * time.Hour
	SessionIdle = time.Hour
)

// Opened is a session that was just opened.
type Opened struct {
	Credential adg.Secret // for the browser's cookie; the store has its hash only
	Identity   Identity
	Until      time.Time // at the latest
}

// External is a person as an OpenID provider vouches for him.
type External struct {
	Name    string // his name here
	Issuer  string
	Subject string // who he is to the issuer, for good
	Groups  []string
	Agent   string // what his browser calls itself
}

// Admit opens a session for a person whom a provider vouches for, and takes over his groups. The first time he is put on
// record, and keeps that name, whatever the provider calls him later: one person is not two. Nobody else comes in by his
// name: neither from another provider nor as another person of the same one, and never by the name of a local user.
func (d *Directory) Admit(ctx context.Context, who External, from string) (Opened, error) {
	if err := who.validate(); err != nil {
		return Opened{}, err
	}
	slices.Sort(who.Groups)
	who.Groups = slices.Compact(who.Groups)
	var o Opened
	err := d.settle(ctx, func() (change, error) {
		now, err := d.store.Now(ctx)
		if err != nil {
			return change{}, err
		}
		who := who
		named, err := d.linked(ctx, &who)
		if err != nil {
			return change{}, err
		}
		a, version, err := load[account](ctx, d, kindUser, who.Name)
		switch {
		case adg.CodeOf(err) == adg.NotFound:
			a = account{ID: randomText(idBytes), Epoch: randomText(idBytes), Issuer: who.Issuer, External: who.Subject, Created: now}
		case err != nil:
			return change{}, err
		case a.Issuer != who.Issuer || a.External != who.Subject:
			return change{}, adg.Advised(adg.Errorf(adg.Unauthorized, "the name %s belongs to somebody else here", who.Name), "an admin can remove that user first")
		case a.Disabled:
			return change{}, adg.Advised(adg.Errorf(adg.Unauthorized, "the user %s is disabled", who.Name), "ask an admin")
		}
		a.Groups, a.Login = who.Groups, now
		opened, c, err := d.open(ctx, who.Name, &a, origin{from, who.Agent}, now)
		if err != nil {
			return change{}, err
		}
		o = opened
		c.entries[0] = c.entries[0].With("issuer", who.Issuer)
		c.writes = append(append(c.writes, put(kindUser, who.Name, a, version, time.Time{})), named...)
		given, err := d.readRoles(ctx)
		if err != nil {
			return change{}, err
		}
		return c, d.endBootstrap(ctx, &c, Caller{Identity: o.Identity, From: from}, given.list, who.Name, &a)
	})
	if err != nil {
		return Opened{}, err
	}
	return o, nil
}

// Reject puts on record that somebody who came from a provider was not let in, and why. It is the refusal again; what is
// no refusal, as of a provider that does not answer, is not put on record. Who it was may be unknown; the refusal must not
// hold what was brought from the provider.
func (d *Directory) Reject(ctx context.Context, provider string, who External, from string, refusal error) error {
	if code := adg.CodeOf(refusal); code != adg.Unauthorized && code != adg.Invalid {
		return refusal
	}
	e := Caller{From: clip(from, maxOrigin), Reason: clip(refusal.Error(), maxWhy)}.entry("login.oidc", "login/oidc/"+provider)
	if ValidUser(who.Name) == nil {
		e = e.With("user", who.Name).With("issuer", clip(who.Issuer, maxOrigin))
	}
	if err := d.recordDenied(ctx, e); err != nil {
		return err
	}
	return refusal
}

// EndSession ends the session of that credential; one that is over already is no error.
func (d *Directory) EndSession(ctx context.Context, by Caller, text string) error {
	c, err := parseCredential(text)
	if err != nil || c.prefix != sessionPrefix {
		return adg.Errorf(adg.Unauthorized, "this is no session")
	}
	return d.settle(ctx, func() (change, error) {
		s, version, err := load[session](ctx, d, kindSession, c.id)
		switch {
		case adg.CodeOf(err) == adg.NotFound, err == nil && !c.is(s.Digest):
			return change{}, nil
		case err != nil:
			return change{}, err
		}
		return change{entries: []adg.AuditEntry{by.entry("session.end", "session/"+c.id)}, writes: []adg.Write{drop(kindSession, c.id, version)}}, nil
	})
}

// LogOut ends what the caller got by logging in: the session of that credential, or the token that a program was given.
// A token that a person made for something else stays: others may use it, too.
func (d *Directory) LogOut(ctx context.Context, by Caller, text string) error {
	c, err := parseCredential(text)
	if err != nil || c.prefix != tokenPrefix {
		return d.EndSession(ctx, by, text)
	}
	record, _, err := load[tokenRecord](ctx, d, kindToken, c.id)
	if err != nil {
		return err
	}
	if !record.Login {
		return adg.Advised(adg.Errorf(adg.Unauthorized, "this is no login: the token was made by adg token create, and stays good for whoever else uses it"), "adg token revoke %s ends it", c.id)
	}
	return d.RevokeToken(ctx, by, c.id)
}

// EndSessions ends all sessions of a user: one's own, or with identity.write anybody's.
func (d *Directory) EndSessions(ctx context.Context, by Caller, name string) error {
	return d.settle(ctx, func() (change, error) {
		c := change{entries: []adg.AuditEntry{by.entry("session.end_all", "user/"+name)}}
		if !by.isPerson() || by.Person != name {
			if err := Allowed(by.Identity, IdentityWrite, "", ""); err != nil {
				return c, err
			}
		}
		a, version, err := load[account](ctx, d, kindUser, name)
		if err != nil {
			return c, err
		}
		a.Epoch = randomText(idBytes)
		c.writes = append(c.writes, put(kindUser, name, a, version, time.Time{}))
		return c, nil
	})
}

// Private

const (
	seenPrecision  = 5 * time.Minute // how often the use of a session is noted, at most
	sessionsAtOnce = 20
	maxGroups      = 1000
	maxWhy         = 500 // bytes of what a provider or our own words about it say
)

// session is an open session; the store forgets it when it is over.
type session struct {
	Person  string    `json:"person"`
	Epoch   string    `json:"epoch"` // of the account when it was opened
	Digest  []byte    `json:"digest"`
	Started time.Time `json:"started"`
	Seen    time.Time `json:"seen"`
	From    string    `json:"from,omitempty"`
	Agent   string    `json:"agent,omitempty"`
}

func (w External) validate() error {
	if err := free(w.Name); err != nil {
		return err
	}
	if w.Issuer == "" || w.Subject == "" || len(w.Groups) > maxGroups {
		return adg.Advised(adg.Errorf(adg.Invalid, "the provider has to say who %s is and send at most %d groups", w.Name, maxGroups), "limit the groups that it sends")
	}
	for _, g := range w.Groups {
		if err := ValidGroup(g); err != nil {
			return err
		}
	}
	return nil
}

func (d *Directory) write(s session, id string, version int64) adg.Write {
	until := s.Started.Add(d.o.SessionLife)
	if idle := s.Seen.Add(d.o.SessionIdle); idle.Before(until) {
		until = idle
	}
	return put(kindSession, id, s, version, until)
}

// link is the name here of somebody whom a provider vouches for.
type link struct {
	Name string `json:"name"`
}

// linked gives somebody the name that he came in by the first time. The writes put the name on record, where it is not.
func (d *Directory) linked(ctx context.Context, who *External) ([]adg.Write, error) {
	key := linkKey(who.Issuer, who.Subject)
	l, version, err := load[link](ctx, d, kindLink, key)
	if err != nil && adg.CodeOf(err) != adg.NotFound {
		return nil, err
	}
	if err == nil && l.Name == who.Name {
		return nil, nil
	}
	if err == nil {
		a, _, err := load[account](ctx, d, kindUser, l.Name)
		if err != nil && adg.CodeOf(err) != adg.NotFound {
			return nil, err
		}
		if err == nil && a.Issuer == who.Issuer && a.External == who.Subject {
			who.Name = l.Name
			return nil, nil
		}
	}
	return []adg.Write{put(kindLink, key, link{who.Name}, version, time.Time{})}, nil
}

func linkKey(issuer, subject string) string {
	one, other := sha256.Sum256([]byte(issuer)), sha256.Sum256([]byte(subject))
	return hex.EncodeToString(one[:8]) + "/" + hex.EncodeToString(other[:])
}

// origin is where somebody logs in from.
type origin struct{ address, agent string }

// open prepares a session for an account, which notes it: the caller writes the account. The oldest session ends if
// there are too many.
func (d *Directory) open(ctx context.Context, name string, a *account, from origin, now time.Time) (Opened, change, error) {
	who, err := d.personal(ctx, KindSession, name, *a)
	if err != nil {
		return Opened{}, change{}, err
	}
	ended, err := d.makeRoom(ctx, a)
	if err != nil {
		return Opened{}, change{}, err
	}
	c := newCredential(sessionPrefix)
	s := session{Person: name, Epoch: a.Epoch, Digest: c.digest(), Started: now, Seen: now, From: clip(from.address, maxOrigin), Agent: clip(from.agent, maxOrigin)}
	a.Sessions = append(a.Sessions, c.id)
	who.Session, who.Until = c.id, now.Add(d.o.SessionLife)
	return Opened{Credential: adg.NewSecret(c.text), Identity: who, Until: who.Until}, change{
		entries: []adg.AuditEntry{Caller{Identity: who, From: from.address}.entry("session.start", "session/"+c.id)},
		writes:  append(ended, d.write(s, c.id, 0)),
	}, nil
}

// makeRoom ends the oldest sessions of an account that has as many as it may have. Which of them are still open is
// asked then only.
func (d *Directory) makeRoom(ctx context.Context, a *account) (ended []adg.Write, err error) {
	if len(a.Sessions) < d.o.Sessions {
		return nil, nil
	}
	var open []string
	for _, id := range a.Sessions {
		switch s, _, err := load[session](ctx, d, kindSession, id); {
		case err == nil && s.Epoch == a.Epoch:
			open = append(open, id)
		case err != nil && adg.CodeOf(err) != adg.NotFound:
			return nil, err
		}
	}
	for ; len(open) >= d.o.Sessions; open = open[1:] {
		ended = append(ended, drop(kindSession, open[0], adg.AnyVersion))
	}
	a.Sessions = open
	return ended, nil
}

var errSessionOver = adg.Advised(adg.Errorf(adg.Unauthorized, "this session is over"), "log in again")

func (d *Directory) bySession(ctx context.Context, c credential, note used) (Identity, error) {
	s, version, err := load[session](ctx, d, kindSession, c.id)
	if err != nil {
		return Identity{}, unknownIfMissing(err, errSessionOver)
	}
	if !c.is(s.Digest) {
		return Identity{}, errSessionOver
	}
	a, err := d.activeAccount(ctx, s.Person, "")
	if err != nil {
		return Identity{}, err
	}
	if a.Epoch != s.Epoch {
		return Identity{}, errSessionOver
	}
	now, err := d.store.Now(ctx)
	if err != nil {
		return Identity{}, err
	}
	if now.Sub(s.Seen) >= min(seenPrecision, d.o.SessionIdle/4) {
		s.Seen = now
		note(ctx, d.write(s, c.id, version))
	}
	who, err := d.personal(ctx, KindSession, s.Person, a)
	who.Session, who.Until = c.id, s.Started.Add(d.o.SessionLife)
	return who, err
}
