package api_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/api"
	"github.com/deployguardian/adg/internal/config"
	"github.com/deployguardian/adg/internal/control"
	"github.com/deployguardian/adg/internal/identity"
	"github.com/deployguardian/adg/internal/identity/device"
	"github.com/deployguardian/adg/internal/notify"
	"github.com/deployguardian/adg/internal/oracle"
	"github.com/deployguardian/adg/internal/seal"
	"github.com/deployguardian/adg/internal/serve"
	"github.com/deployguardian/adg/internal/source"
	"github.com/deployguardian/adg/internal/store/sqlite"
	"github.com/deployguardian/adg/internal/target"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// starter stores what is started, as the guard does.
type starter struct{ store adg.Store }

func (s starter) Start(ctx context.Context, spec adg.Spec) (_ adg.Deployment, err error) {
	if spec.Created, err = s.store.Now(ctx); err != nil {
		return adg.Deployment{}, err
	}
	if err := s.store.CreateDeployment(ctx, adg.Deployment{ID: spec.ID, Spec: spec}); err != nil {
		return adg.Deployment{}, err
	}
	return s.store.Deployment(ctx, spec.ID)
}

func (starter) Plan(_ context.Context, spec adg.Spec) (adg.Spec, error) { return spec, nil }

func (starter) Gates(context.Context, adg.Deployment) ([]adg.Gate, error) { return nil, nil }

// bench is a server on a port of this machine, and people who may do things there.
type bench struct {
	*testing.T
	store   *sqlite.Store
	dir     string // of the store
	people  *identity.Directory
	control *control.Control
	address string
	end     func()
	admin   string // tokens
	viewer  string // of the shop only
}

// empty is the database of a store to which nobody has written: it takes less time to copy one than to make one.
var empty = sync.OnceValues(func() (database []byte, err error) {
	dir, err := os.MkdirTemp("", "adg-api")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	store, err := sqlite.Open(context.Background(), dir, sqlite.Options{})
	if err != nil {
		return nil, err
	}
	if err := store.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(dir, "adg.db"))
})

func newBench(t *testing.T, other ...func(*api.Options)) *bench {
	t.Helper()
	b := &bench{T: t, dir: t.TempDir()}
	database, err := empty()
	b.must(err)
	b.must(os.WriteFile(filepath.Join(b.dir, "adg.db"), database, 0o600))
	if b.store, err = sqlite.Open(t.Context(), b.dir, sqlite.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.store.Close() })
	people, err := identity.New(b.store, identity.Options{Argon: identity.Argon{Memory: 64, Passes: 1, Threads: 1}})
	b.must(err)
	b.people = people
	b.populate(people)
	key, err := seal.ParseKey(adg.NewSecret(seal.NewKey()))
	b.must(err)
	ring, err := seal.NewKeyring(key)
	b.must(err)
	c := control.New(control.Options{
		Store: b.store, Starter: starter{b.store}, Keyring: ring, Host: adg.Host{Dir: t.TempDir()},
		Drivers: config.Drivers{Sources: source.All, Targets: target.All, Notifiers: notify.All}, Predictor: oracle.New(oracle.Options{Store: b.store, Fresh: time.Nanosecond, Log: slog.New(slog.NewTextHandler(t.Output(), nil))}),
		Settings: []control.Setting{{Path: "data", Value: "/d", Origin: "file", Text: "t"}, {Path: "limits.burst", Value: "7", Origin: "flag", Text: "t"}, {Path: "limits.logins", Value: "20", Origin: "default", Text: "t"}},
		Features: []control.Feature{{Name: "oidc", Text: "t"}, {Name: "tls", Enabled: true, Text: "t"}},
	})
	b.control = c
	world := control.NewWorld(c, control.Wrap{})
	t.Cleanup(func() { _ = world.Close() })
	o := api.Options{
		Control: c, World: world, Directory: people, Devices: device.New(b.store), Store: b.store, Version: "v0", Local: true, Body: 1 << 20, Heartbeat: 50 * time.Millisecond,
		Rate: serve.NewRate(1000, 1000),
	}
	for _, change := range other {
		change(&o)
	}
	door, err := api.New(o)
	b.must(err)
	port, err := serve.Listen(t.Context(), serve.Options{Listen: "127.0.0.1:0"})
	b.must(err)
	b.address = port.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- port.Run(ctx, func(draining <-chan struct{}) http.Handler {
			h, err := door.Handler(draining)
			if err != nil {
				t.Error(err)
			}
			return h
		})
	}()
	b.end = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		b.end()
		_ = door.Close()
	})
	return b
}

// populate makes an admin of everything and a viewer of the shop, with tokens.
func (b *bench) populate(people *identity.Directory) {
	b.Helper()
	first, err := people.Bootstrap(b.Context())
	b.must(err)
	who, err := people.Authenticate(b.Context(), first.Reveal())
	b.must(err)
	by := identity.Caller{Identity: who}
	for name, binding := range map[string]identity.Binding{
		"ann": {Subject: "user:ann", Role: identity.Admin, Service: "*", Environment: "*"},
	} {
		b.must(people.CreateUser(b.Context(), by, name, adg.NewSecret("a long password")))
		b.must(people.Grant(b.Context(), by, binding))
	}
	ann, err := people.Identify(b.Context(), "ann")
	b.must(err)
	by = identity.Caller{Identity: ann}
	b.must(people.CreateUser(b.Context(), by, "vic", adg.NewSecret("a long password")))
	b.must(people.Grant(b.Context(), by, identity.Binding{Subject: "user:vic", Role: identity.Viewer, Service: "shop", Environment: "*"}))
	b.admin = b.token(people, "ann")
	b.viewer = b.token(people, "vic")
}

func (b *bench) token(people *identity.Directory, name string) string {
	b.Helper()
	who, err := people.Identify(b.Context(), name)
	b.must(err)
	secret, _, err := people.CreateToken(b.Context(), identity.Caller{Identity: who}, identity.NewToken{Label: "test"})
	b.must(err)
	return secret.Reveal()
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// ask makes a REST request and gives the status and the body back.
func (b *bench) ask(token, method, path, body string) (int, map[string]any) {
	b.Helper()
	r, err := http.NewRequestWithContext(b.Context(), method, "http://"+b.address+path, strings.NewReader(body))
	b.must(err)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := http.DefaultClient.Do(r)
	b.must(err)
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	b.must(err)
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		b.Fatalf("%s %s: %s: %s", method, path, answer.Status, text)
	}
	return answer.StatusCode, fields
}

func (b *bench) grpc() *grpc.ClientConn {
	b.Helper()
	conn, err := grpc.NewClient(b.address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	b.must(err)
	b.Cleanup(func() { _ = conn.Close() })
	return conn
}

func as(ctx context.Context, token string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
}

const policy = `service: shop\nenvironment: production\ntarget: hook\nchecks:\n- {name: errors, source: prom, query: 'errors{version=\"$version\"}', fail: \"> 5%\"}\nstrategy: recreate\n`

// furnish registers connections and a policy for the shop.
func (b *bench) furnish() {
	b.Helper()
	for _, body := range []string{
		`{"connection": {"name": "prom", "seam": "SEAM_SOURCE", "type": "prometheus", "options": {"url": "http://127.0.0.1:1"}, "secrets": {"bearer_token": "hunter2"}, "services": ["shop"], "environments": ["*"]}, "reason": "r"}`,
		`{"connection": {"name": "hook", "seam": "SEAM_TARGET", "type": "webhook", "options": {"url": "http://127.0.0.1:1/x"}, "services": ["*"], "environments": ["production"]}, "reason": "r"}`,
	} {
		if code, answer := b.ask(b.admin, "POST", "/v1/connections", body); code != 200 || strings.Contains(string(mustJSON(answer)), "hunter2") {
			b.Fatalf("%d %v", code, answer)
		}
	}
	if code, answer := b.ask(b.admin, "PUT", "/v1/policies/shop/production", `{"reason": "first", "text": "`+policy+`"}`); code != 200 {
		b.Fatalf("%d %v", code, answer)
	}
}

func mustJSON(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return text
}

const start = `{"environment": "production", "release": {"service": "shop", "version": "v2"}, "reason": "release day", "idempotencyKey": "build 7"}`

func TestDeploymentIsTheSameByRESTAndGRPC(t *testing.T) {
	b := newBench(t)
	b.furnish()
	code, d := b.ask(b.admin, "POST", "/v1/deployments", start)
	if code != 200 {
		t.Fatalf("%d %v", code, d)
	}
	id, _ := d["id"].(string)
	if again, same := b.ask(b.admin, "POST", "/v1/deployments", start); again != 200 || same["id"] != id {
		t.Errorf("the same request again: %d %v", again, same)
	}
	got, err := adgv1.NewDeploymentServiceClient(b.grpc()).GetDeployment(as(t.Context(), b.viewer), &adgv1.GetDeploymentRequest{Id: id})
	b.must(err)
	if got.GetRelease().GetVersion() != "v2" || got.GetActor() != "ann" || got.GetReason() != "release day" || got.GetStatus().GetState() != adgv1.State_STATE_PENDING {
		t.Errorf("%v", got)
	}
	for _, p := range got.GetStatus().GetPermits() {
		if p.GetAllowed() {
			t.Errorf("a viewer may %s", p.GetAction())
		}
	}
	if code, list := b.ask(b.viewer, "GET", "/v1/deployments?services=shop&live=true", ""); code != 200 || len(list["deployments"].([]any)) != 1 {
		t.Errorf("%d %v", code, list)
	}
	etag, _ := d["etag"].(string)
	if code, answer := b.ask(b.admin, "POST", "/v1/deployments/"+id+":hold", `{"reason": "wait", "etag": "`+etag+`"}`); code != 200 {
		t.Errorf("%d %v", code, answer)
	}
	if code, answer := b.ask(b.admin, "POST", "/v1/deployments/"+id+":hold", `{"reason": "wait", "etag": "old"}`); code != 409 {
		t.Errorf("a command on what is not any more: %d %v", code, answer)
	}
}

func TestAWayOutOfItsOwnStandsInPlaceOfTheGenericOne(t *testing.T) {
	b := newBench(t)
	b.furnish()
	for _, c := range []struct {
		name, token, method, path, body string
		sentence, wayOut                string
	}{
		{"no policy", b.admin, "GET", "/v1/policies/nobody/production", "", "there is no policy for nobody in production", "adg policy push puts one"},
		{"no right", b.viewer, "GET", "/v1/connections", "", "which takes the role admin there", "make a token with a wider scope, or ask an admin of everything for the role"},
		{"no login", "", "GET", "/v1/deployments", "", "this needs a login", "send a token as Authorization: Bearer adg_…"},
		{"none of its own", b.admin, "GET", "/v1/deployments/nothing", "", "nothing", "look at the list for what there is"},
	} {
		_, answer := b.ask(c.token, c.method, c.path, c.body)
		details, _ := answer["details"].([]any)
		if len(details) == 0 {
			t.Errorf("%s: %v", c.name, answer)
			continue
		}
		detail, _ := details[0].(map[string]any)
		if sentence, _ := detail["sentence"].(string); !strings.Contains(sentence, c.sentence) || strings.Contains(sentence, c.wayOut) || detail["wayOut"] != c.wayOut {
			t.Errorf("%s: %v", c.name, detail)
		}
	}
}

func TestErrorsSayWhatAndTheWayOut(t *testing.T) {
	b := newBench(t)
	b.furnish()
	for _, c := range []struct {
		name, token, method, path, body string
		code                            int
		say                             string
	}{
		{"nobody", "", "GET", "/v1/deployments", "", 401, "needs a login"},
		{"a token that is none", "adg_wrong", "GET", "/v1/deployments", "", 401, ""},
		{"who may not", b.viewer, "POST", "/v1/deployments", start, 403, "deployment.start"},
		{"what is not there", b.admin, "GET", "/v1/deployments/nothing", "", 404, "nothing"},
		{"what somebody may not see", b.viewer, "GET", "/v1/connections", "", 403, "connection.read"},
		{"a command without a reason", b.admin, "POST", "/v1/deployments/x:hold", `{}`, 400, "say why, it stands on record"},
		{"an unknown field", b.admin, "POST", "/v1/deployments", `{"enviroment": "production"}`, 400, "enviroment"},
		{"a policy that is none", b.admin, "PUT", "/v1/policies/shop/production", `{"reason": "r", "text": "service: shop\nenvironment: production\nchecks: 7"}`, 400, "checks"},
		{"an old etag", b.admin, "PUT", "/v1/policies/shop/production", `{"reason": "r", "text": "` + policy + `"}`, 409, "is the newest"},
		{"a page that is none", b.admin, "GET", "/v1/deployments?pageToken=x", "", 400, ""},
	} {
		code, answer := b.ask(c.token, c.method, c.path, c.body)
		text := string(mustJSON(answer))
		if code != c.code || !strings.Contains(text, c.say) {
			t.Errorf("%s: %d %s", c.name, code, text)
		}
		if !strings.Contains(text, `"wayOut"`) {
			t.Errorf("%s: no way out: %s", c.name, text)
		}
	}
	for _, body := range []string{`{"service": 7`, `[]`, `{"enviroment": "production"}`, `{"service": {"name": "shop"}}`} {
		code, answer := b.ask(b.admin, "POST", "/v1/deployments", body)
		text := string(mustJSON(answer))
		if code != 400 || !strings.Contains(text, `"ERROR_CODE_INVALID"`) || !strings.Contains(text, "correct what is named") || strings.Contains(text, "proto:") {
			t.Errorf("%s: %d %s", body, code, text)
		}
		if strings.Contains(body, "enviroment") && !strings.Contains(text, `"field":"enviroment"`) {
			t.Errorf("the field that does not exist is not named: %s", text)
		}
	}
	if code, answer := b.ask(b.admin, "GET", "/v1/nothing", ""); code != 404 || !strings.Contains(string(mustJSON(answer)), "/docs/api") {
		t.Errorf("an address that does not exist: %d %v", code, answer)
	}
	if code, answer := b.ask(b.admin, "PUT", "/v1/policies/shop/production", `{"reason": "r", "text": "service: shop\nenvironment: production\nchecks: 7"}`); code != 400 || !strings.Contains(string(mustJSON(answer)), `"fieldViolations"`) {
		t.Errorf("the fields that are wrong are not named: %v", answer)
	}
}

func TestTextsThatNobodyWritesByHandAreRefused(t *testing.T) {
	b := newBench(t)
	b.furnish()
	long := strings.Repeat("x", 5000)
	for name, c := range map[string]struct{ method, path, body, field string }{
		"a reason":             {"POST", "/v1/deployments/x:hold", `{"reason": "` + long + `"}`, "reason"},
		"an emergency":         {"POST", "/v1/deployments", strings.Replace(start, "{", `{"emergency": "`+long+`", `, 1), "emergency"},
		"one of many services": {"GET", "/v1/deployments?services=" + long, "", "services"},
	} {
		code, answer := b.ask(b.admin, c.method, c.path, c.body)
		text := string(mustJSON(answer))
		if code != 400 || !strings.Contains(text, "may have 4096") || !strings.Contains(text, `"field":"`+c.field) || len(text) > 2000 {
			t.Errorf("%s: %d %.300s", name, code, text)
		}
	}
	file := "service: shop\nenvironment: production\n# " + long + "\nchecks: 7"
	if code, answer := b.ask(b.admin, "PUT", "/v1/policies/shop/production", string(mustJSON(map[string]any{"reason": "r", "text": file}))); code != 400 || strings.Contains(string(mustJSON(answer)), "4096") {
		t.Errorf("a file may be long: %d %v", code, answer)
	}
	code, answer := b.ask(b.admin, "PUT", "/v1/policies/shop/production", string(mustJSON(map[string]any{"reason": "r", "text": "service: shop\nenvironment: production\n" + strings.Repeat("x", 300_000) + ": 1"})))
	if text := string(mustJSON(answer)); code != 400 || len(text) > 100_000 {
		t.Errorf("an error about a long name: %d, %d bytes", code, len(text))
	}
}

func TestLargeRequestsAreRefused(t *testing.T) {
	b := newBench(t)
	r, err := http.Post("http://"+b.address+"/v1/policies/shop/production", "application/json", bytes.NewReader(make([]byte, 2<<20))) //nolint:noctx // ended by the server
	b.must(err)
	_ = r.Body.Close()
	if r.StatusCode != http.StatusRequestEntityTooLarge {
		t.Error(r.Status)
	}
	_, err = adgv1.NewPolicyServiceClient(b.grpc()).LintPolicy(as(t.Context(), b.admin), &adgv1.LintPolicyRequest{Text: strings.Repeat("x", 2<<20)})
	if status.Code(err) != codes.ResourceExhausted {
		t.Error(err)
	}
}

func TestEventsStreamAndGoOnWhereTheyWereCutOff(t *testing.T) {
	b := newBench(t)
	b.furnish()
	code, d := b.ask(b.admin, "POST", "/v1/deployments", start)
	if code != 200 {
		t.Fatal(d)
	}
	tell := func(id string, kind adg.FactKind) {
		t.Helper()
		work, err := b.store.Take(t.Context(), "test", time.Minute, 1)
		b.must(err)
		now, err := b.store.Now(t.Context())
		b.must(err)
		w := work[0]
		next := w.Deployment.Status
		next.Due = now
		_, err = b.store.Commit(t.Context(), adg.Tick{
			Lease: w.Lease, Version: w.Deployment.Version, Before: w.Deployment.Status, Input: adg.Input{Now: now}, GiveBack: true,
			Decision: adg.Decision{At: now, Next: next, Facts: []adg.Fact{{ID: id, Deployment: w.Deployment.ID, Kind: kind, At: now, Service: "shop", Environment: "production", Text: "so it is"}}},
		})
		b.must(err)
	}
	tell("f1", adg.FactStarted)
	stream := func(token, after, last string) (*http.Response, *bufio.Scanner) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+b.address+"/v1/events:stream"+after, nil)
		b.must(err)
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Accept", "text/event-stream")
		if last != "" {
			r.Header.Set("Last-Event-ID", last)
		}
		answer, err := http.DefaultClient.Do(r)
		b.must(err)
		if kind := answer.Header.Get("Content-Type"); answer.StatusCode != http.StatusOK || kind != "text/event-stream" {
			t.Fatalf("%s %s", answer.Status, kind)
		}
		return answer, bufio.NewScanner(answer.Body)
	}
	next := func(lines *bufio.Scanner) (id, data string) {
		t.Helper()
		for lines.Scan() {
			line := lines.Text()
			if found, ok := strings.CutPrefix(line, "id: "); ok {
				id = found
			}
			if found, ok := strings.CutPrefix(line, "data: "); ok && strings.Contains(found, `"fact"`) {
				return id, found
			}
		}
		t.Fatalf("the stream ended: %v", lines.Err())
		return "", ""
	}
	answer, lines := stream(b.viewer, "?after=0&kinds=FACT_KIND_STARTED", "")
	id, data := next(lines)
	if !strings.Contains(data, `"f1"`) || id == "" {
		t.Errorf("%s %s", id, data)
	}
	_ = answer.Body.Close()
	tell("f2", adg.FactHeld)
	answer, lines = stream(b.viewer, "", id)
	if _, data := next(lines); !strings.Contains(data, `"f2"`) {
		t.Errorf("after %s: %s", id, data)
	}
	// The end of the server is told, not only seen.
	ended := make(chan string, 1)
	go func() {
		var rest strings.Builder
		for lines.Scan() {
			rest.WriteString(lines.Text())
		}
		ended <- rest.String()
	}()
	b.end()
	<-ended
	_ = answer.Body.Close()
}

func TestHealthIsForEverybodyAndTheRestIsNot(t *testing.T) {
	b := newBench(t)
	conn := b.grpc()
	h, err := healthv1.NewHealthClient(conn).Check(t.Context(), &healthv1.HealthCheckRequest{})
	if err != nil || h.GetStatus() != healthv1.HealthCheckResponse_SERVING {
		t.Errorf("%v %v", h, err)
	}
	if _, err := adgv1.NewSystemServiceClient(conn).GetVersion(t.Context(), &adgv1.GetVersionRequest{}); err != nil {
		t.Error(err)
	}
	_, err = adgv1.NewSystemServiceClient(conn).GetSystemHealth(t.Context(), &adgv1.GetSystemHealthRequest{})
	if status.Code(err) != codes.Unauthenticated {
		t.Error(err)
	}
	// What the gateway alone may say counts for nothing from outside.
	forged := metadata.AppendToOutgoingContext(as(t.Context(), b.admin), "adg-from", "203.0.113.9")
	_, err = adgv1.NewLineServiceClient(conn).StopLine(forged, &adgv1.StopLineRequest{Reason: "fire"})
	b.must(err)
	entries, err := b.store.Audit(t.Context(), adg.AuditFilter{Action: "stop.put"})
	b.must(err)
	if len(entries) != 1 || entries[0].From != "127.0.0.1" || entries[0].Reason != "fire" {
		t.Errorf("on record: %+v", entries)
	}
}
