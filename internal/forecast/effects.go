package forecast

import (
	"maps"

	"github.com/deployguardian/adg/internal/learn"
	"github.com/deployguardian/adg/internal/predict"
)

// Effects are what a model learned about each feature, as its answers for the last hundred deployments of a history show
// it. It takes a second or two.
func Effects(m *predict.Model, h learn.History) []predict.Effect {
	rows := h.Deployments[max(len(h.Deployments)-explained, 0):]
	all := make([]predict.Explanation, len(rows))
	for i, d := range rows {
		features := Moment(d.At)
		maps.Copy(features, d.Features)
		all[i] = m.Explain(valuesOf(m, features), d.Service)
	}
	return predict.Effects(all)
}

// Private

const explained = 100
