package postgres

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/deployguardian/adg"
)

func TestFactThatIsCommittedLateIsMissedByNobody(t *testing.T) {
	s := opened(t, fresh(t))
	create(t, s, "slow", "a")
	create(t, s, "quick", "b")
	slow, err := s.pool.Begin(t.Context())
	must(t, err)
	defer func() { _ = slow.Rollback(t.Context()) }()
	storeFact(t, slow, "slow", "f1") // it has the smaller number, and is not committed yet
	quick, err := s.pool.Begin(t.Context())
	must(t, err)
	storeFact(t, quick, "quick", "f2")
	must(t, quick.Commit(t.Context()))

	events, next := eventsOf(t, s, adg.EventFilter{})
	wantFacts(t, events, "f2")
	must(t, slow.Commit(t.Context()))
	events, next = eventsOf(t, s, adg.EventFilter{After: next})
	wantFacts(t, events, "f1")
	events, _ = eventsOf(t, s, adg.EventFilter{After: next})
	wantFacts(t, events)
}

func TestReadersSeeEveryFactOnceAndInOrderWhileOthersWrite(t *testing.T) {
	const writers, facts = 6, 25
	dsn := fresh(t)
	one, two := opened(t, dsn), opened(t, dsn)
	work := make([]adg.Work, writers)
	for i := range work {
		create(t, one, fmt.Sprint("d", i), fmt.Sprint("s", i))
	}
	copy(work, takeAll(t, one, writers))
	var all sync.WaitGroup
	failed := make(chan error, writers)
	for i, w := range work {
		all.Go(func() {
			store := []*Store{one, two}[i%2]
			for n := range facts {
				tick := plain(t, w)
				tick.Decision.Facts = []adg.Fact{{ID: fmt.Sprintf("%s/%03d", w.Deployment.ID, n), Deployment: w.Deployment.ID}}
				d, err := store.Commit(context.Background(), tick)
				if err != nil {
					failed <- err
					return
				}
				w.Deployment = d
			}
		})
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	got := make([][]string, 3)
	var readers sync.WaitGroup
	for r := range got {
		readers.Go(func() {
			store, after := []*Store{one, two}[r%2], int64(0)
			for last := false; ; {
				events, next, err := store.Events(context.Background(), adg.EventFilter{After: after, Limit: 7})
				if err != nil {
					t.Error(err)
					return
				}
				for _, e := range events {
					if e.Cursor <= after {
						t.Errorf("cursor %d came after %d", e.Cursor, after)
					}
					after = e.Cursor
					got[r] = append(got[r], e.Fact.ID)
				}
				if after = next; last && len(events) == 0 {
					return
				}
				select {
				case <-done:
					last = true
				default:
				}
			}
		})
	}
	readers.Wait()
	close(failed)
	for err := range failed {
		t.Fatal(err)
	}
	for r := range got {
		if !slices.Equal(got[r], got[0]) {
			t.Errorf("reader %d saw another order than the first", r)
		}
	}
	if len(got[0]) != writers*facts {
		t.Errorf("%d facts were read, want %d", len(got[0]), writers*facts)
	}
	for i := range writers {
		mine := slices.DeleteFunc(slices.Clone(got[0]), func(id string) bool { return id[:2] != fmt.Sprint("d", i) })
		if !slices.IsSorted(mine) || len(slices.Compact(mine)) != facts {
			t.Errorf("the facts of d%d came as %v", i, mine)
		}
	}
}

func TestEventsAreFilteredAndPassedOver(t *testing.T) {
	s := opened(t, fresh(t))
	create(t, s, "d0", "shop")
	create(t, s, "d1", "cart")
	for i, w := range takeAll(t, s, 2) {
		tick := plain(t, w)
		for n, kind := range []adg.FactKind{adg.FactStarted, adg.FactPage} {
			tick.Decision.Facts = append(tick.Decision.Facts, adg.Fact{ID: fmt.Sprintf("f%d%d", i, n), Deployment: w.Deployment.ID, Kind: kind})
		}
		_, err := s.Commit(t.Context(), tick)
		must(t, err)
	}
	for name, c := range map[string]struct {
		filter adg.EventFilter
		want   []string
	}{
		"everything":            {adg.EventFilter{}, []string{"f00", "f01", "f10", "f11"}},
		"of a deployment":       {adg.EventFilter{Deployment: "d1"}, []string{"f10", "f11"}},
		"of a service":          {adg.EventFilter{Service: "shop"}, []string{"f00", "f01"}},
		"of an environment":     {adg.EventFilter{Environment: "bench"}, []string{"f00", "f01", "f10", "f11"}},
		"of another":            {adg.EventFilter{Environment: "else"}, nil},
		"of a kind":             {adg.EventFilter{Kinds: []adg.FactKind{adg.FactPage}}, []string{"f01", "f11"}},
		"of a kind and service": {adg.EventFilter{Kinds: []adg.FactKind{adg.FactPage, adg.FactHeld}, Service: "cart"}, []string{"f11"}},
		"the first ones":        {adg.EventFilter{Limit: 2}, []string{"f00", "f01"}},
	} {
		t.Run(name, func(t *testing.T) {
			events, next := eventsOf(t, s, c.filter)
			wantFacts(t, events, c.want...)
			c.filter.After, c.filter.Limit = next, 0
			rest, end := eventsOf(t, s, c.filter)
			last, err := s.LastEvent(t.Context())
			must(t, err)
			if end != last {
				t.Errorf("the reader ends at %d, want %d", end, last)
			}
			if name != "the first ones" {
				wantFacts(t, rest)
			}
		})
	}
}

func TestEventsOfADeploymentThatDoesNotExistAreNotFound(t *testing.T) {
	if _, _, err := opened(t, fresh(t)).Events(t.Context(), adg.EventFilter{Deployment: "nobody"}); adg.CodeOf(err) != adg.NotFound {
		t.Error(err)
	}
}

// storeFact stores a fact as a tick does.
func storeFact(t *testing.T, q pgx.Tx, deployment, id string) {
	t.Helper()
	_, err := q.Exec(t.Context(), "INSERT INTO facts (id, deployment, service, environment, kind, fact) SELECT $1, n, service, environment, 'page', $2 FROM deployments WHERE id = $3",
		id, fmt.Sprintf(`{"id":%q}`, id), deployment)
	must(t, err)
}

func eventsOf(t *testing.T, s *Store, f adg.EventFilter) ([]adg.Event, int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	events, next, err := s.Events(ctx, f)
	must(t, err)
	return events, next
}

func wantFacts(t *testing.T, events []adg.Event, want ...string) {
	t.Helper()
	var got []string
	for _, e := range events {
		got = append(got, e.Fact.ID)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got the facts %v, want %v", got, want)
	}
}
