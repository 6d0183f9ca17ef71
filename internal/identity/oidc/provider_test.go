package oidc

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/sqlite"
)

const redirectURL = "http://127.0.0.1:1/callback"

// server is the real OpenID provider in a process of its own.
type server struct {
	issuer string
	stop   func() // may be called twice
}

// shared is the provider of the tests that leave theirs running; it ends with this process, which holds its input.
var shared *server

func sharedServer(t *testing.T) *server {
	t.Helper()
	if shared == nil {
		shared = startServer(t, "0")
	}
	return shared
}

// newServer starts a provider that the test may stop.
func newServer(t *testing.T, port string) *server {
	t.Helper()
	s := startServer(t, port)
	t.Cleanup(s.stop)
	return s
}

// startServer starts a provider. Where it is not installed the test is skipped, but never in CI.
func startServer(t *testing.T, port string) *server {
	t.Helper()
	lock, err := os.ReadFile("testdata/provider/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(lock)
	folder := filepath.Join(cache, "adg", "test-provider-"+hex.EncodeToString(sum[:8]))
	node, err := exec.LookPath("node")
	if _, missing := os.Stat(filepath.Join(folder, "node_modules", "oidc-provider")); err != nil || missing != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("the OpenID provider is not installed: run scripts/test-servers (%v, %v)", err, missing)
		}
		t.Skip("the OpenID provider is not installed: run scripts/test-servers, which needs npm")
	}
	script, err := filepath.Abs("testdata/provider/server.mjs")
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(node, script, port)
	command.Dir = folder
	stdin, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	stopped := false
	s := &server{stop: func() {
		if !stopped {
			stopped = true
			stdin.Close()
			_ = command.Wait()
		}
	}}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		s.stop()
		t.Fatalf("the provider did not start: %v", err)
	}
	s.issuer = strings.TrimSpace(line)
	return s
}

type account map[string]any

// control changes the running provider.
func (s *server) control(t *testing.T, change map[string]any) {
	t.Helper()
	body, err := json.Marshal(change)
	if err != nil {
		t.Fatal(err)
	}
	once := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := once.Post(s.issuer+"/control", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
}

func (s *server) accounts(t *testing.T, all map[string]account) {
	t.Helper()
	s.control(t, map[string]any{"accounts": all})
}

// browser is a person with a browser of his own.
type browser struct {
	t      *testing.T
	client *http.Client
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &browser{t: t, client: &http.Client{Jar: jar, Transport: transport, Timeout: 20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

var formAction = regexp.MustCompile(`action="([^"]+)"`)

// login goes through the provider's pages as that account, and gives what comes back to the callback.
func (b *browser) login(to, name string) Callback {
	b.t.Helper()
	for range 20 {
		if strings.HasPrefix(to, redirectURL) {
			u, err := url.Parse(to)
			if err != nil {
				b.t.Fatal(err)
			}
			q := u.Query()
			return Callback{State: q.Get("state"), Code: q.Get("code"), Error: q.Get("error")}
		}
		answer, err := b.client.Get(to)
		if err != nil {
			b.t.Fatal(err)
		}
		page, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if form := formAction.FindSubmatch(page); answer.StatusCode == http.StatusOK && form != nil {
			values := url.Values{"prompt": {"login"}, "login": {name}, "password": {"any"}}
			if !bytes.Contains(page, []byte(`name="login"`)) {
				values = url.Values{"prompt": {"consent"}}
			}
			if answer, err = b.client.PostForm(string(form[1]), values); err != nil {
				b.t.Fatal(err)
			}
			answer.Body.Close()
		}
		next, err := answer.Location()
		if err != nil {
			b.t.Fatalf("%s at %s leads nowhere: %s", answer.Status, to, page)
		}
		to = next.String()
	}
	b.t.Fatal("the provider sends the browser in circles")
	return Callback{}
}

// clock is the store's, moved by hand.
type clock struct{ ahead time.Duration }

func (c *clock) now() time.Time { return time.Now().Add(c.ahead) }

func newStore(t *testing.T, c *clock) adg.Store {
	t.Helper()
	store, err := sqlite.Open(t.Context(), t.TempDir(), sqlite.Options{Clock: c.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}
