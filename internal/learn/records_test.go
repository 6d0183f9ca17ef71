package learn_test

import (
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/learn"
)

func TestOwnDeploymentsTellTheirOutcome(t *testing.T) {
	begun := time.Date(2026, 1, 5, 10, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		status adg.Status
		age    time.Duration
		want   learn.Outcome
	}{
		"it stayed":                        {adg.Status{State: adg.Succeeded}, 30 * 24 * time.Hour, learn.Success},
		"it stayed, since yesterday":       {adg.Status{State: adg.Succeeded}, 24 * time.Hour, learn.Unknown},
		"a rule condemned it":              {adg.Status{State: adg.RolledBack, Rule: 1}, time.Hour, learn.RolledBack},
		"a human condemned it":             {adg.Status{State: adg.RolledBack, Rule: 0}, time.Hour, learn.RolledBack},
		"the deadline condemned it":        {adg.Status{State: adg.RolledBack, Rule: -1}, time.Hour, learn.RolledBack},
		"the target gave up":               {adg.Status{State: adg.RolledBack, Rule: -2}, time.Hour, learn.Unknown},
		"a human cancelled it":             {adg.Status{State: adg.RolledBack, Rule: -3}, time.Hour, learn.Unknown},
		"it could not even be rolled back": {adg.Status{State: adg.RollbackFailed, Rule: 1}, time.Hour, learn.Incident},
		"it never began":                   {adg.Status{State: adg.Blocked}, time.Hour, learn.Unknown},
		"another one took over":            {adg.Status{State: adg.Superseded}, time.Hour, learn.Superseded},
		"a human ended it":                 {adg.Status{State: adg.Cancelled}, time.Hour, learn.Unknown},
		"nobody knew until the deadline":   {adg.Status{State: adg.Undecided}, 30 * 24 * time.Hour, learn.Unknown},
		"it is under way":                  {adg.Status{State: adg.Rolling}, time.Hour, learn.Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			c.status.Since = begun.Add(10 * time.Minute)
			d := adg.Deployment{Spec: adg.Spec{
				Created: begun, Release: adg.Release{Version: "v2", Commit: "b"}, LastGood: &adg.Release{Version: "v1", Commit: "a"},
				Policy: adg.Policy{Service: "shop", Environment: "production"}, Prediction: &adg.Prediction{Features: map[string]float64{"nf": 3}},
			}, Status: c.status}
			h, err := learn.ReadRecords([]adg.Deployment{d}, nil, learn.Options{Now: begun.Add(c.age)})
			if err != nil {
				t.Fatal(err)
			}
			got := h.Deployments[0]
			if got.Outcome != c.want || got.Why == "" || got.Service != "shop" || got.From != "v1" || got.ToCommit != "b" || got.Features["nf"] != 3 {
				t.Errorf("%+v", got)
			}
			if failed, _ := h.Rules.Label(got.Outcome); failed != got.FailedAt.Equal(c.status.Since) {
				t.Errorf("failed at %s", got.FailedAt)
			}
		})
	}
}

var begun = time.Date(2026, 1, 5, 10, 0, 0, 0, time.UTC)

// record is a deployment of the shop that began so long after the first, and ended ten minutes later.
func record(version string, after time.Duration, state adg.State, change func(*adg.Spec)) adg.Deployment {
	at := begun.Add(after)
	d := adg.Deployment{ID: version, Spec: adg.Spec{Created: at, Release: adg.Release{Version: version}, Policy: adg.Policy{Service: "shop", Environment: "production"}},
		Status: adg.Status{State: state, Since: at.Add(10 * time.Minute), Rule: 1}}
	if change != nil {
		change(&d.Spec)
	}
	return d
}

func labelled(l adg.Labels) func(*adg.Spec) {
	return func(s *adg.Spec) { s.Policy.Risk.Labels = &l }
}

func TestWhatCameAfterADeploymentTellsItsOutcome(t *testing.T) {
	because := func(reason string) func(*adg.Spec) { return func(s *adg.Spec) { s.Reason = reason } }
	mostly := func(share float64) func(*adg.Spec) {
		return func(s *adg.Spec) { s.Prediction = &adg.Prediction{Features: map[string]float64{"fix": share}} }
	}
	elsewhere := func(s *adg.Spec) { s.Policy.Service, s.Reason = "cart", "hotfix" }
	for name, c := range map[string]struct {
		next []adg.Deployment
		want learn.Outcome
	}{
		"a fix by its reason":            {[]adg.Deployment{record("v2", 2*time.Hour, adg.Succeeded, because("Hotfix: prices"))}, learn.Hotfixed},
		"a fix by its commits":           {[]adg.Deployment{record("v2", 2*time.Hour, adg.RolledBack, mostly(0.5))}, learn.Hotfixed},
		"a release with a fix in it":     {[]adg.Deployment{record("v2", 2*time.Hour, adg.Succeeded, mostly(0.4))}, learn.Success},
		"a reason that is no fix":        {[]adg.Deployment{record("v2", 2*time.Hour, adg.Succeeded, because("fixtures for the tests"))}, learn.Success},
		"a fix, a day later":             {[]adg.Deployment{record("v2", 24*time.Hour, adg.Succeeded, because("fix"))}, learn.Success},
		"a fix of another service":       {[]adg.Deployment{record("v2", 2*time.Hour, adg.Succeeded, elsewhere)}, learn.Success},
		"a fix that was never tried":     {[]adg.Deployment{record("v2", 2*time.Hour, adg.Blocked, because("fix"))}, learn.Success},
		"a fix after one never tried":    {[]adg.Deployment{record("v2", time.Hour, adg.Cancelled, nil), record("v3", 2*time.Hour, adg.Succeeded, because("fix"))}, learn.Hotfixed},
		"another release within minutes": {[]adg.Deployment{record("v2", 12*time.Minute, adg.Succeeded, nil)}, learn.Superseded},
		"one that went back in minutes":  {[]adg.Deployment{record("v2", 12*time.Minute, adg.RolledBack, nil)}, learn.Success},
		"nothing":                        {nil, learn.Success},
	} {
		t.Run(name, func(t *testing.T) {
			h, err := learn.ReadRecords(append(c.next, record("v1", 0, adg.Succeeded, nil)), nil, learn.Options{Now: begun.AddDate(0, 1, 0)})
			if err != nil {
				t.Fatal(err)
			}
			got := h.Deployments[0]
			if got.To != "v1" || got.Outcome != c.want || (got.Outcome == learn.Hotfixed) == got.FailedAt.IsZero() {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestEachDeploymentIsLabelledByThePolicyThatItRanUnder(t *testing.T) {
	all := adg.Labels{RolledBack: true, Blocked: true, Hotfixed: 24 * time.Hour, Incident: true, Matures: time.Hour}
	risky := func(s *adg.Spec) {
		labelled(all)(s)
		s.Policy.Risk.Block, s.Prediction = adg.RiskLimit{Below: 0.5}, &adg.Prediction{Success: 0.2}
	}
	harmless := labelled(adg.Labels{Incident: true})
	tale := []adg.Deployment{
		record("blocked", 0, adg.Blocked, labelled(all)), record("blocked-unsaid", 1*time.Hour, adg.Blocked, nil),
		record("blocked-for-its-risk", 2*time.Hour, adg.Blocked, risky), record("back", 3*time.Hour, adg.RolledBack, labelled(all)),
		record("back-for-fun", 4*time.Hour, adg.RolledBack, harmless), record("day", 5*time.Hour, adg.Succeeded, labelled(all)),
		record("fix", 24*time.Hour, adg.Succeeded, func(s *adg.Spec) { labelled(all)(s); s.Reason = "fix" }), record("young", 26*time.Hour, adg.Succeeded, nil),
	}
	labels := func(o learn.Options) string {
		o.Now = begun.Add(30 * time.Hour)
		h, err := learn.ReadRecords(tale, nil, o)
		if err != nil {
			t.Fatal(err)
		}
		var said []string
		for _, d := range h.Deployments {
			word := "?"
			if failed, known := h.Label(d); known {
				word = map[bool]string{true: "failed", false: "fine"}[failed]
			}
			said = append(said, d.To+" "+word)
		}
		return strings.Join(said, ", ")
	}
	if got := labels(learn.Options{}); got != "blocked failed, blocked-unsaid ?, blocked-for-its-risk ?, back failed, back-for-fun fine, day failed, fix fine, young ?" {
		t.Error(got)
	}
	// Who asks may know better than the policies.
	asked := learn.Options{Rules: learn.Rules{Hotfix: time.Hour, Superseded: -1, Matures: -1, Count: []learn.Outcome{learn.RolledBack}}}
	if got := labels(asked); got != "blocked ?, blocked-unsaid ?, blocked-for-its-risk ?, back failed, back-for-fun failed, day fine, fix fine, young fine" {
		t.Error(got)
	}
}

func TestWhatIsCountedIsSaidInWordsThatAreReadAgain(t *testing.T) {
	h, err := learn.ReadRecords([]adg.Deployment{
		record("v1", 0, adg.RolledBack, nil), record("v2", time.Hour, adg.RolledBack, nil),
		record("v3", 2*time.Hour, adg.RollbackFailed, labelled(adg.Labels{RolledBack: true, Hotfixed: 24 * time.Hour})),
	}, nil, learn.Options{})
	if err != nil {
		t.Fatal(err)
	}
	const want = "of 2: rolled back, hotfixed within 4h, incident; superseded within 15m is neither; a success is known after 7d | of 1: rolled back, hotfixed within 24h"
	if got := h.Counted(); got != want {
		t.Errorf("%s", got)
	}
	var table strings.Builder
	if err := learn.Write(&table, h); err != nil {
		t.Fatal(err)
	}
	again, err := learn.ReadCSV(strings.NewReader(table.String()), learn.CSV{})
	if diff := gocmp.Diff(h.Deployments, again.Deployments); err != nil || diff != "" || again.Counted() != want {
		t.Errorf("%v %s", err, diff)
	}
	if failed, known := again.Label(again.Deployments[2]); failed || !known {
		t.Error("an incident that the policy does not count counts as a failure once it was written and read")
	}
	// Who reads the table may count otherwise.
	other, err := learn.ReadCSV(strings.NewReader(table.String()), learn.CSV{Options: learn.Options{Rules: learn.Rules{Count: []learn.Outcome{learn.Incident}}}})
	if failed, known := other.Label(other.Deployments[2]); err != nil || !failed || !known {
		t.Error("what the reader counts is not counted", err)
	}
	if _, err := learn.ReadCSV(strings.NewReader("at,counted_as_failed\n2026-01-01,bad luck\n"), learn.CSV{}); adg.CodeOf(err) != adg.Invalid || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("nonsense is counted: %v", err)
	}
}

func TestIncidentsAreLinkedInTheirColumn(t *testing.T) {
	h, err := learn.ReadCSV(strings.NewReader("at,incident,rolled_back\n2026-01-01,https://pager/7,0\n2026-01-02,0,0\n2026-01-03,INC-8,1\n2026-01-04,none,0\n2026-01-05,,0\n"), learn.CSV{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range h.Deployments {
		got = append(got, strings.TrimSuffix(d.Outcome.String()+": "+d.Why, ": "))
	}
	if diff := gocmp.Diff([]string{"incident: incident https://pager/7", "unknown", "rolled-back: incident INC-8", "unknown", "unknown"}, got); diff != "" {
		t.Error(diff)
	}
}
