package oidc

import (
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/identity/oidc/oidctest"
	"github.com/deployguardian/adg/internal/store/sqlite"
)

const redirectURL = "http://127.0.0.1:1/callback"

// shared is the provider of the tests that leave theirs running; it ends with this process, which holds its input.
var shared *oidctest.Server

func sharedServer(t *testing.T) *oidctest.Server {
	t.Helper()
	if shared == nil {
		shared = startServer(t, "0")
	}
	return shared
}

// newServer starts a provider that the test may stop.
func newServer(t *testing.T, port string) *oidctest.Server {
	t.Helper()
	s := startServer(t, port)
	t.Cleanup(s.Stop)
	return s
}

// startServer starts a provider. Where it is not installed the test is skipped, but never in CI.
func startServer(t *testing.T, port string) *oidctest.Server {
	t.Helper()
	s, err := oidctest.Start("testdata/provider", port)
	if errors.Is(err, oidctest.ErrMissing) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

type account = oidctest.Account

func accounts(t *testing.T, at *oidctest.Server, all map[string]account) {
	t.Helper()
	if err := at.Accounts(all); err != nil {
		t.Fatal(err)
	}
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
		if action, values := oidctest.Answer(page, name); answer.StatusCode == http.StatusOK && action != "" {
			if answer, err = b.client.PostForm(action, values); err != nil {
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
