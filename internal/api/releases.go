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

// ListReleases are a page of those that something is known of; what was recorded last comes first.
func (s *releases) ListReleases(ctx context.Context, r *adgv1.ListReleasesRequest) (*adgv1.ListReleasesResponse, error) {
	standings, err := wire.ReadStandings(r.GetStandings())
	if err != nil {
		return nil, err
	}
	sees := identity.Sees(caller(ctx).Identity, identity.DeploymentRead)
	page, next, err := pageOf(ctx, r, s.o.Store.ListReleases, wire.RecordKey, func(one adg.ReleaseRecord) bool {
		return sees(one.Release.Service, one.Environment) && among(standings, one.Standing)
	})
	if err != nil {
		return nil, err
	}
	answer := &adgv1.ListReleasesResponse{NextPageToken: next}
	good := map[adg.Scope]string{}
	for _, one := range page {
		message, err := s.record(ctx, one, good)
		if err != nil {
			return nil, err
		}
		answer.Releases = append(answer.Releases, message)
	}
	return answer, nil
}

// MarkReleaseGood makes a release one that rollbacks go to.
func (s *releases) MarkReleaseGood(ctx context.Context, r *adgv1.MarkReleaseGoodRequest) (*adgv1.ReleaseRecord, error) {
	return once(ctx, s.API, r, func() (*adgv1.ReleaseRecord, error) {
		release, err := wire.ReadRelease(r.GetRelease())
		if err != nil {
			return nil, err
		}
		record, err := s.o.Control.MarkGood(ctx, because(ctx, r.GetReason()), r.GetEnvironment(), release, r.GetReason())
		return wire.ReleaseRecord(record), err
	})
}

// CreateHold keeps automation from deploying a release.
func (s *releases) CreateHold(ctx context.Context, r *adgv1.CreateHoldRequest) (*adgv1.ReleaseHold, error) {
	return once(ctx, s.API, r, func() (*adgv1.ReleaseHold, error) {
		hold, err := wire.ReadHold(r)
		if err != nil {
			return nil, err
		}
		if hold, err = s.o.Control.PutHold(ctx, because(ctx, r.GetReason()), hold); err != nil {
			return nil, err
		}
		return s.hold(ctx, hold)
	})
}

// ListHolds are a page of the holds in force.
func (s *releases) ListHolds(ctx context.Context, r *adgv1.ListHoldsRequest) (*adgv1.ListHoldsResponse, error) {
	sees := identity.Sees(caller(ctx).Identity, identity.DeploymentRead)
	page, next, err := pageOf(ctx, r, s.o.Store.ListHolds, wire.HoldKey, func(h adg.ReleaseHold) bool { return sees(h.Service, h.Environment) })
	if err != nil {
		return nil, err
	}
	answer := &adgv1.ListHoldsResponse{NextPageToken: next}
	for _, one := range page {
		message, err := s.hold(ctx, one)
		if err != nil {
			return nil, err
		}
		answer.Holds = append(answer.Holds, message)
	}
	return answer, nil
}

// LiftHold lets a release be deployed again.
func (s *releases) LiftHold(ctx context.Context, r *adgv1.LiftHoldRequest) (*adgv1.LiftHoldResponse, error) {
	return once(ctx, s.API, r, func() (*adgv1.LiftHoldResponse, error) {
		before, err := s.o.Control.LiftHold(ctx, because(ctx, r.GetReason()), scope(r), r.GetIdentity(), r.GetReason(), func(now adg.ReleaseHold) error {
			if r.GetEtag() != "" && wire.HoldEtag(now) != r.GetEtag() {
				return adg.Errorf(adg.Conflict, "the hold is another one than you looked at: %s put it, because %s", now.Actor, now.Reason)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		hold, err := s.hold(ctx, before)
		return &adgv1.LiftHoldResponse{Hold: hold}, err
	})
}

// Private

// record is what is known of a release. good are the identities of the last good releases that were looked up already.
func (s *releases) record(ctx context.Context, one adg.ReleaseRecord, good map[adg.Scope]string) (*adgv1.ReleaseRecord, error) {
	place := adg.Scope{Service: one.Release.Service, Environment: one.Environment}
	if _, known := good[place]; !known {
		last, err := s.o.Store.LastGood(ctx, place.Service, place.Environment)
		if err != nil && adg.CodeOf(err) != adg.NotFound {
			return nil, err
		}
		if good[place] = ""; err == nil {
			good[place] = last.Release.Identity()
		}
	}
	message := wire.ReleaseRecord(one)
	message.LastGood = good[place] == one.Release.Identity()
	hold, err := s.o.Store.HoldOf(ctx, place.Service, place.Environment, one.Release.Identity())
	switch {
	case err == nil:
		hold.Release = one.Release
		message.Hold = wire.ReleaseHold(hold)
	case adg.CodeOf(err) != adg.NotFound:
		return nil, err
	}
	return message, nil
}

// hold is a hold with the version that it keeps from being deployed, as far as something is known of the release.
func (s *releases) hold(ctx context.Context, h adg.ReleaseHold) (*adgv1.ReleaseHold, error) {
	if h.Release.Version == "" {
		known, err := s.o.Store.Standing(ctx, h.Service, h.Environment, h.Identity)
		if err != nil && adg.CodeOf(err) != adg.NotFound {
			return nil, err
		}
		h.Release = known.Release
	}
	return wire.ReleaseHold(h), nil
}

// ofPlaces is a request for a page of what belongs to services and environments.
type ofPlaces interface {
	wire.Listing
	GetServices() []string
	GetEnvironments() []string
}

// pageOf is a page of what the store has of releases, as far as the request selects it and keep keeps it.
func pageOf[T any](ctx context.Context, r ofPlaces, list func(context.Context, adg.ReleaseFilter) ([]T, error), key func(T) adg.ReleaseKey, keep func(T) bool) (page []T, next string, err error) {
	size, err := wire.ReadPageSize(r, 100, 1000)
	if err != nil {
		return nil, "", err
	}
	f := adg.ReleaseFilter{Service: only(r.GetServices()), Environment: only(r.GetEnvironments()), Limit: 1000}
	if f.After, err = wire.ReadReleaseToken(r); err != nil {
		return nil, "", err
	}
	for {
		found, err := list(ctx, f)
		if err != nil {
			return nil, "", err
		}
		for _, one := range found {
			f.After = key(one)
			if !keep(one) || !among(r.GetServices(), f.After.Service) || !among(r.GetEnvironments(), f.After.Environment) {
				continue
			}
			if len(page) == size {
				return page, wire.ReleaseToken(r, key(page[size-1])), nil
			}
			page = append(page, one)
		}
		if len(found) < f.Limit {
			return page, "", nil
		}
	}
}
