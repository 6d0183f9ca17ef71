package control

import (
	"context"
	"slices"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/identity"
)

// LabelCommitTime is the label of a deployment that says when its commit was made, as in 2026-03-01T12:00:00Z: only with
// it the lead time is known.
const LabelCommitTime = "commit_time"

// FigureRange is what figures are asked for. Deployments count where they were asked for, as in lists of them.
type FigureRange struct {
	Service     string
	Environment string        // empty: all that the caller may see
	From        time.Time     // zero: from the first deployment
	To          time.Time     // zero: until now
	Bucket      time.Duration // of the course; zero: a day
}

// Figures are how a service has been going.
type Figures struct {
	From, To time.Time // what is counted: From is later than asked for where there were too many deployments before
	Total    FigureSet
	Course   []FigureBucket
}

// FigureBucket is the figures of one stretch.
type FigureBucket struct {
	From    time.Time
	Figures FigureSet
}

// FigureSet is the figures of one stretch of time. What cannot be said is nil.
type FigureSet struct {
	Deployments, Succeeded, RolledBack, Blocked, Cancelled int

	SuccessRate       *float64
	Detect            *time.Duration // medians
	Restore           *time.Duration
	PerDay            *float64
	Lead              *time.Duration
	ChangeFailureRate *float64
}

// FigureDefinitions say how each figure is defined, by its name in the API.
func FigureDefinitions() [][2]string { return slices.Clone(figureDefinitions) }

// ServiceFigures are how a service has been going. The newest 2,000 deployments within the time are looked at; where
// there were more, Figures.From says from when on they are counted.
func (c *Control) ServiceFigures(ctx context.Context, who identity.Caller, r FigureRange) (Figures, error) {
	if _, err := c.environmentsOf(ctx, who, r.Service, "service.figures"); err != nil {
		return Figures{}, err
	}
	now, err := c.o.Store.Now(ctx)
	if err != nil {
		return Figures{}, err
	}
	if r.To.IsZero() || r.To.After(now) {
		r.To = now
	}
	if r.Bucket == 0 {
		r.Bucket = 24 * time.Hour
	}
	if r.Bucket < time.Minute || !r.From.Before(r.To) {
		return Figures{}, adg.Errorf(adg.Invalid, "from_time is before to_time and the present, and a bucket is a minute at least")
	}
	var counted []counted
	first, err := c.within(ctx, who, adg.DeploymentFilter{Service: r.Service, Environment: r.Environment}, r.From, r.To, maxFigures, func(d adg.Deployment) error {
		one, err := c.count(ctx, d)
		counted = append(counted, one)
		return err
	})
	if err != nil {
		return Figures{}, err
	}
	if r.From.IsZero() || first.After(r.From) && len(counted) == maxFigures {
		r.From = first.UTC().Truncate(r.Bucket)
	}
	if r.From.IsZero() { // nothing was ever deployed
		r.From = r.To.Truncate(r.Bucket)
	}
	if r.To.Sub(r.From)/r.Bucket >= maxBuckets {
		return Figures{}, adg.Advised(adg.Errorf(adg.Invalid, "the course would have more than %d stretches", maxBuckets), "ask for longer ones, or for less time")
	}
	return figuresOf(r, counted), nil
}

// Private

const (
	maxFigures = 2000
	maxBuckets = 4000
)

// counted is what figures need of a deployment.
type counted struct {
	at              time.Time
	state           adg.State
	began           bool // something was done at the target
	detect, restore time.Duration
	lead            time.Duration // each zero where it is not known
}

// within calls for the deployments that the caller may see, the newest first, that were asked for within a time, until
// that many. It gives the time of the oldest one, which is zero where there was none.
func (c *Control) within(ctx context.Context, who identity.Caller, f adg.DeploymentFilter, from, to time.Time, most int, each func(adg.Deployment) error) (oldest time.Time, err error) {
	f.From, f.To, f.Limit = from, to, 200
	for n := 0; n < most; {
		page, next, err := c.Deployments(ctx, who, f)
		if err != nil {
			return oldest, err
		}
		for _, d := range page {
			if err := each(d); err != nil {
				return oldest, err
			}
			oldest = d.Spec.Created
			if n++; n == most {
				break
			}
		}
		if next == "" {
			break
		}
		f.Before = next
	}
	return oldest, nil
}

func (c *Control) count(ctx context.Context, d adg.Deployment) (counted, error) {
	s := d.Status
	one := counted{at: d.Spec.Created, state: s.State, began: s.Ops > 0}
	switch s.State {
	case adg.Succeeded:
		if made, err := time.Parse(time.RFC3339, d.Spec.Labels[LabelCommitTime]); err == nil && made.Before(s.ReachedAt) {
			one.lead = s.ReachedAt.Sub(made)
		}
	case adg.RolledBack, adg.RollbackFailed:
		if s.Condemned.IsZero() {
			break
		}
		if s.State == adg.RolledBack {
			one.restore = max(s.Since.Sub(s.Condemned), 0)
		}
		served, err := c.firstTraffic(ctx, d)
		if err != nil {
			return one, err
		}
		if !served.IsZero() && served.Before(s.Condemned) {
			one.detect = s.Condemned.Sub(served)
		}
	case adg.Pending, adg.Gated, adg.Rolling, adg.Verifying, adg.Held, adg.RollbackPending, adg.RollingBack, adg.VerifyingRollback,
		adg.Blocked, adg.Cancelled, adg.Superseded, adg.Undecided:
	}
	return one, nil
}

// firstTraffic is when the release was first given a share of the traffic; zero: never.
func (c *Control) firstTraffic(ctx context.Context, d adg.Deployment) (time.Time, error) {
	effects, err := c.o.Store.Effects(ctx, d.ID)
	for _, e := range effects {
		for _, p := range e.Desired.Releases {
			if p.Release.Identity() == d.Spec.Release.Identity() && p.Share > 0 {
				return e.Begun, err
			}
		}
	}
	return time.Time{}, err
}

// figuresOf adds up. It is pure.
func figuresOf(r FigureRange, all []counted) Figures {
	f := Figures{From: r.From, To: r.To, Total: figureSet(all, r.To.Sub(r.From))}
	stretches := map[int64][]counted{}
	for _, one := range all {
		at := int64(one.at.Sub(r.From) / r.Bucket)
		stretches[at] = append(stretches[at], one)
	}
	for i := int64(0); r.From.Add(time.Duration(i) * r.Bucket).Before(r.To); i++ {
		from := r.From.Add(time.Duration(i) * r.Bucket)
		f.Course = append(f.Course, FigureBucket{From: from, Figures: figureSet(stretches[i], min(r.Bucket, r.To.Sub(from)))})
	}
	return f
}

func figureSet(all []counted, stretch time.Duration) FigureSet {
	var s FigureSet
	var began int
	var detect, restore, lead []time.Duration
	for _, one := range all {
		if !one.state.Ended() {
			continue
		}
		s.Deployments++
		if one.began {
			began++
		}
		switch one.state {
		case adg.Succeeded:
			s.Succeeded++
		case adg.RolledBack, adg.RollbackFailed:
			s.RolledBack++
		case adg.Blocked:
			s.Blocked++
		case adg.Cancelled, adg.Superseded:
			s.Cancelled++
		case adg.Undecided, adg.Pending, adg.Gated, adg.Rolling, adg.Verifying, adg.Held, adg.RollbackPending, adg.RollingBack, adg.VerifyingRollback:
		}
		detect, restore, lead = known(detect, one.detect), known(restore, one.restore), known(lead, one.lead)
	}
	s.Detect, s.Restore, s.Lead = middle(detect), middle(restore), middle(lead)
	s.SuccessRate, s.ChangeFailureRate = share(s.Succeeded, s.Succeeded+s.RolledBack), share(s.RolledBack, began)
	if days := stretch.Hours() / 24; days > 0 {
		perDay := float64(s.Succeeded) / days
		s.PerDay = &perDay
	}
	return s
}

func known(all []time.Duration, one time.Duration) []time.Duration {
	if one <= 0 {
		return all
	}
	return append(all, one)
}

// middle is the median; nil of none.
func middle(all []time.Duration) *time.Duration {
	if len(all) == 0 {
		return nil
	}
	slices.Sort(all)
	median := (all[(len(all)-1)/2] + all[len(all)/2]) / 2
	return &median
}

// share is a part of all; nil of none.
func share(part, all int) *float64 {
	if all == 0 {
		return nil
	}
	of := float64(part) / float64(all)
	return &of
}

var figureDefinitions = [][2]string{
	{"deployments", "Deployments that were asked for in this time and have ended. A rollback is the end of its deployment, and none of its own."},
	{"succeeded", "Of these, those whose release passed all steps and phases."},
	{"rolled_back", "Of these, those that were rolled back, or could not be."},
	{"blocked", "Of these, those that a gate refused before they began."},
	{"cancelled", "Of these, those that a human cancelled, or that made way for a newer one."},
	{"success_rate", "Succeeded divided by succeeded and rolled back together; blocked, cancelled and undecided ones are neither."},
	{"detect_median", "Of those rolled back, the median of the time from the first effect that gave the release traffic to its condemnation by a rule or a human."},
	{"restore_median", "Of those rolled back, the median of the time from the condemnation until the last good release was verified as live."},
	{"per_day", "Succeeded divided by the days of this time, as far as they have passed."},
	{"lead_median", "Of those that succeeded, the median of the time from the commit to the whole traffic. It is known of those whose pipeline said the commit's time in the label " + LabelCommitTime + "."},
	{"change_failure_rate", "Rolled back divided by those of which something was done at the target."},
}
