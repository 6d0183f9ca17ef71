package scenarios

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/deployguardian/adg/internal/identity/firstadmin"
	"github.com/deployguardian/adg/internal/store/postgres/pgtest"
)

// canaries are secrets in every place of a server that holds one. They hold characters that look different in each
// encoding.
var canaries = map[string]string{
	"ADG_METRICS_TOKEN":  "canary+metrics/token=a1b2&x",
	"ADG_OIDC_SECRET":    "canary+oidc/secret=b2c3&x",
	"ADG_WEBHOOK_SECRET": "canary+webhook/secret=c3d4&x",
	"ADG_OTLP_HEADER":    "canary+otlp/header=d4e5&x",
	"ADG_SECRET_WEB":     "canary+connection/env=e5f6&x",
	"bearer":             "canary+connection/bearer=f6a7&x",
	"basic":              "canary+connection/basic=a7b8&x",
	"header":             "canary+connection/header=b8c9&x",
	"program":            "canary+connection/program=c9d0&x",
	"target":             "canary+connection/target=d0e1&x",
	"notifier":           "canary+connection/notifier=e1f2&x",
	"slack":              "canary-connection-slack-f2a3f2a3",
	"url":                "canary-connection-url-a3b4a3b4",
	"password":           "canary+user/password=b4c5&x",
	"wrong password":     "canary+wrong/password=c5d6&x",
	"wrong token":        "adg_aaaaaaaaaaaaa_canarywrongtokend6e7d6e7d6e7d6e7",
	"wrong session":      "canary-wrong-session-e7f8e7f8",
	"postgres":           "canary-postgres-password-f8a9",
	"file":               "canary+connection/file=a9b0&x",
	"git token":          "canary+git/token=b0c1&x",
	"git address":        "canary-git-address-c1d2c1d2",
	"own header":         "canary+connection/own=d2e3&x",
	"asked for":          "canary-asked-for-e3f4e3f4",
	"asked with":         "canary-asked-with-f4a5f4a5",
}

// echo refuses everything, and answers with all that it was sent, in several encodings.
func echo(t *testing.T, sent *collected) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		sent.add(r.URL.Path, body)
		_, password, _ := r.BasicAuth()
		w.Header().Set("X-Echo", r.Header.Get("Authorization"))
		w.WriteHeader(http.StatusForbidden)
		said := []string{r.URL.String(), password, string(body)}
		for _, values := range r.Header {
			for _, v := range values {
				_, word, _ := strings.Cut(v, " ")
				said = append(said, v, word)
			}
		}
		for _, one := range said {
			for _, form := range forms(one) {
				_, _ = fmt.Fprintf(w, "denied: %s\n", form)
			}
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// collected is what others were sent, by the path that it was sent to.
type collected struct {
	mu   sync.Mutex
	text map[string]string
	more chan struct{} // closed at the next
}

func (c *collected) add(path string, body []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text[path] += string(body)
	close(c.more)
	c.more = make(chan struct{})
}

// until waits for a text that is sent to a path.
func (c *collected) until(t *testing.T, path, text string) {
	t.Helper()
	late := time.After(time.Minute)
	for {
		c.mu.Lock()
		said, more := c.text[path], c.more
		c.mu.Unlock()
		if strings.Contains(said, text) {
			return
		}
		select {
		case <-more:
		case <-late:
			t.Fatalf("%s was not told of any %s: %.300s", path, text, said)
		}
	}
}

func (c *collected) at(path string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text[path]
}

// guarded is a server under way, and everything that came out of it.
type guarded struct {
	*testing.T
	dir, address string
	client       *http.Client
	dsn          string            // of its store; empty: SQLite
	secrets      map[string]string // the canaries, and those that the server made
	put          map[string]string // by where it came out
	register     func(name, seam, kind, options, secrets string)
}

func (g *guarded) path(name string) string { return filepath.Join(g.dir, name) }

func (g *guarded) write(name, text string, mode fs.FileMode) {
	g.Helper()
	if err := os.MkdirAll(filepath.Dir(g.path(name)), 0o700); err != nil {
		g.Fatal(err)
	}
	if err := os.WriteFile(g.path(name), []byte(text), mode); err != nil {
		g.Fatal(err)
	}
}

func (g *guarded) environment() []string {
	env := append(os.Environ(), "PATH="+os.Getenv("PATH"))
	for name, secret := range canaries {
		if strings.HasPrefix(name, "ADG_") {
			env = append(env, name+"="+secret)
		}
	}
	return env
}

// program runs adg to its end.
func (g *guarded) program(args ...string) {
	g.Helper()
	run := exec.CommandContext(g.Context(), adg, args...)
	run.Env = g.environment()
	if g.address != "" {
		run.Env = append(run.Env, "ADG_SERVER="+g.address, "ADG_TOKEN="+g.secrets["token"])
	}
	out, _ := run.CombinedOutput() // what it says is looked at, and it may refuse
	g.put["adg "+strings.Join(args, " ")] = string(out)
}

// ask sends a request and keeps the answer, unless it is where a secret is given to whom it is for.
func (g *guarded) ask(want int, method, path, body string, headers ...string) map[string]any {
	g.Helper()
	code, text, header := g.send(method, path, body, headers...)
	if want != 0 && code != want {
		g.Errorf("%s %s: %d %s", method, path, code, text)
	}
	if path != "/v1/login" && path != "/v1/tokens" || code != http.StatusOK {
		g.put[fmt.Sprintf("%s %s #%d", method, path, len(g.put))] = header + text
	}
	var fields map[string]any
	_ = json.Unmarshal([]byte(text), &fields)
	return fields
}

func (g *guarded) send(method, path, body string, headers ...string) (int, string, string) {
	g.Helper()
	r, err := http.NewRequestWithContext(g.Context(), method, g.address+path, strings.NewReader(body))
	if err != nil {
		g.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer, err := g.client.Do(r)
	if err != nil {
		g.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		g.Fatal(err)
	}
	return answer.StatusCode, string(text), fmt.Sprint(answer.Header)
}

// start starts the server and gives what it prints back.
func (g *guarded) start() (out, log *bytes.Buffer, end func()) {
	g.Helper()
	out, log = &bytes.Buffer{}, &bytes.Buffer{}
	server := exec.Command(adg, "server", "--config", g.path("adg.yaml"))
	server.Env, server.Stderr = g.environment(), log
	printed, err := server.StdoutPipe()
	if err != nil {
		g.Fatal(err)
	}
	if err := server.Start(); err != nil {
		g.Fatal(err)
	}
	g.Cleanup(func() { _ = server.Process.Kill() })
	buffer := make([]byte, 4096)
	for whereItIs.FindSubmatch(out.Bytes()) == nil {
		n, err := printed.Read(buffer)
		if out.Write(buffer[:n]); err != nil {
			_ = server.Wait()
			g.Fatalf("the server did not start: %s%s", out, log)
		}
	}
	g.address = string(whereItIs.FindSubmatch(out.Bytes())[1])
	return out, log, func() {
		g.Helper()
		_ = server.Process.Signal(syscall.SIGTERM)
		rest, _ := io.ReadAll(printed)
		out.Write(rest)
		if err := server.Wait(); err != nil {
			g.Errorf("the server ended with %v", err)
		}
	}
}

func TestSecretsOfAServerComeOutNowhere(t *testing.T) {
	t.Parallel()
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		guardSecrets(t, "").search()
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		dsn := pgtest.OverTCP(t, pgtest.Database(t))
		began := time.Now()
		g := guardSecrets(t, dsn)
		dump := g.path("dump.sql")
		pgtest.Run(t, "pg_dump", "--dbname", dsn, "--file", dump)
		text, err := os.ReadFile(dump)
		if err != nil {
			t.Fatal(err)
		}
		g.put["pg_dump"] = string(text)
		if !strings.Contains(g.put["pg_dump"], "ann") || !strings.Contains(g.put["pg_dump"], `\x`) {
			t.Error("the dump holds nothing of the server")
		}
		pages := 0
		for _, path := range pgtest.Files(t, dsn) {
			about, err := os.Stat(path)
			if err == nil && about.ModTime().Before(began.Add(-time.Second)) {
				continue // it was there before
			}
			text, err := os.ReadFile(path)
			if errors.Is(err, fs.ErrNotExist) {
				continue // the server does not need it any more
			}
			if err != nil {
				t.Fatal(err)
			}
			pages += strings.Count(string(text), "policy-head")
			g.put[path] = string(text)
		}
		if pages < 2 { // in a table and in the write-ahead log
			t.Errorf("the files of the database hold what was stored %d times", pages)
		}
		g.search()
	})
}

// guardSecrets is a server that was given the secrets, has used them all, and has ended.
func guardSecrets(t *testing.T, dsn string) *guarded {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	g := &guarded{T: t, dir: t.TempDir(), dsn: dsn, client: &http.Client{Jar: jar, Timeout: 30 * time.Second}, secrets: maps.Clone(canaries), put: map[string]string{}}
	if dsn != "" {
		g.secrets["store"] = pgtest.Password(t)
	}
	sent := &collected{text: map[string]string{}, more: make(chan struct{})}
	g.furnish(echo(t, sent))
	out, log, end := g.start()
	first := string(firstadmin.Token.Find(out.Bytes()))
	g.secrets["first token"] = first
	g.people(first)
	g.deploy()
	g.look()
	g.follow()
	sent.until(t, "/hook", ".started.v1")
	sent.until(t, "/hook", ".changed.v1")
	end()
	sent.until(t, "/v1/traces", "DeploymentService")
	g.put["stdout"] = strings.ReplaceAll(out.String(), first, "") // said to who starts it, once
	g.put["log"] = log.String()
	g.put["hook"], g.put["traces"] = sent.at("/hook"), sent.at("/v1/traces")
	if !strings.Contains(g.put["log"], map[bool]string{true: "level=", false: `"level":`}[dsn == ""]) {
		t.Error("the log says nothing")
	}
	return g
}

// furnish writes the configuration, and has it checked.
func (g *guarded) furnish(echo string) {
	g.Helper()
	key, err := exec.CommandContext(g.Context(), adg, "key", "new").Output()
	if err != nil {
		g.Fatal(err)
	}
	g.write("seal.key", string(key), 0o600)
	g.secrets["seal key"] = strings.TrimSpace(string(key))
	g.write("data/secrets/web.token", canaries["file"]+"\n", 0o600)
	g.write("errors", "#!/bin/sh\nenv | grep -v '^TOKEN=' >> "+g.path("environment")+"\necho \"my token is $TOKEN\" >&2\nexit 1\n", 0o755)
	g.write("apply", "#!/bin/sh\nenv | grep -v '^TOKEN=' >> "+g.path("environment")+"\ncat >/dev/null\necho \"$TOKEN\" \"$(printf %s \"$TOKEN\" | base64)\" >&2\nexit 1\n", 0o755)
	g.write("current", "#!/bin/sh\nprintf '{\"releases\":[{\"version\":\"v1\",\"share\":100}],\"done\":true,\"text\":\"token %s\"}\\n' \"$TOKEN\"\n", 0o755)
	format := map[bool]string{true: "text", false: "json"}[g.dsn == ""]
	config := strings.NewReplacer("HERE", g.dir, "ECHO", echo, "LOG", format).Replace(`listen: 127.0.0.1:0
insecure_http: true
data: HERE/data
base_url: http://127.0.0.1:8443
seal: {active: {file: HERE/seal.key}}
log: {level: debug, format: LOG}
guard: {poll: 50ms}
changes: {notify: [hook]}
commands: {allow: [HERE/errors, HERE/apply, HERE/current]}
oidc: {house: {issuer: ECHO, client_id: adg, client_secret: {env: ADG_OIDC_SECRET}}}
webhooks: {hub: {type: github, secret: {env: ADG_WEBHOOK_SECRET}, service: shop, environment: test, rules: [{event: release, repository: example/shop, service: shop, environment: test}]}}
metrics: {token: {env: ADG_METRICS_TOKEN}}
telemetry: {endpoint: ECHO, headers: {authorization: {env: ADG_OTLP_HEADER}}, sample: 100%}
`)
	chosen := config
	if g.dsn != "" {
		g.write("store.dsn", g.dsn, 0o600)
		chosen += "store: {postgres: {dsn: {file: " + g.path("store.dsn") + "}}}\n"
	}
	g.write("adg.yaml", chosen, 0o600)
	g.program("config", "check", "--config", g.path("adg.yaml"))
	g.program("config", "example")
	g.write("broken.yaml", strings.Replace(config, "guard:", "store: {postgres: {dsn: {file: "+g.path("dsn")+"}}}\nguard:", 1), 0o600)
	g.write("dsn", "postgres://adg:"+canaries["postgres"]+"@127.0.0.1:1/adg?connect_timeout=1&sslmode=nonsense", 0o600)
	g.program("config", "check", "--config", g.path("broken.yaml"))
	g.program("server", "--config", g.path("broken.yaml"))
	g.write("dsn", "postgres://adg:"+canaries["postgres"]+"@127.0.0.1:1/adg?connect_timeout=1", 0o600)
	g.program("server", "--config", g.path("broken.yaml"))
	g.register = func(name, seam, kind, options, secrets string) {
		g.Helper()
		options = strings.NewReplacer("HERE", g.dir, "ECHO", echo).Replace(options)
		g.ask(0, "POST", "/v1/connections", fmt.Sprintf(`{"connection": {"name": %q, "seam": %q, "type": %q, "options": %s, "secrets": %s, "services": ["*"], "environments": ["*"]}, "reason": "r"}`,
			name, seam, kind, options, secrets))
	}
}

// people logs the first admin in.
func (g *guarded) people(first string) {
	g.Helper()
	word := strings.ReplaceAll(canaries["password"], `"`, "")
	as := []string{"Authorization", "Bearer " + first}
	g.ask(200, "POST", "/v1/users", `{"name": "ann", "password": "`+word+`", "reason": "r", "idempotencyKey": "1"}`, as...)
	g.ask(409, "POST", "/v1/users", `{"name": "ann", "password": "`+word+`", "reason": "r"}`, as...)
	g.ask(200, "POST", "/v1/bindings", `{"subject": "user:ann", "role": "admin", "service": "*", "environment": "*", "reason": "r"}`, as...)
	g.ask(401, "POST", "/v1/login", `{"name": "ann", "password": "`+canaries["wrong password"]+`"}`)
	g.ask(400, "POST", "/v1/login", `{"name": "ann", "password": "`+canaries["wrong password"]+`", "x": 1}`)
	g.ask(401, "GET", "/v1/me", "", "Authorization", "Bearer "+canaries["wrong token"])
	g.ask(401, "GET", "/v1/me", "", "Cookie", "adg_session="+canaries["wrong session"])
	g.ask(401, "GET", "/metrics", "", "Authorization", "Bearer "+canaries["wrong token"])
	g.ask(200, "POST", "/v1/login", `{"name": "ann", "password": "`+word+`"}`)
	at, err := url.Parse(g.address)
	if err != nil {
		g.Fatal(err)
	}
	for _, c := range g.client.Jar.Cookies(at) {
		g.secrets["session"] = c.Value
	}
	for range 2 { // the second time is the answer of the first
		answer := g.ask(200, "POST", "/v1/tokens", `{"name": "ci", "role": "admin", "service": "*", "environment": "*", "reason": "r", "idempotencyKey": "t"}`)
		if secret, given := answer["secret"].(string); given && secret != "" {
			g.secrets["token"] = secret
		}
	}
	if g.secrets["session"] == "" || g.secrets["token"] == "" {
		g.Error("there is no session, or no token")
	}
	g.ask(401, "POST", "/v1/me:change-password", `{"current": "`+canaries["wrong password"]+`", "wanted": "a long new password"}`)
}

// deploy registers connections that hold secrets, and has a deployment use them all and fail.
func (g *guarded) deploy() {
	g.Helper()
	secret := func(pairs ...string) string {
		given := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			given[pairs[i]] = canaries[pairs[i+1]]
		}
		text, _ := json.Marshal(given)
		return string(text)
	}
	g.register("prom", "SEAM_SOURCE", "prometheus", `{"url": "ECHO"}`, secret("bearer_token", "bearer", "headers.x-key", "header", "headers.authorization-2", "own header"))
	g.register("basic", "SEAM_SOURCE", "http", `{"url": "ECHO", "basic_auth": {"username": "adg"}}`, secret("basic_auth.password", "basic"))
	g.register("web", "SEAM_SOURCE", "http", `{"url": "ECHO", "bearer_token": {"env": "ADG_SECRET_WEB"}}`, `{}`)
	g.register("file", "SEAM_SOURCE", "http", `{"url": "ECHO", "bearer_token": {"file": "web.token"}}`, `{}`)
	g.register("program", "SEAM_SOURCE", "command", `{"path": "HERE/errors"}`, secret("secret_env.TOKEN", "program"))
	g.register("shop", "SEAM_TARGET", "command", `{"apply": {"path": "HERE/apply"}, "current": {"path": "HERE/current"}}`, secret("secrets.TOKEN", "target"))
	g.register("hook", "SEAM_NOTIFIER", "webhook", `{"url": "ECHO/hook"}`, secret("secret", "notifier"))
	g.register("slack", "SEAM_NOTIFIER", "slack", `{}`, `{"url": "https://127.0.0.1:1/services/T/B/`+canaries["slack"]+`"}`)
	g.register("inurl", "SEAM_SOURCE", "prometheus", `{"url": "http://adg:`+canaries["url"]+`@127.0.0.1:1/"}`, `{}`)
	g.register("repo", "SEAM_TARGET", "git", `{"repository": "ECHO/shop.git", "branch": "main", "version": {"file": "v.yaml", "path": "v"}}`, secret("token", "git token"))
	g.register("repoinurl", "SEAM_TARGET", "git", `{"repository": "https://adg:`+canaries["git address"]+`@127.0.0.1:1/shop.git", "branch": "main", "version": {"file": "v.yaml", "path": "v"}}`, `{}`)
	g.register("bad", "SEAM_SOURCE", "prometheus", `{"url": "http://127.0.0.1:1", "bearer_token": "`+canaries["bearer"]+`"}`, `{}`)
	g.register("worse", "SEAM_SOURCE", "prometheus", `{"url": "ECHO"}`, secret("no_such_option", "bearer"))
	var checks strings.Builder
	for _, name := range []string{"prom", "basic", "web", "file", "program"} {
		query := map[string]string{"prom": `errors{version="$version"}`, "program": "errors"}[name]
		if query == "" {
			query = "/health"
		}
		fmt.Fprintf(&checks, "- {name: %s, source: %s, query: '%s', %s, interval: 100ms, critical: true}\n", name, name, query,
			map[bool]string{true: "compare: probe", false: `fail: "> 10%", window: 2s`}[query == "/health"])
	}
	notify := "[hook]"
	if strings.Contains(g.answered("/v1/connections/slack"), `"slack"`) {
		notify = "[hook, slack]"
	}
	policy := "service: shop\nenvironment: test\ntarget: shop\nchecks:\n" + checks.String() + "strategy: {recreate: {bake: 300ms}}\ninterval: 100ms\nhistory: 1s\ndeadline: 3s\nat_deadline: page\n" +
		"verify: [{phase: immediate, for: 300ms, interval: 100ms}]\nrollback: {trust: observe}\nnotify: " + notify + "\n"
	text, _ := json.Marshal(policy)
	g.ask(200, "PUT", "/v1/policies/shop/test", `{"reason": "r", "text": `+string(text)+`}`)
	d := g.ask(200, "POST", "/v1/deployments", `{"environment": "test", "release": {"service": "shop", "version": "v2"}, "previous": "v1", "reason": "r", "idempotencyKey": "d"}`)
	id := fmt.Sprint(d["id"])
	for began := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		now := g.ask(200, "GET", "/v1/deployments/"+id, "")
		status, _ := now["status"].(map[string]any)
		if state := fmt.Sprint(status["state"]); state == "STATE_UNDECIDED" || state == "STATE_ROLLED_BACK" || state == "STATE_BLOCKED" || state == "STATE_ROLLBACK_FAILED" {
			break
		}
		if time.Since(began) > time.Minute {
			g.Logf("it is still %v", status["state"])
			break
		}
	}
	for _, path := range []string{"checks", "measurements", "assessments", "decisions", "decisions/1", "decisions:replay", "effects", "gates", "baselines", "facts", "rollback-plan", "report"} {
		g.ask(0, "GET", "/v1/deployments/"+id+"/"+path, "")
	}
	g.ask(0, "POST", "/v1/deployments/"+id+":cancel", `{"reason": "r"}`)
	g.ask(0, "POST", "/v1/deployments/"+id+":replay", `{}`)
	for _, name := range []string{"prom", "web", "program", "shop", "hook", "slack", "basic", "file", "inurl", "repo", "repoinurl"} {
		g.ask(0, "POST", "/v1/connections/"+name+":test", `{"reason": "r"}`)
	}
	g.ask(0, "POST", "/v1/policies/shop/test:test", `{}`)
}

// look reads everything that can be read.
func (g *guarded) look() {
	g.Helper()
	for _, path := range []string{
		"/v1/connections", "/v1/connections/prom", "/v1/drivers", "/v1/policies", "/v1/policies/shop/test", "/v1/policies/shop/test/versions", "/v1/deployments", "/v1/events", "/v1/audit", "/v1/audit:verify",
		"/v1/users", "/v1/users/ann", "/v1/tokens", "/v1/sessions", "/v1/bindings", "/v1/me", "/v1/stops", "/v1/holds", "/v1/releases", "/v1/freezes", "/v1/settings", "/v1/features", "/v1/setup", "/v1/health", "/v1/system/health", "/v1/system/replicas", "/v1/system/settings", "/v1/system/features", "/v1/system/setup", "/v1/events?page_size=1000", "/v1/audit?page_size=1000", "/v1/deliveries:dead",
		"/v1/deliveries", "/v1/services", "/v1/services/shop", "/v1/environments", "/v1/predictions", "/v1/models", "/openapi.json", "/login", "/login/oidc/house", "/login/oidc/house/callback?code=x&state=y", "/hooks/hub",
	} {
		g.ask(0, "GET", path, "")
	}
	g.ask(200, "GET", "/metrics", "", "Authorization", "Bearer "+canaries["ADG_METRICS_TOKEN"])
	for _, path := range []string{"/hooks/" + canaries["asked for"], "/v1/" + canaries["asked for"], "/v1/me?access_token=" + canaries["asked with"], "/hooks/hub?token=" + canaries["asked with"]} {
		for _, method := range []string{"GET", "POST"} {
			_, _, _ = g.send(method, path, "{}") // who asked may be told what he asked for, and nobody else
		}
	}
	g.ask(0, "POST", "/hooks/hub", `{"ref": "refs/heads/main"}`, "X-Hub-Signature-256", "sha256=00", "X-GitHub-Event", "push", "X-GitHub-Delivery", "1")
}

// follow reads what a program and a browser follow, and backs up what was stored.
func (g *guarded) follow() {
	g.Helper()
	r, err := http.NewRequestWithContext(g.Context(), http.MethodGet, g.address+"/v1/events:stream?after=0", nil)
	if err != nil {
		g.Fatal(err)
	}
	answer, err := g.client.Do(r)
	if err != nil {
		g.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	var told strings.Builder
	buffer := make([]byte, 64<<10)
	for !strings.Contains(told.String(), "FACT_KIND_CHANGED") || !strings.Contains(told.String(), "FACT_KIND_STARTED") {
		n, err := answer.Body.Read(buffer)
		if told.Write(buffer[:n]); err != nil {
			g.Fatalf("the stream of events ended: %v: %s", err, &told)
		}
	}
	g.put["events"] = told.String()
	for _, args := range []string{"events", "events dead", "audit list", "deploy list", "connection list", "connection get prom", "token list", "user list", "policy pull -s shop -e test", "server status"} {
		g.program(strings.Fields(args)...)
	}
	if g.dsn == "" {
		g.program("store", "backup", g.path("data"), g.path("data/backup.db"))
		if _, err := os.Stat(g.path("data/backup.db")); err != nil { // it is searched with the rest of the folder
			g.Error(err, g.put["adg store backup "+g.path("data")+" "+g.path("data/backup.db")])
		}
	}
}

func (g *guarded) answered(path string) string {
	g.Helper()
	_, text, _ := g.send("GET", path, "")
	return text
}

// search looks for the secrets in all that came out, and in all that is on the disk.
func (g *guarded) search() {
	g.Helper()
	files := 0
	for _, root := range []string{g.path("data"), g.path("environment")} {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || path == g.path("data/secrets/web.token") {
				return err
			}
			text, err := os.ReadFile(path)
			g.put[path] = string(text)
			files++
			return err
		})
		if err != nil {
			g.Error(err)
		}
	}
	if files < 2 {
		g.Errorf("only %d files were searched", files)
	}
	for where, text := range g.put {
		for name, secret := range g.secrets {
			for _, form := range traces(secret) {
				if at := strings.Index(text, form); at >= 0 {
					g.Errorf("%s shows the secret %q: %q", where, name, text[max(0, at-80):min(len(text), at+80)])
					break
				}
			}
		}
	}
}

func TestASecretWithinSomethingEncodedIsFound(t *testing.T) {
	const secret = "canary+some/secret=a1b2&x"
	for _, before := range []string{"", "1", "22", "333", "4444"} {
		whole := []byte(before + secret + "!")
		for name, text := range map[string]string{
			"base64": base64.StdEncoding.EncodeToString(whole), "base64 of addresses": base64.URLEncoding.EncodeToString(whole),
			"hex": hex.EncodeToString(whole), "large hex": fmt.Sprintf("%X", whole), "an address": url.QueryEscape(string(whole)), "text": string(whole),
		} {
			if !slices.ContainsFunc(traces(secret), func(trace string) bool { return strings.Contains(text, trace) }) {
				t.Errorf("%s after %d bytes: it is not found in %s", name, len(before), text)
			}
		}
	}
}
