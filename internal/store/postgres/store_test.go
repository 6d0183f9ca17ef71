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
		store := opened(t, dsn)
		return storetest.Opened{
			Store: store,
			Reopen: func() adg.Store {
				closed(t, store)
				store = opened(t, dsn)
				return store
			},
			Other:   func() adg.Store { return opened(t, dsn) },
			Advance: advancing(t, dsn),
		}
	})
}

// fresh is a database that is up to date and empty. Copying one is quicker than migrating each.
func fresh(t testing.TB) string {
	t.Helper()
	migrated.Do(func() {
		original = pgtest.Lasting(t)
		closed(t, opened(t, original))
	})
	return pgtest.Copy(t, original)
}

var (
	migrated sync.Once
	original string
)

// advancing gives a function that makes a database's clock go on, or back, for all that are connected.
func advancing(t testing.TB, dsn string) func(time.Duration) {
	passed := time.Duration(0)
	return func(d time.Duration) {
		t.Helper()
		passed += d
		pgtest.Exec(t, dsn, fmt.Sprintf(`CREATE OR REPLACE FUNCTION adg_now() RETURNS bigint LANGUAGE sql VOLATILE AS
			'SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint * 1000 + %d'`, passed))
	}
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
