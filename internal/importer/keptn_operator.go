package importer

import (
	"regexp"
	"strings"
	"time"

	"github.com/deployguardian/adg/internal/importer/manifest"
)

// Private

// definition makes checks of an AnalysisDefinition.
func (k *keptn) definition(doc *manifest.Node) {
	meta, spec := doc.Get("metadata"), doc.Get("spec")
	k.d.name(meta.Get("name"), meta.Get("namespace"))
	for _, o := range spec.Get("objectives").Items() {
		ref := o.Get("analysisValueTemplateRef")
		ref.Skip("namespace")
		c := check{name: ref.Get("name").Text(), from: o, critical: o.Get("keyObjective").True(), weight: 1}
		if w, ok := o.Get("weight").Number(); ok && w > 0 && w < 1e6 {
			c.weight = w
		}
		k.target(&c, o.Get("target"))
		if t := k.templates[c.name]; t != nil {
			k.resource(&c, t)
		} else {
			c.keepOut("its AnalysisValueTemplate is in none of the files: import it together with the definition")
		}
		if c.out != "" {
			c.weight, c.source = 0, or(c.source, "unknown")
		} else {
			c.instead = better(c)
		}
		k.d.add(c)
	}
	score := spec.Get("totalScore")
	k.total(score, score.Get("passPercentage"), score.Get("warningPercentage"))
}

// operators of a target, as policies write them.
var operators = []struct{ name, written string }{{"lessThanOrEqual", "<="}, {"lessThan", "<"}, {"greaterThan", ">"}, {"greaterThanOrEqual", ">="}, {"equalTo", "="}}

// target makes limits of what fails and what is a warning.
func (k *keptn) target(c *check, t *manifest.Node) {
	for _, part := range []struct {
		name string
		into *string
	}{{"failure", &c.fail}, {"warning", &c.warn}} {
		at := t.Get(part.name)
		if at == nil {
			continue
		}
		bad, ok := zoneOf(at)
		text, note, said := bad.condition()
		if !ok || !said {
			k.d.lose(at, "%s: this %s cannot be a limit", c.name, part.name)
			continue
		}
		if note != "" {
			k.d.change(at, "%s: %s", c.name, note)
		}
		*part.into = text
	}
	if c.fail == "" && c.warn == "" {
		c.keepOut("without a target it is for information only, and counts for nothing")
	}
}

func zoneOf(at *manifest.Node) (zone, bool) {
	for _, operator := range operators {
		if at.Has(operator.name) {
			v, ok := quantity(at.Get(operator.name, "fixedValue").Text())
			z, _ := compared(operator.written, v)
			return z, ok
		}
	}
	for _, name := range []string{"inRange", "notInRange"} {
		if !at.Has(name) {
			continue
		}
		low, ok1 := quantity(at.Get(name, "lowBound").Text())
		high, ok2 := quantity(at.Get(name, "highBound").Text())
		inside := zone{{low: low, high: high}}
		if name == "notInRange" {
			inside = inside.not()
		}
		return inside, ok1 && ok2 && low <= high
	}
	return nil, false
}

// quantity is a number as Kubernetes writes it: 500m, 1k, 2Gi.
func quantity(text string) (float64, bool) {
	text = strings.TrimSpace(text)
	for _, unit := range []struct {
		suffix string
		times  float64
	}{{"Ki", 1 << 10}, {"Mi", 1 << 20}, {"Gi", 1 << 30}, {"Ti", 1 << 40}, {"Pi", 1 << 50},
		{"n", 1e-9}, {"u", 1e-6}, {"m", 1e-3}, {"k", 1e3}, {"M", 1e6}, {"G", 1e9}, {"T", 1e12}, {"P", 1e15}} {
		if rest, found := strings.CutSuffix(text, unit.suffix); found {
			v, ok := number(rest)
			return v * unit.times, ok
		}
	}
	return number(text)
}

// operatorBraces are the placeholders of an AnalysisValueTemplate.
var operatorBraces = regexp.MustCompile(`\{\{-?\s*\.([A-Za-z0-9_.-]{1,100})\s*-?\}\}`)

// resource fills in what an AnalysisValueTemplate or a KeptnMetric asks.
func (k *keptn) resource(c *check, doc *manifest.Node) {
	spec := doc.Get("spec")
	a := arguments{d: k.d, braces: operatorBraces, values: map[string]argument{}}
	a.left = func(name string) {
		k.d.assume(spec.Get("query"), "%s comes with each analysis: give the variable %s a value", name, word(name))
	}
	if every, ok := spec.Get("fetchIntervalSeconds").Duration(time.Second); ok && every >= time.Second {
		c.interval = every
	}
	k.span(c, spec.Get("range"))
	query, window := withWindow(a.inQuery(spec.Get("query").Text()))
	c.query = query
	if window > 0 {
		c.window = window
	}
	name := spec.Get("provider", "name").Text()
	provider := k.providers[name]
	kind := provider.Get("spec", "type").Text()
	if kind == "" {
		// A provider's type was its name once, and often still is.
		kind = strings.ToLower(name)
	}
	switch kind {
	case "prometheus", "thanos", "cortex":
	case "dynatrace", "dql", "datadog", "elastic", "placeholder":
		c.source = kind
		c.keepOut("ADG has no source for " + kind + " yet")
		return
	default:
		k.d.assume(doc, "the provider %s is in none of the files: it is taken for Prometheus", name)
	}
	if provider.Get("spec").Has("secretKeyRef") {
		k.d.lose(provider.Get("spec", "secretKeyRef"), "the secret is not copied: name it under bearer_token or basic_auth of the source")
	}
	c.source = k.d.prometheus(doc, provider.Get("spec", "targetServer").Text())
	if strings.TrimSpace(c.query) == "" {
		c.keepOut("its query is empty")
	}
}

// span takes the window of a metric, and how it makes one number of it.
func (k *keptn) span(c *check, r *manifest.Node) {
	if long, ok := r.Get("interval").Duration(time.Second); ok && long > 0 {
		c.window = long
	}
	switch how := r.Get("aggregation").Text(); how {
	case "max":
		c.aggregate = "largest"
	case "min":
		c.aggregate = "smallest"
	case "median":
		c.aggregate = "median"
	case "avg":
		c.aggregate = "average"
	case "p95":
		c.aggregate = "p95"
	case "":
	default:
		k.d.lose(r.Get("aggregation"), "%s of a window is not there: the latest value counts", how)
	}
}

// evaluation makes checks of a KeptnEvaluationDefinition, all of which have to hold.
func (k *keptn) evaluation(doc *manifest.Node) {
	meta := doc.Get("metadata")
	k.d.name(meta.Get("name"), meta.Get("namespace"))
	spec := doc.Get("spec")
	for _, o := range spec.Get("objectives").Items() {
		ref := o.Get("keptnMetricRef")
		ref.Skip("namespace")
		c := check{name: ref.Get("name").Text(), from: o, critical: true, source: "unknown"}
		target, ok := parseCriterion(o.Get("evaluationTarget").Text())
		good, _ := compared(target.operator, target.value)
		text, _, said := good.not().condition()
		if !ok || target.relative || !said {
			c.out = "its target cannot be a limit"
		}
		c.fail = text
		if m := k.metrics[c.name]; m != nil {
			k.resource(&c, m)
		} else {
			c.keepOut("its KeptnMetric is in none of the files: import it together with the evaluation")
		}
		if c.out == "" {
			c.instead = better(c)
		}
		k.d.add(c)
	}
	for _, name := range []string{"failureConditions", "retries", "retryInterval", "timeout", "source"} {
		if spec.Has(name) {
			k.d.change(spec.Get(name), "%s is about how often Keptn asks: ADG asks all the time", name)
			spec.Skip(name)
		}
	}
}
