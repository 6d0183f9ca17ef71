package judge

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/deployguardian/adg"
)

// looks judges what both versions wrote at many times, one after the other, with the same state.
func looks(t *testing.T, g guarded, until time.Duration, seen func(arm adg.Arm, now time.Time) *adg.LogCount) []adg.Judgement {
	t.Helper()
	var state adg.CheckState
	var all []adg.Judgement
	for now := day.Add(30 * time.Second); !now.After(day.Add(until)); now = now.Add(30 * time.Second) {
		o := adg.Observation{Check: g.check, Before: g.before, State: state, Share: g.share, Interval: 30 * time.Second, Candidate: adg.Measurement{Log: seen(adg.CandidateArm, now)}}
		if !g.alone {
			o.Stable = &adg.Measurement{Log: seen(adg.BaselineArm, now)}
		}
		var j adg.Judgement
		j, state = Judge(o, now)
		all = append(all, j)
	}
	return all
}

func TestLinesThatComeTooLateOrNotAtAllAreNoGoodNews(t *testing.T) {
	quiet := &adg.LogCount{Moment: moment, Replicas: []string{"a", "b", "c"}, Lines: 60}
	for _, c := range []struct {
		name string
		seen func(arm adg.Arm, log *adg.LogCount, now time.Time)
		why  adg.Why
	}{
		{"the candidate's clock or its collector is late", func(arm adg.Arm, log *adg.LogCount, now time.Time) {
			if arm == adg.CandidateArm {
				log.Last = now.Add(-55 * time.Second)
			}
		}, adg.TooEarly},
		{"the baseline's is", func(arm adg.Arm, log *adg.LogCount, now time.Time) {
			if arm == adg.BaselineArm {
				log.Last = now.Add(-55 * time.Second)
			}
		}, adg.TooEarly},
		{"the candidate has fallen silent", func(arm adg.Arm, log *adg.LogCount, now time.Time) {
			if arm == adg.CandidateArm && now.After(day.Add(10*time.Minute)) {
				log.Lines, log.Last, log.Replicas = 0, time.Time{}, nil
			}
		}, adg.NoData},
		{"the baseline has", func(arm adg.Arm, log *adg.LogCount, now time.Time) {
			if arm == adg.BaselineArm && now.After(day.Add(10*time.Minute)) {
				log.Lines, log.Last, log.Replicas = 0, time.Time{}, nil
			}
		}, adg.NoBaseline},
		{"no line says of which level it is", func(arm adg.Arm, log *adg.LogCount, _ time.Time) {
			if arm == adg.CandidateArm {
				log.Mute = log.Lines
			}
		}, adg.NoData},
		{"there are more patterns than can be told apart", func(arm adg.Arm, log *adg.LogCount, _ time.Time) {
			if arm == adg.CandidateArm {
				log.Left = 5
			}
		}, adg.TooEarly},
		{"the lines that are given cover no whole moment", func(_ adg.Arm, log *adg.LogCount, now time.Time) {
			log.From = now.Add(-8 * time.Second)
		}, adg.TooEarly},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := guarded{check: logCheck, share: 50}
			all := looks(t, g, 40*time.Minute, func(arm adg.Arm, now time.Time) *adg.LogCount {
				log := *quiet
				log.From, log.Last = now.Add(-time.Minute), now.Add(-time.Second)
				c.seen(arm, &log, now)
				return &log
			})
			if j := last(all); j.Verdict != adg.Unknown || j.Why != c.why {
				t.Errorf("%+v", j)
			}
		})
	}
	g := guarded{check: logCheck, share: 50}
	all := looks(t, g, 40*time.Minute, func(_ adg.Arm, now time.Time) *adg.LogCount {
		log := *quiet
		log.From, log.Last = now.Add(-time.Minute), now.Add(-time.Second)
		return &log
	})
	if j := last(all); j.Verdict != adg.Pass {
		t.Errorf("without any of that: %+v", j)
	}
}

func TestThatLinesCoverNoWholeMomentIsSaid(t *testing.T) {
	all := looks(t, guarded{check: logCheck}, time.Minute, func(_ adg.Arm, now time.Time) *adg.LogCount {
		return &adg.LogCount{From: now.Add(-8 * time.Second), Last: now, Moment: moment, Lines: 5000, Replicas: []string{"a"}}
	})
	if j := last(all); !strings.Contains(j.Text, "let the query give fewer lines") {
		t.Error(j.Text)
	}
}

func TestTheLastLinesOfACandidateThatFallsSilentCount(t *testing.T) {
	panics := adg.LogPattern{Text: "nil map", Level: adg.LevelPanic, First: day}
	for i := range 5 {
		panics.Cells = append(panics.Cells, adg.LogCell{Replica: i, Moment: day.Unix()/10 + int64(i%2), Lines: 1})
	}
	all := looks(t, guarded{check: logCheck, share: 50}, 2*time.Minute, func(arm adg.Arm, now time.Time) *adg.LogCount {
		log := &adg.LogCount{From: now.Add(-time.Minute), Last: now, Moment: moment, Lines: 60, Replicas: []string{"a", "b", "c", "d", "e"}}
		if arm == adg.CandidateArm {
			log.Last, log.Patterns = day.Add(20*time.Second), []adg.LogPattern{panics}
			if now.After(day.Add(80 * time.Second)) {
				log.Lines, log.Last, log.Patterns, log.Replicas = 0, time.Time{}, nil, nil
			}
		}
		return log
	})
	if j := last(all); j.Why != adg.NoData || !strings.Contains(j.Text, "no line of the candidate") || len(j.Patterns) == 0 || j.Patterns[0].Candidate.Bad != 5 {
		t.Errorf("%+v", j)
	}
}

// TestRareLinesOfAQuietServiceAreNotHeldAgainstTheCandidate draws services that write nothing but a rare warning, on both sides
// alike: a moment must not count only because the candidate has written in it.
func TestRareLinesOfAQuietServiceAreNotHeldAgainstTheCandidate(t *testing.T) {
	worse, draws := 0, 60
	for seed := range uint64(draws) {
		r := source(700 + seed)
		rates := map[string]float64{"lease is lost": 0.02, "retry of mail": 0.02, "disk is slow": 0.02}
		w := [2]writers{{replicas: 3, rates: rates}, {replicas: 3, rates: rates}}
		var written [2]*adg.LogCount
		for arm := range w {
			written[arm] = w[arm].log(r, day, day.Add(time.Hour), "pod")
		}
		g := guarded{check: logCheck, share: 50}
		g.check.Sequential.Alpha = 0.05
		all := looks(t, g, time.Hour, func(arm adg.Arm, now time.Time) *adg.LogCount {
			log := within60(written[arm], now)
			return onlyWhatIsWritten(log)
		})
		if last(all).Verdict == adg.Fail {
			worse++
		}
	}
	t.Logf("%d of %d", worse, draws)
	if worse > 8 {
		t.Errorf("%d of %d innocent releases were called worse", worse, draws)
	}
}

// onlyWhatIsWritten takes out of a count whatever no line of a pattern shows.
func onlyWhatIsWritten(log *adg.LogCount) *adg.LogCount {
	log.Lines, log.Last, log.Replicas = 0, time.Time{}, nil
	names := map[int]int{}
	for i, p := range log.Patterns {
		cells := slices.Clone(p.Cells)
		for k, cell := range cells {
			if _, known := names[cell.Replica]; !known {
				names[cell.Replica] = len(log.Replicas)
				log.Replicas = append(log.Replicas, fmt.Sprint("pod-", cell.Replica))
			}
			cells[k].Replica = names[cell.Replica]
			log.Lines++
			if at := time.Unix(cell.Moment*10+5, 0); at.After(log.Last) {
				log.Last = at
			}
		}
		log.Patterns[i].Cells = cells
	}
	return log
}

// crowd is a service with so many patterns that not all are remembered, each in every second moment.
func crowd(n int) writers {
	w := writers{replicas: 3, rates: map[string]float64{}}
	for i := range n {
		w.rates[fmt.Sprintf("pattern-%c%c has %c%c", 'a'+i%26, 'a'+i/26, 'a'+i%26, 'a'+i/26)] = 0.2
	}
	return w
}

func TestPatternsThatFoundNoPlaceInTheBaselineAreNotNew(t *testing.T) {
	steady := crowd(50)
	for text := range steady.rates {
		steady.rates[text] = 0.03
	}
	steady.rates["the heart beats slowly"] = 1
	for name, w := range map[string]writers{"all of them often": crowd(100), "one in each moment": steady} {
		r := source(21)
		g := guarded{check: logCheck, alone: true, stable: w, candidate: w}
		g.freeze(r, w)
		if j := last(g.run(t, r, 20*time.Minute)); j.Verdict == adg.Fail {
			t.Errorf("%s: a release that logs what was logged before is %s: %s", name, j.Verdict, j.Text)
		}
		now := day.Add(10 * time.Minute)
		log := within60(w.log(r, day, day.Add(time.Hour), "old"), now)
		if j, _ := Judge(adg.Observation{Check: RestoredTo(g.check, g.before), Before: g.before, Candidate: adg.Measurement{Log: log}}, now); j.Verdict != adg.Pass {
			t.Errorf("%s: the restored release is %s: %s", name, j.Verdict, j.Text)
		}
	}
}

func TestAPatternOfTheBaselineIsNeverForgotten(t *testing.T) {
	r := source(22)
	now := crowd(90)
	for text := range now.rates {
		now.rates[text] = 0.02
	}
	now.rates["the cache is cold"] = 0.04
	g := guarded{check: logCheck, alone: true}
	g.freeze(r, writers{replicas: 3, rates: map[string]float64{"the cache is cold": 0.04}})
	written := now.log(r, day, day.Add(time.Hour), "new")
	var state adg.CheckState
	for at := day.Add(30 * time.Second); at.Before(day.Add(20 * time.Minute)); at = at.Add(30 * time.Second) {
		_, state = Judge(adg.Observation{Check: g.check, Before: g.before, State: state, Candidate: adg.Measurement{Log: within60(written, at)}}, at)
	}
	var book logbook
	if err := json.Unmarshal(state.Test, &book); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(book.Patterns, func(p logged) bool { return p.Text == "the cache is cold" && p.Place == 0 && p.Bad[0] > 3 }) {
		t.Errorf("it is not among the %d that are remembered", len(book.Patterns))
	}
}

func TestTheBaselinesMomentsCountWhileTheCandidateIsSilent(t *testing.T) {
	all := looks(t, guarded{check: logCheck, share: 50}, 5*time.Minute, func(arm adg.Arm, now time.Time) *adg.LogCount {
		log := &adg.LogCount{From: now.Add(-time.Minute), Last: now, Moment: moment, Lines: 10, Replicas: []string{"a"}}
		p := adg.LogPattern{Text: "mail is late", Level: adg.LevelWarn, First: day}
		early := now.Before(day.Add(80 * time.Second))
		if arm == adg.CandidateArm && !early {
			return &adg.LogCount{From: log.From, Moment: moment}
		}
		for at := -(-log.From.Unix() / 10); at < now.Unix()/10; at++ {
			if inFirst := at < day.Unix()/10+4; inFirst == (arm == adg.CandidateArm) {
				p.Cells = append(p.Cells, adg.LogCell{Moment: at, Lines: 1})
			}
		}
		log.Patterns = []adg.LogPattern{p}
		return log
	})
	if before, after := all[1].Patterns[0], last(all).Patterns[0]; !(after.LogE < before.LogE-1) || after.Baseline.Bad < 10 {
		t.Errorf("%+v, and in the end %+v", before, after)
	}
}

func TestWithNothingBesideItMoreTrafficThanBeforeCondemnsNobody(t *testing.T) {
	// Lines by the number of requests: twice as many of these as in the hours before.
	busy := func(r *rand.Rand, from, to time.Time, mean float64) *adg.LogCount {
		c := &adg.LogCount{From: from, Last: to, Moment: moment, Lines: 100, Replicas: []string{"a", "b", "c"}}
		p := adg.LogPattern{Text: "card refused", Level: adg.LevelWarn, First: from}
		for at := from.Unix() / 10; at < to.Unix()/10; at++ {
			for i := range 3 {
				if n := poisson(r, mean); n > 0 {
					p.Cells = append(p.Cells, adg.LogCell{Replica: i, Moment: at, Lines: int(n)})
				}
			}
		}
		c.Patterns = []adg.LogPattern{p}
		return c
	}
	for _, c := range []struct {
		name        string
		before, now float64 // lines in a moment
	}{
		{"more lines in a moment", 4, 8},
		{"more moments with a line", 0.045, 0.085},
	} {
		r := source(23)
		from := day.Add(-9 * time.Hour)
		b := Freeze(logCheck, adg.Measurement{Log: busy(r, from, day, c.before)}, from, day)
		now := busy(r, day, day.Add(3*time.Hour), c.now)
		all := looks(t, guarded{check: logCheck, alone: true, before: &b}, 3*time.Hour, func(_ adg.Arm, at time.Time) *adg.LogCount { return within60(now, at) })
		if j := last(all); j.Verdict != adg.Pass {
			t.Errorf("%s: %s: %s", c.name, j.Verdict, j.Text)
		}
	}
}

func TestARollbackIsVerifiedWithLongMomentsAndNotWithoutEvidence(t *testing.T) {
	check := logCheck
	check.Window, check.Sequential.Bucket = 10*time.Minute, 60
	from := day.Add(-time.Hour)
	quiet := func(from, to time.Time) *adg.LogCount {
		return &adg.LogCount{From: from, Last: to, Moment: time.Minute, Lines: 100, Replicas: []string{"a", "b", "c"}}
	}
	b := Freeze(check, adg.Measurement{Log: quiet(from, day)}, from, day)
	restored := RestoredTo(check, &b)
	now := day.Add(17*time.Minute + 20*time.Second)
	log := quiet(now.Add(-restored.Window), now)
	if j, _ := Judge(adg.Observation{Check: restored, Before: &b, Candidate: adg.Measurement{Log: log}}, now); j.Verdict != adg.Pass {
		t.Errorf("with lines: %s", j.Text)
	}
	log.Last = log.From.Add(time.Second)
	if j, _ := Judge(adg.Observation{Check: restored, Before: &b, Candidate: adg.Measurement{Log: log}}, now); j.Verdict != adg.Unknown {
		t.Errorf("with one old line: %s %s", j.Verdict, j.Text)
	}
	log.Last, log.Mute = now, log.Lines
	if j, _ := Judge(adg.Observation{Check: restored, Before: &b, Candidate: adg.Measurement{Log: log}}, now); j.Verdict != adg.Unknown {
		t.Errorf("with lines of no level: %s %s", j.Verdict, j.Text)
	}
}

func TestAForgottenPatternTakesNoNewPlaceForTheMomentsItWasCountedIn(t *testing.T) {
	log := &adg.LogCount{From: day, Last: day.Add(50 * time.Second), Moment: moment, Lines: 200, Replicas: []string{"a"}}
	for text := range crowd(100).rates {
		log.Patterns = append(log.Patterns, adg.LogPattern{Text: text, Level: adg.LevelError, First: day, Cells: []adg.LogCell{{Moment: day.Unix()/10 + 1, Lines: 1}}})
	}
	var state adg.CheckState
	for _, seconds := range []time.Duration{45, 50, 55} {
		o := adg.Observation{Check: logCheck, State: state, Share: 50, Candidate: adg.Measurement{Log: log}, Stable: &adg.Measurement{Log: log}}
		_, state = Judge(o, day.Add(seconds*time.Second))
	}
	var book logbook
	if err := json.Unmarshal(state.Test, &book); err != nil || book.Made != 100 || len(book.Patterns) != maxLogged {
		t.Errorf("%d places for 100 patterns, %d kept: %v", book.Made, len(book.Patterns), err)
	}
}
