package identity

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/deployguardian/adg"
)

// Store is what a directory needs of the store.
type Store interface {
	adg.Documents
	adg.Clock
}

// Options are a directory's settings; zero fields take the defaults.
type Options struct {
	Argon Argon        // zero: DefaultArgon. Passwords that were hashed with others are hashed anew at the next login
	Log   *slog.Logger // zero: discard

	Attempts     int           // wrong passwords for one name until the next has to wait, from one address four times as many; zero: 5
	Lockout      time.Duration // the first wait; each further one is twice as long, up to an hour; zero: 30 s
	SessionLife  time.Duration // of a session in all; zero: SessionLife
	SessionIdle  time.Duration // of a session without a request; zero: SessionIdle
	Sessions     int           // of one person at once: the oldest ends for one more; zero: 20
	TokenLife    time.Duration // of a token that does not say; zero: TokenLife
	MaxTokenLife time.Duration // zero: MaxTokenLife
}

// Directory knows the people, their tokens and sessions, and the roles. What it changes it puts on the audit log in the
// same write, and a refusal, too. It is safe for concurrent use, and any number of replicas share it through the store.
type Directory struct {
	store     Store
	o         Options
	log       *slog.Logger
	passwords *hasher

	mu    sync.Mutex
	known *roles // as last read; never changed, only replaced
}

// New makes a directory on a store.
func New(store Store, o Options) (*Directory, error) {
	h, err := newHasher(o.Argon)
	if err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Attempts, o.Lockout = cmp.Or(o.Attempts, freeForUser), cmp.Or(o.Lockout, firstWait)
	o.SessionLife, o.SessionIdle, o.Sessions = cmp.Or(o.SessionLife, SessionLife), cmp.Or(o.SessionIdle, SessionIdle), cmp.Or(o.Sessions, sessionsAtOnce)
	o.TokenLife, o.MaxTokenLife = cmp.Or(o.TokenLife, TokenLife), cmp.Or(o.MaxTokenLife, MaxTokenLife)
	return &Directory{store: store, o: o, log: o.Log, passwords: h}, nil
}

// Authenticate says who shows a credential: a token, a session's or the one of the first start. What is not valid (any
// more) is Unauthorized, with a sentence about what to do.
func (d *Directory) Authenticate(ctx context.Context, text string) (Identity, error) {
	return d.authenticate(ctx, text, d.touch)
}

// Still says the same of somebody who showed a credential before and asks for nothing new, such as the reader of a stream:
// it is no use of it, and keeps no session from ending.
func (d *Directory) Still(ctx context.Context, text string) (Identity, error) {
	return d.authenticate(ctx, text, func(context.Context, adg.Write) {})
}

// Identify is the identity of a person who proved in another way who he is. One who is unknown or disabled is
// Unauthorized.
func (d *Directory) Identify(ctx context.Context, name string) (Identity, error) {
	a, err := d.activeAccount(ctx, name, "")
	if err != nil {
		return Identity{}, err
	}
	return d.personal(ctx, KindUser, name, a)
}

// Private

const (
	kindUser      = "user"
	kindToken     = "token"
	kindLink      = "user_link"
	kindSession   = "session"
	kindRole      = "role"
	kindBootstrap = "bootstrap"
	kindFailures  = "login_failures"

	races        = 20 // how often a change is decided anew because somebody else was faster
	pageSize     = 1000
	recordWithin = 5 * time.Second // the store may take so long to put a refusal on record
)

// used notes that a credential was used.
type used func(context.Context, adg.Write)

func (d *Directory) authenticate(ctx context.Context, text string, note used) (Identity, error) {
	c, err := parseCredential(text)
	if err != nil {
		return Identity{}, err
	}
	switch c.prefix {
	case sessionPrefix:
		return d.bySession(ctx, c, note)
	case bootstrapPrefix:
		return d.byBootstrap(ctx, c)
	default:
		return d.byToken(ctx, c, note)
	}
}

// change is what somebody does, and what it takes. The first entry is about the deed itself.
type change struct {
	entries []adg.AuditEntry
	writes  []adg.Write
}

// settle decides a change and writes it; when what the decision was made from has changed since, it is made anew. A
// refusal is put on record, too.
func (d *Directory) settle(ctx context.Context, decide func() (change, error)) error {
	for range races {
		c, err := decide()
		if errors.Is(err, ErrDenied) && len(c.entries) > 0 {
			denied := c.entries[0]
			denied.Reason = err.Error()
			if failure := d.recordDenied(ctx, denied); failure != nil {
				return errors.Join(err, failure)
			}
			return OnRecord(err)
		}
		if err != nil || len(c.writes) == 0 && len(c.entries) == 0 {
			return err
		}
		if _, err = d.store.WriteDocuments(ctx, c.writes, c.entries...); adg.CodeOf(err) != adg.Conflict {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return adg.Throttled(adg.Advised(adg.Errorf(adg.Unavailable, "others keep changing the same at the same time"), "try again"), time.Second)
}

// recordDenied puts refusals on record, whether or not whoever was refused waits for the answer.
func (d *Directory) recordDenied(ctx context.Context, entries ...adg.AuditEntry) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordWithin)
	defer cancel()
	for i := range entries {
		entries[i].Outcome = adg.AuditDenied
	}
	_, err := d.store.WriteDocuments(ctx, nil, entries...)
	return err
}

// entry begins an audit entry about what the caller does.
func (c Caller) entry(action, resource string) adg.AuditEntry {
	e := adg.AuditEntry{Actor: orNobody(c.Subject), From: c.From, Action: action, Resource: resource, Outcome: adg.AuditDone, Reason: c.Reason}
	if c.Kind == KindToken {
		e.Detail = map[string]string{adg.Person: c.Person}
	}
	return e.With(adg.Via, c.Via)
}

// load reads a record and its version; NotFound comes with version 0.
func load[T any](ctx context.Context, d *Directory, kind, key string) (record T, version int64, err error) {
	doc, err := d.store.Document(ctx, kind, key)
	if err != nil {
		return record, 0, err
	}
	return decode[T](doc)
}

func decode[T any](doc adg.Document) (record T, version int64, err error) {
	if err := json.Unmarshal(doc.Data, &record); err != nil {
		return record, 0, adg.Errorf(adg.Internal, "read %s %q: %w", doc.Kind, doc.Key, err)
	}
	return record, doc.Version, nil
}

func put(kind, key string, record any, version int64, expires time.Time) adg.Write {
	data, err := json.Marshal(record)
	if err != nil {
		panic("identity: a record has no JSON: " + err.Error()) // strings, bytes and times always have
	}
	return adg.Write{Document: adg.Document{Kind: kind, Key: key, Data: data, Expires: expires}, If: version}
}

func drop(kind, key string, version int64) adg.Write {
	return adg.Write{Document: adg.Document{Kind: kind, Key: key}, If: version, Drop: true}
}

// each goes through all documents of a kind after a key until the visitor has enough.
func (d *Directory) each(ctx context.Context, kind, after string, visit func(adg.Document) (enough bool, err error)) error {
	for doc, err := range adg.AllDocuments(ctx, d.store, adg.DocumentFilter{Kind: kind, After: after, Limit: pageSize}) {
		if err != nil {
			return err
		}
		if enough, err := visit(doc); enough || err != nil {
			return err
		}
	}
	return nil
}

func unknownIfMissing(err, unknown error) error {
	if adg.CodeOf(err) == adg.NotFound {
		return unknown
	}
	return err
}
