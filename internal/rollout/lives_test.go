package rollout_test

import (
	"flag"
	"fmt"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/race"
	"github.com/deployguardian/adg/internal/rollout"
)

// maxTicks is more than any life may take: the longest deadline in the shortest interval, and the rollback after it.
const maxTicks = 20_000

func TestInvariantsHoldOverRandomLives(t *testing.T) {
	lives, few := 10_000, race.Enabled || testing.Short()
	if few {
		lives = 500
	}
	defer debug.SetGCPercent(debug.SetGCPercent(800)) // much garbage, little memory
	seen := coverage{}
	lived, ticks := 0, 0
	live := func(lives int) {
		if testing.Short() {
			lives *= 5 // rapid takes a fifth of them then
		}
		if err := flag.Set("rapid.checks", strconv.Itoa(lives)); err != nil {
			t.Fatal(err)
		}
		rapid.Check(t, func(r *rapid.T) {
			l := newRandomLife(r, seen)
			l.run()
			lived++
			ticks += l.ticks
		})
	}
	live(lives)
	// The rarest events meet a state three times in so many lives: chance may leave one of them out.
	for more := 0; !few && more < 20 && !t.Failed() && len(seen.missing()) > 0; more++ {
		live(lives / 5)
	}
	t.Logf("%d lives, %d ticks\n%s", lived, ticks, seen)
	if lived < lives {
		t.Errorf("%d lives were lived, %d are wanted", lived, lives)
	}
	if !few {
		seen.complete(t)
	}
}

// randomPolicy draws a policy with times of minutes, so that lives are short.
func randomPolicy(r *rapid.T) adg.Policy {
	pick := func(name string, choices ...time.Duration) time.Duration {
		return rapid.SampledFrom(choices).Draw(r, name)
	}
	flip := func(name string) bool { return rapid.IntRange(0, 4).Draw(r, name) == 4 }
	p := adg.Policy{
		Service: "shop", Environment: "production",
		Interval: pick("interval", 10*time.Second, 5*time.Second, 20*time.Second),
		WarmUp:   pick("warm-up", 0, 15*time.Second), Settle: pick("settle", 2*time.Minute, 40*time.Second),
		GateTimeout: pick("gate timeout", 3*time.Minute, 8*time.Minute),
		UnknownHold: pick("unknown hold", 0, 90*time.Second),
		AtDeadline:  rapid.SampledFrom([]adg.AtDeadline{adg.EndToLastGood, adg.EndKeep, adg.EndPage}).Draw(r, "at deadline"),
		Approve:     flip("approve"), FourEyes: flip("four eyes"),
	}
	for i := range rapid.IntRange(1, 3).Draw(r, "checks") {
		c := newCheck("check" + strconv.Itoa(i))
		c.Compare = rapid.SampledFrom([]adg.Comparison{adg.Threshold, adg.Probe, adg.Events}).Draw(r, "comparison")
		c.Interval = pick("own interval", 0, 0, 35*time.Second)
		p.Checks = append(p.Checks, c)
	}
	p.Strategy.Kind = rapid.SampledFrom([]adg.StrategyKind{adg.Canary, adg.BlueGreen, adg.RollingUpdate, adg.FeatureFlag, adg.Recreate}).Draw(r, "strategy")
	shares := map[adg.StrategyKind][]float64{
		adg.Canary: {5, 50, 100}, adg.BlueGreen: {0, 100}, adg.RollingUpdate: {50, 100}, adg.FeatureFlag: {0, 1, 100}, adg.Recreate: {100},
	}[p.Strategy.Kind]
	for _, share := range shares {
		p.Strategy.Steps = append(p.Strategy.Steps, adg.Step{Share: share, Bake: pick("bake", 30*time.Second, time.Minute, 0), Pause: flip("pause")})
	}
	p.Strategy.Keep = pick("keep", 0, time.Minute)
	for i := range rapid.IntRange(0, 2).Draw(r, "phases") {
		phase := adg.Phase{Name: "phase" + strconv.Itoa(i), For: pick("for", time.Minute, 30*time.Second), Interval: pick("every", 10*time.Second, 25*time.Second)}
		if flip("some checks") {
			phase.Checks = []string{"check0"}
		}
		p.Verify = append(p.Verify, phase)
	}
	p.Rollback = adg.RollbackPolicy{
		Trust:   rapid.SampledFrom([]adg.Trust{adg.Auto, adg.Auto, adg.Ask, adg.Suggest, adg.Observe}).Draw(r, "trust"),
		Recover: pick("recover", 20*time.Second, time.Minute), AskTimeout: pick("ask timeout", time.Minute, 5*time.Minute),
		AskThen:  rapid.SampledFrom([]adg.AskThen{adg.AskThenHold, adg.AskThenRollBack}).Draw(r, "ask then"),
		Attempts: rapid.IntRange(1, 3).Draw(r, "attempts"), Timeout: pick("timeout", 30*time.Second, time.Minute),
		VerifyFor: pick("verify for", 20*time.Second, 40*time.Second), VerifyMax: pick("verify max", 2*time.Minute, 4*time.Minute),
		HoldFor: pick("hold for", 0, time.Hour), PerHour: 2, SchemaIrreversible: flip("irreversible"),
	}
	if flip("fallback") {
		p.Rollback.Fallback = "spare"
	}
	if p.Strategy.Kind == adg.Canary || p.Strategy.Kind == adg.FeatureFlag {
		p.Rollback.Over = pick("over", 0, 0, time.Minute)
	}
	if flip("risk") {
		p.Risk = adg.RiskPolicy{Warn: adg.RiskLimit{Below: 0.9}, Approve: adg.RiskLimit{Below: 0.7}, Block: adg.RiskLimit{Bound: adg.BoundUpper, Below: 0.6}}
	}
	for range rapid.IntRange(1, 2).Draw(r, "rules") {
		p.Rollback.Rules = append(p.Rollback.Rules, adg.Rule{
			When: rapid.SampledFrom([]adg.Health{adg.Unhealthy, adg.Degraded}).Draw(r, "when"),
			For:  pick("bad for", 20*time.Second, time.Minute, 0), After: pick("grace", 0, 90*time.Second),
		})
	}
	p = p.WithDefaults()
	p.Deadline = pick("deadline", 8*time.Minute, 14*time.Minute)
	return p
}

// randomLife is one deployment in a world that may do anything: whatever is drawn, drawing zeros is a quiet life.
type randomLife struct {
	r    *rapid.T
	seen coverage
	d    adg.Deployment
	now  time.Time
	last time.Time // of the tick before

	health  adg.Health
	quiet   bool // no assessment comes although checks are due
	lasting bool // a check failed for good
	fleet   adg.Fleet
	newer   string
	gate    adg.GateState
	want    *adg.Desired
	target  int // what the target is like, see observe

	ticks  int
	jumps  int
	facts  map[string]bool
	oracle oracle
}

func newRandomLife(r *rapid.T, seen coverage) *randomLife {
	spec := adg.Spec{
		Release: adg.Release{Service: "shop", Version: "v2"}, LastGood: &adg.Release{Service: "shop", Version: "v1"},
		Actor: "ann", Created: epoch, Policy: randomPolicy(r),
	}
	if success := rapid.SampledFrom([]float64{0, 0.95, 0.8, 0.6, 0.3}).Draw(r, "predicted"); success > 0 {
		spec.Prediction = &adg.Prediction{Success: success, Low: success - 0.2, High: success + 0.04, Base: 0.9}
	}
	switch rapid.IntRange(0, 12).Draw(r, "last good") {
	case 11:
		spec.LastGood = nil
	case 12:
		spec.LastGood.Version = "v2"
	}
	if err := spec.Policy.Validate(); err != nil && !strings.Contains(err.Error(), "deadline") {
		r.Fatalf("the policy that was drawn is wrong: %v", err)
	}
	start := rapid.IntRange(0, 11).Draw(r, "health at the start")
	return &randomLife{
		r: r, seen: seen, d: adg.Deployment{ID: "d", Version: 1, Spec: spec}, now: epoch,
		health: []adg.Health{adg.Healthy, adg.Degraded, adg.Unhealthy, adg.HealthUnknown}[max(start-8, 0)], quiet: start == 7, gate: adg.GateOpen, facts: map[string]bool{}, oracle: oracle{better: make([]time.Time, len(spec.Policy.Rollback.Rules))},
	}
}

// run lives the life to its end, and a little beyond.
func (l *randomLife) run() {
	for !l.d.Status.State.Ended() {
		if l.ticks++; l.ticks > maxTicks {
			l.r.Fatalf("the deployment did not end within %d ticks: %s", maxTicks, l.d.Status.State)
		}
		l.turn()
	}
	for range 2 {
		l.turn()
	}
}

// dice is one draw, of which fields take what they need.
type dice uint64

// shaken spreads a draw over all bits, because rapid prefers small numbers. Zero, which it shrinks to, stays quiet.
func shaken(draw uint64) dice {
	draw ^= draw >> 30
	draw *= 0xbf58476d1ce4e5b9
	draw ^= draw >> 27
	draw *= 0x94d049bb133111eb
	return dice(draw ^ draw>>31)
}

// roll gives a number from 0 to n-1.
func (d *dice) roll(n uint64) int {
	v := uint64(*d) % n
	*d /= dice(n)
	return int(v)
}

// turn is one tick.
func (l *randomLife) turn() {
	d := shaken(rapid.Uint64().Draw(l.r, "tick"))
	var events []string
	add := func(format string, args ...any) { events = append(events, fmt.Sprintf(format, args...)) }
	l.passTime(&d, add)
	l.changeWorld(&d)
	in := adg.Input{Now: l.now, Fleet: l.fleet, Newer: l.newer}
	need := rollout.Wants(l.d, l.now)
	l.measure(need, &in, &d, add)
	l.hear(need, &in, &d, add)
	if k := d.roll(200); k > 191 {
		kind := adg.CommandKind(k - 192)
		in.Command = &adg.Command{ID: "c", Kind: kind, Actor: []string{"bob", "ann"}[d.roll(2)], Reason: "because"}
		add("command %s", kind)
	}
	if l.newer != "" {
		add("a newer deployment")
	}
	switch f := l.fleet; {
	case f.Stopped != "":
		add("the line is stopped")
	case f.Rolling != "":
		add("another rollback of the service")
	case f.TurnedBad >= 3:
		add("three services turned bad")
	case f.Rollbacks >= 2:
		add("the hourly limit")
	}
	if need.Gates || d.roll(40) == 39 {
		in.Gates = []adg.Gate{{Name: "freeze", Open: l.gate, Text: "as drawn"}}
		add("gate %s", l.gate)
	}
	if s := l.d.Status; !s.Deadline.IsZero() && !l.now.Before(s.Deadline) {
		add("the deadline has passed")
	}
	l.seen.count(l.d.Status.State, events)
	l.step(in)
}

// step decides, checks the decision, and does what it says.
func (l *randomLife) step(in adg.Input) {
	before := frozenCopy(&l.d, &in)
	dec := rollout.Step(l.d, in)
	before.unchanged(l.r, &l.d, &in)
	if l.ticks%16 == 0 {
		deterministic(l.r, &l.d, &in, &dec)
	}
	l.check(&in, &dec)
	l.last = l.now
	l.d.Status = dec.Next
	l.d.Version++
	if dec.Apply != nil {
		l.want = dec.Apply
	}
}

// passTime moves the clock: mostly to when the next tick is due.
func (l *randomLife) passTime(d *dice, add func(string, ...any)) {
	due := l.d.Status.Due
	if due.IsZero() {
		return
	}
	every := l.d.Spec.Policy.Interval
	switch k := d.roll(64); {
	case k < 50:
		l.now = due
	case k < 54 && due.After(l.now):
		l.now = l.now.Add(due.Sub(l.now) / 2)
		add("a tick before it is due")
	case k < 60:
		l.now = due.Add(time.Duration(k-53) * every / 2)
		add("a late tick")
	case k == 60 && l.jumps < 3:
		l.jumps++
		l.now = due.Add(4 * time.Minute)
		add("the clock jumps ahead")
	case k == 61 && l.jumps < 3:
		l.jumps++
		l.now = l.now.Add(-7 * time.Minute)
		add("the clock jumps back")
	default:
		l.now = due
	}
}

func (l *randomLife) changeWorld(d *dice) {
	if k := d.roll(48); k > 42 {
		l.quiet = k == 47
		l.health = []adg.Health{adg.Healthy, adg.Degraded, adg.Unhealthy, adg.HealthUnknown, l.health}[k-43]
	} else if k > 36 {
		l.health, l.quiet = adg.Healthy, false
	}
	if k := d.roll(40); k > 32 {
		l.target = k - 33
	}
	switch d.roll(160) {
	case 155:
		l.fleet = adg.Fleet{Stopped: "carol"}
	case 156:
		l.fleet = adg.Fleet{TurnedBad: 3}
	case 157:
		l.fleet = adg.Fleet{Rollbacks: 2}
	case 158:
		l.fleet = adg.Fleet{Rolling: "d-0"}
	case 159:
		l.newer = "d-2"
	case 130, 131, 132, 133, 134, 135, 136:
		l.fleet, l.newer = adg.Fleet{}, ""
	}
	if k := d.roll(50); k > 40 {
		l.gate = map[int]adg.GateState{41: adg.GateShut, 42: adg.GateUnknown, 43: adg.GateRefused}[k]
		if k > 43 {
			l.gate = adg.GateOpen
		}
	}
}

// measure gives an assessment, mostly when one is wanted.
func (l *randomLife) measure(need rollout.Need, in *adg.Input, d *dice, add func(string, ...any)) {
	unasked := d.roll(25) == 24
	if len(need.Checks) == 0 && !unasked {
		add("nothing to measure")
		return
	}
	if l.quiet {
		add("no assessment")
		return
	}
	in.Assessment = &adg.Assessment{At: l.now, Health: l.health, Text: "as drawn"}
	for _, c := range l.d.Spec.Policy.Checks {
		j := adg.Judgement{Check: c.Name, At: l.now}
		switch {
		case l.health == adg.Unhealthy:
			j.Verdict, j.Final = adg.Fail, d.roll(30) == 29
			l.lasting = l.lasting || j.Final
		case l.health == adg.HealthUnknown && d.roll(3) == 2:
			j.Why = adg.TooEarly
		}
		in.Assessment.Judgements = append(in.Assessment.Judgements, j)
		in.Watches = append(in.Watches, adg.Watch{Check: c.Name, Last: j, State: adg.CheckState{Streak: l.ticks}})
	}
	add("health %s", l.health)
}

// hear gives what the target says: well most of the time.
func (l *randomLife) hear(need rollout.Need, in *adg.Input, d *dice, add func(string, ...any)) {
	s := l.d.Status
	strange := d.roll(24)
	if s.Op != "" || strange == 23 {
		out := &adg.Outcome{OpID: s.Op, At: l.now, Observed: l.observed(0)}
		switch k := d.roll(24); {
		case k < 14:
			add("outcome done")
		case k < 17:
			out.Observed = adg.Observed{Text: "on its way"}
			add("outcome not done yet")
		case k < 20:
			out.Err = "connection refused"
			add("outcome error")
		case k == 20:
			out.Err, out.Final = "no such server", true
			add("outcome final error")
		case k == 21:
			out.OpID = "d/999"
			add("outcome of another operation")
		default:
			out = nil
			add("the outcome is lost")
		}
		in.Outcome = out
	}
	if need.Rehearse || strange == 21 {
		in.Rehearsal = &adg.Rehearsal{}
		switch d.roll(16) {
		case 15:
			in.Rehearsal.Obstacles = []adg.Obstacle{{Name: "release", Final: true, Text: "it is gone"}}
			add("the way back is blocked")
		case 14:
			in.Rehearsal.Obstacles = []adg.Obstacle{{Name: "capacity", Text: "there may be no room"}}
			add("the way back is doubtful")
		case 13:
			in.Rehearsal.Err = "nobody answers"
			add("the rehearsal fails")
		}
	}
	if need.Observe || strange == 22 || s.State == adg.Pending && strange > 15 {
		add("%s", []string{"target done", "target done", "target not done", "target failed", "target lies", "target silent", "target speaks of another operation"}[l.target])
		if l.target != 5 {
			seen := l.observed(l.target)
			in.Observed = &seen
		}
	}
}

// observed is what a target of that kind reports.
func (l *randomLife) observed(kind int) adg.Observed {
	if l.want == nil {
		return adg.Observed{}
	}
	switch kind {
	case 2:
		return adg.Observed{Text: "on its way"}
	case 3:
		return adg.Observed{Failed: true, Text: "gave up"}
	case 4:
		other := "v2"
		if l.want.Releases[0].Release.Version == "v2" && l.want.Releases[0].Share > 50 {
			other = "v0"
		}
		return adg.Observed{Done: true, Releases: []adg.Placement{{Release: adg.Release{Version: other}, Share: 100}}}
	case 6:
		return adg.Observed{Done: true, OpID: "d/999"}
	}
	seen := adg.Observed{Done: true, OpID: l.want.OpID, Releases: slices.Clone(l.want.Releases)}
	if l.want.Rollback && l.ticks%7 > 0 {
		seen.Suspended = "automated sync"
	}
	return seen
}
