package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/strictyaml"
)

// versionless are sources that learn the version in another way than from the query.
var versionless = append([]string{"command"}, probeTypes...)

// lint puts on record what is doubtful in a policy that is right.
func lint(doc *strictyaml.Document, file File, w policy) {
	l := linter{doc: doc, file: file, p: file.Policy}
	if w.Target == nil {
		doc.Doubt("", "no target: nothing can be deployed with this policy; add one, as in target: {type: command, …}")
	}
	l.checks()
	l.strategy()
	l.rollback()
	l.deadline()
}

// Private

type linter struct {
	doc  *strictyaml.Document
	file File
	p    adg.Policy
}

func (l linter) checks() {
	if !slices.ContainsFunc(l.p.Checks, func(c adg.Check) bool { return c.Critical }) {
		l.doc.Doubt("checks", "no check is critical, so that a single one can fail for good and the score still be good: set critical: true for what users notice at once")
	}
	for i, c := range l.p.Checks {
		path := fmt.Sprintf("checks[%d]", i)
		if c.Compare == adg.Probe {
			continue
		}
		if c.Promises() {
			l.sequential(path, c)
		} else if c.Fail.IsZero() && c.Compare != adg.MannWhitney {
			l.doc.Doubt(path, "check %s only warns, it can never fail: add fail", c.Name)
		}
		if interval := l.interval(c); c.Window < 4*interval {
			l.doc.Doubt(path+".window", "check %s looks back %s but is measured every %s: a window of four intervals or more (%s) keeps one odd sample from deciding",
				c.Name, adg.Short(c.Window), adg.Short(interval), adg.Short(4*interval))
		}
		if c.Compare == adg.Relative && c.MinSamples == 0 {
			l.doc.Doubt(path, "check %s compares with the baseline however few samples there are: set min_samples, such as 50", c.Name)
		}
		if c.Compare == adg.Relative && c.Baseline == adg.Historical && l.shares() {
			l.doc.Doubt(path+".baseline", "check %s compares with the past, though the stable release serves beside the new one and sees the same traffic: take baseline: concurrent", c.Name)
		}
		l.version(path, c)
	}
}

// sequential doubts what keeps a sequential check from holding its promise.
func (l linter) sequential(path string, c adg.Check) {
	if c.Replica == "" && !c.Sequential.Independent {
		l.doc.Doubt(path, "check %s does not say which label tells replicas apart (replica: pod): how much replicas differ is not known then, its promise about false alarms holds for independent requests only, and a human is asked before a rollback", c.Name)
	}
	if !l.shares() {
		l.doc.Doubt(path+".compare", "check %s compares with the release beside it, and with strategy %s none is: it falls back to the time before the deployment, which is weaker", c.Name, l.p.Strategy.Kind)
	}
	if bucket := time.Duration(c.Sequential.Bucket) * time.Second; bucket > c.Window {
		l.doc.Doubt(path+".window", "check %s counts in buckets of %s and looks back %s only: set the window to %s or more", c.Name, adg.Short(bucket), adg.Short(c.Window), adg.Short(2*bucket))
	}
}

// promise says what the policy promises about false alarms, and which checks are outside of that; empty: nothing.
func promise(p adg.Policy) string {
	var in, out []string
	for _, c := range p.Checks {
		if c.Promises() {
			in = append(in, fmt.Sprintf("%s %.2g %%", c.Name, 100*c.Sequential.Alpha))
		} else {
			out = append(out, c.Name)
		}
	}
	if len(in) == 0 {
		return ""
	}
	if p.Scoring.Alpha > 0 {
		in = append(in, fmt.Sprintf("what they find together %.2g %%", 100*p.Scoring.Alpha))
	}
	text := fmt.Sprintf("a release that is no worse is rolled back by the sequential checks with a probability of at most %.2g %% per deployment (%s)", 100*p.Alpha, strings.Join(in, ", "))
	if len(out) > 0 {
		text += "; outside of that promise: " + strings.Join(out, ", ")
	}
	return text
}

// version doubts a query that measures both releases together while both serve.
func (l linter) version(path string, c adg.Check) {
	i := slices.IndexFunc(l.file.Sources, func(s Instance) bool { return s.Name == c.Source })
	if !l.shares() || i < 0 || slices.Contains(versionless, l.file.Sources[i].Type) {
		return
	}
	for _, field := range []struct{ name, text string }{{"query", c.Query}, {"bad", c.Bad}, {"total", c.Total}, {"histogram", c.Histogram}} {
		if field.text != "" && !slices.Contains(variablesOf(field.text), "version") {
			l.doc.Doubt(path+"."+field.name, "check %s measures both releases together: pick the one that is asked about, as in version=\"$version\"", c.Name)
		}
	}
}

func (l linter) strategy() {
	for i, step := range l.p.Strategy.Steps {
		if step.Bake >= 2*l.p.Interval {
			continue
		}
		what := fmt.Sprintf("step %d", i+1)
		if l.p.Strategy.Kind == adg.BlueGreen && i == 0 {
			what = "the preview"
		}
		l.doc.Doubt(l.bakePath(i), "%s bakes %s, which is less than two measurements (one every %s): bake at least %s, or set a shorter interval",
			what, adg.Short(step.Bake), adg.Short(l.p.Interval), adg.Short(2*l.p.Interval))
	}
}

func (l linter) rollback() {
	r := l.p.Rollback
	if r.Trust == adg.Auto && !l.doc.Has("rollback.rules") {
		l.doc.Doubt("rollback.trust", "trust: auto without rules acts on the default ones, unhealthy for 1m: now; degraded for 15m: after 10m. Write down the rules that you want")
	}
	slowest := time.Duration(0)
	for _, c := range l.p.Checks {
		slowest = max(slowest, l.interval(c))
	}
	for i, rule := range r.Rules {
		if rule.For < slowest {
			l.doc.Doubt(fmt.Sprintf("rollback.rules[%d].for", i), "%s for %s is less than the %s between two measurements, so that a single one decides: set for to %s or more",
				rule.When, adg.Short(rule.For), adg.Short(slowest), adg.Short(2*slowest))
		}
	}
}

func (l linter) deadline() {
	var needs time.Duration
	paused := false
	for _, step := range l.p.Strategy.Steps {
		needs += step.Bake
		paused = paused || step.Pause
	}
	var verify time.Duration
	for _, ph := range l.p.Verify {
		verify += ph.For
	}
	needs += max(verify, l.p.Strategy.Keep)
	if left := l.p.Deadline - needs; left < needs/10 || paused && left < time.Hour {
		l.doc.Doubt("deadline", "the deadline leaves %s beyond the %s that steps and phases take: one pause or a stretch without data, and the deployment ends there (at_deadline: %s)",
			adg.Short(left), adg.Short(needs), l.p.AtDeadline)
	}
}

// shares tells whether two releases serve at the same time for a while.
func (l linter) shares() bool {
	return slices.ContainsFunc(l.p.Strategy.Steps, func(s adg.Step) bool { return s.Share > 0 && s.Share < 100 })
}

func (l linter) interval(c adg.Check) time.Duration {
	if c.Interval > 0 {
		return c.Interval
	}
	return l.p.Interval
}

// bakePath is the field that the bake of a step comes from.
func (l linter) bakePath(i int) string {
	kind := l.p.Strategy.Kind
	base := "strategy." + kind.String()
	switch kind {
	case adg.BlueGreen:
		return base + []string{".preview", ".bake"}[min(i, 1)]
	case adg.RollingUpdate:
		return l.stepPath(base, ".batches", i)
	case adg.Canary, adg.FeatureFlag:
		return l.stepPath(base, ".steps", i)
	case adg.Recreate:
	}
	return base + ".bake"
}

func (l linter) stepPath(base, steps string, i int) string {
	if path := fmt.Sprintf("%s%s[%d].bake", base, steps, i); l.doc.Has(path) {
		return path
	}
	return base + ".bake"
}
