package linejudge

import (
	"bytes"
	"encoding/json"
	"math"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/judge"
	"github.com/deployguardian/adg/internal/judge/bounds"
)

// Private

// limitSettings are how threshold and relative compare.
type limitSettings struct {
	Aggregate  adg.Aggregate `json:"aggregate"` // of the samples; latest unless said otherwise
	Warn       adg.Condition `json:"warn"`
	Fail       adg.Condition `json:"fail"`
	MinSamples float64       `json:"min_samples"`
}

type thresholdRequest struct {
	Values samples `json:"values"`
	limitSettings
}

type relativeRequest struct {
	Values   samples  `json:"values"`
	Baseline baseline `json:"baseline"`
	// Range holds all values and all of the baseline: with it, the means are compared by betting, pair by pair.
	Range *[2]float64 `json:"range"`
	limitSettings
}

// baseline is a list of samples, or the one number that normal is.
type baseline struct {
	list samples
	one  bool
}

// UnmarshalJSON reads either.
func (b *baseline) UnmarshalJSON(text []byte) error {
	*b = baseline{}
	if bytes.HasPrefix(text, []byte("[")) {
		return json.Unmarshal(text, &b.list)
	}
	var v *float64
	if err := json.Unmarshal(text, &v); err != nil || v == nil {
		return adg.Errorf(adg.Invalid, "baseline is a list of samples, or a number")
	}
	b.list, b.one = samples{*v}, true
	return nil
}

type limitsAnswer struct {
	Verdict  adg.Verdict `json:"verdict"` // pass, warn, fail, unknown
	Why      adg.Why     `json:"why"`
	Value    number      `json:"value"`
	Baseline number      `json:"baseline"`
	Limit    number      `json:"limit"` // the number that the value was compared with
	N        float64     `json:"n"`     // samples
	BaseN    float64     `json:"base_n"`
	Text     string      `json:"text"`
	Mean     *meanAnswer `json:"mean,omitempty"`
}

// meanAnswer is about the mean of the values less that of the baseline.
type meanAnswer struct {
	Difference number `json:"difference"`
	Lower      number `json:"lower"` // of its interval, which holds it at all times at once but for a probability of 1 %
	Upper      number `json:"upper"`
	LogE       number `json:"log_e"` // evidence, at its highest, that the values' mean is the larger; ln 100 decides at 1 %
}

var limitsColumns = []string{"verdict", "why", "value", "baseline", "limit", "n", "base_n", "text"}

func (a *limitsAnswer) row() []string {
	return []string{a.Verdict.String(), a.Why.String(), a.Value.cell(), a.Baseline.cell(), a.Limit.cell(),
		number(a.N).cell(), number(a.BaseN).cell(), a.Text}
}

func (r *thresholdRequest) columns() []column {
	return []column{{"values", r.Values == nil, func(s samples) { r.Values = s }}}
}

func (r *relativeRequest) columns() []column {
	return []column{
		{"values", r.Values == nil, func(s samples) { r.Values = s }},
		{"baseline", r.Baseline.list == nil, func(s samples) { r.Baseline = baseline{list: s} }},
	}
}

func (r *thresholdRequest) answer() (answer, error) {
	if r.Values == nil {
		return nil, adg.Errorf(adg.Invalid, "threshold needs a list of samples, values")
	}
	check, err := r.check(adg.Threshold)
	if err != nil {
		return nil, err
	}
	return told(adg.Observation{Check: check, Candidate: measured(r.Values)}), nil
}

func (r *relativeRequest) answer() (answer, error) {
	if r.Values == nil || r.Baseline.list == nil {
		return nil, adg.Errorf(adg.Invalid, "relative needs values, a list of samples, and baseline, a list or a number")
	}
	check, err := r.check(adg.Relative)
	if err != nil {
		return nil, err
	}
	o := adg.Observation{Check: check, Candidate: measured(r.Values)}
	if r.Baseline.one {
		return besideNumber(o, r.Baseline.list), nil
	}
	o.Stable = new(measured(r.Baseline.list))
	a := told(o)
	a.Mean, err = r.means()
	return a, err
}

// means compares the means of two lists that were taken side by side, by betting.
func (r *relativeRequest) means() (*meanAnswer, error) {
	if r.Range == nil {
		return nil, nil
	}
	if len(r.Values) != len(r.Baseline.list) {
		return nil, adg.Errorf(adg.Invalid, "range compares pairs: there are %d values and %d of the baseline", len(r.Values), len(r.Baseline.list))
	}
	d, err := bounds.NewDifference(r.Range[0], r.Range[1], 0)
	if err != nil {
		return nil, adg.Errorf(adg.Invalid, "range: %w", err)
	}
	for i, v := range r.Values {
		if math.IsNaN(v) || math.IsNaN(r.Baseline.list[i]) {
			continue // a pair of which one is missing says nothing
		}
		if err := d.Add(r.Baseline.list[i], v); err != nil {
			return nil, err
		}
	}
	within := d.Interval(meanAlpha)
	return &meanAnswer{number(d.Gap.Estimate()), number(within.Low), number(within.High), number(d.MaxLogE)}, nil
}

// meanAlpha is what the interval of the means' difference misses with.
const meanAlpha = 0.01

func (r *thresholdRequest) settle(final bool) error {
	return r.limitSettings.settle(adg.Threshold, final)
}
func (r *relativeRequest) settle(final bool) error {
	return r.limitSettings.settle(adg.Relative, final)
}

func (s limitSettings) settle(compare adg.Comparison, final bool) error {
	if !final && s.Warn.IsZero() && s.Fail.IsZero() {
		return nil
	}
	_, err := s.check(compare)
	return err
}

// besideNumber compares with a number that was given: it stands for as many samples as it likes, so how many are
// wanted is asked of the values only.
func besideNumber(o adg.Observation, normal samples) *limitsAnswer {
	wanted := o.Check.MinSamples
	o.Check.Baseline, o.Before = adg.Historical, &adg.Baseline{Values: normal}
	o.Check.MinSamples = 0
	a := told(o)
	if a.N >= wanted {
		return a
	}
	o.Check.MinSamples = wanted
	return told(o)
}

// check is the check that a policy would have.
func (s limitSettings) check(compare adg.Comparison) (adg.Check, error) {
	c := adg.Check{Compare: compare, Aggregate: s.Aggregate, Warn: s.Warn, Fail: s.Fail, MinSamples: s.MinSamples, Window: ages}
	if s.Warn.IsZero() && s.Fail.IsZero() {
		return c, adg.Errorf(adg.Invalid, "what is bad? give fail or warn, such as %q", example(compare))
	}
	if !(s.MinSamples >= 0) {
		return c, adg.Errorf(adg.Invalid, "min_samples %g: 0 or more", s.MinSamples)
	}
	for _, limit := range []adg.Condition{s.Warn, s.Fail} {
		switch {
		case limit.IsZero():
		case limit.Relative && compare == adg.Threshold:
			return c, adg.Errorf(adg.Invalid, "%q: threshold compares with fixed numbers; what is compared with a baseline needs the method relative", limit)
		case !limit.Relative && compare == adg.Relative:
			return c, adg.Errorf(adg.Invalid, "%q: relative compares with the baseline, as in %q; fixed numbers need the method threshold", limit, example(compare))
		}
	}
	return c, nil
}

func example(compare adg.Comparison) string {
	if compare == adg.Relative {
		return "> baseline + 25%"
	}
	return "> 5%"
}

// The samples have no times of their own: they are a second apart, and all of them are within the window.
const ages = maxSamples * time.Second

var now = time.Unix(0, 0).UTC()

func measured(values samples) adg.Measurement {
	m := adg.Measurement{At: now}
	if len(values) == 0 {
		return m
	}
	series := adg.Series{Samples: make([]adg.Sample, len(values))}
	for i, v := range values {
		series.Samples[i] = adg.Sample{At: now.Add(time.Duration(i+1-len(values)) * time.Second), Value: v}
	}
	m.Values = []adg.Series{series}
	return m
}

func told(o adg.Observation) *limitsAnswer {
	j, _ := judge.Judge(o, now)
	return &limitsAnswer{
		Verdict: j.Verdict, Why: j.Why, Value: pointed(j.Value), Baseline: pointed(j.Baseline), Limit: pointed(j.Limit),
		N: j.N, BaseN: j.BaseN, Text: j.Text,
	}
}
