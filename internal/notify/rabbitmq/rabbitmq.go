// Package rabbitmq tells facts to a topic exchange of RabbitMQ as CloudEvents. A fact counts as told once the server has
// confirmed that it is stored in a queue.
package rabbitmq

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/broker"
	"github.com/deployguardian/adg/internal/notify/cloudevent"
)

// Options are the notifier's settings.
type Options struct {
	URL            string `yaml:"url" doc:"Address of the server: amqp://host:5672/vhost, or amqps:// for TLS."`
	Exchange       string `yaml:"exchange" doc:"Topic exchange that events are published to, with the key SERVICE.ENVIRONMENT.KIND."`
	Declare        bool   `yaml:"declare" doc:"Whether the exchange is made, durable, where it does not exist; false: it has to exist."`
	Source         string `yaml:"source" doc:"Source that the events name; empty: /adg/ and the notifier's name."`
	broker.Options `yaml:",inline"`
}

// Driver opens notifiers of type rabbitmq.
var Driver = adg.NewNotifierDriver("rabbitmq", "Publishes facts as CloudEvents to a topic exchange of RabbitMQ.",
	Options{Exchange: "adg", Declare: true, Options: broker.Defaults()}, open)

// Private

const (
	connections  = 2 // so that a message that is confirmed late does not keep all others waiting
	firstBackoff = 100 * time.Millisecond
	maxBackoff   = 2 * time.Second
)

type notifier struct {
	o     Options
	slots chan *publisher // idle connections; nil for one that is not made yet, or broke
	done  context.Context // ends with Close
	end   context.CancelFunc
}

// publisher is a connection with a channel that confirms, used for one message at a time.
type publisher struct {
	*broker.RabbitMQ
	returns chan amqp.Return
	closed  chan *amqp.Error // why the channel ended
	broken  bool
}

func open(_ context.Context, o Options, host adg.Host) (adg.Notifier, error) {
	o.Source = cmp.Or(o.Source, "/adg/"+host.Name)
	var exchange error
	if o.Exchange == "" || len(o.Exchange) > 127 {
		exchange = adg.Errorf(adg.Invalid, "exchange: name one, with at most 127 characters")
	}
	if err := errors.Join(broker.ValidRabbitMQ(o.URL), exchange, cloudevent.ValidSource(o.Source), o.Check()); err != nil {
		return nil, fmt.Errorf("notifier %s: %w", host.Name, err)
	}
	n := &notifier{o: o, slots: make(chan *publisher, connections)}
	n.done, n.end = context.WithCancel(context.Background())
	for range connections {
		n.slots <- nil
	}
	return n, nil
}

// Close ends the connections, once each has finished what it is doing.
func (n *notifier) Close() error {
	n.end()
	for range connections {
		if p := <-n.slots; p != nil {
			p.Close()
		}
	}
	for range connections {
		n.slots <- nil
	}
	return nil
}

// Notify publishes the event and waits until the server has confirmed it. What breaks on the way is connected anew and
// sent again, with growing waits, as long as there is time.
func (n *notifier) Notify(ctx context.Context, f adg.Fact) error {
	body, err := cloudevent.Encode(f, n.o.Source)
	if err != nil {
		return adg.Permanent(err)
	}
	key := cloudevent.Topic(f)
	if len(key) > 255 {
		return adg.Permanent(adg.Errorf(adg.Invalid, "the routing key of fact %s has %d bytes, RabbitMQ takes 255: use a shorter name of the service", f.ID, len(key)))
	}
	message := amqp.Publishing{
		ContentType: cloudevent.ContentType, DeliveryMode: amqp.Persistent, MessageId: f.ID, Timestamp: f.At, AppId: "adg", Body: body,
	}
	ctx, cancel := n.o.Within(ctx)
	defer cancel()
	defer context.AfterFunc(n.done, cancel)()
	select {
	case p := <-n.slots:
		if ctx.Err() == nil && n.done.Err() == nil {
			p, err = n.publish(ctx, p, key, message)
		} else {
			err = adg.Errorf(adg.Unavailable, "publishing to RabbitMQ: not sent: %w", cmp.Or(context.Cause(ctx), context.Canceled))
		}
		n.slots <- p
		return err
	case <-ctx.Done():
		return adg.Errorf(adg.Unavailable, "publishing to RabbitMQ: not sent: %w", context.Cause(ctx))
	}
}

// publish gives back the connection to go on with; nil if it is broken.
func (n *notifier) publish(ctx context.Context, p *publisher, key string, message amqp.Publishing) (*publisher, error) {
	for wait := firstBackoff; ; wait = min(2*wait, maxBackoff) {
		var err error
		if p == nil || p.Broken() {
			p, err = n.renew(ctx, p)
		}
		if err == nil {
			err = n.send(ctx, p, key, message)
			if !p.broken {
				return p, err
			}
		}
		if p != nil {
			p.Cut()
			p = nil
		}
		if adg.IsPermanent(err) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(wait):
		}
	}
}

func (n *notifier) renew(ctx context.Context, old *publisher) (*publisher, error) {
	if old != nil {
		old.Cut()
	}
	r, err := broker.DialRabbitMQ(ctx, n.o.URL, n.o.Options)
	if err != nil {
		return nil, err
	}
	p := &publisher{
		RabbitMQ: r, returns: r.Channel.NotifyReturn(make(chan amqp.Return, 1)), closed: r.Channel.NotifyClose(make(chan *amqp.Error, 1)),
	}
	err = r.Until(ctx, func() error {
		declare := r.Channel.ExchangeDeclarePassive
		if n.o.Declare {
			declare = r.Channel.ExchangeDeclare
		}
		if err := declare(n.o.Exchange, amqp.ExchangeTopic, true, false, false, false, nil); err != nil {
			return err
		}
		return r.Channel.Confirm(false)
	})
	if err != nil {
		r.Cut()
		return nil, r.Failure(ctx, "preparing the exchange "+n.o.Exchange, err)
	}
	return p, nil
}

// send publishes once. A message that no queue takes comes back before it is confirmed.
func (n *notifier) send(ctx context.Context, p *publisher, key string, message amqp.Publishing) error {
	var acked bool
	err := p.Until(ctx, func() error {
		confirmation, err := p.Channel.PublishWithDeferredConfirm(n.o.Exchange, key, true, false, message)
		if err != nil {
			return err
		}
		acked = confirmation.Wait()
		return nil
	})
	const what = "publishing to RabbitMQ"
	if err == nil && !acked && p.Broken() {
		err = amqp.ErrClosed
		if reason := <-p.closed; reason != nil {
			err = reason
		}
	}
	if err != nil {
		p.broken = true
		return p.Failure(ctx, what, err)
	}
	select {
	case back := <-p.returns:
		return adg.Errorf(adg.Unavailable, "%s: no queue takes %s from the exchange %s (%d %s): bind one", what, key, n.o.Exchange, back.ReplyCode, back.ReplyText)
	default:
	}
	if !acked {
		return adg.Errorf(adg.Unavailable, "%s: the server did not store the message: look at the limits of its queues", what)
	}
	return nil
}
