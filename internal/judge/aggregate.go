package judge

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/deployguardian/adg"
)

// readValues makes one number of the answer to a query.
func readValues(c adg.Check, m adg.Measurement, now time.Time) reading {
	if c.Aggregate == adg.Latest {
		return readLatest(m.Values)
	}
	var buffer [64]float64
	values, seen := collect(buffer[:0], m.Values, start(c, m, now))
	switch {
	case len(values) > 0:
		return reading{value: combine(c.Aggregate, values), n: float64(len(values))}
	case seen > 0:
		return notANumber
	}
	return reading{why: adg.NoData, text: "there was no sample " + lately(c)}
}

func readLatest(list []adg.Series) reading {
	if r := single(list, combineThem); !r.known() {
		return r
	}
	for _, s := range list {
		if samples := inOrder(s.Samples); len(samples) > 0 {
			return reading{value: samples[len(samples)-1].Value, n: float64(len(samples))}
		}
	}
	return reading{why: adg.NoData, text: "the source answered, and there was no data"}
}

// What helps against several series.
const (
	combineThem = "sum them up in the query, or give the check an aggregate"
	oneByOne    = "a probe is of one thing, so take the smallest in the query, or make it a check each"
)

// single refuses several series where one value is wanted, and says what to do.
func single(list []adg.Series, cure string) reading {
	var first, second *adg.Series
	n := 0
	for i := range list {
		if len(list[i].Samples) == 0 {
			continue
		}
		n++
		switch n {
		case 1:
			first = &list[i]
		case 2:
			second = &list[i]
		}
	}
	if n < 2 {
		return reading{}
	}
	return reading{why: adg.AmbiguousAnswer, text: fmt.Sprintf("the query answers with %d series where one is wanted, %s and %s among them: %s",
		n, labels(first.Labels), labels(second.Labels), cure)}
}

// collect appends the values of all series since then, sorted, and says how many samples there were, NaN included.
func collect(values []float64, list []adg.Series, then time.Time) (sorted []float64, seen int) {
	for _, s := range list {
		for _, sample := range since(inOrder(s.Samples), then) {
			seen++
			if !math.IsNaN(sample.Value) {
				values = append(values, sample.Value)
			}
		}
	}
	slices.Sort(values)
	return values, seen
}

// combine makes one number of sorted values; there is at least one.
func combine(a adg.Aggregate, sorted []float64) float64 {
	switch a {
	case adg.Latest:
		// Only the samples of one series have a latest: see readLatest.
	case adg.Average:
		return sum(sorted) / float64(len(sorted))
	case adg.Largest:
		return sorted[len(sorted)-1]
	case adg.Smallest:
		return sorted[0]
	case adg.Sum:
		return sum(sorted)
	case adg.Median:
		return quantile(sorted, 0.5)
	case adg.P95:
		return quantile(sorted, 0.95)
	}
	return math.NaN()
}

func sum(values []float64) float64 {
	total := 0.0
	for _, v := range values {
		total += v
	}
	return total
}

// quantile interpolates between the two nearest of sorted values.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	i := int(at)
	part := at - float64(i)
	if part == 0 || sorted[i] == sorted[i+1] {
		return sorted[i]
	}
	return sorted[i]*(1-part) + sorted[i+1]*part
}

// labels writes a label set, at most four of it.
func labels(set map[string]string) string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if len(words) == 4 {
			words = append(words, "…")
			break
		}
		words = append(words, plain(name)+"="+`"`+plain(set[name])+`"`)
	}
	return "{" + strings.Join(words, ", ") + "}"
}
