package targettest

import (
	"testing"

	"github.com/deployguardian/adg"
)

func TestMemoryKeepsTheContract(t *testing.T) {
	Run(t, Case{
		Open: func(*testing.T) Fixture {
			m := NewMemory()
			return Fixture{Target: m, World: m, Reopen: func(*testing.T) adg.Target { return m }}
		},
		Faults: []Fault{Unreachable, Hang, Halfway, Lie}, Fences: true,
	})
}
