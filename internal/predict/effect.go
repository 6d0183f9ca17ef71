package predict

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Effect is what a model learned about one feature.
type Effect struct {
	Feature    string  `json:"feature"`
	Importance float64 `json:"importance"` // the mean size of its contribution, as a probability
	Direction  float64 `json:"direction"`  // from -1, more of it makes failure likelier, to 1, more of it makes success likelier
	Text       string  `json:"text"`
}

// Effects are what explanations of many rows have in common, the strongest first.
func Effects(rows []Explanation) []Effect {
	all := map[string]*course{}
	for _, row := range rows {
		for _, c := range row.Contributions {
			one := all[c.Feature]
			if one == nil {
				one = &course{}
				all[c.Feature] = one
			}
			one.add(c)
		}
	}
	effects := make([]Effect, 0, len(all))
	for name, one := range all {
		e := Effect{Feature: name, Importance: one.size / float64(len(rows)), Direction: one.direction()}
		e.Text = fmt.Sprintf("moves the answer by %.1f points; %s", 100*e.Importance, direction(e.Direction))
		effects = append(effects, e)
	}
	slices.SortFunc(effects, func(a, b Effect) int {
		return cmp.Or(cmp.Compare(b.Importance, a.Importance), cmp.Compare(a.Feature, b.Feature))
	})
	return effects
}

// Private

// course adds up what a feature did: its size, and how its values (x) and its points of success (y) go together.
type course struct{ size, n, x, y, xx, yy, xy float64 }

func (c *course) add(one Contribution) {
	c.size += math.Abs(one.Points)
	if one.Value == nil {
		return
	}
	x, y := *one.Value, -one.Points
	c.n, c.x, c.y = c.n+1, c.x+x, c.y+y
	c.xx, c.yy, c.xy = c.xx+x*x, c.yy+y*y, c.xy+x*y
}

// direction is the correlation; 0 where there is none to speak of.
func (c *course) direction() float64 {
	spread := (c.n*c.xx - c.x*c.x) * (c.n*c.yy - c.y*c.y)
	together := (c.n*c.xy - c.x*c.y) / math.Sqrt(spread)
	if !(spread > 1e-12) || math.IsNaN(together) {
		return 0
	}
	return min(max(together, -1), 1)
}

func direction(d float64) string {
	switch {
	case d <= -0.3:
		return "more of it makes failure likelier"
	case d >= 0.3:
		return "more of it makes success likelier"
	default:
		return "which way depends on the rest"
	}
}
