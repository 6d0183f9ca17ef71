package judge

import (
	"math"
	"testing"
)

func TestChanceIsThatOfThePoissonDistribution(t *testing.T) {
	for _, expected := range []float64{0.1, 1, 5, 40, 300} {
		below, term := 0.0, math.Exp(-expected)
		for events := 1.0; events < 2*expected+10; events++ {
			below += term
			term *= expected / events
			if got, want := chance(events, expected), 1-below; math.Abs(got-want) > 0.008 {
				t.Errorf("%g or more of %g: %g, want %g", events, expected, got, want)
			}
		}
	}
	if chance(0, 5) != 1 || chance(1, 0) != 0 {
		t.Error("nothing always happens, and something never where nothing is to be expected")
	}
}

func TestMoreThanAtMostIsAsUnlikelyAsAlpha(t *testing.T) {
	for _, alpha := range []float64{0.05, 0.001} {
		for _, events := range []float64{0, 1, 3, 20, 400} {
			most := atMost(events, alpha)
			if fewer := 1 - chance(events+1, most); math.Abs(fewer-alpha) > 0.1*alpha+1e-4 {
				t.Errorf("at %g, %g events or fewer have the probability %g, want %g", most, events, fewer, alpha)
			}
		}
	}
}
