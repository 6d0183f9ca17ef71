package backtest

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/verdict"
)

// series is one with those values, one every 10 s from the first second on.
func series(first int, values ...float64) adg.Series {
	s := adg.Series{Labels: map[string]string{"pod": "a"}}
	for i, v := range values {
		s.Samples = append(s.Samples, adg.Sample{At: at(first + 10*i), Value: v})
	}
	return s
}

func TestBadRequestsAreCountedOverResetsAndFromWhereTheCounterBegan(t *testing.T) {
	for _, test := range []struct {
		name string
		bad  []adg.Series
		to   int
		want float64
	}{
		{"rises", []adg.Series{series(0, 5, 7, 12)}, 100, 7},
		{"rises until then", []adg.Series{series(0, 5, 7, 12)}, 10, 2},
		{"a restart counts from 0", []adg.Series{series(0, 50, 60, 4, 9)}, 100, 19},
		{"a counter that was born later counts from 0", []adg.Series{series(20, 3, 4)}, 100, 4},
		{"two replicas", []adg.Series{series(0, 5, 7), {Labels: map[string]string{"pod": "b"}, Samples: series(0, 1, 2).Samples}}, 100, 3},
		{"no bad ones at all", nil, 100, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRecord()
			if err := r.add(adg.Measurement{Check: "c", Bad: test.bad, Total: []adg.Series{series(0, 1, 2)}}); err != nil {
				t.Fatal(err)
			}
			if got, ok := r.served("c", at(0), at(test.to)); !ok || got != test.want {
				t.Errorf("%g bad ones, %v; want %g", got, ok, test.want)
			}
		})
	}
	if _, ok := newRecord().served("c", at(0), at(9)); ok {
		t.Error("counted what is not on record")
	}
}

func TestWindowsThatOverlapAreOneSeriesFromWhichAnyWindowIsCut(t *testing.T) {
	r := newRecord()
	late := series(0, 1, 2, 3, 4, 5)
	first, second := late, late
	first.Samples = []adg.Sample{late.Samples[0], late.Samples[2]} // the second one comes late
	second.Samples = late.Samples[1:]
	for i, s := range []adg.Series{first, second} {
		if err := r.add(adg.Measurement{Check: "c", At: at(20 + 20*i), Total: []adg.Series{s}, Bad: []adg.Series{}}); err != nil {
			t.Fatal(err)
		}
	}
	if r.samples != 5 {
		t.Errorf("%d samples of 5", r.samples)
	}
	ask := verdict.Question{Check: adg.Check{Name: "c", Bad: "b", Total: "t", Window: 20 * time.Second}}
	m := r.answer(ask, at(30))
	want := []adg.Series{{Labels: late.Labels, Samples: late.Samples[1:4], Histograms: m.Total[0].Histograms}}
	if diff := cmp.Diff(want, m.Total); diff != "" {
		t.Error(diff)
	}
	if m := r.answer(ask, at(500)); len(m.Total) != 0 {
		t.Errorf("made up %v", m.Total)
	}
	ask.Arm = adg.BaselineArm
	if m := r.answer(ask, at(30)); len(m.Total) != 0 {
		t.Errorf("the other version's samples are %v", m.Total)
	}
}

func TestValueStandsUntilTheNextOneOnRecord(t *testing.T) {
	r := newRecord()
	for i, m := range []adg.Measurement{{Values: []adg.Series{series(0, 1)}}, {Err: "refused"}, {Values: []adg.Series{}}} {
		m.Check, m.At = "c", at(10*i)
		if err := r.add(m); err != nil {
			t.Fatal(err)
		}
	}
	ask := verdict.Question{Check: adg.Check{Name: "c", Query: "q"}}
	for _, test := range []struct {
		name   string
		second int
		values int
		err    string
	}{{"at its time", 0, 1, ""}, {"a little later", 9, 1, ""}, {"a source that was down", 15, 0, "refused"}, {"an answer without data", 25, 0, ""}} {
		if m := r.answer(ask, at(test.second)); len(m.Values) != test.values || m.Err != test.err {
			t.Errorf("%s: %+v", test.name, m)
		}
	}
	if m := r.answer(ask, at(0).Add(-1)); len(m.Values) != 0 {
		t.Errorf("known before it was measured: %+v", m)
	}
}

func TestPatternsOfLogsStandAsTheyWereCountedForAsLongAsTheCheckLooksBack(t *testing.T) {
	r := newRecord()
	if err := r.add(adg.Measurement{Check: "log", At: at(10), Log: &adg.LogCount{Lines: 7, Patterns: []adg.LogPattern{{Text: "x", Cells: make([]adg.LogCell, 3)}}}}); err != nil {
		t.Fatal(err)
	}
	if r.samples != 3 {
		t.Errorf("%d samples, want one for each cell", r.samples)
	}
	ask := verdict.Question{Check: adg.Check{Name: "log", Query: "q", Compare: adg.Logs, Window: 20 * time.Second}}
	if m := r.answer(ask, at(25)); m.Log == nil || m.Log.Lines != 7 {
		t.Errorf("%+v", m)
	}
	for _, second := range []int{5, 31} {
		if m := r.answer(ask, at(second)); m.Log != nil {
			t.Errorf("at %d s: %+v", second, m)
		}
	}
}

func TestLooksAreMadeWhenTheRecordLookedIfItDidSoSoon(t *testing.T) {
	s := script{looks: []time.Time{at(10), at(21), at(36)}}
	s.spec.Policy.Interval = 10 * time.Second
	for due, want := range map[int]int{9: 10, 10: 10, 20: 21, 30: 30, 35: 36, 40: 40} {
		if got := s.look(at(due)); !got.Equal(at(want)) {
			t.Errorf("due at %d, looked at %s, want %d", due, got, want)
		}
	}
}

func TestTraceIsReadAsCountersAndAClassicHistogram(t *testing.T) {
	tr, err := parseTrace(strings.NewReader(`# kind: silent
# canary from: 2
# Degraded from : 3
second,replica,arm,other,requests,errors,over_0.1,over_0.5
0,b-1,baseline,x,10,1,4,2
2,b-1,baseline,x,5,0,1,0
2,c-1,canary,x,0,0,0,0
`))
	if err != nil {
		t.Fatal(err)
	}
	if from, err := tr.begin(); err != nil || from != 2 || tr.truth["degraded from"] != "3" || tr.seconds != 3 {
		t.Errorf("begins at %d, %v: %v", from, err, tr.truth)
	}
	bad, total, slow := tr.counters(adg.BaselineArm, "v1")
	labels := func(le string) map[string]string {
		return map[string]string{"version": "v1", "replica": "b-1", "le": le}
	}
	two := func(first, second float64) []adg.Sample {
		return []adg.Sample{{At: at(1), Value: first}, {At: at(3), Value: second}}
	}
	plain := map[string]string{"version": "v1", "replica": "b-1"}
	want := [][]adg.Series{
		{{Labels: plain, Samples: two(1, 1)}}, {{Labels: plain, Samples: two(10, 15)}},
		{{Labels: labels("0.1"), Samples: two(6, 10)}, {Labels: labels("0.5"), Samples: two(8, 13)}, {Labels: labels("+Inf"), Samples: two(10, 15)}},
	}
	if diff := cmp.Diff(want, [][]adg.Series{bad, total, slow}); diff != "" {
		t.Error(diff)
	}
}
