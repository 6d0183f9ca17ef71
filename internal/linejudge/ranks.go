package linejudge

import (
	"math"
	"strconv"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/judge/ranks"
)

// Private

// rankSettings are how mann-whitney compares.
type rankSettings struct {
	Direction  adg.Direction `json:"direction"`
	NaN        string        `json:"nan"` // remove or replace
	Outliers   outliers      `json:"outliers"`
	Effect     effect        `json:"effect"`
	Confidence float64       `json:"confidence"`
	Tolerance  float64       `json:"tolerance"`
}

// outliers say what becomes of values far away.
type outliers struct {
	Strategy string  `json:"strategy"` // keep or remove
	Factor   float64 `json:"factor"`   // of the interquartile range
}

// effect is the size from which on a shift counts; nil: from the neutral one on, which is 1, and 0.5 for cles.
type effect struct {
	Measure         string   `json:"measure"` // meanRatio or cles
	AllowedIncrease *float64 `json:"allowedIncrease"`
	AllowedDecrease *float64 `json:"allowedDecrease"`
}

// usualRanks are the settings of Kayenta's judge.
var usualRanks = rankSettings{
	Direction: adg.Either, NaN: "remove", Outliers: outliers{Strategy: "keep", Factor: 3}, Effect: effect{Measure: "meanRatio"},
	Confidence: 0.98, Tolerance: 0.25,
}

type ranksRequest struct {
	Control    samples `json:"control"`
	Experiment samples `json:"experiment"`
	rankSettings
}

type ranksAnswer struct {
	Classification string `json:"classification"` // Pass, High, Low, Nodata, Error
	Lower          number `json:"lower"`          // interval of the shift
	Upper          number `json:"upper"`
	Estimate       number `json:"estimate"` // of the shift
	Effect         number `json:"effect"`
	NExperiment    int    `json:"n_experiment"` // samples that were compared
	NControl       int    `json:"n_control"`
	Method         string `json:"method"` // exact, normal, none
	Text           string `json:"text"`
}

var ranksColumns = []string{"classification", "lower", "upper", "estimate", "effect", "n_experiment", "n_control", "method", "text"}

func (a *ranksAnswer) row() []string {
	return []string{a.Classification, a.Lower.cell(), a.Upper.cell(), a.Estimate.cell(), a.Effect.cell(),
		strconv.Itoa(a.NExperiment), strconv.Itoa(a.NControl), a.Method, a.Text}
}

func (r *ranksRequest) columns() []column {
	return []column{
		{"control", r.Control == nil, func(s samples) { r.Control = s }},
		{"experiment", r.Experiment == nil, func(s samples) { r.Experiment = s }},
	}
}

func (r *ranksRequest) answer() (answer, error) {
	if r.Control == nil || r.Experiment == nil {
		return nil, adg.Errorf(adg.Invalid, "mann-whitney needs two lists of samples, control and experiment")
	}
	test, err := r.test()
	if err != nil {
		return nil, err
	}
	got := ranks.Compare(test, r.Experiment, r.Control)
	return &ranksAnswer{
		Classification: got.Class.String(), Lower: number(got.Lower), Upper: number(got.Upper), Estimate: number(got.Estimate),
		Effect: number(got.Effect), NExperiment: got.N, NControl: got.Base, Method: got.Method.String(), Text: got.Text,
	}, nil
}

func (r *ranksRequest) settle(bool) error {
	_, err := r.test()
	return err
}

// test is what the settings mean; what can't be meant is refused.
func (s rankSettings) test() (adg.RankTest, error) {
	t := adg.RankTest{Direction: s.Direction, Confidence: s.Confidence, Tolerance: notUnset(s.Tolerance)}
	switch {
	case !(s.Confidence > 0 && s.Confidence < 1):
		return t, adg.Errorf(adg.Invalid, "confidence %g: between 0 and 1, such as 0.98", s.Confidence)
	case !(s.Tolerance >= 0):
		return t, adg.Errorf(adg.Invalid, "tolerance %g: 0 or more, such as 0.25", s.Tolerance)
	}
	var err error
	if t.NaNAsZero, err = choose("nan", s.NaN, "remove", "replace"); err != nil {
		return t, err
	}
	if t.CLES, err = choose("effect.measure", s.Effect.Measure, "meanRatio", "cles"); err != nil {
		return t, err
	}
	remove, err := choose("outliers.strategy", s.Outliers.Strategy, "keep", "remove")
	if err != nil {
		return t, err
	}
	if remove {
		if !(s.Outliers.Factor > 0) {
			return t, adg.Errorf(adg.Invalid, "outliers.factor %g: above 0, such as 3", s.Outliers.Factor)
		}
		t.Outliers = s.Outliers.Factor
	}
	if e := s.Effect.AllowedIncrease; e != nil {
		t.Increase = notUnset(*e)
	}
	if e := s.Effect.AllowedDecrease; e != nil {
		t.Decrease = notUnset(*e)
	}
	return t, nil
}

// notUnset keeps a zero that was meant apart from one that stands for the default: the next number above it compares
// the same with everything but numbers that no metric has.
func notUnset(v float64) float64 {
	if v == 0 {
		return math.SmallestNonzeroFloat64
	}
	return v
}

// choose tells whether the second of two choices was made.
func choose(field, value, first, second string) (bool, error) {
	if value != first && value != second {
		return false, adg.Errorf(adg.Invalid, "%s %q: choose one of %s, %s", field, cut(value), first, second)
	}
	return value == second, nil
}
