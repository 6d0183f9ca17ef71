package importer_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/config"
	"github.com/deployguardian/adg/internal/importer"
	"github.com/deployguardian/adg/internal/notify"
	"github.com/deployguardian/adg/internal/source"
	"github.com/deployguardian/adg/internal/target"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// read is the policy as adg reads it; every secret that it names is set.
func read(policy []byte) (config.File, error) {
	set := func(string) (string, bool) { return "planted", true }
	return config.Parse("policy.yaml", policy, config.Drivers{Sources: source.All, Targets: target.All, Notifiers: notify.All}, set)
}

// lint fails the test unless adg reads the policy.
func lint(t testing.TB, policy []byte) config.File {
	t.Helper()
	file, err := read(policy)
	if err != nil && !onlyRanks(err) {
		t.Errorf("adg does not read what was imported: %v\n%s", err, policy)
	}
	return file
}

// onlyRanks tells whether a policy is refused for nothing but the comparison by ranks, where this build does not read
// it: what is wrong with such a policy otherwise is still found.
func onlyRanks(err error) bool {
	var problems config.Problems
	if !errors.As(err, &problems) {
		return false
	}
	for _, p := range problems {
		known := strings.HasSuffix(p.Path, ".mann_whitney") || strings.HasSuffix(p.Path, ".compare") && strings.Contains(p.Text, "mann-whitney") ||
			strings.Contains(p.Text, "neither warn nor fail")
		if !known {
			return false
		}
	}
	return true
}

func TestDocumentsBecomeThePoliciesThatPeopleReviewed(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(paths) < 9 {
		t.Fatalf("%d documents, %v", len(paths), err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			tool, _, _ := strings.Cut(filepath.Base(path), "_")
			files, want := documents(archive)
			result, err := importer.Import(tool, files, importer.Options{})
			if err != nil {
				t.Fatal(err)
			}
			var losses strings.Builder
			for _, l := range result.Losses {
				losses.WriteString(l.String() + "\n")
			}
			if *update {
				rewrite(t, path, archive, files, string(result.Policy), losses.String())
				return
			}
			if diff := cmp.Diff(want["policy"], string(result.Policy)); diff != "" {
				t.Errorf("another policy (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(want["losses"], losses.String()); diff != "" {
				t.Errorf("another list of losses (-want +got):\n%s", diff)
			}
			lint(t, result.Policy)
			for _, secret := range []string{"hunter2", "sesame"} {
				if strings.Contains(string(result.Policy)+losses.String(), secret) {
					t.Errorf("a secret of the source came through: %s", secret)
				}
			}
		})
	}
}

// documents are the files of an archive that are imported, and those that say what comes out.
func documents(archive *txtar.Archive) (files []importer.File, want map[string]string) {
	want = map[string]string{}
	for _, f := range archive.Files {
		if f.Name == "policy" || f.Name == "losses" {
			want[f.Name] = string(f.Data)
		} else {
			files = append(files, importer.File{Name: f.Name, Text: f.Data})
		}
	}
	return files, want
}

func rewrite(t *testing.T, path string, archive *txtar.Archive, files []importer.File, policy, losses string) {
	t.Helper()
	archive.Files = nil
	for _, f := range files {
		archive.Files = append(archive.Files, txtar.File{Name: f.Name, Data: f.Text})
	}
	archive.Files = append(archive.Files, txtar.File{Name: "policy", Data: []byte(policy)}, txtar.File{Name: "losses", Data: []byte(losses)})
	if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
		t.Fatal(err)
	}
}

// template is an AnalysisTemplate with one metric, some of whose fields are given.
func template(fields string) []importer.File {
	return []importer.File{{Name: "t.yaml", Text: []byte(`apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: t}
spec:
  metrics:
  - name: m
    provider: {prometheus: {address: "http://p:9090", query: 'sum(rate(bad{v="1"}[3m])) / sum(rate(all{v="1"}[3m]))'}}
` + fields)}}
}

func imported(t *testing.T, tool string, files ...importer.File) (importer.Result, adg.Policy) {
	t.Helper()
	result, err := importer.Import(tool, files, importer.Options{Service: "s", Environment: "e"})
	if err != nil {
		t.Fatal(err)
	}
	return result, lint(t, result.Policy).Policy
}

func TestTheTimeThatAMetricMayBeBadIsKept(t *testing.T) {
	for _, c := range []struct {
		name, fields string
		want         time.Duration
	}{
		{"three failures allowed, every five minutes: the fourth comes 15 minutes after the first", "    interval: 5m\n    failureLimit: 3\n", 15 * time.Minute},
		{"no failure allowed", "    interval: 5m\n", 0},
		{"one allowed, an interval in seconds", "    interval: 90s\n    failureLimit: 1\n", 90 * time.Second},
		{"a limit in quotes", "    interval: 10s\n    failureLimit: \"6\"\n", time.Minute},
		{"measured once", "    failureLimit: 2\n", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, p := imported(t, "argo", template(c.fields+"    successCondition: result[0] < 0.1\n")...)
			if len(p.Rollback.Rules) != 1 || p.Rollback.Rules[0].For != c.want || p.Rollback.Rules[0].When != adg.Unhealthy {
				t.Errorf("rules %+v, want unhealthy for %s", p.Rollback.Rules, c.want)
			}
		})
	}
}

func TestMetricsThatMayBeBadForDifferentTimesKeepTheirs(t *testing.T) {
	more := `    interval: 1m
    successCondition: result[0] < 0.1
  - name: slow
    interval: 1m
    failureLimit: 10
    successCondition: result[0] < 0.1
    provider: {prometheus: {query: up}}
`
	_, p := imported(t, "argo", template(more)...)
	want := []adg.Rule{{When: adg.Unhealthy}, {When: adg.Degraded, For: 10 * time.Minute}}
	if diff := cmp.Diff(want, p.Rollback.Rules); diff != "" || !p.Checks[0].Critical || p.Checks[1].Critical {
		t.Errorf("rules (-want +got):\n%s\nchecks %+v", diff, p.Checks)
	}
	if p.Scoring.Healthy != 100 || p.Scoring.Degraded > 50 {
		t.Errorf("scoring %+v: a check that is not critical has to degrade, and not more", p.Scoring)
	}
}

func TestFlaggersThresholdTakesItsIntervals(t *testing.T) {
	canary := `kind: Canary
apiVersion: flagger.app/v1beta1
metadata: {name: c}
spec:
  targetRef: {name: c, kind: Deployment}
  analysis: {interval: 20s, threshold: 6, maxWeight: 35, stepWeight: 15, metrics: [{name: x, query: up, thresholdRange: {min: 1}}]}
`
	_, p := imported(t, "flagger", importer.File{Name: "c.yaml", Text: []byte(canary)})
	if p.Rollback.Rules[0].For != 2*time.Minute {
		t.Errorf("rolled back after %s, Flagger does so after 6 intervals of 20s", p.Rollback.Rules[0].For)
	}
	want := []adg.Step{{Share: 15, Bake: 20 * time.Second}, {Share: 30, Bake: 20 * time.Second}, {Share: 100, Bake: time.Minute}}
	if diff := cmp.Diff(want, p.Strategy.Steps); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
}

func TestTheMetricsOfAGroupShareItsWeight(t *testing.T) {
	metric := func(name, groups, more string) string {
		return `{"name": "` + name + `", "query": {"type": "prometheus", "metricName": "m", "customFilter": "v='${scope}'"}, "groups": [` + groups + `], "analysisConfigurations": {"canary": {` + more + `}}}`
	}
	config := `{"name": "n", "metrics": [` + strings.Join([]string{
		metric("a", `"x"`, ""), metric("b", `"x"`, ""), metric("muted", `"x"`, `"muted": true`), metric("c", `"y", "x"`, ""), metric("d", `"z"`, ""), metric("none", `"w"`, ""),
	}, ", ") + `], "classifier": {"groupWeights": {"x": 60, "z": 15, "w": 0}, "scoreThresholds": {"pass": 95, "marginal": 75}}}`
	result, err := importer.Import("kayenta", []importer.File{{Name: "c.json", Text: []byte(config)}}, importer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	lint(t, result.Policy)
	got := map[string]string{}
	name := ""
	for _, line := range strings.Split(string(result.Policy), "\n") {
		if rest, found := strings.CutPrefix(line, "  - name: "); found {
			name = rest
		}
		if rest, found := strings.CutPrefix(line, "    weight: "); found {
			got[name] = rest
		}
	}
	// The group without a weight, y, has what is left of 100.
	if diff := cmp.Diff(map[string]string{"a": "20", "b": "20", "c": "45", "d": "15"}, got); diff != "" {
		t.Errorf("weights (-want +got):\n%s", diff)
	}
}

func TestARatioOfCountersIsOfferedToTheSequentialCheck(t *testing.T) {
	for _, c := range []struct{ name, query, condition, bad, total string }{
		{"errors of all", `sum(rate(r{code=~"5.."}[1m]))/sum(rate(r[1m]))`, "result < 0.1", `r{code=~"5.."}`, `r`},
		{"good ones of all", `sum(rate(r{code!~"5.."}[1m]))/sum(rate(r[1m]))`, "result > 0.9", `r{code=~"5.."}`, `r`},
		{"in percent", `100 * sum(increase(r{ok="no"}[1m])) / sum(increase(r[1m]))`, "result <= 3", `r{ok="no"}`, `r`},
		{"errors, from what is good", `1 - sum(irate(r{ok="yes"}[1m])) / sum(irate(r[1m]))`, "result < 0.1", `r{ok!="yes"}`, `r`},
		{"an own counter for errors", `sum(rate(errors[1m]))/sum(rate(r[1m]))`, "result < 0.1", `errors`, `r`},
		{"good ones counted apart: what is bad cannot be selected", `sum(rate(fine[1m]))/sum(rate(r[1m]))`, "result > 0.9", "", ""},
		{"by a label", `sum by (pod) (rate(e[1m]))/sum by (pod) (rate(r[1m]))`, "result < 0.1", "", ""},
		{"no counters", `avg(load1)`, "result < 0.1", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(string(template("    interval: 1m\n    successCondition: " + c.condition + "\n")[0].Text),
				`sum(rate(bad{v="1"}[3m])) / sum(rate(all{v="1"}[3m]))`, c.query, 1)
			result, _ := imported(t, "argo", importer.File{Name: "t", Text: []byte(text)})
			var alternative []string
			for _, line := range strings.Split(string(result.Policy), "\n") {
				if rest, found := strings.CutPrefix(strings.TrimSpace(line), "#     "); found {
					alternative = append(alternative, rest)
				}
			}
			got := strings.Join(alternative, "\n")
			if c.bad == "" {
				if strings.Contains(got, "sequential") {
					t.Errorf("offered although the counters are not known:\n%s", got)
				}
				return
			}
			unquote := strings.NewReplacer("'", "").Replace(got)
			if !strings.Contains(unquote, "bad: "+c.bad+"\n") || !strings.Contains(unquote, "total: "+c.total+"\n") {
				t.Errorf("want bad %s and total %s in:\n%s", c.bad, c.total, got)
			}
		})
	}
}

func TestNothingUsableIsSaidAndThePolicyHoldsEverything(t *testing.T) {
	result, p := imported(t, "argo", template("    successCondition: result == \"fine\"\n")...)
	if result.Usable() || result.Checks != 0 {
		t.Errorf("usable: %+v", result)
	}
	if len(p.Checks) != 1 || !p.Checks[0].Critical || !strings.Contains(p.Checks[0].Query, "no_metric_chosen_yet") {
		t.Errorf("checks %+v, want the placeholder that is never known", p.Checks)
	}
}

func TestTheNamesThatAreGivenWin(t *testing.T) {
	_, p := imported(t, "argo", importer.File{Name: "r", Text: []byte("kind: Rollout\nmetadata: {name: other, namespace: n}\nspec: {strategy: {canary: {steps: [{setWeight: 5}]}}}\n")})
	if p.Service != "s" || p.Environment != "e" {
		t.Errorf("service %s, environment %s", p.Service, p.Environment)
	}
}

func TestImportingTwiceGivesTheSame(t *testing.T) {
	paths, _ := filepath.Glob("testdata/*.txtar")
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		tool, _, _ := strings.Cut(filepath.Base(path), "_")
		files, _ := documents(archive)
		first, _ := importer.Import(tool, files, importer.Options{})
		for range 20 {
			if again, _ := importer.Import(tool, files, importer.Options{}); !cmp.Equal(first, again) {
				t.Fatalf("%s: another result:\n%s", path, cmp.Diff(first, again))
			}
		}
	}
}

func TestWhatCannotBeReadIsAnErrorThatSaysWhy(t *testing.T) {
	for _, c := range []struct{ name, tool, text, want string }{
		{"an unknown tool", "spinnaker", "a: b", "choose one of argo"},
		{"a document of another tool", "flagger", "kind: Rollout\n", "no document of flagger"},
		{"no YAML", "argo", "a: [", "t: line 1"},
		{"nothing at all", "argo", "", "no document of argo"},
		{"too large", "argo", strings.Repeat("a", 1<<20+1), "larger than"},
		{"too many documents", "argo", strings.Repeat("---\na: b\n", 101), "more than 100 documents"},
		{"too deep", "kayenta", strings.Repeat(`{"a":`, 200) + "1" + strings.Repeat("}", 200), "levels deep"},
		{"an alias bomb", "argo", bomb(), "more than 50000 values"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := importer.Import(c.tool, []importer.File{{Name: "t", Text: []byte(c.text)}}, importer.Options{})
			if adg.CodeOf(err) != adg.Invalid || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want an invalid one with %q", err, c.want)
			}
		})
	}
}

// bomb is a document whose aliases stand for ten million values.
func bomb() string {
	text := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := '1'; i < '8'; i++ {
		before := string(i - 1)
		text += "a" + string(i) + ": &a" + string(i) + " [" + strings.TrimSuffix(strings.Repeat("*a"+before+", ", 10), ", ") + "]\n"
	}
	return text
}

// FuzzImport holds that nothing panics, and that adg reads every policy that comes out.
func FuzzImport(f *testing.F) {
	paths, _ := filepath.Glob("testdata/*.txtar")
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			f.Fatal(err)
		}
		for i, tool := range importer.Tools {
			if strings.HasPrefix(filepath.Base(path), tool) {
				for _, file := range archive.Files {
					f.Add(uint8(i), file.Data)
				}
			}
		}
	}
	f.Add(uint8(0), []byte("kind: Rollout\nmetadata: {name: \"\\e\\u2028# a\"}\nspec: {strategy: {canary: {steps: [{setWeight: 1e9}, {pause: {duration: 9e99}}]}}}"))
	f.Fuzz(func(t *testing.T, tool uint8, text []byte) {
		name := importer.Tools[int(tool)%len(importer.Tools)]
		result, err := importer.Import(name, []importer.File{{Name: "f\n", Text: text}}, importer.Options{})
		if err != nil {
			if adg.CodeOf(err) != adg.Invalid {
				t.Fatalf("not an invalid one: %v", err)
			}
			return
		}
		lint(t, result.Policy)
		for _, l := range result.Losses {
			if strings.ContainsAny(l.Text, "\n\r\x1b") {
				t.Errorf("a loss of several lines: %q", l.Text)
			}
		}
	})
}
