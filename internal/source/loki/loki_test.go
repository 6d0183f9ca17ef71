package loki

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/source/sourcetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// server answers as the HTTP API of Loki 3 is documented to; it is written from documentation.
func server(t *testing.T, see func(path string, form map[string][]string)) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		if see != nil {
			see(r.URL.Path, r.Form)
		}
		query := r.Form.Get("query")
		switch {
		case strings.HasPrefix(query, "nonsense"):
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, "parse error at line 1, col 1: syntax error: unexpected IDENTIFIER")
		case strings.Contains(query, "nobody") && strings.Contains(query, "count_over_time"):
			fmt.Fprint(w, `{"status":"success","data":{"resultType":"vector","result":[],"stats":{}}}`)
		case strings.HasSuffix(r.URL.Path, "/query"):
			fmt.Fprintf(w, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"app":"shop"},"value":[%d,"7"]}],"stats":{}}}`, now.Unix())
		case strings.Contains(query, "count_over_time"):
			fmt.Fprintf(w, `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"app":"shop"},"values":[[%d,"6"],[%d,"7"]]}],"stats":{}}}`, now.Unix()-15, now.Unix())
		case strings.Contains(query, "nobody"):
			fmt.Fprint(w, `{"status":"success","data":{"resultType":"streams","result":[],"stats":{}}}`)
		default:
			fmt.Fprintf(w, `{"status":"success","data":{"resultType":"streams","result":[
				{"stream":{"app":"shop","pod":"shop-b"},"values":[["%d","ERROR second",{"structuredMetadata":{"a":"b"}}],["%d","ERROR first"]]},
				{"stream":{"app":"shop","pod":"shop-a"},"values":[["%d","ERROR third"]]}],"stats":{}}}`,
				now.Add(-20*time.Second).UnixNano(), now.Add(-30*time.Second).UnixNano(), now.Add(-10*time.Second).UnixNano())
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func opened(t *testing.T, o Options) adg.Source {
	t.Helper()
	s, err := Driver.Open(t.Context(), o, adg.Host{Name: "logs"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.(*source).Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func at(url string) Options {
	o := Driver.Options.(Options)
	o.URL = url
	return o
}

func TestTheConformanceSuite(t *testing.T) {
	sourcetest.Run(t, suite(func(t *testing.T) adg.Source {
		s, err := Driver.Open(t.Context(), at(server(t, nil)), adg.Host{Name: "logs"})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}, now))
}

// suite is the case of a server that has lines of the shop in the minute before a time.
func suite(open func(*testing.T) adg.Source, end time.Time) sourcetest.Case {
	vars := map[string]string{"service": "shop", "version": "1.2.3"}
	return sourcetest.Case{
		Open:  open,
		Good:  adg.Query{Text: `count_over_time({app="$service", version="$version"}[$window])`, Vars: vars, At: end, Window: time.Minute},
		Empty: adg.Query{Text: `count_over_time({app="nobody"}[5m])`, At: end, Window: time.Minute},
		Bad:   adg.Query{Text: "nonsense", At: end, Window: time.Minute},
		Lines: adg.LinesQuery{Text: `{app="$service", version="$version"}`, Vars: vars, At: end, Window: time.Minute},
		Faulty: func(t *testing.T, address string, canary adg.Secret) adg.Source {
			o := at("http://" + address)
			o.BearerToken = canary
			o.Timeout = 2 * time.Minute
			s, err := Driver.Open(t.Context(), o, adg.Host{Name: "logs"})
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
		ErrorBody: `{"status":"error","error":"too many outstanding requests"}`,
		TooMany: `{"status":"success","data":{"resultType":"vector","result":[` +
			strings.TrimSuffix(strings.Repeat(`{"metric":{},"value":[1,"1"]},`, maxSeries+1), ",") + `]}}`,
	}
}

func TestLinesComeInOrderWithTheirReplicas(t *testing.T) {
	var form map[string][]string
	s := opened(t, at(server(t, func(_ string, f map[string][]string) { form = f })))
	q := adg.LinesQuery{Text: `{app="shop", version="$version"}`, Vars: map[string]string{"version": "1.2.3"}, At: now, Window: time.Minute}
	answer, err := adg.AskLines(t.Context(), s, q)
	if err != nil {
		t.Fatal(err)
	}
	want := []adg.LogLine{
		{At: now.Add(-30 * time.Second), Replica: "shop-b", Text: "ERROR first"},
		{At: now.Add(-20 * time.Second), Replica: "shop-b", Text: "ERROR second"},
		{At: now.Add(-10 * time.Second), Replica: "shop-a", Text: "ERROR third"},
	}
	if diff := cmp.Diff(want, answer.Lines); diff != "" {
		t.Error(diff)
	}
	if !answer.Since.IsZero() || answer.Sent != `{app="shop", version="1.2.3"}` {
		t.Errorf("%+v", answer)
	}
	for name, value := range map[string]string{"direction": "backward", "limit": "5000", "start": nanos(now.Add(-time.Minute)), "end": nanos(now)} {
		if !slices.Equal(form[name], []string{value}) {
			t.Errorf("%s is %v, want %s", name, form[name], value)
		}
	}
}

func TestWhereThereMayBeMoreLinesItIsSaidSinceWhenTheyAreComplete(t *testing.T) {
	s := opened(t, at(server(t, nil)))
	answer, err := adg.AskLines(t.Context(), s, adg.LinesQuery{Text: `{app="shop"}`, At: now, Window: time.Minute, Limit: 2})
	if err != nil {
		t.Fatal(err)
	}
	if len(answer.Lines) != 2 || answer.Lines[0].Text != "ERROR second" || !answer.Since.After(answer.Lines[0].At) {
		t.Errorf("%+v", answer)
	}
}

func TestNoMoreLinesAreAskedForThanTheSourceSays(t *testing.T) {
	var form map[string][]string
	o := at(server(t, func(_ string, f map[string][]string) { form = f }))
	o.MaxLines = 100
	s := opened(t, o)
	for limit, want := range map[int]string{0: "100", 70: "70", adg.MaxLines: "100"} {
		if _, err := adg.AskLines(t.Context(), s, adg.LinesQuery{Text: `{app="shop"}`, At: now, Window: time.Minute, Limit: limit}); err != nil || !slices.Equal(form["limit"], []string{want}) {
			t.Errorf("of %d asked for %v, %v", limit, form["limit"], err)
		}
	}
	for _, wrong := range []int{-1, 0, adg.MaxLines + 1} {
		o.MaxLines = wrong
		if _, err := Driver.Open(t.Context(), o, adg.Host{Name: "logs"}); !adg.IsPermanent(err) || !strings.Contains(err.Error(), "max_lines") {
			t.Errorf("%d: %v", wrong, err)
		}
	}
}

func TestLinesFromOutsideTheWindowAreLeftOut(t *testing.T) {
	s := opened(t, at(server(t, nil)))
	answer, err := adg.AskLines(t.Context(), s, adg.LinesQuery{Text: `{app="shop"}`, At: now.Add(-15 * time.Second), Window: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if len(answer.Lines) != 1 || answer.Lines[0].Text != "ERROR second" || !answer.Since.IsZero() {
		t.Errorf("%+v", answer)
	}
}

func TestNumbersAreNoLinesAndLinesAreNoNumbers(t *testing.T) {
	s := opened(t, at(server(t, nil)))
	if _, err := adg.AskLines(t.Context(), s, adg.LinesQuery{Text: `count_over_time({app="shop"}[1m])`, At: now, Window: time.Minute}); !adg.IsPermanent(err) || !strings.Contains(err.Error(), "not lines") {
		t.Error(err)
	}
	if _, err := s.Query(t.Context(), adg.Query{Kind: adg.Range, Text: `{app="shop"}`, At: now, Window: time.Minute, Step: time.Second}); !adg.IsPermanent(err) || !strings.Contains(err.Error(), "not numbers") {
		t.Error(err)
	}
	if _, err := s.Query(t.Context(), adg.Query{Kind: adg.Counters, Text: `{app="shop"}`, At: now, Window: time.Minute}); !adg.IsPermanent(err) {
		t.Error(err)
	}
}

func TestAValueCannotBecomeSyntax(t *testing.T) {
	s := opened(t, at(server(t, nil)))
	answer, err := adg.AskLines(t.Context(), s, adg.LinesQuery{Text: `{app="$x"}`, Vars: map[string]string{"x": `a"} or {b="`}, At: now, Window: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if answer.Sent != `{app="a\"} or {b=\""}` {
		t.Error(answer.Sent)
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"status":"success","data":{"resultType":"streams","result":[{"stream":{},"values":[["1","x"]]}]}}`))
	f.Add([]byte(`{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"1"]}]}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		same := func(text string) string { return text }
		answer, err := decode(body, same)
		if err != nil {
			return
		}
		if lines, err := answer.lines("pod", same); err == nil {
			for _, l := range lines {
				if len(l.Text) > adg.MaxLine {
					t.Error("a line is too long")
				}
			}
		}
		_, _ = answer.numbers(adg.Instant)
		_, _ = answer.numbers(adg.Range)
	})
}
