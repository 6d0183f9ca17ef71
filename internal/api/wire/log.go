package wire

import (
	"github.com/deployguardian/adg"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// LogFinding is what a judgement says of one pattern.
func LogFinding(f adg.LogFinding) *adgv1.LogFinding {
	return &adgv1.LogFinding{
		Text: text(f.Text), Level: logLevels.to(f.Level), Change: logChanges.to(f.Change),
		Moments: f.Candidate.Bad, AllMoments: f.Candidate.All, BaselineMoments: f.Baseline.Bad, BaselineAllMoments: f.Baseline.All,
		Lines: f.Lines, BaselineLines: f.BaseLines, FirstTime: Timestamp(f.First), Example: text(f.Example),
		LogE: f.LogE, LogLimit: f.LogLimit, Decides: f.Decides(),
	}
}

// Private

func logCount(c adg.LogCount) *adgv1.LogCount {
	return &adgv1.LogCount{
		FromTime: Timestamp(c.From), Moment: Duration(c.Moment), Replicas: texts(c.Replicas), Lines: count(c.Lines), LeftOut: count(c.Left),
		LastTime: Timestamp(c.Last), Mute: count(c.Mute),
		Patterns: each(c.Patterns, func(p adg.LogPattern) *adgv1.LogPattern {
			lines := 0
			for _, cell := range p.Cells {
				lines += cell.Lines
			}
			return &adgv1.LogPattern{
				Text: text(p.Text), Level: logLevels.to(p.Level), Example: text(p.Example), FirstTime: Timestamp(p.First),
				Lines: count(lines), Moments: count(len(p.Cells)),
			}
		}),
	}
}

func logTest(l adg.LogTest) *adgv1.LogTest {
	return &adgv1.LogTest{Level: logLevels.to(l.Level), Any: l.Any, Ignore: texts(l.Ignore), Least: count(l.Least), Often: l.Often}
}
