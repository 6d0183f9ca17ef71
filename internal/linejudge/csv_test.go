package linejudge_test

import (
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/deployguardian/adg/internal/judge/sequential"
	"github.com/deployguardian/adg/internal/linejudge"
)

// rows is a trace as CSV.
func rows(trace []sequential.Bucket) string {
	var text strings.Builder
	text.WriteString("canary_bad,canary_all,control_bad,control_all")
	for i := range trace[0].Groups {
		fmt.Fprintf(&text, ",group_%d_bad,group_%d_all", i+1, i+1)
	}
	for _, b := range trace {
		fmt.Fprintf(&text, "\n%g,%g,%g,%g", b.Canary.Bad, b.Canary.All, b.Control.Bad, b.Control.All)
		for _, g := range b.Groups {
			fmt.Fprintf(&text, ",%g,%g", g.Bad, g.All)
		}
	}
	return text.String()
}

func TestRowsOfBucketsSayWhatALineOfThemSays(t *testing.T) {
	trace := scene{lead: 600, seconds: 60, ratio: 20, replicas: 9}.draw(5)
	line, _ := judged(t, bySequence, request(trace, ""))
	answers, tally := table(t, bySequence, rows(trace))
	if tally != (linejudge.Tally{Answers: len(trace)}) {
		t.Fatalf("counted %+v", tally)
	}
	logE := line[0]["log_e"].([]any)
	at, _ := line[0]["worse_at"].(float64)
	if at < 601 {
		t.Fatalf("worse at %v: %v", at, line[0]["text"])
	}
	for i, a := range answers {
		want := map[bool]string{true: "worse", false: "undecided"}[i >= int(at)]
		if v, err := strconv.ParseFloat(a["log_e"], 64); err != nil || v != logE[i] || a["bucket"] != strconv.Itoa(i) || a["decision"] != want || a["error"] != "" {
			t.Fatalf("row %d: %v, want %v and %s", i, a, logE[i], want)
		}
	}
	last := answers[len(answers)-1]
	for _, key := range []string{"worse_at", "not_worse_at", "decided_at", "phi", "estimate", "lower", "upper", "robust", "text", "log_limit"} {
		want := ""
		if v := line[0][key]; v != nil {
			want = fmt.Sprint(v)
		}
		if last[key] != want {
			t.Errorf("%s is %q, want %q", key, last[key], want)
		}
	}
}

func TestABadRowIsATimeOfWhichNothingIsKnown(t *testing.T) {
	for name, bad := range map[string]string{
		"no number": "x,20,1,180", "a count that is none": "30,20,1,180", "infinitely many": "1,Inf,1,180", "not even a number": "NaN,20,1,180",
		"a cell less": "9,20,1", "a quote that is never closed": `"9,20,1,180`, "an empty cell": ",20,1,180",
	} {
		t.Run(name, func(t *testing.T) {
			answers, tally := table(t, bySequence, "canary_bad,canary_all,control_bad,control_all\n0,20,1,180\n\n"+bad+"\n12,20,1,180\n")
			if tally != (linejudge.Tally{Answers: 3, Failed: 1}) {
				t.Errorf("counted %+v", tally)
			}
			if a := answers[1]; !strings.HasPrefix(a["error"], "line 4: ") || a["decision"] != "" || a["bucket"] != "" {
				t.Errorf("answered %v", a)
			}
			if a := answers[2]; a["bucket"] != "2" || a["worse_at"] != "2" || !strings.Contains(a["text"], "12 of 40 requests") {
				t.Errorf("answered %v", a)
			}
		})
	}
}

func TestEachTraceIsATestOfItsOwn(t *testing.T) {
	answers, _ := table(t, bySequence, `trace,canary_bad,canary_all,control_bad,control_all
"a, the first",12,20,1,180
"a, the first",0,20,1,180
b,0,20,1,180
c,12,20,1,180
`)
	var got []string
	for _, a := range answers {
		got = append(got, a["trace"]+" "+a["bucket"]+" "+a["decision"])
	}
	if want := "a, the first 0 worse; a, the first 1 worse; b 0 undecided; c 0 worse"; strings.Join(got, "; ") != want {
		t.Errorf("answered %q, want %q", strings.Join(got, "; "), want)
	}
}

func TestSettingsHoldForTables(t *testing.T) {
	o := linejudge.Options{Method: linejudge.Sequential, Settings: `{"ratio": 100}`}
	if a, _ := table(t, o, "canary_bad,canary_all,control_bad,control_all\n12,20,1,180\n"); a[0]["decision"] == "worse" {
		t.Errorf("answered %v", a)
	}
	o = linejudge.Options{Method: linejudge.Relative, Settings: `{"fail": "> baseline + 25%", "baseline": 100}`}
	if a, _ := table(t, o, "values\n130\n"); a[0]["verdict"] != "fail" || a[0]["baseline"] != "100" {
		t.Errorf("answered %v", a)
	}
	if a, _ := table(t, o, "values,baseline\n130,1000\n"); a[0]["verdict"] != "pass" || a[0]["baseline"] != "1000" {
		t.Errorf("answered %v", a)
	}
}

func TestMetricsOfOneTableAreAnsweredOneByOne(t *testing.T) {
	answers, tally := table(t, byRanks, "\xef\xbb\xbfmetric, control ,experiment\r\nlatency,1,7\r\nlatency,2,8\r\nlatency,3,9\r\nerrors,1,1\r\ncpu,a,1\r\nlatency,1,8\r\nlatency,2,7\r\nerrors,NaN,\r\ncpu,1,1\r\nidle,,1\r\nram,Inf,1")
	if tally != (linejudge.Tally{Answers: 5, Failed: 2}) {
		t.Errorf("counted %+v", tally)
	}
	var got []string
	for _, a := range answers {
		got = append(got, a["metric"]+" "+a["classification"]+" "+a["n_control"]+a["error"])
	}
	want := `latency High 5; errors Pass 1; cpu  line 6: control: "a" is no number; idle Nodata 0; ram  line 12: control: an infinite value can't be compared`
	if strings.Join(got, "; ") != want {
		t.Errorf("answered %q, want %q", strings.Join(got, "; "), want)
	}
}

func TestAMetricThatSettingsCannotJudgeIsAnsweredSo(t *testing.T) {
	o := linejudge.Options{Method: linejudge.Threshold, Settings: `{"fail": "> 5", "aggregate": "largest"}`}
	answers, _ := table(t, o, "values\n1\nNaN\n9\n2\n")
	if a := answers[0]; a["verdict"] != "fail" || a["value"] != "9" || a["n"] != "3" || a["baseline"] != "" {
		t.Errorf("answered %v", a)
	}
	if _, found := answers[0]["metric"]; found {
		t.Error("there is a column that was not asked for")
	}
}

func TestTablesWithoutTheirColumnsAreRefused(t *testing.T) {
	limit := linejudge.Options{Method: linejudge.Threshold, Settings: `{"fail": "> 5"}`}
	for _, test := range []struct {
		name, text, want string
		o                linejudge.Options
	}{
		{"nothing", "", "the first line names the columns: canary_bad,canary_all,control_bad,control_all", bySequence},
		{"an empty line", "\n1\n", "the first line names the columns: values", limit},
		{"no names", "1,2,3,4\n", `unknown column "1": choose from canary_bad, canary_all, control_bad, control_all, group_1_bad, group_1_all`, bySequence},
		{"another column", "values,value\n", `unknown column "value": choose from values, and metric`, limit},
		{"a column less", "control\n1\n", `there is no column "experiment": mann-whitney needs control,experiment`, byRanks},
		{"a column twice", "values,values\n", `there are two columns "values"`, limit},
		{"a quote in the names", "\"values\n", "a quote has to stand at both ends", limit},
		{"half a replica", "canary_bad,canary_all,control_bad,control_all,group_1_bad\n", "each has group_1_bad and group_1_all", bySequence},
		{"a replica left out", "canary_bad,canary_all,control_bad,control_all,group_2_bad,group_2_all\n", "count from 1 without a gap", bySequence},
		{"a replica that is no number", "canary_bad,canary_all,control_bad,control_all,group_x_bad\n", `unknown column "group_x_bad"`, bySequence},
		{"a replica zero", "canary_bad,canary_all,control_bad,control_all,group_0_bad\n", `unknown column "group_0_bad"`, bySequence},
		{"a replica in other digits", "canary_bad,canary_all,control_bad,control_all,group_01_bad\n", `unknown column "group_01_bad"`, bySequence},
		{"more rows than are read", "values\n" + strings.Repeat("1\n", 1<<20+1), "more than 1048576 rows", limit},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.o.CSV = true
			refused(t, test.o, test.text, test.want)
		})
	}
}

func FuzzTables(f *testing.F) {
	f.Add("canary_bad,canary_all,control_bad,control_all\n1,20,1,180\n")
	f.Add("trace,canary_bad,canary_all,control_bad,control_all,group_1_bad,group_1_all\n\"a\nb,1e12,1e12,1,1e-6,0,0\n")
	f.Add("metric,control,experiment\na,1,2\n\"b,c\",NaN,\n")
	f.Add("values,baseline\n1,2\n,1e308\n-0,-1e308\n")
	f.Add("values\n1\n\n2")
	f.Fuzz(func(t *testing.T, text string) {
		for _, o := range []linejudge.Options{
			bySequence, byRanks, {Method: linejudge.Threshold, Settings: `{"fail": "> 5", "aggregate": "p95"}`}, {Method: linejudge.Relative, Settings: `{"warn": "> baseline"}`},
		} {
			o.CSV = true
			var out strings.Builder
			tally, err := linejudge.Run(o, strings.NewReader(text), &out)
			if err != nil {
				continue
			}
			all, err := csv.NewReader(strings.NewReader(out.String())).ReadAll()
			if err != nil || len(all) != tally.Answers+1 {
				t.Fatalf("%s: %v: %d answers, counted %+v:\n%s", o.Method, err, len(all)-1, tally, out.String())
			}
			for _, row := range all[1:] {
				for _, cell := range row {
					if cell == "NaN" || strings.HasSuffix(cell, "Inf") {
						t.Fatalf("%s: a number that is none: %v", o.Method, row)
					}
				}
			}
		}
	})
}
