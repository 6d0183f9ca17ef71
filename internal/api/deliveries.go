package api

import (
	"context"
	"strconv"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/api/wire"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// ListDeadDeliveries gives a page of what could not be told.
func (s *events) ListDeadDeliveries(ctx context.Context, r *adgv1.ListDeadDeliveriesRequest) (*adgv1.ListDeadDeliveriesResponse, error) {
	token, err := wire.ReadPageToken(r)
	if err != nil {
		return nil, err
	}
	f := adg.DeadFilter{Notifier: r.GetNotifier()}
	if f.Limit, err = wire.ReadPageSize(r, 100, 1000); err != nil {
		return nil, err
	}
	f.After, _ = strconv.ParseInt(token, 10, 64) // sealed by us; none is 0
	found, next, err := s.o.Control.DeadDeliveries(ctx, caller(ctx), f)
	answer := &adgv1.ListDeadDeliveriesResponse{}
	for _, d := range found {
		answer.Deliveries = append(answer.Deliveries, wire.DeadDelivery(d))
	}
	if next != 0 {
		answer.NextPageToken = wire.PageToken(r, strconv.FormatInt(next, 10))
	}
	return answer, err
}

// RetryDelivery tries one of them again.
func (s *events) RetryDelivery(ctx context.Context, r *adgv1.RetryDeliveryRequest) (*adgv1.Delivery, error) {
	notifier, fact, err := wire.ReadDeliveryID(r.GetId())
	if err != nil {
		return nil, err
	}
	if r.GetReason() == "" {
		return nil, wire.Wrong("reason", "trying a delivery again needs a reason, for the record")
	}
	tries, err := wire.ReadEtag(r.GetEtag(), adg.AnyVersion)
	if err != nil {
		return nil, err
	}
	return once(ctx, s.API, r, func() (*adgv1.Delivery, error) {
		d, err := s.o.Control.RetryDelivery(ctx, because(ctx, r.GetReason()), notifier, fact, r.GetReason(), func(d adg.DeadDelivery) error {
			if tries != adg.AnyVersion && tries != int64(d.Tries) {
				return adg.Errorf(adg.Conflict, "the delivery was tried again since you looked at it: it failed %d times, because %s", d.Tries, d.Why)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		return wire.Delivery(d), nil
	})
}
