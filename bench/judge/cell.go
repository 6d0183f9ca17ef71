package main

import (
	"math"
	"slices"

	"github.com/deployguardian/adg/bench/judge/measure"
	"github.com/deployguardian/adg/bench/judge/rules"
	"github.com/deployguardian/adg/bench/judge/trace"
)

// Cell is what one rule, with one setting, made of the traces of a fault in a world. Times are in seconds from the
// onset of the fault; infinite ones, which JSON writes as null, never came.
type Cell struct {
	World        string           `json:"world"`
	Fault        string           `json:"fault"`
	Rule         string           `json:"rule"`
	Setting      string           `json:"setting"`
	Knobs        []measure.Number `json:"knobs"`
	Traces       int              `json:"traces"`
	RolledBack   measure.Interval `json:"rolled_back"` // of those not rolled back before the onset
	Early        measure.Interval `json:"early"`       // rolled back before the onset of a late fault
	Median       measure.Interval `json:"median_s"`
	MedianFound  measure.Interval `json:"median_of_found_s"` // leaving out those never found
	P95          measure.Interval `json:"p95_s"`
	Restricted   measure.Interval `json:"restricted_mean_s"` // misses count as the end of the horizon
	Bad          measure.Interval `json:"bad_requests"`
	Excess       measure.Interval `json:"excess_bad_requests"`
	Promoted     measure.Interval `json:"promoted"` // part that the rule let go on, by itself, within the horizon
	Promotion    measure.Interval `json:"promotion_median_s"`
	Inconclusive measure.Number   `json:"inconclusive"` // neither rolled back nor promoted
}

// The settings.
const (
	vendor = "default"
	equal  = "equal false rollbacks"
)

var never = math.Inf(1)

// summarize makes the cell of the samples of one setting.
func summarize(w *trace.World, f *trace.Fault, s setting, samples []sample) Cell {
	c := Cell{World: w.Name, Fault: f.Name, Rule: s.rule.Name, Setting: vendor, Traces: len(samples)}
	if s.tuned {
		c.Setting = equal
	}
	for _, k := range s.knobs {
		c.Knobs = append(c.Knobs, measure.Number(k))
	}
	found, early := times(samples, f.From)
	c.Early = measure.Wilson(early, len(samples))
	var bad, excess, promotions []float64
	promoted, neither := 0, 0
	hits := slices.DeleteFunc(slices.Clone(found), func(t float64) bool { return math.IsInf(t, 1) })
	for _, one := range samples {
		bad, excess = append(bad, one.bad), append(excess, one.excess)
		promotion := math.Inf(1)
		if one.promote != rules.Never {
			promotion = float64(one.promote)
			promoted++
		}
		promotions = append(promotions, promotion)
		if one.promote == rules.Never && one.rollback == rules.Never {
			neither++
		}
	}
	c.RolledBack = measure.Wilson(len(hits), len(found))
	c.Restricted = measure.Restricted(found, float64(w.Horizon-f.From))
	c.Median, c.P95 = measure.Quantile(found, 0.5), measure.Quantile(found, 0.95)
	c.MedianFound = measure.Quantile(hits, 0.5)
	c.Bad, c.Excess = measure.Mean(bad), measure.Mean(excess)
	c.Promoted, c.Promotion = measure.Wilson(promoted, len(samples)), measure.Quantile(promotions, 0.5)
	c.Inconclusive = measure.Number(float64(neither) / float64(len(samples)))
	return c
}
