package main

import (
	"fmt"
	"io"
	"math"

	"github.com/deployguardian/adg/bench/judge/measure"
)

// seen is what an independent simulation of the same rules found: the part of releases rolled back, and the median of
// the seconds until then, of those rolled back (0: not known).
type seen struct{ rolledBack, median float64 }

const (
	seenHealthy = 1200 // traces of A/A behind a figure of it
	seenFaulty  = 400
)

// known is that table: A/A, then the faults of [reference] in that order.
var known = []struct {
	rule  string
	cells [9]seen
}{
	{"plain e-process, errors", [9]seen{{.008, 0}, {.995, 579}, {1, 145}, {1, 17}, {1, 3}, {.008, 153}, {.008, 171}, {0, 0}, {.005, 34}}},
	{"plain e-process, errors and latency", [9]seen{{.004, 0}, {.988, 649}, {1, 164}, {1, 19}, {1, 3}, {1, 52}, {1, 10}, {1, 1}, {1, 29}}},
	{"z-test, peeking every 10 s", [9]seen{{.101, 0}, {1, 200}, {1, 70}, {1, 60}, {1, 60}, {.092, 290}, {.098, 250}, {.085, 200}, {.098, 310}}},
	{"Argo default (1m, failureLimit 0)", [9]seen{{.339, 0}, {.995, 300}, {1, 60}, {1, 60}, {1, 60}, {.332, 840}, {.315, 840}, {1, 60}, {1, 180}}},
	{"Argo docs (5m, failureLimit 3)", [9]seen{{0, 0}, {0, 0}, {.358, 1500}, {1, 1200}, {1, 1200}, {0, 0}, {0, 0}, {1, 1200}, {0, 0}}},
	{"Flagger docs (1m, threshold 5)", [9]seen{{0, 0}, {.425, 1380}, {1, 660}, {1, 360}, {1, 360}, {0, 0}, {0, 0}, {1, 360}, {.908, 1140}}},
	{"Flagger default (1m, threshold 1)", [9]seen{{.331, 0}, {.995, 360}, {1, 120}, {1, 120}, {1, 120}, {.322, 900}, {.305, 870}, {1, 120}, {1, 240}}},
	{"CloudWatch 3 of 3 (1m)", [9]seen{{0, 0}, {.088, 780}, {.88, 540}, {1, 180}, {1, 180}, {0, 0}, {0, 0}, {1, 180}, {.278, 1020}}},
	{"CloudWatch 3 of 5 (1m)", [9]seen{{.001, 0}, {.27, 840}, {.992, 300}, {1, 180}, {1, 180}, {.002, 300}, {0, 0}, {1, 180}, {.7, 780}}},
	{"Kayenta (5m, growing window)", [9]seen{{.008, 0}, {.965, 900}, {1, 600}, {1, 300}, {1, 300}, {1, 600}, {1, 300}, {1, 300}, {1, 300}}},
	{"Kayenta (once, at the end)", [9]seen{{.001, 0}, {.95, 1800}, {1, 1800}, {1, 1800}, {1, 1800}, {1, 1800}, {1, 1800}, {1, 1800}, {1, 1800}}},
	{"Keptn (5m, ≤ +10 %)", [9]seen{{.884, 0}, {1, 300}, {1, 300}, {1, 300}, {1, 300}, {.995, 300}, {1, 300}, {1, 300}, {1, 300}}},
	{"Harness-like (15m, 2 σ)", [9]seen{{.209, 0}, {.995, 900}, {1, 900}, {1, 900}, {1, 900}, {1, 900}, {1, 900}, {1, 900}, {1, 900}}},
	{"oracle (SPRT on errors)", [9]seen{{-1, 0}, {1, 377}, {1, 96}, {1, 11}, {1, 2}, {-1, 0}, {-1, 0}, {-1, 0}, {-1, 0}}},
}

// comparison is one of our figures beside the known one.
type comparison struct {
	rule, fault string
	own         *Cell
	known       seen
	far         bool
}

// disagreements names the figures that chance does not explain: further apart than two samples of the same thing are
// once in a thousand times, as there are more than a hundred of them.
func disagreements(cells []Cell) (far []string, of int) {
	all := comparisons(cells)
	for _, c := range all {
		if c.far {
			far = append(far, c.rule+", "+c.fault)
		}
	}
	return far, len(all)
}

// compareWithReference prints our figures beside the known ones.
func compareWithReference(out io.Writer, cells []Cell) {
	fmt.Fprintf(out, "| rule | fault | rolled back | known | median, s | known | |\n|---|---|---|---|---|---|---|\n")
	for _, c := range comparisons(cells) {
		mark := ""
		if c.far {
			mark = "**outside**"
		}
		fmt.Fprintf(out, "| %s | %s | %s | %s | %s | %s | %s |\n", c.rule, c.fault, percent(c.own.RolledBack.Value), percent(c.known.rolledBack), seconds(c.own.MedianFound.Value), known0(c.known.median), mark)
	}
}

// Private

func comparisons(cells []Cell) []comparison {
	r := &Report{Cells: cells}
	var list []comparison
	for _, row := range known {
		for i, fault := range append([]string{healthy.Name}, reference...) {
			c, k := r.find("usual", fault, row.rule, vendor), row.cells[i]
			if c == nil || k.rolledBack < 0 {
				continue
			}
			n := float64(seenFaulty)
			if i == 0 {
				n = seenHealthy
			}
			far := far(c.RolledBack.Value, float64(c.Traces), k.rolledBack, n) || k.median > 0 && farMedian(c.MedianFound, k.median)
			list = append(list, comparison{row.rule, fault, c, k, far})
		}
	}
	return list
}

const rare = 3.29 // standard deviations

// far tells whether two rates differ by more than chance, with room for half a trace either way.
func far(p, n, q, m float64) bool {
	both := (p*n + q*m + 1) / (n + m + 2)
	return math.Abs(p-q) > rare*math.Sqrt(both*(1-both)*(1/n+1/m))+0.5/n+0.5/m
}

// farMedian tells whether the known median is out of the interval of ours, which is widened for the known one's own chance.
func farMedian(own measure.Interval, median float64) bool {
	wide := rare / 1.96 * math.Sqrt2
	return median < own.Value-wide*(own.Value-own.Low)-1 || median > own.Value+wide*(own.High-own.Value)+1
}

func known0(median float64) string {
	if median == 0 {
		return ""
	}
	return seconds(median)
}
