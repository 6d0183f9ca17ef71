package learn

import (
	"strings"
	"testing"

	"github.com/deployguardian/adg"
)

func TestProductionIsToldByTheNameOfAnEnvironment(t *testing.T) {
	for name, want := range map[string]bool{
		"production": true, "Prod": true, "prod-eu": true, "eu-west.live": true, "prd_2": true,
		"staging": false, "pre-prod": false, "preprod": false, "non-prod": false, "pre-production-eu": false, "eu-west": false, "": false, "reproduction": false,
	} {
		if got := Production(name); got != want {
			t.Errorf("%q is production: %v", name, got)
		}
	}
}

func TestAFeatureHasANameThatATableCanHold(t *testing.T) {
	for _, name := range []string{"tests_failed", "=y", "a b"} {
		if err := ValidFeature(name); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"", "outcome", "counted_as_failed", "incident", "two\nlines", strings.Repeat("x", 101)} {
		if err := ValidFeature(name); adg.CodeOf(err) != adg.Invalid {
			t.Errorf("%q: %v", name, err)
		}
	}
}
