package storetest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/deployguardian/adg"
)

var events = []scenario{
	{"before anything was told there is nothing to follow", func(b *bench) {
		all, next, err := b.Store.Events(b.ctx, adg.EventFilter{})
		b.must(err)
		last, err := b.Store.LastEvent(b.ctx)
		b.must(err)
		b.equal("events", all, []adg.Event{})
		b.equal("cursors", []int64{next, last}, []int64{0, 0})
	}},
	{"an event carries the whole fact", func(b *bench) {
		w := b.workOn("one")
		f := adg.Fact{
			ID: "one/rolled_back/1", Deployment: "one", Kind: adg.FactRolledBack, At: b.now(), Service: service, Environment: environment, Release: "v2", LastGood: "v1",
			State: adg.RolledBack, Health: adg.Unhealthy, Text: "a <text> & more", Reasons: []string{"a", "b"}, Actor: "bob", Urgent: true,
		}
		b.commit(&w, func(t *adg.Tick) { t.Decision.Facts = []adg.Fact{f} })
		all, _ := b.follow(adg.EventFilter{}, 1)
		b.equal("event", all[0].Fact, f)
		if all[0].Cursor < 1 {
			b.Errorf("its cursor is %d", all[0].Cursor)
		}
	}},
	{"whoever goes on from page to page sees each fact once, always in the same order", func(b *bench) {
		one, two := b.workOn("one"), b.workOn("two", of("cart"))
		b.commit(&one, tell("f1", "f2"))
		b.commit(&two, tell("f3"))
		b.commit(&one, tell("f1", "f4", "f5")) // f1 was told already
		b.commit(&two, tell("f6", "f7"))
		all, _ := b.follow(adg.EventFilter{}, 7)
		b.equal("all at once", told(all), []string{"f1", "f2", "f3", "f4", "f5", "f6", "f7"})
		for limit := 1; limit <= 8; limit++ {
			paged, next := b.follow(adg.EventFilter{Limit: limit}, 7)
			b.equal(fmt.Sprintf("in pages of %d", limit), paged, all)
			b.wantNothingAfter(next)
		}
		b.Store = b.Reopen()
		again, next := b.follow(adg.EventFilter{}, 7)
		b.equal("after opening again", again, all)
		b.commit(&one, tell("f8"))
		later, _ := b.follow(adg.EventFilter{After: next}, 1)
		b.equal("what was told after that", told(later), []string{"f8"})
	}},
	{"cursors rise, and reading after one gives what follows it", func(b *bench) {
		w := b.workOn("one")
		b.commit(&w, tell("f1", "f2", "f3", "f4"))
		all, _ := b.follow(adg.EventFilter{}, 4)
		for i, e := range all {
			if i > 0 && e.Cursor <= all[i-1].Cursor {
				b.Errorf("%d comes after %d", e.Cursor, all[i-1].Cursor)
			}
			rest, _ := b.follow(adg.EventFilter{After: e.Cursor}, 3-i)
			b.equal("after "+e.Fact.ID, rest, all[i+1:])
		}
	}},
	{"what does not match the filter is passed over", func(b *bench) {
		one, two, three := b.workOn("one"), b.workOn("two", of("cart")), b.workOn("three", in("staging"))
		b.commit(&one, speak(adg.FactStarted, "f1"))
		b.commit(&two, speak(adg.FactStarted, "f2"))
		b.commit(&three, speak(adg.FactHeld, "f3"))
		b.commit(&one, speak(adg.FactHeld, "f4"))
		b.commit(&three, speak(adg.FactPage, "f5"))
		b.commit(&two, speak(adg.FactPage, "f6"))
		b.follow(adg.EventFilter{}, 6)
		for what, c := range map[string]struct {
			f    adg.EventFilter
			want []string
		}{
			"a deployment":                 {adg.EventFilter{Deployment: "three"}, []string{"f3", "f5"}},
			"a service":                    {adg.EventFilter{Service: service}, []string{"f1", "f3", "f4", "f5"}},
			"an environment":               {adg.EventFilter{Environment: environment}, []string{"f1", "f2", "f4", "f6"}},
			"a service in an environment":  {adg.EventFilter{Service: service, Environment: environment}, []string{"f1", "f4"}},
			"a kind":                       {adg.EventFilter{Kinds: []adg.FactKind{adg.FactHeld}}, []string{"f3", "f4"}},
			"kinds":                        {adg.EventFilter{Kinds: []adg.FactKind{adg.FactPage, adg.FactStarted}}, []string{"f1", "f2", "f5", "f6"}},
			"a kind of a service":          {adg.EventFilter{Service: "cart", Kinds: []adg.FactKind{adg.FactPage}}, []string{"f6"}},
			"a kind that nobody was told":  {adg.EventFilter{Kinds: []adg.FactKind{adg.FactRolledBack}}, nil},
			"a service that nobody knows":  {adg.EventFilter{Service: "search"}, nil},
			"a service with other letters": {adg.EventFilter{Service: "Shop"}, nil},
			"a service with a wildcard":    {adg.EventFilter{Service: "%"}, nil},
		} {
			for _, limit := range []int{0, 1} {
				c.f.Limit = limit
				got, next := b.follow(c.f, len(c.want))
				b.equal(what, told(got), c.want)
				c.f.After = next
				rest, next, err := b.Store.Events(b.ctx, c.f)
				b.must(err)
				b.equal(what+", after the last", told(rest), []string{})
				c.f.After = 0
				b.wantNothingAfter(next)
			}
		}
		_, _, err := b.Store.Events(b.ctx, adg.EventFilter{Deployment: "nobody's"})
		b.refused("a deployment that does not exist", err, adg.NotFound)
	}},
	{"the newest come first where that is asked for, page after page", func(b *bench) {
		one, two := b.workOn("one"), b.workOn("two", of("cart"))
		b.commit(&one, speak(adg.FactStarted, "f1"))
		b.commit(&two, speak(adg.FactHeld, "f2"))
		b.commit(&one, speak(adg.FactHeld, "f3"))
		b.commit(&two, speak(adg.FactPage, "f4"))
		b.follow(adg.EventFilter{}, 4)
		for what, c := range map[string]struct {
			f    adg.EventFilter
			want []string
		}{
			"all":         {adg.EventFilter{}, []string{"f4", "f3", "f2", "f1"}},
			"a service":   {adg.EventFilter{Service: "cart"}, []string{"f4", "f2"}},
			"a kind":      {adg.EventFilter{Kinds: []adg.FactKind{adg.FactHeld}}, []string{"f3", "f2"}},
			"of a nobody": {adg.EventFilter{Service: "nobody"}, nil},
		} {
			for _, limit := range []int{0, 1, 3} {
				c.f.Newest, c.f.Limit = true, limit
				b.equal(fmt.Sprintf("%s, %d at once", what, limit), b.paged(c.f), c.want)
			}
		}
	}},
	{"after the last event only what is told from now on comes", func(b *bench) {
		w := b.workOn("one")
		b.commit(&w, tell("f1", "f2"))
		last, err := b.Store.LastEvent(b.ctx)
		b.must(err)
		b.commit(&w, tell("f3"))
		got, _ := b.follow(adg.EventFilter{After: last}, 1)
		b.equal("from then on", told(got), []string{"f3"})
	}},
	{"a page without a limit has a hundred events, and never more than a thousand", func(b *bench) {
		w := b.workOn("one")
		var ids []string
		for i := range 1001 {
			ids = append(ids, fmt.Sprintf("f%04d", i))
		}
		b.commit(&w, tell(ids...), to())
		all, _ := b.follow(adg.EventFilter{Limit: 1000}, 1001)
		b.equal("page after page", told(all), ids)
		page, _, err := b.Store.Events(b.ctx, adg.EventFilter{})
		b.must(err)
		b.equal("no limit", len(page), 100)
		page, _, err = b.Store.Events(b.ctx, adg.EventFilter{Limit: 5000})
		b.must(err)
		b.equal("a large one", len(page), 1000)
	}},
	{"those who follow while others write miss nothing, and see nothing twice", func(b *bench) {
		const writers, ticks = 8, 8
		work := b.many(writers)
		total := writers * ticks * 2
		var readers sync.WaitGroup
		seen, failed := make([][]adg.Event, 4), make([]error, 4)
		for i := range seen {
			store := []adg.Store{b.Store, b.other}[i%2]
			readers.Go(func() { seen[i], _, failed[i] = follow(b.ctx, store, adg.EventFilter{Limit: 3 + 40*(i/2)}, total) })
		}
		b.together(writers, func(i int, store adg.Store) error { return chatter(b.ctx, store, work[i], ticks) })
		readers.Wait()
		for i, all := range seen {
			b.must(failed[i])
			b.equal("what one sees and another", all, seen[0])
			next := map[string]int{}
			for _, e := range all {
				d := e.Fact.Deployment
				if want := fmt.Sprintf("%s/%d", d, next[d]); e.Fact.ID != want {
					b.Errorf("reader %d saw %s, where %s comes next", i, e.Fact.ID, want)
				}
				next[d]++
			}
		}
		last := seen[0][total-1].Cursor
		b.wantNothingAfter(last)
	}},
}

// Private

// patience is how long an event may take to come to those who follow.
const patience = 2 * time.Minute

// follow reads page after page until so many events have come.
func follow(ctx context.Context, store adg.Store, f adg.EventFilter, n int) (all []adg.Event, next int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for next = f.After; len(all) < n; f.After = next {
		var page []adg.Event
		if page, next, err = store.Events(ctx, f); err != nil {
			return all, next, fmt.Errorf("after %d of %d events: %w", len(all), n, err)
		}
		if next < f.After || len(page) > 0 && next < page[len(page)-1].Cursor {
			return all, next, fmt.Errorf("the cursor went from %d back to %d", f.After, next)
		}
		all = append(all, page...)
	}
	return all, next, nil
}

func (b *bench) follow(f adg.EventFilter, n int) ([]adg.Event, int64) {
	b.Helper()
	all, next, err := follow(b.ctx, b.Store, f, n)
	b.must(err)
	return all, next
}

// paged reads page after page until the log is at its end, or at its beginning where the newest come first.
func (b *bench) paged(f adg.EventFilter) (ids []string) {
	b.Helper()
	last, err := b.Store.LastEvent(b.ctx)
	b.must(err)
	for {
		page, next, err := b.Store.Events(b.ctx, f)
		b.must(err)
		ids = append(ids, told(page)...)
		if f.Newest && next == 0 || !f.Newest && next >= last {
			return ids
		}
		f.After = next
	}
}

func (b *bench) wantNothingAfter(cursor int64) {
	b.Helper()
	all, next, err := b.Store.Events(b.ctx, adg.EventFilter{After: cursor})
	b.must(err)
	b.equal("after the last", told(all), []string{})
	if next < cursor {
		b.Errorf("the cursor went from %d back to %d", cursor, next)
	}
}

// chatter commits ticks with two facts each, of which the numbers rise.
func chatter(ctx context.Context, store adg.Store, w adg.Work, ticks int) (err error) {
	id := w.Deployment.ID
	for i := range ticks {
		t := adg.Tick{Lease: w.Lease, Version: w.Deployment.Version, Decision: adg.Decision{Kind: adg.Hold, Next: w.Deployment.Status}}
		for j := range 2 {
			t.Decision.Facts = append(t.Decision.Facts, adg.Fact{ID: fmt.Sprintf("%s/%d", id, 2*i+j), Deployment: id, Kind: adg.FactHeld})
		}
		if w.Deployment, err = store.Commit(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

// speak tells a fact that says where it comes from.
func speak(kind adg.FactKind, id string) func(*adg.Tick) {
	return func(t *adg.Tick) {
		t.Decision.Facts = []adg.Fact{{ID: id, Deployment: t.Lease.Deployment, Kind: kind, At: t.Decision.At, Service: service, Environment: environment}}
		switch t.Lease.Deployment {
		case "two":
			t.Decision.Facts[0].Service = "cart"
		case "three":
			t.Decision.Facts[0].Environment = "staging"
		}
	}
}

func told(all []adg.Event) []string {
	var ids []string
	for _, e := range all {
		ids = append(ids, e.Fact.ID)
	}
	return ids
}
