package api

import (
	"context"
	"slices"
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
	planned := wire.Planned{Spec: plan.Spec, PolicyVersion: plan.Spec.PolicyVersion, Gates: plan.Gates, Fleet: fleet, Supersedes: plan.Supersedes}
	planned.Obstacles, planned.Doubt = s.o.World.Rehearse(ctx, caller(ctx), plan.Spec)
	return wire.Plan(planned), nil
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
	limit, err := wire.ReadPageSize(r, 100, 1000)
	if err != nil {
		return nil, err
	}
	token, err := wire.ReadPageToken(r)
	if err != nil {
		return nil, err
	}
	f := selected.Filter()
	f.Before, f.Oldest = token, r.GetOrder() == adgv1.DeploymentOrder_DEPLOYMENT_ORDER_OLDEST
	l := &deploymentList{deployments: s, request: r, selected: selected, limit: limit}
	if l.team, err = s.o.Control.Teams(ctx); err != nil {
		return nil, err
	}
	if r.GetOrder() == adgv1.DeploymentOrder_DEPLOYMENT_ORDER_WORST {
		return &l.answer, l.worst(ctx, token)
	}
	return &l.answer, l.goOn(ctx, f, "", func(adg.Deployment) bool { return true })
}

// WatchDeployment sends a deployment each time that it has changed.
func (s *deployments) WatchDeployment(r *adgv1.WatchDeploymentRequest, to grpc.ServerStreamingServer[adgv1.WatchDeploymentResponse]) error {
	ctx := to.Context()
	if _, err := s.o.Control.Deployment(ctx, caller(ctx), r.GetId()); err != nil {
		return err // before any sign of life
	}
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
	had := r.GetEtag()
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
			if d = message; had != "" && d.GetEtag() == had && !now.Status.State.Ended() {
				continue
			}
			had = ""
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
	keyed
	GetId() string
	GetEtag() string
	GetReason() string
}

func (s *deployments) command(ctx context.Context, kind adg.CommandKind, r commanding) (*adgv1.Deployment, error) {
	check := func(d adg.Deployment) error {
		if r.GetEtag() != "" && r.GetEtag() != wire.DeploymentEtag(d) {
			return adg.Errorf(adg.Conflict, "%s is not any more as you looked at it: it is %s now", d.ID, d.Status.State)
		}
		return nil
	}
	return once(ctx, s.API, r, func() (*adgv1.Deployment, error) {
		d, err := s.o.Control.Command(ctx, because(ctx, r.GetReason()), r.GetId(), kind, r.GetReason(), r.GetIdempotencyKey(), check)
		if err != nil {
			return nil, err
		}
		return s.seen(ctx, d)
	})
}

// seen is a deployment as the caller sees it: with what he may do.
func (s *deployments) seen(ctx context.Context, d adg.Deployment) (*adgv1.Deployment, error) {
	now, err := s.o.Store.Now(ctx)
	if err != nil {
		return nil, err
	}
	message := wire.Deployment(d)
	message.Status.Permits = wire.Permits(d, caller(ctx).Identity, now)
	return message, s.fill(ctx, d, message)
}

func among[T comparable](choices []T, one T) bool {
	return len(choices) == 0 || slices.Contains(choices, one)
}
