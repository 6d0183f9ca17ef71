package flagtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/targettest"
)

// Fixture is a flag that is off, of a target that stands for the versions On and Off.
type Fixture struct {
	World *World
	// Open opens the target as a process with that directory does; processes of one machine share it.
	Open func(t *testing.T, dir string) adg.Target
}

// Case is a driver under test.
type Case struct {
	Fixture func(t *testing.T) Fixture
	Atomic  bool // one request changes all
	Whole   bool // the platform knows whole percents only
	// Parallel runs the cases at the same time: each fixture is a flag of its own, and most of the time they wait.
	Parallel bool
}

// Run runs the conformance suite of targets, and what flags have to survive beside it.
func Run(t *testing.T, c Case) {
	faults := []targettest.Fault{targettest.Unreachable, targettest.Hang, targettest.Lie}
	if !c.Atomic {
		faults = append(faults, targettest.Halfway)
	}
	targettest.Run(t, targettest.Case{
		Open: func(t *testing.T) targettest.Fixture {
			f, dir := c.Fixture(t), t.TempDir()
			return targettest.Fixture{
				Target: f.Open(t, dir), World: f.World, Reopen: func(t *testing.T) adg.Target { return f.Open(t, dir) },
			}
		},
		Faults: faults, Fences: true, Parallel: c.Parallel,
	})
	for name, test := range map[string]func(*testing.T, Fixture){
		"is throttled and says for how long":                     throttled,
		"says that its credentials are refused":                  denied,
		"says that the flag is archived, and rehearses so":       archived,
		"leaves what somebody else has set, and rolls back":      movedByHand,
		"does not switch on again what a person has killed":      killedByHand,
		"refuses an owner that another machine has taken over":   fencedElsewhere,
		"leaves what a new owner has done since it read":         overtaken,
		"tries again after a conflict, and not for ever":         clashes,
		"refuses a version that the flag does not stand for":     stranger,
		"notes a new owner of an operation that is done already": inherited,
	} {
		c.run(t, name, func(t *testing.T) { test(t, c.Fixture(t)) })
	}
	c.run(t, "is killed at every request and taken over", func(t *testing.T) { killed(t, c) })
	c.run(t, "is put off, or loses its credentials, at every request of a rollback, and goes on", func(t *testing.T) { putOff(t, c) })
	if c.Whole {
		c.run(t, "refuses a share between two percents", func(t *testing.T) { between(t, c.Fixture(t)) })
	}
}

// Private

func (c Case) run(t *testing.T, name string, test func(*testing.T)) {
	t.Run(name, func(t *testing.T) {
		if c.Parallel {
			t.Parallel()
		}
		test(t)
	})
}

// journeys are what an operation may find and want.
var journeys = []struct {
	name   string
	before []float64
	want   adg.Desired
}{
	{"from off to a part", nil, targettest.Want("shop-v2-abc/9", 1, 25)},
	{"from a part to all", []float64{25}, targettest.Want("shop-v2-abc/9", 1, 100)},
	{"back from a part", []float64{25, 50}, targettest.Rollback("shop-v2-abc/9", 1)},
}

// killed ends the process at each request in turn, before it arrives, after it and while it waits.
func killed(t *testing.T, c Case) {
	var hits atomic.Int64
	t.Cleanup(func() { // once all of them are through
		if got := hits.Load(); int(got) < len(journeys)*3*2 {
			t.Errorf("%d requests were broken off, and every operation reads and writes", got)
		}
	})
	for _, journey := range journeys {
		for _, step := range []Step{Refuse, Lose, Stall} {
			c.run(t, fmt.Sprintf("%s, step %d", journey.name, step), func(t *testing.T) {
				for n, reached := 1, true; reached; n++ {
					reached = false
					t.Run(fmt.Sprintf("request %d", n), func(t *testing.T) {
						reached = killedAt(t, c.Fixture(t), journey.before, journey.want, step, n)
					})
					if reached {
						hits.Add(1)
					}
				}
			})
		}
	}
}

func killedAt(t *testing.T, f Fixture, before []float64, want adg.Desired, step Step, n int) (reached bool) {
	target := f.Open(t, t.TempDir())
	was := 0.0
	for i, share := range before {
		applied(t, target, targettest.Want(fmt.Sprintf("shop-v2-abc/%d", i+1), 1, share))
		was = share
	}
	ctx, kill := context.WithCancelCause(t.Context())
	defer kill(nil)
	f.World.Script(func(seen int, _ bool) Step {
		switch {
		case seen < n:
			return Pass
		case seen == n:
			if step == Stall {
				kill(errHome)
			}
			return step
		default:
			return Refuse // the dead ask for nothing
		}
	})
	begin := time.Now()
	seen, err := target.Apply(ctx, want)
	reached = f.World.Seen() >= n
	if reached && err == nil && seen.Done {
		t.Errorf("it was broken off, and reports %+v", seen)
	}
	if took := time.Since(begin); took > 9*time.Second {
		t.Errorf("it took %s to end", took)
	}
	f.World.Script(pass)
	wanted, _ := adg.Observed{Releases: want.Releases}.Share(On)
	if now := f.World.Share(t); !slices.Contains([]float64{0, was, wanted}, now) {
		t.Errorf("broken off between %g %% and %g %%, %g %% of the users have it on", was, wanted, now)
	}
	want.Fence++
	elsewhere := f.Open(t, t.TempDir())
	applied(t, elsewhere, want)
	if now := f.World.Share(t); now != wanted {
		t.Errorf("taken over, %g %% of the users have it on, want %g %%", now, wanted)
	}
	effects := len(f.World.Effects(t))
	applied(t, elsewhere, want)
	if more := len(f.World.Effects(t)) - effects; more != 0 {
		t.Errorf("once more, it made %d changes", more)
	}
	return reached
}

// putOff has the platform refuse each request of a rollback in turn, and all that come after it; then the same owner goes on.
func putOff(t *testing.T, c Case) {
	for step, refusal := range map[Step]func(error) bool{
		Throttle: func(err error) bool { wait, told := adg.RetryAfter(err); return told && wait == 7*time.Second },
		Deny:     func(err error) bool { return adg.CodeOf(err) == adg.Unauthorized && adg.IsPermanent(err) },
	} {
		reached := true
		for n := 1; reached; n++ {
			f := c.Fixture(t)
			target := f.Open(t, t.TempDir())
			applied(t, target, targettest.Want("shop-v2-abc/1", 1, 25))
			f.World.Script(func(seen int, _ bool) Step {
				if seen < n {
					return Pass
				}
				return step
			})
			seen, err := target.Apply(t.Context(), targettest.Rollback("shop-v2-abc/2", 1))
			reached = f.World.Seen() >= n
			switch {
			case !reached && err != nil, reached && err != nil && !refusal(err):
				t.Errorf("step %d at request %d: %v", step, n, err)
			case reached && err == nil && seen.Done: // what applications get is the last thing that is asked
				t.Errorf("step %d at request %d: it reports %+v", step, n, seen)
			}
			f.World.Script(pass)
			applied(t, target, targettest.Rollback("shop-v2-abc/2", 1))
			live(t, f, target, 0)
		}
	}
}

func throttled(t *testing.T, f Fixture) {
	target := f.Open(t, t.TempDir())
	f.World.Script(func(int, bool) Step { return Throttle })
	_, applyErr := target.Apply(t.Context(), targettest.Want("shop-v2-abc/1", 1, 25))
	_, currentErr := target.Current(t.Context())
	for _, err := range []error{applyErr, currentErr} {
		if wait, told := adg.RetryAfter(err); !told || wait != 7*time.Second || adg.IsPermanent(err) {
			t.Errorf("wait %s, %v", wait, err)
		}
	}
}

func denied(t *testing.T, f Fixture) {
	target := f.Open(t, t.TempDir())
	f.World.Script(func(int, bool) Step { return Deny })
	_, applyErr := target.Apply(t.Context(), targettest.Want("shop-v2-abc/1", 1, 25))
	_, currentErr := target.Current(t.Context())
	for _, err := range []error{applyErr, currentErr} {
		if adg.CodeOf(err) != adg.Unauthorized || !adg.IsPermanent(err) || strings.Contains(fmt.Sprint(err), targettest.Planted) {
			t.Errorf("got %v (%s)", err, adg.CodeOf(err))
		}
	}
	rehearsed(t, target, "access")
}

func archived(t *testing.T, f Fixture) {
	target := f.Open(t, t.TempDir())
	applied(t, target, targettest.Want("shop-v2-abc/1", 1, 25))
	rehearsed(t, target, "")
	f.World.Archive(t)
	_, applyErr := target.Apply(t.Context(), targettest.Rollback("shop-v2-abc/2", 1))
	_, currentErr := target.Current(t.Context())
	for _, err := range []error{applyErr, currentErr} {
		if adg.CodeOf(err) != adg.NotFound || !adg.IsPermanent(err) {
			t.Errorf("got %v (%s)", err, adg.CodeOf(err))
		}
	}
	rehearsed(t, target, "release")
}

func movedByHand(t *testing.T, f Fixture) {
	target := f.Open(t, t.TempDir())
	applied(t, target, targettest.Want("shop-v2-abc/1", 1, 25))
	f.World.Set(t, 60)
	seen, err := target.Current(t.Context())
	if share, _ := seen.Share(On); err != nil || share != 60 || seen.Done || !strings.Contains(seen.Text, "somebody else") {
		t.Errorf("after somebody else: %+v, %v", seen, err)
	}
	refuses(t, f, target, 60)
	applied(t, target, targettest.Rollback("shop-v2-abc/3", 1))
	live(t, f, target, 0)
}

func killedByHand(t *testing.T, f Fixture) {
	target := f.Open(t, t.TempDir())
	applied(t, target, targettest.Want("shop-v2-abc/1", 1, 25))
	f.World.Set(t, 0)
	refuses(t, f, target, 0)
	applied(t, target, targettest.Rollback("shop-v2-abc/3", 1))
	live(t, f, target, 0)
}

// refuses says that a step forward does not overwrite somebody else's share.
func refuses(t *testing.T, f Fixture, target adg.Target, share float64) {
	t.Helper()
	_, err := target.Apply(t.Context(), targettest.Want("shop-v2-abc/2", 1, 50))
	if adg.CodeOf(err) != adg.Conflict || !adg.IsPermanent(err) {
		t.Errorf("a step forward: %v", err)
	}
	if now := f.World.Share(t); now != share {
		t.Errorf("somebody else has set %g %%, and it is %g %%", share, now)
	}
}

func fencedElsewhere(t *testing.T, f Fixture) {
	old, young := f.Open(t, t.TempDir()), f.Open(t, t.TempDir())
	applied(t, old, targettest.Want("shop-v2-abc/1", 1, 25))
	applied(t, young, targettest.Rollback("shop-v2-abc/2", 2))
	effects := len(f.World.Effects(t))
	if _, err := old.Apply(t.Context(), targettest.Want("shop-v2-abc/3", 1, 50)); !errors.Is(err, adg.ErrFenced) {
		t.Errorf("the old owner: %v", err)
	}
	if more := len(f.World.Effects(t)) - effects; more != 0 {
		t.Errorf("the old owner made %d changes", more)
	}
	live(t, f, young, 0)
}

// overtaken has an owner read, and another machine roll back before the first one goes on.
func overtaken(t *testing.T, f Fixture) {
	old, young := f.Open(t, t.TempDir()), f.Open(t, t.TempDir())
	applied(t, old, targettest.Want("shop-v2-abc/1", 1, 25))
	f.World.Meanwhile(2, func() {
		if _, err := young.Apply(t.Context(), targettest.Rollback("shop-v2-abc/3", 2)); err != nil {
			t.Errorf("the new owner: %v", err)
		}
	})
	if seen, err := old.Apply(t.Context(), targettest.Want("shop-v2-abc/2", 1, 50)); !errors.Is(err, adg.ErrFenced) {
		t.Errorf("the old owner: %+v, %v", seen, err)
	}
	live(t, f, young, 0)
}

func inherited(t *testing.T, f Fixture) {
	old, young := f.Open(t, t.TempDir()), f.Open(t, t.TempDir())
	applied(t, old, targettest.Want("shop-v2-abc/1", 1, 25))
	applied(t, young, targettest.Want("shop-v2-abc/1", 2, 25))
	if _, err := old.Apply(t.Context(), targettest.Want("shop-v2-abc/2", 1, 50)); !errors.Is(err, adg.ErrFenced) {
		t.Errorf("the old owner: %v", err)
	}
	live(t, f, young, 25)
}

func clashes(t *testing.T, f Fixture) {
	target := f.Open(t, t.TempDir())
	left := 2
	f.World.Script(func(_ int, changes bool) Step {
		if changes && left > 0 {
			left--
			return Clash
		}
		return Pass
	})
	applied(t, target, targettest.Want("shop-v2-abc/1", 1, 25))
	live(t, f, target, 25)
	f.World.Script(func(_ int, changes bool) Step {
		if changes {
			return Clash
		}
		return Pass
	})
	_, err := target.Apply(t.Context(), targettest.Want("shop-v2-abc/2", 1, 50))
	if adg.CodeOf(err) != adg.Unavailable || adg.IsPermanent(err) {
		t.Errorf("conflicts without end: %v", err)
	}
}

func stranger(t *testing.T, f Fixture) {
	target := f.Open(t, t.TempDir())
	want := targettest.Want("shop-v2-abc/1", 1, 25)
	want.Releases[0].Release.Version = "v3"
	if _, err := target.Apply(t.Context(), want); adg.CodeOf(err) != adg.Invalid || !adg.IsPermanent(err) || !strings.Contains(err.Error(), "v3") {
		t.Errorf("got %v", err)
	}
	live(t, f, target, 0)
}

func between(t *testing.T, f Fixture) {
	target := f.Open(t, t.TempDir())
	if _, err := target.Apply(t.Context(), targettest.Want("shop-v2-abc/1", 1, 2.5)); adg.CodeOf(err) != adg.Invalid || !adg.IsPermanent(err) {
		t.Errorf("got %v", err)
	}
	live(t, f, target, 0)
}

func applied(t *testing.T, target adg.Target, want adg.Desired) {
	t.Helper()
	if _, err := target.Apply(t.Context(), want); err != nil {
		t.Fatalf("apply %s: %v", want.OpID, err)
	}
}

// live waits until the target says done, and says that it is.
func live(t *testing.T, f Fixture, target adg.Target, share float64) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond) // others need the platform and the processors meanwhile
	defer tick.Stop()
	var seen adg.Observed
	for begin := time.Now(); !seen.Done && time.Since(begin) < time.Minute; <-tick.C {
		var err error
		if seen, err = target.Current(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got, _ := seen.Share(On); got != share || !seen.Done {
		t.Errorf("%+v is reported, want %g %%", seen, share)
	}
	if really := f.World.Share(t); really != share {
		t.Errorf("%g %% of the users have it on, want %g %%", really, share)
	}
}

func rehearsed(t *testing.T, target adg.Target, obstacle string) {
	t.Helper()
	rehearser, can := adg.PowerOf[adg.Rehearser](target)
	if !can {
		t.Fatal("it cannot be rehearsed")
	}
	found, err := rehearser.Rehearse(t.Context(), targettest.Rollback("shop-v2-abc/9", 1))
	switch {
	case err != nil:
		t.Error(err)
	case obstacle == "" && len(found) > 0, obstacle != "" && (len(found) != 1 || found[0].Name != obstacle || !found[0].Final):
		t.Errorf("in the way: %+v, want %q", found, obstacle)
	}
}
