package api

import (
	"context"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/api/wire"
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
	k, err := wire.ReadConnection(r.GetConnection(), nil)
	if err != nil {
		return nil, err
	}
	return connected(s.o.Control.PutConnection(ctx, because(ctx, r.GetReason()), k, 0))
}

// UpdateConnection changes one. Secrets that are not given stay as they are.
func (s *connections) UpdateConnection(ctx context.Context, r *adgv1.UpdateConnectionRequest) (*adgv1.Connection, error) {
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
	return connected(s.o.Control.PutConnection(ctx, because(ctx, r.GetReason()), k, version))
}

// GetConnection is one of them, without its secrets.
func (s *connections) GetConnection(ctx context.Context, r *adgv1.GetConnectionRequest) (*adgv1.Connection, error) {
	return connected(s.o.Control.Connection(ctx, caller(ctx), r.GetName()))
}

// ListConnections are all of them, by name.
func (s *connections) ListConnections(ctx context.Context, r *adgv1.ListConnectionsRequest) (*adgv1.ListConnectionsResponse, error) {
	all, err := s.o.Control.Connections(ctx, caller(ctx))
	if err != nil {
		return nil, err
	}
	answer := &adgv1.ListConnectionsResponse{}
	for _, k := range all {
		one, err := wire.Connection(k)
		if err != nil {
			return nil, err
		}
		if r.GetSeam() == adgv1.Seam_SEAM_UNSPECIFIED || r.GetSeam() == one.GetSeam() {
			answer.Connections = append(answer.Connections, one)
		}
	}
	return answer, nil
}

// DeleteConnection forgets one.
func (s *connections) DeleteConnection(ctx context.Context, r *adgv1.DeleteConnectionRequest) (*adgv1.DeleteConnectionResponse, error) {
	version, err := wire.ReadEtag(r.GetEtag(), adg.AnyVersion)
	if err != nil {
		return nil, err
	}
	return &adgv1.DeleteConnectionResponse{}, s.o.Control.DropConnection(ctx, because(ctx, r.GetReason()), r.GetName(), version)
}

// Private

func connected(k control.Connection, err error) (*adgv1.Connection, error) {
	if err != nil {
		return nil, err
	}
	return wire.Connection(k)
}
