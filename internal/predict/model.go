package predict

import "math"

// Model is what was learned, frozen: it predicts and explains without the rows that it was made of. It is safe for
// concurrent use as long as nobody changes it.
type Model struct {
	Names    []string `json:"names"`    // of the values that a row has
	Features []string `json:"features"` // the names, and what is remembered of the past
	Scale    Scale    `json:"scale"`
	Experts  []Expert `json:"experts"`
	Past     Past     `json:"past"`
	Card     Card     `json:"card"`
}

// Prediction is an answer for one row.
type Prediction struct {
	Failure float64 // probability of failure
	Low     float64 // the 90 % interval for it
	High    float64
	Experts []float64 // each expert's own, in the order of ExpertNames
}

// Predict answers for a row; values has a number per name, NaN where it is missing. A service that was never seen, or
// "", is like all others.
func (m *Model) Predict(values []float64, service string) Prediction {
	in := m.input(m.complete(values, service), service)
	return m.answer(in, calibrated(m.Experts, logits(m.Experts, in)))
}

// Private

func newModel(names []string) Model {
	m := Model{Names: names, Features: append(append([]string(nil), names...), recentFeature, serviceRecentFeature),
		Experts: make([]Expert, expertCount), Past: Past{Services: map[string]Rate{}}}
	for k := range m.Experts {
		m.Experts[k] = Expert{Name: expertNames[k], Slope: 1, Weight: firstWeight(k)}
	}
	m.rates()
	return m
}

// complete adds what is remembered of the past to a row's values. An infinite value is none.
func (m *Model) complete(values []float64, service string) []float64 {
	raw := make([]float64, 0, len(m.Features))
	for _, v := range values {
		if math.IsInf(v, 0) {
			v = math.NaN()
		}
		raw = append(raw, v)
	}
	return append(raw, m.Past.recent(), m.Past.service(service))
}

// rates puts what is remembered into the experts that say nothing else.
func (m *Model) rates() {
	m.Experts[baseRate].Linear = &Linear{Intercept: logit(m.Past.base())}
	m.Experts[recentRate].Linear = &Linear{Intercept: logit(m.Past.Recent.smoothed(priorTotal, priorFailed/priorTotal))}
}

func (m *Model) input(raw []float64, service string) input {
	z := make([]float64, m.Scale.width())
	m.Scale.apply(raw, z)
	return input{raw: raw, z: z, group: service}
}

// quantile is how many deviations a 90 % interval reaches to either side.
const quantile = 1.6449

// answer mixes the experts. The interval holds the doubt about the weights of the linear model, and the experts'
// disagreement.
func (m *Model) answer(in input, calibrated []float64) Prediction {
	p := Prediction{Failure: mix(m.Experts, calibrated), Experts: make([]float64, len(calibrated))}
	centre := logit(p.Failure)
	doubt := 0.0
	for k, l := range calibrated {
		p.Experts[k] = sigmoid(l)
		doubt += m.Experts[k].Weight * (l - centre) * (l - centre)
	}
	if l := m.Experts[ridgeMiddle].Linear; l != nil {
		doubt += l.variance(in.z)
	}
	reach := quantile * math.Sqrt(doubt)
	p.Low, p.High = sigmoid(centre-reach), sigmoid(centre+reach)
	return p
}
