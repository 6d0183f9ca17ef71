package api_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/deployguardian/adg/internal/api"
	"github.com/deployguardian/adg/internal/identity"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

func TestAStreamEndsWithTheRightsOfItsCaller(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(o *api.Options) { o.Again = time.Second })
	b.furnish()
	root, err := b.people.Identify(t.Context(), "ann")
	b.must(err)
	by := identity.Caller{Identity: root}
	_, started := b.ask(b.admin, "POST", "/v1/deployments", start)
	id, _ := started["id"].(string)
	conn := b.grpc()
	client := adgv1.NewDeploymentServiceClient(conn)
	streams := map[string]func(context.Context) (grpc.ClientStream, error){
		"events": func(ctx context.Context) (grpc.ClientStream, error) {
			return adgv1.NewEventServiceClient(conn).StreamEvents(ctx, &adgv1.StreamEventsRequest{})
		},
		"a table of deployments": func(ctx context.Context) (grpc.ClientStream, error) {
			return client.WatchDeployments(ctx, &adgv1.WatchDeploymentsRequest{})
		},
		"one deployment": func(ctx context.Context) (grpc.ClientStream, error) {
			return client.WatchDeployment(ctx, &adgv1.WatchDeploymentRequest{Id: id})
		},
	}
	for name, take := range map[string]func() error{
		"a role is taken": func() error {
			return b.people.Revoke(t.Context(), by, identity.Binding{Subject: "user:vic", Role: identity.Viewer, Service: "shop", Environment: "*"})
		},
		"the user is disabled": func() error { return b.people.DisableUser(t.Context(), by, "vic") },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(as(t.Context(), b.viewer), time.Minute)
			defer cancel()
			open := map[string]grpc.ClientStream{}
			for what, begin := range streams {
				stream, err := begin(ctx)
				b.must(err)
				if err := stream.RecvMsg(&emptypb.Empty{}); err != nil {
					t.Fatalf("%s: %v", what, err)
				}
				open[what] = stream
			}
			b.must(take())
			for what, stream := range open {
				var err error
				for err == nil {
					err = stream.RecvMsg(&emptypb.Empty{})
				}
				if code := status.Code(err); code != codes.Unavailable && code != codes.Unauthenticated {
					t.Errorf("%s: it goes on until %v", what, err)
				}
			}
			b.must(b.people.EnableUser(t.Context(), by, "vic"))
			b.must(b.people.Grant(t.Context(), by, identity.Binding{Subject: "user:vic", Role: identity.Viewer, Service: "shop", Environment: "*"}))
		})
	}
}

func TestNobodyTakesTheStreamsOfTheOthers(t *testing.T) {
	b := newBench(t, func(o *api.Options) { o.Watchers = 10 })
	conn := b.grpc()
	health, events := healthv1.NewHealthClient(conn), adgv1.NewEventServiceClient(conn)
	var last error
	for range 20 {
		stream, err := health.Watch(t.Context(), &healthv1.HealthCheckRequest{})
		b.must(err)
		if _, err := stream.Recv(); err != nil {
			last = err
		}
	}
	if status.Code(last) != codes.ResourceExhausted {
		t.Errorf("who is not logged in has 20 of 10 streams: %v", last)
	}
	last = nil
	for range 10 {
		stream, err := events.StreamEvents(as(t.Context(), b.viewer), &adgv1.StreamEventsRequest{})
		b.must(err)
		if _, err := stream.Recv(); err != nil {
			last = err
		}
	}
	if status.Code(last) != codes.ResourceExhausted || !strings.Contains(last.Error(), "one caller") {
		t.Errorf("one caller has all streams: %v", last)
	}
	stream, err := events.StreamEvents(as(t.Context(), b.admin), &adgv1.StreamEventsRequest{})
	b.must(err)
	if _, err := stream.Recv(); err != nil {
		t.Errorf("another one is left with none: %v", err)
	}
}

func TestOneCallerHasAsManyStreamsAsHeMay(t *testing.T) {
	b := newBench(t, func(o *api.Options) { o.PerCaller = 2 })
	for i := range 3 {
		stream, err := b.events().StreamEvents(as(t.Context(), b.viewer), &adgv1.StreamEventsRequest{})
		b.must(err)
		if _, err := stream.Recv(); (status.Code(err) == codes.ResourceExhausted) != (i == 2) {
			t.Errorf("stream %d of 2: %v", i+1, err)
		}
	}
}

func TestAListThatNobodyWroteByHandIsRefused(t *testing.T) {
	b := newBench(t)
	_, err := adgv1.NewDeploymentServiceClient(b.grpc()).ListDeployments(as(t.Context(), b.viewer), &adgv1.ListDeploymentsRequest{Services: make([]string, 1001)})
	if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "services has 1001 members") {
		t.Error(err)
	}
	stream, err := adgv1.NewEventServiceClient(b.grpc()).StreamEvents(as(t.Context(), b.viewer), &adgv1.StreamEventsRequest{Services: make([]string, 1001)})
	b.must(err)
	if _, err := stream.Recv(); status.Code(err) != codes.InvalidArgument {
		t.Error(err)
	}
}

// A browser sends its cookies wherever a page tells it to; what is not from our own pages changes nothing.
func TestAPageFromElsewhereDoesNothingWithTheCookieOfAPerson(t *testing.T) {
	h := newHouse(t, nil)
	b := h.browser()
	b.logIn("root", password)
	for name, headers := range map[string][]string{
		"a form":                      {"Sec-Fetch-Site", "cross-site"},
		"a neighbour under one name":  {"Sec-Fetch-Site", "same-site"},
		"an old browser":              {"Origin", "https://evil.example.com"},
		"a page of nowhere":           {"Origin", "null"},
		"a method under another name": {"Sec-Fetch-Site", "cross-site", "X-HTTP-Method-Override", "GET"},
	} {
		for _, kind := range []string{"application/json", "text/plain", "application/x-www-form-urlencoded"} {
			answer, text := b.send(http.MethodPost, "/v1/users", kind, []byte(`{"name": "eve", "password": "a very long password"}`), headers...)
			if answer.StatusCode != http.StatusForbidden {
				t.Errorf("%s: %s %s", name, answer.Status, text)
			}
		}
	}
	for _, path := range []string{"/v1/users", "/v1/users?name=eve&password=a+very+long+password", "/v1/%75sers", "/v1/./users", "//v1/users"} {
		answer, text := b.send(http.MethodGet, path, "application/x-www-form-urlencoded", nil, "Sec-Fetch-Site", "cross-site", "X-HTTP-Method-Override", "POST")
		if strings.Contains(text, `"eve"`) {
			t.Errorf("%s: %s %s", path, answer.Status, text)
		}
	}
	if _, err := h.directory.Identify(t.Context(), "eve"); err == nil {
		t.Error("somebody was made")
	}
}

// What the gateway alone may say is not taken from the headers of a request.
func TestHeadersDoNotSpeakForTheGateway(t *testing.T) {
	h := newHouse(t, nil)
	b := h.browser()
	b.logIn("ann", password)
	stolen := b.session()
	other := h.browser()
	for _, name := range []string{"adg-session", "Grpc-Metadata-adg-session", "Grpc-Metadata-Authorization", "adg-login", "Grpc-Metadata-adg-from"} {
		answer, text := other.send(http.MethodGet, "/v1/me", "application/json", nil, name, stolen)
		if answer.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: %s %s", name, answer.Status, text)
		}
	}
	answer, _ := b.send(http.MethodPost, "/v1/lines:stop", "application/json", nil, "Grpc-Metadata-adg-from", "203.0.113.9", "adg-from", "203.0.113.9", "X-Forwarded-For", "203.0.113.9")
	if answer.StatusCode >= 500 {
		t.Error(answer.Status)
	}
}

func TestACookieIsTheBrowsersAlone(t *testing.T) {
	h := newHouse(t, nil)
	b := h.browser()
	answer := b.logIn("ann", password)
	for _, c := range answer.Cookies() {
		if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.Expires.Year() > 1 {
			t.Errorf("%+v", c)
		}
	}
	// A session that was there before a login is not the one after it.
	before := b.session()
	b.logIn("root", password)
	if b.session() == before {
		t.Error("the session of before goes on")
	}
}
