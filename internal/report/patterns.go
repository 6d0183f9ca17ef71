package report

import (
	"fmt"
	"strings"

	"github.com/deployguardian/adg"
)

// Private

// suspected are the patterns of a judgement on logs that the candidate has beyond the baseline.
func suspected(j adg.Judgement) []adg.LogFinding {
	var all []adg.LogFinding
	for _, f := range j.Patterns {
		switch f.Change {
		case adg.LogNew, adg.LogMore:
			all = append(all, f)
		case adg.LogSame, adg.LogGone:
		}
	}
	return all
}

// changed names how a pattern differs.
func changed(f adg.LogFinding) string {
	how := map[adg.LogChange]string{adg.LogNew: "new", adg.LogMore: "more frequent", adg.LogGone: "gone"}[f.Change]
	if f.Decides() {
		how += ", decisive"
	}
	return how
}

// moments writes the counts of an arm: lines, and the moments that they were in, or had more of them than was usual.
func moments(lines float64, n adg.Counts) string {
	if lines > 0 && n.Bad == 0 {
		return fmt.Sprintf("%.0f lines, no more than usual", lines)
	}
	return fmt.Sprintf("%.0f lines, in %.0f of %.0f moments", lines, n.Bad, n.All)
}

// writePatterns writes the suspected patterns of an assessment's judgements on logs.
func writePatterns(out *strings.Builder, a adg.Assessment) {
	for _, j := range a.Judgements {
		all := suspected(j)
		if len(all) == 0 {
			continue
		}
		fmt.Fprintf(out, "\nLog patterns by **%s**:\n\n| pattern | level | | release | baseline | first seen | example |\n|---|---|---|---|---|---|---|\n", plain(j.Check))
		for _, f := range all {
			fmt.Fprintf(out, "| %s | %s | %s | %s | %s | %s | %s |\n", cell(f.Text), f.Level, changed(f), moments(f.Lines, f.Candidate), moments(f.BaseLines, f.Baseline),
				f.First.UTC().Format("15:04:05"), cell(f.Example))
		}
	}
}

// decisive are the patterns that the release was condemned by.
func (s Story) decisive() []adg.LogFinding {
	for _, e := range s.Decisions {
		if e.Decision.Next.Condemned.IsZero() || !e.Before.Condemned.IsZero() || e.Input.Assessment == nil {
			continue
		}
		var all []adg.LogFinding
		for _, j := range e.Input.Assessment.Judgements {
			for _, f := range suspected(j) {
				if j.Verdict == adg.Fail && f.Decides() {
					all = append(all, f)
				}
			}
		}
		return all
	}
	return nil
}

type toldPattern struct {
	Text      string        `json:"text"`
	Level     adg.LogLevel  `json:"level"`
	Change    adg.LogChange `json:"change"`
	Decides   bool          `json:"decides"`
	Candidate adg.Counts    `json:"candidate"`
	Baseline  adg.Counts    `json:"baseline"`
	Lines     float64       `json:"lines"`
	BaseLines float64       `json:"base_lines"`
	First     string        `json:"first"`
	Example   string        `json:"example"`
}

func tellPattern(f adg.LogFinding) toldPattern {
	return toldPattern{f.Text, f.Level, f.Change, f.Decides(), f.Candidate, f.Baseline, f.Lines, f.BaseLines, f.First.UTC().Format("2006-01-02T15:04:05Z"), f.Example}
}
