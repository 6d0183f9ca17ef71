// Package sequential is the test behind the sequential checks: it looks at counts of bad requests of the canary and of
// the baseline beside it, bucket by bucket, may be looked at after each, and decides as early as the data allow.
//
// # What it promises
//
// A canary whose rate of bad requests is at most Ratio times the baseline's is called worse with a probability of at
// most Alpha, however long it bakes and however often one looks. A canary that is worse by RMax is called not worse with
// a probability of at most Beta.
//
// For requests that are independent of each other, given what happens to both sides at the same time, that is a
// theorem. For others, such as replicas that are slow or faulty for a minute each, it is not: there the differences
// between the baseline's replicas are measured, and the evidence is weakened by as much. That this keeps the promise is
// shown by simulation (below), for noise up to a coefficient of variation of 1 that lasts up to five minutes, and for
// replicas that differ for good. It takes three replicas of the baseline; with fewer, Robust is false.
//
// # How
//
// In a bucket with n canary and m control requests of equal quality, a bad request is the canary's with probability
// x/(1+x), x = r·n/m, if the canary's rate is r times the baseline's. With θ(r) for that probability,
//
//	L(r) = Π (θ(r)/θ(r0))^bad canary · ((1-θ(r))/(1-θ(r0)))^bad control
//
// is a product of factors whose expectation is at most 1 for every ratio up to r0: the expectation of one factor is
// Π(1+p(θ(r)/θ(r0)-1))·Π(1+p'((1-θ(r))/(1-θ(r0))-1)) ≤ exp(0), by 1+x ≤ eˣ, for any probabilities p of the single requests
// whose means are in that ratio. So no rate has to be known or constant, and the shares, the load and the rates may
// change from bucket to bucket: only the counts of the bucket enter. Such a product is an e-process, and by Ville's
// inequality it exceeds 1/Alpha with a probability of at most Alpha (Ville 1939; Ramdas, Grünwald, Vovk and Shafer 2023).
//
// The test is a mixture of such products, which is an e-process again: over seven ratios from 1.25 to 30, as nobody
// knows how bad a bad release is, and over the times at which the fault may begin. A tenth of the weight is for late
// faults: every minute a new product begins, the j-th with the weight 0.1/(j(j+1)), which add up to 0.1 for ever. So a
// leak that shows after an hour need not first make up for the good hour, and there is one number to compare with one limit.
//
// The mirrored test multiplies the same factors for ratios below RMax.
//
// # Replicas
//
// Over stretches of 10, 60 and 300 s, Pearson's chi-square of the baseline's replicas divided by its degrees of freedom
// estimates the over-dispersion φ; the largest counts, if it is significantly above 1. The evidence is L^(1/φ)
// (tempering). Over the whole time, the same chi-square tells by how much replicas differ for good: the standard
// deviation of the logarithms of their rates, times the 99.5 % quantile of Student's t, is tolerated on top of Ratio.
// With fewer than eight replicas chance is not subtracted from it. What was not seen yet is assumed to be wild, and
// that fades with the bad requests that each replica was seen to have; ten minutes of the baseline alone before
// the canary's first request (buckets without canary requests, or a Calibration) leave nothing of it. All of this is fixed by the buckets before
// the one that it is applied to.
package sequential
