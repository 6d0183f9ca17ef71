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
	"github.com/deployguardian/adg/internal/identity"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// events answers EventService.
type events struct {
	adgv1.UnimplementedEventServiceServer
	*API
}

// StreamEvents sends what happens, and before that what has happened after the caller's cursor.
func (s *events) StreamEvents(r *adgv1.StreamEventsRequest, to grpc.ServerStreamingServer[adgv1.StreamEventsResponse]) error {
	ctx := to.Context()
	after := r.GetAfter()
	if r.After == nil {
		last, err := s.o.Store.LastEvent(ctx)
		if err != nil {
			return err
		}
		after = last
	}
	kinds, err := wire.ReadFactKinds(r.GetKinds())
	if err != nil {
		return err
	}
	sees := identity.Sees(caller(ctx).Identity, identity.EventRead)
	quiet := time.Duration(0)
	for {
		found, next, err := s.o.Store.Events(ctx, adg.EventFilter{After: after, Deployment: r.GetDeployment(), Service: only(r.GetServices()), Environment: only(r.GetEnvironments()), Kinds: kinds, Limit: 1000})
		if err != nil {
			return err
		}
		now, err := s.o.Store.Now(ctx)
		if err != nil {
			return err
		}
		for _, e := range found {
			if !sees(e.Fact.Service, e.Fact.Environment) || !among(r.GetServices(), e.Fact.Service) || !among(r.GetEnvironments(), e.Fact.Environment) || r.GetUrgent() && !e.Fact.Urgent {
				continue
			}
			quiet = 0
			if err := to.Send(&adgv1.StreamEventsResponse{Event: wire.Event(e), Cursor: e.Cursor, Time: timestamppb.New(now)}); err != nil {
				return err
			}
		}
		after = max(after, next)
		if len(found) == 1000 {
			continue
		}
		if quiet >= s.o.Heartbeat {
			quiet = 0
			if err := to.Send(&adgv1.StreamEventsResponse{Cursor: after, Time: timestamppb.New(now)}); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(eventsEvery):
			quiet += eventsEvery
		}
	}
}

// ListEvents gives a page of what has happened.
func (s *events) ListEvents(ctx context.Context, r *adgv1.ListEventsRequest) (*adgv1.ListEventsResponse, error) {
	token, err := wire.ReadPageToken(r)
	if err != nil {
		return nil, err
	}
	after, _ := strconv.ParseInt(token, 10, 64) // sealed by us; none is 0
	kinds, err := wire.ReadFactKinds(r.GetKinds())
	if err != nil {
		return nil, err
	}
	sees := identity.Sees(caller(ctx).Identity, identity.EventRead)
	answer, limit := &adgv1.ListEventsResponse{}, pageSize(r.GetPageSize())
	for {
		found, next, err := s.o.Store.Events(ctx, adg.EventFilter{After: after, Deployment: r.GetDeployment(), Service: only(r.GetServices()), Environment: only(r.GetEnvironments()), Kinds: kinds, Limit: 1000})
		if err != nil {
			return nil, err
		}
		for _, e := range found {
			if !sees(e.Fact.Service, e.Fact.Environment) || !among(r.GetServices(), e.Fact.Service) || !among(r.GetEnvironments(), e.Fact.Environment) || r.GetUrgent() && !e.Fact.Urgent ||
				r.GetFromTime().IsValid() && e.Fact.At.Before(r.GetFromTime().AsTime()) || r.GetToTime().IsValid() && !e.Fact.At.Before(r.GetToTime().AsTime()) {
				continue
			}
			answer.Events = append(answer.Events, wire.Event(e))
			if len(answer.Events) == limit && !r.GetNewestFirst() {
				answer.NextPageToken = wire.PageToken(r, strconv.FormatInt(e.Cursor, 10))
				return answer, nil
			}
		}
		after = next
		if len(found) < 1000 {
			break
		}
	}
	if r.GetNewestFirst() {
		slices.Reverse(answer.Events)
		answer.Events = answer.Events[:min(limit, len(answer.Events))]
	}
	return answer, nil
}

// Private

// eventsEvery is how often the store is asked for what has happened.
const eventsEvery = 250 * time.Millisecond
