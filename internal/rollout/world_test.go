package rollout_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/rollout"
)

// world is everything that a scenario's deployment meets: its target, its checks, the fleet, the humans, the clock.
// It plays the guard, tick by tick.
type world struct {
	d      adg.Deployment
	t      time.Duration // since the scenario began
	jumped time.Duration // what the clock is wrong by
	asleep time.Duration // until when nobody looks

	health   adg.Health    // of the new release
	restored adg.Health    // of the old one after a rollback
	judged   adg.Judgement // what a sequential check says of it: final, early, how well proven
	text     string
	gates    []adg.Gate
	fleet    adg.Fleet
	newer    string
	commands []adg.Command
	outcome  *adg.Outcome // made up by the scenario
	target   target

	record []string            // the timeline
	said   map[string][]string // reasons and fact texts, by the time they were given
}

// target is the platform of a scenario.
type target struct {
	takes  time.Duration // until it has converged
	fails  int           // so many attempts from now on
	final  bool          // and trying again cannot help
	silent bool          // nobody can read its state
	gaveUp bool
	lies   string // says done, with this release live
	lose   bool   // the next attempt works, and its outcome is lost

	rehearsal adg.Rehearsal // of the way back
	suspends  string        // what it keeps from undoing a rollback
	others    string        // the release that somebody else has brought there

	want *adg.Desired
	done time.Duration
	runs []string // the operations that it was asked for
}

// happen changes the world, or says why it can't.
func (w *world) happen(e event) error {
	subject, rest := e.words[0], e.words[1:]
	switch subject {
	case "health":
		return one(rest, "health healthy|degraded|unhealthy|unknown", func(v string) error { w.text = e.text; return w.health.UnmarshalText([]byte(v)) })
	case "test":
		return one(rest, "test final|weak|early|baked|proven|open", w.test)
	case "restored-health":
		return one(rest, "restored-health healthy|unknown", func(v string) error { return w.restored.UnmarshalText([]byte(v)) })
	case "newer":
		return one(rest, "newer ID", func(v string) error { w.newer = v; return nil })
	case "clock":
		return one(rest, "clock +1h", func(v string) error {
			by, err := time.ParseDuration(v)
			w.jumped += by
			return err
		})
	case "sleep":
		return one(rest, "sleep 10m", func(v string) error {
			long, err := time.ParseDuration(v)
			w.asleep = e.at + long
			return err
		})
	case "outcome":
		return one(rest, "outcome OPERATION", func(v string) error {
			w.outcome = &adg.Outcome{OpID: v, Observed: adg.Observed{Done: true}}
			return nil
		})
	case "gate":
		return w.gate(rest, e.text)
	case "fleet":
		return w.state(rest, e.text)
	case "target":
		return w.target.becomes(rest, e.text)
	case "command":
		return w.command(e, rest)
	}
	return fmt.Errorf("unknown event %q: choose one of health, restored-health, gate, command, fleet, newer, target, outcome, clock, sleep, says", subject)
}

func one(rest []string, usage string, set func(string) error) error {
	if len(rest) != 1 {
		return fmt.Errorf("write: %s", usage)
	}
	return set(rest[0])
}

func (w *world) gate(rest []string, text string) error {
	if len(rest) != 2 {
		return fmt.Errorf("write: gate freeze open|shut|refused|unknown: why")
	}
	g := adg.Gate{Name: rest[0], Text: text}
	if err := g.Open.UnmarshalText([]byte(rest[1])); err != nil {
		return err
	}
	w.gates = slices.DeleteFunc(w.gates, func(old adg.Gate) bool { return old.Name == g.Name })
	w.gates = append(w.gates, g)
	return nil
}

func (w *world) state(rest []string, text string) error {
	if len(rest) == 0 {
		return fmt.Errorf("write: fleet quiet|stopped|rolling|turned-bad 3|rollbacks 10")
	}
	switch rest[0] {
	case "quiet":
		w.fleet = adg.Fleet{}
		return nil
	case "stopped":
		w.fleet.Stopped = text
		return nil
	case "rolling":
		w.fleet.Rolling = text
		return nil
	case "turned-bad":
		return one(rest[1:], "fleet turned-bad 3", func(v string) error { return count(&w.fleet.TurnedBad, v) })
	case "rollbacks":
		return one(rest[1:], "fleet rollbacks 10", func(v string) error { return count(&w.fleet.Rollbacks, v) })
	}
	return fmt.Errorf("unknown fleet %q: choose one of quiet, stopped, rolling, turned-bad, rollbacks", rest[0])
}

func (t *target) becomes(rest []string, text string) error {
	if len(rest) == 0 {
		return fmt.Errorf("write: target well|silent|takes 30s|fails 2|fails-for-good|gives-up|says v1|loses")
	}
	switch rest[0] {
	case "well":
		*t = target{want: t.want, done: t.done, runs: t.runs, suspends: t.suspends}
	case "way-back":
		return one(rest[1:], "target way-back clear|blocked|doubtful|unknown: why", func(v string) error { return t.wayBack(v, text) })
	case "suspends":
		t.suspends = text
	case "others":
		return one(rest[1:], "target others v2", func(v string) error { t.others = v; return nil })
	case "silent":
		t.silent = true
	case "gives-up":
		t.gaveUp = true
	case "loses":
		t.lose = true
	case "fails-for-good":
		t.fails, t.final = 1, true
	case "takes":
		return one(rest[1:], "target takes 30s", func(v string) error { return positive(&t.takes, v) })
	case "fails":
		return one(rest[1:], "target fails 2", func(v string) error { return count(&t.fails, v) })
	case "says":
		return one(rest[1:], "target says v1", func(v string) error { t.lies = v; return nil })
	default:
		return fmt.Errorf("unknown target %q: choose one of well, silent, takes, fails, fails-for-good, gives-up, says, loses, way-back, suspends, others", rest[0])
	}
	return none(rest[min(len(rest), 1):])
}

// wayBack is what a rehearsal comes to from now on.
func (t *target) wayBack(v, text string) error {
	switch v {
	case "clear":
		t.rehearsal = adg.Rehearsal{}
	case "blocked", "doubtful":
		t.rehearsal = adg.Rehearsal{Obstacles: []adg.Obstacle{{Name: "release", Final: v == "blocked", Text: text}}}
	case "unknown":
		t.rehearsal = adg.Rehearsal{Err: text}
	default:
		return fmt.Errorf("%q is no way back", v)
	}
	return nil
}

func (w *world) command(e event, rest []string) error {
	if len(rest) != 3 || rest[1] != "by" {
		return fmt.Errorf("write: command promote by bob: why")
	}
	c := adg.Command{ID: strconv.Itoa(e.line), Actor: rest[2], Reason: e.text}
	if err := c.Kind.UnmarshalText([]byte(rest[0])); err != nil {
		return err
	}
	w.commands = append(w.commands, c)
	return nil
}

// Private

// play runs a scenario to its end, or to a limit that no scenario needs.
func play(sc scenario) *world {
	w := &world{
		d:      adg.Deployment{ID: "d", Version: 1, Spec: sc.spec},
		health: adg.Healthy, restored: adg.Healthy, said: map[string][]string{},
	}
	events := sc.events
	for n := 0; n < 100_000 && !w.d.Status.State.Ended(); n++ {
		next := max(w.t, w.asleep, w.due())
		if len(events) > 0 && events[0].at <= next {
			e := events[0]
			events = events[1:]
			w.t = max(w.t, e.at)
			if err := w.happen(e); err != nil {
				panic(fmt.Sprintf("line %d: %v", e.line, err)) // the parser has tried it
			}
			if e.words[0] != "command" && e.words[0] != "outcome" {
				continue
			}
			next = max(w.t, w.asleep)
		}
		w.t = next
		w.look()
	}
	return w
}

// due is when the deployment wants to be looked at, in the world's time.
func (w *world) due() time.Duration {
	if w.d.Status.Due.IsZero() {
		return 0
	}
	return w.d.Status.Due.Sub(epoch) - w.jumped
}

func (w *world) now() time.Time { return epoch.Add(w.t + w.jumped) }

// test is what the sequential checks of the scenario say from now on.
func (w *world) test(v string) error {
	switch v {
	case "final":
		w.judged = adg.Judgement{Verdict: adg.Fail, Why: adg.Worse, Final: true}
	case "weak":
		w.judged = adg.Judgement{Verdict: adg.Fail, Why: adg.Worse, Final: true, Weak: true}
	case "early":
		w.judged = adg.Judgement{Verdict: adg.Unknown, Why: adg.TooEarly}
	case "baked":
		w.judged = adg.Judgement{Verdict: adg.Pass, Why: adg.NothingFound, Proof: adg.Baked}
	case "proven":
		w.judged = adg.Judgement{Verdict: adg.Pass, Why: adg.NotWorse, Proof: adg.Proven}
	case "open":
		w.judged = adg.Judgement{}
	default:
		return fmt.Errorf("%q is no word of a test", v)
	}
	return nil
}

// look is one turn of the guard: find out, decide, act, and take in the outcome.
func (w *world) look() {
	in := adg.Input{Now: w.now(), Newer: w.newer, Fleet: w.fleet}
	need := rollout.Wants(w.d, in.Now)
	if w.d.Status.Op != "" && w.outcome == nil {
		w.settle()
		return
	}
	in.Outcome, w.outcome = w.outcome, nil
	if need.Gates {
		in.Gates = w.gates
	}
	if need.Observe && !w.target.silent {
		seen := w.target.current(w.t)
		in.Observed = &seen
	}
	if need.Rehearse {
		rehearsal := w.target.rehearsal
		in.Rehearsal = &rehearsal
	}
	if len(need.Checks) > 0 {
		in.Assessment = &adg.Assessment{At: in.Now, Health: w.health, Text: w.text}
		if need.Restored {
			in.Assessment.Health, in.Assessment.Text = w.restored, ""
		}
		if in.Now.Before(need.From) {
			in.Assessment.Health = adg.HealthUnknown
		}
		for _, c := range w.d.Spec.Policy.Checks {
			w.judged.Check = c.Name
			in.Assessment.Judgements = append(in.Assessment.Judgements, w.judged)
			in.Watches = append(in.Watches, adg.Watch{Check: c.Name, Last: w.judged})
		}
	}
	if len(w.commands) > 0 {
		in.Command = &w.commands[0]
		w.commands = w.commands[1:]
	}
	w.step(in)
}

// settle is what the next owner does with an effect whose outcome nobody wrote: read the target, then finish.
func (w *world) settle() {
	seen := w.target.current(w.t)
	if !seen.Done {
		w.target.apply(w.t, *w.target.want)
		seen = w.target.current(w.t)
	}
	w.step(adg.Input{Now: w.now(), Outcome: &adg.Outcome{OpID: w.d.Status.Op, Observed: seen}})
}

func (w *world) step(in adg.Input) {
	dec := rollout.Step(w.d, in)
	if dec.Kind == adg.RollBack && !w.target.silent {
		in.Suspends = w.target.suspends
		dec = rollout.Step(w.d, in)
	}
	w.note(dec)
	w.d.Status = dec.Next
	w.d.Version++
	if dec.Apply == nil {
		return
	}
	if err := dec.Apply.Validate(); err != nil {
		panic(err)
	}
	out := w.target.apply(w.t, *dec.Apply)
	if out == nil {
		return
	}
	w.step(adg.Input{Now: w.now(), Outcome: out, Fleet: w.fleet, Newer: w.newer})
}

func (t *target) apply(now time.Duration, want adg.Desired) *adg.Outcome {
	t.runs = append(t.runs, want.OpID)
	if t.fails > 0 {
		t.fails--
		return &adg.Outcome{OpID: want.OpID, Err: "connection refused", Final: t.final, Observed: t.after(now)}
	}
	if t.want == nil || t.want.OpID != want.OpID {
		t.others = ""
		t.want, t.done = &want, now+t.takes
	}
	if t.lose {
		t.lose = false
		return nil
	}
	return &adg.Outcome{OpID: want.OpID, Observed: t.current(now)}
}

// after is what it reports after an attempt that failed: what was live before it.
func (t *target) after(now time.Duration) adg.Observed {
	seen := t.current(now)
	seen.Suspended = t.suspends
	return seen
}

func (t *target) current(now time.Duration) adg.Observed {
	switch {
	case t.want == nil:
		return adg.Observed{Done: true, Releases: []adg.Placement{{Release: adg.Release{Version: "v1"}, Share: 100}}}
	case t.lies != "":
		return adg.Observed{Done: true, Releases: []adg.Placement{{Release: adg.Release{Version: t.lies}, Share: 100}}}
	case t.others != "":
		return adg.Observed{OpID: t.want.OpID, Text: "somebody else is at work", Releases: []adg.Placement{{Release: adg.Release{Version: t.others}, Share: 100}}}
	case t.gaveUp:
		return adg.Observed{Failed: true, Text: "2 of 3 replicas never became ready"}
	case now < t.done:
		return adg.Observed{Text: "on its way"}
	}
	seen := adg.Observed{Done: true, Releases: t.want.Releases, OpID: t.want.OpID}
	if t.want.Rollback {
		seen.Suspended = t.suspends
	}
	return seen
}

// note writes a decision that changed something into the timeline.
func (w *world) note(dec adg.Decision) {
	at := w.t.String()
	w.said[at] = append(w.said[at], dec.Reasons...)
	for _, f := range dec.Facts {
		w.said[at] = append(w.said[at], f.Text)
	}
	if !dec.Changed() {
		return
	}
	var did []string
	if dec.Apply != nil {
		did = append(did, "apply "+placements(*dec.Apply))
	}
	if dec.Slot > 0 {
		did = append(did, "take a slot")
	}
	if dec.Hold != nil {
		did = append(did, strings.TrimSuffix("put "+dec.Hold.Identity+" on hold beside "+dec.Hold.Suspended, " beside "))
	}
	if dec.Standing != nil {
		did = append(did, dec.Standing.Release.Version+" is "+dec.Standing.Standing.String())
	}
	for _, f := range dec.Facts {
		mark := ""
		if f.Urgent {
			mark = "!"
		}
		did = append(did, "tell "+f.Kind.String()+mark)
	}
	line := fmt.Sprintf("%-8s %-22s %s", at, where(w.d.Spec, dec.Next), strings.Join(did, ", "))
	w.record = append(w.record, strings.TrimRight(line, " "))
}

func placements(want adg.Desired) string {
	var words []string
	for _, p := range want.Releases {
		words = append(words, fmt.Sprintf("%s=%g", p.Release.Version, p.Share))
	}
	return strings.Join(words, " ")
}

// where is the state with the step or phase.
func where(spec adg.Spec, s adg.Status) string {
	switch s.State {
	case adg.Rolling:
		return fmt.Sprintf("rolling %g%%", spec.Policy.Strategy.Steps[s.Step].Share)
	case adg.Verifying:
		if s.Phase < len(spec.Policy.Verify) {
			return "verifying " + spec.Policy.Verify[s.Phase].Name
		}
	case adg.Held:
		return "held by " + strings.Split(s.HeldBy, ":")[0]
	case adg.Pending, adg.Gated, adg.RollbackPending, adg.RollingBack, adg.VerifyingRollback, adg.Blocked,
		adg.Succeeded, adg.RolledBack, adg.RollbackFailed, adg.Cancelled, adg.Superseded, adg.Undecided:
	}
	return s.State.String()
}
