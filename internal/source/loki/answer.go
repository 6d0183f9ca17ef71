package loki

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/source/promtext"
)

// found is an answer of the API. Fields that are not here are the business of others.
type found struct {
	Status   string   `json:"status"`
	Error    string   `json:"error"`
	Warnings []string `json:"warnings"`
	Data     struct {
		ResultType string          `json:"resultType"`
		Result     json.RawMessage `json:"result"`
	} `json:"data"`
}

// series is one element of a vector or a matrix.
type series struct {
	Metric map[string]string `json:"metric"`
	Value  *promtext.Sample  `json:"value"`
	Values []promtext.Sample `json:"values"`
}

// stream is lines with the labels that they have in common.
type stream struct {
	Stream map[string]string `json:"stream"`
	Values []line            `json:"values"`
}

// line is written as ["nanoseconds", "text"]; what follows, as structured metadata, is not looked at.
type line struct {
	at   time.Time
	text string
}

// UnmarshalJSON refuses everything else.
func (l *line) UnmarshalJSON(text []byte) error {
	wrong := errors.New("a line is [\"nanoseconds\", \"text\"]")
	var parts []json.RawMessage
	var stamp string
	if json.Unmarshal(text, &parts) != nil || len(parts) < 2 || json.Unmarshal(parts[0], &stamp) != nil || json.Unmarshal(parts[1], &l.text) != nil {
		return wrong
	}
	ns, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return wrong
	}
	l.at = time.Unix(0, ns).UTC()
	return nil
}

func decode(body []byte, scrub func(string) string) (found, error) {
	var f found
	if bytes.HasPrefix(bytes.TrimSpace(body), []byte("<")) {
		return found{}, adg.Errorf(adg.Unavailable, "the answer is a web page: does url point to the server itself, and to no sign-in or maintenance page before it?")
	}
	if err := json.Unmarshal(body, &f); err != nil {
		return found{}, adg.Errorf(adg.Unavailable, "the answer is not that of Loki: %s", scrub(err.Error()))
	}
	if f.Status != "success" {
		return found{}, adg.Errorf(adg.Unavailable, "the answer says %s: %s", scrub(excerptOf([]byte(f.Status))), scrub(excerptOf([]byte(f.Error))))
	}
	for i := range f.Warnings {
		f.Warnings[i] = scrub(excerptOf([]byte(f.Warnings[i])))
	}
	return f, nil
}

// numbers are the series of a query whose answer is numbers.
func (f found) numbers(kind adg.QueryKind) ([]adg.Series, error) {
	want := map[adg.QueryKind]string{adg.Instant: "vector", adg.Range: "matrix"}[kind]
	if f.Data.ResultType == "streams" {
		return nil, adg.Permanent(adg.Errorf(adg.Invalid, "the answer is lines and not numbers: ask for count_over_time or rate, or compare: logs"))
	}
	if f.Data.ResultType != want {
		return nil, adg.Errorf(adg.Unavailable, "the answer is a %s and not a %s", excerptOf([]byte(f.Data.ResultType)), want)
	}
	var all []series
	if err := json.Unmarshal(f.Data.Result, &all); err != nil {
		return nil, adg.Errorf(adg.Unavailable, "the answer cannot be read: %s", excerptOf([]byte(err.Error())))
	}
	samples := 0
	out := make([]adg.Series, 0, len(all))
	for _, s := range all {
		one := adg.Series{Labels: s.Metric}
		if s.Value != nil {
			one.Samples = append(one.Samples, adg.Sample(*s.Value))
		}
		for _, sample := range s.Values {
			one.Samples = append(one.Samples, adg.Sample(sample))
		}
		slices.SortStableFunc(one.Samples, func(a, b adg.Sample) int { return a.At.Compare(b.At) })
		samples += len(one.Samples)
		out = append(out, one)
	}
	if len(out) > maxSeries || samples > maxSamples {
		return nil, adg.Permanent(adg.Errorf(adg.Invalid, "the query gives %d series with %d samples, at most %d and %d are accepted: sum them up, or use a longer step",
			len(out), samples, maxSeries, maxSamples))
	}
	return out, nil
}

// lines are those of a query for lines, with the replica that each is of.
func (f found) lines(replica string, redact func(string) string) ([]adg.LogLine, error) {
	if f.Data.ResultType != "streams" {
		return nil, adg.Permanent(adg.Errorf(adg.Invalid, "the answer is a %s and not lines: give a selector of streams, as in {app=\"shop\", version=\"$version\"}", excerptOf([]byte(f.Data.ResultType))))
	}
	var all []stream
	if err := json.Unmarshal(f.Data.Result, &all); err != nil {
		return nil, adg.Errorf(adg.Unavailable, "the answer cannot be read: %s", excerptOf([]byte(err.Error())))
	}
	var out []adg.LogLine
	for _, s := range all {
		for _, l := range s.Values {
			text := redact(l.text)
			out = append(out, adg.LogLine{At: l.at, Replica: s.Stream[replica], Text: text[:min(len(text), adg.MaxLine)]})
		}
	}
	return out, nil
}
