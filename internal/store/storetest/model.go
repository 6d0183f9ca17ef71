package storetest

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/deployguardian/adg"
)

// runModel lets owners, humans and notifiers do what they like with a store, in any order, and wants of each step
// what a model in memory says: no two owners hold a deployment, no stale owner writes, no intent is lost, and facts
// are told in order and at least once.
func runModel(t *testing.T, open func(t *testing.T) Opened) {
	fewerLives(t)
	rapid.Check(t, func(r *rapid.T) {
		m := &model{T: r, Opened: open(t), test: t, known: records{documents: map[string]adg.Document{}, heard: map[string][]string{}}}
		defer func() {
			if err := m.Store.Close(); err != nil {
				t.Errorf("closing: %v", err)
			}
		}()
		r.Repeat(map[string]func(*rapid.T){
			"create":    m.create,
			"advance":   m.advance,
			"take":      m.take,
			"commit":    m.commit,
			"renew":     m.renew,
			"give back": m.giveBack,
			"ask":       m.ask,
			"tell":      m.tell,
			"write":     m.write,
			"purge":     m.purge,
			"listen":    m.listen,
			"reopen":    m.reopen,
		})
		m.settle()
		m.settleRecords()
	})
}

// Private

// fewerLives than rapid's hundred are lived unless the command line says how many: each opens a store of its own.
func fewerLives(t *testing.T) {
	checks := flag.Lookup("rapid.checks")
	if checks == nil || checks.Value.String() != checks.DefValue {
		return
	}
	if err := checks.Value.Set("40"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = checks.Value.Set(checks.DefValue) }) // it was this before
}

// model is what the store should know.
type model struct {
	*rapid.T
	Opened
	test  *testing.T
	all   []*life
	work  []adg.Work // all leases ever taken, with the deployment as their owners know it
	facts int
	known records
}

// life is a deployment in the model.
type life struct {
	id       string
	version  int64
	due      time.Time
	owner    string
	fence    int64
	until    time.Time
	ended    bool
	open     string // the effect without outcome
	ops      []string
	commands []string  // unanswered
	told     []string  // all facts
	queue    []string  // those that wait
	claimed  time.Time // or postponed until then at the latest
	free     time.Time // the earliest time at which that can have ended
	vague    time.Time // a claimed that was forgotten, perhaps
	asked    int
}

const (
	modelTTL   = 20 * time.Second
	modelClaim = 30 * time.Second
)

func (m *model) create(r *rapid.T) {
	if len(m.all) == 6 {
		r.Skip("enough")
	}
	l := &life{id: name("d", len(m.all)), version: 1}
	m.check(m.Store.CreateDeployment(m.test.Context(), newDeployment(l.id)))
	for _, older := range m.all {
		if now := m.now(); !older.ended && older.due.After(now) {
			older.due = now
		}
	}
	m.all = append(m.all, l)
}

func (m *model) advance(r *rapid.T) {
	m.Advance(time.Duration(rapid.IntRange(1, 40).Draw(r, "seconds")) * time.Second)
}

// reopen may make what waits due at once: whoever held a claim in a process of its own is gone.
func (m *model) reopen(r *rapid.T) {
	if rapid.IntRange(0, 3).Draw(r, "rarely") > 0 {
		r.Skip("opening takes long")
	}
	m.Store = m.Reopen()
	for _, l := range m.all {
		l.vague = l.claimed
	}
}

func (m *model) take(r *rapid.T) {
	owner := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(r, "owner")
	limit := rapid.IntRange(1, 7).Draw(r, "limit")
	before := m.now()
	work, err := m.Store.Take(m.test.Context(), owner, modelTTL, limit)
	m.check(err)
	after := m.now()
	got := map[string]bool{}
	for _, w := range work {
		l := m.life(w.Deployment.ID)
		got[l.id] = true
		switch {
		case l.ended:
			r.Fatalf("%s was taken although it has ended", l.id)
		case l.until.After(after):
			r.Fatalf("%s was taken by %s while %s holds it", l.id, owner, l.owner)
		case w.Lease.Fence <= l.fence:
			r.Fatalf("%s was taken with the fence %d after %d", l.id, w.Lease.Fence, l.fence)
		}
		m.wantWork(w, l)
		l.owner, l.fence, l.until = owner, w.Lease.Fence, w.Lease.Until
		m.work = append(m.work, w)
	}
	for _, l := range m.all {
		due := len(l.commands) > 0 || !l.due.After(before)
		if len(work) < limit && due && !l.ended && !l.until.After(before) && !got[l.id] {
			r.Fatalf("%s is due and free, and was not taken", l.id)
		}
	}
}

// wantWork wants a deployment to be handed over just as the last commit left it.
func (m *model) wantWork(w adg.Work, l *life) {
	open, command := "", ""
	if w.Open != nil {
		open = w.Open.Desired.OpID
	}
	if w.Command != nil {
		command = w.Command.ID
	}
	want := append(slices.Clone(l.commands), "")[0]
	if w.Deployment.Version != l.version || open != l.open || command != want {
		m.Fatalf("%s was handed over at version %d with the open effect %q and the command %q, want %d, %q and %q",
			l.id, w.Deployment.Version, open, command, l.version, l.open, want)
	}
}

// commit has an owner write, which may have lost its lease long ago, or not know of its own last write.
func (m *model) commit(r *rapid.T) {
	i := m.anyWork(r)
	w := m.work[i]
	l := m.life(w.Deployment.ID)
	t := m.randomTick(r, w, l)
	before := m.now()
	stored, err := m.Store.Commit(m.test.Context(), t)
	fenced := w.Lease.Fence != l.fence || w.Lease.Owner != l.owner || !l.until.After(before)
	expired := w.Lease.Fence == l.fence && l.until.After(before) && !l.until.After(m.now())
	switch {
	case expired && err != nil:
		return // it expired while it was being written
	case fenced:
		if !errors.Is(err, adg.ErrFenced) {
			r.Fatalf("a stale owner wrote %s: %v", l.id, err)
		}
		return
	case w.Deployment.Version != l.version:
		if adg.CodeOf(err) != adg.Conflict || errors.Is(err, adg.ErrFenced) {
			r.Fatalf("%s was written over a version that its writer did not know: %v", l.id, err)
		}
		return
	}
	m.check(err)
	m.work[i].Deployment = stored
	m.remember(l, t, stored)
}

func (m *model) randomTick(r *rapid.T, w adg.Work, l *life) adg.Tick {
	now := m.now()
	next := w.Deployment.Status
	next.State = rapid.SampledFrom([]adg.State{adg.Rolling, adg.Rolling, adg.Verifying, adg.RollingBack, adg.Succeeded}).Draw(r, "state")
	next.Due = now.Add(time.Duration(rapid.IntRange(-5, 30).Draw(r, "due")) * time.Second)
	t := adg.Tick{
		Lease: w.Lease, Version: w.Deployment.Version, GiveBack: rapid.Bool().Draw(r, "give back"), Notifiers: []string{"chat"},
		Decision: adg.Decision{At: now, From: w.Deployment.Status.State, Next: next},
	}
	if l.open != "" && rapid.Bool().Draw(r, "outcome") {
		t.Input.Outcome = &adg.Outcome{OpID: l.open, At: now}
	}
	if (l.open == "" || t.Input.Outcome != nil) && rapid.Bool().Draw(r, "intent") {
		t.Decision.Apply = &adg.Desired{OpID: fmt.Sprintf("%s/%d", l.id, len(l.ops)+1), Deployment: l.id}
	}
	if len(l.commands) > 0 && rapid.Bool().Draw(r, "answer") {
		t.Input.Command = &adg.Command{ID: l.commands[0]}
	}
	for range rapid.IntRange(0, 2).Draw(r, "facts") {
		t.Decision.Facts = append(t.Decision.Facts, adg.Fact{ID: fmt.Sprintf("%s/f%d", l.id, len(l.told)+len(t.Decision.Facts)), Deployment: l.id, At: now})
	}
	return t
}

func (m *model) remember(l *life, t adg.Tick, stored adg.Deployment) {
	l.version++
	if stored.Version != l.version {
		m.Fatalf("%s is at version %d after a commit, want %d", l.id, stored.Version, l.version)
	}
	l.due, l.ended = t.Decision.Next.Due, t.Decision.Next.State.Ended()
	if t.Input.Outcome != nil {
		l.open = ""
	}
	if t.Decision.Apply != nil {
		l.open = t.Decision.Apply.OpID
		l.ops = append(l.ops, l.open)
	}
	if t.Input.Command != nil {
		l.commands = l.commands[1:]
	}
	for _, f := range t.Decision.Facts {
		m.facts++
		l.told, l.queue = append(l.told, f.ID), append(l.queue, f.ID)
	}
	if t.GiveBack {
		l.owner, l.until = "", time.Time{}
	}
}

func (m *model) renew(r *rapid.T) {
	w := m.work[m.anyWork(r)]
	l := m.life(w.Deployment.ID)
	before := m.now()
	renewed, err := m.Store.Renew(m.test.Context(), w.Lease, modelTTL)
	held := w.Lease.Fence == l.fence && w.Lease.Owner == l.owner
	switch {
	case held && l.until.After(m.now()):
		m.check(err)
		l.until = renewed.Until
	case !held || !l.until.After(before):
		if !errors.Is(err, adg.ErrFenced) {
			r.Fatalf("a lease of %s that is not held was renewed: %v", l.id, err)
		}
	case err == nil:
		l.until = renewed.Until
	}
}

func (m *model) giveBack(r *rapid.T) {
	w := m.work[m.anyWork(r)]
	m.check(m.Store.GiveBack(m.test.Context(), w.Lease))
	if l := m.life(w.Deployment.ID); w.Lease.Fence == l.fence && w.Lease.Owner == l.owner {
		l.owner, l.until = "", time.Time{}
	}
}

func (m *model) ask(r *rapid.T) {
	if len(m.all) == 0 {
		r.Skip("nobody to ask for")
	}
	l := rapid.SampledFrom(m.all).Draw(r, "deployment")
	l.asked++
	id := fmt.Sprintf("%s/c%d", l.id, l.asked)
	err := m.Store.Ask(m.test.Context(), adg.Command{ID: id, Deployment: l.id, Kind: adg.CommandHold})
	if l.ended {
		if adg.CodeOf(err) != adg.Conflict {
			r.Fatalf("%s has ended and took a command: %v", l.id, err)
		}
		return
	}
	m.check(err)
	l.commands = append(l.commands, id)
}

// tell has a notifier take what is due, and lose it, fail, or give up.
func (m *model) tell(r *rapid.T) {
	limit := rapid.IntRange(1, 7).Draw(r, "limit")
	before := m.now()
	batch, err := m.Store.Undelivered(m.test.Context(), "teller", modelClaim, limit)
	m.check(err)
	after := m.now()
	got := map[string]bool{}
	for _, d := range batch {
		l := m.life(d.Fact.Deployment)
		if len(l.queue) == 0 || l.queue[0] != d.Fact.ID {
			r.Fatalf("%s was to be told of %s, whose queue is %v", d.Fact.ID, l.id, l.queue)
		}
		if got[l.id] || l.free.After(after) && l.claimed != l.vague {
			r.Fatalf("%s was handed out twice", d.Fact.ID)
		}
		got[l.id] = true
	}
	for _, l := range m.all {
		if len(batch) < limit && len(l.queue) > 0 && !l.claimed.After(before) && !got[l.id] {
			r.Fatalf("%s waits for its turn, is due, and was not handed out", l.queue[0])
		}
	}
	for _, d := range batch {
		m.report(r, d, before.Add(modelClaim))
	}
}

// report says what became of a delivery, whose claim ends at that time at the earliest.
func (m *model) report(r *rapid.T, d adg.Delivery, free time.Time) {
	l, ctx := m.life(d.Fact.Deployment), m.test.Context()
	l.claimed, l.free = m.now().Add(modelClaim), free
	switch rapid.IntRange(0, 3).Draw(r, "what becomes of it") {
	case 0: // the notifier dies
	case 1:
		m.check(m.Store.Delivered(ctx, d))
		l.queue, l.claimed, l.free = l.queue[1:], time.Time{}, time.Time{}
	case 2:
		l.claimed = m.now().Add(10 * time.Second)
		l.free = l.claimed
		m.check(m.Store.Postpone(ctx, d, l.claimed, "not now"))
	case 3:
		m.check(m.Store.Abandon(ctx, d, "never"))
		l.queue, l.claimed, l.free = l.queue[1:], time.Time{}, time.Time{}
	}
}

// settle ends everything and wants all that the model knows to be on record.
func (m *model) settle() {
	m.Advance(time.Hour)
	ctx := m.test.Context()
	for {
		batch, err := m.Store.Undelivered(ctx, "teller", modelClaim, 100)
		m.check(err)
		if len(batch) == 0 {
			break
		}
		for _, d := range batch {
			l := m.life(d.Fact.Deployment)
			if len(l.queue) == 0 || l.queue[0] != d.Fact.ID {
				m.Fatalf("%s was told in the end, the queue is %v", d.Fact.ID, l.queue)
			}
			l.queue = l.queue[1:]
			m.check(m.Store.Delivered(ctx, d))
		}
	}
	for _, l := range m.all {
		if len(l.queue) > 0 {
			m.Fatalf("never told: %v", l.queue)
		}
		effects, err := m.Store.Effects(ctx, l.id)
		m.check(err)
		var ops []string
		open := ""
		for _, e := range effects {
			ops = append(ops, e.Desired.OpID)
			if e.Outcome == nil {
				open += e.Desired.OpID
			}
		}
		if !slices.Equal(ops, l.ops) || open != l.open {
			m.Fatalf("%s has the effects %v with %q open, want %v and %q", l.id, ops, open, l.ops, l.open)
		}
		d, err := m.Store.Deployment(ctx, l.id)
		m.check(err)
		if d.Version != l.version {
			m.Fatalf("%s is at version %d, want %d", l.id, d.Version, l.version)
		}
	}
}

// anyWork is any lease that was ever taken, the latest ones more often.
func (m *model) anyWork(r *rapid.T) int {
	if len(m.work) == 0 {
		r.Skip("nobody has anything")
	}
	return len(m.work) - 1 - rapid.IntRange(0, len(m.work)-1).Draw(r, "lease")
}

func (m *model) life(id string) *life {
	i := slices.IndexFunc(m.all, func(l *life) bool { return l.id == id })
	if i < 0 {
		m.Fatalf("there is no deployment %q", id)
	}
	return m.all[i]
}

func (m *model) now() time.Time {
	now, err := m.Store.Now(m.test.Context())
	m.check(err)
	return now
}

func (m *model) check(err error) {
	if err != nil {
		m.Fatalf("%v", err)
	}
}
