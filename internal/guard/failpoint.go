package guard

// A failpoint is a place between two effects where a process may die. Tests kill it at each of them and count at the
// target; Failpoints lists them, so that none is forgotten.
type failpoint string

const (
	pointLeased    failpoint = "leased"         // the deployment is taken, nothing is done
	pointDecided   failpoint = "decided"        // decided, and nothing stored
	pointIntended  failpoint = "intent stored"  // the intent is stored, the target knows nothing
	pointActed     failpoint = "acted"          // the target has done it, the outcome is not stored
	pointConcluded failpoint = "outcome stored" // the outcome is stored, the lease not yet given back by the process
	pointTold      failpoint = "told"           // a notifier has taken a fact, the store does not know
)

// Failpoints are the names of all failpoints.
func Failpoints() []string {
	return []string{string(pointLeased), string(pointDecided), string(pointIntended), string(pointActed), string(pointConcluded), string(pointTold)}
}

// Private

func (g *Guard) reached(p failpoint) {
	if g.o.Failpoint != nil {
		g.o.Failpoint(string(p))
	}
}
