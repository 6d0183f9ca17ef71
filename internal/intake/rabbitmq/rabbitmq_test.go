package rabbitmq_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/brokertest"
	"github.com/deployguardian/adg/internal/intake"
	"github.com/deployguardian/adg/internal/intake/intaketest"
	"github.com/deployguardian/adg/internal/intake/rabbitmq"
)

// TestRabbitMQ shares one real server among its cases: it takes seconds to start.
func TestRabbitMQ(t *testing.T) {
	server := brokertest.RabbitMQ(t)
	queues := 0
	var last *queue
	open := func(t *testing.T) intaketest.Queue {
		queues++
		last = &queue{server: server, name: fmt.Sprintf("announcements-%d", queues)}
		last.make(t)
		return last
	}
	intaketest.Run(t, func(t *testing.T) intaketest.Queue {
		q := open(t)
		if strings.Contains(t.Name(), "puts_aside") {
			dead := last
			t.Cleanup(func() { dead.holdsDead(t, 3) })
		}
		return q
	})
	t.Run("gives up at once on a queue that does not exist", func(t *testing.T) {
		q := &queue{server: server, name: "nowhere"}
		err := q.Consumer(t, &intake.Gate{Binding: intake.Binding{Service: "*", Environment: "*"}}, "", slog.Default()).Consume(t.Context(), nil)
		if !adg.IsPermanent(err) || !strings.Contains(err.Error(), "nowhere") {
			t.Errorf("got %v", err)
		}
	})
}

func TestOptionsThatCannotWorkAreRefusedAllAtOnce(t *testing.T) {
	_, err := rabbitmq.New(rabbitmq.Options{URL: "amqp://user:hunter2@host"}, &intake.Gate{}, slog.Default())
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{"url", "queue", "prefetch", "timeout", "service"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in %v", want, err)
		}
	}
}

// Private

type queue struct {
	server *brokertest.Server
	name   string
}

func (q *queue) Consumer(t *testing.T, gate *intake.Gate, password string, log *slog.Logger) intaketest.Consumer {
	t.Helper()
	o := rabbitmq.Defaults()
	o.URL, o.Queue, o.Username, o.Password = "amqp://"+q.server.Addr, q.name, brokertest.User, adg.NewSecret(brokertest.Password)
	o.Timeout = 30 * time.Second
	if password != "" {
		o.Password = adg.NewSecret(password)
	}
	c, err := rabbitmq.New(o, gate, log)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// make makes the queue, and the one that its dead letters go to.
func (q *queue) make(t *testing.T) {
	t.Helper()
	q.do(t, func(ch *amqp.Channel) error {
		if _, err := ch.QueueDeclare(q.name+".dead", true, false, false, false, nil); err != nil {
			return err
		}
		_, err := ch.QueueDeclare(q.name, true, false, false, false, amqp.Table{"x-dead-letter-exchange": "", "x-dead-letter-routing-key": q.name + ".dead"})
		return err
	})
}

func (q *queue) holdsDead(t *testing.T, want int) {
	t.Helper()
	q.do(t, func(ch *amqp.Channel) error {
		dead, err := ch.QueueDeclarePassive(q.name+".dead", true, false, false, false, nil)
		if diff := cmp.Diff(want, dead.Messages); err == nil && diff != "" {
			t.Errorf("dead letters: %s", diff)
		}
		return err
	})
}

func (q *queue) Publish(t *testing.T, messages ...string) {
	t.Helper()
	q.do(t, func(ch *amqp.Channel) error {
		if err := ch.Confirm(false); err != nil {
			return err
		}
		for _, m := range messages {
			c, err := ch.PublishWithDeferredConfirm("", q.name, true, false, amqp.Publishing{DeliveryMode: amqp.Persistent, Body: []byte(m)})
			if err != nil || !c.Wait() {
				return fmt.Errorf("not confirmed: %w", err)
			}
		}
		return nil
	})
}

func (q *queue) Crash(t *testing.T) {
	t.Helper()
	q.server.Kill()
	q.server.Start(t)
}

// Left takes all that is left, and puts it back.
func (q *queue) Left(t *testing.T) int {
	t.Helper()
	left := 0
	q.do(t, func(ch *amqp.Channel) error {
		for {
			d, found, err := ch.Get(q.name, false)
			if err != nil || !found {
				return err
			}
			left++
			defer func() { _ = d.Nack(false, true) }() // its connection ends anyway
		}
	})
	return left
}

func (q *queue) do(t *testing.T, f func(*amqp.Channel) error) {
	t.Helper()
	conn, err := amqp.Dial("amqp://" + brokertest.User + ":" + brokertest.Password + "@" + q.server.Addr + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if err == nil {
		err = f(ch)
	}
	if err != nil {
		t.Fatal(err)
	}
}
