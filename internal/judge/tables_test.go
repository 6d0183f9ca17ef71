package judge

import (
	"math"
	"time"

	"github.com/deployguardian/adg"
)

var (
	latency   = adg.Check{Query: "p95", Warn: condition("> 0.3"), Fail: condition("> 0.5")}
	share     = adg.Check{Query: "ratio", Warn: condition("> 1%"), Fail: condition("> 5%")}
	errorRate = adg.Check{Bad: "b", Total: "t", Warn: condition("> 1%"), Fail: condition("> 5%")}
)

func with(c adg.Check, change func(*adg.Check)) adg.Check {
	change(&c)
	return c
}

func limited(fail string) adg.Check { return adg.Check{Query: "q", Fail: condition(fail)} }

func gathered(a adg.Aggregate) adg.Check {
	return with(limited("> 1000"), func(c *adg.Check) { c.Aggregate = a })
}

var thresholdExamples = []example{
	{name: "a value within both limits passes", check: latency, seen: values(0.2), verdict: adg.Pass, why: adg.WithinLimits,
		text: "the latest value is 0.2 (1 sample); limit 0.3 (warn: > 0.3)"},
	{name: "a value beyond warn only warns", check: latency, seen: values(0.4), verdict: adg.Warn, why: adg.BeyondWarn,
		text: "the latest value is 0.4 (1 sample); limit 0.3 (warn: > 0.3)"},
	{name: "a value beyond both limits fails", check: latency, seen: values(0.6), verdict: adg.Fail, why: adg.BeyondFail,
		text: "the latest value is 0.6 (1 sample); limit 0.5 (fail: > 0.5)"},
	{name: "a value on the limit is not above it", check: limited("> 5"), seen: values(5), verdict: adg.Pass, why: adg.WithinLimits,
		text: "the latest value is 5 (1 sample); limit 5 (fail: > 5)"},
	{name: "a value on the limit is at least it", check: limited(">= 5"), seen: values(5), verdict: adg.Fail, why: adg.BeyondFail,
		text: "the latest value is 5 (1 sample); limit 5 (fail: >= 5)"},
	{name: "too few of what there should be many", check: limited("< 5"), seen: values(4), verdict: adg.Fail, why: adg.BeyondFail,
		text: "the latest value is 4 (1 sample); limit 5 (fail: < 5)"},
	{name: "a value on the limit is at most it", check: limited("<= 5"), seen: values(5), verdict: adg.Fail, why: adg.BeyondFail,
		text: "the latest value is 5 (1 sample); limit 5 (fail: <= 5)"},
	{name: "a value that must not be", check: limited("= 5"), seen: values(5), verdict: adg.Fail, why: adg.BeyondFail,
		text: "the latest value is 5 (1 sample); limit 5 (fail: = 5)"},
	{name: "a value that has to be", check: limited("!= 5"), seen: values(5), verdict: adg.Pass, why: adg.WithinLimits,
		text: "the latest value is 5 (1 sample); limit 5 (fail: != 5)"},
	{name: "a value outside its range", check: limited("outside 10..20"), seen: values(21), verdict: adg.Fail, why: adg.BeyondFail,
		text: "the latest value is 21 (1 sample); limits 10 and 20 (fail: outside 10..20)"},
	{name: "a value at the end of its range is inside", check: limited("outside 10..20"), seen: values(20), verdict: adg.Pass, why: adg.WithinLimits,
		text: "the latest value is 20 (1 sample); limits 10 and 20 (fail: outside 10..20)"},
	{name: "a value inside a forbidden range", check: limited("inside 10..20"), seen: values(10), verdict: adg.Fail, why: adg.BeyondFail,
		text: "the latest value is 10 (1 sample); limits 10 and 20 (fail: inside 10..20)"},
	{name: "limits in percent are shown in percent", check: share, seen: values(0.063), verdict: adg.Fail, why: adg.BeyondFail,
		text: "the latest value is 6.3 % (1 sample); limit 5 % (fail: > 5%)"},
	{name: "a range in percent", check: limited("outside 10%..20%"), seen: values(0.05), verdict: adg.Fail, why: adg.BeyondFail,
		text: "the latest value is 5 % (1 sample); limits 10 % and 20 % (fail: outside 10%..20%)"},
	{name: "large numbers are grouped", check: limited("> 1500000"), seen: values(1234567), verdict: adg.Pass, why: adg.WithinLimits,
		text: "the latest value is 1,234,567 (1 sample); limit 1,500,000 (fail: > 1.5e+06)"},
	{name: "the latest of several samples counts", check: latency, seen: values(0.9, 0.9, 0.1), verdict: adg.Pass, why: adg.WithinLimits,
		text: "the latest value is 0.1 (3 samples); limit 0.3 (warn: > 0.3)"},
	{name: "a share of bad requests", check: errorRate, seen: counts(4, 200), verdict: adg.Warn, why: adg.BeyondWarn,
		text: "2 % of 200 requests were bad; limit 1 % (warn: > 1%)"},

	{name: "average of the window", check: gathered(adg.Average), seen: values(1, 2, 6), verdict: adg.Pass, why: adg.WithinLimits,
		text: "the average is 3 (3 samples); limit 1,000 (fail: > 1000)"},
	{name: "largest of the window", check: gathered(adg.Largest), seen: values(1, 6, 2), verdict: adg.Pass, why: adg.WithinLimits,
		text: "the largest is 6 (3 samples); limit 1,000 (fail: > 1000)"},
	{name: "smallest of the window", check: gathered(adg.Smallest), seen: values(2, 1, 6), verdict: adg.Pass, why: adg.WithinLimits,
		text: "the smallest is 1 (3 samples); limit 1,000 (fail: > 1000)"},
	{name: "sum of the window", check: gathered(adg.Sum), seen: values(1, 2, 6), verdict: adg.Pass, why: adg.WithinLimits,
		text: "the sum is 9 (3 samples); limit 1,000 (fail: > 1000)"},
	{name: "median of an even number of samples", check: gathered(adg.Median), seen: values(1, 2, 4, 9), verdict: adg.Pass, why: adg.WithinLimits,
		text: "the median is 3 (4 samples); limit 1,000 (fail: > 1000)"},
	{name: "95th percentile between two samples", check: gathered(adg.P95), seen: values(0, 10, 20, 30, 40, 50, 60, 70, 80, 90), verdict: adg.Pass, why: adg.WithinLimits,
		text: "the p95 is 85.5 (10 samples); limit 1,000 (fail: > 1000)"},
	{name: "an aggregate takes all series", check: gathered(adg.Sum), verdict: adg.Pass, why: adg.WithinLimits,
		seen: adg.Measurement{At: now, Values: []adg.Series{series(time.Second, 1, 2), series(time.Second, 3)}},
		text: "the sum is 6 (3 samples); limit 1,000 (fail: > 1000)"},
	{name: "an aggregate leaves out what is older than the window", check: gathered(adg.Sum), seen: adg.Measurement{At: now, Values: []adg.Series{series(30*time.Second, 100, 1, 1, 1)}},
		verdict: adg.Pass, why: adg.WithinLimits, text: "the sum is 3 (3 samples); limit 1,000 (fail: > 1000)"},
	{name: "a check without limits passes and says so", check: adg.Check{Query: "q"}, seen: values(7), verdict: adg.Pass, why: adg.WithinLimits,
		text: "the latest value is 7 (1 sample); no limit"},
	{name: "a limit that needs a baseline is not held against nothing", check: limited("> baseline + 5"), seen: values(7), verdict: adg.Unknown, why: adg.NoBaseline,
		text: "nothing to compare with: a limit with 'baseline' needs compare: relative"},
}

var (
	slower = adg.Check{Query: "p95", Compare: adg.Relative, Warn: condition("> baseline + 10%"), Fail: condition("> baseline + 25%")}
	worse  = adg.Check{Bad: "b", Total: "t", Compare: adg.Relative, Fail: condition("> baseline + 5pp"), MinSamples: 50}
	fewer  = adg.Check{Query: "rps", Compare: adg.Relative, Fail: condition("< baseline - 3")}
)

func historical(c adg.Check) adg.Check {
	c.Baseline = adg.Historical
	return c
}

func beforeIt(v ...float64) *adg.Baseline { return &adg.Baseline{Values: v} }

var relativeExamples = []example{
	{name: "a quarter more than the stable version", check: slower, seen: values(0.26), stable: new(values(0.2)), verdict: adg.Fail, why: adg.BeyondFail,
		text: "the latest value is 0.26 (1 sample), baseline 0.2 of 1; limit 0.25 (fail: > baseline + 25%)"},
	{name: "a fifth more than the stable version", check: slower, seen: values(0.24), stable: new(values(0.2)), verdict: adg.Warn, why: adg.BeyondWarn,
		text: "the latest value is 0.24 (1 sample), baseline 0.2 of 1; limit 0.22 (warn: > baseline + 10%)"},
	{name: "as fast as the stable version", check: slower, seen: values(0.2), stable: new(values(0.2)), verdict: adg.Pass, why: adg.WithinLimits,
		text: "the latest value is 0.2 (1 sample), baseline 0.2 of 1; limit 0.22 (warn: > baseline + 10%)"},
	{name: "percentage points above the stable version", check: worse, seen: counts(20, 200), stable: new(counts(40, 2000)), verdict: adg.Fail, why: adg.BeyondFail,
		text: "10 % of 200 requests were bad, baseline 2 % of 2,000; limit 7 % (fail: > baseline + 5pp)"},
	{name: "an absolute amount below the stable version", check: fewer, seen: values(96), stable: new(values(100)), verdict: adg.Fail, why: adg.BeyondFail,
		text: "the latest value is 96 (1 sample), baseline 100 of 1; limit 97 (fail: < baseline - 3)"},
	{name: "a quarter more than the median before the deployment", check: historical(slower), seen: values(0.26), before: beforeIt(0.19, 0.2, 0.21), verdict: adg.Fail, why: adg.BeyondFail,
		text: "the latest value is 0.26 (1 sample), baseline 0.2 of 3; limit 0.25 (fail: > baseline + 25%)"},
	{name: "percentage points above the ratio before the deployment", check: historical(worse), seen: counts(20, 200), before: &adg.Baseline{Bad: 40, Total: 2000}, verdict: adg.Fail, why: adg.BeyondFail,
		text: "10 % of 200 requests were bad, baseline 2 % of 2,000; limit 7 % (fail: > baseline + 5pp)"},
	{name: "a quarter more than nothing is anything", check: slower, seen: values(0.001), stable: new(values(0)), verdict: adg.Fail, why: adg.BeyondFail,
		text: "the latest value is 0.001 (1 sample), baseline 0 of 1; limit 0 (fail: > baseline + 25%)"},
	{name: "a quarter more than a negative baseline is above it", check: slower, seen: values(-8), stable: new(values(-10)), verdict: adg.Warn, why: adg.BeyondWarn,
		text: "the latest value is -8 (1 sample), baseline -10 of 1; limit -9 (warn: > baseline + 10%)"},

	{name: "too few requests of the candidate", check: worse, seen: counts(12, 12), stable: new(counts(40, 2000)), verdict: adg.Unknown, why: adg.TooFew,
		text: "only 12 requests, fewer than the 50 that the check wants, while the baseline has 2,000 requests"},
	{name: "too few requests of the stable version", check: worse, seen: counts(20, 200), stable: new(counts(0, 49)), verdict: adg.Unknown, why: adg.TooFew,
		text: "of the baseline, only 49 requests, fewer than the 50 that the check wants"},
	{name: "too few requests before the deployment", check: historical(worse), seen: counts(20, 200), before: &adg.Baseline{Bad: 1, Total: 49}, verdict: adg.Unknown, why: adg.TooFew,
		text: "of the baseline, only 49 requests, fewer than the 50 that the check wants"},
	{name: "too few samples", check: with(slower, func(c *adg.Check) { c.MinSamples = 3 }), seen: values(0.2, 0.2), stable: new(values(0.2, 0.2, 0.2)), verdict: adg.Unknown, why: adg.TooFew,
		text: "only 2 samples, fewer than the 3 that the check wants, while the baseline has 3 samples"},

	{name: "no stable version was asked", check: slower, seen: values(0.2), verdict: adg.Unknown, why: adg.NoBaseline,
		text: "nothing to compare with: no stable version serves beside the release"},
	{name: "the stable version has no data", check: slower, seen: values(0.2), stable: &adg.Measurement{At: now}, verdict: adg.Unknown, why: adg.NoBaseline,
		text: "nothing to compare with: of the stable version, the source answered, and there was no data"},
	{name: "the stable version has no requests", check: worse, seen: counts(0, 200), stable: new(counts(0, 0)), verdict: adg.Unknown, why: adg.NoBaseline,
		text: "nothing to compare with: of the stable version, no requests in the last 1m"},
	{name: "the source did not answer about the stable version", check: slower, seen: values(0.2), stable: &adg.Measurement{Err: "connection refused"}, verdict: adg.Unknown, why: adg.SourceError,
		text: "of the baseline, the source did not answer: connection refused"},
	{name: "the stable version is infinite", check: slower, seen: values(0.2), stable: new(values(math.Inf(1))), verdict: adg.Unknown, why: adg.NotANumber,
		text: "the baseline is +Inf, which nothing can be compared with"},
	{name: "the stable version is no number", check: slower, seen: values(0.2), stable: new(values(math.NaN())), verdict: adg.Unknown, why: adg.NotANumber,
		text: "of the baseline, the value is not a number (NaN), as a ratio without traffic is"},
	{name: "nothing was frozen", check: historical(slower), seen: values(0.2), verdict: adg.Unknown, why: adg.NoBaseline,
		text: "nothing to compare with: no baseline was frozen before the deployment"},
	{name: "what was frozen is empty", check: historical(slower), seen: values(0.2), before: &adg.Baseline{}, verdict: adg.Unknown, why: adg.NoBaseline,
		text: "nothing to compare with: the baseline from before the deployment is empty"},
	{name: "nothing could be frozen", check: historical(slower), seen: values(0.2), before: &adg.Baseline{Err: "the source gave no number"}, verdict: adg.Unknown, why: adg.NoBaseline,
		text: "nothing to compare with: before the deployment, the source gave no number"},
	{name: "the canary is silent while its baseline reports", check: worse, seen: counts(0, 0), stable: new(counts(40, 2000)), verdict: adg.Unknown, why: adg.NoData,
		text: "no requests in the last 1m, while the baseline has 2,000 requests"},
	{name: "a baseline of a kind that does not exist", check: with(slower, func(c *adg.Check) { c.Baseline = 9 }), seen: values(0.2), verdict: adg.Unknown, why: adg.NoBaseline,
		text: "nothing to compare with: there is no baseline invalid(9)"},
}

var probing = adg.Check{Query: "/healthz", Compare: adg.Probe, Failures: 3}

func refused(m adg.Measurement) adg.Measurement {
	m.Warnings = []string{"connection\nrefused"}
	return m
}

var probeExamples = []example{
	{name: "a probe that passes", check: probing, seen: values(1), verdict: adg.Pass, why: adg.WithinLimits,
		text: "the probe passed; limit 3 failures in a row"},
	{name: "a first failure", check: probing, seen: refused(values(0)), verdict: adg.Warn, why: adg.ProbeFailing,
		text: "the probe failed, 1 in a row; limit 3: connection refused"},
	{name: "one failure too many", check: probing, seen: refused(values(0)), state: adg.CheckState{Streak: 2, Last: now.Add(-15 * time.Second)}, verdict: adg.Fail, why: adg.ProbeFailed,
		text: "the probe failed 3 times in a row, limit 3: connection refused"},
	{name: "a success ends the row", check: probing, seen: values(1), state: adg.CheckState{Streak: 7, Last: now.Add(-15 * time.Second)}, verdict: adg.Pass, why: adg.WithinLimits,
		text: "the probe passed; limit 3 failures in a row"},
	{name: "the usual limit is three", check: adg.Check{Compare: adg.Probe}, seen: values(0, 0, 0), verdict: adg.Fail, why: adg.ProbeFailed,
		text: "the probe failed 3 times in a row, limit 3"},
	{name: "a probe of which a part failed", check: probing, seen: values(0.5), verdict: adg.Warn, why: adg.ProbeFailing,
		text: "the probe failed, 1 in a row; limit 3"},
	{name: "a probe that could not be made", check: probing, seen: adg.Measurement{Err: "no such program"}, state: adg.CheckState{Streak: 2}, verdict: adg.Unknown, why: adg.SourceError,
		text: "the probe could not be made: no such program"},
	{name: "a probe without a result", check: probing, seen: adg.Measurement{}, verdict: adg.Unknown, why: adg.NoData,
		text: "the source answered, and there was no data"},
	{name: "a probe that nobody made lately", check: probing, seen: aged(2*time.Minute, values(1)), verdict: adg.Unknown, why: adg.StaleData,
		text: "the latest sample is 2m old, and after 1m it says nothing any more"},
	{name: "a probe whose result is no number", check: probing, seen: values(math.NaN()), verdict: adg.Unknown, why: adg.NotANumber,
		text: "the probe's result is not a number (NaN): 1 is passed, 0 is failed"},
	{name: "a probe of several addresses", check: probing, seen: adg.Measurement{Values: []adg.Series{series(0, 1), series(0, 0)}}, verdict: adg.Unknown, why: adg.AmbiguousAnswer,
		text: "the query answers with 2 series where one is wanted, {} and {} among them: a probe is of one thing, so take the smallest in the query, or make it a check each"},
}

var (
	restarts = adg.Check{Query: "restarts", Compare: adg.Events, Warn: condition("> 0"), Fail: condition(">= 3")}
	kills    = adg.Check{Bad: "kills", Total: "scrapes", Compare: adg.Events, Fail: condition("> 0")}
)

func rising(v ...float64) adg.Measurement {
	return adg.Measurement{At: now, Values: []adg.Series{series(15*time.Second, v...)}}
}

var eventExamples = []example{
	{name: "no events", check: restarts, seen: rising(7, 7, 7, 7, 7), verdict: adg.Pass, why: adg.WithinLimits,
		text: "0 events in 1m (5 samples); limit 0 (warn: > 0)"},
	{name: "one event", check: restarts, seen: rising(7, 7, 8, 8, 8), verdict: adg.Warn, why: adg.BeyondWarn,
		text: "1 event in 1m (5 samples); limit 0 (warn: > 0)"},
	{name: "events of all series add up", check: restarts, verdict: adg.Fail, why: adg.BeyondFail,
		seen: adg.Measurement{At: now, Values: []adg.Series{series(15*time.Second, 1, 1, 1, 2, 2), series(15*time.Second, 4, 4, 5, 5, 6)}},
		text: "3 events in 1m (10 samples); limit 3 (fail: >= 3)"},
	{name: "events of a counter that was reset", check: restarts, seen: rising(7, 8, 0, 1, 1), verdict: adg.Warn, why: adg.BeyondWarn,
		text: "2 events in 1m (5 samples); limit 0 (warn: > 0)"},
	{name: "events of a counter that was born in the window", check: restarts, seen: rising(2, 3), verdict: adg.Fail, why: adg.BeyondFail,
		text: "3 events in 1m (2 samples); limit 3 (fail: >= 3)"},
	{name: "the events' counter does not exist, and nothing shows that anybody looked", check: restarts, seen: adg.Measurement{At: now}, verdict: adg.Unknown, why: adg.NoData,
		text: "the source answered, and there was no data"},
	{name: "the events' counter does not exist yet while total does", check: kills, seen: adg.Measurement{At: now, Total: rising(1, 2, 3, 4, 5).Values}, verdict: adg.Pass, why: adg.WithinLimits,
		text: "0 events in 1m (5 samples); limit 0 (fail: > 0)"},
	{name: "the events' counter does not exist, and total has one sample", check: kills, seen: adg.Measurement{At: now, Total: aged(58*time.Second, rising(7)).Values}, verdict: adg.Unknown, why: adg.NoData,
		text: "there was no sample of bad in the last 1m"},
	{name: "the events' counter beside a total", check: kills, seen: counts(2, 100), verdict: adg.Fail, why: adg.BeyondFail,
		text: "2 events in 1m (5 samples); limit 0 (fail: > 0)"},
	{name: "one sample of the events' counter", check: restarts, seen: aged(58*time.Second, rising(7)), verdict: adg.Unknown, why: adg.NoData,
		text: "one sample of the counter in the last 1m tells no increase, it takes two: the window has to hold at least two scrapes"},
	{name: "an events' counter that shows no numbers", check: kills, seen: adg.Measurement{At: now, Bad: rising(math.NaN(), math.Inf(1)).Values, Total: rising(1, 2).Values}, verdict: adg.Unknown, why: adg.NotANumber,
		text: "the samples of bad in the last 1m are not numbers (NaN or infinite), which a counter's always are"},
}

// scraped is counters scraped each 15 s: bad, total.
func scraped(bad, total []float64) adg.Measurement {
	m := adg.Measurement{At: now, Total: []adg.Series{series(15*time.Second, total...)}}
	if bad != nil {
		m.Bad = []adg.Series{series(15*time.Second, bad...)}
	}
	return m
}

var counterExamples = []example{
	{name: "bad was never touched", check: errorRate, seen: scraped(nil, []float64{10, 20, 30, 40, 50}), verdict: adg.Pass, why: adg.WithinLimits,
		text: "0 % of 40 requests were bad; limit 1 % (warn: > 1%)"},
	{name: "bad was born in the window", check: errorRate, seen: scraped([]float64{4, 4}, []float64{10, 20, 30, 40, 50}), verdict: adg.Fail, why: adg.BeyondFail,
		text: "10 % of 40 requests were bad; limit 5 % (fail: > 5%)"},
	{name: "both were born in the window", check: errorRate, seen: scraped([]float64{0, 1}, []float64{60, 100}), verdict: adg.Pass, why: adg.WithinLimits,
		text: "1 % of 100 requests were bad; limit 1 % (warn: > 1%)"},
	{name: "a first scrape that came a gap late is no birth", check: errorRate, seen: scraped([]float64{100, 100, 100, 100}, []float64{900, 910, 920, 940}), verdict: adg.Pass, why: adg.WithinLimits,
		text: "0 % of 40 requests were bad; limit 1 % (warn: > 1%)"},
	{name: "a first scrape less than 1.5 gaps late is no birth", check: errorRate, seen: aged(10*time.Second, scraped(nil, []float64{60, 70, 80})), verdict: adg.Pass, why: adg.WithinLimits,
		text: "0 % of 20 requests were bad; limit 1 % (warn: > 1%)"},
	{name: "a first sample more than 1.5 gaps late is a birth", check: errorRate, seen: aged(5*time.Second, scraped(nil, []float64{60, 70, 80})), verdict: adg.Pass, why: adg.WithinLimits,
		text: "0 % of 80 requests were bad; limit 1 % (warn: > 1%)"},
	{name: "one sample goes by the gaps of the series beside it", check: errorRate, seen: adg.Measurement{At: now, Bad: aged(45*time.Second, rising(50)).Values, Total: rising(10, 20, 30, 40, 50).Values}, verdict: adg.Pass, why: adg.WithinLimits,
		text: "0 % of 40 requests were bad; limit 1 % (warn: > 1%)"},
	{name: "one sample long after the window's start was born in it", check: errorRate, seen: scraped([]float64{3}, []float64{30}), verdict: adg.Fail, why: adg.BeyondFail,
		text: "10 % of 30 requests were bad; limit 5 % (fail: > 5%)"},
	{name: "one sample at the window's start", check: errorRate, seen: aged(56*time.Second, scraped([]float64{3}, []float64{30})), verdict: adg.Unknown, why: adg.NoData,
		text: "one sample of total in the last 1m tells no increase, it takes two: the window has to hold at least two scrapes"},
	{name: "a reset counts from 0", check: errorRate, seen: scraped([]float64{5, 5, 1, 1, 2}, []float64{900, 910, 10, 20, 30}), verdict: adg.Warn, why: adg.BeyondWarn,
		text: "5 % of 40 requests were bad; limit 1 % (warn: > 1%)"},
	{name: "replicas add up", check: errorRate, verdict: adg.Warn, why: adg.BeyondWarn,
		seen: adg.Measurement{At: now,
			Bad:   []adg.Series{series(15*time.Second, 1, 1, 1, 1, 3)},
			Total: []adg.Series{series(15*time.Second, 10, 20, 30, 40, 50), series(15*time.Second, 70, 80, 90, 100, 130)}},
		text: "2 % of 100 requests were bad; limit 1 % (warn: > 1%)"},
	{name: "no requests in the window", check: errorRate, seen: counts(0, 0), verdict: adg.Unknown, why: adg.NoData,
		text: "no requests in the last 1m"},
	{name: "bad ones of no requests", check: errorRate, seen: counts(7, 0), verdict: adg.Unknown, why: adg.NoData,
		text: "no requests in the last 1m, though 7 bad ones: do bad and total count the same thing?"},
	{name: "bad ones without a total", check: errorRate, seen: adg.Measurement{At: now, Bad: rising(1, 2).Values}, verdict: adg.Unknown, why: adg.NoData,
		text: "there was no sample of total in the last 1m"},
	{name: "more bad ones than requests", check: errorRate, seen: counts(25, 10), verdict: adg.Fail, why: adg.BeyondFail,
		text: "250 % of 10 requests were bad (25 bad, more than there were); limit 5 % (fail: > 5%)"},
	{name: "the latest series is fresh enough for all", check: errorRate, verdict: adg.Pass, why: adg.WithinLimits,
		seen: adg.Measurement{At: now, Total: []adg.Series{series(15*time.Second, 10, 20, 30, 40, 50), aged(4*time.Minute, rising(1, 2)).Values[0]}},
		text: "0 % of 40 requests were bad; limit 1 % (warn: > 1%)"},
	{name: "counters that show no numbers", check: errorRate, seen: scraped(nil, []float64{math.NaN(), math.Inf(1)}), verdict: adg.Unknown, why: adg.NotANumber,
		text: "the samples of total in the last 1m are not numbers (NaN or infinite), which a counter's always are"},
	{name: "bad shows no numbers", check: errorRate, seen: scraped([]float64{math.NaN()}, []float64{10, 20, 30, 40, 50}), verdict: adg.Unknown, why: adg.NotANumber,
		text: "the samples of bad in the last 1m are not numbers (NaN or infinite), which a counter's always are"},
	{name: "a NaN between the samples is left out", check: errorRate, seen: scraped([]float64{5, math.NaN(), 5, 5, 6}, []float64{10, 20, math.NaN(), 40, 50}), verdict: adg.Warn, why: adg.BeyondWarn,
		text: "2.5 % of 40 requests were bad; limit 1 % (warn: > 1%)"},
	{name: "counters out of order and given twice", check: errorRate, verdict: adg.Warn, why: adg.BeyondWarn,
		seen: adg.Measurement{At: now,
			Bad: rising(1, 1, 2, 2, 2).Values,
			Total: []adg.Series{{Samples: []adg.Sample{{At: now, Value: 50}, {At: now.Add(-time.Minute), Value: 10},
				{At: now.Add(-30 * time.Second), Value: 30}, {At: now, Value: 50}, {At: now.Add(-30 * time.Second), Value: 29}}}}},
		text: "2.5 % of 40 requests were bad; limit 1 % (warn: > 1%)"},
	{name: "what was before the window does not count", check: errorRate, seen: scraped([]float64{0, 90, 90, 90, 90, 90}, []float64{0, 900, 910, 920, 930, 940}), verdict: adg.Pass, why: adg.WithinLimits,
		text: "0 % of 40 requests were bad; limit 1 % (warn: > 1%)"},
	{name: "counters whose sum is beyond all numbers", check: errorRate, verdict: adg.Unknown, why: adg.NotANumber,
		seen: adg.Measurement{At: now, Total: []adg.Series{series(15*time.Second, 0, 0, 0, 0, 1.7e308), series(15*time.Second, 0, 0, 0, 0, 1.7e308)}},
		text: "the value is not a number (NaN), as a ratio without traffic is"},
}

var oddExamples = []example{
	{name: "the source did not answer", check: latency, seen: adg.Measurement{Err: "dial tcp:\n\tconnection refused\x1b[31m"}, verdict: adg.Unknown, why: adg.SourceError,
		text: "the source did not answer: dial tcp: connection refused [31m"},
	{name: "the source answered with nothing", check: latency, seen: adg.Measurement{At: now}, verdict: adg.Unknown, why: adg.NoData,
		text: "the source answered, and there was no data"},
	{name: "the source answered with a series without samples", check: latency, seen: adg.Measurement{At: now, Values: []adg.Series{{}}}, verdict: adg.Unknown, why: adg.NoData,
		text: "the source answered, and there was no data"},
	{name: "a query was answered with counters", check: latency, seen: counts(1, 2), verdict: adg.Unknown, why: adg.NoData,
		text: "the source answered, and there was no data"},
	{name: "a sample as old as it may be", check: with(latency, func(c *adg.Check) { c.MaxAge = 5 * time.Minute }), seen: aged(5*time.Minute, values(0.2)), verdict: adg.Pass, why: adg.WithinLimits,
		text: "the latest value is 0.2 (1 sample); limit 0.3 (warn: > 0.3)"},
	{name: "a stale sample", check: with(latency, func(c *adg.Check) { c.MaxAge = 5 * time.Minute }), seen: aged(5*time.Minute+2*time.Second, values(0.9)), verdict: adg.Unknown, why: adg.StaleData,
		text: "the latest sample is 5m2s old, and after 5m it says nothing any more"},
	{name: "stale counters", check: errorRate, seen: aged(61*time.Second, counts(50, 100)), verdict: adg.Unknown, why: adg.StaleData,
		text: "the latest sample is 1m1s old, and after 1m it says nothing any more"},
	{name: "a clock that is a little ahead", check: latency, seen: aged(-30*time.Second, values(0.2)), verdict: adg.Pass, why: adg.WithinLimits,
		text: "the latest value is 0.2 (1 sample); limit 0.3 (warn: > 0.3)"},
	{name: "a clock that is far ahead", check: latency, seen: aged(-2*time.Hour, values(0.2)), verdict: adg.Unknown, why: adg.ClockSkew,
		text: "the latest sample is 2h in the future: check the clocks of the source and of this machine"},
	{name: "a ratio without traffic", check: share, seen: values(0.01, math.NaN()), verdict: adg.Unknown, why: adg.NotANumber,
		text: "the value is not a number (NaN), as a ratio without traffic is"},
	{name: "a NaN before the latest sample", check: share, seen: values(math.NaN(), 0.001), verdict: adg.Pass, why: adg.WithinLimits,
		text: "the latest value is 0.1 % (2 samples); limit 1 % (warn: > 1%)"},
	{name: "an aggregate leaves NaN out", check: gathered(adg.Average), seen: values(1, math.NaN(), 3), verdict: adg.Pass, why: adg.WithinLimits,
		text: "the average is 2 (2 samples); limit 1,000 (fail: > 1000)"},
	{name: "an aggregate of nothing but NaN", check: gathered(adg.Average), seen: values(math.NaN(), math.NaN()), verdict: adg.Unknown, why: adg.NotANumber,
		text: "the value is not a number (NaN), as a ratio without traffic is"},
	{name: "an aggregate of both infinities", check: gathered(adg.Sum), seen: values(math.Inf(1), math.Inf(-1)), verdict: adg.Unknown, why: adg.NotANumber,
		text: "the value is not a number (NaN), as a ratio without traffic is"},
	{name: "an aggregate that does not exist", check: gathered(99), seen: values(1), verdict: adg.Unknown, why: adg.NotANumber,
		text: "the value is not a number (NaN), as a ratio without traffic is"},
	{name: "an aggregate of samples that are fresh enough and before the window", check: with(gathered(adg.Sum), func(c *adg.Check) { c.Window = 10 * time.Second }), seen: aged(30*time.Second, values(1)), verdict: adg.Unknown, why: adg.NoData,
		text: "there was no sample in the last 10s"},
	{name: "an infinite value is above every limit", check: latency, seen: values(math.Inf(1)), verdict: adg.Fail, why: adg.BeyondFail,
		text: "the latest value is +Inf (1 sample); limit 0.5 (fail: > 0.5)"},
	{name: "an infinitely small value is below every limit", check: latency, seen: values(math.Inf(-1)), verdict: adg.Pass, why: adg.WithinLimits,
		text: "the latest value is -Inf (1 sample); limit 0.3 (warn: > 0.3)"},
	{name: "several series where one is wanted", check: latency, verdict: adg.Unknown, why: adg.AmbiguousAnswer,
		seen: adg.Measurement{At: now, Values: []adg.Series{
			{Labels: map[string]string{"pod": "a", "zone": "1"}, Samples: []adg.Sample{{At: now, Value: 1}}},
			{Labels: map[string]string{"pod": "empty"}},
			{Labels: map[string]string{"pod": "b", "v": "1", "w": "2", "x": "3", "y": "4"}, Samples: []adg.Sample{{At: now, Value: 1}}},
			{Samples: []adg.Sample{{At: now, Value: 1}}}}},
		text: `the query answers with 3 series where one is wanted, {pod="a", zone="1"} and {pod="b", v="1", w="2", x="3", …} among them: sum them up in the query, or give the check an aggregate`},
	{name: "samples out of order and given twice", check: latency, verdict: adg.Warn, why: adg.BeyondWarn,
		seen: adg.Measurement{At: now, Values: []adg.Series{{Samples: []adg.Sample{{At: now, Value: 0.1}, {At: now.Add(-time.Second), Value: 0.9}, {At: now, Value: 0.4}}}}},
		text: "the latest value is 0.4 (2 samples); limit 0.3 (warn: > 0.3)"},
	{name: "one sample where the check wants two", check: with(latency, func(c *adg.Check) { c.MinSamples = 2 }), seen: values(0.9), verdict: adg.Unknown, why: adg.TooFew,
		text: "only 1 sample, fewer than the 2 that the check wants"},
	{name: "a comparison that does not exist", check: adg.Check{Compare: 9}, seen: values(1), verdict: adg.Unknown, why: adg.NoData,
		text: "there is no comparison invalid(9)"},
}

func blaming(c adg.Check) adg.Check {
	c.BlamePreexisting = true
	return c
}

var preexistingExamples = []example{
	{name: "the alarm was red before, and it is no worse", check: latency, seen: values(0.88), before: beforeIt(0.8, 0.8, 0.8), verdict: adg.Warn, why: adg.Preexisting,
		text: "the latest value is 0.88 (1 sample); limit 0.5 (fail: > 0.5); it was 0.8 before the deployment already, which is not to blame for it"},
	{name: "the alarm was red before, and it is worse now", check: latency, seen: values(0.89), before: beforeIt(0.8, 0.8, 0.8), verdict: adg.Fail, why: adg.BeyondFail,
		text: "the latest value is 0.89 (1 sample); limit 0.5 (fail: > 0.5)"},
	{name: "the alarm was yellow before, and is red now", check: latency, seen: values(0.51), before: beforeIt(0.48, 0.48), verdict: adg.Fail, why: adg.BeyondFail,
		text: "the latest value is 0.51 (1 sample); limit 0.5 (fail: > 0.5)"},
	{name: "the alarm was yellow before and still is", check: latency, seen: values(0.4), before: beforeIt(0.4, 0.4), verdict: adg.Warn, why: adg.Preexisting,
		text: "the latest value is 0.4 (1 sample); limit 0.3 (warn: > 0.3); it was 0.4 before the deployment already, which is not to blame for it"},
	{name: "the alarm was red before, and is yellow now", check: latency, seen: values(0.4), before: beforeIt(0.8, 0.8), verdict: adg.Warn, why: adg.Preexisting,
		text: "the latest value is 0.4 (1 sample); limit 0.3 (warn: > 0.3); it was 0.8 before the deployment already, which is not to blame for it"},
	{name: "the fix worked while the alarm was red", check: latency, seen: values(0.1), before: beforeIt(0.8, 0.8), verdict: adg.Pass, why: adg.WithinLimits,
		text: "the latest value is 0.1 (1 sample); limit 0.3 (warn: > 0.3)"},
	{name: "one bad window before is no alarm", check: latency, seen: values(0.6), before: beforeIt(append(make([]float64, 40), 0.8)...), verdict: adg.Fail, why: adg.BeyondFail,
		text: "the latest value is 0.6 (1 sample); limit 0.5 (fail: > 0.5)"},
	{name: "blame what was there before, too", check: blaming(latency), seen: values(0.8), before: beforeIt(0.8, 0.8), verdict: adg.Fail, why: adg.BeyondFail,
		text: "the latest value is 0.8 (1 sample); limit 0.5 (fail: > 0.5)"},
	{name: "a baseline that could not be frozen excuses nothing", check: latency, seen: values(0.8), before: &adg.Baseline{Values: []float64{0.8}, Err: "half an answer"}, verdict: adg.Fail, why: adg.BeyondFail,
		text: "the latest value is 0.8 (1 sample); limit 0.5 (fail: > 0.5)"},
	{name: "an empty baseline excuses nothing", check: latency, seen: values(0.8), before: &adg.Baseline{}, verdict: adg.Fail, why: adg.BeyondFail,
		text: "the latest value is 0.8 (1 sample); limit 0.5 (fail: > 0.5)"},
	{name: "too few before, and no fewer now", check: limited("< 5"), seen: values(1.8), before: beforeIt(2, 2), verdict: adg.Warn, why: adg.Preexisting,
		text: "the latest value is 1.8 (1 sample); limit 5 (fail: < 5); it was 2 before the deployment already, which is not to blame for it"},
	{name: "too few before in some windows, and no fewer now", check: limited("< 5"), seen: values(1.8), before: beforeIt(2, 2, 4, 4, 4), verdict: adg.Warn, why: adg.Preexisting,
		text: "the latest value is 1.8 (1 sample); limit 5 (fail: < 5); it was 2 before the deployment already, which is not to blame for it"},
	{name: "too few before, and still fewer now", check: limited("<= 5"), seen: values(1.7), before: beforeIt(2, 2), verdict: adg.Fail, why: adg.BeyondFail,
		text: "the latest value is 1.7 (1 sample); limit 5 (fail: <= 5)"},
	{name: "above its range before and now", check: limited("outside 10..20"), seen: values(31), before: beforeIt(30, 30), verdict: adg.Warn, why: adg.Preexisting,
		text: "the latest value is 31 (1 sample); limits 10 and 20 (fail: outside 10..20); it was 30 before the deployment already, which is not to blame for it"},
	{name: "below its range before and now", check: limited("outside 10..20"), seen: values(4), before: beforeIt(4, 4), verdict: adg.Warn, why: adg.Preexisting,
		text: "the latest value is 4 (1 sample); limits 10 and 20 (fail: outside 10..20); it was 4 before the deployment already, which is not to blame for it"},
	{name: "below its range before and above it now", check: limited("outside 10..20"), seen: values(21), before: beforeIt(4, 4), verdict: adg.Fail, why: adg.BeyondFail,
		text: "the latest value is 21 (1 sample); limits 10 and 20 (fail: outside 10..20)"},
	{name: "the wrong number before and now", check: limited("!= 3"), seen: values(2), before: beforeIt(2, 2, 2), verdict: adg.Warn, why: adg.Preexisting,
		text: "the latest value is 2 (1 sample); limit 3 (fail: != 3); it was 2 before the deployment already, which is not to blame for it"},
	{name: "another wrong number than before", check: limited("!= 3"), seen: values(1), before: beforeIt(2, 2, 2), verdict: adg.Fail, why: adg.BeyondFail,
		text: "the latest value is 1 (1 sample); limit 3 (fail: != 3)"},
	{name: "errors as before, in all of its windows", check: errorRate, seen: counts(8, 100), before: &adg.Baseline{Bad: 80, Total: 1000}, verdict: adg.Warn, why: adg.Preexisting,
		text: "8 % of 100 requests were bad; limit 5 % (fail: > 5%); it was 8 % before the deployment already, which is not to blame for it"},
	{name: "errors as in the worst windows before", check: errorRate, seen: counts(8, 100), before: &adg.Baseline{Bad: 10, Total: 1000, Values: []float64{0, 0, 0.08, 0.08}}, verdict: adg.Warn, why: adg.Preexisting,
		text: "8 % of 100 requests were bad; limit 5 % (fail: > 5%); it was 8 % before the deployment already, which is not to blame for it"},
	{name: "errors as before over all, though not in most windows", check: errorRate, seen: counts(8, 100), before: &adg.Baseline{Bad: 80, Total: 1000, Values: []float64{0.02, 0.02}}, verdict: adg.Warn, why: adg.Preexisting,
		text: "8 % of 100 requests were bad; limit 5 % (fail: > 5%); it was 8 % before the deployment already, which is not to blame for it"},
	{name: "hits as few as before over all, though not in most windows", check: with(errorRate, func(c *adg.Check) { c.Warn, c.Fail = adg.Condition{}, condition("< 50%") }), seen: counts(10, 100),
		before: &adg.Baseline{Bad: 100, Total: 1000, Values: []float64{0.3, 0.3}}, verdict: adg.Warn, why: adg.Preexisting,
		text: "10 % of 100 requests were bad; limit 50 % (fail: < 50%); it was 10 % before the deployment already, which is not to blame for it"},
	{name: "a crash loop that was there before", check: restarts, seen: rising(7, 8, 9, 10, 10), before: beforeIt(3, 3, 3), verdict: adg.Warn, why: adg.Preexisting,
		text: "3 events in 1m (5 samples); limit 3 (fail: >= 3); it was 3 before the deployment already, which is not to blame for it"},
	{name: "a restless past excuses as much unrest", check: historical(slower), seen: values(190), before: beforeIt(100, 100, 100, 200, 200), verdict: adg.Warn, why: adg.Preexisting,
		text: "the latest value is 190 (1 sample), baseline 100 of 5; limit 125 (fail: > baseline + 25%); it was 200 before the deployment already, which is not to blame for it"},
	{name: "a restless past excuses nothing beside a stable version", check: slower, seen: values(190), stable: new(values(100)), before: beforeIt(100, 100, 100, 200, 200), verdict: adg.Fail, why: adg.BeyondFail,
		text: "the latest value is 190 (1 sample), baseline 100 of 1; limit 125 (fail: > baseline + 25%)"},
}

var (
	ranked    = adg.Check{Query: "q", Compare: adg.MannWhitney}
	twelve    = []float64{10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21}
	half      = []float64{15, 16.5, 18, 19.5, 21, 22.5, 24, 25.5, 27, 28.5, 30, 31.5} // as much again
	sameTwice = values(twelve...)
)

var rankExamples = []example{
	{name: "half as much again by ranks", check: ranked, seen: values(half...), stable: &sameTwice, verdict: adg.Fail, why: adg.BeyondFail,
		text: "median 23.25 against 15.5, higher than the control: shifted by 7.75, 98 % interval 2.5 to 13 (12 samples against 12 of the control, normal; ratio of the means 1.5)"},
	{name: "less, where only more is bad", check: ranked, seen: values(twelve...), stable: new(values(half...)), verdict: adg.Pass, why: adg.WithinLimits,
		text: "median 15.5 against 23.25, no difference that counts: shifted by -7.75, 98 % interval -13 to -2.5 (12 samples against 12 of the control, normal; ratio of the means 0.6667); limit: beyond ±1.938"},
	{name: "less, where less is bad", check: with(ranked, func(c *adg.Check) { c.Ranks.Direction = adg.Decrease }), seen: values(twelve...), stable: new(values(half...)), verdict: adg.Fail, why: adg.BeyondFail,
		text: "median 15.5 against 23.25, lower than the control: shifted by -7.75, 98 % interval -13 to -2.5 (12 samples against 12 of the control, normal; ratio of the means 0.6667)"},
	{name: "the same samples", check: ranked, seen: values(twelve...), stable: &sameTwice, verdict: adg.Pass, why: adg.WithinLimits,
		text: "median 15.5 against 15.5, the same on both sides: 12 samples against 12 of the control"},
	{name: "half as much again as before", check: historical(ranked), seen: values(half...), before: beforeIt(twelve...), verdict: adg.Fail, why: adg.BeyondFail,
		text: "median 23.25 against 15.5, higher than the control: shifted by 7.75, 98 % interval 2.5 to 13 (12 samples against 12 of the control, normal; ratio of the means 1.5); the control is the time before the deployment, which is weaker than side by side"},
	{name: "too few samples for the ranks", check: ranked, seen: values(1, 2), stable: &sameTwice, verdict: adg.Unknown, why: adg.TooFew,
		text: "median 1.5 against 15.5, too few samples: 2 samples against 12 of the control can't show a difference with 98 % confidence, whatever they are"},
	{name: "fewer samples than the check wants", check: with(ranked, func(c *adg.Check) { c.MinSamples = 50 }), seen: values(half...), stable: &sameTwice, verdict: adg.Unknown, why: adg.TooFew,
		text: "only 12 samples, fewer than the 50 that the check wants"},
	{name: "infinity has no rank that means something", check: ranked, seen: values(math.Inf(1), 2, 3), stable: &sameTwice, verdict: adg.Unknown, why: adg.NotANumber,
		text: "median 3 against 15.5, there is an infinite value among 3 samples against 12 of the control"},
	{name: "nothing but NaN", check: ranked, seen: values(math.NaN()), stable: &sameTwice, verdict: adg.Unknown, why: adg.TooFew,
		text: "no data: there are 0 samples against 12 of the control"},
	{name: "no samples to rank", check: ranked, seen: adg.Measurement{At: now}, stable: &sameTwice, verdict: adg.Unknown, why: adg.NoData,
		text: "the source answered, and there was no data"},
	{name: "samples older than the window have no rank", check: with(ranked, func(c *adg.Check) { c.MaxAge = time.Hour }), seen: aged(2*time.Minute, values(1, 2)), stable: &sameTwice,
		verdict: adg.Unknown, why: adg.NoData, text: "there was no sample in the last 1m"},
	{name: "no stable version to rank with", check: ranked, seen: values(half...), verdict: adg.Unknown, why: adg.NoBaseline,
		text: "nothing to compare with: no stable version serves beside the release"},
	{name: "a stable version without samples", check: ranked, seen: values(half...), stable: &adg.Measurement{At: now}, verdict: adg.Unknown, why: adg.NoBaseline,
		text: "nothing to compare with: of the stable version, the source answered, and there was no data"},
	{name: "a stable version whose source is down", check: ranked, seen: values(half...), stable: &adg.Measurement{Err: "401"}, verdict: adg.Unknown, why: adg.SourceError,
		text: "of the baseline, the source did not answer: 401"},
	{name: "nothing frozen to rank with", check: historical(ranked), seen: values(half...), verdict: adg.Unknown, why: adg.NoBaseline,
		text: "nothing to compare with: no baseline was frozen before the deployment"},
}
