package rabbitmq_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	amqp "github.com/rabbitmq/amqp091-go"
	"go.uber.org/goleak"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/broker"
	"github.com/deployguardian/adg/internal/brokertest"
	"github.com/deployguardian/adg/internal/notify/cloudevent"
	"github.com/deployguardian/adg/internal/notify/notifytest"
	"github.com/deployguardian/adg/internal/notify/rabbitmq"
)

// TestRabbitMQ shares one real server among its cases: it takes seconds to start.
func TestRabbitMQ(t *testing.T) {
	s := &server{Server: brokertest.RabbitMQ(t)}
	for _, c := range []struct {
		name string
		test func(*testing.T, *server)
	}{
		{"keeps the contract of notifiers", conformance},
		{"publishes a persistent CloudEvent under service, environment and kind", published},
		{"reports a message that no queue takes, and goes on with the connection", unroutable},
		{"gives up at once on a wrong password, and does not show it", wrongPassword},
		{"gives up at once on an exchange that it may not make", missingExchange},
		{"sends again what was not confirmed, under the same id", confirmLost},
		{"reports a full queue", fullQueue},
		{"speaks TLS with a server that it can trust, and with no other", secured},
		{"keeps its deadline when the server is silent", silent},
		{"loses nothing and keeps the order over a crash of the server", crash},
		{"leaves nothing running after Close", closed},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, s) })
	}
}

func TestOptionsThatCannotWorkAreRefusedAllAtOnceWithoutSecrets(t *testing.T) {
	_, err := rabbitmq.Driver.Open(t.Context(), rabbitmq.Options{URL: "amqp://user:hunter2@host", Source: "a b\n", Options: broker.Options{Password: adg.NewSecret("x")}}, adg.Host{Name: "bus"})
	if adg.CodeOf(err) == adg.Internal && !adg.IsPermanent(err) || strings.Contains(fmt.Sprint(err), "hunter2") {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{"notifier bus", "url:", "exchange:", "source", "timeout", "username"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in %v", want, err)
		}
	}
}

// Private

type server struct {
	*brokertest.Server
	exchanges int
}

// queue is a durable queue that takes everything from an exchange of its own.
type queue struct {
	t        *testing.T
	addr     string
	exchange string
	bodies   []string
	got      []amqp.Delivery
}

func conformance(t *testing.T, s *server) {
	var q *queue
	notifytest.Run(t, notifytest.Case{
		Open: func(t *testing.T, _ string) adg.Notifier {
			q = s.queue(t, nil)
			return open(t, s.Addr, q.exchange)
		},
		Read: func(t *testing.T) string {
			q.t = t
			q.read()
			return strings.Join(q.bodies, "\n")
		},
	})
}

func published(t *testing.T, s *server) {
	q := s.queue(t, nil)
	f := notifytest.Fact()
	f.Service = "shop.eu"
	mustNotify(t, open(t, s.Addr, q.exchange), f)
	got := q.read()
	if len(got) != 1 {
		t.Fatalf("%d messages", len(got))
	}
	m := got[0]
	if m.RoutingKey != "shop%2Eeu.production.rolled_back" || m.DeliveryMode != amqp.Persistent || m.MessageId != f.ID || m.ContentType != cloudevent.ContentType {
		t.Errorf("key %s, mode %d, id %s, type %s", m.RoutingKey, m.DeliveryMode, m.MessageId, m.ContentType)
	}
	e, err := cloudevent.Parse(m.Body)
	if err != nil || e.ID != f.ID || e.Source != "/adg/bus" || e.Subject != f.Deployment {
		t.Errorf("event %+v: %v", e, err)
	}
}

func unroutable(t *testing.T, s *server) {
	q := s.queue(t, nil)
	n := open(t, s.Addr, q.exchange)
	q.bind(false)
	err := n.Notify(t.Context(), notifytest.Fact())
	if adg.CodeOf(err) != adg.Unavailable || adg.IsPermanent(err) || !strings.Contains(err.Error(), "no queue takes shop.production.rolled_back") {
		t.Errorf("got %v", err)
	}
	q.bind(true)
	mustNotify(t, n, notifytest.Fact())
	if got := q.read(); len(got) != 1 {
		t.Errorf("%d messages arrived", len(got))
	}
}

func wrongPassword(t *testing.T, s *server) {
	const wrong = "another-secret-0815"
	n := openWith(t, s.Addr, "adg", func(o *rabbitmq.Options) { o.Password = adg.NewSecret(wrong) })
	err := n.Notify(t.Context(), notifytest.Fact())
	if !adg.IsPermanent(err) || adg.CodeOf(err) != adg.Unauthorized && !strings.Contains(err.Error(), "refused the user") {
		t.Errorf("got %v", err)
	}
	if strings.Contains(fmt.Sprintf("%+v", err), wrong) {
		t.Errorf("the error shows the password: %v", err)
	}
	vhost := openWith(t, s.Addr+"/none", "adg", func(*rabbitmq.Options) {})
	if err := vhost.Notify(t.Context(), notifytest.Fact()); !adg.IsPermanent(err) || !strings.Contains(err.Error(), "vhost") {
		t.Errorf("a vhost that does not exist: %v", err)
	}
}

func missingExchange(t *testing.T, s *server) {
	n := openWith(t, s.Addr, "nowhere", func(o *rabbitmq.Options) { o.Declare = false })
	if err := n.Notify(t.Context(), notifytest.Fact()); !adg.IsPermanent(err) || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("got %v", err)
	}
}

func confirmLost(t *testing.T, s *server) {
	q := s.queue(t, nil)
	proxy := brokertest.NewProxy(t, s.Addr)
	n := open(t, proxy.Addr, q.exchange)
	first := numbered(0)
	mustNotify(t, n, first)
	// Each of the idle connections takes its turn, so both have to know the proxy as it is.
	mustNotify(t, n, numbered(1))
	proxy.Mute()
	told := make(chan error, 1)
	go func() { told <- n.Notify(t.Context(), numbered(2)) }()
	proxy.Lost(t)
	proxy.Cut()
	if err := <-told; err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"fact/0", "fact/1", "fact/2", "fact/2"}, ids(q.read())); diff != "" {
		t.Error(diff)
	}
}

func fullQueue(t *testing.T, s *server) {
	q := s.queue(t, amqp.Table{"x-max-length": 1, "x-overflow": "reject-publish"})
	n := open(t, s.Addr, q.exchange)
	mustNotify(t, n, numbered(0))
	if err := n.Notify(t.Context(), numbered(1)); err == nil || adg.IsPermanent(err) || !strings.Contains(err.Error(), "limits") {
		t.Errorf("got %v", err)
	}
	q.read()
	mustNotify(t, n, numbered(1))
}

func secured(t *testing.T, s *server) {
	q := s.queue(t, nil)
	trusting := openWith(t, "", q.exchange, func(o *rabbitmq.Options) { o.URL, o.TLS.CAFile = "amqps://"+s.TLSAddr, s.Certificate.File })
	mustNotify(t, trusting, notifytest.Fact())
	wary := openWith(t, "", q.exchange, func(o *rabbitmq.Options) { o.URL, o.Timeout = "amqps://"+s.TLSAddr, 2*time.Second })
	if err := wary.Notify(t.Context(), notifytest.Fact()); err == nil || adg.IsPermanent(err) {
		t.Errorf("a server that nobody vouches for: %v", err)
	}
	if got := q.read(); len(got) != 1 {
		t.Errorf("%d messages arrived", len(got))
	}
}

func silent(t *testing.T, s *server) {
	q := s.queue(t, nil)
	proxy := brokertest.NewProxy(t, s.Addr)
	n := open(t, proxy.Addr, q.exchange)
	for _, when := range []string{"while it connects", "while it publishes"} {
		proxy.Mute()
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		began := time.Now()
		err := n.Notify(ctx, notifytest.Fact())
		cancel()
		if adg.CodeOf(err) != adg.Unavailable || adg.IsPermanent(err) || time.Since(began) > 20*time.Second {
			t.Errorf("%s: %v after %s", when, err, time.Since(began))
		}
		proxy.Cut()
		mustNotify(t, n, notifytest.Fact())
		mustNotify(t, n, notifytest.Fact())
	}
}

func crash(t *testing.T, s *server) {
	q := s.queue(t, nil)
	n := open(t, s.Addr, q.exchange)
	mustNotify(t, n, numbered(0))
	s.Kill()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := n.Notify(ctx, numbered(1)); adg.CodeOf(err) != adg.Unavailable || adg.IsPermanent(err) {
		t.Errorf("a dead server is worth another try: %v", err)
	}
	s.Start(t)
	mustNotify(t, n, numbered(1))
	mustNotify(t, n, numbered(2))
	if diff := cmp.Diff([]string{"fact/0", "fact/1", "fact/2"}, ids(q.read())); diff != "" {
		t.Error(diff)
	}
}

func closed(t *testing.T, s *server) {
	q := s.queue(t, nil)
	before := goleak.IgnoreCurrent()
	n := open(t, s.Addr, q.exchange)
	for i := range 3 {
		mustNotify(t, n, numbered(i))
	}
	for range 2 {
		if err := n.(io.Closer).Close(); err != nil {
			t.Error(err)
		}
	}
	if err := n.Notify(t.Context(), notifytest.Fact()); err == nil {
		t.Error("a closed notifier took a fact")
	}
	goleak.VerifyNone(t, before)
}

func numbered(i int) adg.Fact {
	f := notifytest.Fact()
	f.ID = fmt.Sprintf("fact/%d", i)
	return f
}

func ids(deliveries []amqp.Delivery) []string {
	var all []string
	for _, d := range deliveries {
		all = append(all, d.MessageId)
	}
	return all
}

func mustNotify(t *testing.T, n adg.Notifier, f adg.Fact) {
	t.Helper()
	if err := n.Notify(t.Context(), f); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, addr, exchange string) adg.Notifier {
	t.Helper()
	return openWith(t, addr, exchange, func(*rabbitmq.Options) {})
}

func openWith(t *testing.T, addr, exchange string, change func(*rabbitmq.Options)) adg.Notifier {
	t.Helper()
	o := rabbitmq.Driver.Options.(rabbitmq.Options)
	o.URL, o.Exchange, o.Username, o.Password = "amqp://"+addr, exchange, brokertest.User, adg.NewSecret(brokertest.Password)
	o.Timeout = 30 * time.Second
	change(&o)
	n, err := rabbitmq.Driver.Open(t.Context(), o, adg.Host{Name: "bus"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.(io.Closer).Close() })
	return n
}

// queue makes a queue, bound to an exchange that is as new.
func (s *server) queue(t *testing.T, args amqp.Table) *queue {
	t.Helper()
	s.exchanges++
	q := &queue{t: t, addr: s.Addr, exchange: fmt.Sprintf("test-%d", s.exchanges)}
	q.do(func(ch *amqp.Channel) error {
		if err := ch.ExchangeDeclare(q.exchange, "topic", true, false, false, false, nil); err != nil {
			return err
		}
		_, err := ch.QueueDeclare(q.exchange, true, false, false, false, args)
		return err
	})
	q.bind(true)
	return q
}

func (q *queue) bind(on bool) {
	q.t.Helper()
	q.do(func(ch *amqp.Channel) error {
		if on {
			return ch.QueueBind(q.exchange, "*.*.*", q.exchange, false, nil)
		}
		return ch.QueueUnbind(q.exchange, "*.*.*", q.exchange, nil)
	})
}

// read takes what is in the queue, and gives all that ever was.
func (q *queue) read() []amqp.Delivery {
	q.t.Helper()
	q.do(func(ch *amqp.Channel) error {
		for {
			d, found, err := ch.Get(q.exchange, true)
			if err != nil || !found {
				return err
			}
			q.got, q.bodies = append(q.got, d), append(q.bodies, string(d.Body))
		}
	})
	return q.got
}

func (q *queue) do(f func(*amqp.Channel) error) {
	q.t.Helper()
	conn, err := amqp.Dial("amqp://" + brokertest.User + ":" + brokertest.Password + "@" + q.addr + "/")
	if err != nil {
		q.t.Fatal(err)
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if err == nil {
		err = f(ch)
	}
	if err != nil {
		q.t.Fatal(err)
	}
}
