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
