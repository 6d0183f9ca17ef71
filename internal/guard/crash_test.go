package guard_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/guard"
	"github.com/deployguardian/adg/internal/store/sqlite"
)

// TestMain is also the process that the crash test kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv("GUARD_TEST_DIR"); dir != "" {
		if err := mortal(dir, os.Getenv("GUARD_TEST_DIE_AT")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestProcessKilledAtEachFailpointLosesNoRollbackAndDoesNoneTwice(t *testing.T) {
	for _, point := range guard.Failpoints() {
		for _, nth := range []int{1, 2, 3} { // the first time the point is reached, the second, the third
			t.Run(fmt.Sprintf("%s, time %d", point, nth), func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				died := lifeOf(t, dir, fmt.Sprintf("%d:%s", nth, point))
				if !died && nth == 1 {
					t.Errorf("the failpoint %q was never reached", point)
				}
				for range 3 {
					if !lifeOf(t, dir, "") {
						break
					}
				}
				counted(t, dir)
			})
		}
	}
}

// lifeOf runs the process once, to its end or to the failpoint, and says whether it was killed there.
func lifeOf(t *testing.T, dir, dieAt string) (killed bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), "GUARD_TEST_DIR="+dir, "GUARD_TEST_DIE_AT="+dieAt)
	out, err := cmd.CombinedOutput()
	if err == nil {
		return false
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL && ctx.Err() == nil {
		return true
	}
	t.Fatalf("%v\n%s", err, out)
	return false
}

// counted looks at what really happened: at the target's log and at the store.
func counted(t *testing.T, dir string) {
	t.Helper()
	l, err := fileWorld{dir}.ledger()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	rollbacks := 0
	for _, effect := range l.Effects {
		if seen[effect]++; seen[effect] > 1 {
			t.Errorf("done %d times: %s", seen[effect], effect)
		}
		if strings.HasPrefix(effect, "rollback ") {
			rollbacks++
		}
	}
	if rollbacks != 1 {
		t.Errorf("the target was rolled back %d times: %v", rollbacks, l.Effects)
	}
	store, err := sqlite.Open(t.Context(), filepath.Join(dir, "data"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	all, err := store.ListDeployments(t.Context(), adg.DeploymentFilter{})
	if err != nil || len(all) != 1 || all[0].Status.State != adg.RolledBack {
		t.Fatalf("the deployment did not end as rolled back: %+v, %v", all, err)
	}
	told, err := os.ReadFile(filepath.Join(dir, "told.log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []adg.FactKind{adg.FactRollbackStarted, adg.FactRolledBack} {
		if !strings.Contains(string(told), "\n"+kind.String()+" ") {
			t.Errorf("nobody was told %s:\n%s", kind, told)
		}
	}
}

// mortal guards one bad deployment in a process that kills itself at a failpoint, written as "2:acted".
func mortal(dir, dieAt string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	data := filepath.Join(dir, "data")
	store, err := sqlite.Open(ctx, data, sqlite.Options{})
	if err != nil {
		return err
	}
	defer store.Close()
	w := fileWorld{dir}
	reached := 0
	g := guard.New(store, w, guard.Options{Poll: 5 * time.Millisecond, Lease: time.Second, Workers: 1, Failpoint: func(name string) {
		nth, point, _ := strings.Cut(dieAt, ":")
		if name != point {
			return
		}
		if reached++; fmt.Sprint(reached) == nth {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}})
	all, err := store.ListDeployments(ctx, adg.DeploymentFilter{})
	if err != nil {
		return err
	}
	var d adg.Deployment
	if len(all) > 0 {
		d = all[0]
	} else if d, err = g.Start(ctx, hasty()); err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = g.Run(running)
	}()
	for !d.Status.State.Ended() && ctx.Err() == nil {
		time.Sleep(5 * time.Millisecond)
		if d, err = store.Deployment(ctx, d.ID); err != nil {
			return err
		}
	}
	err = g.Drain(ctx, d.ID)
	stop()
	<-ended
	return err
}

// hasty is a deployment that is over in a second.
func hasty() adg.Spec {
	return adg.Spec{
		Release: adg.Release{Service: "shop", Version: "v2"}, LastGood: &adg.Release{Service: "shop", Version: "v1"}, Actor: "alice",
		Policy: adg.Policy{
			Service: "shop", Environment: "test", Interval: 20 * time.Millisecond, History: time.Second,
			Checks: []adg.Check{{
				Name: "errors", Source: "metrics", Query: "errors", Critical: true, Window: time.Second,
				Fail: adg.Condition{Operator: adg.Above, Value: 10, Unit: adg.Percent},
			}},
			Strategy: adg.Strategy{Kind: adg.Recreate, Steps: []adg.Step{{Share: 100, Bake: time.Minute}}},
			Rollback: adg.RollbackPolicy{Trust: adg.Auto, Rules: []adg.Rule{{When: adg.Unhealthy, For: 40 * time.Millisecond}}, VerifyFor: 60 * time.Millisecond, VerifyMax: 5 * time.Minute},
			Notify:   []string{"file"},
		},
	}
}

// fileWorld is a world in files, so that it outlives the process.
type fileWorld struct{ dir string }

func (w fileWorld) Source(context.Context, adg.Deployment, string) (adg.Source, error) { return w, nil }
func (w fileWorld) Target(context.Context, adg.Deployment) (adg.Target, error)         { return w, nil }
func (w fileWorld) Notifier(context.Context, string) (adg.Notifier, error)             { return w, nil }
func (w fileWorld) Can() adg.Capabilities                                              { return adg.Capabilities{Reports: true} }

func (w fileWorld) Query(_ context.Context, q adg.Query) (adg.Answer, error) {
	value := 0.0
	if q.Vars["version"] == "v2" {
		value = 0.5
	}
	return adg.Answer{Series: []adg.Series{{Samples: []adg.Sample{{At: q.At, Value: value}}}}}, nil
}

// ledger is the world's target: what is live, and every effect there ever was. It changes by one rename, so that a
// kill finds it before an effect or after it.
type ledger struct {
	Seen    adg.Observed
	Effects []string
}

func (w fileWorld) ledger() (ledger, error) {
	text, err := os.ReadFile(filepath.Join(w.dir, "target.json"))
	if errors.Is(err, os.ErrNotExist) {
		return ledger{Seen: adg.Observed{Done: true, Releases: []adg.Placement{{Release: adg.Release{Service: "shop", Version: "v1"}, Share: 100}}}}, nil
	}
	var l ledger
	if err == nil {
		err = json.Unmarshal(text, &l)
	}
	return l, err
}

func (w fileWorld) Current(context.Context) (adg.Observed, error) {
	l, err := w.ledger()
	return l.Seen, err
}

func (w fileWorld) Apply(_ context.Context, want adg.Desired) (adg.Observed, error) {
	l, err := w.ledger()
	if err != nil {
		return l.Seen, err
	}
	l.Seen = adg.Observed{Done: true, Releases: want.Releases, OpID: want.OpID}
	kind := "forward "
	if want.Rollback {
		kind = "rollback "
	}
	l.Effects = append(l.Effects, kind+want.OpID)
	text, err := json.Marshal(l)
	if err != nil {
		return l.Seen, err
	}
	temporary := filepath.Join(w.dir, "target.new")
	if err := os.WriteFile(temporary, text, 0o600); err != nil {
		return l.Seen, err
	}
	return l.Seen, os.Rename(temporary, filepath.Join(w.dir, "target.json"))
}

func (w fileWorld) Notify(_ context.Context, f adg.Fact) error {
	return w.add("told.log", "\n"+f.Kind.String()+" "+f.ID)
}

func (w fileWorld) add(name, line string) error {
	file, err := os.OpenFile(filepath.Join(w.dir, name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err = file.WriteString(line); err != nil {
		return errors.Join(err, file.Close())
	}
	return file.Close()
}
