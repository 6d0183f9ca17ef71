// Package intaketest is the conformance suite of what takes announcements from brokers: each of them runs it.
package intaketest

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/intake"
)

// Consumer is what is under test.
type Consumer interface {
	Consume(ctx context.Context, handle intake.Handler) error
}

// Queue is one on a real broker, or whatever the broker calls it, which is empty at first.
type Queue interface {
	// Consumer makes a consumer with that password; empty: the right one.
	Consumer(t *testing.T, gate *intake.Gate, password string, log *slog.Logger) Consumer
	// Publish returns once the broker has the messages.
	Publish(t *testing.T, messages ...string)
	// Crash kills the broker and starts it again.
	Crash(t *testing.T)
	// Left is how many messages the broker has that were not acknowledged, while nobody consumes.
	Left(t *testing.T) int
}

// Run runs every case of the contract, each on a queue of its own.
func Run(t *testing.T, open func(t *testing.T) Queue) {
	for _, c := range []struct {
		name string
		test func(*testing.T, Queue)
	}{
		{"hands over what is announced in order, and again what was not acknowledged at the end", inOrder},
		{"gives again what the handler could not take", again},
		{"puts aside what is no announcement, is not allowed or can never be handled, and goes on", poison},
		{"goes on by itself after a crash of the broker", crash},
		{"gives up at once on a wrong password, and does not show it", wrongPassword},
		{"leaves nothing running", leaves},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
}

// Message is an announcement of that version as a CloudEvent.
func Message(service, version string) string {
	return fmt.Sprintf(`{"specversion":"1.0","id":"%s","source":"/ci","type":"%s","data":{"service":"%s","environment":"production","version":"%s"}}`,
		version, intake.DefaultType, service, version)
}

// Private

const patience = 60 * time.Second

func gate() *intake.Gate {
	return &intake.Gate{Binding: intake.Binding{Service: "shop", Environment: "*"}}
}

// taking is a consumer that runs, and what it has handed over.
type taking struct {
	t      *testing.T
	stop   context.CancelFunc
	ended  chan error
	handed chan string
}

func take(t *testing.T, q Queue, g *intake.Gate, handle intake.Handler) *taking {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	k := &taking{t: t, stop: cancel, ended: make(chan error, 1), handed: make(chan string, 100)}
	c := q.Consumer(t, g, "", slog.New(slog.DiscardHandler))
	go func() {
		k.ended <- c.Consume(ctx, func(ctx context.Context, a intake.Announcement) error {
			k.handed <- a.Version
			return handle(ctx, a)
		})
	}()
	return k
}

// next waits for the next announcement that is handed over.
func (k *taking) next() string {
	k.t.Helper()
	select {
	case v := <-k.handed:
		return v
	case err := <-k.ended:
		k.t.Fatalf("the consumer ended: %v", err)
	case <-time.After(patience):
		k.t.Fatal("nothing was handed over")
	}
	return ""
}

func (k *taking) end() {
	k.t.Helper()
	k.stop()
	select {
	case err := <-k.ended:
		if err != nil {
			k.t.Errorf("ended by its context: %v", err)
		}
	case <-time.After(patience):
		k.t.Fatal("the consumer does not end")
	}
}

func fine(context.Context, intake.Announcement) error { return nil }

func inOrder(t *testing.T, q Queue) {
	q.Publish(t, Message("shop", "v1"), Message("shop", "v2"), Message("shop", "v3"))
	k := take(t, q, gate(), func(ctx context.Context, a intake.Announcement) error {
		if a.Version == "v3" {
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	})
	for _, want := range []string{"v1", "v2", "v3"} {
		if got := k.next(); got != want {
			t.Errorf("%s came where %s was due", got, want)
		}
	}
	k.end()
	left := q.Left(t)
	for deadline := time.Now().Add(patience); left == 0 && time.Now().Before(deadline); left = q.Left(t) {
		continue // the broker has not noticed yet that the consumer is gone
	}
	if left != 1 { // v1 and v2 were acknowledged before v3 was handed over
		t.Errorf("%d messages are left", left)
	}
	k = take(t, q, gate(), fine)
	if got := k.next(); got != "v3" {
		t.Errorf("%s came, only v3 was not acknowledged", got)
	}
	k.end()
}

func again(t *testing.T, q Queue) {
	q.Publish(t, Message("shop", "v1"), Message("shop", "v2"))
	var mu sync.Mutex
	failures := 2
	k := take(t, q, gate(), func(_ context.Context, a intake.Announcement) error {
		mu.Lock()
		defer mu.Unlock()
		if a.Version == "v1" && failures > 0 {
			failures--
			return adg.Errorf(adg.Unavailable, "no store")
		}
		return nil
	})
	var got []string
	for count := 0; count < 3 || !slices.Contains(got, "v2"); {
		got = append(got, k.next())
		count = strings.Count(strings.Join(got, " "), "v1")
	}
	k.end()
}

func poison(t *testing.T, q Queue) {
	var mu sync.Mutex
	var aside []string
	g := gate()
	g.Aside = func(message []byte, _ error) {
		mu.Lock()
		defer mu.Unlock()
		aside = append(aside, string(message))
	}
	bad := []string{"hello", Message("bank", "v1"), Message("shop", "never")}
	q.Publish(t, append(bad, Message("shop", "v2"))...)
	k := take(t, q, g, func(_ context.Context, a intake.Announcement) error {
		if a.Version == "never" {
			return adg.Permanent(adg.Errorf(adg.NotFound, "no policy"))
		}
		return nil
	})
	for k.next() != "v2" {
		continue
	}
	q.Publish(t, Message("shop", "v3"))
	if got := k.next(); got != "v3" {
		t.Errorf("%s came", got)
	}
	k.end()
	mu.Lock()
	defer mu.Unlock()
	if !slices.Equal(aside, bad) || g.Counts().Aside != 3 {
		t.Errorf("put aside %q, counted %+v", aside, g.Counts())
	}
}

func crash(t *testing.T, q Queue) {
	k := take(t, q, gate(), fine)
	q.Publish(t, Message("shop", "v1"))
	if got := k.next(); got != "v1" {
		t.Errorf("%s came", got)
	}
	q.Crash(t)
	q.Publish(t, Message("shop", "v2"))
	for got := k.next(); got != "v2"; got = k.next() {
		if got != "v1" { // whose acknowledgement may have been lost
			t.Errorf("%s came", got)
		}
	}
	k.end()
}

func wrongPassword(t *testing.T, q Queue) {
	const wrong = "another-secret-0815"
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := q.Consumer(t, gate(), wrong, slog.New(slog.DiscardHandler)).Consume(ctx, fine)
	if !adg.IsPermanent(err) || strings.Contains(fmt.Sprintf("%+v", err), wrong) {
		t.Errorf("got %v", err)
	}
}

func leaves(t *testing.T, q Queue) {
	q.Publish(t, Message("shop", "v1"))
	before := goleak.IgnoreCurrent()
	k := take(t, q, gate(), fine)
	k.next()
	k.end()
	err := goleak.Find(before)
	for deadline := time.Now().Add(patience); err != nil && time.Now().Before(deadline); err = goleak.Find(before) {
		continue // each time it waits a little
	}
	if err != nil {
		t.Error(err)
	}
}
