package database

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/migration"
	"github.com/deployguardian/adg/internal/store/postgres/pgtest"
)

// has tells whether there is an obstacle of this kind with these words.
func hasObstacle(all []adg.Obstacle, name string, final bool, words string) bool {
	return slices.ContainsFunc(all, func(o adg.Obstacle) bool {
		return o.Name == name && o.Final == final && strings.Contains(o.Text, words)
	})
}

func rehearse(t *testing.T, target adg.Target, d adg.Desired) []adg.Obstacle {
	t.Helper()
	rehearser, can := adg.PowerOf[adg.Rehearser](target)
	if !can {
		t.Fatal("it cannot rehearse")
	}
	found, err := rehearser.Rehearse(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestWhatStandsAgainstARollbackIsSaidBeforeTheDeployment(t *testing.T) {
	const one = "CREATE TABLE shop (id int, b int)"
	for _, c := range []struct {
		name  string
		files []string
		down  bool // allow_down
		d     adg.Desired
		kind  string // of the obstacle; empty: there is none
		final bool
		words string
	}{
		{"code that can go back", []string{"1.sql", one, "2.sql", "-- adg: expand\nALTER TABLE shop ADD a int"}, false, back("d/1", 1, "1", "2"), "", false, ""},
		{"code that cannot go back", []string{"1.sql", one, "2.sql", "ALTER TABLE shop DROP b"}, true, back("d/1", 1, "1", "2"), "schema", true, "migration 2 has no way down"},
		{"a way back that nobody has allowed", []string{"1.sql", one, "2.sql", "CREATE INDEX i ON shop (id)", "2.down.sql", "DROP INDEX i"}, false, back("d/1", 1, "1", "2"), "schema", true, "set allow_down"},
		{"a way back with a backup", []string{"1.sql", one, "2.sql", "CREATE INDEX i ON shop (id)", "2.down.sql", "DROP INDEX i"}, true, back("d/1", 1, "1", "2"), "schema", true, "takes the schema back from revision 2 to 1: 2, after a backup: take the traffic away first, and have a person ask for it"},
		{"no migration between", []string{"1.sql", one}, false, back("d/1", 1, "1", "0"), "", false, ""},
		{"a way back from what the folder does not have yet", []string{"1.sql", one}, false, back("d/1", 1, "1", "42"), "schema", false, "release v42 cannot be judged: the folder has no 42"},
		{"a way back from what nobody has said", []string{"1.sql", one}, false, without(back("d/1", 1, "1", "2"), "v2"), "schema", false, "release v2 cannot be judged: it does not say which revision"},
		{"the way forward", []string{"1.sql", one, "2.sql", "CREATE INDEX i ON shop (id)"}, false, want("d/1", 1, "2", "1"), "schema", false, "2.sql:1: CREATE INDEX without CONCURRENTLY"},
		{"the way forward without a way back", []string{"1.sql", one, "2.sql", "SELECT 1"}, false, want("d/1", 1, "2", "1"), "schema", false, "migration 2 cannot be undone"},
		{"a revision that is not there", []string{"1.sql", one}, false, want("d/1", 1, "2", "1"), "schema", true, "no migration 2"},
		{"an empty folder after migrations were applied", []string{"1.sql", ""}, false, want("d/1", 1, "1"), "schema", true, "is not in the folder"},
	} {
		w := newWorld(t)
		w.files(t, "1.sql", one)
		o := w.options(migration.SQL)
		if c.down {
			o = w.permissive(migration.SQL)
		}
		target := opened(t, o)
		apply(t, target, want("d/0", 1, "1"))
		w.files(t, c.files...)
		found := rehearse(t, target, c.d)
		if c.kind == "" && len(found) != 0 || c.kind != "" && !hasObstacle(found, c.kind, c.final, c.words) {
			t.Errorf("%s: %+v", c.name, found)
		}
		if seen, err := target.Current(t.Context()); err != nil || seen.OpID != "d/0" {
			t.Errorf("%s: it was changed: %+v, %v", c.name, seen, err)
		}
	}
}

// without is a state in which a release does not say which schema it needs.
func without(d adg.Desired, version string) adg.Desired {
	for i := range d.Releases {
		if d.Releases[i].Release.Version == version {
			d.Releases[i].Release.Schema = ""
		}
	}
	return d
}

func TestWhatStaysOfAMigrationThatIsRunAnewIsSaidBeforeTheDeployment(t *testing.T) {
	w := newWorld(t)
	const view = "CREATE OR REPLACE VIEW v AS SELECT id FROM shop;"
	w.files(t, "V1__shop.sql", "CREATE TABLE shop (id int)", "R__same.sql", view, "R__view.sql", view)
	target := opened(t, w.options(migration.Flyway))
	apply(t, target, want("d/1", 1, "1"))
	for name, c := range map[string]struct{ text, words string }{
		"it is as it was":                       {view, ""},
		"it replaces a view":                    {view + "SELECT 1", "migration view is run anew when the release goes live, and stays after a rollback: R__view.sql:1: CREATE OR REPLACE VIEW"},
		"nobody knows what it does":             {"DO $$ BEGIN END $$", "cannot be judged"},
		"somebody says that it changes nothing": {"-- adg: compatible-with 1\n" + view, ""},
		"it is marked for later code":           {"-- adg: compatible-with 2\n" + view, "R__view.sql:2"},
	} {
		w.files(t, "R__view.sql", c.text)
		found := rehearse(t, target, back("d/2", 1, "1", "0"))
		if c.words == "" && len(found) != 0 || c.words != "" && (!hasObstacle(found, "schema", false, c.words) || len(found) != 1) {
			t.Errorf("%s: %+v", name, found)
		}
	}
}

func TestAFolderThatIsNotThereIsAnObstacle(t *testing.T) {
	w := newWorld(t)
	o := w.options(migration.SQL)
	o.Folder += "/missing"
	if found := rehearse(t, opened(t, o), want("d/1", 1, "1")); !hasObstacle(found, "schema", true, "the folder of migrations is not there") {
		t.Errorf("%+v", found)
	}
}

func TestABackupThatCannotBeStartedIsAnObstacle(t *testing.T) {
	w := newWorld(t)
	w.files(t, "1.sql", "CREATE TABLE shop (id int)", "2.sql", "CREATE INDEX i ON shop (id)", "2.down.sql", "DROP INDEX i")
	o := w.permissive(migration.SQL)
	o.Backup.Path = w.folder + "/missing"
	target := opened(t, o)
	apply(t, target, want("d/1", 1, "2"))
	if found := rehearse(t, target, back("d/2", 1, "1", "2")); !hasObstacle(found, "backup", true, "/missing (backup) cannot be started") {
		t.Errorf("%+v", found)
	}
}

func TestRightsThatAreMissingAreAnObstacle(t *testing.T) {
	w := newWorld(t)
	w.files(t, "1.sql", "SELECT 1")
	target := opened(t, w.options(migration.SQL))
	apply(t, target, want("d/1", 1, "1"))
	pgtest.Exec(t, w.super, "ALTER DATABASE "+w.name(t)+" OWNER TO postgres", "ALTER TABLE adg_schema_history OWNER TO postgres")
	found := rehearse(t, target, want("d/2", 1, "1"))
	if !hasObstacle(found, "access", true, "create in it") || !hasObstacle(found, "access", true, `write the table "public"."adg_schema_history"`) {
		t.Errorf("%+v", found)
	}
	_, err := target.Apply(t.Context(), want("d/2", 1, "1"))
	if adg.CodeOf(err) != adg.Unauthorized || !adg.IsPermanent(err) {
		t.Errorf("Apply: %v", err)
	}
}

func TestAPasswordThatIsNotRightIsPermanentAndAnObstacle(t *testing.T) {
	w := newWorld(t)
	w.files(t, "1.sql", "SELECT 1")
	pgtest.Exec(t, w.super, "ALTER ROLE "+w.user(t)+" PASSWORD 'another'")
	target := opened(t, w.options(migration.SQL))
	if found := rehearse(t, target, want("d/1", 1, "1")); !hasObstacle(found, "access", true, "password authentication failed") {
		t.Errorf("%+v", found)
	}
	_, err := target.Apply(t.Context(), want("d/1", 1, "1"))
	if adg.CodeOf(err) != adg.Unauthorized || !adg.IsPermanent(err) {
		t.Errorf("Apply: %v", err)
	}
}

func (w *world) name(t *testing.T) string {
	t.Helper()
	u, err := url.Parse(w.super)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(u.Path, "/")
}

func TestDatabaseIsReachedOnlyWhereDriversMayGo(t *testing.T) {
	o := newWorld(t).options(migration.Goose)
	o.DSN = adg.NewSecret("postgres://x:y@169.254.169.254/z")
	_, err := opened(t, o).Current(t.Context())
	if err == nil || !strings.Contains(err.Error(), "link-local or metadata address") {
		t.Errorf("got %v", err)
	}
}
