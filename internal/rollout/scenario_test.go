package rollout_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/deployguardian/adg"
)

// scenario is one file of testdata: a policy, what happens in the world, and the timeline that has to come of it.
// DESIGN.md says how to write one.
type scenario struct {
	title    string
	spec     adg.Spec
	events   []event
	says     []saying // reasons that have to be given
	timeline []string
}

// event is something that happens in the world.
type event struct {
	line  int
	at    time.Duration
	words []string
	text  string // after the colon
}

// saying is a text that has to be among the reasons or facts of the decisions made at a time.
type saying struct {
	line int
	at   time.Duration
	text string
}

// parseScenario reads a scenario and reports all that is wrong with it, each with file and line.
func parseScenario(file, text string) (scenario, error) {
	sc := scenario{spec: adg.Spec{
		Release: adg.Release{Service: "shop", Version: "v2"}, LastGood: &adg.Release{Service: "shop", Version: "v1"},
		Actor: "ann", Created: epoch,
		Policy: adg.Policy{Service: "shop", Environment: "production", Interval: 10 * time.Second},
	}}
	var errs []error
	inTimeline := false
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimRight(line, " \t\r")
		switch {
		case line == "":
		case strings.HasPrefix(line, "#"):
			if sc.title == "" {
				sc.title = strings.TrimSpace(strings.TrimPrefix(line, "#"))
			}
		case inTimeline:
			sc.timeline = append(sc.timeline, line)
		case line == "timeline":
			inTimeline = true
		default:
			if err := sc.directive(i+1, line); err != nil {
				errs = append(errs, fmt.Errorf("%s:%d: %w", file, i+1, err))
			}
		}
	}
	if len(errs) == 0 {
		sc.spec.Policy = defaults(sc.spec.Policy)
		if err := sc.spec.Policy.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", file, err))
		}
		if err := sc.spec.Release.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", file, err))
		}
	}
	return sc, errors.Join(errs...)
}

// epoch is when scenarios and lives begin.
var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func defaults(p adg.Policy) adg.Policy {
	if len(p.Checks) == 0 {
		p.Checks = []adg.Check{newCheck("errors")}
	}
	if len(p.Rollback.Rules) == 0 {
		p.Rollback.Rules = []adg.Rule{{When: adg.Unhealthy, For: 30 * time.Second}}
	}
	return p.WithDefaults()
}

func newCheck(name string) adg.Check {
	return adg.Check{Name: name, Source: "prom", Query: "q", Fail: adg.Condition{Operator: adg.Above, Value: 5}, Window: 10 * time.Second}
}

func (sc *scenario) directive(n int, line string) error {
	head, text, _ := strings.Cut(line, ": ")
	words := strings.Fields(head)
	if len(words) == 0 {
		return fmt.Errorf("nothing before the colon")
	}
	switch words[0] {
	case "policy":
		return sc.policy(words[1:])
	case "release":
		return sc.release(words[1:])
	case "prediction":
		return sc.prediction(words[1:])
	case "author":
		sc.spec.Author = strings.Join(words[1:], " ")
		return nil
	case "at":
		if len(words) < 3 {
			return fmt.Errorf("say when and what: at 1m health unhealthy")
		}
		at, err := time.ParseDuration(words[1])
		if err != nil || at < 0 || at > 1000*time.Hour {
			return fmt.Errorf("%q is no time like 1m30s, from 0s to 1000h", words[1])
		}
		e := event{n, at, words[2:], text}
		if e.words[0] == "says" {
			sc.says = append(sc.says, saying{n, at, text})
			return nil
		}
		if err := new(world).happen(e); err != nil {
			return err
		}
		if len(sc.events) > 0 && sc.events[len(sc.events)-1].at > at {
			return fmt.Errorf("%s is before the line above", at)
		}
		sc.events = append(sc.events, e)
		return nil
	}
	return fmt.Errorf("unknown word %q: choose one of policy, release, prediction, author, at, timeline", words[0])
}

func (sc *scenario) release(words []string) error {
	if len(words) != 3 || words[1] != "last-good" {
		return fmt.Errorf("write: release v2 last-good v1 (or none)")
	}
	sc.spec.Release.Version = words[0]
	sc.spec.LastGood = nil
	if words[2] != "none" {
		sc.spec.LastGood = &adg.Release{Service: "shop", Version: words[2]}
	}
	return nil
}

// prediction reads "50 40 60 usual 90": of success, its interval, and that of the others, in percent.
func (sc *scenario) prediction(words []string) error {
	var numbers []float64
	for _, w := range words {
		if v, err := strconv.ParseFloat(w, 64); err == nil {
			numbers = append(numbers, v/100)
		}
	}
	if len(numbers) != 4 {
		return fmt.Errorf("write: prediction 50 40 60 usual 90")
	}
	sc.spec.Prediction = &adg.Prediction{Success: numbers[0], Low: numbers[1], High: numbers[2], Base: numbers[3]}
	return nil
}

// policy reads one line of the policy.
func (sc *scenario) policy(words []string) error {
	if len(words) == 0 {
		return fmt.Errorf("policy of what?")
	}
	p, key, rest := &sc.spec.Policy, words[0], words[1:]
	switch key {
	case "approve":
		p.Approve = true
		return none(rest)
	case "four-eyes":
		p.FourEyes = true
		return none(rest)
	case "irreversible":
		p.Rollback.SchemaIrreversible = true
		return none(rest)
	case "strategy":
		return addStrategy(p, rest)
	case "verify":
		return addVerify(p, rest)
	case "rule":
		return addRule(p, rest)
	case "check":
		return addCheck(p, rest)
	}
	if len(rest) != 1 {
		return fmt.Errorf("policy %s takes one value", key)
	}
	return setValue(p, key, rest[0])
}

func none(rest []string) error {
	if len(rest) > 0 {
		return fmt.Errorf("nothing may follow: %v", rest)
	}
	return nil
}

// value reads a line like "policy trust auto" or "policy settle 5m".
func setValue(p *adg.Policy, key, value string) error {
	r := &p.Rollback
	durations := map[string]*time.Duration{
		"interval": &p.Interval, "warm-up": &p.WarmUp, "settle": &p.Settle, "deadline": &p.Deadline, "unknown-hold": &p.UnknownHold,
		"gate-timeout": &p.GateTimeout, "keep": &p.Strategy.Keep, "recover": &r.Recover, "ask-timeout": &r.AskTimeout,
		"timeout": &r.Timeout, "over": &r.Over, "verify-for": &r.VerifyFor, "verify-max": &r.VerifyMax, "hold-for": &r.HoldFor,
	}
	if d, ok := durations[key]; ok {
		return positive(d, value)
	}
	switch key {
	case "trust":
		return r.Trust.UnmarshalText([]byte(value))
	case "ask-then":
		return r.AskThen.UnmarshalText([]byte(value))
	case "promote":
		return p.Promote.UnmarshalText([]byte(value))
	case "at-deadline":
		return p.AtDeadline.UnmarshalText([]byte(value))
	case "warn":
		return p.Risk.Warn.UnmarshalText([]byte(value))
	case "approve-risk":
		return p.Risk.Approve.UnmarshalText([]byte(value))
	case "block":
		return p.Risk.Block.UnmarshalText([]byte(value))
	case "fallback":
		r.Fallback = value
		return nil
	case "attempts":
		return count(&r.Attempts, value)
	case "per-hour":
		return count(&r.PerHour, value)
	}
	return fmt.Errorf("unknown policy %q", key)
}

func positive(d *time.Duration, text string) error {
	v, err := time.ParseDuration(text)
	if err != nil || v <= 0 || v > 1000*time.Hour {
		return fmt.Errorf("%q is no time like 1m30s, above 0s and up to 1000h", text)
	}
	*d = v
	return nil
}

func count(n *int, text string) error {
	v, err := strconv.Atoi(text)
	if err != nil || v < 1 || v > 1000 {
		return fmt.Errorf("%q is no number from 1 to 1000", text)
	}
	*n = v
	return nil
}

// addStrategy reads "canary 5%/1m 25%/1m/pause 100%/1m".
func addStrategy(p *adg.Policy, words []string) error {
	if len(words) < 2 {
		return fmt.Errorf("write: policy strategy canary 5%%/1m 100%%/1m/pause")
	}
	if err := p.Strategy.Kind.UnmarshalText([]byte(words[0])); err != nil {
		return err
	}
	for _, w := range words[1:] {
		parts := strings.Split(w, "/")
		share, err := strconv.ParseFloat(strings.TrimSuffix(parts[0], "%"), 64)
		if err != nil || len(parts) < 2 || len(parts) > 3 || len(parts) == 3 && parts[2] != "pause" {
			return fmt.Errorf("%q is no step like 25%%/1m or 25%%/1m/pause", w)
		}
		bake, err := time.ParseDuration(parts[1])
		if err != nil || bake > 1000*time.Hour {
			return fmt.Errorf("%q: %q is no time like 1m30s up to 1000h", w, parts[1])
		}
		p.Strategy.Steps = append(p.Strategy.Steps, adg.Step{Share: share, Bake: bake, Pause: len(parts) == 3})
	}
	return nil
}

// addVerify reads "immediate 2m every 10s [errors,latency]".
func addVerify(p *adg.Policy, words []string) error {
	if len(words) < 4 || len(words) > 5 || words[2] != "every" {
		return fmt.Errorf("write: policy verify immediate 2m every 10s")
	}
	phase := adg.Phase{Name: words[0]}
	if len(words) == 5 {
		phase.Checks = strings.Split(words[4], ",")
	}
	p.Verify = append(p.Verify, phase)
	last := &p.Verify[len(p.Verify)-1]
	return errors.Join(positive(&last.For, words[1]), positive(&last.Interval, words[3]))
}

// addRule reads "unhealthy for 30s [after 5m]".
func addRule(p *adg.Policy, words []string) error {
	if len(words) != 3 && len(words) != 5 || words[1] != "for" || len(words) == 5 && words[3] != "after" {
		return fmt.Errorf("write: policy rule unhealthy for 30s after 5m")
	}
	var rule adg.Rule
	errs := []error{rule.When.UnmarshalText([]byte(words[0]))}
	if words[2] != "0s" {
		errs = append(errs, positive(&rule.For, words[2]))
	}
	if len(words) == 5 {
		errs = append(errs, positive(&rule.After, words[4]))
	}
	p.Rollback.Rules = append(p.Rollback.Rules, rule)
	return errors.Join(errs...)
}

// addCheck reads "latency [probe|events] [every 1m]".
func addCheck(p *adg.Policy, words []string) error {
	if len(words) == 0 {
		return fmt.Errorf("write: policy check latency every 1m")
	}
	c, rest := newCheck(words[0]), words[1:]
	if len(rest) > 0 && rest[0] != "every" {
		if err := c.Compare.UnmarshalText([]byte(rest[0])); err != nil {
			return err
		}
		switch c.Compare {
		case adg.Sequential:
			c.Query, c.Fail, c.Bad, c.Total = "", adg.Condition{}, "bad", "total"
		case adg.Relative, adg.MannWhitney, adg.Logs:
			return fmt.Errorf("a scenario has no baseline: use threshold, probe, events or sequential")
		case adg.Threshold, adg.Probe, adg.Events:
		}
		rest = rest[1:]
	}
	if len(rest) != 0 && (len(rest) != 2 || rest[0] != "every") {
		return fmt.Errorf("write: policy check latency every 1m")
	}
	var err error
	if len(rest) == 2 {
		err = positive(&c.Interval, rest[1])
	}
	p.Checks = append(p.Checks, c)
	return err
}
