package ranks

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/deployguardian/adg"
)

// Metric is one classified metric of a score.
type Metric struct {
	Name         string
	Groups       []string // it counts in each of them; none: in a group without a name
	Class        Class
	Weight       float64 // within its group; zero: 1
	Critical     bool    // a key check: without its Pass there is none
	MustHaveData bool    // Nodata counts as not passed
	Muted        bool    // does not count at all
}

// Scoring makes one verdict of many metrics: the weighted mean over groups of the share of passed metrics, in percent.
//
// A critical metric that is High, Low or Nodata makes the total 0, and so does Nodata of half of the metrics or more.
// An Error is neither good nor bad news: it does not count in its group, but if a critical metric has one, or half of
// the metrics are Nodata or Error, there is no verdict. A group in which nothing counts is left out, and the other
// weights are scaled up. Without a group that counts there is no verdict.
type Scoring struct {
	Pass     float64            // total from which on it is Pass; zero: 95
	Marginal float64            // total from which on it is Warn, below it is Fail; zero: 75
	Weights  map[string]float64 // percent per group; those without one share what is left to 100. Empty: equal weights
}

// Score is what a scoring comes to.
type Score struct {
	Verdict adg.Verdict // Unknown: there is no verdict
	Total   float64     // 0 to 100, two decimals; NaN without a verdict
	Groups  []Group     // by name
	Text    string      // one sentence for people
}

// Group is the part of a group in a score.
type Group struct {
	Name   string
	Score  float64 // 0 to 100; NaN: nothing in it counts
	Weight float64 // percent of the total, all that count together 100
}

// Score scores metrics. Weights that are negative, not finite or more than 100 together, and limits that are not in
// order between 0 and 100, are an error.
func (s Scoring) Score(metrics []Metric) (Score, error) {
	if s.Pass == 0 {
		s.Pass = 95
	}
	if s.Marginal == 0 {
		s.Marginal = min(75, s.Pass)
	}
	if err := s.validate(metrics); err != nil {
		return Score{}, err
	}
	counted := slices.DeleteFunc(slices.Clone(metrics), func(m Metric) bool { return m.Muted })
	score := Score{Groups: s.groups(counted), Total: math.NaN()}
	if total, text := veto(counted); text != "" {
		score.Text = text
		if !math.IsNaN(total) {
			score.Verdict, score.Total = adg.Fail, total
		}
		return score, nil
	}
	total, weight := 0.0, 0.0
	for _, g := range score.Groups {
		if !math.IsNaN(g.Score) {
			total += g.Score * g.Weight
			weight += g.Weight
		}
	}
	if weight == 0 {
		score.Text = "no verdict: there is no group with a weight in which something counts"
		return score, nil
	}
	score.Total = math.Floor(total/weight*100+0.5) / 100
	limit := ""
	switch {
	case score.Total >= s.Pass:
		score.Verdict, limit = adg.Pass, fmt.Sprintf("pass from %s on", digits(s.Pass))
	case score.Total >= s.Marginal:
		score.Verdict, limit = adg.Warn, fmt.Sprintf("marginal from %s, pass from %s on", digits(s.Marginal), digits(s.Pass))
	default:
		score.Verdict, limit = adg.Fail, fmt.Sprintf("marginal from %s on", digits(s.Marginal))
	}
	score.Text = fmt.Sprintf("score %g of 100 over %d metrics in %d groups; %s", score.Total, len(counted), len(score.Groups), limit)
	return score, nil
}

// Private

func (s Scoring) validate(metrics []Metric) error {
	if !(s.Marginal >= 0 && s.Marginal <= s.Pass && s.Pass <= 100) {
		return adg.Errorf(adg.Invalid, "scores: marginal (%g) and pass (%g) rise from 0 to 100", s.Marginal, s.Pass)
	}
	sum := 0.0
	for name, w := range s.Weights {
		if !(w >= 0) || !finite(w) {
			return adg.Errorf(adg.Invalid, "the weight of group %q is %g percent", name, w)
		}
		sum += w
	}
	if sum > 100+1e-9 {
		return adg.Errorf(adg.Invalid, "the groups' weights add up to %g percent", sum)
	}
	for _, m := range metrics {
		if !(m.Weight >= 0) || !finite(m.Weight) {
			return adg.Errorf(adg.Invalid, "the weight of metric %q is %g", m.Name, m.Weight)
		}
	}
	return nil
}

// groups are the groups of the metrics with their weights, scaled so that those in which something counts have 100.
func (s Scoring) groups(metrics []Metric) []Group {
	type tally struct{ passed, counted float64 }
	tallies := map[string]*tally{}
	for _, m := range metrics {
		in := m.Groups
		if len(in) == 0 {
			in = []string{""}
		}
		weight := m.Weight
		if weight == 0 {
			weight = 1
		}
		for _, name := range in {
			t := tallies[name]
			if t == nil {
				t = &tally{}
				tallies[name] = t
			}
			if m.Class == Pass {
				t.passed += weight
			}
			if m.counts() {
				t.counted += weight
			}
		}
	}
	groups := make([]Group, 0, len(tallies))
	unnamed, given := 0.0, 0.0
	for _, w := range s.Weights {
		given += w
	}
	for name, t := range tallies {
		if _, found := s.Weights[name]; !found {
			unnamed++
		}
		groups = append(groups, Group{Name: name, Score: 100 * t.passed / t.counted})
	}
	slices.SortFunc(groups, func(a, b Group) int { return strings.Compare(a.Name, b.Name) })
	sum := 0.0
	for i, g := range groups {
		if math.IsNaN(g.Score) {
			continue
		}
		weight, found := s.Weights[g.Name]
		if !found {
			weight = max(0, 100-given) / unnamed
		}
		groups[i].Weight = weight
		sum += weight
	}
	for i := range groups {
		if sum > 0 {
			groups[i].Weight *= 100 / sum
		}
	}
	return groups
}

// counts tells whether the metric enters its group's score.
func (m Metric) counts() bool {
	switch m.Class {
	case Pass, High, Low:
		return true
	case Nodata:
		return m.MustHaveData
	case Error:
	}
	return false
}

// veto says why the groups do not matter, if so: the total is 0, or NaN where there is no verdict.
func veto(metrics []Metric) (total float64, text string) {
	if len(metrics) == 0 {
		return math.NaN(), "no verdict: there are no metrics"
	}
	missing, errors, stuck := 0, 0, ""
	for _, m := range metrics {
		switch m.Class {
		case High, Low:
			if m.Critical {
				return 0, fmt.Sprintf("the critical metric %s is %s", m.Name, m.Class)
			}
		case Nodata:
			missing++
		case Error:
			errors++
			if m.Critical && stuck == "" {
				stuck = m.Name
			}
		case Pass:
		}
	}
	for _, m := range metrics {
		if m.Critical && m.Class == Nodata {
			return 0, fmt.Sprintf("the critical metric %s has no data", m.Name)
		}
	}
	switch {
	case 2*missing >= len(metrics):
		return 0, fmt.Sprintf("%d of %d metrics have no data", missing, len(metrics))
	case stuck != "":
		return math.NaN(), fmt.Sprintf("no verdict: the critical metric %s could not be judged", stuck)
	case 2*(missing+errors) >= len(metrics):
		return math.NaN(), fmt.Sprintf("no verdict: %d of %d metrics have no data and %d could not be judged", missing, len(metrics), errors)
	}
	return 0, ""
}
