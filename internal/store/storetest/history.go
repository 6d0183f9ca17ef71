package storetest

import (
	"math"
	"time"

	"github.com/deployguardian/adg"
)

// evidence is about what numbers may be, and that all of them come back.
var evidence = []scenario{
	{"numbers that are none come back as they were stored", func(b *bench) {
		for i, x := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1), math.MaxFloat64, math.SmallestNonzeroFloat64, 0.1} {
			id := name("d", i)
			w := b.workOn(id)
			tick := b.tick(w, everywhere(x))
			stored, err := b.Store.Commit(b.ctx, tick)
			b.must(err)
			b.equal("status given back", stored.Status, tick.Decision.Next)
			b.equal("status", b.deployment(id).Status, tick.Decision.Next)
			got := b.everything(id)
			b.equal("measurements", got["measurements"], tick.Measurements)
			b.equal("assessments", got["assessments"], []adg.Assessment{*tick.Input.Assessment})
			b.equal("baselines", got["baselines"], tick.Baselines)
			b.equal("decision", got["entries"].([]adg.Entry)[0].Decision, tick.Decision)
			b.equal("assessment of the decision", got["entries"].([]adg.Entry)[0].Input.Assessment, tick.Input.Assessment)
			sign := stored.Status.Score
			if math.Signbit(sign) != math.Signbit(x) && !math.IsNaN(x) {
				b.Errorf("%g came back as %g", x, sign)
			}
		}
	}},
	{"what a target reports comes back, whatever the share", func(b *bench) {
		w := b.workOn("one")
		b.commit(&w, apply("one/1"))
		outcome := adg.Outcome{OpID: "one/1", At: b.now(), Took: time.Second, Err: "it said no", Final: true, Observed: adg.Observed{
			Releases: []adg.Placement{{Release: adg.Release{Service: service, Version: "v2"}, Share: math.NaN(), Role: adg.IdleRole}},
			Failed:   true, Text: "<no>", OpID: "one/0",
		}}
		b.commit(&w, func(t *adg.Tick) { t.Input.Outcome = &outcome })
		effects, err := b.Store.Effects(b.ctx, "one")
		b.must(err)
		b.equal("outcome", effects[0].Outcome, &outcome)
	}},
	{"a measurement comes back with all that the source said", func(b *bench) {
		w := b.workOn("one")
		at := b.now()
		m := adg.Measurement{
			Check: "errors", Arm: adg.BaselineArm, At: at, Took: 12345, Sent: []string{"a", "b{c=\"d\"}"},
			Bad:   []adg.Series{{Labels: map[string]string{"pod": "p1"}, Samples: []adg.Sample{{At: at.Add(-time.Minute), Value: 1}, {At: at.Add(-time.Hour), Value: 2}}}, {}},
			Total: []adg.Series{{Samples: []adg.Sample{{Value: 7}, {At: at, Value: 1e300}}}},
			Slow: []adg.Series{{Labels: map[string]string{"le": "0.1"}, Samples: []adg.Sample{{At: at, Value: math.NaN()}}}, {Histograms: []adg.HistogramSample{
				{At: at, Count: 9, Buckets: []adg.HistogramBucket{{Lower: math.Inf(-1), Upper: 0.5, Count: 4}, {Lower: 0.5, Upper: math.Inf(1), Count: 5}}}, {At: at.Add(time.Second)},
			}}},
			Warnings: []string{"partial"}, Err: "half an answer",
		}
		b.commit(&w, func(t *adg.Tick) { t.Measurements = []adg.Measurement{m} })
		got, err := b.Store.Measurements(b.ctx, "one", adg.MeasurementFilter{})
		b.must(err)
		b.equal("measurement", got, []adg.Measurement{m})
	}},
}

var history = []scenario{
	{"entries come oldest first, in pages", func(b *bench) {
		w := b.workOn("one")
		for range 5 {
			b.commit(&w)
			b.commit(&w, enter(adg.Rolling), func(t *adg.Tick) { t.Decision.Reasons = []string{b.now().String()} })
		}
		everything := b.entries("one", 0, 100)
		var paged []adg.Entry
		for after := int64(0); ; {
			page := b.entries("one", after, 2)
			if len(page) == 0 {
				break
			}
			paged, after = append(paged, page...), page[len(page)-1].Seq
		}
		b.equal("in pages", paged, everything)
		b.equal("without a limit", b.entries("one", 0, 0), everything)
		b.equal("how many", len(everything), 5)
		for i := 1; i < len(everything); i++ {
			if everything[i].Seq <= everything[i-1].Seq {
				b.Errorf("entry %d has the number %d after %d", i, everything[i].Seq, everything[i-1].Seq)
			}
		}
	}},
	{"measurements are found by check and by time", func(b *bench) {
		first := b.measured("one", 6)
		got := func(f adg.MeasurementFilter) (all []int) {
			b.Helper()
			found, err := b.Store.Measurements(b.ctx, "one", f)
			b.must(err)
			for _, m := range found {
				all = append(all, int(m.At.Sub(first)/time.Second))
			}
			return all
		}
		b.equal("of both checks", got(adg.MeasurementFilter{}), []int{0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5})
		b.equal("of one check", got(adg.MeasurementFilter{Check: "errors"}), []int{0, 1, 2, 3, 4, 5})
		b.equal("of no check", got(adg.MeasurementFilter{Check: "nothing"}), []int(nil))
		b.equal("from a time on", got(adg.MeasurementFilter{Check: "errors", From: first.Add(4 * time.Second)}), []int{4, 5})
		b.equal("to a time", got(adg.MeasurementFilter{Check: "errors", To: first.Add(time.Second)}), []int{0, 1})
		b.equal("between times", got(adg.MeasurementFilter{Check: "errors", From: first.Add(2 * time.Second), To: first.Add(3 * time.Second)}), []int{2, 3})
		assessments, err := b.Store.Assessments(b.ctx, "one", adg.MeasurementFilter{From: first.Add(4 * time.Second)})
		b.must(err)
		b.equal("assessments from a time on", len(assessments), 2)
	}},
	{"more than wanted are thinned out evenly, the first and the last kept", func(b *bench) {
		first := b.measured("one", 101)
		for _, limit := range []int{1, 2, 3, 11, 100, 101, 102} {
			found, err := b.Store.Measurements(b.ctx, "one", adg.MeasurementFilter{Check: "errors", Limit: limit})
			b.must(err)
			if len(found) != min(limit, 101) {
				b.Fatalf("%d measurements of 101 with a limit of %d", len(found), limit)
			}
			even := 100.0 / float64(max(limit-1, 1))
			for i, m := range found {
				if at := m.At.Sub(first).Seconds(); at < float64(i)*min(even, 100)-1 || at > float64(i)*even+1 {
					b.Errorf("number %d of %d is from %gs", i, limit, at)
				}
			}
			if last := found[len(found)-1].At.Sub(first); limit > 1 && last != 100*time.Second {
				b.Errorf("the last of %d is from %s", limit, last)
			}
			assessments, err := b.Store.Assessments(b.ctx, "one", adg.MeasurementFilter{Limit: limit})
			b.must(err)
			b.equal("assessments", len(assessments), min(limit, 101))
		}
	}},
	{"old evidence of ended deployments is forgotten, that of decisions is not", func(b *bench) {
		running := b.workOn("running")
		ended := b.workOn("ended", of("cart"))
		b.commit(&running, witnessed)
		b.commit(&ended, witnessed)
		b.commit(&ended, witnessed, enter(adg.Rolling))
		b.Advance(time.Second)
		limit := b.now()
		b.commit(&ended, witnessed)
		b.commit(&ended, enter(adg.Succeeded), tell("f1"), giveBack)
		entries, facts := b.everything("ended")["entries"], b.everything("ended")["facts"]
		b.unchanged("running", func() {
			gone, err := b.Store.Compact(b.ctx, limit)
			b.must(err)
			b.equal("rows that went", gone, int64(3))
		})
		left := b.everything("ended")
		b.equal("assessments left", len(left["assessments"].([]adg.Assessment)), 2)
		b.equal("measurements left", len(left["measurements"].([]adg.Measurement)), 4)
		b.equal("entries", left["entries"], entries)
		b.equal("facts", left["facts"], facts)
		gone, err := b.Store.Compact(b.ctx, limit)
		b.must(err)
		b.equal("rows that went the second time", gone, int64(0))
	}},
}

// Private

// measured makes a deployment with n ticks, a second apart, and gives the time of the first.
func (b *bench) measured(id string, n int) time.Time {
	b.Helper()
	w := b.workOn(id)
	first := b.now()
	for i := range n {
		at := first.Add(time.Duration(i) * time.Second)
		b.commit(&w, func(t *adg.Tick) {
			t.Input.Assessment = &adg.Assessment{At: at}
			t.Measurements = []adg.Measurement{{Check: "errors", At: at}, {Check: "latency", At: at}}
		})
	}
	return first
}

// everywhere puts a number wherever something that was measured may be.
func everywhere(x float64) func(*adg.Tick) {
	return func(t *adg.Tick) {
		at := t.Decision.At
		j := adg.Judgement{Check: "errors", Value: &x, Baseline: &x, Limit: &x, N: x, BaseN: x, At: at}
		t.Decision.Kind, t.Decision.Reasons = adg.Hold, []string{"a strange number"}
		t.Decision.Next.Score = x
		t.Decision.Next.Checks = []adg.Watch{{Check: "errors", Due: at, Last: j, State: adg.CheckState{Streak: 2, Last: at}}, {Check: "other", Last: adg.Judgement{Check: "other"}}}
		t.Input.Assessment = &adg.Assessment{At: at, Score: x, Judgements: []adg.Judgement{j, {Check: "other"}}}
		series := []adg.Series{{Labels: map[string]string{"a": "b"}, Samples: []adg.Sample{{At: at, Value: x}, {At: at.Add(time.Second), Value: 1}}}}
		t.Measurements = []adg.Measurement{{Check: "errors", At: at, Values: series}, {Check: "other", At: at, Bad: series, Total: series}}
		t.Baselines = []adg.Baseline{{Check: "errors", From: at, To: at, Values: []float64{x, 1, x}, Bad: x, Total: x, Replica: map[string]adg.Counts{"p1": {Bad: x, All: x}}}}
	}
}
