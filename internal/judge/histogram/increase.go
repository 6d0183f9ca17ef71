package histogram

import "github.com/deployguardian/adg"

// Increase is what a histogram counted from one scrape of a replica to the next, appended to into[:0], and
// whether the counters were reset between. The buckets are the finest whose bounds both scrapes have. After a reset all
// that the later scrape shows is new; what was counted between the earlier one and the reset is lost. A later count that is
// larger up to one bound and not up to the next, as clients show that update bucket by bucket, is taken as it is up to
// the lower bound. The samples are as [Read], [FromCumulative] or [Native.Sample] make them; an earlier one without
// buckets is a replica that was just born.
func Increase(into []adg.HistogramBucket, earlier, later adg.HistogramSample) (buckets []adg.HistogramBucket, reset bool) {
	into = into[:0]
	rise, told := 0.0, 0.0
	c := common{a: later.Buckets, b: earlier.Buckets}
	for c.next() {
		rise += c.inA - c.inB
		if rise < -1e-9*c.sumB {
			return append(into[:0], later.Buckets...), true
		}
		into = append(into, adg.HistogramBucket{Lower: c.lower, Upper: c.upper, Count: max(rise-told, 0)})
		told = max(told, rise)
	}
	return into, false
}

// Sum adds two histograms, of different replicas or different times, appended to into[:0], which must be neither of
// them. The buckets are the finest whose bounds both have.
func Sum(into, a, b []adg.HistogramBucket) []adg.HistogramBucket {
	into = into[:0]
	c := common{a: a, b: b}
	for c.next() {
		into = append(into, adg.HistogramBucket{Lower: c.lower, Upper: c.upper, Count: c.inA + c.inB})
	}
	return into
}

// Private

// common walks over two lists of buckets in the smallest steps that end at a bound of both.
type common struct {
	a, b         []adg.HistogramBucket
	lower, upper float64
	inA, inB     float64
	sumB         float64
}

func (c *common) next() bool {
	switch {
	case len(c.a) == 0 && len(c.b) == 0:
		return false
	case len(c.b) == 0 || len(c.a) > 0 && c.a[0].Lower <= c.b[0].Lower:
		c.lower, c.upper = c.a[0].Lower, c.a[0].Upper
	default:
		c.lower, c.upper = c.b[0].Lower, c.b[0].Upper
	}
	c.inA, c.inB = 0, 0
	for grown := true; grown; {
		grown = false
		for len(c.a) > 0 && c.a[0].Lower < c.upper {
			c.inA += c.a[0].Count
			c.upper = max(c.upper, c.a[0].Upper)
			c.a = c.a[1:]
			grown = true
		}
		for len(c.b) > 0 && c.b[0].Lower < c.upper {
			c.inB += c.b[0].Count
			c.upper = max(c.upper, c.b[0].Upper)
			c.b = c.b[1:]
			grown = true
		}
	}
	c.sumB += c.inB
	return true
}
