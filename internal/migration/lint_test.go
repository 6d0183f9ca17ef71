package migration

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// kinds are the findings without their words.
func kinds(findings []Finding) string {
	var all []string
	for _, f := range findings {
		all = append(all, string(f.Kind))
	}
	return strings.Join(all, " ")
}

func TestTheLinterSaysWhatAStatementDoes(t *testing.T) {
	for _, c := range []struct{ name, sql, want string }{
		{"a new table", "CREATE TABLE t (id bigint PRIMARY KEY, name varchar(20) DEFAULT lower('X'))", ""},
		{"a new table that may be there", "CREATE TABLE IF NOT EXISTS t (id int); ALTER TABLE t DROP COLUMN a", "loss breaks"},
		{"a new table of rows that go elsewhere", "CREATE TABLE x AS WITH m AS (DELETE FROM orders RETURNING *) SELECT * FROM m", "loss"},
		{"a new table of rows that go elsewhere, with names", "CREATE TABLE x (id) WITH (fillfactor = 70) AS WITH m AS (DELETE FROM orders RETURNING id) TABLE m", "loss"},
		{"a new table of rows", "CREATE TABLE x AS SELECT id, lower(name) FROM orders", ""},
		{"a new table that follows another", "CREATE TABLE x (id int REFERENCES y (id) ON DELETE CASCADE ON UPDATE SET NULL)", ""},
		{"a new table that follows another, with settings", "CREATE TABLE x (id int REFERENCES y (id) ON DELETE CASCADE) WITH (fillfactor = 70)", ""},
		{"a new column", "ALTER TABLE t ADD COLUMN a text", ""},
		{"a new column with a default", "ALTER TABLE t ADD a int NOT NULL DEFAULT 0", ""},
		{"a new column with the time", "ALTER TABLE t ADD a timestamptz NOT NULL DEFAULT now()", ""},
		{"a new column that the old code does not write", "ALTER TABLE t ADD COLUMN IF NOT EXISTS a int NOT NULL", "breaks"},
		{"a new column with another value in each row", "ALTER TABLE t ADD a uuid DEFAULT gen_random_uuid()", "locks"},
		{"a new column that counts", "ALTER TABLE t ADD a bigserial", "locks"},
		{"a new column that refers to a table", "ALTER TABLE t ADD a int REFERENCES u (id)", "locks"},
		{"several actions", "ALTER TABLE t ADD a numeric(10,2), DROP b, ALTER COLUMN c SET DEFAULT 1", "loss breaks"},
		{"a column that goes", "ALTER TABLE IF EXISTS ONLY s.t DROP COLUMN IF EXISTS a", "loss breaks"},
		{"a table that goes", "DROP TABLE t", "loss breaks"},
		{"a table that goes under a comment", "DROP /* only */ -- now\n TABLE\nt", "loss breaks"},
		{"a table whose name is a word in quotes", `ALTER TABLE "drop" ADD COLUMN "table" int`, ""},
		{"a string that looks like a statement", "COMMENT ON TABLE t IS 'DROP TABLE t; DELETE FROM t'", ""},
		{"a table of its own that goes", "CREATE TABLE t (id int); DROP TABLE t", ""},
		{"a table of its own that goes with another", "CREATE TABLE t (id int); DROP TABLE t, u", "loss breaks"},
		{"rows that go", "DELETE FROM t WHERE false", "loss"},
		{"all rows that go", "TRUNCATE t", "loss"},
		{"rows that go in a WITH", "WITH gone AS (DELETE FROM t RETURNING *) INSERT INTO u SELECT * FROM gone", "unjudged"},
		{"rows that go behind an INSERT", "INSERT INTO u (a) WITH gone AS (DELETE FROM t RETURNING *) SELECT a FROM gone", "loss"},
		{"values that go", "UPDATE t SET a = 1", "loss"},
		{"values that go on a conflict", "INSERT INTO t (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET b = 2", "loss"},
		{"new rows", "INSERT INTO t (a, b) VALUES (now(), lower('A')) ON CONFLICT (a) DO NOTHING", ""},
		{"new rows by an unknown function", "INSERT INTO t (a) SELECT wipe(b) FROM u", "unjudged"},
		{"a function of another schema with a known name", "SELECT evil.now()", "unjudged"},
		{"a counter that is set", "SELECT setval('t_id_seq', (SELECT max(id) FROM t))", ""},
		{"an unknown function", "SELECT wipe()", "unjudged"},
		{"a block of code", "DO $$ BEGIN DELETE FROM t; END $$", "unjudged"},
		{"a procedure", "CALL wipe()", "unjudged"},
		{"text of another kind", "COPY t FROM stdin;\n\\.", "unjudged unjudged"},
		{"a statement without an end", "DROP INDEX i; SELECT 'a", "unjudged"},
		{"strings that are read in another way", `SET standard_conforming_strings = off; SELECT 'a\'; DROP TABLE t; --'`, "unjudged unjudged unjudged"},
		{"strings that are read as always", "SET standard_conforming_strings = on; SELECT 1", ""},
		{"a name that changes", "ALTER TABLE t RENAME COLUMN a TO b", "breaks"},
		{"a table's name that changes", "ALTER TABLE t RENAME TO u", "breaks"},
		{"a constraint's name that changes", "ALTER TABLE t RENAME CONSTRAINT a TO b", ""},
		{"an index's name that changes", "ALTER INDEX i RENAME TO j", ""},
		{"another schema", "ALTER TABLE t SET SCHEMA s", "breaks"},
		{"a column that has to be filled", "ALTER TABLE t ALTER a SET NOT NULL", "breaks locks"},
		{"a constraint", "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0)", "breaks locks"},
		{"a constraint for new rows", "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID", "breaks"},
		{"a constraint by an index that is there", "ALTER TABLE t ADD CONSTRAINT c UNIQUE USING INDEX i", "breaks"},
		{"a constraint that goes", "ALTER TABLE t DROP CONSTRAINT c", ""},
		{"an index", "CREATE INDEX i ON t (a)", "locks"},
		{"an index while others write", "CREATE INDEX CONCURRENTLY i ON t (a)", ""},
		{"a unique index while others write", "CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)", "breaks"},
		{"an index of a table of its own", "CREATE TABLE t (a int); CREATE UNIQUE INDEX i ON t USING btree (a)", ""},
		{"an index that goes", "DROP INDEX i", ""},
		{"a view that goes with more", "DROP VIEW v CASCADE", "breaks unjudged"},
		{"a type that goes with more", "DROP TYPE y CASCADE", "breaks unjudged"},
		{"a partition that goes", "ALTER TABLE t DETACH PARTITION p", "loss"},
		{"a table that forgets", "ALTER TABLE t SET UNLOGGED", "loss"},
		{"a new value of a type", "ALTER TYPE y ADD VALUE 'new'", ""},
		{"an attribute that goes", "ALTER TYPE y DROP ATTRIBUTE a", "loss"},
		{"a function that changes", "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS $$ DELETE FROM t $$", "breaks"},
		{"a right that goes", "REVOKE SELECT ON t FROM shop", "breaks"},
		{"a table that is put in order", "CLUSTER t USING i", "locks"},
		{"something that nobody has heard of", "FROBNICATE t", "unjudged"},
		{"an action that nobody has heard of", "ALTER TABLE t FROBNICATE", "unjudged"},
		{"a way to take away all tables of a space", "ALTER TABLE ALL IN TABLESPACE a SET TABLESPACE b", "unjudged"},
	} {
		m := Migration{Up: Script{File: "1.sql", Text: c.sql, Line: 1}}
		if diff := cmp.Diff(c.want, kinds(m.LintUp())); diff != "" {
			t.Errorf("%s: %s\n%s%v", c.name, c.sql, diff, m.LintUp())
		}
	}
}

func TestWhetherATypeIsNarrowerIsToldByTheOtherDirection(t *testing.T) {
	for _, c := range []struct{ name, before, after, up, down string }{
		{"a larger number", "integer", "bigint", "locks breaks", "loss locks breaks"},
		{"a longer text", "varchar(10)", "character varying(20)", "breaks", "loss locks breaks"},
		{"text without an end", "varchar(10)", "text", "breaks", "loss locks breaks"},
		{"more digits", "numeric(10,2)", "numeric(12,2)", "breaks", "loss locks breaks"},
		{"more digits behind the point only", "numeric(10,2)", "decimal(10,4)", "loss locks breaks", "loss locks breaks"},
		{"a day becomes a time", "date", "timestamp", "locks breaks", "loss locks breaks"},
		{"types that have nothing in common", "inet", "bytea", "loss locks breaks", "loss locks breaks"},
	} {
		alter := func(typ string) string { return "ALTER TABLE s.t ALTER COLUMN a TYPE " + typ }
		m := Migration{Up: Script{Text: alter(c.after), Line: 1}, Down: Script{Text: alter(c.before), Line: 1}}
		if got := kinds(m.LintUp()); got != c.up {
			t.Errorf("%s: up: %s, want %s", c.name, got, c.up)
		}
		if got := kinds(m.LintDown()); got != c.down {
			t.Errorf("%s: down: %s, want %s", c.name, got, c.down)
		}
	}
	alone := Migration{Up: Script{Text: "ALTER TABLE t ALTER a TYPE integer"}}
	if got := kinds(alone.LintUp()); got != "unjudged locks breaks" {
		t.Errorf("of a type that is written nowhere: %s", got)
	}
	using := Migration{Up: Script{Text: "ALTER TABLE t ALTER a SET DATA TYPE text USING left(a, 3)"}}
	if got := kinds(using.LintUp()); got != "loss locks breaks" {
		t.Errorf("with USING: %s", got)
	}
}

func TestAFindingSaysWhereAndHowElse(t *testing.T) {
	m := Migration{Up: Script{File: "42_clean.sql", Line: 3, Text: "SELECT 1;\n\n  ALTER TABLE users\n DROP email"}}
	want := "42_clean.sql:5: DROP COLUMN takes users.email away with what is in it (leave the column until no release needs it, and keep a backup)"
	if got := fmt.Sprint(m.LintUp()[0]); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
