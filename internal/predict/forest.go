package predict

import (
	"math"
	"slices"
)

// Ensemble is many trees. Boosted ones add up to a logit; a forest's are averaged to a probability.
type Ensemble struct {
	Forest bool    `json:"forest"`
	Start  float64 `json:"start"` // what boosting starts from, a logit
	Trees  []*Tree `json:"trees"`
}

// Private

// boosting is how a boosted ensemble is made.
type boosting struct {
	trees, depth       int
	rate               float64 // how much of each tree's advice is taken
	rows, columns      float64 // shares that each tree sees
	leafWeight, shrink float64
}

var (
	shallow = boosting{trees: 150, depth: 3, rate: .05, rows: .8, columns: .8, leafWeight: 5, shrink: 5}
	onTop   = boosting{trees: 150, depth: 2, rate: .05, rows: .8, columns: .8, leafWeight: 5, shrink: 5}
	deep    = boosting{trees: 300, depth: 5, rate: .05, rows: .8, columns: .6, leafWeight: 5, shrink: 5}
)

// fitBoosted makes trees of which each one corrects those before it. Offsets are logits to begin with; nil is the
// failure rate.
func fitBoosted(table *binned, failed []bool, offsets []float64, b boosting, seed uint64) *Ensemble {
	r := newRandom(seed)
	e := &Ensemble{}
	scores := slices.Clone(offsets)
	if offsets == nil {
		e.Start = logit(smoothedRate(failed))
		scores = slices.Repeat([]float64{e.Start}, table.rows)
	}
	numerator, weight := make([]float64, table.rows), make([]float64, table.rows)
	g := &grower{table: table, random: r, growth: growth{depth: b.depth, leaf: b.leafWeight, leafRows: 5, shrink: b.shrink, scale: b.rate,
		numerator: numerator, weight: weight}}
	rows, columns := make([]int32, 0, table.rows), slices.Clone(table.varying)
	for range b.trees {
		rows = rows[:0]
		for i, s := range scores {
			p := sigmoid(s)
			numerator[i], weight[i] = -p, p*(1-p)
			if failed[i] {
				numerator[i] = 1 - p
			}
			if r.chance(b.rows) {
				rows = append(rows, int32(i)) //nolint:gosec // a table has at most 2^31 rows
			}
		}
		seen := r.choose(columns, int(math.Ceil(b.columns*float64(len(columns)))))
		tree := g.grow(rows, seen)
		e.Trees = append(e.Trees, tree)
		for i := range scores {
			scores[i] += table.value(tree, i)
		}
	}
	return e
}

// A forest's size; leaves are large because failures are rare.
const (
	forestTrees = 100
	forestDepth = 12
	forestLeaf  = 10
)

// fitForest makes trees of which each one sees other rows and, at each node, other features.
func fitForest(table *binned, failed []bool, seed uint64) *Ensemble {
	r := newRandom(seed)
	e := &Ensemble{Forest: true}
	numerator, weight := make([]float64, table.rows), make([]float64, table.rows)
	for i, f := range failed {
		weight[i] = 1
		if f {
			numerator[i] = 1
		}
	}
	columns := slices.Clone(table.varying)
	g := &grower{table: table, random: r, growth: growth{depth: forestDepth, leaf: forestLeaf, leafRows: forestLeaf, scale: 1,
		perNode: max(1, int(math.Sqrt(float64(len(columns))))), numerator: numerator, weight: weight}}
	rows := make([]int32, table.rows)
	for range forestTrees {
		for i := range rows {
			rows[i] = int32(r.below(table.rows)) //nolint:gosec // as above
		}
		e.Trees = append(e.Trees, g.grow(rows, columns))
	}
	return e
}

// value of the leaf that a row of the table falls into.
func (b *binned) value(t *Tree, row int) float64 {
	node := int32(0)
	for t.Feature[node] >= 0 {
		j := t.Feature[node]
		bin := b.bins[j][row]
		right := t.Bin[node] < bin
		if bin == missingBin {
			right = !t.Missing[node]
		}
		node = t.Left[node]
		if right {
			node++
		}
	}
	return t.Value[node]
}

// logit of a raw row.
func (e *Ensemble) logit(raw []float64) float64 {
	sum := 0.0
	for _, t := range e.Trees {
		sum += t.value(raw)
	}
	if !e.Forest {
		return e.Start + sum
	}
	return shareLogit(sum / float64(len(e.Trees)))
}

// shareLogit is the logit of a forest's share, which may be 0 or 1.
func shareLogit(p float64) float64 {
	const half = 0.5 / forestTrees
	return logit((p + half) / (1 + 2*half))
}
