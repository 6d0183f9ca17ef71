package importer

import (
	"time"

	"github.com/deployguardian/adg/internal/importer/manifest"
)

// Private

// usages notes which arguments a rollout gives to which templates.
func (a *argo) usages(strategy *manifest.Node) {
	note := func(analysis *manifest.Node) {
		for _, t := range analysis.Get("templates").Items() {
			if name := t.Get("templateName").Text(); a.given[name] == nil {
				a.given[name] = analysis.Get("args")
			}
		}
	}
	canary, blue := strategy.Get("canary"), strategy.Get("blueGreen")
	note(canary.Get("analysis"))
	for _, s := range canary.Get("steps").Items() {
		note(s.Get("analysis"))
		for _, one := range s.Get("experiment", "analyses").Items() {
			if name := one.Get("templateName").Text(); a.given[name] == nil {
				a.given[name] = one.Get("args")
			}
		}
	}
	note(blue.Get("prePromotionAnalysis"))
	note(blue.Get("postPromotionAnalysis"))
}

// run is how long the templates of an analysis take; those that are not there are said to be missing.
func (a *argo) run(analysis *manifest.Node) time.Duration {
	var long time.Duration
	for _, t := range analysis.Get("templates").Items() {
		name := t.Get("templateName")
		last, known := a.lasts[name.Text()]
		if !known {
			a.missing(name)
		}
		t.Skip("clusterScope")
		long = max(long, last)
	}
	if analysis.Has("dryRun") {
		a.d.lose(analysis.Get("dryRun"), "a dry run is a matter of the template here: set trust: observe, or take the check out")
		analysis.Skip("dryRun")
	}
	analysis.Skip("measurementRetention", "analysisRunMetadata", "args")
	return long
}

func (a *argo) missing(name *manifest.Node) {
	for _, known := range a.templates {
		if known == name.Text() {
			return
		}
	}
	a.d.lose(name, "the template %s is in none of the files: import it together with the rollout", name.Text())
}

func (a *argo) rollout(doc *manifest.Node) {
	spec := doc.Get("spec")
	d := a.d
	for _, name := range []string{"replicas", "selector", "template", "workloadRef", "minReadySeconds", "revisionHistoryLimit", "restartAt"} {
		spec.Skip(name) // how pods are made is the target's business
	}
	if deadline := spec.Get("progressDeadlineSeconds"); deadline != nil {
		if long, ok := deadline.Duration(time.Second); ok && long > 0 {
			d.settle = long
			if !spec.Get("progressDeadlineAbort").True() {
				d.change(deadline, "without progressDeadlineAbort Argo Rollouts only reports that nothing moves: ADG's settle is how long the target may take to reach a step, and a step that is not reached is not promoted")
			}
		}
	}
	if window := spec.Get("rollbackWindow"); window != nil {
		d.lose(window, "ADG guards every deployment: going back to one of the last revisions skips no step")
		spec.Skip("rollbackWindow")
	}
	if analysis := spec.Get("analysis"); analysis != nil {
		spec.Skip("analysis")
	}
	strategy := spec.Get("strategy")
	switch {
	case strategy.Has("canary"):
		a.canary(strategy.Get("canary"))
	case strategy.Has("blueGreen"):
		a.blueGreen(strategy.Get("blueGreen"))
	default:
		d.assume(strategy, "the rollout has no strategy: it is a rolling one")
		d.strategy.kind, d.strategy.steps = "rolling", []step{{share: 100, bake: 5 * time.Minute}}
	}
	if len(a.templates) > 0 {
		d.phases = []phase{{"immediate", 15 * time.Minute, "Added: Argo Rollouts watches no longer once all traffic is on the new version. verify: [] ends there, too."}}
	}
}

// ofTarget are fields that say how a state is reached, which is the business of ADG's target.
var ofTarget = []string{"canaryService", "stableService", "trafficRouting", "maxSurge", "maxUnavailable", "antiAffinity", "canaryMetadata", "stableMetadata",
	"scaleDownDelayRevisionLimit", "abortScaleDownDelaySeconds", "dynamicStableScale", "pingPong", "minPodsPerReplicaSet", "replicaProgressThreshold",
	"activeService", "previewService", "previewReplicaCount", "previewMetadata", "activeMetadata"}

func (a *argo) setUp(n *manifest.Node) {
	for _, name := range ofTarget {
		if n.Has(name) {
			a.d.lose(n.Get(name), "%s says how a state is reached, which is the business of ADG's target", name)
			n.Skip(name)
		}
	}
}

func (a *argo) canary(n *manifest.Node) {
	d := a.d
	a.setUp(n)
	n.Skip("scaleDownDelaySeconds")
	if analysis := n.Get("analysis"); analysis != nil {
		a.run(analysis)
		if at := analysis.Get("startingStep"); at != nil {
			d.change(at, "the analysis began at step %s: ADG measures from the first step on", at.Text())
		}
	}
	d.strategy.kind = "canary"
	steps := n.Get("steps").Items()
	if len(steps) == 0 {
		d.strategy.kind = "rolling"
		d.strategy.steps = []step{{share: 100, bake: time.Minute}}
		d.assume(n, "the canary has no steps, and so is a rolling update")
		return
	}
	c := climb{d: d}
	for _, s := range steps {
		a.canaryStep(&c, s)
	}
	c.top("added: Argo Rollouts ends here")
	d.strategy.steps = c.steps
	if c.steps[0].share == 0 {
		d.strategy.notes = append(d.strategy.notes, "The first step stages the release without traffic.")
	}
}

func (a *argo) canaryStep(c *climb, s *manifest.Node) {
	d := a.d
	for _, f := range s.Fields() {
		switch f.Name {
		case "setWeight":
			weight, ok := f.Value.Number()
			if !ok {
				d.lose(f.Value, "%q is no weight", f.Value.Text())
				continue
			}
			c.to(f.Value, weight)
		case "pause":
			long, ok := f.Value.Get("duration").Duration(time.Second)
			if f.Value.Has("duration") && !ok {
				d.lose(f.Value, "%q is no time to pause", f.Value.Get("duration").Text())
			}
			c.stay(long, !f.Value.Has("duration"))
		case "analysis":
			c.stay(a.run(f.Value), false)
			d.change(f.Value, "this analysis ran at one step only: ADG measures its checks at every step, and this step bakes as long as the analysis took")
		case "experiment":
			long, _ := f.Value.Get("duration").Duration(time.Second)
			for _, one := range f.Value.Get("analyses").Items() {
				name := one.Get("templateName")
				if _, known := a.lasts[name.Text()]; !known {
					a.missing(name)
				}
				long = max(long, a.lasts[name.Text()])
			}
			c.stay(long, false)
			d.lose(f.Value, "ADG starts no experiment beside the rollout: the step bakes as long as it took")
			s.Skip(f.Name)
		case "setCanaryScale", "setHeaderRoute", "setMirrorRoute", "replicaProgressThreshold":
			d.lose(f.Value, "%s is the business of ADG's target: a policy sets shares of the traffic", f.Name)
			s.Skip(f.Name)
		default:
			d.lose(f.Value, "a step of kind %s cannot be carried over", f.Name)
			s.Skip(f.Name)
		}
	}
}

// climb collects the steps of a canary, which rise.
type climb struct {
	d     *draft
	steps []step
}

// to goes to a share, in percent.
func (c *climb) to(at *manifest.Node, share float64) {
	n := len(c.steps)
	switch {
	case !(share >= 0 && share <= 100):
		c.d.lose(at, "%s is no share", trim(share))
	case n > 0 && share < c.steps[n-1].share:
		c.d.lose(at, "steps rise in ADG: it does not go down to %s%%", trim(share))
	case n == 0 || share > c.steps[n-1].share:
		c.steps = append(c.steps, step{share: share})
	}
}

// stay lets the step that was reached last bake.
func (c *climb) stay(long time.Duration, pause bool) {
	if len(c.steps) == 0 {
		c.steps = []step{{}}
	}
	last := &c.steps[len(c.steps)-1]
	last.bake = min(last.bake+long, 30*24*time.Hour)
	if pause {
		last.pause, last.note = true, "a human promotes it"
	}
}

// top adds the last step, to all of the traffic.
func (c *climb) top(note string) {
	if n := len(c.steps); n > 0 && c.steps[n-1].share == 100 {
		return
	}
	c.steps = append(c.steps, step{share: 100, bake: time.Minute, note: note})
}

func (a *argo) blueGreen(n *manifest.Node) {
	d := a.d
	a.setUp(n)
	s := &d.strategy
	s.kind = "blue-green"
	s.preview, s.bake, s.keep = time.Minute, time.Minute, 30*time.Second
	if before := n.Get("prePromotionAnalysis"); before != nil {
		s.preview = max(s.preview, a.run(before))
	}
	if after := n.Get("postPromotionAnalysis"); after != nil {
		s.bake = max(s.bake, a.run(after))
	}
	if wait := n.Get("autoPromotionSeconds"); wait != nil {
		if long, ok := wait.Duration(time.Second); ok {
			s.preview = max(s.preview, long)
		}
	}
	if delay := n.Get("scaleDownDelaySeconds"); delay != nil {
		if long, ok := delay.Duration(time.Second); ok {
			s.keep = long
		}
	} else {
		d.assume(n, "the old version is kept for 30s after the switch, which is what Argo Rollouts does unless told otherwise")
	}
	if auto := n.Get("autoPromotionEnabled"); auto != nil && auto.Text() == "false" {
		d.lose(auto, "blue-green switches by itself once the release has been healthy for the preview: for a human's promote, take the canary strategy with a step at 0%%, as the comment shows")
		s.notes = append(s.notes, "LOOK: a human promoted here. To keep that: canary: {steps: [{share: 0%, bake: "+span(s.preview)+", pause: true}, {share: 100%, bake: "+span(s.bake)+"}]}")
	}
}
