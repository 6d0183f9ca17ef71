package migration

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWhetherCodeCanGoBackIsToldByMarksAndByTheWayDown(t *testing.T) {
	const add = "ALTER TABLE t ADD a int;"
	for _, c := range []struct {
		name, up, down, file          string
		compatible, reversible, loses bool
		text                          string
	}{
		{"marked expand", "-- adg: expand\n" + add, "ALTER TABLE t DROP a;", "", true, true, true, "declared to run"},
		{"marked in the file of marks", add, "ALTER TABLE t DROP a;", "migrations: {'2': [expand]}", true, true, true, "declared to run"},
		{"not marked", add, "DROP INDEX i;", "", false, true, false, "not declared to be compatible"},
		{"marked expand, and it takes away", "-- adg: expand\nALTER TABLE t DROP b;", "ALTER TABLE t ADD b int;", "", false, true, false, "marked expand, but 2_b.up.sql:2"},
		{"marked expand, and a table goes", "-- adg: expand\nDROP TABLE u;", "CREATE TABLE u (a int);", "", false, true, false, "marked expand, but"},
		{"compatible with the code of before", "-- adg: contract, compatible-with 1\nALTER TABLE t DROP b;", "", "", true, false, false, "declared to run"},
		{"compatible with later code only", "-- adg: compatible-with 2\n" + add, "DROP INDEX i;", "", false, true, false, "not declared"},
		{"no way down", add, "", "", false, false, false, "has no way down"},
		{"a way down that is a comment", add, "-- nothing to do\n", "", false, false, false, "has no way down"},
		{"marked irreversible", "-- adg: irreversible\n" + add, "DROP INDEX i;", "", false, false, false, "marked irreversible"},
		{"a way down that loses", add, "ALTER TABLE t DROP a;", "", false, true, true, "lose data: migration 2 b is not declared to be compatible with the code of schema 1; the way down: 2_b.down.sql:1: DROP COLUMN"},
		{"a way down that cannot be judged", add, "DO $$ BEGIN END $$;", "", false, true, true, "cannot be judged"},
	} {
		files := []string{"1_a.up.sql", "CREATE TABLE t (b int);", "2_b.up.sql", c.up, "adg.yaml", "migrations:\n" + strings.TrimPrefix(c.file, "migrations:")}
		if c.down != "" {
			files = append(files, "2_b.down.sql", c.down)
		}
		if c.file == "" {
			files[5] = "migrations: {}"
		}
		v, err := read(t, GolangMigrate, files...).Judge("1", "2")
		if err != nil {
			t.Fatal(err)
		}
		if v.Compatible != c.compatible || v.Reversible != c.reversible || v.Lossless == c.loses || !strings.Contains(v.Text(), c.text) {
			t.Errorf("%s: compatible %t, reversible %t, lossless %t: %s", c.name, v.Compatible, v.Reversible, v.Lossless, v.Text())
		}
	}
}

func TestAMarkAtTheHeadOfAGooseFileCounts(t *testing.T) {
	f := read(t, Goose, "1_a.sql", "-- +goose Up\nSELECT 1;\n", "2_b.sql", "-- adg: irreversible\n-- adg: compatible-with 1\n-- +goose Up\nSELECT 1;\n-- +goose Down\n-- adg: expand\nSELECT 1;\n")
	want := Marks{Irreversible: true, Expand: true, CompatibleWith: []string{"1"}}
	if diff := cmp.Diff(want, f.Migrations[1].Marks); diff != "" {
		t.Error(diff)
	}
	if v, err := f.Judge("1", "2"); err != nil || v.Reversible {
		t.Errorf("%+v, %v", v, err)
	}
}

func TestEveryMigrationBetweenHasToBeCompatible(t *testing.T) {
	f := read(t, SQL, "1.sql", "CREATE TABLE t (b int);", "2.sql", "-- adg: expand\nALTER TABLE t ADD a int;", "3.sql", "-- adg: compatible-with 2\nALTER TABLE t DROP b;")
	for code, compatible := range map[string]bool{"1": false, "2": true, "3": true} {
		if v, err := f.Judge(code, "3"); err != nil || v.Compatible != compatible {
			t.Errorf("code of schema %s: %+v, %v", code, v, err)
		}
	}
}
