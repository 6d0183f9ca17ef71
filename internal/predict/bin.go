package predict

import (
	"math"
	"slices"
	"sort"
)

// Private

// maxBins is how many steps a feature has for a tree; one more stands for a missing value.
const maxBins = 128

// binned is a training table as trees see it: each value is the number of the step that it falls on.
type binned struct {
	rows    int
	bins    [][]uint8   // by feature, then row; len(edges)+1 at most, missing is missingBin
	edges   [][]float64 // by feature: a value is in bin i where it is at most edges[i] and above edges[i-1]
	varying []int       // the features with anything to split
}

const missingBin = maxBins

func newBinned(raw [][]float64) *binned {
	b := &binned{rows: len(raw)}
	if len(raw) == 0 {
		return b
	}
	width := len(raw[0])
	b.bins, b.edges = make([][]uint8, width), make([][]float64, width)
	values := make([]float64, 0, len(raw))
	for j := range width {
		values = values[:0]
		for _, row := range raw {
			if !math.IsNaN(row[j]) {
				values = append(values, row[j])
			}
		}
		b.edges[j] = quantileEdges(values)
		if len(b.edges[j]) == 0 && len(values) > 0 && len(values) < len(raw) {
			b.edges[j] = []float64{values[0]} // one value or none: there or not is the question
		}
		column := make([]uint8, len(raw))
		for i, row := range raw {
			column[i] = binOf(row[j], b.edges[j])
		}
		b.bins[j] = column
		if len(b.edges[j]) > 0 {
			b.varying = append(b.varying, j)
		}
	}
	return b
}

// quantileEdges cuts the sorted values so that each bin holds about as many; between two different values, always.
func quantileEdges(values []float64) []float64 {
	if len(values) == 0 {
		return nil
	}
	slices.Sort(values)
	distinct := slices.Compact(slices.Clone(values))
	var edges []float64
	if len(distinct) <= maxBins {
		for i := 1; i < len(distinct); i++ {
			edges = append(edges, between(distinct[i-1], distinct[i]))
		}
		return edges
	}
	for k := 1; k < maxBins; k++ {
		v := values[k*len(values)/maxBins]
		next := sort.SearchFloat64s(distinct, v)
		if next == 0 {
			continue
		}
		edge := between(distinct[next-1], v)
		if len(edges) == 0 || edge > edges[len(edges)-1] {
			edges = append(edges, edge)
		}
	}
	return edges
}

// between is a limit that low is at most and high is above.
func between(low, high float64) float64 {
	if middle := low + (high-low)/2; middle >= low && middle < high {
		return middle
	}
	return low
}

func binOf(v float64, edges []float64) uint8 {
	if math.IsNaN(v) {
		return missingBin
	}
	return uint8(sort.SearchFloat64s(edges, v)) //nolint:gosec // there are at most maxBins-1 edges
}
