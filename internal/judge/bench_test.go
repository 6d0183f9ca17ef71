package judge

import (
	"testing"
	"time"

	"github.com/deployguardian/adg"
)

func BenchmarkJudgeLatestValue(b *testing.B) {
	judging(b, example{check: latency, seen: values(0.2)})
}

func BenchmarkJudgeRangeOf60Samples(b *testing.B) {
	judging(b, example{check: gathered(adg.P95), seen: values(make([]float64, 60)...)})
}

func BenchmarkJudgeCountersOf10Replicas(b *testing.B) {
	judging(b, example{check: errorRate, seen: replicated(10)})
}

func BenchmarkJudgeCountersBesideStable(b *testing.B) {
	judging(b, example{check: worse, seen: replicated(2), stable: new(replicated(10))})
}

func BenchmarkJudgeAgainstFrozenBaseline(b *testing.B) {
	judging(b, example{check: historical(slower), seen: values(0.2), before: beforeIt(make([]float64, maxValues)...)})
}

func BenchmarkJudgeProbe(b *testing.B) {
	judging(b, example{check: probing, seen: values(1)})
}

func BenchmarkAssess10Checks(b *testing.B) {
	checks, judgements := make([]adg.Check, 10), make([]adg.Judgement, 10)
	for i := range checks {
		checks[i], judgements[i] = adg.Check{Name: "check", Weight: 1}, adg.Judgement{Verdict: adg.Pass}
	}
	b.ReportAllocs()
	for b.Loop() {
		Assess(now, checks, judgements, adg.Scoring{})
	}
}

func BenchmarkFreeze30MinutesOf10Replicas(b *testing.B) {
	var seen adg.Measurement
	rising := make([]float64, 120)
	for i := range rising {
		rising[i] = float64(10 * i)
	}
	for range 10 {
		seen.Total = append(seen.Total, series(15*time.Second, rising...))
		seen.Bad = append(seen.Bad, series(15*time.Second, rising...))
	}
	b.ReportAllocs()
	for b.Loop() {
		Freeze(errorRate, seen, now.Add(-30*time.Minute), now)
	}
}

func judging(b *testing.B, e example) {
	b.Helper()
	o := e.observation()
	b.ReportAllocs()
	for b.Loop() {
		Judge(o, now)
	}
}

func replicated(n int) adg.Measurement {
	m := adg.Measurement{At: now}
	for range n {
		one := counts(1, 100)
		m.Bad, m.Total = append(m.Bad, one.Bad...), append(m.Total, one.Total...)
	}
	return m
}

func BenchmarkJudgeSequentialOf10ReplicasScrapedEverySecond(b *testing.B) {
	f := newFleet(1, func(*fleet) {})
	s := story{check: counted, fleet: f, interval: 5, share: 10}
	s.before = frozenOf(f, s.check, 600)
	s.until(660, never)
	f.run(665)
	o := adg.Observation{Check: counted, Candidate: f.measure(false, 60), Stable: new(f.measure(true, 60)), Before: s.before, State: s.state, Share: 10}
	b.ReportAllocs()
	for b.Loop() {
		Judge(o, inSeconds(665))
	}
}

func BenchmarkJudgeHistogramsOf10ReplicasScrapedEverySecond(b *testing.B) {
	f := newFleet(1, func(f *fleet) { f.slower = 1 })
	s := story{check: slowness, fleet: f, interval: 5, share: 10}
	s.before = frozenOf(f, s.check, 600)
	s.until(660, never)
	f.run(665)
	o := adg.Observation{Check: slowness, Candidate: f.latencies(false, 60), Stable: new(f.latencies(true, 60)), Before: s.before, State: s.state, Share: 10}
	b.ReportAllocs()
	for b.Loop() {
		Judge(o, inSeconds(665))
	}
}

func BenchmarkFreezeSequential30MinutesOf9Replicas(b *testing.B) {
	f := newFleet(1, func(*fleet) {})
	f.run(1800)
	m := f.measure(true, 1800)
	b.ReportAllocs()
	for b.Loop() {
		Freeze(counted, m, inSeconds(0), inSeconds(1800))
	}
}
