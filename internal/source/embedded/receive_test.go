package embedded_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gogo/protobuf/proto"
	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/source/embedded"
)

const (
	writePath  = "/api/v1/write"
	otlpPath   = "/otlp/v1/metrics"
	protoType  = "application/x-protobuf"
	protoType2 = "application/x-protobuf;proto=io.prometheus.write.v2.Request"
)

// push is one request to a source's listener.
type push struct {
	path, contentType, encoding string
	token                       string // "-": none
	body                        []byte
}

func send(t testing.TB, s *embedded.Source, p push) (status int, text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.Addr()+p.path, bytes.NewReader(p.body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", p.contentType)
	if p.encoding != "" {
		req.Header.Set("Content-Encoding", p.encoding)
	}
	switch p.token {
	case "-":
	case "":
		req.Header.Set("Authorization", "Bearer "+token)
	default:
		req.Header.Set("Authorization", p.token)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

func writeV1(t testing.TB, all ...prompb.TimeSeries) push {
	t.Helper()
	raw, err := proto.Marshal(&prompb.WriteRequest{Timeseries: all})
	if err != nil {
		t.Fatal(err)
	}
	return push{path: writePath, contentType: protoType, encoding: "snappy", body: snappy.Encode(nil, raw)}
}

func mustPush(t testing.TB, s *embedded.Source, all ...prompb.TimeSeries) {
	t.Helper()
	if status, text := send(t, s, writeV1(t, all...)); status/100 != 2 {
		t.Fatalf("push: %d %s", status, text)
	}
}

func writeV2(t testing.TB, name string, at time.Time, v float64) push {
	t.Helper()
	symbols := writev2.NewSymbolTable()
	refs := []uint32{symbols.Symbolize("__name__"), symbols.Symbolize(name), symbols.Symbolize("version"), symbols.Symbolize("v2")}
	raw, err := proto.Marshal(&writev2.Request{
		Symbols:    symbols.Symbols(),
		Timeseries: []writev2.TimeSeries{{LabelsRefs: refs, Samples: []writev2.Sample{{Timestamp: at.UnixMilli(), Value: v}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return push{path: writePath, contentType: protoType2, encoding: "snappy", body: snappy.Encode(nil, raw)}
}

// otlp is a counter of a service in one version.
func otlp(at time.Time, v float64, temporality pmetric.AggregationTemporality) pmetricotlp.ExportRequest {
	metrics := pmetric.NewMetrics()
	resource := metrics.ResourceMetrics().AppendEmpty()
	resource.Resource().Attributes().PutStr("service.name", "checkout")
	resource.Resource().Attributes().PutStr("service.version", "v7")
	m := resource.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName("orders")
	sum := m.SetEmptySum()
	sum.SetIsMonotonic(true)
	sum.SetAggregationTemporality(temporality)
	point := sum.DataPoints().AppendEmpty()
	point.SetTimestamp(pcommon.NewTimestampFromTime(at))
	point.SetDoubleValue(v)
	return pmetricotlp.NewExportRequestFromMetrics(metrics)
}

func otlpJSON(t testing.TB, r pmetricotlp.ExportRequest) push {
	t.Helper()
	body, err := r.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return push{path: otlpPath, contentType: "application/json; charset=utf-8", body: body}
}

func otlpProto(t testing.TB, r pmetricotlp.ExportRequest) push {
	t.Helper()
	body, err := r.MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	return push{path: otlpPath, contentType: protoType, body: body}
}

func zipped(t testing.TB, p push) push {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(p.body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	p.body, p.encoding = out.Bytes(), "gzip"
	return p
}

func TestTakesPushesInEveryFormat(t *testing.T) {
	now := time.Now()
	cumulative := func(v float64) pmetricotlp.ExportRequest {
		return otlp(now, v, pmetric.AggregationTemporalityCumulative)
	}
	tests := []struct {
		name  string
		push  push
		query string
		want  float64
	}{
		{"remote-write 1.0", writeV1(t, series(now, time.Second, []float64{5}, "__name__", "one")), "one", 5},
		{"remote-write 2.0", writeV2(t, "two", now, 6), `two{version="v2"}`, 6},
		{"OTLP in JSON", otlpJSON(t, cumulative(7)), `orders_total{job="checkout",service_version="v7"}`, 7},
		{"OTLP in protobuf", otlpProto(t, cumulative(8)), `orders_total{job="checkout",service_version="v7"}`, 8},
		{"OTLP, gzipped", zipped(t, otlpProto(t, cumulative(9))), `orders_total{job="checkout",service_version="v7"}`, 9},
		{
			"samples that come late, within the window",
			writeV1(t, series(now, time.Second, []float64{1}, "__name__", "late"), series(now.Add(-5*time.Minute), time.Second, []float64{4}, "__name__", "late")),
			"max_over_time(late[10m])", 4,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := start(t, listening())
			if status, text := send(t, s, test.push); status/100 != 2 {
				t.Fatalf("answer %d %s", status, text)
			}
			if got, found := value(t, s, test.query); !found || got != test.want {
				t.Errorf("%s = %g (found: %v), want %g", test.query, got, found, test.want)
			}
		})
	}
}

func TestRefusesBadPushesWithWhatToDo(t *testing.T) {
	now := time.Now()
	o := listening()
	o.MaxBody = 64 << 10
	s := start(t, o)
	good := writeV1(t, series(now, time.Second, []float64{5}, "__name__", "one"))
	with := func(p push, change func(*push)) push { change(&p); return p }
	bomb := binary.AppendUvarint(nil, 4<<30-1)
	tests := []struct {
		name   string
		push   push
		status int
		says   string
	}{
		{"no token", with(good, func(p *push) { p.token = "-" }), 401, "Authorization"},
		{"another token", with(good, func(p *push) { p.token = "Bearer wrong" }), 401, "Authorization"},
		{"a beginning of the token", with(good, func(p *push) { p.token = "Bearer " + token[:5] }), 401, "Authorization"},
		{"the token in another scheme", with(good, func(p *push) { p.token = "Basic " + token }), 401, "Authorization"},
		{"no token, any path", push{path: "/", token: "-"}, 401, "Authorization"},
		{"another path", push{path: "/api/v1/query"}, 404, "not found"},
		{"too many bytes", with(good, func(p *push) { p.body = make([]byte, 65<<10) }), 413, "max_body"},
		{"a snappy body that says it unpacks to 4 GB", with(good, func(p *push) { p.body = bomb }), 413, "max_body"},
		{"a gzip body that unpacks to too much", zipped(t, push{path: otlpPath, contentType: protoType, body: make([]byte, 1<<20)}), 413, "max_body"},
		{"no snappy", with(good, func(p *push) { p.body = []byte("\x09nonsense ") }), 400, "corrupt"},
		{"no protobuf in the snappy", with(good, func(p *push) { p.body = snappy.Encode(nil, []byte("nonsense")) }), 400, ""},
		{"an unknown message", with(good, func(p *push) { p.contentType = "text/html" }), 415, "content-type"},
		{"no gzip", push{path: otlpPath, contentType: protoType, encoding: "gzip", body: []byte("nonsense")}, 400, "gzip"},
		{"half a gzip", with(zipped(t, otlpProto(t, otlp(now, 1, pmetric.AggregationTemporalityCumulative))), func(p *push) { p.body = p.body[:30] }), 400, "gzip"},
		{"no JSON", push{path: otlpPath, contentType: "application/json", body: []byte("{")}, 400, ""},
		{"deltas, which have no raw counter", otlpJSON(t, otlp(now, 1, pmetric.AggregationTemporalityDelta)), 400, "temporality"},
		{"samples of next year", writeV1(t, series(now.AddDate(1, 0, 0), time.Second, []float64{1}, "__name__", "one")), 400, "future"},
		{"samples of last year", writeV1(t, series(now.AddDate(-1, 0, 0), time.Second, []float64{1}, "__name__", "one")), 400, "old"},
	}
	mustPush(t, s, series(now, time.Second, []float64{5}, "__name__", "one"))
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			status, text := send(t, s, test.push)
			if status != test.status || !strings.Contains(text, test.says) {
				t.Errorf("answer %d %q, want %d with %q", status, text, test.status, test.says)
			}
			if strings.Contains(text, token) {
				t.Errorf("the answer gives the token away")
			}
		})
	}
	if got := ask(t, s, adg.Query{Text: `count({__name__=~".+"})`}).Series; len(got) != 1 || got[0].Samples[0].Value != 1 {
		t.Errorf("something of what was refused is stored: %v", got)
	}
}

func TestReadingIsRefusedToWhoeverPushes(t *testing.T) {
	s := start(t, listening())
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Addr()+writePath, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("answer %d, want 405", resp.StatusCode)
	}
}

func TestSeriesPastTheLimitAreRefusedAndKnownOnesAreNot(t *testing.T) {
	now := time.Now()
	o := listening()
	o.SeriesLimit = 10
	s := start(t, o)
	var ten []prompb.TimeSeries
	for i := range 10 {
		ten = append(ten, series(now.Add(-time.Second), time.Second, []float64{1}, "__name__", "n", "i", fmt.Sprint(i)))
	}
	mustPush(t, s, ten...)
	for name, p := range map[string]push{
		"remote-write 1.0": writeV1(t, series(now, time.Second, []float64{1}, "__name__", "n", "i", "new")),
		"remote-write 2.0": writeV2(t, "n", now, 1),
		"OTLP":             otlpJSON(t, otlp(now, 1, pmetric.AggregationTemporalityCumulative)),
		"histograms":       writeV1(t, native(now)),
	} {
		if status, text := send(t, s, p); status != http.StatusTooManyRequests || !strings.Contains(text, "limit of 10 live series") {
			t.Errorf("%s: answer %d %q, want 429 with the limit", name, status, text)
		}
	}
	mustPush(t, s, series(now, time.Second, []float64{2}, "__name__", "n", "i", "3"))
	eventuallyIs(t, s, `n{i="3"}`, 2)
	eventuallyIs(t, s, `count(n)`, 10)
}

func TestATargetWithTooManySeriesIsDownAndTheOthersGoOn(t *testing.T) {
	var text strings.Builder
	for i := range 30 {
		fmt.Fprintf(&text, "n{i=\"%d\"} 1\n", i)
	}
	good, bad := expose(t, "colour 1\n"), expose(t, "n{i=\"0\"} 1\n")
	o := scraping(embedded.Job{Job: "good", Targets: []string{good.address()}}, embedded.Job{Job: "bad", Targets: []string{bad.address()}})
	o.SeriesLimit = 10
	s := start(t, o)
	eventuallyIs(t, s, "colour", 1)
	eventuallyIs(t, s, "n", 1)

	bad.set(text.String())
	eventuallyIs(t, s, `up{job="bad"}`, 0)
	eventually(t, "the target is down and tells of the limit", func() bool {
		target := s.Targets()[0]
		return !target.Up && strings.Contains(target.Err, "limit of 20 live series")
	})
	good.set("colour 2\n")
	eventuallyIs(t, s, "colour", 2)
	bad.set("n{i=\"0\"} 3\n")
	eventuallyIs(t, s, `up{job="bad"}`, 1)
	eventuallyIs(t, s, `n{i="0"}`, 3)
}

func TestATargetThatNeverFitsIsSeenToBeDown(t *testing.T) {
	var text strings.Builder
	for i := range 30 {
		fmt.Fprintf(&text, "n{i=\"%d\"} 1\n", i)
	}
	o := scraping(embedded.Job{Job: "bad", Targets: []string{expose(t, text.String()).address()}})
	o.SeriesLimit = 10
	eventuallyIs(t, start(t, o), `up{job="bad"}`, 0)
}

func FuzzPushesNeverBreakTheReceiver(f *testing.F) {
	now := time.Unix(1_700_000_000, 0)
	for _, p := range []push{
		writeV1(f, series(now, time.Second, []float64{5}, "__name__", "one")), writeV2(f, "two", now, 6),
		otlpJSON(f, otlp(now, 1, pmetric.AggregationTemporalityCumulative)), zipped(f, otlpProto(f, otlp(now, 1, pmetric.AggregationTemporalityDelta))),
		{path: writePath, contentType: protoType, body: binary.AppendUvarint(nil, 4<<30)},
	} {
		f.Add(p.path == otlpPath, p.contentType, p.encoding, p.body)
	}
	o := listening()
	o.SeriesLimit = 1_000
	opened, err := embedded.Driver.Open(f.Context(), o, adg.Host{Name: "local", Dir: f.TempDir()})
	if err != nil {
		f.Fatal(err)
	}
	s := opened.(*embedded.Source)
	f.Cleanup(func() { _ = s.Close() })
	f.Fuzz(func(t *testing.T, toOTLP bool, contentType, encoding string, body []byte) {
		if strings.ContainsFunc(contentType+encoding, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Skip("no header can hold this")
		}
		p := push{path: writePath, contentType: contentType, encoding: encoding, body: body}
		if toOTLP {
			p.path = otlpPath
		}
		if status, text := send(t, s, p); status >= 500 {
			t.Errorf("answer %d %q: the sender would try for ever", status, text)
		}
	})
}
