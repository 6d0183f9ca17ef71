package storetest

import (
	"time"

	"github.com/deployguardian/adg"
)

var leases = []scenario{
	{"the longest overdue deployments are taken first, no more than asked for", func(b *bench) {
		for i := range 4 {
			b.create(name("d", i))
			b.Advance(time.Second)
		}
		b.equal("the first two", ids(b.take("owner", 2)), []string{"d-00", "d-01"})
		b.equal("the others", ids(b.take("owner", 10)), []string{"d-02", "d-03"})
		b.equal("none", ids(b.take("owner", 0)), []string(nil))
	}},
	{"a leased deployment is taken by nobody until the lease expires", func(b *bench) {
		b.create("one")
		first := b.taken("a")
		b.wantTaken("b")
		b.Advance(ttl / 2)
		b.wantTaken("b")
		b.Advance(ttl)
		second := b.taken("b")
		if second.Lease.Fence <= first.Lease.Fence {
			b.Errorf("the fence went from %d to %d, it has to grow", first.Lease.Fence, second.Lease.Fence)
		}
	}},
	{"an owner that comes back under the same name waits for its old lease to expire", func(b *bench) {
		b.create("one")
		first := b.taken("a")
		b.wantTaken("a")
		b.Store = b.Reopen()
		b.wantTaken("a")
		b.Advance(ttl)
		if again := b.taken("a"); again.Lease.Fence <= first.Lease.Fence {
			b.Errorf("the fence went from %d to %d, it has to grow", first.Lease.Fence, again.Lease.Fence)
		}
		_, err := b.Store.Renew(b.ctx, first.Lease, ttl)
		b.is("renewing the lease of the life before", err, adg.ErrFenced)
	}},
	{"a lease says what was taken, by whom and until when", func(b *bench) {
		b.create("one")
		before := b.now()
		w := b.taken("a")
		l := w.Lease
		if w.Now.Before(before) || w.Now.After(b.now()) || l.Until.Sub(w.Now) != ttl {
			b.Errorf("it was taken at %s until %s", w.Now, l.Until)
		}
		if l.Deployment != "one" || l.Owner != "a" || l.Fence < 1 || l.Until.Before(before.Add(ttl)) || l.Until.After(b.now().Add(ttl)) {
			b.Errorf("got %+v", l)
		}
	}},
	{"a deployment is taken when it is due and not before", func(b *bench) {
		w := b.workOn("one")
		b.commit(&w, giveBack)
		b.wantTaken("a")
		b.Advance(15 * time.Second)
		b.wantTaken("a", "one")
	}},
	{"a deployment without a due time is due at once", func(b *bench) {
		w := b.workOn("one")
		b.commit(&w, giveBack, func(t *adg.Tick) { t.Decision.Next.Due = time.Time{} })
		b.wantTaken("a", "one")
	}},
	{"an ended deployment is never taken", func(b *bench) {
		w := b.workOn("one")
		b.must(b.Store.Ask(b.ctx, adg.Command{ID: "c1", Deployment: "one", Kind: adg.CommandHold}))
		b.commit(&w, enter(adg.RolledBack), giveBack)
		b.Advance(48 * time.Hour)
		b.wantTaken("a")
	}},
	{"a lease is renewed from now on", func(b *bench) {
		w := b.workOn("one")
		b.Advance(ttl / 2)
		renewed, err := b.Store.Renew(b.ctx, w.Lease, ttl)
		b.must(err)
		if renewed.Fence != w.Lease.Fence || !renewed.Until.After(w.Lease.Until) {
			b.Errorf("got %+v of %+v", renewed, w.Lease)
		}
		b.Advance(ttl * 3 / 4)
		b.wantTaken("b")
		w.Lease = renewed
		b.commit(&w)
	}},
	{"an expired lease cannot be renewed", func(b *bench) {
		w := b.workOn("one")
		b.Advance(ttl)
		_, err := b.Store.Renew(b.ctx, w.Lease, ttl)
		b.is("renewing", err, adg.ErrFenced)
	}},
	{"a lease that was given back is free at once and worth nothing", func(b *bench) {
		w := b.workOn("one")
		b.must(b.Store.GiveBack(b.ctx, w.Lease))
		_, err := b.Store.Renew(b.ctx, w.Lease, ttl)
		b.is("renewing", err, adg.ErrFenced)
		_, err = b.Store.Commit(b.ctx, b.tick(w))
		b.is("committing", err, adg.ErrFenced)
		b.wantTaken("b", "one")
	}},
	{"giving back what others have taken since disturbs nobody", func(b *bench) {
		w := b.workOn("one")
		b.Advance(ttl)
		mine := b.taken("b")
		b.must(b.Store.GiveBack(b.ctx, w.Lease))
		b.must(b.Store.GiveBack(b.ctx, adg.Lease{Deployment: "nobody", Owner: "x", Fence: 1}))
		b.wantTaken("c")
		b.commit(&mine)
	}},
	{"the lease of an expired owner ends nobody's but its own, also under the same name", func(b *bench) {
		old := b.workOn("one")
		b.Advance(ttl)
		young := b.taken("owner")
		b.must(b.Store.GiveBack(b.ctx, old.Lease))
		b.commit(&young)
		_, err := b.Store.Commit(b.ctx, b.tick(adg.Work{Lease: old.Lease, Deployment: young.Deployment}))
		b.is("committing with the old fence", err, adg.ErrFenced)
	}},
	{"a lease needs an owner and a time", func(b *bench) {
		_, err := b.Store.Take(b.ctx, "", ttl, 1)
		b.refused("no owner", err, adg.Invalid)
		_, err = b.Store.Take(b.ctx, "a", 0, 1)
		b.refused("no time", err, adg.Invalid)
	}},
	{"a command makes a deployment due, and is brought along, the oldest first", func(b *bench) {
		w := b.workOn("one")
		b.commit(&w, giveBack)
		for _, id := range []string{"c1", "c2"} {
			b.must(b.Store.Ask(b.ctx, adg.Command{ID: id, Deployment: "one", Kind: adg.CommandHold, Actor: "bob", Reason: "why", At: b.now()}))
		}
		for _, id := range []string{"c1", "c2"} {
			w = b.taken("a")
			if w.Command == nil || w.Command.ID != id || w.Command.Actor != "bob" || w.Command.Reason != "why" {
				b.Fatalf("brought along %+v, want %s", w.Command, id)
			}
			b.commit(&w, giveBack, func(t *adg.Tick) { t.Input.Command = &adg.Command{ID: id} })
		}
		b.wantTaken("a")
	}},
	{"a command that came during a tick is not forgotten when the tick is committed", func(b *bench) {
		w := b.workOn("one")
		b.must(b.Store.Ask(b.ctx, adg.Command{ID: "c1", Deployment: "one", Kind: adg.CommandHold}))
		b.commit(&w, giveBack)
		if w = b.taken("a"); w.Command == nil || w.Command.ID != "c1" {
			b.Errorf("brought along %+v", w.Command)
		}
	}},
	{"the same command twice is one, and an ended deployment takes none", func(b *bench) {
		w := b.workOn("one")
		c := adg.Command{ID: "c1", Deployment: "one", Kind: adg.CommandHold, Actor: "bob"}
		b.must(b.Store.Ask(b.ctx, c))
		c.Kind, c.Actor = adg.CommandPromote, "mallory"
		b.must(b.Store.Ask(b.ctx, c))
		b.commit(&w, giveBack)
		w = b.taken("a")
		if w.Command.Kind != adg.CommandHold || w.Command.Actor != "bob" {
			b.Errorf("the second changed the first: %+v", w.Command)
		}
		b.commit(&w, func(t *adg.Tick) { t.Input.Command = &adg.Command{ID: "c1"} })
		b.commit(&w, enter(adg.Cancelled), giveBack)
		b.must(b.Store.Ask(b.ctx, c))
		c.ID = "c2"
		b.refused("asking after the end", b.Store.Ask(b.ctx, c), adg.Conflict)
		c.ID = ""
		b.refused("asking without an id", b.Store.Ask(b.ctx, c), adg.Invalid)
	}},
	{"the newest other deployment of the service that has not ended is brought along", func(b *bench) {
		b.create("old")
		b.create("elsewhere", in("staging"))
		b.create("stranger", of("cart"))
		newer := func() string {
			b.Helper()
			found := ""
			for _, w := range b.take("a", 10) {
				if w.Deployment.ID == "old" {
					found = w.Newer
				}
				b.must(b.Store.GiveBack(b.ctx, w.Lease))
			}
			return found
		}
		b.equal("alone", newer(), "")
		b.create("new")
		b.create("newest")
		b.equal("two newer ones", newer(), "newest")
		b.end("newest")
		b.equal("the newest has ended", newer(), "new")
		b.end("new")
		b.equal("both have ended", newer(), "")
	}},
}
