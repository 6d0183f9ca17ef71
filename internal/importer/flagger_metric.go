package importer

import (
	"strings"
	"time"

	"github.com/deployguardian/adg/internal/importer/manifest"
)

// Private

// metric makes a check of a metric of the analysis.
func (f *flagger) metric(m *manifest.Node, provider string, server *manifest.Node, interval time.Duration) {
	c := check{name: m.Get("name").Text(), from: m, critical: true, interval: interval, window: time.Minute}
	if long, ok := m.Get("interval").Duration(time.Second); ok && long > 0 {
		c.window = long
	}
	limits := m.Get("thresholdRange")
	low, hasLow := limits.Get("min").Number()
	high, hasHigh := limits.Get("max").Number()
	if old, ok := m.Get("threshold").Number(); ok && limits == nil {
		low, hasLow, high, hasHigh = old, c.name == successRate, old, c.name != successRate
	}
	var bad zone
	if hasLow {
		below, _ := compared("<", low)
		bad = bad.or(below)
	}
	if hasHigh {
		above, _ := compared(">", high)
		bad = bad.or(above)
	}
	text, _, ok := bad.condition()
	switch {
	case !hasLow && !hasHigh:
		c.out = "it has no thresholdRange, and so no limit"
	case !ok:
		c.out = "its range cannot be a limit"
	}
	c.fail = text
	ref := m.Get("templateRef")
	switch {
	case ref != nil:
		f.reference(&c, ref, m.Get("templateVariables"))
	case m.Get("query") != nil:
		c.source = f.d.prometheus(server, server.Text())
		c.query = f.arguments(m, nil).inQuery(m.Get("query").Text())
		c.query, _ = withWindow(c.query)
	case c.name == successRate || c.name == duration:
		f.builtin(&c, provider, server, low, hasLow && !hasHigh)
	default:
		c.source = "unknown"
		c.out = "it is no builtin metric and names no template: Flagger ignores it without a word"
	}
	m.Skip("templateVariables", "threshold")
	if c.out == "" && c.instead == nil {
		c.instead = better(c)
	}
	f.d.add(c)
}

// withWindow is a query whose ranges of its own are $window, if they are all the same.
func withWindow(query string) (string, time.Duration) {
	if strings.Contains(query, "$window") {
		return query, 0
	}
	return windowed(query)
}

// reference fills in the template that a metric names.
func (f *flagger) reference(c *check, ref, variables *manifest.Node) {
	name, namespace := ref.Get("name").Text(), ref.Get("namespace").Text()
	ref.Skip("kind", "apiVersion")
	for _, t := range f.templates {
		meta := t.Get("metadata")
		if meta.Get("name").Text() == name && (namespace == "" || meta.Get("namespace").Text() == namespace || meta.Get("namespace") == nil) {
			f.template(c, t, variables)
			return
		}
	}
	c.source = "unknown"
	c.keepOut("the template " + oneLine(name, 100) + " is in none of the files: import it together with the Canary")
}

func (f *flagger) template(c *check, t, variables *manifest.Node) {
	provider := t.Get("spec", "provider")
	kind := provider.Get("type").Text()
	args := f.arguments(t, variables)
	c.query = args.inQuery(t.Get("spec", "query").Text())
	if provider.Get("region") != nil {
		c.notes = append(c.notes, "Its region was "+oneLine(provider.Get("region").Text(), 60)+".")
	}
	if kind != "prometheus" && kind != "" {
		c.source = oneLine(kind, 40)
		c.out = "ADG has no source for " + oneLine(kind, 40) + " yet"
		return
	}
	var more []option
	if provider.Get("insecureSkipVerify").True() {
		more = append(more, option{"tls", "{insecure_skip_verify: true}"})
	}
	if secret := provider.Get("secretRef"); secret != nil {
		f.d.lose(secret, "what the secret %s holds is not known here: name it under bearer_token or basic_auth of the source", secret.Get("name").Text())
	}
	if provider.Has("headers") {
		f.d.lose(provider.Get("headers"), "headers are not copied, they may be secret: name them under headers of the source")
	}
	c.source = f.d.prometheus(provider, provider.Get("address").Text(), more...)
	query, window := withWindow(c.query)
	if c.query = query; window > 0 {
		c.window = window
	}
	if strings.TrimSpace(query) == "" {
		c.keepOut("its template asks nothing")
	}
}

// arguments are the values of the placeholders in a template.
func (f *flagger) arguments(at, variables *manifest.Node) arguments {
	a := arguments{d: f.d, braces: flaggerBraces, values: map[string]argument{}}
	for name, v := range f.values {
		a.values[name] = v
	}
	for _, v := range variables.Fields() {
		a.values["variables."+v.Name] = argument{text: v.Value.Text(), given: true}
	}
	a.left = func(name string) {
		f.d.assume(at, "%s has no value here: give the variable %s one", name, word(name))
	}
	return a
}

func (f *flagger) webhook(w *manifest.Node) {
	d, name := f.d, w.Get("name").Text()
	kind := or(w.Get("type").Text(), "rollout")
	what := "the webhook " + oneLine(name, 60) + " (" + oneLine(kind, 40) + ")"
	switch kind {
	case "confirm-rollout":
		d.approve = "the webhook " + oneLine(name, 60) + " confirmed the rollout; here a human does"
		d.change(w, "%s was asked before the rollout: here a human approves it", what)
	case "confirm-promotion":
		if n := len(d.strategy.steps); n > 1 {
			d.strategy.steps[n-2].pause, d.strategy.steps[n-2].note = true, "the webhook confirmed the promotion; here a human does"
			d.change(w, "%s was asked before the promotion: here a human promotes", what)
		} else {
			d.lose(w, "%s was asked before the promotion: blue-green switches by itself once the preview was healthy", what)
		}
	case "confirm-traffic-increase":
		d.lose(w, "%s was asked before each step: pause: true at a step makes it wait for a human", what)
	case "pre-rollout":
		d.lose(w, "%s was a test before the rollout: a source of type command with as: probe runs one as a check", what)
	case "rollback":
		d.lose(w, "%s could ask for a rollback: in ADG a human does, or a check", what)
	case "event", "post-rollout":
		d.lose(w, "%s was told what happens: a notifier of type webhook is told, in ADG's own form", what)
	default:
		d.lose(w, "%s made load or ran tests during the rollout: ADG makes no load; tests are a source of type command with as: probe", what)
	}
	for _, field := range w.Fields() {
		w.Skip(field.Name)
	}
}

func (f *flagger) alert(a *manifest.Node) {
	name := a.Get("providerRef", "name").Text()
	kind := ""
	for _, p := range f.alerts {
		if p.Get("metadata", "name").Text() == name {
			kind = p.Get("spec", "type").Text()
		}
	}
	if kind == "slack" {
		env := envName(name, "url")
		f.d.lose(a, "the address of the alerts is not copied: put it into the environment variable %s and take the comment at notify away", env)
		f.d.aside("notify: [{type: slack, webhook: %s}]", fromEnv(env))
	} else {
		f.d.lose(a, "whom %s told: add a notifier of type slack or webhook", name)
	}
	for _, field := range a.Fields() {
		a.Skip(field.Name)
	}
}
