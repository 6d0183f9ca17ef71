package sqlite

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/deployguardian/adg"
)

func TestDatabaseHasTheNameThatItIsGivenAlsoBeside(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir, Options{Name: "guardian.db"})
	create(t, s, "d0", "s0")
	if !isThere(t, dir, "guardian.db") || isThere(t, dir, databaseName) {
		t.Error("the database is called otherwise")
	}
	b, err := OpenBeside(t.Context(), dir, Options{Name: "guardian.db"})
	must(t, err)
	defer func() { must(t, b.Close()) }()
	if isThere(t, dir, databaseName) {
		t.Errorf("another database was made in %s", filepath.Base(dir))
	}
}

func TestServicesCountAsTurnedBadForAsLongAsTheInstallationSays(t *testing.T) {
	clock := newHandClock()
	limits := adg.Limits{Services: 2, Within: time.Minute, Rollbacks: 4}
	s := opened(t, fresh(t), Options{Clock: clock.now, Limits: limits})
	create(t, s, "d0", "s0")
	w := takeAll(t, s, 1)[0]
	tick := plain(w)
	tick.Decision.Next.Health = adg.Unhealthy
	_, err := s.Commit(t.Context(), tick)
	must(t, err)
	for after, want := range []int{1, 0} {
		clock.advance(time.Duration(after) * 61 * time.Second)
		f, err := s.Fleet(t.Context(), w.Deployment.Spec.Policy.Environment, "d0")
		must(t, err)
		if f.TurnedBad != want || f.Limits != limits {
			t.Errorf("%+v", f)
		}
	}
}
