package sequential

import "math"

// Ranking is a second opinion that needs no model of the noise: minute by minute, the rank of the canary's bad
// requests among the replicas is made a conformal p-value, and bets on small ones multiply (Vovk, Nouretdinov and
// Gammerman 2003; the mean over the powers is an e-process). It holds for any noise that is drawn anew each minute,
// and not for replicas that differ for longer: so it is told where none were seen to, and decides nothing.
type Ranking struct {
	Canary Counts               `json:"canary"` // of the minute that is open
	Logs   [len(powers)]float64 `json:"logs"`
	Blocks int                  `json:"blocks,omitempty"` // minutes that counted
}

// Private

// powers of the p-value that are bet on.
var powers = [...]float64{0.3, 0.5, 0.7, 0.9}

const (
	// rankBlock is the length, of lengths, after which ranks are compared.
	rankBlock = 1
	// alike is how far the requests of two replicas may be apart for their bad ones to be compared, as a factor.
	alike = 1.25
)

// add takes in a bucket before the calibration does. A minute in which the canary was not one replica like the others
// is no minute.
func (k *Ranking) add(d Design, s *State, b *Bucket, seconds float64) {
	block := &s.Spread.Blocks[rankBlock]
	k.Canary.Bad, k.Canary.All = k.Canary.Bad+b.Canary.Bad, k.Canary.All+b.Canary.All
	if block.Seconds+seconds < lengths[rankBlock] {
		return
	}
	canary := k.Canary
	k.Canary = Counts{}
	n := len(b.Groups)
	if n < fewest || n > maxGroups || d.Canaries > 1 || s.Spread.Lasting > 0 {
		return
	}
	worse, ties, bad := 0.0, 0.0, canary.Bad
	for i, g := range b.Groups {
		if i < len(block.Open) {
			g.Bad, g.All = g.Bad+block.Open[i].Bad, g.All+block.Open[i].All
		}
		if g.All > alike*canary.All || canary.All > alike*g.All {
			return
		}
		switch bad += g.Bad; {
		case g.Bad > canary.Bad:
			worse++
		case g.Bad == canary.Bad:
			ties++
		}
	}
	if bad == 0 {
		return
	}
	p := (worse + fraction(uint64(s.Buckets))*(1+ties)) / float64(n+1)
	for i, power := range powers {
		k.Logs[i] += math.Log(power) + (power-1)*math.Log(p)
	}
	k.Blocks++
}

// logE is the evidence; NaN while there is none.
func (k *Ranking) logE() float64 {
	if k.Blocks == 0 {
		return math.NaN()
	}
	return sumLogs(k.Logs[:]) - math.Log(float64(len(powers)))
}

// fraction is a number between 0 and 1 that looks drawn, and is the same each time it is asked for (SplitMix64).
func fraction(n uint64) float64 {
	n = (n + 1) * 0x9e3779b97f4a7c15
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return (float64((n^n>>31)>>11) + 0.5) / (1 << 53)
}
