// Package notifytest is the conformance suite of notifiers: every one of them runs it.
package notifytest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/deployguardian/adg"
)

// Planted is the secret that every case opens its notifier with; it may show in requests and nowhere else.
const Planted = "planted-secret-4711"

// Case is a notifier under test.
type Case struct {
	// Open gives a notifier. Where it speaks HTTP it sends to url, with Planted for its secrets.
	Open func(t *testing.T, url string) adg.Notifier
	// Read gives everything that was delivered so far, where the notifier does not speak HTTP; nil: it does.
	Read func(t *testing.T) string
}

// Fact is one that has everything, hostile text included.
func Fact() adg.Fact {
	return adg.Fact{
		ID: "shop-v2-abc/rolled_back/1", Deployment: "shop-v2-abc", Kind: adg.FactRolledBack,
		At:      time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC),
		Service: "shop", Environment: "production", Release: "v2", LastGood: "v1", State: adg.RolledBack, Health: adg.Healthy,
		Text:    "v2 was rolled back to v1 & verified <!channel> \x1b[31m\u202e *bold* \n{\"x\":1}",
		Reasons: []string{"error-rate: 20 % of 187 requests were bad", "\"quoted\" \\ and a new\nline"}, Actor: "alice", Urgent: true,
	}
}

// Run runs every case of the contract.
func Run(t *testing.T, c Case) {
	t.Run("delivers a fact with its id, text and release", func(t *testing.T) { delivers(t, c) })
	t.Run("takes the same fact again", func(t *testing.T) { takesAgain(t, c) })
	t.Run("delivers nothing once the context is cancelled", func(t *testing.T) { obeysCancel(t, c) })
	t.Run("is safe for concurrent use", func(t *testing.T) { concurrent(t, c) })
	if c.Read != nil {
		return
	}
	t.Run("classifies every status", func(t *testing.T) { classifies(t, c) })
	t.Run("gives up on a receiver that hangs when its time is over", func(t *testing.T) { hangs(t, c) })
	t.Run("says that nobody listens, and shows no secret", func(t *testing.T) { refused(t, c) })
	t.Run("follows no redirect to another host", func(t *testing.T) { redirected(t, c) })
}

// Receiver is an HTTP server that keeps what it is sent.
type Receiver struct {
	*httptest.Server
	mu       sync.Mutex
	Requests []*http.Request
	Bodies   [][]byte
}

// NewReceiver starts a receiver that answers with status.
func NewReceiver(t *testing.T, status int, header http.Header) *Receiver {
	r := &Receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(io.LimitReader(req.Body, 1<<20))
		if err != nil {
			t.Error(err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.Requests, r.Bodies = append(r.Requests, req), append(r.Bodies, body)
		for name := range header {
			w.Header().Set(name, header.Get(name))
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "ok")
	}))
	t.Cleanup(r.Close)
	return r
}

// All is every body so far, one after the other.
func (r *Receiver) All() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return string(bytes.Join(r.Bodies, []byte("\n")))
}

// Private

// open gives the notifier, and how to read what reached the other side.
func open(t *testing.T, c Case) (adg.Notifier, func() string) {
	if c.Read != nil {
		return c.Open(t, ""), func() string { return c.Read(t) }
	}
	r := NewReceiver(t, http.StatusOK, nil)
	return c.Open(t, r.URL), r.All
}

func delivers(t *testing.T, c Case) {
	n, received := open(t, c)
	if err := n.Notify(t.Context(), Fact()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"shop-v2-abc", "v2", "v1", "production", "error-rate"} {
		if !strings.Contains(received(), want) {
			t.Errorf("%q is missing in what was delivered:\n%s", want, received())
		}
	}
	if strings.Contains(received(), "\x1b") || strings.Contains(received(), "\u202e") {
		t.Error("control characters were delivered as they came")
	}
}

func takesAgain(t *testing.T, c Case) {
	n, received := open(t, c)
	for range 2 {
		if err := n.Notify(t.Context(), Fact()); err != nil {
			t.Fatal(err)
		}
	}
	if received() == "" {
		t.Error("nothing was delivered")
	}
}

func obeysCancel(t *testing.T, c Case) {
	n, received := open(t, c)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := n.Notify(ctx, Fact()); err == nil {
		t.Error("a cancelled delivery was reported as made")
	}
	if received() != "" {
		t.Errorf("delivered after the end: %s", received())
	}
}

func concurrent(t *testing.T, c Case) {
	n, received := open(t, c)
	var sending sync.WaitGroup
	for i := range 16 {
		sending.Go(func() {
			f := Fact()
			f.ID = fmt.Sprintf("shop-v2-abc/rolled_back/%d", i)
			f.Release = fmt.Sprintf("v2.%d-end", i)
			if err := n.Notify(t.Context(), f); err != nil {
				t.Error(err)
			}
		})
	}
	sending.Wait()
	for i := range 16 {
		if want := fmt.Sprintf("v2.%d-end", i); !strings.Contains(received(), want) {
			t.Errorf("the fact about %s was lost", want)
		}
	}
}

func classifies(t *testing.T, c Case) {
	for status := 200; status < 600; status++ {
		if http.StatusText(status) == "" || status/100 == 3 {
			continue
		}
		var header http.Header
		if status == http.StatusTooManyRequests {
			header = http.Header{"Retry-After": {"7"}}
		}
		r := NewReceiver(t, status, header)
		err := c.Open(t, r.URL).Notify(t.Context(), Fact())
		r.Close()
		wait, throttled := adg.RetryAfter(err)
		retry := status/100 == 5 || status == http.StatusRequestTimeout || status == http.StatusTooManyRequests || status == http.StatusTooEarly
		switch {
		case status/100 == 2 && err != nil:
			t.Errorf("status %d: %v", status, err)
		case status/100 == 2:
		case err == nil:
			t.Errorf("status %d was taken for a delivery", status)
		case retry == adg.IsPermanent(err):
			t.Errorf("status %d: permanent is %t: %v", status, adg.IsPermanent(err), err)
		case status == http.StatusTooManyRequests && (!throttled || wait != 7*time.Second):
			t.Errorf("the receiver asked for 7 s, the error says %s, %t", wait, throttled)
		case strings.Contains(fmt.Sprintf("%+v", err), Planted):
			t.Errorf("status %d: the error shows the secret: %v", status, err)
		}
	}
}

func hangs(t *testing.T, c Case) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body)
		select {
		case <-release:
		case <-req.Context().Done():
		}
	}))
	defer server.Close()
	defer close(release)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err := c.Open(t, server.URL).Notify(ctx, Fact())
	if err == nil || adg.IsPermanent(err) {
		t.Errorf("a receiver that hangs is worth another try: %v", err)
	}
}

func refused(t *testing.T, c Case) {
	err := c.Open(t, "http://127.0.0.1:1").Notify(t.Context(), Fact())
	if err == nil || adg.IsPermanent(err) {
		t.Errorf("a receiver that is down is worth another try: %v", err)
	}
	if strings.Contains(fmt.Sprintf("%+v %v", err, errors.Unwrap(err)), Planted) {
		t.Errorf("the error shows the secret: %v", err)
	}
}

func redirected(t *testing.T, c Case) {
	other := NewReceiver(t, http.StatusOK, nil)
	r := NewReceiver(t, http.StatusTemporaryRedirect, http.Header{"Location": {strings.Replace(other.URL, "127.0.0.1", "localhost", 1)}})
	if err := c.Open(t, r.URL).Notify(t.Context(), Fact()); err == nil {
		t.Error("a redirect was taken for a delivery")
	}
	if other.All() != "" {
		t.Error("the fact went to a host that nobody named")
	}
}
