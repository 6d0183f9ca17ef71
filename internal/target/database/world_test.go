package database

import (
	"context"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/migration"
	"github.com/deployguardian/adg/internal/store/postgres/pgtest"
	"github.com/deployguardian/adg/internal/target/targettest"
)

const (
	ownersWorld = "ADG_TEST_OWNERS_WORLD" // DSN and folder of the world that this process is an owner in
	ownersFence = "ADG_TEST_OWNERS_FENCE"
)

func TestMain(m *testing.M) {
	if os.Getenv(ownersWorld) != "" {
		own()
	}
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("os/exec.(*Cmd).watchCtx"))
}

// world is a real database whose owner has a password that must not show, and a folder of migrations.
type world struct {
	super  string // DSN of the server's owner
	dsn    string // of the user that migrates
	folder string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{super: pgtest.Database(t), folder: t.TempDir()}
	over, err := url.Parse(pgtest.OverTCP(t, w.super))
	if err != nil {
		t.Fatal(err)
	}
	user := "shop" + strings.TrimPrefix(over.Path, "/")
	over.User = url.UserPassword(user, targettest.Planted)
	w.dsn = over.String()
	pgtest.Exec(t, w.super, "CREATE ROLE "+user+" LOGIN PASSWORD '"+targettest.Planted+"'", "ALTER DATABASE "+strings.TrimPrefix(over.Path, "/")+" OWNER TO "+user)
	return w
}

// files writes migrations: pairs of a name and a text; an empty text takes the file away.
func (w *world) files(t *testing.T, pairs ...string) {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		path := filepath.Join(w.folder, pairs[i])
		err := os.WriteFile(path, []byte(pairs[i+1]), 0o600)
		if pairs[i+1] == "" {
			err = os.Remove(path)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// program writes a script.
func (w *world) program(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(w.folder, name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func (w *world) options(format migration.Format) Options {
	o := Driver.Options.(Options)
	o.DSN, o.Folder, o.Format = adg.NewSecret(w.dsn), w.folder, string(format)
	o.LockTimeout, o.Wait = time.Second, 2*time.Minute
	return o
}

// permissive lets migrations be taken back.
func (w *world) permissive(format migration.Format) Options {
	o := w.options(format)
	o.AllowDown, o.Backup.Path, o.Verify.Path = true, "/bin/true", "/bin/true"
	return o
}

func opened(t *testing.T, o Options) adg.Target {
	t.Helper()
	target, err := Driver.Open(t.Context(), o, adg.Host{Name: "schema", Commands: true})
	if err != nil {
		t.Fatal(err)
	}
	return target
}

// query gives the first column of every row, as text.
func (w *world) query(t *testing.T, sql string) (rows []string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), w.super)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	found, err := conn.Query(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	rows, err = pgx.CollectRows(found, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// want is a state of one release at 100 %, and others without traffic.
func want(op string, fence int64, schema string, others ...string) adg.Desired {
	d := adg.Desired{OpID: op, Deployment: "shop-v2-abc", Fence: fence}
	for i, s := range append([]string{schema}, others...) {
		r := adg.Release{Service: "shop", Version: "v" + s, Schema: s}
		d.Releases = append(d.Releases, adg.Placement{Release: r, Role: adg.IdleRole})
		if i == 0 {
			d.Releases[0].Share, d.Releases[0].Role = 100, adg.StableRole
		}
	}
	return d
}

// back is want as a rollback.
func back(op string, fence int64, schema string, others ...string) adg.Desired {
	d := want(op, fence, schema, others...)
	d.Rollback, d.Approved = true, "carol"
	return d
}

func apply(t *testing.T, target adg.Target, d adg.Desired) adg.Observed {
	t.Helper()
	seen, err := target.Apply(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

// suite is the world of the conformance suite: release v1 needs revision 1, v2 needs revision 3, and what stands between
// can be taken back without loss.
type suite struct{ *world }

var shop = []string{
	"1_shop.up.sql", "CREATE TABLE shop (id int, name text); CREATE TABLE basket (id int);",
	"2_name.up.sql", "CREATE INDEX shop_name ON shop (name);",
	"2_name.down.sql", "DROP INDEX shop_name;",
	"3_basket.up.sql", "CREATE INDEX basket_id ON basket (id);",
	"3_basket.down.sql", "DROP INDEX basket_id;",
}

// watch notes each change of the revision in the transaction that makes it, and whether two of them overlap.
const watch = `
CREATE TABLE effects (id int GENERATED ALWAYS AS IDENTITY, op text, overlapped boolean);
CREATE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
	INSERT INTO effects (op, overlapped) VALUES (substring(current_setting('application_name') FROM 5), NOT pg_try_advisory_xact_lock(4711));
	PERFORM pg_sleep(0.005);
	RETURN NULL;
END $$;
CREATE TRIGGER watch BEFORE INSERT ON schema_migrations FOR EACH STATEMENT EXECUTE FUNCTION watch();
CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER swallow BEFORE INSERT OR DELETE ON schema_migrations FOR EACH ROW EXECUTE FUNCTION swallow();
ALTER TABLE schema_migrations DISABLE TRIGGER swallow;`

func newSuite(t *testing.T) suite {
	w := suite{newWorld(t)}
	w.files(t, shop...)
	first := want("setup/1", 0, "1")
	first.Deployment = "setup"
	apply(t, opened(t, w.permissive(migration.GolangMigrate)), first)
	pgtest.Exec(t, w.super, watch)
	return w
}

// open gives the target, told what each release of the suite needs; and that the way to v1 is the way back, which the
// suite does not always say.
func (w suite) open(t *testing.T) adg.Target {
	t.Helper()
	return told{opened(t, w.permissive(migration.GolangMigrate))}
}

type told struct{ adg.Target }

func (t told) Apply(ctx context.Context, want adg.Desired) (adg.Observed, error) {
	want.Releases = slices.Clone(want.Releases)
	for i := range want.Releases {
		p := &want.Releases[i]
		p.Release.Schema = map[string]string{"v1": "1", "v2": "3"}[p.Release.Version]
		want.Rollback = want.Rollback || p.Release.Version == "v1" && p.Share == 100
		want.Approved = "carol"
	}
	return t.Target.Apply(ctx, want)
}

func (w suite) Shares(t *testing.T) map[string]float64 {
	revision := w.query(t, "SELECT version || CASE WHEN dirty THEN ' dirty' ELSE '' END FROM schema_migrations")
	return map[string]map[string]float64{"1": {"v1": 100}, "3": {"v2": 100}}[strings.Join(revision, " ")]
}

func (w suite) Effects(t *testing.T) (all []targettest.Effect) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), w.super)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	rows, err := conn.Query(t.Context(), "SELECT op, coalesce((SELECT fence FROM adg_schema_operations WHERE op_id = op), 0), overlapped FROM effects ORDER BY id")
	if err != nil {
		t.Fatal(err)
	}
	all, err = pgx.CollectRows(rows, pgx.RowToStructByPos[targettest.Effect])
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func (w suite) Break(t *testing.T, fault targettest.Fault) func() {
	switch fault {
	case targettest.Unreachable:
		u, err := url.Parse(w.super)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(u.Path, "/")
		u.Path = "/postgres"
		pgtest.Exec(t, u.String(), "ALTER DATABASE "+name+" ALLOW_CONNECTIONS false")
		return func() { pgtest.Exec(t, u.String(), "ALTER DATABASE "+name+" ALLOW_CONNECTIONS true") }
	case targettest.Hang:
		return w.hold(t, "schema_migrations")
	case targettest.Halfway:
		return w.hold(t, "basket") // migration 2 does not need it, and 3 does
	case targettest.Lie:
		pgtest.Exec(t, w.super, "ALTER TABLE schema_migrations ENABLE TRIGGER swallow")
		return func() { pgtest.Exec(t, w.super, "ALTER TABLE schema_migrations DISABLE TRIGGER swallow") }
	}
	t.Fatalf("fault %d", fault)
	return nil
}

// hold is another operator who works on a table.
func (w *world) hold(t *testing.T, table string) (release func()) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), w.super)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "BEGIN; LOCK TABLE "+table); err != nil {
		t.Fatal(err)
	}
	return func() { _ = conn.Close(context.Background()) }
}

func TestConformance(t *testing.T) {
	targettest.Run(t, targettest.Case{
		Open: func(t *testing.T) targettest.Fixture {
			w := newSuite(t)
			return targettest.Fixture{Target: w.open(t), World: w, Reopen: w.open}
		},
		Faults: []targettest.Fault{targettest.Unreachable, targettest.Hang, targettest.Halfway, targettest.Lie},
		Fences: true,
	})
}

// counted is how often each operation changed the revision.
func (w suite) counted(t *testing.T) map[string]int {
	counts := map[string]int{}
	for _, e := range w.Effects(t) {
		counts[e.OpID]++
		if e.Overlapped {
			t.Errorf("%s overlapped", e.OpID)
		}
	}
	return maps.Clone(counts)
}

// user is the one that migrates.
func (w *world) user(t *testing.T) string {
	t.Helper()
	u, err := url.Parse(w.dsn)
	if err != nil {
		t.Fatal(err)
	}
	return u.User.Username()
}
