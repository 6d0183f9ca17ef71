package adg_test

import (
	"strings"
	"testing"
	"time"

	"github.com/deployguardian/adg"
)

func TestTheInstallationSaysWhenRollingBackWouldNotHelp(t *testing.T) {
	for _, c := range []struct {
		name  string
		fleet adg.Fleet
		want  string
	}{
		{"two of three", adg.Fleet{TurnedBad: 2}, ""},
		{"three, without a word of the installation", adg.Fleet{TurnedBad: 3}, "3 services turned bad within 5 minutes"},
		{"three of five", adg.Fleet{TurnedBad: 3, Limits: adg.Limits{Services: 5}}, ""},
		{"five within its time", adg.Fleet{TurnedBad: 5, Limits: adg.Limits{Services: 5, Within: 90 * time.Second}}, "5 services turned bad within 1.5 minutes"},
	} {
		if got := c.fleet.CommonCause(); !strings.HasPrefix(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}

func TestTheStricterLimitOfRollbacksCounts(t *testing.T) {
	policy := adg.RollbackPolicy{PerHour: 10}
	for most, want := range map[int]int{0: 10, 4: 4, 100: 10} {
		if got := (adg.Fleet{Limits: adg.Limits{Rollbacks: most}}).PerHour(policy); got != want {
			t.Errorf("with at most %d: %d", most, got)
		}
	}
}
