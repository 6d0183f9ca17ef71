package storetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/deployguardian/adg"
)

var changes = []scenario{
	{"what somebody changes is an event of no deployment, stored with the change and its entry", func(b *bench) {
		w := b.workOn("one")
		b.commit(&w, tell("f1"), to())
		on := func(action, resource string) adg.AuditEntry {
			return adg.AuditEntry{
				Actor: "user:ann", From: "192.0.2.1", Action: action, Resource: resource, Service: service, Environment: environment,
				Outcome: adg.AuditDone, Reason: "why", Detail: map[string]string{adg.Via: adg.ViaCLI},
			}
		}
		scope := adg.Scope{Service: service, Environment: environment}
		release := adg.Release{Service: service, Version: "v2"}
		_, err := b.Store.WriteDocuments(b.ctx, []adg.Write{put("shop", 0, "x")}, on("policy.put", "policy/shop/production"))
		b.must(err)
		b.must(b.Store.PutHold(b.ctx, adg.ReleaseHold{Service: service, Environment: environment, Identity: "v2"}, on("hold.put", "hold/v2")))
		b.must(b.Store.LiftHold(b.ctx, service, environment, "v2", on("hold.lift", "hold/v2")))
		b.must(b.Store.StopLine(b.ctx, adg.Stop{Scope: scope, Actor: "user:ann"}, on("stop.put", "stop")))
		b.must(b.Store.ResumeLine(b.ctx, scope, "user:ann", on("stop.drop", "stop")))
		b.must(b.Store.Mark(b.ctx, adg.ReleaseRecord{Environment: environment, Release: release, Standing: adg.StandingGood}, on("release.mark", "release/v2")))
		b.append(on("deployment.start", "deployment/one"), on("session.start", "session/x"))
		all, _ := b.follow(adg.EventFilter{Kinds: []adg.FactKind{adg.FactChanged}}, 6)
		entries := b.audited(adg.AuditFilter{})
		b.equal("entries", len(entries), 8)
		for i, e := range all {
			want, told := entries[i].Fact()
			b.equal(fmt.Sprintf("event %d", i), []any{e.Fact, told}, []any{want, true})
		}
		b.equal("the last", all[5].Fact, adg.Fact{
			ID: "audit/6", Kind: adg.FactChanged, At: entries[5].At, Service: service, Environment: environment, Text: "release v2 of shop in production was marked good",
			Reasons: []string{"why"}, Actor: "ann", Via: adg.ViaCLI, Action: "release.mark", Resource: "release/v2",
		})
		scoped, _ := b.follow(adg.EventFilter{Service: service, Environment: environment, Kinds: []adg.FactKind{adg.FactChanged, adg.FactHeld}}, 6)
		b.equal("of that service there", scoped, all)
		other, _, err := b.Store.Events(b.ctx, adg.EventFilter{Service: "cart"})
		b.must(err)
		b.equal("of another service", told(other), []string{})
		newest, _, err := b.Store.Events(b.ctx, adg.EventFilter{Newest: true, Limit: 1})
		b.must(err)
		b.equal("the newest", newest, all[5:])
		everything, _ := b.follow(adg.EventFilter{}, 7)
		b.equal("in one order with those of deployments", told(everything)[:2], []string{"f1", "audit/1"})
		b.Store = b.Reopen()
		b.wantNothingAfter(all[5].Cursor)
		b.wantChain(8)
	}},
	{"what is of no service concerns each of them, and what is of no environment each of those", func(b *bench) {
		for _, place := range []adg.Scope{{}, {Service: service}, {Service: "cart"}, {Environment: environment}, {Environment: "staging"}, {Service: service, Environment: environment}, {Service: "cart", Environment: "staging"}, {}} {
			b.append(adg.AuditEntry{Actor: "user:ann", Action: "stop.put", Resource: "stop", Service: place.Service, Environment: place.Environment, Outcome: adg.AuditDone})
		}
		stops := func(numbers ...int) (ids []string) {
			for _, n := range numbers {
				ids = append(ids, fmt.Sprint("audit/", n))
			}
			return ids
		}
		for what, c := range map[string]struct {
			f    adg.EventFilter
			want []string
		}{
			"a service":                   {adg.EventFilter{Service: service}, stops(1, 2, 4, 5, 6, 8)},
			"an environment":              {adg.EventFilter{Environment: "staging"}, stops(1, 2, 3, 5, 7, 8)},
			"a service in an environment": {adg.EventFilter{Service: service, Environment: environment}, stops(1, 2, 4, 6, 8)},
			"a service that nobody knows": {adg.EventFilter{Service: "search"}, stops(1, 4, 5, 8)},
			"a kind of a service":         {adg.EventFilter{Service: "cart", Kinds: []adg.FactKind{adg.FactChanged}}, stops(1, 3, 4, 5, 7, 8)},
			"another kind of a service":   {adg.EventFilter{Service: "cart", Kinds: []adg.FactKind{adg.FactPage}}, nil},
		} {
			for _, limit := range []int{0, 1, 3} {
				c.f.Limit = limit
				b.equal(fmt.Sprintf("%s, %d at once", what, limit), b.paged(c.f), c.want)
				newest := c.f
				newest.Newest = true
				backwards := b.paged(newest)
				slices.Reverse(backwards)
				b.equal(fmt.Sprintf("the newest of %s, %d at once", what, limit), backwards, c.want)
			}
		}
	}},
	{"what is not changed is neither an event nor on record", func(b *bench) {
		done := func(action string) adg.AuditEntry {
			return adg.AuditEntry{Actor: "user:ann", Action: action, Resource: "hold/v2", Outcome: adg.AuditDone}
		}
		denied, bad := done("hold.put"), done("hold.put")
		denied.Outcome, bad.Outcome = adg.AuditDenied, 99
		scope := adg.Scope{Service: service}
		b.refused("no hold", b.Store.LiftHold(b.ctx, service, environment, "v2", done("hold.lift")), adg.NotFound)
		b.refused("no stop", b.Store.ResumeLine(b.ctx, scope, "user:ann", done("stop.drop")), adg.NotFound)
		_, err := b.Store.WriteDocuments(b.ctx, []adg.Write{put("shop", 7, "x")}, done("policy.put"))
		b.refused("another version", err, adg.Conflict)
		for what, err := range map[string]error{
			"hold": b.Store.PutHold(b.ctx, adg.ReleaseHold{Service: service, Environment: environment, Identity: "v2"}, bad), "stop": b.Store.StopLine(b.ctx, adg.Stop{Scope: scope}, bad),
			"mark": b.Store.Mark(b.ctx, adg.ReleaseRecord{Environment: environment, Release: adg.Release{Service: service, Version: "v2"}}, bad),
		} {
			b.refused(what+" with an entry that cannot be stored", err, adg.Invalid)
		}
		b.equal("stops", len(b.stops()), 0)
		_, err = b.Store.HoldOf(b.ctx, service, environment, "v2")
		b.refused("the hold", err, adg.NotFound)
		b.append(denied)
		b.wantNothingAfter(0)
		b.wantChain(1)
	}},
	{"who is to be told of changes is told of each, in order, and what he does not take waits or is given up", func(b *bench) {
		b.Store = b.Reopen("chat", "mail")
		w := b.workOn("one")
		b.commit(&w, tell("f1"))
		for range 3 {
			b.append(entry("policy.put"))
		}
		batch := b.undelivered(100)
		b.equal("at first", facts(batch), []string{"f1", "audit/1", "audit/1"})
		b.equal("it carries the whole fact", batch[1].Fact.Text, "a new version of the policy of all services in all environments was stored")
		b.wantTold()
		for _, d := range batch[1:] {
			if d.Notifier == "mail" {
				b.must(b.Store.Abandon(b.ctx, d, "no"))
			} else {
				b.must(b.Store.Postpone(b.ctx, d, b.now().Add(time.Hour), "not now"))
			}
		}
		next := b.undelivered(100)
		b.equal("the next one of who goes on", facts(next), []string{"audit/2"})
		b.must(b.Store.Delivered(b.ctx, next[0]))
		dead, err := b.Store.Dead(b.ctx, adg.DeadFilter{})
		b.must(err)
		b.equal("dead", []any{len(dead), dead[0].Fact.ID, dead[0].Notifier}, []any{1, "audit/1", "mail"})
		b.must(b.Store.Retry(b.ctx, dead[0].Delivery))
		b.Advance(2 * time.Hour)
		told := map[string][]string{}
		for range 4 {
			for _, d := range b.undelivered(100) {
				told[d.Notifier] = append(told[d.Notifier], d.Fact.ID)
				b.must(b.Store.Delivered(b.ctx, d))
			}
		}
		b.equal("in the end", told, map[string][]string{"chat": {"f1", "audit/1", "audit/2", "audit/3"}, "mail": {"audit/3", "audit/1"}})
	}},
	{"delivered changes are forgotten in time, the newest event stays, and so does the audit log", func(b *bench) {
		b.Store = b.Reopen("chat")
		b.append(entry("policy.put"), entry("policy.put"))
		for range 2 {
			for _, d := range b.undelivered(1) {
				b.must(b.Store.Delivered(b.ctx, d))
			}
		}
		b.append(entry("policy.put"))
		b.Store = b.Reopen()
		b.append(entry("policy.put"))
		b.follow(adg.EventFilter{}, 4)
		b.Advance(time.Hour)
		gone, err := b.Store.Forget(b.ctx, adg.Retention{Events: b.now().Add(-time.Minute)})
		b.must(err)
		b.equal("rows that went", gone, int64(2))
		b.equal("left", b.told(0), []string{"audit/3", "audit/4"})
		b.wantChain(4)
	}},
	{"changes that many make at the same time are told in the order of the audit log", func(b *bench) {
		b.together(6, func(i int, store adg.Store) error {
			for range 5 {
				if err := store.PutHold(b.ctx, adg.ReleaseHold{Service: service, Environment: environment, Identity: name("v", i)}, entry("hold.put")); err != nil {
					return err
				}
			}
			return nil
		})
		all, _ := b.follow(adg.EventFilter{}, 30)
		for i, e := range all {
			b.equal("event", e.Fact.ID, fmt.Sprintf("audit/%d", i+1))
		}
		b.wantChain(30)
	}},
}
