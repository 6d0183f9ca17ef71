package row

import (
	"math"
	"time"
)

// Forever is later than every time that can be stored.
const Forever = math.MaxInt64

// Nanos is a time as it is stored: 0 for the zero time, clamped to what 64 bits hold (the years 1677 to 2262).
func Nanos(t time.Time) int64 {
	switch {
	case t.IsZero():
		return 0
	case t.After(latest):
		return Forever
	case t.Before(earliest):
		return math.MinInt64
	}
	return t.UnixNano()
}

// Time is a stored time, in UTC.
func Time(nanos int64) time.Time {
	if nanos == 0 {
		return time.Time{}
	}
	return time.Unix(0, nanos).UTC()
}

// End is the time at which something ends, as it is stored: Forever for the zero time.
func End(t time.Time) int64 {
	if t.IsZero() {
		return Forever
	}
	return Nanos(t)
}

// EndTime is what End wrote.
func EndTime(nanos int64) time.Time {
	if nanos == Forever {
		return time.Time{}
	}
	return Time(nanos)
}

// Private

var earliest, latest = time.Unix(0, math.MinInt64), time.Unix(0, Forever)
