package scenarios

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	guardian "github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
)

// hook posts a file to a webhook of the server that writes to out.txt, signed with a secret, wants that status, and
// leaves the id of what was started in $DEPLOYMENT: hook 202 ci event.json SECRET.
func hook(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: hook STATUS NAME FILE SECRET")
	}
	where := whereItIs.FindStringSubmatch(ts.ReadFile("out.txt"))
	body := []byte(ts.ReadFile(args[2]))
	r, err := http.NewRequest(http.MethodPost, where[1]+"/hooks/"+args[1], bytes.NewReader(body)) //nolint:noctx // the client has a limit
	ts.Check(err)
	r.Header.Set("Adg-Signature", remote.Sign(args[3], time.Now(), body))
	answer, err := (&http.Client{Timeout: 30 * time.Second}).Do(r)
	ts.Check(err)
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	ts.Check(err)
	if fmt.Sprint(answer.StatusCode) != args[0] {
		ts.Fatalf("%s: %s, want %s", answer.Status, text, args[0])
	}
	var said map[string]string
	ts.Check(json.Unmarshal(text, &said))
	ts.Setenv("DEPLOYMENT", said["deployment"])
}

// until waits for a program to succeed: until adg deploy status ID.
func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: until PROGRAM [ARG…]")
	}
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		err := ts.Exec(args[0], args[1:]...)
		if err == nil {
			return
		}
		if time.Since(began) > time.Minute {
			ts.Fatalf("%v: %v", args, err)
		}
	}
}

// collector takes traces, and is the target of a deployment.
type collector struct {
	mu     sync.Mutex
	spans  bytes.Buffer
	asked  []string // the traces that calls of the target belong to
	live   string
	alarms []string
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) // what is missing of it will be missed
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case r.URL.Path == "/v1/traces":
		if r.Header.Get("Authorization") == "Bearer collector" {
			c.spans.Write(body)
		}
	case r.URL.Path == "/alarm":
		c.alarms = append(c.alarms, string(body))
	case r.Method == http.MethodPost:
		var want guardian.Desired
		if json.Unmarshal(body, &want) == nil && len(want.Releases) > 0 {
			c.live = want.Releases[0].Release.Version
		}
		c.asked = append(c.asked, r.Header.Get("Traceparent"))
		fallthrough
	default:
		_, _ = fmt.Fprintf(w, `{"releases":[{"release":{"version":%q},"share":100}],"done":true}`, c.live)
	}
}

// collectors are those of the stories that are being told.
var collectors sync.Map

// collecting starts a collector and puts its address into $COLLECTOR.
func collecting(ts *testscript.TestScript, _ bool, _ []string) {
	c := &collector{live: "v1"}
	server := httptest.NewServer(c)
	collectors.Store(ts, c)
	ts.Defer(func() {
		collectors.Delete(ts)
		server.Close()
	})
	ts.Setenv("COLLECTOR", server.URL)
}

// traced demands that all that was asked of the target belongs to so many traces, which stand in the collector's spans
// and in a log, and that the collector has spans of those names: traced err.txt 1 StartDeployment target.apply.
func traced(ts *testscript.TestScript, neg bool, args []string) {
	found, ok := collectors.Load(ts)
	if neg || len(args) < 3 || !ok {
		ts.Fatalf("usage, after collecting: traced LOG TRACES SPAN…")
	}
	c := found.(*collector)
	c.mu.Lock()
	defer c.mu.Unlock()
	log, ids := ts.ReadFile(args[0]), map[string]bool{}
	for _, header := range c.asked {
		_, id, _ := strings.Cut(header, "-")
		id, _, _ = strings.Cut(id, "-")
		raw, err := hex.DecodeString(id)
		if err != nil || len(raw) != 16 || !bytes.Contains(c.spans.Bytes(), raw) {
			ts.Fatalf("the target was asked within the trace %q, which the collector does not have", header)
		}
		if !strings.Contains(log, "trace="+id) {
			ts.Fatalf("the trace %s does not stand in the log", id)
		}
		ids[id] = true
	}
	if fmt.Sprint(len(ids)) != args[1] {
		ts.Fatalf("the target was asked within %d traces, want %s: %v", len(ids), args[1], c.asked)
	}
	for _, name := range args[2:] {
		if !bytes.Contains(c.spans.Bytes(), []byte(name)) {
			ts.Fatalf("the collector has no span %s", name)
		}
	}
}

// TestASecondSignalEndsTheServerAtOnce runs the real binary with a target that never ends.
func TestASecondSignalEndsTheServerAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	key := exec.Command(adg, "key", "new")
	text, err := key.Output()
	if err != nil {
		t.Fatal(err)
	}
	busy := make(chan struct{}, 1)
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case busy <- struct{}{}:
		default: // asked again
		}
		<-r.Context().Done()
	}))
	defer hanging.Close()
	for name, content := range map[string]string{
		"seal.key": string(text),
		"adg.yaml": fmt.Sprintf("listen: 127.0.0.1:0\ninsecure_http: true\ndata: %s/data\ndrain: 10m\nseal: {active: {file: %s/seal.key}}\noidc: {work: {issuer: %q, client_id: adg}}\nbase_url: http://127.0.0.1:1\nlog: {format: text}\n", dir, dir, hanging.URL),
	} {
		if err := os.WriteFile(dir+"/"+name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	server := exec.Command(adg, "server", "--config", dir+"/adg.yaml")
	var said lines
	server.Stdout, server.Stderr = io.Discard, &said
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Process.Kill() }()
	said.wait(t, "serving")
	address := said.after(t, "address=")
	<-busy // the provider is asked about itself, which does not keep the server from its work
	open, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address+"/hooks/none", hangingBody{t.Context().Done()})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		if answer, err := http.DefaultClient.Do(open); err == nil { // which never ends by itself
			_ = answer.Body.Close()
		}
	}()
	if err := server.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	said.wait(t, "a second signal ends it at once")
	if err := server.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	_ = server.Wait() // it was killed
	if took := time.Since(began); took > time.Minute {
		t.Errorf("it took %s to end", took)
	}
}

// hangingBody is a body that does not end before something else does.
type hangingBody struct{ done <-chan struct{} }

func (h hangingBody) Read([]byte) (int, error) {
	<-h.done
	return 0, io.EOF
}

// lines is what a program says, while it says it.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *lines) wait(t *testing.T, word string) {
	t.Helper()
	for began := time.Now(); !strings.Contains(l.String(), word); time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > time.Minute {
			t.Fatalf("nobody said %q: %s", word, l)
		}
	}
}

// after is the word that follows another.
func (l *lines) after(t *testing.T, word string) string {
	t.Helper()
	_, rest, found := strings.Cut(l.String(), word)
	if !found {
		t.Fatalf("nobody said %q: %s", word, l)
	}
	return strings.Fields(rest)[0]
}
