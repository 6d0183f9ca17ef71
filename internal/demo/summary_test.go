package demo_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg/internal/demo"
	"github.com/deployguardian/adg/internal/demo/load"
	"github.com/deployguardian/adg/internal/demo/shop"
	"github.com/deployguardian/adg/internal/demo/tally"
)

var begin = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func after(s float64) time.Time { return begin.Add(time.Duration(s * float64(time.Second))) }

func TestHarmIsMeasuredFromTheFirstRequestThatWasHarmed(t *testing.T) {
	stable := tally.Count{Requests: 1000, Bad: 20, Slow: 10}
	for _, c := range []struct {
		name    string
		bad     tally.Count
		decided time.Time
		want    demo.Harm
	}{
		{
			"one in five fails", tally.Count{Requests: 200, Bad: 40, Slow: 2, First: begin, FirstHarm: after(1), Last: after(8.5)}, after(6),
			demo.Harm{Detected: 5, Restored: 7.5, Bad: 42, Above: 36, Requests: 200},
		},
		{
			"no worse than the release before it", tally.Count{Requests: 200, Bad: 4, First: begin, FirstHarm: after(1), Last: after(8)}, after(6),
			demo.Harm{Detected: 5, Restored: 7, Bad: 4, Above: 0, Requests: 200},
		},
		{"no request was harmed", tally.Count{Requests: 10, First: begin, Last: after(8)}, after(6), demo.Harm{Requests: 10}},
		{
			"decided before the first harm", tally.Count{Requests: 1, Bad: 1, First: after(7), FirstHarm: after(7), Last: after(7)}, after(6),
			demo.Harm{Bad: 1, Above: 1, Requests: 1},
		},
		{
			"decided when it gets no requests any more", tally.Count{Requests: 1, Bad: 1, First: begin, FirstHarm: begin, Last: begin}, after(6),
			demo.Harm{Detected: 6, Restored: 6, Bad: 1, Above: 1, Requests: 1},
		},
		{"no request at all", tally.Count{}, after(6), demo.Harm{}},
	} {
		if diff := cmp.Diff(c.want, demo.HarmOf(c.bad, stable, c.decided)); diff != "" {
			t.Errorf("%s:\n%s", c.name, diff)
		}
	}
	if h := demo.HarmOf(tally.Count{Requests: 5, Bad: 5}, tally.Count{}, begin); h.Above != 0 {
		t.Errorf("with nothing to compare with, %d are said to be above what is usual", h.Above)
	}
}

func TestTheSummaryIsALineForMachinesAndATableForPeople(t *testing.T) {
	s := demo.Summary{
		Kind: "summary", Good: demo.Ending{Outcome: "succeeded"},
		Bad: demo.Ending{
			Outcome: "rolled_back", Fault: shop.Errors, Verified: true,
			Harm: &demo.Harm{Detected: 4.25, Restored: 5.5, Bad: 42, Above: 36, Requests: 200},
		},
		Load: load.Stats{Sent: 4000, Bad: 120}, Report: "/tmp/demo/report.html",
	}
	line, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"kind":"summary","good":{"outcome":"succeeded"},"bad":{"outcome":"rolled_back","fault":"errors","verified":true,` +
		`"detected_s":4.25,"restored_s":5.5,"bad_requests":42,"bad_above_normal":36,"requests":200},"load":{`
	if !strings.HasPrefix(string(line), want) {
		t.Errorf("the line is\n%s\nand should begin with\n%s", line, want)
	}
	const table = `
                         good release     bad release (errors)
  outcome                succeeded        rolled_back, verified
  time to detect         –                4.2 s
  bad requests served    –                42 of 200, 36 more than usual
  time until restored    –                5.5 s
  customers              4000 requests, 120 failed (3.0 %)
  report                 /tmp/demo/report.html
`
	if diff := cmp.Diff(strings.TrimPrefix(table, "\n"), s.Table()); diff != "" {
		t.Error(diff)
	}
}
