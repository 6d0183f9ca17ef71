package nats_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	gonats "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/broker"
	"github.com/deployguardian/adg/internal/brokertest"
	"github.com/deployguardian/adg/internal/notify/cloudevent"
	"github.com/deployguardian/adg/internal/notify/nats"
	"github.com/deployguardian/adg/internal/notify/notifytest"
)

func TestConformance(t *testing.T) {
	s := brokertest.NATS(t)
	streams := 0
	var stream string
	notifytest.Run(t, notifytest.Case{
		Open: func(t *testing.T, _ string) adg.Notifier {
			streams++
			stream = fmt.Sprintf("c%d", streams)
			makeStream(t, s.Addr, stream)
			return open(t, s.Addr, func(o *nats.Options) { o.Prefix = stream })
		},
		Read: func(t *testing.T) string {
			var bodies []string
			for _, m := range read(t, s.Addr, stream) {
				bodies = append(bodies, string(m.Data))
			}
			return strings.Join(bodies, "\n")
		},
	})
}

func TestEventIsPublishedUnderPrefixServiceEnvironmentAndKind(t *testing.T) {
	s := brokertest.NATS(t)
	makeStream(t, s.Addr, "adg")
	f := notifytest.Fact()
	f.Service, f.Environment = "shop.eu", "a*>"
	mustNotify(t, open(t, s.Addr, nil), f)
	got := read(t, s.Addr, "adg")
	if len(got) != 1 {
		t.Fatalf("%d messages", len(got))
	}
	m := got[0]
	if m.Subject != "adg.shop%2Eeu.a%2A%3E.rolled_back" || m.Header.Get("Nats-Msg-Id") != f.ID || m.Header.Get("content-type") != cloudevent.ContentType {
		t.Errorf("subject %s, header %v", m.Subject, m.Header)
	}
	e, err := cloudevent.Parse(m.Data)
	if err != nil || e.ID != f.ID || e.Source != "/adg/bus" || e.Subject != f.Deployment {
		t.Errorf("event %+v: %v", e, err)
	}
}

func TestFactThatIsToldTwiceIsStoredOnce(t *testing.T) {
	s := brokertest.NATS(t)
	makeStream(t, s.Addr, "adg")
	n := open(t, s.Addr, nil)
	for _, i := range []int{0, 1, 0} {
		mustNotify(t, n, numbered(i))
	}
	if diff := cmp.Diff([]string{"fact/0", "fact/1"}, ids(read(t, s.Addr, "adg"))); diff != "" {
		t.Error(diff)
	}
}

func TestFactThatNoStreamTakesIsReported(t *testing.T) {
	s := brokertest.NATS(t)
	n := open(t, s.Addr, nil)
	err := n.Notify(t.Context(), notifytest.Fact())
	if adg.CodeOf(err) != adg.Unavailable || adg.IsPermanent(err) || !strings.Contains(err.Error(), "no stream takes it") {
		t.Errorf("got %v", err)
	}
	makeStream(t, s.Addr, "adg")
	mustNotify(t, n, notifytest.Fact())
}

func TestFullStreamIsReported(t *testing.T) {
	s := brokertest.NATS(t)
	with(t, s.Addr, func(js jetstream.JetStream) error {
		_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "adg", Subjects: []string{"adg.>"}, MaxMsgs: 1, Discard: jetstream.DiscardNew})
		return err
	})
	n := open(t, s.Addr, nil)
	mustNotify(t, n, numbered(0))
	if err := n.Notify(t.Context(), numbered(1)); adg.CodeOf(err) != adg.Unavailable || adg.IsPermanent(err) || !strings.Contains(err.Error(), "maximum messages") {
		t.Errorf("got %v", err)
	}
}

func TestWrongPasswordIsPermanentAndNotShown(t *testing.T) {
	s := brokertest.NATS(t)
	const wrong = "another-secret-0815"
	n := open(t, s.Addr, func(o *nats.Options) { o.Password = adg.NewSecret(wrong) })
	err := n.Notify(t.Context(), notifytest.Fact())
	if !adg.IsPermanent(err) || !strings.Contains(err.Error(), "refused the user") || strings.Contains(fmt.Sprintf("%+v", err), wrong) {
		t.Errorf("got %v", err)
	}
}

func TestUserWhoMayNotPublishIsReportedAtOnce(t *testing.T) {
	s := brokertest.NATS(t)
	makeStream(t, s.Addr, "adg")
	n := open(t, s.Addr, func(o *nats.Options) { o.Username = "stranger" })
	err := n.Notify(t.Context(), notifytest.Fact())
	if adg.CodeOf(err) != adg.Unauthorized || adg.IsPermanent(err) || !strings.Contains(err.Error(), "permissions") {
		t.Errorf("got %v", err)
	}
}

func TestWhatWasNotConfirmedIsSentAgainUnderTheSameID(t *testing.T) {
	s := brokertest.NATS(t)
	makeStream(t, s.Addr, "adg")
	proxy := brokertest.NewProxy(t, s.Addr)
	n := open(t, proxy.Addr, nil)
	mustNotify(t, n, numbered(0))
	proxy.Mute()
	told := make(chan error, 1)
	go func() { told <- n.Notify(t.Context(), numbered(1)) }()
	proxy.Lost(t)
	proxy.Cut()
	if err := <-told; err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"fact/0", "fact/1"}, ids(read(t, s.Addr, "adg"))); diff != "" {
		t.Error(diff)
	}
}

func TestSilentServerDoesNotOutlastTheDeadline(t *testing.T) {
	s := brokertest.NATS(t)
	makeStream(t, s.Addr, "adg")
	proxy := brokertest.NewProxy(t, s.Addr)
	n := open(t, proxy.Addr, nil)
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
	}
}

func TestCrashOfTheServerLosesNothingAndKeepsTheOrder(t *testing.T) {
	s := brokertest.NATS(t)
	makeStream(t, s.Addr, "adg")
	n := open(t, s.Addr, nil)
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
	if diff := cmp.Diff([]string{"fact/0", "fact/1", "fact/2"}, ids(read(t, s.Addr, "adg"))); diff != "" {
		t.Error(diff)
	}
}

func TestCloseLeavesNothingRunning(t *testing.T) {
	s := brokertest.NATS(t)
	makeStream(t, s.Addr, "adg")
	before := goleak.IgnoreCurrent()
	n := open(t, s.Addr, nil)
	mustNotify(t, n, notifytest.Fact())
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

func TestOptionsThatCannotWorkAreRefusedAllAtOnceWithoutSecrets(t *testing.T) {
	_, err := nats.Driver.Open(t.Context(), nats.Options{
		Servers: []string{"nats://user:hunter2@host", "tls://a:4222", "http://b"}, Prefix: "a.*", Source: "a b\n", Options: broker.Options{Password: adg.NewSecret("x")},
	}, adg.Host{Name: "bus"})
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{"notifier bus", "servers:", "prefix", "source", "timeout", "username"} {
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

func open(t *testing.T, addr string, change func(*nats.Options)) adg.Notifier {
	t.Helper()
	o := nats.Driver.Options.(nats.Options)
	o.Timeout = 30 * time.Second
	o.Servers, o.Username, o.Password = []string{"nats://" + addr}, brokertest.User, adg.NewSecret(brokertest.Password)
	if change != nil {
		change(&o)
	}
	n, err := nats.Driver.Open(t.Context(), o, adg.Host{Name: "bus"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.(io.Closer).Close() })
	return n
}

func with(t *testing.T, addr string, f func(jetstream.JetStream) error) {
	t.Helper()
	conn, err := gonats.Connect("nats://"+addr, gonats.UserInfo(brokertest.User, brokertest.Password), gonats.Timeout(time.Minute))
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

func makeStream(t *testing.T, addr, name string) {
	t.Helper()
	with(t, addr, func(js jetstream.JetStream) error {
		_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: name, Subjects: []string{name + ".>"}})
		return err
	})
}

// read gives everything that the stream holds.
func read(t *testing.T, addr, name string) []*jetstream.RawStreamMsg {
	t.Helper()
	var all []*jetstream.RawStreamMsg
	with(t, addr, func(js jetstream.JetStream) error {
		stream, err := js.Stream(t.Context(), name)
		if err != nil {
			return err
		}
		for i := range stream.CachedInfo().State.Msgs {
			m, err := stream.GetMsg(t.Context(), i+1)
			if err != nil {
				return err
			}
			all = append(all, m)
		}
		return nil
	})
	return all
}

func ids(messages []*jetstream.RawStreamMsg) []string {
	var all []string
	for _, m := range messages {
		all = append(all, m.Header.Get("Nats-Msg-Id"))
	}
	return all
}
