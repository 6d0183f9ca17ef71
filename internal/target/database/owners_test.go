package database

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/migration"
	"github.com/deployguardian/adg/internal/store/postgres/pgtest"
	"github.com/deployguardian/adg/internal/target/targettest"
)

// own is an adg that has the test binary's name: it applies one operation and may be killed meanwhile.
func own() {
	dsn, folder, _ := strings.Cut(os.Getenv(ownersWorld), " ")
	fence, err := strconv.ParseInt(os.Getenv(ownersFence), 10, 64)
	if err == nil {
		w := world{dsn: dsn, folder: folder}
		o := w.permissive(migration.GolangMigrate)
		o.LockTimeout = time.Minute
		var target adg.Target
		if target, err = Driver.Open(context.Background(), o, adg.Host{Commands: true}); err == nil {
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
			_, err = target.Apply(ctx, ownersWant(fence))
			cancel()
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// ownersWant goes there and back; every second owner repeats the operation of the one before, as one that takes over does.
func ownersWant(fence int64) adg.Desired {
	n := fence / 2
	op := "shop-v2-abc/" + strconv.FormatInt(n, 10)
	if n%2 == 0 {
		return want(op, fence, "3", "1")
	}
	return back(op, fence, "1", "3")
}

// points are where an owner is caught: there it waits for a table that somebody else holds.
var points = []struct{ name, table string }{
	{"it notes the operation", "adg_schema_operations"},
	{"it reads the book", "schema_migrations"},
	{"it runs a migration", "basket"},
	{"it writes the book", "effects"},
}

// caught waits until an adg waits for a table.
func (w suite) caught(t *testing.T, where string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for w.query(t, "SELECT count(*)::text FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'adg %' AND wait_event_type = 'Lock'")[0] == "0" {
		if ctx.Err() != nil {
			t.Fatalf("nobody waits where %s", where)
		}
	}
}

// owner starts a process that owns the deployment.
func (w suite) owner(t *testing.T, fence int64) (started *exec.Cmd, said *strings.Builder) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), ownersWorld+"="+w.dsn+" "+w.folder, ownersFence+"="+strconv.FormatInt(fence, 10))
	said = &strings.Builder{}
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, said
}

func TestOwnersThatAreKilledLeaveNothingHalfDoneAndRepeatNothing(t *testing.T) {
	w := newSuite(t)
	for n, point := range points {
		release := w.hold(t, point.table)
		cmd, said := w.owner(t, int64(2*n))
		w.caught(t, point.name)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		err := cmd.Wait()
		if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.Exited() {
			t.Errorf("where %s the owner was not killed: %v: %s", point.name, err, said)
		}
		release()
		cmd, said = w.owner(t, int64(2*n+1))
		if err := cmd.Wait(); err != nil {
			t.Fatalf("after one that was killed where %s: %v: %s", point.name, err, said)
		}
	}
	counts := w.counted(t)
	for op, n := range counts {
		if n != 2 {
			t.Errorf("%s made %d steps, want 2", op, n)
		}
	}
	if len(counts) != len(points) {
		t.Errorf("%d operations made steps, want %d", len(counts), len(points))
	}
	if diff := cmp.Diff(map[string]float64{"v1": 100}, w.Shares(t)); diff != "" {
		t.Errorf("the last owner's state is not live:\n%s", diff)
	}
}

func TestAnOperationThatIsBrokenOffAtAnyMomentIsTakenUpLater(t *testing.T) {
	w := newSuite(t)
	o := w.permissive(migration.GolangMigrate)
	o.LockTimeout = time.Minute
	target := opened(t, o)
	n := 0
	for how, end := range map[string]func(cancel context.CancelFunc){
		"cancelled":           func(cancel context.CancelFunc) { cancel() },
		"ended by the server": func(context.CancelFunc) { w.end(t) },
	} {
		for _, point := range points {
			d := ownersWant(int64(2 * n))
			n++
			release := w.hold(t, point.table)
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() {
				_, err := target.Apply(ctx, d)
				ended <- err
			}()
			w.caught(t, point.name)
			end(cancel)
			if err := <-ended; err == nil || adg.IsPermanent(err) || adg.CodeOf(err) != adg.Unavailable {
				t.Errorf("%s where %s: %v", how, point.name, err)
			}
			cancel()
			release()
			apply(t, target, d)
			if got := w.counted(t)[d.OpID]; got != 2 {
				t.Errorf("%s, which was %s where %s, made %d steps, want 2", d.OpID, how, point.name, got)
			}
		}
	}
}

// end is the server's operator, who ends all sessions of adg.
func (w *world) end(t *testing.T) {
	t.Helper()
	w.query(t, "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'adg %'")
}

func TestAMigrationWithoutATransactionThatIsBrokenOffIsNotGuessedAbout(t *testing.T) {
	w := suite{newWorld(t)}
	w.files(t, "1.sql", "CREATE TABLE shop (id int)", "2.sql", "CREATE INDEX CONCURRENTLY one ON shop (id)")
	o := w.options(migration.SQL)
	o.LockTimeout = time.Minute
	target := opened(t, o)
	apply(t, target, want("d/1", 1, "1"))
	release := w.hold(t, "shop")
	ended := make(chan error, 1)
	go func() {
		_, err := target.Apply(t.Context(), want("d/2", 1, "2"))
		ended <- err
	}()
	w.caught(t, "it makes the index")
	w.end(t)
	if err := <-ended; err == nil {
		t.Error("no error")
	}
	release()
	fails(t, "whoever takes over", opened(t, o), want("d/2", 2, "2"), "migration 2", "SET under_way = '' WHERE op_id = 'd/2'")
	pgtest.Exec(t, w.super, "DROP INDEX IF EXISTS one", "UPDATE adg_schema_operations SET under_way = '' WHERE op_id = 'd/2'")
	if seen := apply(t, opened(t, o), want("d/3", 2, "2")); !seen.Done {
		t.Errorf("after it was brought in order: %+v", seen)
	}
}

func TestAServerWithoutRoomForAnotherSessionIsAskedLater(t *testing.T) {
	w := newSuite(t)
	target := opened(t, w.permissive(migration.GolangMigrate))
	pgtest.Exec(t, w.super, "ALTER ROLE "+w.user(t)+" CONNECTION LIMIT 0")
	d := ownersWant(0)
	_, applied := target.Apply(t.Context(), d)
	_, current := target.Current(t.Context())
	for _, err := range []error{applied, current} {
		if _, throttled := adg.RetryAfter(err); !throttled || adg.IsPermanent(err) || adg.CodeOf(err) != adg.Unavailable {
			t.Errorf("%v", err)
		}
	}
	if got := w.counted(t); len(got) != 0 {
		t.Errorf("it made steps: %v", got)
	}
	pgtest.Exec(t, w.super, "ALTER ROLE "+w.user(t)+" CONNECTION LIMIT -1")
	if seen := apply(t, target, d); !seen.Done {
		t.Errorf("%+v", seen)
	}
}

func TestWhenThePasswordExpiresInTheMiddleTheOperationGoesOnWithANewOne(t *testing.T) {
	w := newSuite(t)
	target := opened(t, w.permissive(migration.GolangMigrate))
	d := ownersWant(0)
	mend := w.hold(t, "basket") // which only the second migration needs
	if _, err := target.Apply(t.Context(), d); err == nil || adg.IsPermanent(err) {
		t.Errorf("half-way: %v", err)
	}
	mend()
	pgtest.Exec(t, w.super, "ALTER ROLE "+w.user(t)+" VALID UNTIL '2020-01-01'")
	if _, err := target.Apply(t.Context(), d); adg.CodeOf(err) != adg.Unauthorized || !adg.IsPermanent(err) {
		t.Errorf("expired: %v", err)
	}
	if got := w.counted(t)[d.OpID]; got != 1 {
		t.Errorf("%d steps, want 1", got)
	}
	pgtest.Exec(t, w.super, "ALTER ROLE "+w.user(t)+" PASSWORD 'a-new-one' VALID UNTIL 'infinity'")
	o := w.permissive(migration.GolangMigrate)
	o.DSN = adg.NewSecret(strings.Replace(w.dsn, targettest.Planted, "a-new-one", 1))
	if seen := apply(t, opened(t, o), d); !seen.Done || w.counted(t)[d.OpID] != 2 {
		t.Errorf("with a new password, after %d steps: %+v", w.counted(t)[d.OpID], seen)
	}
}

func TestAnOperationWhoseTimeIsShortIsTakenUpUntilItIsDone(t *testing.T) {
	w := newSuite(t)
	target := opened(t, w.permissive(migration.GolangMigrate))
	d := ownersWant(0)
	for after := time.Nanosecond; ; after = max(2*after, 3*time.Millisecond) {
		ctx, cancel := context.WithTimeout(t.Context(), after)
		_, err := target.Apply(ctx, d)
		cancel()
		if err == nil {
			break
		}
		if adg.IsPermanent(err) {
			t.Fatalf("after %s: %v", after, err)
		}
	}
	if got := w.counted(t)[d.OpID]; got != 2 {
		t.Errorf("%s made %d steps, want 2", d.OpID, got)
	}
}
