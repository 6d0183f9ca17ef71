package adg

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// Amount writes a value as people read it: with its unit, a share in percent, seconds and bytes in the unit of their
// size. It has that many digits, or all before the point where there are more.
func Amount(v float64, unit string, digits int) string {
	switch unit {
	case "":
		return Number(v, digits)
	case Share, "ratio":
		return Number(100*v, digits) + " %"
	case "percent":
		return Number(v, digits) + " %"
	case "s", "seconds":
		return inSeconds(v, digits)
	case "B", "bytes":
		return inBytes(v, digits)
	}
	return Number(v, digits) + " " + unit
}

// Difference writes by how much two values differ: as Amount does, but for shares, whose differences are percentage
// points; in percent they would be taken for a part of the value.
func Difference(v float64, unit string, digits int) string {
	amount := Amount(v, unit, digits)
	if number, found := strings.CutSuffix(amount, " %"); found {
		return number + " pp"
	}
	return amount
}

// Amount writes a value of the check as people read it.
func (c Check) Amount(v float64) string {
	unit := c.CountedIn()
	if unit == Share {
		return Amount(v, unit, 3)
	}
	return Amount(v, unit, 4)
}

// Number writes that many digits, or all before the point where there are more, in groups of three.
func Number(v float64, digits int) string {
	size := math.Abs(v)
	if v == 0 {
		return "0" // also where it is -0
	}
	if text := strconv.FormatFloat(v, 'g', digits, 64); math.IsNaN(v) || size >= 1e15 || size < 1000 && !strings.Contains(text, "e+") {
		return text
	}
	text := strconv.FormatFloat(size, 'f', 0, 64)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	if v < 0 {
		text = "-" + text
	}
	return text
}

// Span writes whole seconds without the zeros at the end: 5m, not 5m0s; below a second milliseconds.
func Span(d time.Duration) string {
	grain := time.Second
	if d.Abs() < time.Second {
		grain = time.Millisecond
	}
	return Short(d.Round(grain))
}

// Short writes a time without the zeros at its end, exactly: what somebody has written is shown as it is.
func Short(d time.Duration) string {
	text := d.String()
	if whole, found := strings.CutSuffix(text, "m0s"); found {
		text = whole + "m"
	}
	if whole, found := strings.CutSuffix(text, "h0m"); found {
		text = whole + "h"
	}
	return text
}

// Private

func inSeconds(v float64, digits int) string {
	switch size := math.Abs(v); {
	case size >= 60 && size < 1e9: // a Duration holds no more than nine times as much
		return Span(time.Duration(v * float64(time.Second)))
	case v == 0 || size >= 1 || math.IsNaN(v):
		return Number(v, digits) + " s"
	case size >= 1e-3:
		return Number(1e3*v, digits) + " ms"
	default:
		return Number(1e6*v, digits) + " µs"
	}
}

func inBytes(v float64, digits int) string {
	units := [...]string{"B", "KiB", "MiB", "GiB", "TiB"}
	i := 0
	for ; math.Abs(v) >= 1024 && i < len(units)-1; i++ {
		v /= 1024
	}
	return Number(v, digits) + " " + units[i]
}
