package scenarios

import (
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	guardian "github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/row"
	"github.com/deployguardian/adg/internal/store/sqlite"
)

// TestDashboard tells the stories of the dashboard, web/e2e, in a real browser in front of the real server. Where
// ADG_SCREENSHOTS names a folder, pictures of the pages are left there; ADG_E2E chooses one file of them.
func TestDashboard(t *testing.T) {
	t.Parallel()
	browser, err := exec.LookPath("chromium")
	if !typed(t) || err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("the dashboard is tested with Node.js and Chromium: run scripts/test-servers")
	}
	story := exec.CommandContext(t.Context(), filepath.Join("node_modules", ".bin", "vitest"), "run", "--config", "vitest.e2e.config.ts")
	story.Dir = dashboard(t)
	story.Env = append(os.Environ(), "ADG_BINARY="+adg, "ADG_CHROMIUM="+browser, "ADG_MANY="+many(t, 10_000), "ADG_PAST="+past(t))
	if out, err := story.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestDashboardsParts runs the tests of the dashboard's own parts.
func TestDashboardsParts(t *testing.T) {
	t.Parallel()
	if !typed(t) {
		t.Skip("the dashboard is tested with Node.js: run scripts/test-servers")
	}
	unit := exec.CommandContext(t.Context(), filepath.Join("node_modules", ".bin", "vitest"), "run")
	unit.Dir = dashboard(t)
	if out, err := unit.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// dashboard is a copy of the dashboard's source with what it needs, so that nothing is written into the tree.
func dashboard(t *testing.T) string {
	t.Helper()
	found, err := modules()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, folder := range []string{"src", "e2e", "public", "test"} {
		if err := os.CopyFS(filepath.Join(dir, folder), os.DirFS(filepath.Join(web, folder))); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob(filepath.Join(web, "*.*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(found, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	return dir
}

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
	const leased = 24 * time.Hour
	now := time.Now()
	for i := range deployments {
		d := oneOf(i, now)
		spec, err := row.Spec(d.Spec)
		if err != nil {
			t.Fatal(err)
		}
		status, err := row.Status(d.Status)
		if err != nil {
			t.Fatal(err)
		}
		for statement, values := range map[string][]any{
			"INSERT INTO deployments (n, id, service, environment, version, state, live, due, owner, until, ttl) VALUES (?, ?, ?, ?, 1, ?, 1, 0, 'another', ?, ?)": {
				i + 1, d.ID, d.Spec.Policy.Service, d.Spec.Policy.Environment, d.Status.State.String(), now.Add(leased).UnixNano(), leased,
			},
			"INSERT INTO specs (deployment, spec) VALUES (?, ?)":      {i + 1, spec},
			"INSERT INTO statuses (deployment, status) VALUES (?, ?)": {i + 1, status},
		} {
			if _, err := tx.Exec(statement, values...); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// oneOf is one of many deployments: each tenth is unhealthy, each seventh degraded.
func oneOf(i int, now time.Time) guardian.Deployment {
	service, value := fmt.Sprintf("service-%04d", i), 0.02
	limit := 2 * value
	health, verdict, score := guardian.Healthy, guardian.Pass, 100.0
	switch {
	case i%10 == 0:
		health, verdict, score, value = guardian.Unhealthy, guardian.Fail, float64(i%40), 0.2
	case i%7 == 0:
		health, verdict, score, value = guardian.Degraded, guardian.Warn, 70, 0.05
	}
	judgement := guardian.Judgement{Check: "errors", Verdict: verdict, Text: "errors are what they are", Value: &value, Limit: &limit, At: now}
	return guardian.Deployment{
		ID: fmt.Sprintf("many-%04d", i),
		Spec: guardian.Spec{
			Release: guardian.Release{Service: service, Version: "v2"}, LastGood: &guardian.Release{Service: service, Version: "v1"},
			Policy: guardian.Policy{
				Service: service, Environment: []string{"production", "staging"}[i%2], Checks: []guardian.Check{{Name: "errors", Weight: 1}},
				Strategy: guardian.Strategy{Kind: guardian.Canary, Steps: []guardian.Step{{Share: 5}, {Share: 25}, {Share: 50}, {Share: 100}}},
			},
			Actor: "user:pipeline", Created: now.Add(-time.Duration(i) * time.Second),
		},
		Status: guardian.Status{
			State: guardian.Rolling, Since: now, Due: now.Add(24 * time.Hour), Ticked: now, Ops: 1, Step: i % 4, Reached: true, ReachedAt: now, Entered: now,
			Health: health, Score: score, Checks: []guardian.Watch{{Check: "errors", Last: judgement}},
		},
	}
}
