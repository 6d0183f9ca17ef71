package nats_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	gonats "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/brokertest"
	"github.com/deployguardian/adg/internal/intake"
	"github.com/deployguardian/adg/internal/intake/intaketest"
	"github.com/deployguardian/adg/internal/intake/nats"
)

func TestConformance(t *testing.T) {
	intaketest.Run(t, func(t *testing.T) intaketest.Queue {
		q := &queue{brokertest.NATS(t)}
		q.do(t, func(js jetstream.JetStream) error {
			_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "announcements", Subjects: []string{"announce.>"}})
			return err
		})
		return q
	})
}

func TestOptionsThatCannotWorkAreRefusedAllAtOnce(t *testing.T) {
	_, err := nats.New(nats.Options{Servers: []string{"nats://user:hunter2@host"}, Stream: "a b"}, &intake.Gate{}, slog.Default())
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{"servers", "stream", "timeout", "service"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in %v", want, err)
		}
	}
}

// Private

type queue struct{ server *brokertest.Server }

func (q *queue) Consumer(t *testing.T, gate *intake.Gate, password string, log *slog.Logger) intaketest.Consumer {
	t.Helper()
	o := nats.Defaults()
	o.Servers, o.Stream, o.Username, o.Password = []string{"nats://" + q.server.Addr}, "announcements", brokertest.User, adg.NewSecret(brokertest.Password)
	o.Timeout = 30 * time.Second
	if password != "" {
		o.Password = adg.NewSecret(password)
	}
	c, err := nats.New(o, gate, log)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (q *queue) Publish(t *testing.T, messages ...string) {
	t.Helper()
	q.do(t, func(js jetstream.JetStream) error {
		for _, m := range messages {
			if _, err := js.Publish(t.Context(), "announce.shop", []byte(m)); err != nil {
				return err
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

func (q *queue) Left(t *testing.T) int {
	t.Helper()
	var left int
	q.do(t, func(js jetstream.JetStream) error {
		c, err := js.Consumer(t.Context(), "announcements", "adg")
		if err == nil {
			left = c.CachedInfo().NumAckPending + int(c.CachedInfo().NumPending)
		}
		return err
	})
	return left
}

func (q *queue) do(t *testing.T, f func(jetstream.JetStream) error) {
	t.Helper()
	conn, err := gonats.Connect("nats://"+q.server.Addr, gonats.UserInfo(brokertest.User, brokertest.Password), gonats.Timeout(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn, jetstream.WithDefaultTimeout(time.Minute))
	if err == nil {
		err = f(js)
	}
	if err != nil {
		t.Fatal(err)
	}
}
