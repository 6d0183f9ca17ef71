package storetest

import (
	"time"

	"github.com/deployguardian/adg"
)

var journal = []scenario{
	{"a commit gives back the deployment as it is stored", func(b *bench) {
		w := b.workOn("one")
		spec := w.Deployment.Spec
		tick := b.tick(w, enter(adg.Rolling), feel(adg.Degraded))
		stored, err := b.Store.Commit(b.ctx, tick)
		b.must(err)
		b.equal("given back", stored, adg.Deployment{ID: "one", Version: 2, Spec: spec, Status: tick.Decision.Next})
		b.equal("stored", b.deployment("one"), stored)
	}},
	{"a commit of what somebody else changed is a conflict and writes nothing", func(b *bench) {
		w := b.workOn("one")
		before := w
		b.commit(&w)
		b.unchanged("one", func() {
			_, err := b.Store.Commit(b.ctx, b.tick(before, all))
			b.refused("the second commit", err, adg.Conflict)
		})
	}},
	{"a stale owner writes nothing, whether its lease has expired or was taken", func(b *bench) {
		w := b.workOn("one")
		b.Advance(ttl)
		b.unchanged("one", func() {
			_, err := b.Store.Commit(b.ctx, b.tick(w, all))
			b.is("expired", err, adg.ErrFenced)
		})
		now := b.taken("b")
		b.unchanged("one", func() {
			_, err := b.Store.Commit(b.ctx, b.tick(w, all))
			b.is("taken", err, adg.ErrFenced)
			forged := w
			forged.Lease.Fence = now.Lease.Fence
			_, err = b.Store.Commit(b.ctx, b.tick(forged, all))
			b.is("taken by another owner, with its fence", err, adg.ErrFenced)
		})
		_, err := b.Store.Commit(b.ctx, adg.Tick{Lease: adg.Lease{Deployment: "nobody", Owner: "x", Fence: 1}})
		b.is("of nobody", err, adg.ErrFenced)
	}},
	{"the lease stays until it is given back", func(b *bench) {
		w := b.workOn("one")
		b.commit(&w, func(t *adg.Tick) { t.Decision.Next.Due = t.Decision.At })
		b.wantTaken("b")
		b.commit(&w, giveBack, func(t *adg.Tick) { t.Decision.Next.Due = t.Decision.At })
		b.wantTaken("b", "one")
	}},
	{"an intent is stored with the fence of its owner and stays open until its outcome", func(b *bench) {
		w := b.workOn("one")
		b.commit(&w, apply("one/1"))
		b.Advance(ttl)
		w = b.taken("b")
		if w.Open == nil || w.Open.Outcome != nil || w.Open.Desired.OpID != "one/1" || w.Open.Deployment != "one" {
			b.Fatalf("the open intent was not brought along: %+v", w.Open)
		}
		if w.Open.Fence >= w.Lease.Fence || w.Open.Desired.Fence != w.Open.Fence || w.Open.Fence < 1 {
			b.Errorf("the intent has the fences %d and %d, the lease now %d", w.Open.Fence, w.Open.Desired.Fence, w.Lease.Fence)
		}
		b.equal("what was wanted", w.Open.Desired.Releases, b.tick(w, apply("one/1")).Decision.Apply.Releases)
		b.commit(&w, concluded("one/1"), giveBack)
		b.Advance(ttl)
		if w = b.taken("c"); w.Open != nil {
			b.Errorf("still open: %+v", w.Open)
		}
		effects, err := b.Store.Effects(b.ctx, "one")
		b.must(err)
		if len(effects) != 1 || effects[0].Outcome == nil || effects[0].Outcome.Took != time.Second {
			b.Errorf("on record: %+v", effects)
		}
	}},
	{"an outcome and the next intent fit in one tick", func(b *bench) {
		w := b.workOn("one")
		b.commit(&w, apply("one/1"))
		b.commit(&w, concluded("one/1"), apply("one/2"))
		b.commit(&w, concluded("one/2"))
		effects, err := b.Store.Effects(b.ctx, "one")
		b.must(err)
		if len(effects) != 2 || effects[0].Desired.OpID != "one/1" || effects[1].Desired.OpID != "one/2" {
			b.Errorf("on record: %+v", effects)
		}
	}},
	{"no effect begins twice or beside an open one, and the tick that wants it leaves no trace", func(b *bench) {
		w := b.workOn("one")
		b.commit(&w, apply("one/1"))
		b.unchanged("one", func() {
			_, err := b.Store.Commit(b.ctx, b.tick(w, all, apply("one/2")))
			b.refused("beside an open one", err, adg.Conflict)
		})
		b.commit(&w, concluded("one/1"))
		b.unchanged("one", func() {
			_, err := b.Store.Commit(b.ctx, b.tick(w, all, apply("one/1")))
			b.refused("a second time", err, adg.Conflict)
			_, err = b.Store.Commit(b.ctx, b.tick(w, all, actless, concluded("one/1")))
			b.refused("an outcome of what is closed", err, adg.Conflict)
			_, err = b.Store.Commit(b.ctx, b.tick(w, all, actless, concluded("one/9")))
			b.refused("an outcome of what was never begun", err, adg.Conflict)
		})
	}},
	{"past the limit on automatic rollbacks nothing is written", func(b *bench) {
		one, two, three := b.workOn("one"), b.workOn("two", of("cart")), b.workOn("three", in("staging"))
		slot := func(t *adg.Tick) { t.Decision.Slot = 2 }
		b.commit(&one, slot, enter(adg.RollingBack))
		b.commit(&two, slot, enter(adg.RollingBack))
		b.unchanged("three", func() {
			_, err := b.Store.Commit(b.ctx, b.tick(three, all, slot))
			b.is("the third in an hour", err, adg.ErrNoSlot)
		})
		b.commit(&three, func(t *adg.Tick) { t.Decision.Slot = 0 }, enter(adg.RollingBack), func(t *adg.Tick) { t.Decision.Reasons = []string{"a human wants it"} })
		fleet, err := b.Store.Fleet(b.ctx, environment, "one")
		b.must(err)
		b.equal("automatic rollbacks of the last hour", fleet.Rollbacks, 2)
	}},
	{"a slot is free again after an hour", func(b *bench) {
		slot := func(t *adg.Tick) { t.Decision.Slot = 1 }
		w := b.workOn("one")
		b.commit(&w, slot, giveBack)
		b.Advance(59 * time.Minute)
		w = b.taken("owner")
		_, err := b.Store.Commit(b.ctx, b.tick(w, slot))
		b.is("within the hour", err, adg.ErrNoSlot)
		b.Advance(2 * time.Minute)
		w = b.taken("owner")
		b.commit(&w, slot)
	}},
	{"a tick that fails takes no slot", func(b *bench) {
		w := b.workOn("one")
		_, err := b.Store.Commit(b.ctx, b.tick(w, func(t *adg.Tick) { t.Decision.Slot, t.Input.Command = 5, &adg.Command{ID: "nobody asked"} }))
		b.refused("answering what nobody asked", err, adg.Conflict)
		fleet, err := b.Store.Fleet(b.ctx, environment, "one")
		b.must(err)
		b.equal("automatic rollbacks of the last hour", fleet.Rollbacks, 0)
	}},
	{"a command is answered once, by the deployment that it was for", func(b *bench) {
		one, two := b.workOn("one"), b.workOn("two")
		b.must(b.Store.Ask(b.ctx, adg.Command{ID: "c1", Deployment: "one", Kind: adg.CommandHold}))
		answer := func(t *adg.Tick) { t.Input.Command = &adg.Command{ID: "c1"} }
		_, err := b.Store.Commit(b.ctx, b.tick(two, answer))
		b.refused("answered by another", err, adg.Conflict)
		b.commit(&one, answer)
		_, err = b.Store.Commit(b.ctx, b.tick(one, answer))
		b.refused("answered again", err, adg.Conflict)
	}},
	{"a baseline is frozen once", func(b *bench) {
		w := b.workOn("one")
		frozen := func(values ...float64) func(*adg.Tick) {
			return func(t *adg.Tick) { t.Baselines = []adg.Baseline{{Check: "errors", From: b.now(), Values: values}} }
		}
		b.commit(&w, frozen(1, 2))
		b.commit(&w, frozen(8, 9))
		got, err := b.Store.Baselines(b.ctx, "one")
		b.must(err)
		if len(got) != 1 || len(got[0].Values) != 2 || got[0].Values[0] != 1 {
			b.Errorf("got %+v", got)
		}
	}},
	{"a tick that changes nothing leaves evidence and no entry", func(b *bench) {
		w := b.workOn("one")
		b.commit(&w, witnessed)
		b.equal("entries", len(b.entries("one", 0, 10)), 0)
		seen := b.everything("one")
		ticks := seen["ticks"].([]adg.Entry)
		if len(ticks) != 1 || !ticks[0].Quiet || ticks[0].Input.Assessment == nil || ticks[0].Input.Watches != nil {
			b.Errorf("on record: %+v", ticks)
		}
		b.equal("assessments", len(seen["assessments"].([]adg.Assessment)), 1)
		b.equal("measurements", len(seen["measurements"].([]adg.Measurement)), 2)
	}},
	{"a tick that changes something leaves an entry with its evidence and its command", func(b *bench) {
		w := b.workOn("one")
		asked := adg.Command{ID: "c1", Deployment: "one", Kind: adg.CommandPromote, Actor: "bob", Reason: "I know it is fine", At: b.now()}
		b.must(b.Store.Ask(b.ctx, asked))
		tick := b.tick(w, enter(adg.Rolling), apply("one/1"), tell("f1"), witnessed, func(t *adg.Tick) { t.Input.Command = &asked })
		stored, err := b.Store.Commit(b.ctx, tick)
		b.must(err)
		entries := b.entries("one", 0, 10)
		if len(entries) != 1 {
			b.Fatalf("got %d entries", len(entries))
		}
		e := entries[0]
		b.equal("decision", e.Decision, tick.Decision)
		b.equal("input", e.Input, tick.Input)
		b.equal("before", e.Before, tick.Before)
		if e.Deployment != "one" || e.Seq == 0 || e.Quiet {
			b.Errorf("got %+v", e)
		}
		b.equal("facts", b.everything("one")["facts"], tick.Decision.Facts)
		b.equal("version", stored.Version, int64(2))
	}},
	{"a human's word is on record also where it changed nothing", func(b *bench) {
		w := b.workOn("one")
		b.must(b.Store.Ask(b.ctx, adg.Command{ID: "c1", Deployment: "one", Kind: adg.CommandApprove, Actor: "alice"}))
		b.commit(&w, func(t *adg.Tick) {
			t.Input.Command, t.Decision.Reasons = &adg.Command{ID: "c1", Actor: "alice"}, []string{"who started it may not approve it"}
		})
		entries := b.entries("one", 0, 10)
		if len(entries) != 1 || entries[0].Input.Command == nil || entries[0].Input.Command.Actor != "alice" || len(entries[0].Decision.Reasons) != 1 {
			b.Errorf("on record: %+v", entries)
		}
	}},
}

// Private

// all is a tick with something of everything in it.
func all(t *adg.Tick) {
	for _, f := range []func(*adg.Tick){enter(adg.RollingBack), feel(adg.Unhealthy), apply(t.Lease.Deployment + "/all"), tell(t.Lease.Deployment + "/fact"), witnessed} {
		f(t)
	}
	t.Baselines = []adg.Baseline{{Check: "errors"}}
	t.Decision.Slot = 10
	t.Decision.Standing = &adg.ReleaseRecord{Environment: environment, Release: adg.Release{Service: service, Version: "v2"}, Standing: adg.StandingRolledBack}
	t.Decision.Hold = &adg.ReleaseHold{Service: service, Environment: environment, Identity: "v2"}
}

func actless(t *adg.Tick) { t.Decision.Apply = nil }

// witnessed gives a tick an assessment and two measurements.
func witnessed(t *adg.Tick) {
	at, value := t.Decision.At, 0.25
	t.Input.Assessment = &adg.Assessment{At: at, Health: adg.Healthy, Score: 97.5, Text: "well", Judgements: []adg.Judgement{
		{Check: "errors", Verdict: adg.Pass, Why: adg.WithinLimits, Text: "0.25 < 1", Value: &value, N: 100, At: at},
	}}
	for _, check := range []string{"errors", "latency"} {
		t.Measurements = append(t.Measurements, adg.Measurement{
			Check: check, At: at, Took: time.Millisecond, Sent: []string{"query"},
			Values: []adg.Series{{Labels: map[string]string{"pod": "p1"}, Samples: []adg.Sample{{At: at.Add(-time.Second), Value: 1}, {At: at, Value: value}}}},
		})
	}
}

func (b *bench) entries(id string, after int64, limit int) []adg.Entry {
	b.Helper()
	entries, err := b.Store.Entries(b.ctx, id, after, limit)
	b.must(err)
	return entries
}
