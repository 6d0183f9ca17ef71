// Package learn builds a team's history of deployments and their outcomes from what the team already has: a GitOps
// repository, git tags, the deployments and releases that GitHub or GitLab kept, or a table.
package learn

import (
	"slices"
	"time"

	"github.com/deployguardian/adg"
)

// MaxDeployments bounds a history; a longer one is refused.
const MaxDeployments = 1_000_000

// Deployment is one release that became live somewhere, and what became of it.
type Deployment struct {
	Service     string
	Environment string
	From, To    string // versions; From is empty for the first that is known

	FromCommit, ToCommit string // of the service's own code; empty when unknown

	At       time.Time
	Actor    string // a pseudonym, never an address or a name
	Outcome  Outcome
	Why      string    // one sentence: what the outcome was seen by
	FailedAt time.Time // when the failure was known; zero where none is
	Features map[string]float64
	Counted  string // what counts as a failure of it, as Rules.Counted says it; empty: the history's rules
}

// Outcome is what became of a deployment.
type Outcome uint8

// The outcomes. Which of them are failures is for Rules to say; unknown and superseded never are, nor are they successes.
const (
	Unknown    Outcome = iota
	Success            // it stayed, or made way for a later version in its own time
	RolledBack         // the version went back
	Blocked            // it never got to where it was meant to be
	Hotfixed           // a fix had to follow at once
	Incident           // it was reported as failed while it was live
	Superseded         // replaced too soon to tell
)

var outcomeNames = []string{"unknown", "success", "rolled-back", "blocked", "hotfixed", "incident", "superseded"}

// String is the outcome's name.
func (o Outcome) String() string {
	if int(o) < len(outcomeNames) {
		return outcomeNames[o]
	}
	return "invalid"
}

// MarshalText writes the name.
func (o Outcome) MarshalText() ([]byte, error) {
	if int(o) >= len(outcomeNames) {
		return nil, adg.Errorf(adg.Internal, "outcome %d does not exist", uint8(o))
	}
	return []byte(outcomeNames[o]), nil
}

// UnmarshalText reads a name.
func (o *Outcome) UnmarshalText(text []byte) error {
	i := slices.Index(outcomeNames, string(text))
	if i < 0 {
		return adg.Errorf(adg.Invalid, "unknown outcome %q: choose one of %s", cut(string(text), 40), enumerate(outcomeNames))
	}
	*o = Outcome(i)
	return nil
}

// Rules say what counts as which outcome. A zero field means its default; a negative duration switches its rule off.
type Rules struct {
	Hotfix     time.Duration // a fix that follows within this makes the version before it hotfixed; 4 h
	Superseded time.Duration // replaced within this without going back: too soon to tell; 15 min
	Race       time.Duration // gone back within this: two pipelines crossed, no rollback; 3 min
	Matures    time.Duration // what happens later than this after a deployment is not put down to it, and until then silence is no success; 7 d
	Event      time.Duration // rollbacks of many services in one environment within this are one event of the platform; 2 h
	Many       int           // how many services are many; 4. The first keeps its outcome, that of the others is unknown
	Promoted   float64       // share of an environment's versions that must usually be promoted for one that never was to count as blocked; 0.5
	Count      []Outcome     // which outcomes are failures; rolled-back, blocked, hotfixed and incident
}

// WithDefaults fills in what is not set.
func (r Rules) WithDefaults() Rules {
	set := func(d *time.Duration, standard time.Duration) {
		if *d == 0 {
			*d = standard
		}
	}
	set(&r.Hotfix, 4*time.Hour)
	set(&r.Superseded, 15*time.Minute)
	set(&r.Race, 3*time.Minute)
	set(&r.Matures, 7*24*time.Hour)
	set(&r.Event, 2*time.Hour)
	if r.Many == 0 {
		r.Many = 4
	}
	if r.Promoted == 0 {
		r.Promoted = 0.5
	}
	if len(r.Count) == 0 {
		r.Count = []Outcome{RolledBack, Blocked, Hotfixed, Incident}
	}
	return r
}

// Validate refuses rules that contradict what an outcome is.
func (r Rules) Validate() error {
	if r.Promoted < 0 || r.Promoted > 1 || r.Promoted != r.Promoted {
		return adg.Errorf(adg.Invalid, "the share of versions that are usually promoted is between 0 and 1, not %v", r.Promoted)
	}
	if r.Many < 0 || r.Many == 1 {
		return adg.Errorf(adg.Invalid, "many services are two at least, not %d", r.Many)
	}
	for _, o := range r.Count {
		switch o {
		case RolledBack, Blocked, Hotfixed, Incident:
		case Unknown, Success, Superseded:
			return adg.Errorf(adg.Invalid, "the outcome %s cannot count as a failure", o)
		default:
			return adg.Errorf(adg.Invalid, "there is no outcome %d", uint8(o))
		}
	}
	return nil
}

// Label is what a model learns of an outcome: failed or not, or nothing where known is false.
func (r Rules) Label(o Outcome) (failed, known bool) {
	counted := r.Count
	if len(counted) == 0 {
		counted = r.WithDefaults().Count
	}
	switch o {
	case Success:
		return false, true
	case RolledBack, Blocked, Hotfixed, Incident:
		return slices.Contains(counted, o), true
	case Unknown, Superseded:
		return false, false
	default:
		return false, false
	}
}

// Options are what every source takes. The zero value fits most.
type Options struct {
	Rules       Rules
	Now         time.Time // until when the history was watched; zero: the newest thing in it
	Key         []byte    // with which e-mail addresses are hashed; empty: anybody who guesses an address can recognise its hash
	Service     string    // of what does not say its service
	Environment string    // of what does not say where it was deployed
}

// History is what a source told, in time order. It is a value; several goroutines may read it.
type History struct {
	Deployments []Deployment
	Rules       Rules    // that the outcomes were told by
	Notes       []string // for people: what was left out, and why
}

// Join puts histories together in time order; their rules are those of the first. What several of them tell in the
// same words is told once, as the first of them tells it.
func Join(histories ...History) History {
	var all History
	for i, h := range histories {
		if i == 0 {
			all.Rules = h.Rules
		}
		all.Deployments = append(all.Deployments, h.Deployments...)
		for _, note := range h.Notes {
			if !slices.Contains(all.Notes, note) {
				all.Notes = append(all.Notes, note)
			}
		}
	}
	inTimeOrder(all.Deployments)
	all.Deployments = distinct(all.Deployments)
	return all
}

// Private

func inTimeOrder(all []Deployment) {
	slices.SortStableFunc(all, func(a, b Deployment) int {
		if c := a.At.Compare(b.At); c != 0 {
			return c
		}
		if a.Service != b.Service {
			return compareText(a.Service, b.Service)
		}
		return compareText(a.Environment, b.Environment)
	})
}

// distinct keeps the first telling of each attempt.
func distinct(all []Deployment) []Deployment {
	type attempt struct {
		at                                       int64
		service, environment, from, to, toCommit string
	}
	seen := make(map[attempt]bool, len(all))
	return slices.DeleteFunc(all, func(d Deployment) bool {
		key := attempt{d.At.UnixNano(), d.Service, d.Environment, d.From, d.To, d.ToCommit}
		twice := seen[key]
		seen[key] = true
		return twice
	})
}

func errTooMany() error {
	return adg.Errorf(adg.Invalid, "the history holds more than %d deployments: choose fewer services or a shorter time", MaxDeployments)
}
