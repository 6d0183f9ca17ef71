package storetest

import (
	"fmt"
	"time"

	"github.com/deployguardian/adg"
)

var upkeep = []scenario{
	{"the backlog of an empty store is empty", func(b *bench) {
		b.equal("backlog", b.backlog(), adg.Backlog{})
	}},
	{"what is due is late from then on until somebody takes it, and again when his lease has run out", func(b *bench) {
		b.create("one")
		b.create("two", of("cart"))
		b.Advance(30 * time.Second)
		b.late("nobody came", 30*time.Second, adg.Backlog{Due: 2})
		one := b.take("owner", 1)[0]
		b.late("one was taken", 30*time.Second, adg.Backlog{Due: 1, Held: 1})
		b.take("owner", 1)
		b.late("both were taken", 0, adg.Backlog{Held: 2})
		b.commit(&one, giveBack)
		b.late("one was worked on, and is due later", 0, adg.Backlog{Held: 1})
		b.Advance(20 * time.Second)
		b.late("it is due again", 5*time.Second, adg.Backlog{Due: 1, Held: 1})
		b.Advance(ttl)
		got := b.backlog()
		if got.Expired != 1 || got.Due != 2 || got.Late < time.Minute {
			b.Errorf("the owner of the other is gone: %+v", got)
		}
	}},
	{"what was not delivered has an age, and what was given up is counted", func(b *bench) {
		w := b.workOn("one")
		b.commit(&w, tell("f1", "f2"), to("chat", "mail"))
		b.Advance(time.Minute)
		got := b.backlog()
		if got.Undelivered != 4 || got.Oldest < time.Minute || got.Oldest > 2*time.Minute || got.Dead != 0 {
			b.Errorf("nothing was delivered: %+v", got)
		}
		for range 2 {
			for _, d := range b.undelivered(100) {
				if d.Notifier == "mail" {
					b.must(b.Store.Abandon(b.ctx, d, "no"))
				} else {
					b.must(b.Store.Delivered(b.ctx, d))
				}
			}
		}
		got = b.backlog()
		b.equal("in the end", []int{got.Undelivered, int(got.Oldest), got.Dead}, []int{0, 0, 2})
	}},
	{"an ended deployment that is old enough is forgotten with everything of it, and no other is", func(b *bench) {
		b.finished("old", "f-old", keyed("old"))
		running := b.workOn("running", of("mail"))
		b.commit(&running, witnessed, apply("running/1"))
		waiting := b.workOn("waiting", of("search"))
		b.commit(&waiting, witnessed, tell("f-waiting"), enter(adg.Succeeded), giveBack)
		b.Advance(time.Hour)
		b.finished("young", "f-young", of("cart"))
		limit := b.now().Add(-30 * time.Minute)
		for _, id := range []string{"running", "waiting", "young"} {
			b.unchanged(id, func() {
				_, err := b.other.Forget(b.ctx, adg.Retention{Decisions: limit})
				b.must(err)
			})
		}
		_, err := b.Store.Deployment(b.ctx, "old")
		b.refused("the old one", err, adg.NotFound)
		_, err = b.Store.Entries(b.ctx, "old", 0, 10)
		b.refused("its decisions", err, adg.NotFound)
		b.create("old", keyed("old")) // nothing of it is in the way
		gone, err := b.Store.Forget(b.ctx, adg.Retention{Decisions: limit})
		b.must(err)
		b.equal("rows that went the second time", gone, int64(0))
	}},
	{"more than one transaction's worth of evidence is forgotten", func(b *bench) {
		w := b.workOn("one")
		for range 5 {
			b.commit(&w, func(t *adg.Tick) {
				for i := range 500 {
					t.Measurements = append(t.Measurements, adg.Measurement{Check: fmt.Sprint("check-", i), At: t.Decision.At})
				}
			})
		}
		b.commit(&w, enter(adg.Succeeded), giveBack)
		b.Advance(time.Hour)
		gone, err := b.Store.Forget(b.ctx, adg.Retention{Decisions: b.now().Add(-time.Minute)})
		b.must(err)
		if gone < 2500 {
			b.Errorf("%d rows went", gone)
		}
		_, err = b.Store.Deployment(b.ctx, "one")
		b.refused("it", err, adg.NotFound)
	}},
	{"delivered events of ended deployments are forgotten, and those who follow the log miss nothing", func(b *bench) {
		b.finished("old", "f1")
		running := b.workOn("running", of("mail"))
		b.commit(&running, tell("f2"), to())
		waiting := b.workOn("waiting", of("search"))
		b.commit(&waiting, tell("f3"), enter(adg.Succeeded), giveBack)
		b.finished("newest", "f4", of("cart"))
		last, err := b.Store.LastEvent(b.ctx)
		b.must(err)
		b.Advance(time.Hour)
		gone, err := b.Store.Forget(b.ctx, adg.Retention{Events: b.now().Add(-time.Minute)})
		b.must(err)
		b.equal("rows that went", gone, int64(1))
		b.equal("left", b.told(0), []string{"f2", "f3", "f4"})
		running = b.taken("another")
		b.commit(&running, tell("f5"), to())
		b.equal("after the last that was read", b.told(last), []string{"f5"})
		b.deployment("old")
	}},
	{"the last event of all is not forgotten, so that cursors go on rising", func(b *bench) {
		b.finished("one", "f1")
		last, err := b.Store.LastEvent(b.ctx)
		b.must(err)
		b.Advance(time.Hour)
		long := b.now().Add(-time.Minute)
		_, err = b.Store.Forget(b.ctx, adg.Retention{Decisions: long, Events: long, Dead: long})
		b.must(err)
		b.Store = b.Reopen()
		b.finished("two", "f2")
		b.equal("after the last that was read", b.told(last), []string{"f2"})
	}},
	{"deliveries that were given up are forgotten when they are old, and their facts are not", func(b *bench) {
		w := b.workOn("one")
		b.commit(&w, tell("f1"))
		b.must(b.Store.Abandon(b.ctx, b.undelivered(100)[0], "no"))
		b.Advance(time.Hour)
		w = b.taken("another")
		b.commit(&w, tell("f2"))
		b.must(b.Store.Abandon(b.ctx, b.undelivered(100)[0], "no"))
		gone, err := b.Store.Forget(b.ctx, adg.Retention{Dead: b.now().Add(-time.Minute)})
		b.must(err)
		dead, err := b.Store.Dead(b.ctx, adg.DeadFilter{Limit: 10})
		b.must(err)
		if gone != 1 || len(dead) != 1 || dead[0].Fact.ID != "f2" {
			b.Errorf("%d rows went, %+v are left", gone, dead)
		}
		b.equal("facts", b.told(0), []string{"f1", "f2"})
	}},
	{"without a time nothing is forgotten", func(b *bench) {
		b.finished("one", "f1")
		b.finished("two", "f2", of("cart"))
		b.Advance(1000 * time.Hour)
		b.unchanged("one", func() {
			gone, err := b.Store.Forget(b.ctx, adg.Retention{})
			b.must(err)
			b.equal("rows that went", gone, int64(0))
		})
	}},
}

// Private

func (b *bench) backlog() adg.Backlog {
	b.Helper()
	got, err := b.Store.Backlog(b.ctx)
	b.must(err)
	return got
}

// late wants a backlog with that lateness, to a second and what the scenario has taken.
func (b *bench) late(what string, late time.Duration, want adg.Backlog) {
	b.Helper()
	got := b.backlog()
	if got.Late < late || got.Late > late+time.Second+time.Since(b.begun) {
		b.Errorf("%s: %s late, want %s", what, got.Late, late)
	}
	got.Late = 0
	b.equal(what, got, want)
}

// finished is a deployment that has ended, and whose one fact was delivered.
func (b *bench) finished(id, fact string, change ...func(*adg.Deployment)) {
	b.Helper()
	w := b.workOn(id, change...)
	b.commit(&w, witnessed, apply(id+"/1"))
	b.commit(&w, concluded(id+"/1"), tell(fact), enter(adg.Succeeded), giveBack)
	for _, d := range b.undelivered(100) {
		if d.Fact.ID == fact {
			b.must(b.Store.Delivered(b.ctx, d))
		} else {
			b.must(b.Store.Postpone(b.ctx, d, b.now(), "not now"))
		}
	}
}

// told are the ids of the events after a cursor.
func (b *bench) told(after int64) (all []string) {
	b.Helper()
	events, _, err := b.Store.Events(b.ctx, adg.EventFilter{After: after, Limit: 100})
	b.must(err)
	for _, e := range events {
		all = append(all, e.Fact.ID)
	}
	return all
}
