package judge

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestNumbersAreWrittenForPeople(t *testing.T) {
	for _, row := range []struct {
		value  float64
		digits int
		want   string
	}{
		{0, 4, "0"}, {math.Copysign(0, -1), 4, "0"}, {0.123456, 4, "0.1235"}, {20.32, 3, "20.3"}, {999.96, 4, "1000"}, {1790, 4, "1,790"},
		{123456.7, 3, "123,457"}, {-1234567, 4, "-1,234,567"}, {1e15, 4, "1e+15"}, {math.Inf(1), 4, "+Inf"}, {math.NaN(), 4, "NaN"},
	} {
		if got := number(row.value, row.digits); got != row.want {
			t.Errorf("%g in %d digits: %s, want %s", row.value, row.digits, got, row.want)
		}
	}
}

func TestDurationsHaveNoZerosAtTheEnd(t *testing.T) {
	for d, want := range map[time.Duration]string{
		5 * time.Minute: "5m", 2 * time.Hour: "2h", 90 * time.Second: "1m30s", 10 * time.Second: "10s", 90 * time.Minute: "1h30m",
		200 * time.Millisecond: "200ms", 61*time.Second + 1: "1m1s", time.Hour + 10*time.Second: "1h0m10s", 0: "0s",
	} {
		if got := duration(d); got != want {
			t.Errorf("%s: %s, want %s", d, got, want)
		}
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
