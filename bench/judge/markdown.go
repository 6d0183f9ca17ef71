package main

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/deployguardian/adg/bench/judge/measure"
)

const ours = "ADG"

// tables are all figures.
func (r *Report) tables(out *bytes.Buffer) {
	fmt.Fprintf(out, `# All figures

Made by `+"`%s`"+`; [the summary](README.md) says what they are. Medians have 95 %% intervals; – is never within the horizon. Excess
is bad or slow requests that users got from the canary beyond what the baseline's rates would have made.

`, r.Command)
	if len(r.Cells) > 0 {
		r.everyHealthyTable(out)
		for _, setting := range []string{vendor, equal} {
			r.faultTable(out, setting)
		}
		r.worldTable(out)
		r.boundTable(out)
		r.promotionTable(out)
		fmt.Fprintf(out, "## The emulations against an independent simulation\n\n")
		far, of := disagreements(r.Cells)
		fmt.Fprintf(out, "Another simulation of the same rules, with its own traces, is what the emulations have to agree with before anything is compared: %d of %d figures lie "+
			"further apart than two samples do once in a thousand times. Medians are of those rolled back.\n\n", len(far), of)
		compareWithReference(out, r.Cells)
		fmt.Fprintln(out)
	}
	r.measuredTable(out)
}

// Private

// everyHealthyTable says how many healthy releases each rule rolls back.
func (r *Report) everyHealthyTable(out io.Writer) {
	fmt.Fprintf(out, "## Healthy releases rolled back\n\nAt the vendors' defaults, within the horizon (30 min where no other is named), with Wilson's 95 %% interval.\n\n| world |")
	list := r.names(func(c *Cell) string { return c.Rule })
	list = list[:len(list):len(list)]
	var shown []string
	for _, rule := range list {
		if strings.HasPrefix(rule, "oracle") {
			continue
		}
		shown = append(shown, rule)
		fmt.Fprintf(out, " %s |", rule)
	}
	fmt.Fprintf(out, "\n|---|%s\n", strings.Repeat("---|", len(shown)))
	for _, world := range r.names(func(c *Cell) string { return c.World }) {
		fmt.Fprintf(out, "| %s |", world)
		for _, rule := range shown {
			c := r.find(world, healthy.Name, rule, vendor)
			if c == nil {
				fmt.Fprint(out, " |")
				continue
			}
			fmt.Fprintf(out, " %s (%.2f–%.2f) |", percent(c.RolledBack.Value), 100*c.RolledBack.Low, 100*c.RolledBack.High)
		}
		fmt.Fprintln(out)
	}
	fmt.Fprintln(out)
}

// faultTable says what each rule makes of each fault in the usual world.
func (r *Report) faultTable(out io.Writer, setting string) {
	faults := r.faultsOf("usual", setting)
	if len(faults) == 0 {
		return
	}
	if setting == vendor {
		fmt.Fprintf(out, "## Bad releases, at the vendors' defaults\n\n200 requests/s, canary 10 %%, 0.5 %% errors, lognormal latency (median 100 ms, sigma 0.5), 30 min. Rolled back · median seconds · excess.\n\n")
	} else {
		fmt.Fprintf(out, "## Bad releases, at equal false-rollback rates\n\nThe same traces; each rule's own knobs are set so that it rolls back 1 %% of other healthy traces of this world. ▲ says that ADG is "+
			"earlier than this rule, ▼ later, = neither: their 95 %% intervals of the median overlap.\n\n")
	}
	fmt.Fprintf(out, "| fault |")
	rules := r.names(func(c *Cell) string { return c.Rule })
	for _, rule := range rules {
		fmt.Fprintf(out, " %s |", rule)
	}
	fmt.Fprintf(out, "\n|---|%s\n", strings.Repeat("---|", len(rules)))
	for _, fault := range append([]string{healthy.Name}, faults...) {
		fmt.Fprintf(out, "| %s |", fault)
		for _, rule := range rules {
			fmt.Fprintf(out, " %s |", r.cellText("usual", fault, rule, setting))
		}
		fmt.Fprintln(out)
	}
	if setting == equal {
		fmt.Fprint(out, "| knobs |")
		for _, rule := range rules {
			fmt.Fprintf(out, " %s |", r.knobs("usual", rule, setting))
		}
		fmt.Fprintln(out)
	}
	fmt.Fprintln(out)
}

func (r *Report) cellText(world, fault, rule, setting string) string {
	c := r.find(world, fault, rule, setting)
	if c == nil {
		return ""
	}
	if fault == healthy.Name {
		return percent(c.RolledBack.Value)
	}
	text := fmt.Sprintf("%s · %s · %.0f", percent(c.RolledBack.Value), seconds(c.Median.Value), c.Excess.Value)
	if a := r.find(world, fault, ours, setting); setting == equal && rule != ours && a != nil {
		text += marks[measure.Order(a.Median, c.Median)]
	}
	return text
}

func (r *Report) knobs(world, rule, setting string) string {
	c := r.find(world, healthy.Name, rule, setting)
	if c == nil {
		return ""
	}
	var list []string
	for _, k := range c.Knobs {
		list = append(list, fmt.Sprintf("%.3g", float64(k)))
	}
	return strings.Join(list, ", ")
}

func (r *Report) faultsOf(world, setting string) []string {
	var list []string
	for i := range r.Cells {
		if c := &r.Cells[i]; c.World == world && c.Setting == setting && c.Rule == ours && c.Fault != healthy.Name {
			list = append(list, c.Fault)
		}
	}
	return list
}

// competitor tells whether a rule is somebody else's: the bare test and the oracle are for comparison only.
func competitor(rule string) bool {
	return rule != ours && !strings.HasPrefix(rule, "plain") && !strings.HasPrefix(rule, "oracle")
}

// worldTable sets ADG beside the best of the others in every world.
func (r *Report) worldTable(out io.Writer) {
	fmt.Fprintf(out, "## Every world, at equal false-rollback rates\n\nADG beside whichever competitor is first (not counted: the bare test that ADG's is made of, and the oracle).\n\n"+
		"| world | fault | ADG: rolled back | median, s | excess | first competitor | its median, s | its excess | ADG is |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, world := range r.names(func(c *Cell) string { return c.World }) {
		for _, fault := range r.faultsOf(world, equal) {
			a := r.find(world, fault, ours, equal)
			best := r.first(world, fault)
			fmt.Fprintf(out, "| %s | %s | %s | %s | %.0f |", world, fault, percent(a.RolledBack.Value), spread(a.Median), a.Excess.Value)
			if best == nil {
				fmt.Fprintln(out, " | | | |")
				continue
			}
			fmt.Fprintf(out, " %s | %s | %.0f | %s |\n", best.Rule, spread(best.Median), best.Excess.Value, measure.Order(a.Median, best.Median))
		}
	}
	fmt.Fprintln(out)
}

// spread is a time with its interval.
func spread(i measure.Interval) string {
	if math.IsInf(i.Value, 1) {
		return "–"
	}
	return fmt.Sprintf("%s (%s–%s)", seconds(i.Value), seconds(i.Low), seconds(i.High))
}

// boundTable sets ADG beside what nobody could do better.
func (r *Report) boundTable(out io.Writer) {
	fmt.Fprintf(out, "## Against the lower bound\n\nThe mean time that any rule with at most 1 %% false rollbacks needs (Wald): for one that knows the baseline's rates and the whole distribution of latencies, and, for errors, "+
		"for one that has to learn them from the baseline beside the canary. ADG is at its default.\n\n| world | fault | known baseline, s | concurrent, s | ADG median, s | × the bound |\n|---|---|---|---|---|---|\n")
	for _, b := range r.Bounds {
		c := r.find(b.World, b.Fault, ours, vendor)
		if c == nil {
			continue
		}
		bound := float64(b.Concurrent)
		if math.IsInf(bound, 1) {
			bound = float64(b.Known)
		}
		fmt.Fprintf(out, "| %s | %s | %s | %s | %s | %.2f |\n", b.World, b.Fault, seconds(float64(b.Known)), seconds(float64(b.Concurrent)), spread(c.Median), c.Median.Value/bound)
	}
	fmt.Fprintln(out)
}

// promotionTable says when healthy releases may go on, and how often bad ones may.
func (r *Report) promotionTable(out io.Writer) {
	fmt.Fprintf(out, "## Letting go on\n\nWhat ADG has shown to be \"not worse\" (from 1.5 times the baseline's rates on counts as worse; at most 5 %% of those may be missed). The other rules wait for the end.\n\n"+
		"| world | fault | not worse shown | median, s | neither rolled back nor shown |\n|---|---|---|---|---|\n")
	for i := range r.Cells {
		c := &r.Cells[i]
		if c.Rule != ours || c.Setting != vendor || c.Fault != healthy.Name && c.World != "usual" {
			continue
		}
		fmt.Fprintf(out, "| %s | %s | %s | %s | %s |\n", c.World, c.Fault, percent(c.Promoted.Value), spread(c.Promotion), percent(float64(c.Inconclusive)))
	}
	fmt.Fprintln(out)
}
