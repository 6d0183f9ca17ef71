// Package nats tells facts to a JetStream of NATS as CloudEvents. A fact counts as told once the server has confirmed
// that it is stored in a stream.
package nats

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/broker"
	"github.com/deployguardian/adg/internal/notify/cloudevent"
)

// Options are the notifier's settings.
type Options struct {
	Servers        []string `yaml:"servers" doc:"Addresses of the servers: nats://host:4222, or tls:// for TLS."`
	Prefix         string   `yaml:"prefix" doc:"First words of the subject PREFIX.SERVICE.ENVIRONMENT.KIND that events are published to; a stream has to take it."`
	Source         string   `yaml:"source" doc:"Source that the events name; empty: /adg/ and the notifier's name."`
	broker.Options `yaml:",inline"`
}

// Driver opens notifiers of type nats.
var Driver = adg.NewNotifierDriver("nats", "Publishes facts as CloudEvents to a JetStream of NATS.",
	Options{Prefix: "adg", Options: broker.Defaults()}, open)

// Private

const (
	firstBackoff = 100 * time.Millisecond
	maxBackoff   = 2 * time.Second
)

var prefixes = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}(\.[A-Za-z0-9_-]{1,64}){0,7}$`)

type notifier struct {
	o    Options
	slot chan *broker.NATS // the connection, which is taken to be looked at; nil before the first
	done context.Context   // ends with Close
	end  context.CancelFunc
}

func open(_ context.Context, o Options, host adg.Host) (adg.Notifier, error) {
	o.Source = cmp.Or(o.Source, "/adg/"+host.Name)
	var prefix error
	if !prefixes.MatchString(o.Prefix) {
		prefix = adg.Errorf(adg.Invalid, "prefix %q: use words of letters, digits, '_' and '-', with dots between them", o.Prefix)
	}
	if err := errors.Join(broker.ValidNATS(o.Servers), prefix, cloudevent.ValidSource(o.Source), o.Check()); err != nil {
		return nil, fmt.Errorf("notifier %s: %w", host.Name, err)
	}
	n := &notifier{o: o, slot: make(chan *broker.NATS, 1)}
	n.done, n.end = context.WithCancel(context.Background())
	n.slot <- nil
	return n, nil
}

// Close ends the connection.
func (n *notifier) Close() error {
	n.end()
	if c := <-n.slot; c != nil {
		c.Close()
	}
	n.slot <- nil
	return nil
}

// Notify publishes the event and waits until a stream has confirmed it. What breaks on the way is connected anew and
// sent again, with growing waits, as long as there is time; the fact's id tells the stream that it is the same message.
func (n *notifier) Notify(ctx context.Context, f adg.Fact) error {
	body, err := cloudevent.Encode(f, n.o.Source)
	if err != nil {
		return adg.Permanent(err)
	}
	message := nats.NewMsg(n.o.Prefix + "." + cloudevent.Topic(f))
	message.Header.Set(nats.MsgIdHdr, f.ID)
	message.Header.Set("content-type", cloudevent.ContentType)
	message.Data = body
	ctx, cancel := n.o.Within(ctx)
	defer cancel()
	defer context.AfterFunc(n.done, cancel)()
	for wait := firstBackoff; ; wait = min(2*wait, maxBackoff) {
		c, err := n.connected(ctx)
		if err == nil {
			err = publish(ctx, c, message)
		}
		if err == nil || adg.IsPermanent(err) || c != nil && !c.Broken() || adg.CodeOf(err) == adg.Unauthorized {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait):
		}
	}
}

// connected is the connection; one that has ended is made anew, by one caller while the others wait.
func (n *notifier) connected(ctx context.Context) (*broker.NATS, error) {
	select {
	case c := <-n.slot:
		defer func() { n.slot <- c }()
		if err := errors.Join(context.Cause(ctx), n.done.Err()); err != nil {
			return nil, adg.Errorf(adg.Unavailable, "publishing to NATS: not sent: %w", err)
		}
		if c != nil && !c.Broken() {
			return c, nil
		}
		if c != nil {
			c.Close()
		}
		var err error
		c, err = broker.DialNATS(ctx, n.o.Servers, n.o.Options)
		return c, err
	case <-ctx.Done():
		return nil, adg.Errorf(adg.Unavailable, "publishing to NATS: not sent: %w", context.Cause(ctx))
	}
}

func publish(ctx context.Context, c *broker.NATS, message *nats.Msg) error {
	ctx, cancel := c.While(ctx)
	defer cancel()
	if _, err := c.PublishMsg(ctx, message); err != nil {
		return c.Failure(ctx, "publishing "+message.Subject+" to NATS", err)
	}
	return nil
}
