package replay_test

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/guard"
	"github.com/deployguardian/adg/internal/replay"
	"github.com/deployguardian/adg/internal/store/sqlite"
)

func TestPromotedReleaseReplaysEqual(t *testing.T) {
	live(t, func(t *testing.T, w *world) {
		id := w.deploy()
		w.until(id, adg.Succeeded)
		r := w.replay(id)
		w.wantEqual(r)
		if r.Decisions < 5 || r.Ticks <= r.Decisions || r.Made != int64(r.Ticks) {
			t.Errorf("%+v: a promotion has decisions, quiet ticks, and all of them on record", r)
		}
		if want := fmt.Sprintf("%s: %d ticks, %d decisions: all equal", id, r.Ticks, r.Decisions); r.Summary() != want {
			t.Errorf("said %q, want %q", r.Summary(), want)
		}
	})
}

func TestRolledBackReleaseReplaysEqual(t *testing.T) {
	live(t, func(_ *testing.T, w *world) {
		w.badFrom = 50
		id := w.deploy()
		w.until(id, adg.RolledBack)
		w.wantEqual(w.replay(id))
	})
}

func TestRollbackThatHadToWaitForASlotReplaysEqual(t *testing.T) {
	live(t, func(_ *testing.T, w *world) {
		w.badFrom, w.perHour = 5, 1
		first := w.deploy()
		w.until(first, adg.RolledBack)
		w.version = "v3"
		second := w.deploy()
		w.until(second, adg.RollbackPending)
		time.Sleep(2 * time.Minute)
		w.wantEqual(w.replay(second))
	})
}

func TestCommandsHoldsAndTargetFailuresReplayEqual(t *testing.T) {
	live(t, func(_ *testing.T, w *world) {
		w.fails = 2
		id := w.deploy()
		w.until(id, adg.Rolling)
		w.ask(id, adg.CommandHold)
		w.until(id, adg.Held)
		w.ask(id, adg.CommandResume)
		time.Sleep(2 * time.Minute)
		w.ask(id, adg.CommandRollBack)
		w.until(id, adg.RolledBack)
		w.wantEqual(w.replay(id))
	})
}

func TestDeploymentThatIsStillGoingOnReplaysEqual(t *testing.T) {
	live(t, func(_ *testing.T, w *world) {
		id := w.deploy()
		w.wantEqual(w.replay(id)) // before the first tick
		time.Sleep(90 * time.Second)
		w.wantEqual(w.replay(id))
	})
}

func TestCompactedDeploymentReplaysWhatIsKeptAndSaysSo(t *testing.T) {
	live(t, func(t *testing.T, w *world) {
		w.badFrom = 50
		id := w.deploy()
		w.until(id, adg.RolledBack)
		whole := w.replay(id)
		if _, err := w.store.Compact(t.Context(), time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		r := w.replay(id)
		w.wantEqual(r)
		if r.Decisions != whole.Decisions || r.Ticks != r.Decisions || r.Made != whole.Made || r.Alone == 0 || r.Unmeasured != 0 {
			t.Errorf("compacted %+v, whole %+v", r, whole)
		}
		if want := fmt.Sprintf("compacted: %d of %d ticks were replayed", r.Ticks, r.Made); !strings.Contains(r.Summary(), want) {
			t.Errorf("said %q, want %q in it", r.Summary(), want)
		}
	})
}

func TestForgottenMeasurementsLeaveTheDecisionsToBeMadeAgain(t *testing.T) {
	w, id := promoted(t)
	w.sql("DELETE FROM measurements")
	r := w.replay(id)
	if r.Unmeasured == 0 || !strings.Contains(r.Summary(), "measurements are gone") {
		t.Errorf("%+v, %q: the missing measurements are not said", r, r.Summary())
	}
	w.wantEqual(r)
	w.sql(`UPDATE ticks SET tick = json_set(tick, '$.decision.kind', 'hold') WHERE n = (SELECT max(n) FROM ticks WHERE keep = 1)`)
	if r := w.replay(id); r.Different != 1 {
		t.Errorf("%s: a decision that was changed is not found\n%s", r.Summary(), all(r))
	}
}

func TestWhatChecksRememberIsNotGuessedWhereAMeasurementIsGone(t *testing.T) {
	live(t, func(t *testing.T, w *world) {
		w.down = true
		id := w.deploy()
		time.Sleep(3 * time.Minute)
		w.wantEqual(w.replay(id))
		copied := &world{t: t, dir: t.TempDir()}
		w.backup(copied.dir)
		copied.sql("DELETE FROM measurements WHERE at = (SELECT at FROM measurements WHERE keep = 0 ORDER BY n LIMIT 1)")
		r := copied.replay(id)
		copied.wantEqual(r)
		if r.Unmeasured < 5 {
			t.Errorf("%d ticks were not judged again: all until the next decision are meant", r.Unmeasured)
		}
	})
}

// Each row changes one thing on record; the replay has to say where.
func TestReplaySaysWhatWasChangedOnRecord(t *testing.T) {
	told, id := promoted(t)
	for _, test := range []struct{ name, change, want string }{
		{
			"a measurement of the promotion",
			`UPDATE measurements SET measurement = replace(measurement, '0.01', '0.42') WHERE n = (SELECT max(n) FROM measurements WHERE keep = 1 AND name = 'errors')`,
			`assessment.judgements[0].verdict was pass and would be fail`,
		},
		{
			"the same, with the reasons side by side",
			`UPDATE measurements SET measurement = replace(measurement, '0.01', '0.42') WHERE n = (SELECT max(n) FROM measurements WHERE keep = 1 AND name = 'errors')`,
			`    would be: `,
		},
		{
			"a measurement that nothing was decided from",
			`UPDATE measurements SET measurement = replace(measurement, '0.01', '0.02') WHERE n = (SELECT min(n) FROM measurements WHERE keep = 0 AND name = 'errors')`,
			`assessment.judgements[0].value was 0.01 and would be 0.02`,
		},
		{
			"what a check remembered",
			`UPDATE ticks SET tick = json_set(tick, '$.input.watches[3].state.streak', 7) WHERE n = (SELECT max(n) FROM ticks WHERE keep = 1)`,
			`watches[3].state.streak was 7 and would be 0`,
		},
		{
			"a decision",
			`UPDATE ticks SET tick = json_set(tick, '$.decision.kind', 'hold') WHERE n = (SELECT max(n) FROM ticks WHERE keep = 1)`,
			`decision.kind was hold and would be promote`,
		},
		{
			"the state that a decision began in",
			`UPDATE ticks SET tick = json_set(tick, '$.before.good', 1) WHERE n = (SELECT max(n) FROM ticks WHERE keep = 1)`,
			`before.good was 1ns and would be`,
		},
		{
			"the status as it stands",
			`UPDATE statuses SET status = json_set(status, '$.score', 12)`,
			`the status now: status.score was 12 and would be 100`,
		},
		{
			"the target's answer",
			`UPDATE ticks SET tick = json_set(tick, '$.input.outcome.observed.done', json('false')) WHERE n = (SELECT min(n) FROM ticks WHERE tick ->> '$.input.outcome.op_id' <> '')`,
			`up of the candidate and would be none`,
		},
		{
			"the measurement of another check",
			`UPDATE measurements SET measurement = json_set(measurement, '$.check', 'other') WHERE n = (SELECT max(n) FROM measurements)`,
			`other of the candidate and would be errors`,
		},
		{
			"the policy",
			`UPDATE specs SET spec = json_set(spec, '$.policy.strategy.steps[0].bake', 1)`,
			`decision was to go on and would be promote`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := told.copy(t)
			w.sql(test.change)
			r := w.replay(id)
			said := all(r)
			if r.Equal() || !strings.Contains(said, test.want) {
				t.Errorf("said %q\n%s\nwant %q in it", r.Summary(), said, test.want)
			}
			if r.Different != 1 || strings.Contains(r.Summary(), "compacted") {
				t.Errorf("%s, %d of %d ticks differ: a difference is not counted again for what follows from it", r.Summary(), r.Different, r.Ticks)
			}
		})
	}
}

// A random life with random sources, targets and humans is made again without a difference, whole and compacted.
func TestRandomLivesReplayEqual(t *testing.T) {
	passed := map[adg.State]int{}
	for seed := range uint64(3) {
		live(t, func(t *testing.T, w *world) {
			w.random = rand.New(rand.NewPCG(seed, 1))
			people := rand.New(rand.NewPCG(seed, 2))
			id := w.deploy()
			for range 15 {
				time.Sleep(time.Duration(people.IntN(60)) * time.Second)
				if people.IntN(6) == 0 { // refused where it comes too late
					_ = w.store.Ask(t.Context(), adg.Command{ID: fmt.Sprint(people.Uint64()), Deployment: id, Actor: "ann", Kind: adg.CommandKind(1 + people.IntN(7))})
				}
				d, err := w.store.Deployment(t.Context(), id)
				if err != nil {
					t.Fatal(err)
				}
				passed[d.Status.State]++
			}
			w.wantEqual(w.replay(id))
			if _, err := w.store.Compact(t.Context(), time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			w.wantEqual(w.replay(id))
		})
	}
	if len(passed) < 3 {
		t.Errorf("the lives were seen in %v only", passed)
	}
}

func all(r replay.Result) string {
	var lines []string
	for _, d := range r.Shown {
		lines = append(lines, d.Lines()...)
	}
	return strings.Join(lines, "\n")
}

// world is a guard on a real store, in virtual time, with a source and a target that the test plays.
type world struct {
	t       *testing.T
	dir     string
	store   *sqlite.Store
	guard   *guard.Guard
	version string
	perHour int
	random  *rand.Rand // nil: nothing is left to chance

	mu      sync.Mutex
	badFrom float64 // from this share on the release is bad; zero: never
	fails   int     // so many calls of the target
	down    bool    // the probe fails
	seen    adg.Observed
}

func live(t *testing.T, story func(*testing.T, *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		store, err := sqlite.Open(t.Context(), dir, sqlite.Options{})
		if err != nil {
			t.Fatal(err)
		}
		w := &world{t: t, dir: dir, store: store, version: "v2", seen: adg.Observed{Done: true, Releases: []adg.Placement{{Release: adg.Release{Service: "shop", Version: "v1"}, Share: 100}}}}
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

func (w *world) deploy() string {
	w.t.Helper()
	d, err := w.guard.Start(w.t.Context(), adg.Spec{
		Release: adg.Release{Service: "shop", Version: w.version}, LastGood: &adg.Release{Service: "shop", Version: "v1"}, Actor: "ann",
		Policy: adg.Policy{
			Service: "shop", Environment: "production", Interval: 10 * time.Second, History: 5 * time.Minute,
			Checks: []adg.Check{
				{Name: "errors", Source: "metrics", Query: "errors", Critical: true, Window: time.Minute, Fail: adg.Condition{Operator: adg.Above, Value: 10, Unit: adg.Percent}},
				{Name: "slow", Source: "metrics", Query: "slow", Compare: adg.Relative, Window: time.Minute, Interval: 30 * time.Second, Fail: adg.Condition{Operator: adg.Above, Relative: true, Value: 900, Unit: adg.Percent}},
				{Name: "ratio", Source: "metrics", Bad: "bad", Total: "total", Replica: "pod", Window: time.Minute, Fail: adg.Condition{Operator: adg.Above, Value: 50, Unit: adg.Percent}},
				{Name: "up", Source: "metrics", Compare: adg.Probe},
			},
			Strategy: adg.Strategy{Kind: adg.Canary, Steps: []adg.Step{{Share: 5, Bake: time.Minute}, {Share: 50, Bake: time.Minute}, {Share: 100, Bake: time.Minute}}},
			Verify:   []adg.Phase{{Name: "immediate", For: 2 * time.Minute, Interval: 10 * time.Second}},
			Rollback: adg.RollbackPolicy{Trust: adg.Auto, Rules: []adg.Rule{{When: adg.Unhealthy, For: 20 * time.Second}}, PerHour: w.perHour},
			Notify:   []string{"chat"},
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return d.ID
}

func (w *world) until(id string, want adg.State) {
	w.t.Helper()
	var d adg.Deployment
	for range 3600 {
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

func (w *world) ask(id string, kind adg.CommandKind) {
	w.t.Helper()
	if err := w.store.Ask(w.t.Context(), adg.Command{ID: kind.String(), Deployment: id, Kind: kind, Actor: "bob"}); err != nil {
		w.t.Fatal(err)
	}
}

// replay reads as the command does: by another connection that can only read.
func (w *world) replay(id string) replay.Result {
	w.t.Helper()
	store, err := sqlite.OpenReadOnly(w.t.Context(), w.dir)
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := replay.Of(w.t.Context(), store, id, nil)
	if err := cmp.Or(err, store.Close()); err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) wantEqual(r replay.Result) {
	w.t.Helper()
	if !r.Equal() || r.Unfollowed > 0 {
		w.t.Errorf("%s, %d unfollowed\n%s", r.Summary(), r.Unfollowed, all(r))
	}
}

// promoted is a world in which one release was promoted, and its deployment.
func promoted(t *testing.T) (told *world, id string) {
	t.Helper()
	told = &world{t: t, dir: t.TempDir()}
	live(t, func(_ *testing.T, w *world) {
		id = w.deploy()
		w.until(id, adg.Succeeded)
		w.wantEqual(w.replay(id))
		w.backup(told.dir)
	})
	return told, id
}

// backup writes the database, as it is now, to another directory.
func (w *world) backup(dir string) {
	w.t.Helper()
	w.exec("VACUUM INTO '" + filepath.Join(dir, "adg.db") + "'")
}

// copy is another world with the same records.
func (w *world) copy(t *testing.T) *world {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(w.dir, "adg.db"))
	if err != nil {
		t.Fatal(err)
	}
	c := &world{t: t, dir: t.TempDir()}
	if err := os.WriteFile(filepath.Join(c.dir, "adg.db"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	return c
}

// sql changes what is on record behind the store's back.
func (w *world) sql(statement string) {
	w.t.Helper()
	if n := w.exec(statement); n == 0 {
		w.t.Fatalf("%s: changed nothing", statement)
	}
}

func (w *world) exec(statement string) int64 {
	w.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(w.dir, "adg.db")+"?_pragma=busy_timeout(5000)")
	if err != nil {
		w.t.Fatal(err)
	}
	done, err := db.Exec(statement)
	if err != nil {
		w.t.Fatal(err)
	}
	n, err := done.RowsAffected()
	if err := cmp.Or(err, db.Close()); err != nil {
		w.t.Fatal(err)
	}
	return n
}

func (w *world) Source(context.Context, adg.Deployment, string) (adg.Source, error) { return w, nil }
func (w *world) Target(context.Context, adg.Deployment) (adg.Target, error)         { return w, nil }
func (w *world) Notifier(context.Context, string) (adg.Notifier, error)             { return w, nil }
func (w *world) Notify(context.Context, adg.Fact) error                             { return nil }
func (w *world) Can() adg.Capabilities {
	return adg.Capabilities{Shares: true, Idle: true, Reports: true}
}

// chance tells whether something that happens once in n times happens now.
func (w *world) chance(n int) bool { return w.random != nil && w.random.IntN(n) == 0 }

func (w *world) Query(_ context.Context, q adg.Query) (adg.Answer, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.chance(10) {
		return adg.Answer{}, adg.Errorf(adg.Unavailable, "connection refused")
	}
	if w.chance(10) {
		return adg.Answer{Sent: q.Text}, nil
	}
	share, _ := w.seen.Share(q.Vars["version"])
	value := 0.01
	if q.Vars["version"] != "v1" && w.badFrom > 0 && share >= w.badFrom || w.chance(8) {
		value = 0.5
	}
	series := adg.Series{Labels: map[string]string{"pod": "a"}}
	first := q.At.Add(-max(q.Span, q.Window))
	if q.Kind == adg.Instant {
		first = q.At
	}
	for at := first; !at.After(q.At); at = at.Add(max(q.Step, 5*time.Second)) {
		v := value
		switch q.Text {
		case "total":
			v = float64(at.Unix())
		case "bad":
			v = float64(at.Unix() / 100)
		case "":
			v = 1
			if w.down || w.chance(5) {
				v = 0
			}
		}
		series.Samples = append(series.Samples, adg.Sample{At: at, Value: v})
	}
	return adg.Answer{Sent: q.Text, Series: []adg.Series{series}}, nil
}

func (w *world) Current(context.Context) (adg.Observed, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.chance(10) {
		return adg.Observed{}, adg.Errorf(adg.Unavailable, "no route")
	}
	return w.seen, nil
}

func (w *world) Apply(_ context.Context, want adg.Desired) (adg.Observed, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fails > 0 || w.chance(6) {
		w.fails--
		return adg.Observed{}, adg.Errorf(adg.Unavailable, "connection reset")
	}
	w.seen = adg.Observed{Releases: want.Releases, Done: true, OpID: want.OpID}
	return w.seen, nil
}
