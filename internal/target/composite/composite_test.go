package composite

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/targettest"
)

// tape notes in which order the parts were asked for what.
type tape struct{ lines []string }

// recorded is a part that notes its changes, and can misbehave.
type recorded struct {
	*targettest.Memory
	tape     *tape
	name     string
	looks    int // until it has converged
	err      error
	gaveUp   bool
	migrates bool
	obstacle string
	suspends string
	applied  func() // called when it has changed; nil: nothing happens
}

func (r *recorded) Can() adg.Capabilities {
	can := r.Memory.Can()
	if can.Migrate = r.migrates; r.migrates {
		can.Shares = false
	}
	return can
}

func (r *recorded) Apply(ctx context.Context, want adg.Desired) (adg.Observed, error) {
	r.tape.lines = append(r.tape.lines, r.name)
	if r.err != nil {
		return adg.Observed{}, r.err
	}
	seen, err := r.Memory.Apply(ctx, want)
	if r.applied != nil {
		r.applied()
	}
	return r.as(seen), err
}

func (r *recorded) Current(ctx context.Context) (adg.Observed, error) {
	if r.looks > 0 {
		r.looks--
	}
	seen, err := r.Memory.Current(ctx)
	return r.as(seen), err
}

func (r *recorded) as(seen adg.Observed) adg.Observed {
	seen.Done, seen.Failed, seen.Suspended = r.looks == 0 && !r.gaveUp, r.gaveUp, r.suspends
	if !seen.Done {
		seen.Text = "on its way"
	}
	return seen
}

func (r *recorded) Rehearse(context.Context, adg.Desired) ([]adg.Obstacle, error) {
	if r.obstacle == "" {
		return nil, r.err
	}
	return []adg.Obstacle{{Name: "release", Text: r.obstacle}}, r.err
}

func (r *recorded) Suspends(context.Context, adg.Desired) (string, error) {
	return r.suspends, r.err
}

func (r *recorded) Resume(context.Context, []adg.Release) (adg.Observed, error) {
	r.suspends = ""
	return r.Current(context.Background())
}

// whole opens a composite of parts a, b and c.
func whole(t *testing.T, o Options) (adg.Target, map[string]*recorded, *tape) {
	t.Helper()
	parts, heard := map[string]*recorded{}, &tape{}
	for _, name := range []string{"a", "b", "c"} {
		parts[name] = &recorded{Memory: targettest.NewMemory(), tape: heard, name: name}
		o.Parts = append(o.Parts, name)
	}
	return assembled(t, o, parts), parts, heard
}

// assembled is a composite of these parts, as each process opens one for itself.
func assembled(t *testing.T, o Options, parts map[string]*recorded) adg.Target {
	t.Helper()
	target, err := Driver.Open(t.Context(), o, adg.Host{Name: "all", Target: func(_ context.Context, name string) (adg.Target, error) {
		if p, found := parts[name]; found {
			return p, nil
		}
		return nil, fmt.Errorf("there is no %s", name)
	}})
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func TestItKeepsTheContractOfATarget(t *testing.T) {
	targettest.Run(t, targettest.Case{
		Open: func(t *testing.T) targettest.Fixture {
			m := targettest.NewMemory()
			open := func(t *testing.T) adg.Target {
				target, err := Driver.Open(t.Context(), Options{Parts: []string{"one"}}, adg.Host{Name: "all", Target: func(context.Context, string) (adg.Target, error) { return m, nil }})
				if err != nil {
					t.Fatal(err)
				}
				return target
			}
			return targettest.Fixture{Target: open(t), World: m, Reopen: open}
		},
		Faults: []targettest.Fault{targettest.Unreachable, targettest.Hang, targettest.Halfway, targettest.Lie}, Fences: true,
	})
}

func TestPartsGoForwardInTheirOrderAndBackInTheOppositeOne(t *testing.T) {
	target, parts, heard := whole(t, Options{})
	for _, want := range []adg.Desired{targettest.Want("d/1", 1, 100), targettest.Rollback("d/2", 1)} {
		if seen, err := target.Apply(t.Context(), want); err != nil || !seen.Done || seen.OpID != want.OpID {
			t.Fatalf("%+v, %v", seen, err)
		}
	}
	if got := strings.Join(heard.lines, " "); got != "a b c c b a" {
		t.Errorf("asked %s", got)
	}
	for name, p := range parts {
		if diff := cmp.Diff(map[string]float64{"v1": 100}, p.Shares(t)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestAPartIsBegunWhenTheOneBeforeItHasConverged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target, parts, heard := whole(t, Options{})
		parts["a"].looks = 5
		begin := time.Now()
		if seen, err := target.Apply(t.Context(), targettest.Want("d/1", 1, 100)); err != nil || !seen.Done {
			t.Fatalf("%+v, %v", seen, err)
		}
		if waited := time.Since(begin); waited < 5*firstLook || len(heard.lines) != 3 {
			t.Errorf("after %s: %v", waited, heard.lines)
		}
		parts["c"].looks = 1
		seen, err := target.Apply(t.Context(), targettest.Want("d/2", 1, 25))
		if err != nil || seen.Done || !strings.Contains(seen.Text, "c: on its way") {
			t.Errorf("the last part need not be waited for: %+v, %v", seen, err)
		}
	})
}

func TestAPartThatDoesNotConvergeInTimeKeepsTheOthersBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target, parts, heard := whole(t, Options{})
		parts["b"].looks = 1000
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errors.New("the time is over"))
		defer cancel()
		_, err := target.Apply(ctx, targettest.Want("d/1", 1, 100))
		if err == nil || adg.IsPermanent(err) || !strings.Contains(err.Error(), "part b (a done before it)") || !strings.Contains(err.Error(), "the time is over") {
			t.Error(err)
		}
		if got := strings.Join(heard.lines, " "); got != "a b" {
			t.Errorf("asked %s", got)
		}
	})
}

func TestAPartThatSaysDoneAndReportsSomethingElseKeepsTheOthersBack(t *testing.T) {
	for name, want := range map[string]adg.Desired{"forward": targettest.Want("d/2", 1, 100), "back": targettest.Rollback("d/2", 1)} {
		synctest.Test(t, func(t *testing.T) {
			target, parts, heard := whole(t, Options{})
			first, share := parts["a"], 25.0
			if want.Rollback {
				first = parts["c"]
			}
			if _, err := target.Apply(t.Context(), targettest.Want("d/1", 1, share)); err != nil {
				t.Fatal(err)
			}
			heard.lines = nil
			mend := first.Break(t, targettest.Lie)
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errors.New("the time is over"))
			defer cancel()
			_, err := target.Apply(ctx, want)
			if err == nil || adg.IsPermanent(err) || !strings.Contains(err.Error(), "part "+first.name) || !strings.Contains(err.Error(), "it says that it is done, and v") {
				t.Errorf("%s: %v", name, err)
			}
			if len(heard.lines) != 1 {
				t.Errorf("%s: asked %v", name, heard.lines)
			}
			mend()
			want.OpID = "d/3"
			if seen, err := target.Apply(t.Context(), want); err != nil || !seen.Done {
				t.Errorf("%s, mended: %+v, %v", name, seen, err)
			}
		})
	}
}

// TestWhoIsKilledAtAnyPartIsFollowedAndNoPartIsChangedTwice ends the process before the first part, and after each one.
func TestWhoIsKilledAtAnyPartIsFollowedAndNoPartIsChangedTwice(t *testing.T) {
	for _, want := range []adg.Desired{targettest.Want("d/2", 1, 100), targettest.Rollback("d/2", 1)} {
		for _, last := range []string{"", "a", "b", "c"} {
			name := fmt.Sprintf("rollback %v, killed after %q", want.Rollback, last)
			old, parts, heard := whole(t, Options{})
			if _, err := old.Apply(t.Context(), targettest.Want("d/1", 1, 25)); err != nil {
				t.Fatal(err)
			}
			heard.lines = nil
			ctx, kill := context.WithCancelCause(t.Context())
			defer kill(nil)
			if last == "" {
				kill(errors.New("killed"))
			} else {
				parts[last].applied = func() { kill(errors.New("killed")) }
			}
			if seen, err := old.Apply(ctx, want); err == nil && seen.Done && last == "" {
				t.Errorf("%s: %+v", name, seen)
			}
			if at := strings.Join(heard.lines, " "); last != "" && !strings.HasSuffix(at, last) {
				t.Errorf("%s: it went on: %s", name, at)
			}
			next := want
			next.Fence = 2
			if seen, err := assembled(t, Options{Parts: []string{"a", "b", "c"}}, parts).Apply(t.Context(), next); err != nil || !seen.Done {
				t.Errorf("%s: the next owner: %+v, %v", name, seen, err)
			}
			if _, err := old.Apply(t.Context(), targettest.Want("d/3", 1, 50)); !errors.Is(err, adg.ErrFenced) {
				t.Errorf("%s: the one before woke up: %v", name, err)
			}
			share, _ := adg.Observed{Releases: want.Releases}.Share("v2")
			for part, p := range parts {
				if got := p.Shares(t)["v2"]; got != share || len(p.Effects(t)) != 2 {
					t.Errorf("%s: part %s has v2 at %g %%, after %d changes", name, part, got, len(p.Effects(t)))
				}
			}
		}
	}
}

func TestWhatSeveralFailuresMeanForTryingAgainIsKept(t *testing.T) {
	slow := func(d time.Duration) error { return adg.Throttled(adg.Errorf(adg.Unavailable, "slowly"), d) }
	for _, c := range []struct {
		name          string
		first, second error
		fenced        bool
		wait          time.Duration
		throttled     bool
	}{
		{"the owner's time is over at one", adg.ErrFenced, errors.New("no route"), true, 0, false},
		{"the owner's time is over at the other", errors.New("no route"), adg.ErrFenced, true, 0, false},
		{"two ask to wait", slow(3 * time.Second), slow(7 * time.Second), false, 7 * time.Second, true},
		{"one asks to wait", errors.New("no route"), slow(3 * time.Second), false, 3 * time.Second, true},
		{"one has no right, and one asks to wait", adg.Permanent(errors.New("no right")), slow(0), false, 0, true},
		{"nobody asks to wait", errors.New("no route"), errors.New("no route"), false, 0, false},
	} {
		target, parts, _ := whole(t, Options{Independent: true})
		parts["a"].err, parts["c"].err = c.first, c.second
		_, err := target.Apply(t.Context(), targettest.Want("d/1", 1, 100))
		if wait, throttled := adg.RetryAfter(err); errors.Is(err, adg.ErrFenced) != c.fenced || wait != c.wait || throttled != c.throttled || adg.IsPermanent(err) {
			t.Errorf("%s: %v, wait %s", c.name, err, wait)
		}
		if err == nil || !strings.Contains(err.Error(), "part a") || !strings.Contains(err.Error(), "part c") {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestWhatFailsStopsTheOthersUnlessTheyAreIndependent(t *testing.T) {
	for _, c := range []struct {
		what        string
		independent bool
		spoil       func(map[string]*recorded)
		asked       string
		failed      bool
		text        string
		permanent   bool
	}{
		{what: "an error of the middle one", spoil: func(p map[string]*recorded) { p["b"].err = errors.New("no route") }, asked: "c b", text: "part b (c done before it): no route"},
		{what: "an error for good", spoil: func(p map[string]*recorded) { p["b"].err = adg.Permanent(errors.New("no right")) }, asked: "c b", text: "no right", permanent: true},
		{what: "one that gave up", spoil: func(p map[string]*recorded) { p["c"].gaveUp = true }, asked: "c", failed: true, text: "2 of 3 parts were not begun"},
		{what: "independent, one fails", independent: true, spoil: func(p map[string]*recorded) { p["b"].err = errors.New("no route") }, asked: "c b a", text: "part b (c done before it): no route"},
		{what: "independent, one of two failures may pass", independent: true, spoil: func(p map[string]*recorded) {
			p["b"].err, p["a"].err = adg.Permanent(errors.New("no right")), errors.New("no route")
		}, asked: "c b a", text: "no right; part a (c done before it): no route"},
	} {
		target, parts, heard := whole(t, Options{Independent: c.independent})
		c.spoil(parts)
		seen, err := target.Apply(t.Context(), targettest.Rollback("d/1", 1))
		said := seen.Text
		if err != nil {
			said = err.Error()
		}
		if got := strings.Join(heard.lines, " "); got != c.asked || !strings.Contains(said, c.text) || seen.Failed != c.failed || seen.Done || adg.IsPermanent(err) != c.permanent {
			t.Errorf("%s: asked %s, %+v, %v", c.what, got, seen, err)
		}
	}
}

func TestTheWholeIsNoFurtherThanItsLeastPart(t *testing.T) {
	target, parts, _ := whole(t, Options{})
	for name, share := range map[string]float64{"a": 100, "b": 25, "c": 50} {
		if _, err := parts[name].Memory.Apply(t.Context(), targettest.Want("d/1", 1, share)); err != nil {
			t.Fatal(err)
		}
	}
	seen, err := target.Current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if share, _ := seen.Share("v2"); share != 25 {
		t.Errorf("v2, which has most of the traffic, has %g %%", share)
	}
	if old, _ := seen.Share("v1"); old != 75 {
		t.Errorf("v1 has %g %%, and one part has 75 %% of it", old)
	}
	if _, err := parts["b"].Memory.Apply(t.Context(), targettest.Want("d/2", 1, 25)); err != nil {
		t.Fatal(err)
	}
	if seen, err := target.Current(t.Context()); err != nil || seen.Done {
		t.Errorf("parts speak of different operations: %+v, %v", seen, err)
	}
}

func TestABadReleaseThatIsBackInOnePartIsSeen(t *testing.T) {
	target, parts, _ := whole(t, Options{})
	if _, err := target.Apply(t.Context(), targettest.Rollback("d/1", 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := parts["b"].Memory.Apply(t.Context(), targettest.Want("e/1", 1, 100)); err != nil {
		t.Fatal(err)
	}
	seen, err := target.Current(t.Context())
	if bad, _ := seen.Share("v2"); err != nil || bad != 100 {
		t.Errorf("v2 has %g %%, %v", bad, err)
	}
	if good, _ := seen.Share("v1"); good != 0 {
		t.Errorf("v1 has %g %%", good)
	}
}

func TestIndependentPartsDoNotWaitForEachOther(t *testing.T) {
	target, parts, heard := whole(t, Options{Independent: true})
	parts["a"].looks = 1_000_000
	seen, err := target.Apply(t.Context(), targettest.Want("d/1", 1, 100))
	if err != nil || seen.Done || seen.Failed || len(heard.lines) != 3 {
		t.Errorf("%+v, %v, asked %v", seen, err, heard.lines)
	}
}

func TestADatabaseHasNoSharesOfItsOwn(t *testing.T) {
	target, parts, heard := whole(t, Options{})
	parts["a"].migrates = true
	if can := target.Can(); !can.Migrate || !can.Shares {
		t.Errorf("%+v", can)
	}
	if _, err := target.Apply(t.Context(), targettest.Want("d/1", 1, 25)); err != nil {
		t.Fatal(err)
	}
	if _, err := parts["a"].Memory.Apply(t.Context(), targettest.Want("d/1b", 1, 100)); err != nil {
		t.Fatal(err)
	}
	seen, err := target.Current(t.Context())
	if share, _ := seen.Share("v1"); err != nil || share != 75 {
		t.Errorf("%+v, %v", seen, err)
	}
	if _, err := target.Apply(t.Context(), targettest.Rollback("d/2", 1)); err != nil || heard.lines[len(heard.lines)-1] != "a" {
		t.Errorf("the schema goes back last: %v, %v", heard.lines, err)
	}
}

func TestWhatPartsCanBeyondTheContractTheWholeCan(t *testing.T) {
	target, parts, _ := whole(t, Options{})
	parts["b"].obstacle, parts["c"].err = "the image is gone", errors.New("no answer")
	rehearser, _ := adg.PowerOf[adg.Rehearser](target)
	found, err := rehearser.Rehearse(t.Context(), targettest.Rollback("d/1", 1))
	if len(found) != 1 || found[0].Text != "b: the image is gone" || err == nil || !strings.Contains(err.Error(), "part c: no answer") {
		t.Errorf("%v, %v", found, err)
	}
	parts["a"].suspends, parts["b"].suspends = "sync of a", "sync of b"
	if seen, err := target.Current(t.Context()); err != nil || seen.Suspended != "sync of a, sync of b" {
		t.Errorf("%+v, %v", seen, err)
	}
	suspender, _ := adg.PowerOf[adg.Suspender](target)
	if what, err := suspender.Suspends(t.Context(), targettest.Rollback("d/1", 1)); what != "sync of a, sync of b" || err == nil || !strings.Contains(err.Error(), "part c: no answer") {
		t.Errorf("it would suspend %q, %v", what, err)
	}
	if seen, err := suspender.Resume(t.Context(), nil); err != nil || seen.Suspended != "" {
		t.Errorf("%+v, %v", seen, err)
	}
}

func TestOptionsThatCannotWorkAreRefused(t *testing.T) {
	parts := func(context.Context, string) (adg.Target, error) { return nil, nil }
	for what, c := range map[string]struct {
		o    Options
		host adg.Host
		want string
	}{
		"no parts":          {Options{}, adg.Host{Target: parts}, "name 1 to 50"},
		"itself":            {Options{Parts: []string{"all"}}, adg.Host{Name: "all", Target: parts}, "named twice, or is this target itself"},
		"one twice":         {Options{Parts: []string{"a", "a"}}, adg.Host{Name: "all", Target: parts}, "named twice"},
		"a name that is no": {Options{Parts: []string{"-a"}}, adg.Host{Target: parts}, "parts: target"},
		"a part of another": {Options{Parts: []string{"a"}}, adg.Host{}, "is none itself"},
	} {
		if _, err := Driver.Open(t.Context(), c.o, c.host); adg.CodeOf(err) != adg.Invalid || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
