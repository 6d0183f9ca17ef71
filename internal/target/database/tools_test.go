package database

import (
	"database/sql"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/golang-migrate/migrate/v4"
	_ "github.com/golang-migrate/migrate/v4/database/pgx/v5" // what the tool uses for addresses with pgx5://
	_ "github.com/golang-migrate/migrate/v4/source/file"     // and with file://
	_ "github.com/jackc/pgx/v5/stdlib"                       // goose takes a database/sql
	gooseio "github.com/pressly/goose/v3"

	"github.com/deployguardian/adg/internal/migration"
)

// tool is golang-migrate itself.
func (w *world) tool(t *testing.T) *migrate.Migrate {
	t.Helper()
	u, err := url.Parse(w.dsn)
	if err != nil {
		t.Fatal(err)
	}
	u.Scheme = "pgx5"
	m, err := migrate.New("file://"+w.folder, u.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = m.Close() })
	return m
}

func TestGolangMigrateGoesOnWhereADGStoppedAndTheOtherWayRound(t *testing.T) {
	w := newWorld(t)
	w.files(t, shop...)
	target := opened(t, w.permissive(migration.GolangMigrate))
	tool := w.tool(t)
	if err := tool.Migrate(1); err != nil {
		t.Fatal(err)
	}
	if seen, err := target.Current(t.Context()); err != nil || seen.Releases[0].Release.Schema != "1" || !seen.Done {
		t.Errorf("after the tool: %+v, %v", seen, err)
	}
	apply(t, target, want("d/1", 1, "2"))
	if version, dirty, err := tool.Version(); version != 2 || dirty || err != nil {
		t.Errorf("the tool sees %d, dirty %t, %v", version, dirty, err)
	}
	if err := tool.Up(); err != nil {
		t.Fatal(err)
	}
	apply(t, target, back("d/2", 1, "1", "3"))
	if version, dirty, err := tool.Version(); version != 1 || dirty || err != nil {
		t.Errorf("after the way back the tool sees %d, dirty %t, %v", version, dirty, err)
	}
	if err := tool.Up(); err != nil {
		t.Error(err)
	}
}

func TestGolangMigrateAndADGNeverMigrateAtOnce(t *testing.T) {
	w := newWorld(t)
	w.files(t, shop...)
	tool := w.tool(t)
	if err := tool.Migrate(1); err != nil {
		t.Fatal(err)
	}
	release := w.hold(t, "shop") // the tool's next migration waits for it, and has its own lock meanwhile
	ended := make(chan error)
	go func() { ended <- tool.Migrate(2) }()
	for len(w.query(t, "SELECT locktype FROM pg_locks WHERE locktype = 'advisory' AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())")) == 0 && t.Context().Err() == nil {
		continue
	}
	o := w.options(migration.GolangMigrate)
	o.Wait = 200 * time.Millisecond
	_, err := opened(t, o).Apply(t.Context(), want("d/1", 1, "3"))
	if err == nil || !strings.Contains(err.Error(), "somebody else migrates the schema, for longer than 200ms (wait): session ") || !strings.Contains(err.Error(), "end it by SELECT pg_terminate_backend(") {
		t.Errorf("while the tool migrates: %v", err)
	}
	release()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	apply(t, opened(t, w.options(migration.GolangMigrate)), want("d/1", 1, "3"))
}

var gooseShop = []string{
	"00001_shop.sql", "-- +goose Up\nCREATE TABLE shop (id int);\n",
	"00002_index.sql", "-- +goose NO TRANSACTION\n-- +goose Up\nCREATE INDEX CONCURRENTLY shop_id ON shop (id);\n-- +goose Down\nDROP INDEX CONCURRENTLY shop_id;\n",
	"00003_function.sql", "-- +goose Up\n-- +goose StatementBegin\nCREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END $$;\n-- +goose StatementEnd\n-- +goose Down\nDROP FUNCTION f();\n",
}

func TestGooseGoesOnWhereADGStoppedAndTheOtherWayRound(t *testing.T) {
	w := newWorld(t)
	w.files(t, gooseShop...)
	target := opened(t, w.permissive(migration.Goose))
	db, err := sql.Open("pgx", w.dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tool, err := gooseio.NewProvider(gooseio.DialectPostgres, db, os.DirFS(w.folder))
	if err != nil {
		t.Fatal(err)
	}
	sees := func(want int64) {
		t.Helper()
		if got, err := tool.GetDBVersion(t.Context()); got != want || err != nil {
			t.Errorf("the tool sees %d, %v, want %d", got, err, want)
		}
	}
	apply(t, target, want("d/1", 1, "2"))
	sees(2)
	if _, err := tool.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	apply(t, target, back("d/2", 1, "1", "3"))
	sees(1)
	if _, err := tool.UpTo(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	if seen, err := target.Current(t.Context()); err != nil || seen.Done || !strings.Contains(seen.Text, "somebody else has migrated it") {
		t.Errorf("after the tool: %+v, %v", seen, err)
	}
	apply(t, target, want("d/3", 1, "3"))
	sees(3)
	if _, err := tool.DownTo(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if indexes := w.query(t, "SELECT indexname::text FROM pg_indexes WHERE tablename = 'shop'"); len(indexes) != 0 {
		t.Errorf("the tool did not take back what adg had done: %v", indexes)
	}
}

func TestTheLockOfFlywayIsTheOneThatFlywayTakes(t *testing.T) {
	s := session{t: &target{format: migration.Flyway}, table: table{"a", "b"}}
	// "a"."b" in Java: ((((((34*31+97)*31+34)*31+46)*31+34)*31+98)*31+34, in 32 bits, on top of Flyway's number.
	hash := int32(0)
	for _, c := range []int32{34, 97, 34, 46, 34, 98, 34} {
		hash = hash*31 + c
	}
	if got := s.lockKeys(); len(got) != 1 || got[0] != 77431708279161+int64(hash) {
		t.Errorf("%d", got)
	}
}
