package adg

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// WithDefaults is the policy with every zero that stands for a default filled in. It changes nothing else, and doing
// it twice is doing it once.
func (p Policy) WithDefaults() Policy {
	setDefault(&p.Interval, 15*time.Second)
	setDefault(&p.Settle, 10*time.Minute)
	setDefault(&p.History, 30*time.Minute)
	setDefault(&p.GateTimeout, 24*time.Hour)
	setDefault(&p.UnknownHold, 3*p.Interval)
	setDefault(&p.Scoring.Healthy, 90)
	setDefault(&p.Scoring.Degraded, 60)
	p.Checks = slices.Clone(p.Checks)
	for i := range p.Checks {
		p.Checks[i] = p.Checks[i].withDefaults()
	}
	p.shareAlpha()
	p.Strategy = p.Strategy.withDefaults()
	p.Verify = slices.Clone(p.Verify)
	for i := range p.Verify {
		setDefault(&p.Verify[i].Interval, p.Interval)
	}
	p.Rollback = p.Rollback.withDefaults()
	if p.Deadline == 0 {
		p.Deadline = p.longest() + 24*time.Hour
	}
	return p
}

// Validate reports everything that is wrong with a policy whose defaults are filled in.
func (p Policy) Validate() error {
	errs := []error{ValidName("service", p.Service), ValidName("environment", p.Environment)}
	if len(p.Checks) == 0 {
		errs = append(errs, Errorf(Invalid, "the policy has no checks: a deployment that nothing watches cannot be guarded"))
	}
	seen := map[string]bool{}
	for _, c := range p.Checks {
		if seen[c.Name] {
			errs = append(errs, Errorf(Invalid, "two checks are named %q", c.Name))
		}
		seen[c.Name] = true
		errs = append(errs, c.Validate())
	}
	errs = append(errs, p.Strategy.Validate())
	phases := map[string]bool{}
	for _, phase := range p.Verify {
		if phases[phase.Name] {
			errs = append(errs, Errorf(Invalid, "two phases are named %q", phase.Name))
		}
		phases[phase.Name] = true
		errs = append(errs, phase.validate(seen))
	}
	errs = append(errs, p.Rollback.Validate(), p.Risk.validate(), p.times())
	if p.Rollback.Over > 0 && p.Strategy.Kind != Canary && p.Strategy.Kind != FeatureFlag {
		errs = append(errs, Errorf(Invalid, "rollback: over needs a strategy that splits the traffic, canary or feature-flag, and this is %s: take it out", p.Strategy.Kind))
	}
	if p.Deadline < p.longest() {
		errs = append(errs, Errorf(Invalid, "the deadline %s is shorter than the steps and phases together, %s", Short(p.Deadline), Short(p.longest())))
	}
	errs = append(errs, p.promise())
	if !(p.Scoring.Degraded <= p.Scoring.Healthy) {
		errs = append(errs, Errorf(Invalid, "scoring: degraded (%g) is above healthy (%g)", p.Scoring.Degraded, p.Scoring.Healthy))
	}
	return errors.Join(errs...)
}

// Validate reports everything that is wrong with the check.
func (c Check) Validate() error {
	var errs []error
	wrong := func(format string, args ...any) {
		errs = append(errs, Errorf(Invalid, "check %q: "+format, append([]any{c.Name}, args...)...))
	}
	if err := ValidName("check", c.Name); err != nil {
		errs = append(errs, err)
	}
	if c.Source == "" {
		wrong("no source")
	}
	if !unitWord.MatchString(c.Unit) {
		wrong("a unit is a word of at most 16 characters, as in ms, MiB or 1/s")
	}
	switch asks := c.asks(); {
	case c.Counts() && (c.Bad == "" || c.Total == ""):
		wrong("bad and total belong together")
	case asks > 1:
		wrong("give one of query, bad and total, or histogram")
	case asks == 0 && c.Compare != Probe:
		wrong("nothing to ask: give query, or bad and total")
	}
	switch {
	case c.Compare == Probe && (c.Counts() || c.Histogram != ""):
		wrong("a probe has no counters")
	case c.Compare == Sequential && c.Query != "":
		wrong("compare: sequential needs counters, bad and total, or a histogram: what a query answers has lost the number of requests")
	case c.Compare == MannWhitney && c.Query == "":
		wrong("compare: mann-whitney needs a query: for counters, compare: sequential knows more")
	case c.Compare == Logs && c.Query == "":
		wrong("compare: logs needs a query: which lines are looked at")
	case c.Histogram != "" && c.Compare != Sequential:
		wrong("a histogram needs compare: sequential")
	case c.Fail.IsZero() && c.Warn.IsZero() && c.needsLimit():
		wrong("neither warn nor fail: it could never be bad")
	}
	if err := c.Sequential.validate(); err != nil {
		wrong("%w", err)
	}
	if err := c.Ranks.validate(); err != nil {
		wrong("%w", err)
	}
	if err := c.Logs.validate(); err != nil {
		wrong("%w", err)
	}
	for _, limit := range []Condition{c.Warn, c.Fail} {
		if limit.Relative && c.Compare != Relative {
			wrong("%q needs compare: relative", limit)
		}
		if !limit.IsZero() && (c.Compare == MannWhitney || c.Compare == Logs || c.Histogram != "") {
			wrong("%q has nothing to limit: %s asks whether the two releases differ", limit, c.Compare)
		}
		if !limit.IsZero() && !limit.Relative && c.Compare == Relative {
			wrong("compare: relative needs 'baseline' in %q", limit)
		}
	}
	if c.Window <= 0 {
		wrong("the window must be longer than zero")
	} else if c.Compare == Logs && c.Window < Moments*c.Moment() {
		wrong("a window of %s holds no whole moment of %s for sure: compare: logs needs one of %s at least, or a shorter sequential.bucket", Short(c.Window), Short(c.Moment()), Short(Moments*c.Moment()))
	}
	if !(c.Weight >= 0 && c.Weight < math.Inf(1)) || !(c.MinSamples >= 0 && c.MinSamples < math.Inf(1)) || c.Failures < 0 || c.Interval < 0 || c.MaxAge < 0 {
		wrong("weight, min_samples, failures, interval and max_age are not negative")
	}
	return errors.Join(errs...)
}

// Validate reports everything that is wrong with the strategy.
func (s Strategy) Validate() error {
	if len(s.Steps) == 0 {
		return Errorf(Invalid, "strategy %s: no steps", s.Kind)
	}
	var errs []error
	before := -1.0
	for i, step := range s.Steps {
		if !(step.Share >= 0 && step.Share <= 100) || step.Share <= before {
			errs = append(errs, Errorf(Invalid, "strategy %s: step %d is %g %%: steps rise from 0 to 100", s.Kind, i+1, step.Share))
		}
		if step.Bake < 0 {
			errs = append(errs, Errorf(Invalid, "strategy %s: step %d bakes a negative time", s.Kind, i+1))
		}
		before = step.Share
	}
	if before != 100 {
		errs = append(errs, Errorf(Invalid, "strategy %s: the last step is %g %%, it has to be 100", s.Kind, before))
	}
	if s.Kind == Recreate && len(s.Steps) != 1 {
		errs = append(errs, Errorf(Invalid, "strategy recreate has the one step to 100 %%"))
	}
	return errors.Join(errs...)
}

// Validate reports everything that is wrong with the rules of rollback.
func (r RollbackPolicy) Validate() error {
	var errs []error
	if len(r.Rules) == 0 && r.Trust != Observe {
		errs = append(errs, Errorf(Invalid, "rollback: no rules, so nothing would ever be rolled back: add one, or set trust: observe"))
	}
	for i, rule := range r.Rules {
		if rule.When != Unhealthy && rule.When != Degraded {
			errs = append(errs, Errorf(Invalid, "rollback rule %d: when is unhealthy or degraded, not %s", i+1, rule.When))
		}
		if rule.For < 0 || rule.After < 0 {
			errs = append(errs, Errorf(Invalid, "rollback rule %d: negative time", i+1))
		}
	}
	for _, n := range []int64{int64(r.Attempts), int64(r.PerHour), int64(r.Timeout), int64(r.VerifyFor), int64(r.VerifyMax),
		int64(r.AskTimeout), int64(r.Recover), int64(r.HoldFor), int64(r.Over)} {
		if n < 0 {
			errs = append(errs, Errorf(Invalid, "rollback: attempts, per_hour and times are not negative"))
			break
		}
	}
	if r.VerifyMax < r.VerifyFor {
		errs = append(errs, Errorf(Invalid, "rollback: verify_max (%s) is shorter than verify_for (%s)", Short(r.VerifyMax), Short(r.VerifyFor)))
	}
	if r.Over > time.Hour {
		errs = append(errs, Errorf(Invalid, "rollback: over is an hour at most: meanwhile the bad release has users"))
	}
	if r.Fallback != "" {
		errs = append(errs, ValidName("target", r.Fallback))
	}
	return errors.Join(errs...)
}

// Private

const (
	usualAlpha = 0.01 // of a whole deployment
	// combinedShare is the part of alpha that the mean evidence of all sequential checks has, where there are several: a
	// fault that shows a little everywhere is found by it, and one that shows in a single place by that check.
	combinedShare = 0.5
)

// shareAlpha shares the policy's alpha out over its sequential checks, by their weights, and the mean of all of them.
func (p *Policy) shareAlpha() {
	n, promises, weights := 0, 0, 0.0
	for _, c := range p.Checks {
		if c.Compare == Sequential {
			n++
		}
		if c.Promises() {
			promises++
			weights += c.Weight
		}
	}
	setDefault(&p.Alpha, usualAlpha)
	setDefault(&p.Promote, Baked)
	if promises == 0 {
		return
	}
	left := p.Alpha
	if n > 1 {
		setDefault(&p.Scoring.Alpha, combinedShare*p.Alpha)
		left -= p.Scoring.Alpha
	}
	for i, c := range p.Checks {
		if c.Promises() {
			setDefault(&p.Checks[i].Sequential.Alpha, left*c.Weight/weights)
		}
	}
}

// promise refuses a share-out of alpha that is more than there is.
func (p Policy) promise() error {
	if p.Promote > Proven {
		return Errorf(Invalid, "promote is baked or proven")
	}
	if p.Alpha == 0 {
		return nil
	}
	if !(p.Alpha > 0 && p.Alpha <= 0.5) {
		return Errorf(Invalid, "alpha is a probability above 0 and up to 0.5 (50 %%), not %g", p.Alpha)
	}
	sum := p.Scoring.Alpha
	for _, c := range p.Checks {
		sum += c.Sequential.Alpha
	}
	if sum > p.Alpha*(1+1e-9) {
		return Errorf(Invalid, "the sequential checks have %g of alpha between them, and there is only %g", sum, p.Alpha)
	}
	return nil
}

// asks is how many kinds of question the check holds.
func (c Check) asks() int {
	n := 0
	for _, there := range []bool{c.Query != "", c.Counts(), c.Histogram != ""} {
		if there {
			n++
		}
	}
	return n
}

// needsLimit tells whether the check could not be bad without a limit.
func (c Check) needsLimit() bool {
	switch c.Compare {
	case Probe, Sequential, MannWhitney, Logs:
		return false
	case Threshold, Relative, Events:
	}
	return true
}

func (t SequentialTest) validate() error {
	probability := func(p float64) bool { return p >= 0 && p < 1 }
	if !probability(t.Alpha) || !probability(t.Beta) || !probability(t.Power) {
		return Errorf(Invalid, "alpha, beta and power are probabilities below 1")
	}
	ratio := t.Ratio
	setDefault(&ratio, 1)
	for _, r := range []float64{ratio, t.NotBy, t.Detect} {
		if r != 0 && !(r >= 1 && r <= 1000) {
			return Errorf(Invalid, "ratios are 1 to 1000, not %g: 1.1 is a tenth more", r)
		}
	}
	if t.NotBy != 0 && t.NotBy <= ratio || t.Detect != 0 && t.Detect <= ratio {
		return Errorf(Invalid, "what has to be shown or detected is above the tolerated ratio %g", ratio)
	}
	if t.Bucket < 0 || t.Bucket > 3600 {
		return Errorf(Invalid, "a bucket is up to 3600 s long")
	}
	return nil
}

func (t RankTest) validate() error {
	switch {
	case t.Confidence != 0 && !(t.Confidence >= 0.5 && t.Confidence < 1):
		return Errorf(Invalid, "confidence is 0.5 to below 1 (50%% to 99.9%%), not %g", t.Confidence)
	case !(t.Tolerance >= 0 && t.Tolerance <= 10), !(t.Increase >= 0 && t.Increase <= 1000), !(t.Decrease >= 0 && t.Decrease <= 1000),
		!(t.Outliers >= 0 && t.Outliers <= 1000):
		return Errorf(Invalid, "tolerance, effect and outliers are not negative, and not out of all proportion")
	}
	return nil
}

// times refuses what is negative.
func (p Policy) times() error {
	for _, d := range []time.Duration{p.Interval, p.Settle, p.History, p.WarmUp, p.UnknownHold, p.GateTimeout, p.Strategy.Keep} {
		if d < 0 {
			return Errorf(Invalid, "interval, settle, history, warm_up, unknown_hold, gate_timeout and keep are not negative")
		}
	}
	return nil
}

// longest is what the steps and phases take when everything is well.
func (p Policy) longest() time.Duration {
	var sum time.Duration
	for _, step := range p.Strategy.Steps {
		sum += step.Bake
	}
	var verify time.Duration
	for _, phase := range p.Verify {
		verify += phase.For
	}
	return sum + max(verify, p.Strategy.Keep)
}

func (c Check) withDefaults() Check {
	setDefault(&c.Window, time.Minute)
	setDefault(&c.MaxAge, max(c.Window, time.Minute))
	setDefault(&c.Weight, 1)
	if c.Compare == Probe {
		setDefault(&c.Failures, 3)
	}
	return c
}

func (s Strategy) withDefaults() Strategy {
	if len(s.Steps) > 0 {
		return s
	}
	switch s.Kind {
	case BlueGreen:
		s.Steps = []Step{{Share: 0, Bake: time.Minute}, {Share: 100, Bake: 5 * time.Minute}}
	case Canary, FeatureFlag:
		bake := 5 * time.Minute
		s.Steps = []Step{{Share: 5, Bake: bake}, {Share: 25, Bake: bake}, {Share: 50, Bake: bake}, {Share: 100, Bake: bake}}
	case RollingUpdate, Recreate:
		s.Steps = []Step{{Share: 100, Bake: 5 * time.Minute}}
	}
	return s
}

func (r RollbackPolicy) withDefaults() RollbackPolicy {
	setDefault(&r.Recover, time.Minute)
	setDefault(&r.AskTimeout, 30*time.Minute)
	setDefault(&r.Attempts, 5)
	setDefault(&r.Timeout, 5*time.Minute)
	setDefault(&r.VerifyFor, time.Minute)
	setDefault(&r.VerifyMax, max(10*time.Minute, r.VerifyFor))
	setDefault(&r.PerHour, 10)
	return r
}

func (ph Phase) validate(checks map[string]bool) error {
	var errs []error
	if err := ValidName("phase", ph.Name); err != nil {
		errs = append(errs, err)
	}
	if ph.For <= 0 || ph.Interval <= 0 {
		errs = append(errs, Errorf(Invalid, "phase %q: for and interval are longer than zero", ph.Name))
	}
	for _, name := range ph.Checks {
		if !checks[name] {
			errs = append(errs, fmt.Errorf("phase %q: %w", ph.Name, Errorf(Invalid, "there is no check %q", name)))
		}
	}
	return errors.Join(errs...)
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
