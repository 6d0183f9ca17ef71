package api

import (
	"context"

	"github.com/deployguardian/adg/internal/api/wire"
	"github.com/deployguardian/adg/internal/control"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// catalog answers CatalogService.
type catalog struct {
	adgv1.UnimplementedCatalogServiceServer
	*API
}

// ListServices gives a page, by name.
func (s *catalog) ListServices(ctx context.Context, r *adgv1.ListServicesRequest) (*adgv1.ListServicesResponse, error) {
	size, err := wire.ReadPageSize(r, 100, 1000)
	if err != nil {
		return nil, err
	}
	after, err := wire.ReadPageToken(r)
	if err != nil {
		return nil, err
	}
	if len(r.GetTeams()) > 1000 {
		return nil, wire.Wrong("teams", "teams names at most 1,000: leave it out for all of them")
	}
	list, next, err := s.o.Control.Services(ctx, caller(ctx), r.GetPrefix(), r.GetTeams(), after, size)
	if err != nil {
		return nil, err
	}
	now, err := s.o.Store.Now(ctx)
	answer := &adgv1.ListServicesResponse{NextPageToken: wire.PageToken(r, next)}
	for _, one := range list {
		answer.Services = append(answer.Services, wire.Service(one, now))
	}
	return answer, err
}

// GetService gives one.
func (s *catalog) GetService(ctx context.Context, r *adgv1.GetServiceRequest) (*adgv1.Service, error) {
	return s.service(ctx)(s.o.Control.Service(ctx, caller(ctx), r.GetService()))
}

// UpdateService changes what people say about one.
func (s *catalog) UpdateService(ctx context.Context, r *adgv1.UpdateServiceRequest) (*adgv1.Service, error) {
	return once(ctx, s.API, r, func() (*adgv1.Service, error) {
		version, err := necessaryEtag(r.GetEtag())
		if err != nil {
			return nil, err
		}
		return s.service(ctx)(s.o.Control.UpdateService(ctx, because(ctx, r.GetReason()), r.GetService(), version, wire.ReadUpdate(r)))
	})
}

// GetServiceFigures says how one has been going.
func (s *catalog) GetServiceFigures(ctx context.Context, r *adgv1.GetServiceFiguresRequest) (*adgv1.ServiceFigures, error) {
	asked, err := wire.ReadFigureRange(r)
	if err != nil {
		return nil, err
	}
	figures, err := s.o.Control.ServiceFigures(ctx, caller(ctx), asked)
	if err != nil {
		return nil, err
	}
	return wire.ServiceFigures(figures), nil
}

// ListServiceBaselines says what is normal for one, by environment and check.
func (s *catalog) ListServiceBaselines(ctx context.Context, r *adgv1.ListServiceBaselinesRequest) (*adgv1.ListServiceBaselinesResponse, error) {
	rows, err := newListing(r, func(b control.ServiceBaseline) string { return b.Environment + "/" + b.Baseline.Check })
	if err != nil {
		return nil, err
	}
	all, err := s.o.Control.Baselines(ctx, caller(ctx), r.GetService(), r.GetEnvironment())
	rows.add(all...)
	page, next := rows.page()
	answer := &adgv1.ListServiceBaselinesResponse{NextPageToken: next}
	for _, b := range page {
		answer.Baselines = append(answer.Baselines, wire.ServiceBaseline(b))
	}
	return answer, err
}

// ListEnvironments gives a page, by name.
func (s *catalog) ListEnvironments(ctx context.Context, r *adgv1.ListEnvironmentsRequest) (*adgv1.ListEnvironmentsResponse, error) {
	size, err := wire.ReadPageSize(r, 100, 1000)
	if err != nil {
		return nil, err
	}
	after, err := wire.ReadPageToken(r)
	if err != nil {
		return nil, err
	}
	list, next, err := s.o.Control.Environments(ctx, caller(ctx), after, size)
	if err != nil {
		return nil, err
	}
	now, err := s.o.Store.Now(ctx)
	answer := &adgv1.ListEnvironmentsResponse{NextPageToken: wire.PageToken(r, next)}
	for _, e := range list {
		answer.Environments = append(answer.Environments, wire.Environment(e, now))
	}
	return answer, err
}

// Private

func (s *catalog) service(ctx context.Context) func(control.Service, error) (*adgv1.Service, error) {
	return func(one control.Service, err error) (*adgv1.Service, error) {
		if err != nil {
			return nil, err
		}
		now, err := s.o.Store.Now(ctx)
		return wire.Service(one, now), err
	}
}
