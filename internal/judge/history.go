package judge

import (
	"fmt"
	"math"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/judge/sequential"
)

const (
	// certain is how many requests the time before stands for, next to each of the candidate's: so many that its rate
	// counts as known. What is not known about it is in the rate itself, which is the upper end of an interval.
	certain = 1000
	// boundShare is the part of alpha that the interval may miss with, on top of the test's.
	boundShare = 0.1
)

// record is what one stream did before the deployment.
type record struct {
	adg.Counts
	Phi  float64      `json:"phi,omitempty"`  // variance of the windows' counts, as a multiple of that of independent requests
	Days []adg.Counts `json:"days,omitempty"` // in the same hour of the days before
}

// rate is the rate of bad requests that was, and the largest that it may have been. With seasons it is that of the
// same hour of the days before, and their differences are what it is uncertain by.
func (p record) rate(season bool, alpha float64) (was, most float64) {
	n, phi := p.Counts, max(1, p.Phi)
	if season && len(p.Days) > 0 {
		n = adg.Counts{}
		for _, day := range p.Days {
			n.Bad += day.Bad / float64(len(p.Days)) // an average day: the next one differs from them as they do
			n.All += day.All / float64(len(p.Days))
		}
		phi = max(phi, dispersion(p.Days))
	}
	return n.Bad / n.All, min(1, phi*atMost(n.Bad/phi, boundShare*alpha)/n.All)
}

// dispersion is the variance of counts, as a multiple of that of independent requests with a common rate; 1 where
// there is too little to tell.
func dispersion(windows []adg.Counts) float64 {
	var sum adg.Counts
	seen := 0
	for _, w := range windows {
		if w.All > 0 {
			sum.Bad, sum.All = sum.Bad+w.Bad, sum.All+w.All
			seen++
		}
	}
	if seen < 2 || sum.Bad <= 0 || sum.Bad >= sum.All {
		return 1
	}
	p, chi := sum.Bad/sum.All, 0.0
	for _, w := range windows {
		if w.All > 0 {
			off := w.Bad - w.All*p
			chi += off * off / (w.All * p * (1 - p))
		}
	}
	return max(1, chi/float64(seen-1))
}

// Private

// history refuses a frozen baseline that has nothing to compare with.
func (s *session) history() reading {
	none := func(why string) reading {
		return reading{why: adg.NoBaseline, text: "nothing to compare with: " + why}
	}
	switch {
	case s.Before == nil:
		return none("no stable version serves beside the release, and no baseline was frozen before the deployment")
	case s.Before.Err != "":
		return none("no stable version serves beside the release, and before the deployment, " + plain(s.Before.Err))
	case len(s.known.Streams) == 0 || s.trial.Streams != nil && len(s.known.Streams) != len(s.trial.Streams) || !(s.known.Streams[0].Past.All > 0):
		return none("the baseline from before the deployment is empty")
	}
	return reading{}
}

// feedHistory compares a bucket with the time before the deployment. Both sides are divided by the dispersion of the
// windows before, which tempers the evidence, as far as the test does not temper it by that of the replicas.
func (s *session) feedHistory(d sequential.Design, b bucket) {
	t := &s.trial
	if t.Past == nil {
		t.Past = make([]adg.Counts, len(t.Streams))
	}
	if b.Candidate.All > 0 {
		t.Seconds += d.Seconds
	}
	for i := range t.Streams {
		n := b.Candidate.counts(i)
		t.Past[i].Bad, t.Past[i].All = t.Past[i].Bad+n.Bad, t.Past[i].All+n.All
		p := s.known.Streams[i].Past
		_, most := p.rate(s.Check.Sequential.Season, d.Alpha)
		phi := max(1, p.Phi/max(1, t.Streams[i].Spread.Phi))
		one := sequential.Bucket{
			Canary:  adg.Counts{Bad: n.Bad / phi, All: n.All / phi},
			Control: adg.Counts{Bad: most * certain * n.All / phi, All: certain * n.All / phi},
			Seconds: d.Seconds,
		}
		d.Next(&t.Streams[i], &one)
	}
}

// since is the candidate without a stable version beside it, the time before, and how they differ.
func (s *session) since(stream int) (candidate, before adg.Counts, estimate, low, high float64) {
	p, d := s.known.Streams[stream].Past, s.design()
	was, most := p.rate(s.Check.Sequential.Season, d.Alpha)
	before = adg.Counts{Bad: was * p.All, All: p.All}
	if stream < len(s.trial.Past) {
		candidate = s.trial.Past[stream]
	}
	if candidate.All == 0 {
		return candidate, before, math.NaN(), math.NaN(), math.NaN()
	}
	phi := max(1, p.Phi)
	rate, tail := candidate.Bad/candidate.All, d.Alpha/2
	highest := phi * atMost(candidate.Bad/phi, tail) / candidate.All
	lowest := phi * atLeast(candidate.Bad/phi, tail) / candidate.All
	return candidate, before, rate / was, lowest / most, highest / was
}

// wasSo tells whether the baseline was as bad in the windows just before, though not over all of the time.
func (s *session) wasSo(j adg.Judgement) (level float64, yes bool) {
	if s.Check.BlamePreexisting || s.Before == nil || j.Value == nil || s.Check.Histogram != "" {
		return 0, false
	}
	level = spreadOf(s.Before.Values).high
	return level, *j.Value <= level*(1+tolerated)
}

// weaker says what the comparison is with, where it is not with a version that serves at the same time.
func (s *session) weaker() string {
	if days := len(s.known.Streams[0].Past.Days); s.Check.Sequential.Season && days > 0 {
		return fmt.Sprintf(" in the same hour of %s before, which is weaker than side by side", plural(float64(days), "day"))
	}
	return fmt.Sprintf(" in the %s before the deployment, which is weaker than side by side", adg.Span(s.Before.To.Sub(s.Before.From).Round(time.Minute)))
}
