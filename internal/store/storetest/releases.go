package storetest

import (
	"time"

	"github.com/deployguardian/adg"
)

var releases = []scenario{
	{"the last good release is the one that was found good last and was not rolled back since", func(b *bench) {
		lastGood := func(want string) {
			b.Helper()
			r, err := b.Store.LastGood(b.ctx, service, environment)
			if want == "" {
				b.refused("no good release", err, adg.NotFound)
				return
			}
			b.must(err)
			b.equal("last good", r.Release.Version, want)
		}
		lastGood("")
		b.must(b.Store.Mark(b.ctx, known("v1", adg.StandingGood)))
		b.must(b.Store.Mark(b.ctx, known("v2", adg.StandingGood)))
		lastGood("v2")
		b.must(b.Store.Mark(b.ctx, known("v2", adg.StandingRolledBack)))
		lastGood("v1")
		b.must(b.Store.Mark(b.ctx, known("v0", adg.StandingUnknown)))
		lastGood("v1")
		b.must(b.Store.Mark(b.ctx, known("v3", adg.StandingGood)))
		b.must(b.Store.Mark(b.ctx, known("v1", adg.StandingGood)))
		lastGood("v1")
		b.must(b.Store.Mark(b.ctx, known("v2", adg.StandingGood)))
		lastGood("v2")
		for _, v := range []string{"v1", "v2", "v3"} {
			b.must(b.Store.Mark(b.ctx, known(v, adg.StandingRolledBack)))
		}
		lastGood("")
	}},
	{"services and environments know nothing of each other's releases", func(b *bench) {
		b.must(b.Store.Mark(b.ctx, known("v1", adg.StandingGood)))
		_, err := b.Store.LastGood(b.ctx, "cart", environment)
		b.refused("another service", err, adg.NotFound)
		_, err = b.Store.LastGood(b.ctx, service, "staging")
		b.refused("another environment", err, adg.NotFound)
		_, err = b.Store.Standing(b.ctx, service, "staging", "v1")
		b.refused("the standing in another environment", err, adg.NotFound)
	}},
	{"a standing is read back, by artifact and configuration", func(b *bench) {
		r := adg.ReleaseRecord{
			Environment: environment, Release: adg.Release{Service: service, Version: "v1", Artifact: "shop@sha256:11", Config: "c7", Commit: "abc", Schema: "s1"},
			Standing: adg.StandingGood, Since: b.now(), Deployment: "one", Why: "it was verified",
		}
		b.must(b.Store.Mark(b.ctx, r))
		got, err := b.Store.Standing(b.ctx, service, environment, "shop@sha256:11+config.c7")
		b.must(err)
		b.equal("standing", got, r)
		_, err = b.Store.Standing(b.ctx, service, environment, "shop@sha256:11")
		b.refused("with another configuration", err, adg.NotFound)
	}},
	{"a decision leaves what it learned about a release", func(b *bench) {
		w := b.workOn("one")
		bad, hold := known("v2", adg.StandingRolledBack), hold("v2")
		b.commit(&w, enter(adg.RolledBack), func(t *adg.Tick) { t.Decision.Standing, t.Decision.Hold = &bad, &hold })
		got, err := b.Store.Standing(b.ctx, service, environment, "v2")
		b.must(err)
		b.equal("standing", got, bad)
		held, err := b.Store.HoldOf(b.ctx, service, environment, "v2")
		b.must(err)
		b.equal("hold", held, hold)
	}},
	{"a hold is in force until it is lifted or expires", func(b *bench) {
		_, err := b.Store.HoldOf(b.ctx, service, environment, "v2")
		b.refused("before", err, adg.NotFound)
		for until, lasting := range map[time.Duration]bool{0: true, time.Hour: false} {
			h := hold("v2")
			if until > 0 {
				h.Until = b.now().Add(until)
			}
			b.must(b.Store.PutHold(b.ctx, h))
			got, err := b.Store.HoldOf(b.ctx, service, environment, "v2")
			b.must(err)
			b.equal("in force", got, h)
			b.Advance(2 * time.Hour)
			_, err = b.Store.HoldOf(b.ctx, service, environment, "v2")
			if !lasting {
				b.refused("expired", err, adg.NotFound)
				b.refused("lifting what has expired", b.Store.LiftHold(b.ctx, service, environment, "v2"), adg.NotFound)
				continue
			}
			b.must(err)
			b.must(b.Store.LiftHold(b.ctx, service, environment, "v2"))
			_, err = b.Store.HoldOf(b.ctx, service, environment, "v2")
			b.refused("lifted", err, adg.NotFound)
			b.refused("lifting again", b.Store.LiftHold(b.ctx, service, environment, "v2"), adg.NotFound)
		}
	}},
	{"a hold is on one release of one service in one environment", func(b *bench) {
		b.must(b.Store.PutHold(b.ctx, hold("v2")))
		for _, where := range [][3]string{{service, environment, "v3"}, {service, "staging", "v2"}, {"cart", environment, "v2"}} {
			_, err := b.Store.HoldOf(b.ctx, where[0], where[1], where[2])
			b.refused("the hold of another", err, adg.NotFound)
		}
	}},
	{"holds in force are listed by service, environment and release", func(b *bench) {
		var all []adg.ReleaseHold
		for i, where := range [][3]string{{"cart", "production", "v1"}, {"cart", "staging", "v2"}, {"shop", "production", "v1"}, {"shop", "production", "v2"}, {"shop", "staging", "v1"}} {
			all = append(all, adg.ReleaseHold{Service: where[0], Environment: where[1], Identity: where[2], Reason: "of the test", Actor: "adg", Since: b.now(), Until: b.now().Add(time.Duration(i+1) * time.Hour)})
		}
		all[4].Until = time.Time{}
		for i := range all {
			b.must(b.Store.PutHold(b.ctx, all[(i*3)%len(all)]))
		}
		list := func(f adg.ReleaseFilter) []adg.ReleaseHold {
			b.Helper()
			holds, err := b.Store.ListHolds(b.ctx, f)
			b.must(err)
			return holds
		}
		b.equal("all", list(adg.ReleaseFilter{}), all)
		b.equal("of a service", list(adg.ReleaseFilter{Service: service}), all[2:])
		b.equal("of an environment", list(adg.ReleaseFilter{Environment: "staging"}), []adg.ReleaseHold{all[1], all[4]})
		b.equal("of both", list(adg.ReleaseFilter{Service: service, Environment: environment}), all[2:4])
		b.equal("the first two", list(adg.ReleaseFilter{Limit: 2}), all[:2])
		b.equal("those after them", list(adg.ReleaseFilter{After: keyOf(all[1])}), all[2:])
		b.equal("after the last", list(adg.ReleaseFilter{After: keyOf(all[len(all)-1])}), []adg.ReleaseHold{})
		b.equal("of a service, after the first", list(adg.ReleaseFilter{Service: service, After: keyOf(all[2]), Limit: 1}), all[3:4])
		b.equal("of nobody", list(adg.ReleaseFilter{Service: "Shop"}), []adg.ReleaseHold{})
		b.must(b.Store.LiftHold(b.ctx, "shop", "production", "v2"))
		b.Advance(2*time.Hour + time.Minute)
		b.equal("after two have expired and one was lifted", list(adg.ReleaseFilter{}), []adg.ReleaseHold{all[2], all[4]})
	}},
	{"releases are listed as they were recorded, the last first", func(b *bench) {
		mark := func(service, environment, version string, s adg.Standing) adg.ReleaseRecord {
			b.Helper()
			r := adg.ReleaseRecord{Environment: environment, Release: adg.Release{Service: service, Version: version}, Standing: s, Why: "of the test", Since: b.now()}
			b.must(b.Store.Mark(b.ctx, r))
			return r
		}
		list := func(f adg.ReleaseFilter) []adg.ReleaseRecord {
			b.Helper()
			all, err := b.Store.ListReleases(b.ctx, f)
			b.must(err)
			return all
		}
		b.equal("none", list(adg.ReleaseFilter{}), []adg.ReleaseRecord{})
		mark("shop", "production", "v1", adg.StandingGood)
		cart := mark("cart", "production", "v1", adg.StandingGood)
		staging := mark("shop", "staging", "v2", adg.StandingUnknown)
		two := mark("shop", "production", "v2", adg.StandingRolledBack)
		one := mark("shop", "production", "v1", adg.StandingRolledBack)
		b.equal("all", list(adg.ReleaseFilter{}), []adg.ReleaseRecord{one, two, staging, cart})
		b.equal("of a service", list(adg.ReleaseFilter{Service: "shop"}), []adg.ReleaseRecord{one, two, staging})
		b.equal("of an environment", list(adg.ReleaseFilter{Environment: "production"}), []adg.ReleaseRecord{one, two, cart})
		b.equal("of both", list(adg.ReleaseFilter{Service: "shop", Environment: "production"}), []adg.ReleaseRecord{one, two})
		b.equal("the last", list(adg.ReleaseFilter{Limit: 1}), []adg.ReleaseRecord{one})
		second := adg.ReleaseKey{Service: two.Release.Service, Environment: two.Environment, Identity: two.Release.Identity()}
		b.equal("those before it", list(adg.ReleaseFilter{After: second}), []adg.ReleaseRecord{staging, cart})
		b.equal("of an environment, before it", list(adg.ReleaseFilter{Environment: "production", After: second}), []adg.ReleaseRecord{cart})
		b.equal("after one that is not there", list(adg.ReleaseFilter{After: adg.ReleaseKey{Service: "none"}}), []adg.ReleaseRecord{})
		b.equal("of nobody", list(adg.ReleaseFilter{Service: "search"}), []adg.ReleaseRecord{})
	}},
	{"automation does not shorten a hold, a human may", func(b *bench) {
		w := b.workOn("one")
		human, robot := hold("v2"), hold("v2")
		human.Actor, robot.Actor = "carol", "adg"
		b.must(b.Store.PutHold(b.ctx, human))
		robot.Until = b.now().Add(time.Hour)
		b.commit(&w, func(t *adg.Tick) { t.Decision.Hold = &robot })
		got, err := b.Store.HoldOf(b.ctx, service, environment, "v2")
		b.must(err)
		b.equal("after automation", got, human)
		human.Until = b.now().Add(time.Minute)
		b.must(b.Store.PutHold(b.ctx, human))
		b.commit(&w, func(t *adg.Tick) { t.Decision.Hold = &robot })
		got, err = b.Store.HoldOf(b.ctx, service, environment, "v2")
		b.must(err)
		b.equal("after a human and automation that holds it longer", got, robot)
	}},
	{"a deployment says anew why it holds a release", func(b *bench) {
		w := b.workOn("one")
		first, second := hold("v2"), hold("v2")
		first.Deployment, second.Deployment, second.Suspended = w.Deployment.ID, w.Deployment.ID, "automated sync"
		other := second
		other.Deployment, other.Reason = "another", "it is not heard"
		for _, h := range []adg.ReleaseHold{first, second, other} {
			b.commit(&w, func(t *adg.Tick) { t.Decision.Hold = &h })
		}
		got, err := b.Store.HoldOf(b.ctx, service, environment, "v2")
		b.must(err)
		b.equal("the hold", got, second)
	}},
}

// Private

func known(version string, s adg.Standing) adg.ReleaseRecord {
	return adg.ReleaseRecord{Environment: environment, Release: adg.Release{Service: service, Version: version}, Standing: s, Why: "of the test"}
}

func hold(version string) adg.ReleaseHold {
	return adg.ReleaseHold{Service: service, Environment: environment, Identity: version, Reason: "it was bad", Actor: "adg"}
}

func keyOf(h adg.ReleaseHold) adg.ReleaseKey {
	return adg.ReleaseKey{Service: h.Service, Environment: h.Environment, Identity: h.Identity}
}
