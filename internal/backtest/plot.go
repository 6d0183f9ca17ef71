package backtest

import (
	"bytes"
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
)

// Plot is a picture of a result: an SVG file that needs nothing else.
type Plot struct {
	Name string // of the file
	SVG  []byte
}

// Plots draw how long it takes to find what is bad, and how many bad requests are served until the end. There is none
// where there is nothing to draw.
func Plots(r Result) []Plot {
	found := newCurves("Time from the fault to when it would have been found", "seconds")
	served := newCurves("Bad requests that the bad release would have served", "requests")
	for _, c := range r.Cases {
		if c.Truth != Bad || c.WouldBe == NotSimulated {
			continue
		}
		kind := c.Kind
		if kind == "" {
			kind = "would be"
			found.add("was", c.WasFound)
			served.add("was", c.WasServed)
		}
		found.add(kind, c.Detect)
		served.add(kind, c.Served)
	}
	var all []Plot
	for _, p := range []struct {
		name string
		*curves
	}{{"time-to-detect.svg", found}, {"bad-requests.svg", served}} {
		if len(p.names) > 0 {
			all = append(all, Plot{p.name, p.svg()})
		}
	}
	return all
}

// Private

// curves are the shares of the cases up to a value, by kind.
type curves struct {
	title, unit string
	names       []string
	values      map[string][]float64
}

const (
	plotWidth, plotHeight         = 760.0, 380.0
	left, right, top, bottomSpace = 60.0, 20.0, 46.0, 46.0
	maxCurves                     = 8
)

// The colours keep a contrast of 3 : 1 and more on white and on black, and differ for the colour-blind; dashes tell
// the curves apart without them.
var (
	colours = []string{"#0a7ec2", "#d1520a", "#0f8a63", "#b0568f", "#8a6d00", "#5a6fd8", "#a34a3a", "#6b7a86"}
	dashes  = []string{"", "8 3", "2 3", "10 3 2 3", "5 5", "12 4", "3 6", "1 2"}
)

func newCurves(title, unit string) *curves {
	return &curves{title: title, unit: unit, values: map[string][]float64{}}
}

func (c *curves) add(name string, value *float64) {
	if value == nil || math.IsNaN(*value) || math.IsInf(*value, 0) {
		return
	}
	if _, known := c.values[name]; !known {
		if len(c.names) == maxCurves {
			return
		}
		c.names = append(c.names, name)
	}
	c.values[name] = append(c.values[name], max(*value, 0))
}

func (c *curves) svg() []byte {
	slices.Sort(c.names)
	longest := 0.0
	var parts []string
	for _, name := range c.names {
		values := c.values[name]
		slices.Sort(values)
		longest = max(longest, values[len(values)-1])
		parts = append(parts, fmt.Sprintf("%s: median %.4g %s of %d", name, *quantile(values, 0.5), c.unit, len(values)))
	}
	end, step := axis(longest)
	var out bytes.Buffer
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" role="img" aria-labelledby="t d" font-family="system-ui, sans-serif" font-size="12">
<title id="t">%s</title><desc id="d">Share of the cases up to a value. %s.</desc>
<style>text{fill:#1f2328}.grid{stroke:#8c959f;stroke-opacity:.35}.paper{fill:#fff}@media (prefers-color-scheme:dark){text{fill:#e6edf3}.paper{fill:#0d1117}}</style>
<rect class="paper" width="100%%" height="100%%"/><text x="%g" y="22" font-size="15">%s</text>
`, plotWidth, plotHeight, html.EscapeString(c.title), html.EscapeString(strings.Join(parts, "; ")), left, html.EscapeString(c.title))
	x := func(v float64) float64 { return left + v/end*(plotWidth-left-right) }
	y := func(share float64) float64 { return plotHeight - bottomSpace - share*(plotHeight-top-bottomSpace) }
	for share := 0.0; share <= 1; share += 0.25 {
		fmt.Fprintf(&out, `<line class="grid" x1="%g" x2="%g" y1="%.1f" y2="%.1f"/><text x="%g" y="%.1f" text-anchor="end">%g %%</text>`+"\n",
			left, plotWidth-right, y(share), y(share), left-6, y(share)+4, share*100)
	}
	for v := 0.0; v <= end*1.0001; v += step {
		fmt.Fprintf(&out, `<line class="grid" x1="%.1f" x2="%.1f" y1="%g" y2="%g"/><text x="%.1f" y="%g" text-anchor="middle">%.4g</text>`+"\n",
			x(v), x(v), top, plotHeight-bottomSpace, x(v), plotHeight-bottomSpace+16, v)
	}
	fmt.Fprintf(&out, `<text x="%g" y="%g" text-anchor="middle">%s</text>`+"\n", (left+plotWidth-right)/2, plotHeight-8, c.unit)
	for i, name := range c.names {
		fmt.Fprintf(&out, `<path d="%s" fill="none" stroke="%s" stroke-width="2" stroke-dasharray="%s"><title>%s</title></path>`+"\n",
			steps(c.values[name], x, y), colours[i], dashes[i], html.EscapeString(parts[i]))
		at := plotHeight - bottomSpace - 8 - 16*float64(len(c.names)-1-i) // where the curves have all gone up
		fmt.Fprintf(&out, `<line x1="%g" x2="%g" y1="%g" y2="%g" stroke="%s" stroke-width="2" stroke-dasharray="%s"/><text x="%g" y="%g" text-anchor="end">%s</text>`+"\n",
			plotWidth-right-34, plotWidth-right-6, at-4, at-4, colours[i], dashes[i], plotWidth-right-40, at, html.EscapeString(parts[i]))
	}
	out.WriteString("</svg>\n")
	return out.Bytes()
}

// steps is the path of the share of the values up to each.
func steps(sorted []float64, x, y func(float64) float64) string {
	var path strings.Builder
	fmt.Fprintf(&path, "M%.1f %.1f", x(0), y(0))
	for i, v := range sorted {
		fmt.Fprintf(&path, "H%.1fV%.1f", x(v), y(float64(i+1)/float64(len(sorted))))
	}
	return path.String()
}

// axis is a round end at or above the largest value, and the distance of the marks.
func axis(largest float64) (end, step float64) {
	if largest <= 0 {
		return 1, 0.25
	}
	step = math.Pow(10, math.Floor(math.Log10(largest)))
	for _, part := range []float64{0.2, 0.5, 1, 2} {
		if largest <= 6*part*step {
			step *= part
			break
		}
	}
	return step * math.Ceil(largest/step), step
}
