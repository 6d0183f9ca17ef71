package storetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/deployguardian/adg"
)

var concurrency = []scenario{
	{"owners that take at the same time never share a deployment, and miss none", func(b *bench) {
		const n = 40
		for i := range n {
			b.create(name("d", i), of(name("s", i)))
		}
		var mu sync.Mutex
		takers := map[string][]string{}
		b.together(8, func(i int, store adg.Store) error {
			for {
				owner := name("owner", i)
				work, err := store.Take(b.ctx, owner, ttl, 3)
				if err != nil || len(work) == 0 {
					return err
				}
				mu.Lock()
				for _, w := range work {
					takers[w.Deployment.ID] = append(takers[w.Deployment.ID], owner)
				}
				mu.Unlock()
			}
		})
		b.equal("deployments that were taken", len(takers), n)
		for id, owners := range takers {
			if len(owners) != 1 {
				b.Errorf("%s was taken by %v", id, owners)
			}
		}
	}},
	{"of commits of the same version one succeeds", func(b *bench) {
		w := b.workOn("one")
		tick := b.tick(w, enter(adg.Rolling), apply("one/1"))
		var won, lost atomic.Int64
		b.together(16, func(_ int, store adg.Store) error {
			_, err := store.Commit(b.ctx, tick)
			return count(err, &won, &lost)
		})
		b.equal("won and lost", []int64{won.Load(), lost.Load()}, []int64{1, 15})
		b.equal("version", b.deployment("one").Version, int64(2))
	}},
	{"of starts with the same key one succeeds, however different they are", func(b *bench) {
		var won, lost atomic.Int64
		b.together(16, func(i int, store adg.Store) error {
			return count(store.CreateDeployment(b.ctx, with(name("d", i), keyed("k"), of(name("s", i)))), &won, &lost)
		})
		b.equal("won and lost", []int64{won.Load(), lost.Load()}, []int64{1, 15})
		b.equal("stored", len(b.list(adg.DeploymentFilter{})), 1)
	}},
	{"no more rollbacks than slots, however many want one at the same time", func(b *bench) {
		var ticks []adg.Tick
		for _, w := range b.many(12) {
			ticks = append(ticks, b.tick(w, enter(adg.RollingBack), func(t *adg.Tick) { t.Decision.Slot = 5 }))
		}
		var won, lost atomic.Int64
		b.together(len(ticks), func(i int, store adg.Store) error {
			_, err := store.Commit(b.ctx, ticks[i])
			switch {
			case err == nil:
				won.Add(1)
			case errors.Is(err, adg.ErrNoSlot):
				lost.Add(1)
			default:
				return err
			}
			return nil
		})
		b.equal("won and lost", []int64{won.Load(), lost.Load()}, []int64{5, 7})
		b.equal("slots", b.fleet("").Rollbacks, 5)
	}},
	{"ticks that fail spoil none of those that are committed at the same time", func(b *bench) {
		work := b.many(32)
		var ticks []adg.Tick
		for _, w := range work {
			ticks = append(ticks, b.tick(w, enter(adg.Rolling), tell("f-"+w.Deployment.ID)))
		}
		b.together(len(work), func(i int, store adg.Store) error {
			tick := ticks[i]
			bad := i%4 != 0
			switch i % 4 {
			case 1:
				tick.Lease.Fence++
			case 2:
				tick.Version++
			case 3:
				tick.Input.Command = &adg.Command{ID: "nobody asked"}
			}
			if _, err := store.Commit(b.ctx, tick); (err != nil) != bad {
				return fmt.Errorf("tick %d: %w", i, err)
			}
			return nil
		})
		for i, w := range work {
			want := adg.Pending
			if i%4 == 0 {
				want = adg.Rolling
			}
			b.equal(w.Deployment.ID, b.deployment(w.Deployment.ID).Status.State, want)
			b.equal("facts of "+w.Deployment.ID, b.waiting(w.Deployment.ID), map[adg.State]int{adg.Rolling: 1}[want])
		}
	}},
	{"tellers that ask at the same time never get the same delivery", func(b *bench) {
		for _, w := range b.many(20) {
			b.commit(&w, tell("f-"+w.Deployment.ID, "g-"+w.Deployment.ID))
		}
		var mu sync.Mutex
		told := map[string]int{}
		b.together(6, func(i int, store adg.Store) error {
			for {
				batch, err := store.Undelivered(b.ctx, name("teller", i), time.Hour, 3)
				if err != nil || len(batch) == 0 {
					return err
				}
				for _, d := range batch {
					mu.Lock()
					told[d.Fact.ID]++
					mu.Unlock()
					if err := store.Delivered(b.ctx, d); err != nil {
						return err
					}
				}
			}
		})
		for fact, times := range told {
			if times != 1 {
				b.Errorf("%s was told %d times", fact, times)
			}
		}
		b.wantEmptied(told)
	}},
	{"the clock never goes back", func(b *bench) {
		b.together(8, func(int, adg.Store) error {
			last := time.Time{}
			for range 200 {
				now, err := b.Store.Now(b.ctx)
				if err != nil {
					return err
				}
				if now.Before(last) {
					return fmt.Errorf("%s came after %s", now, last)
				}
				last = now
			}
			return nil
		})
		before := b.now()
		b.Advance(time.Hour)
		if passed := b.now().Sub(before); passed < time.Hour {
			b.Errorf("only %s have passed", passed)
		}
	}},
}

// Private

// together runs do n times at once, the odd ones on the other handle.
func (b *bench) together(n int, do func(i int, store adg.Store) error) {
	b.Helper()
	var all sync.WaitGroup
	failed := make([]error, n)
	for i := range n {
		store := b.Store
		if i%2 == 1 {
			store = b.other
		}
		all.Go(func() { failed[i] = do(i, store) })
	}
	all.Wait()
	b.must(errors.Join(failed...))
}

// many are n leased deployments, each of a service of its own.
func (b *bench) many(n int) []adg.Work {
	b.Helper()
	for i := range n {
		b.create(name("d", i), of(name("s", i)))
	}
	work := b.take("owner", n)
	if len(work) != n {
		b.Fatalf("took %d of %d", len(work), n)
	}
	return work
}

// wantEmptied wants the outbox to be empty, what the tellers left in their last round included.
func (b *bench) wantEmptied(told map[string]int) {
	b.Helper()
	for _, d := range b.undelivered(100) {
		told[d.Fact.ID]++
		b.must(b.Store.Delivered(b.ctx, d))
	}
	b.equal("facts that were told", len(told), 40)
}
