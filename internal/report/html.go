package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"strings"
	"time"

	"github.com/deployguardian/adg"
)

//go:embed report.html
var page string

var pageTemplate = template.Must(template.New("report").Funcs(template.FuncMap{
	"words":   words,
	"stamp":   func(t time.Time) string { return t.UTC().Format("15:04:05.000") },
	"value":   value,
	"changed": changed, "moments": moments, "suspected": suspected,
	"figure": figure,
	"plot":   plot,
	"clean":  adg.Printable,
	"state":  func(s fmt.Stringer) string { return words(s.String()) },
}).Parse(page))

// HTML is the story as one file: styles and plots inside, nothing loaded from anywhere, no script.
func HTML(s Story) ([]byte, error) {
	var out bytes.Buffer
	if err := pageTemplate.Execute(&out, s); err != nil {
		return nil, fmt.Errorf("writing the report: %w", err)
	}
	return out.Bytes(), nil
}

// Private

const (
	plotWidth  = 720.0
	plotHeight = 160.0
	plotLeft   = 76.0
	plotPoints = 600
)

// plot draws a check's values, its baseline and its limit over time. All that goes in are numbers, times and the
// unit, which is escaped.
func plot(c Course) template.HTML {
	points, unit := thin(c.Points, plotPoints), c.Check.CountedIn()
	figure := func(v float64) string { return template.HTMLEscapeString(adg.Printable(figure(v, unit))) }
	low, high := bounds(points)
	if len(points) == 0 || low > high {
		return ""
	}
	begin := points[0].At
	whole := max(points[len(points)-1].At.Sub(begin).Seconds(), 1)
	x := func(p Point) float64 { return plotLeft + p.At.Sub(begin).Seconds()/whole*(plotWidth-plotLeft-8) }
	y := func(v float64) float64 { return plotHeight - 18 - (v-low)/(high-low)*(plotHeight-30) }

	var out strings.Builder
	fmt.Fprintf(&out, `<svg viewBox="0 0 %g %g" role="img" aria-label="values over time, from %s to %s">`, plotWidth, plotHeight, figure(low), figure(high))
	for _, at := range []float64{low, high} {
		fmt.Fprintf(&out, `<line class="grid" x1="%g" x2="%g" y1="%.1f" y2="%.1f"/><text x="%g" y="%.1f" text-anchor="end">%s</text>`,
			plotLeft, plotWidth-8, y(at), y(at), plotLeft-6, y(at)+4, figure(at))
	}
	for _, line := range []struct {
		class string
		of    func(Point) float64
	}{{"limit", func(p Point) float64 { return p.Limit }}, {"base", func(p Point) float64 { return p.Baseline }}, {"value", func(p Point) float64 { return p.Value }}} {
		if path := path(points, x, y, low, high, line.of); path != "" {
			fmt.Fprintf(&out, `<path class="%s" d="%s"/>`, line.class, path)
		}
	}
	for _, p := range points {
		if usable(p.Value) && p.Verdict != adg.Pass {
			fmt.Fprintf(&out, `<circle class="%s" cx="%.1f" cy="%.1f" r="3"><title>%s %s</title></circle>`, p.Verdict, x(p), y(p.Value), p.Verdict, figure(p.Value))
		}
	}
	fmt.Fprintf(&out, `<text x="%g" y="%g">%s</text><text x="%g" y="%g" text-anchor="end">%s</text></svg>`, plotLeft, plotHeight-2,
		begin.UTC().Format("15:04:05"), plotWidth-8, plotHeight-2, points[len(points)-1].At.UTC().Format("15:04:05"))
	return template.HTML(out.String()) //nolint:gosec // made of numbers and an escaped unit
}

// path joins the points that exist; a gap begins a new stretch.
func path(points []Point, x func(Point) float64, y func(float64) float64, low, high float64, of func(Point) float64) string {
	var out strings.Builder
	pen := "M"
	for _, p := range points {
		v := of(p)
		if !usable(v) || v < low || v > high {
			pen = "M"
			continue
		}
		fmt.Fprintf(&out, "%s%.1f %.1f", pen, x(p), y(v))
		pen = "L"
	}
	return out.String()
}
