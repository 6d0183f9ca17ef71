package api

import (
	"context"
	"slices"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/api/wire"
	"github.com/deployguardian/adg/internal/control"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// deployments answers DeploymentService.
type deployments struct {
	adgv1.UnimplementedDeploymentServiceServer
	*API
}

// StartDeployment starts one.
func (s *deployments) StartDeployment(ctx context.Context, r *adgv1.StartDeploymentRequest) (*adgv1.Deployment, error) {
	release, err := wire.ReadRelease(r.GetRelease())
	if err != nil {
		return nil, err
	}
	d, err := s.o.Control.StartDeployment(ctx, caller(ctx), control.Start{
		Release: release, Environment: r.GetEnvironment(), Previous: r.GetPrevious(), Reason: r.GetReason(), Emergency: r.GetEmergency(),
		Features: r.GetFeatures(), Key: r.GetIdempotencyKey(), Author: r.GetAuthor(), Labels: r.GetLabels(),
	})
	if err != nil {
		return nil, err
	}
	return s.seen(ctx, d)
}

// PlanDeployment says what would happen.
func (s *deployments) PlanDeployment(ctx context.Context, r *adgv1.PlanDeploymentRequest) (*adgv1.Plan, error) {
	release, err := wire.ReadRelease(r.GetRelease())
	if err != nil {
		return nil, err
	}
	plan, err := s.o.Control.Plan(ctx, caller(ctx), control.Start{Release: release, Environment: r.GetEnvironment(), Features: r.GetFeatures(), Previous: r.GetPrevious()})
	if err != nil {
		return nil, err
	}
	return wire.Plan(plan.Spec, plan.Gates, plan.Supersedes), nil
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
	before, err := wire.ReadPageToken(r)
	if err != nil {
		return nil, err
	}
	answer := &adgv1.ListDeploymentsResponse{}
	if r.GetOrder() == adgv1.DeploymentOrder_DEPLOYMENT_ORDER_WORST {
		return s.worst(ctx, r)
	}
	limit := pageSize(r.GetPageSize())
	f := adg.DeploymentFilter{Live: r.GetLive(), Before: before, Limit: limit, Service: only(r.GetServices()), Environment: only(r.GetEnvironments())}
	for len(answer.Deployments) < limit {
		page, next, err := s.o.Control.Deployments(ctx, caller(ctx), f)
		if err != nil {
			return nil, err
		}
		for _, d := range page {
			if wanted(r, d) {
				answer.Deployments = append(answer.Deployments, wire.Summary(d))
			}
			f.Before = d.ID
			if len(answer.Deployments) == limit {
				answer.NextPageToken = wire.PageToken(r, d.ID)
				return answer, nil
			}
		}
		if next == "" {
			return answer, nil
		}
	}
	return answer, nil
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
	who := caller(ctx)
	return wire.Deployment(d, now, func(kind adg.CommandKind) error { return control.MayCommand(who, d, kind) }), nil
}

// mostLive bounds a list that is ordered by how bad things are.
const mostLive = 10_000

// worst are live deployments, what needs a human first. There are never so many of them that they need pages.
func (s *deployments) worst(ctx context.Context, r *adgv1.ListDeploymentsRequest) (*adgv1.ListDeploymentsResponse, error) {
	var all []adg.Deployment
	f := adg.DeploymentFilter{Live: true, Limit: 1000, Service: only(r.GetServices()), Environment: only(r.GetEnvironments())}
	for len(all) < mostLive {
		page, next, err := s.o.Control.Deployments(ctx, caller(ctx), f)
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if next == "" {
			break
		}
		f.Before = next
	}
	all = slices.DeleteFunc(all, func(d adg.Deployment) bool { return !wanted(r, d) })
	slices.SortStableFunc(all, wire.Worse)
	answer := &adgv1.ListDeploymentsResponse{}
	token, err := wire.ReadPageToken(r)
	if err != nil {
		return nil, err
	}
	from, _ := strconv.Atoi(token) // sealed by us; none is 0
	limit := pageSize(r.GetPageSize())
	for i := min(from, len(all)); i < len(all); i++ {
		if len(answer.Deployments) == limit {
			answer.NextPageToken = wire.PageToken(r, strconv.Itoa(i))
			break
		}
		answer.Deployments = append(answer.Deployments, wire.Summary(all[i]))
	}
	return answer, nil
}

// selection is what lists and watches select by.
type selection interface {
	GetServices() []string
	GetEnvironments() []string
	GetStates() []adgv1.State
	GetHealths() []adgv1.Health
	GetActors() []string
	GetVersion() string
	GetLive() bool
	GetWaitsForHuman() bool
	GetFromTime() *timestamppb.Timestamp
	GetToTime() *timestamppb.Timestamp
}

func wanted(r selection, d adg.Deployment) bool {
	row := wire.Summary(d)
	created := d.Spec.Created
	switch {
	case !among(r.GetServices(), row.GetService()), !among(r.GetEnvironments(), row.GetEnvironment()), !among(r.GetStates(), row.GetState()),
		!among(r.GetHealths(), row.GetHealth()), !among(r.GetActors(), row.GetActor()), r.GetVersion() != "" && r.GetVersion() != row.GetVersion(),
		r.GetLive() && d.Status.State.Ended(), r.GetWaitsForHuman() && !row.GetWaitsForHuman(),
		r.GetFromTime().IsValid() && created.Before(r.GetFromTime().AsTime()), r.GetToTime().IsValid() && !created.Before(r.GetToTime().AsTime()):
		return false
	}
	return true
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
