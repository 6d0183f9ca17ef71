package predict

import "math"

// Private

// sample is what the experts are trained on, in time order.
type sample struct {
	raw      [][]float64
	failed   []bool
	services []string
}

// Linear experts: bound on a scaled feature, outcomes after which one counts half, precision of the intercept (what
// Beta(0.6, 19.4) is worth), precision of a service's own weights and intercept about everybody's, and the outcomes
// that it takes.
const (
	linearClip       = 6.0
	linearHalfLife   = 3000.0
	interceptTie     = 0.6
	serviceTie       = 50.0
	serviceIntercept = 2.0
	serviceRows      = 20
	textbookRows     = 20
)

// The precisions of the ridges, by expert.
var ridges = [...]struct {
	expert   int
	strength float64
}{{ridgeWeak, 10}, {ridgeMiddle, 50}, {ridgeStrong, 200}}

// fitLinear trains the linear experts.
func (m *Model) fitLinear(s sample, prior *Prior) {
	z, values := m.scaled(s.raw)
	before := m.startOf(textbook, m.Scale.width())
	m.Experts[textbook].Linear = nil
	if failures := count(s.failed); len(z) >= textbookRows && failures > 0 && failures < len(z) {
		plain := fitLogistic(z, s.failed, nil, ridge{strength: 1, start: before})
		m.Experts[textbook].Linear = &plain
	}
	for i, v := range values {
		values[i] = min(linearClip, max(-linearClip, v))
	}
	centre := prior.linear(m.Features, &m.Scale)
	centre.Clip = linearClip
	m.Experts[shippedPrior].Linear = &centre
	weights := recency(len(z))
	for _, r := range ridges {
		fit := fitLogistic(z, s.failed, weights, ridge{strength: r.strength, intercept: interceptTie, centre: centre,
			start: m.startOf(r.expert, m.Scale.width()), spread: r.expert == ridgeMiddle})
		fit.Clip = linearClip
		m.Experts[r.expert].Linear = &fit
	}
	m.fitServices(z, s, *m.Experts[ridgeWeak].Linear)
	m.fitCurved(z, s.failed, weights, centre)
}

// fitCurved adds the features' squares, so that a risk may fall again where a feature is large.
func (m *Model) fitCurved(z [][]float64, failed []bool, weights []float64, centre Linear) {
	if len(failed) < textbookRows {
		return
	}
	width := m.Scale.width()
	values := make([]float64, 0, 2*width*len(z))
	squared := make([][]float64, len(z))
	for i, row := range z {
		values = append(values, row...)
		for _, v := range row {
			values = append(values, curve(v))
		}
		squared[i] = values[len(values)-2*width:]
	}
	wide := Linear{Intercept: centre.Intercept, Weights: make([]float64, 2*width)}
	copy(wide.Weights, centre.Weights)
	fit := fitLogistic(squared, failed, weights, ridge{strength: ridges[0].strength, intercept: interceptTie, centre: wide, start: m.startOf(curved, 2*width)})
	fit.Clip, fit.Curved = linearClip, true
	m.Experts[curved].Linear = &fit
}

// fitServices gives each service weights of its own, near everybody's.
func (m *Model) fitServices(z [][]float64, s sample, everybody Linear) {
	e := &m.Experts[perService]
	e.Linear, e.Services = nil, nil
	rows := map[string][]int{}
	for i, g := range s.services {
		rows[g] = append(rows[g], i)
	}
	if len(rows) < 2 {
		return
	}
	e.Linear, e.Services = &everybody, map[string]*Linear{}
	for g, of := range rows {
		if len(of) < serviceRows {
			continue
		}
		var mine [][]float64
		var failed []bool
		for _, i := range of {
			mine, failed = append(mine, z[i]), append(failed, s.failed[i])
		}
		fit := fitLogistic(mine, failed, nil, ridge{strength: serviceTie, intercept: serviceIntercept, centre: everybody})
		fit.Clip = linearClip
		e.Services[g] = &fit
	}
}

// fitTrees trains the trees, and the averages that they are in.
func (m *Model) fitTrees(s sample, seed uint64) {
	table := newBinned(s.raw)
	if len(table.varying) == 0 {
		return
	}
	m.Experts[boosted].Ensemble = fitBoosted(table, s.failed, nil, shallow, seed)
	m.Experts[boostedDeep].Ensemble = fitBoosted(table, s.failed, nil, deep, seed+1)
	m.Experts[forest].Ensemble = fitForest(table, s.failed, seed+2)
	below := Linear{Intercept: m.Experts[ridgeWeak].Linear.Intercept, Weights: m.Experts[ridgeWeak].Linear.Weights, Clip: linearClip}
	z, _ := m.scaled(s.raw)
	offsets := make([]float64, len(z))
	for i, row := range z {
		offsets[i] = below.logit(row)
	}
	m.Experts[boostedOnRidge].Linear = &below
	m.Experts[boostedOnRidge].Ensemble = fitBoosted(table, s.failed, offsets, onTop, seed+3)
	m.Experts[blendAll].Members = []int{ridgeWeak, ridgeMiddle, curved, boosted, boostedOnRidge}
	if m.Experts[perService].Linear != nil {
		m.Experts[blendAll].Members = append(m.Experts[blendAll].Members, perService)
	}
	m.Experts[blendTrees].Members = []int{ridgeWeak, boosted, boostedDeep, forest}
	// What others take for such tables: with it among the experts, the answer loses little against them.
	m.Experts[blendUsual].Members = []int{textbook, boosted}
}

// dropTrees forgets the trees and the averages that they are in: some stand on weights, which fit one scale only.
func (m *Model) dropTrees() {
	m.Experts[boostedOnRidge].Linear = nil
	for _, k := range []int{boosted, boostedDeep, forest, boostedOnRidge} {
		m.Experts[k].Ensemble = nil
	}
	for _, k := range []int{blendAll, blendTrees, blendUsual} {
		m.Experts[k].Members = nil
	}
}

// scaled rows, and all their values in one.
func (m *Model) scaled(raw [][]float64) (rows [][]float64, values []float64) {
	width := m.Scale.width()
	rows, values = make([][]float64, len(raw)), make([]float64, len(raw)*width)
	for i, r := range raw {
		rows[i] = values[i*width : (i+1)*width]
		m.Scale.apply(r, rows[i])
	}
	return rows, values
}

// startOf is where the search for an expert's weights begins: at the last ones, if they still fit.
func (m *Model) startOf(k, width int) Linear {
	if l := m.Experts[k].Linear; l != nil && len(l.Weights) == width {
		return *l
	}
	return Linear{}
}

// recency is the weight of each outcome, the last one's is 1.
func recency(n int) []float64 {
	w := make([]float64, n)
	for i := range w {
		w[i] = math.Exp2(-float64(n-1-i) / linearHalfLife)
	}
	return w
}
