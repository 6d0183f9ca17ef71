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
	values := make([]float64, len(m.Names))
	for i, name := range m.Names {
		v, known := features[name]
		if !known {
			v = math.NaN()
		}
		values[i] = v
	}
	p, why := m.Predict(values, service), m.Explain(values, service)
	answer := adg.Prediction{
		At: now, Success: 1 - p.Failure, Low: 1 - p.High, High: 1 - p.Low, Base: 1 - p.Experts[0],
		Outcomes: m.Card.Outcomes, Standing: m.Card.Standing(), Model: id, Missing: why.Missing, Features: features,
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

// Moment are the features that only the time has: hour (0 to 23) and dow (0 for Monday), in UTC.
func Moment(at time.Time) map[string]float64 {
	at = at.UTC()
	return map[string]float64{"hour": float64(at.Hour()), "dow": float64((int(at.Weekday()) + 6) % 7)}
}

// Circumstances are the features of a deployment that an installation knows by itself: the moment, and what became of the
// deployments before it in its environment, the newest first. What was blocked is no failure: it was never tried.
//
//   - h_since_last_deploy: hours since the service's last one
//   - h_deploys_24h: deployments of all services within a day
//   - h_reverts_7d: of all services within seven days, those that were rolled back or could not be
//   - h_sub_fail: share of the service's that were
//   - deploy_no: number of the service's deployment
//   - under_way: deployments of others that have not ended
func Circumstances(past []adg.Deployment, service string, now time.Time) map[string]float64 {
	features := Moment(now)
	own, ownFailed, day, week, live := 0.0, 0.0, 0.0, 0.0, 0.0
	for _, d := range past {
		age := now.Sub(d.Spec.Created)
		failed := d.Status.State == adg.RolledBack || d.Status.State == adg.RollbackFailed
		if age < 24*time.Hour {
			day++
		}
		if failed && age < 7*24*time.Hour {
			week++
		}
		if d.Spec.Policy.Service != service {
			if !d.Status.State.Ended() {
				live++
			}
			continue
		}
		if own++; own == 1 {
			features["h_since_last_deploy"] = age.Hours()
		}
		if failed {
			ownFailed++
		}
	}
	features["h_deploys_24h"], features["h_reverts_7d"], features["under_way"], features["deploy_no"] = day, week, live, own+1
	if own > 0 {
		features["h_sub_fail"] = ownFailed / own
	}
	return features
}

// Private

// least is the smallest contribution that is told, as a probability: a twentieth of a point.
const least = 0.0005

func sorted(features map[string]float64) []string {
	names := make([]string, 0, len(features))
	for name := range features {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
