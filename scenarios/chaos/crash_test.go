//go:build linux

package chaos

import (
	"testing"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/postgres"
)

// TestFenceThatMayReachTheTargetOutlivesACrashOfTheDatabase takes a deployment whose effect is open: its owner goes to
// the target before it writes anything. If the database forgot the lease when it crashes, the next owner would come to
// the target with the same fence.
func TestFenceThatMayReachTheTargetOutlivesACrashOfTheDatabase(t *testing.T) {
	d := startDatabase(t, 10*time.Second) // what need not be on disk is not, for as long as this test lasts
	open := func() *postgres.Store {
		t.Helper()
		s, err := postgres.Open(t.Context(), postgres.Options{DSN: adg.NewSecret(d.dsn())})
		must(t, err)
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	take := func(s *postgres.Store) adg.Work {
		t.Helper()
		work, err := s.Take(t.Context(), "r1", time.Minute, 1)
		must(t, err)
		if len(work) != 1 {
			t.Fatalf("took %d deployments, want the one that is due", len(work))
		}
		return work[0]
	}
	s := open()
	good := adg.Release{Service: "shop", Version: "v1"}
	must(t, s.CreateDeployment(t.Context(), adg.Deployment{ID: "d", Spec: adg.Spec{
		Release: adg.Release{Service: "shop", Version: "v2"}, LastGood: &good, Policy: adg.Policy{Service: "shop", Environment: "test"},
	}}))
	first := take(s)
	next := first.Deployment.Status
	next.Ops, next.Op = 1, "d/1"
	_, err := s.Commit(t.Context(), adg.Tick{Lease: first.Lease, Version: first.Deployment.Version, GiveBack: true, Decision: adg.Decision{
		Next: next, Apply: &adg.Desired{OpID: "d/1", Deployment: "d", Releases: []adg.Placement{{Release: good, Share: 100}}},
	}})
	must(t, err)
	before := take(s)
	if before.Open == nil {
		t.Fatal("the effect is not open")
	}
	must(t, d.Restart("immediate"))
	after := open()
	var leased int64
	conn, err := d.connect(t.Context())
	must(t, err)
	must(t, conn.QueryRow(t.Context(), "SELECT fence FROM deployments WHERE id = 'd'").Scan(&leased))
	must(t, conn.Close(t.Context()))
	if leased != before.Lease.Fence {
		t.Errorf("after the crash the fence is %d, and %d is on its way to the target", leased, before.Lease.Fence)
	}
	if work, err := after.Take(t.Context(), "r2", time.Minute, 1); err != nil || len(work) != 0 {
		t.Errorf("another replica took %v, %v, while the first is at the target", work, err)
	}
}
