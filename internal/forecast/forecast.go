// Package forecast joins what a release changes, what a history says and what a model has learned: it trains models on
// histories, and predicts deployments.
package forecast

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/predict"
)

// Untaught is a model that has seen no outcome of this installation: it says what public data teach about the features.
func Untaught(features map[string]float64) *predict.Model {
	return predict.NewLearner(sorted(features), predict.Settings{Prior: predict.Shipped()}).Model()
}

// Predict asks a model about a deployment of which the features are known. What the model does not know of is left out.
func Predict(m *predict.Model, id, service string, features map[string]float64, now time.Time) adg.Prediction {
	values := valuesOf(m, features)
	p, why := m.Predict(values, service), m.Explain(values, service)
	answer := adg.Prediction{
		At: now, Success: 1 - p.Failure, Low: 1 - p.High, High: 1 - p.Low, Base: 1 - p.Experts[0],
		Outcomes: m.Card.Outcomes, Standing: m.Card.Standing(), Counted: m.Card.Counted, Model: id, Missing: why.Missing, Features: features,
	}
	for _, c := range why.Contributions {
		if math.Abs(c.Points) < least {
			continue
		}
		_, text, _ := strings.Cut(c.Words, ": ")
		answer.Contributions = append(answer.Contributions, adg.Contribution{Feature: c.Feature, Points: -100 * c.Points, Text: text})
	}
	return answer
}

// Private

// least is the smallest contribution that is told, as a probability: a twentieth of a point.
const least = 0.0005

// valuesOf are the features in the model's order.
func valuesOf(m *predict.Model, features map[string]float64) []float64 {
	values := make([]float64, len(m.Names))
	for i, name := range m.Names {
		v, known := features[name]
		if !known {
			v = math.NaN()
		}
		values[i] = v
	}
	return values
}

func sorted(features map[string]float64) []string {
	names := make([]string, 0, len(features))
	for name := range features {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
