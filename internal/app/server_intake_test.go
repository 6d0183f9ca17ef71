package app

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/announce"
	"github.com/deployguardian/adg/internal/brokertest"
	"github.com/deployguardian/adg/internal/control"
	"github.com/deployguardian/adg/internal/identity"
	"github.com/deployguardian/adg/internal/intake"
	"github.com/deployguardian/adg/internal/settings"
)

// starts are the deployments that were started.
type starts chan control.Start

func (s starts) StartDeployment(_ context.Context, _ identity.Caller, start control.Start) (adg.Deployment, error) {
	s <- start
	return adg.Deployment{ID: "d1"}, nil
}

func TestWhatIsAnnouncedThroughABrokerOfTheSettingsIsStarted(t *testing.T) {
	server := brokertest.NATS(t)
	conn, err := nats.Connect("nats://"+server.Addr, nats.UserInfo(brokertest.User, brokertest.Password), nats.Timeout(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn, jetstream.WithDefaultTimeout(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "announcements", Subjects: []string{"announce.>"}}); err != nil {
		t.Fatal(err)
	}
	aside := make(chan string, 1)
	made, err := consumers(map[string]settings.Intake{"builds": {
		Type: "nats", Addresses: []string{"nats://" + server.Addr}, Topic: "announcements", Group: "adg", Username: brokertest.User, Password: adg.NewSecret(brokertest.Password),
		Service: "shop", Environment: "production",
	}}, slog.New(slog.DiscardHandler), func(source string) { aside <- source })
	if err != nil || len(made) != 1 || made[0].binding != (intake.Binding{Service: "shop", Environment: "production"}) {
		t.Fatal(made, err)
	}
	started := make(starts, 1)
	desk := announce.Desk{Starter: started, Log: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = made[0].take.Consume(ctx, desk.Handler(made[0].name, made[0].binding)) })
	defer running.Wait()
	defer cancel()
	for _, service := range []string{"mail", "shop"} {
		message := `{"specversion":"1.0","id":"` + service + `","source":"/ci","type":"` + intake.DefaultType + `","data":{"service":"` + service + `","environment":"production","version":"v2"}}`
		if _, err := js.Publish(t.Context(), "announce.shop", []byte(message)); err != nil {
			t.Fatal(err)
		}
	}
	if source := <-aside; source != "intake:builds" {
		t.Errorf("put aside by %s", source)
	}
	if s := <-started; s.Release.Service != "shop" || s.Release.Version != "v2" || s.Environment != "production" {
		t.Errorf("started %+v", s)
	}
}

func TestBrokersThatCannotWorkAreRefusedAllAtOnce(t *testing.T) {
	_, err := consumers(map[string]settings.Intake{
		"one":   {Type: "rabbitmq", Addresses: []string{"amqps://a.example/v", "amqps://b.example/v"}, Topic: "q", Service: "*", Environment: "*"},
		"two":   {Type: "kafka", Addresses: []string{"no address at all"}, Topic: "t", Group: "g", SASL: "plain", Service: "*", Environment: "*"},
		"three": {Type: "nats", Addresses: []string{"tls://user:hunter2@host"}, Topic: "t", Group: "g", Service: "*", Environment: "*"},
	}, slog.New(slog.DiscardHandler), nil)
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{"intake.one", "name one of rabbitmq", "intake.two", "brokers", "intake.three", "servers"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in %v", want, err)
		}
	}
}

func TestProvidersOfTheSettingsSendPeopleBackToTheirOwnPage(t *testing.T) {
	s := &server{set: settings.Settings{BaseURL: "https://adg.example.com/", OIDC: map[string]settings.OIDC{
		"work": {Issuer: "https://login.example.com", ClientID: "adg", Scopes: []string{"openid", "profile"}, UserClaim: "sub", Algorithms: []string{"ES256"}},
	}}}
	made, err := s.logins()
	if err != nil || made["work"] == nil {
		t.Fatal(made, err)
	}
	made["work"].Close()
	s.set.OIDC["broken"] = settings.OIDC{Issuer: "http://elsewhere.example.com", ClientID: "adg"}
	if _, err := s.logins(); err == nil || !strings.Contains(err.Error(), "oidc.broken") {
		t.Errorf("a provider without TLS: %v", err)
	}
}
