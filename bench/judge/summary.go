package main

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/deployguardian/adg/bench/judge/measure"
)

// summary is what a stranger wants to know first; the rest is in [Report.tables].
func (r *Report) summary(out *bytes.Buffer) {
	fmt.Fprintf(out, `# The judge against the field

Canaries, good and bad ones, are judged by ADG and by emulations of the rules that other tools decide by, all on the
same traces. What the traces and the emulations are is in [the benchmark's README](../README.md). This page is written by

    %s

from seed %d: %d traces of each fault, up to %d of healthy releases, on %s, in %s. Every figure, with its interval, is in
[tables.md](tables.md), and for programs in [results.json](results.json).

Times are medians, in seconds from the fault's onset to the rollback; – says that most were never rolled back.
Intervals are 95 %%: Wilson's for rates, order statistics for medians.

`, r.Command, r.Seed, r.Traces, r.Healthy, r.Machine, r.Took)
	if len(r.Cells) > 0 {
		r.goalTable(out)
		r.earlierTable(out)
		r.worldsTable(out)
		if r.find("usual", healthy.Name, ours, vendor) != nil {
			r.lettingGo(out)
		}
		r.vendorTable(out)
		r.healthyTable(out)
		r.agreement(out)
	}
	if len(r.Measured) > 0 || len(r.Missing) > 0 {
		fmt.Fprintf(out, "## On measured data\n\nWhat the rules made of recordings of others is in [tables.md](tables.md#on-measured-data).\n")
		for _, missing := range r.Missing {
			fmt.Fprintf(out, "Left out: %s.\n", missing)
		}
	}
}

// Private

// short are the names of rules where there is little room.
var short = map[string]string{
	"plain e-process, errors": "plain, errors", "plain e-process, errors and latency": "plain, errors+latency",
	"z-test, peeking every 10 s": "z-test", "Argo default (1m, failureLimit 0)": "Argo default", "Argo docs (5m, failureLimit 3)": "Argo docs",
	"Flagger docs (1m, threshold 5)": "Flagger docs", "Flagger default (1m, threshold 1)": "Flagger default",
	"CloudWatch 3 of 3 (1m)": "CloudWatch 3/3", "CloudWatch 3 of 5 (1m)": "CloudWatch 3/5", "Kayenta (5m, growing window)": "Kayenta 5m",
	"Kayenta (once, at the end)": "Kayenta once", "Keptn (5m, ≤ +10 %)": "Keptn", "Harness-like (15m, 2 σ)": "Harness-like", "Datadog-like (z > 3, twice)": "Datadog-like",
}

// earlierTable sets ADG beside every competitor in the usual world, where all roll back equally many healthy releases.
func (r *Report) earlierTable(out io.Writer) {
	faults := r.faultsOf("usual", equal)
	if len(faults) == 0 {
		return
	}
	fmt.Fprint(out, "## At equal false-rollback rates\n\nEach rule's own knobs are set so that it rolls back 1 % of other healthy traces; the first line is what that became on fresh ones. "+
		"▲: ADG is earlier than this rule, ▼: later, =: their intervals overlap. 200 requests/s, canary 10 %, 0.5 % errors, 30 min.\n\n")
	r.matrix(out, faults, equal)
	r.figures(out, "time")
	r.figures(out, "served")
}

// vendorTable is the same as the vendors ship their rules.
func (r *Report) vendorTable(out io.Writer) {
	if faults := r.faultsOf("usual", vendor); len(faults) > 0 {
		fmt.Fprint(out, "## At the vendors' defaults\n\nAs above, but as the tools come, or as their documentation shows them. Being early is worth little to who rolls back a third of the healthy releases: the first line.\n\n")
		r.matrix(out, faults, vendor)
	}
}

// matrix has a line for each fault of the usual world, and a column for ADG and each competitor.
func (r *Report) matrix(out io.Writer, faults []string, setting string) {
	rules := append([]string{ours}, r.competitors()...)
	fmt.Fprint(out, "| fault |")
	for _, rule := range rules {
		fmt.Fprintf(out, " %s |", label(rule))
	}
	fmt.Fprintf(out, "\n|---|%s\n| *healthy* |", strings.Repeat("---|", len(rules)))
	for _, rule := range rules {
		text := ""
		if c := r.find("usual", healthy.Name, rule, setting); c != nil {
			text = "*" + terse(c.RolledBack.Value) + " %*"
		}
		fmt.Fprintf(out, " %s |", text)
	}
	fmt.Fprintln(out)
	for _, fault := range faults {
		a := r.find("usual", fault, ours, setting)
		fmt.Fprintf(out, "| %s | %s |", fault, spread(a.Median))
		for _, rule := range rules[1:] {
			text := ""
			if c := r.find("usual", fault, rule, setting); c != nil {
				text = seconds(c.Median.Value) + marks[measure.Order(a.Median, c.Median)]
			}
			fmt.Fprintf(out, " %s |", text)
		}
		fmt.Fprintln(out)
	}
	fmt.Fprintln(out)
}

var marks = map[string]string{"earlier": " ▲", "later": " ▼", "same": " =", "neither": ""}

// worldsTable counts, in each world, the faults that ADG finds before all competitors.
func (r *Report) worldsTable(out io.Writer) {
	fmt.Fprint(out, "## In every world\n\nAt equal false-rollback rates, of the faults tried in a world: how many ADG finds before every competitor, how many together with one, and how many after one. "+
		"Those that it does not find first are named, with ADG's median and the first competitor's. The z-test looks at errors only, and is tuned for the noise and the length of each world; ADG has its 1 % for errors, latency, silence and shares together, and for any length.\n\n| world | earlier | same | later | not found | not first |\n|---|---|---|---|---|---|\n")
	for _, world := range r.names(func(c *Cell) string { return c.World }) {
		faults := r.faultsOf(world, equal)
		if len(faults) == 0 {
			continue
		}
		count := map[string]int{}
		var others []string
		for _, fault := range faults {
			order := r.order(world, fault)
			count[order]++
			if best := r.first(world, fault); best != nil && order != "earlier" {
				others = append(others, fmt.Sprintf("%s: %s, %s %s", fault, seconds(r.find(world, fault, ours, equal).Median.Value), label(best.Rule), seconds(best.Median.Value)))
			}
		}
		fmt.Fprintf(out, "| %s | %d | %d | %d | %d | %s |\n", world, count["earlier"], count["same"], count["later"], count["neither"], strings.Join(others, "; "))
	}
	fmt.Fprintln(out)
}

// lettingGo says what ADG called not worse, and when.
func (r *Report) lettingGo(out io.Writer) {
	a := r.find("usual", healthy.Name, ours, vendor)
	fmt.Fprintf(out, "## Letting go on\n\nADG also tests whether a release is *not* worse: below 1.5 times the baseline's rates on every count. Of the healthy releases of the usual world it lets %s %% go on so, "+
		"at a median of %s s; the tools of others wait for the end. At most beta, 5 %%, of the regressions of 1.5 times and more may be let go:\n\n| fault | traces | ever called not worse, %% |\n|---|---|---|\n", rate(a.Promoted), spread(a.Promotion))
	var never []string
	for _, fault := range r.faultsOf("usual", vendor) {
		c := r.find("usual", fault, ours, vendor)
		if c.Promoted.Value == 0 && fault != "errors ×1.5" {
			never = append(never, fault)
			continue
		}
		fmt.Fprintf(out, "| %s | %d | %s |\n", fault, c.Traces, rate(c.Promoted))
	}
	fmt.Fprintln(out)
	if len(never) > 0 {
		fmt.Fprintf(out, "Never: %s. ", strings.Join(never, ", "))
	}
	fmt.Fprint(out, "A leak begins harmless: what is called so is what it was until then, and the test for worse goes on.\n\n")
}

// healthyTable says how many healthy releases are rolled back.
func (r *Report) healthyTable(out io.Writer) {
	fmt.Fprint(out, "## Healthy releases rolled back\n\nPercent, at the defaults, within 30 min where no other time is named; ADG with Wilson's interval. In the worlds with * ADG promises nothing: "+
		"two replicas cannot tell how much replicas differ, and a warm-up that nobody leaves out is a slow canary.\n\n| world | traces | ADG |")
	rules := r.competitors()
	for _, rule := range rules {
		fmt.Fprintf(out, " %s |", label(rule))
	}
	fmt.Fprintf(out, "\n|---|---|---|%s\n", strings.Repeat("---|", len(rules)))
	for _, world := range r.names(func(c *Cell) string { return c.World }) {
		a := r.find(world, healthy.Name, ours, vendor)
		if a == nil {
			continue
		}
		star := ""
		if beyond(world) {
			star = " *"
		}
		fmt.Fprintf(out, "| %s%s | %d | %s |", world, star, a.Traces, rate(a.RolledBack))
		for _, rule := range rules {
			text := ""
			if c := r.find(world, healthy.Name, rule, vendor); c != nil {
				text = terse(c.RolledBack.Value)
			}
			fmt.Fprintf(out, " %s |", text)
		}
		fmt.Fprintln(out)
	}
	fmt.Fprintln(out)
}

// agreement says whether the emulations are what they should be.
func (r *Report) agreement(out io.Writer) {
	far, of := disagreements(r.Cells)
	fmt.Fprintf(out, "## The emulations\n\nThey were compared with an independent simulation of the same rules: %d of %d figures lie further apart than two samples do once in a thousand times", len(far), of)
	if len(far) > 0 {
		fmt.Fprintf(out, " (%s; the benchmark's README says why)", strings.Join(far, "; "))
	}
	fmt.Fprint(out, ".\n\n")
}

func (r *Report) figures(out io.Writer, kind string) {
	for _, f := range figures {
		if r.find("usual", f.fault, ours, vendor) != nil {
			fmt.Fprintf(out, "![%s](%s-%s.svg)\n", titles[kind]+f.fault, kind, f.file)
		}
	}
	fmt.Fprintln(out)
}

// competitors are the rules of others, in the order of the tables.
func (r *Report) competitors() []string {
	return slices.DeleteFunc(r.names(func(c *Cell) string { return c.Rule }), func(rule string) bool { return !competitor(rule) })
}

// order tells how ADG's time lies to those of all competitors at equal rates: "earlier" only where it is earlier than
// each of them.
func (r *Report) order(world, fault string) string {
	a, found := r.find(world, fault, ours, equal), map[string]bool{}
	for _, rule := range r.competitors() {
		if c := r.find(world, fault, rule, equal); c != nil {
			found[measure.Order(a.Median, c.Median)] = true
		}
	}
	for _, order := range []string{"later", "same", "earlier"} {
		if found[order] {
			return order
		}
	}
	return "neither"
}

// first is the competitor that finds a fault first at equal rates; nil: there is none.
func (r *Report) first(world, fault string) *Cell {
	var best *Cell
	for _, rule := range r.competitors() {
		c := r.find(world, fault, rule, equal)
		if c != nil && (best == nil || c.Median.Value < best.Median.Value || c.Median.Value == best.Median.Value && c.Restricted.Value < best.Restricted.Value) {
			best = c
		}
	}
	return best
}

func label(rule string) string {
	if s, found := short[rule]; found {
		return s
	}
	return rule
}

// terse is a rate in percent, as short as it can be.
func terse(p float64) string {
	switch {
	case p == 0 || math.IsNaN(p):
		return strings.Replace(fmt.Sprint(p), "NaN", "–", 1)
	case p < 0.0995:
		return fmt.Sprintf("%.1f", 100*p)
	}
	return fmt.Sprintf("%.0f", 100*p)
}

// rate is a rate in percent with its interval.
func rate(i measure.Interval) string {
	return fmt.Sprintf("%.2f (%.2f–%.2f)", 100*i.Value, 100*i.Low, 100*i.High)
}
