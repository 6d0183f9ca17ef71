package judge

import (
	"regexp"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/judge/pattern"
)

// ReadLines counts the lines that a check of logs was answered with, from a time to another, by their patterns. Lines that
// one of the expressions to ignore matches, and an expression that is none, are left out: a policy with such a one is
// refused when it is read.
func ReadLines(c adg.Check, answer adg.LinesAnswer, from, to time.Time) adg.LogCount {
	w := pattern.Watch{Level: c.Logs.Level, Any: c.Logs.Any, From: from, To: to, Moment: c.Moment()}
	if w.Level == adg.LevelUnknown {
		w.Level = adg.LevelWarn
	}
	if answer.Since.After(from) {
		w.From = answer.Since
	}
	for _, text := range c.Logs.Ignore {
		if expression, err := regexp.Compile(text); err == nil {
			w.Ignore = append(w.Ignore, expression)
		}
	}
	return pattern.Count(answer.Lines, w)
}
