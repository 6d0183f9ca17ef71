package linejudge_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/linejudge"
)

// object is an answer as others read it.
type object = map[string]any

// judged answers lines, one object each.
func judged(t *testing.T, o linejudge.Options, lines ...string) ([]object, linejudge.Tally) {
	t.Helper()
	var out bytes.Buffer
	tally, err := linejudge.Run(o, strings.NewReader(strings.Join(lines, "\n")), &out)
	if err != nil {
		t.Fatal(err)
	}
	var all []object
	for line := range strings.Lines(out.String()) {
		var one object
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all = append(all, one)
	}
	if len(all) != tally.Answers {
		t.Fatalf("%d answers, counted as %d", len(all), tally.Answers)
	}
	return all, tally
}

// table answers CSV: rows by the names of their columns.
func table(t *testing.T, o linejudge.Options, text string) ([]map[string]string, linejudge.Tally) {
	t.Helper()
	o.CSV = true
	var out bytes.Buffer
	tally, err := linejudge.Run(o, strings.NewReader(text), &out)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&out).ReadAll()
	if err != nil || len(rows) == 0 {
		t.Fatalf("%v: %d rows", err, len(rows))
	}
	var all []map[string]string
	for _, row := range rows[1:] {
		one := map[string]string{}
		for i, name := range rows[0] {
			one[name] = row[i]
		}
		all = append(all, one)
	}
	return all, tally
}

func refused(t *testing.T, o linejudge.Options, text, want string) {
	t.Helper()
	_, err := linejudge.Run(o, strings.NewReader(text), io.Discard)
	if err == nil || adg.CodeOf(err) != adg.Invalid || !strings.Contains(err.Error(), want) {
		t.Errorf("%+v: %v, want %q", o, err, want)
	}
}

var (
	bySequence = linejudge.Options{Method: linejudge.Sequential}
	byRanks    = linejudge.Options{Method: linejudge.MannWhitney}
	byLimit    = linejudge.Options{Method: linejudge.Threshold}
	byBaseline = linejudge.Options{Method: linejudge.Relative}
)

func TestABadLineIsAnsweredAndTheOthersAreJudged(t *testing.T) {
	good := `{"values": [3], "fail": "> 2"}`
	got, tally := judged(t, byLimit, good, "nonsense", "", strings.Repeat(" ", 9), good)
	if tally != (linejudge.Tally{Answers: 3, Failed: 1}) {
		t.Errorf("counted %+v", tally)
	}
	if got[0]["verdict"] != "fail" || got[2]["verdict"] != "fail" || len(got[1]) != 1 {
		t.Errorf("answered %v", got)
	}
	if text, _ := got[1]["error"].(string); !strings.HasPrefix(text, "line 2: no JSON at byte 2") {
		t.Errorf("said %q", text)
	}
}

func TestWhatIsWrongWithALineIsSaidInASentence(t *testing.T) {
	for _, test := range []struct {
		name, line, want string
		o                linejudge.Options
	}{
		{"a field that nobody knows", `{"bucket": []}`, `unknown field "bucket": choose one of alpha, ratio, r_max, beta, bucket_s, canary_replicas, buckets`, bySequence},
		{"one inside of a bucket", `{"buckets": [{"canary": {"bad": 1, "al": 20}}]}`, `buckets[0]: unknown field "canary.al": choose one of bad, all`, bySequence},
		{"one inside of the second bucket", `{"buckets": [ {"canary": {}, "control": {}} , {"canry": {}}]}`, `buckets[1]: unknown field "canry": choose one of canary, control, control_groups`, bySequence},
		{"one inside of a group", `{"buckets": [{"canary": {}, "control": {}, "control_groups": [{"al": 20}]}]}`, `buckets[0]: unknown field "control_groups.0.al": choose one of bad, all`, bySequence},
		{"one inside of the effect", `{"effect": {"mesure": "cles"}}`, `unknown field "effect.mesure": choose one of measure, `, byRanks},
		{"a bucket without a control", `{"buckets": [{"canary": {"bad": 1, "all": 20}}]}`, "buckets[0]: a bucket has both canary and control", bySequence},
		{"a string for a number", `{"buckets": [{"canary": {"bad": "x"}}]}`, "buckets[0]: canary.bad: no string can stand here", bySequence},
		{"half a replica", `{"canary_replicas": 1.5}`, "canary_replicas: no number 1.5 can stand here", bySequence},
		{"no object", `[]`, "a request: a JSON object has to stand here, and no array", bySequence},
		{"no bucket", `{"buckets": [3]}`, "buckets[0]: a bucket: a JSON object has to stand here, and no number", bySequence},
		{"no list of buckets", `{"buckets": 3}`, "buckets are a list of {", bySequence},
		{"no buckets", `null`, "sequential needs buckets", bySequence},
		{"two objects", `{"buckets": []} {}`, "one line, one object", bySequence},
		{"half an object", `{"buckets": [`, "ends too early", bySequence},
		{"more bad than all", `{"buckets": [{"canary": {"bad": 3, "all": 2}, "control": {}}]}`, "buckets[0]: canary: 3 bad of 2 is no count", bySequence},
		{"fewer than none", `{"buckets": [{"canary": {}, "control": {"bad": -1, "all": 2}}]}`, "control: -1 bad of 2 is no count", bySequence},
		{"next to none", `{"buckets": [{"canary": {"all": 1e-9}, "control": {}}]}`, "canary: 0 bad of 1e-09 is no count", bySequence},
		{"more than anybody counts", `{"buckets": [{"canary": {}, "control": {"all": 1e13}}]}`, "is no count", bySequence},
		{"more than a number can be", `{"buckets": [{"canary": {"all": 1e999}, "control": {}}]}`, "canary.all: no number 1e999 can stand here", bySequence},
		{"a group that is no count", `{"buckets": [{"canary": {}, "control": {}, "control_groups": [{}, {"bad": 1}]}]}`, "control_groups[1]: 1 bad of 0", bySequence},
		{"certainty", `{"buckets": [], "alpha": 0}`, "alpha 0: between 0 and 1", bySequence},
		{"no promise", `{"buckets": [], "beta": 1}`, "beta 1: between 0 and 1", bySequence},
		{"nothing tolerated", `{"buckets": [], "ratio": 0}`, "ratio 0: from 0.001", bySequence},
		{"worse that is tolerated", `{"buckets": [], "ratio": 2, "r_max": 1.5}`, "r_max 1.5: above ratio", bySequence},
		{"buckets of no length", `{"buckets": [], "bucket_s": 0}`, "bucket_s 0: seconds", bySequence},
		{"no canary", `{"buckets": [], "canary_replicas": 0}`, "canary_replicas 0: 1 or more", bySequence},
		{"one list", `{"control": [1]}`, "two lists of samples", byRanks},
		{"a word for a sample", `{"control": ["a"], "experiment": []}`, "a list of samples holds numbers, and null for a missing one: no string", byRanks},
		{"no direction", `{"control": [], "experiment": [], "direction": "up"}`, `unknown direction "up": choose one of increase`, byRanks},
		{"no strategy", `{"control": [], "experiment": [], "outliers": {"strategy": "drop"}}`, `outliers.strategy "drop": choose one of keep, remove`, byRanks},
		{"no way with NaN", `{"control": [], "experiment": [], "nan": "keep"}`, `nan "keep": choose one of remove, replace`, byRanks},
		{"no measure", `{"control": [], "experiment": [], "effect": {"measure": "d"}}`, `effect.measure "d": choose one of meanRatio, cles`, byRanks},
		{"outliers of no size", `{"control": [], "experiment": [], "outliers": {"strategy": "remove", "factor": 0}}`, "outliers.factor 0: above 0", byRanks},
		{"sure of everything", `{"control": [], "experiment": [], "confidence": 1}`, "confidence 1: between 0 and 1", byRanks},
		{"less than no tolerance", `{"control": [], "experiment": [], "tolerance": -1}`, "tolerance -1: 0 or more", byRanks},
		{"no limit", `{"values": [1]}`, `what is bad? give fail or warn, such as "> 5%"`, byLimit},
		{"no values", `{"fail": "> 1"}`, "threshold needs a list of samples", byLimit},
		{"a limit that is none", `{"values": [1], "fail": "more"}`, `condition "more": start with one of >`, byLimit},
		{"a limit as an object", `{"values": [1], "fail": {"operator": ">"}}`, "fail: no object can stand here", byLimit},
		{"an aggregate that is none", `{"values": [1], "fail": "> 1", "aggregate": "mode"}`, `unknown aggregate "mode"`, byLimit},
		{"fewer samples than none", `{"values": [1], "fail": "> 1", "min_samples": -1}`, "min_samples -1: 0 or more", byLimit},
		{"a threshold beside a baseline", `{"values": [1], "fail": "> baseline"}`, "needs the method relative", byLimit},
		{"a baseline that is none", `{"values": [1], "baseline": {"a": 1}}`, "baseline is a list of samples, or a number", byBaseline},
		{"no baseline", `{"values": [1], "fail": "> baseline"}`, "relative needs values", byBaseline},
		{"a fixed limit beside a baseline", `{"values": [1], "baseline": 1, "fail": "> 1"}`, "fixed numbers need the method threshold", byBaseline},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, tally := judged(t, test.o, test.line)
			if text, _ := got[0]["error"].(string); !strings.Contains(text, test.want) || tally.Failed != 1 {
				t.Errorf("said %v, want %q", got[0], test.want)
			}
		})
	}
}

var brackets = strings.Repeat("[", 64<<10)

// endless is a line that does not end for n bytes.
type endless struct{ n int }

func (e *endless) Read(p []byte) (int, error) {
	if e.n == 0 {
		return 0, io.EOF
	}
	n := min(len(p), e.n, len(brackets))
	copy(p[:n], brackets)
	e.n -= n
	return n, nil
}

func TestALineThatIsTooLongIsSkippedWhole(t *testing.T) {
	var out bytes.Buffer
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	good := `{"values": [3], "fail": "> 2"}`
	in := io.MultiReader(strings.NewReader(good+"\n"), &endless{8 * linejudge.MaxLine}, strings.NewReader("\n"+good+"\n"), &endless{linejudge.MaxLine + 100_000})
	tally, err := linejudge.Run(byLimit, in, &out)
	if err != nil || tally != (linejudge.Tally{Answers: 4, Failed: 2}) {
		t.Errorf("%+v, %v", tally, err)
	}
	// The buffer doubles, or nearly so, up to the longest line, twice.
	if runtime.ReadMemStats(&after); after.TotalAlloc-before.TotalAlloc > 16*linejudge.MaxLine {
		t.Errorf("%d MiB were taken", (after.TotalAlloc-before.TotalAlloc)>>20)
	}
	for _, want := range []string{`{"error":"line 2: longer than 64 MiB"}`, `{"error":"line 4: longer than 64 MiB"}`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("wrote %.500s", out.String())
		}
	}
}

func TestAnAnswerIsOutBeforeTheNextLineIsWritten(t *testing.T) {
	for _, test := range []struct {
		name, first, line string
		o                 linejudge.Options
	}{
		{"JSON", "", `{"buckets": []}`, bySequence},
		{"CSV", "canary_bad,canary_all,control_bad,control_all\n", "0,1,0,9", linejudge.Options{Method: linejudge.Sequential, CSV: true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			in, lines := io.Pipe()
			answers, out := io.Pipe()
			done := make(chan error, 1)
			go func() {
				_, err := linejudge.Run(test.o, in, out)
				done <- errors.Join(err, out.Close())
			}()
			buffer := make([]byte, 10_000)
			if test.first != "" {
				_, _ = io.WriteString(lines, test.first)
				if n, err := answers.Read(buffer); err != nil || !strings.HasPrefix(string(buffer[:n]), "bucket,log_e,") {
					t.Fatalf("%v: %s", err, buffer[:n])
				}
			}
			for range 3 {
				_, _ = io.WriteString(lines, test.line+"\n")
				if n, err := answers.Read(buffer); err != nil || !bytes.Contains(buffer[:n], []byte("undecided")) {
					t.Fatalf("%v: %s", err, buffer[:n])
				}
			}
			_ = lines.Close()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

// broken fails after some bytes.
type broken struct{ left int }

func (b *broken) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, errors.New("no space")
	}
	return len(p), nil
}

func TestWhatEndsReadingOrWritingIsAnError(t *testing.T) {
	line := "{\"buckets\": []}\n"
	rows := "canary_bad,canary_all,control_bad,control_all\n" + strings.Repeat("0,1,0,9\n", 50)
	for name, run := range map[string]func() error{
		"writing JSON": func() error {
			_, err := linejudge.Run(bySequence, strings.NewReader(strings.Repeat(line, 100)), &broken{5000})
			return err
		},
		"writing CSV": func() error {
			_, err := linejudge.Run(linejudge.Options{Method: linejudge.Sequential, CSV: true}, strings.NewReader(rows), &broken{5000})
			return err
		},
		"writing metrics": func() error {
			_, err := linejudge.Run(linejudge.Options{Method: linejudge.MannWhitney, CSV: true}, strings.NewReader("control,experiment\n1,1\n"), &broken{})
			return err
		},
	} {
		if err := run(); err == nil || !strings.Contains(err.Error(), "writing") || !strings.Contains(err.Error(), "no space") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, o := range []linejudge.Options{bySequence, {Method: linejudge.Sequential, CSV: true}, {Method: linejudge.MannWhitney, CSV: true}} {
		first := line
		if o.CSV {
			first = map[string]string{linejudge.Sequential: "canary_bad,canary_all,control_bad,control_all\n", linejudge.MannWhitney: "control,experiment\n"}[o.Method]
		}
		in := io.MultiReader(strings.NewReader(first), &torn{})
		if _, err := linejudge.Run(o, in, io.Discard); err == nil || !strings.Contains(err.Error(), "reading line 2: unplugged") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

type torn struct{}

func (torn) Read([]byte) (int, error) { return 0, errors.New("unplugged") }

func TestOptionsThatCannotBeMeantAreRefusedBeforeAnythingIsRead(t *testing.T) {
	two, half := 2.0, 0.5
	for _, test := range []struct {
		o    linejudge.Options
		want string
	}{
		{linejudge.Options{Method: "guess"}, `unknown method "guess": choose one of sequential, mann-whitney, threshold, relative`},
		{linejudge.Options{Method: linejudge.Sequential, Alpha: &two}, "alpha 2: between 0 and 1"},
		{linejudge.Options{Method: linejudge.MannWhitney, Alpha: &two}, "confidence -1: between 0 and 1"},
		{linejudge.Options{Method: linejudge.Threshold, Alpha: &half}, "threshold promises nothing"},
		{linejudge.Options{Method: linejudge.Sequential, Settings: `{"aplha": 1}`}, `settings: unknown field "aplha"`},
		{linejudge.Options{Method: linejudge.Sequential, Settings: `{"ratio": -1}`}, "ratio -1"},
		{linejudge.Options{Method: linejudge.Threshold, Settings: `{"fail": "> baseline"}`}, "needs the method relative"},
		{linejudge.Options{Method: linejudge.Relative, CSV: true}, "what is bad?"},
	} {
		in := strings.NewReader("{}\n")
		if _, err := linejudge.Run(test.o, in, io.Discard); err == nil || adg.CodeOf(err) != adg.Invalid || !strings.Contains(err.Error(), test.want) || in.Len() != 3 {
			t.Errorf("%+v: %v, want %q; %d bytes are left", test.o, err, test.want, in.Len())
		}
	}
}

func TestALinesOwnFieldWinsAndChangesNothingForTheNext(t *testing.T) {
	alpha := 0.1
	o := linejudge.Options{Method: linejudge.Sequential, Alpha: &alpha, Settings: `{"alpha": 0.2, "ratio": 2}`}
	got, _ := judged(t, o, `{"buckets": []}`, `{"buckets": [], "alpha": 0.01}`, `{"buckets": []}`)
	for i, want := range []float64{math.Log(10), math.Log(100), math.Log(10)} {
		if limit, _ := got[i]["log_limit"].(float64); math.Abs(limit-want) > 1e-9 {
			t.Errorf("line %d: limit %v, want %v", i+1, limit, want)
		}
	}
	o = linejudge.Options{Method: linejudge.MannWhitney, Settings: `{"effect": {"allowedIncrease": 9}}`}
	samples := `"control": [1, 2, 1, 2, 1], "experiment": [3, 4, 3, 4, 3]`
	got, _ = judged(t, o, `{`+samples+`}`, `{`+samples+`, "effect": {"allowedIncrease": 2}}`, `{`+samples+`}`)
	var classes []any
	for _, a := range got {
		classes = append(classes, a["classification"])
	}
	if diff := cmp.Diff([]any{"Pass", "High", "Pass"}, classes); diff != "" {
		t.Error(diff)
	}
	o = linejudge.Options{Method: linejudge.Relative, Settings: `{"baseline": 100, "fail": "> baseline"}`}
	got, _ = judged(t, o, `{"values": [130], "baseline": [10, 200]}`, `{"values": [130]}`)
	if got[0]["baseline"] != 200.0 || got[1]["baseline"] != 100.0 {
		t.Errorf("answered %v", got)
	}
}

func TestAlphaIsOneLessTheConfidenceForMannWhitney(t *testing.T) {
	alpha := 0.2
	got, _ := judged(t, linejudge.Options{Method: linejudge.MannWhitney, Alpha: &alpha}, `{"control": [1, 2, 3], "experiment": [4, 5, 6]}`)
	if text, _ := got[0]["text"].(string); !strings.Contains(text, "80 % interval") {
		t.Errorf("said %s", text)
	}
}

func TestMannWhitneyAnswersWithKnownValues(t *testing.T) {
	nothing := any(nil)
	for _, test := range []struct {
		name, line string
		want       object
	}{
		{
			"a shift by six", `{"control": [1, 2, 3, 2, 1], "experiment": [7, 8, 9, 8, 7], "direction": "increase", "nan": "remove", "outliers": {"strategy": "keep", "factor": 3}, "effect": {"measure": "meanRatio", "allowedIncrease": 1, "allowedDecrease": 1}, "confidence": 0.98, "tolerance": 0.25}`,
			object{"classification": "High", "lower": 4.0, "upper": 8.0, "estimate": 6.0, "effect": 7.8 / 1.8},
		},
		{
			"downwards, which does not count", `{"control": [7, 8, 9, 8, 7], "experiment": [1, 2, 3, 2, 1], "direction": "increase"}`,
			object{"classification": "Pass", "lower": -8.0, "upper": -4.0, "estimate": -6.0},
		},
		{"downwards", `{"control": [7, 8, 9, 8, 7], "experiment": [1, 2, 3, 2, 1], "direction": "decrease"}`, object{"classification": "Low"}},
		{
			// P(U <= 2) = 4/252 < 2.5 % <= P(U <= 3) = 7/252, so the interval goes from the third smallest difference to the third largest.
			"exact without ties", `{"control": [1, 2, 3, 4, 5], "experiment": [10, 20, 30, 40, 50.5], "confidence": 0.95}`,
			object{"classification": "High", "lower": 7.0, "upper": 47.5, "estimate": 27.0, "method": "exact"},
		},
		{"the same", `{"control": [1, 2, 3], "experiment": [3, 2, 1]}`, object{"classification": "Pass", "lower": 0.0, "upper": 0.0, "estimate": 0.0, "effect": 1.0}},
		{"nothing", `{"control": [], "experiment": [1]}`, object{"classification": "Nodata", "lower": nothing, "upper": nothing, "estimate": nothing, "effect": nothing}},
		{"nothing, which is zero", `{"control": [null, null], "experiment": [0, 0], "nan": "replace"}`, object{"classification": "Pass", "n_control": 2.0}},
		{"nothing, which is left out", `{"control": [null, 1], "experiment": [1]}`, object{"classification": "Pass", "n_control": 1.0}},
		{
			"an outlier that is left out", `{"control": [1, 2, 1, 2, 1, 2, 1, 2], "experiment": [1, 2, 1, 2, 1, 2, 1, 2000], "outliers": {"strategy": "remove", "factor": 3}}`,
			object{"classification": "Pass", "n_experiment": 7.0},
		},
		{"as a probability", `{"control": [1, 2, 3, 4, 5], "experiment": [6, 7, 8, 9, 10], "effect": {"measure": "cles"}}`, object{"classification": "High", "effect": 1.0}},
		{"the usual tolerance", `{"control": [1, 2, 3, 4, 5, 6.5, 7, 8.2], "experiment": [4, 5, 9, 10, 11, 12, 13, 14]}`, object{"classification": "Pass"}},
		{"no tolerance at all, which is not the usual one", `{"control": [1, 2, 3, 4, 5, 6.5, 7, 8.2], "experiment": [4, 5, 9, 10, 11, 12, 13, 14], "tolerance": 0}`, object{"classification": "High"}},
		{"values that are too large", `{"control": [-1e308, -1e308, -1e308, -1e308, -1e308], "experiment": [1e308, 1e308, 1e308, 1e308, 1e308]}`, object{"classification": "Error", "lower": nothing}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, _ := judged(t, byRanks, test.line)
			for key, want := range test.want {
				value, found := got[0][key]
				if a, ok := value.(float64); ok && math.Abs(a-want.(float64)) < 1e-9 {
					continue
				}
				if !found || value != want {
					t.Errorf("%s is %v, want %v: %v", key, value, want, got[0])
				}
			}
		})
	}
}

func TestLimitsAnswerAsChecksDo(t *testing.T) {
	for _, test := range []struct {
		name, line, verdict, why string
		o                        linejudge.Options
		value                    any
	}{
		{"the latest counts", `{"values": [9, 9, 1], "fail": "> 5"}`, "pass", "within_limits", byLimit, 1.0},
		{"the largest", `{"values": [9, 9, 1], "fail": "> 5", "aggregate": "largest"}`, "fail", "beyond_fail", byLimit, 9.0},
		{"a warning", `{"values": [0.03], "warn": "> 1%", "fail": "> 5%"}`, "warn", "beyond_warn", byLimit, 0.03},
		{"nothing", `{"values": [], "fail": "> 5"}`, "unknown", "no_data", byLimit, nil},
		{"missing", `{"values": [null], "fail": "> 5"}`, "unknown", "not_a_number", byLimit, nil},
		{"too few", `{"values": [1, 2], "fail": "> 5", "min_samples": 3}`, "unknown", "too_few", byLimit, 2.0},
		{"a quarter more", `{"values": [120, 180, 240], "baseline": [100, 110, 105], "aggregate": "average", "fail": "> baseline + 25%"}`, "fail", "beyond_fail", byBaseline, 180.0},
		{"beside a number", `{"values": [120], "baseline": 100, "fail": "> baseline + 25%"}`, "pass", "within_limits", byBaseline, 120.0},
		{"beside a number, enough", `{"values": [120, 130], "baseline": 100, "fail": "> baseline + 25%", "min_samples": 2}`, "fail", "beyond_fail", byBaseline, 130.0},
		{"beside a number, too few", `{"values": [120], "baseline": 100, "fail": "> baseline + 25%", "min_samples": 2}`, "unknown", "too_few", byBaseline, 120.0},
		{"beside nothing", `{"values": [120], "baseline": [], "fail": "> baseline"}`, "unknown", "no_baseline", byBaseline, 120.0},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, _ := judged(t, test.o, test.line)
			if a := got[0]; a["verdict"] != test.verdict || a["why"] != test.why || a["value"] != test.value || a["text"] == "" {
				t.Errorf("answered %v", a)
			}
		})
	}
}

func TestMeansWithinARangeAreComparedByBetting(t *testing.T) {
	ask := func(values, baseline float64) map[string]any {
		t.Helper()
		list := func(mean float64) string {
			return "[" + strings.TrimSuffix(strings.Repeat(fmt.Sprintf("%g,%g,", mean-0.1, mean+0.1), 100), ",") + "]"
		}
		got, tally := judged(t, byBaseline, fmt.Sprintf(`{"values": %s, "baseline": %s, "fail": "> baseline + 90%%", "range": [0, 1]}`, list(values), list(baseline)))
		if tally.Failed > 0 {
			t.Fatal(got)
		}
		return got[0]["mean"].(map[string]any)
	}
	if m := ask(0.6, 0.2); m["log_e"].(float64) < math.Log(100) || m["lower"].(float64) <= 0 || m["upper"].(float64) < 0.4 || math.Abs(m["difference"].(float64)-0.4) > 1e-9 {
		t.Errorf("a mean that is larger by 0.4: %v", m)
	}
	if m := ask(0.3, 0.3); m["log_e"].(float64) >= math.Log(100) || m["lower"].(float64) > 0 || m["upper"].(float64) < 0 {
		t.Errorf("equal means: %v", m)
	}
	got, _ := judged(t, byBaseline, `{"values": [1], "baseline": [1, 2], "fail": "> baseline", "range": [0, 1]}`, `{"values": [1], "baseline": [1], "fail": "> baseline", "range": [1, 0]}`)
	for _, a := range got {
		if a["error"] == nil {
			t.Errorf("%v", a)
		}
	}
}
