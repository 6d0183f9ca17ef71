package judge

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/judge/sequential"
)

// maxFindings bounds the patterns of a judgement.
const maxFindings = 16

// reader is one judgement of a check of logs in the making.
type reader struct {
	adg.Observation
	now   time.Time
	book  logbook
	past  pastLogs
	known bool // there is a frozen baseline with lines
	notes []string
}

// logs judges by the patterns of the lines since the test began.
func logs(o adg.Observation, now time.Time) (adg.Judgement, adg.CheckState) {
	r := reader{Observation: o, now: now}
	r.past, r.known = pastLogsOf(o.Before)
	if o.Check.Logs.Restored {
		return r.restored(), o.State
	}
	r.resume()
	if r.book.Worse != nil {
		return *r.book.Worse, o.State
	}
	if unknown := r.answers(); !unknown.known() {
		return unknown.unknown(), o.State
	}
	// What was silent counts, too: a test that only looked when the candidate wrote something would be held against it.
	r.count()
	j := r.verdict()
	if j.Final {
		r.book = logbook{Worse: &j}
	}
	text, err := json.Marshal(r.book)
	if err != nil { // a number that JSON has no word for, which counts never are
		return j, o.State
	}
	state := o.State
	state.Test = text
	return j, state
}

// Private

// resume takes up the book where it was left.
func (r *reader) resume() {
	var book logbook
	if len(r.State.Test) > 0 {
		if err := json.Unmarshal(r.State.Test, &book); err == nil && book.sound() {
			r.book = book
			return
		}
		r.notes = append(r.notes, "what was known so far could not be read, so the test begins anew")
	}
	r.book.begin(r.Check.Moment().Milliseconds(), r.past)
}

// answers tells whether both sides could be asked.
func (r *reader) answers() reading {
	for _, m := range r.sides() {
		whose := ""
		if m != &r.Candidate {
			whose = "of the baseline, "
		}
		if m.Err != "" {
			return reading{why: adg.SourceError, text: whose + "the source did not answer: " + plain(m.Err)}
		}
		if m.Log == nil || m.Log.Moment.Milliseconds() != r.book.Moment {
			return reading{why: adg.NoData, text: whose + "the source answered, and not with lines of a log"}
		}
	}
	return reading{}
}

// silence tells whether a side says too little for anything good to follow from it.
func (r *reader) silence() reading {
	log := r.Candidate.Log
	switch {
	case log.Lines == 0:
		return reading{why: adg.NoData, text: "there was no line of the candidate " + lately(r.Check) + ": that a log is silent says nothing good about it"}
	case log.Mute == log.Lines:
		return reading{why: adg.NoData, text: fmt.Sprintf("none of the candidate's %s says of which level it is, so that none counts: write logs: {level: any}, or ask for lines that do", plural(float64(log.Lines), "line"))}
	case r.Stable == nil && !r.known:
		return reading{why: adg.NoBaseline, text: "nothing to compare with: no stable version serves beside the release, and no line was frozen before the deployment"}
	case r.Stable != nil && r.Stable.Log.Lines == 0 && !r.onlyPast():
		return reading{why: adg.NoBaseline, text: "nothing to compare with: there was no line of the stable version " + lately(r.Check)}
	}
	return reading{}
}

// onlyPast tells whether the candidate is compared with the time before the deployment: no stable version serves beside it, or one
// that has never written a line.
func (r *reader) onlyPast() bool {
	return r.known && (r.Stable == nil || r.book.Lines[adg.BaselineArm] == 0)
}

func (r *reader) sides() []*adg.Measurement {
	if r.Stable == nil {
		return []*adg.Measurement{&r.Candidate}
	}
	return []*adg.Measurement{&r.Candidate, r.Stable}
}

// count books the moments that are over and were not counted yet.
func (r *reader) count() {
	b := &r.book
	from := r.now.Add(-window(r.Check))
	arms := make([]*adg.LogCount, 0, 2)
	left := 0
	for _, m := range r.sides() {
		arms = append(arms, m.Log)
		if m.Log.From.After(from) {
			from = m.Log.From
		}
		left += m.Log.Left
	}
	if left > 0 {
		r.notes = append(r.notes, fmt.Sprintf("%s of too many patterns count for nothing", plural(float64(left), "line")))
	}
	length := time.Duration(b.Moment) * time.Millisecond
	if begin := r.now.Add(-window(r.Check)); from.After(begin) && from.After(r.now.Add(-2*length-lag)) {
		r.notes = append(r.notes, "all lines were given of the last "+adg.Span(r.now.Sub(from))+" only, in which there may be no whole moment: let the query give fewer lines, or make sequential.bucket shorter")
	}
	for arm, log := range arms {
		b.Lines[arm] = max(b.Lines[arm], float64(log.Lines))
	}
	b.Writers = max(1, b.Writers, float64(len(arms[0].Replicas)))
	end := r.now.Add(-min(lag, length))
	if first := end.Add(-r.Interval - 2*length); b.Here == 0 && !r.Check.Logs.Restored {
		if arms[0].Lines > 0 {
			b.Here = first.UnixMilli()
		}
		if first.After(from) {
			from = first // until the look before this one the candidate had written nothing: what was before is none of its
		}
	} else if here := time.UnixMilli(b.Here); here.After(from) {
		from = here
	}
	places := b.find(arms)
	for _, at := range momentsOf(*arms[0], from, end) {
		if at <= b.Closed {
			continue
		}
		if late := !covered(arms, (at+1)*b.Moment); late && r.now.UnixMilli()-(at+1)*b.Moment < min(patience, window(r.Check)/2).Milliseconds() {
			break // its lines may be on the way
		}
		if b.Begun == 0 {
			b.Begun = at
		}
		if b.Closed > 0 && at > b.Closed+1 {
			r.notes = append(r.notes, adg.Span(time.Duration(at-b.Closed-1)*length)+" of which not all lines were given count for nothing")
		}
		b.Closed = at
		if arms := arms[1:]; !r.onlyPast() && !covered(arms, (at+1)*b.Moment) {
			continue // a baseline whose lines are late or lost has not behaved any better
		}
		r.moment(at, arms, places)
	}
	if r.onlyPast() && r.past.Rest > 0 {
		r.notes = append(r.notes, "before the deployment there were more patterns than are remembered: a new one has to come more often than those")
	}
	b.forget()
}

// covered tells whether each arm has a line that is not before a time: then those before it are there, too.
func covered(arms []*adg.LogCount, until int64) bool {
	return !slices.ContainsFunc(arms, func(log *adg.LogCount) bool { return log.Last.UnixMilli() < until })
}

// moment gives what both arms did in one moment to the tests.
func (r *reader) moment(at int64, arms []*adg.LogCount, places map[string]int) {
	b := &r.book
	exposure := [2]float64{b.Writers}
	past := pastLogs{Replicas: b.Replicas}
	var groups []adg.Counts
	if r.Stable != nil && !r.onlyPast() {
		exposure[1], groups = past.replicas(arms[1], at)
		b.Replicas = past.Replicas
	}
	b.Cells[0], b.Cells[1] = b.Cells[0]+exposure[0], b.Cells[1]+exposure[1]
	load := r.load(exposure)
	if exposure[1] == 0 {
		b.Alone += exposure[0]
		load = grown
	}
	hits := map[int]*[2]float64{}
	for arm, log := range arms {
		for _, p := range log.Patterns {
			place, known := places[key(p)]
			if !known {
				continue
			}
			one := &b.Patterns[place]
			usual := one.Usual
			if arm == 0 && usual > 0 {
				usual = int(math.Ceil(float64(usual) * load))
			}
			for _, cell := range p.Cells {
				if cell.Moment != at || cell.Lines <= 0 {
					continue
				}
				one.Lines[arm] += float64(cell.Lines)
				if cell.Lines > usual {
					if hits[place] == nil {
						hits[place] = &[2]float64{}
					}
					hits[place][arm] = min(hits[place][arm]+1, exposure[arm])
				}
			}
		}
	}
	d, since := r.design(), float64((at-b.Begun+1)*b.Moment)/1000
	for place, n := range hits {
		one := &b.Patterns[place]
		one.Bad[0], one.Bad[1] = one.Bad[0]+n[0], one.Bad[1]+n[1]
		r.weigh(d, one, *n, exposure, load, since)
	}
	// That nothing was found says something where lines are there in which it would have been.
	if covered(arms[:1], (at+1)*b.Moment) && arms[0].Left == 0 && arms[0].Mute < arms[0].Lines {
		often := orElse(r.Check.Logs.Often, usualOften) * min(exposure[0], float64(len(arms[0].Replicas)))
		b.Sure.Bad[0] += often
		r.weigh(d, &b.Sure, [2]float64{often}, exposure, load, since)
	}
	// What the replicas showed by now is for the moments after it.
	b.Spread.Learn(groups, float64(b.Moment)/1000)
}

// load is how many times as many requests a replica of the candidate gets, at least 1.
func (r *reader) load(exposure [2]float64) float64 {
	if exposure[0] == 0 || exposure[1] == 0 || !(r.Share > 0 && r.Share < 100) {
		return 1
	}
	return max(1, r.Share/(100-r.Share)/(exposure[0]/exposure[1]))
}

// weigh gives a moment to the test of a pattern. Some lines come with requests and some with the time that a replica
// runs, and nobody knows which: the candidate is due as many as the larger of its shares makes.
func (r *reader) weigh(d sequential.Design, p *logged, n, exposure [2]float64, load, since float64) {
	if exposure[1] == 0 {
		r.weighPast(d, p, n[0], since)
		return
	}
	d.Weigh(&p.Test, &r.book.Spread, &sequential.Bucket{
		Canary:  adg.Counts{Bad: n[0], All: exposure[0] * load},
		Control: adg.Counts{Bad: n[1], All: exposure[1]},
	}, since)
}

// weighPast compares with the largest rate that the pattern may have had before the deployment, for as much more traffic
// as there may be now. The moments since the last that had it count, too: they had none.
func (r *reader) weighPast(d sequential.Design, p *logged, n, since float64) {
	if !r.known {
		return
	}
	moments := r.book.Alone - p.Alone
	p.Alone = r.book.Alone
	before := p.Before
	if p.Place > 0 || p == &r.book.Sure {
		before = r.past.Rest
	}
	most := min(1, atMost(before, boundShare*d.Alpha/maxLogged)/r.past.Cells)
	if before > 0 { // what was never seen has room enough in how rarely it may have been there
		d.Ratio *= grown
	}
	d.Weigh(&p.Test, &r.book.Spread, &sequential.Bucket{
		Canary:  adg.Counts{Bad: n, All: moments},
		Control: adg.Counts{Bad: most * certain * moments, All: certain * moments},
	}, since)
}

func (r *reader) design() sequential.Design {
	q := r.Check.Sequential
	return sequential.Design{Alpha: r.alpha(), Ratio: orElse(q.Ratio, usualRatio), Canaries: max(1, len(r.Candidate.Log.Replicas))}
}

func (r *reader) alpha() float64 { return orElse(r.Check.Sequential.Alpha, usualAlpha) }

func (r *reader) least() float64 {
	if r.Check.Logs.Least > 0 {
		return float64(r.Check.Logs.Least)
	}
	return usualLeast
}

// verdict is what the patterns say.
func (r *reader) verdict() adg.Judgement {
	b := &r.book
	j := adg.Judgement{N: b.Cells[0], BaseN: b.Cells[1], Patterns: r.findings()}
	if r.Stable == nil {
		j.BaseN = r.past.Cells
	}
	sure := b.sure(r.alpha(), r.least(), orElse(r.Check.Sequential.Power, usualPower))
	worst, silent := r.worst(j.Patterns), r.silence()
	b.Able = b.Able || sure >= 1
	if worst != nil {
		j.LogE, j.LogLimit = finite(worst.LogE), finite(worst.LogLimit)
	}
	seen := plural(b.Cells[0], "moment") + " of the candidate"
	switch {
	case worst != nil && worst.Decides() && worst.Candidate.Bad >= r.least():
		j.Verdict, j.Why, j.Final = adg.Fail, adg.Worse, true
		j.Weak = !r.Check.Sequential.Independent && (r.Stable == nil || !b.Spread.Robust())
		j.Value = finite(worst.Candidate.Bad / worst.Candidate.All)
		j.Text = r.accuse(*worst)
		if j.Weak {
			j.Text += "; it holds for lines that come independently of each other only, which fewer than three replicas of the baseline cannot show"
		}
	case !silent.known():
		j.Verdict, j.Why, j.Text = adg.Unknown, silent.why, silent.text
	case b.Able:
		j.Verdict, j.Why, j.Proof = adg.Pass, adg.NothingFound, adg.Baked
		j.Text = fmt.Sprintf("no new or more frequent pattern in %s: one in every %s would have been found",
			seen, ordinal(1/orElse(r.Check.Logs.Often, usualOften)))
	default:
		j.Verdict, j.Why = adg.Unknown, adg.TooEarly
		j.Text = fmt.Sprintf("too early to tell: %s so far, about %s to find a new pattern for sure", seen, r.needs(sure))
	}
	for _, note := range r.notes {
		j.Text += "; " + note
	}
	return j
}

// worst is the finding that says the most against the candidate, of those that it had often enough where there is one.
func (r *reader) worst(all []adg.LogFinding) *adg.LogFinding {
	var worst *adg.LogFinding
	enough := func(f *adg.LogFinding) bool { return f.Candidate.Bad >= r.least() }
	for i := range all {
		switch f := &all[i]; {
		case worst == nil, enough(f) && !enough(worst):
			worst = f
		case enough(f) == enough(worst) && f.LogE-f.LogLimit > worst.LogE-worst.LogLimit:
			worst = f
		}
	}
	return worst
}

// sure is which part of the evidence would be there by now against a pattern that only the candidate has, often.
func (l *logbook) sure(alpha, least, power float64) float64 {
	n := l.Sure.Bad[0]
	if n <= 0 {
		return 0
	}
	few := n - quantileOfNormal(1-power)*math.Sqrt(n) // of so many, as few as there are with the probability 1-power
	if few <= 0 {
		return 0
	}
	next := l.limit(logged{Place: l.Made + 1}, alpha)
	return min(few/least, few/n*l.Sure.Test.LogE()/next)
}

// needs says how many moments it takes until a new pattern would be found.
func (r *reader) needs(sure float64) string {
	if !(sure > 0) {
		return "as many again and more"
	}
	return adg.Number(math.Ceil(r.book.Cells[0]/sure), 2)
}

func ordinal(n float64) string {
	switch whole := math.Round(n); whole {
	case 1:
		return "moment"
	case 2:
		return "second moment"
	case 3:
		return "third moment"
	default:
		return adg.Number(whole, 3) + "th moment"
	}
}

// findings are the patterns that differ, those that say the most first.
func (r *reader) findings() []adg.LogFinding {
	b := &r.book
	var all []adg.LogFinding
	for _, p := range b.Patterns {
		f := adg.LogFinding{
			Text: p.Text, Level: p.Level, Example: p.Example, First: p.First, Lines: p.Lines[0], BaseLines: p.Lines[1],
			Candidate: adg.Counts{Bad: p.Bad[0], All: b.Cells[0]}, Baseline: adg.Counts{Bad: p.Bad[1], All: b.Cells[1]},
			LogE: p.Test.LogE(), LogLimit: b.limit(p, r.alpha()),
		}
		if r.Stable == nil {
			f.Baseline = adg.Counts{Bad: p.Before, All: r.past.Cells}
		}
		rate, base := partOf(f.Candidate), partOf(f.Baseline)
		switch {
		case p.Lines[0] > 0 && p.Lines[1] == 0 && p.Place > 0:
			f.Change = adg.LogNew
		case p.Lines[0] == 0 && (p.Lines[1] > 0 || p.Place == 0):
			f.Change = adg.LogGone
		case rate > base:
			f.Change = adg.LogMore
		}
		if f.Lines == 0 && f.BaseLines == 0 && p.Before == 0 {
			continue
		}
		all = append(all, f)
	}
	slices.SortStableFunc(all, func(x, y adg.LogFinding) int {
		return cmp.Or(cmp.Compare(rank(y), rank(x)), cmp.Compare(y.LogE-y.LogLimit, x.LogE-x.LogLimit), cmp.Compare(y.Lines, x.Lines), strings.Compare(x.Text, y.Text))
	})
	return all[:min(len(all), maxFindings)]
}

// rank orders findings: what decides, and then what the candidate has beyond the baseline.
func rank(f adg.LogFinding) int {
	if f.Decides() {
		return 3
	}
	switch f.Change {
	case adg.LogNew, adg.LogMore:
		return 2
	case adg.LogGone:
		return 1
	case adg.LogSame:
	}
	return 0
}

func partOf(n adg.Counts) float64 {
	if n.All == 0 {
		return 0
	}
	return n.Bad / n.All
}

// accuse says what is wrong with the release.
func (r *reader) accuse(f adg.LogFinding) string {
	what, than := "a new pattern", "in none of the baseline's "+adg.Number(f.Baseline.All, 4)
	if f.Change == adg.LogMore || f.Baseline.Bad > 0 {
		what, than = "a more frequent pattern", fmt.Sprintf("in %s of the baseline's %s", adg.Number(f.Baseline.Bad, 4), adg.Number(f.Baseline.All, 4))
	}
	if r.Stable == nil {
		than += " before the deployment, which is weaker than side by side"
	}
	return fmt.Sprintf("worse by %s of level %s: %q is in %s of the candidate's %s moments (%s) and %s; the evidence against it is %s, and %s decides",
		what, f.Level, plain(f.Text), adg.Number(f.Candidate.Bad, 4), adg.Number(f.Candidate.All, 4), plural(f.Lines, "line"), than, odds(f.LogE), odds(f.LogLimit))
}

// restored judges the window of a release that was rolled back to: whether it has patterns that the frozen baseline had
// not, or had less often, more than chance explains.
func (r *reader) restored() adg.Judgement {
	switch log := r.Candidate.Log; {
	case r.Candidate.Err != "":
		return reading{why: adg.SourceError, text: "the source did not answer: " + plain(r.Candidate.Err)}.unknown()
	case log == nil || log.Lines == 0:
		return reading{why: adg.NoData, text: "there was no line of the restored release: that a log is silent says nothing good about it"}.unknown()
	case !r.known:
		return reading{why: adg.NoBaseline, text: "nothing to compare with: no line was frozen before the deployment"}.unknown()
	case log.Moment != r.Check.Moment():
		return reading{why: adg.NoData, text: "the source answered, and not with moments of " + adg.Span(r.Check.Moment())}.unknown()
	}
	r.Stable = nil
	r.book.begin(r.Check.Moment().Milliseconds(), r.past)
	r.count()
	j := adg.Judgement{Verdict: adg.Pass, Why: adg.WithinLimits, N: r.book.Cells[0], BaseN: r.past.Cells, Patterns: r.findings()}
	for _, f := range j.Patterns {
		before := f.Baseline.Bad
		if f.Change == adg.LogNew {
			before = r.past.Rest
		}
		expected := atMost(before, boundShare) / f.Baseline.All * f.Candidate.All
		if before > 0 {
			expected *= grown
		}
		if f.Candidate.Bad >= r.least() && chance(f.Candidate.Bad, expected) < r.alpha()/max(maxFindings, float64(len(r.book.Patterns))) {
			j.Verdict, j.Why, j.Text = adg.Fail, adg.BeyondFail, r.accuse(f)
			return j
		}
	}
	silent := r.silence()
	switch {
	case !silent.known():
		return silent.unknown()
	case r.book.Sure.Bad[adg.CandidateArm] == 0:
		j.Verdict, j.Why, j.Text = adg.Unknown, adg.TooEarly, "too early to tell: there is no moment yet of which all lines are there"
	default:
		j.Text = fmt.Sprintf("no pattern beyond those from before the deployment in %s", plural(j.N, "moment"))
	}
	for _, note := range r.notes {
		j.Text += "; " + note
	}
	return j
}
