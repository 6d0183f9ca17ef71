package predict

import (
	"math"
	"testing"
)

// TestLogisticIsTheOptimum asks for what defines it: with the free intercept and C = 1 of scikit-learn, the derivatives
// of the log-loss plus half the squared weights are zero.
func TestLogisticIsTheOptimum(t *testing.T) {
	w := newWorld(11)
	var z [][]float64
	var failed []bool
	for range 500 {
		values, _, f := w.deployment()
		z, failed = append(z, []float64{math.Log(values[0]), values[2] / 12, values[3]}), append(failed, f)
	}
	l := fitLogistic(z, failed, nil, ridge{strength: 1})
	gradient := append([]float64{0}, l.Weights...)
	for i, row := range z {
		off := sigmoid(l.logit(row)) - float64(bit(failed[i]))
		gradient[0] += off
		for j, v := range row {
			gradient[j+1] += off * v
		}
	}
	for j, g := range gradient {
		if math.Abs(g) > 1e-3 {
			t.Errorf("derivative %d is %g", j, g)
		}
	}
}

func TestPriorHoldsWhereThereIsLittleToLearnFrom(t *testing.T) {
	centre := Linear{Intercept: -3, Weights: []float64{0.7}}
	few := fitLogistic([][]float64{{1}, {-1}}, []bool{false, true}, nil, ridge{strength: 200, intercept: 0.6, centre: centre})
	if math.Abs(few.Weights[0]-0.7) > 0.05 {
		t.Errorf("after two outcomes the weight is %g, the prior's 0.7", few.Weights[0])
	}
	var z [][]float64
	var failed []bool
	for i := range 20000 {
		z, failed = append(z, []float64{float64(i%2*2 - 1)}), append(failed, i%20 == 0)
	}
	if many := fitLogistic(z, failed, nil, ridge{strength: 200, intercept: 0.6, centre: centre}); many.Weights[0] > -0.5 {
		t.Errorf("after twenty thousand outcomes to the contrary it is still %g", many.Weights[0])
	}
}
