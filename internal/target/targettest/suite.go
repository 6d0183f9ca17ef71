// Package targettest is the conformance suite of targets: every driver and every wrapper runs it. It counts what
// really happened at the target instead of believing what the target reports.
package targettest

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg"
)

// Planted is the secret that a fixture opens its target with, where the driver takes one: it may reach the target and
// nothing else.
const Planted = "planted-secret-4711"

// Fault is a way in which a target misbehaves.
type Fault uint8

// The faults.
const (
	Unreachable Fault = iota // nobody is there
	Hang                     // somebody is there and never answers
	Halfway                  // the next Apply changes something, then fails; the ones after it work
	Lie                      // every Apply is taken with thanks, and changes nothing
)

// Effect is one change at the target, as the target saw it begin.
type Effect struct {
	OpID       string // empty where the target cannot tell
	Fence      int64  // zero where the target cannot tell
	Overlapped bool   // another one was still running
}

// World is what stands behind a target, seen from the side that ADG does not see.
type World interface {
	// Shares is what really is live: percent by version. A version that is not there or has no traffic counts as 0.
	Shares(t *testing.T) map[string]float64
	// Effects are all changes so far, in the order in which they began.
	Effects(t *testing.T) []Effect
	// Break makes the target misbehave until mend is called.
	Break(t *testing.T, fault Fault) (mend func())
}

// Staffed is a World that knows how many servers each release has.
type Staffed interface {
	World
	// Shrink is somebody who takes away the servers of a release that has no traffic, and waits until they are gone.
	Shrink(t *testing.T, version string)
	// Moves are the changes of where traffic goes, in the order in which the target asked for them.
	Moves(t *testing.T) []Move
}

// Move is traffic that goes to a release from now on.
type Move struct {
	To    string  // the version
	Ready float64 // percent of the servers that it needs for the traffic and had ready at that moment
}

// Fixture is a target with v1 of the service shop live at 100 %.
type Fixture struct {
	Target adg.Target
	World  World
	// Reopen opens the same target once more, as another process does.
	Reopen func(t *testing.T) adg.Target
}

// Case is a target under test.
type Case struct {
	Open   func(t *testing.T) Fixture
	Faults []Fault // those that its world can have
	Fences bool    // it refuses an older fence itself
	Sizes  bool    // it brings releases to the size that they need; its worlds are Staffed
	// Tolerance is how far a share may be from the wanted one, in points; zero: exact.
	Tolerance float64
	// Parallel runs the cases at the same time: no world gets into another one's way.
	Parallel bool
}

// Run runs every case of the contract.
func Run(t *testing.T, c Case) {
	run := func(name string, test func(*testing.T, Case)) {
		t.Run(name, func(t *testing.T) {
			if c.Parallel {
				t.Parallel()
			}
			test(t, c)
		})
	}
	for name, test := range map[string]func(*testing.T, Case){
		"follows every step, and every way back":            steps,
		"reports the same after Apply and in Current":       agrees,
		"keeps the old release idle and goes back to it":    keepsIdle,
		"stages a release without traffic":                  stages,
		"does nothing twice for one operation":              once,
		"refuses an owner whose time is over":               fenced,
		"refuses a state that is none, and touches nothing": invalid,
		"starts nothing once the context is cancelled":      cancelled,
		"never writes to what it was lent":                  lent,
		"can be read while it is changed":                   concurrent,
		"runs operations of two processes one by one":       oneByOne,
		"brings a release to size before its traffic":       sizes,
	} {
		run(name, test)
	}
	for _, f := range c.Faults {
		switch f {
		case Unreachable:
			run("says that it cannot be reached, and recovers", unreachable)
		case Hang:
			run("gives up on a target that hangs when its time is over", hangs)
		case Halfway:
			run("converges after an attempt that failed half-way", halfway)
		case Lie:
			run("does not believe a target that changes nothing", lies)
		}
	}
}

// Release is a version of the service that fixtures deploy.
func Release(version string) adg.Release {
	return adg.Release{Service: "shop", Version: version, Commit: "c0ffee"}
}

// Want is a whole state: v2 gets share, v1 the rest; a release without traffic is idle.
func Want(op string, fence int64, share float64) adg.Desired {
	return adg.Desired{
		OpID: op, Deployment: "shop-v2-abc", Fence: fence,
		Releases: []adg.Placement{placed("v2", share, adg.CandidateRole), placed("v1", 100-share, adg.StableRole)},
	}
}

// Rollback is the way back: v1 gets everything, v2 is idle.
func Rollback(op string, fence int64) adg.Desired {
	want := Want(op, fence, 0)
	slices.Reverse(want.Releases)
	want.Rollback = true
	return want
}

// Private

func placed(version string, share float64, role adg.Role) adg.Placement {
	if share == 0 {
		role = adg.IdleRole
	}
	return adg.Placement{Release: Release(version), Share: share, Role: role}
}

// shares are those that the target can make without being told to be idle or to split.
func (c Case) shares(can adg.Capabilities) []float64 {
	if can.Shares {
		return []float64{5, 25, 50, 100}
	}
	return []float64{100}
}

func apply(t *testing.T, target adg.Target, want adg.Desired) adg.Observed {
	t.Helper()
	seen, err := target.Apply(t.Context(), want)
	if err != nil {
		t.Fatalf("apply %s: %v", want.OpID, err)
	}
	hidesSecrets(t, err, seen)
	return seen
}

// current reads the state until it is done: a target may need some time after Apply, and the processors for that.
func current(t *testing.T, target adg.Target) adg.Observed {
	t.Helper()
	for {
		seen, err := target.Current(t.Context())
		if err != nil {
			t.Fatalf("current: %v", err)
		}
		hidesSecrets(t, err, seen)
		if seen.Done || seen.Failed || t.Context().Err() != nil {
			return seen
		}
		pause(t)
	}
}

// live says that v2 has the share and v1 the rest, in the world and in what the target reports.
func (c Case) live(t *testing.T, f Fixture, share float64) {
	t.Helper()
	seen := current(t, f.Target)
	really := f.World.Shares(t)
	for version, want := range map[string]float64{"v2": share, "v1": 100 - share} {
		if got := really[version]; math.Abs(got-want) > c.Tolerance {
			t.Errorf("%s really has %.2f %%, want %g %%", version, got, want)
		}
		if !f.Target.Can().Reports {
			continue
		}
		if got, _ := seen.Share(version); math.Abs(got-really[version]) > c.Tolerance {
			t.Errorf("%s is reported with %.2f %%, and really has %.2f %%", version, got, really[version])
		}
	}
	if !seen.Done || seen.Failed {
		t.Errorf("not done: %+v", seen)
	}
}

// pause keeps whoever asks again and again from taking the time that the target needs.
func pause(t *testing.T) {
	timer := time.NewTimer(20 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}

func hidesSecrets(t *testing.T, err error, seen adg.Observed) {
	t.Helper()
	for _, text := range []string{fmt.Sprint(err), fmt.Sprintf("%+v %#v", err, err), fmt.Sprintf("%+v", seen)} {
		if strings.Contains(text, Planted) {
			t.Errorf("a secret shows in %s", text)
		}
	}
}

// counted says that nothing overlapped and that nothing of an older fence came after a newer one.
func counted(t *testing.T, w World) {
	t.Helper()
	newest := int64(0)
	for _, e := range w.Effects(t) {
		if e.Overlapped {
			t.Errorf("%s began while another was running", e.OpID)
		}
		if e.Fence != 0 && e.Fence < newest {
			t.Errorf("%s of fence %d came after fence %d", e.OpID, e.Fence, newest)
		}
		newest = max(newest, e.Fence)
	}
}

// untouched says that nothing was changed by what f does.
func untouched(t *testing.T, w World, f func()) {
	t.Helper()
	shares, effects := w.Shares(t), len(w.Effects(t))
	f()
	if more := len(w.Effects(t)) - effects; more != 0 {
		t.Errorf("%d changes at the target, want none", more)
	}
	if diff := cmp.Diff(shares, w.Shares(t)); diff != "" {
		t.Errorf("the target is changed:\n%s", diff)
	}
}
