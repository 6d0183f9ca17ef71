// Package ranks compares two lists of samples by their ranks, as the canary judge of Kayenta does: the Mann-Whitney
// test's interval of the shift between them, an effect size, outliers, missing values, and scores over many metrics.
// It is for series without counts; where there are counts, the sequential test decides earlier and keeps a promise.
//
// # From samples to a class
//
// Missing values (NaN) are left out, or taken as zero; then, where that is asked for, each side loses its outliers:
// what lies outside of both the interquartile range widened by a factor and the 1st to the 99th percentile.
//
//	one side is empty                                  Nodata; Pass where missing values are taken as zero
//	both sides are the same, or there is one value     Pass
//	an infinite value, or settings out of range        Error
//	too few for the confidence that is asked for       Nodata
//	interval above  tolerance·|estimate|               High, if increases count and the effect is large enough
//	interval below -tolerance·|estimate|               Low, if decreases count and the effect is large enough
//	else                                               Pass
//
// The effect is the ratio of the means (none where a mean is 0: then it is not asked), or the probability that a
// value of the candidate is the larger one (cles).
//
// # The interval
//
// With fewer than eight samples on a side and no ties the interval is exact: it ends at those of the sorted pairwise
// differences that the exact distribution of the Mann-Whitney statistic names, and the estimate is their median. Else
// the distribution is taken as normal, with corrections for ties and continuity. From eight samples a side on, the
// class is the one that Kayenta gives, but for what follows.
//
// # What is different on purpose
//
//   - Nothing depends on the unit. Kayenta's solver stops within 0.0001 of the metric's unit, so that ratios near that
//     size were decided by its noise; here the ends of the interval are pairwise differences, found exactly.
//   - Nothing is random. Kayenta adds noise to two constant sides; here their shift is what it is.
//   - Too few samples to reach the confidence, even if the sides did not overlap at all, are Nodata and not High, Pass
//     or Error by accident: at 98 % that is fewer than 5 and 5, or 4 and 5, or 1 and 99.
//   - The lower end is never above the upper one.
//   - In scores, an Error is never good news: see [Scoring].
package ranks
