package api_test

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/api"
	"github.com/deployguardian/adg/internal/identity"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

func TestOnlyWhoIsKnownHasHisRequestsTraced(t *testing.T) {
	recorder := tracetest.NewSpanRecorder()
	before := otel.GetTracerProvider()
	defer otel.SetTracerProvider(before)
	otel.SetTracerProvider(trace.NewTracerProvider(trace.WithSpanProcessor(recorder), trace.WithSampler(trace.ParentBased(trace.NeverSample()))))
	b := newBench(t)
	for traceID, c := range map[string]struct {
		token, path string
		recorded    bool
	}{
		"4bf92f3577b34da6a3ce929d0e0e4731": {"", "/v1/system/version", false},
		"4bf92f3577b34da6a3ce929d0e0e4732": {"", "/v1/me", false},
		"4bf92f3577b34da6a3ce929d0e0e4733": {"adg_wrong", "/v1/me", false},
		"4bf92f3577b34da6a3ce929d0e0e4734": {b.viewer, "/v1/me", true},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+b.address+c.path, http.NoBody)
		b.must(err)
		r.Header.Set("Traceparent", "00-"+traceID+"-00f067aa0ba902b7-01")
		if c.token != "" {
			r.Header.Set("Authorization", "Bearer "+c.token)
		}
		answer, err := http.DefaultClient.Do(r)
		b.must(err)
		b.must(answer.Body.Close())
		recorded := false
		for _, span := range recorder.Ended() {
			recorded = recorded || span.SpanContext().TraceID().String() == traceID
		}
		if recorded != c.recorded {
			t.Errorf("GET %s with the token %.6q: recorded is %t", c.path, c.token, recorded)
		}
	}
}

func TestAStreamIsNoUseOfTheSessionThatOpenedIt(t *testing.T) {
	t.Parallel()
	const idle = 4 * time.Second
	var people *identity.Directory
	b := newBench(t, func(o *api.Options) {
		var err error
		if people, err = identity.New(o.Store, identity.Options{Argon: identity.Argon{Memory: 64, Passes: 1, Threads: 1}, SessionIdle: idle}); err != nil {
			t.Fatal(err)
		}
		o.Directory, o.Again = people, idle/2 // for as long it may be looked up, too
	})
	o, err := people.Login(t.Context(), identity.Attempt{Name: "vic", Password: adg.NewSecret("a long password"), From: "192.0.2.1"})
	b.must(err)
	ctx, cancel := context.WithTimeout(as(t.Context(), o.Credential.Reveal()), 15*idle)
	defer cancel()
	stream, err := b.events().StreamEvents(ctx, &adgv1.StreamEventsRequest{})
	b.must(err)
	for err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.Unauthenticated {
		t.Errorf("the stream ended with %v", err)
	}
}

func TestAStreamEndsWhenNobodyCanSayAnyMoreWhetherItsCallerStillMay(t *testing.T) {
	t.Parallel()
	stuck := &stuckDocuments{}
	b := newBench(t, func(o *api.Options) {
		stuck.Store = o.Store
		people, err := identity.New(stuck, identity.Options{Argon: identity.Argon{Memory: 64, Passes: 1, Threads: 1}})
		if err != nil {
			t.Fatal(err)
		}
		o.Directory, o.Again = people, time.Second
	})
	ctx, cancel := context.WithTimeout(as(t.Context(), b.viewer), time.Minute)
	defer cancel()
	stream, err := b.events().StreamEvents(ctx, &adgv1.StreamEventsRequest{})
	b.must(err)
	_, err = stream.Recv()
	b.must(err)
	stuck.now.Store(true)
	for err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.Unavailable {
		t.Errorf("the stream ended with %v", err)
	}
}

// stuckDocuments is a store that answers nothing about documents from a time on.
type stuckDocuments struct {
	adg.Store
	now atomic.Bool
}

func (s *stuckDocuments) Document(ctx context.Context, kind, key string) (adg.Document, error) {
	if s.now.Load() {
		<-ctx.Done()
		return adg.Document{}, adg.Errorf(adg.Unavailable, "reading: %w", ctx.Err())
	}
	return s.Store.Document(ctx, kind, key)
}
