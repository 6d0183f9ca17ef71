package scenarios

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
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
