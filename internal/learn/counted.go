package learn

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/deployguardian/adg"
)

// RulesOf are the rules that a policy's labels make; nil stands for adg.DefaultLabels.
func RulesOf(labels *adg.Labels) Rules {
	l := adg.DefaultLabels()
	if labels != nil {
		l = *labels
	}
	r := Rules{Hotfix: cmp.Or(l.Hotfixed, -1), Superseded: cmp.Or(l.Superseded, -1), Matures: cmp.Or(l.Matures, -1)}
	for _, one := range []struct {
		counts  bool
		outcome Outcome
	}{{l.RolledBack, RolledBack}, {l.Blocked, Blocked}, {l.Hotfixed > 0, Hotfixed}, {l.Incident, Incident}} {
		if one.counts {
			r.Count = append(r.Count, one.outcome)
		}
	}
	return r.WithDefaults()
}

// Counted says in words what counts as a failure, and what is neither: "rolled back, hotfixed within 4h, incident;
// superseded within 15m is neither; a success is known after 7d".
func (r Rules) Counted() string {
	r = r.WithDefaults()
	failures := make([]string, len(r.Count))
	for i, o := range r.Count {
		failures[i] = strings.ReplaceAll(o.String(), "-", " ")
		if o == Hotfixed && r.Hotfix > 0 {
			failures[i] += " within " + span(r.Hotfix)
		}
	}
	text := enumerate(failures)
	if r.Superseded >= time.Second {
		text += fmt.Sprintf("; superseded within %s is neither", span(r.Superseded))
	}
	if r.Matures >= time.Second {
		text += fmt.Sprintf("; a success is known after %s", span(r.Matures))
	}
	return text
}

// Label is what a model learns of one of the history's deployments: by what is counted of that one where it says so,
// else by the history's rules.
func (h History) Label(d Deployment) (failed, known bool) {
	r := h.Rules
	if counted, err := countedIn(d.Counted); err == nil && len(counted) > 0 {
		r.Count = counted
	}
	return r.Label(d.Outcome)
}

// Stated is the history with its rules in words beside each deployment that has none of its own, so that they go with it
// into a table.
func (h History) Stated() History {
	h.Deployments = slices.Clone(h.Deployments)
	words := h.Rules.Counted()
	for i := range h.Deployments {
		h.Deployments[i].Counted = cmp.Or(h.Deployments[i].Counted, words)
	}
	return h
}

// Counted says what was counted in the history, by how many of its deployments where they differ: that of most first,
// three at most.
func (h History) Counted() string {
	numbers := map[string]int{}
	for _, d := range h.Stated().Deployments {
		numbers[d.Counted]++
	}
	var words []string
	for word := range numbers {
		words = append(words, word)
	}
	slices.SortFunc(words, func(a, b string) int { return cmp.Or(cmp.Compare(numbers[b], numbers[a]), cmp.Compare(a, b)) })
	if len(words) == 1 {
		return words[0]
	}
	var said []string
	for _, word := range words[:min(len(words), 3)] {
		said = append(said, fmt.Sprintf("of %d: %s", numbers[word], word))
	}
	if more := len(words) - len(said); more > 0 {
		said = append(said, fmt.Sprintf("and %d other rules", more))
	}
	return strings.Join(said, " | ")
}

// Private

// over are the rules with what another set of them leaves open filled in from these.
func (r Rules) over(other Rules) Rules {
	other.Hotfix, other.Superseded, other.Matures = cmp.Or(r.Hotfix, other.Hotfix), cmp.Or(r.Superseded, other.Superseded), cmp.Or(r.Matures, other.Matures)
	if len(r.Count) > 0 {
		other.Count = r.Count
	}
	return other
}

// countedIn reads the failures in what Rules.Counted wrote.
func countedIn(words string) ([]Outcome, error) {
	failures, _, _ := strings.Cut(words, ";")
	if strings.TrimSpace(failures) == "" {
		return nil, nil
	}
	var all []Outcome
	for word := range strings.SplitSeq(failures, ",") {
		name, _, _ := strings.Cut(strings.TrimSpace(word), " within")
		var o Outcome
		if err := o.UnmarshalText([]byte(strings.ReplaceAll(name, " ", "-"))); err != nil {
			return nil, err
		}
		all = append(all, o)
	}
	return all, Rules{Count: all}.Validate()
}
