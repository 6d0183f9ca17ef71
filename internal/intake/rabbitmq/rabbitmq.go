// Package rabbitmq takes announcements of deployments from a queue of RabbitMQ.
package rabbitmq

import (
	"context"
	"errors"
	"log/slog"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/broker"
	"github.com/deployguardian/adg/internal/intake"
)

// Options are the consumer's settings.
type Options struct {
	URL            string `yaml:"url" doc:"Address of the server: amqp://host:5672/vhost, or amqps:// for TLS."`
	Queue          string `yaml:"queue" doc:"Queue that announcements are taken from. Give it a dead-letter exchange: what is no announcement is rejected."`
	Prefetch       int    `yaml:"prefetch" doc:"How many messages the server sends ahead."`
	broker.Options `yaml:",inline"`
}

// Defaults are the options to start from.
func Defaults() Options { return Options{Prefetch: 16, Options: broker.Defaults()} }

// Consumer takes messages from the queue, one after the other.
type Consumer struct {
	o    Options
	gate *intake.Gate
	log  *slog.Logger
}

// New makes a consumer, or reports every problem of the options at once. It connects to nothing.
func New(o Options, gate *intake.Gate, log *slog.Logger) (*Consumer, error) {
	var queue, prefetch error
	if o.Queue == "" || len(o.Queue) > 255 {
		queue = adg.Errorf(adg.Invalid, "queue: name one, with at most 255 bytes")
	}
	if o.Prefetch < 1 || o.Prefetch > 1000 {
		prefetch = adg.Errorf(adg.Invalid, "prefetch: use 1 to 1000")
	}
	if err := errors.Join(broker.ValidRabbitMQ(o.URL), queue, prefetch, o.Check(), gate.Binding.Check()); err != nil {
		return nil, err
	}
	return &Consumer{o, gate, log}, nil
}

// Consume hands announcements to the handler until ctx is done, and connects anew after failures. A message is
// acknowledged once the handler returned nil, and rejected without coming back if it is no announcement that may be made
// here; all others come again. A Permanent error means that the server refuses the user or the queue.
func (c *Consumer) Consume(ctx context.Context, handle intake.Handler) error {
	return intake.Serve(ctx, c.log, func(ctx context.Context) (bool, error) { return c.session(ctx, handle) })
}

// Private

func (c *Consumer) session(ctx context.Context, handle intake.Handler) (progress bool, err error) {
	r, deliveries, err := c.connect(ctx)
	if err != nil {
		return false, err
	}
	defer r.Close() // what is not acknowledged goes back into the queue
	closed := r.Channel.NotifyClose(make(chan *amqp.Error, 1))
	for {
		select {
		case <-ctx.Done():
			return progress, context.Cause(ctx)
		case d, open := <-deliveries:
			if !open {
				return progress, r.Failure(ctx, "taking announcements from RabbitMQ", ended(closed))
			}
			outcome, err := c.gate.Take(ctx, d.Body, handle)
			switch outcome {
			case intake.Done:
				err = d.Ack(false)
			case intake.Poison:
				err = d.Reject(false)
			case intake.Again:
				return progress, err
			}
			if err != nil {
				return progress, r.Failure(ctx, "acknowledging an announcement", err)
			}
			progress = true
		}
	}
}

func (c *Consumer) connect(ctx context.Context) (*broker.RabbitMQ, <-chan amqp.Delivery, error) {
	ctx, cancel := c.o.Within(ctx)
	defer cancel()
	r, err := broker.DialRabbitMQ(ctx, c.o.URL, c.o.Options)
	if err != nil {
		return nil, nil, err
	}
	var deliveries <-chan amqp.Delivery
	err = r.Until(ctx, func() error {
		if err := r.Channel.Qos(c.o.Prefetch, 0, false); err != nil {
			return err
		}
		deliveries, err = r.Channel.Consume(c.o.Queue, "", false, false, false, false, nil)
		return err
	})
	if err != nil {
		r.Cut()
		return nil, nil, r.Failure(ctx, "consuming the queue "+c.o.Queue, err)
	}
	return r, deliveries, nil
}

// ended is why the channel is over; the server cancels a consumer, without an error, when its queue is deleted.
func ended(closed <-chan *amqp.Error) error {
	select {
	case reason := <-closed:
		if reason != nil {
			return reason
		}
	default:
	}
	return amqp.ErrClosed
}
