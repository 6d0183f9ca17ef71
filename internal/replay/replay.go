// Package replay makes every decision of a deployment again from what is on record: the measurements, the frozen
// baselines and the input of each tick. It proves that the code still answers the same, or shows where its answer
// has changed.
package replay

import (
	"context"
	"fmt"
	"time"

	"github.com/deployguardian/adg"
)

// Memory is what a replay reads.
type Memory interface {
	Deployment(ctx context.Context, id string) (adg.Deployment, error)
	Ticks(ctx context.Context, deployment string, after int64, limit int) ([]adg.Entry, error)
	Measurements(ctx context.Context, deployment string, f adg.MeasurementFilter) ([]adg.Measurement, error)
	Baselines(ctx context.Context, deployment string) ([]adg.Baseline, error)
}

// Result is what came of a replay.
type Result struct {
	Deployment string       `json:"deployment"`
	State      adg.State    `json:"state"`
	Made       int64        `json:"made"`       // ticks that the deployment had
	Ticks      int          `json:"ticks"`      // of them made again
	Decisions  int          `json:"decisions"`  // of those, the ones that changed something or answered a human
	Alone      int          `json:"alone"`      // decisions made again from their own record, the ticks before them being gone
	Unmeasured int          `json:"unmeasured"` // ticks whose measurements are gone: decided again from the judgements on record
	Unfollowed int          `json:"unfollowed"` // ticks left out: what was before them is gone, or would have been another thing
	Different  int          `json:"different"`  // ticks that came out differently
	Shown      []Difference `json:"differences,omitempty"`
}

// Equal tells whether everything that could be made again came out as it was.
func (r Result) Equal() bool { return r.Different == 0 }

// Difference is one tick that came out differently.
type Difference struct {
	Seq     int64     `json:"seq"` // zero: the status that the deployment has now
	At      time.Time `json:"at"`
	Changes []Change  `json:"changes"`
	More    int       `json:"more,omitempty"` // changes that are not shown
	Was     []string  `json:"was,omitempty"`  // the decision's reasons, where they differ
	WouldBe []string  `json:"would_be,omitempty"`
}

// Change is one value that is another now. Both are as people read them.
type Change struct {
	Path    string `json:"path"`
	Was     string `json:"was"`
	WouldBe string `json:"would_be"`
}

// String is the change as a sentence.
func (c Change) String() string {
	return fmt.Sprintf("%s was %s and would be %s", c.Path, c.Was, c.WouldBe)
}

// Of replays one deployment. It reads the history in pages, so that a long one takes no more memory than a short one.
// Progress, which may be nil, is told after each page how many of the ticks are done.
func Of(ctx context.Context, m Memory, id string, progress func(done, all int64)) (Result, error) {
	d, err := m.Deployment(ctx, id)
	if err != nil {
		return Result{}, err
	}
	frozen, err := m.Baselines(ctx, id)
	if err != nil {
		return Result{}, err
	}
	r := newRun(d, frozen)
	for {
		page, err := m.Ticks(ctx, id, r.seen, pageSize)
		if err != nil {
			return Result{}, err
		}
		for _, e := range page {
			measured, err := measuredAt(ctx, m, e)
			if err != nil {
				return Result{}, err
			}
			r.tick(e, measured)
		}
		if progress != nil {
			progress(r.seen-1, d.Version-1)
		}
		if len(page) < pageSize {
			return r.end(d), nil
		}
	}
}

// Private

const (
	pageSize       = 500
	maxDifferences = 100 // that are shown
	maxChanges     = 12  // that are shown of one tick
)

// measuredAt reads what was measured for a tick.
func measuredAt(ctx context.Context, m Memory, e adg.Entry) ([]adg.Measurement, error) {
	if e.Input.Assessment == nil {
		return nil, nil
	}
	return m.Measurements(ctx, e.Deployment, adg.MeasurementFilter{From: e.Input.Now, To: e.Input.Now, Limit: 10_000})
}
