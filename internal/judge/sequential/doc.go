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
//
// A canary replica that gets more than a replica's share of the traffic is as noisy with more requests at once: the
// over-dispersion is scaled by it.
//
// # What simulation shows
//
// 1,000 traces per line at Alpha 1 %: 200 requests a second, one canary replica with 10 %, nine replicas of the baseline,
// 0.5 % bad, buckets of a second, ten minutes of the baseline before; 30 min, and 60 min where replicas differ
// (go test ./internal/judge/sequential -run 'Innocent|Found|Limit' -v -sequential.traces 1000). A canary no worse is called
// worse in:
//
//	independent requests                                     0.5 %   replicas not told apart 0.6 %
//	bursts, drifting load and rate                           0.4 %
//	ramp of 1, 5, 25, 50 %                                   0.5 %   amid noise of CV 1 held 10 s 0.0 %
//	noise of CV 0.5 held 10, 60, 300 s                       0.3, 0.1, 0.2 %
//	noise of CV 1 held 10, 60, 300 s                         0.1, 0.2, 0.3 %
//	the same, baseline not seen before                       0.1, 0.3, 0.4 %
//	replicas that differ for good by CV 0.3, 0.5             0.1, 0.1 %
//	the same at 20 requests a second                         0.9, 0.9 %
//	the same with 3 replicas of the baseline                 0.3, 0.1 %
//	half of the traffic for one canary, noise of CV 0.5, 1   0.0, 0.0 %
//	buckets of 10, 60 s                                      0.1, 0.1 %
//
// The median time until a worse canary is called so, beside Wald's bound for a rule that knows how bad it is:
//
//	×1.5   654 s  (bound 480 s)
//	×2     178 s  (bound 136 s); replicas not told apart 160 s
//	×5      18 s  (bound 14 s);  amid noise of CV 0.5 held 10 s 32 s
//	×20      3 s  (bound 2 s)
//
// # Where it does not hold
//
// A canary that differs from all of its baseline for reasons of its own, such as a slower machine, is worse as far as
// counts can tell. A baseline whose replicas are all exchanged every ten minutes for others that differ by a CV of 0.5, in the
// same places, called an innocent canary that stays worse in 2.6 % of 500 hours; replicas that fail twentyfold for half a
// minute twice an hour each (a CV of 2.5) in 3 %. Rank tests and symmetric tests of the canary among the replicas need no
// model of the noise, but they need replicas that take turns: one that is the worst of ten for good, as one of them
// always is where replicas differ, they call worse. That is why the differences are measured and tolerated instead.
// The rank among the replicas is told beside the evidence ([Ranking]) where none were seen to differ, and decides nothing.
package sequential
