package learn

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Private

// promote finds the versions that one environment left behind while a later one went on to the next.
func promote(tracks []*track, r Rules, order []string, notes *notes) {
	rank := func(environment string) int {
		if len(order) > 0 {
			return slices.Index(order, environment) + 1
		}
		return ranks[strings.ToLower(environment)]
	}
	byService := map[string][]*track{}
	var services []string
	for _, t := range tracks {
		if len(t.arrivals) == 0 || rank(t.arrivals[0].Environment) == 0 {
			continue
		}
		key := t.arrivals[0].Service + "\x00" + t.noun
		if byService[key] == nil {
			services = append(services, key)
		}
		byService[key] = append(byService[key], t)
	}
	for _, key := range services {
		for _, from := range byService[key] {
			if to := nextPlace(from, byService[key], rank); to != nil {
				judgePromotion(from, to, r, notes)
			}
		}
	}
}

// nextPlace is where an environment's versions go: the lowest that is above it.
func nextPlace(from *track, all []*track, rank func(string) int) *track {
	var next *track
	low := rank(from.arrivals[0].Environment)
	for _, t := range all {
		n := rank(t.arrivals[0].Environment)
		if n > low && (next == nil || n < rank(next.arrivals[0].Environment)) {
			next = t
		}
	}
	return next
}

func judgePromotion(from, to *track, r Rules, notes *notes) {
	reached := map[string]time.Time{}
	for _, a := range slices.Backward(to.arrivals) {
		reached[a.To] = a.At // the first time in the end
	}
	place := to.arrivals[0].Environment
	var waits []time.Duration
	var skipped []int
	var waiting []*arrival
	passed := map[int]time.Time{} // when a later version was promoted
	var later time.Time
	for i, a := range slices.Backward(from.arrivals) {
		at, promoted := reached[a.To]
		switch {
		case a.back:
		case promoted:
			waits = append(waits, max(at.Sub(a.At), 0))
			later = at
		case !later.IsZero():
			skipped = append(skipped, i)
			passed[i] = later
		case a.Outcome == Success:
			waiting = append(waiting, a)
		}
	}
	if len(waits) == 0 {
		return
	}
	slices.Sort(waits)
	usual := waits[len(waits)/2]
	var blocked []int
	for _, i := range skipped {
		a, next := from.arrivals[i], from.after(i)
		if next == nil {
			continue
		}
		switch lived := next.At.Sub(a.At); {
		case a.Outcome == RolledBack || a.Outcome == Hotfixed || a.told:
			blocked = append(blocked, -1) // it did not go on, for a reason that is known
		case lived < max(usual, r.Superseded):
			a.Outcome, a.FailedAt = Superseded, time.Time{}
			a.Why = fmt.Sprintf("replaced by %s after %s, before its turn: promotion to %s usually takes %s", next.To, span(lived), place, span(usual))
		default:
			blocked = append(blocked, i)
		}
	}
	if share := float64(len(waits)) / float64(len(waits)+len(blocked)); share < r.Promoted {
		notes.add("%s takes only %.0f %% of the versions of %s in %s: not being promoted says nothing there", place, 100*share, from.arrivals[0].Service, from.arrivals[0].Environment)
		return
	}
	for _, a := range waiting {
		a.Outcome, a.Why = Unknown, fmt.Sprintf("%s is not in %s, and nothing later is", a.To, place)
	}
	for _, i := range blocked {
		if i < 0 {
			continue
		}
		a := from.arrivals[i]
		a.Outcome, a.FailedAt = Blocked, passed[i]
		a.Why = fmt.Sprintf("%s never reached %s, a later version did", a.To, place)
	}
}
