package adg

import (
	"math"
	"testing"
	"time"
)

func TestAmountsAreWrittenWithTheirUnit(t *testing.T) {
	for _, row := range []struct {
		value  float64
		unit   string
		digits int
		want   string
	}{
		{0.0529, "", 3, "0.0529"}, {0.0529, "s", 3, "52.9 ms"}, {0.31, "seconds", 4, "310 ms"}, {1.25, "s", 3, "1.25 s"}, {59.94, "s", 3, "59.9 s"},
		{0.000012, "s", 3, "12 µs"}, {0, "s", 3, "0 s"}, {-0.0081, "s", 2, "-8.1 ms"}, {0.4126, "s", 2, "413 ms"}, {90, "s", 3, "1m30s"}, {7200.4, "s", 3, "2h"},
		{1e30, "s", 3, "1e+30 s"}, {math.NaN(), "s", 3, "NaN s"}, {math.Inf(1), "s", 3, "+Inf s"},
		{0.0213, Share, 3, "2.13 %"}, {0.5, "ratio", 3, "50 %"}, {12.34, "percent", 3, "12.3 %"}, {12.34, "%", 3, "12.3 %"},
		{512, "B", 4, "512 B"}, {5_862_144, "bytes", 3, "5.59 MiB"}, {-2048, "B", 3, "-2 KiB"}, {0, "bytes", 3, "0 B"}, {1e18, "B", 3, "909,495 TiB"},
		{310, "ms", 4, "310 ms"}, {1790, "1/s", 4, "1,790 1/s"},
	} {
		if got := Amount(row.value, row.unit, row.digits); got != row.want {
			t.Errorf("%g %s in %d digits: %s, want %s", row.value, row.unit, row.digits, got, row.want)
		}
	}
}

func TestACheckWritesItsValuesInItsUnit(t *testing.T) {
	for _, c := range []struct {
		check Check
		want  string
	}{
		{Check{Query: "q"}, "0.02036"}, {Check{Query: "q", Unit: "s"}, "20.36 ms"}, {Check{Bad: "b", Total: "t"}, "2.04 %"},
	} {
		if got := c.check.Amount(0.020364); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}

func TestNumbersAreWrittenForPeople(t *testing.T) {
	for _, row := range []struct {
		value  float64
		digits int
		want   string
	}{
		{0, 4, "0"}, {math.Copysign(0, -1), 4, "0"}, {0.123456, 4, "0.1235"}, {20.32, 3, "20.3"}, {999.96, 4, "1000"}, {1790, 4, "1,790"},
		{412.6, 2, "413"}, {999.6, 3, "1,000"}, {-412.6, 2, "-413"},
		{123456.7, 3, "123,457"}, {-1234567, 4, "-1,234,567"}, {1e15, 4, "1e+15"}, {math.Inf(1), 4, "+Inf"}, {math.NaN(), 4, "NaN"},
	} {
		if got := Number(row.value, row.digits); got != row.want {
			t.Errorf("%g in %d digits: %s, want %s", row.value, row.digits, got, row.want)
		}
	}
}

func TestTimesAreWrittenExactlyAndWithoutZerosAtTheEnd(t *testing.T) {
	for d, want := range map[time.Duration]string{
		5 * time.Minute: "5m", 24 * time.Hour: "24h", 1500 * time.Millisecond: "1.5s", time.Hour + 10*time.Second: "1h0m10s", -time.Hour: "-1h", 0: "0s",
		90*time.Minute + 500*time.Millisecond: "1h30m0.5s", 500 * time.Microsecond: "500µs",
	} {
		if got := Short(d); got != want {
			t.Errorf("%s: %s, want %s", d, got, want)
		}
	}
}

func TestSpansHaveNoZerosAtTheEnd(t *testing.T) {
	for d, want := range map[time.Duration]string{
		5 * time.Minute: "5m", 2 * time.Hour: "2h", 90 * time.Second: "1m30s", 10 * time.Second: "10s", 90 * time.Minute: "1h30m",
		200 * time.Millisecond: "200ms", 61*time.Second + 1: "1m1s", time.Hour + 10*time.Second: "1h0m10s", 0: "0s",
	} {
		if got := Span(d); got != want {
			t.Errorf("%s: %s, want %s", d, got, want)
		}
	}
}
