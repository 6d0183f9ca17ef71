package main

import (
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/deployguardian/adg/bench/judge/measure"
)

// goal is a number to reach.
type goal struct{ what, reached, bound, met string }

// goalTable says which of them were.
func (r *Report) goalTable(out io.Writer) {
	fmt.Fprint(out, "## Numbers to reach\n\nADG at its defaults: alpha 1 %, 200 requests/s, canary 10 %, 0.5 % errors, buckets of a second. The bound is the mean time below which no rule with as few false "+
		"rollbacks can be (Wald); for errors, of a rule that learns the base rate from the baseline beside the canary, for latency of one that knows its whole distribution, which ADG does not. "+
		"\"About\" says that the interval has the goal in it.\n\n| goal | reached | bound | met |\n|---|---|---|---|\n")
	for _, g := range r.goals() {
		fmt.Fprintf(out, "| %s | %s | %s | %s |\n", g.what, g.reached, g.bound, g.met)
	}
	fmt.Fprintln(out)
}

// Private

func (r *Report) goals() []goal {
	var list []goal
	list = append(list, r.healthyGoals()...)
	for _, g := range []struct {
		fault string
		times float64
	}{{"errors ×2", 1.8}, {"errors ×5", 2}, {"errors ×20", 2}} {
		c, b := r.find("usual", g.fault, ours, vendor), r.bound("usual", g.fault)
		if c == nil || b == nil {
			continue
		}
		bound := float64(b.Concurrent)
		list = append(list, goal{
			fmt.Sprintf("%s: median under %g × the bound", g.fault, g.times), fmt.Sprintf("%s s, %.2f ×", spread(c.Median), c.Median.Value/bound), seconds(bound) + " s", met(c.Median, g.times*bound),
		})
	}
	for _, g := range []struct {
		fault string
		under float64
	}{{"latency +10 %", 60}, {"latency +25 %", 15}, {"tail: 5 % of requests ×3", 40}} {
		c, b := r.find("usual", g.fault, ours, vendor), r.bound("usual", g.fault)
		if c == nil || b == nil {
			continue
		}
		list = append(list, goal{fmt.Sprintf("%s: median under %g s", g.fault, g.under), spread(c.Median) + " s", seconds(float64(b.Known)) + " s", met(c.Median, g.under)})
	}
	if c := r.find("usual", "errors ×1.5", ours, vendor); c != nil {
		list = append(list, goal{`regressions of ×1.5 ever called "not worse": under beta, 5 %`, rate(c.Promoted) + " %", "", met(c.Promoted, 0.05)})
	}
	if g, found := r.earlierGoal(); found {
		list = append(list, g)
	}
	return list
}

// healthyGoals are about the worst world of each kind.
func (r *Report) healthyGoals() []goal {
	var list []goal
	for _, g := range []struct {
		what  string
		noise bool
	}{{"healthy releases rolled back under 1 %, requests independent of each other", false}, {"the same with noise or differences between replicas", true}} {
		var worst *Cell
		worlds := 0
		for i := range r.Cells {
			c := &r.Cells[i]
			if c.Rule != ours || c.Setting != vendor || c.Fault != healthy.Name || beyond(c.World) || noisy(c.World) != g.noise {
				continue
			}
			worlds++
			if worst == nil || c.RolledBack.Value > worst.RolledBack.Value {
				worst = c
			}
		}
		if worst != nil {
			list = append(list, goal{g.what, fmt.Sprintf("%s %% (%s, the worst of %d)", rate(worst.RolledBack), worst.World, worlds), "1 %", met(worst.RolledBack, 0.01)})
		}
	}
	return list
}

// earlierGoal counts the rows of all worlds.
func (r *Report) earlierGoal() (goal, bool) {
	count, rows := map[string]int{}, 0
	for _, world := range r.names(func(c *Cell) string { return c.World }) {
		for _, fault := range r.faultsOf(world, equal) {
			count[r.order(world, fault)]++
			rows++
		}
	}
	g := goal{
		what:    "at equal false-rollback rates: earlier than every competitor in every row",
		reached: fmt.Sprintf("earlier in %d of %d rows; same as one in %d, later than one in %d, found by nobody in %d", count["earlier"], rows, count["same"], count["later"], count["neither"]),
		met:     "no",
	}
	if count["earlier"] == rows {
		g.met = "yes"
	}
	return g, rows > 0
}

// met compares with a limit that must not be reached.
func met(i measure.Interval, limit float64) string {
	switch {
	case i.High < limit:
		return "yes"
	case i.Low >= limit || math.IsInf(i.Value, 1):
		return "no"
	case i.Value < limit:
		return "yes, about"
	}
	return "no, about"
}

func (r *Report) bound(world, fault string) *BoundCell {
	i := slices.IndexFunc(r.Bounds, func(b BoundCell) bool { return b.World == world && b.Fault == fault })
	if i < 0 {
		return nil
	}
	return &r.Bounds[i]
}

// beyond tells whether ADG promises nothing in a world.
func beyond(world string) bool {
	return slices.ContainsFunc(setups(), func(s setup) bool { return s.world.Name == world && s.beyond })
}

// noisy tells whether replicas differ in a world.
func noisy(world string) bool {
	return slices.ContainsFunc(setups(), func(s setup) bool {
		w := s.world
		return w.Name == world && (w.CV > 0 || w.FixedCV > 0 || w.LatencyCV > 0)
	})
}
