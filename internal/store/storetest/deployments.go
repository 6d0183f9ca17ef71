package storetest

import (
	"context"
	"time"

	"github.com/deployguardian/adg"
)

var deployments = []scenario{
	{"a deployment is read back as it was stored", func(b *bench) {
		d := newDeployment("one")
		d.Spec.Created = b.now()
		d.Status = adg.Status{State: adg.Gated, Since: b.now(), Bad: []time.Duration{time.Second, 0}, Reasons: []string{"a \"reason\""}}
		b.must(b.Store.CreateDeployment(b.ctx, d))
		d.Version = 1
		b.equal("deployment", b.deployment("one"), d)
		b.equal("list", b.list(adg.DeploymentFilter{}), []string{"one"})
	}},
	{"a new deployment is due at once, whatever its status says", func(b *bench) {
		b.create("one", func(d *adg.Deployment) { d.Status.Due = b.now().Add(time.Hour) })
		b.wantTaken("owner", "one")
	}},
	{"an id is used once", func(b *bench) {
		b.create("one")
		b.unchanged("one", func() {
			again := newDeployment("one")
			again.Spec.Actor = "mallory"
			b.refused("the same id again", b.Store.CreateDeployment(b.ctx, again), adg.Conflict)
		})
		b.refused("no id", b.Store.CreateDeployment(b.ctx, newDeployment("")), adg.Invalid)
	}},
	{"a key begins one deployment", func(b *bench) {
		b.create("one", keyed("k"))
		b.unchanged("one", func() {
			b.refused("the same key again", b.Store.CreateDeployment(b.ctx, with("two", keyed("k"))), adg.Conflict)
		})
		_, err := b.Store.Deployment(b.ctx, "two")
		b.refused("the one that was refused", err, adg.NotFound)
		b.equal("begun with the key", b.list(adg.DeploymentFilter{Key: "k"}), []string{"one"})
		b.equal("begun with another", b.list(adg.DeploymentFilter{Key: "K"}), []string(nil))
		b.create("two", keyed("K"))
		b.create("three")
		b.create("four")
		b.end("one")
		b.refused("the key of an ended one", b.Store.CreateDeployment(b.ctx, with("five", keyed("k"))), adg.Conflict)
		b.equal("in another place", b.list(adg.DeploymentFilter{Key: "k", Environment: "staging"}), []string(nil))
	}},
	{"what does not exist is not found", func(b *bench) {
		_, err := b.Store.Deployment(b.ctx, "nobody")
		b.refused("Deployment", err, adg.NotFound)
		_, err = b.Store.ListDeployments(b.ctx, adg.DeploymentFilter{Before: "nobody"})
		b.refused("ListDeployments", err, adg.NotFound)
		_, err = b.Store.Entries(b.ctx, "nobody", 0, 10)
		b.refused("Entries", err, adg.NotFound)
		_, err = b.Store.Effects(b.ctx, "nobody")
		b.refused("Effects", err, adg.NotFound)
		_, err = b.Store.Assessments(b.ctx, "nobody", adg.MeasurementFilter{})
		b.refused("Assessments", err, adg.NotFound)
		_, err = b.Store.Measurements(b.ctx, "nobody", adg.MeasurementFilter{})
		b.refused("Measurements", err, adg.NotFound)
		_, err = b.Store.Baselines(b.ctx, "nobody")
		b.refused("Baselines", err, adg.NotFound)
		_, err = b.Store.Facts(b.ctx, "nobody")
		b.refused("Facts", err, adg.NotFound)
		_, err = b.Store.Waiting(b.ctx, "nobody")
		b.refused("Waiting", err, adg.NotFound)
		b.refused("Ask", b.Store.Ask(b.ctx, adg.Command{ID: "c", Deployment: "nobody", Kind: adg.CommandHold}), adg.NotFound)
	}},
	{"lists come newest first, filtered, in pages", func(b *bench) {
		b.create("a")
		b.create("b", of("cart"))
		b.create("c", in("staging"))
		b.create("d")
		b.create("e", of("cart"), in("staging"))
		b.end("a")
		b.equal("all", b.list(adg.DeploymentFilter{}), []string{"e", "d", "c", "b", "a"})
		b.equal("of the shop", b.list(adg.DeploymentFilter{Service: service}), []string{"d", "c", "a"})
		b.equal("in staging", b.list(adg.DeploymentFilter{Environment: "staging"}), []string{"e", "c"})
		b.equal("of the shop in production", b.list(adg.DeploymentFilter{Service: service, Environment: environment}), []string{"d", "a"})
		b.equal("live ones", b.list(adg.DeploymentFilter{Live: true}), []string{"e", "d", "c", "b"})
		b.equal("live ones of the shop in production", b.list(adg.DeploymentFilter{Live: true, Service: service, Environment: environment}), []string{"d"})
		b.equal("the first page", b.list(adg.DeploymentFilter{Limit: 2}), []string{"e", "d"})
		b.equal("the page after", b.list(adg.DeploymentFilter{Limit: 2, Before: "d"}), []string{"c", "b"})
		b.equal("of nobody", b.list(adg.DeploymentFilter{Service: "nobody"}), []string(nil))
	}},
	{"lists are of what was asked for", func(b *bench) {
		day := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		for i, d := range []struct{ id, service, environment, actor, version string }{
			{"a", service, environment, "alice", "v1"}, {"b", "cart", environment, "bob", "v1"}, {"c", service, "staging", "bob", "v2"},
			{"d", "till", "staging", "carol\x00", "v2"}, {"e", service, environment, "alice", "v3"},
		} {
			b.create(d.id, of(d.service), in(d.environment), func(made *adg.Deployment) {
				made.Spec.Actor, made.Spec.Release.Version = d.actor, d.version
				made.Spec.Created = day.Add(time.Duration(i) * 500 * time.Millisecond).In(time.FixedZone("east", 7200))
			})
		}
		b.end("a")
		b.end("d")
		at := func(halves int) time.Time { return day.Add(time.Duration(halves) * 500 * time.Millisecond) }
		for what, c := range map[string]struct {
			f    adg.DeploymentFilter
			want []string
		}{
			"ids":                            {adg.DeploymentFilter{IDs: []string{"b", "nobody", "e"}}, []string{"e", "b"}},
			"live ones of some ids":          {adg.DeploymentFilter{IDs: []string{"a", "b"}, Live: true}, []string{"b"}},
			"services":                       {adg.DeploymentFilter{Services: []string{"cart", "till"}}, []string{"d", "b"}},
			"environments":                   {adg.DeploymentFilter{Environments: []string{"staging", "nowhere"}}, []string{"d", "c"}},
			"services in environments":       {adg.DeploymentFilter{Services: []string{service, "till"}, Environments: []string{environment}}, []string{"e", "a"}},
			"live ones of services":          {adg.DeploymentFilter{Services: []string{service, "till"}, Live: true}, []string{"e", "c"}},
			"a state that is an end":         {adg.DeploymentFilter{States: []adg.State{adg.Succeeded}}, []string{"d", "a"}},
			"a state that is none":           {adg.DeploymentFilter{States: []adg.State{adg.Pending}}, []string{"e", "c", "b"}},
			"states of both kinds":           {adg.DeploymentFilter{States: []adg.State{adg.Pending, adg.Succeeded}}, []string{"e", "d", "c", "b", "a"}},
			"a state that nothing is in":     {adg.DeploymentFilter{States: []adg.State{adg.RolledBack}}, nil},
			"actors":                         {adg.DeploymentFilter{Actors: []string{"bob", "mallory"}}, []string{"c", "b"}},
			"a version":                      {adg.DeploymentFilter{Version: "v1"}, []string{"b", "a"}},
			"a version of an actor":          {adg.DeploymentFilter{Version: "v1", Actors: []string{"alice"}}, []string{"a"}},
			"from a time":                    {adg.DeploymentFilter{From: at(2)}, []string{"e", "d", "c"}},
			"to a time":                      {adg.DeploymentFilter{To: at(2)}, []string{"b", "a"}},
			"between times":                  {adg.DeploymentFilter{From: at(1), To: at(3)}, []string{"c", "b"}},
			"between times of another place": {adg.DeploymentFilter{From: at(1).In(time.FixedZone("west", -7200)), To: at(3)}, []string{"c", "b"}},
			"the oldest first":               {adg.DeploymentFilter{Oldest: true, Limit: 3}, []string{"a", "b", "c"}},
			"the oldest first, the next":     {adg.DeploymentFilter{Oldest: true, Before: "c"}, []string{"d", "e"}},
			"a page of a filtered list":      {adg.DeploymentFilter{Services: []string{service}, Before: "e", Limit: 1}, []string{"c"}},
		} {
			b.equal(what, b.list(c.f), c.want)
		}
	}},
	{"versions are of those that are named, or of the live and the newest", func(b *bench) {
		b.create("ended")
		b.end("ended")
		for i := range 100 {
			b.create(name("old", i), of("cart"))
			if i > 0 {
				b.end(name("old", i))
			}
		}
		w := b.workOn("live")
		b.commit(&w)
		named, err := b.Store.Versions(b.ctx, []string{"live", "ended", "nobody"})
		b.must(err)
		b.equal("named", named, map[string]int64{"live": 2, "ended": 2})
		none, err := b.Store.Versions(b.ctx, []string{})
		b.must(err)
		b.equal("none", none, map[string]int64{})
		all, err := b.Store.Versions(b.ctx, nil)
		b.must(err)
		b.equal("the live and the newest", len(all), 101)
		b.equal("the newest", all["live"], int64(2))
		b.equal("one that is live and old", all["old-00"], int64(1))
		b.equal("one that ended at once", all["old-01"], int64(2))
		if _, there := all["ended"]; there {
			b.Errorf("one that ended long ago is among the live and the newest")
		}
	}},
	{"a new deployment makes the older ones of its service due", func(b *bench) {
		for _, id := range []string{"older", "elsewhere"} {
			b.create(id, map[string]func(*adg.Deployment){"older": of(service), "elsewhere": in("staging")}[id])
			w := b.taken("a")
			b.commit(&w, giveBack, func(t *adg.Tick) { t.Decision.Next.Due = b.now().Add(time.Hour) })
		}
		b.create("newer")
		all, err := b.Store.Take(b.ctx, "a", time.Minute, 10)
		b.must(err)
		b.equal("due", len(all), 2)
		for _, w := range all {
			if w.Deployment.ID == "elsewhere" {
				b.Errorf("a deployment in another environment became due")
			}
			if w.Deployment.ID == "older" && w.Newer != "newer" {
				b.Errorf("the older one was not told of %q", w.Newer)
			}
		}
	}},
	{"a list without a limit has a hundred, and never more than a thousand", func(b *bench) {
		for i := range 105 {
			b.create(name("d", i))
		}
		b.equal("without a limit", len(b.list(adg.DeploymentFilter{})), 100)
		b.equal("with a limit past the largest", len(b.list(adg.DeploymentFilter{Limit: 1 << 30})), 105)
	}},
	{"what was read can be changed without changing what is stored", func(b *bench) {
		w := b.workOn("one")
		b.commit(&w, feel(adg.Healthy))
		mine := b.deployment("one")
		b.unchanged("one", func() {
			mine.Spec.Policy.Checks[0].Name = "changed"
			mine.Spec.LastGood.Version = "changed"
			w.Deployment.Spec.Policy.Checks[0].Name = "changed"
		})
	}},
	{"everything is there after closing and opening again", func(b *bench) {
		w := b.workOn("one")
		b.must(b.Store.Ask(b.ctx, adg.Command{ID: "c1", Deployment: "one", Kind: adg.CommandHold, Actor: "bob"}))
		b.commit(&w, enter(adg.Rolling), apply("one/1"), tell("f1"), witnessed, func(t *adg.Tick) { t.Input.Command = &adg.Command{ID: "c1"} })
		before := b.everything("one")
		b.Store = b.Reopen()
		b.equal("after opening again", b.everything("one"), before)
	}},
	{"a cancelled context changes nothing", func(b *bench) {
		w := b.workOn("one")
		b.commit(&w, tell("f1"))
		ctx, cancel := context.WithCancel(b.ctx)
		cancel()
		b.unchanged("one", func() {
			for what, do := range map[string]func() error{
				"Now":              func() error { _, err := b.Store.Now(ctx); return err },
				"CreateDeployment": func() error { return b.Store.CreateDeployment(ctx, newDeployment("two")) },
				"Deployment":       func() error { _, err := b.Store.Deployment(ctx, "one"); return err },
				"Take":             func() error { _, err := b.Store.Take(ctx, "owner", ttl, 1); return err },
				"Renew":            func() error { _, err := b.Store.Renew(ctx, w.Lease, ttl); return err },
				"GiveBack":         func() error { return b.Store.GiveBack(ctx, w.Lease) },
				"Commit":           func() error { _, err := b.Store.Commit(ctx, b.tick(w, enter(adg.Rolling))); return err },
				"Ask": func() error {
					return b.Store.Ask(ctx, adg.Command{ID: "c1", Deployment: "one", Kind: adg.CommandHold})
				},
				"Mark": func() error { return b.Store.Mark(ctx, known("v1", adg.StandingGood)) },
				"PutHold": func() error {
					return b.Store.PutHold(ctx, adg.ReleaseHold{Service: service, Environment: environment, Identity: "v2"})
				},
				"StopLine":    func() error { return b.Store.StopLine(ctx, adg.Stop{Actor: "carol", Reason: "why"}) },
				"Undelivered": func() error { _, err := b.Store.Undelivered(ctx, "teller", ttl, 1); return err },
			} {
				b.is(what, do(), context.Canceled)
			}
		})
		_, err := b.Store.Deployment(b.ctx, "two")
		b.refused("created after all", err, adg.NotFound)
		_, err = b.Store.LastGood(b.ctx, service, environment)
		b.refused("marked after all", err, adg.NotFound)
		_, err = b.Store.HoldOf(b.ctx, service, environment, "v2")
		b.refused("put on hold after all", err, adg.NotFound)
		if got := b.undelivered(10); len(got) != 1 {
			b.Errorf("a delivery was claimed after all: %v", got)
		}
		if _, err := b.Store.Renew(b.ctx, w.Lease, ttl); err != nil {
			b.Errorf("the lease was given back after all: %v", err)
		}
	}},
	{"a closed store answers with an error, and closes once", func(b *bench) {
		b.create("one")
		b.must(b.Store.Close())
		b.must(b.Store.Close())
		_, err := b.Store.Deployment(b.ctx, "one")
		b.refused("reading", err, adg.Unavailable)
		_, err = b.Store.Take(b.ctx, "owner", ttl, 1)
		b.refused("writing", err, adg.Unavailable)
	}},
}

// Private

func (b *bench) list(f adg.DeploymentFilter) []string {
	b.Helper()
	all, err := b.Store.ListDeployments(b.ctx, f)
	b.must(err)
	var ids []string
	for _, d := range all {
		ids = append(ids, d.ID)
	}
	return ids
}

// workOn creates a deployment and leases it.
func (b *bench) workOn(id string, change ...func(*adg.Deployment)) adg.Work {
	b.Helper()
	b.create(id, change...)
	for _, w := range b.take("owner", 1000) {
		if w.Deployment.ID == id {
			return w
		}
	}
	b.Fatalf("%s was not there to take", id)
	return adg.Work{}
}

// end brings a deployment to its end.
func (b *bench) end(id string) {
	b.Helper()
	for _, w := range b.take("ender", 1000) {
		if w.Deployment.ID == id {
			b.commit(&w, enter(adg.Succeeded), giveBack)
			continue
		}
		b.must(b.Store.GiveBack(b.ctx, w.Lease))
	}
}
