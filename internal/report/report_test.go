package report

import (
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
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
	check := adg.Check{Name: "error-rate"}
	judged := func(v adg.Verdict, value float64, text string) adg.Judgement {
		return adg.Judgement{Check: "error-rate", Verdict: v, Value: ptr(value), Baseline: ptr(0.02), Limit: ptr(0.1), Text: text, At: at(30)}
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
			Kind: adg.RollBack, At: at(31), From: adg.Rolling, Next: adg.Status{State: adg.RollingBack}, Reasons: []string{foreign},
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
	s.Timeline = timeline([]adg.Fact{
		{Kind: adg.FactStarted, At: at(0), Text: foreign, Actor: foreign},
		{Kind: adg.FactPage, At: at(40), Text: foreign, Urgent: true},
	}, []adg.Effect{{
		Begun: at(31), Desired: adg.Desired{Releases: []adg.Placement{{Release: adg.Release{Version: "v1"}, Share: 100}}},
		Outcome: &adg.Outcome{At: at(33), Took: 2 * time.Second, Err: foreign},
	}})
	course := []adg.Assessment{{At: at(10), Health: adg.Healthy, Success: ptr(0.9)}, {At: at(20), Health: adg.Degraded, Success: ptr(0.4)}, bad}
	s.Expected = expected(d.Spec.Prediction, course)
	s.Summary = summary(s, course)
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

func TestHostileTextStaysText(t *testing.T) {
	s := rich(hostile)
	page, text := string(html(t, s)), string(Markdown(s))
	for name, got := range map[string]string{"HTML": page, "Markdown": text} {
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
	for _, line := range strings.Split(text, "\n") {
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
			drawing, text := string(plot(Course{Points: c.points})), chart(c.points)
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
