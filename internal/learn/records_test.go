package learn_test

import (
	"testing"
	"time"

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
