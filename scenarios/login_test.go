package scenarios

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/deployguardian/adg/internal/identity/oidc/oidctest"
)

// providerFolder holds the provider that people log in at.
const providerFolder = "../internal/identity/oidc/testdata/provider"

// people are who the provider knows.
var people = map[string]oidctest.Account{
	"alice":   {"email": "Alice@example.com", "email_verified": true, "groups": []string{"payments"}},
	"mallory": {"email": "mallory@example.com", "email_verified": false, "groups": []string{"payments"}},
}

// loginable tells whether there is a provider to log in at. CI must have it.
func loginable(t *testing.T) bool {
	t.Helper()
	err := oidctest.Installed(providerFolder)
	if err != nil && (os.Getenv("CI") != "" || !errors.Is(err, oidctest.ErrMissing)) {
		t.Fatal(err)
	}
	return err == nil
}

// provider starts an OpenID provider and puts its address into $PROVIDER. It sends people back to the server that calls
// itself $BASE, and, as the provider serves one login page for all, to no other.
func provider(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage, with $BASE: provider")
	}
	s, err := oidctest.Start(providerFolder, "0", ts.Getenv("BASE")+"/login/oidc/work/callback")
	ts.Check(err)
	ts.Defer(s.Stop)
	ts.Check(s.Accounts(people))
	ts.Setenv("PROVIDER", s.Issuer)
}

// surfs has a browser of its own open a page of the server that writes to out.txt, log in at the provider as somebody
// when it is asked to, and let a program in when it is asked about one. It wants the last page to have that status, and
// leaves it in page.html. Of what the browser brings to the provider and back something may be replaced, as somebody
// would who has only a part of the login of another: surfs 200 alice /device, surfs 401 alice /device state.
func surfs(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 || len(args) > 4 {
		ts.Fatalf("usage: surfs STATUS ACCOUNT PATH [state|nonce|cookie]")
	}
	s := newSurfer(ts, args[1])
	if len(args) == 4 {
		s.forged = args[3]
	}
	status, page := s.open(args[2])
	ts.Check(os.WriteFile(ts.MkAbs("page.html"), page, 0o600))
	if fmt.Sprint(status) != args[0] {
		ts.Fatalf("the last page is %d, want %s:\n%s", status, args[0], page)
	}
}

// letsin waits until adg login shows where it wants to be let in, and has somebody do that: letsin alice login.txt.
func letsin(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: letsin ACCOUNT FILE")
	}
	var said []byte
	for began := time.Now(); !letIn.Match(said); said, _ = os.ReadFile(ts.MkAbs(args[1])) {
		if time.Since(began) > time.Minute {
			ts.Fatalf("nobody asks to be let in: %s", said)
		}
		time.Sleep(20 * time.Millisecond)
	}
	path := strings.TrimPrefix(string(letIn.FindSubmatch(said)[1]), ts.Getenv("BASE"))
	if status, page := newSurfer(ts, args[0]).open(path); status != http.StatusOK || !strings.Contains(string(page), "was let in") {
		ts.Fatalf("the last page is %d: %s", status, page)
	}
}

var (
	letIn     = regexp.MustCompile(`or open (\S+)`)
	atWork    = regexp.MustCompile(`href="(/login/oidc/work[^"]*)"`)
	approving = regexp.MustCompile(`name="user_code" value="([^"]+)" readonly`)
)

// surfer is a person with a browser that has been nowhere yet.
type surfer struct {
	ts      *testscript.TestScript
	account string
	base    string // what the server calls itself; only the browser knows where that is
	client  *http.Client
	forged  string
}

func newSurfer(ts *testscript.TestScript, account string) *surfer {
	jar, err := cookiejar.New(nil)
	ts.Check(err)
	base, err := url.Parse(ts.Getenv("BASE"))
	ts.Check(err)
	server, err := url.Parse(whereItIs.FindStringSubmatch(ts.ReadFile("out.txt"))[1])
	ts.Check(err)
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		if address == base.Host {
			address = server.Host
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
	ts.Defer(transport.CloseIdleConnections)
	return &surfer{ts: ts, account: account, base: base.String(), client: &http.Client{
		Jar: jar, Transport: transport, Timeout: 30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// open goes from page to page until one asks for nothing more.
func (s *surfer) open(path string) (status int, page []byte) {
	at, form := s.base+path, url.Values(nil)
	for range 30 {
		answer, page := s.ask(at, form)
		form = nil
		if answer.StatusCode/100 == 3 {
			next, err := answer.Location()
			s.ts.Check(err)
			at = s.forge(next)
			continue
		}
		here, there := strings.HasPrefix(at, s.base), ""
		switch way, code := atWork.FindSubmatch(page), approving.FindSubmatch(page); {
		case here && way != nil:
			there = s.base + html.UnescapeString(string(way[1]))
		case here && code != nil:
			there, form = s.base+"/device", url.Values{"user_code": {string(code[1])}, "answer": {"approve"}}
		case !here && answer.StatusCode == http.StatusOK:
			there, form = oidctest.Answer(page, s.account)
		}
		if there == "" {
			return answer.StatusCode, page
		}
		at = there
	}
	s.ts.Fatalf("the browser is sent in circles, now to %s", at)
	return 0, nil
}

func (s *surfer) ask(at string, form url.Values) (*http.Response, []byte) {
	method, body := http.MethodGet, io.Reader(nil)
	if form != nil {
		method, body = http.MethodPost, strings.NewReader(form.Encode())
	}
	r, err := http.NewRequest(method, at, body) //nolint:noctx // the client has a limit
	s.ts.Check(err)
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", r.URL.Scheme+"://"+r.URL.Host)
	}
	answer, err := s.client.Do(r)
	s.ts.Check(err)
	defer func() { _ = answer.Body.Close() }()
	page, err := io.ReadAll(answer.Body)
	s.ts.Check(err)
	return answer, page
}

// forge replaces what is to be forged on the way to the provider, or back.
func (s *surfer) forge(to *url.URL) string {
	query, back := to.Query(), strings.HasPrefix(to.String(), s.base+"/login/oidc/") && to.Query().Has("code")
	switch {
	case s.forged == "state" && back, s.forged == "nonce" && query.Has("nonce"):
		query.Set(s.forged, "of-another-login")
		to.RawQuery = query.Encode()
	case s.forged == "cookie" && back: // another browser's
		jar, err := cookiejar.New(nil)
		s.ts.Check(err)
		s.client.Jar = jar
	}
	return to.String()
}
