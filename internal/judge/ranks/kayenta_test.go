package ranks

import (
	"errors"
	"math"
	"slices"

	"github.com/deployguardian/adg"
)

// kayenta is a straight port of the classification that Kayenta documents by its code: normal approximation, R's zeroin
// with an absolute tolerance of 1e-4. It is what migrating users know, traps included.
func kayenta(t adg.RankTest, candidate, baseline []float64) (class Class, lower, upper, estimate float64, err error) {
	t = withDefaults(t)
	x, y := slices.Clone(candidate), slices.Clone(baseline)
	slices.Sort(x)
	slices.Sort(y)
	if slices.Equal(x, y) {
		return Pass, 0, 0, 0, nil
	}
	alpha := 1 - t.Confidence
	z := math.Sqrt2 * math.Erfinv(2*(alpha/2)-1)
	w := func(mu, q float64) float64 {
		v, failed := kayentaW(x, y, mu)
		if failed != nil {
			err = failed
		}
		return v - q
	}
	muMin, muMax := x[0]-y[len(y)-1], x[len(x)-1]-y[0]
	root := func(q float64) float64 {
		if w(muMin, q) <= 0 {
			return muMin
		}
		if w(muMax, q) >= 0 {
			return muMax
		}
		return zeroin(func(mu float64) float64 { return w(mu, q) }, muMin, muMax, 1e-4)
	}
	lower, upper = root(-z), root(z)
	estimate = zeroin(func(mu float64) float64 { return w(mu, 0) }, muMin, muMax, 1e-4)
	if err != nil {
		return Error, 0, 0, 0, err
	}
	r := Result{Lower: lower, Upper: upper, Estimate: estimate, Effect: effect(t, pair{x: x, y: y})}
	return classify(t, r), lower, upper, estimate, nil
}

func kayentaW(x, y []float64, mu float64) (float64, error) {
	type ranked struct {
		v    float64
		ours bool
	}
	all := make([]ranked, 0, len(x)+len(y))
	for _, v := range x {
		all = append(all, ranked{v - mu, true})
	}
	for _, v := range y {
		all = append(all, ranked{v, false})
	}
	slices.SortFunc(all, func(a, b ranked) int {
		switch {
		case a.v < b.v:
			return -1
		case a.v > b.v:
			return 1
		}
		return 0
	})
	sum, tied := 0.0, 0.0
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j].v == all[i].v {
			j++
		}
		for k := i; k < j; k++ {
			if all[k].ours {
				sum += float64(i+j+1) / 2
			}
		}
		g := float64(j - i)
		tied += g*g*g - g
		i = j
	}
	m, n := float64(len(x)), float64(len(y))
	dz := sum - m*(m+1)/2 - m*n/2
	corr := 0.0
	if dz != 0 {
		corr = math.Copysign(0.5, dz)
	}
	sigma := math.Sqrt(m * n / 12 * ((m + n + 1) - tied/((m+n)*(m+n-1))))
	if !(sigma > 0) {
		return 0, errors.New("all observations are tied")
	}
	return (dz - corr) / sigma, nil
}

// zeroin is R's root finder (Brent 1973).
func zeroin(f func(float64) float64, a, b, tol float64) float64 {
	fa, fb := f(a), f(b)
	c, fc := a, fa
	for range 1001 {
		prev := b - a
		if math.Abs(fc) < math.Abs(fb) {
			a, b, c, fa, fb, fc = b, c, b, fb, fc, fb
		}
		tolAct := 2*0x1p-52*math.Abs(b) + tol/2
		step := (c - b) / 2
		if math.Abs(step) <= tolAct || fb == 0 {
			return b
		}
		if math.Abs(prev) >= tolAct && math.Abs(fa) > math.Abs(fb) {
			var p, q float64
			cb := c - b
			if a == c {
				t1 := fb / fa
				p, q = cb*t1, 1-t1
			} else {
				q = fa / fc
				t1, t2 := fb/fc, fb/fa
				p = t2 * (cb*q*(q-t1) - (b-a)*(t1-1))
				q = (q - 1) * (t1 - 1) * (t2 - 1)
			}
			if p > 0 {
				q = -q
			} else {
				p = -p
			}
			if p < 0.75*cb*q-math.Abs(tolAct*q)/2 && p < math.Abs(prev*q/2) {
				step = p / q
			}
		}
		if math.Abs(step) < tolAct {
			step = math.Copysign(tolAct, step)
		}
		a, fa = b, fb
		b += step
		fb = f(b)
		if (fb > 0 && fc > 0) || (fb < 0 && fc < 0) {
			c, fc = a, fa
		}
	}
	return b
}
