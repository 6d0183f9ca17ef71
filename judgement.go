package adg

import "time"

// Verdict is what one check says. The zero value is Unknown: absence of evidence is a verdict of its own.
type Verdict uint8

// The verdicts.
const (
	Unknown Verdict = iota
	Pass
	Warn
	Fail
)

var verdictNames = []string{"unknown", "pass", "warn", "fail"}

// String is the verdict's name.
func (v Verdict) String() string { return enumText(v, verdictNames) }

// MarshalText writes the name.
func (v Verdict) MarshalText() ([]byte, error) { return marshalEnum(v, "verdict", verdictNames) }

// UnmarshalText reads a name.
func (v *Verdict) UnmarshalText(text []byte) error {
	return unmarshalEnum(v, "verdict", verdictNames, text)
}

// Why is the machine's word for a reason; a sentence for people stands beside it.
type Why uint8

// The reasons. Those from NoData to TooFew explain an Unknown.
const (
	WhyNone         Why = iota
	NoData              // the source answered, and there was nothing
	SourceError         // the source did not answer, or not with an answer
	StaleData           // the latest sample is too old
	TooFew              // fewer samples than the check wants
	NoBaseline          // nothing to compare with
	NotANumber          // the value is NaN
	ClockSkew           // samples from the future
	AmbiguousAnswer     // several series where one value is wanted
	WithinLimits
	BeyondWarn
	BeyondFail
	Preexisting // beyond the limit, and no worse than before the deployment
	ProbeFailed
	ProbeFailing // failed, but not often enough in a row yet
	NotDue       // carried over from the observation before
	Worse        // sequential: worse than the baseline, and it stays so
	NotWorse     // sequential: proven to be no worse by the ratio that was asked for
	NothingFound // sequential: undecided, though what had to be detectable would have been found
	TooEarly     // sequential: what has to be detectable could not be found yet; the text says how long it takes
	Silent       // the candidate gets no requests while the baseline does
	WrongShare   // the candidate gets another share of the requests than it should
)

var whyNames = []string{"none", "no_data", "source_error", "stale", "too_few", "no_baseline", "not_a_number",
	"clock_skew", "ambiguous", "within_limits", "beyond_warn", "beyond_fail", "preexisting", "probe_failed",
	"probe_failing", "not_due", "worse", "not_worse", "nothing_found", "too_early", "silent", "wrong_share"}

// String is the reason's word.
func (w Why) String() string { return enumText(w, whyNames) }

// MarshalText writes the word.
func (w Why) MarshalText() ([]byte, error) { return marshalEnum(w, "reason", whyNames) }

// UnmarshalText reads a word.
func (w *Why) UnmarshalText(text []byte) error { return unmarshalEnum(w, "reason", whyNames, text) }

// Proof is how good the good news of a Pass is. The zero value has none: the verdict is of the window alone.
type Proof uint8

// The proofs, rising.
const (
	Unproven Proof = iota
	Baked          // a fault of the size that had to be detectable would have been found by now
	Proven         // shown to be not worse
)

var proofNames = []string{"unproven", "baked", "proven"}

// String is the proof's name.
func (p Proof) String() string { return enumText(p, proofNames) }

// MarshalText writes the name.
func (p Proof) MarshalText() ([]byte, error) { return marshalEnum(p, "proof", proofNames) }

// UnmarshalText reads a name.
func (p *Proof) UnmarshalText(text []byte) error { return unmarshalEnum(p, "proof", proofNames, text) }

// Judgement is the verdict of one check with everything that a person needs to follow it. A number that does not
// exist is nil.
type Judgement struct {
	Check    string   `json:"check"`
	Verdict  Verdict  `json:"verdict"`
	Why      Why      `json:"why"`
	Text     string   `json:"text"` // one sentence for a person on call: what was compared, with what, n, the limit
	Value    *float64 `json:"value,omitempty"`
	Baseline *float64 `json:"baseline,omitempty"`
	Limit    *float64 `json:"limit,omitempty"` // the limit that decided, or the nearest one
	N        float64  `json:"n,omitempty"`     // samples (requests, for counters) of the candidate
	BaseN    float64  `json:"base_n,omitempty"`

	Estimate *float64 `json:"estimate,omitempty"` // ratio of the rates, or shift of the values, that the two sides differ by
	Low      *float64 `json:"low,omitempty"`      // its interval
	High     *float64 `json:"high,omitempty"`
	LogE     *float64 `json:"log_e,omitempty"`     // evidence against the candidate, as a natural logarithm
	LogLimit *float64 `json:"log_limit,omitempty"` // from which on it is decisive
	Proof    Proof    `json:"proof,omitempty"`
	Final    bool     `json:"final,omitempty"` // a Fail that no later observation can take back: it has lasted long enough by itself
	Weak     bool     `json:"weak,omitempty"`  // the promise about false alarms holds for independent requests only, which nobody has shown them to be

	Patterns []LogFinding `json:"patterns,omitempty"` // of logs: those that differ, what says the most first

	At time.Time `json:"at"`
}

// Health is how a deployment is doing. The zero value is HealthUnknown.
type Health uint8

// The healths.
const (
	HealthUnknown Health = iota
	Healthy
	Degraded
	Unhealthy
)

var healthNames = []string{"unknown", "healthy", "degraded", "unhealthy"}

// String is the health's name.
func (h Health) String() string { return enumText(h, healthNames) }

// MarshalText writes the name.
func (h Health) MarshalText() ([]byte, error) { return marshalEnum(h, "health", healthNames) }

// UnmarshalText reads a name.
func (h *Health) UnmarshalText(text []byte) error {
	return unmarshalEnum(h, "health", healthNames, text)
}

// Assessment is the health of a deployment at one time and the judgements that it is made of.
type Assessment struct {
	At         time.Time   `json:"at"`
	Health     Health      `json:"health"`
	Score      float64     `json:"score"` // 0 to 100, over the checks that could be judged
	Judgements []Judgement `json:"judgements"`
	Text       string      `json:"text"`
	// Success is the probability of success by what is known now: the prediction's, and the evidence of the sequential
	// checks since. Nil: there is no prediction, or no such evidence.
	Success *float64 `json:"success,omitempty"`
}

// Scoring says which score is which health; a failed critical check is Unhealthy whatever the score.
type Scoring struct {
	Healthy  float64 `json:"healthy"`  // at or above: Healthy; zero: 90
	Degraded float64 `json:"degraded"` // at or above: Degraded, below: Unhealthy; zero: 60
	// Alpha is the part of the policy's alpha that the mean of the sequential checks' evidence has: a check of its own.
	Alpha float64 `json:"alpha,omitempty"`
}
