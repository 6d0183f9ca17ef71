package api

import (
	"context"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/api/wire"
	"github.com/deployguardian/adg/internal/config"
	"github.com/deployguardian/adg/internal/control"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// connections answers ConnectionService.
type connections struct {
	adgv1.UnimplementedConnectionServiceServer
	*API
}

// CreateConnection registers a source, a target or a notifier.
func (s *connections) CreateConnection(ctx context.Context, r *adgv1.CreateConnectionRequest) (*adgv1.Connection, error) {
	return once(ctx, s.API, r, func() (*adgv1.Connection, error) {
		k, err := wire.ReadConnection(r.GetConnection(), nil)
		if err != nil {
			return nil, err
		}
		return s.shown(ctx)(s.o.Control.PutConnection(ctx, because(ctx, r.GetReason()), k, 0))
	})
}

// UpdateConnection changes one. Secrets that are not given stay as they are.
func (s *connections) UpdateConnection(ctx context.Context, r *adgv1.UpdateConnectionRequest) (*adgv1.Connection, error) {
	return once(ctx, s.API, r, func() (*adgv1.Connection, error) {
		version, err := necessaryEtag(r.GetEtag())
		if err != nil {
			return nil, err
		}
		before, err := s.o.Control.Connection(ctx, caller(ctx), r.GetConnection().GetName())
		if err != nil {
			return nil, err
		}
		k, err := wire.ReadConnection(r.GetConnection(), &before)
		if err != nil {
			return nil, err
		}
		return s.shown(ctx)(s.o.Control.PutConnection(ctx, because(ctx, r.GetReason()), k, version))
	})
}

// GetConnection is one of them, without its secrets.
func (s *connections) GetConnection(ctx context.Context, r *adgv1.GetConnectionRequest) (*adgv1.Connection, error) {
	return s.shown(ctx)(s.o.Control.Connection(ctx, caller(ctx), r.GetName()))
}

// ListConnections are a page of them, by name.
func (s *connections) ListConnections(ctx context.Context, r *adgv1.ListConnectionsRequest) (*adgv1.ListConnectionsResponse, error) {
	rows, err := newListing(r, func(k control.Connection) string { return k.Name })
	if err != nil {
		return nil, err
	}
	all, err := s.o.Control.Connections(ctx, caller(ctx))
	if err != nil {
		return nil, err
	}
	for _, k := range all {
		if r.GetSeam() == adgv1.Seam_SEAM_UNSPECIFIED || r.GetSeam() == wire.Seam(k.Seam) {
			rows.add(k)
		}
	}
	uses, err := s.o.Control.Uses(ctx)
	if err != nil {
		return nil, err
	}
	page, next := rows.page()
	answer := &adgv1.ListConnectionsResponse{NextPageToken: next}
	for _, k := range page {
		one, err := s.withHealth(k, uses)
		if err != nil {
			return nil, err
		}
		answer.Connections = append(answer.Connections, one)
	}
	return answer, nil
}

// DeleteConnection forgets one.
func (s *connections) DeleteConnection(ctx context.Context, r *adgv1.DeleteConnectionRequest) (*adgv1.DeleteConnectionResponse, error) {
	return once(ctx, s.API, r, func() (*adgv1.DeleteConnectionResponse, error) {
		version, err := wire.ReadEtag(r.GetEtag(), adg.AnyVersion)
		if err != nil {
			return nil, err
		}
		return &adgv1.DeleteConnectionResponse{}, s.o.Control.DropConnection(ctx, because(ctx, r.GetReason()), r.GetName(), version)
	})
}

// TestConnection tries one out, as it is stored or as it would be.
func (s *connections) TestConnection(ctx context.Context, r *adgv1.TestConnectionRequest) (*adgv1.TestConnectionResponse, error) {
	return once(ctx, s.API, r, func() (*adgv1.TestConnectionResponse, error) {
		instead, err := s.instead(ctx, r)
		if err != nil {
			return nil, err
		}
		trial, err := s.o.World.TestConnection(ctx, because(ctx, r.GetReason()), r.GetName(), instead, r.GetQuery())
		if err != nil {
			return nil, err
		}
		return wire.Trial(trial), nil
	})
}

// ListDrivers are a page of the types that there are, by seam and name.
func (s *connections) ListDrivers(ctx context.Context, r *adgv1.ListDriversRequest) (*adgv1.ListDriversResponse, error) {
	rows, err := newListing(r, func(d config.Described) string { return d.Seam + " " + d.Type })
	if err != nil {
		return nil, err
	}
	all, err := s.o.Control.Drivers(ctx, caller(ctx))
	if err != nil {
		return nil, err
	}
	for _, d := range all {
		if r.GetSeam() == adgv1.Seam_SEAM_UNSPECIFIED || r.GetSeam() == wire.Seam(d.Seam) {
			rows.add(d)
		}
	}
	page, next := rows.page()
	answer := &adgv1.ListDriversResponse{NextPageToken: next}
	for _, d := range page {
		one, err := wire.Driver(d)
		if err != nil {
			return nil, err
		}
		answer.Drivers = append(answer.Drivers, one)
	}
	return answer, nil
}

// Private

// shown answers with a connection as it is.
func (s *connections) shown(ctx context.Context) func(control.Connection, error) (*adgv1.Connection, error) {
	return func(k control.Connection, err error) (*adgv1.Connection, error) {
		if err != nil {
			return nil, err
		}
		uses, err := s.o.Control.Uses(ctx)
		if err != nil {
			return nil, err
		}
		return s.withHealth(k, uses)
	}
}

func (s *connections) withHealth(k control.Connection, uses map[string]int) (*adgv1.Connection, error) {
	made, err := wire.Connection(k)
	if err != nil {
		return nil, err
	}
	made.Health = wire.ConnectionHealth(s.o.World.Health(k.Name), uses[k.Name])
	return made, nil
}

// instead is what is tried in place of the stored connection; nil: nothing is.
func (s *connections) instead(ctx context.Context, r *adgv1.TestConnectionRequest) (*control.Connection, error) {
	if r.GetConnection() == nil {
		return nil, nil //nolint:nilnil // nothing is an answer
	}
	if r.GetConnection().GetName() == "" {
		r.Connection.Name = r.GetName()
	}
	var before *control.Connection
	stored, err := s.o.Control.Connection(ctx, caller(ctx), r.GetName())
	switch {
	case err == nil:
		before = &stored
	case adg.CodeOf(err) != adg.NotFound:
		return nil, err
	}
	k, err := wire.ReadConnection(r.GetConnection(), before)
	return &k, err
}
