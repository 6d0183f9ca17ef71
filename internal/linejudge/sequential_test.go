package linejudge_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg/internal/judge/sequential"
)

func TestSequentialAnswersWhatThePackageComputes(t *testing.T) {
	trace := scene{seconds: 400, replicas: 9, ratio: 3}.draw(1)
	got, _ := judged(t, bySequence, request(trace, `"ratio": 1.2, "r_max": 2, "beta": 0.1, "bucket_s": 2, "canary_replicas": 2`))
	design := sequential.Design{Alpha: 0.01, Ratio: 1.2, RMax: 2, Beta: 0.1, Seconds: 2, Canaries: 2}
	var state sequential.State
	logE, _ := got[0]["log_e"].([]any)
	if len(logE) != len(trace) {
		t.Fatalf("%d numbers for %d buckets", len(logE), len(trace))
	}
	for i := range trace {
		design.Next(&state, &trace[i])
		if want := design.Read(&state).LogE; logE[i] != want {
			t.Fatalf("bucket %d: %v, want %v", i, logE[i], want)
		}
	}
	want := design.Read(&state)
	if want.Outcome != sequential.Worse || want.Robust == false {
		t.Fatalf("the trace shows too little: %+v", want)
	}
	said := map[string]any{
		"decision": "worse", "decided_at": float64(want.WorseAt), "worse_at": float64(want.WorseAt), "not_worse_at": any(nil),
		"log_limit": want.LogLimit, "phi": want.Phi, "estimate": want.Estimate, "lower": want.Low, "upper": want.High, "robust": true,
	}
	for key, want := range said {
		value, found := got[0][key]
		if !found || value != want {
			t.Errorf("%s is %v, want %v", key, value, want)
		}
	}
	if limit := want.LogLimit; logE[want.WorseAt].(float64) < limit || logE[want.WorseAt-1].(float64) >= limit {
		t.Errorf("bucket %d is not the first at the limit %v", want.WorseAt, limit)
	}
}

func TestSequentialKnowsNothingOfLaterBuckets(t *testing.T) {
	trace := scene{seconds: 120, ratio: 5}.draw(2)
	turned := make([]sequential.Bucket, len(trace))
	for i, b := range trace {
		turned[len(trace)-1-i] = b
	}
	got, _ := judged(t, bySequence, request(trace, ""), request(trace[:50], ""), request(turned, ""))
	all, first, other := got[0]["log_e"].([]any), got[1]["log_e"].([]any), got[2]["log_e"].([]any)
	if diff := cmp.Diff(all[:50], first); diff != "" {
		t.Errorf("the first 50 buckets say something else with those that follow:\n%s", diff)
	}
	if cmp.Equal(all, other) || got[0]["worse_at"] == got[2]["worse_at"] {
		t.Error("the order of the buckets makes no difference")
	}
}

func TestSequentialSaysNullForWhatNeverHappened(t *testing.T) {
	got, _ := judged(t, bySequence, `{"buckets": []}`, `{"buckets": [{"canary": {}, "control": {}}]}`)
	for i, a := range got {
		for _, key := range []string{"decided_at", "worse_at", "not_worse_at", "estimate", "upper"} {
			if v, found := a[key]; !found || v != nil {
				t.Errorf("%d: %s is %v", i, key, v)
			}
		}
		if logE, _ := a["log_e"].([]any); a["decision"] != "undecided" || len(logE) != i {
			t.Errorf("answered %v", a)
		}
	}
}

func TestSequentialShowsThatACanaryIsNotWorseAndThatWorseWins(t *testing.T) {
	good := `{"canary": {"bad": 0, "all": 500}, "control": {"bad": 20, "all": 500}}`
	bad := `{"canary": {"bad": 500, "all": 500}, "control": {"bad": 1, "all": 500}}`
	got, _ := judged(t, bySequence, `{"buckets": [`+good+`]}`, `{"buckets": [`+good+`,`+bad+`]}`, `{"beta": 1e-30, "buckets": [`+good+`]}`, `{"r_max": 1.01, "buckets": [`+good+`]}`)
	if a := got[0]; a["decision"] != "not-worse" || a["decided_at"] != 0.0 || a["not_worse_at"] != 0.0 || a["worse_at"] != nil {
		t.Errorf("answered %v", a)
	}
	if text, _ := got[0]["text"].(string); !strings.HasPrefix(text, "not worse by 1.5, shown in bucket 0: 0 of 500") || !strings.Contains(text, ", limit 2.996;") {
		t.Errorf("said %q", text)
	}
	if a := got[2]; a["decision"] != "undecided" {
		t.Errorf("with next to no beta %v", a)
	}
	if text, _ := got[3]["text"].(string); !strings.HasPrefix(text, "not worse by 1.01") {
		t.Errorf("with another r_max %q", text)
	}
	if a := got[1]; a["decision"] != "worse" || a["decided_at"] != 1.0 || a["not_worse_at"] != 0.0 || a["worse_at"] != 1.0 {
		t.Errorf("answered %v", a)
	}
}

func TestSequentialTellsHowLongADoublingTakes(t *testing.T) {
	trace := scene{seconds: 30}.draw(3)
	got, _ := judged(t, bySequence, request(trace, ""))
	if text, _ := got[0]["text"].(string); !strings.HasPrefix(text, "undecided, as at this traffic a canary 2 times as bad takes about ") || !strings.Contains(text, "independent requests only") {
		t.Errorf("said %q", text)
	}
}

func TestAnInnocentCanaryIsNotCalledWorse(t *testing.T) {
	var lines []string
	for seed := range uint64(50) {
		c := scene{seconds: 1800}
		if seed%10 == 0 {
			c.replicas = 9
		}
		lines = append(lines, request(c.draw(seed), ""))
	}
	got, _ := judged(t, bySequence, lines...)
	for seed, a := range got {
		if a["worse_at"] != nil {
			t.Errorf("seed %d: %v", seed, a["text"])
		}
	}
}

func TestTwentyTimesTheErrorsAreFoundWithinSeconds(t *testing.T) {
	for _, replicas := range []int{0, 9} {
		var lines []string
		for seed := range uint64(10) {
			lines = append(lines, request(scene{lead: 600, seconds: 60, ratio: 20, replicas: replicas}.draw(seed), ""))
		}
		got, _ := judged(t, bySequence, lines...)
		for seed, a := range got {
			if at, ok := a["worse_at"].(float64); !ok || at < 600 || at > 620 {
				t.Errorf("%d replicas, seed %d: %v", replicas, seed, a["text"])
			}
		}
	}
}

func TestMoreBucketsThanAreReadAreRefused(t *testing.T) {
	one := `{"canary":{},"control":{}},`
	line := `{"buckets": [` + strings.Repeat(one, 1<<18) + strings.TrimSuffix(one, ",") + `]}`
	got, _ := judged(t, bySequence, line)
	if text, _ := got[0]["error"].(string); !strings.Contains(text, "more than 262144 buckets") {
		t.Errorf("said %v", text)
	}
}

// scene is 200 requests a second, of which the canary has a tenth and 0.5 % are bad.
type scene struct {
	lead     int     // seconds of the control alone
	seconds  int     // beside the canary
	replicas int     // of the control; zero: they are not told apart
	ratio    float64 // of the canary's bad rate; zero: 1
}

func (c scene) draw(seed uint64) []sequential.Bucket {
	r := rand.New(rand.NewPCG(seed, 7))
	count := func(all, rate float64) sequential.Counts {
		n := sequential.Counts{All: all}
		for at := -1.0; ; n.Bad++ { // from one bad request to the next
			if at += 1 + math.Floor(math.Log(1-r.Float64())/math.Log1p(-rate)); at >= all {
				return n
			}
		}
	}
	trace := make([]sequential.Bucket, c.lead+c.seconds)
	for i := range trace {
		b := &trace[i]
		if i >= c.lead {
			b.Canary = count(20, 0.005*max(c.ratio, 1))
		}
		if c.replicas == 0 {
			b.Control = count(180, 0.005)
		}
		for range c.replicas {
			g := count(float64(180/c.replicas), 0.005)
			b.Groups = append(b.Groups, g)
			b.Control.Bad, b.Control.All = b.Control.Bad+g.Bad, b.Control.All+g.All
		}
	}
	return trace
}

// request is a trace as a line, with further fields.
func request(trace []sequential.Bucket, fields string) string {
	line := []byte("{")
	if fields != "" {
		line = append(line, fields+", "...)
	}
	line = append(line, `"buckets": [`...)
	counts := func(c sequential.Counts) string { return fmt.Sprintf(`{"bad":%g,"all":%g}`, c.Bad, c.All) }
	for i, b := range trace {
		if i > 0 {
			line = append(line, ',')
		}
		line = append(line, `{"canary":`+counts(b.Canary)+`,"control":`+counts(b.Control)...)
		for j, g := range b.Groups {
			line = append(line, map[bool]string{true: `,"control_groups":[`, false: ","}[j == 0]+counts(g)...)
		}
		if len(b.Groups) > 0 {
			line = append(line, ']')
		}
		line = append(line, '}')
	}
	return string(append(line, "]}"...))
}

func TestReplicasMayComeAndGo(t *testing.T) {
	const line = `{"buckets": [{"canary": {}, "control": {"bad": 3, "all": 300}, "control_groups": [{"bad": 1, "all": 100}, {"bad": 1, "all": 100}, {"bad": 1, "all": 100}]},
		{"canary": {"bad": 0, "all": 10}, "control": {"bad": 1, "all": 300}},
		{"canary": {"bad": 9, "all": 10}, "control": {"bad": 1, "all": 400}, "control_groups": [{"all": 100}, {"all": 100}, {"bad": 1, "all": 100}, {"all": 100}]}]}`
	answers, tally := judged(t, bySequence, strings.ReplaceAll(line, "\n", " "))
	if tally.Failed != 0 || answers[0]["robust"] != true || answers[0]["worse_at"] != 2.0 {
		t.Errorf("%+v: %v", tally, answers)
	}
}
