package patrol

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/sqlite"
)

// platform is a target with something that would undo a rollback.
type platform struct {
	adg.Target
	share     float64 // of the bad release
	suspended string
	wanted    string // the version that would go live by resuming
	resumed   int
	lost      bool
	err       error
}

func (p *platform) Current(context.Context) (adg.Observed, error) {
	return adg.Observed{Releases: []adg.Placement{{Release: adg.Release{Version: "v2"}, Share: p.share}}, Done: true, Suspended: p.suspended}, p.err
}

func (p *platform) Suspends(context.Context, adg.Desired) (string, error) { return p.suspended, p.err }

func (p *platform) Resume(_ context.Context, held []adg.Release) (adg.Observed, error) {
	if slices.ContainsFunc(held, func(r adg.Release) bool { return r.Version == p.wanted }) {
		return adg.Observed{Suspended: p.suspended, Text: p.wanted + " is on hold, and wanted there"}, nil
	}
	p.resumed++
	p.suspended = ""
	if p.lost {
		return adg.Observed{}, errors.New("the answer is lost")
	}
	return adg.Observed{Done: true}, nil
}

// bench is a patrol over a rolled back deployment of shop v2.
type bench struct {
	*testing.T
	store    *sqlite.Store
	platform *platform
	patrol   *Patrol
	told     []adg.Fact
	deaf     bool
	mute     string // a notifier that does not work
}

func (b *bench) Target(context.Context, adg.Deployment) (adg.Target, error) { return b.platform, nil }

func (b *bench) Notifier(_ context.Context, name string) (adg.Notifier, error) {
	if name == b.mute {
		return nil, errors.New("revoked")
	}
	return b, nil
}

func (b *bench) Notify(_ context.Context, f adg.Fact) error {
	if b.deaf {
		return errors.New("nobody listens")
	}
	b.told = append(b.told, f)
	return nil
}

func newBench(t *testing.T, notify ...string) *bench {
	store, err := sqlite.Open(t.Context(), t.TempDir(), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	b := &bench{T: t, store: store, platform: &platform{suspended: "automated sync of shop", wanted: "v2"}}
	b.patrol = New(store, b, Options{Every: time.Nanosecond})
	spec := adg.Spec{Release: adg.Release{Service: "shop", Version: "v2"}, LastGood: &adg.Release{Service: "shop", Version: "v1"}}
	spec.ID, spec.Policy.Service, spec.Policy.Environment, spec.Policy.Notify = "shop-v2-a", "shop", "production", append([]string{"pager"}, notify...)
	b.must(store.CreateDeployment(t.Context(), adg.Deployment{ID: spec.ID, Spec: spec}))
	work, err := store.Take(t.Context(), "me", time.Minute, 1)
	b.must(err)
	w := work[0]
	_, err = store.Commit(t.Context(), adg.Tick{Lease: w.Lease, Version: w.Deployment.Version, GiveBack: true, Decision: adg.Decision{
		Next: adg.Status{State: adg.RolledBack}, Hold: &adg.ReleaseHold{
			Service: "shop", Environment: "production", Identity: "v2", Reason: "it was bad", Deployment: "shop-v2-a", Release: spec.Release, Suspended: "automated sync of shop",
		},
	}})
	b.must(err)
	return b
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// round goes one, and gives what was told in it.
func (b *bench) round() []adg.Fact {
	b.Helper()
	b.told = nil
	b.must(b.patrol.Round(b.Context()))
	return b.told
}

// ended tells whether nothing is left to be looked after.
func (b *bench) ended() bool {
	b.Helper()
	all, err := b.store.ListDocuments(b.Context(), adg.DocumentFilter{Kind: kind})
	b.must(err)
	return !slices.ContainsFunc(all, func(d adg.Document) bool { return !strings.Contains(string(d.Data), `"done":true`) })
}

func (b *bench) says(told []adg.Fact, kind adg.FactKind, text string) {
	b.Helper()
	if len(told) != 1 || told[0].Kind != kind || !strings.Contains(told[0].Text, text) || told[0].Deployment != "shop-v2-a" || told[0].ID == "" {
		b.Errorf("told %+v, want one %s: %s", told, kind, text)
	}
}

func TestWhatIsSuspendedStaysSoWhileTheReleaseOnHoldIsWantedAndPeopleAreRemindedOnceADay(t *testing.T) {
	b := newBench(t)
	b.says(b.round(), adg.FactWarning, "automated sync of shop stays suspended: v2 is on hold, and wanted there")
	if told := b.round(); told != nil {
		t.Errorf("told again: %+v", told)
	}
	if b.platform.resumed != 0 || b.ended() {
		t.Error("it was resumed")
	}
	b.patrol.o.Remind = time.Nanosecond
	b.says(b.round(), adg.FactWarning, "stays suspended")
}

func TestWhatIsSuspendedIsGivenBackOnceAnotherReleaseIsWanted(t *testing.T) {
	b := newBench(t)
	b.round()
	b.platform.wanted = "v3"
	b.says(b.round(), adg.FactResumed, "automated sync of shop was resumed")
	if b.platform.resumed != 1 || !b.ended() {
		t.Errorf("resumed %d times, ended %v", b.platform.resumed, b.ended())
	}
	if told := b.round(); told != nil || b.platform.resumed != 1 {
		t.Errorf("again: %+v", told)
	}
}

func TestWhatIsSuspendedIsGivenBackOnceTheHoldIsLifted(t *testing.T) {
	b := newBench(t)
	b.round()
	b.must(b.store.LiftHold(t.Context(), "shop", "production", "v2"))
	b.says(b.round(), adg.FactResumed, "was resumed")
	if !b.ended() {
		t.Error("it is looked after still")
	}
}

func TestAHumanIsCalledWhenSomebodyElseBringsTheBadReleaseBack(t *testing.T) {
	b := newBench(t)
	b.platform.suspended, b.platform.share = "", 100
	told := b.round()
	b.says(told, adg.FactPage, "is not suspended: somebody else resumed it, or the rollback ended before it was; and v2, which was rolled back, has 100 % of the traffic")
	if !told[0].Urgent || !b.ended() {
		t.Errorf("urgent %v, ended %v", told[0].Urgent, b.ended())
	}
}

func TestSomebodyElseMayResumeWithoutHarm(t *testing.T) {
	b := newBench(t)
	b.platform.suspended = ""
	b.says(b.round(), adg.FactWarning, "is not suspended: somebody else resumed it, or the rollback ended before it was; what was rolled back is not live")
	if !b.ended() {
		t.Error("it is looked after still")
	}
}

func TestWhatNobodyHeardIsToldAgain(t *testing.T) {
	b := newBench(t)
	b.platform.wanted, b.deaf = "v3", true
	if err := b.patrol.Round(t.Context()); err == nil || !strings.Contains(err.Error(), "telling pager: nobody listens") {
		t.Errorf("error %v", err)
	}
	b.deaf = false
	b.says(b.round(), adg.FactResumed, "no release on hold goes live by it")
	if b.platform.resumed != 1 || !b.ended() {
		t.Errorf("resumed %d times", b.platform.resumed)
	}
}

func TestWhoHasHeardIsNotToldAgainBecauseAnotherHasNot(t *testing.T) {
	b := newBench(t, "chat")
	b.platform.wanted, b.mute = "v3", "pager"
	for range 3 {
		if err := b.patrol.Round(t.Context()); err == nil {
			t.Error("nobody says that pager was not told")
		}
	}
	if len(b.told) != 1 {
		t.Errorf("chat heard %d times", len(b.told))
	}
	id := b.told[0].ID
	b.mute = ""
	told := b.round()
	b.says(told, adg.FactResumed, "was resumed")
	if told[0].ID != id || !b.ended() {
		t.Errorf("ids %s and %s", told[0].ID, id)
	}
}

func TestWhatATickToldIsLookedAfterWithoutAHold(t *testing.T) {
	b := newBench(t)
	b.must(b.store.LiftHold(t.Context(), "shop", "production", "v2"))
	d, err := b.store.Deployment(t.Context(), "shop-v2-a")
	b.must(err)
	if told := b.round(); told != nil {
		t.Fatalf("nothing told of it, and it says %+v", told)
	}
	d.Status.Suspended = "automated sync of shop"
	b.patrol.Ticked(d)
	b.says(b.round(), adg.FactResumed, "was resumed")
	if told := b.round(); told != nil || !b.ended() {
		t.Errorf("again: %+v", told)
	}
}

func TestWhatACancelledDeploymentHasSuspendedIsKnownToTheNextProcess(t *testing.T) {
	b := newBench(t)
	b.must(b.store.LiftHold(t.Context(), "shop", "production", "v2"))
	spec := adg.Spec{ID: "shop-v3-a", Release: adg.Release{Service: "shop", Version: "v3"}}
	spec.Policy.Service, spec.Policy.Environment, spec.Policy.Notify = "shop", "production", []string{"pager"}
	b.must(b.store.CreateDeployment(t.Context(), adg.Deployment{ID: spec.ID, Spec: spec}))
	work, err := b.store.Take(t.Context(), "me", time.Minute, 1)
	b.must(err)
	_, err = b.store.Commit(t.Context(), adg.Tick{Lease: work[0].Lease, Version: work[0].Deployment.Version, GiveBack: true, Decision: adg.Decision{
		Next: adg.Status{State: adg.Cancelled, Suspended: "automated sync of shop"},
	}})
	b.must(err)
	told := b.round()
	if len(told) != 1 || told[0].Kind != adg.FactResumed || told[0].Deployment != spec.ID || b.platform.resumed != 1 {
		t.Errorf("resumed %d times, told %+v", b.platform.resumed, told)
	}
}

func TestADeploymentSinceThenHasSeenToItItself(t *testing.T) {
	b := newBench(t)
	b.round()
	b.must(b.store.CreateDeployment(t.Context(), adg.Deployment{ID: "shop-v2-b", Spec: adg.Spec{ID: "shop-v2-b", Policy: adg.Policy{Service: "shop", Environment: "production"}}, Status: adg.Status{}}))
	work, err := b.store.Take(t.Context(), "me", time.Minute, 1)
	b.must(err)
	_, err = b.store.Commit(t.Context(), adg.Tick{Lease: work[0].Lease, Version: work[0].Deployment.Version, GiveBack: true, Decision: adg.Decision{Next: adg.Status{State: adg.Succeeded}}})
	b.must(err)
	b.platform.suspended, b.platform.share = "", 100
	if told := b.round(); told != nil || !b.ended() {
		t.Errorf("told %+v", told)
	}
}

func TestAKillBetweenResumingAndNotingItBlamesNobody(t *testing.T) {
	b := newBench(t)
	b.platform.wanted, b.platform.lost = "v3", true
	if err := b.patrol.Round(t.Context()); err == nil {
		t.Fatal("the answer was not lost")
	}
	b.platform.lost = false
	b.says(b.round(), adg.FactResumed, "no release on hold goes live by it")
}

func TestAServiceThatIsBeingDeployedIsLeftToItsGuard(t *testing.T) {
	b := newBench(t)
	spec := adg.Spec{ID: "shop-v3-a", Release: adg.Release{Service: "shop", Version: "v3"}}
	spec.Policy.Service, spec.Policy.Environment = "shop", "production"
	b.must(b.store.CreateDeployment(t.Context(), adg.Deployment{ID: spec.ID, Spec: spec}))
	b.platform.wanted = "v3"
	if told := b.round(); told != nil || b.platform.resumed != 0 {
		t.Errorf("told %+v, resumed %d times", told, b.platform.resumed)
	}
}

func TestReplicasLookAtEachSuspensionOnceInTurn(t *testing.T) {
	b := newBench(t)
	b.patrol.o.Every, b.patrol.o.Remind = time.Hour, time.Nanosecond
	b.says(b.round(), adg.FactWarning, "stays suspended")
	another := New(b.store, b, Options{Every: time.Hour, Remind: time.Nanosecond})
	b.told = nil
	b.must(another.Round(t.Context()))
	if b.told != nil {
		t.Errorf("the other replica told %+v", b.told)
	}
}

func TestATargetThatDoesNotAnswerIsAskedAgain(t *testing.T) {
	b := newBench(t)
	b.platform.err = errors.New("connection refused")
	if err := b.patrol.Round(t.Context()); err == nil || !strings.Contains(err.Error(), "shop-v2-a") {
		t.Errorf("error %v", err)
	}
	b.platform.err, b.platform.wanted = nil, "v3"
	b.says(b.round(), adg.FactResumed, "was resumed")
	if diff := cmp.Diff(1, b.platform.resumed); diff != "" {
		t.Error(diff)
	}
}
