package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/announce"
	"github.com/deployguardian/adg/internal/broker"
	"github.com/deployguardian/adg/internal/intake"
	"github.com/deployguardian/adg/internal/intake/kafka"
	"github.com/deployguardian/adg/internal/intake/nats"
	"github.com/deployguardian/adg/internal/intake/rabbitmq"
	"github.com/deployguardian/adg/internal/serve"
	"github.com/deployguardian/adg/internal/settings"
)

// Private

// consumer takes what is announced through a broker.
type consumer struct {
	name    string
	binding intake.Binding
	take    interface {
		Consume(ctx context.Context, handle intake.Handler) error
	}
}

// asideAgain is when a broker is tried again that has refused us: whoever mends that may do it there.
const asideAgain = time.Minute

// consumers makes those of the settings, or says everything that is wrong with them. aside is told each message that can
// never be handled.
func consumers(in map[string]settings.Intake, log *slog.Logger, aside func(source string)) ([]consumer, error) {
	var made []consumer
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(in)) {
		one := in[name]
		gate := &intake.Gate{Binding: one.Binding(), Aside: func(_ []byte, why error) {
			log.Warn("a message announces nothing that may be started, and was put aside", "intake", name, "error", why)
			aside("intake:" + name)
		}}
		c := consumer{name: name, binding: gate.Binding}
		var err error
		switch by, log := brokerOf(one), log.With("intake", name); one.Type {
		case "kafka":
			o := kafka.Defaults()
			o.Group, o.Topic, o.SASL, o.Options = one.Group, one.Topic, one.SASL, by
			for _, address := range one.Addresses {
				bare, secure := strings.CutPrefix(address, "tls://")
				o.Brokers, o.Secure = append(o.Brokers, bare), o.Secure || secure
			}
			c.take, err = kafka.New(o, gate, log)
		case "rabbitmq":
			o := rabbitmq.Defaults()
			o.Queue, o.Options = one.Topic, by
			if o.URL = one.Addresses[0]; len(one.Addresses) > 1 {
				err = adg.Errorf(adg.Invalid, "addresses: name one of rabbitmq, such as that of a load balancer")
			}
			var found error
			c.take, found = rabbitmq.New(o, gate, log)
			err = errors.Join(err, found)
		default:
			o := nats.Defaults()
			o.Servers, o.Stream, o.Consumer, o.Options = one.Addresses, one.Topic, one.Group, by
			c.take, err = nats.New(o, gate, log)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("intake.%s: %w", name, err))
		}
		made = append(made, c)
	}
	return made, errors.Join(problems...)
}

func brokerOf(one settings.Intake) broker.Options {
	o := broker.Defaults()
	o.Username, o.Password, o.TLS = one.Username, one.Password, one.TLS
	return o
}

// announced takes what is announced through all brokers until the context ends.
func (s *server) announced(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	for _, c := range s.consumers {
		all.Go(func() {
			handle := s.desk().Handler(c.name, c.binding)
			for ctx.Err() == nil {
				if err := c.take.Consume(ctx, handle); err != nil {
					s.log.Error("nothing can be taken from a broker, it is tried again", "intake", c.name, "after", asideAgain, "error", err)
				}
				select {
				case <-ctx.Done():
				case <-time.After(asideAgain):
				}
			}
		})
	}
}

func (s *server) desk() announce.Desk {
	return announce.Desk{Starter: s.control, Log: s.log, Counted: s.metrics.Announced}
}

// webhooks answers those of the settings.
func (s *server) webhooks() http.Handler {
	named := map[string]intake.Webhook{}
	for name, hook := range s.set.Webhooks {
		named[name] = hook.Bound()
	}
	hooks := &announce.Webhooks{Desk: s.desk(), Store: s.store, Named: named, Rate: s.rate, Proxies: s.proxies}
	return serve.Headers(s.set.Secure(), serve.Bodies(intake.MaxBody, s.set.Limits.Request, hooks))
}
