package importer

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/deployguardian/adg/internal/importer/manifest"
)

// Private

// flagger reads the documents of Flagger.
type flagger struct {
	d         *draft
	templates []*manifest.Node
	alerts    []*manifest.Node
	target    string // name of the workload
	namespace string
	values    map[string]argument
}

// flaggerBraces are the placeholders of a MetricTemplate.
var flaggerBraces = regexp.MustCompile(`\{\{\s*((?:variables\.)?[A-Za-z0-9_-]{1,100})\s*\}\}`)

func readFlagger(d *draft, docs []*manifest.Node) bool {
	f := &flagger{d: d, values: map[string]argument{}}
	var canaries []*manifest.Node
	for _, doc := range items(docs) {
		switch kind := doc.Get("kind").Text(); kind {
		case "Canary":
			canaries = append(canaries, doc)
		case "MetricTemplate":
			f.templates = append(f.templates, doc)
		case "AlertProvider":
			f.alerts = append(f.alerts, doc)
		default:
			if strings.HasPrefix(doc.Get("apiVersion").Text(), "flagger.app/") {
				d.lose(doc, "documents of kind %s are not read", kind)
			}
			skipAll(doc)
		}
	}
	for i, c := range canaries {
		if i > 0 {
			d.lose(c, "a policy is for one service: import the second Canary by itself")
			skipAll(c)
			continue
		}
		f.canary(c)
	}
	if len(canaries) == 0 {
		for _, t := range f.templates {
			f.alone(t)
		}
	}
	for _, t := range append(f.templates, f.alerts...) {
		t.Skip("apiVersion", "kind", "metadata", "spec", "status")
	}
	return len(canaries)+len(f.templates) > 0
}

func (f *flagger) canary(doc *manifest.Node) {
	d, spec := f.d, doc.Get("spec")
	doc.Skip("apiVersion", "kind", "status")
	meta := doc.Get("metadata")
	target := spec.Get("targetRef")
	d.name(target.Get("name"), meta.Get("namespace"))
	f.target, f.namespace = target.Get("name").Text(), meta.Get("namespace").Text()
	if kind := target.Get("kind").Text(); kind != "" && kind != "Deployment" {
		d.change(target.Get("kind"), "the workload is a %s: the target has to know how one is made live", kind)
	}
	f.meanings(meta, spec)
	doc.Skip("metadata")
	spec.Skip("targetRef", "service")
	for _, name := range []string{"autoscalerRef", "ingressRef", "routeRef", "upstreamRef", "revertOnDeletion", "suspend"} {
		if spec.Has(name) {
			d.lose(spec.Get(name), "%s says how a state is reached, which is the business of ADG's target", name)
			spec.Skip(name)
		}
	}
	d.settle = 10 * time.Minute
	if long, ok := spec.Get("progressDeadlineSeconds").Duration(time.Second); ok && long > 0 {
		d.settle = long
	}
	analysis := spec.Get("analysis")
	if analysis == nil {
		analysis = spec.Get("canaryAnalysis")
	}
	interval, ok := analysis.Get("interval").Duration(time.Second)
	if !ok || interval < 10*time.Second {
		interval = max(10*time.Second, interval)
		if !ok || interval <= 0 {
			interval = time.Minute
		}
	}
	f.rule(analysis, interval)
	f.steps(analysis, spec.Get("provider").Text(), interval)
	provider := spec.Get("provider").Text()
	server := spec.Get("metricsServer")
	for _, m := range analysis.Get("metrics").Items() {
		f.metric(m, provider, server, interval)
	}
	for _, w := range analysis.Get("webhooks").Items() {
		f.webhook(w)
	}
	for _, a := range analysis.Get("alerts").Items() {
		f.alert(a)
	}
	if skip := spec.Get("skipAnalysis"); skip.True() {
		d.change(skip, "the analysis was switched off: here the checks are measured, and trust: observe only puts on record what is due")
		d.rollback.trust, d.rollback.why = "observe", "skipAnalysis was set in Flagger"
	}
	d.phases = []phase{{"immediate", 15 * time.Minute, "Added: Flagger watches no longer once all traffic is on the new version. verify: [] ends there, too."}}
}

// meanings are the variables of metric templates.
func (f *flagger) meanings(meta, spec *manifest.Node) {
	given := func(name, text string) {
		if text != "" {
			f.values[name] = argument{text: text, given: true}
		}
	}
	given("name", meta.Get("name").Text())
	given("namespace", f.namespace)
	given("target", f.target)
	service := spec.Get("service", "name").Text()
	if service == "" {
		service = f.target
	}
	given("service", service)
	given("ingress", spec.Get("ingressRef", "name").Text())
	given("route", spec.Get("routeRef", "name").Text())
	f.values["interval"] = argument{variable: "window"}
}

// rule makes the rule of rollback of the threshold.
func (f *flagger) rule(analysis *manifest.Node, interval time.Duration) {
	d := f.d
	at := analysis.Get("threshold")
	threshold, ok := at.Whole()
	if !ok || threshold < 1 {
		threshold = 1
	}
	long := min(time.Duration(min(threshold, 100_000))*interval, 7*24*time.Hour)
	d.rollback = rollback{trust: "auto", why: "Flagger rolls back by itself; begin with suggest to compare the two", rules: []rule{{when: "unhealthy", long: long,
		note: fmt.Sprintf("%s, one every %s. Flagger acts an interval after the last of them: for: %s saves that.", count(threshold, "failed check"), span(interval), span(long-interval))}}}
	d.change(at, "Flagger counts failed checks over the whole rollout, in a row or not: ADG goes by how long a check has been bad without a good value between; a single bad value stops the bake of a step, and rolls nothing back")
	d.change(nil, "no data and an error of the metrics server are failed checks in Flagger: in ADG they are unknown, which promotes nothing and rolls nothing back, and people are told")
	d.scoring = scoring{100, 50, "every check has to pass, as in Flagger"}
}

// steps makes the way up.
func (f *flagger) steps(a *manifest.Node, provider string, interval time.Duration) {
	d := f.d
	iterations, _ := a.Get("iterations").Whole()
	whole := func(name string) int { v, _ := a.Get(name).Whole(); return v }
	top, by := whole("maxWeight"), whole("stepWeight")
	weights := a.Get("stepWeights").Items()
	if match := a.Get("match"); match != nil {
		d.lose(match, "a policy sends shares of the traffic, not requests that match: a feature flag or the target can")
		a.Skip("match")
	}
	for _, name := range []string{"mirror", "mirrorWeight", "sessionAffinity", "primaryReadyThreshold", "canaryReadyThreshold", "stepWeightPromotion"} {
		if a.Has(name) {
			d.lose(a.Get(name), "%s says how traffic or pods are moved, which is the business of ADG's target", name)
			a.Skip(name)
		}
	}
	if iterations == 0 && by == 0 && len(weights) == 0 && (provider == "kubernetes" || provider == "") && top == 0 {
		iterations = 10
		d.assume(a, "without weights Flagger makes 10 iterations")
	}
	if iterations > 0 {
		d.strategy = strategy{kind: "blue-green", preview: min(time.Duration(min(iterations, 10_000))*interval, 30*24*time.Hour), bake: time.Minute,
			notes: []string{fmt.Sprintf("The preview is %s, one every %s; the bake is added.", count(iterations, "iteration"), span(interval))}}
		return
	}
	c := climb{d: d}
	for _, w := range weights {
		if share, ok := w.Number(); ok {
			c.to(w, share)
			c.stay(interval, false)
		}
	}
	if top <= 0 || top > 100 {
		top = 100
	}
	for share := by; len(weights) == 0 && by > 0 && share <= top; share += by {
		c.to(a, float64(share))
		c.stay(interval, false)
	}
	c.top("added: Flagger ends here")
	d.strategy = strategy{kind: "canary", steps: c.steps, notes: []string{"Each step is one interval of the analysis, as in Flagger."}}
}

// alone makes a check of a template that no canary of the files uses.
func (f *flagger) alone(t *manifest.Node) {
	f.d.assume(t, "no Canary is in the files: the check has no limit, and is a comment")
	c := check{name: t.Get("metadata", "name").Text(), from: t}
	f.values["interval"] = argument{variable: "window"}
	f.template(&c, t, nil)
	c.keepOut("a MetricTemplate has no limit: import it together with its Canary")
	f.d.add(c)
}
