package config

import (
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/strictyaml"
)

// policy is a policy file as people write it. Its tags are the decoder's rules, the schema and the reference page.
type policy struct {
	Service     string            `yaml:"service" need:"required" doc:"The service that is deployed."`
	Environment string            `yaml:"environment" need:"required" doc:"Where it is deployed: production, staging, eu-west …"`
	Variables   map[string]string `yaml:"variables" doc:"Your own variables for queries: region: eu-west is $region. Letters, digits and ._+@:/- only. The variables $version (the release that is measured), $baseline (the last good one), $window, $service and $environment are always there."`

	Sources map[string]*strictyaml.Node `yaml:"sources" seam:"source" need:"required" doc:"Where measurements come from, by name."`
	Target  *strictyaml.Node            `yaml:"target" seam:"target" doc:"What makes releases live."`
	Targets map[string]*strictyaml.Node `yaml:"targets" seam:"target" doc:"More targets, by name: the parts of a composite one, or the fallback of the rollback."`
	Checks  []check                     `yaml:"checks" need:"required" doc:"What is measured, and what is bad."`

	Strategy strategy           `yaml:"strategy" need:"required" doc:"How a release becomes live: one of the strategies with its settings, or its name alone."`
	Verify   []phase            `yaml:"verify" default:"[{phase: immediate, for: 15m, interval: 15s}]" doc:"The stretches of verification after the last step, one after the other."`
	Rollback rollbackPolicy     `yaml:"rollback" doc:"When and how a release is rolled back."`
	Risk     risk               `yaml:"risk" doc:"What the predicted probability of success may do. A limit is success, lower or upper (the estimate, or an end of its 90 % interval) and a probability: upper < 60%."`
	Scoring  scoring            `yaml:"scoring" doc:"Which score is which health. A check that passes counts its weight, one that warns half of it. A failed critical check is unhealthy whatever the score."`
	Notify   []*strictyaml.Node `yaml:"notify" seam:"notifier" doc:"Who is told. Each has a type, and a name if two have the same type."`

	Alpha   percent `yaml:"alpha" default:"1%" need:"positive" doc:"The probability, at most, that a release that is no worse is called worse by the sequential checks: all of them together, over the whole deployment. They share it by their weights, and half of it goes to what they find together."`
	Promote string  `yaml:"promote" default:"baked" choices:"baked,proven" doc:"What a sequential check has to show before the next step. baked: what it has to be able to detect would have been found by now. proven: the release is shown to be not worse, which takes longer."`

	Interval    time.Duration   `yaml:"interval" default:"15s" need:"positive" doc:"Time between two measurements while the release goes up the steps; a check may have its own."`
	WarmUp      time.Duration   `yaml:"warm_up" default:"0s" doc:"How long after each step nothing is measured."`
	Settle      time.Duration   `yaml:"settle" default:"10m" need:"positive" doc:"How long the target may take to reach a step."`
	History     time.Duration   `yaml:"history" default:"30m" need:"positive" doc:"How much of the time before the deployment makes the historical baseline."`
	Deadline    time.Duration   `yaml:"deadline" need:"positive" doc:"When the deployment ends whatever its state, from its start. Unless set, what the steps and phases take, and 24h."`
	AtDeadline  adg.AtDeadline  `yaml:"at_deadline" default:"to_last_good" doc:"What happens then: to_last_good rolls back what is not fully live, keep changes nothing, page changes nothing and calls a human."`
	UnknownHold time.Duration   `yaml:"unknown_hold" need:"positive" doc:"How long the health may be unknown before the deployment is held and people are told. Unless set, three intervals."`
	GateTimeout time.Duration   `yaml:"gate_timeout" default:"24h" need:"positive" doc:"How long a deployment waits at closed gates before it is blocked."`
	Approve     bool            `yaml:"approve" default:"false" doc:"Whether a human approves before the first step."`
	FourEyes    bool            `yaml:"four_eyes" default:"false" doc:"Whether that has to be another one than who started the deployment, and than who wrote the change."`
	OnInterrupt adg.OnInterrupt `yaml:"on_interrupt" default:"leave" doc:"What becomes of the deployment when the process that guards it is interrupted and nobody can be asked."`
}

// check is one health check.
type check struct {
	Name      string `yaml:"name" need:"required" doc:"Its name; unique in the policy."`
	Source    string `yaml:"source" need:"required" doc:"The name of the source that is asked."`
	Query     string `yaml:"query" doc:"What is asked, in the source's language; a path for an http probe. May hold $variables."`
	Bad       string `yaml:"bad" doc:"Selector of a counter of what went wrong. With total it makes the share of bad ones, from the raw counters: no rate() here."`
	Total     string `yaml:"total" doc:"Selector of a counter of everything."`
	Replica   string `yaml:"replica" doc:"The label that tells replicas apart."`
	Histogram string `yaml:"histogram" doc:"Selector of a histogram: the _bucket counters of a classic one, or a native one. The requests that are slower than the 50th to 99th percentiles of the baseline are counted on both sides. For compare: sequential."`

	Compare *adg.Comparison `yaml:"compare" doc:"What the answer is compared with: threshold, fixed limits; relative, the baseline and a limit; sequential, the baseline's counts, request by request, with a promise about false alarms; mann-whitney, the baseline's samples by their ranks; logs, the baseline's patterns of log lines: new ones and more frequent ones, with the same promise; events, how often a counter rose; probe, success alone. Unless set: probe for probes, relative if a limit names the baseline, sequential for counters without limits and for histograms, else threshold."`

	Baseline  adg.BaselineKind `yaml:"baseline" default:"concurrent" doc:"What the baseline is: the release beside it at the same time, or this service before the deployment."`
	Aggregate adg.Aggregate    `yaml:"aggregate" default:"latest" doc:"What makes one number of the samples of a window."`
	Warn      adg.Condition    `yaml:"warn" doc:"When the value is doubtful."`
	Fail      adg.Condition    `yaml:"fail" doc:"When the value is bad."`

	Window     time.Duration `yaml:"window" default:"1m" need:"positive" doc:"How far back one measurement looks."`
	Interval   time.Duration `yaml:"interval" need:"positive" doc:"Time between two measurements. Unless set, the phase's."`
	MaxAge     time.Duration `yaml:"max_age" need:"positive" doc:"An answer whose latest sample is older is stale, and the verdict unknown. Unless set, the larger of the window and 1m."`
	Failures   int           `yaml:"failures" default:"3" need:"positive" doc:"How many failures in a row make a probe fail."`
	MinSamples float64       `yaml:"min_samples" default:"0" doc:"With fewer requests (or samples) the verdict is unknown."`

	Sequential  sequential  `yaml:"sequential" doc:"For compare: sequential and logs. A ratio is the release's rate of bad requests divided by the baseline's."`
	MannWhitney mannWhitney `yaml:"mann_whitney" doc:"For compare: mann-whitney."`
	Logs        logs        `yaml:"logs" doc:"For compare: logs, which heeds tolerate, power, bucket and independent of sequential, too: bucket is the moment in which a pattern counts once per replica, 10s unless set."`

	Weight           float64 `yaml:"weight" default:"1" need:"positive" doc:"Its share in the score."`
	Critical         bool    `yaml:"critical" default:"false" doc:"Whether its failure alone makes the deployment unhealthy."`
	BlamePreexisting bool    `yaml:"blame_preexisting" default:"false" doc:"Whether a fault that was there before the deployment counts, too."`
	Unit             string  `yaml:"unit" doc:"What its values are counted in, for people: s, ms, MiB, 1/s. share is a part of all, from 0 to 1, and is shown in percent. Unless set, share for two counters and where a limit is in percent, and what a histogram's name ends in: _seconds, _milliseconds or _bytes."`
}

type sequential struct {
	Tolerate    float64       `yaml:"tolerate" default:"1" need:"positive" doc:"The ratio that is still fine: 1.1 tolerates a tenth more."`
	Detect      float64       `yaml:"detect" default:"3" need:"positive" doc:"The ratio that has to be detectable before having found nothing is good news; until then the verdict is unknown, and says how long it will take."`
	Power       percent       `yaml:"power" default:"90%" need:"positive" doc:"With which probability it has to be detectable."`
	NotBy       float64       `yaml:"not_by" default:"1.5" need:"positive" doc:"What not worse means: not by this ratio."`
	Beta        percent       `yaml:"beta" default:"5%" need:"positive" doc:"The probability, at most, that a release that is worse by that ratio is called not worse."`
	Bucket      time.Duration `yaml:"bucket" need:"positive" doc:"How long the stretches are that are counted together. Unless set, four times the scrape interval that is seen."`
	Season      bool          `yaml:"season" default:"false" doc:"Whether the past that a fully live release is compared with is that of the same hour of the days before."`
	Independent bool          `yaml:"independent" default:"false" doc:"Whether the requests are known to be independent of each other. Without it, and with fewer than three replicas of the baseline that show it, a human is asked before a rollback even with trust: auto."`
	Split       bool          `yaml:"split" default:"true" doc:"Whether to ask if the release gets its share of the requests, and any at all."`
}

type logs struct {
	Level  string   `yaml:"level" default:"warn" choices:"debug,info,warn,error,panic,any" doc:"Lines below it do not count; those without a level count with any only."`
	Ignore []string `yaml:"ignore" doc:"Regular expressions (RE2); lines that match one do not count."`
	Least  int      `yaml:"least" default:"3" need:"positive" doc:"In how many moments the release must have had a pattern before it is held against it."`
	Often  percent  `yaml:"often" default:"25%" need:"positive" doc:"A new pattern in that many of the release's moments has to be found for sure before having found none is good news."`
}

type mannWhitney struct {
	Direction  adg.Direction `yaml:"direction" default:"either" doc:"Which change is bad."`
	Confidence percent       `yaml:"confidence" default:"98%" need:"positive" doc:"Of the interval of the shift."`
	Tolerance  float64       `yaml:"tolerance" default:"0.25" doc:"The part of the estimated shift that its interval has to be away from zero."`
	Effect     string        `yaml:"effect" default:"mean-ratio" choices:"mean-ratio,cles" doc:"How large a change is: the ratio of the means, or the probability that the release's value is the larger (cles)."`
	Increase   *float64      `yaml:"increase" need:"positive" doc:"The effect from which on an increase counts. Unless set, 1; 0.5 for cles."`
	Decrease   *float64      `yaml:"decrease" need:"positive" doc:"The effect up to which a decrease counts. Unless set, the same."`
	Outliers   float64       `yaml:"outliers" default:"0" doc:"Values that are this many interquartile ranges away are left out; 0: none is."`
	NaN        string        `yaml:"nan" default:"remove" choices:"remove,replace" doc:"Whether what is not a number is left out, or replaced by 0."`
}

// strategy is one of its fields.
type strategy struct {
	_           struct{}  `pick:"one"`
	Canary      *canary   `yaml:"canary" doc:"A rising share of the traffic."`
	Rolling     *rolling  `yaml:"rolling" doc:"A rising share of the replicas."`
	BlueGreen   *blue     `yaml:"blue-green" doc:"The release is staged beside the old one without traffic, then all traffic switches."`
	FeatureFlag *canary   `yaml:"feature-flag" doc:"A rising share of the users."`
	Recreate    *recreate `yaml:"recreate" doc:"All at once."`
}

type canary struct {
	Steps []step        `yaml:"steps" need:"filled" default:"[5%, 25%, 50%, 100%]" doc:"The shares, rising to 100%."`
	Bake  time.Duration `yaml:"bake" default:"5m" doc:"How long each step must have been healthy, unless the step says otherwise."`
}

type rolling struct {
	Batches []step        `yaml:"batches" need:"filled" default:"[100%]" doc:"The shares, rising to 100%."`
	Bake    time.Duration `yaml:"bake" default:"5m" doc:"How long each batch must have been healthy, unless the batch says otherwise."`
}

type blue struct {
	Preview time.Duration `yaml:"preview" default:"1m" doc:"How long the release must have been healthy without traffic before all of it switches."`
	Bake    time.Duration `yaml:"bake" default:"5m" doc:"How long it must have been healthy with all traffic before the verification begins."`
	Keep    time.Duration `yaml:"keep" default:"0s" doc:"How long after the switch the old release is kept ready."`
}

type recreate struct {
	Bake time.Duration `yaml:"bake" default:"5m" doc:"How long the release must have been healthy before the verification begins."`
}

// step is a share alone, or with a bake of its own.
type step struct {
	_     struct{}       `short:"share"`
	Share percent        `yaml:"share" need:"required" doc:"How much the release gets."`
	Bake  *time.Duration `yaml:"bake" doc:"How long it must have been healthy with it. Unless set, the strategy's."`
	Pause bool           `yaml:"pause" default:"false" doc:"Whether a human has to promote it to the next step."`
}

type phase struct {
	Phase    string        `yaml:"phase" need:"required" doc:"Its name."`
	For      time.Duration `yaml:"for" need:"required,positive" doc:"How long it takes."`
	Interval time.Duration `yaml:"interval" need:"positive" doc:"Time between two measurements. Unless set, the policy's."`
	Checks   []string      `yaml:"checks" doc:"The checks that are measured. Unless set, all."`
}

type rollbackPolicy struct {
	Trust    adg.Trust     `yaml:"trust" default:"suggest" doc:"How far ADG goes alone: observe puts on record that a rollback is due, suggest tells people, ask rolls back once somebody approved, auto rolls back."`
	Rules    []rule        `yaml:"rules" default:"[{when: unhealthy, for: 1m, act: now}, {when: degraded, for: 15m, act: after 10m}]" doc:"What leads to a rollback."`
	Recover  time.Duration `yaml:"recover" default:"1m" need:"positive" doc:"How long the release must be healthy within a grace for the rollback to be called off."`
	Ask      ask           `yaml:"ask" doc:"For trust: ask."`
	Attempts int           `yaml:"attempts" default:"5" need:"positive" doc:"How often the target is tried before the rollback has failed and a human is called."`
	Timeout  time.Duration `yaml:"timeout" default:"5m" need:"positive" doc:"How long one attempt may take."`
	Over     time.Duration `yaml:"over" default:"0s" doc:"How long the traffic takes to go back, in four stages, so that the old release warms up; 0s: it goes back at once. For canaries and feature flags."`
	Fallback string        `yaml:"fallback" doc:"The name of another target, which is asked when the attempts at the first one are used up, or have not restored service within verify.within."`
	Verify   verify        `yaml:"verify" doc:"When service counts as restored."`
	Hold     time.Duration `yaml:"hold" default:"0s" doc:"How long automation may not deploy the bad release again; 0s: until a human lifts the hold."`
	PerHour  int           `yaml:"per_hour" default:"10" need:"positive" doc:"Automatic rollbacks over all services in an hour, past which a human decides."`
	Schema   string        `yaml:"schema" default:"reversible" choices:"reversible,irreversible" doc:"Whether the release's change of the database schema can be undone. An irreversible one is never rolled back automatically."`
}

type risk struct {
	Warn    adg.RiskLimit `yaml:"warn" doc:"When people are told at the start."`
	Approve adg.RiskLimit `yaml:"approve" doc:"When a human approves before the first step; also when nothing could be predicted."`
	Block   adg.RiskLimit `yaml:"block" doc:"When the deployment does not begin. lower and upper say how sure one has to be: upper < 60% blocks what is surely below."`
	Steer   steer         `yaml:"steer" doc:"How far the risk changes how the deployment is made. Three times the usual probability of failure makes the factors below 3, where they are not limited to less."`
	Labels  labels        `yaml:"labels" doc:"What counts as a failure when this deployment is learned from."`
}

type labels struct {
	RolledBack bool          `yaml:"rolled_back" default:"true" doc:"Whether a rollback does. One without blame (the target, or somebody who cancelled) is neither a failure nor a success."`
	Blocked    bool          `yaml:"blocked" default:"false" doc:"Whether being refused by a gate does; being blocked for its risk never does. Unless it does, nothing is learned of what was never tried."`
	Hotfixed   time.Duration `yaml:"hotfixed_within" default:"4h" doc:"A fix that had to follow within this time does: most of its commits say so, or the reason that was given begins with fix or hotfix. 0s: never."`
	Incident   bool          `yaml:"incident" default:"true" doc:"Whether an incident does: the rollback failed, or somebody linked one (adg learn correct)."`
	Superseded time.Duration `yaml:"superseded_within" default:"15m" doc:"Replaced within this time is too soon to tell: neither a failure nor a success. 0s: never."`
	Matures    time.Duration `yaml:"matures" default:"7d" doc:"How long nothing must have happened before a deployment counts as a success."`
}

type steer struct {
	Bake   float64 `yaml:"bake" need:"positive" doc:"The steps and phases take up to so many times as long."`
	Steps  float64 `yaml:"steps" need:"positive" doc:"The shares below 100% become up to so many times smaller."`
	Strict float64 `yaml:"strict" need:"positive" doc:"Rules wait up to so many times less, and faults so many times smaller have to be detectable before a step is left."`
}

type rule struct {
	When string        `yaml:"when" need:"required" choices:"unhealthy,degraded" doc:"Which health; degraded is met by unhealthy, too."`
	For  time.Duration `yaml:"for" default:"0s" doc:"How long it must have lasted."`
	Act  *act          `yaml:"act" doc:"now, or a grace within which the release may recover: after 10m. Unless set, now."`

	Strategy string         `yaml:"strategy" choices:"immediate,grace" doc:"An older way to write act: immediate is now."`
	Grace    *time.Duration `yaml:"grace" doc:"How long the grace is, for strategy: grace."`
}

type ask struct {
	Timeout time.Duration `yaml:"timeout" default:"30m" need:"positive" doc:"How long an approval is waited for."`
	Then    adg.AskThen   `yaml:"then" default:"hold" doc:"What happens when nobody answered."`
}

type verify struct {
	For    time.Duration `yaml:"for" default:"1m" need:"positive" doc:"How long the restored release must have been good."`
	Within time.Duration `yaml:"within" default:"10m" need:"positive" doc:"How long that may take before the fallback is asked, or the rollback has failed."`
}

type scoring struct {
	Healthy  float64 `yaml:"healthy" default:"90" need:"positive" doc:"At this score or above: healthy."`
	Degraded float64 `yaml:"degraded" default:"60" need:"positive" doc:"At this score or above: degraded; below: unhealthy."`
}
