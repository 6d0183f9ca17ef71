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
		b.refused("resumed again", b.Store.ResumeLine(b.ctx, adg.Scope{}, "carol"), adg.NotFound)
	}},
	{"a stop holds within its scope, and the widest says who and why", func(b *bench) {
		b.create("shop")
		b.create("cart", of("cart"))
		b.create("shop-staging", in("staging"))
		b.create("cart-staging", of("cart"), in("staging"))
		all, production := adg.Scope{}, adg.Scope{Environment: environment}
		shop, shopProduction := adg.Scope{Service: service}, adg.Scope{Service: service, Environment: environment}
		want := func(what, shop, cart, shopStaging, cartStaging string) {
			b.Helper()
			b.equal(what, []string{b.stopped(environment, "shop"), b.stopped(environment, "cart"), b.stopped("staging", "shop-staging"), b.stopped("staging", "cart-staging")},
				[]string{shop, cart, shopStaging, cartStaging})
		}
		want("nothing is stopped", "", "", "", "")
		b.stop(shopProduction, "dan", "of the shop there")
		want("a service in an environment", "dan: of the shop there", "", "", "")
		b.stop(shop, "carl", "")
		want("the service, too", "carl", "", "carl", "")
		b.stop(production, "bob", "of production")
		want("the environment, too", "bob: of production", "bob: of production", "carl", "")
		b.stop(all, "alice", "of all")
		want("everything", "alice: of all", "alice: of all", "alice: of all", "alice: of all")
		b.equal("without a deployment", b.stopped(environment, ""), "alice: of all")
		b.Store = b.Reopen()
		b.equal("in force", scopes(b.stops()), []adg.Scope{all, production, shop, shopProduction})
		b.must(b.Store.ResumeLine(b.ctx, all, "erin"))
		want("all was resumed", "bob: of production", "bob: of production", "carl", "")
		b.equal("without a deployment, there", b.stopped(environment, ""), "bob: of production")
		b.equal("without a deployment, elsewhere", b.stopped("staging", ""), "")
		b.must(b.Store.ResumeLine(b.ctx, shop, "erin"))
		want("the service was resumed", "bob: of production", "bob: of production", "", "")
		b.must(b.Store.ResumeLine(b.ctx, production, "erin"))
		want("the environment was resumed", "dan: of the shop there", "", "", "")
		b.must(b.Store.ResumeLine(b.ctx, shopProduction, "erin"))
		want("all were resumed", "", "", "", "")
		b.equal("in force in the end", scopes(b.stops()), []adg.Scope{})
	}},
	{"exactly the scope that was stopped can be resumed", func(b *bench) {
		b.stop(adg.Scope{Service: service}, "carl", "why")
		for what, scope := range map[string]adg.Scope{
			"all":                         {},
			"an environment":              {Environment: environment},
			"the service in one":          {Service: service, Environment: environment},
			"another service":             {Service: "cart"},
			"an environment of that name": {Environment: service},
			"other letters":               {Service: "Shop"},
		} {
			b.refused(what, b.Store.ResumeLine(b.ctx, scope, "erin"), adg.NotFound)
		}
		b.equal("in force", scopes(b.stops()), []adg.Scope{{Service: service}})
		b.must(b.Store.ResumeLine(b.ctx, adg.Scope{Service: service}, "erin"))
		b.refused("again", b.Store.ResumeLine(b.ctx, adg.Scope{Service: service}, "erin"), adg.NotFound)
	}},
	{"stops are listed with who, why and when, the widest first", func(b *bench) {
		b.equal("none", scopes(b.stops()), []adg.Scope{})
		want := []adg.Scope{{}, {Environment: "a"}, {Environment: "b"}, {Service: "a"}, {Service: "b"}, {Service: "a", Environment: "a"}, {Service: "a", Environment: "b"}, {Service: "b", Environment: "a"}}
		for i := range want {
			b.stop(want[(i*3)%len(want)], "carl", "first")
		}
		b.Advance(time.Hour)
		before := b.now().Truncate(time.Microsecond)
		b.stop(adg.Scope{Environment: "b"}, "dan", "")
		after := b.now()
		all := b.stops()
		b.equal("scopes", scopes(all), want)
		for i, s := range all {
			first := s.Actor == "carl" && s.Reason == "first" && s.At.Before(before)
			second := s.Actor == "dan" && s.Reason == "" && !s.At.Before(before) && !s.At.After(after)
			if i == 2 && !second || i != 2 && !first {
				b.Errorf("on record: %+v", s)
			}
		}
	}},
	{"those who stop and resume at the same time leave one stop of a scope, or none", func(b *bench) {
		b.together(8, func(i int, store adg.Store) error {
			for range 10 {
				if err := store.StopLine(b.ctx, adg.Stop{Actor: name("actor", i)}); err != nil {
					return err
				}
				if err := store.ResumeLine(b.ctx, adg.Scope{}, "erin"); err != nil && adg.CodeOf(err) != adg.NotFound {
					return err
				}
			}
			return nil
		})
		b.equal("in force", scopes(b.stops()), []adg.Scope{})
		b.together(8, func(i int, store adg.Store) error { return store.StopLine(b.ctx, adg.Stop{Actor: name("actor", i)}) })
		b.equal("in force", scopes(b.stops()), []adg.Scope{{}})
	}},
	{"the fleet can be asked for without a deployment", func(b *bench) {
		got, err := b.Store.Fleet(b.ctx, environment, "")
		b.must(err)
		b.equal("fleet", got, adg.Fleet{})
	}},
}

// Private

func (b *bench) stop(scope adg.Scope, actor, reason string) {
	b.Helper()
	b.must(b.Store.StopLine(b.ctx, adg.Stop{Scope: scope, Actor: actor, Reason: reason}))
}

func (b *bench) stopped(environment, deployment string) string {
	b.Helper()
	f, err := b.Store.Fleet(b.ctx, environment, deployment)
	b.must(err)
	return f.Stopped
}

func (b *bench) stops() []adg.Stop {
	b.Helper()
	all, err := b.Store.Stops(b.ctx)
	b.must(err)
	return all
}

func scopes(all []adg.Stop) []adg.Scope {
	var scopes []adg.Scope
	for _, s := range all {
		scopes = append(scopes, s.Scope)
	}
	return scopes
}

func (b *bench) fleet(deployment string) adg.Fleet {
	b.Helper()
	f, err := b.Store.Fleet(b.ctx, environment, deployment)
	b.must(err)
	return f
}
