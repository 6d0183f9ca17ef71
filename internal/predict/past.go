package predict

import "math"

// Past is what is remembered of the outcomes: for the rates, and for the features that are made of them.
type Past struct {
	All      Rate            `json:"all"`
	Recent   Rate            `json:"recent"` // for the expert that follows a changing rate
	Lately   Rate            `json:"lately"` // for the feature, shorter
	Services map[string]Rate `json:"services"`
	Lead     Lead            `json:"lead"`
}

// Rate counts outcomes; where it forgets, older ones count less.
type Rate struct {
	Failed float64 `json:"failed"`
	Total  float64 `json:"total"`
}

// Lead is how much better the answers were than the running base rate, in log-loss per row, lately.
type Lead struct {
	Rows    float64 `json:"rows"`
	Sum     float64 `json:"sum"`
	Squares float64 `json:"squares"`
}

// Better tells whether the answers beat the base rate beyond chance (95 %, one-sided), and by how much per row.
func (l Lead) Better() (better bool, perRow float64) {
	if l.Rows < 1 {
		return false, 0
	}
	perRow = l.Sum / l.Rows
	deviation := math.Sqrt(max(0, l.Squares/l.Rows-perRow*perRow) / l.Rows)
	return l.Rows >= leadRows && perRow > 1.645*deviation, perRow
}

// Count adds one row: the probabilities of failure by the answer and by the base rate, and what came of it.
func (l Lead) Count(answer, base float64, failed bool) Lead {
	return l.count(loss(base, failed) - loss(answer, failed))
}

// Private

func loss(p float64, failed bool) float64 {
	const least = 1e-15
	return surprise(logit(min(max(p, least), 1-least)), failed)
}

// The names of the features that are made of the past.
const (
	recentFeature        = "recent failures"
	serviceRecentFeature = "the service's recent failures"
)

// What is thought before the first outcome, Beta(0.6, 19.4), and after how many outcomes one counts half.
const (
	priorFailed, priorTotal = 0.6, 20.0
	recentHalfLife          = 500.0
	latelyHalfLife          = 50.0
	serviceHalfLife         = 20.0
	leadHalfLife            = 1000.0
	smoothing               = 5.0
	leadRows                = 30
)

func (p *Past) base() float64 { return (p.All.Failed + priorFailed) / (p.All.Total + priorTotal) }

func (p *Past) recent() float64 { return p.Lately.smoothed(smoothing, p.base()) }

func (p *Past) service(name string) float64 {
	if name == "" {
		return math.NaN()
	}
	return p.Services[name].smoothed(smoothing, p.base())
}

// count remembers an outcome.
func (p *Past) count(service string, failed bool) {
	p.All = p.All.count(failed, math.Inf(1))
	p.Recent = p.Recent.count(failed, recentHalfLife)
	p.Lately = p.Lately.count(failed, latelyHalfLife)
	if service != "" {
		p.Services[service] = p.Services[service].count(failed, serviceHalfLife)
	}
}

func (l Lead) count(gain float64) Lead {
	keep := math.Exp2(-1 / leadHalfLife)
	return Lead{l.Rows*keep + 1, l.Sum*keep + gain, l.Squares*keep + gain*gain}
}

func (r Rate) count(failed bool, halfLife float64) Rate {
	keep := math.Exp2(-1 / halfLife)
	return Rate{r.Failed*keep + float64(bit(failed)), r.Total*keep + 1}
}

// smoothed with so many imagined outcomes at the centre.
func (r Rate) smoothed(imagined, centre float64) float64 {
	return (r.Failed + imagined*centre) / (r.Total + imagined)
}
