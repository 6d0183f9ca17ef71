package demo

import (
	"context"

	"github.com/deployguardian/adg"
)

var _ adg.LineSource = Log{}

// Log is the source of what the versions of a stage have written: its queries are versions. It follows the stage that
// there is when it is asked.
type Log struct {
	Stage func() (*Stage, error)
}

// Query refuses: a log has lines and no numbers.
func (l Log) Query(context.Context, adg.Query) (adg.Answer, error) {
	return adg.Answer{}, adg.Permanent(adg.Errorf(adg.Invalid, "the shop's log has lines and no numbers: the check needs compare: logs"))
}

// ForLines is always so.
func (Log) ForLines(string) bool { return true }

// Lines are those that a version has written. Each version is one process, and one replica.
func (l Log) Lines(_ context.Context, q adg.LinesQuery) (adg.LinesAnswer, error) {
	version, err := adg.Expand(q.Text, q.Vars, func(_, value string) string { return value })
	if err != nil {
		return adg.LinesAnswer{}, adg.Permanent(err)
	}
	s, err := l.Stage()
	if err != nil {
		return adg.LinesAnswer{}, err
	}
	from := q.At.Add(-q.Window)
	lines, since := s.fleet.Lines(version, from, q.At)
	limit := q.Limit
	if limit <= 0 {
		limit = adg.MaxLines
	}
	if cut := len(lines) - limit; cut > 0 {
		since = lines[cut-1].At.Add(1)
		lines = lines[cut:]
	}
	answer := adg.LinesAnswer{Sent: version}
	if since.After(from) {
		answer.Since = since
	}
	for _, line := range lines {
		answer.Lines = append(answer.Lines, adg.LogLine{At: line.At, Replica: version, Text: line.Text})
	}
	return answer, nil
}
