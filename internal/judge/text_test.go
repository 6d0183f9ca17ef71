package judge

import (
	"regexp"
	"strings"
	"testing"

	"github.com/deployguardian/adg"
)

func in(unit string, c adg.Check) adg.Check {
	c.Unit = unit
	return c
}

// unitExamples are sentences with numbers that have a unit: every one of them says it.
var unitExamples = []example{
	{name: "a value in seconds", check: in("s", latency), seen: values(0.0529), verdict: adg.Pass, why: adg.WithinLimits,
		text: "the latest value is 52.9 ms (1 sample); limit 300 ms (warn: > 300 ms)"},
	{name: "a range of bytes", check: in("bytes", limited("outside 1048576..1073741824")), seen: values(5_862_144), verdict: adg.Pass, why: adg.WithinLimits,
		text: "the latest value is 5.591 MiB (1 sample); limits 1 MiB and 1 GiB (fail: outside 1 MiB..1 GiB)"},
	{name: "a share with a plain limit", check: in("share", limited("> 0.05")), seen: values(0.063), verdict: adg.Fail, why: adg.BeyondFail,
		text: "the latest value is 6.3 % (1 sample); limit 5 % (fail: > 5 %)"},
	{name: "more seconds than the baseline", check: in("s", adg.Check{Query: "q", Compare: adg.Relative, Fail: condition("> baseline + 0.05")}), seen: values(0.26), stable: new(values(0.2)), verdict: adg.Fail, why: adg.BeyondFail,
		text: "the latest value is 260 ms (1 sample), baseline 200 ms of 1; limit 250 ms (fail: > baseline + 50 ms)"},
	{name: "milliseconds by their ranks", check: in("ms", ranked), seen: values(half...), stable: &sameTwice, verdict: adg.Fail, why: adg.BeyondFail,
		text: "median 23.25 ms against 15.5 ms, higher than the control: shifted by 7.75 ms, 98 % interval 2.5 ms to 13 ms (12 samples against 12 of the control, normal; ratio of the means 1.5)"},
	{name: "the same megabytes on both sides", check: in("MB", ranked), seen: values(7, 7, 7), stable: new(values(7, 7)), verdict: adg.Pass, why: adg.WithinLimits,
		text: "median 7 MB against 7 MB, always 7 MB on both sides: 3 samples against 2 of the control"},
}

func TestWhatIsSlowIsToldInTheUnitOfTheCheck(t *testing.T) {
	f := newFleet(11, func(f *fleet) { f.slower, f.from = 1.25, 600 })
	s := story{check: in("s", slowness), fleet: f, interval: 10, share: 10}
	f.run(600)
	s.until(840, failed)
	said := regexp.MustCompile(`: p95 2\d\d ms against 2\d\d ms \(-?\+?[\d.]+ ms to \+[\d.]+ ms\), and [\d.]+ % more of the requests take longer than [\d.]+ ms; .* slower than [\d.]+ ms, `)
	if !said.MatchString(s.last.Text) {
		t.Error(s.last.Text)
	}
}

func TestOtherPeoplesWordsAreOneBoundedLine(t *testing.T) {
	if got := plain("  two\r\nlines\x00 \x1b[1mloud\xff "); got != "two lines [1mloud?" {
		t.Errorf("%q", got)
	}
	if got := plain(strings.Repeat("ü", 10_000)); len([]rune(got)) != maxQuote+1 || !strings.HasSuffix(got, "ü…") {
		t.Errorf("%d runes, ending in %q", len([]rune(got)), got[len(got)-8:])
	}
}
