package scenarios

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	guardian "github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/sqlite"
)

// past is the folder of a server that remembers four months of deployments with what was expected of them: those that
// change many files fail more often, and one that did so was thought safe.
func past(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	store, err := sqlite.Open(t.Context(), dir, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	draw := rand.New(rand.NewPCG(7, 11)) //nolint:gosec // the same past each time
	begin := time.Now().UTC().Truncate(24 * time.Hour).Add(-130 * 24 * time.Hour)
	for i := range 120 {
		at := begin.Add(time.Duration(i)*24*time.Hour + time.Duration(draw.IntN(600))*time.Minute)
		files := float64(1 + draw.IntN(60))
		fails := 0.05 + 0.6*files/60
		failed := draw.Float64() < fails
		if i == 100 {
			files, fails, failed = 2, 0.03, true
		}
		if err := store.CreateDeployment(t.Context(), remembered(i, at, files, fails, failed)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func remembered(i int, at time.Time, files, fails float64, failed bool) guardian.Deployment {
	service := []string{"shop", "cart", "search"}[i%3]
	status := guardian.Status{State: guardian.Succeeded, Since: at.Add(time.Hour), Ops: 1}
	if failed {
		status.State, status.Rule = guardian.RolledBack, 1
	}
	success := 1 - fails
	return guardian.Deployment{
		ID: fmt.Sprintf("past-%03d", i), Status: status,
		Spec: guardian.Spec{
			Release: guardian.Release{Service: service, Version: fmt.Sprintf("1.%d.0", i)}, LastGood: &guardian.Release{Service: service, Version: fmt.Sprintf("1.%d.0", max(i-3, 0))},
			Policy: guardian.Policy{Service: service, Environment: "production", Target: "cluster"}, Created: at, Actor: "user:ann",
			Prediction: &guardian.Prediction{
				At: at, Success: success, Low: max(success-0.15, 0), High: min(success+0.12, 1), Base: 0.66, Outcomes: i, Model: "public data", Features: map[string]float64{"nf": files},
				Contributions: []guardian.Contribution{{Feature: "nf", Points: 100 * (0.35 - fails), Text: fmt.Sprintf("%g files", files)}},
			},
		},
	}
}
