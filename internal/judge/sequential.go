package judge

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/judge/histogram"
	"github.com/deployguardian/adg/internal/judge/sequential"
)

// trial is the state of a sequential check, which CheckState.Test holds.
type trial struct {
	books
	Streams  []sequential.State    `json:"streams,omitempty"`  // one, or one for each bound
	Bounds   []histogram.Threshold `json:"bounds,omitempty"`   // of a histogram: what is slow
	Canaries int                   `json:"canaries,omitempty"` // replicas of the candidate
	Seconds  float64               `json:"seconds,omitempty"`  // in which the candidate had requests
	Past     []adg.Counts          `json:"past,omitempty"`     // of the candidate while it was compared with the time before
	Split    *split                `json:"split,omitempty"`
	Whole    int64                 `json:"whole,omitempty"` // the first bucket that both arms were seen over all of
	Worse    *adg.Judgement        `json:"worse,omitempty"` // the last word on the release
}

// session is one judgement of a sequential check in the making.
type session struct {
	adg.Observation
	now    time.Time
	trial  trial
	known  calibration
	absent reading                  // why the candidate shows nothing, where that may be silence
	notes  []string                 // what has to be said beside the verdict
	window [2][]adg.HistogramBucket // of a histogram: what either arm had in the window
}

// sequentially judges by all requests since the test began.
func sequentially(o adg.Observation, now time.Time) (adg.Judgement, adg.CheckState) {
	s := session{Observation: o, now: now}
	s.resume()
	if s.trial.Worse != nil {
		return *s.trial.Worse, o.State
	}
	if o.Before != nil && (s.trial.Length == 0 || o.Stable == nil) {
		s.known = calibrationOf(o.Before)
	}
	r := s.answers()
	if r.known() {
		r = s.collect()
	}
	if !r.known() {
		return r.unknown(), o.State
	}
	j := s.verdict()
	return j, s.remember(j)
}

// Private

// resume takes up the trial where it was left.
func (s *session) resume() {
	if len(s.State.Test) == 0 {
		return
	}
	var t trial
	if err := json.Unmarshal(s.State.Test, &t); err != nil || !t.sound() {
		s.notes = append(s.notes, "what was known so far could not be read, so the test begins anew")
		return
	}
	s.trial = t
}

func (s *session) remember(j adg.Judgement) adg.CheckState {
	if j.Final {
		s.trial = trial{Worse: &j}
	}
	text, err := json.Marshal(s.trial)
	if err != nil { // a number that JSON has no word for, which the books never let in
		return s.State
	}
	state := s.State
	state.Test = text
	return state
}

// answers tells whether both arms can be looked at.
func (s *session) answers() reading {
	candidate := answered(s.Check, s.now, s.Candidate)
	if candidate.why == adg.SourceError || candidate.why == adg.ClockSkew {
		return candidate
	}
	if s.Stable == nil {
		if !candidate.known() {
			return candidate
		}
		return s.history()
	}
	stable := answered(s.Check, s.now, *s.Stable)
	switch {
	case stable.why == adg.NoData:
		stable.why, stable.text = adg.NoBaseline, "nothing to compare with: of the stable version, "+stable.text
	case !stable.known():
		stable.text = "of the baseline, " + stable.text
	case !candidate.known() && !s.splits():
		return candidate
	}
	s.absent = candidate
	return stable
}

// answered refuses the answer of a source that did not answer, or not of now.
func answered(c adg.Check, now time.Time, m adg.Measurement) reading {
	if m.Err != "" {
		return reading{why: adg.SourceError, text: "the source did not answer: " + plain(m.Err)}
	}
	return fresh(c, now, m)
}

// collect books what is new, and feeds the test with what is complete.
func (s *session) collect() reading {
	from, to := start(s.Check, s.Candidate, s.now), s.now.Add(skew)
	if s.Stable != nil {
		if at := start(s.Check, *s.Stable, s.now); at.After(from) {
			from = at
		}
	}
	all, r := s.counters(from, to)
	if !r.known() {
		return r
	}
	if r := s.begin(scrapes(all)); !r.known() {
		return r
	}
	if s.Check.Histogram != "" && len(s.trial.Bounds) == 0 {
		return s.chooseBounds(all, from)
	}
	t := &s.trial
	anew := len(t.Marks) == 0
	p := t.book(all, from)
	if anew || p.skipped > 0 {
		t.Whole = floor(from.UnixMilli()+t.Gap, t.Length) + 1
	}
	if p.skipped > 2*time.Duration(t.Gap)*time.Millisecond {
		s.notes = append(s.notes, fmt.Sprintf("%s of which no sample is left count for nothing", adg.Span(p.skipped)))
	}
	if p.reset {
		s.notes = append(s.notes, "a counter was reset, and what it had since its last scrape before that is not counted")
	}
	if len(p.candidates) > 0 {
		t.Canaries = len(p.candidates)
	}
	s.feed(t.close(s.now, p.oldest))
	return reading{}
}

// counters are those of both arms.
func (s *session) counters(from, to time.Time) ([]track, reading) {
	var all []track
	for _, m := range s.arms() {
		var r reading
		if all, r = countersOf(all, s.Check, m, s.bounds(), from, to); !r.known() {
			return nil, r
		}
	}
	if s.Check.Histogram != "" {
		for arm := range s.window {
			s.window[arm] = overall(all, adg.Arm(arm))
		}
	}
	return all, reading{}
}

// bounds are what is slow: fixed for the trial or, before it began, by the frozen baseline.
func (s *session) bounds() []histogram.Threshold {
	if len(s.trial.Bounds) > 0 {
		return s.trial.Bounds
	}
	return s.known.Bounds
}

// arms are the measurements, which say themselves whose they are only by their place.
func (s *session) arms() []adg.Measurement {
	arms := []adg.Measurement{s.Candidate}
	arms[0].Arm = adg.CandidateArm
	if s.Stable != nil {
		arms = append(arms, *s.Stable)
		arms[1].Arm = adg.BaselineArm
	}
	return arms
}

// begin starts the test from what the baseline taught before, at the latest when two scrapes tell how often there is one.
func (s *session) begin(gap time.Duration) reading {
	t := &s.trial
	if gap > 0 {
		t.Gap = gap.Milliseconds()
	}
	if t.Length > 0 {
		return reading{}
	}
	if t.Gap == 0 {
		t.Gap = s.known.Gap
	}
	if t.Gap == 0 { // nor could a series that was just born be told from one that was scraped late
		return s.nothing()
	}
	t.Length, t.Replicas, t.Bounds = s.known.Length, slices.Clone(s.known.Replicas), s.known.Bounds
	calibrated := t.Length > 0
	if !calibrated {
		t.Length = min(length(s.Check, time.Duration(t.Gap)*time.Millisecond), longestBucket.Milliseconds())
	}
	d := s.design()
	t.Streams = make([]sequential.State, t.streams())
	for i := range t.Streams {
		var c *sequential.Calibration
		if calibrated && i < len(s.known.Streams) {
			c = &s.known.Streams[i].Test
		}
		t.Streams[i] = d.Start(c)
	}
	return reading{}
}

// chooseBounds takes the baseline's quantiles from what it did so far, which the test then never sees: what is slow
// is fixed before the first request that counts.
func (s *session) chooseBounds(all []track, from time.Time) reading {
	t := &s.trial
	bounds, err := histogram.Thresholds(s.window[adg.BaselineArm], histogram.Quantiles[:]...)
	if err != nil || len(bounds) == 0 {
		return reading{why: adg.NoBaseline, text: "nothing to compare with: the baseline has no requests yet that tell which of them are slow"}
	}
	t.Bounds = bounds
	t.book(all, from)
	t.Open, t.Replicas = nil, nil
	d := s.design()
	t.Streams = make([]sequential.State, t.streams())
	for i := range t.Streams {
		t.Streams[i] = d.Start(nil)
	}
	return reading{}
}

// streams is how many kinds of bad requests are counted.
func (t trial) streams() int { return max(1, len(t.Bounds)) }

func (s *session) design() sequential.Design {
	return designOf(s.Check, s.trial.Length, s.trial.Canaries, s.trial.streams())
}

func (s *session) notBy() float64  { return orElse(s.Check.Sequential.NotBy, usualNotBy) }
func (s *session) detect() float64 { return orElse(s.Check.Sequential.Detect, usualDetect) }

// designOf is the test of one stream. The streams share the check's alpha: their mean evidence decides at what the
// evidence of a single one would.
func designOf(c adg.Check, length int64, canaries, streams int) sequential.Design {
	q := c.Sequential
	return sequential.Design{
		Alpha:    orElse(q.Alpha, usualAlpha) / float64(streams),
		Ratio:    orElse(q.Ratio, usualRatio),
		RMax:     orElse(q.NotBy, usualNotBy),
		Beta:     orElse(q.Beta, usualBeta),
		Detect:   orElse(q.Detect, usualDetect),
		Power:    orElse(q.Power, usualPower),
		Seconds:  float64(length) / 1000,
		Canaries: max(1, canaries),
	}
}

// toBucket is one stream of a bucket as the test takes it.
func toBucket(c adg.Check, b bucket, stream, replicas int, seconds float64) sequential.Bucket {
	one := sequential.Bucket{Canary: b.Candidate.counts(stream), Control: b.control().counts(stream), Seconds: seconds}
	if c.Replica != "" {
		one.Groups = make([]adg.Counts, replicas)
		for g := range b.Groups {
			one.Groups[g] = b.Groups[g].counts(stream)
		}
	}
	return one
}

// feed gives the complete buckets to the test.
func (s *session) feed(closed []bucket) {
	t, d := &s.trial, s.design()
	for _, b := range closed {
		if s.Stable == nil {
			s.feedHistory(d, b)
			continue
		}
		s.count(b)
		if b.Candidate.All > 0 {
			t.Seconds += d.Seconds
		}
		for i := range t.Streams {
			one := toBucket(s.Check, b, i, len(t.Replicas), d.Seconds)
			d.Next(&t.Streams[i], &one)
		}
	}
}

// sound tells whether a trial is one that the judge has written.
func (t trial) sound() bool {
	if t.Worse != nil {
		return t.Worse.Verdict == adg.Fail && t.Worse.Why == adg.Worse && t.Worse.Final && t.Worse.Text != ""
	}
	if t.Closed < 0 || t.Closed > latestBucket || t.Length < 1 || t.Length > longestBucket.Milliseconds() || t.Gap < 0 || t.Gap > longestBucket.Milliseconds() ||
		len(t.Open) > maxOpen || len(t.Replicas) > maxGroups || len(t.Streams) == 0 || len(t.Streams) != t.streams() || len(t.Bounds) > maxStreams || len(t.Past) > maxStreams {
		return false
	}
	last := t.Closed
	for _, b := range t.Open {
		if b.Index <= last || len(b.Groups) > len(t.Replicas) || !b.Candidate.sound() || slices.ContainsFunc(b.Groups, func(c cell) bool { return !c.sound() }) {
			return false
		}
		last = b.Index
	}
	return true
}

func (c cell) sound() bool {
	for _, n := range append(c.Bad[:], c.All) {
		if !(n >= 0 && isFinite(n)) {
			return false
		}
	}
	return true
}
