package migration

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAScriptIsSplitWhereItsStatementsEnd(t *testing.T) {
	for _, c := range []struct {
		name, script string
		want         []string
	}{
		{"two statements", "SELECT 1;\nSELECT 2;", []string{"SELECT 1", "SELECT 2"}},
		{"no semicolon at the end", "SELECT 1; SELECT 2", []string{"SELECT 1", "SELECT 2"}},
		{"nothing but comments", "-- a;\n/* b; /* c; */ ; */ ;;", nil},
		{"a semicolon in a string", "SELECT 'a;b'; SELECT 'it''s;'", []string{"SELECT 'a;b'", "SELECT 'it''s;'"}},
		{"a backslash that escapes nothing", `SELECT 'a\'; SELECT 2`, []string{`SELECT 'a\'`, "SELECT 2"}},
		{"a backslash that escapes a quote", `SELECT E'a\';b'; SELECT 2`, []string{`SELECT E'a\';b'`, "SELECT 2"}},
		{"a semicolon in a quoted name", `SELECT ";""a"; SELECT 2`, []string{`SELECT ";""a"`, "SELECT 2"}},
		{"a body in dollar quotes", "CREATE FUNCTION f() AS $$ BEGIN; END $$; SELECT 1", []string{"CREATE FUNCTION f() AS $$ BEGIN; END $$", "SELECT 1"}},
		{"dollar quotes with a tag", "DO $a$ $$;$b$ $a$; SELECT 1", []string{"DO $a$ $$;$b$ $a$", "SELECT 1"}},
		{"a name with a dollar in it is no quote", "SELECT a$b; SELECT c$d", []string{"SELECT a$b", "SELECT c$d"}},
		{"a parameter is no quote", "SELECT $1; SELECT $1", []string{"SELECT $1", "SELECT $1"}},
		{"a rule with several actions", "CREATE RULE r AS ON DELETE TO t DO (SELECT 1; SELECT 2); SELECT 3",
			[]string{"CREATE RULE r AS ON DELETE TO t DO (SELECT 1; SELECT 2)", "SELECT 3"}},
		{"a function with a body of SQL", "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END; SELECT 3",
			[]string{"CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END", "SELECT 3"}},
		{"a transaction", "BEGIN; SELECT 1; END;", []string{"BEGIN", "SELECT 1", "END"}},
		{"a comment between words", "DROP/* not yet; */TABLE t;", []string{"DROP/* not yet; */TABLE t"}},
	} {
		var got []string
		for _, s := range Split(c.script) {
			got = append(got, s.Text)
			if s.broken != "" {
				t.Errorf("%s: %s", c.name, s.broken)
			}
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s:\n%s", c.name, diff)
		}
	}
}

func TestTextThatEndsWithinAQuoteIsSaidToBeUnreadable(t *testing.T) {
	for _, script := range []string{"SELECT 'a; DROP TABLE t;", "SELECT 1; /* a /* b */", "DO $x$ DROP TABLE t $y$", `SELECT "a`, `SELECT E'a\'`} {
		statements := Split(script)
		if n := len(statements); n == 0 || statements[n-1].broken == "" {
			t.Errorf("%s is read as if it was whole: %+v", script, statements)
		}
	}
}

func TestLinesAreCountedThroughStringsAndComments(t *testing.T) {
	script := "-- one\n/* two\nthree */ SELECT 'four\nfive',\n$$six\nseven$$, E'\\\neight';\n\nDROP TABLE t;"
	var lines []int
	for _, s := range Split(script) {
		lines = append(lines, s.Line)
	}
	if diff := cmp.Diff([]int{3, 9}, lines); diff != "" {
		t.Error(diff)
	}
}

// FuzzSplit looks at what holds for every text: nothing is invented, nothing but blanks, comments and semicolons is left
// out, and what was split once is split no further.
func FuzzSplit(f *testing.F) {
	for _, seed := range []string{"SELECT 1; SELECT 'a;b'", "DO $a$ ; $a$;", "/* /* */ ; */ x", `U&"a;" e'\';'`, "CREATE x BEGIN ATOMIC CASE ; END ; END;", "a$b$c;$1$2;", "((;);)"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, script string) {
		at, line := 0, 1
		for _, s := range Split(script) {
			if s.Line < line || s.Line > 1+strings.Count(script, "\n") {
				t.Fatalf("line %d after line %d", s.Line, line)
			}
			line = s.Line
			i := strings.Index(script[at:], s.Text)
			if i < 0 {
				t.Fatalf("%q is not in the rest of %q", s.Text, script)
			}
			at += i + len(s.Text)
			again := Split(s.Text)
			if s.broken == "" && (len(again) != 1 || again[0].Text != s.Text) {
				t.Fatalf("%q is split once more: %+v", s.Text, again)
			}
		}
		_ = mustStandAlone(script)
		m := Migration{Up: Script{File: "f", Text: script, Line: 1}}
		for _, finding := range m.LintUp() {
			if finding.Line < 1 || finding.Line > 1+strings.Count(script, "\n") || finding.Text == "" {
				t.Fatalf("finding %+v", finding)
			}
		}
	})
}
