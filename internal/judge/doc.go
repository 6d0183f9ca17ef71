// Package judge turns measurements into verdicts and verdicts into health.
//
// It is pure: it reads no clock, asks nobody and remembers nothing but the [adg.CheckState] that it hands back. The
// same observation and the same now give the same judgement for ever, so that every verdict can be recomputed from
// its evidence. Nothing that was lent is written to.
//
// # What each comparison does
//
//	threshold  the window's value against fixed limits; fail is asked before warn
//	relative   the window's value against the stable version's (concurrent) or the frozen baseline's (historical):
//	           "+ 25%" is a quarter more, "+ 5pp" adds 0.05, "+ 5" adds 5; next to a baseline of 0 a percentage adds nothing
//	probe      samples are 1 (passed) or below 1 (failed): failures in a row, counted once per sample
//	events     by how much a counter rose in the window, all series together
//	sequential the requests of all buckets since the test began, the candidate's against those of the stable version
//	           beside it or, weaker, against the frozen baseline: valid at every moment, with a promise about false alarms
//	mann-whitney
//	           the window's samples, of all series, against those of the stable version or, weaker, the values of the frozen
//	           baseline, by their ranks: beyond the tolerance in a direction that counts is Fail; too few samples for the
//	           confidence are Unknown, too_few; what cannot be compared, as infinity, is Unknown, not_a_number
//
//	logs       patterns of log lines, the candidate's against those of the stable version or, weaker, the frozen baseline: each is
//	           tested as a sequential check is, by moments and replicas, and one that is worse decides
//
// A check of two counters has the value bad / total, increase by increase, and total is its sample size. A query has
// the value that its aggregate makes of the samples, and their number is its sample size.
//
// # What is said when the data are not as they should be
//
//	the source did not answer             Unknown, source_error, also for a probe: it says nothing about the service
//	no series, or no sample               Unknown, no_data
//	no requests in the window             Unknown, no_data
//	latest sample older than max_age      Unknown, stale; for counters the latest of all series
//	a sample more than 30 s ahead of now  Unknown, clock_skew, by how much
//	fewer samples than min_samples        Unknown, too_few, on either side; probes have no minimum
//	no baseline, or an empty one          Unknown, no_baseline
//	several series, and no aggregate      Unknown, ambiguous
//	latest sample is NaN                  Unknown, not_a_number
//	NaN among the samples of an aggregate left out; nothing else there: Unknown, not_a_number
//	+Inf or -Inf                          a value like others; it is said in the text and left out of the numbers.
//	                                      As a baseline: Unknown, not_a_number
//	one sample of a query                 enough, unless min_samples wants more
//	one sample of a counter               no increase can be told: Unknown, no_data, unless the series was born in the window
//	a counter that fell                   it was reset: what it shows now is counted from 0
//	a counter born in the window          counted from 0. Born is a series whose first sample lies more than 1.5 of its scrape
//	                                      gaps after the window's start; a single sample goes by the gaps of the series beside
//	                                      it, and without any by 5 s
//	no series of bad, while total has     no bad requests: a counter that was never touched does not exist yet
//	more bad than total                   the ratio is above 100 %, and the text gives both numbers
//	samples out of order, or twice        sorted; of those with the same time the largest counts
//	samples before the window             left out by counters and aggregates; the latest sample is bound by max_age only
//
// # Sequential checks
//
// Counters become buckets: each replica is differenced at its own scrapes, an increase belongs to the bucket of the scrape
// that shows it, and buckets are four scrape intervals long (or as long as the policy says), aligned to the clock. A
// bucket is given to the test once its end, a scrape interval and a second have passed, or every series shows a later
// sample. What is seen after that goes into the oldest bucket that is open: nothing is lost, nothing counted twice, as
// the state holds for each series when it was last counted. What is before the measurement's window is not counted; that
// is how a warm-up is left out, of both arms alike. Of a histogram, the requests above the baseline's p50, p75, p90, p95
// and p99 are counted, bounds that are fixed before the first request that counts.
//
//	worse                                 Fail, worse: for ever, whatever comes after; the text says when and what
//	shown to be not worse                 Pass, not_worse, proven; a histogram at every one of its quantiles
//	nothing found that had to be          Pass, nothing_found, baked
//	else                                  Unknown, too_early, and how long it takes at this traffic
//	fewer requests than min_samples       Unknown, too_few, counted since the test began
//	fixed limits beside the test          asked of the window, as for threshold; the worst verdict counts
//	no requests of the candidate          while the baseline has some and a share is due: Fail, silent, by a test of its own.
//	                                      No series and old samples are silence, too; a source's error never is
//	another share than it should get      Warn, wrong_share, not with no_split
//	fewer than three baseline replicas    the Fail is weak, and says that it holds for independent requests only
//	no stable version beside it           compared with the upper end of what the frozen baseline's rate may have been,
//	                                      with season that of the same hour of the days before: weak, and said so. No worse
//	                                      than the worst windows before: Warn, preexisting
//	a state that cannot be read           begun anew, which is said
//	a gap that no sample is left of       counts for nothing, which is said
//	a counter that was reset              counts from 0, which is said
//	a histogram without a frozen baseline what is slow is what the first baseline samples call slow; they are not counted
//	more than 64 replicas, 256 series     the rest are one; late samples of the rest are lost
//	more bad than all requests            all are bad
//	a rise of more than 1e12              no counter's, and left out
//
// In the state of a test everything is a number of a bounded list: usually 2 kB, for a histogram 10.
//
// After a rollback a sequential check is a relative one (see [Restored]).
//
// # Logs
//
//	no line of the candidate              Unknown, no_data: that a log is silent says nothing good
//	no line of either baseline            Unknown, no_baseline
//	a pattern that is decisive            Fail, worse: for ever, with at least so many moments as the check says
//	nothing found that had to be          Pass, nothing_found, baked: a new pattern in so many of the moments would have been
//	else                                  Unknown, too_early, and how many moments it takes
//	a moment not all of whose lines came  counts for nothing, which is said
//	lines of too many patterns            count for nothing, which is said
//	after a rollback                      the window's patterns against the frozen baseline's, by chance alone
//
// # Faults that were there before
//
// A limit that was broken before the deployment already is not held against it: where the value is no more than a
// tenth worse than the frozen baseline's level, Fail and Warn become Warn with the reason preexisting, which counts as
// Pass in the score. The level is the worse of the 95th percentile of the windows' values and the value over all of
// them; for limits from below it is mirrored, and for those without a direction the value has to stay within a tenth
// of the median. It is so for threshold, events and historical comparisons, and not with blame_preexisting: a
// concurrent comparison has its own control. Windows with fewer requests than min_samples excuse nothing.
//
// # Health
//
// The score is 100 × the weighted share of credit over the checks that could be judged: Pass 1, Warn ½, Fail 0. In
// this order: a critical Fail is Unhealthy; when a critical check or more than half of the weight is Unknown, health is
// Unhealthy if it would be so with every Unknown passing, and HealthUnknown otherwise; else the score decides. Bad news is not hidden by missing data, and missing data is never good news.
package judge
