package storetest

import (
	"time"

	"github.com/deployguardian/adg"
)

var outbox = []scenario{
	{"each fact goes to each notifier, in order, one at a time", func(b *bench) {
		w := b.workOn("one")
		b.commit(&w, tell("f1", "f2"), to("chat", "mail"))
		b.commit(&w, tell("f3"), to("chat"))
		b.equal("waiting", b.waiting("one"), 5)
		told := map[string][]string{}
		for range 3 {
			batch := b.undelivered(10)
			once := map[string]bool{}
			for _, d := range batch {
				if once[d.Notifier] {
					b.Errorf("two facts at a time for %s", d.Notifier)
				}
				once[d.Notifier] = true
				told[d.Notifier] = append(told[d.Notifier], d.Fact.ID)
				b.must(b.Store.Delivered(b.ctx, d))
			}
		}
		b.equal("told", told, map[string][]string{"chat": {"f1", "f2", "f3"}, "mail": {"f1", "f2"}})
		b.equal("waiting in the end", b.waiting("one"), 0)
		b.wantTold()
	}},
	{"a delivery carries the whole fact", func(b *bench) {
		w := b.workOn("one")
		f := adg.Fact{
			ID: "one/rolled_back/1", Deployment: "one", Kind: adg.FactRolledBack, At: b.now(), Service: service, Environment: environment, Release: "v2", LastGood: "v1",
			State: adg.RolledBack, Health: adg.Unhealthy, Text: "a <text> & more", Reasons: []string{"a", "b"}, Actor: "bob", Urgent: true,
		}
		b.commit(&w, to("chat"), func(t *adg.Tick) { t.Decision.Facts = []adg.Fact{f} })
		b.equal("delivery", b.undelivered(1), []adg.Delivery{{Fact: f, Notifier: "chat"}})
	}},
	{"the oldest facts are told first, no more than asked for", func(b *bench) {
		one, two, three := b.workOn("one"), b.workOn("two"), b.workOn("three")
		b.commit(&two, tell("f1"))
		b.commit(&three, tell("f2"))
		b.commit(&one, tell("f3"))
		b.wantToldUpTo(2, "f1", "f2")
		b.wantToldUpTo(2, "f3")
		b.wantToldUpTo(0)
	}},
	{"a claimed delivery is nobody else's until the claim ends, and then it is told again", func(b *bench) {
		w := b.workOn("one")
		b.commit(&w, tell("f1", "f2"))
		b.wantTold("f1")
		b.wantTold()
		b.Advance(ttl)
		again := b.undelivered(10)
		b.equal("after the claim", facts(again), []string{"f1"})
		b.must(b.Store.Delivered(b.ctx, again[0]))
		b.wantTold("f2")
	}},
	{"a postponed delivery keeps its place and counts its tries", func(b *bench) {
		w := b.workOn("one")
		b.commit(&w, tell("f1", "f2"))
		for try := range 3 {
			d := b.undelivered(10)
			b.equal("told", facts(d), []string{"f1"})
			b.equal("tries before", d[0].Tries, try)
			b.must(b.Store.Postpone(b.ctx, d[0], b.now().Add(time.Hour), "nobody is there"))
			b.wantTold()
			b.equal("waiting", b.waiting("one"), 2)
			b.Advance(time.Hour)
		}
		b.must(b.Store.Delivered(b.ctx, b.undelivered(10)[0]))
		d := b.undelivered(10)
		b.equal("told in the end", facts(d), []string{"f2"})
		b.equal("tries of the one behind", d[0].Tries, 0)
	}},
	{"one notifier that fails does not keep the others waiting", func(b *bench) {
		one, two := b.workOn("one"), b.workOn("two")
		b.commit(&one, tell("f1", "f2"), to("chat", "mail"))
		b.commit(&two, tell("f3"), to("chat"))
		for _, d := range b.undelivered(10) {
			if d.Notifier == "mail" {
				b.must(b.Store.Postpone(b.ctx, d, b.now().Add(time.Hour), "no"))
				continue
			}
			b.must(b.Store.Delivered(b.ctx, d))
		}
		d := b.undelivered(10)
		b.equal("told", facts(d), []string{"f2"})
		b.equal("to", d[0].Notifier, "chat")
	}},
	{"an abandoned delivery stays visible and lets the next one go", func(b *bench) {
		w := b.workOn("one")
		b.commit(&w, tell("f1", "f2"))
		d, begin := b.undelivered(10)[0], b.now()
		b.must(b.Store.Abandon(b.ctx, d, "it is refused for good"))
		b.equal("waiting", b.waiting("one"), 1)
		b.wantTold("f2")
		dead := b.dead(adg.DeadFilter{})
		if len(dead) != 1 || dead[0].Fact.ID != "f1" || dead[0].Notifier != "chat" || dead[0].Tries != 1 || dead[0].Why != "it is refused for good" || dead[0].At.Before(begin) {
			b.Errorf("given up: %+v", dead)
		}
		b.Advance(24 * time.Hour)
		b.wantTold("f2")
	}},
	{"a notifier may answer what is no text", func(b *bench) {
		w := b.workOn("one")
		b.commit(&w, tell("f1"))
		b.must(b.Store.Postpone(b.ctx, b.undelivered(1)[0], b.now(), "it says \xff\x00"))
		b.must(b.Store.Abandon(b.ctx, b.undelivered(1)[0], "it says a\xc3\x00b"))
		if dead := b.dead(adg.DeadFilter{}); len(dead) != 1 || dead[0].Why != "it says a\ufffd\ufffdb" || dead[0].Tries != 2 {
			b.Errorf("given up: %+v", dead)
		}
	}},
	{"the dead are listed oldest first, filtered, in pages", func(b *bench) {
		one, two := b.workOn("one"), b.workOn("two")
		b.commit(&one, tell("f1", "f2", "f3"), to("chat", "mail"))
		b.commit(&two, tell("f4"))
		for range 3 {
			for _, d := range b.undelivered(10) {
				b.must(b.Store.Abandon(b.ctx, d, "no"))
			}
		}
		var paged []string
		for f := (adg.DeadFilter{Limit: 2}); ; {
			page := b.dead(f)
			if len(page) == 0 {
				break
			}
			for _, d := range page {
				paged = append(paged, d.Notifier+" "+d.Fact.ID)
				f.After = d.Cursor
			}
		}
		all := b.dead(adg.DeadFilter{})
		b.equal("in pages", len(paged), 7)
		for i, d := range all {
			b.equal("in pages", paged[i], d.Notifier+" "+d.Fact.ID)
		}
		b.equal("of a notifier", given(b.dead(adg.DeadFilter{Notifier: "mail"})), []string{"f1", "f2", "f3"})
		b.equal("of a fact", given(b.dead(adg.DeadFilter{Fact: "f2"})), []string{"f2", "f2"})
		b.equal("of both", given(b.dead(adg.DeadFilter{Fact: "f2", Notifier: "chat"})), []string{"f2"})
		b.equal("of nobody", given(b.dead(adg.DeadFilter{Notifier: "nobody"})), []string(nil))
	}},
	{"a dead delivery that is tried again stands at the end of its queue, and has no tries behind it", func(b *bench) {
		w := b.workOn("one")
		b.commit(&w, tell("f1", "f2", "f3"))
		b.must(b.Store.Postpone(b.ctx, b.undelivered(10)[0], b.now(), "not now"))
		b.must(b.Store.Abandon(b.ctx, b.undelivered(10)[0], "no"))
		dead := b.dead(adg.DeadFilter{})[0].Delivery
		b.equal("tries", dead.Tries, 2)
		b.must(b.Store.Retry(b.ctx, dead))
		b.equal("given up", given(b.dead(adg.DeadFilter{})), []string(nil))
		b.equal("waiting", b.waiting("one"), 3)
		for _, want := range []string{"f2", "f3", "f1"} {
			d := b.undelivered(10)
			b.equal("told", facts(d), []string{want})
			b.equal("tries", d[0].Tries, 0)
			b.must(b.Store.Delivered(b.ctx, d[0]))
		}
		b.wantTold()
	}},
	{"a dead delivery with nothing before it is due at once when it is tried again", func(b *bench) {
		w := b.workOn("one")
		b.commit(&w, tell("f1"))
		b.must(b.Store.Abandon(b.ctx, b.undelivered(1)[0], "no"))
		b.must(b.Store.Retry(b.ctx, b.dead(adg.DeadFilter{})[0].Delivery))
		b.wantTold("f1")
	}},
	{"only what was given up is tried again, and only as it was looked at", func(b *bench) {
		w := b.workOn("one")
		b.commit(&w, tell("f1"))
		d := b.undelivered(1)[0]
		b.refused("what waits", b.Store.Retry(b.ctx, d), adg.NotFound)
		b.must(b.Store.Abandon(b.ctx, d, "no"))
		b.refused("what had another try since", b.Store.Retry(b.ctx, d), adg.Conflict)
		d.Tries = 1
		b.refused("to another notifier", b.Store.Retry(b.ctx, adg.Delivery{Fact: d.Fact, Notifier: "mail", Tries: 1}), adg.NotFound)
		b.must(b.Store.Retry(b.ctx, d))
		b.refused("twice", b.Store.Retry(b.ctx, d), adg.NotFound)
	}},
	{"what does not wait is not found", func(b *bench) {
		w := b.workOn("one")
		b.commit(&w, tell("f1", "f2"))
		d := b.undelivered(10)[0]
		b.must(b.Store.Delivered(b.ctx, d))
		b.refused("delivered twice", b.Store.Delivered(b.ctx, d), adg.NotFound)
		b.refused("postponed after it was delivered", b.Store.Postpone(b.ctx, d, b.now(), ""), adg.NotFound)
		b.refused("given up after it was delivered", b.Store.Abandon(b.ctx, d, ""), adg.NotFound)
		d.Fact.ID = "nothing"
		b.refused("never told", b.Store.Delivered(b.ctx, d), adg.NotFound)
		b.equal("waiting", b.waiting("one"), 1)
	}},
	{"a fact that is decided again is not told again", func(b *bench) {
		w := b.workOn("one")
		b.commit(&w, tell("f1"))
		b.commit(&w, tell("f1", "f2"))
		b.must(b.Store.Delivered(b.ctx, b.undelivered(10)[0]))
		b.commit(&w, tell("f1"))
		b.wantTold("f2")
		b.equal("waiting", b.waiting("one"), 1)
		b.equal("facts on record", len(b.everything("one")["facts"].([]adg.Fact)), 2)
	}},
	{"without notifiers a fact is on record and nobody is told", func(b *bench) {
		w := b.workOn("one")
		b.commit(&w, tell("f1"), to())
		b.equal("waiting", b.waiting("one"), 0)
		b.equal("facts on record", len(b.everything("one")["facts"].([]adg.Fact)), 1)
		b.wantTold()
	}},
	{"what was not delivered is told after closing and opening again", func(b *bench) {
		w := b.workOn("one")
		b.commit(&w, tell("f1", "f2", "f3"))
		b.must(b.Store.Delivered(b.ctx, b.undelivered(10)[0]))
		b.wantTold("f2")
		b.Store = b.Reopen()
		b.Advance(ttl)
		b.wantTold("f2")
	}},
	{"a claim needs a time", func(b *bench) {
		_, err := b.Store.Undelivered(b.ctx, "teller", 0, 1)
		b.refused("no time", err, adg.Invalid)
	}},
}

// Private

func (b *bench) undelivered(limit int) []adg.Delivery {
	b.Helper()
	all, err := b.Store.Undelivered(b.ctx, "teller", ttl, limit)
	b.must(err)
	return all
}

func (b *bench) wantTold(want ...string) {
	b.Helper()
	b.wantToldUpTo(100, want...)
}

func (b *bench) wantToldUpTo(limit int, want ...string) {
	b.Helper()
	b.equal("told", facts(b.undelivered(limit)), want)
}

func (b *bench) waiting(id string) int {
	b.Helper()
	n, err := b.Store.Waiting(b.ctx, id)
	b.must(err)
	return n
}

func (b *bench) dead(f adg.DeadFilter) []adg.DeadDelivery {
	b.Helper()
	all, err := b.Store.Dead(b.ctx, f)
	b.must(err)
	return all
}

func given(all []adg.DeadDelivery) []string {
	var ids []string
	for _, d := range all {
		ids = append(ids, d.Fact.ID)
	}
	return ids
}

func facts(all []adg.Delivery) []string {
	var ids []string
	for _, d := range all {
		ids = append(ids, d.Fact.ID)
	}
	return ids
}
