package importer

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/deployguardian/adg/internal/importer/manifest"
)

// Private

// argo reads the documents of Argo Rollouts.
type argo struct {
	d         *draft
	given     map[string]*manifest.Node // arguments of rollouts, by template
	lasts     map[string]time.Duration  // how long one run of a template takes
	limits    []limit
	templates []string
}

// limit is how long a check may be bad in the source.
type limit struct {
	check string
	long  time.Duration
	at    *manifest.Node
}

func readArgo(d *draft, docs []*manifest.Node) bool {
	a := &argo{d: d, given: map[string]*manifest.Node{}, lasts: map[string]time.Duration{}}
	var templates, rollouts []*manifest.Node
	for _, doc := range items(docs) {
		switch kind := doc.Get("kind").Text(); kind {
		case "AnalysisTemplate", "ClusterAnalysisTemplate", "AnalysisRun":
			templates = append(templates, doc)
		case "Rollout":
			rollouts = append(rollouts, doc)
		default:
			if strings.HasPrefix(doc.Get("apiVersion").Text(), "argoproj.io/") {
				d.lose(doc, "documents of kind %s are not read", kind)
			}
			skipAll(doc)
		}
	}
	for _, r := range rollouts {
		a.usages(r.Get("spec", "strategy"))
	}
	for _, r := range rollouts {
		d.name(r.Get("metadata", "name"), r.Get("metadata", "namespace"))
	}
	for _, t := range templates {
		a.template(t)
	}
	for i, r := range rollouts {
		if i == 0 {
			a.rollout(r)
		} else {
			d.lose(r, "a policy is for one service: import the second Rollout by itself")
			skipAll(r)
		}
		r.Skip("apiVersion", "kind", "metadata", "status")
	}
	if len(rollouts) == 0 && d.strategy.bake > 5*time.Minute {
		d.strategy.notes = append(d.strategy.notes, "Each step bakes for as long as one run of the analysis took.")
	}
	a.rules()
	return len(templates)+len(rollouts) > 0
}

// items are the documents, those inside of lists included.
func items(docs []*manifest.Node) []*manifest.Node {
	var all []*manifest.Node
	for _, doc := range docs {
		if doc.Get("kind").Text() != "List" {
			all = append(all, doc)
			continue
		}
		doc.Skip("apiVersion", "metadata")
		all = append(all, doc.Get("items").Items()...)
	}
	return all
}

func skipAll(doc *manifest.Node) {
	for _, f := range doc.Fields() {
		doc.Skip(f.Name)
	}
}

// template makes checks of the metrics of a template.
func (a *argo) template(doc *manifest.Node) {
	doc.Skip("apiVersion", "kind", "status")
	meta, spec := doc.Get("metadata"), doc.Get("spec")
	name := meta.Get("name").Text()
	a.templates = append(a.templates, name)
	a.d.name(meta.Get("name"), meta.Get("namespace"))
	doc.Skip("metadata")
	spec.Skip("measurementRetention", "templates", "terminate", "ttlStrategy")
	args := argoArguments(a.d, spec.Get("args"), a.given[name])
	var dry []*manifest.Node
	dry = append(dry, spec.Get("dryRun").Items()...)
	for _, m := range spec.Get("metrics").Items() {
		last := a.metric(m, args, dry)
		a.lasts[name] = max(a.lasts[name], last)
	}
	a.d.strategy.bake = max(a.d.strategy.bake, a.lasts[name])
}

// metric makes a check of a metric, and says how long its run takes.
func (a *argo) metric(m *manifest.Node, args arguments, dry []*manifest.Node) time.Duration {
	c := check{name: m.Get("name").Text(), from: m, critical: true}
	interval, hasInterval := m.Get("interval").Duration(time.Second)
	if hasInterval && interval >= time.Second {
		c.interval = interval
	} else if m.Has("interval") {
		a.d.lose(m.Get("interval"), "%q is no interval that ADG can keep: the check is measured as often as the policy says", m.Get("interval").Text())
		interval = 0
	} else {
		a.d.change(m, "%s was measured once: ADG measures all the time", c.name)
	}
	delay, _ := m.Get("initialDelay").Duration(time.Second)
	if delay > 0 {
		a.d.warmUp = max(a.d.warmUp, delay)
		a.d.change(m.Get("initialDelay"), "the delay was before one metric: warm_up is before all of them, after each step")
	}
	reduce := a.condition(&c, m, args)
	a.provider(&c, m.Get("provider"), args, reduce)
	for _, rule := range dry {
		pattern := rule.Get("metricName").Text()
		re, err := regexp.Compile("^(?:" + pattern + ")$")
		if c.out == "" && (pattern == "*" || pattern == c.name || err == nil && len(pattern) < 200 && re.MatchString(c.name)) {
			c.out = "it was a dry run, whose result counts for nothing"
		}
	}
	if c.out == "" {
		c.instead = better(c)
	}
	if name := a.d.add(c); c.out == "" && name != "" {
		a.limit(name, m, interval)
	}
	m.Skip("failureLimit", "inconclusiveLimit", "consecutiveErrorLimit", "consecutiveSuccessLimit")
	runs := whole(m.Get("count"), args)
	return min(delay+time.Duration(min(max(runs-1, 0), 100_000))*interval, 7*24*time.Hour)
}

// limit notes how long the metric may be bad: with n failures allowed, the first and the one too many are n intervals apart.
func (a *argo) limit(check string, m *manifest.Node, interval time.Duration) {
	at := m.Get("failureLimit")
	allowed := 0
	if at != nil {
		n, ok := at.Whole()
		if !ok {
			a.d.lose(at, "the limit %q is no number: none is allowed to fail", at.Text())
		}
		allowed = min(n, 100_000)
	} else {
		at = m
	}
	if streak, ok := m.Get("consecutiveSuccessLimit").Whole(); ok && streak > 0 {
		a.d.change(m.Get("consecutiveSuccessLimit"), "%s in a row ended the run, which takes %s: here the bake of a step says how long the release must have been good",
			fmt.Sprintf("%d good ones", streak), span(time.Duration(min(streak-1, 100_000))*interval))
	}
	if allowed < 0 {
		a.d.change(at, "failures did not end the run: here the check fails the release when it has been bad for as long as the rule says")
		return
	}
	a.limits = append(a.limits, limit{check, min(time.Duration(allowed)*interval, 7*24*time.Hour), at})
	if m.Has("consecutiveErrorLimit") {
		a.d.change(m.Get("consecutiveErrorLimit"), "errors of the source ended the rollout: here they hold it, and people are told")
	}
}

// rules makes the rules of rollback of how long each metric may be bad. A policy has one time for what is unhealthy and
// one for what is degraded: the metrics with the shortest time are critical, and failures of the others degrade.
func (a *argo) rules() {
	if len(a.templates) == 0 && len(a.limits) == 0 {
		return
	}
	d := a.d
	d.change(nil, "Argo Rollouts counts the failures of a run, in a row or not: ADG goes by how long a check has been bad without a good value between; a single bad value stops the bake of a step, and rolls nothing back")
	d.change(nil, "a missing value, NaN and an error of the source fail or end a run in Argo Rollouts: in ADG they are unknown, which promotes nothing and rolls nothing back, and people are told")
	d.rollback.trust, d.rollback.why = "auto", "Argo Rollouts aborts by itself; begin with suggest to compare the two"
	d.scoring = scoring{100, 50, "every check has to pass, as in Argo Rollouts; what it calls inconclusive is a warning, which holds the rollout"}
	if len(a.limits) == 0 {
		d.rollback.rules = []rule{{when: "unhealthy", long: time.Minute}}
		return
	}
	slices.SortStableFunc(a.limits, func(x, y limit) int { return int(x.long - y.long) })
	first := a.limits[0]
	later := slices.IndexFunc(a.limits, func(l limit) bool { return l.long > first.long })
	d.rollback.rules = []rule{ruleOf("unhealthy", first)}
	if later < 0 {
		return
	}
	second := a.limits[later]
	if slices.ContainsFunc(d.checks, func(c check) bool { return c.warn != "" }) {
		second = first // warnings degrade, too, and roll nothing back
	} else {
		d.rollback.rules = append(d.rollback.rules, ruleOf("degraded", second))
		d.scoring = scoring{100, 0.1, "every check has to pass; one that is not critical degrades"}
		for _, l := range a.limits[later:] {
			d.demote(l.check)
		}
	}
	for _, l := range a.limits[later:] {
		if l.long != second.long {
			d.change(l.at, "%s could be bad for %s: a policy has no time of its own for that, and here it is %s", l.check, span(l.long), span(second.long))
		}
	}
}

func ruleOf(when string, l limit) rule {
	r := rule{when: when, long: l.long, note: fmt.Sprintf("As %s had it: failureLimit × interval, from the first failure to the one too many.", l.check)}
	if l.long == 0 {
		r.note = "LOOK: one failure ends it, as in Argo Rollouts (failureLimit 0); two intervals or more keep one odd value from deciding."
	}
	return r
}

// demote makes a check one that is not critical.
func (d *draft) demote(name string) {
	for i := range d.checks {
		if c := &d.checks[i]; c.name == name {
			if c.critical = false; c.instead != nil {
				c.instead.critical = false
			}
		}
	}
}

// condition makes limits of the conditions of a metric; reduce is what makes one number of several series there.
func (a *argo) condition(c *check, m *manifest.Node, args arguments) (reduce string) {
	success, failure := m.Get("successCondition"), m.Get("failureCondition")
	if success == nil && failure == nil {
		return ""
	}
	var good, bad expression
	var err error
	for _, part := range []struct {
		node *manifest.Node
		into *expression
	}{{success, &good}, {failure, &bad}} {
		if part.node == nil || err != nil {
			continue
		}
		text := part.node.Text()
		if filled := args.inText(text); filled != "" {
			text = filled
		}
		c.notes = append(c.notes, part.node.Place.Path[strings.LastIndexByte(part.node.Place.Path, '.')+1:]+" was: "+oneLine(text, 300))
		*part.into, err = parseExpression(text)
	}
	if err != nil {
		c.out = "its condition is more than a policy can say: " + err.Error()
		return ""
	}
	a.limitsOf(c, success, failure, good, bad)
	if failure != nil {
		return bad.reduce
	}
	return good.reduce
}

// limitsOf writes fail and warn: what is not good fails unless there is a condition for failures of its own.
func (a *argo) limitsOf(c *check, success, failure *manifest.Node, good, bad expression) {
	fail, from := bad, failure
	if failure == nil {
		fail, from = good, success
		fail.on, fail.nan, fail.empty = good.on.not(), !good.nan, opposite(good.empty)
	}
	text, note, ok := fail.on.condition()
	if !ok {
		c.out = "its condition is more than one limit can say"
		if len(fail.on) == 0 {
			c.out = "no number makes it fail"
		}
		return
	}
	c.fail = text
	if note != "" {
		a.d.change(from, "%s: %s", c.name, note)
	}
	if success != nil && failure != nil {
		if good.reduce != bad.reduce {
			c.out = "its two conditions are about different things"
			return
		}
		if warn, note, ok := good.on.not().condition(); ok && warn != text {
			c.warn = warn
			if note != "" {
				a.d.change(success, "%s: %s", c.name, note)
			}
		} else if !ok {
			a.d.lose(success, "%s: when it is inconclusive is more than one limit can say", c.name)
		}
	}
	switch {
	case fail.onEmpty != nil:
		c.notes = append(c.notes, fmt.Sprintf("LOOK: no answer counted as %s. To keep that, let the query say it: (…) or vector(%s). Otherwise no answer is unknown, and holds.", trim(*fail.onEmpty), trim(*fail.onEmpty)))
		a.d.change(from, "%s: no answer counted as %s, here it is unknown and holds", c.name, trim(*fail.onEmpty))
	case fail.empty == isFalse || success != nil && good.empty == isTrue:
		a.d.change(from, "%s: no answer was good enough, here it is unknown and holds", c.name)
	}
	if !fail.nan && success != nil && strings.Contains(success.Text(), "isNaN") {
		a.d.change(from, "%s: NaN was good enough, here it is unknown and holds", c.name)
	}
}

func whole(n *manifest.Node, args arguments) int {
	if v, ok := n.Whole(); ok {
		return v
	}
	var v int
	if _, err := fmt.Sscanf(args.inText(n.Text()), "%d", &v); err != nil {
		return 0
	}
	return v
}
