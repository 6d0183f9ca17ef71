package forecast

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/learn"
)

// Past is what an installation remembers of an environment.
type Past struct {
	Deployments []adg.Deployment // the last ones, in any order
	Corrections []learn.Correction
}

// Start is a deployment that is about to begin.
type Start struct {
	Spec      adg.Spec
	Automatic bool               // a pipeline begins it, not a person
	Paths     []string           // of the files that it changes, as Marks makes them
	Authors   []string           // of the change, the same
	Baselines []adg.Baseline     // what the checks of the policy said of the live release just before; none: not known
	Health    *adg.Assessment    // how that release was doing; nil: not known
	Told      map[string]float64 // what somebody says of it, which counts more than what is found
}

// Moment are the features that only the time has: hour (0 to 23) and dow (0 for Monday), in UTC.
func Moment(at time.Time) map[string]float64 {
	at = at.UTC()
	return map[string]float64{"hour": float64(at.Hour()), "dow": float64((int(at.Weekday()) + 6) % 7)}
}

// Circumstances are the features of a deployment that an installation knows by itself, as Catalogue describes them. How
// earlier ones came out is said as far as that is known by now: what succeeded counts as good from then on.
func Circumstances(past Past, s Start, now time.Time) (map[string]float64, error) {
	features := Moment(now)
	before, err := remembered(past, now)
	if err != nil {
		return nil, err
	}
	policy := s.Spec.Policy
	maps.Copy(features, lately(before, policy.Service, now))
	maps.Copy(features, made(s))
	maps.Copy(features, health(policy, s.Baselines, s.Health))
	maps.Copy(features, reputations(before, s))
	maps.Copy(features, s.Told)
	return features, nil
}

// Marks stand for files or people: hashes, each once, in their order. Of more than the limit those are kept that any
// other choice of the same things keeps, too, so that what two deployments have in common can still be seen.
func Marks(names []string, limit int) []string {
	marks := make([]string, 0, len(names))
	for _, name := range names {
		sum := sha256.Sum256([]byte(name))
		marks = append(marks, hex.EncodeToString(sum[:8]))
	}
	slices.Sort(marks)
	marks = slices.Compact(marks)
	return slices.Clip(marks[:min(len(marks), limit)])
}

// Private

// earlier is a deployment of the past.
type earlier struct {
	adg.Deployment
	failed, known bool // how it came out, if that can be said already
}

// remembered is the past, the newest first, each with what can be said by now.
func remembered(past Past, now time.Time) ([]earlier, error) {
	deployments := slices.Clone(past.Deployments)
	slices.SortStableFunc(deployments, func(a, b adg.Deployment) int { return a.Spec.Created.Compare(b.Spec.Created) })
	h, err := learn.ReadRecords(deployments, past.Corrections, learn.Options{Now: now, Rules: learn.Rules{Matures: -1, Superseded: -1}})
	if err != nil {
		return nil, err
	}
	all := make([]earlier, len(deployments))
	for i, d := range deployments {
		one := earlier{Deployment: d}
		one.failed, one.known = h.Label(h.Deployments[i])
		all[len(all)-1-i] = one
	}
	return all, nil
}

// lately is what happened in the environment, and to the service in it.
func lately(before []earlier, service string, now time.Time) map[string]float64 {
	features := map[string]float64{}
	own, ownFailed, day, week, live := 0.0, 0.0, 0.0, 0.0, 0.0
	for _, d := range before {
		age := now.Sub(d.Spec.Created)
		if age < 24*time.Hour {
			day++
		}
		if d.failed && age < 7*24*time.Hour {
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
		if d.failed {
			ownFailed++
		}
	}
	features["h_deploys_24h"], features["h_reverts_7d"], features["under_way"], features["deploy_no"] = day, week, live, own+1
	if own > 0 {
		features["h_sub_fail"] = ownFailed / own
	}
	return features
}

// made is how the deployment is going to be made.
func made(s Start) map[string]float64 {
	policy := s.Spec.Policy
	features := map[string]float64{
		"production": number(learn.Production(policy.Environment)), "auto": number(s.Automatic), "steps": float64(len(policy.Strategy.Steps)),
	}
	for _, kind := range strategies {
		features[strategyFeature(kind)] = number(kind == policy.Strategy.Kind)
	}
	var bake, verify time.Duration
	for _, step := range policy.Strategy.Steps {
		bake += step.Bake
	}
	for _, phase := range policy.Verify {
		verify += phase.For
	}
	features["bake_min"], features["verify_min"] = bake.Minutes(), verify.Minutes()
	return features
}

var strategies = []adg.StrategyKind{adg.RollingUpdate, adg.BlueGreen, adg.Canary, adg.FeatureFlag, adg.Recreate}

func strategyFeature(kind adg.StrategyKind) string {
	return "strategy_" + strings.ReplaceAll(kind.String(), "-", "_")
}

// health is how the live release was doing. Where several checks say something of a kind, the worst of it counts.
func health(policy adg.Policy, baselines []adg.Baseline, found *adg.Assessment) map[string]float64 {
	features := map[string]float64{}
	worst := func(name string, value float64) {
		if before, there := features[name]; !math.IsNaN(value) && !math.IsInf(value, 0) && (!there || value > before) {
			features[name] = value
		}
	}
	for _, c := range policy.Checks {
		value := math.NaN() // of the last window, else the usual one before it
		if at := slices.IndexFunc(baselines, func(b adg.Baseline) bool { return b.Check == c.Name && b.Err == "" }); at >= 0 {
			b := baselines[at]
			value = median(b.Values)
			if c.Counts() && c.Compare != adg.Events {
				worst("base_error_rate", b.Bad/b.Total)
			}
			if c.Histogram != "" {
				worst("base_latency_s", value)
			}
		}
		if found != nil {
			at := slices.IndexFunc(found.Judgements, func(j adg.Judgement) bool { return j.Check == c.Name && j.Value != nil })
			if at >= 0 {
				value = *found.Judgements[at].Value
			}
		}
		if limit, _ := c.Fail.Limits(0); !c.Fail.Relative && (c.Fail.Operator == adg.Above || c.Fail.Operator == adg.AtLeast) && limit > 0 {
			worst("base_saturation", value/limit)
		}
	}
	if found == nil || found.Health == adg.HealthUnknown {
		return features
	}
	features["base_health_score"], features["base_failing_checks"] = found.Score, 0
	for _, j := range found.Judgements {
		if j.Verdict == adg.Fail {
			features["base_failing_checks"]++
		}
	}
	return features
}

// considered is how many of the last deployments tell of files and people.
const considered = 200

const (
	// imagined is how many deployments of the usual kind a share of failures is mixed with: few ones prove little.
	imagined = 4
	// common is the share of failures that is usual where nothing is known yet.
	common = 0.05
)

// reputations are what became of the last deployments of the same person, files and authors. Who or what was never seen
// has none.
func reputations(before []earlier, s Start) map[string]float64 {
	var all, files, authors, actor tally
	deploys := 0.0
	for i, d := range before {
		same := s.Spec.Actor != "" && d.Spec.Actor == s.Spec.Actor
		if same {
			deploys++
		}
		if !d.known || i >= considered {
			continue
		}
		all.add(d.failed)
		if same {
			actor.add(d.failed)
		}
		p := d.Spec.Prediction
		if p == nil {
			continue
		}
		if d.Spec.Policy.Service == s.Spec.Policy.Service && meet(p.Paths, s.Paths) {
			files.add(d.failed)
		}
		if meet(p.Authors, s.Authors) {
			authors.add(d.failed)
		}
	}
	features := map[string]float64{}
	if s.Spec.Actor != "" {
		features["actor_deploys"] = deploys
	}
	for name, t := range map[string]tally{"actor_fail": actor, "file_fail": files, "author_fail": authors} {
		if t.n > 0 {
			features[name] = t.share(all.share(common))
		}
	}
	return features
}

// tally counts failures.
type tally struct{ failed, n float64 }

func (t *tally) add(failed bool) {
	t.n++
	t.failed += number(failed)
}

// share is that of the failures, mixed with what is usual.
func (t tally) share(usual float64) float64 { return (t.failed + imagined*usual) / (t.n + imagined) }

// meet tells whether two sorted lists have something in common.
func meet(a, b []string) bool {
	for len(a) > 0 && len(b) > 0 {
		switch cmp.Compare(a[0], b[0]) {
		case 0:
			return true
		case -1:
			a = a[1:]
		default:
			b = b[1:]
		}
	}
	return false
}

func number(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// median is the middle of the values; NaN for none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}
