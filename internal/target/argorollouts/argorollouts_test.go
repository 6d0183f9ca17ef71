package argorollouts

import (
	"testing"

	"github.com/deployguardian/adg/internal/target/targettest"
)

var everyFault = []targettest.Fault{targettest.Unreachable, targettest.Hang, targettest.Halfway, targettest.Lie}

func TestRolloutThatSharesByPodsKeepsTheContract(t *testing.T) {
	targettest.Run(t, targettest.Case{
		Open:   func(t *testing.T) targettest.Fixture { return podsWorld(t, 20).fixture(t) },
		Faults: everyFault, Fences: true, Tolerance: 0.01, Parallel: true,
	})
}

func TestRolloutWithATrafficRouterKeepsTheContract(t *testing.T) {
	targettest.Run(t, targettest.Case{
		Open:   func(t *testing.T) targettest.Fixture { return routedWorld(t).fixture(t) },
		Faults: everyFault, Fences: true, Tolerance: 0.01, Parallel: true,
	})
}
