package api

import (
	"context"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/api/wire"
	"github.com/deployguardian/adg/internal/identity"
	"github.com/deployguardian/adg/internal/live"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// events answers EventService.
type events struct {
	adgv1.UnimplementedEventServiceServer
	*API
}

// StreamEvents sends what happens, and before that what has happened after the caller's cursor. It begins with a sign of
// life, so that the caller knows the cursor before anything has happened.
func (s *events) StreamEvents(r *adgv1.StreamEventsRequest, to grpc.ServerStreamingServer[adgv1.StreamEventsResponse]) error {
	ctx := to.Context()
	wanted, err := s.selection(ctx, r)
	if err != nil {
		return err
	}
	f := wanted.filter
	if f.After = r.GetAfter(); r.After == nil {
		if f.After, err = s.o.Store.LastEvent(ctx); err != nil {
			return err
		}
	}
	var told time.Time
	return s.happens.Follow(ctx, f, s.o.Heartbeat, func(page live.Page) error {
		now := timestamppb.New(page.Now)
		for _, e := range page.Events {
			if !wanted.holds(e.Fact) {
				continue
			}
			told = page.Now
			if err := to.Send(&adgv1.StreamEventsResponse{Event: wire.Event(e), Cursor: e.Cursor, Time: now}); err != nil {
				return err
			}
		}
		if len(page.Events) > 0 && page.Now.Sub(told) < s.o.Heartbeat {
			return nil
		}
		told = page.Now
		return to.Send(&adgv1.StreamEventsResponse{Cursor: page.Cursor, Time: now})
	})
}

// ListEvents gives a page of what has happened. A page may have fewer events than it has room for, where few of many
// match.
func (s *events) ListEvents(ctx context.Context, r *adgv1.ListEventsRequest) (*adgv1.ListEventsResponse, error) {
	token, err := wire.ReadPageToken(r)
	if err != nil {
		return nil, err
	}
	limit, err := wire.ReadPageSize(r, 100, 1000)
	if err != nil {
		return nil, err
	}
	wanted, err := s.selection(ctx, r)
	if err != nil {
		return nil, err
	}
	if wanted.from, err = wire.ReadTimestamp("from_time", r.GetFromTime()); err != nil {
		return nil, err
	}
	if wanted.to, err = wire.ReadTimestamp("to_time", r.GetToTime()); err != nil {
		return nil, err
	}
	f := wanted.filter
	f.Newest, f.Limit = r.GetNewestFirst(), min(limit+1, 1000)
	if f.After, _ = strconv.ParseInt(token, 10, 64); token == "" { // sealed by us
		if f.After, err = s.begin(ctx, wanted, f.Newest); err != nil {
			return nil, err
		}
	}
	answer := &adgv1.ListEventsResponse{}
	for range mostPages {
		found, next, err := s.o.Store.Events(ctx, f)
		if err != nil {
			return nil, err
		}
		for _, e := range found {
			if wanted.over(e.Fact.At, f.Newest) {
				return answer, nil
			}
			if !wanted.holds(e.Fact) {
				continue
			}
			if n := len(answer.GetEvents()); n == limit {
				answer.NextPageToken = wire.PageToken(r, strconv.FormatInt(answer.GetEvents()[n-1].GetCursor(), 10))
				return answer, nil
			}
			answer.Events = append(answer.Events, wire.Event(e))
		}
		if len(found) < f.Limit {
			return answer, nil
		}
		f.After, f.Limit = next, 1000
	}
	answer.NextPageToken = wire.PageToken(r, strconv.FormatInt(f.After, 10))
	return answer, nil
}

// Private

const (
	// mostPages is how much of the log is looked through for one page of an answer.
	mostPages = 30
	// disorder is how far the times of facts may be from the order of the log: a tick commits what it decided before.
	disorder = 10 * time.Minute
)

// eventSelection is which events a caller wants and may see.
type eventSelection struct {
	filter       adg.EventFilter // what the store can select of it
	services     []string
	environments []string
	urgent       bool
	from, to     time.Time
	sees         func(adg.Fact) bool
}

// selecting is what the requests for events have.
type selecting interface {
	GetDeployment() string
	GetServices() []string
	GetEnvironments() []string
	GetKinds() []adgv1.FactKind
	GetUrgent() bool
}

func (s *events) selection(ctx context.Context, r selecting) (e eventSelection, err error) {
	e = eventSelection{services: r.GetServices(), environments: r.GetEnvironments(), urgent: r.GetUrgent(), sees: identity.SeesFact(caller(ctx).Identity)}
	e.filter = adg.EventFilter{Deployment: r.GetDeployment(), Service: only(e.services), Environment: only(e.environments)}
	if e.filter.Kinds, err = wire.ReadFactKinds(r.GetKinds()); err != nil || e.filter.Deployment == "" {
		return e, err
	}
	_, err = s.o.Control.Deployment(ctx, caller(ctx), e.filter.Deployment)
	return e, err
}

func (e eventSelection) holds(f adg.Fact) bool {
	return e.sees(f) && (f.Service == "" || among(e.services, f.Service)) && (f.Environment == "" || among(e.environments, f.Environment)) &&
		(!e.urgent || f.Urgent) && !f.At.Before(e.from) && (e.to.IsZero() || f.At.Before(e.to))
}

// over tells whether nothing that is wanted comes any more, once the log has come to that time.
func (e eventSelection) over(at time.Time, newest bool) bool {
	if newest {
		return at.Before(e.from.Add(-disorder))
	}
	return !e.to.IsZero() && !at.Before(e.to.Add(disorder))
}

// begin is the cursor after which, or before which, what is wanted begins.
func (s *events) begin(ctx context.Context, wanted eventSelection, newest bool) (int64, error) {
	switch {
	case newest && !wanted.to.IsZero():
		last, err := s.lastBefore(ctx, wanted.to.Add(disorder))
		return last + 1, err
	case !newest && !wanted.from.IsZero():
		return s.lastBefore(ctx, wanted.from.Add(-disorder))
	}
	return 0, nil
}

// lastBefore is the cursor of the last event before a time, as far as the log is in the order of times.
func (s *events) lastBefore(ctx context.Context, at time.Time) (int64, error) {
	last, err := s.o.Store.LastEvent(ctx)
	if err != nil {
		return 0, err
	}
	begin := int64(0)
	for end := last; begin < end; {
		middle := begin + (end-begin)/2
		found, _, err := s.o.Store.Events(ctx, adg.EventFilter{After: middle, Limit: 1})
		if err != nil {
			return 0, err
		}
		if len(found) == 0 || !found[0].Fact.At.Before(at) {
			end = middle
		} else {
			begin = found[0].Cursor
		}
	}
	return begin, nil
}

// only is the single choice there is, for the store to select by.
func only(choices []string) string {
	if len(choices) == 1 {
		return choices[0]
	}
	return ""
}
