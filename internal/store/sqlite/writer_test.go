package sqlite

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/row"
)

func TestWhatMattersWaitsForTheDiskAndAMeasurementDoesNot(t *testing.T) {
	s := opened(t, fresh(t), Options{})
	create(t, s, "d0", "s0")
	w := takeAll(t, s, 1)[0]
	with := func(change func(*adg.Tick)) adg.Tick {
		tick := plain(w)
		change(&tick)
		return tick
	}
	for name, c := range map[string]struct {
		tick    adg.Tick
		durable bool
	}{
		"a measurement":      {plain(w), false},
		"an intent":          {with(func(t *adg.Tick) { t.Decision.Apply = &adg.Desired{OpID: "1"} }), true},
		"an outcome":         {with(func(t *adg.Tick) { t.Input.Outcome = &adg.Outcome{OpID: "1"} }), true},
		"a change of state":  {with(func(t *adg.Tick) { t.Decision.Next.State = adg.Rolling }), true},
		"a fact":             {with(func(t *adg.Tick) { t.Decision.Facts = []adg.Fact{{ID: "f"}} }), true},
		"an answer":          {with(func(t *adg.Tick) { t.Input.Command = &adg.Command{ID: "c"} }), true},
		"a baseline":         {with(func(t *adg.Tick) { t.Baselines = []adg.Baseline{{Check: "c"}} }), true},
		"a release's hold":   {with(func(t *adg.Tick) { t.Decision.Hold = &adg.ReleaseHold{} }), true},
		"a release's record": {with(func(t *adg.Tick) { t.Decision.Standing = &adg.ReleaseRecord{} }), true},
	} {
		p, err := row.Prepare(c.tick)
		must(t, err)
		if p.Durable() != c.durable {
			t.Errorf("%s: durable is %t", name, p.Durable())
		}
	}
}

func TestDurableWritesAreMadeWithSynchronousFull(t *testing.T) {
	s := opened(t, fresh(t), Options{})
	const full, normal = 2, 1
	level := func(durable bool) (got int) {
		t.Helper()
		must(t, s.write(t.Context(), durable, func(t *tx) error { return t.row([]any{&got}, "PRAGMA synchronous") }))
		return got
	}
	for i, c := range []struct {
		durable bool
		want    int
	}{{true, full}, {false, normal}, {false, normal}, {true, full}, {true, full}, {false, normal}} {
		if got := level(c.durable); got != c.want {
			t.Errorf("write %d, durable %t: synchronous is %d, want %d", i, c.durable, got, c.want)
		}
	}
	mode := ""
	must(t, s.writer.conn.QueryRowContext(t.Context(), "PRAGMA journal_mode").Scan(&mode))
	if mode != "wal" {
		t.Errorf("the journal mode is %s", mode)
	}
}

func TestWritesThatWaitShareATransactionAsDurableAsTheMostDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := opened(t, fresh(t), Options{})
		levels, transactions := make([]int, 8), map[*tx]bool{}
		together(t, s, len(levels), func(i int, t *tx) error {
			transactions[t] = true
			return t.row([]any{&levels[i]}, "PRAGMA synchronous")
		})
		for i, level := range levels {
			if level != 2 {
				t.Errorf("write %d was made with synchronous %d", i, level)
			}
		}
		if len(transactions) != 1 {
			t.Errorf("%d transactions", len(transactions))
		}
	})
}

func TestFailureInABatchUndoesItsOwnWritesOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := opened(t, fresh(t), Options{})
		sad := errors.New("no")
		failed := together(t, s, 9, func(i int, t *tx) error {
			if _, err := t.exec("INSERT INTO stops (service, environment, actor, reason, at) VALUES (?1, '', ?1, '', 1)", fmt.Sprint(i)); err != nil || i%3 != 1 {
				return err
			}
			return sad
		})
		got := ""
		must(t, s.reads.QueryRowContext(t.Context(), "SELECT group_concat(actor, '') FROM (SELECT actor FROM stops ORDER BY actor)").Scan(&got))
		if got != "023568busy" {
			t.Errorf("written by %s", got)
		}
		for i, err := range failed {
			if errors.Is(err, sad) != (i%3 == 1) {
				t.Errorf("write %d: %v", i, err)
			}
		}
	})
}

func TestWriteWhoseContextEndsWhileItWaitsIsNotMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := opened(t, fresh(t), Options{})
		free := occupy(t, s)
		ctx, cancel := context.WithCancel(t.Context())
		stopped := make(chan error)
		go func() { stopped <- s.StopLine(ctx, adg.Stop{Actor: "mallory", Reason: "too late"}) }()
		synctest.Wait()
		cancel()
		err := <-stopped
		free()
		fleet, failed := s.Fleet(t.Context(), "", "")
		must(t, failed)
		if !errors.Is(err, context.Canceled) || fleet.Stopped != "busy" {
			t.Errorf("got %v, and the line is stopped by %q", err, fleet.Stopped)
		}
	})
}

func TestClosingEndsWhatWaitsAndKeepsWhatWasBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s := opened(t, dir, Options{})
		free := occupy(t, s)
		stopped, ended := make(chan error), make(chan error)
		go func() { stopped <- s.StopLine(t.Context(), adg.Stop{Actor: "carol", Reason: "too late"}) }()
		synctest.Wait()
		go func() { ended <- s.Close() }()
		if err := <-stopped; adg.CodeOf(err) != adg.Unavailable {
			t.Errorf("got %v", err)
		}
		free()
		must(t, <-ended)
		s = opened(t, dir, Options{})
		if fleet, err := s.Fleet(t.Context(), "", ""); err != nil || fleet.Stopped != "busy" {
			t.Errorf("the line is stopped by %q, %v", fleet.Stopped, err)
		}
	})
}

// together has n writes wait at the same time, so that they make one batch, in their order. Number 5 is durable.
func together(t *testing.T, s *Store, n int, do func(i int, t *tx) error) []error {
	t.Helper()
	free := occupy(t, s)
	var all sync.WaitGroup
	failed := make([]error, n)
	for i := range n {
		all.Go(func() { failed[i] = s.write(t.Context(), i == 5, func(t *tx) error { return do(i, t) }) })
		synctest.Wait()
	}
	free()
	all.Wait()
	return failed
}

// occupy keeps the writer busy, with stopping the line, until free is called.
func occupy(t *testing.T, s *Store) (free func()) {
	t.Helper()
	over, done := make(chan struct{}), make(chan error)
	go func() {
		done <- s.write(t.Context(), false, func(t *tx) error {
			<-over
			_, err := t.exec("INSERT INTO stops (service, environment, actor, reason, at) VALUES ('', '', 'busy', '', 1)")
			return err
		})
	}()
	synctest.Wait()
	return func() {
		close(over)
		must(t, <-done)
	}
}
