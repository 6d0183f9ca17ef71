package api

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/api/wire"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// Private

const (
	mostLive = 10_000   // that are ordered by how bad things are
	ended    = "ended/" // begins the token of a page of those that have ended, after those that are ordered so
)

// deploymentList becomes one page of deployments.
type deploymentList struct {
	*deployments
	request  *adgv1.ListDeploymentsRequest
	selected wire.Selection
	team     func(service string) string
	limit    int
	answer   adgv1.ListDeploymentsResponse
}

func (l *deploymentList) full() bool { return len(l.answer.GetDeployments()) == l.limit }

// next says where the page after this one begins.
func (l *deploymentList) next(token string) {
	l.answer.NextPageToken = wire.PageToken(l.request, token)
}

func (l *deploymentList) add(ctx context.Context, d adg.Deployment) error {
	row, err := l.row(ctx, d, l.team, len(l.answer.GetDeployments()))
	if err == nil {
		l.answer.Deployments = append(l.answer.Deployments, row)
	}
	return err
}

// goOn fills the page with deployments as the store has them in order. The token of the next page is the id of the last
// one with that prefix.
func (l *deploymentList) goOn(ctx context.Context, f adg.DeploymentFilter, prefix string, wanted func(adg.Deployment) bool) error {
	for f.Limit = min(l.limit+1, 1000); ; {
		page, next, err := l.o.Control.Deployments(ctx, caller(ctx), f)
		if err != nil {
			return err
		}
		for _, d := range page {
			if !l.selected.Holds(d, l.team(d.Spec.Policy.Service)) || !wanted(d) {
				continue
			}
			if l.full() {
				l.next(prefix + f.Before)
				return nil
			}
			if err := l.add(ctx, d); err != nil {
				return err
			}
			f.Before = d.ID
		}
		if next == "" {
			return nil
		}
		f.Before = next
	}
}

// worst are those that have not ended, what needs a human first, and then those that have, the newest first. One that
// ends between two pages may be on both of them.
func (l *deploymentList) worst(ctx context.Context, token string) error {
	f := l.selected.Filter()
	if last, found := strings.CutPrefix(token, ended); found {
		f.Before = last
	} else {
		live, err := l.live(ctx)
		if err != nil {
			return err
		}
		from, _ := strconv.Atoi(token) // sealed by us; none is 0
		for i := min(from, len(live)); i < len(live); i++ {
			if l.full() {
				l.next(strconv.Itoa(i))
				return nil
			}
			if err := l.add(ctx, live[i]); err != nil {
				return err
			}
		}
	}
	if l.selected.Live {
		return nil
	}
	return l.goOn(ctx, f, ended, func(d adg.Deployment) bool { return d.Status.State.Ended() })
}

// live are the deployments that have not ended, the worst first.
func (l *deploymentList) live(ctx context.Context) ([]adg.Deployment, error) {
	var all []adg.Deployment
	f := l.selected.Filter()
	for f.Live, f.Limit = true, 1000; len(all) < mostLive; {
		page, next, err := l.o.Control.Deployments(ctx, caller(ctx), f)
		if err != nil {
			return nil, err
		}
		for _, d := range page {
			if l.selected.Holds(d, l.team(d.Spec.Policy.Service)) {
				all = append(all, d)
			}
		}
		if next == "" {
			break
		}
		f.Before = next
	}
	slices.SortStableFunc(all, worse)
	return all, nil
}

// worse puts what needs a human first, then what goes back, then the lowest score.
func worse(a, b adg.Deployment) int {
	rank := func(d adg.Deployment) int {
		switch {
		case d.Status.Paging:
			return 0
		case wire.WaitsForHuman(d):
			return 1
		case d.Status.State >= adg.RollbackPending && !d.Status.State.Ended():
			return 2
		case d.Status.Health == adg.Unhealthy:
			return 3
		case d.Status.Health == adg.Degraded:
			return 4
		case d.Status.Health == adg.HealthUnknown:
			return 5
		}
		return 6
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Status.Score, b.Status.Score))
}
