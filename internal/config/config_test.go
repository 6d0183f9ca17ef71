package config_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/config"
)

// good are the texts of the good policies, by name.
func good(t testing.TB) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob("testdata/good/*.yaml")
	if err != nil || len(paths) < 6 {
		t.Fatalf("%d good policies, %v", len(paths), err)
	}
	texts := map[string][]byte{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		texts[filepath.Base(path)] = text
	}
	return texts
}

func TestGoodPoliciesMeanWhatTheySay(t *testing.T) {
	for name, text := range good(t) {
		t.Run(name, func(t *testing.T) {
			file := parse(t, string(text))
			if !strings.HasPrefix(file.Policy.Digest, "sha256:") || len(file.Policy.Digest) != 71 {
				t.Errorf("digest %q", file.Policy.Digest)
			}
			if err := file.Policy.Validate(); err != nil {
				t.Error(err)
			}
			file.Policy.Digest = ""
			got, err := json.MarshalIndent(file.Policy, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata/good", strings.TrimSuffix(name, ".yaml")+".json")
			if *update {
				if err := os.WriteFile(golden, append(got, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)+"\n"); diff != "" {
				t.Errorf("read as something else (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDriversGetTheirOptionsOverTheirDefaults(t *testing.T) {
	file := parse(t, string(good(t)["blue_green.yaml"]))
	prom := file.Sources[1]
	if prom.Name != "prom" || prom.Type != "prometheus" {
		t.Fatalf("sources are not sorted by name: %v", file.Sources)
	}
	o := prom.Options.(prometheusOptions)
	if o.URL != "https://prometheus.example" || o.Timeout != 10*time.Second || o.TLS.CAFile != "/etc/ssl/prom.pem" || o.BearerToken.Reveal() != "planted-token" {
		t.Errorf("%+v", o)
	}
	target := file.Target.Options.(programTarget)
	want := program{Path: "./deploy", Args: []string{"--quiet"}, Timeout: 10 * time.Minute}
	if diff := cmp.Diff(want, target.Apply); diff != "" || target.Secrets["TOKEN"].Reveal() != "planted-token" {
		t.Errorf("%s %v", diff, target)
	}
}

func TestDefaultsOfDriversAreNeverWrittenTo(t *testing.T) {
	all := drivers()
	for range 2 {
		file, err := config.Parse("policy.yaml", good(t)["blue_green.yaml"], all, env)
		if err != nil {
			t.Fatal(err)
		}
		file.Sources[0].Options.(httpOptions).Status[0] = 500
	}
	if status := all.Sources[2].Options.(httpOptions).Status; !cmp.Equal(status, []int{200}) {
		t.Errorf("the default became %v", status)
	}
}

func TestNotifiersAreNamedAfterTheirTypeUnlessNamed(t *testing.T) {
	file := parse(t, minimal+`
notify:
  - {type: log, path: a}
  - {type: log, name: log-2, path: b}
  - {type: log, path: c}
  - {type: slack, webhook: {env: SLACK_URL}}
`)
	if want := []string{"log", "log-2", "log-3", "slack"}; !cmp.Equal(want, file.Policy.Notify) {
		t.Errorf("named %v, not %v", file.Policy.Notify, want)
	}
	for i, n := range file.Notifiers {
		if n.Name != file.Policy.Notify[i] {
			t.Errorf("instance %d is %s", i, n.Name)
		}
	}
}

func TestDefaultsOfTheFileAreThoseOfThePolicy(t *testing.T) {
	got := parse(t, strings.Replace(minimal, "recreate", "canary", 1)).Policy
	want := adg.Policy{
		Service: "shop", Environment: "test", Digest: got.Digest,
		Checks:   []adg.Check{{Name: "errors", Source: "errors", Query: "all", Fail: adg.Condition{Operator: adg.Above, Value: 5, Unit: adg.Percent}}},
		Strategy: adg.Strategy{Kind: adg.Canary},
		Verify:   []adg.Phase{{Name: "immediate", For: 15 * time.Minute}},
		Rollback: adg.RollbackPolicy{Trust: adg.Suggest, Rules: []adg.Rule{{When: adg.Unhealthy, For: time.Minute}, {When: adg.Degraded, For: 15 * time.Minute, After: 10 * time.Minute}}},
	}.WithDefaults()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the page and the program disagree (-program +page):\n%s", diff)
	}
}

func TestComparisonIsWhatTheCheckAsksForUnlessSaid(t *testing.T) {
	const text = `
service: shop
environment: test
sources:
  page: {type: http, url: "http://127.0.0.1/"}
  script: {type: command, path: ./x, as: probe}
  values: {type: command, path: ./x}
checks:
  - {name: an http probe, source: page}
  - {name: a script that passes or fails, source: script}
  - {name: a number from an http page, source: page, query: x, compare: threshold, fail: "> 1"}
  - {name: limits, source: values, query: x, fail: "> 1"}
  - {name: a baseline in warn, source: values, query: x, warn: "> baseline", min_samples: 1}
  - {name: events, source: values, query: x, fail: "> 1", compare: events}
strategy: recreate
`
	want := []adg.Comparison{adg.Probe, adg.Probe, adg.Threshold, adg.Threshold, adg.Relative, adg.Events}
	file := parse(t, strings.NewReplacer("an http probe", "a", "a script that passes or fails", "b", "a number from an http page", "c",
		"limits", "d", "a baseline in warn", "e", "events, source", "f, source").Replace(text))
	for i, c := range file.Policy.Checks {
		if c.Compare != want[i] {
			t.Errorf("check %d compares by %s, not %s", i, c.Compare, want[i])
		}
	}
}

func TestSecretsAreResolvedAndNeverShown(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hook")
	for _, content := range []string{"https://planted.example/hook", "https://planted.example/hook\n", "https://planted.example/hook\r\n"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		file := parse(t, minimal+"notify: [{type: slack, webhook: {file: "+path+"}}]\n")
		options := file.Notifiers[0].Options.(slackOptions)
		if got := options.Webhook.Reveal(); got != "https://planted.example/hook" {
			t.Errorf("%q became %q", content, got)
		}
		shown, err := json.Marshal(file)
		if err != nil {
			t.Fatal(err)
		}
		if text := fmt.Sprintf("%v %+v %#v %s", file, file, file, shown); strings.Contains(text, "planted") {
			t.Errorf("shown: %s", text)
		}
		if len(file.Warnings) != 1 {
			t.Errorf("warnings: %v", file.Warnings)
		}
	}
}

func TestSecretThatEverybodyCanReadIsDoubtful(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hook")
	if err := os.WriteFile(path, []byte("planted"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	file := parse(t, minimal+"notify: [{type: slack, webhook: {file: "+path+"}}]\n")
	if n := len(file.Warnings); n != 2 || !strings.Contains(file.Warnings[1].Text, "chmod 600") {
		t.Errorf("%v", file.Warnings)
	}
}

func TestSecretFilesAreBounded(t *testing.T) {
	for name, content := range map[string]string{"larger than": strings.Repeat("planted", 10_000), "is empty": "\n"} {
		path := filepath.Join(t.TempDir(), "hook")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		text := minimal + "notify: [{type: slack, webhook: {file: " + path + "}}]\n"
		_, err := config.Parse("policy.yaml", []byte(text), drivers(), env)
		wantProblems(t, text, err)
		if !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "planted") {
			t.Errorf("%v", err)
		}
	}
}

func TestFilesFromOtherSystemsParse(t *testing.T) {
	parse(t, "\ufeff"+minimal)
	parse(t, strings.ReplaceAll(minimal, "\n", "\r\n"))
	_, err := config.Parse("policy.yaml", []byte("service: caf\xe9\n"), drivers(), env)
	if err == nil || !strings.Contains(err.Error(), "UTF-8") {
		t.Errorf("Latin 1: %v", err)
	}
	_, err = config.Parse("policy.yaml", []byte("service: a\nvariables: {ü: ünï, b: 5}\n"), drivers(), env)
	problems, _ := errors.AsType[config.Problems](err)
	last := problems[len(problems)-1]
	if last.Line != 2 || last.Column != 24 {
		t.Errorf("columns are counted in characters: %v", err)
	}
}

func TestLoadReadsWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "guardian.yaml")
	if err := os.WriteFile(path, []byte(minimal), 0o644); err != nil {
		t.Fatal(err)
	}
	file, err := config.Load(path, drivers(), config.Environment)
	if err != nil || file.Path != path || file.Policy.Service != "shop" {
		t.Errorf("%v, %v", file, err)
	}
	for _, bad := range []string{filepath.Join(dir, "missing.yaml"), dir} {
		_, err := config.Load(bad, drivers(), env)
		if adg.CodeOf(err) != adg.Invalid || !strings.Contains(err.Error(), bad) {
			t.Errorf("%v", err)
		}
	}
}

// Each text would take a reader without bounds minutes, or all the memory.
func TestHostileFilesAreRefusedSoon(t *testing.T) {
	bomb := "variables: &a {a: x, b: x, c: x, d: x, e: x, f: x, g: x, h: x}\n"
	bomb += "checks: [" + strings.Repeat("{source: *a, name: *a, query: *a, fail: *a}, ", 200) + "]\n"
	expanding := "sources: {e: {type: embedded, scrape: &s [" + strings.Repeat("{labels: {a: b, c: d, e: f}, targets: [a, b]},", 150) + "]}"
	for i := range 150 {
		expanding += fmt.Sprintf(", e%d: {type: embedded, scrape: *s}", i)
	}
	for _, one := range []struct{ name, text, say string }{
		{"more than a mebibyte", strings.Repeat("#", 1<<20+1), "larger than"},
		{"too many lines", strings.Repeat("#\n", 20_001), "lines"},
		{"a run of blank lines in a text", "service: |\n" + strings.Repeat("\n", 15_000), "blank lines"},
		{"too many words", strings.Repeat("a: 1\n", 2_100), "words and signs"},
		{"lists in lists in one line", strings.Repeat("[", 5000), "levels"},
		{"mappings in mappings in one line", strings.Repeat("{a: ", 1900), "levels"},
		{"lists in lists in blocks", strings.Repeat("- ", 5000), "levels"},
		{"complex keys in complex keys", strings.Repeat("? ", 5000), "levels"},
		{"mappings in mappings in blocks", nested(200), "levels"},
		{"as many problems as fit", strings.Repeat("abcdefgh: 1\n", 1900), "more problems"},
		{"aliases used where they do not fit", bomb, "is text"},
		{"aliases of aliases", expanding + "}\n", "values, aliases counted"},
		{"many documents", strings.Repeat("--- a\n", 3000), "second document"},
		{"one line with everything", "checks: [" + strings.Repeat("{nmae: x},", 900) + "]", "did you mean"},
	} {
		t.Run(one.name, func(t *testing.T) {
			_, err := config.Parse("policy.yaml", []byte(one.text), drivers(), env)
			wantProblems(t, one.text, err)
			said := err.Error()
			if !strings.Contains(said, one.say) {
				t.Errorf("said %.300s", said)
			}
			if len(said) > 500_000 {
				t.Errorf("%d bytes of problems", len(said))
			}
		})
	}
}

func nested(depth int) string {
	var b strings.Builder
	for i := range depth {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

const minimal = `
service: shop
environment: test
sources: {errors: {type: command, path: ./errors}}
target: {type: command, apply: {path: ./apply}}
checks: [{name: errors, source: errors, query: all, fail: "> 5%"}]
strategy: recreate
`

func parse(t testing.TB, text string) config.File {
	t.Helper()
	file, err := config.Parse("policy.yaml", []byte(text), drivers(), env)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func FuzzParse(f *testing.F) {
	for _, text := range good(f) {
		f.Add(text)
	}
	paths, err := filepath.Glob("testdata/bad/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		policy, _, _ := bytes.Cut(bytes.TrimPrefix(text, []byte("-- policy.yaml --\n")), []byte("-- said --\n"))
		f.Add(policy)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		start := time.Now()
		file, err := config.Parse("policy.yaml", text, drivers(), env)
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("took %s", took)
		}
		if err != nil {
			wantProblems(t, strings.ToValidUTF8(string(text), "x"), err)
			return
		}
		if err := file.Policy.Validate(); err != nil {
			t.Errorf("accepted, and not valid: %v", err)
		}
	})
}

type groupOptions struct {
	Parts []string `yaml:"parts" doc:"Its parts."`
}

func TestTargetHasOnlyPartsThatThereAre(t *testing.T) {
	group := adg.NewTargetDriver("group", "Is several.", groupOptions{}, openTarget[groupOptions])
	group.Parts = func(options any) []string { return options.(groupOptions).Parts }
	all := drivers()
	all.Targets = append(all.Targets, group)
	text := regexp.MustCompile(`(?m)^target: .*$`).ReplaceAllString(minimal, "targets: {eu: {type: kubernetes, deployment: shop}}\ntarget: {type: group, parts: [eu, PART]}")
	if !strings.Contains(text, "PART") {
		t.Fatal("the policy has no target in one line")
	}
	_, err := config.Parse("policy.yaml", []byte(strings.Replace(text, "PART", "us", 1)), all, env)
	if err == nil || !strings.Contains(err.Error(), `there is no target "us" under targets: there are eu`) {
		t.Errorf("a part that is nowhere: %v", err)
	}
	if _, err := config.Parse("policy.yaml", []byte(strings.Replace(text, ", PART", "", 1)), all, env); err != nil {
		t.Errorf("a part that there is: %v", err)
	}
}
