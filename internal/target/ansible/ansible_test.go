package ansible

import (
	"testing"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/targettest"
)

func TestTheAnsibleTargetKeepsTheContract(t *testing.T) {
	t.Parallel()
	targettest.Run(t, targettest.Case{
		Open: func(t *testing.T) targettest.Fixture {
			w := newWorld(t, 1)
			o := w.options()
			o.Check = false // has tests of its own, and takes a second each time
			return targettest.Fixture{Target: w.open(t, o), World: w, Reopen: func(t *testing.T) adg.Target { return w.open(t, o) }}
		},
		Faults:   []targettest.Fault{targettest.Unreachable, targettest.Hang, targettest.Halfway, targettest.Lie},
		Fences:   true,
		Parallel: true,
	})
}
