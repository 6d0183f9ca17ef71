// Package predict says with which probability a deployment will fail, from what is known of it and from what became of
// the ones before. It is honest when it knows little: it begins with the base rate and with what other repositories teach,
// and what is more than that has to earn its weight on this installation's own outcomes.
//
// # How
//
// A [Learner] gets deployments in time order and predicts each before its outcome is known; outcomes are told when they
// are. Experts answer side by side: the running base rate with a Beta prior, one that forgets, a linear model from
// public data (the [Prior]), logistic regressions that are shrunk to it at several strengths, one with weights of each
// service's own, gradient-boosted trees, a random forest, and averages of their logits. Each is calibrated on outcomes that it
// had not seen: a shift first, then a slope. A Bayesian mixture with fixed share weighs them by their predictive
// likelihood (Herbster and Warmuth 1998), so that over any stretch of time the answer loses little against the best of
// them, the base rate included.
//
// Contributions are exact for linear experts (weight times value) and for trees (TreeSHAP: Lundberg, Erion and Lee
// 2018); in the answer they add up to the probability. The interval holds the doubt about the weights and
// the experts' disagreement.
//
// Everything is deterministic: the same rows in the same order, with the same seed, give the same model.
package predict
