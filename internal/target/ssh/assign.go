package ssh

import (
	"slices"

	"github.com/deployguardian/adg"
)

// Private

// assigned gives each host a release, so that as few as possible have to change.
func assigned(wanted []adg.Placement, has []string) []adg.Release {
	left := counts(wanted, len(has))
	goals, open := make([]adg.Release, len(has)), []int{}
	for i, version := range has {
		at := slices.IndexFunc(wanted, func(p adg.Placement) bool { return p.Release.Version == version })
		if at < 0 || left[at] == 0 {
			open = append(open, i)
			continue
		}
		goals[i] = wanted[at].Release
		left[at]--
	}
	for _, i := range open {
		at := slices.IndexFunc(left, func(n int) bool { return n > 0 })
		goals[i] = wanted[at].Release
		left[at]--
	}
	return goals
}

// counts are how many hosts each release gets: as near to its share as whole hosts come, and one at least where it is
// to have traffic, as far as there are hosts.
func counts(wanted []adg.Placement, hosts int) []int {
	n, sum := make([]int, len(wanted)), 0
	ideal := func(i int) float64 { return wanted[i].Share * float64(hosts) / 100 }
	for i, p := range wanted {
		if p.Share > 0 {
			n[i] = max(1, int(ideal(i)+1e-9))
		}
		sum += n[i]
	}
	for ; sum < hosts; sum++ {
		n[furthest(n, func(i int) float64 { return ideal(i) - float64(n[i]) })]++
	}
	for ; sum > hosts; sum-- {
		n[furthest(n, func(i int) float64 {
			switch n[i] {
			case 0:
				return -1e9
			case 1: // only where nobody has more
				return ideal(i)*-1 - 1e6
			default:
				return float64(n[i]) - ideal(i)
			}
		})]--
	}
	return n
}

// furthest is where the distance is largest.
func furthest(n []int, distance func(i int) float64) int {
	best := 0
	for i := range n {
		if distance(i) > distance(best) {
			best = i
		}
	}
	return best
}
