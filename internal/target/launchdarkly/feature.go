package launchdarkly

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/flag"
)

// Private

// all is the weight of everybody: weights are thousandths of a percent.
const all = 100_000

// feature is a flag as the API writes it.
type feature struct {
	Archived         bool                      `json:"archived"`
	Variations       []variation               `json:"variations"`
	CustomProperties map[string]customProperty `json:"customProperties"`
	Environments     map[string]configuration  `json:"environments"`
}

type variation struct {
	ID    string          `json:"_id"`
	Name  string          `json:"name"`
	Value json.RawMessage `json:"value"`
}

type customProperty struct {
	Name  string   `json:"name"`
	Value []string `json:"value"`
}

// configuration is a flag in one environment, as the API and the service for applications both write it.
type configuration struct {
	On             bool              `json:"on"`
	OffVariation   *int              `json:"offVariation"`
	Fallthrough    fallthroughRule   `json:"fallthrough"`
	Rules          []json.RawMessage `json:"rules"`
	Targets        []target          `json:"targets"`
	ContextTargets []target          `json:"contextTargets"`
	Prerequisites  []json.RawMessage `json:"prerequisites"`
}

type target struct {
	Values []string `json:"values"`
}

type fallthroughRule struct {
	Variation *int     `json:"variation"`
	Rollout   *rollout `json:"rollout"`
}

type rollout struct {
	Kind       string `json:"kind"`
	Variations []struct {
		Variation int     `json:"variation"`
		Weight    float64 `json:"weight"`
	} `json:"variations"`
	Experiment  json.RawMessage `json:"experimentAllocation"`
	BucketBy    string          `json:"bucketBy"`
	ContextKind string          `json:"contextKind"`
}

// share is the percentage of those for whom the default rule decides and who get the variation of that index.
func (c configuration) share(on int) float64 {
	switch {
	case !c.On && c.OffVariation != nil && *c.OffVariation == on:
		return 100
	case !c.On:
		return 0
	case c.Fallthrough.Rollout == nil:
		if c.Fallthrough.Variation != nil && *c.Fallthrough.Variation == on {
			return 100
		}
		return 0
	}
	weight := 0.0
	for _, v := range c.Fallthrough.Rollout.Variations {
		if v.Variation == on {
			weight += v.Weight
		}
	}
	return weight * 100 / all
}

// view is a flag in the environment, with the indexes of its two variations.
type view struct {
	configuration
	variations []variation
	on, off    int
	property   string // key of the custom property with the note
	noted      *customProperty
}

// view finds the environment and the variations.
func (o Options) view(f feature) (view, error) {
	missing := func(format string, args ...any) (view, error) {
		return view{}, adg.Permanent(adg.Errorf(adg.NotFound, format, args...))
	}
	if f.Archived {
		return missing("the flag %s is archived: restore it in LaunchDarkly", o.Flag)
	}
	c, found := f.Environments[o.Environment]
	if !found {
		return missing("the flag %s has no environment %s, or the token may not see it: check environment", o.Flag, o.Environment)
	}
	v := view{configuration: c, variations: f.Variations, property: "adg." + o.Environment}
	for name, at := range map[string]*int{o.OnVariation: &v.on, o.OffVariation: &v.off} {
		*at = slices.IndexFunc(f.Variations, func(v variation) bool { return v.Name == name || sameJSON(v.Value, name) })
		if *at < 0 {
			return missing("the flag %s has no variation %s: name one in on_variation or off_variation, by its name or its value", o.Flag, name)
		}
	}
	if noted, found := f.CustomProperties[v.property]; found {
		v.noted = &noted
	}
	return v, nil
}

func sameJSON(value json.RawMessage, text string) bool {
	var compact bytes.Buffer
	if json.Compact(&compact, value) != nil {
		return false
	}
	return compact.String() == text || compact.String() == strconv.Quote(text)
}

func (v view) state() flag.State {
	s := flag.State{Share: v.share(v.on), Handle: strconv.Itoa(v.on)}
	if v.noted != nil {
		s.Text = strings.Join(v.noted.Value, " ")
	}
	targeted := 0
	for _, t := range slices.Concat(v.Targets, v.ContextTargets) {
		targeted += len(t.Values)
	}
	var rules []string
	for _, part := range []struct {
		n    int
		what string
	}{{len(v.Prerequisites), "prerequisites"}, {targeted, "individual targets"}, {len(v.Rules), "rules"}} {
		if part.n > 0 {
			rules = append(rules, fmt.Sprintf("%d %s", part.n, part.what))
		}
	}
	s.Rules = strings.Join(rules, " and ")
	r := v.Fallthrough.Rollout
	if r == nil {
		return s
	}
	if r.Kind == "experiment" || len(r.Experiment) > 0 && string(r.Experiment) != "null" {
		s.Foreign = "an experiment runs on the default rule: stop it first"
	}
	for _, w := range r.Variations {
		if w.Variation != v.on && w.Variation != v.off && w.Weight > 0 {
			s.Foreign = fmt.Sprintf("the default rule gives %g %% to a third variation: take it from there first", w.Weight*100/all)
		}
	}
	return s
}

type patch struct {
	Comment        string           `json:"comment"`
	EnvironmentKey string           `json:"environmentKey"`
	Instructions   []map[string]any `json:"instructions"`
}

// instructions bring the flag to a share, and the note with it. Off is targeting off: that holds for individual targets
// and rules too. The default rule goes to 0 with it, so that whoever turns targeting on again gives the release to nobody,
// unless it has what is not ours.
func (v view) instructions(share float64, text, contextKind string) []map[string]any {
	var list []map[string]any
	if share == 0 {
		if v.OffVariation == nil || *v.OffVariation != v.off {
			list = append(list, map[string]any{"kind": "updateOffVariation", "variationId": v.variations[v.off].ID})
		}
		list = append(list, map[string]any{"kind": "turnFlagOff"})
	}
	if share > 0 || v.state().Foreign == "" {
		list = append(list, v.weights(share, contextKind))
	}
	if share > 0 && !v.On {
		list = append(list, map[string]any{"kind": "turnFlagOn"})
	}
	kind := "addCustomProperties"
	if v.noted != nil {
		kind = "replaceCustomProperties"
	}
	return append(list, map[string]any{"kind": kind, "key": v.property, "name": v.property, "values": []string{text}})
}

// weights sets the default rule to a percentage rollout, by what tells users apart there already.
func (v view) weights(share float64, contextKind string) map[string]any {
	on := int(share*all/100 + 0.5)
	instruction := map[string]any{
		"kind":               "updateFallthroughVariationOrRollout",
		"rolloutWeights":     map[string]int{v.variations[v.on].ID: on, v.variations[v.off].ID: all - on},
		"rolloutContextKind": contextKind,
	}
	if r := v.Fallthrough.Rollout; r != nil {
		if r.ContextKind != "" {
			instruction["rolloutContextKind"] = r.ContextKind
		}
		if r.BucketBy != "" {
			instruction["rolloutBucketBy"] = r.BucketBy
		}
	}
	return instruction
}
