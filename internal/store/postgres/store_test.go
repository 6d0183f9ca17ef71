package postgres

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/postgres/pgtest"
	"github.com/deployguardian/adg/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Opened {
		dsn := fresh(t)
		store := &rinsed{Store: opened(t, dsn), rinse: sync.OnceFunc(func() { rinse(t, dsn) })}
		t.Cleanup(store.rinse)
		return storetest.Opened{
			Store: store,
			Reopen: func() adg.Store {
				closed(t, store.Store)
				store.Store = opened(t, dsn)
				return store
			},
			Other:   func() adg.Store { return opened(t, dsn) },
			Advance: advancing(t, dsn),
		}
	})
}

// rinsed is a store whose database is empty, and another test's, when it is closed.
type rinsed struct {
	*Store
	rinse func()
}

// Close closes the store.
func (r *rinsed) Close() error {
	err := r.Store.Close()
	r.rinse()
	return err
}

var databases struct {
	sync.Mutex
	original string
	free     []string
}

// fresh is a database that is up to date and empty. To copy one is quicker than to migrate it, and one that is there
// already is quicker still.
func fresh(t testing.TB) string {
	t.Helper()
	databases.Lock()
	defer databases.Unlock()
	if n := len(databases.free); n > 0 {
		dsn := databases.free[n-1]
		databases.free = databases.free[:n-1]
		return dsn
	}
	if databases.original == "" {
		databases.original = pgtest.Lasting(t, "")
		closed(t, opened(t, databases.original))
	}
	return pgtest.Lasting(t, databases.original)
}

// rinse empties a database for the next test.
func rinse(t testing.TB, dsn string) {
	pgtest.Exec(t, dsn, adgNow(0), `DO $$
		DECLARE name text;
		BEGIN
			SET LOCAL session_replication_role = replica;
			FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> '`+versionTable+`' LOOP
				EXECUTE 'DELETE FROM ' || name;
			END LOOP;
		END $$`)
	databases.Lock()
	defer databases.Unlock()
	databases.free = append(databases.free, dsn)
}

// advancing gives a function that makes a database's clock go on, or back, for all that are connected.
func advancing(t testing.TB, dsn string) func(time.Duration) {
	passed := time.Duration(0)
	return func(d time.Duration) {
		t.Helper()
		passed += d
		pgtest.Exec(t, dsn, adgNow(passed))
	}
}

func adgNow(passed time.Duration) string {
	return fmt.Sprintf(`CREATE OR REPLACE FUNCTION adg_now() RETURNS bigint LANGUAGE sql VOLATILE AS
		'SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint * 1000 + %d'`, passed)
}

func opened(t testing.TB, dsn string) *Store {
	t.Helper()
	s, err := Open(context.Background(), Options{DSN: adg.NewSecret(dsn)})
	must(t, err)
	t.Cleanup(func() { closed(t, s) })
	return s
}

func closed(t testing.TB, s *Store) {
	t.Helper()
	must(t, s.Close())
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
