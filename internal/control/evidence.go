package control

import (
	"context"
	"errors"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/identity"
	"github.com/deployguardian/adg/internal/replay"
	"github.com/deployguardian/adg/internal/report"
)

// Decisions are entries of a deployment after seq, oldest first, at most limit.
func (c *Control) Decisions(ctx context.Context, who identity.Caller, id string, after int64, limit int) (adg.Deployment, []adg.Entry, error) {
	d, err := c.Deployment(ctx, who, id)
	if err != nil {
		return d, nil, err
	}
	list, err := c.o.Store.Entries(ctx, d.ID, after, limit)
	return d, list, err
}

// Evidence is what one decision was made from.
type Evidence struct {
	Deployment   adg.Deployment
	Entry        adg.Entry
	Measurements []adg.Measurement
	Ended        *adg.Effect // the effect that had ended; nil: none had
	Compacted    bool        // the measurements were forgotten since
}

// Evidence is what the decision with that number was made from.
func (c *Control) Evidence(ctx context.Context, who identity.Caller, id string, seq int64) (Evidence, error) {
	d, list, err := c.Decisions(ctx, who, id, seq-1, 1)
	if err == nil && (len(list) == 0 || list[0].Seq != seq) {
		err = adg.Errorf(adg.NotFound, "%s has no decision %d", d.ID, seq)
	}
	if err != nil {
		return Evidence{}, err
	}
	e := Evidence{Deployment: d, Entry: list[0]}
	in := e.Entry.Input
	if in.Assessment != nil {
		if e.Measurements, err = c.o.Store.Measurements(ctx, d.ID, adg.MeasurementFilter{From: in.Now, To: in.Now, Limit: 10_000}); err != nil {
			return e, err
		}
		e.Compacted = len(e.Measurements) == 0
	}
	if in.Outcome == nil {
		return e, nil
	}
	effects, err := c.o.Store.Effects(ctx, d.ID)
	for _, effect := range effects {
		if effect.Desired.OpID == in.Outcome.OpID {
			e.Ended = &effect
		}
	}
	return e, err
}

// Replay makes the decisions of a deployment again. What takes longer than a request may is Unavailable.
func (c *Control) Replay(ctx context.Context, who identity.Caller, id string) (replay.Result, error) {
	d, err := c.Deployment(ctx, who, id)
	if err != nil {
		return replay.Result{}, err
	}
	return lengthy(ctx, c, "replaying "+d.ID, func(ctx context.Context) (replay.Result, error) {
		return replay.Of(ctx, c.o.Store, d.ID, nil)
	})
}

// Report is the story of a deployment, which may still be going on; where it is wanted with what the release changed.
func (c *Control) Report(ctx context.Context, who identity.Caller, id string, change bool) (report.Story, error) {
	d, err := c.Deployment(ctx, who, id)
	if err != nil {
		return report.Story{}, err
	}
	if err := c.allowed(ctx, who, identity.ReportRead, scopeOf(d), adg.AuditEntry{Action: "report.get", Resource: "deployment/" + d.ID}); err != nil {
		return report.Story{}, err
	}
	return lengthy(ctx, c, "the report of "+d.ID, func(ctx context.Context) (report.Story, error) {
		story, err := report.Gather(ctx, brief{c.o.Store}, d.ID)
		if err == nil && change && c.o.Changes != nil {
			story.Change = c.o.Changes(ctx, d.Spec)
		}
		return story, err
	})
}

// GatesOf are the gates of a deployment as they are now; of one that has begun, as they were when it did.
func (c *Control) GatesOf(ctx context.Context, who identity.Caller, id string) (d adg.Deployment, gates []adg.Gate, err error) {
	if d, err = c.Deployment(ctx, who, id); err != nil {
		return d, nil, err
	}
	if d.Status.State == adg.Pending || d.Status.State == adg.Gated {
		gates, err = c.o.Starter.Gates(ctx, d)
		return d, gates, err
	}
	for after := int64(0); ; {
		page, err := c.o.Store.Entries(ctx, d.ID, after, 100)
		if err != nil || len(page) == 0 {
			return d, gates, err
		}
		for _, e := range page {
			if after = e.Seq; len(e.Input.Gates) > 0 {
				gates = e.Input.Gates
			}
			if next := e.Decision.Next.State; next != adg.Pending && next != adg.Gated {
				return d, gates, nil
			}
		}
	}
}

// Private

const (
	maxLengthy  = 2                // that are made at the same time
	lengthyTime = 25 * time.Second // that one may take
	maxJudged   = 1000             // assessments that a report shows
)

// lengthy does what takes a while: few at the same time, each within a bounded time.
func lengthy[T any](ctx context.Context, c *Control, what string, do func(context.Context) (T, error)) (T, error) {
	var none T
	ctx, cancel := context.WithTimeout(ctx, lengthyTime)
	defer cancel()
	select {
	case c.lengthy <- struct{}{}:
		defer func() { <-c.lengthy }()
	case <-ctx.Done():
		return none, adg.Throttled(adg.Errorf(adg.Unavailable, "%s has to wait: the server is busy with others", what), 10*time.Second)
	}
	made, err := do(ctx)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return none, adg.Advised(adg.Errorf(adg.Unavailable, "%s takes longer than a request may", what), "do it on the server's machine, with adg replay or adg report and its data directory")
	}
	return made, err
}

// brief is a history whose courses are thinned out to what a page can show.
type brief struct{ adg.Store }

// Assessments are thinned out further.
func (b brief) Assessments(ctx context.Context, id string, f adg.MeasurementFilter) ([]adg.Assessment, error) {
	f.Limit = min(f.Limit, maxJudged)
	return b.Store.Assessments(ctx, id, f)
}
