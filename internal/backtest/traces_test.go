package backtest_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/backtest"
)

func TestTraceOfAFaultIsFoundAfterItBeganAndCounted(t *testing.T) {
	r := traces(t, limit(0.05), map[string]string{
		"bad.csv":  drawn(600, 60, func(second int) int { return map[bool]int{true: 5}[second >= 300] }, "degraded from: 300", "kind: errors"),
		"good.csv": drawn(600, 60, func(int) int { return 0 }),
	})
	if len(r.Cases) != 2 || r.Cases[0].Name != "bad" || r.Cases[1].Name != "good" {
		t.Fatalf("%+v", r.Cases)
	}
	bad, good := r.Cases[0], r.Cases[1]
	if bad.WouldBe != backtest.RolledBack || bad.Truth != backtest.Bad || bad.Kind != "errors" || *bad.Fault != 240 {
		t.Fatalf("the bad one: %+v", bad)
	}
	// 5 of 20 requests are bad from then on, and the window is 10 s long: 5 % are passed after 2 s, seen every 5 s.
	if *bad.Detect != 5 || *bad.Found != 245 || *bad.Served != 25 {
		t.Errorf("detected after %g s, at %g s, %g bad requests", *bad.Detect, *bad.Found, *bad.Served)
	}
	if good.WouldBe != backtest.EndedWithRecord && good.WouldBe != backtest.Promoted || good.Truth != backtest.Good || good.Detect != nil {
		t.Errorf("the good one: %+v", good)
	}
	if s := r.Summary; s.Detections.N != 1 || s.FalseRollbacks.N != 0 || *s.Median != 5 || s.Served != 25 {
		t.Errorf("summary %+v", s)
	}
}

func TestAlarmBeforeTheFaultIsNoDetection(t *testing.T) {
	r := traces(t, limit(0.05), map[string]string{"a.csv": drawn(600, 60, func(second int) int { return map[bool]int{true: 5}[second >= 100] }, "degraded from: 400")})
	if c := r.Cases[0]; c.WouldBe != backtest.RolledBack || c.Detect != nil || r.Summary.Early != 1 || r.Summary.Detections.N != 0 {
		t.Errorf("%+v, %+v", c, r.Summary)
	}
}

func TestAlarmThatWasCalledOffIsNone(t *testing.T) {
	p := limit(0.05)
	p.Rollback.Rules[0].After, p.Rollback.Recover = 2*time.Minute, 20*time.Second
	short := func(second int) int { return map[bool]int{true: 5}[second >= 100 && second < 120] }
	again := func(second int) int { return max(short(second), map[bool]int{true: 5}[second >= 300]) }
	r := traces(t, p, map[string]string{"a.csv": drawn(600, 60, short), "b.csv": drawn(600, 60, again)})
	if c := r.Cases[0]; c.Found != nil || c.WouldBe != backtest.EndedWithRecord {
		t.Errorf("%+v", c)
	}
	if c := r.Cases[1]; c.WouldBe != backtest.RolledBack || *c.Found != 245 || *c.Decided < 365 {
		t.Errorf("%+v: found at %g, decided at %g", c, *c.Found, *c.Decided)
	}
}

func TestPolicyThatBakesShorterThanTheTracePromotes(t *testing.T) {
	p := limit(0.05)
	p.Strategy.Steps = []adg.Step{{Share: 5, Bake: 30 * time.Second}, {Share: 25, Bake: 30 * time.Second}, {Share: 100}}
	r := traces(t, p, map[string]string{"a.csv": drawn(600, 60, func(int) int { return 0 })})
	if c := r.Cases[0]; c.WouldBe != backtest.Promoted || *c.Decided < 60 || *c.Decided > 80 {
		t.Errorf("%+v, decided %g", c, *c.Decided)
	}
}

func TestTracesWithoutAPolicyAreJudgedBesideTheirBaseline(t *testing.T) {
	usual := func(second int) int { return map[bool]int{true: 1}[second%9 == 0] } // 1 in 180, as the baseline has
	worse := func(second int) int { return usual(second) + map[bool]int{true: 2}[second >= 600] }
	r := traces(t, nil, map[string]string{"good.csv": drawn(1200, 300, usual), "worse.csv": drawn(1200, 300, worse, "degraded from: 600")})
	if good := r.Cases[0]; good.WouldBe != backtest.EndedWithRecord || good.Found != nil {
		t.Errorf("the good one: %+v", good)
	}
	// One replica of the baseline: its promise is weaker, and a human is asked.
	if worse := r.Cases[1]; worse.WouldBe != backtest.Asked || worse.Detect == nil || *worse.Detect > 15 {
		t.Errorf("the one of two more bad requests a second: %+v", worse)
	}
}

func TestChecksThatATraceCannotAnswerAreNamed(t *testing.T) {
	p := limit(0.05)
	p.Checks = append(p.Checks, adg.Check{Name: "cpu", Query: "cpu"}, adg.Check{Name: "latency", Histogram: "h", Compare: adg.Sequential})
	r := traces(t, p, map[string]string{"a.csv": drawn(100, 10, func(int) int { return 0 })})
	if got := strings.Join(r.Cases[0].Missing, " "); got != "cpu latency" {
		t.Errorf("missing are %q", got)
	}
}

func TestTracesComeOutTheSameWithAnyNumberOfWorkers(t *testing.T) {
	files := map[string]string{}
	for i := range 20 {
		files[fmt.Sprintf("%02d.csv", i)] = drawn(200, 20, func(second int) int { return map[bool]int{true: 4}[second%20 < i] }, "degraded from: 50")
	}
	first, err := backtest.Traces(t.Context(), dir(files), limit(0.05), backtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	again, err := backtest.Traces(t.Context(), dir(files), limit(0.05), backtest.Options{Workers: 4})
	if err != nil || !reflect.DeepEqual(first, again) {
		t.Errorf("four workers give another result: %v", err)
	}
}

func TestWhatIsNoTraceIsRefusedWithItsNameAndLine(t *testing.T) {
	const head = "second,arm,replica,requests,errors\n"
	for _, test := range []struct{ name, text, want string }{
		{"nothing", "", "no line of column names"},
		{"another table", "a,b\n1,2\n", `no column "second"`},
		{"no canary", head + "0,baseline,a,5,0\n", "canary has no requests"},
		{"a time that is none", head + "x,canary,a,5,0\n", `line 2 after the comments: second "x"`},
		{"a negative count", head + "0,canary,a,-5,0\n", `"-5" is no count`},
		{"NaN", head + "0,canary,a,NaN,0\n", `"NaN" is no count`},
		{"an arm that there is not", head + "0,left,a,5,0\n", `arm "left"`},
		{"a second twice", head + "0,canary,a,5,0\n0,canary,a,5,0\n", "is there twice"},
		{"a short line", head + "0,canary,a\n", "wrong number of fields"},
		{"a limit that is none", "second,arm,replica,requests,errors,over_x\n", `column "over_x"`},
		{"nothing beside the canary", head + "0,canary,a,5,0\n", "nothing to compare"},
		{"a share that is none", "# share: 200\n" + head + "0,canary,a,5,0\n0,baseline,a,5,0\n", `share: "200"`},
		{"a fault at no time", "# degraded from: soon\n" + head + "0,canary,a,5,0\n0,baseline,a,5,0\n", `degraded from: "soon"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := backtest.Traces(t.Context(), dir(map[string]string{"one.csv": test.text}), nil, backtest.Options{})
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "one.csv") || adg.CodeOf(err) != adg.Invalid {
				t.Errorf("error %v, want %s", err, test.want)
			}
		})
	}
	if _, err := backtest.Traces(t.Context(), dir(nil), nil, backtest.Options{}); adg.CodeOf(err) != adg.NotFound {
		t.Errorf("an empty directory: %v", err)
	}
}

func TestWilsonIntervalIsThatOfTheBooks(t *testing.T) {
	for _, test := range []struct {
		n, of     int
		low, high float64
	}{{0, 0, 0, 1}, {0, 10, 0, 0.2775}, {5, 10, 0.2366, 0.7634}, {10, 1000, 0.0054, 0.0183}, {10, 10, 0.7225, 1}} {
		if r := backtest.Wilson(test.n, test.of); r.Low < test.low-5e-5 || r.Low > test.low+5e-5 || r.High < test.high-5e-5 || r.High > test.high+5e-5 {
			t.Errorf("%d of %d: %.4f to %.4f, want %.4f to %.4f", test.n, test.of, r.Low, r.High, test.low, test.high)
		}
	}
}

func TestPlotsAreWellFormedAndSayWhatTheyShow(t *testing.T) {
	cases := []backtest.Case{
		{Truth: backtest.Bad, WouldBe: backtest.RolledBack, Kind: `<script>"x"`, Detect: new(3.0), Served: new(40.0)},
		{Truth: backtest.Bad, WouldBe: backtest.RolledBack, Kind: "leak", Detect: new(300.0), Served: new(0.0)},
		{Truth: backtest.Bad, WouldBe: backtest.RolledBack, Detect: new(0.02), WasFound: new(9.0)},
		{Truth: backtest.Good, WouldBe: backtest.RolledBack, Detect: new(1.0)},
	}
	plots := backtest.Plots(backtest.Result{Cases: cases})
	if len(plots) != 2 {
		t.Fatalf("%d plots", len(plots))
	}
	for _, p := range plots {
		text := string(p.SVG)
		decoder := xml.NewDecoder(strings.NewReader(text))
		for {
			if _, err := decoder.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", p.Name, err)
			}
		}
		for _, want := range []string{"<title", "<desc", "prefers-color-scheme", "leak: median", "&lt;script&gt;"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s has no %s", p.Name, want)
			}
		}
		if strings.Contains(text, "NaN") || strings.Contains(text, "Inf ") {
			t.Errorf("%s draws what is no number", p.Name)
		}
	}
	if none := backtest.Plots(backtest.Result{}); len(none) != 0 {
		t.Errorf("%d plots of nothing", len(none))
	}
}

func FuzzTrace(f *testing.F) {
	f.Add(drawn(20, 2, func(int) int { return 1 }, "degraded from: 5", "kind: errors", "share: 10 %"))
	f.Add("# canary from: 3\nsecond,arm,replica,requests,errors,over_0.1,over_0.5\n0,baseline,a,5,1,2,1\n4,canary,b,5,1,2,1\n")
	f.Add("second,arm,replica,requests,errors\n604799,canary,a,1e300,1\n0,control,a,1e300,0")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := backtest.Traces(t.Context(), dir(map[string]string{"x.csv": text}), limit(0.05), backtest.Options{})
		if err == nil && len(r.Cases) != 1 {
			t.Errorf("%d cases of one trace", len(r.Cases))
		}
	})
}

// limit is a policy that allows so many errors.
func limit(share float64) *adg.Policy {
	p := adg.Policy{
		Service: "shop", Environment: "production", Interval: 5 * time.Second,
		Checks: []adg.Check{{
			Name: "errors", Source: "s", Bad: "b", Total: "t", Window: 10 * time.Second, Critical: true, Fail: adg.Condition{Operator: adg.Above, Value: share},
		}},
		Strategy: adg.Strategy{Kind: adg.Canary, Steps: []adg.Step{{Share: 5, Bake: time.Hour}, {Share: 100}}},
		Rollback: adg.RollbackPolicy{Trust: adg.Auto, Rules: []adg.Rule{{When: adg.Unhealthy}}},
	}.WithDefaults()
	return &p
}

// drawn is a trace of two replicas beside each other, 20 and 180 requests per second, with so many bad ones of the
// canary's in each second.
func drawn(seconds, from int, bad func(second int) int, truth ...string) string {
	var text strings.Builder
	for _, line := range truth {
		text.WriteString("# " + line + "\n")
	}
	text.WriteString("second,arm,replica,requests,errors\n")
	for second := range seconds {
		fmt.Fprintf(&text, "%d,baseline,b,180,1\n", second)
		if second >= from {
			fmt.Fprintf(&text, "%d,canary,c,20,%d\n", second, bad(second))
		}
	}
	return text.String()
}

func dir(files map[string]string) fstest.MapFS {
	made := fstest.MapFS{}
	for name, text := range files {
		made[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return made
}

func traces(t *testing.T, p *adg.Policy, files map[string]string) backtest.Result {
	t.Helper()
	r, err := backtest.Traces(t.Context(), dir(files), p, backtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}
