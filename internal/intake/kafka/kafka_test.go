package kafka_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/broker"
	"github.com/deployguardian/adg/internal/brokertest"
	"github.com/deployguardian/adg/internal/intake"
	"github.com/deployguardian/adg/internal/intake/intaketest"
	"github.com/deployguardian/adg/internal/intake/kafka"
)

func TestConformance(t *testing.T) {
	intaketest.Run(t, func(t *testing.T) intaketest.Queue {
		return &queue{brokertest.Kafka(t, "announcements")}
	})
}

func TestOptionsThatCannotWorkAreRefusedAllAtOnce(t *testing.T) {
	_, err := kafka.New(kafka.Options{Kafka: broker.Kafka{Brokers: []string{"user:hunter2@host"}}}, &intake.Gate{}, slog.Default())
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{"brokers", "topic", "group", "prefetch", "timeout", "service"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in %v", want, err)
		}
	}
}

// Private

type queue struct{ cluster *brokertest.KafkaCluster }

func (q *queue) options() kafka.Options {
	o := kafka.Defaults()
	o.Brokers, o.Topic, o.Username, o.Password = []string{q.cluster.Addr}, "announcements", brokertest.User, adg.NewSecret(brokertest.Password)
	o.Timeout = 30 * time.Second
	return o
}

func (q *queue) Consumer(t *testing.T, gate *intake.Gate, password string, log *slog.Logger) intaketest.Consumer {
	t.Helper()
	o := q.options()
	if password != "" {
		o.Password = adg.NewSecret(password)
		q.cluster.ControlKey(int16(kmsg.SASLAuthenticate), func(req kmsg.Request) (kmsg.Response, error, bool) {
			q.cluster.KeepControl()
			// kfake hangs up on a wrong password; Kafka answers with this code.
			resp := req.ResponseKind().(*kmsg.SASLAuthenticateResponse)
			resp.ErrorCode = kerr.SaslAuthenticationFailed.Code
			return resp, nil, true
		})
	}
	c, err := kafka.New(o, gate, log)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Publish writes to one partition, because order is per partition.
func (q *queue) Publish(t *testing.T, messages ...string) {
	t.Helper()
	client, err := q.options().Client(kgo.DefaultProduceTopic("announcements"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, m := range messages {
		if err := client.ProduceSync(t.Context(), &kgo.Record{Key: []byte("shop"), Value: []byte(m)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

func (q *queue) Left(t *testing.T) int {
	t.Helper()
	left := 0
	for _, p := range q.cluster.PartitionInfos("announcements") {
		left += int(p.HighWatermark)
	}
	for _, partitions := range q.cluster.GroupInfo("adg").Commits {
		for _, c := range partitions {
			left -= int(c.Offset)
		}
	}
	return left
}

func (q *queue) Crash(t *testing.T) {
	t.Helper()
	q.cluster.Close()
	q.cluster.Start(t)
}
