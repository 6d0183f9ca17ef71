package storetest

import (
	"time"

	"github.com/deployguardian/adg"
)

var line = []scenario{
	{"services that turned bad are counted for five minutes, each once", func(b *bench) {
		shop, again := b.workOn("shop-1"), b.workOn("shop-2")
		cart, elsewhere := b.workOn("cart-1", of("cart")), b.workOn("elsewhere", of("mail"), in("staging"))
		fine := b.workOn("fine", of("search"))
		for _, w := range []*adg.Work{&shop, &again, &elsewhere} {
			b.commit(w, feel(adg.Unhealthy), giveBack)
		}
		b.commit(&fine, feel(adg.Degraded))
		b.equal("one service", b.fleet("cart-1").TurnedBad, 1)
		b.Advance(30 * time.Second)
		b.commit(&cart, feel(adg.Unhealthy), giveBack)
		b.equal("two services", b.fleet("cart-1").TurnedBad, 2)
		b.Advance(4*time.Minute + 45*time.Second)
		b.equal("one of them more than five minutes ago", b.fleet("cart-1").TurnedBad, 1)
		b.Advance(time.Minute)
		b.equal("both more than five minutes ago", b.fleet("cart-1").TurnedBad, 0)
	}},
	{"a service that stays bad has turned bad once, silence changes nothing, and getting well counts", func(b *bench) {
		b.create("one")
		tick := func(h adg.Health) int {
			b.Helper()
			b.Advance(2 * time.Minute)
			w := b.taken("owner")
			b.commit(&w, feel(h), giveBack, func(t *adg.Tick) { t.Decision.Next.Due = time.Time{} })
			return b.fleet("one").TurnedBad
		}
		b.equal("turned bad", tick(adg.Unhealthy), 1)
		b.equal("unknown", tick(adg.HealthUnknown), 1)
		b.equal("bad again", tick(adg.Unhealthy), 1)
		b.equal("still bad", tick(adg.Unhealthy), 0)
		b.equal("well", tick(adg.Healthy), 0)
		b.equal("bad once more", tick(adg.Unhealthy), 1)
	}},
	{"a service counts as turned bad also after its deployment has ended", func(b *bench) {
		w := b.workOn("one")
		b.commit(&w, feel(adg.Unhealthy))
		b.commit(&w, feel(adg.Healthy), enter(adg.RolledBack))
		b.create("two", of("cart"))
		b.equal("turned bad", b.fleet("two").TurnedBad, 1)
	}},
	{"a release that a rule condemned has turned bad, one that a human condemned has not", func(b *bench) {
		condemned := func(rule int) func(*adg.Tick) {
			return func(t *adg.Tick) {
				t.Decision.Next.Health, t.Decision.Next.Condemned, t.Decision.Next.Rule = adg.Degraded, t.Decision.At, rule
			}
		}
		w := b.workOn("one")
		b.commit(&w, condemned(0))
		b.equal("by a human", b.fleet("one").TurnedBad, 0)
		b.commit(&w, condemned(1))
		b.equal("by a rule", b.fleet("one").TurnedBad, 1)
	}},
	{"another rollback of the same service is seen, one's own and those of others are not", func(b *bench) {
		mine, sibling := b.workOn("mine"), b.workOn("sibling")
		stranger, elsewhere := b.workOn("stranger", of("cart")), b.workOn("elsewhere", in("staging"))
		for _, w := range []*adg.Work{&mine, &stranger, &elsewhere} {
			b.commit(w, enter(adg.RollingBack))
		}
		b.equal("of one's own", b.fleet("mine").Rolling, "")
		b.equal("of the other", b.fleet("sibling").Rolling, "mine")
		b.commit(&mine, enter(adg.VerifyingRollback))
		b.equal("while it is verified", b.fleet("sibling").Rolling, "mine")
		b.commit(&mine, enter(adg.RolledBack))
		b.equal("when it has ended", b.fleet("sibling").Rolling, "")
		b.commit(&sibling, enter(adg.RollbackPending))
		b.equal("not begun yet", b.fleet("mine").Rolling, "")
	}},
	{"a stopped line says who stopped it and why, until somebody resumes it", func(b *bench) {
		b.create("one")
		b.equal("running", b.fleet("one").Stopped, "")
		b.must(b.Store.StopLine(b.ctx, adg.Stop{Actor: "carol", Reason: "the metrics are wrong"}))
		b.equal("stopped", b.fleet("one").Stopped, "carol: the metrics are wrong")
		b.Store = b.Reopen()
		b.equal("after opening again", b.fleet("one").Stopped, "carol: the metrics are wrong")
		b.must(b.Store.StopLine(b.ctx, adg.Stop{Actor: "dave"}))
		b.equal("stopped again, without a reason", b.fleet("one").Stopped, "dave")
		b.must(b.Store.ResumeLine(b.ctx, adg.Scope{}, "carol"))
		b.equal("resumed", b.fleet("one").Stopped, "")
		b.refused("resuming what runs", b.Store.ResumeLine(b.ctx, adg.Scope{}, "carol"), adg.NotFound)
	}},
	{"the fleet can be asked for without a deployment", func(b *bench) {
		got, err := b.Store.Fleet(b.ctx, environment, "")
		b.must(err)
		b.equal("fleet", got, adg.Fleet{})
	}},
}

// Private

func (b *bench) fleet(deployment string) adg.Fleet {
	b.Helper()
	f, err := b.Store.Fleet(b.ctx, environment, deployment)
	b.must(err)
	return f
}
