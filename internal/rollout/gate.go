package rollout

import (
	"fmt"
	"strings"

	"github.com/deployguardian/adg"
)

// start is the first tick: the deadline is set, and what people should know beforehand is told.
func (l *life) start() {
	l.s.Deadline = l.now.Add(l.p.Deadline)
	l.tell(adg.FactStarted, "deployment started by "+l.spec.Actor)
	if !l.spec.WayBack() {
		why := "there is no last good release to go back to"
		if good := l.spec.LastGood; good != nil && good.Version == l.spec.Release.Version && good.Identity() != l.spec.Release.Identity() {
			why = "the last good release has the same version: give each change a version of its own"
		}
		l.because("no rollback is possible: %s", why)
		l.tell(adg.FactWarning, "no rollback is possible: "+why)
		if len(l.p.Strategy.Steps) > 1 {
			l.because("without a release to share the traffic with, the steps below 100 %% are skipped")
		}
	}
	if l.risky(l.p.Risk.Warn) {
		l.because("%s", l.expected())
		l.tell(adg.FactWarning, l.expected())
	}
	for _, what := range l.spec.Steered {
		l.because("%s", what)
	}
	if l.p.Rollback.SchemaIrreversible {
		l.because("the release's schema change cannot be undone")
		l.tell(adg.FactWarning, "it will not be rolled back automatically: its schema change cannot be undone; if it fails, roll forward")
	}
}

// gate lets a deployment begin when everything that it waits for is there.
func (l *life) gate() {
	for _, g := range l.in.Gates {
		if g.Open == adg.GateRefused {
			l.block("gate " + g.Name + " refuses: " + g.Text)
			return
		}
	}
	if limit := l.p.Risk.Block; l.risky(limit) {
		l.block("it is too risky: " + l.expected() + ", and the policy blocks at " + limit.String())
		return
	}
	waits := l.waits()
	if len(waits) == 0 {
		l.because("all gates are open")
		first := firstStep(l.spec)
		waited := l.s.State == adg.Gated
		l.enter(adg.Rolling)
		l.step(first)
		if waited {
			l.tell(adg.FactPromoted, "the gates are open: going to "+percent(l.p.Strategy.Steps[first].Share))
		}
		return
	}
	if l.s.State == adg.Gated && !l.now.Before(l.s.Entered.Add(l.p.GateTimeout)) {
		l.block("the gates did not open within " + short(l.p.GateTimeout) + ": " + strings.Join(waits, "; "))
		return
	}
	for _, w := range waits {
		l.because("%s", w)
	}
	if l.s.State == adg.Pending {
		l.s.Entered = l.now
		l.enter(adg.Gated)
		l.dec.Kind = adg.Hold
		l.tell(adg.FactGated, "waiting: "+strings.Join(waits, "; "))
	}
}

// Private

// waits says what is still missing.
func (l *life) waits() []string {
	var waits []string
	switch {
	case l.s.Approved != "":
	case l.p.Approve:
		waits = append(waits, "an approval is wanted")
	case l.wantsApproval():
		waits = append(waits, "an approval is wanted: "+l.expected())
	}
	for _, g := range l.in.Gates {
		if g.Open != adg.GateOpen {
			waits = append(waits, "gate "+g.Name+" is "+g.Open.String()+": "+g.Text)
		}
	}
	if l.s.HeldBy != "" {
		waits = append(waits, "held by "+l.s.HeldBy)
	}
	if l.in.Fleet.Stopped != "" {
		waits = append(waits, "the line is stopped: "+l.in.Fleet.Stopped)
	}
	if l.in.Fleet.Rolling != "" {
		waits = append(waits, "deployment "+l.in.Fleet.Rolling+" of the service is being rolled back")
	}
	return waits
}

// wantsApproval tells whether a human has to approve the start: because the policy says so always, or at this risk. A
// risk that nobody knows is one.
func (l *life) wantsApproval() bool {
	r := l.p.Risk
	unknown := l.spec.Prediction == nil && (!r.Approve.IsZero() || !r.Block.IsZero())
	return l.p.Approve || unknown || l.risky(r.Approve)
}

func (l *life) risky(limit adg.RiskLimit) bool {
	return l.spec.Prediction != nil && limit.Holds(*l.spec.Prediction)
}

// expected is the prediction in words.
func (l *life) expected() string {
	p := l.spec.Prediction
	if p == nil {
		return "nobody knows how likely it is to succeed"
	}
	return fmt.Sprintf("success is expected with %.0f %% (%.0f to %.0f %%; usual is %.0f %%)", 100*p.Success, 100*p.Low, 100*p.High, 100*p.Base)
}

func (l *life) block(why string) {
	l.enter(adg.Blocked)
	l.because("%s", why)
	l.tell(adg.FactBlocked, why)
}
