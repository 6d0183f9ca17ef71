package api

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/api/wire"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// deployments answers DeploymentService.
type deployments struct {
	adgv1.UnimplementedDeploymentServiceServer
	*API
}

// StartDeployment starts one.
func (s *deployments) StartDeployment(ctx context.Context, r *adgv1.StartDeploymentRequest) (*adgv1.Deployment, error) {
	start, err := wire.ReadStart(r)
	if err != nil {
		return nil, err
	}
	d, err := s.o.Control.StartDeployment(ctx, because(ctx, r.GetReason()), start)
	if err != nil {
		return nil, err
	}
	return s.seen(ctx, d)
}

// PlanDeployment says what would happen.
func (s *deployments) PlanDeployment(ctx context.Context, r *adgv1.PlanDeploymentRequest) (*adgv1.Plan, error) {
	start, err := wire.ReadPlan(r)
	if err != nil {
		return nil, err
	}
	plan, err := s.o.Control.Plan(ctx, caller(ctx), start)
	if err != nil {
		return nil, err
	}
	fleet, err := s.o.Store.Fleet(ctx, start.Environment, "")
	if err != nil {
		return nil, err
	}
	return wire.Plan(wire.Planned{Spec: plan.Spec, Gates: plan.Gates, Fleet: fleet, Supersedes: plan.Supersedes}), nil
}

// GetDeployment gives one.
func (s *deployments) GetDeployment(ctx context.Context, r *adgv1.GetDeploymentRequest) (*adgv1.Deployment, error) {
	d, err := s.o.Control.Deployment(ctx, caller(ctx), r.GetId())
	if err != nil {
		return nil, err
	}
	return s.seen(ctx, d)
}

// ListDeployments gives a page.
func (s *deployments) ListDeployments(ctx context.Context, r *adgv1.ListDeploymentsRequest) (*adgv1.ListDeploymentsResponse, error) {
	selected, err := wire.ReadSelection(r)
	if err != nil {
		return nil, err
	}
	token, err := wire.ReadPageToken(r)
	if err != nil {
		return nil, err
	}
	if r.GetOrder() == adgv1.DeploymentOrder_DEPLOYMENT_ORDER_WORST {
		return s.worst(ctx, r, selected, token)
	}
	answer, limit := &adgv1.ListDeploymentsResponse{}, pageSize(r.GetPageSize())
	f := adg.DeploymentFilter{Live: r.GetLive(), Before: token, Limit: limit, Service: only(r.GetServices()), Environment: only(r.GetEnvironments())}
	for {
		page, next, err := s.o.Control.Deployments(ctx, caller(ctx), f)
		if err != nil {
			return nil, err
		}
		for _, d := range page {
			if !selected.Holds(d, "") {
				continue
			}
			answer.Deployments = append(answer.Deployments, wire.Summary(d))
			if len(answer.Deployments) == limit {
				answer.NextPageToken = wire.PageToken(r, d.ID)
				return answer, nil
			}
		}
		if next == "" {
			return answer, nil
		}
		f.Before = next
	}
}

// WatchDeployment sends a deployment each time that it has changed.
func (s *deployments) WatchDeployment(r *adgv1.WatchDeploymentRequest, to grpc.ServerStreamingServer[adgv1.WatchDeploymentResponse]) error {
	ctx := to.Context()
	changed := make(chan adg.Deployment)
	failed := make(chan error, 1)
	watching, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		failed <- s.o.Control.Watch(watching, caller(ctx), r.GetId(), func(d adg.Deployment) error {
			select {
			case changed <- d:
				return nil
			case <-watching.Done():
				return context.Cause(watching)
			}
		})
	}()
	sent := r.GetEtag()
	alive := time.NewTicker(s.o.Heartbeat)
	defer alive.Stop()
	for {
		var d *adgv1.Deployment
		select {
		case err := <-failed:
			return err
		case <-alive.C:
		case now := <-changed:
			message, err := s.seen(ctx, now)
			if err != nil {
				return err
			}
			if d = message; d.GetEtag() == sent && !now.Status.State.Ended() && sent != "" {
				continue
			}
			sent = d.GetEtag()
		}
		now, err := s.o.Store.Now(ctx)
		if err != nil {
			return err
		}
		if err := to.Send(&adgv1.WatchDeploymentResponse{Deployment: d, Time: timestamppb.New(now)}); err != nil {
			return err
		}
	}
}

// The commands of humans.

// PromoteDeployment goes on.
func (s *deployments) PromoteDeployment(ctx context.Context, r *adgv1.PromoteDeploymentRequest) (*adgv1.Deployment, error) {
	return s.command(ctx, adg.CommandPromote, r)
}

// HoldDeployment pauses.
func (s *deployments) HoldDeployment(ctx context.Context, r *adgv1.HoldDeploymentRequest) (*adgv1.Deployment, error) {
	return s.command(ctx, adg.CommandHold, r)
}

// ResumeDeployment goes on after a hold.
func (s *deployments) ResumeDeployment(ctx context.Context, r *adgv1.ResumeDeploymentRequest) (*adgv1.Deployment, error) {
	return s.command(ctx, adg.CommandResume, r)
}

// RollBackDeployment brings the last good release back.
func (s *deployments) RollBackDeployment(ctx context.Context, r *adgv1.RollBackDeploymentRequest) (*adgv1.Deployment, error) {
	return s.command(ctx, adg.CommandRollBack, r)
}

// CancelDeployment ends it.
func (s *deployments) CancelDeployment(ctx context.Context, r *adgv1.CancelDeploymentRequest) (*adgv1.Deployment, error) {
	return s.command(ctx, adg.CommandCancel, r)
}

// ApproveDeployment approves what is asked for.
func (s *deployments) ApproveDeployment(ctx context.Context, r *adgv1.ApproveDeploymentRequest) (*adgv1.Deployment, error) {
	return s.command(ctx, adg.CommandApprove, r)
}

// RejectDeployment refuses it.
func (s *deployments) RejectDeployment(ctx context.Context, r *adgv1.RejectDeploymentRequest) (*adgv1.Deployment, error) {
	return s.command(ctx, adg.CommandReject, r)
}

// Private

// commanding is what the requests of all commands have.
type commanding interface {
	GetId() string
	GetIdempotencyKey() string
	GetEtag() string
	GetReason() string
}

func (s *deployments) command(ctx context.Context, kind adg.CommandKind, r commanding) (*adgv1.Deployment, error) {
	if r.GetReason() == "" {
		return nil, adg.Errorf(adg.Invalid, "a command needs a reason: it stands on record, and the next on call reads it")
	}
	if r.GetEtag() == "" && (kind == adg.CommandApprove || kind == adg.CommandReject) {
		return nil, adg.Errorf(adg.Invalid, "an approval is of what you looked at: send its etag")
	}
	check := func(d adg.Deployment) error {
		if r.GetEtag() != "" && r.GetEtag() != wire.DeploymentEtag(d) {
			return adg.Errorf(adg.Conflict, "%s is not any more as you looked at it: it is %s now", d.ID, d.Status.State)
		}
		return nil
	}
	d, err := s.o.Control.Command(ctx, because(ctx, r.GetReason()), r.GetId(), kind, r.GetReason(), r.GetIdempotencyKey(), check)
	if err != nil {
		return nil, err
	}
	return s.seen(ctx, d)
}

// seen is a deployment as the caller sees it: with what he may do.
func (s *deployments) seen(ctx context.Context, d adg.Deployment) (*adgv1.Deployment, error) {
	now, err := s.o.Store.Now(ctx)
	if err != nil {
		return nil, err
	}
	message := wire.Deployment(d)
	message.Status.Permits = wire.Permits(d, caller(ctx).Identity, now)
	return message, nil
}

// mostLive bounds a list that is ordered by how bad things are.
const mostLive = 10_000

// worst are live deployments, what needs a human first.
func (s *deployments) worst(ctx context.Context, r *adgv1.ListDeploymentsRequest, selected wire.Selection, token string) (*adgv1.ListDeploymentsResponse, error) {
	var all []adg.Deployment
	f := adg.DeploymentFilter{Live: true, Limit: 1000, Service: only(r.GetServices()), Environment: only(r.GetEnvironments())}
	for len(all) < mostLive {
		page, next, err := s.o.Control.Deployments(ctx, caller(ctx), f)
		if err != nil {
			return nil, err
		}
		for _, d := range page {
			if selected.Holds(d, "") {
				all = append(all, d)
			}
		}
		if next == "" {
			break
		}
		f.Before = next
	}
	slices.SortStableFunc(all, worse)
	answer, limit := &adgv1.ListDeploymentsResponse{}, pageSize(r.GetPageSize())
	from, _ := strconv.Atoi(token) // sealed by us; none is 0
	for i := min(from, len(all)); i < len(all); i++ {
		if len(answer.Deployments) == limit {
			answer.NextPageToken = wire.PageToken(r, strconv.Itoa(i))
			break
		}
		answer.Deployments = append(answer.Deployments, wire.Summary(all[i]))
	}
	return answer, nil
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

func among[T comparable](choices []T, one T) bool {
	return len(choices) == 0 || slices.Contains(choices, one)
}

// only is the single choice there is, for the store to select by.
func only(choices []string) string {
	if len(choices) == 1 {
		return choices[0]
	}
	return ""
}

func pageSize(asked int32) int {
	if asked <= 0 {
		return 100
	}
	return min(int(asked), 1000)
}
