// Package kafka tells facts to a topic of Kafka as CloudEvents. A fact counts as told once all replicas in sync have it.
package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/broker"
	"github.com/deployguardian/adg/internal/notify/cloudevent"
)

// Options are the notifier's settings.
type Options struct {
	Source       string `yaml:"source" doc:"Source that the events name; empty: /adg/ and the notifier's name."`
	broker.Kafka `yaml:",inline"`
}

// Driver opens notifiers of type kafka.
var Driver = adg.NewNotifierDriver("kafka", "Publishes facts as CloudEvents to a topic of Kafka, keyed by deployment.",
	Options{Kafka: broker.KafkaDefaults()}, open)

// Private

// maxBuffered bounds what waits for the cluster; the outbox sends fewer at a time.
const maxBuffered = 256

type notifier struct {
	o       Options
	client  *kgo.Client
	reached atomic.Bool // whether the last thing that the cluster was asked had an answer
}

func open(_ context.Context, o Options, host adg.Host) (adg.Notifier, error) {
	o.Source = cmp.Or(o.Source, "/adg/"+host.Name)
	if err := errors.Join(o.Check(), cloudevent.ValidSource(o.Source)); err != nil {
		return nil, fmt.Errorf("notifier %s: %w", host.Name, err)
	}
	// A record whose time is over is let go of although it may have arrived: the outbox sends it again, before the next one
	// of its deployment, and receivers know the id. Otherwise it would sit in the client and turn up at any later time.
	client, err := o.Client(kgo.DefaultProduceTopic(o.Topic), kgo.RequiredAcks(kgo.AllISRAcks()), kgo.AllowIdempotentProduceCancellation(),
		kgo.ProducerLinger(0), kgo.MaxBufferedRecords(maxBuffered), kgo.UnknownTopicRetries(2))
	if err != nil {
		return nil, fmt.Errorf("notifier %s: %w", host.Name, err)
	}
	return &notifier{o: o, client: client}, nil
}

// Close ends the connections; what still waits for the cluster is given up.
func (n *notifier) Close() error {
	n.client.Close()
	return nil
}

// Notify publishes the event and waits until the cluster has confirmed it. The client connects anew and sends again by
// itself as long as there is time, without making duplicates.
func (n *notifier) Notify(ctx context.Context, f adg.Fact) error {
	body, err := cloudevent.Encode(f, n.o.Source)
	if err != nil {
		return adg.Permanent(err)
	}
	ctx, cancel := n.o.Within(ctx)
	defer cancel()
	if cause := context.Cause(ctx); cause != nil {
		return adg.Errorf(adg.Unavailable, "publishing to Kafka: not sent: %w", cause)
	}
	if !n.reached.Load() { // a producer retries what a ping reports at once, such as a wrong password
		if err := n.client.Ping(ctx); err != nil {
			return n.o.Failure(ctx, "connecting to Kafka", err)
		}
	}
	for {
		err = n.produce(ctx, &kgo.Record{
			Key: []byte(cmp.Or(f.Deployment, f.Kind.String())), Value: body, Headers: []kgo.RecordHeader{{Key: "content-type", Value: []byte(cloudevent.ContentType)}},
		})
		// A record that was given up takes those behind it along, with an error that is not theirs.
		if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
			break
		}
	}
	n.reached.Store(err == nil)
	if err != nil {
		return n.o.Failure(ctx, "publishing to Kafka", err)
	}
	return nil
}

func (n *notifier) produce(ctx context.Context, record *kgo.Record) error {
	told := make(chan error, 1)
	n.client.Produce(ctx, record, func(_ *kgo.Record, err error) { told <- err })
	select {
	case err := <-told:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
