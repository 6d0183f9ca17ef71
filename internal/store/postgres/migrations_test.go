package postgres

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/deployguardian/adg"
)

func TestMigrationsLeaveToOlderReplicasWhatTheyUse(t *testing.T) {
	names, err := fs.Glob(shipped(), "*.sql")
	must(t, err)
	judged := 0
	for _, name := range names {
		text, err := fs.ReadFile(shipped(), name)
		must(t, err)
		judged++
		number, err := strconv.ParseInt(name[:5], 10, 64)
		must(t, err)
		if number/thousand > understood {
			t.Errorf("%s has a mark that this version does not understand itself", name)
		}
		if number == 1 || number%thousand == 0 {
			continue // nobody was there before; or those who would miss what it takes away are refused
		}
		for _, complaint := range breaking(string(text)) {
			t.Errorf("%s: %s: a replica of the version before does not go on with that; see schema.go for how something is taken away", name, complaint)
		}
	}
	if judged == 0 {
		t.Error("no migration was judged")
	}
}

func TestWhatBreaksOlderReplicasIsFound(t *testing.T) {
	for name, statement := range map[string]string{
		"a column that goes":            "ALTER TABLE facts DROP COLUMN kind",
		"a column that goes, shortly":   "alter table facts drop kind",
		"a table that goes":             "DROP TABLE IF EXISTS slots",
		"another name for a table":      "ALTER TABLE facts RENAME TO events",
		"another name for a column":     "ALTER TABLE facts\n\tRENAME COLUMN kind TO sort",
		"another type":                  "ALTER TABLE facts ALTER COLUMN kind TYPE integer USING 0",
		"another type, at length":       "ALTER TABLE facts ALTER kind SET DATA TYPE integer",
		"a value that nobody gives":     "ALTER TABLE facts ADD COLUMN region text NOT NULL",
		"the second of two columns":     "ALTER TABLE facts ADD a text, ADD COLUMN b text NOT NULL",
		"a value that was not needed":   "ALTER TABLE facts ALTER COLUMN cursor SET NOT NULL",
		"a default that goes":           "ALTER TABLE deployments ALTER COLUMN owner DROP DEFAULT",
		"a condition":                   "ALTER TABLE facts ADD CONSTRAINT short CHECK (length(kind) < 9)",
		"a condition without a name":    "ALTER TABLE facts ADD UNIQUE (kind)",
		"a condition by an index":       "CREATE UNIQUE INDEX one_kind ON facts (kind)",
		"a trigger":                     "CREATE TRIGGER t BEFORE INSERT ON facts EXECUTE FUNCTION adg_refuse()",
		"a function that goes":          "DROP FUNCTION adg_now()",
		"a sequence that goes":          "DROP SEQUENCE facts_cursor",
		"behind a comment and in parts": "-- quite harmless\nSELECT 1; /* no */ DROP\n TABLE facts",
	} {
		if len(breaking(statement)) == 0 {
			t.Errorf("%s is not found: %s", name, statement)
		}
	}
	for name, statement := range map[string]string{
		"a new table":                "CREATE TABLE regions (region text NOT NULL, UNIQUE (region)); CREATE UNIQUE INDEX r ON regions (region)",
		"a column with a default":    "ALTER TABLE facts ADD COLUMN region text NOT NULL DEFAULT ''",
		"a column that may be empty": "ALTER TABLE facts ADD region text",
		"an index":                   "CREATE INDEX CONCURRENTLY facts_kind ON facts (kind)",
		"an index that goes":         "DROP INDEX facts_kind",
		"a condition that goes":      "ALTER TABLE facts DROP CONSTRAINT facts_id_key",
		"a value not needed anymore": "ALTER TABLE facts ALTER COLUMN kind DROP NOT NULL",
		"a comment":                  "-- DROP TABLE facts\nSELECT 'x' /* RENAME */",
		"rows":                       "UPDATE facts SET kind = 'page' WHERE kind = ''",
	} {
		if found := breaking(statement); len(found) > 0 {
			t.Errorf("%s is no danger: %v", name, found)
		}
	}
}

func TestStatementsOfTheLastReleaseAreUnderstood(t *testing.T) {
	dsn := fresh(t)
	if os.Getenv("ADG_RELEASE") == "true" {
		must(t, os.WriteFile(released, []byte(strings.Join(spoken(t, dsn), endOfStatement)), 0o600))
	}
	text, err := os.ReadFile(released)
	must(t, err)
	conn, err := pgx.Connect(t.Context(), dsn)
	must(t, err)
	defer func() { must(t, conn.Close(context.Background())) }()
	judged := 0
	for statement := range strings.SplitSeq(string(text), endOfStatement) {
		judged++
		if _, err := conn.Prepare(t.Context(), fmt.Sprint("s", judged), statement); err != nil {
			t.Errorf("a replica of the last release says this, and the schema does not understand it any more: %v\n%s", err, statement)
		}
	}
	if judged < 60 {
		t.Errorf("only %d statements were judged", judged)
	}
}

// released is what a store of the last release says to its database; make release-api writes it.
const (
	released       = "testdata/released.sql"
	endOfStatement = "\n;\n"
)

// spoken are the statements of a store that has done a bit of everything, as its connections remember them.
func spoken(t *testing.T, dsn string) (statements []string) {
	t.Helper()
	dir := t.TempDir()
	must(t, lived(t, dir).Close())
	_, err := filled(t, dir, dsn, nil)
	must(t, err)
	s := opened(t, dsn)
	told(t, s)
	ctx := t.Context()
	must(t, s.Ask(ctx, adg.Command{ID: "asked", Deployment: "live", Kind: adg.CommandResume}))
	create(t, s, "new", "other")
	work := takeAll(t, s, 10)
	for _, w := range work {
		w.Lease, err = s.Renew(ctx, w.Lease, time.Hour)
		must(t, err)
		tick := happening(t, w, "new")
		tick.Input.Outcome, tick.Decision.Apply.OpID = nil, w.Deployment.ID+"/9"
		if w.Open != nil {
			tick.Input.Outcome = &adg.Outcome{OpID: w.Open.Desired.OpID}
		}
		for i := range tick.Decision.Facts {
			tick.Decision.Facts[i].ID += w.Deployment.ID
		}
		_, err = s.Commit(ctx, tick)
		must(t, err)
		must(t, s.GiveBack(ctx, w.Lease))
	}
	all, err := s.Undelivered(ctx, "teller", time.Minute, 10)
	must(t, err)
	must(t, s.Postpone(ctx, all[0], time.Now(), "later"))
	all, err = s.Undelivered(ctx, "teller", time.Minute, 10)
	must(t, err)
	must(t, s.Delivered(ctx, all[0]))
	all, err = s.Undelivered(ctx, "teller", time.Minute, 10)
	must(t, err)
	must(t, s.Abandon(ctx, all[0], "never"))
	must(t, s.LiftHold(ctx, "shop", "bench", "gone"))
	must(t, s.PutHold(ctx, adg.ReleaseHold{Service: "shop", Environment: "bench", Identity: "gone"}))
	must(t, s.Mark(ctx, adg.ReleaseRecord{Environment: "bench", Release: adg.Release{Service: "shop", Version: "v9"}}))
	must(t, s.StopLine(ctx, adg.Stop{Actor: "ann"}))
	must(t, s.ResumeLine(ctx, adg.Scope{}, "ann"))
	_, err = s.WriteDocuments(ctx, []adg.Write{{Document: adg.Document{Kind: "a", Key: "b"}}, {Document: adg.Document{Kind: "a", Key: "c"}, Drop: true, If: adg.AnyVersion}}, adg.AuditEntry{Actor: "ann"})
	must(t, err)
	_, err = s.Purge(ctx, 10)
	must(t, err)
	_, err = s.Compact(ctx, time.Now())
	must(t, err)
	for _, read := range []func() error{
		func() error { _, err := s.Deployment(ctx, "live"); return err },
		func() error { _, err := s.LastGood(ctx, "shop", "bench"); return err },
		func() error { _, err := s.Standing(ctx, "shop", "bench", "v9"); return err },
		func() error { _, err := s.HoldOf(ctx, "shop", "bench", "gone"); return err },
		func() error { _, err := s.Document(ctx, "a", "b"); return err },
		func() error {
			_, err := s.ListDocuments(ctx, adg.DocumentFilter{Kind: "a", Prefix: "b", Bare: true})
			return err
		},
	} {
		must(t, read())
	}
	for _, conn := range s.pool.AcquireAllIdle(ctx) {
		rows, err := conn.Query(ctx, "SELECT statement FROM pg_prepared_statements")
		must(t, err)
		found, err := pgx.CollectRows(rows, pgx.RowTo[string])
		must(t, err)
		statements = append(statements, found...)
		conn.Release()
	}
	statements = slices.DeleteFunc(statements, func(s string) bool { return strings.Contains(s, "pg_prepared_statements") })
	slices.Sort(statements)
	return slices.Compact(statements)
}

var (
	remarks  = regexp.MustCompile(`(?s)--[^\n]*|/\*.*?\*/`)
	madeHere = regexp.MustCompile(`(?i)\bCREATE\s+TABLE\s+(\w+)`)
	dangers  = map[string]*regexp.Regexp{
		"it takes something away":             regexp.MustCompile(`(?i)^DROP\s+(TABLE|VIEW|FUNCTION|SEQUENCE|TYPE|SCHEMA|COLLATION)\b`),
		"it takes a column away":              regexp.MustCompile(`(?i)^ALTER\s+TABLE\b.*\bDROP\s+(COLUMN\b|(?:(?:IF\s+EXISTS\s+)?(\w+)\s*(,|$)))`),
		"it gives something another name":     regexp.MustCompile(`(?i)^ALTER\b.*\bRENAME\b`),
		"it changes a type":                   regexp.MustCompile(`(?i)^ALTER\s+TABLE\b.*\bALTER\s+(COLUMN\s+)?\w+\s+(SET\s+DATA\s+)?TYPE\b`),
		"it wants a value that was optional":  regexp.MustCompile(`(?i)^ALTER\s+TABLE\b.*\bSET\s+NOT\s+NULL\b`),
		"it takes a default away":             regexp.MustCompile(`(?i)^ALTER\s+TABLE\b.*\bDROP\s+DEFAULT\b`),
		"it adds a condition":                 regexp.MustCompile(`(?i)^ALTER\s+TABLE\b.*\bADD\s+(CONSTRAINT|UNIQUE|CHECK|PRIMARY|FOREIGN|EXCLUDE)\b`),
		"it acts upon the statements of some": regexp.MustCompile(`(?i)^CREATE\s+(OR\s+REPLACE\s+)?(CONSTRAINT\s+)?(TRIGGER|RULE)\b`),
	}
	uniqueIndex = regexp.MustCompile(`(?i)^CREATE\s+UNIQUE\s+INDEX\b.*?\bON\s+(\w+)`)
	added       = regexp.MustCompile(`(?i)\bADD\s+(COLUMN\s+)?(IF\s+NOT\s+EXISTS\s+)?\w+\s+`)
)

// breaking is what is wrong with a migration for those who do not know of it.
func breaking(text string) (complaints []string) {
	text = remarks.ReplaceAllString(text, " ")
	made := map[string]bool{}
	for _, m := range madeHere.FindAllStringSubmatch(text, -1) {
		made[m[1]] = true
	}
	for statement := range strings.SplitSeq(text, ";") {
		statement = strings.Join(strings.Fields(statement), " ")
		for what, danger := range dangers {
			if danger.MatchString(statement) {
				complaints = append(complaints, what+": "+statement)
			}
		}
		if m := uniqueIndex.FindStringSubmatch(statement); m != nil && !made[m[1]] {
			complaints = append(complaints, "it adds a condition: "+statement)
		}
		if columns := added.Split(statement, -1); strings.HasPrefix(strings.ToUpper(statement), "ALTER TABLE") {
			for _, column := range columns[1:] {
				if upper := strings.ToUpper(column); strings.Contains(upper, "NOT NULL") && !strings.Contains(upper, "DEFAULT") && !strings.Contains(upper, "GENERATED") {
					complaints = append(complaints, "it wants a value that older replicas do not give: "+statement)
				}
			}
		}
	}
	return complaints
}
