package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/deployguardian/adg"
)

// The bounds of an answer, the same as those of the other sources.
const (
	maxSeries  = 1_000
	maxSamples = 100_000
)

// printed is what a program may print beside a bare number.
type printed struct {
	Value  *number  `json:"value"`
	Series []series `json:"series"`
}

type series struct {
	Labels  map[string]string `json:"labels"`
	Samples []sample          `json:"samples"`
}

// number is written as JSON does, or in quotes where JSON has no words for it: "NaN", "+Inf".
type number float64

// UnmarshalJSON reads both forms.
func (n *number) UnmarshalJSON(text []byte) error {
	word := string(text)
	if unquoted, err := strconv.Unquote(word); err == nil {
		word = unquoted
	}
	value, err := strconv.ParseFloat(word, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return errors.New("a value is a number, or \"NaN\", \"+Inf\", \"-Inf\"")
	}
	*n = number(value)
	return nil
}

// sample is written as [seconds since 1970, value].
type sample adg.Sample

// UnmarshalJSON refuses everything else, and times that no calendar has.
func (s *sample) UnmarshalJSON(text []byte) error {
	var pair []number
	const year9999 = 253402300799
	if err := json.Unmarshal(text, &pair); err != nil || len(pair) != 2 || !(math.Abs(float64(pair[0])) <= year9999) {
		return errors.New("a sample is [seconds since 1970, value]")
	}
	s.At, s.Value = time.UnixMilli(int64(math.Round(float64(pair[0])*1000))).UTC(), float64(pair[1])
	return nil
}

// parse reads what a program printed. Nothing means that there is no data. scrub makes the program's words fit for
// people.
func parse(output []byte, q adg.Query, scrub func(string) string) ([]adg.Series, error) {
	output = bytes.TrimSpace(output)
	if len(output) == 0 {
		return nil, nil
	}
	if output[0] != '{' {
		value, err := strconv.ParseFloat(string(output), 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return nil, adg.Errorf(adg.Unavailable, "the output is neither one number nor a JSON object with value or series")
		}
		return one(value, q)
	}
	var p printed
	d := json.NewDecoder(bytes.NewReader(output))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return nil, adg.Errorf(adg.Unavailable, "the output is not the JSON that is wanted, {\"value\": 1.5} or {\"series\": […]}: %s", scrub(err.Error()))
	}
	switch {
	case d.More():
		return nil, adg.Errorf(adg.Unavailable, "the output holds more than one JSON object")
	case p.Value != nil && p.Series != nil:
		return nil, adg.Errorf(adg.Unavailable, "the output has both value and series: print one of them")
	case p.Value != nil:
		return one(float64(*p.Value), q)
	}
	return several(p.Series, q)
}

// one is a value at the time of the query.
func one(value float64, q adg.Query) ([]adg.Series, error) {
	if q.Kind != adg.Instant {
		return nil, adg.Permanent(adg.Errorf(adg.Invalid,
			"the output is one number, and this check needs samples over time: print {\"series\": [{\"samples\": [[UNIX, VALUE], …]}]}, or use an aggregate of latest"))
	}
	return []adg.Series{{Samples: []adg.Sample{{At: q.At.UTC(), Value: value}}}}, nil
}

func several(all []series, q adg.Query) ([]adg.Series, error) {
	out := make([]adg.Series, 0, len(all))
	samples := 0
	for _, s := range all {
		if q.Kind == adg.Instant && len(s.Samples) > 1 {
			return nil, adg.Permanent(adg.Errorf(adg.Invalid, "a series has %d samples, and this check needs one value per series", len(s.Samples)))
		}
		converted := adg.Series{Labels: s.Labels}
		for _, one := range s.Samples {
			converted.Samples = append(converted.Samples, adg.Sample(one))
		}
		slices.SortStableFunc(converted.Samples, func(a, b adg.Sample) int { return a.At.Compare(b.At) })
		samples += len(s.Samples)
		out = append(out, converted)
	}
	if len(out) > maxSeries || samples > maxSamples {
		return nil, adg.Permanent(adg.Errorf(adg.Invalid, "the output has %d series with %d samples, at most %d and %d are accepted: let it print less",
			len(out), samples, maxSeries, maxSamples))
	}
	return out, nil
}
