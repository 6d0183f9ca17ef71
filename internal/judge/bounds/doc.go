// Package bounds says how well something is known: intervals that hold at every moment at once, so that they may be
// looked at as often as one likes and be shown while the data still come in.
//
// An interval made with alpha misses the truth at any time, ever, with probability alpha at most (a confidence
// sequence). What each one holds for, and where its formula comes from:
//
//   - [Mean] and [Bernstein]: values in a known range that each have the same mean given all values before; neither
//     independence nor equal spread is needed. Hedged capital and the predictable plug-in empirical Bernstein
//     bound of Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting" (JRSS-B 2024).
//   - [Difference]: pairs of values whose difference has the same mean (for the e-value: a mean of at most the
//     tolerance) given all pairs before. The two of a pair may depend on each other, and the level of both may drift.
//   - [CDF] with [QuantileInterval], [Band], [CompareCDFs] and [QuantileShift]: independent observations of one
//     distribution per arm. For one quantile the beta-binomial mixture; for all of them at once the band of the
//     iterated logarithm of Howard and Ramdas, "Sequential estimation of quantiles" (Bernoulli 2022); for two arms their
//     difference after Lindon, Sanden and Shirikian, "Rapid regression detection in software deployments" (KDD 2022).
//   - [Ratio]: bad events that are Poisson in each bucket, at rates that drift as they like so long as the two arms'
//     keep their ratio; requests that fail independently with a small probability are close to it. After Lindon and
//     Malek, "Anytime-valid inference for multinomial count data" (NeurIPS 2022), stratified by bucket so that the
//     share of the traffic may change.
//
// Requests that come in bursts, or fail together, break the independence that quantiles and ratios rest on; Ratio
// takes the measured over-dispersion into account, which is close to the truth and no guarantee. Nothing here decides
// about a release: these are the numbers that people are shown beside a decision.
package bounds

import "math"

// Interval is what a value lies in: above Low or equal to it, and up to High. An end about which nothing is known is
// infinite, or the end of the range where there is one.
type Interval struct {
	Low, High float64
}

// Contains tells whether v is in the interval.
func (i Interval) Contains(v float64) bool { return i.Low <= v && v <= i.High }

// Private

// logLimit is the evidence, as a logarithm, that a claim with an error of alpha takes. An alpha that is no probability
// between 0 and 1 promises nothing, and no evidence is enough for it.
func logLimit(alpha float64) float64 {
	if !(alpha > 0 && alpha < 1) {
		return math.Inf(1)
	}
	return -math.Log(alpha)
}
