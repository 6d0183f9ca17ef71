package httpprobe

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
	"github.com/deployguardian/adg/internal/source/sourcetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var now = time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)

// defaults are the driver's options with an address.
func defaults(url string) Options {
	o := Driver.Options.(Options)
	o.URL = url
	return o
}

func opened(t *testing.T, o Options) adg.Source {
	t.Helper()
	source, err := Driver.Open(t.Context(), o, adg.Host{Name: "web"})
	if err != nil {
		t.Fatal(err)
	}
	return source
}

func service(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/app/health", "/app":
			fmt.Fprintf(w, "status: ok host: %s method: %s version: %s", r.Host, r.Method, r.URL.Query().Get("version"))
		case "/app/moved":
			http.Redirect(w, r, "/app/health", http.StatusFound)
		case "/app/slow":
			<-r.Context().Done()
		default:
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, "database\x1b[31m is\ngone")
		}
	}))
	t.Cleanup(server.Close)
	return server.URL + "/app"
}

func TestTheConformanceSuite(t *testing.T) {
	address := service(t)
	sourcetest.Run(t, sourcetest.Case{
		Open:  func(t *testing.T) adg.Source { return opened(t, defaults(address)) },
		Good:  adg.Query{Text: "/health?version=$version", Vars: map[string]string{"version": "1.2.3"}, At: now},
		Bad:   adg.Query{Text: "http://other.test/health", At: now},
		Probe: true,
		Faulty: func(t *testing.T, address string, canary adg.Secret) adg.Source {
			o := defaults("http://" + address)
			o.Timeout = 2 * time.Minute
			o.BasicAuth = remote.BasicAuth{Username: "user", Password: canary}
			o.Headers = map[string]adg.Secret{"X-Key": canary}
			return opened(t, o)
		},
	})
}

func TestAProbeSaysOneOrZeroAndWhy(t *testing.T) {
	address := service(t)
	for _, c := range []struct {
		name   string
		change func(*Options)
		text   string
		want   float64
		sent   string
		why    string
	}{
		{"the address itself", nil, "", 1, "GET " + address, ""},
		{"a path below it", nil, "/health", 1, "GET " + address + "/health", ""},
		{"a full address on the same host", nil, address + "/health", 1, "GET " + address + "/health", ""},
		{"a value in the path", nil, "/health/$odd", 0, "GET " + address + "/health/a%2Fb%3Fc&d", "503"},
		{"a value in the query", nil, "/health?version=$odd", 1, "GET " + address + "/health?version=a%2Fb%3Fc%26d", ""},
		{"the window", nil, "/health?version=$window", 1, "GET " + address + "/health?version=5m0s", ""},
		{"another method", func(o *Options) { o.Method = "POST"; o.Contains = "method: POST" }, "/health", 1, "POST", ""},
		{"another host", func(o *Options) { o.Host = "shop.test"; o.Contains = "host: shop.test" }, "/health", 1, "", ""},
		{"a wrong status, with what the service said", nil, "/broken", 0, "", "status 503 Service Unavailable, expected 200-299: database[31m is gone"},
		{"a status that is expected", func(o *Options) { o.Expect = []string{"200", "500-503"} }, "/broken", 1, "", ""},
		{"a redirect, which is not followed", nil, "/moved", 0, "", "status 302 Found"},
		{"a redirect that is expected", func(o *Options) { o.Expect = []string{"302"} }, "/moved", 1, "", ""},
		{"the text is missing", func(o *Options) { o.Contains = "ready" }, "/health", 0, "", `do not contain "ready"`},
		{"the text comes after the limit", func(o *Options) { o.Contains = "ok"; o.MaxBytes = 5 }, "/health", 0, "", `first 5 bytes`},
		{"a time-out", func(o *Options) { o.Timeout = 50 * time.Millisecond }, "/slow", 0, "", "within the timeout of 50ms"},
		{"a refused connection", func(o *Options) { o.URL = "http://127.0.0.1:1" }, "", 0, "", "refused"},
		{"a name that does not resolve", func(o *Options) { o.URL = "http://adg-test..invalid"; o.Proxy = "direct" }, "", 0, "", "adg-test..invalid"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := defaults(address)
			if c.change != nil {
				c.change(&o)
			}
			answer, err := opened(t, o).Query(t.Context(), adg.Query{Text: c.text, Vars: map[string]string{"odd": "a/b?c&d"}, At: now, Window: 5 * time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			if len(answer.Series) != 1 || len(answer.Series[0].Samples) != 1 || answer.Series[0].Samples[0] != (adg.Sample{At: now, Value: c.want}) {
				t.Errorf("got %+v", answer)
			}
			if why := strings.Join(answer.Warnings, "|"); !strings.Contains(why, c.why) || (why == "") != (c.want == 1) {
				t.Errorf("because %q, without %q", why, c.why)
			}
			if !strings.HasPrefix(answer.Sent, c.sent) {
				t.Errorf("sent %q, want %q", answer.Sent, c.sent)
			}
		})
	}
}

func TestAProbeThatIsSetUpWrongIsAnErrorAndNoNewsAboutTheService(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	t.Cleanup(server.Close)
	for _, c := range []struct{ name, url, text string }{
		{"another host", server.URL, "http://other.test/"},
		{"another port", server.URL, "http://127.0.0.1:1/"},
		{"another scheme", server.URL, strings.Replace(server.URL, "http", "https", 1)},
		{"another host without a scheme", server.URL, "//other.test/"},
		{"credentials in the address", server.URL, strings.Replace(server.URL, "//", "//user:pass@", 1)},
		{"a path that goes up", server.URL + "/app", "/../admin"},
		{"a value that goes up", server.URL + "/app", "/$up/admin"},
		{"a value that goes up, encoded before", server.URL + "/app", "/%2e%2e/admin"},
		{"no address", server.URL, "mailto:x"},
	} {
		o := defaults(c.url)
		answer, err := opened(t, o).Query(t.Context(), adg.Query{Text: c.text, Vars: map[string]string{"up": ".."}, At: now})
		if !adg.IsPermanent(err) || adg.CodeOf(err) != adg.Invalid || len(answer.Series) != 0 {
			t.Errorf("%s: %+v, %v", c.name, answer, err)
		}
	}
	if asked.Load() != 0 {
		t.Errorf("%d requests were sent", asked.Load())
	}
}

func TestAllProblemsOfTheOptionsAreReportedAtOnce(t *testing.T) {
	_, err := Driver.Open(t.Context(), Options{Method: "DELETE", Expect: []string{"2xx", "300-200", "99"}, Host: "a b", Options: remote.Options{Proxy: "x"}}, adg.Host{Name: "web"})
	if !adg.IsPermanent(err) {
		t.Fatalf("error %v", err)
	}
	for _, want := range []string{"source web", "url", `method "DELETE"`, `"2xx"`, `"300-200"`, `"99"`, "host", "proxy"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in %q", want, err)
		}
	}
	if _, err := Driver.Open(t.Context(), Options{URL: "http://x", Method: "GET"}, adg.Host{}); err == nil {
		t.Error("a probe that nothing could pass is accepted")
	}
}

func FuzzNoValueLeavesTheHost(f *testing.F) {
	for _, seed := range []string{"1.2.3", "..", "/", "//x", "?", "#", "@x", "%2f", "\\", ":1", "\n", "\x00", "http://x"} {
		f.Add("/a/$v", seed)
		f.Add("$v", seed)
		f.Add("?q=$v", seed)
	}
	opened, err := Driver.Open(f.Context(), defaults("http://base.test:80/app"), adg.Host{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text, value string) {
		expanded, err := remote.ProbeText(adg.Query{Vars: map[string]string{"v": value}}, text, escape)
		if err != nil {
			return
		}
		to, err := opened.(*source).address(expanded)
		if err == nil && (to.Host != "base.test:80" || to.Scheme != "http" || to.User != nil) {
			t.Fatalf("%q with %q goes to %s", text, value, to)
		}
	})
}
