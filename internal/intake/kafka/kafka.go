// Package kafka takes announcements of deployments from a topic of Kafka.
package kafka

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/broker"
	"github.com/deployguardian/adg/internal/intake"
)

// Options are the consumer's settings.
type Options struct {
	Group        string `yaml:"group" doc:"Consumer group, which remembers what was taken; a new one begins with the oldest message that there is."`
	Prefetch     int    `yaml:"prefetch" doc:"How many messages are taken at a time."`
	broker.Kafka `yaml:",inline"`
}

// Defaults are the options to start from.
func Defaults() Options { return Options{Group: "adg", Prefetch: 16, Kafka: broker.KafkaDefaults()} }

// Consumer takes messages from its share of the topic, one after the other.
type Consumer struct {
	o    Options
	gate *intake.Gate
	log  *slog.Logger
}

// New makes a consumer, or reports every problem of the options at once. It connects to nothing.
func New(o Options, gate *intake.Gate, log *slog.Logger) (*Consumer, error) {
	var group, prefetch error
	if o.Group == "" || len(o.Group) > 255 {
		group = adg.Errorf(adg.Invalid, "group: name one, with at most 255 bytes")
	}
	if o.Prefetch < 1 || o.Prefetch > 1000 {
		prefetch = adg.Errorf(adg.Invalid, "prefetch: use 1 to 1000")
	}
	if err := errors.Join(group, prefetch, o.Check(), gate.Binding.Check()); err != nil {
		return nil, err
	}
	return &Consumer{o, gate, log}, nil
}

// Consume hands announcements to the handler until ctx is done, and connects anew after failures. A message is committed
// once the handler returned nil; one that is no announcement that may be made here is told to the gate's Aside and
// committed, for Kafka has no place for it; all others come again, before those behind them. A Permanent error means
// that the cluster refuses the user.
func (c *Consumer) Consume(ctx context.Context, handle intake.Handler) error {
	return intake.Serve(ctx, c.log, func(ctx context.Context) (bool, error) { return c.session(ctx, handle) })
}

// Private

// sessionTimeout is when a member that is dead loses its share to others.
const sessionTimeout = 15 * time.Second

func (c *Consumer) session(ctx context.Context, handle intake.Handler) (progress bool, err error) {
	client, err := c.o.Client(kgo.ConsumeTopics(c.o.Topic), kgo.ConsumerGroup(c.o.Group), kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(),
		kgo.SessionTimeout(sessionTimeout), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxBytes(4<<20), kgo.FetchMaxPartitionBytes(1<<20), kgo.MaxConcurrentFetches(2))
	if err != nil {
		return false, err
	}
	defer c.leave(client)
	if err := c.reach(ctx, client); err != nil {
		return false, err
	}
	for {
		fetches := client.PollRecords(ctx, c.o.Prefetch)
		if err := errors.Join(ctx.Err(), fetches.Err()); err != nil {
			return progress, c.o.Failure(ctx, "taking announcements from Kafka", err)
		}
		for _, record := range fetches.Records() {
			if outcome, why := c.gate.Take(ctx, record.Value, handle); outcome == intake.Again {
				return progress, why // the next session begins with what is not committed
			}
			if err := c.commit(ctx, client, record); err != nil {
				return progress, err
			}
			progress = true
		}
		client.AllowRebalance()
	}
}

// reach reports at once what a consumer keeps retrying, such as a wrong password.
func (c *Consumer) reach(ctx context.Context, client *kgo.Client) error {
	ctx, cancel := c.o.Within(ctx)
	defer cancel()
	if err := client.Ping(ctx); err != nil {
		return c.o.Failure(ctx, "connecting to Kafka", err)
	}
	return nil
}

func (c *Consumer) commit(ctx context.Context, client *kgo.Client, record *kgo.Record) error {
	ctx, cancel := c.o.Within(ctx)
	defer cancel()
	if err := client.CommitRecords(ctx, record); err != nil {
		return c.o.Failure(ctx, "committing an announcement", err)
	}
	return nil
}

// leave gives the share to others, within a second.
func (c *Consumer) leave(client *kgo.Client) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	client.AllowRebalance()
	_ = client.LeaveGroupContext(ctx) // otherwise the session's timeout does it
	client.CloseAllowingRebalance()
}
