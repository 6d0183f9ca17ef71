package predict

import "math"

// Private

// step is one question on the way to a leaf: the shares of the training rows and of this row that go on, and the
// weight of the subsets of questions so far.
type step struct {
	feature   int
	zero, one float64
	weight    float64
}

// shap adds each feature's part in a tree's value to phi, by TreeSHAP (Lundberg et al. 2018, algorithm 2): the mean
// over the orders in which the features could have been made known. It returns the value when nothing is known.
func (t *Tree) shap(raw, phi []float64) float64 {
	e := explanation{tree: t, raw: raw, phi: phi}
	e.visit(0, nil, 1, 1, -1)
	return e.mean(0)
}

type explanation struct {
	tree *Tree
	raw  []float64
	phi  []float64
}

func (e *explanation) mean(node int32) float64 {
	t := e.tree
	if t.Feature[node] < 0 {
		return t.Value[node]
	}
	left, right := t.Left[node], t.Left[node]+1
	return (t.Cover[left]*e.mean(left) + t.Cover[right]*e.mean(right)) / t.Cover[node]
}

func (e *explanation) visit(node int32, path []step, zero, one float64, feature int) {
	path = extend(path, zero, one, feature)
	t := e.tree
	if t.Feature[node] < 0 {
		for i := 1; i < len(path); i++ {
			w := 0.0
			for _, s := range unwound(path, i) {
				w += s.weight
			}
			e.phi[path[i].feature] += w * (path[i].one - path[i].zero) * t.Value[node]
		}
		return
	}
	hot := t.next(node, e.raw)
	cold := 2*t.Left[node] + 1 - hot
	zero, one, asked := 1, 1, int(t.Feature[node])
	for i := 1; i < len(path); i++ {
		if path[i].feature == asked {
			zero, one = path[i].zero, path[i].one
			path = unwound(path, i)
			break
		}
	}
	e.visit(hot, path, zero*t.Cover[hot]/t.Cover[node], one, asked)
	e.visit(cold, path, zero*t.Cover[cold]/t.Cover[node], 0, asked)
}

// extend the path by one question.
func extend(path []step, zero, one float64, feature int) []step {
	n := len(path)
	longer := make([]step, n+1)
	copy(longer, path)
	longer[n] = step{feature: feature, zero: zero, one: one}
	if n == 0 {
		longer[0].weight = 1
	}
	for i := n - 1; i >= 0; i-- {
		longer[i+1].weight += one * longer[i].weight * float64(i+1) / float64(n+1)
		longer[i].weight *= zero * float64(n-i) / float64(n+1)
	}
	return longer
}

// unwound is the path as if question i had not been asked.
func unwound(path []step, i int) []step {
	n := len(path) - 1
	shorter := make([]step, n)
	copy(shorter, path[:n])
	one, zero := path[i].one, path[i].zero
	next := path[n].weight
	for j := n - 1; j >= 0; j-- {
		if one != 0 {
			kept := shorter[j].weight
			shorter[j].weight = next * float64(n+1) / (float64(j+1) * one)
			next = kept - shorter[j].weight*zero*float64(n-j)/float64(n+1)
		} else {
			shorter[j].weight *= float64(n+1) / (zero * float64(n-j))
		}
	}
	for j := i; j < n; j++ {
		shorter[j].feature, shorter[j].zero, shorter[j].one = path[j+1].feature, path[j+1].zero, path[j+1].one
	}
	return shorter
}

// explain adds each feature's part in the ensemble's logit to phi and returns the logit when nothing is known.
func (e *Ensemble) explain(raw, phi []float64) float64 {
	if !e.Forest {
		start := e.Start
		for _, t := range e.Trees {
			start += t.shap(raw, phi)
		}
		return start
	}
	parts, mean := make([]float64, len(phi)), 0.0
	for _, t := range e.Trees {
		mean += t.shap(raw, parts)
	}
	n := float64(len(e.Trees))
	sum := 0.0
	for _, v := range parts {
		sum += v / n
	}
	nothing, all := shareLogit(mean/n), shareLogit(mean/n+sum)
	scale := 0.0
	if math.Abs(sum) > 1e-12 {
		scale = (all - nothing) / sum
	}
	for j, v := range parts {
		phi[j] += scale * v / n
	}
	return nothing
}
