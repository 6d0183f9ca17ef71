package report

import (
	"fmt"
	"math"
	"strings"

	"github.com/deployguardian/adg"
)

// Markdown is the story as CommonMark with tables. Text that came from outside cannot become markup.
func Markdown(s Story) []byte {
	var out strings.Builder
	fmt.Fprintf(&out, "# %s\n\n", plain(s.Title))
	for _, line := range s.Summary {
		fmt.Fprintf(&out, "* **%s:** %s\n", line.Name, plain(line.Text))
	}
	out.WriteString("\n## Timeline\n\n")
	writeTimeline(&out, s)
	if p := s.Deployment.Spec.Prediction; p != nil {
		writePrediction(&out, *p, s.Expected)
	}
	out.WriteString("\n## Checks\n")
	for _, c := range s.Checks {
		writeCourse(&out, c)
	}
	out.WriteString("\n## Decisions and their evidence\n")
	for _, e := range s.Decisions {
		writeDecision(&out, s.Deployment.Spec.Policy, e)
	}
	if len(s.Baselines) > 0 {
		out.WriteString("\n## Baselines, frozen before the deployment\n\n| check | from | to | values | bad of all | |\n|---|---|---|---|---|---|\n")
		for _, b := range s.Baselines {
			fmt.Fprintf(&out, "| %s | %s | %s | %d | %.0f of %.0f | %s |\n", cell(b.Check), b.From.UTC().Format("15:04:05"), b.To.UTC().Format("15:04:05"), len(b.Values), b.Bad, b.Total, cell(b.Err))
		}
	}
	return []byte(out.String())
}

// Private

func writePrediction(out *strings.Builder, p adg.Prediction, c Course) {
	fmt.Fprintf(out, "\n## Probability of success\n\nIn percent, as predicted, then by what the checks found.\n\n```text\n%s```\n\n", chart(c))
	for _, one := range p.Contributions {
		fmt.Fprintf(out, "* %+.1f points: %s\n", one.Points, plain(one.Text))
	}
	if len(p.Missing) > 0 {
		fmt.Fprintf(out, "\nNothing was known of: %s\n", plain(strings.Join(p.Missing, ", ")))
	}
}

func writeCourse(out *strings.Builder, c Course) {
	fmt.Fprintf(out, "\n### %s\n\n", plain(c.Check.Name))
	if c.Last.Text == "" {
		out.WriteString("never measured\n")
		return
	}
	fmt.Fprintf(out, "%s: %s\n", c.Last.Verdict, plain(c.Last.Text))
	if chart := chart(c); chart != "" {
		fmt.Fprintf(out, "\n```text\n%s```\n", chart)
	}
	for _, sent := range c.Sent {
		fmt.Fprintf(out, "\n    %s\n", strings.ReplaceAll(adg.Printable(sent), "\n", "\n    "))
	}
}

func writeDecision(out *strings.Builder, p adg.Policy, e adg.Entry) {
	fmt.Fprintf(out, "\n### %d. %s: %s → %s\n\n", e.Seq, e.Decision.At.UTC().Format("15:04:05.000"), words(e.Decision.From.String()), words(e.Decision.Next.State.String()))
	fmt.Fprintf(out, "%s\n", words(e.Decision.Kind.String()))
	for _, r := range e.Decision.Reasons {
		fmt.Fprintf(out, "* %s\n", plain(r))
	}
	if a := e.Input.Assessment; a != nil {
		fmt.Fprintf(out, "\nHealth %s, score %.0f.\n\n| check | verdict | value | baseline | limit | |\n|---|---|---|---|---|---|\n", a.Health, a.Score)
		for _, j := range a.Judgements {
			unit := p.CountedIn(j.Check)
			fmt.Fprintf(out, "| %s | %s | %s | %s | %s | %s |\n", cell(j.Check), j.Verdict,
				figure(value(j.Value), unit), figure(value(j.Baseline), unit), figure(value(j.Limit), unit), cell(j.Text))
		}
		writePatterns(out, *a)
	}
}

const (
	chartHeight = 8
	chartWidth  = 72
)

// chart draws values with characters, the limit as a dotted line where it fits.
func chart(c Course) string {
	points, unit := thin(c.Points, chartWidth), c.Check.CountedIn()
	low, high := bounds(points)
	if math.IsInf(low, 1) {
		return ""
	}
	row := func(v float64) int { return int((v-low)/(high-low)*float64(chartHeight-1) + 0.5) }
	grid := make([][]rune, chartHeight)
	for i := range grid {
		grid[i] = []rune(strings.Repeat(" ", len(points)))
	}
	for x, p := range points {
		if usable(p.Limit) {
			grid[row(p.Limit)][x] = '·'
		}
		if usable(p.Value) {
			grid[row(p.Value)][x] = dot(p.Verdict)
		}
	}
	var out strings.Builder
	for y := chartHeight - 1; y >= 0; y-- {
		label := ""
		switch y {
		case chartHeight - 1:
			label = figure(high, unit)
		case 0:
			label = figure(low, unit)
		}
		fmt.Fprintf(&out, "%10s │%s\n", label, strings.TrimRight(string(grid[y]), " "))
	}
	fmt.Fprintf(&out, "%10s └%s\n%12s%s … %s   o pass  ! warn  X fail  ? unknown  · limit\n", "", strings.Repeat("─", len(points)), "",
		points[0].At.UTC().Format("15:04:05"), points[len(points)-1].At.UTC().Format("15:04:05"))
	return out.String()
}

func dot(v adg.Verdict) rune {
	switch v {
	case adg.Pass:
		return 'o'
	case adg.Warn:
		return '!'
	case adg.Fail:
		return 'X'
	case adg.Unknown:
		return '?'
	}
	return '?'
}

// thin keeps at most n points, evenly, the first and the last among them.
func thin(points []Point, n int) []Point {
	if len(points) <= n {
		return points
	}
	kept := make([]Point, n)
	for i := range kept {
		kept[i] = points[i*(len(points)-1)/(n-1)]
	}
	return kept
}

// bounds are the lowest and highest of what is drawn, apart even where all is the same; +Inf for nothing.
func bounds(points []Point) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, p := range points {
		for _, v := range []float64{p.Value, p.Limit, p.Baseline} {
			if usable(v) {
				low, high = min(low, v), max(high, v)
			}
		}
	}
	if low == high {
		if high = low + math.Abs(low)/10; low == 0 {
			high = 1
		}
	}
	return low, high
}

// usable tells whether a number can be drawn: it is one, and the distance between two of them is one, too.
func usable(v float64) bool { return math.Abs(v) <= math.MaxFloat64/4 }

var markdownEscapes = strings.NewReplacer("\\", "\\\\", "`", "\\`", "*", "\\*", "_", "\\_", "[", "\\[", "]", "\\]", "<", "&lt;", ">", "&gt;",
	"#", "\\#", "|", "\\|", "!", "\\!", "\n", " ", "\r", " ")

// plain is foreign text that stays text.
func plain(text string) string { return markdownEscapes.Replace(adg.Printable(text)) }

func cell(text string) string { return plain(text) }
