package learn

import (
	"fmt"
	"slices"
	"time"
)

// Private

// maxPassed is how many deployments one that goes back can pass over: nobody goes back further than this at once.
const maxPassed = 1000

// arrival is a deployment as its source tells it.
type arrival struct {
	Deployment
	fix     bool // made to repair something
	revert  bool // somebody wrote that it goes back
	planned bool // going back was meant from the start
	back    bool // it does go back: the source knows, or the order of the versions says so
	behind  bool // it was certainly no step forward, whatever the versions look like
	told    bool // the source itself says how it ended
}

// track is what became live in one place, one after the other.
type track struct {
	noun     string // of what the versions are
	arrivals []*arrival
	first    map[string]int // when each version was seen first
}

// newTrack takes arrivals in the order in which they happened, whatever their clocks say.
func newTrack(noun string, arrivals []*arrival) *track {
	t := &track{noun: noun, arrivals: arrivals, first: map[string]int{}}
	for i, a := range arrivals {
		if i == 0 && a.From != "" {
			t.first[a.From] = -1
		}
		if i > 0 && a.At.Before(arrivals[i-1].At) {
			a.At = arrivals[i-1].At
		}
		if _, seen := t.first[a.To]; !seen {
			t.first[a.To] = i
		}
		if a.From != "" && a.From != a.To && !a.behind {
			a.back = a.back || t.below(a.To, a.From)
		}
	}
	return t
}

// below tells whether one version comes before another: by their numbers, or else by which was live first.
func (t *track) below(a, b string) bool {
	if order, ok := compareVersions(a, b); ok {
		return order < 0
	}
	first, seen1 := t.first[a]
	second, seen2 := t.first[b]
	return seen1 && seen2 && first < second
}

// label tells each arrival's outcome by what came after it.
func (t *track) label(r Rules, now time.Time) {
	for i, a := range t.arrivals {
		if a.back {
			t.leave(i, r)
		}
	}
	for i, a := range t.arrivals {
		switch {
		case a.Outcome != Unknown || a.Why != "":
		case a.back:
			a.Why = fmt.Sprintf("itself a return to %s: not counted", a.To)
		default:
			t.stay(i, r, now)
		}
	}
}

// leave gives their outcome to the deployments that the one at i went back behind.
func (t *track) leave(i int, r Rules) {
	back := t.arrivals[i]
	left := t.arrivals[max(i-1, 0)]
	if i > 0 && !back.revert && back.At.Sub(left.At) <= r.Race && left.To == back.From && !left.back {
		left.Outcome, left.told = Superseded, true
		left.Why = fmt.Sprintf("%s went from %s to %s after %s: two pipelines crossed, not a rollback", t.noun, left.To, back.To, span(back.At.Sub(left.At)))
		return
	}
	for j := i - 1; j >= 0 && i-j <= maxPassed; j-- {
		a := t.arrivals[j]
		lived := back.At.Sub(a.At)
		if a.To == back.To || lived > r.Matures && r.Matures > 0 {
			return
		}
		if a.back || a.Outcome == RolledBack || a.told && a.Outcome == Superseded || !t.below(back.To, a.To) && a.To != back.From {
			continue
		}
		went := fmt.Sprintf("%s went back from %s to %s after %s", t.noun, back.From, back.To, span(lived))
		if back.revert {
			went += " by a revert"
		}
		if a.To != back.From {
			went += fmt.Sprintf(", past %s", a.To)
		}
		if back.planned {
			a.Outcome, a.Why = Unknown, went+", as planned"
			continue
		}
		a.Outcome, a.Why, a.FailedAt = RolledBack, went, back.At
	}
}

// stay gives the outcome of a deployment that nobody went back from.
func (t *track) stay(i int, r Rules, now time.Time) {
	a := t.arrivals[i]
	next := t.after(i)
	age := now.Sub(a.At)
	if next != nil {
		lived := next.At.Sub(a.At)
		switch {
		case next.fix && !next.back && lived <= r.Hotfix:
			a.Outcome, a.FailedAt = Hotfixed, next.At
			a.Why = fmt.Sprintf("%s, a fix, had to follow %s after %s", next.To, a.To, span(lived))
			return
		case lived <= r.Superseded:
			a.Outcome = Superseded
			a.Why = fmt.Sprintf("replaced by %s after %s: too soon to tell", next.To, span(lived))
			return
		case age >= r.Matures:
			a.Outcome = Success
			a.Why = fmt.Sprintf("made way for %s after %s", next.To, span(lived))
			return
		}
	}
	if age >= r.Matures {
		a.Outcome, a.Why = Success, fmt.Sprintf("live for %s", span(age))
		return
	}
	a.Why = fmt.Sprintf("watched for %s only: without a failure the outcome is known after %s", span(age), span(r.Matures))
}

// after is the next arrival of another version.
func (t *track) after(i int) *arrival {
	for j := i + 1; j < len(t.arrivals); j++ {
		if t.arrivals[j].To != t.arrivals[i].To {
			return t.arrivals[j]
		}
		if t.arrivals[j].To == t.arrivals[i].To && j-i > maxPassed {
			return nil
		}
	}
	return nil
}

// oneEvent leaves one outcome to rollbacks of many services at once: the platform failed, not each of the releases.
// It returns how many lost theirs.
func oneEvent(all []*arrival, r Rules) int {
	if r.Event < 0 {
		return 0
	}
	byPlace := map[string][]*arrival{}
	for _, a := range all {
		if a.Outcome == RolledBack {
			byPlace[a.Environment] = append(byPlace[a.Environment], a)
		}
	}
	lost := 0
	for _, failed := range byPlace {
		slices.SortStableFunc(failed, func(a, b *arrival) int {
			if c := a.FailedAt.Compare(b.FailedAt); c != 0 {
				return c
			}
			return compareText(a.Service, b.Service)
		})
		for len(failed) > 0 {
			services := map[string]bool{}
			n := 0
			for n < len(failed) && failed[n].FailedAt.Sub(failed[0].FailedAt) <= r.Event {
				services[failed[n].Service] = true
				n++
			}
			if len(services) < r.Many {
				failed = failed[1:]
				continue
			}
			for _, a := range failed[1:n] {
				a.Outcome, a.FailedAt = Unknown, time.Time{}
				a.Why = cut(fmt.Sprintf("one of %d services that went back within %s, an event of the platform: %s", len(services), span(r.Event), a.Why), maxSentence)
				lost++
			}
			failed = failed[n:]
		}
	}
	return lost
}

// finish puts labelled tracks together.
func finish(all []*arrival, r Rules, notes *notes) History {
	if lost := oneEvent(all, r); lost > 0 {
		notes.add("%d rollbacks happened together with those of other services: they count as one event each time", lost)
	}
	h := History{Rules: r, Notes: notes.texts}
	for _, a := range all {
		d := a.Deployment
		d.At, d.FailedAt = d.At.UTC(), d.FailedAt.UTC()
		if d.FailedAt.IsZero() {
			d.FailedAt = time.Time{}
		}
		d.Why = cleanTo(d.Why, maxSentence)
		h.Deployments = append(h.Deployments, d)
	}
	inTimeOrder(h.Deployments)
	return h
}

// notes are sentences for people, each once.
type notes struct{ texts []string }

func (n *notes) add(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if len(n.texts) < 100 && !slices.Contains(n.texts, text) {
		n.texts = append(n.texts, text)
	}
}

// counted adds a note about a number of things, if there are any.
func (n *notes) counted(count int, format string) {
	if count > 0 {
		n.add(format, count)
	}
}
