package scenarios

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	guardian "github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/notify/cloudevent"
	"github.com/deployguardian/adg/internal/remote"
)

// words are the stories' own commands.
var words = map[string]func(*testscript.TestScript, bool, []string){
	"exits": exits, "events": events, "harmless": harmless, "receiver": receiver, "received": received,
	"echoing": echoing, "secretless": secretless, "smalldisk": smallDisk, "admin": admin, "serving": serving,
	"hook": hook, "until": until, "collecting": collecting, "traced": traced, "typescript": typescript,
	"provider": provider, "surfs": surfs, "letsin": letsin, "repository": repository,
	"example": example, "document": document,
}

// events demands that each line of a file is an event, and that the last one is of that kind: events stdout end.
func events(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: events FILE LAST-KIND")
	}
	last := ""
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		var event struct {
			Kind string `json:"kind"`
		}
		if err := json.Unmarshal([]byte(line), &event); err != nil || event.Kind == "" {
			ts.Fatalf("no event: %q: %v", line, err)
		}
		last = event.Kind
	}
	if last != args[1] {
		ts.Fatalf("the last event is %q, want %s", last, args[1])
	}
}

// harmless demands that files hold no control characters, and none that reorder what is read, as in: harmless stdout report.md.
func harmless(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: harmless FILE…")
	}
	for _, name := range args {
		text := ts.ReadFile(name)
		if clean := guardian.Printable(text); clean != text {
			at := 0
			for at < len(clean) && clean[at] == text[at] {
				at++
			}
			ts.Fatalf("%s is not harmless: %q", name, text[max(0, at-40):min(len(text), at+40)])
		}
	}
}

// hookKey signs what the receiver is told.
const hookKey = "9f2-hook-key"

// told is what a receiver has taken.
type told struct {
	mu      sync.Mutex
	refused map[string]bool
	kinds   map[string]map[string]bool // kind → ids
	wrong   []string
}

// receiver starts a server that takes facts and puts its address into guardian.yaml. It refuses each fact once, so that
// repeats are seen, too.
func receiver(ts *testscript.TestScript, _ bool, _ []string) {
	t := &told{refused: map[string]bool{}, kinds: map[string]map[string]bool{}}
	receivers.Store(ts, t)
	ts.Defer(func() { receivers.Delete(ts) })
	ts.Setenv("HOOK_SECRET", hookKey)
	serve(ts, t)
}

// receivers are those of the stories that are being told.
var receivers sync.Map

// ServeHTTP takes a fact.
func (t *told) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	var event cloudevent.Event
	var fact guardian.Fact
	if err == nil {
		event, err = cloudevent.Parse(body)
	}
	if err == nil {
		err = json.Unmarshal(event.Data, &fact)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	signature := r.Header.Get("Adg-Signature")
	stamp, _, _ := strings.Cut(strings.TrimPrefix(signature, "t="), ",")
	at, _ := strconv.ParseInt(stamp, 10, 64) // no number gives no valid signature
	switch {
	case err != nil || event.ID == "" || event.ID != fact.ID:
		t.wrong = append(t.wrong, fmt.Sprintf("no event: %v: %s", err, body))
	case signature != remote.Sign(hookKey, time.Unix(at, 0), body):
		t.wrong = append(t.wrong, "wrong signature: "+signature)
	}
	if !t.refused[event.ID] {
		t.refused[event.ID] = true
		http.Error(w, "again, please", http.StatusServiceUnavailable)
		return
	}
	kind := fact.Kind.String()
	if t.kinds[kind] == nil {
		t.kinds[kind] = map[string]bool{}
	}
	t.kinds[kind][event.ID] = true
}

// received demands that the receiver was told those facts, each under one id: received started succeeded.
func received(ts *testscript.TestScript, neg bool, args []string) {
	found, ok := receivers.Load(ts)
	if neg || len(args) == 0 || !ok {
		ts.Fatalf("usage, after receiver: received KIND…")
	}
	t := found.(*told)
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, wrong := range t.wrong {
		ts.Fatalf("%s", wrong)
	}
	for _, kind := range args {
		if len(t.kinds[kind]) != 1 {
			ts.Fatalf("the receiver was told of %s under %d ids, want 1; of all: %v", kind, len(t.kinds[kind]), t.kinds)
		}
	}
}

// planted are secrets that must show nowhere, by the environment variable that holds them; they hold characters that
// look different in each encoding.
var planted = map[string]string{
	"SOURCE_TOKEN":  "canary+source/token=7f3a&x",
	"HOOK_SECRET":   "canary+hook/secret=91bc&x",
	"PROGRAM_TOKEN": "canary+program/token=c0de&x",
	"TARGET_TOKEN":  "canary+target/token=d11e&x",
	"NOBODYS":       "canary+nobody/asked=for&x",
	"":              "canary+file/token=5eed&x", // in the file source.token
}

// echoing starts a server that refuses and answers with everything that it was sent, in several encodings, puts its address into
// guardian.yaml, and plants the secrets.
func echoing(ts *testscript.TestScript, _ bool, _ []string) {
	for name, secret := range planted {
		if name != "" {
			ts.Setenv(name, secret)
		}
	}
	ts.Check(os.WriteFile(ts.MkAbs("source.token"), []byte(planted[""]+"\n"), 0o600))
	serve(ts, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, word, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		_, password, _ := r.BasicAuth()
		for _, secret := range []string{word, password} {
			for _, form := range forms(secret) {
				_, _ = fmt.Fprintf(w, "denied: %s\n", form)
			}
		}
	}))
}

// secretless demands that files and everything in directories are free of what was planted, in every encoding.
func secretless(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: secretless FILE-OR-DIRECTORY…")
	}
	searched := 0
	search := func(name, text string) {
		searched++
		for variable, secret := range planted {
			for _, form := range traces(secret) {
				if at := strings.Index(text, form); at >= 0 {
					ts.Fatalf("%s shows %s: %q", name, variable, text[max(0, at-60):min(len(text), at+60)])
				}
			}
		}
	}
	for _, name := range args {
		if name == "stdout" || name == "stderr" {
			search(name, ts.ReadFile(name))
			continue
		}
		ts.Check(filepath.WalkDir(ts.MkAbs(name), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			text, err := os.ReadFile(path)
			search(path, string(text))
			return err
		}))
	}
	if searched < len(args) {
		ts.Fatalf("only %d files were searched", searched)
	}
}

// forms are how a secret may look; none if there is no secret.
func forms(secret string) []string {
	if secret == "" {
		return nil
	}
	raw := []byte(secret)
	return []string{
		secret, url.QueryEscape(secret), url.PathEscape(secret), hex.EncodeToString(raw),
		base64.RawStdEncoding.EncodeToString(raw), base64.RawURLEncoding.EncodeToString(raw),
		strings.ReplaceAll(secret, "&", `\u0026`), strings.ReplaceAll(secret, "&", "&amp;"),
	}
}

// traces are how a secret may look within something that was encoded as a whole. A character of base64 holds bits of two
// bytes, so that it looks different by what stands before it.
func traces(secret string) []string {
	all := forms(secret)
	if all == nil {
		return nil
	}
	all = append(all, strings.ToUpper(hex.EncodeToString([]byte(secret))))
	for before := range 3 {
		text := append(make([]byte, before), secret...)
		from, to := (before*8+5)/6, len(text)*8/6
		all = append(all, base64.RawStdEncoding.EncodeToString(text)[from:to], base64.RawURLEncoding.EncodeToString(text)[from:to])
	}
	return all
}

// serve starts a server for as long as the story takes and puts its address into guardian.yaml.
func serve(ts *testscript.TestScript, handler http.Handler) {
	server := httptest.NewServer(handler)
	ts.Defer(server.Close)
	policy := ts.MkAbs("guardian.yaml")
	text := strings.ReplaceAll(ts.ReadFile(policy), "http://server.invalid", server.URL)
	ts.Check(os.WriteFile(policy, []byte(text), 0o600))
}
