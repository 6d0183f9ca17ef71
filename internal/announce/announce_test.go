package announce_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/announce"
	"github.com/deployguardian/adg/internal/control"
	"github.com/deployguardian/adg/internal/identity"
	"github.com/deployguardian/adg/internal/intake"
	"github.com/deployguardian/adg/internal/remote"
	"github.com/deployguardian/adg/internal/serve"
	"github.com/deployguardian/adg/internal/store/sqlite"
)

const (
	secret = "the secret of the webhook"
	before = "the secret before that one"
)

// starter starts deployments, or gives an error.
type starter struct {
	mu      sync.Mutex
	err     error
	started []control.Start
	by      []identity.Caller
}

func (s *starter) StartDeployment(_ context.Context, who identity.Caller, start control.Start) (adg.Deployment, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return adg.Deployment{}, s.err
	}
	s.started, s.by = append(s.started, start), append(s.by, who)
	return adg.Deployment{ID: start.Release.Service + "-" + start.Release.Version}, nil
}

type bench struct {
	*testing.T
	*starter
	store *sqlite.Store
	hooks *announce.Webhooks
	count map[string]int
}

func newBench(t *testing.T) *bench {
	t.Helper()
	store, err := sqlite.Open(t.Context(), t.TempDir(), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	b := &bench{T: t, starter: &starter{}, store: store, count: map[string]int{}}
	forge := []intake.Rule{{Event: "release", Repository: "example/shop", Service: "shop", Environment: "production"}}
	b.hooks = &announce.Webhooks{
		Desk:  announce.Desk{Starter: b.starter, Log: slog.New(slog.DiscardHandler), Counted: func(source, outcome string) { b.count[source+" "+outcome]++ }},
		Store: store, Rate: serve.NewRate(1000, 1000),
		Named: map[string]intake.Webhook{
			"ci": {Kind: intake.KindCloudEvents, Secret: adg.NewSecret(secret), Before: adg.NewSecret(before), Binding: intake.Binding{Service: "shop*", Environment: "production", Ref: "*"}},
			"github": {Kind: intake.KindGitHub, Secret: adg.NewSecret(secret), Rules: forge,
				Binding: intake.Binding{Service: "shop", Environment: "production", Ref: "refs/tags/v*"}},
			"copy": {Kind: intake.KindGitHub, Secret: adg.NewSecret(secret), Rules: forge, Binding: intake.Binding{Service: "shop", Environment: "production", Ref: "*"}},
		},
	}
	return b
}

// send posts to a webhook and gives what it answers.
func (b *bench) send(name string, header http.Header, body string) (int, map[string]string) {
	b.Helper()
	mux := http.NewServeMux()
	mux.Handle("POST "+announce.Path+"{name}", b.hooks)
	r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, announce.Path+name, strings.NewReader(body))
	r.Header = header
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	var answer map[string]string
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		b.Fatalf("%s: %v", w.Body, err)
	}
	return w.Code, answer
}

func event(id, service string) string {
	return fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"/ci","type":%q,"data":{"service":%q,"environment":"production","version":"v2","actor":"ann","reason":"pipeline 7"}}`, id, intake.DefaultType, service)
}

func signed(secret, body string) http.Header {
	return http.Header{"Adg-Signature": {remote.Sign(secret, time.Now(), []byte(body))}}
}

func github(secret, delivery, tag string) (http.Header, string) {
	body := fmt.Sprintf(`{"action":"published","repository":{"full_name":"example/shop"},"sender":{"login":"ann"},"release":{"id":7,"tag_name":%q}}`, tag)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return http.Header{"X-Hub-Signature-256": {"sha256=" + hex.EncodeToString(mac.Sum(nil))}, "X-Github-Event": {"release"}, "X-Github-Delivery": {delivery}}, body
}

func TestSignedEventStartsADeploymentAsItsWebhook(t *testing.T) {
	b := newBench(t)
	body := event("1", "shop")
	if code, answer := b.send("ci", signed(secret, body), body); code != http.StatusAccepted || answer["deployment"] != "shop-v2" {
		t.Fatal(code, answer)
	}
	want := control.Start{
		Release: adg.Release{Service: "shop", Version: "v2"}, Environment: "production", Reason: "pipeline 7", Author: "ann",
		Labels: map[string]string{"announced_by": "ann", "announced_from": "/ci"}, Key: b.started[0].Key,
	}
	if diff := cmp.Diff(want, b.started[0]); diff != "" || want.Key == "" {
		t.Error(diff)
	}
	who := b.by[0]
	if who.Subject != "webhook:ci" || who.Person != "webhook:ci" || who.Reason != "pipeline 7" || who.From != "192.0.2.1" {
		t.Errorf("started by %+v", who)
	}
	for where, want := range map[[2]string]bool{{"shop", "production"}: true, {"shop-api", "production"}: true, {"shop", "staging"}: false, {"mail", "production"}: false} {
		if err := identity.Allowed(who.Identity, identity.DeploymentStart, where[0], where[1]); (err == nil) != want {
			t.Errorf("%v: %v", where, err)
		}
	}
	if identity.Allowed(who.Identity, identity.DeploymentApprove, "shop", "production") == nil || identity.SecondPerson(adg.Spec{Policy: adg.Policy{FourEyes: true}, Actor: who.Person}, identity.Identity{Person: "bob"}) != nil {
		t.Error("a webhook approves, or nobody may approve what it started")
	}
	if b.count["webhook:ci started"] != 1 {
		t.Errorf("counted %v", b.count)
	}
	if code, _ := b.send("ci", signed(before, event("2", "shop-api")), event("2", "shop-api")); code != http.StatusAccepted {
		t.Errorf("the secret before this one: %d", code)
	}
}

func TestForgedRepeatedAndForeignRequestsStartNothing(t *testing.T) {
	b := newBench(t)
	tagged, release := github(secret, "11111111-aaaa", "v2")
	if code, answer := b.send("github", tagged, release); code != http.StatusAccepted {
		t.Fatal(code, answer)
	}
	again := tagged.Clone()
	again.Set("X-Github-Delivery", "22222222-bbbb") // which no signature covers
	foreign, nightly := github(secret, "33333333-cccc", "nightly")
	forged, _ := github("some other secret", "44444444-dddd", "v3")
	good := event("1", "shop")
	for _, c := range []struct {
		name, hook string
		header     http.Header
		body       string
		code       int
		text       string
	}{
		{"the same delivery again", "github", tagged, release, http.StatusConflict, "before"},
		{"the same body under another delivery", "github", again, release, http.StatusConflict, "before"},
		{"a tag that is not of the binding", "github", foreign, nightly, http.StatusUnauthorized, "ref"},
		{"a wrong signature", "github", forged, release, http.StatusUnauthorized, "does not prove"},
		{"no signature", "ci", http.Header{}, good, http.StatusUnauthorized, "Adg-Signature"},
		{"another secret", "ci", signed("a secret of somebody else", good), good, http.StatusUnauthorized, "does not prove"},
		{"a changed body", "ci", signed(secret, good), good + " ", http.StatusUnauthorized, "does not prove"},
		{"a service of others", "ci", signed(secret, event("2", "mail")), event("2", "mail"), http.StatusUnauthorized, "service"},
		{"nonsense", "ci", signed(secret, "{"), "{", http.StatusBadRequest, ""},
		{"a webhook that there is none of", "nobody", signed(secret, good), good, http.StatusNotFound, "no webhook"},
		{"more than anybody reads", "ci", signed(secret, good), good + strings.Repeat(" ", intake.MaxBody), http.StatusBadRequest, "bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, answer := b.send(c.hook, c.header, c.body)
			if code != c.code || !strings.Contains(answer["error"], c.text) || strings.Contains(answer["error"], secret) {
				t.Errorf("%d %v", code, answer)
			}
		})
	}
	if len(b.started) != 1 {
		t.Errorf("%d deployments were started", len(b.started))
	}
	if code, answer := b.send("copy", tagged, release); code != http.StatusAccepted {
		t.Errorf("the same event at another webhook: %d %v", code, answer)
	}
}

func TestEventOfNoInterestIsNoError(t *testing.T) {
	b := newBench(t)
	header, body := github(secret, "11111111-aaaa", "v2")
	header.Set("X-Github-Event", "star")
	if code, answer := b.send("github", header, body); code != http.StatusOK || answer["ignored"] == "" {
		t.Error(code, answer)
	}
}

func TestRequestThatCameToNothingMayComeAgain(t *testing.T) {
	b := newBench(t)
	header, body := github(secret, "11111111-aaaa", "v2")
	for _, c := range []struct {
		err  error
		code int
	}{
		{adg.Errorf(adg.Unavailable, "the store hunter2"), http.StatusServiceUnavailable}, {adg.Errorf(adg.Internal, "hunter2"), http.StatusInternalServerError},
		{adg.Errorf(adg.NotFound, "there is no policy"), http.StatusNotFound},
	} {
		b.err = c.err
		if code, answer := b.send("github", header, body); code != c.code || strings.Contains(answer["error"], "hunter2") {
			t.Errorf("%v: %d %v", c.err, code, answer)
		}
	}
	b.err = nil
	if code, answer := b.send("github", header, body); code != http.StatusAccepted {
		t.Error(code, answer)
	}
	if code, answer := b.send("github", header, body); code != http.StatusConflict {
		t.Errorf("after it came to something: %d %v", code, answer)
	}
	kept, err := b.store.ListDocuments(t.Context(), adg.DocumentFilter{Kind: "webhook_request"})
	if err != nil || len(kept) != 2 {
		t.Fatal(kept, err)
	}
	for _, d := range kept {
		if days := time.Until(d.Expires).Hours() / 24; days < 29 || days > 30 {
			t.Errorf("%s is remembered for %.1f days", d.Key, days)
		}
	}
}

func TestOfManyAtOnceOneStarts(t *testing.T) {
	b := newBench(t)
	header, body := github(secret, "11111111-aaaa", "v2")
	codes := make([]int, 8)
	var all sync.WaitGroup
	b.hooks.Counted = nil
	for i := range codes {
		all.Go(func() { codes[i], _ = b.send("github", header, body) })
	}
	all.Wait()
	if len(b.started) != 1 {
		t.Errorf("%d were started: %v", len(b.started), codes)
	}
}

func TestWhoAsksTooOftenWaits(t *testing.T) {
	b := newBench(t)
	b.hooks.Rate = serve.NewRate(0.01, 1)
	header, body := github(secret, "11111111-aaaa", "v2")
	_, _ = b.send("github", header, body)
	if code, answer := b.send("github", header, body); code != http.StatusTooManyRequests {
		t.Error(code, answer)
	}
}

func TestANetworkOfIPv6IsOneAddress(t *testing.T) {
	b := newBench(t)
	b.hooks.Rate = serve.NewRate(0.01, 1)
	for _, c := range []struct {
		name, from string
		code       int
	}{
		{"the first address", "[2001:db8::1]:7", http.StatusNotFound},
		{"another of the same customer", "[2001:db8::ffff:0:0:2]:7", http.StatusTooManyRequests},
		{"somebody else", "[2001:db8:0:1::1]:7", http.StatusNotFound},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, announce.Path+"x", strings.NewReader(""))
		r.RemoteAddr = c.from
		w := httptest.NewRecorder()
		if b.hooks.ServeHTTP(w, r); w.Code != c.code {
			t.Errorf("%s: %d, not %d", c.name, w.Code, c.code)
		}
	}
}

func TestBrokersHearWhatMayComeAgain(t *testing.T) {
	b := newBench(t)
	handle := b.hooks.Handler("deployments", intake.Binding{Service: "shop", Environment: "*"})
	a := intake.Announcement{Service: "shop", Environment: "test", Version: "v2", IdempotencyKey: "k"}
	for code, permanent := range map[adg.Code]bool{
		adg.Internal: false, adg.Unavailable: false, adg.Invalid: true, adg.NotFound: true, adg.Conflict: true, adg.Unauthorized: true,
	} {
		b.err = adg.Errorf(code, "no")
		if err := handle(t.Context(), a); err == nil || adg.IsPermanent(err) != permanent {
			t.Errorf("%s: %v, permanent %t", code, err, adg.IsPermanent(err))
		}
	}
	b.err = nil
	if err := handle(t.Context(), a); err != nil || b.by[0].Subject != "intake:deployments" {
		t.Error(err, b.by)
	}
}
