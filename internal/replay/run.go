package replay

import (
	"cmp"
	"slices"
	"strings"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/rollout"
	"github.com/deployguardian/adg/internal/verdict"
)

// run goes through the ticks of one deployment.
type run struct {
	d       adg.Deployment // with the version and the status before the next tick
	frozen  []adg.Baseline
	seen    int64 // the last tick
	known   bool  // the status before the next tick follows from those before it
	drifted bool  // it is not what it was: a tick since the last decision came out differently
	blank   bool  // what the checks remember is not known since a tick whose measurements are gone
	result  Result
}

func newRun(d adg.Deployment, frozen []adg.Baseline) *run {
	r := &run{d: d, frozen: frozen, known: true, seen: 1, result: Result{Deployment: d.ID, State: d.Status.State, Made: d.Version - 1}}
	r.d.Version, r.d.Status = 1, adg.Status{}
	return r
}

// tick makes one tick again. After a difference it goes on from what is on record, so that one change of the code is
// not counted for every tick that follows from it.
func (r *run) tick(e adg.Entry, measured []adg.Measurement) {
	follows := r.known && e.Seq == r.seen+1
	r.seen = e.Seq
	if !follows && e.Quiet {
		r.known = false
		r.result.Unfollowed++
		return
	}
	var found changes
	switch {
	case e.Quiet:
	case !follows:
		r.result.Alone++
		r.d.Status = e.Before
	default:
		if !r.drifted {
			found.compare("before", e.Before, r.d.Status)
		}
		r.d.Status = e.Before
	}
	r.d.Version = e.Seq - 1
	r.result.Ticks++
	if !e.Quiet {
		r.result.Decisions++
	}

	in := r.look(e, measured, &found)
	decision := rollout.Step(r.d, in)
	d := Difference{Seq: e.Seq, At: e.Input.Now}
	switch {
	case !e.Quiet:
		found.compare("decision", e.Decision, decision)
		if !slices.Equal(e.Decision.Reasons, decision.Reasons) {
			d.Was, d.WouldBe = e.Decision.Reasons, decision.Reasons
		}
		r.d.Status, r.known, r.drifted, r.blank = e.Decision.Next, true, false, false
	case decision.Changed():
		found.add("decision", "to go on", describe(decision))
		d.WouldBe = decision.Reasons
		r.known = false // it would have been another life from here on
	default:
		r.d.Status, r.drifted = decision.Next, r.drifted || r.blank || found.n > 0
	}
	r.differs(d, found)
}

// end compares the last status with the one that is stored, and gives the result.
func (r *run) end(stored adg.Deployment) Result {
	if r.known && !r.drifted && r.seen == stored.Version {
		var found changes
		found.compare("status", stored.Status, r.d.Status)
		r.differs(Difference{At: stored.Status.Ticked}, found)
	}
	r.result.Made = max(r.result.Made, r.seen-1)
	return r.result
}

// Private

// look judges again what was measured for a tick, and gives the input with the judgements that the code makes now.
// Where what they were made of is gone it gives those on record.
func (r *run) look(e adg.Entry, measured []adg.Measurement, found *changes) adg.Input {
	in := e.Input
	if in.Outcome != nil {
		return in // the tick closed an effect, and looked at nothing else
	}
	need := rollout.Wants(r.d, in.Now)
	var asked []verdict.Question
	if len(need.Checks) > 0 {
		asked = verdict.Questions(r.d, need, r.frozen, in.Now)
	}
	if in.Assessment == nil {
		if len(asked) > 0 {
			found.add("questions", "none", questions(asked))
		}
		return in
	}
	if len(measured) == 0 || r.blank && e.Quiet {
		r.result.Unmeasured++
		return r.recorded(e)
	}
	if was, wouldBe := answers(measured), questions(asked); was != wouldBe {
		found.add("questions", was, cmp.Or(wouldBe, "none"))
		return r.recorded(e)
	}
	assessment, watches := verdict.Of(r.d, need, asked, measured, r.frozen, in.Now)
	found.compare("assessment", *in.Assessment, assessment)
	if !e.Quiet {
		found.compare("watches", in.Watches, watches)
	}
	in.Assessment, in.Watches = &assessment, watches
	return in
}

// recorded is the input with the judgements on record. What the checks remember is not on record of a quiet tick:
// until the next decision nothing can be judged again.
func (r *run) recorded(e adg.Entry) adg.Input {
	in := e.Input
	if e.Quiet {
		r.blank = true
		for _, j := range in.Assessment.Judgements {
			in.Watches = append(in.Watches, adg.Watch{Check: j.Check, Last: j})
		}
	}
	return in
}

// differs puts a tick on record that came out differently.
func (r *run) differs(d Difference, found changes) {
	if found.n == 0 {
		return
	}
	r.result.Different++
	if len(r.result.Shown) < maxDifferences {
		d.Changes, d.More = found.list, found.n-len(found.list)
		r.result.Shown = append(r.result.Shown, d)
	}
}

// describe is a decision in a few words.
func describe(d adg.Decision) string {
	if d.From != d.Next.State {
		return d.Kind.String() + ", from " + d.From.String() + " to " + d.Next.State.String()
	}
	if d.Kind == adg.Continue && len(d.Facts) > 0 {
		return "to tell " + d.Facts[0].Kind.String()
	}
	return d.Kind.String()
}

func questions(asked []verdict.Question) string {
	parts := make([]string, len(asked))
	for i, q := range asked {
		parts[i] = q.Check.Name + " of the " + q.Arm.String()
	}
	return strings.Join(parts, ", ")
}

func answers(measured []adg.Measurement) string {
	parts := make([]string, len(measured))
	for i, m := range measured {
		parts[i] = m.Check + " of the " + m.Arm.String()
	}
	return strings.Join(parts, ", ")
}
