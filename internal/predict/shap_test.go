package predict

import (
	"math"
	"math/bits"
	"testing"
)

// TestPartsOfATreeAreShapleyValues compares with the definition: over all subsets of the features, what a feature adds
// to the value when the others in the subset are known. What is not known goes both ways, as often as the training rows did.
func TestPartsOfATreeAreShapleyValues(t *testing.T) {
	l := NewLearner(worldNames, Settings{Seed: 9})
	w := newWorld(9)
	w.lived(l, many(900))
	m := l.Model()
	for _, tree := range []*Tree{m.Experts[boostedDeep].Ensemble.Trees[0], m.Experts[forest].Ensemble.Trees[0]} {
		for range 5 {
			values, service, _ := w.deployment()
			raw := m.complete(values, service)
			phi := make([]float64, len(raw))
			base := tree.shap(raw, phi)
			if want := tree.expected(0, raw, 0); math.Abs(base-want) > 1e-9 {
				t.Fatalf("base %g, want %g", base, want)
			}
			for j := range raw {
				if want := tree.shapley(raw, j); math.Abs(phi[j]-want) > 1e-9 {
					t.Fatalf("%s: %g, want %g", m.Features[j], phi[j], want)
				}
			}
		}
	}
}

func (t *Tree) shapley(raw []float64, feature int) float64 {
	n, sum := len(raw), 0.0
	factorial := func(k int) float64 { return math.Gamma(float64(k) + 1) }
	for known := range uint(1) << n {
		if known>>feature&1 == 1 {
			continue
		}
		k := bits.OnesCount(known)
		weight := factorial(k) * factorial(n-k-1) / factorial(n)
		sum += weight * (t.expected(0, raw, known|1<<feature) - t.expected(0, raw, known))
	}
	return sum
}

// expected is the tree's value where some features are known.
func (t *Tree) expected(node int32, raw []float64, known uint) float64 {
	f := t.Feature[node]
	if f < 0 {
		return t.Value[node]
	}
	if known>>f&1 == 1 {
		return t.expected(t.next(node, raw), raw, known)
	}
	left, right := t.Left[node], t.Left[node]+1
	return (t.Cover[left]*t.expected(left, raw, known) + t.Cover[right]*t.expected(right, raw, known)) / t.Cover[node]
}
