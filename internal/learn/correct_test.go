package learn_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/learn"
	"github.com/deployguardian/adg/internal/store/sqlite"
)

// remembering is a real store.
func remembering(t *testing.T) *sqlite.Beside {
	t.Helper()
	store, err := sqlite.OpenBeside(t.Context(), t.TempDir(), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

func TestLastCorrectionCountsAndAllStayOnRecord(t *testing.T) {
	store := remembering(t)
	begun := time.Date(2026, 1, 5, 10, 0, 0, 0, time.UTC)
	for i, outcome := range []learn.Outcome{learn.Hotfixed, learn.Incident} {
		c := learn.Correction{Deployment: "shop-v2-x", Outcome: outcome, Actor: "ann", Reason: "the pager", Incident: "https://pager/7", At: begun.Add(time.Duration(i+1) * time.Hour)}
		if err := learn.Correct(t.Context(), store, c, adg.AuditEntry{From: "192.0.2.1", Service: "shop", Environment: "production"}); err != nil {
			t.Fatal(err)
		}
	}
	all, err := learn.Corrections(t.Context(), store)
	if err != nil || len(all) != 2 {
		t.Fatalf("%+v: %v", all, err)
	}
	d := adg.Deployment{ID: "shop-v2-x", Spec: adg.Spec{Created: begun, Release: adg.Release{Version: "v2"}}, Status: adg.Status{State: adg.Succeeded}}
	h, err := learn.ReadRecords([]adg.Deployment{d}, all, learn.Options{Now: begun.Add(1000 * time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	if got := h.Deployments[0]; got.Outcome != learn.Incident || got.Why != "corrected by ann on 2026-01-05: the pager, incident https://pager/7" || !got.FailedAt.Equal(begun.Add(2*time.Hour)) {
		t.Errorf("%+v", got)
	}
	log, err := store.Audit(t.Context(), adg.AuditFilter{Action: "outcome.correct", Service: "shop", Environment: "production", Resource: "deployment/shop-v2-x"})
	if err != nil || len(log) != 2 || log[1].Actor != "ann" || log[1].From != "192.0.2.1" || log[1].Reason != "the pager" || log[1].Detail["outcome"] != "incident" || log[1].Outcome != adg.AuditDone {
		t.Errorf("on record: %+v, %v", log, err)
	}
}

func TestCorrectionsSayWhoAndWhy(t *testing.T) {
	store := remembering(t)
	if all, err := learn.Corrections(t.Context(), store); err != nil || len(all) != 0 {
		t.Errorf("before the first: %v, %v", all, err)
	}
	for _, c := range []learn.Correction{{Deployment: "x", Actor: "ann"}, {Deployment: "x", Reason: "r"}, {Actor: "ann", Reason: "r"}, {Deployment: "x", Actor: "ann", Reason: "r", Incident: "two\nlines"}} {
		if err := learn.Correct(t.Context(), store, c, adg.AuditEntry{}); adg.CodeOf(err) != adg.Invalid {
			t.Errorf("%+v: %v", c, err)
		}
	}
	damaged := adg.Document{Kind: "correction", Key: "x/000", Data: []byte(`{"outcome":"exploded"}`)}
	if _, err := store.WriteDocuments(t.Context(), []adg.Write{{Document: damaged}}); err != nil {
		t.Fatal(err)
	}
	if _, err := learn.Corrections(t.Context(), store); adg.CodeOf(err) != adg.Invalid {
		t.Errorf("a damaged one: %v", err)
	}
}

func TestNoCorrectionIsLostWhenSeveralAreMadeAtOnce(t *testing.T) {
	store := remembering(t)
	var people sync.WaitGroup
	for i := range 8 {
		people.Go(func() {
			for n := range 5 {
				c := learn.Correction{Deployment: fmt.Sprint("d", n%2), Actor: fmt.Sprint("p", i), Reason: fmt.Sprint(n)}
				if err := learn.Correct(t.Context(), store, c, adg.AuditEntry{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	people.Wait()
	all, err := learn.Corrections(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	each := map[string]string{}
	for _, c := range all {
		if before := each[c.Actor+c.Deployment]; c.Reason <= before {
			t.Errorf("%s said %s of %s after %s", c.Actor, c.Reason, c.Deployment, before)
		}
		each[c.Actor+c.Deployment] = c.Reason
	}
	if len(all) != 40 {
		t.Errorf("%d corrections are left of 40", len(all))
	}
}

func TestOneDeploymentIsNotCorrectedForEver(t *testing.T) {
	store := remembering(t)
	writes := make([]adg.Write, 1000)
	for i := range writes {
		writes[i].Document = adg.Document{Kind: "correction", Key: fmt.Sprintf("d/%03d", i), Data: []byte("{}")}
	}
	if _, err := store.WriteDocuments(t.Context(), writes); err != nil {
		t.Fatal(err)
	}
	c := learn.Correction{Deployment: "d", Actor: "ann", Reason: "r"}
	if err := learn.Correct(t.Context(), store, c, adg.AuditEntry{}); adg.CodeOf(err) != adg.Invalid {
		t.Errorf("the 1001st: %v", err)
	}
	c.Deployment = "other"
	if err := learn.Correct(t.Context(), store, c, adg.AuditEntry{}); err != nil {
		t.Error(err)
	}
	if all, err := learn.Corrections(t.Context(), store); err != nil || len(all) != 1001 {
		t.Errorf("%d corrections, %v", len(all), err)
	}
}

func TestOfTwoWhoCorrectTheSameOneOutcomeOneIsTooLate(t *testing.T) {
	store := remembering(t)
	c := learn.Correction{Deployment: "shop-v2-x", Outcome: learn.Incident, Actor: "ann", Reason: "r"}
	var together sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		together.Go(func() { errs[i] = learn.CorrectAfter(t.Context(), store, c, 0, adg.AuditEntry{}) })
	}
	together.Wait()
	late := 0
	for _, err := range errs {
		if adg.CodeOf(err) == adg.Conflict {
			late++
		} else if err != nil {
			t.Error(err)
		}
	}
	of, err := learn.CorrectionsOf(t.Context(), store, "shop-v2-x")
	if other, otherErr := learn.CorrectionsOf(t.Context(), store, "shop-v2"); late != 3 || len(of) != 1 || err != nil || len(other) != 0 || otherErr != nil {
		t.Errorf("%d were too late, and %d corrections are on record, %d of another: %v %v", late, len(of), len(other), err, otherErr)
	}
}
