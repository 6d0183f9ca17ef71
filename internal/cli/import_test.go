package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/deployguardian/adg"
)

const (
	importRollout = `apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: shop}
spec: {strategy: {canary: {analysis: {templates: [{templateName: t}]}, steps: [{setWeight: 10}, {pause: {duration: 1m}}]}}}
`
	importTemplate = `apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: t}
spec: {metrics: [{name: m, interval: 1m, successCondition: "result[0] < 1", provider: {prometheus: {address: "http://p:9090", query: up}}}]}
`
)

// importTyped runs one command line of import; in is what is piped into it.
func importTyped(in string, args ...string) (out, errOut string, err error) {
	var o, e bytes.Buffer
	cmd := importCommand(Terminal{In: strings.NewReader(in), Out: &o, Err: &e})
	refuseStray(cmd)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(args)
	cmd.SetOut(&o)
	cmd.SetErr(&e)
	err = cmd.Execute()
	return o.String(), e.String(), err
}

func TestImportPutsThePolicyOutAndTheListOfLossesBesideIt(t *testing.T) {
	dir := t.TempDir()
	rollout := filepath.Join(dir, "rollout.yaml")
	if err := os.WriteFile(rollout, []byte(importRollout), 0o600); err != nil {
		t.Fatal(err)
	}
	out, said, err := importTyped(importTemplate, "argo", rollout, "-", "--environment", "test")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out, "service: shop\nenvironment: test\n") || !strings.Contains(out, "  - name: m\n") || !strings.Contains(out, "{share: 10%, bake: 1m}") {
		t.Errorf("policy:\n%s", out)
	}
	if !strings.Contains(said, "1 checks carried over") || strings.Contains(out, "changed:") || !strings.Contains(said, "changed: ") {
		t.Errorf("said:\n%s", said)
	}
}

func TestImportWritesAFileOnceAndNeverOverAnother(t *testing.T) {
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	out, _, err := importTyped(importRollout, "argo", "-", "-o", policy)
	text, readErr := os.ReadFile(policy)
	if err != nil || readErr != nil || out != "" || !strings.Contains(string(text), "service: shop") {
		t.Fatalf("%v, %v: %s%s", err, readErr, out, text)
	}
	if _, _, err = importTyped(importTemplate, "argo", "-", "-o", policy); adg.CodeOf(err) != adg.Conflict {
		t.Errorf("written over: %v", err)
	}
	if again, _ := os.ReadFile(policy); string(again) != string(text) {
		t.Error("the policy changed")
	}
}

func TestImportPrintsOneObjectForPrograms(t *testing.T) {
	out, said, err := importTyped(importTemplate, "argo", "-", "--output", "json")
	var got struct {
		Policy string
		Checks int
		Losses []struct {
			File, Path, Effect, Text string
			Line                     int
		}
	}
	if err != nil || said != "" || json.Unmarshal([]byte(out), &got) != nil {
		t.Fatalf("%v: %q, said %q", err, out, said)
	}
	if got.Checks != 1 || !strings.Contains(got.Policy, "name: m") || len(got.Losses) == 0 || got.Losses[0].Text == "" {
		t.Errorf("%+v", got)
	}
}

func TestImportOfNothingUsableIsAnErrorThatKeepsTheQueries(t *testing.T) {
	text := strings.Replace(importTemplate, "prometheus: {address: \"http://p:9090\", query: up}", "datadog: {query: \"sum:x\"}", 1)
	out, _, err := importTyped(text, "argo", "-")
	if err == nil || exitOf(err) != ExitError || !strings.Contains(out, "sum:x") {
		t.Errorf("%v:\n%s", err, out)
	}
}

func TestImportRefusesWhatIsTypedWrong(t *testing.T) {
	for _, args := range [][]string{
		{"argo"}, {"argo", "/no/such/file"}, {"argo", "-", "-o", "json"}, {"argo", "-", "--output", "xml"}, {"flagger", "-"}, {"stray"}, {"kayenta", "-", "--nonsense"},
	} {
		if _, _, err := importTyped(importTemplate, args...); err == nil {
			t.Errorf("%v was taken", args)
		}
	}
}
