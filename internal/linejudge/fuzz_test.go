package linejudge_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/deployguardian/adg/internal/linejudge"
)

func FuzzRequests(f *testing.F) {
	for _, line := range []string{
		`{"alpha":0.01,"ratio":1,"buckets":[{"canary":{"bad":0,"all":20},"control":{"bad":1,"all":180},"control_groups":[{"bad":0,"all":20}]}]}`,
		`{"buckets":[{"canary":{"bad":1e12,"all":1e12},"control":{"bad":0,"all":1e-6}},{"canary":{"bad":1e-6,"all":1e-6},"control":{"bad":1e12,"all":1e12}}]}`,
		`{"alpha":1e-300,"beta":5e-324,"ratio":0.001,"r_max":1500,"bucket_s":86400,"canary_replicas":100000,"buckets":[{"canary":{},"control":{}}]}`,
		`{"control":[1,2,null],"experiment":[-1e308,1e308],"direction":"either","nan":"replace","outliers":{"strategy":"remove","factor":1e-9},"effect":{"measure":"cles","allowedIncrease":0},"confidence":0.5,"tolerance":0}`,
		`{"values":[1,2,null],"fail":"outside 1..2","warn":"> 5%","aggregate":"median","min_samples":2}`,
		`{"values":[1e308,-1e308],"baseline":-0.0,"fail":"> baseline + 5pp"}`,
		`{"values":[1],"baseline":[1e308,1e308],"fail":"> baseline + 25%","aggregate":"sum"}`,
		"{}\n[]\nnull\n\"\"\n{\"buckets\":null}\n{\"Buckets\":[{}]}", "\r\n\ufeff{}",
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, text string) {
		asked := 0
		for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
			if strings.TrimSpace(line) != "" {
				asked++
			}
		}
		for _, method := range linejudge.Methods() {
			var out strings.Builder
			tally, err := linejudge.Run(linejudge.Options{Method: method}, strings.NewReader(text), &out)
			if err != nil {
				t.Fatalf("%s: %v", method, err)
			}
			answers, failed := 0, 0
			for line := range strings.Lines(out.String()) {
				answers++
				var a object
				if err := json.Unmarshal([]byte(line), &a); err != nil {
					t.Fatalf("%s: %q: %v", method, line, err)
				}
				if _, wrong := a["error"]; wrong {
					failed++
				}
				if logE, _ := a["log_e"].([]any); slices.Contains(logE, nil) {
					t.Fatalf("log_e is no number: %s", line)
				}
			}
			if tally != (linejudge.Tally{Answers: answers, Failed: failed}) || answers != asked {
				t.Fatalf("%s: %d answers, %d of them errors, to %d lines; counted %+v", method, answers, failed, asked, tally)
			}
		}
	})
}
