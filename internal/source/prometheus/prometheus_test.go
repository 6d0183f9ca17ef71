package prometheus

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
	"github.com/deployguardian/adg/internal/source/sourcetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func opened(t *testing.T, o Options) adg.Source {
	t.Helper()
	source, err := Driver.Open(t.Context(), o, adg.Host{Name: "prom", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// asked opens a source in front of a server that keeps the last request's form and header.
func asked(t *testing.T, o Options, status int, body string) (adg.Source, func() (url.Values, http.Header, string)) {
	t.Helper()
	var mu sync.Mutex
	var form url.Values
	var header http.Header
	var path string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		_ = r.ParseForm()
		form, header, path = r.PostForm, r.Header, r.Method+" "+r.URL.Path
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(server.Close)
	o.URL = server.URL + o.URL
	source := opened(t, o)
	t.Cleanup(func() { source.(io.Closer).Close() })
	return source, func() (url.Values, http.Header, string) {
		mu.Lock()
		defer mu.Unlock()
		return form, header, path
	}
}

func TestTheQuestionIsAFormWithEverythingInIt(t *testing.T) {
	now := time.Date(2026, 11, 20, 10, 0, 0, 250e6, time.UTC)
	for _, c := range []struct {
		name  string
		query adg.Query
		body  string
		path  string
		want  map[string]string
	}{
		{"an instant", adg.Query{Text: `rate(x{v="$version"}[$window])`, Window: time.Minute}, success("vector", "[]"), "POST /prefix/api/v1/query",
			map[string]string{"query": `rate(x{v="1.0"}[1m])`, "time": "1795168800.25"}},
		{"counters", adg.Query{Kind: adg.Counters, Text: `x{v="$version"}`, Window: time.Minute}, success("matrix", "[]"), "POST /prefix/api/v1/query",
			map[string]string{"query": `x{v="1.0"}[1m]`, "time": "1795168800.25"}},
		{"a range over the window", adg.Query{Kind: adg.Range, Text: "x", Window: time.Minute, Step: 1500 * time.Millisecond}, success("matrix", "[]"), "POST /prefix/api/v1/query_range",
			map[string]string{"query": "x", "start": "1795168740.25", "end": "1795168800.25", "step": "1.5"}},
		{"a range over a span that is no multiple of the step", adg.Query{Kind: adg.Range, Text: "x", Window: time.Minute, Span: 100 * time.Second, Step: 30 * time.Second},
			success("matrix", "[]"), "POST /prefix/api/v1/query_range",
			map[string]string{"query": "x", "start": "1795168710.25", "end": "1795168800.25", "step": "30"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := Options{URL: "/prefix/", Tenant: "shop", Params: map[string]string{"dedup": "true"}, Options: remote.Options{Timeout: 1500 * time.Millisecond}}
			source, last := asked(t, o, 200, c.body)
			c.query.At, c.query.Vars = now, map[string]string{"version": "1.0"}
			answer, err := source.Query(t.Context(), c.query)
			if err != nil {
				t.Fatal(err)
			}
			form, header, path := last()
			want := url.Values{"dedup": {"true"}, "timeout": {"1.5"}, "limit": {"1001"}}
			for k, v := range c.want {
				want.Set(k, v)
			}
			if diff := cmp.Diff(want, form); diff != "" || path != c.path {
				t.Errorf("asked %s:\n%s", path, diff)
			}
			if header.Get("X-Scope-OrgID") != "shop" || answer.Sent != c.want["query"] || header.Get("Idempotency-Key") != "" {
				t.Errorf("header %v, sent %q", header, answer.Sent)
			}
		})
	}
}

func TestQuestionsThatNoServerShouldGetAreRefused(t *testing.T) {
	source, last := asked(t, Options{}, 200, success("matrix", "[]"))
	for name, q := range map[string]adg.Query{
		"a range without a step":         {Kind: adg.Range, Text: "x", Window: time.Minute},
		"a range of too many steps":      {Kind: adg.Range, Text: "x", Window: 24 * time.Hour, Step: time.Second},
		"a range that goes back in time": {Kind: adg.Range, Text: "x", Span: -time.Minute, Step: time.Second},
		"counters of a function":         {Kind: adg.Counters, Text: "rate(x[1m])", Window: time.Minute},
	} {
		if _, err := source.Query(t.Context(), q); !adg.IsPermanent(err) || adg.CodeOf(err) != adg.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if form, _, _ := last(); form != nil {
		t.Errorf("the server was asked %v", form)
	}
}

func TestErrorsOfTheAPIAreReadWhateverTheirStatus(t *testing.T) {
	for _, c := range []struct {
		name      string
		status    int
		body      string
		code      adg.Code
		permanent bool
		want      string
	}{
		{"a query that does not parse", 400, `{"status":"error","errorType":"bad_data","error":"1:2: parse error: x"}`, adg.Invalid, true, "1:2: parse error: x"},
		{"a query that failed", 422, `{"status":"error","errorType":"execution","error":"store down"}`, adg.Unavailable, false, "store down"},
		{"a query that timed out", 503, `{"status":"error","errorType":"timeout","error":"query timed out"}`, adg.Unavailable, false, "query timed out"},
		{"no credentials, with the body of the API", 401, `{"status":"error","errorType":"unavailable","error":"no token"}`, adg.Unauthorized, true, "no token"},
		{"no such page", 404, `404 page not found`, adg.Invalid, true, "without /api/v1"},
		{"a server in front", 502, `<html>bad gateway</html>`, adg.Unavailable, false, "502"},
	} {
		source, _ := asked(t, Options{}, c.status, c.body)
		_, err := source.Query(t.Context(), adg.Query{Text: "sum(x"})
		if adg.CodeOf(err) != c.code || adg.IsPermanent(err) != c.permanent || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), `"sum(x"`) {
			t.Errorf("%s: %v (permanent %v, code %s)", c.name, err, adg.IsPermanent(err), adg.CodeOf(err))
		}
	}
}

func TestAllProblemsOfTheOptionsAreReportedAtOnce(t *testing.T) {
	_, err := Driver.Open(t.Context(), Options{
		Tenant: "a b", Params: map[string]string{"query": "x"}, Options: remote.Options{Proxy: "x"},
	}, adg.Host{Name: "prom"})
	if !adg.IsPermanent(err) || adg.CodeOf(err) != adg.Invalid {
		t.Fatalf("error %v", err)
	}
	for _, want := range []string{"source prom", "url", "tenant", "params: query", "proxy"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in %q", want, err)
		}
	}
	_, err = Driver.Open(t.Context(), Options{URL: "http://user:" + sourcetest.Canary + "@h"}, adg.Host{})
	if err == nil || strings.Contains(err.Error(), sourcetest.Canary) {
		t.Errorf("error %v", err)
	}
}

func tooMany() string {
	return success("vector", "["+strings.TrimSuffix(strings.Repeat(`{"metric":{},"value":[1,"1"]},`, maxSeries+1), ",")+"]")
}

func faulty(t *testing.T, address string, canary adg.Secret) adg.Source {
	o := Options{URL: "http://" + address, Options: remote.Defaults()}
	o.Timeout = 2 * time.Minute
	o.Headers = map[string]adg.Secret{"X-Api-Key": canary}
	o.BasicAuth = remote.BasicAuth{Username: "user", Password: canary}
	return opened(t, o)
}
