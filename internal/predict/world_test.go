package predict

import (
	"math"
	"math/rand/v2"

	"github.com/deployguardian/adg/internal/race"
)

// world makes deployments of which the first feature matters much, the second a little where the third is high, and
// the others not at all.
type world struct {
	random *rand.Rand
	noise  bool // nothing matters
}

var worldNames = []string{"la", "nf", "hour", "noise", "rare"}

func newWorld(seed uint64) *world { return &world{random: rand.New(rand.NewPCG(seed, 7))} }

func (w *world) deployment() (values []float64, service string, failed bool) {
	r := w.random
	values = []float64{math.Exp(2 * r.NormFloat64()), math.Floor(math.Exp(1 + r.NormFloat64())), float64(r.IntN(24)), r.NormFloat64(), math.NaN()}
	if r.IntN(3) == 0 {
		values[4] = r.Float64()
	}
	service = []string{"api", "web", "jobs"}[r.IntN(3)]
	risk := -3 + 1.2*math.Log(values[0])/2
	if values[2] > 17 {
		risk += 0.5 * math.Log1p(values[1])
	}
	if service == "jobs" {
		risk++
	}
	if w.noise {
		risk = -3
	}
	return values, service, r.Float64() < sigmoid(risk)
}

// many is so many; a third while the race detector watches.
func many(n int) int {
	if race.Enabled {
		return (n + 2) / 3
	}
	return n
}

// lived is a learner after so many deployments, and the log-loss of its answers and of the running base rate, summed.
func (w *world) lived(l *Learner, n int) (answer, base float64) {
	for i := range n {
		values, service, failed := w.deployment()
		id, p := l.Add(values, service)
		answer += surprise(logit(p.Failure), failed)
		base += surprise(logit(p.Experts[baseRate]), failed)
		l.Learn(id, failed)
		if i%200 == 199 {
			l.Refit()
		}
	}
	return answer, base
}
