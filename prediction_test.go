package adg_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/deployguardian/adg"
)

func TestRiskLimitIsReadAsItIsWritten(t *testing.T) {
	for text, want := range map[string]adg.RiskLimit{
		"upper < 60%":    {Bound: adg.BoundUpper, Below: 0.6},
		"success<0.9":    {Bound: adg.BoundSuccess, Below: 0.9},
		"lower < 99.5 %": {Bound: adg.BoundLower, Below: 0.995},
		"":               {},
	} {
		var got, again adg.RiskLimit
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%q is %+v (%v), want %+v", text, got, err, want)
		}
		written, _ := got.MarshalText()
		if err := again.UnmarshalText(written); err != nil || again != got {
			t.Errorf("%q is written %q and read back as %+v (%v)", text, written, again, err)
		}
	}
	for _, text := range []string{"60%", "upper", "upper > 60%", "middle < 60%", "upper < 0", "upper < 101%", "upper < 5pp", "upper < x"} {
		var got adg.RiskLimit
		if err := got.UnmarshalText([]byte(text)); adg.CodeOf(err) != adg.Invalid {
			t.Errorf("%q is taken for %+v (%v)", text, got, err)
		}
	}
}

func TestRiskLimitIsAboutTheBoundThatItNames(t *testing.T) {
	p := adg.Prediction{Success: 0.7, Low: 0.5, High: 0.8}
	for limit, want := range map[adg.RiskLimit]bool{
		{}:                                     false,
		{Bound: adg.BoundSuccess, Below: 0.7}:  false,
		{Bound: adg.BoundSuccess, Below: 0.71}: true,
		{Bound: adg.BoundLower, Below: 0.6}:    true,
		{Bound: adg.BoundUpper, Below: 0.79}:   false,
		{Bound: adg.BoundUpper, Below: 0.81}:   true,
	} {
		if got := limit.Holds(p); got != want {
			t.Errorf("%q holds: %v", limit, got)
		}
	}
	if !(adg.RiskLimit{Below: 0.1}).Holds(adg.Prediction{Success: math.NaN()}) {
		t.Error("a probability that is no number is good news")
	}
}

func TestLabelsAskForNoPrediction(t *testing.T) {
	labels := adg.DefaultLabels()
	r := adg.RiskPolicy{Labels: &labels}
	if r.Asks() || r.IsZero() {
		t.Errorf("labels alone: asks %v, is nothing %v", r.Asks(), r.IsZero())
	}
	if r.Warn.Below = 0.9; !r.Asks() || r.Labels == nil {
		t.Errorf("a limit asks for none, or asking took the labels away: %+v", r)
	}
	text, err := json.Marshal(adg.Policy{Risk: adg.RiskPolicy{Labels: &labels}})
	var again adg.Policy
	if err == nil {
		err = json.Unmarshal(text, &again)
	}
	if err != nil || again.Risk.Labels == nil || *again.Risk.Labels != labels {
		t.Errorf("written as %s, read as %+v, %v", text, again.Risk.Labels, err)
	}
}

func TestLabelsHaveToLeaveSomethingToLearn(t *testing.T) {
	for name, c := range map[string]struct {
		labels adg.Labels
		wrong  string
	}{
		"the usual ones":         {adg.DefaultLabels(), ""},
		"incidents alone":        {adg.Labels{Incident: true}, ""},
		"nothing is a failure":   {adg.Labels{Matures: time.Hour}, "nothing counts as a failure"},
		"a time before the past": {adg.Labels{Incident: true, Matures: -1}, "matures is a time of 0 or more"},
	} {
		err := adg.Policy{Risk: adg.RiskPolicy{Labels: &c.labels}}.WithDefaults().Validate()
		if said := err != nil && strings.Contains(err.Error(), "risk: labels"); said != (c.wrong != "") || said && !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
