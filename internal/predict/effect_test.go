package predict_test

import (
	"math"
	"testing"

	"github.com/deployguardian/adg/internal/predict"
)

func TestEffectsSayHowMuchAndWhichWay(t *testing.T) {
	row := func(files, points float64) predict.Explanation {
		return predict.Explanation{Contributions: []predict.Contribution{{Feature: "nf", Value: &files, Points: points}, {Feature: "the service itself", Points: -0.01}}}
	}
	got := predict.Effects([]predict.Explanation{row(1, -0.02), row(2, 0), row(3, 0.02)})
	if len(got) != 2 || got[0].Feature != "nf" || math.Abs(got[0].Importance-0.04/3) > 1e-12 || math.Abs(got[0].Direction+1) > 1e-9 || got[0].Text != "moves the answer by 1.3 points; more of it makes failure likelier" {
		t.Errorf("%+v", got)
	}
	if got[1].Direction != 0 || math.Abs(got[1].Importance-0.01) > 1e-12 {
		t.Errorf("%+v", got[1])
	}
	if none := predict.Effects(nil); len(none) != 0 {
		t.Errorf("%+v", none)
	}
}
