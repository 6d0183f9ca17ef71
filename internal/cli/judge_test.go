package cli

import (
	"bytes"
	"context"
	"strings"
	"testing"
)

// judgedLines runs `adg judge` on standard input, and gives what it wrote and its exit code.
func judgedLines(in string, args ...string) (exit int, out, said string) {
	var o, e bytes.Buffer
	exit = Main(context.Background(), "test", append([]string{"judge"}, args...), Terminal{In: strings.NewReader(in), Out: &o, Err: &e}, Calls{})
	return exit, o.String(), e.String()
}

func TestJudgeExitsWithZeroWhateverTheVerdictIs(t *testing.T) {
	bad := `{"buckets": [{"canary": {"bad": 12, "all": 20}, "control": {"bad": 1, "all": 180}}]}`
	exit, out, said := judgedLines(bad+"\n", "--method", "sequential")
	if exit != ExitGood || said != "" || !strings.Contains(out, `"decision":"worse","decided_at":0,`) {
		t.Errorf("exit %d, wrote %s, said %s", exit, out, said)
	}
}

func TestJudgeExitsWithTwoIfAnAnswerWasAnError(t *testing.T) {
	exit, out, said := judgedLines("{\"values\": [3]}\nnonsense\n", "--method", "threshold", "--settings", `{"fail": "> 2"}`)
	if exit != ExitUsage || said != "adg: 1 of 2 answers are errors\n" {
		t.Errorf("exit %d, said %s", exit, said)
	}
	lines := strings.Split(out, "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[0], `{"verdict":"fail"`) || !strings.HasPrefix(lines[1], `{"error":"line 2: `) {
		t.Errorf("wrote %s", out)
	}
	if !strings.Contains(out, "(fail: > 2)") {
		t.Errorf("text is escaped as if for a page: %s", out)
	}
}

func TestJudgeTakesAlphaForTheMethodsThatHaveOne(t *testing.T) {
	in := `{"buckets": []}`
	if _, out, _ := judgedLines(in, "--method", "sequential"); !strings.Contains(out, `"log_limit":4.60517`) {
		t.Errorf("by default %s", out)
	}
	if _, out, _ := judgedLines(in, "--method", "sequential", "--alpha", "0.05"); !strings.Contains(out, `"log_limit":2.99573`) {
		t.Errorf("with --alpha %s", out)
	}
	in = `{"control": [1, 2, 3], "experiment": [4, 5, 6]}`
	if _, out, _ := judgedLines(in, "--method", "mann-whitney"); !strings.Contains(out, `"Nodata"`) || !strings.Contains(out, "98 %") {
		t.Errorf("by default %s", out)
	}
	if _, out, _ := judgedLines(in, "--method", "mann-whitney", "--alpha", "0.1"); !strings.Contains(out, `"High"`) {
		t.Errorf("with --alpha %s", out)
	}
}

func TestJudgeReadsAndWritesTables(t *testing.T) {
	exit, out, _ := judgedLines("control,experiment\n1,7\n2,8\n3,9\n2,8\n1,7\n", "--method", "mann-whitney", "--csv")
	want := "classification,lower,upper,estimate,effect,n_experiment,n_control,method,text,error\nHigh,4,8,6,4.333333333333333,5,5,normal,"
	if exit != ExitGood || !strings.HasPrefix(out, want) {
		t.Errorf("exit %d, wrote %s", exit, out)
	}
}

func TestJudgeRefusesWhatCannotBeMeant(t *testing.T) {
	for _, test := range []struct {
		want string
		args []string
	}{
		{"which --method? choose one of sequential, mann-whitney, threshold, relative", nil},
		{`unknown method "guess"`, []string{"--method", "guess"}},
		{"alpha 0: between 0 and 1", []string{"--method", "sequential", "--alpha", "0"}},
		{"threshold promises nothing", []string{"--method", "threshold", "--alpha", "0.1"}},
		{"settings: no JSON", []string{"--method", "threshold", "--settings", "fail"}},
		{`"file.json" does not fit: adg judge --method METHOD`, []string{"--method", "threshold", "file.json"}},
		{"--csv", []string{"--method", "sequential", "--csv=perhaps"}},
	} {
		exit, out, said := judgedLines("{}", test.args...)
		if exit != ExitUsage || out != "" || !strings.Contains(said, test.want) {
			t.Errorf("%v: exit %d, wrote %q, said %q, want %q", test.args, exit, out, said, test.want)
		}
	}
}
