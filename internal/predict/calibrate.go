package predict

import "math"

// Private

// judged is a prediction whose outcome came to be known: what calibration and the mixture learn from. The model that
// made it had not seen the outcome.
type judged struct {
	logits []float64 // of every expert, before calibration
	failed bool
	answer float64 // what was said, and what the running base rate said: probabilities of failure
	base   float64
}

// Calibration looks at so many outcomes at most, and one counts half once so many more came after it. The shift, and
// even more the slope, are only believed when the evidence outweighs these precisions: rare failures come in streaks,
// and chasing those costs more than it gains.
const (
	calibrationRows     = 8000
	calibrationHalfLife = 500.0
	calibrationEvery    = 25   // outcomes, at least
	calibrationGrowth   = 0.02 // share of the outcomes, at least
	shiftPrecision      = 30.0
	slopePrecision      = 200.0
	slopeOutcomes       = 50 // so many of each kind before the slope is touched
)

// calibrate finds the shift, then the slope, that would have served an expert best; both are pulled to none.
func calibrate(window []judged, k int) (slope, offset float64) {
	slope = 1
	var rows []calibrationRow
	kinds := [2]int{}
	for i := len(window) - 1; i >= 0; i-- {
		if l := window[i].logits[k]; !math.IsNaN(l) {
			rows = append(rows, calibrationRow{l, 1, window[i].failed})
			kinds[bit(window[i].failed)]++
		}
	}
	for i := range rows {
		rows[i].weight = math.Exp2(-float64(i) / calibrationHalfLife)
	}
	for range 12 {
		step := shiftStep(rows, offset)
		offset -= step
		if math.Abs(step) < 1e-4 {
			break
		}
	}
	if min(kinds[0], kinds[1]) < slopeOutcomes {
		return slope, offset
	}
	for range 12 {
		before := slope
		slope, offset = sigmoidStep(rows, slope, offset)
		if math.Abs(slope-before) < 1e-4 {
			break
		}
	}
	return min(3, max(0, slope)), offset
}

type calibrationRow struct {
	logit, weight float64
	failed        bool
}

func shiftStep(rows []calibrationRow, offset float64) float64 {
	gradient, curvature := shiftPrecision*offset, shiftPrecision
	for _, r := range rows {
		p := sigmoid(r.logit + offset)
		gradient += r.weight * (p - float64(bit(r.failed)))
		curvature += r.weight * p * (1 - p)
	}
	return min(1, max(-1, gradient/curvature))
}

func sigmoidStep(rows []calibrationRow, slope, offset float64) (newSlope, newOffset float64) {
	ga, gb := slopePrecision*(slope-1), shiftPrecision*offset
	aa, ab, bb := slopePrecision, 0.0, shiftPrecision
	for _, r := range rows {
		p := sigmoid(slope*r.logit + offset)
		off, w := r.weight*(p-float64(bit(r.failed))), r.weight*p*(1-p)
		ga += off * r.logit
		gb += off
		aa += w * r.logit * r.logit
		ab += w * r.logit
		bb += w
	}
	det := aa*bb - ab*ab
	if det <= 0 {
		return slope, offset
	}
	da, db := (bb*ga-ab*gb)/det, (aa*gb-ab*ga)/det
	size := 1.0
	if m := max(math.Abs(da), math.Abs(db)); m > 1 {
		size = 1 / m
	}
	return slope - size*da, offset - size*db
}

func bit(failed bool) int {
	if failed {
		return 1
	}
	return 0
}
