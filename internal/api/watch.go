package api

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/api/wire"
	"github.com/deployguardian/adg/internal/identity"
	"github.com/deployguardian/adg/internal/live"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// WatchDeployments sends the rows that match, and then what changes.
func (s *deployments) WatchDeployments(r *adgv1.WatchDeploymentsRequest, to grpc.ServerStreamingServer[adgv1.WatchDeploymentsResponse]) error {
	selected, err := wire.ReadWatchSelection(r)
	if err != nil {
		return err
	}
	ctx := to.Context()
	w := &watcher{selected: selected, sees: identity.Sees(caller(ctx).Identity, identity.DeploymentRead), send: to.Send}
	return s.rows.Follow(ctx, s.o.Heartbeat, func(rows live.Rows[wire.Row]) error {
		switch {
		case rows.Live != nil:
			return s.begin(ctx, w, rows)
		case len(rows.Changes) > 0 && !w.changes(rows.Changes) && rows.Now.Sub(w.told) < s.o.Heartbeat:
			return nil
		}
		return w.tell(rows.Now, false)
	})
}

// Private

// rowsAtOnce is how many rows one answer has.
const rowsAtOnce = 500

// watcher is one caller who watches a table of deployments.
type watcher struct {
	selected wire.Selection
	sees     func(service, environment string) bool
	send     func(*adgv1.WatchDeploymentsResponse) error
	changed  []*adgv1.DeploymentSummary // not told yet
	gone     []string
	told     time.Time // last
}

// begin tells of all that match. Those that have ended come from the store: they do not change any more.
func (s *deployments) begin(ctx context.Context, w *watcher, rows live.Rows[wire.Row]) error {
	for _, row := range slices.SortedFunc(maps.Values(rows.Live), newer) {
		if w.holds(row) {
			w.changed = append(w.changed, row.Summary)
		}
	}
	f, drawn := w.selected.Filter(), 0
	for f.Limit = rowsAtOnce; !f.Live; {
		page, next, err := s.o.Control.Deployments(ctx, caller(ctx), f)
		if err != nil {
			return err
		}
		for _, d := range page {
			row := s.ofTeam(d)
			if !d.Status.State.Ended() || !w.selected.HoldsRow(row) {
				continue
			}
			if check := row.Summary.GetHeadline().GetJudgement().GetCheck(); check != "" && drawn < mostDrawn {
				if row.Summary.Headline, err = s.headline(ctx, d, check); err != nil {
					return err
				}
				drawn++
			}
			w.changed = append(w.changed, row.Summary)
		}
		if f.Before = next; next == "" {
			break
		}
		if len(w.changed) < rowsAtOnce {
			continue
		}
		if err := w.tell(rows.Now, false); err != nil {
			return err
		}
	}
	return w.tell(rows.Now, true)
}

// ofTeam is the row of a deployment. Whose service it is does not stand in it where that cannot be read now: rows do not
// wait for that.
func (a *API) ofTeam(d adg.Deployment) wire.Row {
	name := ""
	if team, err := a.o.Control.Teams(context.Background()); err == nil {
		name = team(d.Spec.Policy.Service)
	}
	return wire.NewRow(d, name)
}

func newer(a, b wire.Row) int {
	return cmp.Or(b.Created().Compare(a.Created()), cmp.Compare(b.Summary.GetId(), a.Summary.GetId()))
}

func (w *watcher) holds(row wire.Row) bool {
	return w.sees(row.Scope()) && w.selected.HoldsRow(row)
}

// changes notes what is to be told of changes: of each deployment what it was before all of them and what it is after.
func (w *watcher) changes(all []live.Change[wire.Row]) (some bool) {
	was := map[string]bool{}
	for _, c := range all {
		if _, seen := was[c.ID]; !seen {
			was[c.ID] = c.Known && w.holds(c.Was)
		}
	}
	for _, c := range slices.Backward(all) {
		before, left := was[c.ID]
		if !left {
			continue
		}
		delete(was, c.ID)
		if w.holds(c.Is) {
			w.changed = append(w.changed, c.Is.Summary)
		} else if before {
			w.gone = append(w.gone, c.ID)
		}
	}
	return len(w.changed)+len(w.gone) > 0
}

// tell sends what was noted. The last answer says whether it is complete.
func (w *watcher) tell(now time.Time, complete bool) error {
	at := timestamppb.New(now)
	for len(w.changed) > rowsAtOnce {
		if err := w.send(&adgv1.WatchDeploymentsResponse{Changed: w.changed[:rowsAtOnce], Time: at}); err != nil {
			return err
		}
		w.changed = w.changed[rowsAtOnce:]
	}
	last := &adgv1.WatchDeploymentsResponse{Changed: w.changed, Gone: w.gone, Complete: complete, Time: at}
	w.changed, w.gone, w.told = nil, nil, now
	return w.send(last)
}
