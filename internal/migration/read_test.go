package migration

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg"
)

// folder is written as pairs of a name and a text.
func folder(pairs ...string) fs.FS {
	fsys := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		fsys[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return fsys
}

func read(t *testing.T, format Format, pairs ...string) Folder {
	t.Helper()
	f, err := Read(folder(pairs...), format)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// summary is a line for each migration.
func summary(f Folder) (lines []string) {
	for _, m := range append(f.Migrations, f.Repeatable...) {
		line := m.String()
		for _, s := range []Script{m.Up, m.Down} {
			line += " | " + strings.TrimSpace(s.Text)
			if s.NoTx {
				line += " (alone)"
			}
		}
		lines = append(lines, line)
	}
	return lines
}

func TestEveryFormatIsReadInTheOrderOfItsTool(t *testing.T) {
	for _, c := range []struct {
		name   string
		format Format
		files  []string
		want   []string
	}{
		{"golang-migrate counts by numbers", GolangMigrate, []string{"10_b.up.sql", "B", "9_a.up.sql", "A", "9_a.down.sql", "Z", "0011_c.up.sql", "C", "README.md", "no"},
			[]string{"9 a | A | Z", "10 b | B | ", "11 c | C | "}},
		{"goose has both ways in one file", Goose, []string{"00001_a.sql", "-- a\n-- +goose Up\nA;\n-- +goose Down\nZ;\n", "2_b.sql", "-- +goose NO TRANSACTION\n-- +goose Up\n-- +goose StatementBegin\nB;\n-- +goose StatementEnd\n"},
			[]string{"1 a | A; | Z;", "2 b | B; (alone) | "}},
		{"a way down of goose that is only a comment is none", Goose, []string{"1_a.sql", "-- +goose Up\nA;\n-- +goose Down\n-- cannot be undone\n"}, []string{"1 a | A; | "}},
		{"flyway counts part by part", Flyway, []string{"V1.10__later_on.sql", "B", "V1_9__first.sql", "A", "U1.9__first.sql", "Z", "R__views.sql", "R", "V2__x.sql", "C"},
			[]string{"1.9 first | A | Z", "1.10 later on | B | ", "2 x | C | ", "views | R | "}},
		{"plain files go by their names", SQL, []string{"002_b.sql", "B", "001_a.sql", "A", "001_a.down.sql", "Z"}, []string{"001_a | A | Z", "002_b | B | "}},
		{"what PostgreSQL refuses in a transaction stands alone", SQL, []string{"1.sql", "CREATE INDEX CONCURRENTLY i ON t (a)", "2.sql", "BEGIN; A; COMMIT;"},
			[]string{"1 | CREATE INDEX CONCURRENTLY i ON t (a) (alone) | ", "2 | BEGIN; A; COMMIT; (alone) | "}},
	} {
		if diff := cmp.Diff(c.want, summary(read(t, c.format, c.files...))); diff != "" {
			t.Errorf("%s:\n%s", c.name, diff)
		}
	}
}

func TestWhatTheToolWouldRunOtherwiseIsRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		format Format
		files  []string
		want   string
	}{
		{"a way down without a way up", GolangMigrate, []string{"1_a.down.sql", "A"}, "no way up"},
		{"a version twice", GolangMigrate, []string{"1_a.up.sql", "A", "01_b.up.sql", "B"}, "same version"},
		{"a version twice in other words", Flyway, []string{"V1__a.sql", "A", "V1.0__b.sql", "B"}, "same version"},
		{"a file that is no migration", GolangMigrate, []string{"schema.sql", "A"}, "golang-migrate has files such as"},
		{"a migration in Go", Goose, []string{"00002_b.go", "package x"}, "written in Go"},
		{"values of the environment", Goose, []string{"1_a.sql", "-- +goose Up\n-- +goose ENVSUB ON\nA;"}, "environment"},
		{"no beginning", Goose, []string{"1_a.sql", "A;"}, "+goose Up"},
		{"a statement without its end", Goose, []string{"1_a.sql", "-- +goose Up\n-- +goose StatementBegin\nA;"}, "StatementEnd is missing"},
		{"a placeholder", Flyway, []string{"V1__a.sql", "CREATE SCHEMA ${name}"}, "placeholders"},
		{"a name without a version", Flyway, []string{"V__a.sql", "A"}, "Flyway has files such as"},
		{"migration 0", Flyway, []string{"V0.0__a.sql", "A"}, "empty schema"},
		{"a name with blanks", SQL, []string{"add users.sql", "A"}, "add users.sql"},
		{"bytes that are no text", SQL, []string{"1.sql", "\xff"}, "UTF-8"},
		{"a mark that nobody knows", SQL, []string{"1.sql", "-- adg: expanding\nA"}, "use expand"},
		{"two marks that exclude each other", SQL, []string{"1.sql", "-- adg: expand\n-- adg: contract\nA"}, "split it"},
		{"a mark for a migration that is not there", SQL, []string{"1.sql", "A", "adg.yaml", "migrations: {'2': [expand]}"}, "no migration 2"},
		{"a file of marks with something else in it", SQL, []string{"1.sql", "A", "adg.yaml", "migration: {}"}, "adg.yaml"},
		{"a format that nobody knows", "rails", nil, "golang-migrate"},
	} {
		_, err := Read(folder(c.files...), c.format)
		if err == nil || !strings.Contains(err.Error(), c.want) || adg.CodeOf(err) != adg.Invalid {
			t.Errorf("%s: %v, want invalid with %q", c.name, err, c.want)
		}
	}
}

func TestAFolderThatIsNotThereIsNotFound(t *testing.T) {
	sub, err := fs.Sub(folder(), "missing")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Read(sub, SQL); adg.CodeOf(err) != adg.NotFound {
		t.Errorf("error %v", err)
	}
}

func TestTheChecksumIsThatOfTheLinesWithoutTheirEnds(t *testing.T) {
	want := checksum("CREATE TABLE t (id int);\nSELECT 1;\n")
	for _, same := range []string{"CREATE TABLE t (id int);\r\nSELECT 1;\r\n", "CREATE TABLE t (id int);\rSELECT 1;", "CREATE TABLE t (id int);SELECT 1;"} {
		if got := checksum(same); got != want {
			t.Errorf("%q: %d, want %d", same, got, want)
		}
	}
	if checksum("CREATE TABLE t (id int); SELECT 1;") == want {
		t.Error("a blank makes no difference")
	}
}

func TestWhatStandsBetweenTwoRevisions(t *testing.T) {
	f := read(t, Flyway, "V1__a.sql", "A", "V1.5__b.sql", "B", "V2__c.sql", "C")
	for _, c := range []struct{ name, from, to, want string }{
		{"from nothing", "0", "1.5", "1 1.5"},
		{"one step", "1.5", "2.0", "2"},
		{"none", "2", "2", ""},
		{"the other way round", "2", "1", ""},
	} {
		between, err := f.Between(c.from, c.to)
		var got []string
		for _, m := range between {
			got = append(got, m.Version)
		}
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
	}
	if _, err := f.Between("1", "3"); adg.CodeOf(err) != adg.NotFound {
		t.Errorf("a revision that is not there: %v", err)
	}
}

func FuzzGooseFile(f *testing.F) {
	f.Add("-- +goose Up\nA;\n-- +goose Down\nB;")
	f.Add("-- +goose NO TRANSACTION\n-- +goose Up\n-- +goose StatementBegin\nA;\n-- +goose StatementEnd")
	f.Fuzz(func(t *testing.T, text string) {
		up, down, err := gooseScripts(file{"1_a.sql", text})
		if err != nil {
			return
		}
		lines := strings.Count(text, "\n") + 1
		for _, s := range []Script{up, down} {
			if s.Line+strings.Count(s.Text, "\n") > lines+1 {
				t.Fatalf("line %d and %q in a file of %d lines", s.Line, s.Text, lines)
			}
		}
	})
}

func FuzzRevisionsAreInOneOrder(f *testing.F) {
	f.Add("1", "01", "1.0")
	f.Add("1.10", "1.9", "2")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		for _, format := range Formats() {
			if format.Compare(a, b) != -format.Compare(b, a) {
				t.Fatalf("%s: %q and %q", format, a, b)
			}
			if format.Compare(a, b) <= 0 && format.Compare(b, c) <= 0 && format.Compare(a, c) > 0 {
				t.Fatalf("%s: %q, %q and %q", format, a, b, c)
			}
		}
	})
}
