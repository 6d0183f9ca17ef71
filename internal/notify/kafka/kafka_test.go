package kafka_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/broker"
	"github.com/deployguardian/adg/internal/brokertest"
	"github.com/deployguardian/adg/internal/notify/cloudevent"
	"github.com/deployguardian/adg/internal/notify/kafka"
	"github.com/deployguardian/adg/internal/notify/notifytest"
)

func TestConformance(t *testing.T) {
	topics := []string{"c1", "c2", "c3", "c4"}
	k := brokertest.Kafka(t, topics...)
	var topic string
	notifytest.Run(t, notifytest.Case{
		Open: func(t *testing.T, _ string) adg.Notifier {
			topic, topics = topics[0], topics[1:]
			return open(t, k.Addr, func(o *kafka.Options) { o.Topic = topic })
		},
		Read: func(t *testing.T) string {
			var bodies []string
			for _, r := range read(t, k, topic) {
				bodies = append(bodies, string(r.Value))
			}
			return strings.Join(bodies, "\n")
		},
	})
}

func TestRecordIsACloudEventKeyedByDeployment(t *testing.T) {
	k := brokertest.Kafka(t, "adg")
	f := notifytest.Fact()
	mustNotify(t, open(t, k.Addr, nil), f)
	got := read(t, k, "adg")
	if len(got) != 1 {
		t.Fatalf("%d records", len(got))
	}
	r := got[0]
	if string(r.Key) != f.Deployment || len(r.Headers) != 1 || r.Headers[0].Key != "content-type" || string(r.Headers[0].Value) != cloudevent.ContentType {
		t.Errorf("key %s, headers %v", r.Key, r.Headers)
	}
	e, err := cloudevent.Parse(r.Value)
	if err != nil || e.ID != f.ID || e.Source != "/adg/bus" || e.Subject != f.Deployment {
		t.Errorf("event %+v: %v", e, err)
	}
}

func TestTopicThatDoesNotExistIsReported(t *testing.T) {
	k := brokertest.Kafka(t, "adg")
	n := open(t, k.Addr, func(o *kafka.Options) { o.Topic = "nowhere" })
	err := n.Notify(t.Context(), notifytest.Fact())
	if adg.CodeOf(err) != adg.Unavailable || adg.IsPermanent(err) || !strings.Contains(err.Error(), "there is no topic nowhere") {
		t.Errorf("got %v", err)
	}
}

func TestWrongPasswordIsPermanentAndNotShown(t *testing.T) {
	k := brokertest.Kafka(t, "adg")
	const wrong = "another-secret-0815"
	k.ControlKey(int16(kmsg.SASLAuthenticate), func(req kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		// kfake hangs up on a wrong password; Kafka answers with this code.
		resp := req.ResponseKind().(*kmsg.SASLAuthenticateResponse)
		resp.ErrorCode = kerr.SaslAuthenticationFailed.Code
		return resp, nil, true
	})
	n := open(t, k.Addr, func(o *kafka.Options) { o.Password = adg.NewSecret(wrong) })
	err := n.Notify(t.Context(), notifytest.Fact())
	if !adg.IsPermanent(err) || !strings.Contains(err.Error(), "refused the user") || strings.Contains(fmt.Sprintf("%+v", err), wrong) {
		t.Errorf("got %v", err)
	}
}

func TestUserWithoutRightsIsPermanent(t *testing.T) {
	k := brokertest.Kafka(t, "adg")
	n := open(t, k.Addr, func(o *kafka.Options) { o.Username = "stranger" })
	if err := n.Notify(t.Context(), notifytest.Fact()); !adg.IsPermanent(err) || !strings.Contains(err.Error(), "may not") {
		t.Errorf("got %v", err)
	}
}

func TestWhatWasNotConfirmedIsSentAgain(t *testing.T) {
	k := brokertest.Kafka(t, "adg")
	n := open(t, k.Addr, nil)
	mustNotify(t, n, numbered(0))
	var connections int
	k.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		connections++
		return nil, fmt.Errorf("the connection breaks"), true
	})
	mustNotify(t, n, numbered(1))
	if connections != 1 {
		t.Errorf("%d connections broke", connections)
	}
	if diff := cmp.Diff([]string{"fact/0", "fact/1"}, ids(t, read(t, k, "adg"))); diff != "" {
		t.Error(diff)
	}
}

func TestSilentClusterDoesNotOutlastTheDeadlineAndTheFactIsSentAgain(t *testing.T) {
	k := brokertest.Kafka(t, "adg")
	n := open(t, k.Addr, nil)
	mustNotify(t, n, numbered(0))
	silence := make(chan struct{})
	var arrived atomic.Bool
	k.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		arrived.Store(true)
		k.SleepControl(func() { <-silence })
		return nil, nil, false
	})
	// On a busy machine the deadline may be over before the cluster has the fact.
	for limit := 200 * time.Millisecond; !arrived.Load(); limit *= 2 {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		began := time.Now()
		err := n.Notify(ctx, numbered(1))
		cancel()
		if took := time.Since(began); adg.CodeOf(err) != adg.Unavailable || adg.IsPermanent(err) || took > limit+20*time.Second {
			t.Fatalf("%v after %s", err, took)
		}
	}
	close(silence)
	mustNotify(t, n, numbered(1))
	mustNotify(t, n, numbered(2))
	got := ids(t, read(t, k, "adg"))
	if diff := cmp.Diff([]string{"fact/0", "fact/1", "fact/1", "fact/2"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestOutageOfTheClusterLosesNothingAndKeepsTheOrder(t *testing.T) {
	k := brokertest.Kafka(t, "adg")
	n := open(t, k.Addr, nil)
	mustNotify(t, n, numbered(0))
	k.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := n.Notify(ctx, numbered(1)); adg.CodeOf(err) != adg.Unavailable || adg.IsPermanent(err) {
		t.Errorf("a dead cluster is worth another try: %v", err)
	}
	k.Start(t)
	mustNotify(t, n, numbered(1))
	mustNotify(t, n, numbered(2))
	if diff := cmp.Diff([]string{"fact/0", "fact/1", "fact/2"}, ids(t, read(t, k, "adg"))); diff != "" {
		t.Error(diff)
	}
}

func TestCloseLeavesNothingRunning(t *testing.T) {
	k := brokertest.Kafka(t, "adg")
	before := goleak.IgnoreCurrent()
	n := open(t, k.Addr, nil)
	mustNotify(t, n, notifytest.Fact())
	for range 2 {
		if err := n.(io.Closer).Close(); err != nil {
			t.Error(err)
		}
	}
	if err := n.Notify(t.Context(), notifytest.Fact()); err == nil {
		t.Error("a closed notifier took a fact")
	}
	k.Close()
	goleak.VerifyNone(t, before)
}

func TestOptionsThatCannotWorkAreRefusedAllAtOnceWithoutSecrets(t *testing.T) {
	_, err := kafka.Driver.Open(t.Context(), kafka.Options{Source: "a b\n", Kafka: broker.Kafka{
		Brokers: []string{"user:hunter2@host", "b"}, Topic: "a/b", SASL: "magic", Options: broker.Options{Username: "u"},
	}}, adg.Host{Name: "bus"})
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{"notifier bus", "brokers:", "topic", "source", "timeout", "sasl"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in %v", want, err)
		}
	}
}

// Private

func numbered(i int) adg.Fact {
	f := notifytest.Fact()
	f.ID = fmt.Sprintf("fact/%d", i)
	return f
}

func mustNotify(t *testing.T, n adg.Notifier, f adg.Fact) {
	t.Helper()
	if err := n.Notify(t.Context(), f); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, addr string, change func(*kafka.Options)) adg.Notifier {
	t.Helper()
	o := kafka.Driver.Options.(kafka.Options)
	o.Brokers, o.Topic, o.Username, o.Password = []string{addr}, "adg", brokertest.User, adg.NewSecret(brokertest.Password)
	o.Timeout = 30 * time.Second
	if change != nil {
		change(&o)
	}
	n, err := kafka.Driver.Open(t.Context(), o, adg.Host{Name: "bus"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.(io.Closer).Close() })
	return n
}

// read gives everything that the topic holds.
func read(t *testing.T, k *brokertest.KafkaCluster, topic string) []*kgo.Record {
	t.Helper()
	var total int64
	for _, p := range k.PartitionInfos(topic) {
		total += p.HighWatermark
	}
	o := broker.KafkaDefaults()
	o.Brokers, o.Username, o.Password = []string{k.Addr}, brokertest.User, adg.NewSecret(brokertest.Password)
	client, err := o.Client(kgo.ConsumeTopics(topic))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var all []*kgo.Record
	for int64(len(all)) < total {
		fetches := client.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		all = append(all, fetches.Records()...)
	}
	return all
}

func ids(t *testing.T, records []*kgo.Record) []string {
	t.Helper()
	var all []string
	for _, r := range records {
		e, err := cloudevent.Parse(r.Value)
		if err != nil {
			t.Error(err)
		}
		all = append(all, e.ID)
	}
	return all
}
