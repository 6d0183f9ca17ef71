package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/postgres/pgtest"
)

func TestReplicasThatStartTogetherMigrateOnce(t *testing.T) {
	dsn := pgtest.Database(t)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			s, err := Open(context.Background(), Options{DSN: adg.NewSecret(dsn)})
			if err != nil {
				t.Error(err)
				return
			}
			closed(t, s)
		})
	}
	all.Wait()
	s := opened(t, dsn)
	applied := 0
	must(t, s.pool.QueryRow(t.Context(), "SELECT count(*) FROM "+versionTable+" WHERE version_id > 0").Scan(&applied))
	if applied != int(newestIn(shipped())) {
		t.Errorf("%d migrations were applied", applied)
	}
}

func TestReplicasThatStartTogetherBringAnOldDatabaseUpToDateWhileOthersWrite(t *testing.T) {
	dsn := pgtest.Database(t)
	text, err := fs.ReadFile(shipped(), "00001_initial.sql")
	must(t, err)
	config, err := (&Options{DSN: adg.NewSecret(dsn)}).config()
	must(t, err)
	first := fstest.MapFS{"00001_initial.sql": {Data: text}}
	must(t, upToDate(t.Context(), config.ConnConfig, first, slog.New(slog.DiscardHandler)))
	pgtest.Exec(t, dsn, filling...)
	ctx, stop := context.WithTimeout(t.Context(), 3*time.Minute)
	defer stop()
	var writers, replicas sync.WaitGroup
	defer writers.Wait()
	defer stop()
	rounds := make(chan error, 1<<16)
	for n := range 2 {
		writers.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				if err := oldWrite(ctx, dsn, fmt.Sprintf("new-%d-%d", n, i)); err != nil && ctx.Err() == nil {
					rounds <- err
					return
				}
				rounds <- nil
			}
		})
	}
	must(t, <-rounds)
	// Somebody reads for longer than a replica may wait for a lock on a table.
	reader, err := pgx.Connect(t.Context(), dsn)
	must(t, err)
	defer func() { must(t, reader.Close(context.Background())) }()
	_, err = reader.Exec(t.Context(), "BEGIN; SELECT count(*) FROM outbox")
	must(t, err)
	for range 3 {
		replicas.Go(func() {
			s, err := Open(ctx, Options{DSN: adg.NewSecret(dsn)})
			if err != nil {
				t.Error(err)
				return
			}
			closed(t, s)
		})
	}
	patient := waitedFor(ctx, t, dsn, "ALTER TABLE%", "relation", time.Time{}, 0)
	waitedFor(ctx, t, dsn, "ALTER TABLE%", "relation", patient, 0) // it has tried again
	_, err = reader.Exec(t.Context(), "COMMIT; BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM deployments")
	must(t, err)
	waitedFor(ctx, t, dsn, "%INDEX CONCURRENTLY%", "virtualxid", time.Time{}, 3500*time.Millisecond) // longer than for a table
	_, err = reader.Exec(t.Context(), "COMMIT")
	must(t, err)
	replicas.Wait()
	for len(rounds) > 0 {
		must(t, <-rounds)
	}
	must(t, <-rounds) // the older ones go on
	unusable := 0
	s := opened(t, dsn)
	must(t, s.pool.QueryRow(t.Context(), "SELECT count(*) FROM pg_index WHERE NOT indisvalid").Scan(&unusable))
	if unusable > 0 {
		t.Errorf("%d indexes were not finished", unusable)
	}
	if all, err := s.ListDeployments(t.Context(), adg.DeploymentFilter{Actors: []string{"a7"}}); err != nil || len(all) != 1 {
		t.Errorf("%d deployments of an actor, %v", len(all), err)
	}
}

// oldWrite is what a replica of the first version writes when somebody starts a deployment.
func oldWrite(ctx context.Context, dsn, id string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	_, err = conn.Exec(ctx, fmt.Sprintf(`BEGIN;
		SELECT pg_advisory_xact_lock(%d, %d);
		INSERT INTO deployments (id, service, environment, version, state, live, due) VALUES ('%[3]s', 's', 'bench', 1, 'pending', true, 1);
		INSERT INTO specs SELECT n, '{"actor": "new", "created": "2026-01-01T00:00:00Z"}' FROM deployments WHERE id = '%[3]s';
		INSERT INTO statuses SELECT n, '{}' FROM deployments WHERE id = '%[3]s';
		INSERT INTO facts (id, deployment, service, environment, kind, fact) SELECT id, n, service, environment, 'page', '{}' FROM deployments WHERE id = '%[3]s';
		INSERT INTO outbox (fact, deployment, notifier, due) SELECT n, deployment, 'chat', 1 FROM facts WHERE id = '%[3]s';
		COMMIT`, lockClass, lockEvents, id))
	return err
}

// waitedFor waits until such a statement waits for such a lock, for so long, and gives when it was begun: after that time.
func waitedFor(ctx context.Context, t *testing.T, dsn, statement, lock string, after time.Time, long time.Duration) (begun time.Time) {
	t.Helper()
	conn, err := pgx.Connect(ctx, dsn)
	must(t, err)
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	for {
		err := conn.QueryRow(ctx, `SELECT query_start FROM pg_stat_activity WHERE query LIKE $1 AND wait_event = $2
			AND query_start > $3 AND clock_timestamp() - query_start >= $4`, statement, lock, after, long).Scan(&begun)
		if !errors.Is(err, pgx.ErrNoRows) {
			must(t, err)
			return begun
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("%s does not wait for a %s", statement, lock)
		}
	}
}

func TestDatabaseWithAMarkThatIsNotUnderstoodIsRefusedAndLeftAlone(t *testing.T) {
	dsn := pgtest.Database(t)
	closed(t, opened(t, dsn))
	pgtest.Exec(t, dsn, fmt.Sprintf("INSERT INTO %s (version_id, is_applied) VALUES (%d, true)", versionTable, (understood+1)*thousand), "DROP TABLE slots")
	_, err := Open(t.Context(), Options{DSN: adg.NewSecret(dsn)})
	if adg.CodeOf(err) != adg.Conflict || !strings.Contains(err.Error(), "newer version") {
		t.Errorf("got %v", err)
	}
}

func TestDatabaseIsMigratedWhileAnOlderReplicaWorks(t *testing.T) {
	dsn := pgtest.Database(t)
	old := opened(t, dsn)
	create(t, old, "d0", "s0")
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	rounds := make(chan int, 1<<16)
	all.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			if err := workRound(t, old, n); err != nil {
				t.Error(err)
				return
			}
			rounds <- n
		}
	})
	<-rounds
	newer := fstest.MapFS{"00002_more.sql": {Data: []byte(`-- +goose Up
		ALTER TABLE deployments ADD COLUMN region text NOT NULL DEFAULT '';
		ALTER TABLE facts ADD COLUMN region text;
		CREATE TABLE regions (region text PRIMARY KEY);
		CREATE INDEX deployments_region ON deployments (region);
		INSERT INTO regions SELECT 'r' || i FROM generate_series(1, 1000) i;`)}}
	text, err := fs.ReadFile(shipped(), "00001_initial.sql")
	must(t, err)
	newer["00001_initial.sql"] = &fstest.MapFile{Data: text}
	config, err := (&Options{DSN: adg.NewSecret(dsn)}).config()
	must(t, err)
	must(t, upToDate(t.Context(), config.ConnConfig, newer, slog.New(slog.DiscardHandler)))
	for len(rounds) > 0 {
		<-rounds
	}
	<-rounds
	<-rounds
	stop()
	all.Wait()
	again := opened(t, dsn) // an older one may start after that, too: while replicas are replaced, some always do
	if err := workRound(t, again, 1<<20); err != nil {
		t.Errorf("an older one that starts after that: %v", err)
	}
}

// workRound is what a replica does all day.
func workRound(t *testing.T, s *Store, n int) error {
	ctx := context.Background()
	if err := s.Ask(ctx, adg.Command{ID: fmt.Sprint("c", n), Deployment: "d0", Kind: adg.CommandHold}); err != nil {
		return err
	}
	work, err := s.Take(ctx, "owner", time.Hour, 10)
	if err != nil || len(work) != 1 {
		return fmt.Errorf("took %d: %w", len(work), err)
	}
	tick := plain(t, work[0])
	tick.GiveBack, tick.Input.Command, tick.Notifiers = true, work[0].Command, []string{"chat"}
	tick.Decision.Facts = []adg.Fact{{ID: fmt.Sprint("f", n), Deployment: "d0"}}
	if _, err := s.Commit(ctx, tick); err != nil {
		return err
	}
	all, err := s.Undelivered(ctx, "teller", time.Hour, 10)
	if err != nil || len(all) != 1 {
		return fmt.Errorf("%d to be told: %w", len(all), err)
	}
	_, err = s.ListDeployments(ctx, adg.DeploymentFilter{})
	return errors.Join(err, s.Delivered(ctx, all[0]))
}

func TestPasswordNeverAppearsInErrors(t *testing.T) {
	const password = "hunter2-Zq"
	tcp := pgtest.OverTCP(t, pgtest.Database(t))
	for name, dsn := range map[string]string{
		"no URL":                 "postgres://adg:" + password + "@[::1",
		"a port that is none":    "postgres://adg:" + password + "@localhost:x/adg",
		"a sign to be escaped":   "postgres://adg:" + password + "%zz@localhost/adg",
		"no keyword":             "host=localhost password=" + password + " nonsense",
		"quotes that do not end": "host=localhost password='" + password,
		"an sslmode that is not": "host=localhost password=" + password + " sslmode=perhaps",
		"only a password":        password,
		"nobody there":           "postgres://adg:" + password + "@127.0.0.1:1/adg?connect_timeout=1",
		"a wrong password":       strings.Replace(tcp, pgtest.Password(t), password, 1),
		"no such database":       strings.Replace(strings.Replace(tcp, pgtest.Password(t), password, 1), "/t", "/no", 1),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(t.Context(), Options{DSN: adg.NewSecret(dsn)})
			if err == nil {
				t.Fatal("opened")
			}
			if text := fmt.Sprintf("%v %+v %#v", err, err, Options{DSN: adg.NewSecret(dsn)}); strings.Contains(text, "hunter2") {
				t.Errorf("it says %s", text)
			}
			if code := adg.CodeOf(err); code != adg.Unavailable && code != adg.Invalid {
				t.Errorf("%v is %s", err, code)
			}
		})
	}
}

func TestDatabaseThatDoesNotExistSaysSo(t *testing.T) {
	dsn := strings.Replace(pgtest.OverTCP(t, pgtest.Database(t)), "/t", "/none", 1)
	_, err := Open(t.Context(), Options{DSN: adg.NewSecret(dsn)})
	if adg.CodeOf(err) != adg.Unavailable || !strings.Contains(err.Error(), "no such database") {
		t.Errorf("got %v", err)
	}
}

func TestNoMoreConnectionsThanAllowed(t *testing.T) {
	dsn := fresh(t)
	s, err := Open(t.Context(), Options{DSN: adg.NewSecret(dsn), MaxConns: 2})
	must(t, err)
	defer closed(t, s)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if _, err := s.Now(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := s.pool.Stat().TotalConns(); n > 2 {
		t.Errorf("there are %d connections", n)
	}
}

func TestLimitsHoldOnTheServerUnlessTheDSNSaysOtherwise(t *testing.T) {
	dsn := fresh(t)
	for extra, want := range map[string]string{"": "15s 5s 5s", "&lock_timeout=7s": "15s 7s 5s"} {
		s, err := Open(t.Context(), Options{DSN: adg.NewSecret(dsn + extra)})
		must(t, err)
		t.Cleanup(func() { closed(t, s) })
		got := ""
		must(t, s.pool.QueryRow(t.Context(), "SELECT current_setting('statement_timeout') || ' ' || current_setting('lock_timeout') || ' ' || current_setting('idle_in_transaction_session_timeout')").Scan(&got))
		if got != want {
			t.Errorf("the limits are %s, want %s", got, want)
		}
	}
}

func TestClockThatIsSetBackStandsStillUntilItIsOvertaken(t *testing.T) {
	dsn := fresh(t)
	s, advance := opened(t, dsn), advancing(t, dsn)
	now := func() time.Time {
		t.Helper()
		at, err := s.Now(t.Context())
		must(t, err)
		return at
	}
	advance(time.Minute)
	first := now()
	advance(-30 * time.Second)
	if second := now(); !second.Equal(first) {
		t.Errorf("it went from %s to %s", first, second)
	}
	advance(40 * time.Second)
	if passed := now().Sub(first); passed < 10*time.Second || passed > 30*time.Second {
		t.Errorf("%s have passed", passed)
	}
	advance(-2 * time.Hour)
	if _, err := s.Now(t.Context()); adg.CodeOf(err) != adg.Unavailable || !strings.Contains(err.Error(), "set back") {
		t.Errorf("set back by two hours: %v", err)
	}
	if _, err := s.Take(t.Context(), "owner", time.Minute, 1); adg.CodeOf(err) != adg.Unavailable {
		t.Errorf("set back by two hours: %v", err)
	}
}

func TestClockThatWasWrongBeforeStallsNothing(t *testing.T) {
	dsn := fresh(t)
	s, advance := opened(t, dsn), advancing(t, dsn)
	advance(365 * 24 * time.Hour)
	create(t, s, "d0", "s0")
	create(t, s, "d1", "s1")
	for _, w := range takeAll(t, s, 2) {
		tick := plain(t, w)
		tick.Decision.Next.Due, tick.Decision.Next.Health, tick.Decision.Slot = tick.Decision.At.Add(time.Minute), adg.Unhealthy, 10
		tick.Decision.Facts, tick.Notifiers = []adg.Fact{{ID: w.Deployment.ID}}, []string{"chat"}
		tick.GiveBack = w.Deployment.ID == "d0" // the other stays leased
		_, err := s.Commit(t.Context(), tick)
		must(t, err)
	}
	_, err := s.Undelivered(t.Context(), "teller", time.Hour, 1)
	must(t, err)
	closed(t, s)

	advance(-365 * 24 * time.Hour)
	s = opened(t, dsn)
	if work := takeAll(t, s, 10); len(work) != 1 || work[0].Deployment.ID != "d0" {
		t.Errorf("took %+v, want what is not leased", work)
	}
	if all, err := s.Undelivered(t.Context(), "teller", time.Hour, 10); err != nil || len(all) != 2 {
		t.Errorf("to be told: %v, %v", all, err)
	}
	if fleet, err := s.Fleet(t.Context(), "bench", ""); err != nil || fleet.Rollbacks != 2 || fleet.TurnedBad != 2 {
		t.Errorf("fleet: %+v, %v", fleet, err)
	}
	advance(time.Hour + time.Second)
	if work := takeAll(t, s, 10); len(work) != 2 {
		t.Errorf("took %d after the time that the lease was taken for, want both", len(work))
	}
}

func TestOpeningLeavesToOthersWhatTheyHold(t *testing.T) {
	dsn := fresh(t)
	s := opened(t, dsn)
	create(t, s, "d0", "s0")
	w := takeAll(t, s, 1)[0]
	tick := plain(t, w)
	tick.Decision.Facts, tick.Notifiers = []adg.Fact{{ID: "f0"}}, []string{"chat"}
	_, err := s.Commit(t.Context(), tick)
	must(t, err)
	_, err = s.Undelivered(t.Context(), "teller", time.Minute, 1)
	must(t, err)
	other := opened(t, dsn)
	if work, err := other.Take(t.Context(), "other", time.Minute, 10); err != nil || len(work) != 0 {
		t.Errorf("took %v, %v", work, err)
	}
	if all, err := other.Undelivered(t.Context(), "other", time.Minute, 10); err != nil || len(all) != 0 {
		t.Errorf("to be told: %v, %v", all, err)
	}
}

func TestTextThatPostgresDoesNotTakeIsInvalid(t *testing.T) {
	s := opened(t, fresh(t))
	d := adg.Deployment{ID: "a\x00b"}
	if err := s.CreateDeployment(t.Context(), d); adg.CodeOf(err) != adg.Invalid {
		t.Errorf("got %v", err)
	}
}
