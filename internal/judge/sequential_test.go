package judge

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/judge/sequential"
)

func TestWorseReleasesAreFoundFromTheFirstRequestOn(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(*fleet)
		within float64
	}{
		{"twenty times the errors, scraped every second", func(f *fleet) { f.times = 20 }, 30},
		{"five times the errors, scraped every second", func(f *fleet) { f.times = 5 }, 90},
		{"five times the errors, scraped every 15 seconds", func(f *fleet) { f.times, f.gap = 5, 15 }, 300},
		{"twice the errors in many requests", func(f *fleet) { f.times, f.each = 2, 100 }, 240},
		{"a fault that begins after 10 minutes", func(f *fleet) { f.times, f.from = 10, 600 }, 900},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := newFleet(1, row.change)
			s := story{check: counted, fleet: f, interval: 5, share: 10}
			s.check.Window = time.Duration(max(60, 6*f.gap)) * time.Second
			at := s.until(1200, failed)
			t.Log(at, s.last.Text, len(s.state.Test))
			if !(at >= f.from && at <= f.from+row.within) || s.last.Why != adg.Worse || !s.last.Final {
				t.Fatalf("after %g s: %s", at, s.last.Text)
			}
			f.times = 0
			was := s.last
			s.until(f.clock+60, never)
			was.At = s.last.At
			if diff := cmp.Diff(was, s.last); diff != "" {
				t.Errorf("it does not stay so: %s", diff)
			}
		})
	}
}

func TestGoodReleasesAreBakedAndThenProvenNotWorse(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(*fleet)
	}{
		{"scraped every second", func(*fleet) {}},
		{"scraped every 15 seconds", func(f *fleet) { f.gap = 15 }},
		{"scraped every minute", func(f *fleet) { f.gap = 60 }},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := newFleet(2, row.change)
			s := story{check: counted, fleet: f, interval: 15, share: 10}
			s.check.Window = time.Duration(max(60, 5*f.gap)) * time.Second
			s.until(5400, func(j adg.Judgement) bool { return j.Proof == adg.Proven })
			var order []string
			for _, j := range s.seen {
				if word := j.Why.String(); len(order) == 0 || order[len(order)-1] != word {
					order = append(order, word)
					t.Log(j.Text)
				}
			}
			if got := strings.Join(order, " "); !strings.Contains(got, "too_early") || !strings.HasSuffix(got, "not_worse") || row.name == "scraped every second" && !strings.Contains(got, "nothing_found") {
				t.Errorf("%s", got)
			}
			if len(s.state.Test) > 8192 {
				t.Errorf("a state of %d bytes", len(s.state.Test))
			}
			if want := 20 * f.clock; s.last.N < 0.9*20*(f.clock-6*f.gap-10) || s.last.N > 1.1*want {
				t.Errorf("%g requests counted of about %g", s.last.N, want)
			}
		})
	}
}

func TestASilentReleaseFails(t *testing.T) {
	for _, row := range []struct {
		name   string
		silent float64
	}{
		{"from the start", 0.001}, {"after 5 minutes", 300},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := story{check: counted, interval: 5, share: 10, fleet: newFleet(3, func(f *fleet) { f.silent = row.silent })}
			at := s.until(900, failed)
			t.Log(at, s.last.Text)
			if s.last.Why != adg.Silent || at > row.silent+30 || s.last.Final {
				t.Fatalf("after %g s: %s", at, s.last.Text)
			}
			s.fleet.silent = 0
			s.until(at+60, never)
			if s.last.Why == adg.Silent {
				t.Errorf("it is back, and still: %s", s.last.Text)
			}
		})
	}
}

func TestTheTimeBeforeIsWhatARollingDeploymentIsComparedWith(t *testing.T) {
	for _, row := range []struct {
		name    string
		times   float64
		want    adg.Why
		verdict adg.Verdict
	}{
		{"five times the errors", 5, adg.Worse, adg.Fail},
		{"as many as before", 1, adg.NotWorse, adg.Pass},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := newFleet(4, func(f *fleet) { f.times, f.from, f.candidates, f.each = row.times, 1800, 9, 5 })
			s := story{check: Alone(counted), fleet: f, interval: 5, share: 100, alone: true}
			s.before = frozenOf(f, s.check, 1800)
			if s.before.Err != "" || len(s.before.Calibration) == 0 || len(s.before.Calibration) > 16_000 {
				t.Fatalf("%s, %d bytes", s.before.Err, len(s.before.Calibration))
			}
			s.until(5000, func(j adg.Judgement) bool { return j.Why == row.want })
			t.Log(f.clock, s.last.Text)
			if s.last.Verdict != row.verdict || s.last.Why != row.want || !strings.Contains(s.last.Text, "in the 30m before the deployment, which is weaker than side by side") {
				t.Errorf("%s", s.last.Text)
			}
			if weak := s.last.Weak; !weak {
				t.Error("it is not marked as weak")
			}
		})
	}
}

func TestAFrozenBaselineCalibratesTheTestBesideIt(t *testing.T) {
	f := newFleet(5, func(f *fleet) { f.times, f.from = 20, 600 })
	s := story{check: counted, fleet: f, interval: 5, share: 10}
	s.before = frozenOf(f, s.check, 600)
	known := calibrationOf(s.before)
	if known.Length != 4000 || len(known.Replicas) != 9 || len(known.Streams) != 1 || known.Streams[0].Past.All < 9*20*500 {
		t.Fatalf("%s", s.before.Calibration)
	}
	if at := s.until(900, failed); at > 630 || s.last.Why != adg.Worse {
		t.Errorf("after %g s: %s", at, s.last.Text)
	}
}

func TestAShareOfTheTrafficThatIsAnotherIsAWarning(t *testing.T) {
	s := story{check: counted, interval: 5, share: 50, fleet: newFleet(6, func(*fleet) {})}
	s.until(120, func(j adg.Judgement) bool { return j.Why == adg.WrongShare })
	if s.last.Verdict != adg.Warn || !strings.Contains(s.last.Text, "where 50 % are configured") {
		t.Errorf("%s: %s", s.last.Verdict, s.last.Text)
	}
	s.until(1800, func(j adg.Judgement) bool { return j.Proof == adg.Proven })
	if s.last.Why != adg.WrongShare || s.last.Proof != adg.Proven {
		t.Errorf("what the test has shown is not on record: %s, %s", s.last.Proof, s.last.Text)
	}
	s = story{check: with(counted, func(c *adg.Check) { c.Sequential.NoSplit = true }), interval: 5, share: 50, fleet: newFleet(6, func(*fleet) {})}
	if at := s.until(300, func(j adg.Judgement) bool { return j.Verdict == adg.Warn }); at < 300 {
		t.Errorf("nobody asked: %s", s.last.Text)
	}
	for _, share := range []float64{0, 100} {
		s = story{check: counted, interval: 5, share: share, fleet: newFleet(6, func(f *fleet) { f.silent = 0.001 })}
		if at := s.until(300, failed); at < 300 {
			t.Errorf("at a share of %g there is nothing to ask: %s", share, s.last.Text)
		}
	}
}

func TestWhatTheRequestsShowIsWeakWhereTheReplicasAreNotKnown(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(*adg.Check)
		weak   bool
	}{
		{"replicas are told apart", func(*adg.Check) {}, false},
		{"requests are known to be independent", func(c *adg.Check) { c.Replica, c.Sequential.Independent = "", true }, false},
		{"no label of replicas", func(c *adg.Check) { c.Replica = "" }, true},
		{"a label that no series has", func(c *adg.Check) { c.Replica = "instance" }, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := story{check: with(counted, row.change), interval: 5, share: 10, fleet: newFleet(7, func(f *fleet) { f.times = 20 })}
			s.until(300, failed)
			said := strings.HasSuffix(s.last.Text, "this holds for independent requests only")
			if s.last.Why != adg.Worse || s.last.Weak != row.weak || said != row.weak {
				t.Errorf("weak %t: %s", s.last.Weak, s.last.Text)
			}
		})
	}
}

func TestWhatIsNoEvidenceIsNotFedToTheTest(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(*adg.Observation)
		why    adg.Why
		text   string
	}{
		{"the source of the candidate is down", func(o *adg.Observation) { o.Candidate.Err = "401" }, adg.SourceError, "the source did not answer: 401"},
		{"the source of the baseline is down", func(o *adg.Observation) { o.Stable.Err = "401" }, adg.SourceError, "of the baseline, the source did not answer: 401"},
		{"the baseline has no series", func(o *adg.Observation) { o.Stable.Bad, o.Stable.Total = nil, nil }, adg.NoBaseline,
			"nothing to compare with: of the stable version, the source answered, and there was no data"},
		{"no stable version and nothing frozen", func(o *adg.Observation) { o.Stable = nil }, adg.NoBaseline,
			"nothing to compare with: no stable version serves beside the release, and no baseline was frozen before the deployment"},
		{"no stable version and an empty baseline", func(o *adg.Observation) { o.Stable, o.Before = nil, &adg.Baseline{} }, adg.NoBaseline,
			"nothing to compare with: the baseline from before the deployment is empty"},
		{"the candidate has no series, and nobody knows its share", func(o *adg.Observation) { o.Candidate.Bad, o.Candidate.Total, o.Share = nil, nil, 0 }, adg.NoData,
			"the source answered, and there was no data"},
		{"the clocks differ", func(o *adg.Observation) { o.Candidate = aged(-time.Hour, o.Candidate) }, adg.ClockSkew,
			"the latest sample is 59m59s in the future: check the clocks of the source and of this machine"},
	} {
		t.Run(row.name, func(t *testing.T) {
			j, before, state := after(60, row.change)
			if j.Verdict != adg.Unknown || j.Why != row.why || j.Text != row.text {
				t.Errorf("%s, %s: %s", j.Verdict, j.Why, j.Text)
			}
			if diff := cmp.Diff(before, state); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWhatIsOddIsSaidBesideTheVerdict(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(*adg.Observation)
		text   string
	}{
		{"a state that cannot be read", func(o *adg.Observation) { o.State.Test = json.RawMessage("{") }, "could not be read, so the test begins anew"},
		{"a time of which no sample is left", func(o *adg.Observation) {
			for _, m := range []*adg.Measurement{&o.Candidate, o.Stable} {
				for _, list := range [][]adg.Series{m.Bad, m.Total} {
					for i := range list {
						list[i].Samples = since(list[i].Samples, inSeconds(400))
					}
				}
			}
		}, "of which no sample is left count for nothing"},
		{"a reset", func(o *adg.Observation) {
			samples := o.Candidate.Total[0].Samples
			samples[len(samples)-1].Value = 3
		}, "a counter was reset, and what it had since its last scrape before that is not counted"},
	} {
		t.Run(row.name, func(t *testing.T) {
			j, _, _ := after(399, row.change)
			if j.Verdict == adg.Fail || !strings.Contains(j.Text, row.text) {
				t.Errorf("%s: %s", j.Verdict, j.Text)
			}
		})
	}
}

func TestTheLimitsOfASequentialCheckAreAskedToo(t *testing.T) {
	j, _, _ := after(120, func(o *adg.Observation) { o.Check.Fail = condition("> 0.001%") })
	if j.Verdict != adg.Fail || j.Why != adg.BeyondFail || j.Final || j.LogE == nil {
		t.Errorf("%s, %s: %s", j.Verdict, j.Why, j.Text)
	}
	j, _, _ = after(120, func(o *adg.Observation) { o.Check.Fail = condition("> 90%") })
	if j.Why != adg.NothingFound && j.Why != adg.TooEarly {
		t.Errorf("%s, %s: %s", j.Verdict, j.Why, j.Text)
	}
	for _, least := range []float64{5000, 1e6} { // more than the candidate has, and more than either
		j, _, _ = after(120, func(o *adg.Observation) { o.Check.MinSamples = least })
		if j.Verdict != adg.Unknown || j.Why != adg.TooFew {
			t.Errorf("%s, %s: %s", j.Verdict, j.Why, j.Text)
		}
	}
}

func TestAFaultThatWasThereInTheWindowsBeforeIsVetoed(t *testing.T) {
	f := newFleet(9, func(f *fleet) { f.times, f.from, f.candidates, f.each = 5, 1800, 9, 5 })
	s := story{check: Alone(counted), fleet: f, interval: 5, alone: true}
	s.before = frozenOf(f, s.check, 1800)
	s.before.Values = []float64{0.001, 0.001, 0.03, 0.03}
	s.until(2000, func(j adg.Judgement) bool { return j.Why == adg.Preexisting })
	if s.last.Verdict != adg.Warn || s.last.Final || !strings.HasSuffix(s.last.Text, "it was 3 % before the deployment already, which is not to blame for it") {
		t.Errorf("%s, %s: %s", s.last.Verdict, s.last.Why, s.last.Text)
	}
	s.check.BlamePreexisting = true
	s.until(2100, failed)
	if s.last.Why != adg.Worse {
		t.Errorf("%s", s.last.Text)
	}
}

func TestSeasonsAreThoseOfTheSameHourOfTheDaysBefore(t *testing.T) {
	check := with(Alone(counted), func(c *adg.Check) { c.Sequential.Season = true })
	for _, row := range []struct {
		name string
		days float64 // errors of the days before, as a multiple of those just before
		want adg.Verdict
	}{
		{"it is always like that at this hour", 5, adg.Pass},
		{"it never was", 1, adg.Fail},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := newFleet(10, func(f *fleet) { f.times, f.from, f.candidates, f.each = 5, 1800, 9, 5 })
			s := story{check: check, fleet: f, interval: 5, alone: true}
			s.before = frozenOf(f, check, 1800)
			var previous []adg.Measurement
			for day := range 3 {
				past := newFleet(20+uint64(day), func(f *fleet) { f.bad *= row.days })
				past.run(900)
				previous = append(previous, past.measure(true, 900), adg.Measurement{Err: "down", Bad: past.measure(true, 900).Bad, Total: past.measure(true, 900).Bad})
			}
			Seasonal(check, s.before, previous)
			s.until(2400, failed)
			if s.last.Verdict != row.want || !strings.Contains(s.last.Text, "in the same hour of 3 days before") {
				t.Errorf("%s: %s", s.last.Verdict, s.last.Text)
			}
		})
	}
}

func TestManyChecksThatEachShowALittleShowALotTogether(t *testing.T) {
	checks := []adg.Check{{Name: "a", Compare: adg.Sequential, Critical: true}, {Name: "b", Compare: adg.Sequential}, {Name: "c", Compare: adg.Threshold}}
	said := func(a, b float64) []adg.Judgement {
		return []adg.Judgement{{Verdict: adg.Pass, LogE: &a, Weak: true}, {Verdict: adg.Pass, LogE: &b}, {Verdict: adg.Pass}}
	}
	for _, row := range []struct {
		name   string
		seen   []adg.Judgement
		alpha  float64
		guilty string
	}{
		{"half of the limit each", said(math.Log(60), math.Log(50)), 0.01, ""},
		{"all of the limit each", said(math.Log(150), math.Log(110)), 0.01, "a, b"},
		{"twice the limit in one", said(math.Log(300), math.Log(0.1)), 0.01, "a"},
		{"one that knows nothing yet", []adg.Judgement{{LogE: new(math.Log(300))}}, 0.01, "a"},
		{"no part of alpha for it", said(50, 50), 0, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			a := Assess(now, checks, row.seen, adg.Scoring{Alpha: row.alpha})
			if row.guilty == "" {
				if len(a.Judgements) != len(row.seen) || a.Health != adg.Healthy {
					t.Fatalf("%+v", a)
				}
				return
			}
			last := a.Judgements[len(a.Judgements)-1]
			if len(a.Judgements) != len(row.seen)+1 || last.Check != Combined || last.Verdict != adg.Fail || !last.Final || last.Why != adg.Worse ||
				!strings.HasSuffix(last.Text, "it comes from "+row.guilty) || a.Health != adg.Unhealthy || !strings.HasSuffix(a.Text, last.Text) {
				t.Errorf("%s, %+v", a.Text, last)
			}
			if last.Weak != (row.guilty == "a" && len(row.seen) > 1) {
				t.Errorf("weak %t, by the evidence of %s", last.Weak, row.guilty)
			}
		})
	}
}

var slowness = adg.Check{Name: "check", Histogram: "h", Replica: "pod", Window: time.Minute, Compare: adg.Sequential}

func TestSlowReleasesAreFoundByTheirHistograms(t *testing.T) {
	for _, row := range []struct {
		name   string
		slower float64
		frozen bool
		alone  bool
		within float64
	}{
		{"a quarter slower than the quantiles frozen before", 1.25, true, false, 60},
		{"a quarter slower than the quantiles of the first minute", 1.25, false, false, 90},
		{"twice as slow", 2, true, false, 20},
		{"a quarter slower than before, with nothing beside it", 1.25, true, true, 120},
		{"as fast", 1, true, false, 0},
		{"as fast as before, with nothing beside it", 1, true, true, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := newFleet(11, func(f *fleet) { f.slower, f.from = row.slower, 600 })
			s := story{check: slowness, fleet: f, interval: 10, share: 10, alone: row.alone}
			if row.alone {
				s.check = Alone(s.check)
			}
			if row.frozen {
				s.before = frozenOf(f, s.check, 600)
			}
			f.run(600)
			at := s.until(840, failed)
			t.Log(at, s.last.Text, len(s.state.Test))
			switch {
			case row.within == 0 && (s.last.Why != adg.NotWorse && s.last.Why != adg.NothingFound):
				t.Errorf("%s: %s", s.last.Why, s.last.Text)
			case row.within > 0 && (at > 600+row.within || s.last.Why != adg.Worse || !strings.Contains(s.last.Text, "p95 0.2")):
				t.Errorf("after %g s: %s", at, s.last.Text)
			}
			if told := strings.Contains(s.last.Text, "% more of the requests take longer than"); told && (row.slower == 1 || row.alone) || !told && !row.frozen {
				t.Errorf("whether more are slow for certain within a minute: %s", s.last.Text)
			}
			if j := s.last; *j.LogLimit != math.Log(100) || !row.alone && !(*j.Low < *j.Estimate && *j.Estimate < *j.High) {
				t.Errorf("a limit of %g, a shift of %g (%g to %g)", *j.LogLimit, *j.Estimate, *j.Low, *j.High)
			}
			if len(s.state.Test) > 12_000 {
				t.Errorf("a state of %d bytes", len(s.state.Test))
			}
		})
	}
}

func TestARollbackIsVerifiedAgainstTheFrozenBaseline(t *testing.T) {
	f := newFleet(12, func(f *fleet) { f.from, f.times, f.slower, f.gap = 600, 10, 2, 15 })
	for _, check := range []adg.Check{counted, slowness} {
		before := frozenOf(f, check, 600)
		restored := RestoredTo(check, before)
		judged := func(bad bool) adg.Judgement {
			s := story{check: restored, fleet: f}
			o := adg.Observation{Check: restored, Candidate: s.measure(!bad), Before: before}
			j, _ := Judge(o, inSeconds(f.clock))
			return j
		}
		f.run(900)
		if j := judged(true); j.Verdict != adg.Fail || j.Why != adg.BeyondFail {
			t.Errorf("it is still there: %s", j.Text)
		}
		if j := judged(false); j.Verdict != adg.Pass {
			t.Errorf("it is gone: %s", j.Text)
		}
	}
	rare := adg.Observation{Check: Restored(counted), Candidate: counts(2, 100), Before: &adg.Baseline{Bad: 10, Total: 2000}}
	if j, _ := Judge(rare, now); j.Verdict != adg.Pass || !strings.Contains(j.Text, "chance gives as many with a probability of") {
		t.Errorf("%s: %s", j.Verdict, j.Text)
	}
}

func TestAScrapeAMinuteWidensTheWindowOfARollback(t *testing.T) {
	slowly := newFleet(13, func(f *fleet) { f.gap = 60 })
	before := frozenOf(slowly, counted, 1800)
	for window, want := range map[time.Duration]time.Duration{10 * time.Minute: 4 * time.Minute, 3 * time.Minute: 3 * time.Minute, time.Second: time.Second} {
		if c := RestoredTo(with(counted, func(c *adg.Check) { c.Window = window }), before); c.Window != want {
			t.Errorf("%s for a window of %s", c.Window, window)
		}
	}
}

func TestGoodReleasesPassWhereverTheirScrapesFall(t *testing.T) {
	failures := 0
	for seed := range uint64(24) {
		gap := []float64{1, 5, 15}[seed%3]
		s := story{check: counted, interval: 5, share: 10, fleet: newFleet(100+seed, func(f *fleet) { f.gap = gap })}
		s.check.Window = time.Duration(max(60, 5*gap)) * time.Second
		s.until(300, func(j adg.Judgement) bool {
			if j.Verdict == adg.Fail || j.Verdict == adg.Warn {
				failures++
				t.Logf("scraped every %g s, seed %d: %s: %s", gap, seed, j.Verdict, j.Text)
			}
			return j.Verdict == adg.Fail
		})
	}
	if failures > 2 { // at 1 % each, more than two of 24 is a chance of 1 in 500
		t.Errorf("%d of 24 fail", failures)
	}
}

func TestAReleaseThatIsScrapedLastIsNotSilentMeanwhile(t *testing.T) {
	for seed := range uint64(24) {
		s := story{check: counted, interval: 5, share: 10, fleet: newFleet(200+seed, func(f *fleet) { f.gap = 15 })}
		s.check.Sequential.Bucket = 20
		s.until(60, func(j adg.Judgement) bool {
			if j.Why == adg.Silent {
				t.Errorf("seed %d: %s", seed, j.Text)
			}
			return j.Why == adg.Silent
		})
	}
}

func TestWhatWasIsLessCertainTheMoreItsWindowsDiffer(t *testing.T) {
	for _, row := range []struct {
		name        string
		past        record
		season      bool
		was         float64
		least, most float64 // between which the upper end is
	}{
		{"a hundred of ten thousand", record{Counts: adg.Counts{Bad: 100, All: 10_000}}, false, 0.01, 0.0132, 0.0138},
		{"in windows that vary four times as much as chance", record{Counts: adg.Counts{Bad: 100, All: 10_000}, Phi: 4}, false, 0.01, 0.017, 0.019},
		{"none of ten thousand", record{Counts: adg.Counts{All: 10_000}}, false, 0, 0.0006, 0.0008},
		{"days, though nobody asked for seasons", record{Counts: adg.Counts{Bad: 100, All: 10_000}, Days: []adg.Counts{{Bad: 300, All: 10_000}}}, false, 0.01, 0.0132, 0.0138},
		{"days that are alike", record{Counts: adg.Counts{Bad: 1, All: 10_000}, Days: []adg.Counts{{Bad: 100, All: 10_000}, {Bad: 100, All: 10_000}}}, true, 0.01, 0.0132, 0.0138},
		{"days that are not", record{Counts: adg.Counts{Bad: 1, All: 10_000}, Days: []adg.Counts{{Bad: 50, All: 10_000}, {Bad: 150, All: 10_000}}}, true, 0.01, 0.04, 0.06},
	} {
		t.Run(row.name, func(t *testing.T) {
			was, most := row.past.rate(row.season, 0.01)
			if math.Abs(was-row.was) > 1e-9 || most < row.least || most > row.most {
				t.Errorf("%g, at most %g", was, most)
			}
		})
	}
}

func TestTheEvidenceAgainstAVariablePastIsTempered(t *testing.T) {
	var logs []float64
	for _, phi := range []float64{1, 3} {
		past := record{Counts: adg.Counts{Bad: 100, All: 100_000}, Phi: phi}
		check := Alone(counted)
		s := session{Observation: adg.Observation{Check: check}, known: calibration{Streams: []learned{{Past: past}}}}
		s.trial.Length, s.trial.Streams = 4000, make([]sequential.State, 1)
		s.feedHistory(s.design(), bucket{Candidate: cell{All: 10_000, Bad: [maxStreams]float64{100}}})
		logs = append(logs, s.design().Read(&s.trial.Streams[0]).LogE)
	}
	if !(logs[1] < logs[0]/2) {
		t.Errorf("%g is hardly less than %g", logs[1], logs[0])
	}
}
