package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/deployguardian/adg"
)

// View shows a deployment while it is guarded. It is safe for concurrent use.
type View interface {
	Tick(d adg.Deployment, t adg.Tick)
	Say(text string)
	// Close shows the end; nothing comes after it.
	Close(d adg.Deployment, err error)
}

// NewView is the live picture on a terminal, plain lines elsewhere, and one JSON object per line for "json".
// A hint says what can be typed, after is the line below how the deployment with that id ended.
func newView(t Terminal, output, hint string, after func(id string) string) View {
	switch {
	case output == "json":
		return &jsonView{out: t.Out, err: t.Err}
	case t.Interactive():
		return newLiveView(t, hint, after)
	default:
		return &lineView{out: t.Out, after: after}
	}
}

// Private

// lineView writes a line when something happened, and a short one every now and then when nothing did.
type lineView struct {
	mu    sync.Mutex
	out   io.Writer
	after func(id string) string
	quiet time.Time // when the last line was written
	tenth *int      // of the probability of success, as it was last said
}

// silence is how long a log stays without a line while all goes on as before.
const silence = 30 * time.Second

// Tick writes what changed.
func (v *lineView) Tick(d adg.Deployment, t adg.Tick) {
	v.mu.Lock()
	defer v.mu.Unlock()
	at := t.Decision.At
	for _, f := range t.Decision.Facts {
		v.line(at, factLine(f))
	}
	v.success(d, t)
	if t.Input.Assessment != nil && (t.Decision.Changed() || at.Sub(v.quiet) >= silence) {
		v.line(at, fmt.Sprintf("%s, %s", where(d), healthLine(*t.Input.Assessment)))
	}
}

// Say writes a line as it is.
func (v *lineView) Say(text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	_, _ = fmt.Fprintln(v.out, clean(text))
}

// Close writes how it ended.
func (v *lineView) Close(d adg.Deployment, err error) {
	if d.ID != "" && err == nil {
		v.Say(endLine(d) + "\n" + v.after(d.ID))
	}
}

// success writes a line when the probability of success has gone to another tenth than was said last.
func (v *lineView) success(d adg.Deployment, t adg.Tick) {
	if d.Spec.Prediction == nil {
		return
	}
	before := d.Spec.Prediction.Success
	if v.tenth == nil {
		v.tenth = new(tenthOf(before))
	}
	now, found := expected(t)
	if !found || now >= float64(*v.tenth)/10-wobble && now <= float64(*v.tenth+1)/10+wobble {
		return
	}
	*v.tenth = tenthOf(now)
	v.line(t.Decision.At, fmt.Sprintf("success is expected with %s now, %s before the first step", percent(now), percent(before)))
}

// wobble is how far beyond a tenth the probability must be before a line says so: it may hover there for long.
const wobble = 0.02

func tenthOf(p float64) int { return min(9, max(0, int(10*p))) }

func (v *lineView) line(at time.Time, text string) {
	v.quiet = at
	_, _ = fmt.Fprintf(v.out, "%s  %s\n", at.Format("15:04:05"), flat(text))
}

// jsonView writes one event per line.
type jsonView struct {
	mu       sync.Mutex
	out, err io.Writer
}

type jsonCheck struct {
	Check    string      `json:"check"`
	Verdict  adg.Verdict `json:"verdict"`
	Why      adg.Why     `json:"why"`
	Value    *float64    `json:"value,omitempty"`
	Baseline *float64    `json:"baseline,omitempty"`
	Limit    *float64    `json:"limit,omitempty"`
	Text     string      `json:"text"`
}

type jsonTick struct {
	Kind       string           `json:"kind"`
	At         time.Time        `json:"at"`
	Deployment string           `json:"deployment"`
	State      adg.State        `json:"state"`
	Decision   adg.DecisionKind `json:"decision"`
	Share      float64          `json:"share"`
	Health     adg.Health       `json:"health"`
	Score      float64          `json:"score"`
	Predicted  *float64         `json:"predicted,omitempty"` // probability of success before the first step
	Success    *float64         `json:"success,omitempty"`   // and by the evidence of this tick, while the release is judged
	Checks     []jsonCheck      `json:"checks,omitempty"`
	Reasons    []string         `json:"reasons,omitempty"`
}

// Tick writes the tick and then its facts.
func (v *jsonView) Tick(d adg.Deployment, t adg.Tick) {
	event := jsonTick{
		Kind: "tick", At: t.Decision.At, Deployment: d.ID, State: d.Status.State, Decision: t.Decision.Kind,
		Share: share(d), Health: d.Status.Health, Score: d.Status.Score, Reasons: t.Decision.Reasons,
	}
	if d.Spec.Prediction != nil {
		event.Predicted = finite(&d.Spec.Prediction.Success)
	}
	if success, found := expected(t); found {
		event.Success = &success
	}
	if t.Input.Assessment != nil {
		for _, j := range t.Input.Assessment.Judgements {
			event.Checks = append(event.Checks, jsonCheck{j.Check, j.Verdict, j.Why, finite(j.Value), finite(j.Baseline), finite(j.Limit), j.Text})
		}
	}
	v.write(event)
	for _, f := range t.Decision.Facts {
		v.write(struct {
			Kind string   `json:"kind"`
			Fact adg.Fact `json:"fact"`
		}{"fact", f})
	}
}

// Say goes to the other stream: the lines are events only.
func (v *jsonView) Say(text string) { _, _ = fmt.Fprintln(v.err, clean(text)) }

// Close writes the last event: how the deployment ended, or the state that it was left in.
func (v *jsonView) Close(d adg.Deployment, err error) {
	if d.ID == "" || err != nil && !errors.Is(err, ErrLeft) {
		return
	}
	v.write(struct {
		Kind       string    `json:"kind"`
		Deployment string    `json:"deployment"`
		State      adg.State `json:"state"`
		Exit       int       `json:"exit"`
		Reasons    []string  `json:"reasons,omitempty"`
	}{"end", d.ID, d.Status.State, ExitOf(d.Status.State), d.Status.Reasons})
}

func (v *jsonView) write(event any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := json.NewEncoder(v.out).Encode(event); err != nil {
		_, _ = fmt.Fprintln(v.err, "adg: writing an event:", err)
	}
}

// expected is the probability of success by the evidence of a tick. There is none once the release is taken back: what
// is judged then is the one before it.
func expected(t adg.Tick) (success float64, found bool) {
	if t.Input.Assessment == nil || t.Input.Assessment.Success == nil {
		return 0, false
	}
	success = *t.Input.Assessment.Success
	switch t.Decision.From {
	case adg.Rolling, adg.Held, adg.Verifying, adg.RollbackPending:
		return success, success >= 0 && success <= 1
	case adg.Pending, adg.Gated, adg.RollingBack, adg.VerifyingRollback, adg.Blocked, adg.Succeeded, adg.RolledBack,
		adg.RollbackFailed, adg.Cancelled, adg.Superseded, adg.Undecided:
	}
	return 0, false
}

// factLine is a fact on one line: what happened, and why.
func factLine(f adg.Fact) string {
	text := strings.ToUpper(f.Kind.String()[:1]) + strings.ReplaceAll(f.Kind.String()[1:], "_", " ")
	// The view is of one deployment: its name need not be said with each fact.
	if said := strings.TrimPrefix(f.Text, fmt.Sprintf("%s %s in %s: ", f.Service, f.Release, f.Environment)); said != "" {
		text += ": " + said
	}
	return text
}

// where is the place in the deployment's life, in words.
func where(d adg.Deployment) string {
	switch d.Status.State {
	case adg.Rolling:
		steps := d.Spec.Policy.Strategy.Steps
		return fmt.Sprintf("step %d of %d (%g %%)", d.Status.Step+1, len(steps), share(d))
	case adg.Verifying:
		if d.Status.Phase < len(d.Spec.Policy.Verify) {
			return "verifying, phase " + d.Spec.Policy.Verify[d.Status.Phase].Name
		}
		return "verifying"
	case adg.Pending, adg.Gated, adg.Held, adg.RollbackPending, adg.RollingBack, adg.VerifyingRollback, adg.Blocked, adg.Succeeded,
		adg.RolledBack, adg.RollbackFailed, adg.Cancelled, adg.Superseded, adg.Undecided:
		return strings.ReplaceAll(d.Status.State.String(), "_", " ")
	}
	return d.Status.State.String()
}

// share is the candidate's share of the step that is being made or was made.
func share(d adg.Deployment) float64 {
	steps := d.Spec.Policy.Strategy.Steps
	switch d.Status.State {
	case adg.Rolling, adg.Held, adg.RollbackPending:
		if d.Status.Step < len(steps) {
			return steps[d.Status.Step].Share
		}
		return 100
	case adg.Verifying, adg.Succeeded:
		return 100
	case adg.Pending, adg.Gated, adg.RollingBack, adg.VerifyingRollback, adg.Blocked, adg.RolledBack, adg.RollbackFailed,
		adg.Cancelled, adg.Superseded, adg.Undecided:
		return 0
	}
	return 0
}

func healthLine(a adg.Assessment) string {
	if a.Health == adg.HealthUnknown {
		return "health unknown: " + a.Text
	}
	return fmt.Sprintf("%s, score %.0f: %s", a.Health, a.Score, a.Text)
}

// reported says how the report of a deployment is had, whose records are in dir.
func reported(dir string) func(id string) string {
	return func(id string) string {
		if dir != defaultDataDir() {
			id += " --data-dir " + dir
		}
		return "report: adg report " + id
	}
}

func endLine(d adg.Deployment) string {
	text := fmt.Sprintf("%s %s in %s: %s", d.Spec.Policy.Service, d.Spec.Release.Version, d.Spec.Policy.Environment, where(d))
	if len(d.Status.Reasons) > 0 {
		text += " (" + strings.Join(d.Status.Reasons, "; ") + ")"
	}
	return text
}
