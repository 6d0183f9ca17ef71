package predict

import "math"

// Tree is a binary tree in flat arrays: node 0 is the root, a node with Feature < 0 is a leaf.
type Tree struct {
	Feature []int16   `json:"feature"`
	Bin     []uint8   `json:"-"`       // the limit's step; known while training only
	Limit   []float64 `json:"limit"`   // at most the limit goes left
	Left    []int32   `json:"left"`    // the right child follows it
	Missing []bool    `json:"missing"` // a missing value goes left
	Value   []float64 `json:"value"`   // of a leaf
	Cover   []float64 `json:"cover"`   // how many training rows came by
}

// Private

// growth says how a tree grows.
type growth struct {
	depth     int     // at most so many questions in a row
	leaf      float64 // at least so much weight in a leaf
	leafRows  int     // and so many rows
	shrink    float64 // imagined weight of value 0 in each leaf
	perNode   int     // features drawn anew at each node; 0 means all
	scale     float64 // of the leaves' values
	numerator []float64
	weight    []float64
}

// cell is a histogram's step: what fell on it.
type cell struct {
	numerator, weight float64
	rows              int32
}

// grower grows one tree after the other on the same table.
type grower struct {
	table    *binned
	growth   growth
	random   *random
	tree     *Tree
	scratch  []int32
	features []int
	free     [][]cell
}

const cells = maxBins + 1

// grow makes a tree of the rows, which it reorders, with the features.
func (g *grower) grow(rows []int32, features []int) *Tree {
	g.tree = &Tree{}
	g.features = features
	if len(g.scratch) < len(rows) {
		g.scratch = make([]int32, len(rows))
	}
	var histogram []cell
	if g.growth.perNode == 0 {
		histogram = g.take()
		g.fill(histogram, rows)
	}
	g.tree.add()
	g.split(0, rows, histogram, 0)
	return g.tree
}

// split makes a leaf or two children of a node. The histogram is the node's own, and given back.
func (g *grower) split(node int, rows []int32, histogram []cell, depth int) {
	t := g.tree
	total := cell{rows: int32(len(rows))} //nolint:gosec // a table has at most 2^31 rows
	for _, i := range rows {
		total.numerator += g.growth.numerator[i]
		total.weight += g.growth.weight[i]
	}
	t.Cover[node] = float64(len(rows))
	t.Value[node] = g.growth.scale * total.numerator / (total.weight + g.growth.shrink)
	if depth >= g.growth.depth || len(rows) < 2*g.growth.leafRows || total.weight < 2*g.growth.leaf {
		g.give(histogram)
		return
	}
	features := g.features
	if g.growth.perNode > 0 {
		features = g.random.choose(g.features, g.growth.perNode)
		histogram = g.take()
		g.fillOf(histogram, rows, features)
	}
	best := g.best(histogram, features, total)
	if best.feature < 0 {
		g.give(histogram)
		return
	}
	left := g.partition(rows, best)
	t.Feature[node], t.Limit[node], t.Missing[node] = int16(best.feature), g.table.edges[best.feature][best.bin], best.missingLeft //nolint:gosec // features are bounded
	t.Bin[node] = uint8(best.bin)                                                                                                  //nolint:gosec // there are at most maxBins
	child := t.add()
	t.add()
	t.Left[node] = int32(child) //nolint:gosec // as above
	var low, high []cell
	if g.growth.perNode > 0 {
		g.give(histogram)
	} else {
		low, high = g.children(histogram, rows[:left], rows[left:])
	}
	g.split(child, rows[:left], low, depth+1)
	g.split(child+1, rows[left:], high, depth+1)
}

// children fills the smaller side's histogram and takes it from the parent's, which becomes the larger side's.
func (g *grower) children(parent []cell, left, right []int32) (low, high []cell) {
	smaller := g.take()
	rows, swap := left, false
	if len(right) < len(left) {
		rows, swap = right, true
	}
	g.fill(smaller, rows)
	for _, j := range g.features {
		p, s := parent[j*cells:(j+1)*cells], smaller[j*cells:(j+1)*cells]
		for k := range p {
			p[k].numerator -= s[k].numerator
			p[k].weight -= s[k].weight
			p[k].rows -= s[k].rows
		}
	}
	if swap {
		return parent, smaller
	}
	return smaller, parent
}

func (g *grower) fill(histogram []cell, rows []int32) { g.fillOf(histogram, rows, g.features) }

func (g *grower) fillOf(histogram []cell, rows []int32, features []int) {
	for _, j := range features {
		h := histogram[j*cells : (j+1)*cells]
		clear(h)
		column := g.table.bins[j]
		for _, i := range rows {
			c := &h[column[i]]
			c.numerator += g.growth.numerator[i]
			c.weight += g.growth.weight[i]
			c.rows++
		}
	}
}

// choice is a question that parts a node.
type choice struct {
	feature     int // -1: none is worth asking
	bin         int
	missingLeft bool
	gain        float64
}

func (g *grower) best(histogram []cell, features []int, total cell) choice {
	best := choice{feature: -1, gain: 1e-9}
	whole := g.purity(total)
	for _, j := range features {
		h := histogram[j*cells : (j+1)*cells]
		missing := h[missingBin]
		sides := 1
		if missing.rows > 0 {
			sides = 2
		}
		var left cell
		for k := range g.table.edges[j] {
			left.add(h[k])
			if h[k].rows == 0 && k > 0 {
				continue
			}
			for side := range sides {
				a := left
				if side == 1 {
					a.add(missing)
				}
				b := cell{total.numerator - a.numerator, total.weight - a.weight, total.rows - a.rows}
				if int(a.rows) < g.growth.leafRows || int(b.rows) < g.growth.leafRows || a.weight < g.growth.leaf || b.weight < g.growth.leaf {
					continue
				}
				if gain := g.purity(a) + g.purity(b) - whole; gain > best.gain {
					best = choice{j, k, side == 1, gain}
				}
			}
		}
	}
	return best
}

func (c *cell) add(o cell) {
	c.numerator += o.numerator
	c.weight += o.weight
	c.rows += o.rows
}

func (g *grower) purity(c cell) float64 {
	if c.weight <= 0 {
		return 0
	}
	return c.numerator * c.numerator / (c.weight + g.growth.shrink)
}

// partition puts the rows that go left first, keeps their order, and tells how many they are.
func (g *grower) partition(rows []int32, c choice) int {
	column := g.table.bins[c.feature]
	left, right := 0, 0
	for _, i := range rows {
		bin := column[i]
		if bin == missingBin && c.missingLeft || bin != missingBin && int(bin) <= c.bin {
			rows[left] = i
			left++
			continue
		}
		g.scratch[right] = i
		right++
	}
	copy(rows[left:], g.scratch[:right])
	return left
}

func (g *grower) take() []cell {
	if n := len(g.free); n > 0 {
		h := g.free[n-1]
		g.free = g.free[:n-1]
		return h
	}
	return make([]cell, len(g.table.bins)*cells)
}

func (g *grower) give(h []cell) {
	if h != nil {
		g.free = append(g.free, h)
	}
}

func (t *Tree) add() int {
	t.Feature = append(t.Feature, -1)
	t.Bin = append(t.Bin, 0)
	t.Limit = append(t.Limit, 0)
	t.Left = append(t.Left, 0)
	t.Missing = append(t.Missing, false)
	t.Value = append(t.Value, 0)
	t.Cover = append(t.Cover, 0)
	return len(t.Feature) - 1
}

// next is the child that a row goes to.
func (t *Tree) next(node int32, raw []float64) int32 {
	v := raw[t.Feature[node]]
	if v <= t.Limit[node] || t.Missing[node] && math.IsNaN(v) {
		return t.Left[node]
	}
	return t.Left[node] + 1
}

// value of the leaf that a row falls into.
func (t *Tree) value(raw []float64) float64 {
	node := int32(0)
	for t.Feature[node] >= 0 {
		node = t.next(node, raw)
	}
	return t.Value[node]
}
