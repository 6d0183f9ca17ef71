package ssh

import (
	"testing"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/targettest"
)

func TestTheSSHTargetKeepsTheContract(t *testing.T) {
	t.Parallel()
	targettest.Run(t, targettest.Case{
		Open: func(t *testing.T) targettest.Fixture {
			w := newWorld(t, 4)
			o := w.options()
			return targettest.Fixture{Target: w.open(t, o), World: w, Reopen: func(t *testing.T) adg.Target { return w.open(t, o) }}
		},
		Faults:    []targettest.Fault{targettest.Unreachable, targettest.Hang, targettest.Halfway, targettest.Lie},
		Fences:    true,
		Tolerance: 20, // four hosts can have 5 % in the form of one host only
		Parallel:  true,
	})
}
