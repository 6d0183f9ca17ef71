package api

import (
	"context"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/api/wire"
	"github.com/deployguardian/adg/internal/identity"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// releases answers ReleaseService.
type releases struct {
	adgv1.UnimplementedReleaseServiceServer
	*API
}

// ListReleases are those that something is known of; what was recorded last comes first. The newest thousand are looked at.
func (s *releases) ListReleases(ctx context.Context, r *adgv1.ListReleasesRequest) (*adgv1.ListReleasesResponse, error) {
	standings, err := wire.ReadStandings(r.GetStandings())
	if err != nil {
		return nil, err
	}
	all, err := s.o.Store.ListReleases(ctx, adg.ReleaseFilter{Service: only(r.GetServices()), Environment: only(r.GetEnvironments()), Limit: 1000})
	if err != nil {
		return nil, err
	}
	sees := identity.Sees(caller(ctx).Identity, identity.DeploymentRead)
	answer := &adgv1.ListReleasesResponse{}
	good := map[adg.Scope]bool{}
	for _, one := range all {
		service, place := one.Release.Service, adg.Scope{Service: one.Release.Service, Environment: one.Environment}
		last := one.Standing == adg.StandingGood && !good[place] // they come in this order
		good[place] = good[place] || last
		if !sees(service, one.Environment) || !among(r.GetServices(), service) || !among(r.GetEnvironments(), one.Environment) || !among(standings, one.Standing) {
			continue
		}
		message := wire.ReleaseRecord(one)
		message.LastGood = last
		hold, err := s.o.Store.HoldOf(ctx, service, one.Environment, one.Release.Identity())
		switch {
		case err == nil:
			message.Hold = wire.ReleaseHold(hold)
		case adg.CodeOf(err) != adg.NotFound:
			return nil, err
		}
		if answer.Releases = append(answer.Releases, message); len(answer.Releases) == pageSize(r.GetPageSize()) {
			break
		}
	}
	return answer, nil
}

// MarkReleaseGood makes a release one that rollbacks go to.
func (s *releases) MarkReleaseGood(ctx context.Context, r *adgv1.MarkReleaseGoodRequest) (*adgv1.ReleaseRecord, error) {
	release, err := wire.ReadRelease(r.GetRelease())
	if err != nil {
		return nil, err
	}
	record, err := s.o.Control.MarkGood(ctx, because(ctx, r.GetReason()), r.GetEnvironment(), release, r.GetReason())
	return wire.ReleaseRecord(record), err
}

// CreateHold keeps automation from deploying a release.
func (s *releases) CreateHold(ctx context.Context, r *adgv1.CreateHoldRequest) (*adgv1.ReleaseHold, error) {
	hold, err := wire.ReadHold(r)
	if err != nil {
		return nil, err
	}
	hold, err = s.o.Control.PutHold(ctx, because(ctx, r.GetReason()), hold)
	return wire.ReleaseHold(hold), err
}

// ListHolds are the holds in force.
func (s *releases) ListHolds(ctx context.Context, r *adgv1.ListHoldsRequest) (*adgv1.ListHoldsResponse, error) {
	all, err := s.o.Store.ListHolds(ctx, adg.ReleaseFilter{Service: only(r.GetServices()), Environment: only(r.GetEnvironments()), Limit: 1000})
	sees := identity.Sees(caller(ctx).Identity, identity.DeploymentRead)
	answer := &adgv1.ListHoldsResponse{}
	for _, h := range all {
		if sees(h.Service, h.Environment) && among(r.GetServices(), h.Service) && among(r.GetEnvironments(), h.Environment) {
			answer.Holds = append(answer.Holds, wire.ReleaseHold(h))
		}
	}
	return answer, err
}

// LiftHold lets a release be deployed again.
func (s *releases) LiftHold(ctx context.Context, r *adgv1.LiftHoldRequest) (*adgv1.LiftHoldResponse, error) {
	before, err := s.o.Store.HoldOf(ctx, r.GetService(), r.GetEnvironment(), r.GetIdentity())
	if err == nil && r.GetEtag() != "" && wire.HoldEtag(before) != r.GetEtag() {
		err = adg.Errorf(adg.Conflict, "the hold is another one than you looked at: %s put it, because %s", before.Actor, before.Reason)
	}
	if err != nil {
		return nil, err
	}
	scope := adg.Scope{Service: r.GetService(), Environment: r.GetEnvironment()}
	err = s.o.Control.LiftHold(ctx, because(ctx, r.GetReason()), scope, r.GetIdentity(), r.GetReason())
	return &adgv1.LiftHoldResponse{Hold: wire.ReleaseHold(before)}, err
}
