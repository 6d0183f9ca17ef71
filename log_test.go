package adg_test

import (
	"strings"
	"testing"
	"time"

	"github.com/deployguardian/adg"
)

func TestCheckOfLogsIsRefusedWithEverythingThatIsWrong(t *testing.T) {
	good := adg.Check{Name: "log", Source: "loki", Query: "{}", Compare: adg.Logs, Window: time.Minute, Weight: 1}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		change func(*adg.Check)
		says   string
	}{
		{"nothing is asked for", func(c *adg.Check) { c.Query = "" }, "needs a query"},
		{"a limit", func(c *adg.Check) { c.Fail = adg.Condition{Operator: adg.Above, Value: 1} }, "nothing to limit"},
		{"what is no expression", func(c *adg.Check) { c.Logs.Ignore = []string{"("} }, "no regular expression"},
		{"an expression that is too long", func(c *adg.Check) { c.Logs.Ignore = []string{strings.Repeat("x", 1000)} }, "1 to 512 bytes"},
		{"too many expressions", func(c *adg.Check) { c.Logs.Ignore = make([]string, 100) }, "at most 64"},
		{"a window that holds no whole moment", func(c *adg.Check) { c.Sequential.Bucket = 30 }, "holds no whole moment"},
		{"more than all moments", func(c *adg.Check) { c.Logs.Often = 2 }, "often"},
	} {
		t.Run(c.name, func(t *testing.T) {
			check := good
			c.change(&check)
			if err := check.Validate(); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Error(err)
			}
		})
	}
}

func TestChecksOfLogsHaveTheirPartOfAlphaAndStayWithinIt(t *testing.T) {
	p := adg.Policy{Checks: []adg.Check{
		{Name: "errors", Bad: "b", Total: "t", Compare: adg.Sequential}, {Name: "log", Query: "{}", Compare: adg.Logs, Weight: 3},
	}, Alpha: 0.04}.WithDefaults()
	if a, b := p.Checks[0].Sequential.Alpha, p.Checks[1].Sequential.Alpha; a != 0.01 || b != 0.03 || p.Scoring.Alpha != 0 {
		t.Errorf("%g and %g, %g for both together", a, b, p.Scoring.Alpha)
	}
}

func TestLogsCanBeBakedAndNeverProven(t *testing.T) {
	check := adg.Check{Compare: adg.Logs}
	if check.Unproven(adg.Judgement{Proof: adg.Baked}, adg.Proven) || !check.Unproven(adg.Judgement{}, adg.Baked) {
		t.Error("what a check of logs has to show is that it would have found something")
	}
}
