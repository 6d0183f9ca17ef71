package oracle

import (
	"fmt"
	"time"

	"github.com/deployguardian/adg/internal/predict"
)

// Figures say how good predictions were, next to the base rate.
type Figures struct {
	Rows        int
	Score, Base predict.Score // of the predictions, and of the running base rate on the same deployments
	Better      bool          // beyond chance
	Standing    string
	Plot        []predict.Step
	Course      []FigureBucket
}

// FigureBucket is the figures of one stretch of time.
type FigureBucket struct {
	From        time.Time
	Rows        int
	Score, Base predict.Score
}

// Grade says how good predictions were of which the outcomes are known, the oldest first: others do not count. The course
// begins with the stretch of the first, and has no more stretches than there are predictions: empty ones are left out.
func Grade(all []Judged, steps int, bucket time.Duration) Figures {
	var total rows
	var lead predict.Lead
	var f Figures
	var stretch rows
	var from time.Time
	end := func() {
		if len(stretch.failed) > 0 {
			f.Course = append(f.Course, FigureBucket{From: from, Rows: len(stretch.failed), Score: stretch.score(stretch.p), Base: stretch.score(stretch.base)})
		}
		stretch = rows{}
	}
	for _, j := range all {
		if j.Prediction == nil || !j.Known {
			continue
		}
		if at := j.At.UTC().Truncate(bucket); !at.Equal(from) {
			end()
			from = at
		}
		stretch.add(j)
		total.add(j)
		lead = lead.Count(1-j.Prediction.Success, 1-j.Prediction.Base, j.Failed)
	}
	end()
	f.Rows, f.Score, f.Base, f.Plot = len(total.failed), total.score(total.p), total.score(total.base), predict.Reliability(total.p, total.failed, steps)
	f.Better, _ = lead.Better()
	f.Standing = standing(f.Better, total)
	return f
}

// Private

// rows are predicted probabilities of failure, what the base rate said, and what came of it.
type rows struct {
	p, base []float64
	failed  []bool
}

func (r *rows) add(j Judged) {
	r.p, r.base, r.failed = append(r.p, 1-j.Prediction.Success), append(r.base, 1-j.Prediction.Base), append(r.failed, j.Failed)
}

func (r *rows) score(p []float64) predict.Score { return predict.Grade(p, r.base, r.failed) }

func standing(better bool, r rows) string {
	failures := 0
	for _, failed := range r.failed {
		if failed {
			failures++
		}
	}
	switch {
	case len(r.failed) == 0:
		return "no outcome of a prediction is known yet"
	case better:
		return fmt.Sprintf("better than your base rate (%d outcomes, %d failures)", len(r.failed), failures)
	default:
		return fmt.Sprintf("not yet better than your base rate (%d outcomes, %d failures)", len(r.failed), failures)
	}
}
