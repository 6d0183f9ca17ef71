package judge

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/deployguardian/adg"
)

// writers are the replicas of one version, which write lines of some patterns by chance.
type writers struct {
	replicas int
	rates    map[string]float64 // pattern → probability of a line in a moment of one replica
	episodes float64            // probability that in a moment an episode of a pattern begins on one replica: until it ends each moment has it
	lasting  int                // moments of an episode, on average
}

const moment = 10 * time.Second

// log is what they write from a time to another.
func (w writers) log(r *rand.Rand, from, to time.Time, name string) *adg.LogCount {
	c := &adg.LogCount{From: from, Moment: moment}
	for i := range w.replicas {
		c.Replicas = append(c.Replicas, fmt.Sprintf("%s-%d", name, i))
	}
	texts := make([]string, 0, len(w.rates))
	for text := range w.rates {
		texts = append(texts, text)
	}
	slices.Sort(texts)
	for _, text := range texts {
		p := adg.LogPattern{Text: text, Level: adg.LevelError, Example: text + " for example"}
		ill := make([]bool, w.replicas)
		for at := from.Unix() / 10; at < to.Unix()/10; at++ {
			for i := range w.replicas {
				c.Lines++
				if ill[i] {
					ill[i] = r.Float64() >= 1/float64(w.lasting)
				} else {
					ill[i] = w.episodes > 0 && r.Float64() < w.episodes
				}
				if ill[i] || r.Float64() < w.rates[text] {
					if p.First.IsZero() {
						p.First = time.Unix(at*10, 0).UTC()
					}
					p.Cells = append(p.Cells, adg.LogCell{Replica: i, Moment: at, Lines: 1})
				}
			}
		}
		if len(p.Cells) > 0 {
			c.Patterns = append(c.Patterns, p)
		}
	}
	c.Lines++ // somebody is there
	c.Last = to
	return c
}

var logCheck = adg.Check{Name: "log", Source: "logs", Query: "q", Compare: adg.Logs, Window: time.Minute, Weight: 1}

// guarded is a check of logs that is looked at every half of a minute.
type guarded struct {
	check             adg.Check
	candidate, stable writers
	alone             bool
	before            *adg.Baseline
	share             float64
}

func (g *guarded) freeze(r *rand.Rand, of writers) {
	from := day.Add(-30 * time.Minute)
	b := Freeze(g.check, adg.Measurement{Log: of.log(r, from, day, "old")}, from, day)
	g.before = &b
}

// run gives the judgements of so long a time, up to the first Fail.
func (g guarded) run(t *testing.T, r *rand.Rand, long time.Duration) []adg.Judgement {
	t.Helper()
	var state adg.CheckState
	var all []adg.Judgement
	var written [2]*adg.LogCount
	written[0] = g.candidate.log(r, day, day.Add(long), "new")
	written[1] = g.stable.log(r, day, day.Add(long), "old")
	for now := day.Add(30 * time.Second); !now.After(day.Add(long)); now = now.Add(30 * time.Second) {
		o := adg.Observation{Check: g.check, Before: g.before, State: state, Share: g.share,
			Candidate: adg.Measurement{Log: within60(written[0], now)}}
		if !g.alone {
			o.Stable = &adg.Measurement{Log: within60(written[1], now)}
		}
		var j adg.Judgement
		j, state = Judge(o, now)
		all = append(all, j)
		if len(state.Test) > 64<<10 {
			t.Fatalf("a state of %d bytes", len(state.Test))
		}
		if j.Verdict == adg.Fail {
			break
		}
	}
	return all
}

// within60 is the last minute of a log.
func within60(c *adg.LogCount, now time.Time) *adg.LogCount {
	part := *c
	part.From, part.Last, part.Patterns = now.Add(-time.Minute), now, nil
	for _, p := range c.Patterns {
		var cells []adg.LogCell
		for _, cell := range p.Cells {
			if at := time.Unix(cell.Moment*10, 0); !at.Before(part.From) && at.Before(now) {
				cells = append(cells, cell)
			}
		}
		if p.Cells = cells; len(cells) > 0 {
			part.Patterns = append(part.Patterns, p)
		}
	}
	return &part
}

var day = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func source(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 7)) }

func last(all []adg.Judgement) adg.Judgement { return all[len(all)-1] }

func TestANewPatternOfTheCandidateIsFound(t *testing.T) {
	r := source(1)
	g := guarded{check: logCheck, share: 10,
		stable:    writers{replicas: 9, rates: map[string]float64{"retry <n>": 0.2}},
		candidate: writers{replicas: 1, rates: map[string]float64{"retry <n>": 0.2, "nil map": 0.8}}}
	g.freeze(r, g.stable)
	all := g.run(t, r, 20*time.Minute)
	j := last(all)
	if j.Verdict != adg.Fail || j.Why != adg.Worse || !j.Final || j.Weak {
		t.Fatalf("%+v", j)
	}
	f := j.Patterns[0]
	if f.Text != "nil map" || f.Change != adg.LogNew || !f.Decides() || f.Baseline.Bad != 0 || f.Candidate.Bad < 3 || f.Example != "nil map for example" {
		t.Errorf("%+v", f)
	}
	if n := len(all); n > 8 {
		t.Errorf("it took %d looks of half a minute", n)
	}
	if !strings.Contains(j.Text, `"nil map"`) || !strings.Contains(j.Text, "new pattern") {
		t.Error(j.Text)
	}
}

func TestAMoreFrequentPatternIsFound(t *testing.T) {
	r := source(2)
	g := guarded{check: logCheck, share: 10,
		stable:    writers{replicas: 9, rates: map[string]float64{"card refused": 0.03}},
		candidate: writers{replicas: 1, rates: map[string]float64{"card refused": 0.9}}}
	g.freeze(r, g.stable)
	j := last(g.run(t, r, 30*time.Minute))
	if j.Verdict != adg.Fail || j.Patterns[0].Change != adg.LogMore || !strings.Contains(j.Text, "more frequent") {
		t.Fatalf("%+v", j)
	}
}

func TestWithoutAStableVersionTheFrozenBaselineDecides(t *testing.T) {
	r := source(3)
	g := guarded{check: logCheck, alone: true, stable: writers{replicas: 3, rates: map[string]float64{"retry <n>": 0.2}},
		candidate: writers{replicas: 3, rates: map[string]float64{"retry <n>": 0.2, "nil map": 0.8}}}
	g.freeze(r, g.stable)
	j := last(g.run(t, r, 20*time.Minute))
	if j.Verdict != adg.Fail || !j.Weak || !strings.Contains(j.Text, "before the deployment") {
		t.Fatalf("%+v", j)
	}
}

func TestNothingFoundIsGoodNewsOnlyOnceItWouldHaveBeenFound(t *testing.T) {
	r := source(4)
	g := guarded{check: logCheck, share: 10, stable: writers{replicas: 9}, candidate: writers{replicas: 1}}
	g.freeze(r, g.stable)
	all := g.run(t, r, 30*time.Minute)
	if first := all[0]; first.Verdict != adg.Unknown || first.Why != adg.TooEarly {
		t.Errorf("at first: %+v", first)
	}
	if j := last(all); j.Verdict != adg.Pass || j.Why != adg.NothingFound || j.Proof != adg.Baked {
		t.Errorf("in the end: %+v", j)
	}
}

func TestMomentsBeforeTheCandidateWasThereAreNoGoodNewsOfIt(t *testing.T) {
	r := source(8)
	check := logCheck
	check.Window = 30 * time.Minute
	old, fresh := writers{replicas: 9}.log(r, day.Add(-check.Window), day, "old"), writers{replicas: 1}.log(r, day.Add(-moment), day, "new")
	old.From, fresh.From = day.Add(-check.Window), day.Add(-check.Window)
	o := adg.Observation{Check: check, Share: 10, Interval: 15 * time.Second, Candidate: adg.Measurement{Log: fresh}, Stable: &adg.Measurement{Log: old}}
	if j, _ := Judge(o, day); j.Verdict != adg.Unknown || j.N < 1 || j.N > 4 {
		t.Errorf("after the candidate's first line: %+v", j)
	}
}

func TestWhatWouldHaveBeenFoundSideBySideStaysSoOnceTheCandidateIsAlone(t *testing.T) {
	r := source(9)
	g := guarded{check: logCheck, share: 50, stable: writers{replicas: 3}, candidate: writers{replicas: 3}}
	from := day.Add(-time.Minute) // too short a time to say anything by itself
	before := Freeze(g.check, adg.Measurement{Log: g.stable.log(r, from, day, "old")}, from, day)
	written, quiet := g.candidate.log(r, day, day.Add(time.Hour), "new"), g.stable.log(r, day, day.Add(time.Hour), "old")
	var state adg.CheckState
	alone := 0
	for now := day.Add(30 * time.Second); alone < 40; now = now.Add(30 * time.Second) {
		o := adg.Observation{Check: g.check, Before: &before, State: state, Candidate: adg.Measurement{Log: within60(written, now)}}
		if alone == 0 {
			o.Stable = &adg.Measurement{Log: within60(quiet, now)}
		}
		var j adg.Judgement
		j, state = Judge(o, now)
		if alone > 0 && j.Verdict != adg.Pass {
			t.Fatalf("after %d looks alone: %+v", alone, j)
		}
		if alone > 0 || j.Verdict == adg.Pass {
			alone++
		}
		if alone == 0 && now.After(day.Add(20*time.Minute)) {
			t.Fatalf("side by side: %+v", j)
		}
	}
}

func TestALogThatSaysNothingIsNoGoodNews(t *testing.T) {
	log := func(lines int) *adg.LogCount {
		return &adg.LogCount{From: day.Add(-time.Minute), Moment: moment, Lines: lines, Replicas: []string{"a"}[:min(lines, 1)]}
	}
	for _, c := range []struct {
		name              string
		candidate, stable adg.Measurement
		want              adg.Why
	}{
		{"no line of the candidate", adg.Measurement{Log: log(0)}, adg.Measurement{Log: log(5)}, adg.NoData},
		{"no line of the baseline", adg.Measurement{Log: log(5)}, adg.Measurement{Log: log(0)}, adg.NoBaseline},
		{"the source is down", adg.Measurement{Err: "refused"}, adg.Measurement{Log: log(5)}, adg.SourceError},
		{"the source is down for the baseline", adg.Measurement{Log: log(5)}, adg.Measurement{Err: "refused"}, adg.SourceError},
		{"an answer without lines", adg.Measurement{}, adg.Measurement{Log: log(5)}, adg.NoData},
	} {
		t.Run(c.name, func(t *testing.T) {
			j, _ := Judge(adg.Observation{Check: logCheck, Candidate: c.candidate, Stable: &c.stable}, day)
			if j.Verdict != adg.Unknown || j.Why != c.want {
				t.Errorf("%+v", j)
			}
		})
	}
}

func TestASilentLogNeverBecomesGoodNews(t *testing.T) {
	r := source(7)
	g := guarded{check: logCheck, share: 50, stable: writers{replicas: 9, rates: map[string]float64{"retry <n>": 0.2}}}
	g.freeze(r, g.stable)
	beside := g.stable.log(r, day, day.Add(time.Hour), "old")
	for name, spoke := range map[string]int{"from the start": 0, "after the first minutes": 3} {
		var state adg.CheckState
		written := writers{replicas: 1}.log(r, day, day.Add(time.Hour), "new")
		written.Lines = 1
		for i := 1; i < 60; i++ {
			now := day.Add(time.Duration(i) * time.Minute)
			log := within60(written, now)
			if i > spoke {
				log.Lines, log.Replicas = 0, nil
			}
			var j adg.Judgement
			j, state = Judge(adg.Observation{Check: g.check, Before: g.before, State: state, Share: g.share, Candidate: adg.Measurement{Log: log}, Stable: &adg.Measurement{Log: within60(beside, now)}}, now)
			if j.Verdict != adg.Unknown || i > spoke && spoke == 0 && j.Why != adg.NoData {
				t.Fatalf("silent %s: after %d minutes %+v", name, i, j)
			}
		}
	}
}

func TestMomentsOfWhichNotAllLinesWereGivenCountForNothing(t *testing.T) {
	r := source(8)
	always := map[string]float64{"retry <n>": 1}
	old, young := writers{replicas: 3, rates: always}, writers{replicas: 3, rates: always}
	oldLog, youngLog := old.log(r, day, day.Add(time.Hour), "old"), young.log(r, day, day.Add(time.Hour), "new")
	// cut is a log of which only the last seconds were given.
	cut := func(c *adg.LogCount, now time.Time) *adg.LogCount {
		part := *within60(c, now)
		part.From, part.Patterns = now.Add(-8*time.Second), nil
		return &part
	}
	for _, c := range []struct {
		name              string
		candidate, stable func(*adg.LogCount, time.Time) *adg.LogCount
	}{
		{"of the baseline", within60, cut},
		{"of the candidate", cut, within60},
	} {
		t.Run(c.name, func(t *testing.T) {
			var state adg.CheckState
			for i := 1; i < 60; i++ {
				now := day.Add(time.Duration(i) * time.Minute)
				var j adg.Judgement
				j, state = Judge(adg.Observation{Check: logCheck, State: state, Share: 50, Candidate: adg.Measurement{Log: c.candidate(youngLog, now)}, Stable: &adg.Measurement{Log: c.stable(oldLog, now)}}, now)
				if j.Verdict != adg.Unknown || j.N != 0 {
					t.Fatalf("after %d minutes: %+v", i, j)
				}
			}
		})
	}
}

func TestOnceWorseStaysWorse(t *testing.T) {
	r := source(5)
	g := guarded{check: logCheck, share: 50, stable: writers{replicas: 3}, candidate: writers{replicas: 3, rates: map[string]float64{"nil map": 1}}}
	g.freeze(r, g.stable)
	var state adg.CheckState
	written, quiet := g.candidate.log(r, day, day.Add(time.Hour), "new"), g.stable.log(r, day, day.Add(time.Hour), "old")
	failed := false
	for now := day.Add(time.Minute); now.Before(day.Add(30 * time.Minute)); now = now.Add(time.Minute) {
		log := within60(written, now)
		if failed {
			log = within60(quiet, now)
		}
		var j adg.Judgement
		j, state = Judge(adg.Observation{Check: g.check, Before: g.before, State: state, Candidate: adg.Measurement{Log: log}, Stable: &adg.Measurement{Log: within60(quiet, now)}}, now)
		if failed && j.Verdict != adg.Fail {
			t.Fatalf("%+v", j)
		}
		failed = failed || j.Verdict == adg.Fail
	}
	if !failed {
		t.Error("it was never called worse")
	}
}

func TestARestoredReleaseIsGoodWhenThePatternIsGone(t *testing.T) {
	r := source(6)
	g := guarded{check: logCheck, stable: writers{replicas: 3, rates: map[string]float64{"retry <n>": 0.2}}}
	g.freeze(r, g.stable)
	check := RestoredTo(g.check, g.before)
	for _, c := range []struct {
		name string
		now  writers
		want adg.Verdict
	}{
		{"as before", g.stable, adg.Pass},
		{"still there", writers{replicas: 3, rates: map[string]float64{"nil map": 0.9}}, adg.Fail},
	} {
		log := c.now.log(r, day, day.Add(time.Hour), "old")
		now := day.Add(10 * time.Minute)
		j, state := Judge(adg.Observation{Check: check, Before: g.before, Candidate: adg.Measurement{Log: within60(log, now)}}, now)
		if j.Verdict != c.want || len(state.Test) > 0 {
			t.Errorf("%s: %+v", c.name, j)
		}
	}
}

// TestInnocentLogsAreRarelyCalledWorse draws releases whose patterns come as often as the baseline's, some of them for
// the first time or in episodes that last minutes and are one replica's, and counts those that are called worse: the promise is
// alpha. Beside fewer than three replicas nobody can know of episodes, and the verdict has to say so.
func TestInnocentLogsAreRarelyCalledWorse(t *testing.T) {
	const draws = 100
	const alpha = 0.05
	for _, c := range []struct {
		name     string
		stable   int
		alone    bool
		patterns int
		rate     float64
		episodes float64
		weak     bool
	}{
		{"many rare patterns that come and go", 9, false, 40, 0.01, 0, false},
		{"some frequent ones", 9, false, 5, 0.3, 0, false},
		{"one replica beside one", 1, false, 20, 0.02, 0, false},
		{"compared with the time before", 3, true, 10, 0.05, 0, false},
		{"episodes of three minutes, each replica's every half of an hour", 9, false, 3, 0, 1.0 / 180, false},
		{"episodes of three minutes, each replica's every other hour", 9, false, 3, 0, 1.0 / 720, false},
		{"episodes beside three replicas", 3, false, 3, 0, 1.0 / 180, false},
		{"episodes compared with the time before", 3, true, 3, 0, 1.0 / 180, false},
		{"episodes, one replica beside one", 1, false, 3, 0, 1.0 / 180, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			worse := 0
			for seed := range uint64(draws) {
				r := source(100 + seed)
				rates := map[string]float64{}
				for i := range c.patterns {
					rates[fmt.Sprintf("pattern-%c%c is here", 'a'+i%26, 'a'+i/26)] = c.rate
				}
				g := guarded{check: logCheck, alone: c.alone, stable: writers{replicas: c.stable, rates: rates, episodes: c.episodes, lasting: 18}}
				g.candidate = g.stable
				if !c.alone {
					g.candidate.replicas = 1
				}
				g.check.Sequential.Alpha = alpha
				g.freeze(r, writers{replicas: c.stable, rates: map[string]float64{"pattern-aa is here": c.rate}})
				if c.alone || c.episodes > 0 {
					g.freeze(r, g.stable)
				}
				switch j := last(g.run(t, r, 10*time.Minute)); {
				case j.Verdict != adg.Fail:
				case c.weak && !j.Weak:
					t.Errorf("nothing says that it is a weak verdict: %s", j.Text)
				case !c.weak:
					worse++
				}
			}
			t.Logf("%d of %d", worse, draws)
			// Three standard deviations above what is promised.
			if most := alpha*draws + 3*2.2; float64(worse) > most {
				t.Errorf("%d of %d innocent releases were called worse", worse, draws)
			}
		})
	}
}
