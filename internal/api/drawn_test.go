package api_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/identity"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// judged commits a tick with a value of each check.
func (b *bench) judged(id string, values map[string]float64) {
	b.Helper()
	b.ticks(id, func(next *adg.Status, now time.Time) {
		next.State, next.Checks = adg.Rolling, nil
		for _, name := range []string{"errors", "latency"} {
			w := adg.Watch{Check: name}
			if value, known := values[name]; known {
				w.Last = adg.Judgement{Check: name, Verdict: adg.Pass, Value: &value, At: now}
				if value > 0.5 {
					w.Last.Verdict = adg.Fail
				}
			}
			next.Checks = append(next.Checks, w)
		}
	})
}

func TestWatchedRowsComeWithALineToDraw(t *testing.T) {
	b := newBench(t)
	b.must(b.store.CreateDeployment(t.Context(), adg.Deployment{ID: "d0", Spec: adg.Spec{
		Release: adg.Release{Service: "shop", Version: "v2"}, Created: time.Now(),
		Policy: adg.Policy{Service: "shop", Environment: "production", Checks: []adg.Check{
			{Name: "errors", Bad: "b", Total: "t", Critical: true}, {Name: "latency", Query: "q", Unit: "ms"},
		}},
	}}))
	b.judged("d0", map[string]float64{"errors": 0.01})
	w := b.watch(b.viewer, &adgv1.WatchDeploymentsRequest{})
	until := func(unit string, want ...float64) {
		t.Helper()
		for {
			var h *adgv1.Headline
			for _, row := range b.told(w).GetChanged() {
				h = row.GetHeadline()
			}
			if h.GetJudgement().GetUnit() == unit && slices.Equal(h.GetRecent(), want) {
				return
			}
			if t.Context().Err() != nil {
				t.Fatalf("the last headline: %v", h)
			}
		}
	}
	b.judged("d0", map[string]float64{"errors": 0.02})
	until("share", 0.01, 0.02)
	b.judged("d0", map[string]float64{"errors": 0.03})
	until("share", 0.01, 0.02, 0.03)
	b.judged("d0", map[string]float64{"errors": 0.03, "latency": 700})
	until("ms", 700)
	b.judged("d0", map[string]float64{"errors": 0.03, "latency": 800})
	until("ms", 700, 800)
}

func TestTheWatchOfAGuardedDeploymentDrawsWhatWasMeasuredBeforeItBegan(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	g.promoted()
	for _, row := range g.watchedRows() {
		if h := row.GetHeadline(); len(h.GetRecent()) < 3 || len(h.GetRecent()) > 32 || h.GetJudgement().GetUnit() != "share" {
			t.Errorf("the headline of one that has ended: %v", h)
		}
	}
	s := spec("shop", "v3")
	s.Policy.Strategy.Steps[0].Pause = true
	id := g.begin(s)
	g.until(id, in(adgv1.State_STATE_HELD))
	seen := 0
	for _, row := range g.watchedRows() {
		if row.GetId() == id && len(row.GetHeadline().GetRecent()) >= 3 {
			seen++
		}
	}
	if seen != 1 {
		t.Error("the headline of a live deployment has no line")
	}
}

// watchedRows are the rows that a watch begins with.
func (g *guarded) watchedRows() (all []*adgv1.DeploymentSummary) {
	g.Helper()
	stream, err := adgv1.NewDeploymentServiceClient(g.grpc()).WatchDeployments(as(g.Context(), g.viewer), &adgv1.WatchDeploymentsRequest{})
	g.must(err)
	for {
		answer, err := stream.Recv()
		g.must(err)
		if all = append(all, answer.GetChanged()...); answer.GetComplete() {
			return all
		}
	}
}

func TestHoldsSayWhichVersionTheyKeepBack(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	g.rolledBack()
	known := adg.Release{Service: "shop", Version: "v7", Artifact: "registry/shop@sha256:07"}
	g.must(g.store.Mark(t.Context(), adg.ReleaseRecord{Environment: "production", Release: known, Standing: adg.StandingGood, Since: time.Now(), Why: "w"}))
	read := adgv1.NewReleaseServiceClient(g.grpc())
	want := map[string]string{"v2-bad": "v2-bad", known.Identity(): "v7", "registry/other@sha256:08": ""}
	for identity := range want {
		if identity == "v2-bad" {
			continue
		}
		put, err := read.CreateHold(as(t.Context(), g.admin), &adgv1.CreateHoldRequest{Service: "shop", Environment: "production", Identity: identity, Reason: "r"})
		g.must(err)
		if put.GetVersion() != want[identity] {
			t.Errorf("%s: version %q", identity, put.GetVersion())
		}
	}
	list, err := read.ListHolds(as(t.Context(), g.viewer), &adgv1.ListHoldsRequest{})
	g.must(err)
	if len(list.GetHolds()) != len(want) {
		t.Errorf("%d holds", len(list.GetHolds()))
	}
	for _, h := range list.GetHolds() {
		if h.GetVersion() != want[h.GetIdentity()] {
			t.Errorf("%s: version %q, want %q", h.GetIdentity(), h.GetVersion(), want[h.GetIdentity()])
		}
	}
}

func TestPoliciesSayWhetherTheCallerMayApproveThem(t *testing.T) {
	t.Parallel()
	m := newMatrix(t)
	weaker := m.weakened()
	version, err := strconv.ParseInt(weaker, 10, 64)
	m.must(err)
	place := func(role identity.Role) identity.Binding {
		return identity.Binding{Role: role, Service: "shop", Environment: "production"}
	}
	read := adgv1.NewPolicyServiceClient(m.conn)
	for _, c := range []struct{ name, token, why string }{
		{"its author", m.admin, "you wrote version " + weaker},
		{"a viewer", m.person("looker", place(identity.Viewer)).credential, "which takes the role approver there"},
		{"somebody else", m.person("second", place(identity.Approver)).credential, ""},
	} {
		ctx := as(t.Context(), c.token)
		one, err := read.GetPolicy(ctx, &adgv1.GetPolicyRequest{Service: "shop", Environment: "production", Version: version})
		m.must(err)
		list, err := read.ListPolicies(ctx, &adgv1.ListPoliciesRequest{PendingApproval: true})
		m.must(err)
		for _, p := range append(list.GetPolicies(), one) {
			if p.GetApprovable() != (c.why == "") || !strings.Contains(p.GetWhyNot(), c.why) || c.why == "" && p.GetWhyNot() != "" {
				t.Errorf("%s: %t %q", c.name, p.GetApprovable(), p.GetWhyNot())
			}
		}
		inForce, err := read.GetPolicy(ctx, &adgv1.GetPolicyRequest{Service: "shop", Environment: "production"})
		m.must(err)
		if inForce.GetApprovable() || !strings.Contains(inForce.GetWhyNot(), "does not wait for an approval") {
			t.Errorf("%s, of the version in force: %q", c.name, inForce.GetWhyNot())
		}
	}
}
