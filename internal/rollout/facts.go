package rollout

import (
	"fmt"
	"time"

	"github.com/deployguardian/adg"
)

// tell adds a fact. Its id is made of the stored record's version, so that it is unique in the deployment's life and
// the same when a tick that was not stored is repeated. State and reasons are those of the whole decision.
func (l *life) tell(kind adg.FactKind, text string) {
	l.tellUrgent(kind, text, kind == adg.FactPage || kind == adg.FactAsked || kind == adg.FactRollbackFailed)
}

func (l *life) tellUrgent(kind adg.FactKind, text string, urgent bool) {
	spec := l.spec
	id := fmt.Sprintf("%s/%s/%d", l.d.ID, kind, l.d.Version)
	same := 0
	for _, f := range l.dec.Facts {
		if f.Kind == kind {
			same++
		}
	}
	if same > 0 {
		id += fmt.Sprintf(".%d", same)
	}
	fact := adg.Fact{
		ID: id, Deployment: l.d.ID, Kind: kind, At: l.now,
		Service: spec.Policy.Service, Environment: spec.Policy.Environment, Release: spec.Release.Version,
		Health: l.s.Health, Actor: l.actor(), Via: l.via(), Urgent: urgent,
		Text: fmt.Sprintf("%s %s in %s: %s", spec.Policy.Service, spec.Release.Version, spec.Policy.Environment, text),
	}
	if spec.LastGood != nil {
		fact.LastGood = spec.LastGood.Version
	}
	l.dec.Facts = append(l.dec.Facts, fact)
}

// page calls a human, once for as long as the reason stands.
func (l *life) page(text string) {
	if l.s.Paging {
		return
	}
	l.s.Paging = true
	l.tell(adg.FactPage, text)
}

// Private

// actor is the human whose command this tick answers; empty: nobody's.
func (l *life) actor() string {
	if !l.obeyed {
		return ""
	}
	return l.in.Command.Actor
}

// via is how that human asked for it.
func (l *life) via() string {
	if !l.obeyed {
		return ""
	}
	return l.in.Command.Via
}

// short is a duration as people write it, to the millisecond.
func short(d time.Duration) string { return adg.Short(d.Round(time.Millisecond)) }

// percent is a share as people write it.
func percent(share float64) string { return fmt.Sprintf("%g %%", share) }
