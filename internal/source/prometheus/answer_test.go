package prometheus

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/deployguardian/adg"
)

// The answers in this file are written from the documentation of the Prometheus HTTP API, unless they say otherwise.

func unscrubbed(text string) string { return text }

func at(seconds float64) time.Time { return time.UnixMilli(int64(seconds * 1000)).UTC() }

func success(kind, result string) string {
	return `{"status":"success","data":{"resultType":"` + kind + `","result":` + result + `}}`
}

func TestAnswersAreReadAsTheyAreMeant(t *testing.T) {
	for _, c := range []struct {
		name string
		kind adg.QueryKind
		body string
		want adg.Answer
	}{
		{"a vector", adg.Instant, success("vector", `[{"metric":{"__name__":"up","pod":"a"},"value":[1435781451.781,"1"]},{"metric":{},"value":[1,"2.5e-3"]}]`),
			adg.Answer{Series: []adg.Series{
				{Labels: map[string]string{"__name__": "up", "pod": "a"}, Samples: []adg.Sample{{At: at(1435781451.781), Value: 1}}},
				{Labels: map[string]string{}, Samples: []adg.Sample{{At: at(1), Value: 0.0025}}},
			}}},
		{"no series", adg.Instant, success("vector", `[]`), adg.Answer{}},
		{"a scalar", adg.Instant, success("scalar", `[12.5, "3"]`), adg.Answer{Series: []adg.Series{{Samples: []adg.Sample{{At: at(12.5), Value: 3}}}}}},
		{"numbers that are none", adg.Range, success("matrix", `[{"metric":{"a":"b"},"values":[[1,"NaN"],[2,"+Inf"],[3,"-Inf"],[4,"1e999"]]}]`),
			adg.Answer{Series: []adg.Series{{Labels: map[string]string{"a": "b"}, Samples: []adg.Sample{
				{At: at(1), Value: math.NaN()}, {At: at(2), Value: math.Inf(1)}, {At: at(3), Value: math.Inf(-1)}, {At: at(4), Value: math.Inf(1)},
			}}}}},
		{"samples out of order", adg.Counters, success("matrix", `[{"metric":{},"values":[[2,"2"],[1,"1"]]}]`),
			adg.Answer{Series: []adg.Series{{Labels: map[string]string{}, Samples: []adg.Sample{{At: at(1), Value: 1}, {At: at(2), Value: 2}}}}}},
		{"warnings, infos, fields that we do not know", adg.Instant,
			`{"status":"success","stats":{},"data":{"resultType":"vector","result":[],"x":1},"warnings":["w"],"infos":["i"],"isPartial":true}`,
			adg.Answer{Warnings: []string{"w", "i", "the answer is partial: some of the server's storage did not answer"}}},
	} {
		got, err := decode([]byte(c.body), c.kind, unscrubbed)
		if diff := cmp.Diff(c.want, got, cmpopts.EquateEmpty(), cmpopts.EquateNaNs()); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", c.name, err, diff)
		}
	}
}

func TestAnswersThatAreNoneSayWhyAndWhatToDo(t *testing.T) {
	many := func(n int, one string) string { return "[" + strings.TrimSuffix(strings.Repeat(one+",", n), ",") + "]" }
	value := `{"metric":{},"value":[1,"1"]}`
	for _, c := range []struct {
		name      string
		kind      adg.QueryKind
		body      string
		permanent bool
		want      string
	}{
		{"a query that does not parse", adg.Instant, `{"status":"error","errorType":"bad_data","error":"1:2: parse error"}`, true, "1:2: parse error"},
		{"a query that VictoriaMetrics refuses", adg.Instant, `{"status":"error","errorType":"422","error":"cannot parse"}`, true, "cannot parse"},
		{"a query that took too long", adg.Instant, `{"status":"error","errorType":"timeout","error":"query timed out"}`, false, "query timed out"},
		{"a query that failed", adg.Instant, `{"status":"error","errorType":"execution","error":"expanding series: store"}`, false, "expanding series"},
		{"an error nobody knows", adg.Instant, `{"status":"error","errorType":"new","error":"x"}`, false, "new: x"},
		{"a status nobody knows", adg.Instant, `{"status":"maybe"}`, false, "could not answer"},
		{"another JSON document", adg.Instant, `{"message":"hello"}`, false, "could not answer"},
		{"a web page", adg.Instant, " \n<html>Sign in</html>", false, "web page"},
		{"nothing", adg.Instant, " ", false, "empty"},
		{"half of it", adg.Instant, success("vector", `[{"metric":{},"val`), false, "not that of a Prometheus server"},
		{"more after it", adg.Instant, success("vector", `[]`) + "x", false, "not that of a Prometheus server"},
		{"a range where a value is wanted", adg.Instant, success("matrix", `[]`), true, "take the [range] off"},
		{"text", adg.Instant, success("string", `[1,"x"]`), true, "gives text"},
		{"a vector where a range is wanted", adg.Range, success("vector", `[]`), false, "does not fit a query of kind range"},
		{"a scalar where counters are wanted", adg.Counters, success("scalar", `[1,"1"]`), false, "does not fit a query of kind counters"},
		{"no type", adg.Instant, `{"status":"success","data":{}}`, false, "of type"},
		{"no list", adg.Instant, success("vector", `{}`), false, "is a list"},
		{"a null for a list", adg.Instant, success("vector", `null`), false, "is a list"},
		{"an element without samples", adg.Instant, success("vector", `[{"metric":{}}]`), false, "without its samples"},
		{"an element of the other type", adg.Range, success("matrix", `[`+value+`]`), false, "without its samples"},
		{"a native histogram", adg.Instant, success("vector", `[{"metric":{},"histogram":[1,{"count":"60"}]}]`), true, "histogram_quantile"},
		{"a native histogram that is none", adg.Counters, success("matrix", `[{"metric":{},"histograms":[[1,{"count":60}]]}]`), false, "histogram"},
		{"native histograms over time", adg.Range, success("matrix", `[{"metric":{},"histograms":[[1,{"count":"60"}]]}]`), true, "histogram_quantile"},
		{"a sample of one part", adg.Instant, success("vector", `[{"metric":{},"value":[1]}]`), false, "a sample is"},
		{"a sample of three parts", adg.Instant, success("vector", `[{"metric":{},"value":[1,"1","2"]}]`), false, "a sample is"},
		{"a value that is no string", adg.Instant, success("vector", `[{"metric":{},"value":[1,1]}]`), false, "a sample is"},
		{"a value that is no number", adg.Instant, success("vector", `[{"metric":{},"value":[1,"one"]}]`), false, "not a number"},
		{"a time that no calendar has", adg.Instant, success("vector", `[{"metric":{},"value":[1e18,"1"]}]`), false, "a sample is"},
		{"a scalar that is none", adg.Instant, success("scalar", `{}`), false, "a sample is"},
		{"too many series", adg.Instant, success("vector", many(maxSeries+1, value)), true, "more than 1000 series: aggregate"},
		{"too many samples in one series", adg.Range, success("matrix", `[{"metric":{},"values":`+many(maxSamples+1, `[1,"1"]`)+`}]`), true, "more than 100000 samples"},
		{"too many samples in all", adg.Range, success("matrix", many(2, `{"metric":{},"values":`+many(maxSamples/2+1, `[1,"1"]`)+`}`)), true, "more than 100000 samples"},
	} {
		_, err := decode([]byte(c.body), c.kind, unscrubbed)
		code := adg.Unavailable
		if c.permanent {
			code = adg.Invalid
		}
		if err == nil || adg.IsPermanent(err) != c.permanent || adg.CodeOf(err) != code || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v (permanent %v, code %s), without %q", c.name, err, adg.IsPermanent(err), adg.CodeOf(err), c.want)
		}
	}
	if answer, err := decode([]byte(success("vector", many(maxSeries, value))), adg.Instant, unscrubbed); err != nil || len(answer.Series) != maxSeries {
		t.Errorf("as many series as are accepted: %d, %v", len(answer.Series), err)
	}
}

func TestManyWarningsAreCounted(t *testing.T) {
	body := `{"status":"success","warnings":[` + strings.TrimSuffix(strings.Repeat(`"w",`, 50), ",") + `],"data":{"resultType":"vector","result":[]}}`
	answer, err := decode([]byte(body), adg.Instant, unscrubbed)
	if err != nil || len(answer.Warnings) != 11 || answer.Warnings[10] != "and 40 more warnings" {
		t.Errorf("%v, %v", answer.Warnings, err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		success("vector", `[{"metric":{"a":"b"},"value":[1435781451.781,"NaN"]}]`), success("matrix", `[{"metric":{},"values":[[1,"1"],[2,"+Inf"]]}]`),
		success("scalar", `[1,"1"]`), success("string", `[1,"x"]`), `{"status":"error","errorType":"bad_data","error":"x"}`, `<html>`, ``, `[]`, `null`,
		success("vector", `[{"metric":{},"histogram":[1,{}]}]`), success("vector", `[{"metric":null,"value":["1","1"]}]`), success("scalar", `[-1e300,"\"1"]`),
		success("matrix", `[{"values":[null]}]`), success("matrix", `[{"values":null}]`), success("vector", `[null]`),
	} {
		f.Add([]byte(seed), uint8(0))
		f.Add([]byte(seed), uint8(1))
	}
	f.Fuzz(func(t *testing.T, body []byte, kind uint8) {
		answer, err := decode(body, adg.QueryKind(kind%3), unscrubbed)
		if err != nil {
			if adg.CodeOf(err) == adg.Internal || len(answer.Series) > 0 {
				t.Fatalf("%v with %v", err, answer)
			}
			return
		}
		for _, s := range answer.Series {
			for i, sample := range s.Samples {
				if _, err := sample.At.MarshalJSON(); err != nil {
					t.Fatalf("a time that cannot be stored: %v", err)
				}
				if i > 0 && sample.At.Before(s.Samples[i-1].At) {
					t.Fatal("samples out of order")
				}
			}
		}
		_ = fmt.Sprint(answer)
	})
}
