package scenarios

import (
	"database/sql"
	"fmt"
	"math"
	"path/filepath"
	"testing"
	"time"

	guardian "github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/row"
	"github.com/deployguardian/adg/internal/store/sqlite"
)

// many is the folder of a server with so many deployments that have not ended. They are put into its database,
// and another replica has them all, so that they stay as they are.
func many(t *testing.T, deployments int) string {
	t.Helper()
	dir := t.TempDir()
	store, err := sqlite.Open(t.Context(), dir, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", filepath.Join(dir, "adg.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for i := range deployments {
		put(t, tx, i+1, oneOf(i, now))
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// put writes a deployment, and what was measured of it if it is an unhealthy one of the newest: those are looked at.
func put(t *testing.T, tx *sql.Tx, n int, d guardian.Deployment) {
	t.Helper()
	must := func(text string, err error) string {
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	exec := func(statement string, values ...any) {
		if _, err := tx.Exec(statement, values...); err != nil {
			t.Fatal(err)
		}
	}
	const leased = 24 * time.Hour
	until := d.Status.Ticked.Add(leased).UnixNano()
	exec("INSERT INTO deployments (n, id, service, environment, version, state, live, due, owner, until, ttl) VALUES (?, ?, ?, ?, 1, ?, 1, 0, 'another', ?, ?)",
		n, d.ID, d.Spec.Policy.Service, d.Spec.Policy.Environment, d.Status.State.String(), until, leased)
	exec("INSERT INTO specs (deployment, spec) VALUES (?, ?)", n, must(row.Spec(d.Spec)))
	exec("INSERT INTO statuses (deployment, status) VALUES (?, ?)", n, must(row.Status(d.Status)))
	if d.Status.Health != guardian.Unhealthy || n > 2000 {
		return
	}
	const seen = 20
	for i := range seen {
		j := d.Status.Checks[0].Last
		j.At = j.At.Add(time.Duration(i+1-seen) * 10 * time.Second)
		value := *j.Value * (0.25 + 0.75*float64(i*i)/((seen-1)*(seen-1)) + 0.08*math.Sin(float64(n+3*i)))
		if i < seen-1 {
			j.Value = &value
		}
		tick, err := row.Prepare(guardian.Tick{Input: guardian.Input{Now: j.At, Assessment: &guardian.Assessment{At: j.At, Judgements: []guardian.Judgement{j}}}})
		exec("INSERT INTO ticks (deployment, seq, at, keep, assessed, tick) VALUES (?, ?, ?, 0, 1, ?)", n, i+2, j.At.UnixNano(), must(tick.EntryJSON, err))
	}
}

var (
	services = []string{"checkout", "search", "cart", "payments", "catalogue", "accounts", "mail", "pricing", "stock", "delivery", "reviews", "images", "gateway"}
	authors  = []string{"Ann Becker", "Jonas Weber", "Mira Novak", "Tom Okafor", "Lena Fischer"}
)

// oneOf is one of many deployments: each tenth is unhealthy, each seventh degraded.
func oneOf(i int, now time.Time) guardian.Deployment {
	service := fmt.Sprintf("%s-%04d", services[i%len(services)], i)
	health, verdict, score, times := guardian.Healthy, guardian.Pass, 100.0, 0.9
	switch {
	case i%10 == 0:
		health, verdict, score, times = guardian.Unhealthy, guardian.Fail, float64(8+i/10%30), 3+float64(i%70)/20
	case i%7 == 0:
		health, verdict, score, times = guardian.Degraded, guardian.Warn, 70, 1.7
	}
	policy := guardian.Policy{
		Service: service, Environment: []string{"production", "staging"}[i%2], Checks: []guardian.Check{{Name: "errors", Weight: 1}},
		Strategy: guardian.Strategy{Kind: guardian.Canary}, Interval: 10 * time.Second,
	}
	for _, share := range []float64{5, 25, 50, 100} {
		policy.Strategy.Steps = append(policy.Strategy.Steps, guardian.Step{Share: share, Bake: time.Duration(5+i%7) * time.Minute})
	}
	usual := 0.004 + 0.0005*float64(i%9)
	value, limit := times*usual, 2*usual
	text := fmt.Sprintf("%.2g %% of %d requests were bad, %.2g %% of the baseline's %d", 100*value, 1200+i%800, 100*usual, 24_000+i%5000)
	if i%3 == 0 {
		policy.Checks[0].Name = "latency"
		value, limit, text = times*usual*50, 2*usual*50, fmt.Sprintf("the 99th percentile is %.2f s, %.2f s in the baseline", times*usual*50, usual*50)
	}
	judgement := guardian.Judgement{Check: policy.Checks[0].Name, Verdict: verdict, Text: text, Value: &value, Limit: &limit, At: now}
	return guardian.Deployment{
		ID: fmt.Sprintf("many-%04d", i),
		Spec: guardian.Spec{
			Release: guardian.Release{Service: service, Version: fmt.Sprintf("2.%d.0", i%37)}, LastGood: &guardian.Release{Service: service, Version: fmt.Sprintf("1.%d.3", i%37)},
			Policy: policy, Actor: "user:pipeline", Author: authors[i/10%len(authors)], Created: now.Add(-time.Duration(i) * time.Second),
			Prediction: &guardian.Prediction{At: now, Success: 0.97 - float64(i%37)/100, Base: 0.9, Outcomes: 800},
		},
		Status: guardian.Status{
			State: guardian.Rolling, Since: now, Due: now.Add(24 * time.Hour), Ticked: now, Ops: 1, Step: i / 30 % 4, Reached: true, ReachedAt: now, Entered: now,
			Health: health, Score: score, Checks: []guardian.Watch{{Check: judgement.Check, Last: judgement}}, Reasons: []string{fmt.Sprintf("step %d of 4 bakes", i/30%4+1)},
		},
	}
}
