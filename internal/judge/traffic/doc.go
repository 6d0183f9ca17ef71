// Package traffic tests the traffic itself: whether a release gets no requests while the baseline beside it does
// ([Silence]), and whether it gets the share that it should ([Split]). A release that serves nothing has no errors, and
// is the commonest fault that error rates do not show.
//
// Both tests are e-processes: they may be looked at after every bucket, and the probability of a false alarm at any
// time is alpha at most. They hold when each request is sent to one arm or the other on its own, with the share that is
// given for its bucket; how many requests there are, and when, does not matter. Silence bets on several fractions of
// the share (conditional binomial likelihood ratios) and uses an e-detector for what begins late (Shin, Ramdas and
// Rinaldo, "E-detectors", 2023): the Shiryaev-Roberts sum, with the number of buckets in a horizon over alpha as its
// limit, which holds by Doob's inequality. Split is the mixture of Lindon and Malek, "Anytime-valid inference for
// multinomial count data" (NeurIPS 2022), with two arms.
//
// What that does not hold for: requests are rarely sent one by one. Connections are kept open, clients stick to an arm,
// retries follow each other, so that whole blocks of requests go one way, and counts vary more than independent ones. Both
// tests therefore take the over-dispersion of each bucket, measured beforehand ([Dispersion]), and count so many requests as
// one. That is close to the truth where blocks are short beside the buckets and their size is steady. It is no guarantee:
// with a few sticky clients the share of the requests says little, and these tests are to be switched off.
package traffic

import (
	"math"
	"strconv"

	"github.com/deployguardian/adg"
)

// Bucket is the requests of one stretch of time.
type Bucket struct {
	Candidate float64
	Baseline  float64
	// Share is the percent of both that the candidate should get. It has to be known before the bucket: as it was
	// configured, or as it was seen in buckets before. At 0 and 100 there is nothing to test.
	Share float64
	// Overdispersion is how many requests go one way together, as measured before the bucket; below 1 counts as 1.
	Overdispersion float64
}

// Finding is what a test has come to.
type Finding struct {
	Found    bool    // stays so
	LogE     float64 // the evidence, as a natural logarithm, at its highest
	LogLimit float64 // from which on it is found
	Text     string  // one sentence for a person on call
}

// Private

// mostRequests of a bucket: beyond it, floating point no longer tells the evidence of one from that of another.
const mostRequests = 1e12

// check gives the share as a fraction, and the over-dispersion; false where there is nothing to test.
func (b Bucket) check() (share, phi float64, some bool, err error) {
	for _, n := range [...]float64{b.Candidate, b.Baseline} {
		if !(n >= 0 && n <= mostRequests) {
			return 0, 0, false, adg.Errorf(adg.Invalid, "%g requests in a bucket: a count is 0 to %g", n, mostRequests)
		}
	}
	if !(b.Share >= 0 && b.Share <= 100) {
		return 0, 0, false, adg.Errorf(adg.Invalid, "a share of %g %%: it is between 0 and 100", b.Share)
	}
	if math.IsNaN(b.Overdispersion) || math.IsInf(b.Overdispersion, 1) {
		return 0, 0, false, adg.Errorf(adg.Invalid, "an over-dispersion of %g is no number of requests", b.Overdispersion)
	}
	some = b.Share > 0 && b.Share < 100 && b.Candidate+b.Baseline > 0
	return b.Share / 100, max(b.Overdispersion, 1), some, nil
}

// logLimit is the evidence that a finding takes. An alpha that is no probability between 0 and 1 promises nothing, and
// nothing is ever found.
func logLimit(alpha float64) float64 {
	if !(alpha > 0 && alpha < 1) {
		return math.MaxFloat64
	}
	return -math.Log(alpha)
}

// requests writes a number of them.
func requests(n float64) string {
	if n == 1 {
		return "1 request"
	}
	return count(n) + " requests"
}

// count writes a whole number in groups of three.
func count(n float64) string {
	text := strconv.FormatFloat(math.Round(n), 'f', 0, 64)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// percent writes three digits.
func percent(p float64) string { return strconv.FormatFloat(p, 'g', 3, 64) + " %" }
