package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/postgres/pgtest"
	"github.com/deployguardian/adg/internal/store/row"
	"github.com/deployguardian/adg/internal/store/sqlite"
)

func TestEverythingInADataDirectoryMovesToPostgres(t *testing.T) {
	dir := t.TempDir()
	old := lived(t, dir)
	want := told(t, old)
	must(t, old.Close())
	dsn := pgtest.Database(t) // with nothing at all in it
	var steps []row.Moved
	moved, err := filled(t, dir, dsn, func(m row.Moved) { steps = append(steps, m) })
	must(t, err)
	sameRows(t, dir, dsn, moved)
	if len(moved) != len(row.Tables) || len(steps) < 2*len(moved) {
		t.Errorf("%d tables were moved, and progress was told %d times", len(moved), len(steps))
	}
	s := opened(t, dsn)
	if diff := cmp.Diff(want, told(t, s), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("PostgreSQL tells something else (-SQLite +PostgreSQL):\n%s", diff)
	}
}

func TestWorkGoesOnAfterTheMove(t *testing.T) {
	dir := t.TempDir()
	old := lived(t, dir)
	before, err := old.LastEvent(t.Context())
	must(t, err)
	must(t, old.Close())
	dsn := fresh(t)
	_, err = filled(t, dir, dsn, nil)
	must(t, err)
	s := opened(t, dsn)
	work := takeAll(t, s, 10)
	if len(work) != 1 || work[0].Lease.Fence < 2 || work[0].Open == nil {
		t.Fatalf("took %d: want the deployment that was leased, with a larger fence and its open effect", len(work))
	}
	tick := plain(t, work[0])
	tick.Decision.Facts, tick.Notifiers = []adg.Fact{{ID: "after", Deployment: "live"}}, []string{"chat"}
	_, err = s.Commit(t.Context(), tick)
	must(t, err)
	events, _, err := s.Events(t.Context(), adg.EventFilter{After: before})
	must(t, err)
	if len(events) != 1 || events[0].Fact.ID != "after" {
		t.Errorf("after the last cursor of before come %+v", events)
	}
	create(t, s, "new", "other")
	_, err = s.AppendAudit(t.Context(), adg.AuditEntry{Actor: "bob", Action: "moved", Outcome: adg.AuditDone})
	must(t, err)
	all, err := s.Audit(t.Context(), adg.AuditFilter{Limit: 1000})
	must(t, err)
	must(t, adg.VerifyAudit(0, "", all))
	must(t, s.Mark(t.Context(), adg.ReleaseRecord{Environment: "bench", Release: adg.Release{Service: "shop", Version: "v9"}, Standing: adg.StandingGood}))
	if r, err := s.LastGood(t.Context(), "shop", "bench"); err != nil || r.Release.Version != "v9" {
		t.Errorf("the last good release is %+v, %v", r, err)
	}
}

func TestDatabaseWithSomethingInItIsNotFilled(t *testing.T) {
	dir, dsn := t.TempDir(), fresh(t)
	must(t, lived(t, dir).Close())
	s := opened(t, dsn)
	_, err := s.WriteDocuments(t.Context(), []adg.Write{{Document: adg.Document{Kind: "policy", Key: "one"}}})
	must(t, err)
	_, err = filled(t, dir, dsn, nil)
	if adg.CodeOf(err) != adg.Conflict || !strings.Contains(err.Error(), "documents") {
		t.Errorf("got %v", err)
	}
	if all, err := s.ListDeployments(t.Context(), adg.DeploymentFilter{}); err != nil || len(all) != 0 {
		t.Errorf("%d deployments were copied, %v", len(all), err)
	}
}

func TestDirectoryInUseIsNotCopied(t *testing.T) {
	dir := t.TempDir()
	old := lived(t, dir)
	_, err := sqlite.OpenArchive(t.Context(), dir)
	if adg.CodeOf(err) != adg.Conflict || !strings.Contains(err.Error(), "in use by process") {
		t.Errorf("a directory in use: %v", err)
	}
	must(t, old.Close())
	a, err := sqlite.OpenArchive(t.Context(), dir)
	must(t, err)
	if _, err := sqlite.Open(t.Context(), dir, sqlite.Options{}); adg.CodeOf(err) != adg.Conflict {
		t.Errorf("a directory that is being copied: %v", err)
	}
	must(t, a.Close())
	if _, err := sqlite.OpenArchive(t.Context(), t.TempDir()); adg.CodeOf(err) != adg.NotFound {
		t.Errorf("an empty directory: %v", err)
	}
}

func TestCopyIsOfOneMoment(t *testing.T) {
	dir := t.TempDir()
	must(t, lived(t, dir).Close())
	a, err := sqlite.OpenArchive(t.Context(), dir)
	must(t, err)
	defer func() { must(t, a.Close()) }()
	beside, err := sqlite.OpenBeside(t.Context(), dir, sqlite.Options{})
	must(t, err)
	_, err = beside.WriteDocuments(t.Context(), []adg.Write{{Document: adg.Document{Kind: "policy", Key: "late"}}}, adg.AuditEntry{Actor: "bob", Outcome: adg.AuditDone})
	must(t, err)
	must(t, beside.Close())
	dsn := fresh(t)
	_, err = Fill(t.Context(), Options{DSN: adg.NewSecret(dsn)}, a, func(row.Moved) {})
	must(t, err)
	s := opened(t, dsn)
	if _, err := s.Document(t.Context(), "policy", "late"); adg.CodeOf(err) != adg.NotFound {
		t.Errorf("what was written meanwhile: %v", err)
	}
}

func TestInterruptedCopyLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	must(t, lived(t, dir).Close())
	for _, table := range []string{"deployments", "facts", "audit"} {
		t.Run("at "+table, func(t *testing.T) {
			dsn := fresh(t)
			ctx, stop := context.WithCancelCause(t.Context())
			defer stop(nil)
			a, err := sqlite.OpenArchive(t.Context(), dir)
			must(t, err)
			defer func() { must(t, a.Close()) }()
			interrupted := errors.New("interrupted")
			_, err = Fill(ctx, Options{DSN: adg.NewSecret(dsn)}, a, func(m row.Moved) {
				if m.Table == table && m.Done > 0 {
					stop(interrupted)
				}
			})
			if !errors.Is(err, interrupted) {
				t.Errorf("got %v", err)
			}
			empty(t, dsn)
		})
	}
}

func TestNobodyWritesWhileADatabaseIsFilled(t *testing.T) {
	dir, dsn := t.TempDir(), fresh(t)
	must(t, lived(t, dir).Close())
	closed(t, opened(t, dsn))
	tried := false
	_, err := filled(t, dir, dsn, func(m row.Moved) {
		if m.Table != "audit" || tried {
			return
		}
		tried = true
		if _, err := Open(t.Context(), Options{DSN: adg.NewSecret(dsn + "&lock_timeout=100ms")}); adg.CodeOf(err) != adg.Unavailable {
			t.Errorf("a server that starts meanwhile: %v", err)
		}
	})
	must(t, err)
	if !tried {
		t.Error("nobody tried")
	}
}

func TestArchiveThatTellsLessThanItCountsIsNotKept(t *testing.T) {
	dir, dsn := t.TempDir(), fresh(t)
	must(t, lived(t, dir).Close())
	a, err := sqlite.OpenArchive(t.Context(), dir)
	must(t, err)
	defer func() { must(t, a.Close()) }()
	_, err = Fill(t.Context(), Options{DSN: adg.NewSecret(dsn)}, boasting{a}, func(row.Moved) {})
	if err == nil || !strings.Contains(err.Error(), "nothing was kept") {
		t.Errorf("got %v", err)
	}
	empty(t, dsn)
}

// boasting counts one row more than there is.
type boasting struct{ *sqlite.Archive }

// Count counts.
func (b boasting) Count(ctx context.Context, t row.Table) (int64, error) {
	n, err := b.Archive.Count(ctx, t)
	return n + 1, err
}

func TestAuditLogThatWasChangedIsNotCopied(t *testing.T) {
	dir, dsn := t.TempDir(), fresh(t)
	must(t, lived(t, dir).Close())
	db, err := sql.Open("sqlite", filepath.Join(dir, "adg.db"))
	must(t, err)
	_, err = db.ExecContext(t.Context(), "DROP TRIGGER audit_unchanged; UPDATE audit SET actor = 'mallory' WHERE seq = 2")
	must(t, errors.Join(err, db.Close()))
	_, err = filled(t, dir, dsn, nil)
	if adg.CodeOf(err) != adg.Conflict || !strings.Contains(err.Error(), "entry 2 was changed") {
		t.Errorf("got %v", err)
	}
	empty(t, dsn)
}

func TestEveryTableAndColumnMovesOrHasAReasonNotTo(t *testing.T) {
	stays := map[string]string{
		"deployments.owner": "leases stay behind",
		"deployments.until": "leases stay behind",
		"deployments.ttl":   "leases stay behind",
	}
	dsn := fresh(t)
	s := opened(t, dsn)
	rows, err := s.pool.Query(t.Context(), `SELECT table_name || '.' || column_name FROM information_schema.columns
		WHERE table_schema = 'public' AND table_name <> $1`, versionTable)
	must(t, err)
	columns, err := pgx.CollectRows(rows, pgx.RowTo[string])
	must(t, err)
	known := map[string]bool{}
	for _, table := range row.Tables {
		for _, name := range table.Names() {
			known[table.Name+"."+name] = true
		}
	}
	for _, column := range columns {
		if !known[column] && stays[column] == "" {
			t.Errorf("%s does not move: add it to row.Tables", column)
		}
	}
	if len(columns) < 100 {
		t.Errorf("only %d columns were judged", len(columns))
	}
}

func filled(t *testing.T, dir, dsn string, tell func(row.Moved)) ([]row.Moved, error) {
	t.Helper()
	if tell == nil {
		tell = func(row.Moved) {}
	}
	a, err := sqlite.OpenArchive(t.Context(), dir)
	must(t, err)
	defer func() { must(t, a.Close()) }()
	return Fill(t.Context(), Options{DSN: adg.NewSecret(dsn)}, a, tell)
}

func empty(t *testing.T, dsn string) {
	t.Helper()
	s := opened(t, dsn)
	for _, table := range row.Tables {
		n := 0
		must(t, s.pool.QueryRow(t.Context(), "SELECT count(*) FROM "+table.Name).Scan(&n))
		if n > 0 {
			t.Errorf("%d %s are there", n, table.Name)
		}
	}
}

// sameRows compares every value of every row, and demands that there are some of each.
func sameRows(t *testing.T, dir, dsn string, moved []row.Moved) {
	t.Helper()
	a, err := sqlite.OpenArchive(t.Context(), dir)
	must(t, err)
	defer func() { must(t, a.Close()) }()
	conn, err := pgx.Connect(t.Context(), dsn)
	must(t, err)
	defer func() { must(t, conn.Close(context.Background())) }()
	for i, table := range row.Tables {
		rows, err := conn.Query(t.Context(), "SELECT "+strings.Join(table.Names(), ", ")+" FROM "+table.Name+" ORDER BY 1")
		must(t, err)
		n := int64(0)
		for want, err := range a.Rows(t.Context(), table) {
			must(t, err)
			if !rows.Next() {
				t.Fatalf("%s ends after %d rows", table.Name, n)
			}
			n++
			got, err := rows.Values()
			must(t, err)
			if diff := cmp.Diff(clean(table, want), got); diff != "" {
				t.Errorf("%s, row %d (-SQLite +PostgreSQL):\n%s", table.Name, n, diff)
			}
		}
		if rows.Next() || n == 0 || moved[i] != (row.Moved{Table: table.Name, Done: n, All: n}) {
			t.Errorf("%s has %d rows in SQLite, and moved %+v", table.Name, n, moved[i])
		}
		rows.Close()
	}
}

// lived is a data directory in which something of everything happened; one deployment is leased, and an effect is open.
func lived(t *testing.T, dir string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), dir, sqlite.Options{})
	must(t, err)
	ctx := t.Context()
	for i, id := range []string{"gone", "live"} {
		must(t, s.CreateDeployment(ctx, adg.Deployment{ID: id, Spec: adg.Spec{
			Key: "key of " + id, Release: adg.Release{Service: "shop", Version: fmt.Sprint("v", i)}, Policy: adg.Policy{Service: "shop", Environment: "bench", Checks: []adg.Check{{Name: "errors"}}}, Actor: "alice",
		}}))
		must(t, s.Ask(ctx, adg.Command{ID: "c" + id, Deployment: id, Kind: adg.CommandHold, Actor: "ann", Reason: "ein Grund <&>"}))
		work, err := s.Take(ctx, "owner", time.Hour, 10)
		must(t, err)
		first := happening(t, work[0], id)
		d, err := s.Commit(ctx, first)
		must(t, err)
		second := first
		second.Version, second.Input, second.Decision.Apply, second.Decision.Slot, second.Baselines = d.Version, adg.Input{}, nil, 0, nil
		second.Decision.Facts = []adg.Fact{{ID: id + "/f3", Deployment: id, Service: "shop", Environment: "bench", Kind: adg.FactPage}}
		if id == "gone" {
			second.Input.Outcome = &adg.Outcome{OpID: id + "/1"}
			second.Decision.Next.State, second.GiveBack = adg.RolledBack, true
		}
		_, err = s.Commit(ctx, second)
		must(t, err)
	}
	all, err := s.Undelivered(ctx, "teller", time.Millisecond, 10)
	must(t, err)
	must(t, s.Delivered(ctx, all[0]))
	all, err = s.Undelivered(ctx, "teller", time.Millisecond, 10)
	must(t, err)
	must(t, s.Abandon(ctx, all[0], "no such \xff channel"))
	for _, stop := range []adg.Stop{{Actor: "ann", Reason: "fire"}, {Scope: adg.Scope{Service: "shop"}, Actor: "bob"}} {
		must(t, s.StopLine(ctx, stop))
	}
	must(t, s.ResumeLine(ctx, adg.Scope{}, "ann"))
	for i := range 3 {
		_, err := s.WriteDocuments(ctx, []adg.Write{
			{Document: adg.Document{Kind: "policy", Key: fmt.Sprint("p", i), Data: []byte{0, 255, byte(i)}}, If: 0},
			{Document: adg.Document{Kind: "session", Key: fmt.Sprint("s", i), Expires: time.Now().Add(time.Hour)}, If: 0},
		}, adg.AuditEntry{Actor: "ann", Action: "policy.put", Resource: fmt.Sprint("policy/", i), Outcome: adg.AuditDone, From: "10.0.0.1", Detail: map[string]string{"a": "<ü>"}})
		must(t, err)
	}
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

// happening is a tick with something of everything.
func happening(t *testing.T, w adg.Work, id string) adg.Tick {
	t.Helper()
	tick := plain(t, w)
	d := &tick.Decision
	tick.Input.Command, tick.Notifiers = w.Command, []string{"chat", "mail"}
	d.Kind, d.Next.State, d.Slot = adg.RollBack, adg.RollingBack, 10
	d.Apply = &adg.Desired{OpID: id + "/1", Deployment: id}
	d.Facts = []adg.Fact{{ID: id + "/f1", Deployment: id, Service: "shop", Environment: "bench", Kind: adg.FactStarted}, {ID: id + "/f2", Deployment: id, Service: "shop", Environment: "bench", Kind: adg.FactPage}}
	d.Hold = &adg.ReleaseHold{Service: "shop", Environment: "bench", Identity: id}
	d.Standing = &adg.ReleaseRecord{Environment: "bench", Release: w.Deployment.Spec.Release, Standing: adg.StandingGood}
	tick.Baselines = []adg.Baseline{{Check: "errors"}}
	return tick
}

// told is everything that a store tells; times of claims and the fleet's hour apart.
func told(t *testing.T, s adg.Store) map[string]any {
	t.Helper()
	ctx, all := t.Context(), map[string]any{}
	put := func(what string, v any, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		all[what] = v
	}
	list, err := s.ListDeployments(ctx, adg.DeploymentFilter{})
	put("deployments", list, err)
	for _, d := range list {
		of := func(what string) string { return what + " of " + d.ID }
		entries, err := s.Entries(ctx, d.ID, 0, 100)
		put(of("entries"), entries, err)
		ticks, err := s.Ticks(ctx, d.ID, 0, 100)
		put(of("ticks"), ticks, err)
		effects, err := s.Effects(ctx, d.ID)
		put(of("effects"), effects, err)
		assessments, err := s.Assessments(ctx, d.ID, adg.MeasurementFilter{})
		put(of("assessments"), assessments, err)
		measurements, err := s.Measurements(ctx, d.ID, adg.MeasurementFilter{})
		put(of("measurements"), measurements, err)
		baselines, err := s.Baselines(ctx, d.ID)
		put(of("baselines"), baselines, err)
		facts, err := s.Facts(ctx, d.ID)
		put(of("facts"), facts, err)
		waiting, err := s.Waiting(ctx, d.ID)
		put(of("waiting"), waiting, err)
		fleet, err := s.Fleet(ctx, "bench", d.ID)
		put(of("fleet"), fleet, err)
	}
	dead, err := s.Dead(ctx, adg.DeadFilter{Limit: 10})
	put("dead", dead, err)
	holds, err := s.ListHolds(ctx, adg.ReleaseFilter{})
	put("holds", holds, err)
	releases, err := s.ListReleases(ctx, adg.ReleaseFilter{})
	put("releases", releases, err)
	stops, err := s.Stops(ctx)
	put("stops", stops, err)
	for _, f := range []adg.EventFilter{{}, {Service: "shop"}, {Kinds: []adg.FactKind{adg.FactPage}}} {
		events, next, err := s.Events(ctx, f)
		put(fmt.Sprintf("events of %+v", f), events, err)
		put(fmt.Sprintf("cursor after %+v", f), next, nil)
	}
	for _, kind := range []string{"policy", "session"} {
		documents, err := s.ListDocuments(ctx, adg.DocumentFilter{Kind: kind})
		put(kind, documents, err)
	}
	audit, err := s.Audit(ctx, adg.AuditFilter{})
	put("audit", slices.Clone(audit), err)
	return all
}
