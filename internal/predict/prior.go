package predict

import (
	"cmp"

	"slices"
)

// Prior is what other repositories teach before the first outcome: weights over scaled features, by name.
type Prior struct {
	Sources  []string
	Features map[string]PriorFeature
}

// PriorFeature is what a prior says of one feature.
type PriorFeature struct {
	Weight float64 // of the scaled feature, on the logit of failure
	Mean   float64 // of its signed logarithm
	Dev    float64
}

// Source is a table that a prior is made of.
type Source struct {
	Name   string
	Names  []string
	Rows   [][]float64
	Failed []bool
}

// FitPrior makes a prior of tables, which all count the same however long they are. Each is scaled by itself and has
// its own base rate; a feature that a table lacks counts for nothing there.
func FitPrior(sources []Source) *Prior {
	p := &Prior{Features: map[string]PriorFeature{}}
	seen := map[string]float64{}
	scales := make([]Scale, len(sources))
	for i, s := range sources {
		p.Sources = append(p.Sources, s.Name)
		scales[i] = fitScale(s.Rows, len(s.Names), (*Prior)(nil).moments(s.Names))
		for j, name := range s.Names {
			name = canonical(name)
			f := p.Features[name]
			n := seen[name]
			f.Mean, f.Dev = (n*f.Mean+scales[i].Mean[j])/(n+1), (n*f.Dev+scales[i].Dev[j])/(n+1)
			p.Features[name], seen[name] = f, n+1
		}
	}
	names := sortedNames(p.Features)
	position := map[string]int{}
	for i, name := range names {
		position[name] = i
	}
	width := len(names) + len(sources)
	var z [][]float64
	var failed []bool
	var weights []float64
	for i, s := range sources {
		weight := min(1, priorFailures/float64(max(1, min(count(s.Failed), len(s.Failed)-count(s.Failed)))))
		scaled := make([]float64, scales[i].width())
		for r, raw := range s.Rows {
			scales[i].apply(raw, scaled)
			row := make([]float64, width)
			for j, name := range s.Names {
				row[position[canonical(name)]] = min(linearClip, max(-linearClip, scaled[j]))
			}
			row[len(names)+i] = ownRate
			z, failed, weights = append(z, row), append(failed, s.Failed[r]), append(weights, weight)
		}
	}
	fit := fitLogistic(z, failed, weights, ridge{strength: priorRidge})
	for i, name := range names {
		f := p.Features[name]
		f.Weight = fit.Weights[i]
		p.Features[name] = f
	}
	return p
}

// Private

// A table counts as if it had so many failures; precision of the weights; and the size of the number that stands for a
// table's own base rate, so large that the ridge hardly holds it.
const (
	priorFailures = 300.0
	priorRidge    = 30.0
	ownRate       = 10.0
)

func sortedNames(features map[string]PriorFeature) []string {
	var names []string
	for name := range features {
		names = append(names, name)
	}
	slices.SortFunc(names, cmp.Compare[string])
	return names
}

func (p *Prior) moments(features []string) func(int) (mean, dev float64, known bool) {
	return func(j int) (float64, float64, bool) {
		if p == nil {
			return 0, 0, false
		}
		f, found := p.Features[canonical(features[j])]
		return f.Mean, f.Dev, found
	}
}

// linear is the prior's model of the features, at the base rate that is thought beforehand.
func (p *Prior) linear(features []string, s *Scale) Linear {
	l := Linear{Intercept: logit(priorFailed / priorTotal), Weights: make([]float64, s.width())}
	if p == nil {
		return l
	}
	spread := 0.0
	for j, name := range features {
		if f, found := p.Features[canonical(name)]; found && s.Dev[j] > 0 {
			l.Weights[j] = f.Weight
			spread += f.Weight * f.Weight
		}
	}
	// The mean of many risks is above the risk at the mean: half a variance of the logit makes up for it.
	l.Intercept -= min(1, spread/2)
	return l
}

// aliases are other tools' words for the same feature.
var aliases = map[string]string{"ent": "entropy", "aexp": "exp", "arexp": "rexp", "asexp": "sexp", "mean_exp": "exp", "npt": "npriorchanges",
	"h_app_fail": "h_sub_fail", "h_fail_7d_platform": "h_reverts_7d", "h_deploys_24h_platform": "h_deploys_24h"}

func canonical(name string) string {
	if to, found := aliases[name]; found {
		return to
	}
	return name
}
