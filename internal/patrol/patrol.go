// Package patrol looks after what rollbacks have suspended at their targets, such as the automated sync of a GitOps
// controller: it gives it back when no release on hold goes live by that, reminds people until then, and calls them when
// somebody else has given it back.
package patrol

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/deployguardian/adg"
)

// Store is what a patrol reads and writes.
type Store interface {
	adg.Documents
	Now(ctx context.Context) (time.Time, error)
	Deployment(ctx context.Context, id string) (adg.Deployment, error)
	ListDeployments(ctx context.Context, f adg.DeploymentFilter) ([]adg.Deployment, error)
	ListHolds(ctx context.Context, f adg.ReleaseFilter) ([]adg.ReleaseHold, error)
}

// World is what it reaches out to.
type World interface {
	Target(ctx context.Context, d adg.Deployment) (adg.Target, error)
	Notifier(ctx context.Context, name string) (adg.Notifier, error)
}

// Options are a patrol's settings; zero fields take the defaults.
type Options struct {
	Every  time.Duration // how often each suspension is looked at, by whichever replica is first; zero: 1 m
	Remind time.Duration // how often people are told that it stands; zero: 24 h
	Log    *slog.Logger  // zero: discard
}

// Patrol goes its rounds. Any number of replicas may have one.
type Patrol struct {
	store Store
	world World
	o     Options

	mu       sync.Mutex
	seen     map[string]suspension // by place: what ticks told since the last round
	recalled bool                  // what ticks told a process that has ended is known
}

// New makes a patrol.
func New(store Store, world World, o Options) *Patrol {
	if o.Every == 0 {
		o.Every = time.Minute
	}
	if o.Remind == 0 {
		o.Remind = 24 * time.Hour
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Patrol{store: store, world: world, o: o, seen: map[string]suspension{}}
}

// Ticked notes what a deployment has suspended, for the next round. It does not block.
func (p *Patrol) Ticked(d adg.Deployment) {
	if d.Status.Suspended == "" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen[place(d.Spec.Policy)] = suspension{Deployment: d.ID, What: d.Status.Suspended}
}

// Round looks once at everything that is suspended and that no other replica has looked at since. What fails with one
// does not keep it from the others.
func (p *Patrol) Round(ctx context.Context) error {
	now, err := p.store.Now(ctx)
	if err != nil {
		return err
	}
	errs := []error{p.note(ctx)}
	for d, err := range adg.AllDocuments(ctx, p.store, adg.DocumentFilter{Kind: kind, Limit: 1000}) {
		if err != nil {
			return errors.Join(append(errs, err)...)
		}
		var s suspension
		if err := json.Unmarshal(d.Data, &s); err != nil {
			errs = append(errs, adg.Errorf(adg.Internal, "suspension %s in the store cannot be read: %w", d.Key, err))
			continue
		}
		if s.Done || now.Sub(s.Looked) < p.o.Every/2 {
			continue
		}
		s.Looked = now
		t := &turn{Patrol: p, where: d.Key, now: now, version: d.Version, s: s}
		err := t.look(ctx)
		if err != nil {
			err = fmt.Errorf("what deployment %s has suspended: %w", s.Deployment, err)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Private

const (
	kind    = "suspension"
	timeout = 30 * time.Second // of the calls for one suspension
)

// suspension is what a rollback has suspended: one record for each service in each environment.
type suspension struct {
	Deployment string    `json:"deployment"`
	What       string    `json:"what"`
	Looked     time.Time `json:"looked,omitzero"`
	Told       time.Time `json:"told,omitzero"`      // people were reminded
	Resuming   bool      `json:"resuming,omitempty"` // we were about to give it back
	End        *adg.Fact `json:"end,omitempty"`      // how it ended
	Heard      []string  `json:"heard,omitempty"`    // the notifiers that were told so
	Done       bool      `json:"done,omitempty"`     // nothing is left to do
}

func place(p adg.Policy) string { return p.Service + "/" + p.Environment }

// note remembers what ticks and holds tell of: a hold may be lifted while what was suspended for it still is.
func (p *Patrol) note(ctx context.Context) error {
	if err := p.recall(ctx); err != nil {
		return err
	}
	p.mu.Lock()
	seen := maps.Clone(p.seen)
	p.mu.Unlock()
	for h, err := range p.holds(ctx, adg.ReleaseFilter{}) {
		if err != nil {
			return err
		}
		where := h.Service + "/" + h.Environment
		if _, told := seen[where]; !told && h.Suspended != "" && h.Deployment != "" {
			seen[where] = suspension{Deployment: h.Deployment, What: h.Suspended}
		}
	}
	for where, s := range seen {
		if err := p.begin(ctx, where, s); err != nil {
			return err
		}
		p.mu.Lock()
		if p.seen[where].Deployment == s.Deployment {
			delete(p.seen, where)
		}
		p.mu.Unlock()
	}
	return nil
}

// recall finds, once, what a process before this one was told by ticks and had no round left to note: a deployment that was
// cancelled leaves no hold. One that was followed by another is no concern any more.
func (p *Patrol) recall(ctx context.Context) error {
	p.mu.Lock()
	done := p.recalled
	p.mu.Unlock()
	if done {
		return nil
	}
	ended, err := p.store.ListDeployments(ctx, adg.DeploymentFilter{States: []adg.State{adg.Cancelled}, Limit: 1000})
	if err != nil {
		return err
	}
	for _, d := range ended {
		if d.Status.Suspended == "" {
			continue
		}
		policy := d.Spec.Policy
		newest, err := p.store.ListDeployments(ctx, adg.DeploymentFilter{Service: policy.Service, Environment: policy.Environment, Limit: 1})
		if err != nil {
			return err
		}
		if len(newest) > 0 && newest[0].ID == d.ID {
			p.Ticked(d)
		}
	}
	p.mu.Lock()
	p.recalled = true
	p.mu.Unlock()
	return nil
}

// begin writes a record, instead of an older deployment's of the same place.
func (p *Patrol) begin(ctx context.Context, where string, s suspension) error {
	d, err := p.store.Document(ctx, kind, where)
	switch {
	case adg.CodeOf(err) == adg.NotFound:
		d.Version = 0
	case err != nil:
		return err
	default:
		var known suspension
		if err := json.Unmarshal(d.Data, &known); err == nil && known.Deployment == s.Deployment {
			return nil
		}
	}
	if _, err = p.put(ctx, where, s, d.Version); adg.CodeOf(err) == adg.Conflict {
		return nil // another replica has noted it
	}
	return err
}

// holds are all of them.
func (p *Patrol) holds(ctx context.Context, f adg.ReleaseFilter) iter.Seq2[adg.ReleaseHold, error] {
	return func(yield func(adg.ReleaseHold, error) bool) {
		f.Limit = 1000
		for {
			page, err := p.store.ListHolds(ctx, f)
			if err != nil {
				yield(adg.ReleaseHold{}, err)
				return
			}
			for _, h := range page {
				if !yield(h, nil) {
					return
				}
				f.After = adg.ReleaseKey{Service: h.Service, Environment: h.Environment, Identity: h.Identity}
			}
			if len(page) < f.Limit {
				return
			}
		}
	}
}

func (p *Patrol) put(ctx context.Context, where string, s suspension, version int64) (int64, error) {
	data, err := json.Marshal(s)
	if err != nil {
		return 0, adg.Errorf(adg.Internal, "writing a suspension: %w", err)
	}
	stored, err := p.store.WriteDocuments(ctx, []adg.Write{{Document: adg.Document{Kind: kind, Key: where, Data: data}, If: version}})
	if err != nil {
		return 0, err
	}
	return stored[0].Version, nil
}

// turn is the look at one suspension, which this replica has taken from the others.
type turn struct {
	*Patrol
	where   string
	now     time.Time
	version int64
	s       suspension
	d       adg.Deployment
}

// keep writes what is known now.
func (t *turn) keep(ctx context.Context) (err error) {
	t.version, err = t.put(ctx, t.where, t.s, t.version)
	return err
}

// look looks after a suspension. Where the service is being deployed the guard does: calls to its target are not to get
// into each other's way.
func (t *turn) look(ctx context.Context) error {
	err := t.keep(ctx)
	if adg.CodeOf(err) == adg.Conflict {
		return nil // another replica has it
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, adg.Errorf(adg.Unavailable, "no answer within %s", adg.Short(timeout)))
	defer cancel()
	if t.d, err = t.store.Deployment(ctx, t.s.Deployment); adg.CodeOf(err) == adg.NotFound {
		return t.drop(ctx)
	}
	if err != nil {
		return err
	}
	t.d.Status.Fallback = false // it was the first target that suspended something
	newest, err := t.store.ListDeployments(ctx, adg.DeploymentFilter{Service: t.d.Spec.Policy.Service, Environment: t.d.Spec.Policy.Environment, Limit: 1})
	if err != nil || len(newest) > 0 && !newest[0].Status.State.Ended() {
		return err
	}
	if t.s.End == nil {
		fact, err := t.resume(ctx, len(newest) > 0 && newest[0].ID != t.d.ID)
		if err != nil {
			return err
		}
		if fact.Kind == adg.FactNone {
			return t.remind(ctx, fact)
		}
		fact.ID = fmt.Sprintf("%s/patrol/%d", t.d.ID, t.version)
		t.s.End = &fact
		if err := t.keep(ctx); err != nil {
			return err
		}
	}
	if t.s.End.Text != "" {
		if err := t.tell(ctx, *t.s.End); err != nil {
			return err
		}
	}
	t.s.Done = true // and stays known: holds go on telling of it
	return t.keep(ctx)
}

// remind tells people now and then that it still stands: once, whoever hears it.
func (t *turn) remind(ctx context.Context, fact adg.Fact) error {
	if t.now.Sub(t.s.Told) < t.o.Remind {
		return nil
	}
	t.s.Told, t.s.Heard = t.now, nil
	if err := t.keep(ctx); err != nil {
		return err
	}
	fact.Kind, fact.ID = adg.FactWarning, fmt.Sprintf("%s/patrol/%d", t.d.ID, t.version)
	err := t.tell(ctx, fact)
	t.s.Heard = nil
	return errors.Join(err, t.keep(ctx))
}

// resume gives back what was suspended, as far as it may be, and says what came of it: a fact without a kind where it still
// is suspended, and one without a text where there is nothing to tell. Another deployment since then has seen to it itself.
func (t *turn) resume(ctx context.Context, another bool) (adg.Fact, error) {
	target, err := t.world.Target(ctx, t.d)
	if err != nil {
		return adg.Fact{}, err
	}
	before, err := target.Current(ctx)
	if err != nil {
		return adg.Fact{}, err
	}
	what, bad := t.s.What, t.d.Spec.Release.Version
	resumed := adg.Fact{Kind: adg.FactResumed, Text: what + " was resumed: no release on hold goes live by it"}
	if before.Suspended == "" {
		switch share, _ := before.Share(bad); {
		case another:
			return adg.Fact{Kind: adg.FactResumed}, nil
		case t.s.Resuming:
			return resumed, nil
		case share > 0:
			return adg.Fact{Kind: adg.FactPage, Urgent: true, Text: fmt.Sprintf("%s is not suspended: somebody else resumed it, or the rollback ended before it was; and %s, which was rolled back, has %g %% of the traffic", what, bad, share)}, nil
		}
		return adg.Fact{Kind: adg.FactWarning, Text: what + " is not suspended: somebody else resumed it, or the rollback ended before it was; what was rolled back is not live"}, nil
	}
	suspender, can := adg.PowerOf[adg.Suspender](target)
	if !can {
		return adg.Fact{Text: what + " is suspended, and its target cannot give it back: resume it by hand"}, nil
	}
	held, err := t.held(ctx)
	if err != nil {
		return adg.Fact{}, err
	}
	t.s.Resuming = true
	if err := t.keep(ctx); err != nil {
		return adg.Fact{}, err
	}
	seen, err := suspender.Resume(ctx, held)
	switch {
	case err != nil:
		return adg.Fact{}, err
	case seen.Suspended != "":
		t.s.Resuming = false
		return adg.Fact{Text: what + " stays suspended: " + seen.Text}, t.keep(ctx)
	}
	return resumed, nil
}

// held are the releases on hold where the deployment was.
func (t *turn) held(ctx context.Context) (releases []adg.Release, err error) {
	policy := t.d.Spec.Policy
	for h, err := range t.holds(ctx, adg.ReleaseFilter{Service: policy.Service, Environment: policy.Environment}) {
		if err != nil {
			return nil, err
		}
		if h.Release.Version == "" { // a person's, who knows the identity
			h.Release = adg.Release{Service: h.Service, Version: h.Identity, Artifact: h.Identity}
		}
		releases = append(releases, h.Release)
	}
	return releases, nil
}

// tell tells everybody whom the deployment's policy names and who has not heard it yet.
func (t *turn) tell(ctx context.Context, f adg.Fact) error {
	spec := t.d.Spec
	f.Deployment, f.At, f.State, f.Health = t.d.ID, t.now, t.d.Status.State, t.d.Status.Health
	f.Service, f.Environment, f.Release = spec.Policy.Service, spec.Policy.Environment, spec.Release.Version
	if spec.LastGood != nil {
		f.LastGood = spec.LastGood.Version
	}
	f.Text = fmt.Sprintf("%s %s in %s: %s", f.Service, f.Release, f.Environment, f.Text)
	t.o.Log.Info("of what a rollback has suspended", "deployment", t.d.ID, "what", f.Text)
	var errs []error
	for _, name := range spec.Policy.Notify {
		if slices.Contains(t.s.Heard, name) {
			continue
		}
		n, err := t.world.Notifier(ctx, name)
		if err == nil {
			err = n.Notify(ctx, f)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("telling %s: %w", name, err))
			continue
		}
		t.s.Heard = append(t.s.Heard, name)
	}
	return errors.Join(errors.Join(errs...), t.keep(ctx))
}

func (t *turn) drop(ctx context.Context) error {
	_, err := t.store.WriteDocuments(ctx, []adg.Write{{Document: adg.Document{Kind: kind, Key: t.where}, If: t.version, Drop: true}})
	return err
}
