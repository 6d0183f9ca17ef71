package backtest

import (
	"math"
	"slices"
)

// Rate is how many of how many, with its 95 % interval (Wilson).
type Rate struct {
	N    int     `json:"n"`
	Of   int     `json:"of"`
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// Summary is what the cases come to.
type Summary struct {
	Cases          int      `json:"cases"` // that could be simulated
	Skipped        int      `json:"skipped,omitempty"`
	FalseRollbacks Rate     `json:"false_rollbacks"`         // good releases that would have been found bad
	Detections     Rate     `json:"detections"`              // bad releases that would have been found bad, after they were
	Early          int      `json:"early,omitempty"`         // bad releases that would have been found bad before they were: no detection
	Median         *float64 `json:"detect_median,omitempty"` // seconds from the fault to when it would have been found
	P95            *float64 `json:"detect_p95,omitempty"`
	Served         float64  `json:"served"` // bad requests that the bad releases would have served
	Promoted       int      `json:"promoted"`
	Open           int      `json:"open"` // ended with the record, held or undecided

	WasMedian *float64 `json:"was_median,omitempty"` // the same of the recorded deployments
	WasServed *float64 `json:"was_served,omitempty"`
}

// Wilson is the rate of n of so many with its 95 % interval.
func Wilson(n, of int) Rate {
	r := Rate{N: n, Of: of, High: 1}
	if of == 0 {
		return r
	}
	const z = 1.959963984540054
	share, size := float64(n)/float64(of), float64(of)
	middle := (share + z*z/(2*size)) / (1 + z*z/size)
	half := z / (1 + z*z/size) * math.Sqrt(share*(1-share)/size+z*z/(4*size*size))
	r.Low, r.High = max(0, middle-half), min(1, middle+half)
	return r
}

// Summarize counts the cases.
func Summarize(cases []Case) Summary {
	var s Summary
	var detect, was []float64
	good, bad, wrong, found := 0, 0, 0, 0
	for _, c := range cases {
		if c.WouldBe == NotSimulated {
			s.Skipped++
			continue
		}
		s.Cases++
		switch c.WouldBe {
		case Promoted:
			s.Promoted++
		case HeldBack, Undecided, EndedWithRecord:
			s.Open++
		case RolledBack, Asked, Suggested, NotSimulated:
		}
		switch {
		case c.Truth == Good:
			good++
			wrong += one(c.alarmed())
		case c.Truth == Bad && c.early():
			bad++
			s.Early++
		case c.Truth == Bad:
			bad++
			found += one(c.alarmed())
			detect = append(detect, number(c.Detect)...)
		}
		if c.Truth == Bad {
			s.Served += sum(number(c.Served))
			was = append(was, number(c.WasFound)...)
			if c.WasServed != nil {
				s.WasServed = new(sum(number(s.WasServed)) + *c.WasServed)
			}
		}
	}
	s.FalseRollbacks, s.Detections = Wilson(wrong, good), Wilson(found, bad)
	s.Median, s.P95, s.WasMedian = quantile(detect, 0.5), quantile(detect, 0.95), quantile(was, 0.5)
	return s
}

// Private

// quantile of values, by the nearest rank; nil without any.
func quantile(values []float64, q float64) *float64 {
	if len(values) == 0 {
		return nil
	}
	sorted := slices.Sorted(slices.Values(values))
	at := int(math.Ceil(q*float64(len(sorted)))) - 1
	return new(sorted[max(at, 0)])
}

// number is a list of the number, where there is one.
func number(v *float64) []float64 {
	if v == nil {
		return nil
	}
	return []float64{*v}
}

func sum(values []float64) float64 {
	total := 0.0
	for _, v := range values {
		total += v
	}
	return total
}

func one(yes bool) int {
	if yes {
		return 1
	}
	return 0
}
