package sqlite

import (
	"database/sql"
	"fmt"
	"io/fs"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pressly/goose/v3"

	"github.com/deployguardian/adg"
)

func TestStopOfTheLineIsCarriedOverAsTheStopOfEverything(t *testing.T) {
	stopped := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	const row = "INSERT INTO line (at, stopped, actor, reason) VALUES (%d, %d, '%s', '%s')"
	first, resumed := fmt.Sprintf(row, 1, 1, "dave", "first"), fmt.Sprintf(row, 2, 0, "erin", "")
	last := fmt.Sprintf(row, stopped.UnixNano(), 1, "carol", "the metrics are wrong")
	for name, c := range map[string]struct {
		rows []string
		want []adg.Stop
		all  int
	}{
		"never stopped":     {nil, nil, 0},
		"running":           {[]string{first, resumed}, nil, 1},
		"stopped":           {[]string{first, resumed, last}, []adg.Stop{{Actor: "carol", Reason: "the metrics are wrong", At: stopped}}, 2},
		"stopped twice":     {[]string{first, last}, []adg.Stop{{Actor: "carol", Reason: "the metrics are wrong", At: stopped}}, 2},
		"resumed and again": {[]string{last, resumed, resumed}, nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			older(t, dir, 2, c.rows...)
			s := opened(t, dir, Options{})
			got, err := s.Stops(t.Context())
			must(t, err)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			n := 0
			must(t, s.reads.QueryRowContext(t.Context(), "SELECT count(*) FROM stops").Scan(&n))
			if n != c.all {
				t.Errorf("%d stops are on record, want %d", n, c.all)
			}
		})
	}
}

func TestFactsOfAnOlderVersionAreEvents(t *testing.T) {
	dir := t.TempDir()
	older(t, dir, 2,
		"INSERT INTO deployments (n, id, service, environment, version, state, live, due) VALUES (1, 'one', 'shop', 'production', 1, 'succeeded', 0, 0)",
		`INSERT INTO facts (n, id, deployment, fact) VALUES
			(1, 'f1', 1, '{"id":"f1","deployment":"one","kind":"held","service":"shop","environment":"production"}'),
			(2, 'f2', 1, '{"id":"f2","deployment":"one","kind":"page","service":"shop","environment":"production"}')`)
	s := opened(t, dir, Options{})
	got, next, err := s.Events(t.Context(), adg.EventFilter{Service: "shop", Environment: "production", Kinds: []adg.FactKind{adg.FactPage}})
	if err != nil || next != 2 || len(got) != 1 || got[0].Fact.ID != "f2" {
		t.Errorf("got %+v, %d, %v", got, next, err)
	}
}

func TestAFactOfAKindThatANewerVersionWroteBreaksNoPageOfEvents(t *testing.T) {
	dir := t.TempDir()
	older(t, dir, 6, `INSERT INTO facts (n, id, deployment, fact) VALUES
		(1, 'f1', 0, '{"id":"f1","kind":"foreseen","service":"shop","environment":"production","text":"it will rain"}'),
		(2, 'f2', 0, '{"id":"f2","kind":"page","service":"shop","environment":"production","text":"it rains"}')`)
	got, next, err := opened(t, dir, Options{}).Events(t.Context(), adg.EventFilter{})
	if err != nil || next != 2 || len(got) != 2 || got[0].Fact.Kind != adg.FactNone || got[0].Fact.Text != "it will rain" || got[1].Fact.Kind != adg.FactPage {
		t.Errorf("got %+v, %d, %v", got, next, err)
	}
}

func TestWhatWasToBeToldIsStillToldAfterTheTablesAreWrittenAnew(t *testing.T) {
	dir := t.TempDir()
	older(t, dir, 5,
		"INSERT INTO deployments (n, id, service, environment, version, state, live, due) VALUES (1, 'one', 'shop', 'production', 1, 'succeeded', 0, 0)",
		`INSERT INTO facts (n, id, deployment, fact) VALUES
			(3, 'f1', 1, '{"id":"f1","deployment":"one","kind":"held","service":"shop","environment":"production"}'),
			(7, 'f2', 1, '{"id":"f2","deployment":"one","kind":"page","service":"shop","environment":"production"}')`,
		"INSERT INTO outbox (n, fact, deployment, notifier, tries, due, dead, why, ended) VALUES (2, 3, 1, 'mail', 20, NULL, 1, 'no', 5), (4, 7, 1, 'chat', 3, 1, 0, 'not now', 0)")
	s := opened(t, dir, Options{})
	waiting, err := s.Undelivered(t.Context(), "", time.Minute, 10)
	if err != nil || len(waiting) != 1 || waiting[0].Fact.ID != "f2" || waiting[0].Tries != 3 {
		t.Errorf("waiting: %+v, %v", waiting, err)
	}
	dead, err := s.Dead(t.Context(), adg.DeadFilter{})
	if err != nil || len(dead) != 1 || dead[0].Fact.ID != "f1" || dead[0].Why != "no" || dead[0].Cursor != 2 {
		t.Errorf("dead: %+v, %v", dead, err)
	}
	if last, err := s.LastEvent(t.Context()); err != nil || last != 7 {
		t.Errorf("the last event is %d, %v", last, err)
	}
	if stored, err := s.AppendAudit(t.Context(), adg.AuditEntry{Action: "hold.put", Resource: "hold/v2", Outcome: adg.AuditDone}); err != nil || len(stored) != 1 {
		t.Errorf("stored: %+v, %v", stored, err)
	}
	if last, err := s.LastEvent(t.Context()); err != nil || last != 8 {
		t.Errorf("the last event is %d, %v", last, err)
	}
}

// older is a database as a program with an older schema left it.
func older(t *testing.T, dir string, version int64, rows ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", dsn(filepath.Join(dir, databaseName), "rwc", writePragmas...))
	must(t, err)
	defer func() { must(t, db.Close()) }()
	_, err = db.ExecContext(t.Context(), fmt.Sprintf("PRAGMA application_id = %d", applicationID))
	must(t, err)
	sources, err := fs.Sub(migrations, "migrations")
	must(t, err)
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, sources, goose.WithLogger(goose.NopLogger()), goose.WithDisableGlobalRegistry(true))
	must(t, err)
	_, err = provider.UpTo(t.Context(), version)
	must(t, err)
	for _, row := range rows {
		_, err := db.ExecContext(t.Context(), row)
		must(t, err)
	}
}
