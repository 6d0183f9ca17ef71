package backtest_test

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/backtest"
	"github.com/deployguardian/adg/internal/guard"
	"github.com/deployguardian/adg/internal/store/sqlite"
)

func TestSamePolicyWouldDoWhatItDid(t *testing.T) {
	live(t, func(t *testing.T, w *world) {
		good := w.deploy("v2", adg.Succeeded)
		w.errors = 0.3
		bad := w.deploy("v3", adg.RolledBack)
		r := w.backtest(policy())
		if len(r.Cases) != 2 || r.Cases[0].Name != good || r.Cases[1].Name != bad {
			t.Fatalf("cases %+v", r.Cases)
		}
		if c := r.Cases[0]; c.Truth != backtest.Good || c.Was != "succeeded" || c.WouldBe != backtest.Promoted || c.Found != nil {
			t.Errorf("the good one: %+v", c)
		}
		c := r.Cases[1]
		if c.Truth != backtest.Bad || c.Was != "rolled back" || c.WouldBe != backtest.RolledBack || c.Detect == nil || c.WasFound == nil {
			t.Fatalf("the bad one: %+v", c)
		}
		if diff := *c.Detect - *c.WasFound; diff < -1 || diff > 1 {
			t.Errorf("found after %g s, it was %g s", *c.Detect, *c.WasFound)
		}
		if c.Served == nil || c.WasServed == nil || *c.Served == 0 || *c.Served > *c.WasServed {
			t.Errorf("bad requests: %v, they were %v", c.Served, c.WasServed)
		}
		if len(c.Reasons) == 0 || !strings.Contains(c.Reasons[0], "unhealthy") {
			t.Errorf("the reasons are %v", c.Reasons)
		}
		if s := r.Summary; s.FalseRollbacks.N != 0 || s.FalseRollbacks.Of != 1 || s.Detections.N != 1 || s.Detections.Of != 1 || *s.Median != *c.Detect {
			t.Errorf("summary %+v", s)
		}
	})
}

// Each row is another policy than the one that the record was made with, and what it would have done with a release
// whose errors rose from 1 % to 30 %, or did not.
func TestAnotherPolicyWouldHaveDoneAnotherThing(t *testing.T) {
	type outcome struct {
		good, bad backtest.End
		sooner    bool // than it was
	}
	dir := t.TempDir()
	live(t, func(_ *testing.T, w *world) {
		w.deploy("v2", adg.Succeeded)
		w.errors = 0.3
		w.deploy("v3", adg.RolledBack)
		w.copyTo(dir)
	})
	for _, test := range []struct {
		name   string
		change func(*adg.Policy)
		want   outcome
	}{
		{"a limit that is never reached ends with the record of what was rolled back", func(p *adg.Policy) { p.Checks[0].Fail.Value = 90 }, outcome{backtest.Promoted, backtest.EndedWithRecord, false}},
		{"a limit below what is normal rolls back what was good", func(p *adg.Policy) { p.Checks[0].Fail.Value = 0.1; p.Checks[0].BlamePreexisting = true }, outcome{backtest.RolledBack, backtest.RolledBack, false}},
		{"no time to wait finds it sooner", func(p *adg.Policy) { p.Rollback.Rules[0].For = 0 }, outcome{backtest.Promoted, backtest.RolledBack, true}},
		{"less trust suggests", func(p *adg.Policy) { p.Rollback.Trust = adg.Suggest }, outcome{backtest.Promoted, backtest.Suggested, false}},
		{"and asks", func(p *adg.Policy) { p.Rollback.Trust = adg.Ask }, outcome{backtest.Promoted, backtest.Asked, false}},
		{"pauses and approvals are not waited for", func(p *adg.Policy) { p.Approve = true; p.Strategy.Steps[0].Pause = true }, outcome{backtest.Promoted, backtest.RolledBack, false}},
		{"a longer interval, for which the records are too short", func(p *adg.Policy) { p.Interval = 20 * time.Second; p.Verify[0].Interval = 20 * time.Second }, outcome{backtest.EndedWithRecord, backtest.EndedWithRecord, false}},
		{"a baked step that the record is too short for", func(p *adg.Policy) { p.Strategy.Steps[0].Bake = time.Hour; p.Deadline = 48 * time.Hour }, outcome{backtest.EndedWithRecord, backtest.RolledBack, false}},
		{"a comparison with the version before", func(p *adg.Policy) {
			p.Checks[0].Compare, p.Checks[0].Baseline = adg.Relative, adg.Historical
			p.Checks[0].Fail = adg.Condition{Operator: adg.Above, Relative: true, Value: 5, Unit: adg.Points}
		}, outcome{backtest.Promoted, backtest.RolledBack, false}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := &world{t: t, dir: dir}
			p := policy()
			test.change(&p)
			r := w.backtest(p)
			if got := (outcome{r.Cases[0].WouldBe, r.Cases[1].WouldBe, r.Cases[1].Found != nil && *r.Cases[1].Found < *r.Cases[1].WasFound-1}); got != test.want {
				t.Errorf("would be %+v, want %+v: %v, %v", got, test.want, r.Cases[0].Reasons, r.Cases[1].Reasons)
			}
		})
	}
}

func TestChecksThatWereNotAskedAreNamedAndLeftOut(t *testing.T) {
	live(t, func(t *testing.T, w *world) {
		w.deploy("v2", adg.Succeeded)
		p := policy()
		p.Checks = append(p.Checks, adg.Check{Name: "cpu", Source: "metrics", Query: "cpu", Fail: p.Checks[1].Fail, Window: time.Minute})
		p.Checks[1].Window = time.Hour // its text says $window, so the answers would be others
		c := w.backtest(p).Cases[0]
		if !slices.Equal(c.Missing, []string{"slow", "cpu"}) || c.WouldBe != backtest.Promoted {
			t.Errorf("%+v", c)
		}
		p.Checks[0].Compare = adg.Relative // with the version beside it, which was not asked
		if c := w.backtest(p).Cases[0]; !slices.Equal(c.Missing, []string{"ratio", "slow", "cpu"}) {
			t.Errorf("%+v", c)
		}
		p.Checks = p.Checks[1:]
		if c := w.backtest(p).Cases[0]; c.WouldBe != backtest.NotSimulated || !strings.Contains(strings.Join(c.Notes, ";"), "no check of the policy is on record") {
			t.Errorf("%+v", c)
		}
	})
}

func TestCompactedDeploymentIsNotSimulated(t *testing.T) {
	live(t, func(t *testing.T, w *world) {
		w.deploy("v2", adg.Succeeded)
		if _, err := w.store.Compact(t.Context(), time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		r := w.backtest(policy())
		if c := r.Cases[0]; c.WouldBe != backtest.NotSimulated || !strings.Contains(strings.Join(c.Notes, ";"), "compacted") || r.Summary.Skipped != 1 {
			t.Errorf("%+v", r)
		}
	})
}

func TestOnlyEndedDeploymentsOfThatServiceAndTimeAreLooked(t *testing.T) {
	live(t, func(t *testing.T, w *world) {
		begun := time.Now()
		w.deploy("v2", adg.Succeeded)
		middle := time.Now()
		w.deploy("v3", adg.Verifying)
		for _, test := range []struct {
			name string
			o    backtest.Options
			want int
		}{
			{"all of the service", backtest.Options{}, 1},
			{"since it began", backtest.Options{From: begun}, 1},
			{"since later", backtest.Options{From: middle}, 0},
			{"until before", backtest.Options{To: begun.Add(-time.Hour)}, 0},
			{"another service", backtest.Options{Service: "till"}, 0},
		} {
			r, err := backtest.Recorded(t.Context(), w.store, policy(), test.o)
			if err != nil || len(r.Cases) != test.want {
				t.Errorf("%s: %d cases, %v; want %d", test.name, len(r.Cases), err, test.want)
			}
		}
	})
}

func TestWhatPeopleSaidIsNoted(t *testing.T) {
	live(t, func(t *testing.T, w *world) {
		id := w.deploy("v2", adg.Verifying)
		if err := w.store.Ask(t.Context(), adg.Command{ID: "c", Deployment: id, Kind: adg.CommandRollBack, Actor: "bob"}); err != nil {
			t.Fatal(err)
		}
		w.until(id, adg.RolledBack)
		c := w.backtest(policy()).Cases[0]
		if !strings.Contains(strings.Join(c.Notes, ";"), "rollback by bob") || c.Truth != backtest.Bad || c.WouldBe != backtest.EndedWithRecord {
			t.Errorf("%+v", c)
		}
	})
}

func TestInterruptedBacktestEndsWithTheReason(t *testing.T) {
	live(t, func(t *testing.T, w *world) {
		w.deploy("v2", adg.Succeeded)
		ctx, cancel := context.WithCancelCause(t.Context())
		why := errors.New("enough")
		cancel(why)
		if _, err := backtest.Recorded(ctx, w.store, policy(), backtest.Options{}); err == nil {
			t.Error("an interrupted backtest gave a result")
		}
	})
}

func policy() adg.Policy {
	return adg.Policy{
		Service: "shop", Environment: "production", Interval: 10 * time.Second, History: 5 * time.Minute,
		Checks: []adg.Check{
			{Name: "ratio", Source: "metrics", Bad: `bad{version="$version"}`, Total: `total{version="$version"}`, Replica: "pod", Critical: true, Window: 30 * time.Second, Fail: adg.Condition{Operator: adg.Above, Value: 10, Unit: adg.Percent}},
			{Name: "slow", Source: "metrics", Query: "slow[$window]", Window: time.Minute, Fail: adg.Condition{Operator: adg.Above, Value: 5}},
		},
		Strategy: adg.Strategy{Kind: adg.Canary, Steps: []adg.Step{{Share: 5, Bake: time.Minute}, {Share: 50, Bake: time.Minute}, {Share: 100, Bake: time.Minute}}},
		Verify:   []adg.Phase{{Name: "immediate", For: 2 * time.Minute, Interval: 10 * time.Second}},
		Rollback: adg.RollbackPolicy{Trust: adg.Auto, Rules: []adg.Rule{{When: adg.Unhealthy, For: 20 * time.Second}}},
	}.WithDefaults()
}

// world is a guard on a real store, in virtual time: a service that counts ten requests per second.
type world struct {
	t      *testing.T
	dir    string
	store  *sqlite.Store
	guard  *guard.Guard
	begun  time.Time
	errors float64 // share of bad requests of every version but v1 and v2

	mu   sync.Mutex
	seen adg.Observed
}

func live(t *testing.T, story func(*testing.T, *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		store, err := sqlite.Open(t.Context(), dir, sqlite.Options{})
		if err != nil {
			t.Fatal(err)
		}
		w := &world{t: t, dir: dir, store: store, begun: time.Now().Add(-time.Hour), errors: 0.01}
		ctx, cancel := context.WithCancel(t.Context())
		w.guard = guard.New(store, w, guard.Options{Owner: "one", Poll: 5 * time.Second, Log: slog.New(slog.DiscardHandler)})
		var running sync.WaitGroup
		running.Go(func() { _ = w.guard.Run(ctx) })
		defer func() {
			cancel()
			running.Wait()
			if err := store.Close(); err != nil {
				t.Error(err)
			}
		}()
		story(t, w)
	})
}

// deploy guards a release until it is in that state.
func (w *world) deploy(version string, want adg.State) string {
	w.t.Helper()
	w.mu.Lock()
	w.seen = adg.Observed{Done: true, Releases: []adg.Placement{{Release: adg.Release{Service: "shop", Version: "v1"}, Share: 100}}}
	w.mu.Unlock()
	d, err := w.guard.Start(w.t.Context(), adg.Spec{
		Release: adg.Release{Service: "shop", Version: version}, LastGood: &adg.Release{Service: "shop", Version: "v1"}, Actor: "ann", Policy: policy(),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.until(d.ID, want)
	return d.ID
}

func (w *world) until(id string, want adg.State) {
	w.t.Helper()
	var d adg.Deployment
	for range 1000 {
		var err error
		if d, err = w.store.Deployment(w.t.Context(), id); err != nil {
			w.t.Fatal(err)
		}
		if d.Status.State == want {
			return
		}
		time.Sleep(5 * time.Second)
	}
	w.t.Fatalf("the deployment is %s, want %s: %v", d.Status.State, want, d.Status.Reasons)
}

// copyTo writes the records, as they are now, to another directory.
func (w *world) copyTo(dir string) {
	w.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(w.dir, "adg.db")+"?_pragma=busy_timeout(5000)")
	if err != nil {
		w.t.Fatal(err)
	}
	_, err = db.Exec("VACUUM INTO '" + filepath.Join(dir, "adg.db") + "'")
	if err := cmp.Or(err, db.Close()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) backtest(p adg.Policy) backtest.Result {
	w.t.Helper()
	store, err := sqlite.OpenReadOnly(w.t.Context(), w.dir)
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := backtest.Recorded(w.t.Context(), store, p, backtest.Options{Workers: 2})
	if err := cmp.Or(err, store.Close()); err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) Source(context.Context, adg.Deployment, string) (adg.Source, error) { return w, nil }
func (w *world) Target(context.Context, adg.Deployment) (adg.Target, error)         { return w, nil }
func (w *world) Notifier(context.Context, string) (adg.Notifier, error)             { return nil, nil }
func (w *world) Can() adg.Capabilities {
	return adg.Capabilities{Shares: true, Idle: true, Reports: true}
}

func (w *world) Query(_ context.Context, q adg.Query) (adg.Answer, error) {
	share := 0.01
	if v := q.Vars["version"]; v != "v1" && v != "v2" {
		share = w.errors
	}
	series := adg.Series{Labels: map[string]string{"pod": "a"}}
	first := q.At.Add(-max(q.Span, q.Window)).Truncate(5 * time.Second).Add(5 * time.Second)
	if q.Kind == adg.Instant {
		first = q.At
	}
	for at := first; !at.After(q.At); at = at.Add(5 * time.Second) {
		v := 1.0
		switch q.Text {
		case `total{version="$version"}`:
			v = 10 * at.Sub(w.begun).Seconds()
		case `bad{version="$version"}`:
			v = 10 * share * at.Sub(w.begun).Seconds()
		}
		series.Samples = append(series.Samples, adg.Sample{At: at, Value: v})
	}
	return adg.Answer{Sent: q.Text, Series: []adg.Series{series}}, nil
}

func (w *world) Current(context.Context) (adg.Observed, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen, nil
}

func (w *world) Apply(_ context.Context, want adg.Desired) (adg.Observed, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = adg.Observed{Releases: want.Releases, Done: true, OpID: want.OpID}
	return w.seen, nil
}
