package main

import (
	"bytes"
	"fmt"
	"html"
	"math"
	"strings"
)

// plots are the figures, by file name.
func (r *Report) plots() map[string][]byte {
	files := map[string][]byte{}
	for _, f := range figures {
		if r.find("usual", f.fault, ours, vendor) != nil {
			files["time-"+f.file+".svg"] = r.timePlot(f.fault)
			files["served-"+f.file+".svg"] = r.servedPlot(f.fault)
		}
	}
	return files
}

// Private

// figures are the faults that are drawn, and what their files are called.
var figures = []struct{ fault, file string }{{"errors ×2", "errors-x2"}, {"errors ×5", "errors-x5"}, {"latency +25 %", "latency-25"}}

var titles = map[string]string{"time": "Median time to roll back, against false rollbacks: ", "served": "Excess bad requests served, at equal false-rollback rates: "}

// Colours that can be read on white and on black.
const (
	grey   = "#8a8f98"
	blue   = "#2f81f7"
	orange = "#d9822b"
)

// svg is a picture that is being drawn. Texts are grey, so that it does not matter whether the page is light or dark.
type svg struct {
	bytes.Buffer
	width, height int
}

func newSVG(width, height int, title, description string) *svg {
	s := &svg{width: width, height: height}
	fmt.Fprintf(s, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-labelledby="t d" font-family="system-ui, sans-serif" font-size="12" fill="%s">`+"\n", width, height, grey)
	fmt.Fprintf(s, "<title id=\"t\">%s</title>\n<desc id=\"d\">%s</desc>\n", html.EscapeString(title), html.EscapeString(description))
	s.text(10, 20, "start", `font-size="14" font-weight="600"`, title)
	return s
}

func (s *svg) text(x, y float64, anchor, style, text string) {
	fmt.Fprintf(s, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" %s>%s</text>\n", x, y, anchor, style, html.EscapeString(text))
}

func (s *svg) line(x1, y1, x2, y2 float64, style string) {
	fmt.Fprintf(s, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" %s/>\n", x1, y1, x2, y2, grey, style)
}

func (s *svg) done() []byte {
	s.WriteString("</svg>\n")
	return s.Bytes()
}

// axis is a logarithmic scale from one value to another.
type axis struct{ from, to, start, end float64 }

func (a axis) at(v float64) float64 {
	v = min(max(v, a.from), a.to)
	return a.start + (a.end-a.start)*math.Log(v/a.from)/math.Log(a.to/a.from)
}

// colour tells whose rule it is.
func colour(rule string) string {
	switch {
	case rule == ours:
		return blue
	case competitor(rule):
		return orange
	}
	return grey
}

// timePlot sets the time to detect a fault against the rate of false rollbacks: full at the defaults, hollow at equal
// rates.
func (r *Report) timePlot(fault string) []byte {
	s := newSVG(760, 460, "Median time to roll back, "+fault+", against false rollbacks", "Each rule is a point; left is fewer false rollbacks, "+
		"low is earlier. Full points are the defaults, rings are tuned to equal rates. Exact figures are in the table.")
	x := axis{0.0005, 1, 60, 560}
	y := axis{1, 2400, 410, 40}
	for _, v := range []float64{0.001, 0.01, 0.1, 1} {
		s.line(x.at(v), y.start, x.at(v), y.end, `stroke-opacity="0.25"`)
		s.text(x.at(v), y.start+16, "middle", "", fmt.Sprintf("%g %%", 100*v))
	}
	for _, v := range []float64{1, 10, 60, 300, 1800} {
		s.line(x.start, y.at(v), x.end, y.at(v), `stroke-opacity="0.25"`)
		s.text(x.start-6, y.at(v)+4, "end", "", fmt.Sprintf("%g s", v))
	}
	s.text((x.start+x.end)/2, y.start+36, "middle", "", "healthy releases rolled back in 30 min (left edge: none seen)")
	n := 0
	for _, rule := range r.names(func(c *Cell) string { return c.Rule }) {
		drawn := false
		for _, setting := range []string{vendor, equal} {
			c, h := r.find("usual", fault, rule, setting), r.find("usual", healthy.Name, rule, setting)
			if c == nil || h == nil || math.IsInf(c.Median.Value, 1) {
				continue
			}
			if !drawn {
				n++
				drawn = true
				s.text(590, 36+float64(n)*24, "start", fmt.Sprintf(`fill="%s" font-size="10"`, colour(rule)), fmt.Sprintf("%d  %s", n, label(rule)))
			}
			style := fmt.Sprintf(`fill="%s"`, colour(rule))
			if setting == equal {
				style = fmt.Sprintf(`fill="none" stroke="%s" stroke-width="1.5"`, colour(rule))
			}
			cx, cy := x.at(h.RolledBack.Value), y.at(c.Median.Value)
			fmt.Fprintf(s, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4.5\" %s/>\n", cx, cy, style)
			s.text(cx+7, cy-5, "start", fmt.Sprintf(`font-size="10" fill="%s"`, colour(rule)), fmt.Sprint(n))
		}
	}
	s.text(590, 36+float64(n+1)*24, "start", `font-size="10"`, "full: default; ring: equal rates")
	return s.done()
}

// servedPlot says how many bad requests users got before the rollback, at equal false-rollback rates.
func (r *Report) servedPlot(fault string) []byte {
	var cells []*Cell
	most := 1.0
	for _, rule := range r.names(func(c *Cell) string { return c.Rule }) {
		c := r.find("usual", fault, rule, equal)
		if c == nil || strings.HasPrefix(rule, "oracle") {
			continue
		}
		cells = append(cells, c)
		most = max(most, c.Excess.Value)
	}
	s := newSVG(760, 60+24*len(cells), "Excess bad requests served, "+fault+", at equal false-rollback rates",
		"One bar for each rule; shorter is better. The figures stand beside the bars.")
	const start, full = 270, 420
	for i, c := range cells {
		top, length := 40+24*float64(i), max(full*c.Excess.Value/most, 1)
		s.text(262, top+13, "end", fmt.Sprintf(`font-size="11" fill="%s"`, colour(c.Rule)), c.Rule)
		fmt.Fprintf(s, "<rect x=\"%.0f\" y=\"%.0f\" width=\"%.1f\" height=\"16\" rx=\"2\" fill=\"%s\"/>\n", float64(start), top, length, colour(c.Rule))
		s.text(start+length+6, top+13, "start", "", fmt.Sprintf("%.0f", c.Excess.Value))
	}
	return s.done()
}
