package split

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/deployguardian/adg/internal/target/flag"
)

// Private

// definition is a flag in one environment, as the Admin API writes it.
type definition struct {
	Killed            bool              `json:"killed"`
	DefaultTreatment  string            `json:"defaultTreatment"`
	TrafficAllocation *float64          `json:"trafficAllocation"`
	Treatments        []treatment       `json:"treatments"`
	Rules             []json.RawMessage `json:"rules"`
	DefaultRule       []bucket          `json:"defaultRule"`
}

type treatment struct {
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Keys        []string `json:"keys"`
	Segments    []string `json:"segments"`
}

type bucket struct {
	Treatment string  `json:"treatment"`
	Size      float64 `json:"size"`
}

// operation is one of a JSON patch.
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// treatment is the index of a treatment; -1: there is none.
func (d definition) treatment(name string) int {
	return slices.IndexFunc(d.Treatments, func(t treatment) bool { return t.Name == name })
}

// size is the percentage that the default rule gives to a treatment.
func (d definition) size(name string) (percent float64) {
	for _, b := range d.DefaultRule {
		if b.Treatment == name {
			percent += b.Size
		}
	}
	return percent
}

// allocation is the percentage of users who are in the rules at all; the others get the default treatment.
func (d definition) allocation() float64 {
	if d.TrafficAllocation == nil {
		return 100
	}
	return *d.TrafficAllocation
}

// state reads a definition in which both treatments are.
func (d definition) state(o Options) flag.State {
	s := flag.State{Text: d.Treatments[d.treatment(o.OnTreatment)].Description}
	outside := 0.0
	if d.DefaultTreatment == o.OnTreatment {
		outside = 100
	}
	if s.Share = outside; !d.Killed {
		s.Share = (d.size(o.OnTreatment)*d.allocation() + outside*(100-d.allocation())) / 100
	}
	if foreign := 100 - d.size(o.OnTreatment) - d.size(o.OffTreatment); foreign > 0 {
		s.Foreign = fmt.Sprintf("the default rule gives %g %% to other treatments: take it from there first", foreign)
	}
	if d.allocation() != 100 {
		s.Foreign = fmt.Sprintf("the traffic allocation is %g %%: make it 100 %%, so that the default rule decides alone", d.allocation())
	}
	var rules []string
	targeted := 0
	for _, t := range d.Treatments {
		targeted += len(t.Keys) + len(t.Segments)
	}
	if targeted > 0 {
		rules = append(rules, fmt.Sprintf("%d individual targets", targeted))
	}
	if len(d.Rules) > 0 {
		rules = append(rules, fmt.Sprintf("%d rules", len(d.Rules)))
	}
	s.Rules = strings.Join(rules, " and ")
	return s
}

// rule is a default rule with a share; buckets of nobody are left out.
func (o Options) rule(share float64) []bucket {
	return slices.DeleteFunc([]bucket{{o.OnTreatment, share}, {o.OffTreatment, 100 - share}}, func(b bucket) bool { return b.Size == 0 })
}
