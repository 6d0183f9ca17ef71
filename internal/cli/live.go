package cli

import (
	"fmt"
	"math"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/deployguardian/adg"
)

const (
	kept    = 30 // values per sparkline
	recent  = 6  // facts shown
	refresh = 500 * time.Millisecond
)

// liveView redraws a picture in place: where the deployment is, how long it still takes, how likely it is to succeed, and
// every check against its limit.
type liveView struct {
	mu      sync.Mutex
	t       Terminal
	after   func(id string) string
	picture picture
	drawn   int // lines on the screen
	stop    chan struct{}
	stopped sync.WaitGroup
}

// picture is everything that is shown.
type picture struct {
	d      adg.Deployment
	known  bool
	seen   time.Time // by the store's clock
	at     time.Time // by ours, when it was seen
	values map[string][]float64
	course []float64 // of the probability of success
	facts  []string
	said   string
	hint   string // what can be typed
	colour bool
}

func newLiveView(t Terminal, hint string, after func(id string) string) *liveView {
	v := &liveView{t: t, after: after, stop: make(chan struct{}), picture: picture{hint: hint, values: map[string][]float64{}, colour: os.Getenv("NO_COLOR") == ""}}
	v.stopped.Go(func() {
		every := time.NewTicker(refresh)
		defer every.Stop()
		for {
			select {
			case <-v.stop:
				return
			case now := <-every.C:
				v.draw(now)
			}
		}
	})
	return v
}

// Tick takes the news in; the next redraw shows it.
func (v *liveView) Tick(d adg.Deployment, t adg.Tick) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.picture.tick(d, t)
}

// Say shows a line below the picture until the next one.
func (v *liveView) Say(text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.picture.said = clean(text)
}

// Close draws the last picture and leaves it on the screen.
func (v *liveView) Close(d adg.Deployment, err error) {
	close(v.stop)
	v.stopped.Wait()
	if d.ID != "" {
		v.picture.d, v.picture.known = d, true
	}
	v.draw(v.picture.at)
	if d.ID != "" && err == nil {
		_, _ = fmt.Fprintln(v.t.Out, clean(endLine(d)+"\n"+v.after(d.ID)))
	}
}

// Private

func (v *liveView) draw(now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	lines := v.picture.lines(now, v.t.Width())
	var out strings.Builder
	if v.drawn > 0 {
		fmt.Fprintf(&out, "\x1b[%dA", v.drawn)
	}
	for _, line := range lines {
		out.WriteString("\x1b[2K" + line + "\n")
	}
	out.WriteString("\x1b[J")
	v.drawn = len(lines)
	_, _ = fmt.Fprint(v.t.Out, out.String())
}

func (p *picture) tick(d adg.Deployment, t adg.Tick) {
	p.d, p.known, p.seen = d, true, t.Decision.At
	p.at = time.Now() //nolint:forbidigo // to count down between ticks on the screen
	if t.Input.Assessment != nil {
		for _, j := range t.Input.Assessment.Judgements {
			value := math.NaN()
			if j.Value != nil {
				value = *j.Value
			}
			all := append(p.values[j.Check], value)
			p.values[j.Check] = all[max(0, len(all)-kept):]
		}
	}
	if success, found := expected(t); found {
		p.course = append(p.course, success)
		p.course = p.course[max(0, len(p.course)-kept):]
	}
	for _, f := range t.Decision.Facts {
		p.facts = append(p.facts, f.At.Format("15:04:05")+"  "+clean(factLine(f)))
	}
	p.facts = p.facts[max(0, len(p.facts)-recent):]
}

// lines is the picture, cut to the width.
func (p *picture) lines(now time.Time, width int) []string {
	if !p.known {
		return []string{cut("starting …", width)}
	}
	d := p.d
	from := "?"
	if d.Spec.LastGood != nil {
		from = d.Spec.LastGood.Version
	}
	lines := []string{
		p.bold(cut(fmt.Sprintf("%s in %s   %s → %s   %s", d.Spec.Policy.Service, d.Spec.Policy.Environment, from, d.Spec.Release.Version, d.ID), width)),
		cut(p.place(now), width),
		p.paint(d.Status.Health, cut(fmt.Sprintf("health %s, score %.0f", d.Status.Health, d.Status.Score), width)),
	}
	if d.Spec.Prediction != nil {
		lines = append(lines, p.success(width))
	}
	lines = append(lines, "")
	for _, w := range d.Status.Checks {
		lines = append(lines, p.check(w, width))
	}
	lines = append(lines, "")
	for _, fact := range p.facts {
		lines = append(lines, cut(fact, width))
	}
	switch {
	case p.said != "":
		lines = append(lines, cut(p.said, width))
	case p.hint != "" && !d.Status.State.Ended():
		lines = append(lines, p.ink("2", cut(p.hint, width)))
	}
	return lines
}

// place is the state with the time left in it.
func (p *picture) place(now time.Time) string {
	d := p.d
	text := where(d)
	running := p.seen.Add(max(0, now.Sub(p.at)))
	switch d.Status.State {
	case adg.Rolling:
		if !d.Status.Reached {
			return text + "   waiting for the target"
		}
		bake := d.Spec.Policy.Strategy.Steps[d.Status.Step].Bake
		return fmt.Sprintf("%s   bake %s %s left", text, progress(d.Status.Good, bake, 20), span(max(0, bake-d.Status.Good)))
	case adg.Verifying:
		if d.Status.Phase >= len(d.Spec.Policy.Verify) {
			return text
		}
		whole := d.Spec.Policy.Verify[d.Status.Phase].For
		done := running.Sub(d.Status.Entered)
		return fmt.Sprintf("%s   %s %s left", text, progress(done, whole, 20), span(max(0, whole-done)))
	case adg.Pending, adg.Gated, adg.Held, adg.RollbackPending, adg.RollingBack, adg.VerifyingRollback, adg.Blocked,
		adg.Succeeded, adg.RolledBack, adg.RollbackFailed, adg.Cancelled, adg.Superseded, adg.Undecided:
		if len(d.Status.Reasons) > 0 {
			text += ": " + clean(d.Status.Reasons[0])
		}
		return text
	}
	return text
}

// success is what was predicted, what is expected now, and the way there: as much of it as fits.
func (p *picture) success(width int) string {
	text := "success " + percent(p.d.Spec.Prediction.Success)
	if n := len(p.course); n > 0 {
		text += " → " + percent(p.course[n-1])
		if room := width - utf8.RuneCountInString(text) - 1; room > 0 {
			text += " " + curve(p.course[max(0, n-room):], 0, 1)
		}
	}
	return cut(text, width)
}

func (p *picture) check(w adg.Watch, width int) string {
	unit := p.d.Spec.Policy.CountedIn(w.Check)
	line := fmt.Sprintf("%s %-18s %9s  limit %9s  %-*s  %s", mark(w.Last.Verdict), cut(w.Check, 18), amount(w.Last.Value, unit),
		amount(w.Last.Limit, unit), kept, sparkline(p.values[w.Check], kept), clean(w.Last.Text))
	return p.verdict(w.Last.Verdict, cut(line, width))
}

// mark is the verdict as a sign, so that colour is never the only one.
func mark(v adg.Verdict) string {
	switch v {
	case adg.Pass:
		return "✓"
	case adg.Warn:
		return "!"
	case adg.Fail:
		return "✗"
	case adg.Unknown:
		return "?"
	}
	return "?"
}

func (p *picture) verdict(v adg.Verdict, text string) string {
	switch v {
	case adg.Pass:
		return p.ink("32", text)
	case adg.Warn:
		return p.ink("33", text)
	case adg.Fail:
		return p.ink("31", text)
	case adg.Unknown:
		return p.ink("2", text)
	}
	return text
}

func (p *picture) paint(h adg.Health, text string) string {
	switch h {
	case adg.Healthy:
		return p.verdict(adg.Pass, text)
	case adg.Degraded:
		return p.verdict(adg.Warn, text)
	case adg.Unhealthy:
		return p.verdict(adg.Fail, text)
	case adg.HealthUnknown:
		return p.verdict(adg.Unknown, text)
	}
	return text
}

func (p *picture) bold(text string) string { return p.ink("1", text) }

func (p *picture) ink(code, text string) string {
	if !p.colour {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}
