package prometheus

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/source/promtext"
)

// envelope is what every answer of the API is wrapped in. Fields that are not here are the business of others.
type envelope struct {
	Status    string   `json:"status"`
	ErrorType string   `json:"errorType"`
	Error     string   `json:"error"`
	Warnings  []string `json:"warnings"`
	Infos     []string `json:"infos"`
	IsPartial bool     `json:"isPartial"` // VictoriaMetrics: some of the storage did not answer
	Data      struct {
		ResultType string          `json:"resultType"`
		Result     json.RawMessage `json:"result"`
	} `json:"data"`
}

// series is one element of a vector or a matrix.
type series struct {
	Metric     map[string]string `json:"metric"`
	Value      *promtext.Sample  `json:"value"`
	Values     samples           `json:"values"`
	Histogram  json.RawMessage   `json:"histogram"`
	Histograms histograms        `json:"histograms"`
}

// samples are those of one series.
type samples []promtext.Sample

var errTooManySamples = fmt.Errorf("the query gives more than %d samples: use a shorter window, a longer step or fewer series", maxSamples)

// UnmarshalJSON counts before it makes room.
func (s *samples) UnmarshalJSON(text []byte) error {
	n := bytes.Count(text, []byte("[")) - 1
	if n > maxSamples {
		return errTooManySamples
	}
	*s = make(samples, 0, max(n, 0))
	return json.Unmarshal(text, (*[]promtext.Sample)(s))
}

// decode reads an answer of the API; scrub makes the server's words fit for people.
func decode(body []byte, kind adg.QueryKind, scrub func(string) string) (adg.Answer, error) {
	var e envelope
	if err := json.Unmarshal(body, &e); err != nil {
		return adg.Answer{}, notJSON(body, err, scrub)
	}
	if e.Status != "success" {
		return adg.Answer{}, e.err(scrub)
	}
	answer := adg.Answer{Warnings: e.warnings(scrub)}
	var err error
	switch got := e.Data.ResultType; {
	case got == "matrix" && kind != adg.Instant, got == "vector" && kind == adg.Instant:
		answer.Series, err = decodeSeries(e.Data.Result, got, kind)
	case got == "scalar" && kind == adg.Instant:
		var s promtext.Sample
		err = unexpected(json.Unmarshal(e.Data.Result, &s))
		answer.Series = []adg.Series{{Samples: []adg.Sample{adg.Sample(s)}}}
	case got == "matrix":
		err = refused("the query gives a stretch of time where one value per series is wanted: take the [range] off, or put a function such as rate() around it")
	case got == "string":
		err = refused("the query gives text, and a check is made of numbers")
	default:
		err = adg.Errorf(adg.Unavailable, "the answer is of type %q, which does not fit a query of kind %s", scrub(got), kind)
	}
	if err != nil {
		return adg.Answer{}, err
	}
	return answer, nil
}

// complaint is the error that a body holds, nil if it holds none.
func complaint(body []byte, scrub func(string) string) error {
	var e envelope
	if json.Unmarshal(body, &e) != nil || e.Status != "error" {
		return nil
	}
	return e.err(scrub)
}

// err turns what the server calls an error into one of ours.
func (e envelope) err(scrub func(string) string) error {
	said := scrub(e.ErrorType + ": " + e.Error)
	switch e.ErrorType {
	case "bad_data", "not_found", "too_large", "not_acceptable", "400", "422": // VictoriaMetrics repeats the status
		return refused("the server refused the query: %s", said)
	}
	return adg.Errorf(adg.Unavailable, "the server could not answer the query: %s", said)
}

// warnings are at most ten: beyond that nobody reads them, and each is stored.
func (e envelope) warnings(scrub func(string) string) []string {
	all := slices.Concat(e.Warnings, e.Infos)
	if e.IsPartial {
		all = append(all, "the answer is partial: some of the server's storage did not answer")
	}
	const most = 10
	var out []string
	for _, w := range all[:min(len(all), most)] {
		out = append(out, scrub(w))
	}
	if len(all) > most {
		out = append(out, fmt.Sprintf("and %d more warnings", len(all)-most))
	}
	return out
}

// decodeSeries reads element by element, so that a count above the bounds ends it before memory does.
func decodeSeries(result json.RawMessage, kind string, asked adg.QueryKind) ([]adg.Series, error) {
	d := json.NewDecoder(bytes.NewReader(result))
	if begin, err := d.Token(); err != nil || begin != json.Delim('[') {
		return nil, adg.Errorf(adg.Unavailable, "the answer is damaged: a %s is a list", kind)
	}
	var all []adg.Series
	count := 0
	for d.More() {
		if len(all) == maxSeries {
			return nil, refused("the query gives more than %d series: aggregate them, as in sum by (pod) (…), or select fewer", maxSeries)
		}
		one, err := decodeOne(d, kind, asked)
		if err != nil {
			return nil, err
		}
		for _, h := range one.Histograms {
			count += len(h.Buckets)
		}
		if count += len(one.Samples); count > maxSamples {
			return nil, refused("%w", errTooManySamples)
		}
		all = append(all, one)
	}
	return all, nil
}

// decodeOne gives native histograms as they are where raw counters are asked for, which they are.
func decodeOne(d *json.Decoder, kind string, asked adg.QueryKind) (adg.Series, error) {
	var s series
	if err := unexpected(d.Decode(&s)); err != nil {
		return adg.Series{}, err
	}
	if s.Histogram != nil || s.Histograms != nil && asked != adg.Counters {
		return adg.Series{}, refused("the query gives native histograms: make numbers of them, as with histogram_quantile(0.99, …) or histogram_count(…)")
	}
	if (kind == "vector") != (s.Value != nil) {
		return adg.Series{}, adg.Errorf(adg.Unavailable, "the answer is damaged: an element of a %s without its samples", kind)
	}
	if s.Value != nil {
		s.Values = []promtext.Sample{*s.Value}
	}
	one := adg.Series{Labels: s.Metric, Samples: make([]adg.Sample, len(s.Values)), Histograms: s.Histograms}
	for i, v := range s.Values {
		one.Samples[i] = adg.Sample(v)
	}
	slices.SortStableFunc(one.Samples, func(a, b adg.Sample) int { return a.At.Compare(b.At) })
	slices.SortStableFunc(one.Histograms, func(a, b adg.HistogramSample) int { return a.At.Compare(b.At) })
	return one, nil
}

// notJSON says what it is that came instead of an answer.
func notJSON(body []byte, err error, scrub func(string) string) error {
	start := bytes.TrimSpace(body)
	switch {
	case bytes.HasPrefix(start, []byte("<")):
		return adg.Errorf(adg.Unavailable, "the answer is a web page: does url point to the server itself, and to no sign-in or maintenance page before it?")
	case len(start) == 0:
		return adg.Errorf(adg.Unavailable, "the answer is empty: does url point to a server with the API of Prometheus?")
	}
	return adg.Errorf(adg.Unavailable, "the answer is not that of a Prometheus server (%s): it starts with %q", scrub(err.Error()), scrub(string(start[:min(len(start), 60)])))
}

func unexpected(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errTooManySamples):
		return refused("%w", errTooManySamples)
	}
	return adg.Errorf(adg.Unavailable, "the answer is damaged: %w", err)
}

func refused(format string, args ...any) error {
	return adg.Permanent(adg.Errorf(adg.Invalid, format, args...))
}
