package judge

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/deployguardian/adg"
)

// fleet is pods of two versions that serve requests, scraped every gap seconds, each at its own time.
type fleet struct {
	random     *rand.Rand
	gap        float64
	candidates int
	stables    int
	each       float64 // requests per second and pod
	bad        float64 // share of bad requests
	times      float64 // as many bad ones of the candidate
	from       float64 // seconds when that begins
	silent     float64 // seconds from when on the candidate gets nothing; zero: never
	slower     float64 // as slow as that; zero: nobody looks at latencies
	pods       []*pod
	clock      float64
}

type pod struct {
	stable     bool
	name       string
	next       float64
	all, wrong float64
	total, bad []adg.Sample
	slow       [len(les) + 1]float64
	buckets    [len(les) + 1][]adg.Sample
}

// les are the le labels of the pods' histograms, in seconds.
var les = [...]float64{0.02, 0.05, 0.07, 0.1, 0.14, 0.2, 0.3, 0.5, 1}

func newFleet(seed uint64, change func(*fleet)) *fleet {
	f := &fleet{random: rand.New(rand.NewPCG(seed, 7)), gap: 1, candidates: 1, stables: 9, each: 20, bad: 0.005, times: 1}
	change(f)
	for i := range f.candidates + f.stables {
		f.pods = append(f.pods, &pod{stable: i >= f.candidates, name: fmt.Sprint("pod-", i), next: -300 + f.random.Float64()*f.gap, all: 1000})
	}
	f.clock = -300
	f.run(0)
	return f
}

// run lets time pass until then.
func (f *fleet) run(until float64) {
	const step = 0.5
	for ; f.clock < until; f.clock += step {
		for _, p := range f.pods {
			rate, share := f.each, f.bad
			if !p.stable && f.clock >= f.from {
				share = min(1, share*f.times)
			}
			if !p.stable && f.silent > 0 && f.clock >= f.silent {
				rate = 0
			}
			n := poisson(f.random, rate*step)
			p.all += n
			for range int(n) {
				if f.random.Float64() < share {
					p.wrong++
				}
				if f.slower == 0 {
					continue
				}
				took := 0.1 * math.Exp(0.5*f.random.NormFloat64())
				if !p.stable && f.clock >= f.from {
					took *= f.slower
				}
				for i := range p.slow {
					if i == len(les) || took <= les[i] {
						p.slow[i]++
					}
				}
			}
			if f.clock >= p.next {
				p.next += f.gap
				at := inSeconds(f.clock)
				p.total = append(p.total, adg.Sample{At: at, Value: p.all})
				p.bad = append(p.bad, adg.Sample{At: at, Value: p.wrong})
				for i := range p.slow {
					p.buckets[i] = append(p.buckets[i], adg.Sample{At: at, Value: p.slow[i]})
				}
			}
		}
	}
}

func poisson(random *rand.Rand, mean float64) float64 {
	n, left := 0.0, math.Exp(-mean)
	for p := random.Float64(); p > left; p *= random.Float64() {
		n++
	}
	return n
}

// measure is what a source answers now.
func (f *fleet) measure(stable bool, window float64) adg.Measurement {
	m := adg.Measurement{At: inSeconds(f.clock)}
	cut := func(p *pod, samples []adg.Sample) adg.Series {
		return adg.Series{Labels: map[string]string{"pod": p.name}, Samples: within(samples, inSeconds(f.clock-window), m.At)}
	}
	for _, p := range f.pods {
		if p.stable == stable {
			m.Total, m.Bad = append(m.Total, cut(p, p.total)), append(m.Bad, cut(p, p.bad))
		}
	}
	return m
}

// latencies is measure for a histogram.
func (f *fleet) latencies(stable bool, window float64) adg.Measurement {
	m := adg.Measurement{At: inSeconds(f.clock)}
	for _, p := range f.pods {
		for i := range p.slow {
			if p.stable != stable {
				continue
			}
			le := "+Inf"
			if i < len(les) {
				le = fmt.Sprint(les[i])
			}
			m.Slow = append(m.Slow, adg.Series{Labels: map[string]string{"pod": p.name, "le": le}, Samples: within(p.buckets[i], inSeconds(f.clock-window), m.At)})
		}
	}
	return m
}

func (s *story) measure(stable bool) adg.Measurement {
	if s.check.Histogram != "" {
		return s.fleet.latencies(stable, s.check.Window.Seconds())
	}
	return s.fleet.measure(stable, s.check.Window.Seconds())
}

// story is the verdicts of a check, every interval seconds, on a fleet.
type story struct {
	check    adg.Check
	fleet    *fleet
	interval float64
	share    float64
	before   *adg.Baseline
	state    adg.CheckState
	alone    bool
	last     adg.Judgement
	seen     []adg.Judgement
}

func (s *story) until(end float64, stop func(adg.Judgement) bool) float64 {
	limit := s.check.Window
	for at := s.fleet.clock + s.interval; at <= end; at += s.interval {
		s.fleet.run(at)
		s.check.Window = min(limit, time.Duration(at)*time.Second)
		o := adg.Observation{Check: s.check, Candidate: s.measure(false), Before: s.before, State: s.state, Share: s.share}
		if !s.alone {
			o.Stable = new(s.measure(true))
		}
		s.last, s.state = Judge(o, inSeconds(at))
		s.seen = append(s.seen, s.last)
		if stop(s.last) {
			s.check.Window = limit
			return at
		}
	}
	s.check.Window = limit
	return math.Inf(1)
}

func never(adg.Judgement) bool    { return false }
func failed(j adg.Judgement) bool { return j.Verdict == adg.Fail }

func frozenOf(f *fleet, check adg.Check, seconds float64) *adg.Baseline {
	f.run(seconds)
	s := story{check: check, fleet: f}
	s.check.Window = time.Duration(seconds) * time.Second
	b := Freeze(check, s.measure(true), inSeconds(0), inSeconds(seconds))
	return &b
}

// after is a story's observation a minute in, changed.
func after(seconds float64, change func(*adg.Observation)) (adg.Judgement, adg.CheckState, adg.CheckState) {
	s := story{check: counted, interval: 5, share: 10, fleet: newFleet(8, func(*fleet) {})}
	s.until(seconds, never)
	s.fleet.run(seconds + 5)
	o := adg.Observation{Check: s.check, Candidate: s.fleet.measure(false, 60), Stable: new(s.fleet.measure(true, 60)), State: s.state, Share: 10}
	change(&o)
	j, state := Judge(o, inSeconds(seconds+5))
	return j, o.State, state
}
