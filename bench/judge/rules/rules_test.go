package rules

import (
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/deployguardian/adg/bench/judge/records"
	"github.com/deployguardian/adg/bench/judge/trace"
	"github.com/deployguardian/adg/bench/judge/view"
)

// Each minute is written as one letter: '.' good, 'e' too many errors, 'p' a p99 that is too high, 'b' both, '-' no data.
func TestToolsWithLimitsDecideAsDocumented(t *testing.T) {
	for _, c := range []struct {
		what    string
		rule    *Rule
		minutes string
		want    int
	}{
		{"Argo aborts at the first failure", argoDefault(), "..e...", 180},
		{"Argo knows the p99, too", argoDefault(), ".p....", 120},
		{"Argo keeps what is good", argoDefault(), "..........", Never},
		{"Argo repeats a query without data after 10 s, and aborts at the fifth in a row", argoDefault(), "..--..", 180 + 40},
		{"one minute without data is an error that is over before the fifth", argoDefault(), "..-...", Never},
		{"Flagger counts, waits, and then rolls back", flaggerDefault(), "..e...", 240},
		{"Flagger counts no data as a failed check", flaggerDefault(), "-.....", 120},
		{"Flagger counts a minute with two violations once", flaggerDocs(), "bbbb......", Never},
		{"Flagger never forgets a failed check", flaggerDocs(), "e.e.e.e.e.", 600},
		{"Flagger's fifth failed check in the last minute comes too late", flaggerDocs(), "eeeee", Never},
		{"CloudWatch wants 3 in a row", cloudWatch(3, 3), "ee.ee.eee.", 540},
		{"CloudWatch 3 of 5 does not", cloudWatch(3, 5), "ee.e......", 240},
		{"CloudWatch takes older points in the place of missing ones", cloudWatch(3, 3), "ee--e", 300},
		{"CloudWatch without any data does nothing", cloudWatch(3, 3), "----------", Never},
		{"CloudWatch's two alarms do not add up", cloudWatch(3, 3), "epepep", Never},
	} {
		t.Run(c.what, func(t *testing.T) {
			if got := decide(c.rule, minutes(c.minutes)); got != c.want {
				t.Errorf("rolled back at %d s, want %d", got, c.want)
			}
		})
	}
}

func TestArgoCountsFailuresThatDoNotFollowEachOther(t *testing.T) {
	v := minutes("eeeee.....eeeeeeeeee.....eeeee") // windows of 5 min: e.ee.e
	if got := decide(argoDocs(), v); got != 1800 {
		t.Errorf("rolled back at %d s, want 1800: four failures, the limit is three", got)
	}
	v = minutes("eeeee.....eeeeeeeeee..........")
	if got := decide(argoDocs(), v); got != Never {
		t.Errorf("rolled back at %d s, want never: three failures", got)
	}
}

func TestKeptnComparesWithTheBaselineAndFailsWithoutData(t *testing.T) {
	good := minutes("..........")
	if got := decide(keptn(), good); got != Never {
		t.Errorf("the same on both sides was rolled back at %d s", got)
	}
	slower := minutes("..........")
	slower.Fives[view.Canary][1].P95 *= 1.11
	if got := decide(keptn(), slower); got != 600 {
		t.Errorf("11 %% slower in the second window: rolled back at %d s, want 600", got)
	}
	if got := decide(keptn(), minutes("-----.....")); got != 300 {
		t.Errorf("no data: rolled back at %d s, want 300", got)
	}
}

func TestKayentaJudgesByRanks(t *testing.T) {
	for _, c := range []struct {
		what             string
		canary, baseline []float64
		want             bool
	}{
		{"five minutes, all above, with a margin", []float64{21, 22, 23, 24, 25}, []float64{10, 11, 12, 13, 14}, true},
		{"five minutes, all above, but by less than a quarter of the shift", []float64{15, 26, 27, 28, 29}, []float64{10, 11, 12, 13, 14}, false},
		{"one of five below", []float64{9, 22, 23, 24, 25}, []float64{10, 11, 12, 13, 14}, false},
		{"ten minutes, one below", []float64{11, 22, 23, 24, 25, 26, 27, 28, 29, 30}, []float64{10, 11.5, 12.5, 13, 14, 15, 16, 17, 18, 19}, true},
		{"ten minutes, two below", []float64{11, 12, 23, 24, 25, 26, 27, 28, 29, 30}, []float64{10, 11.5, 12.5, 13, 14, 15, 16, 17, 18, 19}, false},
		{"lower is not worse", []float64{1, 2, 3, 4, 5}, []float64{10, 11, 12, 13, 14}, false},
		{"the same", []float64{1, 2, 3, 4, 5}, []float64{1, 2, 3, 4, 5}, false},
		{"all of them one value", []float64{0, 0, 0, 0, 0}, []float64{0, 0, 0, 0, 0}, false},
		{"errors where there were none", []float64{.01, .02, .03, .04, .05}, []float64{0, 0, 0, 0, 0}, true},
	} {
		t.Run(c.what, func(t *testing.T) {
			if got := high(c.canary, c.baseline) > 2.326; got != c.want {
				t.Errorf("High: %v, want %v", got, c.want)
			}
		})
	}
}

func TestDifferencesAreFoundByTheirRank(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.OneOf(rapid.Float64Range(-2, 2), rapid.SampledFrom([]float64{0, 0.1, 1}))
		x, y := rapid.SliceOfN(value, 1, 12).Draw(t, "x"), rapid.SliceOfN(value, 1, 12).Draw(t, "y")
		slices.Sort(x)
		slices.Sort(y)
		var all []float64
		for _, a := range x {
			for _, b := range y {
				all = append(all, a-b)
			}
		}
		slices.Sort(all)
		rank := rapid.IntRange(0, len(all)-1).Draw(t, "rank")
		if got := difference(x, y, rank); got != all[rank] {
			t.Errorf("difference %d is %g, want %g", rank, got, all[rank])
		}
	})
}

func TestKayentaFailsWhenHalfOfTheMetricsHaveNoData(t *testing.T) {
	if got := decide(kayentaGrowing(), minutes("-----.....")); got != 300 {
		t.Errorf("rolled back at %d s, want 300", got)
	}
	if got := decide(kayentaGrowing(), minutes("-.........")); got != Never {
		t.Errorf("one minute without data: rolled back at %d s, want never: it is left out", got)
	}
}

func TestPeekingIsTheZTestEveryTenSeconds(t *testing.T) {
	v := minutes("..........")
	for i := range v.Tens[view.Canary] {
		v.Tens[view.Canary][i] = view.Count{All: 200, Bad: 3}
	}
	// 6 windows: 18 of 1,200 against 54 of 10,800: z = 4.26; not before the first minute is over.
	if got := decide(zTest(), v); got != 60 {
		t.Errorf("rolled back at %d s, want 60", got)
	}
	z := zScore(view.Count{All: 1200, Bad: 18}, view.Count{All: 10800, Bad: 54})
	if math.Abs(z-4.2554) > 0.001 {
		t.Errorf("z = %.4f, want 4.2554", z)
	}
}

func TestDatadogLikeWantsTwoChecksAndTenErrors(t *testing.T) {
	v := minutes("..............................")
	if got := decide(datadog(), v); got != Never {
		t.Errorf("a healthy one was rolled back at %d s", got)
	}
	for i := range v.Tens[view.Canary] {
		v.Tens[view.Canary][i] = view.Count{All: 200, Bad: 4}
	}
	if got := decide(datadog(), v); got != 900 {
		t.Errorf("rolled back at %d s, want 900: the check at 600 s, and the next", got)
	}
	for i := range v.Tens[view.Canary] {
		v.Tens[view.Canary][i] = view.Count{All: 200}
	}
	v.Tens[view.Canary][0].Bad = 9
	if got := decide(datadog(), v); got != Never {
		t.Errorf("nine errors: rolled back at %d s, want never", got)
	}
}

func TestTheEvidenceThatWasEnoughDecidesForEverySetting(t *testing.T) {
	p := Path{Promote: 50}
	for second, e := range []float64{1, 0.5, 3, 2, 5} {
		p.add(second, e)
	}
	for _, c := range []struct {
		limit float64
		want  Outcome
	}{{1, Outcome{0, Never}}, {2, Outcome{2, Never}}, {5, Outcome{4, Never}}, {6, Outcome{Never, 50}}} {
		if got := p.outcome(c.limit); got != c.want {
			t.Errorf("limit %g: %v, want %v", c.limit, got, c.want)
		}
	}
}

func TestADGFindsWhatItShould(t *testing.T) {
	for _, c := range []struct {
		what  string
		fault trace.Fault
		by    int
	}{
		{"every request fails", trace.Fault{Failing: true}, 5},
		{"twenty times the errors", trace.Fault{Errors: 20}, 30},
		{"half slower", trace.Fault{Slower: 1.5}, 30},
		{"silent", trace.Fault{Silent: true}, 30},
		{"three times its share", trace.Fault{Misrouted: 3}, 60},
	} {
		t.Run(c.what, func(t *testing.T) {
			v := played(&c.fault)
			if got := decide(ADG(), v); got == Never || got > c.by {
				t.Errorf("rolled back at %d s, want by %d", got, c.by)
			}
		})
	}
	if got := decide(ADG(), played(&trace.Fault{})); got != Never {
		t.Errorf("a healthy one was rolled back at %d s", got)
	}
}

func TestSilenceHasATestOfItsOwn(t *testing.T) {
	v := played(&trace.Fault{Silent: true})
	w := newWatcher(v)
	for from := v.Fine.Lead; from < v.Fine.Lead+30; from++ {
		w.bucket(from, true)
	}
	if f := w.silence.Finding(); !f.Found {
		t.Errorf("after 30 s: %s", f.Text)
	}
}

func TestTheEvidenceIsWhatReadSays(t *testing.T) {
	v := played(&trace.Fault{Errors: 3})
	w := newWatcher(v)
	for from := v.Fine.Lead; from < v.Fine.Lead+60; from++ {
		for check := range w.tests {
			want := w.design.Read(&w.tests[check]).LogE
			if got := w.design.LogE(&w.tests[check]); got != want {
				t.Fatalf("before second %d: %.9f, Read says %.9f", from, got, want)
			}
		}
		if e := w.evidence(); !w.mayExceed(e - 1e-9) {
			t.Fatalf("before second %d: the evidence is %.9f, and was said not to be more than less", from, e)
		}
		w.bucket(from, true)
	}
}

func TestThePlainTestIsTheMeanOfItsLikelihoods(t *testing.T) {
	v := played(&trace.Fault{Errors: 3, Slower: 1.1})
	var want Path
	e := [view.Checks][len(ratios)]float64{}
	for s := range v.Horizon {
		second, mean := v.Fine.Lead+s, 0.0
		n, _ := v.Fine.Sum(view.Canary, second, 0)
		m, _ := v.Fine.Sum(view.Baseline, second, 0)
		for check := range e {
			_, k := v.Fine.Sum(view.Canary, second, check)
			_, j := v.Fine.Sum(view.Baseline, second, check)
			for i, r := range ratios {
				e[check][i] += k*math.Log(n*r/(n*r+m)/(n/(n+m))) + j*math.Log(m/(n*r+m)/(m/(n+m)))
				mean += checkWeights[check] / float64(len(ratios)) * math.Exp(e[check][i])
			}
		}
		want.add(s+1, math.Log(mean))
	}
	got := plainPath(v, checkWeights[:], Off)
	if diff := cmp.Diff(want.Records, got.Records, cmpopts.EquateApprox(0, 1e-9)); diff != "" {
		t.Error(diff)
	}
}

func TestRecordingsAreJudgedStepByStep(t *testing.T) {
	e := records.Episode{}
	for range 24 {
		e.Before = append(e.Before, records.Point{Counted: true, Window: view.Window{Count: view.Count{All: 1000, Bad: 2}, P95: 0.2, P99: 0.3}})
	}
	for step := range 6 {
		p := e.Before[0]
		p.P95, p.P99 = 0.2+0.001*float64(step), 0.3
		if step >= 2 {
			p.Bad, p.P99 = 60, 0.5
		}
		e.After = append(e.After, p)
	}
	for _, r := range OnRecordings() {
		if step, found := r.Find(e); !found || step < 2 {
			t.Errorf("%s: step %d, %v; the fault is in step 2", r.Name, step, found)
		}
	}
}

// Private

func decide(r *Rule, v *view.View) int { return r.Decide(v, r.Defaults())[0].Rollback }

// minutes makes a view of 1,200 canary requests a minute with 0.5 % errors and a p99 of 320 ms, and nine times as many
// of the baseline; the limits are 1 % and 500 ms.
func minutes(letters string) *view.View {
	w := trace.Usual()
	v := &view.View{World: &w, Fault: &trace.Fault{}, Horizon: 60 * len(letters), ErrorLimit: 0.01, LatencyLimit: 0.5}
	for i, letter := range letters {
		c := view.Window{Count: view.Count{All: 1200, Bad: 6}, P95: 0.23, P99: 0.32}
		switch letter {
		case 'e':
			c.Bad = 30
		case 'p':
			c.P99 = 0.6
		case 'b':
			c.Bad, c.P99 = 30, 0.6
		case '-':
			c = view.Window{P95: math.NaN(), P99: math.NaN()}
		}
		for arm, m := range []view.Window{c, {Count: view.Count{All: 10800, Bad: 54}, P95: 0.23, P99: 0.32}} {
			v.Minutes[arm] = append(v.Minutes[arm], m)
			for range 6 {
				v.Tens[arm] = append(v.Tens[arm], view.Count{All: m.All / 6, Bad: m.Bad / 6})
			}
			if i%5 == 0 {
				v.Fives[arm] = append(v.Fives[arm], view.Window{P95: m.P95, P99: m.P99})
			}
			last := &v.Fives[arm][len(v.Fives[arm])-1]
			last.All, last.Bad = last.All+m.All, last.Bad+m.Bad
		}
	}
	return v
}

func played(f *trace.Fault) *view.View {
	w := trace.Usual()
	w.Horizon = 120
	return (&view.Maker{}).Make(trace.NewGenerator(&w, f).Make(11))
}
