package judge

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/judge/sequential"
)

// evidence is what all streams of a check have come to.
type evidence struct {
	outcome sequential.Outcome
	logE    float64
	limit   float64 // of logE
	able    bool    // what has to be detectable would have been found
	robust  bool    // the promise holds for requests that are not independent of each other, too
	lead    int     // the stream that says the most
	result  sequential.Result
}

// weigh makes one of all streams: the mean of their evidence is as good as that of a single one. What is not worse, and
// what could have been detected, has to be so in every one.
func (s *session) weigh() evidence {
	d := s.design()
	streams := s.trial.Streams
	e := evidence{limit: -math.Log(d.Alpha * float64(len(streams))), able: true, robust: true, outcome: sequential.NotWorse}
	var logs, weights [maxStreams]float64
	worse, some := false, false
	for i := range streams {
		r := d.Read(&streams[i])
		logs[i], weights[i] = r.LogE, 1
		if i == 0 || r.LogE > logs[e.lead] {
			e.lead, e.result = i, r
		}
		worse = worse || r.Outcome == sequential.Worse
		if r.Outcome == sequential.Undecided {
			e.outcome = sequential.Undecided
		}
		e.able = e.able && (r.Able || !s.detectable(r))
		some = some || r.Able
		e.robust = e.robust && r.Robust
	}
	e.able = e.able && some
	e.logE = sequential.Combine(weights[:len(streams)], logs[:len(streams)])
	if worse || e.logE >= e.limit {
		// A single stream that was decisive has the mean at the limit at least; it may have been an earlier bucket.
		e.outcome, e.logE = sequential.Worse, max(e.logE, e.limit)
	}
	e.robust = e.robust && s.Stable != nil
	return e
}

// often is the share of slow requests from which on a stream has to be able to detect its ratio: how slow the slowest
// are is not known soon at any traffic.
const often = 0.02

// detectable tells whether a stream has to be able to detect its ratio. Of those slower than the median, there are no
// three times as many; the slowest are too few. The test of all streams together sees them, too, as soon as it can.
func (s *session) detectable(r sequential.Result) bool {
	if len(s.trial.Streams) == 1 || r.Control.All == 0 {
		return true
	}
	share := r.Control.Bad / r.Control.All
	return share >= often && share*s.detect() < 1
}

// verdict is what the evidence, the limits of the check and the traffic say, the worst of it.
func (s *session) verdict() adg.Judgement {
	j := s.test()
	if j.Final {
		return j
	}
	for _, other := range []adg.Judgement{s.limits(), s.traffic()} {
		if other.Verdict <= max(j.Verdict, adg.Pass) {
			continue
		}
		other.Proof = j.Proof
		other.Estimate, other.Low, other.High, other.LogE, other.LogLimit = j.Estimate, j.Low, j.High, j.LogE, j.LogLimit
		j = other
	}
	for _, note := range s.notes {
		j.Text += "; " + note
	}
	return j
}

// test is the verdict of the test alone.
func (s *session) test() adg.Judgement {
	e := s.weigh()
	j := s.numbers(e)
	facts := s.facts(e)
	switch {
	case j.N == 0:
		return s.nothing().unknown()
	case j.N < s.Check.MinSamples || j.BaseN < s.Check.MinSamples:
		j.Why = adg.TooFew
		j.Text = fmt.Sprintf("fewer requests than the %s that the check wants on each side: %s", adg.Number(s.Check.MinSamples, 4), facts)
	case e.outcome == sequential.Worse:
		return s.worse(j, facts)
	case e.outcome == sequential.NotWorse:
		j.Verdict, j.Why, j.Proof = adg.Pass, adg.NotWorse, adg.Proven
		j.Text = fmt.Sprintf("shown to be not worse by a factor of %s: %s", adg.Number(s.notBy(), 3), facts)
	case e.able:
		j.Verdict, j.Why, j.Proof = adg.Pass, adg.NothingFound, adg.Baked
		j.Text = fmt.Sprintf("nothing found, and %s would have been by now: %s", s.asMany(s.detect()), facts)
	default:
		j.Why = adg.TooEarly
		j.Text = fmt.Sprintf("too early to tell: %s; at this traffic %s would take about %s to be seen", facts, s.asMany(s.detect()), s.power(e))
	}
	return j
}

// worse is the last word on the release, unless it was so before.
func (s *session) worse(j adg.Judgement, facts string) adg.Judgement {
	if s.Stable == nil {
		if was, ok := s.wasSo(j); ok {
			j.Verdict, j.Why = adg.Warn, adg.Preexisting
			j.Text = fmt.Sprintf("%s; it was %s %% before the deployment already, which is not to blame for it", facts, adg.Number(100*was, 3))
			return j
		}
	}
	j.Verdict, j.Why, j.Final = adg.Fail, adg.Worse, true
	j.Text = fmt.Sprintf("worse, as of %s: %s", s.now.UTC().Format("15:04:05 MST"), facts)
	if j.Weak {
		j.Text += "; this holds for independent requests only"
	}
	for _, note := range s.notes {
		j.Text += "; " + note
	}
	return j
}

// numbers are the evidence for the record.
func (s *session) numbers(e evidence) adg.Judgement {
	candidate, control, estimate, low, high := s.sides(e)
	j := adg.Judgement{
		Value: finite(candidate.Bad / candidate.All), N: candidate.All,
		Baseline: finite(control.Bad / control.All), BaseN: control.All,
		Estimate: finite(estimate), Low: finite(low), High: finite(high),
		LogE: finite(e.logE), LogLimit: finite(e.limit),
		Weak: !e.robust && !s.Check.Sequential.Independent,
	}
	if d, ok := s.shift(); ok && s.Check.Histogram != "" {
		j.Value, j.Baseline = finite(d.candidate), finite(d.baseline)
		j.Estimate, j.Low, j.High = finite(d.candidate-d.baseline), finite(d.low), finite(d.high)
	}
	return j
}

// facts is who did what, how much the two differ and how strong the evidence is.
func (s *session) facts(e evidence) string {
	var text strings.Builder
	if d, ok := s.shift(); ok && s.Check.Histogram != "" {
		text.WriteString(d.in(s.Check.CountedIn()) + "; ")
	}
	candidate, baseline, estimate, low, high := s.sides(e)
	share := func(n adg.Counts) string {
		if n.All == 0 {
			return "none"
		}
		return adg.Number(100*n.Bad/n.All, 3) + " %"
	}
	fmt.Fprintf(&text, "%s of %s were %s, %s of the baseline's %s", share(candidate), plural(candidate.All, "request"), s.bad(e.lead),
		share(baseline), adg.Number(baseline.All, 4))
	if s.Stable == nil {
		text.WriteString(s.weaker())
	}
	switch {
	case !isFinite(estimate) || !isFinite(low):
	case isFinite(high):
		fmt.Fprintf(&text, ", %s times as many (%s to %s)", ratio(estimate), ratio(low), ratio(high))
	default:
		fmt.Fprintf(&text, ", %s times as many (%s or more)", ratio(estimate), ratio(low))
	}
	fmt.Fprintf(&text, "; the evidence against it is %s, and %s decides", odds(e.logE), odds(e.limit))
	if r := e.result; r.RankLogE >= rankTold {
		fmt.Fprintf(&text, "; its rank among the %d replicas says %s, whatever their noise is", r.Replicas+1, odds(r.RankLogE))
	}
	return text.String()
}

// rankTold is from where on the canary's rank among the replicas is told: ten to one.
const rankTold = 2.302585

// sides are both arms in the stream that says the most, and how many times as many bad requests the candidate has.
func (s *session) sides(e evidence) (candidate, baseline adg.Counts, estimate, low, high float64) {
	if s.Stable == nil {
		return s.since(e.lead)
	}
	r := e.result
	return r.Canary, r.Control, r.Estimate, r.Low, r.High
}

// ratio writes as many digits of a ratio as mean something.
func ratio(v float64) string {
	if v >= 10 {
		return adg.Number(math.Round(v), 4)
	}
	return adg.Number(v, 2)
}

// bad names what the requests of a stream are that count.
func (s *session) bad(stream int) string {
	if stream < len(s.trial.Bounds) {
		return "slower than " + adg.Amount(s.trial.Bounds[stream].Bound, s.Check.CountedIn(), 3)
	}
	return "bad"
}

// asMany names a ratio of bad requests.
func (s *session) asMany(times float64) string {
	what := "bad requests"
	if s.Check.Histogram != "" {
		what = "slow requests"
	}
	switch times {
	case 2:
		return "twice as many " + what
	case 3:
		return "three times as many " + what
	}
	return adg.Number(times, 3) + " times as many " + what
}

// odds writes evidence as people bet.
func odds(logE float64) string {
	switch {
	case logE > math.Log(1e6):
		return "more than a million to 1"
	case logE >= 0:
		return adg.Number(math.Exp(logE), 3) + " to 1"
	case logE < -math.Log(1e6):
		return "less than 1 to a million"
	}
	return "1 to " + adg.Number(math.Exp(-logE), 3)
}

// nothing is why there is nothing to judge yet.
func (s *session) nothing() reading {
	if !s.absent.known() {
		return s.absent
	}
	if s.Check.Histogram == "" {
		if r := readCounts(s.Check, s.Candidate, s.now); !r.known() {
			return r
		}
	}
	if s.trial.Length == 0 {
		return reading{why: adg.NoData, text: "it takes two scrapes of a counter to see how often it is scraped"}
	}
	return reading{why: adg.TooEarly, text: "too early to tell: the first " + adg.Span(time.Duration(s.trial.Length)*time.Millisecond) + " are not complete yet"}
}

// limits judges the window by the check's fixed limits, where it has some.
func (s *session) limits() adg.Judgement {
	if s.Check.Warn.IsZero() && s.Check.Fail.IsZero() || s.Check.Histogram != "" {
		return adg.Judgement{}
	}
	r := read(s.Check, s.Candidate, s.now)
	if !r.known() {
		return adg.Judgement{}
	}
	return decide(s.Observation, r, nil)
}

// power is how long what has to be detected takes to be seen, at the traffic and the rate of bad requests so far.
func (s *session) power(e evidence) string {
	canary, control := e.result.Canary, e.result.Control
	if s.trial.Seconds == 0 || control.All == 0 || canary.All == 0 {
		return "an unknown time"
	}
	took := s.design().Wait(sequential.Traffic{
		Canary: canary.All / s.trial.Seconds, Control: control.All / s.trial.Seconds, Bad: (control.Bad + 0.5) / (control.All + 1),
		Phi: e.result.Phi, Lasting: e.result.Tolerated / orElse(s.Check.Sequential.Ratio, usualRatio),
	}, s.detect())
	return forAbout(took)
}

// forAbout writes seconds as roughly as they are known.
func forAbout(seconds float64) string {
	switch {
	case !(seconds < 1e6):
		return "weeks"
	case seconds >= 2*3600:
		return fmt.Sprintf("%.0f h", seconds/3600)
	case seconds >= 120:
		return fmt.Sprintf("%.0f min", seconds/60)
	}
	return fmt.Sprintf("%.0f s", max(1, seconds))
}
