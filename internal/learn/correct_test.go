package learn_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/learn"
)

func TestLastCorrectionCountsAndAllStayOnRecord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "corrections.jsonl")
	begun := time.Date(2026, 1, 5, 10, 0, 0, 0, time.UTC)
	for i, outcome := range []learn.Outcome{learn.Hotfixed, learn.Incident} {
		if err := learn.Correct(path, learn.Correction{Deployment: "shop-v2-x", Outcome: outcome, Actor: "ann", Reason: "the pager", Incident: "https://pager/7", At: begun.Add(time.Duration(i+1) * time.Hour)}); err != nil {
			t.Fatal(err)
		}
	}
	// A process may be killed while it writes the third.
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = f.WriteString(`{"deployment":"shop-v2-x","outco`)
	_ = f.Close()
	all, err := learn.Corrections(path)
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
}

func TestCorrectionsSayWhoAndWhy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "corrections.jsonl")
	if all, err := learn.Corrections(path); err != nil || len(all) != 0 {
		t.Errorf("without a file: %v, %v", all, err)
	}
	for _, c := range []learn.Correction{{Deployment: "x", Actor: "ann"}, {Deployment: "x", Reason: "r"}, {Actor: "ann", Reason: "r"}, {Deployment: "x", Actor: "ann", Reason: "r", Incident: "two\nlines"}} {
		if err := learn.Correct(path, c); adg.CodeOf(err) != adg.Invalid {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if err := os.WriteFile(path, []byte("{\"outcome\":\"exploded\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := learn.Corrections(path); adg.CodeOf(err) != adg.Invalid {
		t.Errorf("a damaged file: %v", err)
	}
}
