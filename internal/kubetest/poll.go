package kubetest

import (
	"context"
	"testing"
	"time"

	"github.com/deployguardian/adg"
)

// Patience is how long controllers may take that share two processors with all the tests.
const Patience = 2 * time.Minute

// Poll looks again until what it sees is right, as no controller tells when it has done its work. It pauses for longer
// than a look takes: whoever looks all the time keeps the controllers from working.
func Poll(t testing.TB, look func() (right bool, seen any)) {
	t.Helper()
	deadline := time.Now().Add(Patience)
	for {
		begin := time.Now()
		right, seen := look()
		if right {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still %+v", seen)
		}
		pause(time.Since(begin))
	}
}

// Paced is a target that pauses as Poll does after it has seen what is not done, for suites that look again at once.
func Paced(target adg.Target) adg.Target { return paced{target} }

// Private

type paced struct{ adg.Target }

func (p paced) Current(ctx context.Context) (adg.Observed, error) {
	begin := time.Now()
	seen, err := p.Target.Current(ctx)
	if err == nil && !seen.Done && !seen.Failed {
		pause(time.Since(begin))
	}
	return seen, err
}

// pause is that after a look which took so long.
func pause(took time.Duration) {
	const shortest, times = 50 * time.Millisecond, 3
	<-time.After(max(shortest, times*took))
}
