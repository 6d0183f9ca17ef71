package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/strictyaml"
)

// translator makes the policy of what a file says.
type translator struct {
	doc       *strictyaml.Document
	wire      policy
	sources   []Instance
	targets   []Instance
	notifiers []Instance
}

// policy is the complete policy; what is wrong with it is on record.
func (t translator) policy() adg.Policy {
	w := t.wire
	p := adg.Policy{
		Service: w.Service, Environment: w.Environment, Variables: w.Variables,
		Strategy: t.strategy(), Rollback: t.rollback(),
		Risk: t.risk(), Alpha: float64(w.Alpha) / 100,
		Scoring:  adg.Scoring{Healthy: w.Scoring.Healthy, Degraded: w.Scoring.Degraded},
		Interval: w.Interval, WarmUp: w.WarmUp, Settle: w.Settle, History: w.History, Deadline: w.Deadline,
		AtDeadline: w.AtDeadline, UnknownHold: w.UnknownHold, GateTimeout: w.GateTimeout,
		Approve: w.Approve, FourEyes: w.FourEyes, OnInterrupt: w.OnInterrupt,
	}
	if w.Promote == "proven" {
		p.Promote = adg.Proven
	}
	for i := range w.Checks {
		p.Checks = append(p.Checks, t.check(i))
	}
	for _, ph := range w.Verify {
		p.Verify = append(p.Verify, adg.Phase{Name: ph.Phase, For: ph.For, Interval: ph.Interval, Checks: ph.Checks})
	}
	for _, n := range t.notifiers {
		p.Notify = append(p.Notify, n.Name)
	}
	p = p.WithDefaults()
	t.names()
	t.fallback()
	t.variables()
	t.scores()
	t.validate(p)
	return p
}

// Private

func (t translator) risk() adg.RiskPolicy {
	w := t.wire.Risk
	r := adg.RiskPolicy{Warn: w.Warn, Approve: w.Approve, Block: w.Block, Steer: adg.Steering{Bake: w.Steer.Bake, Steps: w.Steer.Steps, Strict: w.Steer.Strict}}
	if l := w.Labels; t.doc.Has("risk.labels") {
		r.Labels = &adg.Labels{
			RolledBack: l.RolledBack, Blocked: l.Blocked, Hotfixed: l.Hotfixed, Incident: l.Incident, Superseded: l.Superseded, Matures: l.Matures,
		}
	}
	return r
}

func (t translator) check(i int) adg.Check {
	w := t.wire.Checks[i]
	c := adg.Check{
		Name: w.Name, Source: w.Source, Query: strings.TrimSpace(w.Query), Bad: strings.TrimSpace(w.Bad), Total: strings.TrimSpace(w.Total), Histogram: strings.TrimSpace(w.Histogram), Replica: w.Replica,
		Baseline: w.Baseline, Aggregate: w.Aggregate, Warn: w.Warn, Fail: w.Fail,
		Window: w.Window, Interval: w.Interval, MaxAge: w.MaxAge, MinSamples: w.MinSamples,
		Weight: w.Weight, Critical: w.Critical, BlamePreexisting: w.BlamePreexisting, Unit: w.Unit,
	}
	at := slices.IndexFunc(t.sources, func(s Instance) bool { return s.Name == w.Source })
	switch {
	case w.Compare != nil:
		c.Compare = *w.Compare
	case at >= 0 && probes(t.sources[at]):
		c.Compare = adg.Probe
	case w.Warn.Relative || w.Fail.Relative:
		c.Compare = adg.Relative
	case c.Histogram != "", c.Counts() && w.Warn.IsZero() && w.Fail.IsZero():
		c.Compare = adg.Sequential
	}
	switch c.Compare {
	case adg.Probe:
		c.Failures = w.Failures
	case adg.Sequential:
		c.Sequential = t.sequential(i)
	case adg.MannWhitney:
		c.Ranks = w.MannWhitney.ranks()
	case adg.Logs:
		c.Sequential, c.Logs = t.sequential(i), t.logs(i)
	case adg.Threshold, adg.Relative, adg.Events:
	}
	for compare, field := range map[adg.Comparison]string{adg.Sequential: "sequential", adg.MannWhitney: "mann_whitney", adg.Logs: "logs"} {
		if path := fmt.Sprintf("checks[%d].%s", i, field); c.Compare != compare && t.doc.Has(path) && (field != "sequential" || !c.Promises()) {
			t.doc.RefuseField(path, "%s belongs to compare: %s, and this check is compared by %s", field, compare, c.Compare)
		}
	}
	return c
}

func (t translator) sequential(i int) adg.SequentialTest {
	w := t.wire.Checks[i].Sequential
	if w.Bucket%time.Second != 0 {
		t.doc.RefuseField(fmt.Sprintf("checks[%d].sequential.bucket", i), "a bucket is whole seconds long")
	}
	return adg.SequentialTest{
		Ratio: w.Tolerate, NotBy: w.NotBy, Beta: float64(w.Beta) / 100, Detect: w.Detect, Power: float64(w.Power) / 100,
		Bucket: int(w.Bucket / time.Second), Season: w.Season, Independent: w.Independent, NoSplit: !w.Split,
	}
}

func (t translator) logs(i int) adg.LogTest {
	w := t.wire.Checks[i].Logs
	l := adg.LogTest{Ignore: w.Ignore, Least: w.Least, Often: float64(w.Often) / 100}
	if w.Level == "any" {
		l.Level, l.Any = adg.LevelDebug, true
		return l
	}
	if err := l.Level.UnmarshalText([]byte(w.Level)); err != nil {
		t.doc.RefuseField(fmt.Sprintf("checks[%d].logs.level", i), "%s", err)
	}
	for j, text := range w.Ignore {
		if _, err := regexp.Compile(text); err != nil {
			t.doc.RefuseField(fmt.Sprintf("checks[%d].logs.ignore[%d]", i, j), "%q is no regular expression: %s", strictyaml.Cut(text), err)
		}
	}
	return l
}

func (w mannWhitney) ranks() adg.RankTest {
	r := adg.RankTest{
		Direction: w.Direction, Confidence: float64(w.Confidence) / 100, Tolerance: w.Tolerance, CLES: w.Effect == "cles",
		Outliers: w.Outliers, NaNAsZero: w.NaN == "replace",
	}
	if w.Increase != nil {
		r.Increase = *w.Increase
	}
	if w.Decrease != nil {
		r.Decrease = *w.Decrease
	}
	return r
}

func (t translator) strategy() adg.Strategy {
	w := t.wire.Strategy
	switch {
	case w.Canary != nil:
		return adg.Strategy{Kind: adg.Canary, Steps: steps(w.Canary.Steps, w.Canary.Bake)}
	case w.FeatureFlag != nil:
		return adg.Strategy{Kind: adg.FeatureFlag, Steps: steps(w.FeatureFlag.Steps, w.FeatureFlag.Bake)}
	case w.Rolling != nil:
		return adg.Strategy{Kind: adg.RollingUpdate, Steps: steps(w.Rolling.Batches, w.Rolling.Bake)}
	case w.BlueGreen != nil:
		return adg.Strategy{Kind: adg.BlueGreen, Keep: w.BlueGreen.Keep, Steps: []adg.Step{{Bake: w.BlueGreen.Preview}, {Share: 100, Bake: w.BlueGreen.Bake}}}
	case w.Recreate != nil:
		return adg.Strategy{Kind: adg.Recreate, Steps: []adg.Step{{Share: 100, Bake: w.Recreate.Bake}}}
	default:
		return adg.Strategy{}
	}
}

func steps(wire []step, bake time.Duration) []adg.Step {
	made := make([]adg.Step, len(wire))
	for i, s := range wire {
		made[i] = adg.Step{Share: float64(s.Share), Bake: bake, Pause: s.Pause}
		if s.Bake != nil {
			made[i].Bake = *s.Bake
		}
	}
	return made
}

func (t translator) rollback() adg.RollbackPolicy {
	w := t.wire.Rollback
	r := adg.RollbackPolicy{
		Trust: w.Trust, Recover: w.Recover, AskTimeout: w.Ask.Timeout, AskThen: w.Ask.Then, Attempts: w.Attempts, Timeout: w.Timeout,
		VerifyFor: w.Verify.For, VerifyMax: w.Verify.Within, HoldFor: w.Hold, Over: w.Over, Fallback: w.Fallback, PerHour: w.PerHour, SchemaIrreversible: w.Schema == "irreversible",
	}
	// Who asks for a long stretch of good health has not asked for an impossible one.
	if !t.doc.Has("rollback.verify.within") {
		r.VerifyMax = max(r.VerifyMax, 2*r.VerifyFor)
	} else if r.VerifyMax < r.VerifyFor {
		t.doc.RefuseField("rollback.verify.within", "service cannot have been good for %s within %s", adg.Short(r.VerifyFor), adg.Short(r.VerifyMax))
	}
	for i := range w.Rules {
		r.Rules = append(r.Rules, t.rule(i))
	}
	return r
}

// fallback refuses one that nobody knows.
func (t translator) fallback() {
	name := t.wire.Rollback.Fallback
	if name == "" || slices.ContainsFunc(t.targets, func(one Instance) bool { return one.Name == name }) {
		return
	}
	t.doc.RefuseField("rollback.fallback", "there is no other target %q for this service and environment: there are %s", strictyaml.Cut(name), named(t.targets))
}

func (t translator) rule(i int) adg.Rule {
	w, path := t.wire.Rollback.Rules[i], fmt.Sprintf("rollback.rules[%d]", i)
	r := adg.Rule{When: adg.Unhealthy, For: w.For}
	if w.When == "degraded" {
		r.When = adg.Degraded
	}
	switch {
	case w.Act != nil && (w.Strategy != "" || w.Grace != nil):
		t.doc.RefuseField(path+".act", "act says it all: take strategy and grace out")
	case w.Act != nil:
		r.After = w.Act.after
	case w.Strategy == "grace" && w.Grace == nil:
		t.doc.RefuseField(path+".strategy", "how long is the grace? write act: after 10m")
	case w.Strategy == "grace":
		r.After = *w.Grace
	case w.Grace != nil:
		t.doc.RefuseField(path+".grace", "a grace belongs to strategy: grace; better write act: after 10m")
	}
	return r
}

// names refuses names that are none, that are there twice, or that nothing has.
func (t translator) names() {
	t.name("service", "service", t.wire.Service)
	t.name("environment", "environment", t.wire.Environment)
	sources := make([]string, len(t.sources))
	for i, s := range t.sources {
		sources[i] = s.Name
	}
	var checks []string
	for i, c := range t.wire.Checks {
		path := fmt.Sprintf("checks[%d]", i)
		t.name("check", path+".name", c.Name)
		if first := slices.Index(checks, c.Name); first >= 0 && c.Name != "" {
			t.doc.RefuseField(path+".name", "two checks are named %s: the first is on line %d", strictyaml.Cut(c.Name), t.doc.Value(fmt.Sprintf("checks[%d].name", first)).Line)
		}
		checks = append(checks, c.Name)
		if t.doc.Has("sources") {
			t.known("source", path+".source", c.Source, sources)
		}
	}
	var phases []string
	for i, ph := range t.wire.Verify {
		path := fmt.Sprintf("verify[%d]", i)
		t.name("phase", path+".phase", ph.Phase)
		if slices.Contains(phases, ph.Phase) && ph.Phase != "" {
			t.doc.RefuseField(path+".phase", "two phases are named %s", strictyaml.Cut(ph.Phase))
		}
		phases = append(phases, ph.Phase)
		for j, name := range ph.Checks {
			t.known("check", fmt.Sprintf("%s.checks[%d]", path, j), name, checks)
		}
	}
}

func (t translator) name(what, path, name string) {
	if !t.doc.Has(path) || t.doc.FailedAt(path) {
		return
	}
	if err := adg.ValidName(what, strictyaml.Cut(name)); err != nil {
		t.doc.RefuseField(path, "%s", err)
	}
}

func (t translator) known(what, path, name string, names []string) {
	if !t.doc.Has(path) || t.doc.FailedAt(path) || slices.Contains(names, name) {
		return
	}
	choices := "there are none"
	if len(names) > 0 {
		choices = "there are " + strictyaml.Choices(names)
	}
	t.doc.Refuse(t.doc.Value(path), path, strictyaml.Nearest(name, names), "there is no %s %q: %s", what, strictyaml.Cut(name), choices)
}

var (
	// standing are the variables of every policy.
	standing = []string{"baseline", "environment", "service", "version", "window"}

	variableValue = regexp.MustCompile(`^[A-Za-z0-9_.+@:/][A-Za-z0-9_.+@:/-]{0,255}$`)
	identifier    = regexp.MustCompile(`[A-Za-z_][A-Za-z0-9_]*`)
)

// variables refuses variables that queries could not use, and queries with variables that there are not.
func (t translator) variables() {
	known := slices.Clone(standing)
	for _, name := range slices.Sorted(maps.Keys(t.wire.Variables)) {
		path := strictyaml.Join("variables", name)
		switch {
		case identifier.FindString(name) != name || len(name) > 63:
			t.doc.Refuse(t.doc.Key(path), path, "", "variable %q: use at most 63 letters, digits and '_', starting with a letter", strictyaml.Cut(name))
		case slices.Contains(standing, name):
			t.doc.Refuse(t.doc.Key(path), path, "", "variable %s is always there and cannot be set", name)
		case !t.doc.FailedAt(path) && !variableValue.MatchString(t.wire.Variables[name]):
			t.doc.RefuseField(path, "variable %s: use 1 to 256 letters, digits and ._+@:/-, not starting with '-'", name)
		}
		if identifier.FindString(name) == name {
			known = append(known, name)
		}
	}
	slices.Sort(known)
	known = slices.Compact(known)
	for i, c := range t.wire.Checks {
		for field, text := range map[string]string{"query": c.Query, "bad": c.Bad, "total": c.Total, "histogram": c.Histogram} {
			t.queryVariables(fmt.Sprintf("checks[%d].%s", i, field), text, known)
		}
	}
}

func (t translator) queryVariables(path, text string, known []string) {
	for _, name := range variablesOf(text) {
		if slices.Contains(known, name) {
			continue
		}
		at := t.doc.Find(path, "$"+name)
		if braced := t.doc.Find(path, "${"+name+"}"); strings.Contains(text, "${"+name+"}") {
			at = braced
		}
		meant := strictyaml.Nearest(name, known)
		if meant != "" {
			meant = "$" + meant
		}
		t.doc.Refuse(at, path, meant, "unknown variable $%s: known are $%s; a '$' itself is written $$", strictyaml.Cut(name), strings.Join(known, ", $"))
	}
}

// variablesOf are the names of the variables in a query, each once.
func variablesOf(text string) []string {
	vars := map[string]string{}
	for _, word := range identifier.FindAllString(text, -1) {
		vars[word] = word
	}
	var names []string
	// Each word of the text stands for itself, so that Expand, which knows how variables are written, names those used.
	_, _ = adg.Expand(text, vars, func(_, name string) string {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
		return ""
	})
	return names
}

func (t translator) scores() {
	for path, score := range map[string]float64{"scoring.healthy": t.wire.Scoring.Healthy, "scoring.degraded": t.wire.Scoring.Degraded} {
		if score > 100 {
			t.doc.RefuseField(path, "a score is at most 100")
		}
	}
}
