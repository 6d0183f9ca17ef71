// Package control is what people and pipelines may ask of a server, whichever way they reach it: each operation checks
// that the caller may, puts it on record in the audit log, and does it.
package control

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/config"
	"github.com/deployguardian/adg/internal/identity"
	"github.com/deployguardian/adg/internal/live"
	"github.com/deployguardian/adg/internal/oracle"
	"github.com/deployguardian/adg/internal/recall"
	"github.com/deployguardian/adg/internal/report"
	"github.com/deployguardian/adg/internal/seal"
)

// Starter checks and stores deployments.
type Starter interface {
	Start(ctx context.Context, spec adg.Spec) (adg.Deployment, error)
	// Plan is what Start would store now. It refuses what Start refuses, in the same words, and changes nothing.
	Plan(ctx context.Context, spec adg.Spec) (adg.Spec, error)
	// Gates are what a deployment has to pass before it begins, as they are now.
	Gates(ctx context.Context, d adg.Deployment) ([]adg.Gate, error)
}

// Options are what a Control works with.
type Options struct {
	Store     adg.Store
	Starter   Starter
	Drivers   config.Drivers
	Keyring   *seal.Keyring  // nil: connections cannot hold secrets, only name them
	Secrets   Secrets        // what connections may name
	Predictor *oracle.Oracle // nil: nothing is predicted
	Changes   Changes        // nil: no repository is at hand
	Settings  []Setting      // in force, by their paths
	Features  []Feature
	Host      adg.Host // for the drivers: Dir is the parent of theirs, Commands whether they may start programs
	Log       *slog.Logger
}

// Changes tells what lies between a deployment's release and the one before it; nil where the service's repository is
// not at hand. What cannot be read says why.
type Changes func(ctx context.Context, spec adg.Spec) *report.Change

// Control does what callers ask for. All methods are safe for concurrent use. A caller who may not is answered with the
// code Unauthorized, and the refusal is on record.
type Control struct {
	o         Options
	watched   *live.Deployments
	lengthy   chan struct{} // a place for each thing that takes a while
	trials    chan struct{} // places for those who ask sources and targets without a deployment
	backtests chan struct{}
	readings  chan struct{} // of policies
	teams     teams
	lately    lately
	parsed    *recall.Map[string, config.File] // policies that were read without a fault, by all that the reading depends on
}

// New makes a control.
func New(o Options) *Control {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Control{
		o: o, watched: live.NewDeployments(o.Store, 0), lengthy: make(chan struct{}, maxLengthy), trials: make(chan struct{}, 8), backtests: make(chan struct{}, 2),
		readings: make(chan struct{}, 2),
		parsed:   recall.New[string, config.File](maxParsed),
	}
}

// Private

// allowed refuses a caller who may not, on record.
func (c *Control) allowed(ctx context.Context, who identity.Caller, p identity.Permission, scope adg.Scope, entry adg.AuditEntry) error {
	entry.Service, entry.Environment = scope.Service, scope.Environment
	return c.refused(ctx, who, may(who, p, scope), entry)
}

// recordWithin is how long the store may take to put on record how something ended, whether or not the caller waits.
const recordWithin = 5 * time.Second

// refused puts a refusal on record; nil is none. That the caller has gone keeps it off the record no more than that he
// waits.
func (c *Control) refused(ctx context.Context, who identity.Caller, err error, entry adg.AuditEntry) error {
	if err == nil {
		return nil
	}
	entry = c.entry(who, entry)
	entry.Outcome, entry.Reason = adg.AuditDenied, err.Error()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordWithin)
	defer cancel()
	if _, recorded := c.o.Store.AppendAudit(ctx, entry); recorded != nil {
		c.o.Log.ErrorContext(ctx, "a refusal is not on record", "actor", who.Subject, "action", entry.Action, "error", recorded)
	}
	return identity.OnRecord(err)
}

// may is nil where the caller has the permission within the scope, all of it. An empty scope is everything.
func may(who identity.Caller, p identity.Permission, scope adg.Scope) error {
	return identity.Allowed(who.Identity, p, scope.Service, scope.Environment)
}

// done puts an action on record before it is done, does it, and puts on record if it failed.
func (c *Control) done(ctx context.Context, who identity.Caller, entry adg.AuditEntry, do func() error) error {
	entry = c.entry(who, entry)
	entry.Outcome = adg.AuditDone
	if _, err := c.o.Store.AppendAudit(ctx, entry); err != nil {
		return err
	}
	return c.failed(ctx, entry, do())
}

// change makes a change of the store with its entry in the audit log, in one transaction, and puts on record if it failed.
func (c *Control) change(ctx context.Context, who identity.Caller, entry adg.AuditEntry, do func(adg.AuditEntry) error) error {
	entry = c.entry(who, entry)
	entry.Outcome = adg.AuditDone
	return c.failed(ctx, entry, do(entry))
}

// failed puts on record that something failed; nil is nothing. That the caller has gone does not keep it off the record.
func (c *Control) failed(ctx context.Context, entry adg.AuditEntry, err error) error {
	if err == nil {
		return nil
	}
	entry.Outcome, entry.Reason = adg.AuditFailed, err.Error()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordWithin)
	defer cancel()
	if _, recorded := c.o.Store.AppendAudit(ctx, entry); recorded != nil {
		c.o.Log.ErrorContext(ctx, "a failure is not on record", "actor", entry.Actor, "action", entry.Action, "error", recorded)
	}
	return err
}

// entry fills in who it was, and how he came.
func (c *Control) entry(who identity.Caller, e adg.AuditEntry) adg.AuditEntry {
	e.Actor, e.From, e.Reason = who.Subject, who.From, cmp.Or(e.Reason, who.Reason)
	if who.Kind == identity.KindToken {
		e = e.With(adg.Person, who.Person)
	}
	return e.With(adg.Via, who.Via)
}

// put writes one document with its line in the audit log.
func (c *Control) put(ctx context.Context, who identity.Caller, kind, key string, value any, version int64, entry adg.AuditEntry) (adg.Document, error) {
	data, err := marshal(value)
	if err != nil {
		return adg.Document{}, err
	}
	entry = c.entry(who, entry)
	entry.Outcome = adg.AuditDone
	stored, err := c.o.Store.WriteDocuments(ctx, []adg.Write{{Document: adg.Document{Kind: kind, Key: key, Data: data}, If: version}}, entry)
	if err != nil {
		return adg.Document{}, err
	}
	return stored[0], nil
}

// drop drops one document with its line in the audit log.
func (c *Control) drop(ctx context.Context, who identity.Caller, kind, key string, version int64, entry adg.AuditEntry) error {
	entry = c.entry(who, entry)
	entry.Outcome = adg.AuditDone
	_, err := c.o.Store.WriteDocuments(ctx, []adg.Write{{Document: adg.Document{Kind: kind, Key: key}, If: version, Drop: true}}, entry)
	return err
}

// read reads a document of ours.
func read[T any](ctx context.Context, c *Control, kind, key string) (value T, version int64, err error) {
	d, err := c.o.Store.Document(ctx, kind, key)
	if err != nil {
		return value, 0, err
	}
	return value, d.Version, decode(d, &value)
}

// all reads every document of ours of one kind.
func all[T any](ctx context.Context, store adg.Documents, kind, prefix string) (values []T, versions []int64, err error) {
	for d, err := range adg.AllDocuments(ctx, store, adg.DocumentFilter{Kind: kind, Prefix: prefix, Limit: 1000}) {
		if err != nil {
			return nil, nil, err
		}
		var value T
		if err := decode(d, &value); err != nil {
			return nil, nil, err
		}
		values, versions = append(values, value), append(versions, d.Version)
	}
	return values, versions, nil
}

func marshal(value any) ([]byte, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return nil, adg.Errorf(adg.Internal, "writing a document: %w", err)
	}
	return data, nil
}

func decode(d adg.Document, into any) error {
	if err := json.Unmarshal(d.Data, into); err != nil {
		return adg.Errorf(adg.Internal, "%s %s in the store cannot be read: %w", d.Kind, d.Key, err)
	}
	return nil
}

// newID is an id that nobody guesses.
func newID() string { return rand.Text() }
