package predict

import (
	"math"

	"gonum.org/v1/gonum/mat"
)

// Linear is a logistic model over the scaled features: the logit of failure is Intercept + Weights · z, and where it is
// curved, there is a second weight for each feature's square.
type Linear struct {
	Intercept  float64   `json:"intercept"`
	Weights    []float64 `json:"weights"`
	Clip       float64   `json:"clip,omitempty"` // bound on a scaled feature; 0: none
	Curved     bool      `json:"curved,omitempty"`
	Covariance []float64 `json:"covariance,omitempty"` // of the intercept and the weights, row by row; for the interval
}

// Private

// ridge says what a logistic model is pulled to, and how hard.
type ridge struct {
	strength  float64 // precision of each weight about its centre
	intercept float64 // precision of the intercept about its centre; 0 leaves it free
	centre    Linear  // no weights means zeros
	start     Linear  // where the search begins; no weights means at the centre
	spread    bool    // also work out the covariance
}

// fitLogistic finds the most likely weights under the ridge, by Newton's method; with a strength of 1, a free
// intercept and a centre at zero it is scikit-learn's LogisticRegression with C = 1.
func fitLogistic(z [][]float64, failed []bool, weights []float64, r ridge) Linear {
	width := 0
	if len(z) > 0 {
		width = len(z[0])
	} else {
		width = len(r.centre.Weights)
	}
	n := width + 1
	centre, beta := flat(r.centre, width), flat(r.centre, width)
	if len(r.start.Weights) == width {
		beta = flat(r.start, width)
	} else if r.intercept == 0 {
		beta[0] = logit(smoothedRate(failed))
	}
	precision := make([]float64, n)
	for i := range precision {
		precision[i] = r.strength
	}
	// A free intercept still needs a footing where all outcomes are alike.
	precision[0] = max(r.intercept, 1e-6)
	f := newtonStep{z: z, failed: failed, weights: weights, centre: centre, precision: precision,
		gradient: make([]float64, n), hessian: make([]float64, n*n)}
	loss := f.loss(beta)
	var chol mat.Cholesky
	for range 50 {
		f.derive(beta)
		if !chol.Factorize(mat.NewSymDense(n, f.hessian)) {
			break
		}
		var step mat.VecDense
		if err := chol.SolveVecTo(&step, mat.NewVecDense(n, f.gradient)); err != nil {
			break
		}
		next, nextLoss := descend(&f, beta, step.RawVector().Data, loss)
		done := loss-nextLoss < 1e-9*(1+math.Abs(loss))
		beta, loss = next, nextLoss
		if done {
			break
		}
	}
	l := Linear{Intercept: beta[0], Weights: beta[1:]}
	if r.spread {
		l.Covariance = inverse(&f, beta)
	}
	return l
}

// descend halves the step until the loss falls.
func descend(f *newtonStep, beta, step []float64, loss float64) ([]float64, float64) {
	next := make([]float64, len(beta))
	for size := 1.0; size > 1e-6; size /= 2 {
		for i := range beta {
			next[i] = beta[i] - size*step[i]
		}
		if l := f.loss(next); l <= loss {
			return next, l
		}
	}
	return beta, loss
}

func inverse(f *newtonStep, beta []float64) []float64 {
	n := len(beta)
	f.derive(beta)
	var chol mat.Cholesky
	if !chol.Factorize(mat.NewSymDense(n, f.hessian)) {
		return nil
	}
	var inv mat.SymDense
	if err := chol.InverseTo(&inv); err != nil {
		return nil
	}
	out := make([]float64, 0, n*n)
	for i := range n {
		for j := range n {
			out = append(out, inv.At(i, j))
		}
	}
	return out
}

// newtonStep holds the data of one fit and the room for its derivatives.
type newtonStep struct {
	z                 [][]float64
	failed            []bool
	weights           []float64 // of the rows; nil: all count once
	centre, precision []float64
	gradient, hessian []float64
}

func (f *newtonStep) loss(beta []float64) float64 {
	sum := 0.0
	for i, row := range f.z {
		sum += f.weight(i) * surprise(dot(beta, row), f.failed[i])
	}
	for j, b := range beta {
		sum += f.precision[j] * (b - f.centre[j]) * (b - f.centre[j]) / 2
	}
	return sum
}

func (f *newtonStep) derive(beta []float64) {
	n := len(beta)
	clear(f.hessian)
	for j, b := range beta {
		f.gradient[j] = f.precision[j] * (b - f.centre[j])
		f.hessian[j*n+j] = f.precision[j]
	}
	for i, row := range f.z {
		p := sigmoid(dot(beta, row))
		off := p
		if f.failed[i] {
			off = p - 1
		}
		w := p * (1 - p) * f.weight(i)
		off *= f.weight(i)
		f.gradient[0] += off
		f.hessian[0] += w
		first := f.hessian[1:n]
		for j, v := range row {
			f.gradient[j+1] += off * v
			wv := w * v
			first[j] += wv
			if v == 0 {
				continue
			}
			upper := f.hessian[(j+1)*n+j+1 : (j+2)*n]
			for k, u := range row[j:] {
				upper[k] += wv * u
			}
		}
	}
}

func (f *newtonStep) weight(i int) float64 {
	if f.weights == nil {
		return 1
	}
	return f.weights[i]
}

// logit of a scaled row.
func (l *Linear) logit(z []float64) float64 {
	sum := l.Intercept
	for i, w := range l.Weights {
		sum += w * l.term(z, i)
	}
	return sum
}

// term is what the i-th weight multiplies.
func (l *Linear) term(z []float64, i int) float64 {
	if i >= len(z) {
		return curve(l.clipped(z[i-len(z)]))
	}
	return l.clipped(z[i])
}

func (l *Linear) clipped(v float64) float64 {
	if l.Clip == 0 {
		return v
	}
	return min(l.Clip, max(-l.Clip, v))
}

// curve is a scaled feature's square, about as large as the feature, and no larger further out.
func curve(v float64) float64 {
	v = min(3, max(-3, v))
	return (v*v - 1) / 2
}

// variance of the logit of a scaled row: how much the weights themselves are in doubt.
func (l *Linear) variance(z []float64) float64 {
	n := len(l.Weights) + 1
	if len(l.Covariance) != n*n {
		return 0
	}
	at := func(i int) float64 {
		if i == 0 {
			return 1
		}
		return l.term(z, i-1)
	}
	sum := 0.0
	for i := range n {
		inner := 0.0
		for j, c := range l.Covariance[i*n : (i+1)*n] {
			inner += c * at(j)
		}
		sum += at(i) * inner
	}
	return max(0, sum)
}

func flat(l Linear, width int) []float64 {
	beta := make([]float64, width+1)
	beta[0] = l.Intercept
	copy(beta[1:], l.Weights)
	return beta
}

func dot(beta, row []float64) float64 {
	sum := beta[0]
	for j, v := range row {
		sum += beta[j+1] * v
	}
	return sum
}
