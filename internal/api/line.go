package api

import (
	"context"
	"fmt"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/api/wire"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// line answers LineService.
type line struct {
	adgv1.UnimplementedLineServiceServer
	*API
}

// StopLine keeps ADG from acting within a scope.
func (s *line) StopLine(ctx context.Context, r *adgv1.StopLineRequest) (*adgv1.Stop, error) {
	return once(ctx, s.API, r, func() (*adgv1.Stop, error) {
		scope, err := wire.ReadScope(r.GetScope())
		if err != nil {
			return nil, err
		}
		if err := s.o.Control.Stop(ctx, because(ctx, r.GetReason()), scope, r.GetReason()); err != nil {
			return nil, err
		}
		return s.stop(ctx, scope)
	})
}

// ResumeLine ends a stop.
func (s *line) ResumeLine(ctx context.Context, r *adgv1.ResumeLineRequest) (*adgv1.ResumeLineResponse, error) {
	return once(ctx, s.API, r, func() (*adgv1.ResumeLineResponse, error) {
		scope, err := wire.ReadScope(r.GetScope())
		if err != nil {
			return nil, err
		}
		before, err := s.o.Control.Resume(ctx, because(ctx, r.GetReason()), scope, r.GetReason(), func(now adg.Stop) error {
			if r.GetEtag() != "" && wire.StopEtag(now) != r.GetEtag() {
				return adg.Errorf(adg.Conflict, "the stop is another one than you looked at: %s stopped it, because %s", now.Actor, now.Reason)
			}
			return nil
		})
		return &adgv1.ResumeLineResponse{Stop: wire.Stop(before)}, err
	})
}

// ListStops are a page of the stops in force, the widest first.
func (s *line) ListStops(ctx context.Context, r *adgv1.ListStopsRequest) (*adgv1.ListStopsResponse, error) {
	rows, err := newListing(r, widestFirst)
	if err != nil {
		return nil, err
	}
	stops, err := s.o.Control.Stops(ctx, caller(ctx))
	rows.add(stops...)
	page, next := rows.page()
	return &adgv1.ListStopsResponse{Stops: translated(page, wire.Stop), NextPageToken: next}, err
}

// CreateFreezeWindow adds a freeze window.
func (s *line) CreateFreezeWindow(ctx context.Context, r *adgv1.CreateFreezeWindowRequest) (*adgv1.FreezeWindow, error) {
	return once(ctx, s.API, r, func() (*adgv1.FreezeWindow, error) {
		return s.put(ctx, r.GetReason(), r.GetFreeze(), 0)
	})
}

// UpdateFreezeWindow changes one.
func (s *line) UpdateFreezeWindow(ctx context.Context, r *adgv1.UpdateFreezeWindowRequest) (*adgv1.FreezeWindow, error) {
	return once(ctx, s.API, r, func() (*adgv1.FreezeWindow, error) {
		version, err := necessaryEtag(r.GetEtag())
		if err != nil {
			return nil, err
		}
		return s.put(ctx, r.GetReason(), r.GetFreeze(), version)
	})
}

// GetFreezeWindow is one of them.
func (s *line) GetFreezeWindow(ctx context.Context, r *adgv1.GetFreezeWindowRequest) (*adgv1.FreezeWindow, error) {
	all, err := s.freezes(ctx)
	for _, w := range all {
		if w.GetName() == r.GetName() {
			return w, nil
		}
	}
	if err == nil {
		err = adg.Errorf(adg.NotFound, "there is no freeze window %q", adg.Printable(r.GetName()))
	}
	return nil, err
}

// ListFreezeWindows are a page of them, by name.
func (s *line) ListFreezeWindows(ctx context.Context, r *adgv1.ListFreezeWindowsRequest) (*adgv1.ListFreezeWindowsResponse, error) {
	rows, err := newListing(r, (*adgv1.FreezeWindow).GetName)
	if err != nil {
		return nil, err
	}
	windows, versions, err := s.o.Control.Freezes(ctx)
	if err != nil {
		return nil, err
	}
	now, err := s.o.Store.Now(ctx)
	for i, w := range windows {
		active, _ := w.Active(now)
		if r.GetActive() && !active || r.GetService() != "" && !w.CoversService(r.GetService()) || r.GetEnvironment() != "" && !w.CoversEnvironment(r.GetEnvironment()) {
			continue
		}
		rows.add(wire.Freeze(w, versions[i], now))
	}
	page, next := rows.page()
	return &adgv1.ListFreezeWindowsResponse{Freezes: page, NextPageToken: next}, err
}

// DeleteFreezeWindow ends one.
func (s *line) DeleteFreezeWindow(ctx context.Context, r *adgv1.DeleteFreezeWindowRequest) (*adgv1.DeleteFreezeWindowResponse, error) {
	return once(ctx, s.API, r, func() (*adgv1.DeleteFreezeWindowResponse, error) {
		version, err := wire.ReadEtag(r.GetEtag(), adg.AnyVersion)
		if err != nil {
			return nil, err
		}
		return &adgv1.DeleteFreezeWindowResponse{}, s.o.Control.DropFreeze(ctx, because(ctx, r.GetReason()), r.GetName(), version, r.GetReason())
	})
}

// Private

func (s *line) put(ctx context.Context, reason string, w *adgv1.FreezeWindow, version int64) (*adgv1.FreezeWindow, error) {
	window, err := wire.ReadFreeze(w)
	if err != nil {
		return nil, err
	}
	stored, version, err := s.o.Control.PutFreeze(ctx, because(ctx, reason), window, version)
	if err != nil {
		return nil, err
	}
	now, err := s.o.Store.Now(ctx)
	return wire.Freeze(stored, version, now), err
}

func (s *line) freezes(ctx context.Context) ([]*adgv1.FreezeWindow, error) {
	windows, versions, err := s.o.Control.Freezes(ctx)
	if err != nil {
		return nil, err
	}
	now, err := s.o.Store.Now(ctx)
	var all []*adgv1.FreezeWindow
	for i, w := range windows {
		all = append(all, wire.Freeze(w, versions[i], now))
	}
	return all, err
}

// stop is the stop in force of exactly that scope.
func (s *line) stop(ctx context.Context, scope adg.Scope) (*adgv1.Stop, error) {
	stops, err := s.o.Store.Stops(ctx)
	for _, one := range stops {
		if one.Scope == scope {
			return wire.Stop(one), nil
		}
	}
	if err == nil {
		err = adg.Errorf(adg.NotFound, "nothing is stopped there")
	}
	return nil, err
}

// widestFirst is a key for stops: of everything, then of a service or an environment, then of one in the other.
func widestFirst(s adg.Stop) string {
	narrow := 0
	for _, name := range []string{s.Service, s.Environment} {
		if name != "" {
			narrow++
		}
	}
	return fmt.Sprintf("%d %s/%s", narrow, s.Service, s.Environment)
}

// necessaryEtag is the version of a document that somebody changes: he has to have looked at it.
func necessaryEtag(etag string) (int64, error) {
	if etag == "" {
		return 0, wire.Wrong("etag", "a change is of what you looked at: send its etag")
	}
	return wire.ReadEtag(etag, 0)
}
