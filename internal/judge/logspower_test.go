package judge

import (
	"slices"
	"testing"
	"time"

	"github.com/deployguardian/adg"
)

// What the page about judging promises of a new pattern beside nine replicas of the baseline: the median of twenty draws.
func TestANewPatternIsFoundAsSoonAsThePagesSay(t *testing.T) {
	for _, c := range []struct {
		name       string
		candidates int
		rate       float64
		promised   time.Duration
	}{
		{"in all moments of one replica", 1, 1, 90 * time.Second},
		{"in a quarter of them", 1, 0.25, 4 * time.Minute},
		{"in one of twenty", 1, 0.05, 15 * time.Minute},
		{"in one of twenty, of nine replicas", 9, 0.05, 6 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			var found []time.Duration
			for draw := range uint64(20) {
				r := source(100 + draw)
				share := 100 * float64(c.candidates) / float64(c.candidates+9)
				usual := map[string]float64{"retry <n>": 0.2}
				g := guarded{check: logCheck, share: share, stable: writers{replicas: 9, rates: usual},
					candidate: writers{replicas: c.candidates, rates: map[string]float64{"retry <n>": 0.2, "nil map": c.rate}}}
				g.freeze(r, g.stable)
				all := g.run(t, r, time.Hour)
				took := time.Duration(len(all)) * 30 * time.Second
				if last(all).Verdict != adg.Fail {
					took = 2 * time.Hour
				}
				found = append(found, took)
			}
			slices.Sort(found)
			t.Logf("median %s, slowest %s", found[len(found)/2], found[len(found)-1])
			if median := found[len(found)/2]; median > c.promised {
				t.Errorf("the median is %s, and %s is promised", median, c.promised)
			}
		})
	}
}

// Two minutes of an error every fifth hour of each replica, one replica beside nine, alpha 1 %: half an hour before does not show such.
func TestRareEpisodesOfOneReplicaAreCalledWorseAsSeldomAsThePagesSay(t *testing.T) {
	worse := 0
	for draw := range uint64(400) {
		r := source(1000 + draw)
		rates := map[string]float64{"lost the connection": 0}
		one := func(replicas int) writers {
			return writers{replicas: replicas, rates: rates, episodes: 1.0 / 1800, lasting: 12}
		}
		g := guarded{check: logCheck, share: 10, stable: one(9), candidate: one(1)}
		g.freeze(r, g.stable)
		if last(g.run(t, r, 30*time.Minute)).Verdict == adg.Fail {
			worse++
		}
	}
	t.Logf("%d of 400 called worse", worse)
	if worse > 8 { // 2 %
		t.Errorf("%d of 400 innocent releases are called worse", worse)
	}
}
