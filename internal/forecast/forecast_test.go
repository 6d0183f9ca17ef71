package forecast_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/change"
	"github.com/deployguardian/adg/internal/forecast"
	"github.com/deployguardian/adg/internal/learn"
)

var start = time.Date(2026, 1, 5, 10, 0, 0, 0, time.UTC)

// lived is a history in which large deployments fail half of the time, one every six hours.
func lived(n int) learn.History {
	r := rand.New(rand.NewPCG(1, 2))
	h := learn.History{Rules: learn.Rules{}.WithDefaults()}
	for i := range n {
		d := learn.Deployment{Service: "shop", At: start.Add(time.Duration(i) * 6 * time.Hour), Outcome: learn.Success, Features: map[string]float64{"nf": 2, "la": 10}}
		if i%3 == 0 {
			d.Features = map[string]float64{"nf": 40, "la": 2000}
			if r.IntN(2) == 0 {
				d.Outcome, d.FailedAt = learn.RolledBack, d.At.Add(time.Hour)
			}
		}
		h.Deployments = append(h.Deployments, d)
	}
	return h
}

func TestTrainedModelTellsTheRiskyFromTheSafe(t *testing.T) {
	m, err := forecast.Train(t.Context(), lived(400), forecast.Training{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	now := start.Add(3000 * time.Hour)
	risky := forecast.Predict(m, "x", "shop", map[string]float64{"nf": 40, "la": 2000, "hour": 16, "dow": 2}, now)
	safe := forecast.Predict(m, "x", "shop", map[string]float64{"nf": 2, "la": 10, "hour": 16, "dow": 2}, now)
	if risky.Success > 0.75 || safe.Success < 0.95 || !(risky.Low < risky.Success && risky.Success < risky.High) {
		t.Errorf("risky %+v, safe %+v", risky, safe)
	}
	if risky.Outcomes != 400 || risky.Model != "x" || !strings.HasPrefix(risky.Standing, "better than your base rate") {
		t.Errorf("%+v", risky)
	}
	if c := risky.Contributions; len(c) == 0 || c[0].Points >= 0 || strings.Contains(c[0].Text, "points") {
		t.Errorf("contributions %+v", c)
	}
}

func TestWithoutOutcomesPublicDataSpeak(t *testing.T) {
	features := map[string]float64{"nf": 60, "la": 5000, "entropy": 0.9}
	large := forecast.Predict(forecast.Untaught(features), "public data", "", features, start)
	features = map[string]float64{"nf": 1, "la": 2, "entropy": 0}
	small := forecast.Predict(forecast.Untaught(features), "public data", "", features, start)
	if large.Success >= small.Success || !strings.HasPrefix(large.Standing, "no outcomes yet") {
		t.Errorf("a large change succeeds with %g, a small one with %g: %s", large.Success, small.Success, large.Standing)
	}
}

func TestUnknownFeaturesAreMissingAndStrangeOnesLeftOut(t *testing.T) {
	m, err := forecast.Train(t.Context(), lived(100), forecast.Training{})
	if err != nil {
		t.Fatal(err)
	}
	p := forecast.Predict(m, "x", "never seen", map[string]float64{"nf": 2, "phase of the moon": 0.5}, start)
	if !slices.Contains(p.Missing, "la") || math.IsNaN(p.Success) {
		t.Errorf("%+v", p)
	}
}

func TestTrainingIsAsTheHistoryAndEndsWhenItIsInterrupted(t *testing.T) {
	if _, err := forecast.Train(t.Context(), learn.History{}, forecast.Training{}); adg.CodeOf(err) != adg.NotFound {
		t.Errorf("an empty history: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := forecast.Train(ctx, lived(50), forecast.Training{}); err == nil {
		t.Error("an interrupted training gave a model")
	}
}

// TestChangesAreMeasuredWhereTheirCommitsAreKnown trains on a history that has no feature but what the repository says.
func TestChangesAreMeasuredWhereTheirCommitsAreKnown(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "shop")
	git := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=ann", "-c", "user.email=ann@example.com"}, args...)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	if out, err := exec.Command("git", "init", "--quiet", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	git("commit", "--allow-empty", "--quiet", "-m", "begin")
	h := learn.History{Rules: learn.Rules{}.WithDefaults()}
	before := git("rev-parse", "HEAD")
	for i := range 6 {
		if err := exec.Command("sh", "-c", fmt.Sprintf("echo %d > %s", i, filepath.Join(dir, fmt.Sprintf("f%d", i)))).Run(); err != nil {
			t.Fatal(err)
		}
		git("add", ".")
		git("commit", "--quiet", "-m", "more")
		next := git("rev-parse", "HEAD")
		h.Deployments = append(h.Deployments, learn.Deployment{Service: "shop", At: start.Add(time.Duration(i) * time.Hour), FromCommit: before, ToCommit: next, Outcome: learn.Success})
		before = next
	}
	h.Deployments = append(h.Deployments, learn.Deployment{Service: "shop", At: start.Add(9 * time.Hour), FromCommit: strings.Repeat("a", 40), ToCommit: before, Outcome: learn.Success})
	r, err := change.Open(t.Context(), dir, change.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := forecast.Train(t.Context(), h, forecast.Training{Repository: r})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(m.Names, "la") || !slices.Contains(m.Names, "hour") || m.Card.Outcomes != 7 {
		t.Errorf("features %q, %d outcomes", m.Names, m.Card.Outcomes)
	}
}
