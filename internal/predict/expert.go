package predict

import "math"

// Expert is one way to an answer: a linear model, trees, trees on top of a linear model, or the average of others. An
// expert with none of them has not seen enough yet, and answers with the base rate.
type Expert struct {
	Name     string             `json:"name"`
	Linear   *Linear            `json:"linear,omitempty"`
	Services map[string]*Linear `json:"services,omitempty"` // a service's own weights; the others have Linear's
	Ensemble *Ensemble          `json:"ensemble,omitempty"`
	Members  []int              `json:"members,omitempty"` // the experts whose logits are averaged
	Slope    float64            `json:"slope"`             // calibration: logit × Slope + Offset
	Offset   float64            `json:"offset"`
	Weight   float64            `json:"weight"` // in the answer; all weights add up to 1
}

// ExpertNames are the experts, in the order of a Model's and of a Prediction's.
func ExpertNames() []string { return append([]string(nil), expertNames[:]...) }

// Private

// The experts, in their order; an average comes after its members.
const (
	baseRate = iota
	recentRate
	shippedPrior
	textbook
	ridgeWeak
	ridgeMiddle
	ridgeStrong
	curved
	perService
	boosted
	boostedDeep
	boostedOnRidge
	forest
	blendAll
	blendTrees
	blendUsual
	expertCount
)

var expertNames = [expertCount]string{"base_rate", "recent_rate", "prior", "logistic", "logistic_to_prior_10",
	"logistic_to_prior_50", "logistic_to_prior_200", "logistic_curved", "services", "boosted", "boosted_deep",
	"boosted_on_logistic", "forest", "blend", "blend_trees", "blend_usual"}

// beforehand is the weight of each expert before the first outcome, up to a factor. Those that have not seen enough
// say the base rate meanwhile.
var beforehand = [expertCount]float64{baseRate: 4, recentRate: 1, shippedPrior: 4, textbook: .2, ridgeWeak: 1, ridgeMiddle: 2,
	ridgeStrong: 4, curved: .5, perService: 1, boosted: 1, boostedDeep: 1, boostedOnRidge: 1, forest: 1, blendAll: 25, blendTrees: 10,
	blendUsual: 15}

func firstWeight(k int) float64 {
	sum := 0.0
	for _, w := range beforehand {
		sum += w
	}
	return beforehand[k] / sum
}

// uncalibrated experts answer as they are.
func uncalibrated(k int) bool { return k == baseRate || k == recentRate || k == textbook }

// input is a row as the experts see it.
type input struct {
	raw, z []float64
	group  string
}

func (e *Expert) linearFor(group string) *Linear {
	if own, found := e.Services[group]; found {
		return own
	}
	return e.Linear
}

// logits of all experts for a row, before calibration; NaN where an expert has not seen enough.
func logits(experts []Expert, in input) []float64 {
	out := make([]float64, len(experts))
	for k := range experts {
		e := &experts[k]
		switch {
		case len(e.Members) > 0:
			for _, m := range e.Members {
				out[k] += out[m] / float64(len(e.Members))
			}
			continue
		case e.Linear == nil && e.Ensemble == nil:
			out[k] = math.NaN()
			continue
		}
		if l := e.linearFor(in.group); l != nil {
			out[k] = l.logit(in.z)
		}
		if e.Ensemble != nil {
			out[k] += e.Ensemble.logit(in.raw)
		}
		out[k] = bounded(out[k])
	}
	return out
}

// calibrated turns raw logits into those that are mixed: an expert that has not seen enough says the base rate.
func calibrated(experts []Expert, raw []float64) []float64 {
	out := make([]float64, len(raw))
	for k, l := range raw {
		if math.IsNaN(l) {
			out[k] = raw[baseRate]
			continue
		}
		out[k] = bounded(experts[k].Slope*l + experts[k].Offset)
	}
	return out
}

// mix is the answer: the probability of failure that the experts give together. Averaging probabilities makes it as
// good in log-loss as the best of them, but for a constant.
func mix(experts []Expert, calibrated []float64) float64 {
	sum := 0.0
	for k, l := range calibrated {
		sum += experts[k].Weight * sigmoid(l)
	}
	return sum
}

// How weights move: share of each is dealt out anew at every outcome as it was before the first, so that none is lost
// when times change, and one surprise counts less than in full, because rare failures come in streaks.
const (
	share     = 0.001
	tempering = 0.6
)

// reweigh moves weight to the experts that saw an outcome coming.
func reweigh(experts []Expert, calibrated []float64, failed bool) {
	sum := 0.0
	for k := range experts {
		experts[k].Weight *= math.Exp(-tempering * surprise(calibrated[k], failed))
		sum += experts[k].Weight
	}
	for k := range experts {
		experts[k].Weight = (1-share)*experts[k].Weight/sum + share*firstWeight(k)
	}
}
