package predict

import (
	"math"
	"slices"
)

// Score is how good probabilities of failure were, once the outcomes were known. What cannot be said of the rows
// (all outcomes alike, no rows) is nil.
type Score struct {
	AUC        *float64 `json:"auc"`         // chance that a failure was thought riskier than a success
	PRAUC      *float64 `json:"pr_auc"`      // average precision
	LogLoss    *float64 `json:"log_loss"`    // nats per row
	Brier      *float64 `json:"brier"`       // mean squared error
	BrierSkill *float64 `json:"brier_skill"` // 1 - Brier / the Brier of the running base rate
	ECE        *float64 `json:"ece"`         // mean distance of predicted and observed over ten equal steps
	RecallAt5  *float64 `json:"recall_at_5"` // share of the failures among the riskiest 5 %
	RecallAt10 *float64 `json:"recall_at_10"`
	RecallAt20 *float64 `json:"recall_at_20"`
}

// Grade scores probabilities of failure against outcomes; baseline holds the running base rate's answers for the same
// rows. Equal probabilities share their ranks: the order of the rows earns nothing.
func Grade(p, baseline []float64, failed []bool) Score {
	if len(p) == 0 {
		return Score{}
	}
	s := Score{LogLoss: finite(logLoss(p, failed)), Brier: finite(brier(p, failed)), ECE: finite(calibrationError(p, failed))}
	if of := brier(baseline, failed); of > 0 {
		s.BrierSkill = finite(1 - brier(p, failed)/of)
	}
	positives := count(failed)
	if positives == 0 || positives == len(failed) {
		return s
	}
	groups := rank(p, failed)
	s.AUC, s.PRAUC = finite(area(groups, positives, len(p))), finite(averagePrecision(groups, positives))
	s.RecallAt5 = finite(recall(groups, positives, 0.05*float64(len(p))))
	s.RecallAt10 = finite(recall(groups, positives, 0.10*float64(len(p))))
	s.RecallAt20 = finite(recall(groups, positives, 0.20*float64(len(p))))
	return s
}

// Step is one bar of a calibration plot.
type Step struct {
	From      float64 `json:"from"`
	To        float64 `json:"to"`
	Rows      int     `json:"rows"`
	Predicted float64 `json:"predicted"` // mean probability of failure
	Observed  float64 `json:"observed"`  // share that failed
}

// Reliability is the calibration plot: rows by predicted probability, in steps of about as many rows each.
func Reliability(p []float64, failed []bool, steps int) []Step {
	order := byRisk(p)
	slices.Reverse(order)
	var plot []Step
	for k := range steps {
		from, to := k*len(order)/steps, (k+1)*len(order)/steps
		if from == to {
			continue
		}
		s := Step{From: p[order[from]], To: p[order[to-1]], Rows: to - from}
		for _, i := range order[from:to] {
			s.Predicted += p[i] / float64(s.Rows)
			if failed[i] {
				s.Observed += 1 / float64(s.Rows)
			}
		}
		plot = append(plot, s)
	}
	return plot
}

// Private

// tied is rows of the same probability.
type tied struct{ positives, rows float64 }

func finite(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

func byRisk(p []float64) []int {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case p[a] > p[b]:
			return -1
		case p[a] < p[b]:
			return 1
		default:
			return 0
		}
	})
	return order
}

// rank groups the rows by probability, the riskiest first.
func rank(p []float64, failed []bool) []tied {
	var groups []tied
	last := math.NaN()
	for _, i := range byRisk(p) {
		if p[i] != last {
			groups = append(groups, tied{})
			last = p[i]
		}
		g := &groups[len(groups)-1]
		g.rows++
		if failed[i] {
			g.positives++
		}
	}
	return groups
}

func area(groups []tied, positives, rows int) float64 {
	above, sum := 0.0, 0.0
	for _, g := range groups {
		sum += (g.rows - g.positives) * (above + g.positives/2)
		above += g.positives
	}
	return sum / float64(positives) / float64(rows-positives)
}

func averagePrecision(groups []tied, positives int) float64 {
	hits, seen, sum := 0.0, 0.0, 0.0
	for _, g := range groups {
		hits += g.positives
		seen += g.rows
		sum += g.positives * hits / seen
	}
	return sum / float64(positives)
}

// recall among the riskiest rows; a group of equals that only partly fits counts in part.
func recall(groups []tied, positives int, room float64) float64 {
	hits := 0.0
	for _, g := range groups {
		if room <= 0 {
			break
		}
		hits += g.positives * min(1, room/g.rows)
		room -= g.rows
	}
	return hits / float64(positives)
}

func logLoss(p []float64, failed []bool) float64 {
	const least = 1e-15
	sum := 0.0
	for i, q := range p {
		if !failed[i] {
			q = 1 - q
		}
		sum -= math.Log(max(least, q))
	}
	return sum / float64(len(p))
}

func brier(p []float64, failed []bool) float64 {
	sum := 0.0
	for i, q := range p {
		if failed[i] {
			q = 1 - q
		}
		sum += q * q
	}
	return sum / float64(len(p))
}

func calibrationError(p []float64, failed []bool) float64 {
	var predicted, observed [10]float64
	for i, q := range p {
		k := min(9, int(q*10))
		predicted[k] += q
		if failed[i] {
			observed[k]++
		}
	}
	sum := 0.0
	for k := range predicted {
		sum += math.Abs(predicted[k] - observed[k])
	}
	return sum / float64(len(p))
}
