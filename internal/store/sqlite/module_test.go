package sqlite

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"testing"
)

// The C library's translation works with the one version that this SQLite was made with.
func TestLibcIsTheVersionThatSQLiteWasMadeWith(t *testing.T) {
	type module struct{ Path, Version, GoMod string }
	var sqlite, libc module
	for path, m := range map[string]*module{"modernc.org/sqlite": &sqlite, "modernc.org/libc": &libc} {
		out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-json", path).Output()
		must(t, err)
		must(t, json.Unmarshal(out, m))
	}
	out, err := exec.CommandContext(t.Context(), "go", "mod", "edit", "-json", filepath.Clean(sqlite.GoMod)).Output()
	must(t, err)
	var wants struct{ Require []module }
	must(t, json.Unmarshal(out, &wants))
	for _, m := range wants.Require {
		if m.Path == libc.Path {
			if m.Version != libc.Version {
				t.Errorf("sqlite %s wants libc %s, go.mod has %s", sqlite.Version, m.Version, libc.Version)
			}
			return
		}
	}
	t.Fatalf("sqlite %s wants no libc", sqlite.Version)
}
