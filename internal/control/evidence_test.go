package control_test

import (
	"testing"
	"time"

	"github.com/deployguardian/adg"
)

func TestGatesAreThoseOfNowUntilADeploymentBegins(t *testing.T) {
	b := newBench(t)
	b.starter.gates = []adg.Gate{{Name: "freeze", Open: adg.GateShut, Text: "holidays"}}
	b.must(b.store.CreateDeployment(t.Context(), adg.Deployment{ID: "one", Spec: adg.Spec{
		Release: adg.Release{Service: "shop", Version: "v2"}, Created: time.Unix(1e9, 0), Policy: adg.Policy{Service: "shop", Environment: "production"},
	}}))
	open := func(want adg.GateState) {
		t.Helper()
		d, gates, err := b.GatesOf(t.Context(), reader("shop"), "one")
		b.must(err)
		if len(gates) != 1 || gates[0].Open != want {
			t.Errorf("%s: %+v", d.Status.State, gates)
		}
	}
	open(adg.GateShut)
	work, err := b.store.Take(t.Context(), "test", time.Minute, 1)
	b.must(err)
	d := work[0].Deployment
	tick := func(state adg.State, gates ...adg.Gate) {
		t.Helper()
		next := d.Status
		next.State = state
		now, err := b.store.Now(t.Context())
		b.must(err)
		d, err = b.store.Commit(t.Context(), adg.Tick{
			Lease: work[0].Lease, Version: d.Version, Before: d.Status, Input: adg.Input{Now: now, Gates: gates},
			Decision: adg.Decision{At: now, From: d.Status.State, Next: next, Reasons: []string{"so it is"}},
		})
		b.must(err)
	}
	tick(adg.Gated, adg.Gate{Name: "freeze", Open: adg.GateShut})
	open(adg.GateShut)
	tick(adg.Rolling, adg.Gate{Name: "freeze", Open: adg.GateOpen})
	open(adg.GateOpen)
	tick(adg.Verifying)
	open(adg.GateOpen)
	_, _, err = b.GatesOf(t.Context(), reader("till"), "one")
	b.refused(err, adg.NotFound, "that you may see")
}
