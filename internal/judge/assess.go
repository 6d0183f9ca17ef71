package judge

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/deployguardian/adg"
)

const (
	usualHealthy  = 90 // scores from which health is Healthy and Degraded, where the policy does not say
	usualDegraded = 60
	maxWeight     = 1e9 // keeps sums finite
	maxNamed      = 3   // checks that a text names
)

// Assess makes one health of the judgements: weighted score 0–100 and the critical checks. judgements[i] belongs to
// checks[i]; a check without a judgement is Unknown. Where several sequential checks together find that the release is
// worse, a judgement on that, named [Combined], comes after the others, and health is Unhealthy.
func Assess(now time.Time, checks []adg.Check, judgements []adg.Judgement, s adg.Scoring) adg.Assessment {
	if s.Healthy == 0 {
		s.Healthy = usualHealthy
	}
	if s.Degraded == 0 {
		s.Degraded = usualDegraded
	}
	b := sumUp(checks, judgements)
	a := adg.Assessment{At: now, Judgements: judgements, Health: b.health(s)}
	if b.judged > 0 {
		a.Score = 100 * b.credit / b.judged
	}
	all, found := combined(now, checks, judgements, s.Alpha)
	if found {
		a.Health = adg.Unhealthy
		a.Judgements = append(slices.Clip(judgements), all)
	}
	a.Text = conclusion(a, checks, b)
	if found {
		a.Text += "; " + all.Text
	}
	return a
}

// Private

// balance is what the judgements come to.
type balance struct {
	judged, credit, unknown float64 // weights
	count                   int     // checks that were judged
	criticalFail            bool
	criticalUnknown         bool
}

func sumUp(checks []adg.Check, judgements []adg.Judgement) balance {
	var b balance
	for i, c := range checks {
		w, j := weight(c), judgementOf(judgements, i)
		switch j.Verdict {
		case adg.Pass:
			b.credit += w
		case adg.Warn:
			if j.Why == adg.Preexisting {
				b.credit += w
			} else {
				b.credit += w / 2
			}
		case adg.Fail:
			b.criticalFail = b.criticalFail || c.Critical
		case adg.Unknown:
			b.unknown += w
			b.criticalUnknown = b.criticalUnknown || c.Critical
			continue
		}
		b.judged += w
		b.count++
	}
	return b
}

func (b balance) health(s adg.Scoring) adg.Health {
	switch {
	case b.criticalFail:
		return adg.Unhealthy
	case b.count == 0:
		return adg.HealthUnknown
	case b.criticalUnknown, b.unknown > b.judged:
		if 100*(b.credit+b.unknown)/(b.judged+b.unknown) < s.Degraded {
			return adg.Unhealthy
		}
		return adg.HealthUnknown
	}
	score := 100 * b.credit / b.judged
	switch {
	case score >= s.Healthy:
		return adg.Healthy
	case score >= s.Degraded:
		return adg.Degraded
	default:
		return adg.Unhealthy
	}
}

func weight(c adg.Check) float64 {
	if !(c.Weight > 0) {
		return 1
	}
	return min(c.Weight, maxWeight)
}

func judgementOf(judgements []adg.Judgement, i int) adg.Judgement {
	if i < len(judgements) {
		return judgements[i]
	}
	return adg.Judgement{Text: "not measured yet"}
}

// conclusion is one sentence that names the worst checks, the worst with its reason.
func conclusion(a adg.Assessment, checks []adg.Check, b balance) string {
	var text strings.Builder
	text.WriteString(a.Health.String())
	if b.count > 0 {
		fmt.Fprintf(&text, " with a score of %s", adg.Number(a.Score, 3))
	}
	if len(checks) == 0 {
		return text.String() + ": there is no check"
	}
	named, bad := 0, 0
	for rank := range classesOfBadness {
		for i, c := range checks {
			j := judgementOf(a.Judgements, i)
			if rankOf(c, j, a.Health) != rank {
				continue
			}
			bad++
			if named == maxNamed {
				continue
			}
			named++
			if named == 1 {
				fmt.Fprintf(&text, ": %s (%s)", standing(c, j), j.Text)
			} else {
				text.WriteString(", " + standing(c, j))
			}
		}
	}
	switch {
	case bad > named:
		fmt.Fprintf(&text, " and %d more", bad-named)
	case bad == 0 && len(checks) == 1:
		fmt.Fprintf(&text, ": %s passes", checks[0].Name)
	case bad == 0:
		fmt.Fprintf(&text, ": all %d checks pass", len(checks))
	}
	return text.String()
}

// classesOfBadness is how many classes of badness there are; the class after them is what passes.
const classesOfBadness = 5

// rankOf orders the checks for the text: what made the health what it is comes first.
func rankOf(c adg.Check, j adg.Judgement, h adg.Health) int {
	switch j.Verdict {
	case adg.Fail:
		if c.Critical {
			return 0
		}
		return 2
	case adg.Unknown:
		switch {
		case h == adg.HealthUnknown && c.Critical:
			return 0
		case h == adg.HealthUnknown:
			return 1
		}
		return 4
	case adg.Warn:
		return 3
	case adg.Pass:
	}
	return classesOfBadness
}

func standing(c adg.Check, j adg.Judgement) string {
	name := c.Name
	if c.Critical {
		name += " (critical)"
	}
	switch j.Verdict {
	case adg.Fail:
		return name + " fails"
	case adg.Warn:
		return name + " warns"
	case adg.Unknown:
		return name + " is unknown"
	case adg.Pass:
	}
	return name + " passes"
}
