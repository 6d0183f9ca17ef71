package predict

import (
	"cmp"
	"math"
	"slices"
)

// Explanation takes a prediction apart: Base and the contributions' points add up to the probability of failure.
type Explanation struct {
	Base          float64        `json:"base"` // what the answer would be for a row of which nothing is unusual
	Contributions []Contribution `json:"contributions"`
	Missing       []string       `json:"missing"` // features that this row lacks, and the rows before it had
}

// Contribution is one feature's part in a prediction.
type Contribution struct {
	Feature string   `json:"feature"`
	Value   *float64 `json:"value"` // nil: missing
	Usual   float64  `json:"usual"` // the value in the middle
	Points  float64  `json:"points"`
	Words   string   `json:"words"` // "+9 points: 14 files in 5 directories, usual is 2"
}

// Explain takes the prediction for a row apart, the largest part first. It costs some ten milliseconds.
func (m *Model) Explain(values []float64, service string) Explanation {
	raw := m.complete(values, service)
	in := m.input(raw, service)
	points := make([]float64, len(m.Features)+1)
	e := Explanation{}
	parts := make([]part, len(m.Experts))
	for k := range m.Experts {
		parts[k] = m.part(k, in, parts)
		e.Base += parts[k].spread(m.Experts[k], points)
	}
	for j, p := range points {
		if p == 0 {
			continue
		}
		c := Contribution{Feature: serviceFeature, Points: p}
		if j < len(m.Features) {
			c.Feature, c.Usual = m.Features[j], m.Scale.Usual[j]
			if !math.IsNaN(raw[j]) {
				c.Value = &raw[j]
			}
		}
		e.Contributions = append(e.Contributions, c)
	}
	for j, name := range m.Names {
		if math.IsNaN(raw[j]) && m.Scale.Missing[j] < 1 {
			e.Missing = append(e.Missing, name)
		}
	}
	e.Contributions = worded(e.Contributions)
	slices.SortStableFunc(e.Contributions, func(a, b Contribution) int { return cmp.Compare(math.Abs(b.Points), math.Abs(a.Points)) })
	return e
}

// Private

// serviceFeature stands for what a service is like beyond its features.
const serviceFeature = "the service itself"

// part is one expert's logit, taken apart: bias and phi add up to it. The last of phi is the service itself.
type part struct {
	bias float64
	phi  []float64
}

func (m *Model) part(k int, in input, before []part) part {
	e := &m.Experts[k]
	p := part{phi: make([]float64, len(m.Features)+1)}
	if e.Linear == nil && e.Ensemble == nil && len(e.Members) == 0 {
		p.bias = before[baseRate].bias
		return p
	}
	for _, member := range e.Members {
		share := 1 / float64(len(e.Members))
		p.bias += share * before[member].bias
		for j, v := range before[member].phi {
			p.phi[j] += share * v
		}
	}
	if l := e.linearFor(in.group); l != nil {
		p.bias = e.Linear.Intercept
		p.phi[len(m.Features)] += l.Intercept - e.Linear.Intercept
		for i, w := range l.Weights {
			p.phi[m.Scale.origin(i%len(in.z))] += w * l.term(in.z, i)
		}
	}
	if e.Ensemble != nil {
		p.bias += e.Ensemble.explain(in.raw, p.phi)
	}
	return p
}

// spread adds the expert's part of the answer to the points, in probability, and returns what is left: its base.
func (p part) spread(e Expert, points []float64) float64 {
	slope, offset := e.Slope, e.Offset
	if e.Linear == nil && e.Ensemble == nil && len(e.Members) == 0 {
		slope, offset = 1, 0
	}
	sum := 0.0
	for _, v := range p.phi {
		sum += slope * v
	}
	start := slope*p.bias + offset
	base, all := sigmoid(bounded(start)), sigmoid(bounded(start+sum))
	steep := base * (1 - base)
	if math.Abs(sum) > 1e-9 {
		steep = (all - base) / sum
	}
	for j, v := range p.phi {
		points[j] += e.Weight * steep * slope * v
	}
	return e.Weight * base
}
