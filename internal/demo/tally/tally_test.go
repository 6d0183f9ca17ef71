package tally

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestEachRequestIsCountedOnceForWhatItWas(t *testing.T) {
	begin := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(s int) time.Time { return begin.Add(time.Duration(s) * time.Second) }
	l := NewLog(50 * time.Millisecond)
	for i, r := range []Request{
		{Status: 200, Took: 50 * time.Millisecond},
		{Status: 404, Took: time.Millisecond},
		{Status: 499, Took: time.Second, Abandoned: true}, // what a client gave up says nothing about its latency
		{Status: 200, Took: 51 * time.Millisecond},
		{Status: 500, Took: time.Second},
		{Status: 504, Unanswered: true},
		{Status: 200, Unanswered: true}, // half an answer
	} {
		r.Version, r.End = "v2", at(i)
		l.Add(r)
	}
	l.Add(Request{Version: "v1", Status: 200, End: at(9)})
	want := map[string]Count{
		"v1": {Requests: 1, First: at(9), Last: at(9)},
		"v2": {Requests: 7, Bad: 3, Slow: 1, Unanswered: 2, Abandoned: 1, First: at(0), FirstHarm: at(3), Last: at(6)},
	}
	if diff := cmp.Diff(want, l.Counts()); diff != "" {
		t.Error(diff)
	}
	later := want["v2"].Minus(Count{Requests: 2, Bad: 1, Unanswered: 1})
	if later.Requests != 5 || later.Harmed() != 3 || later.Unanswered != 1 || later.Slow != 1 || later.Abandoned != 1 {
		t.Errorf("the difference is %+v", later)
	}
	l.Counts()["v1"] = Count{}
	if l.Counts()["v1"].Requests != 1 {
		t.Error("whoever reads the counts can change them")
	}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(l)
	for name, want := range map[string]int{"router_requests_total": 2, "router_bad_requests_total": 2} {
		if n, err := testutil.GatherAndCount(registry, name); n != want || err != nil {
			t.Errorf("%s has %d series, want %d: %v", name, n, want, err)
		}
	}
}
