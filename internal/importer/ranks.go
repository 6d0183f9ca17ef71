package importer

import "strings"

// Private

// ranks are the settings of a mann-whitney check as Kayenta has them; nil: no such check. How they are written in a
// policy stands in render, and nowhere else.
type ranks struct {
	direction          string  // increase, decrease or either
	replaceNaN         bool    // by zero, rather than leave it out
	outliers           float64 // factor of the interquartile range; zero: none is left out
	cles               bool    // the effect is measured so, not as the ratio of means
	increase, decrease float64 // effects from which on a change counts
}

const (
	compareRanks      = "mann-whitney"
	compareSequential = "sequential"
)

// render writes the settings, those that are the defaults left out.
func (r *ranks) render(p *page) {
	if r == nil {
		return
	}
	settings := []string{"direction: " + r.direction}
	neutral, effect := 1.0, "mean-ratio"
	if r.cles {
		neutral, effect = 0.5, "cles"
	}
	if r.cles || r.increase != neutral || r.decrease != neutral {
		settings = append(settings, "effect: "+effect)
	}
	if r.increase != neutral {
		settings = append(settings, "increase: "+trim(r.increase))
	}
	if r.decrease != neutral {
		settings = append(settings, "decrease: "+trim(r.decrease))
	}
	if r.outliers > 0 {
		settings = append(settings, "outliers: "+trim(r.outliers))
	}
	if r.replaceNaN {
		settings = append(settings, "nan: replace")
	}
	p.line("    ", "mann_whitney: {%s}", strings.Join(settings, ", "))
}
