package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
	"github.com/deployguardian/adg/internal/target/ledger"
	"github.com/deployguardian/adg/internal/target/witness"
)

// Setup is what a driver makes a Target of.
type Setup struct {
	Platform Platform
	Options  Options
	Secrets  []adg.Secret // beyond those of the options
}

// Target makes releases live by runs of a pipeline. Each operation is one run: Apply starts it, unless it is there
// already, and does not wait for its end; Current follows the newest one. Runs never overlap. Closing it closes the
// platform where that can be closed.
type Target struct {
	s       Setup
	name    string // of the target
	ledger  ledger.Ledger
	notes   string // path of the file of notes
	witness *witness.Witness
	redact  func(string) string

	mu   sync.Mutex
	seen sight
	logs map[string]tail // of runs that ended, by id
}

// New makes the target. Options that cannot work are Invalid.
func New(s Setup, host adg.Host) (*Target, error) {
	if host.Dir == "" {
		return nil, adg.Permanent(adg.Errorf(adg.Invalid, "target %s has no directory of its own to keep its operations in", host.Name))
	}
	t := &Target{
		s: s, name: host.Name, ledger: ledger.New(host.Dir), notes: filepath.Join(host.Dir, "runs.json"), logs: map[string]tail{},
		redact: remote.Redactor(append(s.Options.Secrets(), s.Secrets...)...),
	}
	if s.Options.Verify.URL != "" {
		live, err := witness.New(s.Options.Verify, append(s.Options.Secrets(), s.Secrets...)...)
		if err != nil {
			return nil, err
		}
		t.witness = live
	}
	return t, nil
}

// Can is that what is live is reported, where the policy says how to find out.
func (t *Target) Can() adg.Capabilities { return adg.Capabilities{Reports: t.witness != nil} }

// Close lets go of idle connections.
func (t *Target) Close() error {
	var err error
	if c, ok := t.s.Platform.(io.Closer); ok {
		err = c.Close()
	}
	if t.witness != nil {
		err = errors.Join(err, t.witness.Close())
	}
	return err
}

// Apply starts the run of the operation, unless it was started before, by whichever process. It waits for runs of other
// operations to end first. The run goes on if ctx ends.
func (t *Target) Apply(ctx context.Context, want adg.Desired) (adg.Observed, error) {
	if err := want.Validate(); err != nil {
		return adg.Observed{}, adg.Permanent(err)
	}
	order, err := t.s.Options.order(want, t.name)
	if err != nil {
		return adg.Observed{}, fmt.Errorf("apply %s: %w", want.OpID, err)
	}
	operation, err := t.ledger.Begin(ctx, want)
	if err != nil {
		return adg.Observed{}, fmt.Errorf("apply %s: %w", want.OpID, err)
	}
	run, err := t.begin(ctx, order)
	operation.End(false)
	if err != nil {
		return adg.Observed{}, fmt.Errorf("apply %s: %w", want.OpID, err)
	}
	now := sight{run: run, found: true}
	t.remember(now, nil)
	observed, err := t.observe(ctx, now)
	if err != nil {
		// The run is there. What is live now is not known, and the next Current may tell.
		return adg.Observed{OpID: want.OpID, Text: t.printable(run.text()) + "; but " + err.Error()}, nil
	}
	return observed, nil
}

// Current follows the newest run, and asks what is live where the policy says how.
func (t *Target) Current(ctx context.Context) (adg.Observed, error) {
	if cause := context.Cause(ctx); cause != nil {
		return adg.Observed{}, adg.Errorf(adg.Unavailable, "nothing was asked: %w", cause)
	}
	now, err := t.look(ctx)
	if err != nil {
		return adg.Observed{}, err
	}
	return t.observe(ctx, now)
}

// Rehearse asks the platform whether the run could be started.
func (t *Target) Rehearse(ctx context.Context, want adg.Desired) ([]adg.Obstacle, error) {
	if err := want.Validate(); err != nil {
		return nil, adg.Permanent(err)
	}
	order, err := t.s.Options.order(want, t.name)
	if err != nil {
		return []adg.Obstacle{{Name: "capacity", Final: true, Text: err.Error()}}, nil
	}
	found, err := t.s.Platform.Check(ctx, order)
	switch {
	case err == nil:
		return found, nil
	case adg.IsPermanent(err):
		return append(found, adg.Obstacle{Name: "access", Final: true, Text: err.Error()}), nil
	default:
		return found, fmt.Errorf("rehearse %s: %w", want.OpID, err)
	}
}

// Private

// sight is how the newest run was seen.
type sight struct {
	at    time.Time
	found bool // there is one
	run   Run
	since string // what others have run after it
	// wanted is an operation that was asked for and whose run is not there, or not yet.
	wanted string
}

// remember keeps a look, unless another one was kept after before was read.
func (t *Target) remember(s sight, before *sight) {
	s.at = time.Now() //nolint:forbidigo // how long a look is good for is real time, and decides nothing
	t.mu.Lock()
	defer t.mu.Unlock()
	if before == nil || before.at.Equal(t.seen.at) {
		t.seen = s
	}
}

// look finds the newest run and asks how far it is, no more often than the policy says: every tick of every deployment
// may ask, and platforms count requests.
func (t *Target) look(ctx context.Context) (sight, error) {
	t.mu.Lock()
	last := t.seen
	t.mu.Unlock()
	if !last.at.IsZero() && time.Since(last.at) < t.s.Options.Poll { //nolint:forbidigo // see remember
		return last, nil
	}
	runs, noted, err := t.runs(ctx)
	if err != nil {
		return sight{}, err
	}
	var now sight
	ours := t.scope(noted)
	at := slices.IndexFunc(runs, func(r Run) bool { return ours(r.Tag) })
	switch {
	case len(noted) > 0 && noted[len(noted)-1].pending(runs):
		// How an older run ended says nothing about the operation that was asked for since.
		now = sight{wanted: noted[len(noted)-1].Tag.Op}
	case at >= 0:
		now = sight{run: runs[at], found: true, since: others(runs[:at])}
	case len(noted) > 0 && noted[len(noted)-1].ID != "":
		// It is so old that the platform does not list it any more, among the many runs of others.
		n := noted[len(noted)-1]
		now = sight{run: Run{ID: n.ID, Tag: n.Tag}, found: true}
	}
	if now.found {
		if now.run, err = t.s.Platform.Follow(ctx, now.run); err != nil {
			return sight{}, fmt.Errorf("follow run %s: %w", now.run.ID, err)
		}
	}
	t.remember(now, &last)
	return now, nil
}

// scope tells which runs are those of this target: what it was asked for last says for which service that is.
func (t *Target) scope(noted []note) func(Tag) bool {
	if len(noted) > 0 {
		return noted[len(noted)-1].Tag.shares
	}
	here := place(t.name, t.s.Options.Environment)
	return func(tag Tag) bool { return strings.HasPrefix(tag.Scope, here) }
}

// others says what runs of others, which began after ours, may have changed.
func others(newer []Run) string {
	for _, r := range newer {
		if r.Tag.IsZero() && !r.Untold && (r.State == Succeeded || r.State == Running) {
			return fmt.Sprintf("; run %s of the same pipeline was started by somebody else since: what is live may be its doing", r.ID)
		}
	}
	return ""
}

// runs are the recent ones, with the tags that only the notes know, and the notes.
func (t *Target) runs(ctx context.Context) ([]Run, []note, error) {
	noted, err := t.noted()
	if err != nil {
		return nil, nil, err
	}
	runs, err := t.s.Platform.Recent(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("list the runs of the pipeline: %w", err)
	}
	for i := range runs {
		at := slices.IndexFunc(noted, func(n note) bool { return n.ID != "" && n.ID == runs[i].ID })
		if at >= 0 && runs[i].Tag.IsZero() {
			runs[i].Tag = noted[at].Tag
		}
	}
	return runs, noted, nil
}

// begin brings it about that there is a run of the order, and just one.
func (t *Target) begin(ctx context.Context, order Order) (Run, error) {
	if err := t.ask(order.Tag); err != nil {
		return Run{}, err
	}
	began := time.Now() //nolint:forbidigo // compared with the time that a platform takes to show a run
	stopped := map[string]time.Time{}
	var busy *Run
	for {
		runs, noted, err := t.everyRun(ctx, order.Tag)
		if err != nil {
			return Run{}, cutOff(ctx, busy, err)
		}
		run, found, err := search(runs, noted, order.Tag)
		switch {
		case err != nil:
			return Run{}, err
		case found:
			return t.found(ctx, run)
		}
		busy = t.underWay(runs, order.Tag, stopped)
		untold := slices.ContainsFunc(runs, func(r Run) bool { return r.Untold }) && time.Since(began) < t.s.Options.Appear //nolint:forbidigo // as above
		switch {
		case busy != nil && order.Rollback:
			err = t.stop(ctx, busy, stopped)
		case busy == nil && !untold && !t.lagging(runs, noted):
			return t.start(ctx, order)
		}
		if err != nil {
			return Run{}, cutOff(ctx, busy, err)
		}
		if err := t.pause(ctx); err != nil {
			return Run{}, waiting(busy, err)
		}
	}
}

// search finds the run of the operation. An owner newer than the tag's is ErrFenced.
func search(runs []Run, noted []note, tag Tag) (run Run, found bool, err error) {
	for _, r := range runs {
		switch {
		case !r.Tag.shares(tag):
		case r.Tag.deployment() == tag.deployment() && r.Tag.Fence > tag.Fence:
			return Run{}, false, adg.ErrFenced
		case r.Tag.Op == tag.Op:
			return r, true, nil
		}
	}
	at := slices.IndexFunc(noted, func(n note) bool { return n.Tag.Op == tag.Op && n.ID != "" })
	if at >= 0 {
		return Run{ID: noted[at].ID, Tag: noted[at].Tag}, true, nil
	}
	return Run{}, false, nil
}

// everyRun are the recent runs and those that were noted and are not known to have ended, however many others the
// platform lists before them.
func (t *Target) everyRun(ctx context.Context, tag Tag) ([]Run, []note, error) {
	runs, noted, err := t.runs(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, n := range noted {
		if n.ID == "" || n.Ended || n.Tag.Op == tag.Op || !n.Tag.shares(tag) {
			continue
		}
		var run Run
		if at := slices.IndexFunc(runs, func(r Run) bool { return r.ID == n.ID }); at >= 0 {
			run = runs[at]
		} else if run, err = t.s.Platform.Follow(ctx, Run{ID: n.ID, Tag: n.Tag}); err != nil {
			return nil, nil, fmt.Errorf("follow run %s: %w", n.ID, err)
		} else {
			runs = append(runs, run)
		}
		if run.State.Ended() {
			if err := t.edit(n.Tag, func(n *note) { n.Ended = true }); err != nil {
				return nil, nil, err
			}
		}
	}
	return runs, noted, nil
}

// underWay is a run of another operation that has not ended; nil: there is none. One that waits for a person and could
// not be cancelled is none any more after a while: it does nothing by itself.
func (t *Target) underWay(runs []Run, tag Tag, stopped map[string]time.Time) *Run {
	at := slices.IndexFunc(runs, func(r Run) bool {
		asked, is := stopped[r.ID]
		idle := is && r.State == Waiting && time.Since(asked) > t.s.Options.Appear //nolint:forbidigo // how long the platform takes is real time
		return r.Tag.shares(tag) && r.Tag.Op != tag.Op && !r.State.Ended() && !idle
	})
	if at < 0 {
		return nil
	}
	return &runs[at]
}

// stop cancels a run that is in a rollback's way, once, where that may be done.
func (t *Target) stop(ctx context.Context, busy *Run, stopped map[string]time.Time) error {
	if _, done := stopped[busy.ID]; done {
		return nil
	}
	if busy.State == Running && !t.s.Options.Interrupt {
		// What is listed may not tell that a run waits for a person.
		now, err := t.s.Platform.Follow(ctx, *busy)
		if err != nil {
			return fmt.Errorf("follow run %s: %w", busy.ID, err)
		}
		if *busy = now; now.State == Running || now.State.Ended() {
			return nil
		}
	}
	err := t.s.Platform.Stop(ctx, *busy)
	if errors.Is(err, ErrNotYet) {
		return nil
	}
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return fmt.Errorf("cancel run %s of operation %s: %w", busy.ID, busy.Tag.Op, err)
	}
	stopped[busy.ID] = time.Now() //nolint:forbidigo // see underWay
	return nil
}

func (t *Target) found(ctx context.Context, run Run) (Run, error) {
	if err := t.edit(run.Tag, func(n *note) { n.ID = run.ID }); err != nil {
		return Run{}, err
	}
	run, err := t.s.Platform.Follow(ctx, run)
	if err != nil {
		return Run{}, fmt.Errorf("follow run %s: %w", run.ID, err)
	}
	return run, nil
}

// start writes down that a run is about to be started: should this process end before it knows the run, the next one
// gives the platform the time to show it.
func (t *Target) start(ctx context.Context, order Order) (Run, error) {
	//nolint:forbidigo // compared with the time that a platform takes to show a run
	if err := t.edit(order.Tag, func(n *note) { n.Sent = time.Now().UTC() }); err != nil {
		return Run{}, err
	}
	run, err := t.s.Platform.Start(ctx, order)
	if err != nil {
		if adg.IsPermanent(err) {
			err = errors.Join(err, t.edit(order.Tag, func(n *note) { n.Sent = time.Time{} }))
		}
		return Run{}, fmt.Errorf("start the pipeline: %w", err)
	}
	run.Tag = order.Tag
	for run.ID == "" {
		runs, noted, err := t.runs(ctx)
		if err != nil {
			return Run{}, err
		}
		at := slices.IndexFunc(runs, func(r Run) bool { return r.Tag.Op == order.Tag.Op })
		if at >= 0 {
			run = runs[at]
			break
		}
		if !t.lagging(runs, noted) {
			return Run{}, adg.Permanent(adg.Errorf(adg.Invalid,
				"the pipeline was started, but its run cannot be told from others: let the run carry the variable that is $run where the platform shows it, as the documentation of this target says"))
		}
		if err := t.pause(ctx); err != nil {
			return Run{}, adg.Errorf(adg.Unavailable, "the pipeline was started, and its run has not appeared yet: %w", err)
		}
	}
	return run, t.edit(run.Tag, func(n *note) { n.ID = run.ID })
}

// cutOff says what was waited for where the context ended in the middle of a request.
func cutOff(ctx context.Context, busy *Run, err error) error {
	if ctx.Err() != nil && busy != nil {
		return waiting(busy, context.Cause(ctx))
	}
	return err
}

func waiting(busy *Run, cause error) error {
	if busy == nil {
		return adg.Errorf(adg.Unavailable, "nothing was started: a run that may have been started before has not appeared yet: %w", cause)
	}
	return adg.Errorf(adg.Unavailable, "nothing was started: %s, of operation %s, and two may not run at once: %w", busy.text(), busy.Tag.Op, cause)
}

// pause waits between half of the policy's interval and one and a half of it, so that many targets do not ask at once.
func (t *Target) pause(ctx context.Context) error {
	timer := time.NewTimer(t.s.Options.Poll/2 + rand.N(t.s.Options.Poll))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
