package cli

import (
	"io"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/deployguardian/adg"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

func TestASparklineScalesToItsValuesAndLeavesGapsBlank(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		name   string
		values []float64
		want   string
	}{
		{"nothing", nil, ""},
		{"from the lowest to the highest", []float64{0, 1, 2, 3, 4, 5, 6, 7}, "▁▂▃▄▅▆▇█"},
		{"all the same", []float64{3, 3, 3}, "▁▁▁"},
		{"one value", []float64{3}, "▁"},
		{"gaps are blanks", []float64{0, nan, 7, inf, -inf}, "▁ █  "},
		{"only gaps", []float64{nan, nan}, "  "},
		{"numbers too large to draw are gaps", []float64{-math.MaxFloat64, 1, math.MaxFloat64, 2}, " ▁ █"},
		{"negative values", []float64{-7, 0}, "▁█"},
		{"only the last ones", []float64{9, 9, 0, 0, 0, 0, 0, 0, 0, 7}, "▁▁▁▁▁▁▁█"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := sparkline(c.values, 8); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestANumberIsShortAndKeepsWhatMatters(t *testing.T) {
	if got := number(nil); got != "–" {
		t.Errorf("no number is %q", got)
	}
	for value, want := range map[float64]string{
		0: "0", 0.05: "0.05", 1.0 / 3: "0.3333", 1234.5678: "1235", 0.00012345: "1.23e-04", -0.0005: "-5.00e-04",
		2.5e9: "2.50e+09", math.Inf(1): "+Inf", math.Inf(-1): "-Inf",
	} {
		if got := number(&value); got != want {
			t.Errorf("%v: got %q, want %q", value, got, want)
		}
	}
	nan := math.NaN()
	if got := number(&nan); got != "NaN" {
		t.Errorf("NaN is %q", got)
	}
}

func TestASpanIsSaidInTheUnitsOfPeople(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 400 * time.Millisecond: "0s", 1600 * time.Millisecond: "2s", 59*time.Second + 600*time.Millisecond: "1m00s",
		90 * time.Second: "1m30s", time.Hour: "1h00m", 25 * time.Hour: "1d1h", -time.Second: "-1s",
	} {
		if got := span(d); got != want {
			t.Errorf("%s: got %q, want %q", d, got, want)
		}
	}
}

func TestProgressIsNeverShorterOrLongerThanItsBar(t *testing.T) {
	for _, c := range []struct {
		name        string
		done, whole time.Duration
		want        string
	}{
		{"nothing to do", 1, 0, ""},
		{"not begun", 0, 10, "░░░░"},
		{"half", 5, 10, "██░░"},
		{"more than all", 50, 10, "████"},
		{"before the beginning", -5, 10, "░░░░"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := progress(c.done, c.whole, 4); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestWhatJSONHasNoWordForIsLeftOut(t *testing.T) {
	one := 1.0
	if got := finite(&one); got != &one {
		t.Errorf("1 became %v", got)
	}
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		if finite(&v) != nil {
			t.Errorf("%v is kept", v)
		}
	}
	if finite(nil) != nil {
		t.Error("nothing became something")
	}
}

func FuzzForeignTextIsHarmlessAndFits(f *testing.F) {
	for _, text := range []string{"", "plain", "\x1b[2J\x1b]0;owned\a", "a\u202eb", "\xff\xfe", "wörter", "x\ny\tz"} {
		for _, width := range []int{-1, 0, 1, 5, 100} {
			f.Add(text, width)
		}
	}
	f.Fuzz(func(t *testing.T, text string, width int) {
		clean := clean(text)
		for _, r := range clean {
			if r != '\n' && r != '\t' && (r < ' ' || 0x7f <= r && r < 0xa0 || r == 0x202e) {
				t.Fatalf("%q became %q", text, clean)
			}
		}
		short := cut(clean, width)
		if strings.ContainsAny(short, "\n\t") {
			t.Fatalf("%q is more than one line", short)
		}
		if n := utf8.RuneCountInString(short); n > max(width, 0) {
			t.Fatalf("%q is %d wide, not %d", short, n, width)
		}
		if utf8.RuneCountInString(clean) <= width && short != flat(clean) {
			t.Fatalf("%q fits into %d and became %q", clean, width, short)
		}
	})
}

func TestEachStateHasItsExitCode(t *testing.T) {
	want := map[adg.State]int{
		adg.Succeeded: 0, adg.RolledBack: 3, adg.Blocked: 4, adg.RollbackFailed: 5,
		adg.Cancelled: 6, adg.Superseded: 6, adg.Undecided: 6,
		// Left before the end.
		adg.Pending: 6, adg.Gated: 6, adg.Rolling: 6, adg.Verifying: 6, adg.Held: 6, adg.RollbackPending: 6,
		adg.RollingBack: 6, adg.VerifyingRollback: 6,
	}
	for _, state := range adg.States() {
		code, listed := want[state]
		if !listed {
			t.Errorf("state %s is not in this table", state)
		}
		if got := ExitOf(state); got != code {
			t.Errorf("state %s ends with %d, want %d", state, got, code)
		}
		delete(want, state)
	}
	if len(want) > 0 {
		t.Errorf("states that there are no more: %v", want)
	}
}

func TestTheNumbersOfAnyCheckHaveItsUnit(t *testing.T) {
	judged := &adgv1.Judgement{Check: "slow", Value: ptr(0.0529), Limit: ptr(0.05), Unit: "s"}
	watched := &adgv1.Watch{Check: "slow", Last: judged}
	tested := Tested{Checks: []TestedCheck{{Judgement: adg.Judgement{Check: "slow", Value: ptr(0.0529), Limit: ptr(0.05)}, Unit: "s"}}}
	live := picture{known: true, d: deploymentOf(&adgv1.Deployment{Policy: &adgv1.Policy{Checks: []*adgv1.Check{{Name: "slow", Unit: "s"}}}, Status: &adgv1.Status{Checks: []*adgv1.Watch{watched}}})}
	for name, write := range map[string]func(out io.Writer) error{
		"a deployment's":              func(out io.Writer) error { return showChecks(session{t: Terminal{Out: out}}, []*adgv1.Watch{watched}) },
		"a policy's, asked from here": func(out io.Writer) error { return showTested(out, tested) },
		"a policy's, asked by the server": func(out io.Writer) error {
			return showTests(out, "policy.yaml", &adgv1.TestPolicyResponse{Checks: []*adgv1.CheckTest{{Check: "slow", Judgement: judged}}})
		},
		"a picture's": func(out io.Writer) error {
			_, err := io.WriteString(out, strings.Join(live.lines(noon, 100), "\n"))
			return err
		},
	} {
		var out strings.Builder
		if err := write(&out); err != nil || !strings.Contains(out.String(), "52.9 ms") || !strings.Contains(out.String(), "50 ms") || strings.Contains(out.String(), "0.05") {
			t.Errorf("%s: %v\n%s", name, err, out.String())
		}
	}
}

func TestOfWhatWentBackItIsSaidWhatItWasCondemnedFor(t *testing.T) {
	for _, c := range []struct {
		state                   adgv1.State
		condemned, reason, want string
	}{
		{adgv1.State_STATE_SUCCEEDED, "", "all is well", "all is well"},
		{adgv1.State_STATE_ROLLED_BACK, "errors fails", "v1 is live and verified", "errors fails"},
		{adgv1.State_STATE_ROLLING_BACK, "errors fails", "rolling back to v1: errors fails", "rolling back to v1: errors fails"},
		{adgv1.State_STATE_ROLLING_BACK, "errors fails", "the target is on its way back", "errors fails; the target is on its way back"},
		{adgv1.State_STATE_ROLLBACK_FAILED, "errors fails", "no outcome within 5m", "no outcome within 5m; condemned: errors fails"},
		{adgv1.State_STATE_ROLLBACK_FAILED, "errors fails", "", "errors fails"},
	} {
		if got := whyOf(&adgv1.DeploymentSummary{State: c.state, CondemnedFor: c.condemned, Reason: c.reason}); got != c.want {
			t.Errorf("%s: %q, want %q", spoken(c.state), got, c.want)
		}
	}
}
