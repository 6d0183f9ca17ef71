package guard_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/guard"
	"github.com/deployguardian/adg/internal/store/sqlite"
)

func TestGoodReleaseIsPromotedThroughEveryStepAndKnownToBeGood(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		d := s.start(policy())
		s.until(d.ID, adg.Succeeded)
		s.wantShares("v2=5 v1=95", "v2=50 v1=50", "v2=100")
		good, err := s.store.LastGood(t.Context(), "shop", "production")
		if err != nil || good.Release.Version != "v2" {
			t.Errorf("last good is %+v, %v", good, err)
		}
		s.wantTold("started", "succeeded")
	})
}

func TestBadReleaseIsRolledBackVerifiedHeldAndToldOnce(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.value = func(version string, share float64) float64 {
			if version == "v2" && share >= 50 {
				return 0.5
			}
			return 0.01
		}
		d := s.start(policy())
		s.until(d.ID, adg.RolledBack)
		s.wantShares("v2=5 v1=95", "v2=50 v1=50", "v1=100 v2=0")
		if _, err := s.store.HoldOf(t.Context(), "shop", "production", "v2"); err != nil {
			t.Errorf("the bad release is not on hold: %v", err)
		}
		s.wantTold("started", "rollback_started", "rolled_back")
		again := s.start(policy())
		s.until(again.ID, adg.Blocked)
	})
}

func TestSourceThatIsDownPromotesNothingAndRollsNothingBack(t *testing.T) {
	play(t, func(_ *testing.T, s *stage) {
		s.answer = func(adg.Query) (adg.Answer, error) {
			return adg.Answer{}, adg.Errorf(adg.Unavailable, "connection refused")
		}
		p := policy()
		p.Deadline, p.AtDeadline = 20*time.Minute, adg.EndPage
		d := s.start(p)
		s.until(d.ID, adg.Undecided)
		s.wantShares("v2=5 v1=95")
		s.wantTold("blind", "held")
	})
}

func TestFaultThatWasThereBeforeIsNotBlamedOnTheRelease(t *testing.T) {
	play(t, func(_ *testing.T, s *stage) {
		s.value = func(string, float64) float64 { return 0.5 } // the alarm is red before, and stays so
		d := s.start(policy())
		s.until(d.ID, adg.Succeeded)
	})
}

func TestTargetThatFailsDuringARollbackIsTriedAgainAndThenAHumanIsCalled(t *testing.T) {
	play(t, func(_ *testing.T, s *stage) {
		s.value = badV2
		fails := 2
		s.target.fault = func(want adg.Desired) error {
			if want.Rollback && fails > 0 {
				fails--
				return adg.Errorf(adg.Unavailable, "connection reset")
			}
			return nil
		}
		d := s.start(policy())
		s.until(d.ID, adg.RolledBack)

		s.target.fault = func(want adg.Desired) error {
			if want.Rollback {
				return adg.Permanent(adg.Errorf(adg.Unauthorized, "credentials refused"))
			}
			return nil
		}
		p := policy()
		bad := adg.Release{Service: "shop", Version: "v2", Config: "c2"}
		d = s.startRelease(p, bad)
		s.until(d.ID, adg.RollbackFailed)
		s.wantTold("rollback_failed")
	})
}

func TestTargetThatRefusesEverythingAndHasTheLastGoodReleaseLiveNeedsNoHuman(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.target.fault = func(adg.Desired) error {
			return adg.Permanent(adg.Errorf(adg.Unauthorized, "the credentials have expired"))
		}
		d := s.start(policy())
		s.until(d.ID, adg.RolledBack)
		if len(s.target.applied) > 0 {
			t.Errorf("the target did %v", s.target.applied)
		}
	})
}

func TestHumansCommandIsObeyedAtOnceAndOnRecord(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		p := policy()
		p.Strategy.Steps[0].Pause = true
		d := s.start(p)
		s.until(d.ID, adg.Held)
		s.ask(d.ID, adg.CommandPromote, "bob")
		s.until(d.ID, adg.Rolling)
		s.ask(d.ID, adg.CommandRollBack, "carol")
		s.until(d.ID, adg.RolledBack)
		entries, err := s.store.Entries(t.Context(), d.ID, 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		var said []string
		for _, e := range entries {
			if e.Input.Command != nil {
				said = append(said, e.Input.Command.Actor+" "+e.Input.Command.Kind.String())
			}
		}
		if got := strings.Join(said, ", "); got != "bob promote, carol rollback" {
			t.Errorf("on record: %s", got)
		}
	})
}

func TestEffectWhoseOutcomeWasLostIsReadBackAndNotDoneTwice(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.value = badV2
		lost := false
		s.target.after = func(want adg.Desired) {
			if want.Rollback && !lost {
				lost = true
				s.crash() // the guard dies right after the target did it
			}
		}
		d := s.start(policy())
		s.until(d.ID, adg.RolledBack)
		if !lost || s.target.rollbacks() != 1 {
			t.Errorf("the target was rolled back %d times", s.target.rollbacks())
		}
	})
}

func TestOwnerThatWasPausedPastItsLeaseFindsTheDoorShut(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.value = badV2
		asleep := make(chan struct{})
		var paused atomic.Bool
		s.target.before = func(context.Context, adg.Desired) {
			if paused.CompareAndSwap(false, true) {
				s.freeze() // no more renewals from this owner, and another one starts
				<-asleep
			}
		}
		d := s.start(policy())
		s.until(d.ID, adg.RolledBack)
		close(asleep)
		synctest.Wait()
		if old := s.target.stale(); len(old) > 0 {
			t.Errorf("the paused owner still reached the target: %v", old)
		}
	})
}

func TestNotifierThatIsDownGetsEveryFactLaterAndInOrder(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.value = badV2
		down := true
		s.hook = func(context.Context, adg.Fact) error {
			if down {
				return adg.Errorf(adg.Unavailable, "no route")
			}
			return nil
		}
		d := s.start(policy())
		s.until(d.ID, adg.RolledBack)
		down = false
		s.drained(d.ID)
		facts, err := s.store.Facts(t.Context(), d.ID)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, f := range facts {
			want = append(want, f.ID)
		}
		if got := s.told(); !slices.Equal(got, want) {
			t.Errorf("told %v, want %v", got, want)
		}
	})
}

func TestLiveReleaseIsAdoptedAsLastGoodOnlyWhenItIsHealthy(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		spec := s.spec(policy())
		spec.LastGood = nil
		s.value = func(string, float64) float64 { return 0.5 }
		d, err := s.guard.Start(t.Context(), spec)
		if err != nil || d.Spec.LastGood != nil {
			t.Errorf("adopted a release that is unhealthy: %+v, %v", d.Spec.LastGood, err)
		}
		s.value = nil
		d, err = s.guard.Start(t.Context(), spec)
		if err != nil || d.Spec.LastGood == nil || d.Spec.LastGood.Version != "v1" {
			t.Errorf("did not adopt the healthy live release: %+v, %v", d.Spec.LastGood, err)
		}
	})
}

func badV2(version string, _ float64) float64 {
	if version == "v2" {
		return 0.5
	}
	return 0.01
}

// policy is a canary with one check of error shares.
func policy() adg.Policy {
	return adg.Policy{
		Service: "shop", Environment: "production", Interval: 10 * time.Second, History: 5 * time.Minute,
		Checks: []adg.Check{{
			Name: "errors", Source: "metrics", Query: "errors $version", Critical: true, Window: time.Minute,
			Fail: adg.Condition{Operator: adg.Above, Value: 10, Unit: adg.Percent},
		}},
		Strategy: adg.Strategy{Kind: adg.Canary, Steps: []adg.Step{{Share: 5, Bake: time.Minute}, {Share: 50, Bake: time.Minute}, {Share: 100, Bake: time.Minute}}},
		Verify:   []adg.Phase{{Name: "immediate", For: 2 * time.Minute, Interval: 10 * time.Second}},
		Rollback: adg.RollbackPolicy{Trust: adg.Auto, Rules: []adg.Rule{{When: adg.Unhealthy, For: 20 * time.Second}}},
		Notify:   []string{"chat"},
	}
}

// stage is a guard with a real store, in virtual time, and a world that the test plays.
type stage struct {
	t      *testing.T
	store  adg.Store
	guard  *guard.Guard
	target *target
	value  func(version string, share float64) float64
	answer func(adg.Query) (adg.Answer, error)
	lines  func(version string, second int64) []string // of each of three replicas; nil: the source gives none
	hook   func(context.Context, adg.Fact) error

	mu     sync.Mutex
	facts  []adg.Fact
	cancel context.CancelFunc // of the newest guard
	ends   []context.CancelFunc
	guards sync.WaitGroup
	owners int
	frozen map[string]bool
}

func play(t *testing.T, story func(*testing.T, *stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		store, err := sqlite.Open(t.Context(), t.TempDir(), sqlite.Options{})
		if err != nil {
			t.Fatal(err)
		}
		s := &stage{t: t, store: store, frozen: map[string]bool{}, target: newTarget()}
		s.run()
		defer func() {
			for _, end := range s.ends {
				end()
			}
			s.guards.Wait()
			if err := store.Close(); err != nil {
				t.Error(err)
			}
		}()
		story(t, s)
	})
}

// run starts a guard, as another process would.
func (s *stage) run() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.owners++
	owner := fmt.Sprintf("owner-%d", s.owners)
	ctx, cancel := context.WithCancel(context.Background())
	g := guard.New(&leaky{Store: s.store, s: s, owner: owner}, s, guard.Options{Owner: owner, Poll: time.Second, Log: slog.New(slog.NewTextHandler(s.t.Output(), nil))})
	s.guard, s.cancel = g, cancel
	s.ends = append(s.ends, cancel)
	s.guards.Go(func() { _ = g.Run(ctx) })
}

// crash ends the guard without a word, and starts another.
func (s *stage) crash() {
	s.cancel()
	go s.run()
}

// freeze keeps the present owner from renewing, as a stopped process would be, and starts another.
func (s *stage) freeze() {
	s.mu.Lock()
	s.frozen[fmt.Sprintf("owner-%d", s.owners)] = true
	s.mu.Unlock()
	go s.run()
}

// leaky is the store as one owner sees it; a frozen owner's calls hang for as long as the process is stopped.
type leaky struct {
	adg.Store
	s     *stage
	owner string
}

func (l *leaky) Renew(ctx context.Context, lease adg.Lease, ttl time.Duration) (adg.Lease, error) {
	l.s.mu.Lock()
	frozen := l.s.frozen[l.owner]
	l.s.mu.Unlock()
	if frozen {
		<-ctx.Done()
		return lease, context.Cause(ctx)
	}
	return l.Store.Renew(ctx, lease, ttl)
}

func (s *stage) spec(p adg.Policy) adg.Spec {
	return adg.Spec{
		Release: adg.Release{Service: "shop", Version: "v2"}, LastGood: &adg.Release{Service: "shop", Version: "v1"},
		Policy: p, Actor: "alice",
	}
}

func (s *stage) start(p adg.Policy) adg.Deployment {
	s.t.Helper()
	return s.startRelease(p, adg.Release{Service: "shop", Version: "v2"})
}

func (s *stage) startRelease(p adg.Policy, r adg.Release) adg.Deployment {
	s.t.Helper()
	spec := s.spec(p)
	spec.Release = r
	d, err := s.guard.Start(s.t.Context(), spec)
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

func (s *stage) ask(id string, kind adg.CommandKind, actor string) {
	s.t.Helper()
	err := s.store.Ask(s.t.Context(), adg.Command{ID: actor + kind.String(), Deployment: id, Kind: kind, Actor: actor, Reason: "because"})
	if err != nil {
		s.t.Fatal(err)
	}
}

// until waits, in virtual time, for a state; a day is enough for every story.
func (s *stage) until(id string, want adg.State) {
	s.t.Helper()
	var d adg.Deployment
	for range 2 * 3600 {
		var err error
		if d, err = s.store.Deployment(s.t.Context(), id); err != nil {
			s.t.Fatal(err)
		}
		if d.Status.State == want {
			return
		}
		if d.Status.State.Ended() {
			break
		}
		time.Sleep(time.Second)
	}
	s.t.Fatalf("the deployment is %s, want %s: %v", d.Status.State, want, d.Status.Reasons)
}

func (s *stage) wait(d time.Duration) { time.Sleep(d) }

func (s *stage) drained(id string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 24*time.Hour)
	defer cancel()
	if err := s.guard.Drain(ctx, id); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) wantShares(want ...string) {
	s.t.Helper()
	s.target.mu.Lock()
	defer s.target.mu.Unlock()
	if !slices.Equal(s.target.applied, want) {
		s.t.Errorf("the target was asked for %q, want %q", s.target.applied, want)
	}
}

// wantTold wants each of the facts told exactly once.
func (s *stage) wantTold(kinds ...string) {
	s.t.Helper()
	time.Sleep(time.Minute)
	s.mu.Lock()
	defer s.mu.Unlock()
	count := map[string]int{}
	for _, f := range s.facts {
		count[f.Kind.String()]++
	}
	for _, kind := range kinds {
		if count[kind] != 1 {
			s.t.Errorf("%s was told %d times, want once: %v", kind, count[kind], count)
		}
	}
}

func (s *stage) told() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []string
	for _, f := range s.facts {
		ids = append(ids, f.ID)
	}
	return ids
}

func (s *stage) Source(context.Context, adg.Deployment, string) (adg.Source, error) { return s, nil }
func (s *stage) Target(context.Context, adg.Deployment) (adg.Target, error)         { return s.target, nil }
func (s *stage) Notifier(context.Context, string) (adg.Notifier, error)             { return s, nil }

func (s *stage) Notify(ctx context.Context, f adg.Fact) error {
	if s.hook != nil {
		if err := s.hook(ctx, f); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.facts = append(s.facts, f)
	return nil
}

func (s *stage) Query(_ context.Context, q adg.Query) (adg.Answer, error) {
	if s.answer != nil {
		return s.answer(q)
	}
	value := 0.01
	if s.value != nil {
		value = s.value(q.Vars["version"], s.target.share(q.Vars["version"]))
	}
	answer := adg.Answer{Sent: q.Text, Series: []adg.Series{{}}}
	first := q.At
	if q.Kind == adg.Range {
		first = q.At.Add(-max(q.Span, q.Window))
	}
	for at := first; !at.After(q.At); at = at.Add(max(q.Step, time.Second)) {
		answer.Series[0].Samples = append(answer.Series[0].Samples, adg.Sample{At: at, Value: value})
	}
	return answer, nil
}

// target is one that does at once what it is told, and remembers.
type target struct {
	mu      sync.Mutex
	can     adg.Capabilities
	now     adg.Observed
	applied []string
	ops     map[string]int
	fences  []int64
	back    int
	fault   func(adg.Desired) error
	before  func(context.Context, adg.Desired)
	after   func(adg.Desired)

	suspends func() (string, error) // nil: it suspends nothing
}

// Suspends is what the test says.
func (t *target) Suspends(context.Context, adg.Desired) (string, error) {
	if t.suspends == nil {
		return "", nil
	}
	return t.suspends()
}

// Resume gives back what the test has suspended.
func (t *target) Resume(context.Context, []adg.Release) (adg.Observed, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.now.Suspended = ""
	return t.now, nil
}

func newTarget() *target {
	return &target{
		can: adg.Capabilities{Shares: true, Idle: true, Reports: true}, ops: map[string]int{},
		now: adg.Observed{Done: true, Releases: []adg.Placement{{Release: adg.Release{Service: "shop", Version: "v1"}, Share: 100}}},
	}
}

func (t *target) Can() adg.Capabilities { return t.can }

func (t *target) Current(context.Context) (adg.Observed, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.now, nil
}

func (t *target) Apply(ctx context.Context, want adg.Desired) (adg.Observed, error) {
	if t.before != nil {
		t.before(ctx, want)
	}
	if err := context.Cause(ctx); err != nil {
		return adg.Observed{}, err
	}
	if t.fault != nil {
		if err := t.fault(want); err != nil {
			return adg.Observed{}, err
		}
	}
	if err := errors.Join(want.Validate()); err != nil {
		return adg.Observed{}, err
	}
	t.mu.Lock()
	var parts []string
	for _, p := range want.Releases {
		parts = append(parts, fmt.Sprintf("%s=%g", p.Release.Version, p.Share))
	}
	t.applied = append(t.applied, strings.Join(parts, " "))
	t.ops[want.OpID]++
	t.fences = append(t.fences, want.Fence)
	if want.Rollback {
		t.back++
	}
	t.now = adg.Observed{Releases: want.Releases, Done: true, OpID: want.OpID}
	seen := t.now
	t.mu.Unlock()
	if t.after != nil {
		t.after(want)
	}
	return seen, nil
}

func (t *target) share(version string) float64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	share, _ := t.now.Share(version)
	return share
}

func (t *target) rollbacks() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.back
}

// stale are the fences that came after a newer one.
func (t *target) stale() []int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	var old []int64
	newest := int64(0)
	for _, f := range t.fences {
		if f < newest {
			old = append(old, f)
		}
		newest = max(newest, f)
	}
	return old
}
