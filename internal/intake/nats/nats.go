// Package nats takes announcements of deployments from a JetStream of NATS.
package nats

import (
	"context"
	"errors"
	"log/slog"
	"regexp"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/broker"
	"github.com/deployguardian/adg/internal/intake"
)

// Options are the consumer's settings.
type Options struct {
	Servers        []string `yaml:"servers" doc:"Addresses of the servers: nats://host:4222, or tls:// for TLS."`
	Stream         string   `yaml:"stream" doc:"Stream that announcements are taken from."`
	Consumer       string   `yaml:"consumer" doc:"Name of the durable consumer; it is made, from the beginning of the stream, if it does not exist."`
	Subject        string   `yaml:"subject" doc:"Subject of the announcements, for a consumer that is made; empty: all of the stream."`
	broker.Options `yaml:",inline"`
}

// Defaults are the options to start from.
func Defaults() Options { return Options{Consumer: "adg", Options: broker.Defaults()} }

// Consumer takes messages from the stream, one after the other.
type Consumer struct {
	o    Options
	gate *intake.Gate
	log  *slog.Logger
}

// New makes a consumer, or reports every problem of the options at once. It connects to nothing.
func New(o Options, gate *intake.Gate, log *slog.Logger) (*Consumer, error) {
	problems := []error{broker.ValidNATS(o.Servers), o.Check(), gate.Binding.Check()}
	if !names.MatchString(o.Stream) || !names.MatchString(o.Consumer) {
		problems = append(problems, adg.Errorf(adg.Invalid, "stream %q, consumer %q: use 1 to 64 letters, digits, '_' or '-'", o.Stream, o.Consumer))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return &Consumer{o, gate, log}, nil
}

// Consume hands announcements to the handler until ctx is done, and connects anew after failures. A message is
// acknowledged once the handler returned nil, and terminated if it is no announcement that may be made here; all others
// come again. A Permanent error means that the server refuses the user.
func (c *Consumer) Consume(ctx context.Context, handle intake.Handler) error {
	return intake.Serve(ctx, c.log, func(ctx context.Context) (bool, error) { return c.session(ctx, handle) })
}

// Private

const (
	ackWait = time.Minute      // until the server sends again what is not acknowledged: more than handling may take
	asking  = 20 * time.Second // how long one question for the next message waits for an answer
)

var names = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func (c *Consumer) session(ctx context.Context, handle intake.Handler) (progress bool, err error) {
	n, consumer, err := c.connect(ctx)
	if err != nil {
		return false, err
	}
	defer n.Close()
	ctx, cancel := n.While(ctx)
	defer cancel()
	for {
		m, err := next(ctx, consumer)
		if m == nil && err == nil {
			continue
		}
		if err != nil {
			return progress, n.Failure(ctx, "taking announcements from NATS", err)
		}
		outcome, why := c.gate.Take(ctx, m.Data(), handle)
		switch outcome {
		case intake.Done:
			err = c.acknowledge(ctx, m)
		case intake.Poison:
			err = m.Term()
		case intake.Again:
			_ = m.Nak() // without it the message comes again as well, later
			return progress, why
		}
		if err != nil {
			return progress, n.Failure(ctx, "acknowledging an announcement", err)
		}
		progress = true
	}
}

// next is the next message; nil if there is none now. One at a time is asked for: what the server sent ahead would not
// be sent to anybody else for a minute when this session ends.
func next(ctx context.Context, consumer jetstream.Consumer) (jetstream.Msg, error) {
	limited, cancel := context.WithTimeout(ctx, asking)
	defer cancel()
	m, err := consumer.Next(jetstream.FetchContext(limited))
	if ctx.Err() == nil && (errors.Is(err, nats.ErrTimeout) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, jetstream.ErrNoMessages)) {
		return nil, nil
	}
	return m, err
}

// acknowledge waits until the server knows.
func (c *Consumer) acknowledge(ctx context.Context, m jetstream.Msg) error {
	ctx, cancel := c.o.Within(ctx)
	defer cancel()
	return m.DoubleAck(ctx)
}

func (c *Consumer) connect(ctx context.Context) (*broker.NATS, jetstream.Consumer, error) {
	ctx, cancel := c.o.Within(ctx)
	defer cancel()
	n, err := broker.DialNATS(ctx, c.o.Servers, c.o.Options)
	if err != nil {
		return nil, nil, err
	}
	consumer, err := n.Consumer(ctx, c.o.Stream, c.o.Consumer)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		consumer, err = n.CreateConsumer(ctx, c.o.Stream, jetstream.ConsumerConfig{
			Durable: c.o.Consumer, FilterSubject: c.o.Subject, AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait, DeliverPolicy: jetstream.DeliverAllPolicy,
		})
	}
	if err != nil {
		err = n.Failure(ctx, "consuming the stream "+c.o.Stream, err)
		n.Close()
		return nil, nil, err
	}
	return n, consumer, nil
}
