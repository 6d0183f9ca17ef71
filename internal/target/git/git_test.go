package git

import (
	"testing"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/targettest"
)

func TestTheGitTargetKeepsTheContractOverHTTP(t *testing.T) {
	t.Parallel()
	targettest.Run(t, targettest.Case{
		Open: func(t *testing.T) targettest.Fixture {
			r := newRepository(t)
			o := r.options(t)
			return targettest.Fixture{
				Target: openAt(t, o, t.TempDir()), World: r, Reopen: func(t *testing.T) adg.Target { return openAt(t, o, t.TempDir()) },
			}
		},
		Faults: []targettest.Fault{targettest.Unreachable, targettest.Hang, targettest.Lie}, Fences: true,
	})
}
