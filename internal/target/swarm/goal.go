package swarm

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/deployguardian/adg"
)

// goal is what a service is to become.
type goal struct {
	wanted   *adg.Placement // nil: nothing
	inPlace  bool           // the service holds the release already
	replicas uint64
	live     bool // it has the router's label
	spare    bool // nobody needs it, and it may have requests: it stays as it is, and whether it runs does not matter
}

// awaited tells whether the service is to run a release.
func (g goal) awaited() bool { return g.wanted != nil && !g.spare && g.replicas > 0 }

// goals finds a service for every release, and how many tasks it needs there. Going back, nothing is put anywhere for
// being kept idle, and what is idle stays as it is: the release that was bad may crash as it likes.
func (v view) goals(want []adg.Placement, rollback bool) ([]goal, error) {
	if len(v.services) == 1 {
		return v.single(want), nil
	}
	goals := make([]goal, len(v.services))
	var homeless []*adg.Placement
	for i := range want {
		w := &want[i]
		at := slices.IndexFunc(v.services, func(s service) bool { return s.holds(w.Release) })
		// Where both hold it, the one with more tasks is meant.
		for j, s := range v.services {
			if s.holds(w.Release) && s.replicas() > v.services[at].replicas() {
				at = j
			}
		}
		if at >= 0 && goals[at].wanted == nil {
			goals[at].wanted, goals[at].inPlace = w, true
		} else if w.Share > 0 || v.o.whole() && !rollback {
			homeless = append(homeless, w) // a release without traffic that has no tasks either needs no service
		}
	}
	for _, w := range homeless {
		at := v.free(goals)
		if at < 0 {
			return nil, adg.Permanent(adg.Errorf(adg.Invalid, "there is no service for release %s: %s run others that are wanted too",
				w.Release.Version, strings.Join(v.o.Services, " and ")))
		}
		goals[at].wanted = w
	}
	v.size(goals, rollback)
	return goals, nil
}

// capacity is how many tasks the releases with traffic have together: what adg found first, and what others have added
// or taken since. Where others split it, it is what the service with the traffic has.
func (v view) capacity() uint64 {
	if v.o.whole() {
		return v.wholeCapacity()
	}
	first := v.services[0].note
	total := int64(first.Capacity) //nolint:gosec // a number of tasks, as all below
	for _, s := range v.services {
		switch has := int64(s.replicas()); { //nolint:gosec // see above
		case !first.exists():
			total += has
		case s.note.op() == first.op(): // else the claim has not come to it yet, and the first note counts it already
			total += has - int64(s.note.Replicas) //nolint:gosec // see above
		}
	}
	return uint64(max(total, 1)) //nolint:gosec // see above
}

// Private

func (v view) wholeCapacity() uint64 {
	most, live := uint64(1), slices.ContainsFunc(v.services, v.live)
	for _, s := range v.services {
		if v.live(s) || !live {
			most = max(most, s.replicas())
		}
	}
	return most
}

// single is the goal of the one service: its tasks stay as many as they are.
func (v view) single(want []adg.Placement) []goal {
	s := v.services[0]
	g := goal{replicas: s.replicas(), live: true}
	for i := range want {
		if want[i].Share > 0 {
			g.wanted, g.inPlace = &want[i], s.holds(want[i].Release)
		}
	}
	return []goal{g}
}

// free is the service that can be given up best: without the router's traffic, with the fewest tasks. -1: none.
func (v view) free(goals []goal) int {
	best := -1
	for i, s := range v.services {
		if goals[i].wanted != nil {
			continue
		}
		routed := v.o.LiveLabel != ""
		if best < 0 || routed && v.live(v.services[best]) && !v.live(s) ||
			(!routed || v.live(s) == v.live(v.services[best])) && s.replicas() < v.services[best].replicas() {
			best = i
		}
	}
	return best
}

// size gives each service its number of tasks.
func (v view) size(goals []goal, rollback bool) {
	capacity := v.capacity()
	for i := range goals {
		g := &goals[i]
		switch {
		case g.wanted == nil && v.o.SplitElsewhere, g.wanted != nil && v.o.whole() && rollback && g.wanted.Share == 0:
			g.spare, g.replicas = true, v.services[i].replicas()
		case g.wanted == nil:
		case v.o.whole():
			g.live, g.replicas = g.wanted.Share > 0, capacity
			if g.inPlace {
				g.replicas = max(capacity, v.services[i].replicas()) // whoever has scaled the other one down, the good one keeps its size
			}
		case g.wanted.Share > 0:
			g.live = true
			g.replicas = max(uint64(math.Round(g.wanted.Share/100*float64(capacity))), 1)
		}
	}
	if v.o.whole() {
		return
	}
	// What rounding has made of the total is the largest one's to bear.
	placed := slices.DeleteFunc([]int{0, 1}, func(i int) bool { return goals[i].replicas == 0 })
	slices.SortStableFunc(placed, func(a, b int) int { return cmp.Compare(goals[a].replicas, goals[b].replicas) })
	for _, i := range placed[:max(len(placed)-1, 0)] {
		capacity -= min(capacity, goals[i].replicas)
	}
	if len(placed) > 0 {
		goals[placed[len(placed)-1]].replicas = max(capacity, 1)
	}
}
