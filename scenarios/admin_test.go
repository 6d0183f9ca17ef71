package scenarios

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

var (
	firstToken = regexp.MustCompile(`adgfirst_[a-z0-9_]+`)
	whereItIs  = regexp.MustCompile(`export ADG_SERVER=(\S+)`)
)

// admin waits until the server that writes to a file has said how to begin, makes the first admin, ann, and leaves the
// context of her own token for what follows: admin out.txt.
func admin(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: admin FILE")
	}
	var said []byte
	for began := time.Now(); !firstToken.Match(said); said, _ = os.ReadFile(ts.MkAbs(args[0])) {
		if time.Since(began) > 30*time.Second {
			ts.Fatalf("the server did not say how to begin: %s", said)
		}
		time.Sleep(20 * time.Millisecond)
	}
	jar, err := cookiejar.New(nil)
	ts.Check(err)
	b := browser{ts, string(whereItIs.FindSubmatch(said)[1]), &http.Client{Jar: jar, Timeout: 30 * time.Second}}
	first := string(firstToken.Find(said))
	b.post("/v1/users", first, map[string]any{"name": "ann", "password": "correct horse battery", "idempotencyKey": "1", "reason": "first"})
	b.post("/v1/bindings", first, map[string]any{"subject": "user:ann", "role": "admin", "service": "*", "environment": "*", "idempotencyKey": "2", "reason": "first"})
	b.post("/v1/login", "", map[string]any{"name": "ann", "password": "correct horse battery"})
	answer := b.post("/v1/tokens", "", map[string]any{"name": "story", "role": "admin", "service": "*", "environment": "*", "idempotencyKey": "3", "reason": "story"})
	ts.Setenv("ADG_CONTEXTS", ts.MkAbs("contexts.yaml"))
	login := exec.Command(adg, "login", b.server, "--token-stdin")
	login.Env = append(os.Environ(), "ADG_CONTEXTS="+ts.MkAbs("contexts.yaml"))
	login.Stdin = strings.NewReader(fmt.Sprint(answer["secret"]))
	if out, err := login.CombinedOutput(); err != nil {
		ts.Fatalf("logging in: %v\n%s", err, out)
	}
}

// browser is somebody who is logged in by a cookie.
type browser struct {
	ts     *testscript.TestScript
	server string
	client *http.Client
}

func (b browser) post(path, token string, body any) map[string]any {
	text, err := json.Marshal(body)
	b.ts.Check(err)
	r, err := http.NewRequest(http.MethodPost, b.server+path, bytes.NewReader(text)) //nolint:noctx // the client has a limit
	b.ts.Check(err)
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := b.client.Do(r)
	b.ts.Check(err)
	defer func() { _ = answer.Body.Close() }()
	text, err = io.ReadAll(answer.Body)
	b.ts.Check(err)
	var fields map[string]any
	if answer.StatusCode != http.StatusOK || json.Unmarshal(text, &fields) != nil {
		b.ts.Fatalf("POST %s: %s: %s", path, answer.Status, text)
	}
	return fields
}
