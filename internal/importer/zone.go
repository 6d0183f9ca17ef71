package importer

import (
	"fmt"
	"math"
	"slices"
	"strconv"
)

// Private

// zone is a set of numbers, the infinities among them: spans in rising order that do not touch.
type zone []stretch

// stretch is all numbers between two; an open end does not belong to it.
type stretch struct {
	low, high         float64
	lowOpen, highOpen bool
}

var infinite = math.Inf(1)

// everything is the zone of all numbers.
func everything() zone { return zone{{low: -infinite, high: infinite}} }

// compared are the numbers for which 'x operator limit' holds; false for an operator that is none.
func compared(operator string, limit float64) (zone, bool) {
	switch operator {
	case ">":
		return zone{{low: limit, high: infinite, lowOpen: true}}, true
	case ">=":
		return zone{{low: limit, high: infinite}}, true
	case "<":
		return zone{{low: -infinite, high: limit, highOpen: true}}, true
	case "<=":
		return zone{{low: -infinite, high: limit}}, true
	case "=", "==":
		return zone{{low: limit, high: limit}}, true
	case "!=":
		return zone{{low: limit, high: limit}}.not(), true
	default:
		return nil, false
	}
}

// not are the other numbers.
func (z zone) not() zone {
	var rest zone
	low, open := -infinite, false
	for _, s := range z {
		rest = rest.with(stretch{low: low, high: s.low, lowOpen: open, highOpen: !s.lowOpen})
		low, open = s.high, !s.highOpen
	}
	return rest.with(stretch{low: low, high: infinite, lowOpen: open})
}

// or are the numbers of both.
func (z zone) or(other zone) zone {
	all := append(slices.Clone(z), other...)
	slices.SortFunc(all, func(a, b stretch) int {
		switch {
		case a.low != b.low && a.low < b.low, a.low == b.low && !a.lowOpen && b.lowOpen:
			return -1
		case a.low == b.low && a.lowOpen == b.lowOpen:
			return 0
		default:
			return 1
		}
	})
	var merged zone
	for _, s := range all {
		if len(merged) == 0 || !merged[len(merged)-1].touches(s) {
			merged = append(merged, s)
			continue
		}
		last := &merged[len(merged)-1]
		if s.high > last.high || s.high == last.high && !s.highOpen {
			last.high, last.highOpen = s.high, s.highOpen
		}
	}
	return merged
}

// and are the numbers that are in both.
func (z zone) and(other zone) zone { return z.not().or(other.not()).not() }

// has tells whether a number is in the zone.
func (z zone) has(x float64) bool {
	return slices.ContainsFunc(z, func(s stretch) bool {
		return (x > s.low || x == s.low && !s.lowOpen) && (x < s.high || x == s.high && !s.highOpen)
	})
}

// condition writes the zone as a policy's condition. Where a policy can say it but for the limits themselves, note
// tells so; where it cannot, ok is false.
func (z zone) condition() (text, note string, ok bool) {
	number := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	switch {
	case len(z) == 1:
		return z[0].condition(number)
	case len(z) != 2 || z[0].low != -infinite || z[1].high != infinite || z[0].lowOpen || z[1].highOpen:
		return "", "", false
	}
	low, high := z[0], z[1]
	switch {
	case low.high == high.low: // open on both sides, or they would touch
		return "!= " + number(low.high), "", true
	case math.IsInf(low.high, 0) || math.IsInf(high.low, 0):
		return "", "", false
	case !low.highOpen || !high.lowOpen:
		note = "a value that is exactly one of the limits is bad in the source and good here"
	}
	return fmt.Sprintf("outside %s..%s", number(low.high), number(high.low)), note, true
}

// with appends a stretch that comes after all others, if it holds any number.
func (z zone) with(s stretch) zone {
	if s.low > s.high || s.low == s.high && (s.lowOpen || s.highOpen) {
		return z
	}
	return append(z, s)
}

// touches tells whether a later stretch begins before this one is over, or where it ends.
func (s stretch) touches(later stretch) bool {
	return later.low < s.high || later.low == s.high && (!s.highOpen || !later.lowOpen)
}

func (s stretch) condition(number func(float64) string) (text, note string, ok bool) {
	below, above := s.low == -infinite && !s.lowOpen, s.high == infinite && !s.highOpen
	operator := func(strict, loose string, open bool) string {
		if open {
			return strict + " "
		}
		return loose + " "
	}
	switch {
	case below && above, !below && math.IsInf(s.low, 0), !above && math.IsInf(s.high, 0):
		return "", "", false
	case s.low == s.high:
		return "= " + number(s.low), "", true
	case above:
		return operator(">", ">=", s.lowOpen) + number(s.low), "", true
	case below:
		return operator("<", "<=", s.highOpen) + number(s.high), "", true
	}
	if s.lowOpen || s.highOpen {
		note = "a value that is exactly one of the limits is good in the source and bad here"
	}
	return fmt.Sprintf("inside %s..%s", number(s.low), number(s.high)), note, true
}
