package judge

import (
	"encoding/json"
	"fmt"
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

// chatter is 5,000 lines of ten replicas in a minute, of so many patterns, with numbers and names in them.
func chatter(patterns int) adg.LinesAnswer {
	words := func(n int) string {
		text := ""
		for range 6 {
			text += " " + string([]byte{byte('a' + n%26), byte('a' + n/26%26), byte('a' + n%7), byte('a' + n%11)})
			n = n*31 + 7
		}
		return text
	}
	var answer adg.LinesAnswer
	for i := range adg.MaxLines {
		answer.Lines = append(answer.Lines, adg.LogLine{
			At: now.Add(time.Duration(i-adg.MaxLines) * 12 * time.Millisecond), Replica: fmt.Sprintf("shop-%d", i%10),
			Text: fmt.Sprintf(`2026-03-01T12:00:00Z ERROR%s order=%d customer=%08x took %dms`, words(i%patterns), i, i*7919, i%977),
		})
	}
	return answer
}

func BenchmarkReadLinesOf20Patterns(b *testing.B)  { readLines(b, chatter(20)) }
func BenchmarkReadLinesOf500Patterns(b *testing.B) { readLines(b, chatter(500)) }

func readLines(b *testing.B, answer adg.LinesAnswer) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		ReadLines(logCheck, answer, now.Add(-time.Minute), now)
	}
	b.ReportMetric(jsonSize(b, ReadLines(logCheck, answer, now.Add(-time.Minute), now)), "B/measurement")
}

func BenchmarkJudgeLogsOf3PatternsBeside9Replicas(b *testing.B)  { judgeLogs(b, 3, 0.2) }
func BenchmarkJudgeLogsOf60PatternsBeside9Replicas(b *testing.B) { judgeLogs(b, 60, 0.2) }

// judgeLogs is one look at a minute, after ten of a candidate and nine replicas that log the same.
func judgeLogs(b *testing.B, patterns int, rate float64) {
	b.Helper()
	r := source(1)
	rates := map[string]float64{}
	for i := range patterns {
		rates[fmt.Sprintf("order <n> of pattern-%c%c could not be sent to <ip>: timeout after <n>", 'a'+i%26, 'a'+i/26)] = rate
	}
	g := guarded{check: logCheck, share: 10, stable: writers{replicas: 9, rates: rates}, candidate: writers{replicas: 1, rates: rates}}
	g.freeze(r, g.stable)
	candidate, stable := g.candidate.log(r, day, day.Add(time.Hour), "new"), g.stable.log(r, day, day.Add(time.Hour), "old")
	o := adg.Observation{Check: g.check, Before: g.before, Share: g.share}
	var j adg.Judgement
	for minute := range 11 {
		at := day.Add(time.Duration(minute+1) * time.Minute)
		o.Candidate, o.Stable = adg.Measurement{Log: within60(candidate, at)}, &adg.Measurement{Log: within60(stable, at)}
		if minute < 10 {
			_, o.State = Judge(o, at)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		j, _ = Judge(o, day.Add(11*time.Minute))
	}
	b.ReportMetric(jsonSize(b, j), "B/judgement")
	b.ReportMetric(float64(len(o.State.Test)), "B/state")
	b.ReportMetric(jsonSize(b, o.Candidate)+jsonSize(b, *o.Stable), "B/measurements")
}

func BenchmarkFreezeLogs30MinutesOf9Replicas(b *testing.B) {
	rates := map[string]float64{}
	for i := range 60 {
		rates[fmt.Sprintf("pattern-%c%c", 'a'+i%26, 'a'+i/26)] = 0.2
	}
	from := day.Add(-30 * time.Minute)
	m := adg.Measurement{Log: writers{replicas: 9, rates: rates}.log(source(1), from, day, "old")}
	b.ReportAllocs()
	for b.Loop() {
		Freeze(logCheck, m, from, day)
	}
}

// jsonSize is how many bytes something takes as the store writes it.
func jsonSize(b *testing.B, x any) float64 {
	b.Helper()
	text, err := json.Marshal(x)
	if err != nil {
		b.Fatal(err)
	}
	return float64(len(text))
}
