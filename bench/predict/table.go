package main

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"

	"github.com/deployguardian/adg/internal/predict"
)

// Private

func writeReport(out io.Writer, runs []run) {
	fmt.Fprintf(out, "# Prediction on public data\n\nWritten by\n\n    go run ./bench/predict -data DIR\n\non %s/%s with %s, one core. Strictly in time order: deployments' outcomes are known after 7 days, and those of the tables of defects "+
		"(kamei, apachejit) at once, which real life never grants: what they reach when training ends before scoring is further down. The weights that a table is "+
		"begun with come from the other tables alone. Where the tables are from is in [the benchmark's README](../README.md).\n\n", runtime.GOOS, runtime.GOARCH, runtime.Version())
	fmt.Fprint(out, "| table | rows | scored | failed | AUC | PR-AUC | log-loss | Brier skill | ECE | recall@5 | @10 | @20 | to reach | took |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, r := range runs {
		c := r.Chosen
		fmt.Fprintf(out, "| %s | %d | %d | %d | %s | %s | %s | %s | %s | %s | %s | %s | %s | %.0f s |\n", r.name, r.Rows, r.Scored, r.Failed, number(c.AUC), number(c.PRAUC),
			number(c.LogLoss), number(c.BrierSkill), number(c.ECE), number(c.RecallAt5), number(c.RecallAt10), number(c.RecallAt20), r.best, r.took.Seconds())
	}
	writeOnce(out, runs)
	fmt.Fprint(out, "\n## Against simpler models\n\nLog-loss less than theirs, in thousandths of a nat per deployment, with the 95 % interval of a paired bootstrap; above zero: the answer is better.\n\n"+
		"| table | than the running base rate | than logistic regression | than the blend of logistic regression and boosted trees |\n|---|---|---|---|\n")
	for _, r := range runs {
		logistic, boosted := r.expert("logistic"), r.expert("boosted")
		fmt.Fprintf(out, "| %s | %s | %s | %s |\n", r.name, r.lead(r.BaseRates), r.lead(logistic), r.lead(blended(logistic, boosted)))
	}
	fmt.Fprint(out, "\n## By expert\n\nAUC of each alone, and its weight at the end.\n\n| table |")
	names := predict.ExpertNames()
	for _, name := range names {
		fmt.Fprintf(out, " %s |", name)
	}
	fmt.Fprint(out, "\n|---|"+repeat("---|", len(names))+"\n")
	for _, r := range runs {
		fmt.Fprintf(out, "| %s |", r.name)
		for _, name := range names {
			fmt.Fprintf(out, " %s (%.2f) |", number(r.Experts[name].AUC), r.Weights[name])
		}
		fmt.Fprintln(out)
	}
	writeCold(out, runs)
}

// writeOnce compares like with like: the figures to reach on the tables of defects are of models that were trained once.
func writeOnce(out io.Writer, runs []run) {
	fmt.Fprint(out, "\n## Trained once\n\nThe tables of defects, trained on the first 70 % and scored on the others, with no outcome learned in between: no weight, no rate, no calibration. "+
		"That is how the figures to reach were measured, each the best of logistic regression, forests and boosted trees.\n\n"+
		"| table | AUC | PR-AUC | log-loss | Brier skill | ECE | to reach |\n|---|---|---|---|---|---|---|\n")
	for _, r := range runs {
		if r.once == nil {
			continue
		}
		c := r.once.Chosen
		fmt.Fprintf(out, "| %s | %s | %s | %s | %s | %s | %s |\n", r.name, number(c.AUC), number(c.PRAUC), number(c.LogLoss), number(c.BrierSkill), number(c.ECE), r.best)
	}
}

func writeCold(out io.Writer, runs []run) {
	fmt.Fprintf(out, "\n## Cold start\n\nAfter so many outcomes, and no more: log-loss (and AUC) on the next %d rows, beside the base rate's after as many. After none at all, on the whole table.\n\n"+
		"| table | 0 | 50 | 200 | 500 |\n|---|---|---|---|---|\n", coldRows)
	for _, r := range runs {
		fmt.Fprintf(out, "| %s |", r.name)
		for _, c := range r.cold {
			fmt.Fprintf(out, " %s (%s), base rate %s |", number(c.chosen.LogLoss), number(c.chosen.AUC), number(c.base.LogLoss))
		}
		fmt.Fprintln(out)
	}
	writeColdMean(out, "mean", runs)
	// The tables of defects are many, and fail often: a mean over all says little of deployments.
	writeColdMean(out, "mean of the deployments", slices.DeleteFunc(slices.Clone(runs), func(r run) bool { return r.delay == 0 }))
}

func writeColdMean(out io.Writer, name string, runs []run) {
	if len(runs) == 0 {
		return
	}
	fmt.Fprintf(out, "| **%s** |", name)
	for i := range runs[0].cold {
		mean := func(of func(coldStart) *float64) float64 {
			sum := 0.0
			for _, r := range runs {
				if v := of(r.cold[i]); v != nil {
					sum += *v / float64(len(runs))
				}
			}
			return sum
		}
		fmt.Fprintf(out, " **%.4f (%.3f), base rate %.4f** |", mean(func(c coldStart) *float64 { return c.chosen.LogLoss }),
			mean(func(c coldStart) *float64 { return c.chosen.AUC }), mean(func(c coldStart) *float64 { return c.base.LogLoss }))
	}
	fmt.Fprintln(out)
}

func (r run) expert(name string) []float64 {
	return r.ByExpert[slices.Index(predict.ExpertNames(), name)]
}

// lead is how much less the log-loss of the answer is than that of another one.
func (r run) lead(other []float64) string {
	gains := make([]float64, len(other))
	for i, q := range other {
		gains[i] = 1000 * (loss(q, r.Outcomes[i]) - loss(r.Answers[i], r.Outcomes[i]))
	}
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // no secret
	means := make([]float64, 1000)
	for k := range means {
		for range gains {
			means[k] += gains[random.IntN(len(gains))] / float64(len(gains))
		}
	}
	slices.Sort(means)
	total := 0.0
	for _, g := range gains {
		total += g / float64(len(gains))
	}
	return fmt.Sprintf("%+.2f (%+.2f to %+.2f)", total, means[25], means[974])
}

func loss(p float64, failed bool) float64 {
	if !failed {
		p = 1 - p
	}
	return -math.Log(max(p, 1e-15))
}

// blended is the mean of the logits.
func blended(a, b []float64) []float64 {
	all := make([]float64, len(a))
	logit := func(p float64) float64 { return math.Log(max(p, 1e-9) / max(1-p, 1e-9)) }
	for i := range a {
		all[i] = 1 / (1 + math.Exp(-(logit(a[i])+logit(b[i]))/2))
	}
	return all
}

func number(v *float64) string {
	if v == nil {
		return "–"
	}
	return fmt.Sprintf("%.4f", *v)
}

func repeat(text string, n int) string {
	all := ""
	for range n {
		all += text
	}
	return all
}
