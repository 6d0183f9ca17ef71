package sequential_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/deployguardian/adg/internal/judge/sequential"
)

// TestRanksAmongReplicasKeepNoPromiseWhereReplicasDiffer is why the noise is measured and tolerated instead: tests that
// need no model of it need replicas that take turns, within a minute. For the figures of decision 4:
// -run Ranks -v -sequential.traces 1000.
func TestRanksAmongReplicasKeepNoPromiseWhereReplicasDiffer(t *testing.T) {
	n := drawn(60, 6)
	for _, c := range []struct {
		name  string
		scene scene
		holds bool // for both of them
	}{
		{"independent requests", usual, true},
		{"noise of CV 1 held 60 s", noisy(func(c *scene) { c.noise, c.hold = 1, 60 }), true},
		{"noise of CV 1 held 300 s", noisy(func(c *scene) { c.noise, c.hold = 1, 300 }), false},
		{"replicas that differ for good by CV 0.5", noisy(func(c *scene) { c.fixed = 0.5 }), false},
	} {
		for name, alternative := range map[string]func([]sequential.Bucket) int{"conformal rank": conformal, "symmetric": symmetric} {
			t.Run(name+", "+c.name, func(t *testing.T) {
				t.Parallel()
				scene, worse := c.scene, 0
				for seed := range n {
					if alternative(scene.trace(uint64(seed))[scene.lead:]) >= 0 {
						worse++
					}
				}
				if n == 60 && (worse <= 2) != c.holds { // the seeds do not change
					t.Errorf("%d of %d innocent canaries were called worse", worse, n)
				}
				scene.ratio = 2
				found, total := 0, 0
				for seed := range n {
					if at := alternative(scene.trace(uint64(seed))[scene.lead:]); at >= 0 {
						found, total = found+1, total+at
					}
				}
				t.Logf("innocent called worse: %.1f %%; twice as many found: %.0f %%, after %d s on the mean",
					100*float64(worse)/float64(n), 100*float64(found)/float64(n), total/max(1, found))
			})
		}
	}
}

// minutes are the bad requests of each replica, the canary first, minute by minute.
func minutes(all []sequential.Bucket) [][]float64 {
	var sums [][]float64
	for i, b := range all {
		if i%60 == 0 {
			sums = append(sums, make([]float64, 1+len(b.Groups)))
		}
		last := sums[len(sums)-1]
		last[0] += b.Canary.Bad
		for j, g := range b.Groups {
			last[j+1] += g.Bad
		}
	}
	return sums
}

// conformal bets that the canary is among the worst of the replicas (Vovk and others): each minute's rank, made
// uniform, is a p-value. It gives the second in which the evidence passed 100 to 1, or -1.
func conformal(all []sequential.Bucket) int {
	r := rand.New(rand.NewPCG(1, 2))
	powers := [...]float64{0.3, 0.5, 0.7, 0.9}
	var log [len(powers)]float64
	for i, bad := range minutes(all) {
		above, ties := 0.0, 0.0
		for _, v := range bad[1:] {
			if v > bad[0] {
				above++
			} else if v == bad[0] {
				ties++
			}
		}
		p, sum := (above+r.Float64()*(1+ties))/float64(len(bad)), 0.0
		for k, power := range powers {
			log[k] += math.Log(power) + (power-1)*math.Log(p)
			sum += math.Exp(log[k]) / float64(len(powers))
		}
		if sum > 100 {
			return 60 * (i + 1)
		}
	}
	return -1
}

// symmetric bets that the canary is worse than one replica of the baseline, by the normal mixture of de la Peña.
func symmetric(all []sequential.Bucket) int {
	const scale = 100
	sum, squares := 0.0, 0.0
	for i, bad := range minutes(all) {
		d := bad[0] - bad[1]
		sum, squares = sum+d, squares+d*d
		v := squares + scale
		if math.Log(4*scale/v)/2+sum*sum/(2*v)+math.Log(math.Erfc(-sum/math.Sqrt(2*v))/2) > math.Log(100) {
			return 60 * (i + 1)
		}
	}
	return -1
}

// TestRankAmongReplicasIsASecondOpinion where they take turns; where they were seen to differ for good, there is none.
func TestRankAmongReplicasIsASecondOpinion(t *testing.T) {
	rank := func(c scene, seed uint64) float64 {
		d := sequential.Design{Canaries: 1}
		var s sequential.State
		for _, b := range c.trace(seed) {
			d.Next(&s, &b)
		}
		return d.Read(&s).RankLogE
	}
	innocent, worse, none := 0, 0, 0
	n := drawn(40, 6)
	for seed := range uint64(n) {
		if rank(noisy(func(c *scene) { c.noise, c.hold = 1, 60 }), seed) >= math.Log(100) {
			innocent++
		}
		if rank(with(func(c *scene) { c.ratio = 3 }), seed) >= math.Log(100) {
			worse++
		}
		if math.IsNaN(rank(with(func(c *scene) { c.fixed = 0.5 }), seed)) {
			none++
		}
	}
	if innocent > n/20 || worse < n*9/10 || none < n*9/10 {
		t.Errorf("of %d each: %d innocent canaries amid noise, %d of three times the errors, %d without an opinion where replicas differ", n, innocent, worse, none)
	}
	if blind := rank(with(func(c *scene) { c.blind = true }), 1); !math.IsNaN(blind) {
		t.Errorf("replicas that are not told apart say %g", blind)
	}
	if large := rank(with(func(c *scene) { c.share = 0.5 }), 1); !math.IsNaN(large) {
		t.Errorf("a canary of nine times a replica's size is compared with them: %g", large)
	}
}
