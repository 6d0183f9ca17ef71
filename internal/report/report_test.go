package report

import (
	"context"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg"
)

var update = flag.Bool("update", false, "write the golden files anew")

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func at(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }

func ptr(v float64) *float64 { return &v }

// hostile is what a source, a target or a person may say.
const hostile = "<script>alert(1)</script>\x1b[2J|`**[x](http://evil.example)\n# h1\u202e"

// rich is a story with everything in it; every text that can come from outside is foreign.
func rich(foreign string) Story {
	check := adg.Check{Name: "error-rate", Bad: "bad", Total: "all"}
	judged := func(v adg.Verdict, value float64, text string) adg.Judgement {
		return adg.Judgement{Check: "error-rate", Verdict: v, Value: ptr(value), Baseline: ptr(0.02), Limit: ptr(0.1), Text: text, At: at(30), Patterns: []adg.LogFinding{
			{Text: foreign, Level: adg.LevelError, Change: adg.LogNew, Candidate: adg.Counts{Bad: 7, All: 20}, Baseline: adg.Counts{All: 180}, Lines: 21, First: at(11), Example: foreign, LogE: 14, LogLimit: 9},
			{Text: "cart <n> is full", Level: adg.LevelWarn, Change: adg.LogGone, Baseline: adg.Counts{Bad: 3, All: 180}, BaseLines: 3, First: at(2), Example: "cart 7 is full"},
		}}
	}
	bad := adg.Assessment{At: at(30), Health: adg.Unhealthy, Score: 12, Text: foreign, Judgements: []adg.Judgement{judged(adg.Fail, 0.5, foreign)}}
	d := adg.Deployment{ID: "shop-v2-x", Spec: adg.Spec{
		Release: adg.Release{Service: "shop", Version: "v2", Commit: "c0ffee"}, LastGood: &adg.Release{Service: "shop", Version: "v1"},
		Prediction: &adg.Prediction{
			At: at(-1), Success: 0.88, Low: 0.7, High: 0.95, Base: 0.96, Standing: foreign, Missing: []string{foreign},
			Contributions: []adg.Contribution{{Feature: "nf", Points: -6.5, Text: foreign}, {Feature: "hour", Points: 0.5, Text: "in the morning"}},
		},
		Steered: []string{foreign},
		Actor:   foreign, Reason: foreign, Created: start, Policy: adg.Policy{Service: "shop", Environment: "production", Checks: []adg.Check{check}},
	}, Status: adg.Status{State: adg.RolledBack, Since: at(60), Condemned: at(31), Reasons: []string{foreign}}}
	s := Story{
		Deployment: d, Title: "shop v2 in production: rolled back",
		Decisions: []adg.Entry{{Seq: 7, Input: adg.Input{Assessment: &bad}, Decision: adg.Decision{
			Kind: adg.RollBack, At: at(31), From: adg.Rolling, Next: adg.Status{State: adg.RollingBack, Condemned: at(31)}, Reasons: []string{foreign},
		}}},
		Checks: []Course{
			{Check: check, Last: judged(adg.Fail, 0.5, foreign), Sent: []string{foreign}, Points: []Point{
				{at(0), 0.02, 0.02, 0.1, adg.Pass}, {at(10), 0.03, 0.02, 0.1, adg.Pass}, {at(15), math.NaN(), math.NaN(), math.NaN(), adg.Unknown},
				{at(20), 0.08, 0.02, 0.1, adg.Warn}, {at(30), 0.5, 0.02, 0.1, adg.Fail},
			}},
			{Check: adg.Check{Name: "latency"}},
		},
		Baselines: []adg.Baseline{{Check: "error-rate", From: at(-60), To: at(0), Values: []float64{0.02, 0.03}, Bad: 2, Total: 100, Err: foreign}},
	}
	s.FoundBy = []string{foreign}
	s.Impact = []Impact{{Check: "error-rate", Bad: 240, All: 1200, Usual: 24}}
	s.Timeline = timeline([]adg.Fact{
		{Kind: adg.FactStarted, At: at(0), Text: foreign, Actor: foreign},
		{Kind: adg.FactPage, At: at(40), Text: foreign, Urgent: true},
	}, []adg.Effect{{
		Begun: at(31), Desired: adg.Desired{Releases: []adg.Placement{{Release: adg.Release{Version: "v1"}, Share: 100}}},
		Outcome: &adg.Outcome{At: at(33), Took: 2 * time.Second, Err: foreign},
	}})
	course := []adg.Assessment{{At: at(10), Health: adg.Healthy, Success: ptr(0.9)}, {At: at(20), Health: adg.Degraded, Success: ptr(0.4)}, bad}
	s.Expected = expected(d.Spec.Prediction, course)
	s.Decided = decided(d.Status, s.Decisions)
	s.FirstBad = firstBad(course, s.Decided)
	s.Summary = summary(s)
	return s
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("not as in %s (-want +got); if it is right, run with -update:\n%s", path, diff)
	}
}

func html(t *testing.T, s Story) []byte {
	t.Helper()
	page, err := HTML(s)
	if err != nil {
		t.Fatal(err)
	}
	return page
}

func TestTheReportIsAsItWasReviewed(t *testing.T) {
	s := rich("5 % of requests fail")
	golden(t, "rolled_back.md", Markdown(s))
	golden(t, "rolled_back.html", html(t, s))
}

func TestThePostMortemIsAsItWasReviewed(t *testing.T) {
	golden(t, "post_mortem.md", PostMortem(troubled("5 % of requests fail")))
}

// troubled is a rich story in which a lot went wrong on the way back, too.
func troubled(foreign string) Story {
	s := rich(foreign)
	st := &s.Deployment.Status
	st.Attempt, st.Fallback, st.Suspended, st.Doubt = 2, true, foreign, foreign
	st.Obstacles = []adg.Obstacle{{Text: foreign}}
	s.Deployment.Spec.Release.Schema, s.Deployment.Spec.Author = "42", foreign
	s.Effects = []adg.Effect{
		{Begun: at(1), Desired: adg.Desired{Releases: []adg.Placement{{Release: adg.Release{Version: "v2"}, Share: 100}}}},
		{Begun: at(31), Desired: adg.Desired{Releases: []adg.Placement{{Release: adg.Release{Version: "v1"}, Share: 100}}}, Outcome: &adg.Outcome{At: at(33), Took: 2 * time.Second, Err: foreign}},
		{Begun: at(34), Desired: adg.Desired{Releases: []adg.Placement{{Release: adg.Release{Version: "v1"}, Share: 100}}}, Outcome: &adg.Outcome{
			At: at(36), Took: 2 * time.Second, Observed: adg.Observed{Log: foreign, Text: "the schema stays at revision 42", Releases: []adg.Placement{{Release: adg.Release{Version: "v1"}, Share: 100}}},
		}},
	}
	return s
}

func TestThePostMortemOfAGoodDeploymentBlamesNobody(t *testing.T) {
	s := rich("fine")
	s.Deployment.Status, s.Decided, s.FirstBad, s.Impact = adg.Status{State: adg.Succeeded, Since: at(60)}, time.Time{}, time.Time{}, nil
	s.Decisions, s.Effects, s.Checks = nil, nil, nil
	got := string(PostMortem(s))
	for _, wrong := range []string{"condemned at", "0001", "NaN", "live again", "Mend"} {
		if strings.Contains(got, wrong) {
			t.Errorf("it says %q:\n%s", wrong, got)
		}
	}
	if !strings.Contains(got, "No release was condemned; it is succeeded") || !strings.Contains(got, "Nothing was rolled back.") {
		t.Error(got)
	}
}

func TestThePostMortemOfABadReleaseWithoutAWayBackSaysSinceWhenItWasBad(t *testing.T) {
	s := rich("5 % of requests fail")
	d := &s.Deployment
	held := adg.Status{State: adg.Held, Since: at(31), HeldBy: "adg: no way back", Paging: true, Health: adg.Unhealthy}
	d.Status = adg.Status{State: adg.Superseded, Since: at(50), Reasons: []string{"the newer deployment takes over"}}
	s.Decisions = []adg.Entry{
		{Before: adg.Status{State: adg.Rolling}, Decision: adg.Decision{At: at(31), Next: held, Reasons: []string{"it is not rolled back"}}},
		{Before: held, Decision: adg.Decision{At: at(32), Next: held, Reasons: []string{"still so"}}},
	}
	s.Decided = decided(d.Status, s.Decisions)
	s.FirstBad, s.Effects = at(30), nil
	if recovered := decided(adg.Status{State: adg.Succeeded}, s.Decisions); !recovered.IsZero() {
		t.Errorf("one that recovered was found bad at %s", recovered)
	}
	got := string(PostMortem(s))
	for _, want := range []string{
		"A human was called at 2026-03-01 12:00:31 UTC, because it was bad and there was no automatic way back.",
		"It ended at 2026-03-01 12:00:50 UTC: superseded (the newer deployment takes over).",
		"Service was not good from 2026-03-01 12:00:30 UTC on, for 20s until another deployment took over",
		"From there to the decision it took 1s.", "* it is not rolled back\n", "Nothing was rolled back.", "Mend v2: it was not rolled back.",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing", want)
		}
	}
	for _, wrong := range []string{"No release was condemned", "still so", "lift its hold"} {
		if strings.Contains(got, wrong) {
			t.Errorf("it says %q", wrong)
		}
	}
	if t.Failed() {
		t.Log(got)
	}
}

// The windows of two measurements overlap, a counter is set to zero, another instance comes later, and what was counted before the deployment does not count.
func TestImpactCountsEachRequestOnce(t *testing.T) {
	samples := func(values ...float64) (all []adg.Sample) {
		for i, v := range values {
			all = append(all, adg.Sample{At: at(10 * float64(i)), Value: v})
		}
		return all
	}
	whole := samples(100, 110, 130, 5, 25)
	c := counter{}
	c.add([]adg.Series{{Labels: map[string]string{"pod": "a"}, Samples: whole[:3]}}, start)
	c.add([]adg.Series{{Labels: map[string]string{"pod": "a"}, Samples: whole[1:]}, {Labels: map[string]string{"pod": "b"}, Samples: samples(7, 8)}}, start)
	c.add([]adg.Series{{Labels: map[string]string{"pod": "a"}, Samples: []adg.Sample{{At: at(-10), Value: 0}, {At: at(40), Value: math.NaN()}}}}, start)
	if got := c.increase(); got != 10+20+5+20+1 {
		t.Errorf("counted %g", got)
	}
}

func TestHostileTextStaysText(t *testing.T) {
	s := rich(hostile)
	page, text := string(html(t, s)), string(Markdown(s))
	after := string(PostMortem(troubled(hostile)))
	for name, got := range map[string]string{"HTML": page, "Markdown": text, "post-mortem": after} {
		if adg.Printable(got) != got {
			t.Errorf("%s holds control characters", name)
		}
		if strings.Count(got, "alert(1)") < 5 {
			t.Errorf("%s does not show what was said", name)
		}
		// In Markdown the query is an indented block of code, where nothing is markup.
		if outside := regexp.MustCompile(`(?m)^    .*$`).ReplaceAllString(got, ""); strings.Contains(outside, "<script") {
			t.Errorf("%s holds a script", name)
		}
	}
	for _, line := range strings.Split(text+after, "\n") {
		if strings.HasPrefix(line, "# h1") {
			t.Error("a heading was made of foreign text")
		}
		if !strings.HasPrefix(line, "    ") && regexp.MustCompile("(^|[^\\\\])(\\]\\(|`\\*\\*)").MatchString(line) {
			t.Errorf("markup was made of foreign text: %s", line)
		}
	}
}

func TestThePageLoadsNothingAndIsWellFormed(t *testing.T) {
	for name, foreign := range map[string]string{"harmless": "5 % of requests fail", "hostile": hostile} {
		t.Run(name, func(t *testing.T) {
			page := html(t, rich(foreign))
			if found := regexp.MustCompile(`(?i)\b(src|href|srcset|action|data)\s*=|url\(|@import|<script|<iframe|<link`).Find(page); found != nil {
				t.Errorf("the page holds %s", found)
			}
			wellFormed(t, page)
		})
	}
}

// wellFormed demands that each element is closed in order.
func wellFormed(t *testing.T, page []byte) {
	t.Helper()
	closed := regexp.MustCompile(`(<meta [^>]*)>`).ReplaceAllString(string(page), "$1/>") // HTML's one element without an end
	in := xml.NewDecoder(strings.NewReader(closed))
	in.Entity = xml.HTMLEntity
	for {
		_, err := in.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("not well-formed: %v", err)
		}
	}
}

func TestPlotsStandOddNumbers(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		name   string
		points []Point
		drawn  bool
	}{
		{"no point", nil, false},
		{"only NaN", []Point{{at(0), nan, nan, nan, adg.Unknown}}, false},
		{"only infinite", []Point{{at(0), inf, -inf, inf, adg.Fail}}, false},
		{"one point", []Point{{at(0), 1, nan, nan, adg.Pass}}, true},
		{"one point, at zero", []Point{{at(0), 0, 0, 0, adg.Pass}}, true},
		{"only a limit", []Point{{at(0), nan, nan, 5, adg.Unknown}}, true},
		{"all the same", []Point{{at(0), 3, 3, 3, adg.Pass}, {at(1), 3, 3, 3, adg.Warn}}, true},
		{"odd ones among good ones", []Point{{at(0), 1, 1, 9, adg.Pass}, {at(1), nan, inf, -inf, adg.Unknown}, {at(2), 2, 1, 9, adg.Fail}}, true},
		{"numbers too large to draw", []Point{{at(0), -math.MaxFloat64, nan, nan, adg.Pass}, {at(1), math.MaxFloat64, nan, nan, adg.Pass}}, false},
		{"two at the same time", []Point{{at(0), 1, nan, nan, adg.Pass}, {at(0), 2, nan, nan, adg.Pass}}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			drawing, text := string(plot(Course{Points: c.points})), chart(Course{Points: c.points})
			if (drawing != "") != c.drawn || (text != "") != c.drawn {
				t.Fatalf("plot %q, chart %q, want drawn: %v", drawing, text, c.drawn)
			}
			for _, odd := range []string{"NaN", "Inf"} {
				if strings.Contains(drawing, odd) {
					t.Errorf("%s is drawn: %s", odd, drawing)
				}
			}
			wellFormed(t, []byte(drawing))
		})
	}
}

func TestPlotsSayTheUnitOfTheirValues(t *testing.T) {
	c := Course{Check: adg.Check{Unit: "s"}, Points: []Point{{at(0), 0.02, math.NaN(), 0.1, adg.Pass}, {at(1), 0.5, math.NaN(), 0.1, adg.Fail}}}
	for _, drawn := range []string{string(plot(c)), chart(c)} {
		if !strings.Contains(drawn, "20 ms") || !strings.Contains(drawn, "500 ms") {
			t.Error(drawn)
		}
	}
	c.Check.Unit = hostile
	wellFormed(t, []byte(plot(c)))
}

func TestAPlotOfManyPointsKeepsTheFirstAndTheLast(t *testing.T) {
	many := make([]Point, 10_000)
	for i := range many {
		many[i] = Point{At: at(float64(i)), Value: float64(i)}
	}
	few := thin(many, 600)
	if len(few) != 600 || few[0] != many[0] || few[599] != many[9999] {
		t.Errorf("%d points from %v to %v", len(few), few[0], few[len(few)-1])
	}
}

func TestTheAppendixNamesWhatChangedAndFoldsTheRest(t *testing.T) {
	c := Change{From: "aaaaaaaaaaaaaaaa", To: "b", Changed: 3, Files: []string{"a.go", "db/1.sql"}, Migrations: []string{"db/1.sql"}, Commits: []Commit{{ID: "b", At: start, Author: "ann", Subject: hostile}}}
	got := string(Appendix(c))
	for _, want := range []string{"From aaaaaaaaaaaa to b: 3 files.", "* b 2026-03-01: ", "(ann)", "* and 1 more", "* db/1.sql\n\nFiles:"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing:\n%s", want, got)
		}
	}
	if strings.Contains(got, "<script") || adg.Printable(got) != got {
		t.Errorf("foreign text is markup:\n%s", got)
	}
	if got := string(Appendix(Change{})); !strings.Contains(got, "No commit") || !strings.Contains(got, "None that its path") {
		t.Error(got)
	}
}

// recorded is a memory that holds one deployment and the counters of one check.
type recorded struct {
	Memory
	d adg.Deployment
}

func (r recorded) Deployment(context.Context, string) (adg.Deployment, error)       { return r.d, nil }
func (r recorded) Entries(context.Context, string, int64, int) ([]adg.Entry, error) { return nil, nil }
func (r recorded) Effects(context.Context, string) ([]adg.Effect, error)            { return nil, nil }
func (r recorded) Facts(context.Context, string) ([]adg.Fact, error)                { return nil, nil }
func (r recorded) Baselines(context.Context, string) ([]adg.Baseline, error) {
	return []adg.Baseline{{Check: "errors", Bad: 1, Total: 100}}, nil
}

func (r recorded) Assessments(context.Context, string, adg.MeasurementFilter) ([]adg.Assessment, error) {
	judged := func(second float64, v adg.Verdict) []adg.Judgement {
		return []adg.Judgement{{Check: "errors", At: at(second), Verdict: v}}
	}
	return []adg.Assessment{
		{At: at(5), Health: adg.Healthy, Judgements: judged(5, adg.Pass)}, {At: at(10), Health: adg.Unhealthy, Judgements: judged(10, adg.Fail)},
		{At: at(50), Health: adg.Healthy, Judgements: judged(50, adg.Pass)}, // of the release before, after the rollback
	}, nil
}

func (r recorded) Measurements(_ context.Context, _ string, f adg.MeasurementFilter) ([]adg.Measurement, error) {
	rises := func(to float64) []adg.Series {
		return []adg.Series{{Samples: []adg.Sample{{At: at(0), Value: 0}, {At: at(10), Value: to}}}}
	}
	all := []adg.Measurement{
		{Check: "errors", At: at(10), Sent: []string{"of v2"}, Bad: rises(50), Total: rises(200)}, {Check: "errors", At: at(11), Bad: rises(50), Total: rises(200)},
		{Check: "errors", Arm: adg.BaselineArm, At: at(10), Sent: []string{"of v1"}, Bad: rises(7), Total: rises(9000)},
		{Check: "errors", At: at(50), Sent: []string{"of v1, restored"}},
	}
	return slices.DeleteFunc(all, func(m adg.Measurement) bool {
		return m.At.Before(f.From) || !f.To.IsZero() && m.At.After(f.To)
	}), nil
}

func TestTheImpactIsThatOfTheReleaseThatWasCondemned(t *testing.T) {
	d := rich("fine").Deployment
	d.Spec.Policy.Checks = []adg.Check{{Name: "errors", Bad: "bad", Total: "total"}, {Name: "latency", Query: "p95"}}
	s, err := Gather(t.Context(), recorded{d: d}, d.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Impact{{Check: "errors", Bad: 50, All: 200, Usual: 2}}, s.Impact); diff != "" || !s.FirstBad.Equal(at(10)) {
		t.Errorf("first bad at %s, impact (-want +got):\n%s", s.FirstBad, diff)
	}
	if diff := cmp.Diff([]string{"of v1", "of v2"}, s.FoundBy); diff != "" {
		t.Errorf("queries of the first bad sample (-want +got):\n%s", diff)
	}
	d.Status.Condemned = time.Time{}
	if s, err = Gather(t.Context(), recorded{d: d}, d.ID); err != nil || s.Impact != nil || !s.FirstBad.IsZero() {
		t.Errorf("of one that was not condemned: %v, %v", s.Impact, err)
	}
}
