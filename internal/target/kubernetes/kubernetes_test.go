package kubernetes

import (
	"testing"

	"github.com/deployguardian/adg/internal/target/targettest"
)

var everyFault = []targettest.Fault{targettest.Unreachable, targettest.Hang, targettest.Halfway, targettest.Lie}

func TestDeploymentKeepsTheContract(t *testing.T) {
	t.Parallel()
	targettest.Run(t, targettest.Case{
		Open:   func(t *testing.T) targettest.Fixture { return rollingWorld(t, "deployment").fixture(t) },
		Faults: everyFault, Fences: true, Tolerance: 0.01, Parallel: true,
	})
}

func TestStatefulSetKeepsTheContract(t *testing.T) {
	t.Parallel()
	targettest.Run(t, targettest.Case{
		Open:   func(t *testing.T) targettest.Fixture { return rollingWorld(t, "statefulset").fixture(t) },
		Faults: everyFault, Fences: true, Tolerance: 0.01, Parallel: true,
	})
}

func TestDaemonSetKeepsTheContract(t *testing.T) {
	t.Parallel()
	targettest.Run(t, targettest.Case{
		Open:   func(t *testing.T) targettest.Fixture { return rollingWorld(t, "daemonset").fixture(t) },
		Faults: everyFault, Fences: true, Tolerance: 0.01, Parallel: true,
	})
}

func TestBlueGreenKeepsTheContract(t *testing.T) {
	t.Parallel()
	targettest.Run(t, targettest.Case{
		Open:   func(t *testing.T) targettest.Fixture { return pairWorld(t, blueGreen, 2).countMoves(2).fixture(t) },
		Faults: everyFault, Fences: true, Sizes: true, Tolerance: 0.01, Parallel: true,
	})
}

func TestCanaryByReplicasKeepsTheContract(t *testing.T) {
	t.Parallel()
	targettest.Run(t, targettest.Case{
		Open:   func(t *testing.T) targettest.Fixture { return pairWorld(t, replicas, 20).fixture(t) },
		Faults: everyFault, Fences: true, Tolerance: 0.01, Parallel: true,
	})
}
