package database

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/migration"
	"github.com/deployguardian/adg/internal/store/postgres/pgtest"
	"github.com/deployguardian/adg/internal/target/targettest"
)

// fails says that an Apply is refused for good, with these words, and that Current says so, too.
func fails(t *testing.T, name string, target adg.Target, d adg.Desired, words ...string) {
	t.Helper()
	_, err := target.Apply(t.Context(), d)
	if !adg.IsPermanent(err) {
		t.Errorf("%s: %v, want a permanent error", name, err)
		return
	}
	seen, currentErr := target.Current(t.Context())
	if currentErr != nil || seen.Done || !seen.Failed {
		t.Errorf("%s: Current: %+v, %v", name, seen, currentErr)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) || !strings.Contains(seen.Text, w) {
			t.Errorf("%s: %q is missing in: %v\nor in: %s", name, w, err, seen.Text)
		}
	}
	if strings.Contains(err.Error()+seen.Text+seen.Log, targettest.Planted) {
		t.Errorf("%s: the password shows", name)
	}
}

// Whoever registers a database would have the password of the server's own store sent to it.
func TestThePasswordOfTheServersOwnStoreGoesToNoOtherDatabase(t *testing.T) {
	t.Setenv("PGPASSWORD", targettest.Planted)
	for dsn, well := range map[string]bool{
		"postgres://eve@192.0.2.1/x": false, "host=192.0.2.1 user=eve dbname=x": false, "host=192.0.2.1 user='eve password=hers' dbname=x": false,
		"postgres://shop:own@192.0.2.1/x": true, `host=192.0.2.1 user=shop password='it\'s own'`: true, "postgres://192.0.2.1/x?user=shop&password=own": true,
	} {
		o, ok := Driver.Options.(Options)
		if !ok {
			t.Fatal("the driver has other options")
		}
		o.DSN, o.Folder, o.Format = adg.NewSecret(dsn), t.TempDir(), "sql"
		_, err := Driver.Open(t.Context(), o, adg.Host{})
		if (err == nil) != well || err != nil && !strings.Contains(err.Error(), "its own store") {
			t.Errorf("%s: %v", dsn, err)
		}
		if _, err := Driver.Open(t.Context(), o, adg.Host{Commands: true}); err != nil {
			t.Errorf("%s, on one's own machine: %v", dsn, err)
		}
	}
}

func TestARollbackLeavesASchemaThatIsDeclaredCompatible(t *testing.T) {
	w := newWorld(t)
	w.files(t, "1.sql", "CREATE TABLE shop (id int)", "2.sql", "-- adg: expand\nALTER TABLE shop ADD a int", "2.down.sql", "ALTER TABLE shop DROP a")
	target := opened(t, w.permissive(migration.SQL)) // also where it may be taken back
	apply(t, target, want("d/1", 1, "2", "1"))
	seen := apply(t, target, back("d/2", 1, "1", "2"))
	if share, _ := seen.Share("v1"); !seen.Done || share != 100 || !strings.Contains(seen.Text, "stays at revision 2: code of schema 1 is declared to run on schema 2") {
		t.Errorf("%+v", seen)
	}
	if diff := cmp.Diff([]string{"1", "2"}, w.query(t, "SELECT version FROM adg_schema_history ORDER BY 1")); diff != "" {
		t.Error(diff)
	}
	if seen := apply(t, target, want("d/3", 1, "1")); !seen.Done {
		t.Errorf("another release that fits the older schema: %+v", seen)
	}
}

func TestARollbackThatNeedsAnOlderSchemaIsRefusedWithTheWayOut(t *testing.T) {
	w := newWorld(t)
	w.files(t, "1.sql", "CREATE TABLE shop (id int, b int)", "1.down.sql", "DROP TABLE shop",
		"2.sql", "ALTER TABLE shop ADD a int", "2.down.sql", "DROP INDEX IF EXISTS none",
		"3.sql", "ALTER TABLE shop ADD c int", "3.down.sql", "ALTER TABLE shop DROP c",
		"4.sql", "ALTER TABLE shop DROP b")
	careful := opened(t, w.options(migration.SQL))
	bold := opened(t, w.permissive(migration.SQL))
	apply(t, careful, want("d/1", 1, "2"))
	fails(t, "nobody has allowed it", careful, back("d/2", 1, "1", "2"), "migration 2 is not declared to be compatible", "roll forward", "allow_down")
	fails(t, "no rollback", bold, want("d/3", 1, "1"), "deploy a release that fits it")
	apply(t, careful, want("d/4", 1, "3"))
	fails(t, "it would lose a column", bold, back("d/5", 1, "2", "3"), "would lose data", "3.down.sql:1: DROP COLUMN takes shop.c away", "roll forward")
	apply(t, careful, want("d/6", 1, "4"))
	fails(t, "there is no way down", bold, back("d/7", 1, "3", "4"), "migration 4 has no way down", "roll forward")
	if got := strings.Join(w.query(t, "SELECT version FROM adg_schema_history ORDER BY 1"), " "); got != "1 2 3 4" {
		t.Errorf("applied %s", got)
	}
}

func TestNothingIsTakenBackWithoutABackupThatWasVerified(t *testing.T) {
	w := newWorld(t)
	w.files(t, shop...)
	o := w.permissive(migration.GolangMigrate)
	o.Secrets = map[string]adg.Secret{"PGPASSWORD": adg.NewSecret(targettest.Planted)}
	apply(t, opened(t, o), want("d/0", 1, "3"))
	revision := func() string { return strings.Join(w.query(t, "SELECT version::text FROM schema_migrations"), " ") }
	log := filepath.Join(w.folder, "log")
	bad := w.program(t, "bad", "echo there is no room for $PGPASSWORD >&2; exit 3")
	good := w.program(t, "good", `echo "$1 $ADG_OP_ID $ADG_DEPLOYMENT from $ADG_REVISION to $ADG_WANTED_REVISION" >> `+log+`; echo said $1`)
	for i, c := range []struct{ name, backup, verify, words string }{
		{"the backup fails", bad, good, "there is no backup: backup: " + bad + " ended with status 3: there is no room for"},
		{"the backup cannot be read", good, bad, "the backup was not verified: verify: " + bad},
	} {
		o.Backup.Path, o.Verify.Path = c.backup, c.verify
		target := opened(t, o)
		_, err := target.Apply(t.Context(), back("d/1", int64(i+1), "1", "3"))
		if err == nil || !strings.Contains(err.Error(), c.words) || revision() != "3" || adg.IsPermanent(err) {
			t.Errorf("%s: %v, and the schema is at %s", c.name, err, revision())
		}
		seen, err := target.Current(t.Context())
		if err != nil || seen.Done || seen.Failed || !strings.Contains(seen.Log, "there is no room for") || strings.Contains(seen.Log+seen.Text, targettest.Planted) {
			t.Errorf("%s: %+v, %v", c.name, seen, err)
		}
	}
	if err := os.Remove(log); err != nil {
		t.Fatal(err)
	}
	o.Backup.Path, o.Backup.Args, o.Verify.Path, o.Verify.Args = good, []string{"backup"}, good, []string{"verify"}
	seen := apply(t, opened(t, o), back("d/2", 2, "1", "3"))
	if revision() != "1" || !seen.Done || seen.Log != "backup: said backup\nverify: said verify" || !strings.Contains(seen.Text, "takes the schema back from revision 3 to 1: 3 basket, 2 name") {
		t.Errorf("the schema is at %s: %+v", revision(), seen)
	}
	text, err := os.ReadFile(log)
	if diff := cmp.Diff("backup d/2 shop-v2-abc from 3 to 1\nverify d/2 shop-v2-abc from 3 to 1\n", string(text)); diff != "" || err != nil {
		t.Errorf("%v%s", err, diff)
	}
}

// alone is a migration that PostgreSQL runs in no transaction, and that fails half-way: there is an index, and no second.
const alone = "CREATE INDEX CONCURRENTLY one ON shop (id);\nCREATE INDEX CONCURRENTLY two ON missing (id);\n"

func TestAMigrationThatFailsHalfWayIsSaidAndNothingIsGuessed(t *testing.T) {
	for _, c := range []struct {
		format migration.Format
		files  []string
		way    string
		mend   string // what the way out does to the books
	}{
		{migration.GolangMigrate, []string{"1_a.up.sql", "CREATE TABLE shop (id int)", "2_b.up.sql", alone}, "migrate force",
			"DELETE FROM schema_migrations; INSERT INTO schema_migrations VALUES (2, false)"},
		{migration.Goose, []string{"1_a.sql", "-- +goose Up\nCREATE TABLE shop (id int);", "2_b.sql", "-- +goose NO TRANSACTION\n-- +goose Up\n" + alone}, "SET under_way = '' WHERE op_id = 'd/1'",
			"UPDATE adg_schema_operations SET under_way = '' WHERE op_id = 'd/1'; INSERT INTO goose_db_version (version_id, is_applied) VALUES (2, true)"},
		{migration.Flyway, []string{"V1__a.sql", "CREATE TABLE shop (id int)", "V2__b.sql", alone}, "flyway repair",
			"UPDATE flyway_schema_history SET success = true"},
		{migration.SQL, []string{"1.sql", "CREATE TABLE shop (id int)", "2.sql", alone}, "SET under_way = '' WHERE op_id = 'd/1'",
			"UPDATE adg_schema_operations SET under_way = '' WHERE op_id = 'd/1'; INSERT INTO adg_schema_history SELECT '2', checksum FROM adg_schema_history"},
	} {
		t.Run(string(c.format), func(t *testing.T) {
			w := newWorld(t)
			w.files(t, c.files...)
			target := opened(t, w.options(c.format))
			_, err := target.Apply(t.Context(), want("d/1", 1, "2"))
			if !adg.IsPermanent(err) || !strings.Contains(err.Error(), "failed half-way") || !strings.Contains(err.Error(), `relation "missing" does not exist`) {
				t.Errorf("%v", err)
			}
			if !strings.Contains(err.Error(), "2") {
				t.Errorf("the migration is not named: %v", err)
			}
			fails(t, "the same again", target, want("d/1", 1, "2"), c.way)
			fails(t, "another operation", target, want("d/2", 1, "1"), c.way)
			if got := len(w.query(t, "SELECT indexname::text FROM pg_indexes WHERE indexname = 'one'")); got != 1 {
				t.Errorf("%d indexes", got)
			}
			pgtest.Exec(t, w.super, c.mend)
			if c.format == migration.SQL {
				w.files(t, "2.sql", "CREATE TABLE shop (id int)") // whose checksum was taken over above
			}
			if seen := apply(t, target, want("d/3", 1, "2")); !seen.Done {
				t.Errorf("after it was brought in order: %+v", seen)
			}
		})
	}
}

func TestABackupIsPutBackWhereTakingBackFailedHalfWay(t *testing.T) {
	w := newWorld(t)
	w.files(t, "1.sql", "CREATE TABLE shop (id int)", "2.sql", "CREATE INDEX one ON shop (id)",
		"2.down.sql", "DROP INDEX CONCURRENTLY one;\nDROP INDEX CONCURRENTLY missing;")
	o := w.permissive(migration.SQL)
	apply(t, opened(t, o), want("d/1", 1, "2"))
	fails(t, "nobody puts it back", opened(t, o), back("d/2", 1, "1", "2"), "2.down.sql", "failed half-way", `index "missing" does not exist`)
	pgtest.Exec(t, w.super, "UPDATE adg_schema_operations SET under_way = ''", "CREATE INDEX one ON shop (id)")
	restore := "psql -q '" + w.super + `' -c "UPDATE adg_schema_operations SET under_way = ''; CREATE INDEX one ON shop (id)"`
	o.Restore.Path = w.program(t, "restore", restore)
	fails(t, "a program puts it back", opened(t, o), back("d/3", 1, "1", "2"), "the backup was put back, and the schema is at revision 2 as before")
	o.Restore.Path = "/bin/false"
	fails(t, "a program fails to put it back", opened(t, o), back("d/4", 1, "1", "2"), "the backup was not put back: restore: /bin/false ended with status 1")
}

func TestWhatWasAppliedAndIsNotInTheFolderIsSaid(t *testing.T) {
	for _, c := range []struct {
		name   string
		format migration.Format
		before []string
		schema string
		then   []string
		d      adg.Desired
		words  string
	}{
		{"a migration that is gone", migration.SQL, []string{"1.sql", "SELECT 1", "2.sql", "SELECT 2"}, "2", []string{"1.sql", ""}, want("d/2", 1, "2"), "migration 1 was applied, and is not in the folder"},
		{"a file that was changed", migration.SQL, []string{"1.sql", "SELECT 1"}, "1", []string{"1.sql", "SELECT 3"}, want("d/2", 1, "1"), "migration 1 was changed after it was applied"},
		{"a file of flyway that was changed", migration.Flyway, []string{"V1__a.sql", "SELECT 1"}, "1", []string{"V1__a.sql", "SELECT 3"}, want("d/2", 1, "1"), "was changed after it was applied"},
		{"a migration that came late", migration.SQL, []string{"2.sql", "SELECT 2"}, "2", []string{"1.sql", "SELECT 1"}, want("d/2", 1, "2"), "migration 1 was never applied"},
		{"a way back from what the folder does not have", migration.GolangMigrate, []string{"1_a.up.sql", "SELECT 1", "2_a.up.sql", "SELECT 2"}, "2", []string{"2_a.up.sql", ""}, back("d/2", 1, "1"), "the folder has no such migration"},
		{"a way back from what was changed", migration.SQL, []string{"1.sql", "SELECT 1", "2.sql", "SELECT 2"}, "2", []string{"2.sql", "-- adg: expand"}, back("d/2", 1, "1"), "migration 2 was changed"},
		{"a revision that nobody has written", migration.GolangMigrate, []string{"1_a.up.sql", "SELECT 1"}, "1", nil, want("d/2", 1, "7"), "no migration 7 in the folder"},
		{"a folder that cannot be read", migration.GolangMigrate, []string{"1_a.up.sql", "SELECT 1"}, "1", []string{"x.sql", "SELECT 2"}, back("d/2", 1, "1"), "golang-migrate has files such as"},
	} {
		w := newWorld(t)
		w.files(t, c.before...)
		target := opened(t, w.permissive(c.format))
		apply(t, target, want("d/1", 1, c.schema))
		w.files(t, c.then...)
		fails(t, c.name, target, c.d, c.words)
	}
}

func TestWhatIsOlderThanARollbackDoesNotStandInItsWay(t *testing.T) {
	w := newWorld(t)
	w.files(t, "2.sql", "SELECT 2", "3.sql", "-- adg: expand\nCREATE TABLE shop (id int)")
	target := opened(t, w.options(migration.SQL))
	apply(t, target, want("d/1", 1, "3", "2"))
	w.files(t, "1.sql", "SELECT 1", "2.sql", "SELECT 'changed'")
	for op, schema := range map[string]string{"d/2": "2", "d/3": "3"} {
		if seen := apply(t, target, back(op, 1, schema)); !seen.Done {
			t.Errorf("back to code of schema %s: %+v", schema, seen)
		}
	}
}

func TestFlywaysTableHoldsWhatFlywayWouldWrite(t *testing.T) {
	w := newWorld(t)
	w.files(t, "V1__shop.sql", "CREATE TABLE shop (id int);\n", "V1.1__add_index.sql", "CREATE INDEX CONCURRENTLY i ON shop (id);", "U1.1__add_index.sql", "DROP INDEX CONCURRENTLY i;",
		"R__view.sql", "CREATE OR REPLACE VIEW v AS SELECT id FROM shop;")
	target := opened(t, w.permissive(migration.Flyway))
	const history = `SELECT concat_ws(' ', installed_rank, coalesce(version, '-'), description, type, script, installed_by = current_user OR true, success) FROM flyway_schema_history ORDER BY installed_rank`
	apply(t, target, want("d/1", 1, "1.1"))
	apply(t, target, back("d/2", 1, "1", "1.1"))
	w.files(t, "R__view.sql", "CREATE OR REPLACE VIEW v AS SELECT id, 1 AS one FROM shop;")
	apply(t, target, want("d/3", 1, "1.1"))
	apply(t, target, want("d/4", 1, "1.1"))
	if diff := cmp.Diff([]string{
		"1 1 shop SQL V1__shop.sql t t", "2 1.1 add index SQL V1.1__add_index.sql t t", "3 - view SQL R__view.sql t t",
		"4 1.1 add index UNDO_SQL U1.1__add_index.sql t t",
		"5 1.1 add index SQL V1.1__add_index.sql t t", "6 - view SQL R__view.sql t t",
	}, w.query(t, history)); diff != "" {
		t.Error(diff)
	}
}

func TestABaselineOfFlywayStandsForWhatCameBefore(t *testing.T) {
	w := newWorld(t)
	w.files(t, "V1__a.sql", "SELECT broken", "V3__b.sql", "CREATE TABLE shop (id int)")
	for _, statement := range bookOf(migration.Flyway, table{"public", "flyway_schema_history"}).create() {
		pgtest.Exec(t, w.dsn, statement)
	}
	pgtest.Exec(t, w.dsn, `INSERT INTO flyway_schema_history VALUES (1, '2', '<< Flyway Baseline >>', 'BASELINE', '<< Flyway Baseline >>', NULL, 'shop', now(), 0, true)`)
	apply(t, opened(t, w.options(migration.Flyway)), want("d/1", 1, "3"))
}

func TestAMigrationThatFailsNamesItsLineAndLeavesNothing(t *testing.T) {
	w := newWorld(t)
	w.files(t, "1_a.sql", "-- a comment\n-- +goose Up\nCREATE TABLE shop (id int);\n\nSELECT nothing;\n")
	fails(t, "", opened(t, w.options(migration.Goose)), want("d/1", 1, "1"), "the schema is at revision 0", "1_a.sql:5", `column "nothing" does not exist`)
	if got := w.query(t, "SELECT tablename::text FROM pg_tables WHERE tablename = 'shop'"); len(got) != 0 {
		t.Error("the table is there")
	}
}

func TestWhatAMigrationSetsForItsSessionDoesNotReachTheNext(t *testing.T) {
	w := newWorld(t)
	w.files(t, "1.sql", "SET search_path = ''; CREATE TABLE public.shop (id int); SET ROLE pg_monitor", "2.sql", "CREATE INDEX i ON shop (id)")
	pgtest.Exec(t, w.super, "GRANT pg_monitor TO "+w.user(t))
	if seen := apply(t, opened(t, w.options(migration.SQL)), want("d/1", 1, "2")); !seen.Done {
		t.Errorf("%+v", seen)
	}
}

func TestAScriptThatLeavesItsTransactionOpenIsHalfDone(t *testing.T) {
	w := newWorld(t)
	w.files(t, "1.sql", "BEGIN;\nCREATE TABLE shop (id int);\n")
	target := opened(t, w.options(migration.SQL))
	fails(t, "no COMMIT", target, want("d/1", 1, "1"), "failed half-way", "1.sql begins a transaction and does not end it", "COMMIT")
	if got := w.query(t, "SELECT version FROM adg_schema_history"); len(got) != 0 {
		t.Errorf("noted as applied: %v", got)
	}
}

func TestAStatementThatFailsInAScriptsOwnTransactionIsSaid(t *testing.T) {
	w := newWorld(t)
	w.files(t, "1.sql", "CREATE TABLE shop (id int)", "2.sql", "BEGIN;\nINSERT INTO shop VALUES (1);\nSELECT nothing;\nCOMMIT;\n", "2.down.sql", "SET ROLE pg_monitor;\nBEGIN;\nSELECT nothing;\nCOMMIT;")
	pgtest.Exec(t, w.super, "GRANT pg_monitor TO "+w.user(t))
	o := w.permissive(migration.SQL)
	fails(t, "on the way forward", opened(t, o), want("d/1", 1, "2"), "2.sql:3", `column "nothing" does not exist`)
	if got := w.query(t, "SELECT id::text FROM shop"); len(got) != 0 {
		t.Errorf("kept: %v", got)
	}
	w.files(t, "2.sql", "CREATE TABLE shop (id int)") // whose checksum is taken over
	pgtest.Exec(t, w.super, "UPDATE adg_schema_operations SET under_way = ''", "INSERT INTO adg_schema_history SELECT '2', checksum FROM adg_schema_history")
	o.Restore.Path = w.program(t, "restore", "psql -q '"+w.super+`' -c "UPDATE adg_schema_operations SET under_way = ''"`)
	fails(t, "on the way back, with another role", opened(t, o), back("d/2", 1, "1", "2"), "2.down.sql:3", `column "nothing" does not exist`, "the backup was put back, and the schema is at revision 2 as before")
}

func TestAMigrationMayNotEndTheTransactionThatItRunsIn(t *testing.T) {
	const create = "-- +goose Up\nCREATE TABLE shop (id int);\n"
	for _, c := range []struct{ name, text, words string }{
		{"it is taken back", create + "ROLLBACK;\n", "nothing was run"},
		{"it is committed", create + "END;\n", "nothing was run"},
		{"another one begins", create + "ROLLBACK AND CHAIN;\nCREATE TABLE basket (id int);\n", "nothing was run"},
		{"the server reads a string in another way", create + "SELECT '\\''; COMMIT; --'\n", "failed half-way"},
	} {
		w := newWorld(t)
		pgtest.Exec(t, w.super, "ALTER ROLE "+w.user(t)+" SET standard_conforming_strings = off")
		w.files(t, "1_a.sql", c.text)
		fails(t, c.name, opened(t, w.options(migration.Goose)), want("d/1", 1, "1"), "1_a.sql", "NO TRANSACTION", c.words)
		if got := w.query(t, "SELECT version_id::text FROM goose_db_version WHERE version_id > 0"); len(got) != 0 {
			t.Errorf("%s: noted as applied: %v", c.name, got)
		}
	}
	w := newWorld(t)
	w.files(t, "1_a.sql", create+"SAVEPOINT a;\nDROP TABLE shop;\nROLLBACK TO a;\n")
	if seen := apply(t, opened(t, w.options(migration.Goose)), want("d/1", 1, "1")); !seen.Done {
		t.Errorf("back to a savepoint: %+v", seen)
	}
}

func TestWhatAScriptThatStandsAloneSetsHoldsToItsEnd(t *testing.T) {
	w := newWorld(t)
	w.files(t, "1.sql", "CREATE SCHEMA other; CREATE TABLE public.shop (id int, timeouts text)",
		"2.sql", "SET search_path = other;\nSET statement_timeout = 0;\nCREATE TABLE basket (id int);\nCREATE INDEX CONCURRENTLY i ON basket (id);\n"+
			"INSERT INTO public.shop SELECT 2, current_setting('statement_timeout')",
		"3.sql", "INSERT INTO shop SELECT 3, concat_ws(' ', current_setting('statement_timeout'), current_setting('lock_timeout'), current_setting('application_name'))")
	if seen := apply(t, opened(t, w.options(migration.SQL)), want("d/1", 1, "3")); !seen.Done {
		t.Errorf("%+v", seen)
	}
	if diff := cmp.Diff([]string{"0", "10min 1s adg d/1"}, w.query(t, "SELECT timeouts FROM shop ORDER BY id")); diff != "" {
		t.Errorf("the limits in the script that sets them, and in the next:\n%s", diff)
	}
	if got := w.query(t, "SELECT schemaname::text FROM pg_tables WHERE tablename = 'basket'"); !slices.Equal(got, []string{"other"}) {
		t.Errorf("the table is in %v", got)
	}
}

func TestNoLimitIsAskedForWhenTheSessionBeginsBecausePoolersRefuseThat(t *testing.T) {
	w := newWorld(t)
	w.files(t, "1.sql", "CREATE TABLE begun AS SELECT name, reset_val FROM pg_settings WHERE name IN ('application_name', 'lock_timeout', 'statement_timeout', 'idle_in_transaction_session_timeout')")
	apply(t, opened(t, w.options(migration.SQL)), want("d/1", 1, "1"))
	if diff := cmp.Diff([]string{"", "0", "0", "0"}, w.query(t, "SELECT reset_val FROM begun ORDER BY name")); diff != "" {
		t.Error(diff)
	}
}

func TestWhatIsLoggedCanBeKeptAndShown(t *testing.T) {
	w := newWorld(t)
	w.files(t, shop...)
	o := w.permissive(migration.GolangMigrate)
	apply(t, opened(t, o), want("d/0", 1, "3"))
	const colours = `printf '\033[31mred\033[0m a'; head -c 1 /dev/zero; printf 'b%s' `
	for i, shift := range []string{"", "x", "xx"} { // of characters of three bytes a cut leaves two, one or none
		o.Backup.Path = w.program(t, "backup", colours+shift+strings.Repeat("€", 2*adg.MaxLog))
		o.Verify.Path = w.program(t, "verify", colours+shift)
		target := opened(t, o)
		seen := apply(t, target, back(fmt.Sprintf("d/%d", 2*i+1), 1, "1", "3"))
		if !seen.Done || seen.Failed || !strings.HasSuffix(seen.Log, "verify: red a·b"+shift) || strings.Contains(seen.Log, "\x1b") || len(seen.Log) > adg.MaxLog {
			t.Errorf("shifted by %d: %+v", i, seen)
		}
		apply(t, target, want(fmt.Sprintf("d/%d", 2*i+2), 1, "3"))
	}
}

func TestADryRunSaysWhatItWouldDoAndLetsNothingBuildOnIt(t *testing.T) {
	w := newWorld(t)
	w.files(t, shop...)
	o := w.options(migration.GolangMigrate)
	o.DryRun = true
	target := opened(t, o)
	seen, err := target.Apply(t.Context(), want("d/1", 1, "2"))
	if !adg.IsPermanent(err) || !strings.Contains(err.Error(), "dry run, nothing is changed: it brings the schema from revision 0 to 2: 1 shop, 2 name") {
		t.Errorf("%+v, %v", seen, err)
	}
	if seen = apply(t, target, want("d/2", 1, "0")); !seen.Done {
		t.Errorf("nothing is to be done: %+v", seen)
	}
	if got := w.query(t, "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'"); len(got) != 0 {
		t.Errorf("there are tables: %v", got)
	}
}

func TestAReleaseThatSaysNoSchemaIsRefused(t *testing.T) {
	w := newWorld(t)
	w.files(t, shop...)
	d := want("d/1", 1, "1")
	d.Releases[0].Release.Schema = ""
	fails(t, "none", opened(t, w.options(migration.GolangMigrate)), d, "release v1 does not say which revision of the schema it needs")
	d = want("d/2", 1, "v1.2")
	fails(t, "one that is none", opened(t, w.options(migration.GolangMigrate)), d, `revision "v1.2": it is a whole number`)
}

func TestACandidateThatSaysNoSchemaIsRefusedAlsoWhereAnotherReleaseDoes(t *testing.T) {
	w := newWorld(t)
	w.files(t, shop...)
	target := opened(t, w.options(migration.GolangMigrate))
	candidate := without(want("d/1", 1, "1", "2"), "v2")
	candidate.Releases[1].Role = adg.CandidateRole
	fails(t, "a candidate without traffic", target, candidate, "release v2 does not say which revision of the schema it needs")
	fails(t, "the one with the traffic", target, without(want("d/2", 1, "1", "2"), "v1"), "release v1 does not say")
	before := without(want("d/3", 1, "1", "2"), "v1")
	before.Releases[1].Role = adg.CandidateRole
	if seen := apply(t, target, before); !seen.Done {
		t.Errorf("only the release of before does not say it: %+v", seen)
	}
	if seen := apply(t, target, without(want("d/4", 1, "2", "1"), "v1")); !seen.Done {
		t.Errorf("one without traffic does not say it: %+v", seen)
	}
}

func TestEveryProblemOfTheOptionsIsReportedAtOnce(t *testing.T) {
	o := Options{
		DSN: adg.NewSecret("postgres://shop:" + targettest.Planted + "@host:port/x"), Format: "rails", Table: "a b", AllowDown: true,
		Verify: Program{Path: "verify"}, Env: map[string]string{"ADG_OP_ID": "x", "TWICE": "x"}, Secrets: map[string]adg.Secret{"TWICE": adg.NewSecret(targettest.Planted)},
	}
	_, err := Driver.Open(t.Context(), o, adg.Host{})
	for _, part := range []string{"dsn:", "folder:", `format: "rails"`, `table: "a b"`, "wait:", "lock_timeout:", "statement_timeout:", "backup: name a program",
		`verify: path: "verify"`, "verify: timeout", "verify: programs may not be started here", "ADG_OP_ID", "TWICE is both"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q is missing in: %v", part, err)
		}
	}
	if adg.CodeOf(err) != adg.Invalid || !adg.IsPermanent(err) || strings.Contains(err.Error(), targettest.Planted) {
		t.Errorf("error %v", err)
	}
}

func TestMigrationsAreTakenBackOnlyWhenAPersonAsksForIt(t *testing.T) {
	w := newWorld(t)
	w.files(t, shop...)
	target := opened(t, w.permissive(migration.GolangMigrate))
	apply(t, target, want("shop-v2-abc/1", 1, "3"))
	alone := back("shop-v2-abc/2", 1, "1", "3")
	alone.Approved = ""
	if seen, err := target.Apply(t.Context(), alone); err == nil || !adg.IsPermanent(err) || !strings.Contains(err.Error(), "only when a person asks for it") {
		t.Errorf("%+v, %v", seen, err)
	}
	if now := w.query(t, "SELECT version::text FROM schema_migrations"); !slices.Equal(now, []string{"3"}) {
		t.Errorf("the schema is at %v", now)
	}
	rehearser, _ := adg.PowerOf[adg.Rehearser](target)
	found, err := rehearser.Rehearse(t.Context(), alone)
	if err != nil || !slices.ContainsFunc(found, func(o adg.Obstacle) bool { return o.Final && strings.Contains(o.Text, "have a person ask for it") }) {
		t.Errorf("%v, %v", found, err)
	}
	if seen := apply(t, target, back("shop-v2-abc/3", 1, "1", "3")); !seen.Done {
		t.Errorf("%+v", seen)
	}
}
