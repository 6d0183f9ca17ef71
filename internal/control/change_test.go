package control_test

import (
	"context"
	"testing"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/control"
)

// stiff is a store that takes no hold.
type stiff struct{ adg.Store }

func (stiff) PutHold(context.Context, adg.ReleaseHold, ...adg.AuditEntry) error {
	return adg.Errorf(adg.Unavailable, "the disk is full")
}

func TestAChangeThatFailsIsOnRecordAsFailedAndIsNoEvent(t *testing.T) {
	b := newBench(t)
	c := control.New(control.Options{Store: stiff{b.store}})
	ann := admin("ann")
	ann.Via, ann.From = adg.ViaCLI, "192.0.2.1"
	hold := adg.ReleaseHold{Service: "shop", Environment: "production", Identity: "v2", Reason: "it leaks"}
	_, err := c.PutHold(t.Context(), ann, hold)
	b.refused(err, adg.Unavailable, "full")
	entries, err := b.store.Audit(t.Context(), adg.AuditFilter{})
	b.must(err)
	if len(entries) != 1 || entries[0].Outcome != adg.AuditFailed || entries[0].Detail[adg.Via] != adg.ViaCLI {
		t.Errorf("on record: %+v", entries)
	}
	if last, err := b.store.LastEvent(t.Context()); err != nil || last != 0 {
		t.Errorf("the last event is %d, %v", last, err)
	}
	if _, err = control.New(control.Options{Store: b.store}).PutHold(t.Context(), ann, hold); err != nil {
		t.Fatal(err)
	}
	events, _, err := b.store.Events(t.Context(), adg.EventFilter{})
	b.must(err)
	if len(events) != 1 || events[0].Fact.ID != "audit/2" || events[0].Fact.Via != adg.ViaCLI || events[0].Fact.Actor != "ann" {
		t.Errorf("events: %+v", events)
	}
}
