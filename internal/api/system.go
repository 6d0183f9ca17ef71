package api

import (
	"context"
	"runtime"
	"runtime/debug"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/api/wire"
	"github.com/deployguardian/adg/internal/control"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// system answers SystemService.
type system struct {
	adgv1.UnimplementedSystemServiceServer
	*API
}

// GetVersion says which version runs.
func (s *system) GetVersion(context.Context, *adgv1.GetVersionRequest) (*adgv1.Version, error) {
	answer := &adgv1.Version{Version: s.o.Version, Go: runtime.Version(), Api: "v1"}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, one := range info.Settings {
			if one.Key == "vcs.revision" {
				answer.Commit = one.Value
			}
		}
	}
	return answer, nil
}

// ListReplicas are a page of the servers that share the store.
func (s *system) ListReplicas(ctx context.Context, r *adgv1.ListReplicasRequest) (*adgv1.ListReplicasResponse, error) {
	rows, err := newListing(r, func(one control.Replica) string { return one.Name })
	if err != nil {
		return nil, err
	}
	all, err := s.o.Control.Replicas(ctx)
	if err != nil {
		return nil, err
	}
	rows.add(all...)
	page, next := rows.page()
	now, err := s.o.Store.Now(ctx)
	return &adgv1.ListReplicasResponse{Replicas: translated(page, wire.Replica), NextPageToken: next, Time: timestamppb.New(now)}, err
}

// ListSettings are a page of the settings in force.
func (s *system) ListSettings(ctx context.Context, r *adgv1.ListSettingsRequest) (*adgv1.ListSettingsResponse, error) {
	rows, err := newListing(r, func(one control.Setting) string { return one.Path })
	if err != nil {
		return nil, err
	}
	all, err := s.o.Control.Settings(ctx, caller(ctx), r.GetPrefix())
	if err != nil {
		return nil, err
	}
	rows.add(all...)
	page, next := rows.page()
	answer := &adgv1.ListSettingsResponse{NextPageToken: next}
	for _, one := range page {
		answer.Settings = append(answer.Settings, wire.Setting(one))
	}
	return answer, nil
}

// ListFeatures are a page of what the server offers, and what is switched off.
func (s *system) ListFeatures(_ context.Context, r *adgv1.ListFeaturesRequest) (*adgv1.ListFeaturesResponse, error) {
	rows, err := newListing(r, func(one control.Feature) string { return one.Name })
	if err != nil {
		return nil, err
	}
	rows.add(s.o.Control.Features()...)
	page, next := rows.page()
	answer := &adgv1.ListFeaturesResponse{NextPageToken: next}
	for _, one := range page {
		answer.Features = append(answer.Features, wire.Feature(one))
	}
	return answer, nil
}

// GetSetup says what is left to do on a new server.
func (s *system) GetSetup(ctx context.Context, _ *adgv1.GetSetupRequest) (*adgv1.Setup, error) {
	steps, err := s.o.Control.Setup(ctx, caller(ctx))
	if err != nil {
		return nil, err
	}
	return wire.Setup(steps, s.o.Demo != nil), nil
}

// StartDemo starts the demo inside this server.
func (s *system) StartDemo(ctx context.Context, r *adgv1.StartDemoRequest) (*adgv1.StartDemoResponse, error) {
	return once(ctx, s.API, r, func() (*adgv1.StartDemoResponse, error) {
		if s.o.Demo == nil {
			return nil, s.o.Control.Demonstrate(ctx, because(ctx, r.GetReason()), nil)
		}
		fault, err := wire.ReadDemoFault(r.GetFault())
		if err != nil {
			return nil, err
		}
		service, ids, err := s.o.Demo.Start(ctx, because(ctx, r.GetReason()), fault)
		return &adgv1.StartDemoResponse{Deployments: ids, Service: service}, err
	})
}

// GetSystemHealth says how the parts are doing.
func (s *system) GetSystemHealth(ctx context.Context, _ *adgv1.GetSystemHealthRequest) (*adgv1.SystemHealth, error) {
	now, err := s.o.Store.Now(ctx)
	if err != nil {
		return nil, err
	}
	answer := &adgv1.SystemHealth{Ok: true, Time: timestamppb.New(now), Parts: []*adgv1.PartHealth{{Name: "store", Ok: true, Text: "the store answers"}}}
	dead, err := s.o.Store.Dead(ctx, adg.DeadFilter{Limit: 1})
	if err != nil {
		return nil, err
	}
	outbox := &adgv1.PartHealth{Name: "outbox", Ok: len(dead) == 0, Text: "every fact is told or on its way"}
	if len(dead) > 0 {
		outbox.Text, outbox.WayOut = "facts could not be told and were given up", "look at them (adg events dead), mend the notifier, and send them again (adg events retry)"
	}
	answer.Parts = append(answer.Parts, outbox)
	answer.Ok = outbox.GetOk()
	replicas, err := s.o.Control.Replicas(ctx)
	answer.Replicas = translated(replicas[:min(len(replicas), mostReplicas)], wire.Replica)
	return answer, err
}

// Private

// mostReplicas bounds those that are told with the health; the list of them has pages.
const mostReplicas = 100
