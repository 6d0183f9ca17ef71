package sourcetest

import (
	"context"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg"
)

// Private

// runLines is the part of the suite for sources that give lines of logs.
func runLines(t *testing.T, c Case) {
	source := func(t *testing.T) adg.Source {
		if c.LineServer == nil {
			return open(t, c.Open(t))
		}
		return open(t, c.LineServer(t))
	}
	t.Run("lines come in order and from the window", func(t *testing.T) {
		q := c.Lines
		q.Vars = maps.Clone(c.Lines.Vars)
		answer, err := adg.AskLines(t.Context(), source(t), q)
		if err != nil {
			t.Fatal(err)
		}
		wellWritten(t, c.Lines, answer)
		if diff := cmp.Diff(c.Lines.Vars, q.Vars); diff != "" {
			t.Errorf("the lent query was written to:\n%s", diff)
		}
		for name, value := range c.Lines.Vars {
			if !strings.Contains(answer.Sent, value) || strings.Contains(answer.Sent, "$"+name) {
				t.Errorf("Sent is %q: $%s is not expanded to %s", answer.Sent, name, value)
			}
		}
	})
	t.Run("a question for lines is told from one for numbers", func(t *testing.T) {
		if !adg.ForLines(source(t), c.Lines.Text) || c.LineServer == nil && adg.ForLines(open(t, c.Open(t)), c.Good.Text) {
			t.Errorf("%q is one for lines, and %q is not", c.Lines.Text, c.Good.Text)
		}
	})
	t.Run("of more lines than the limit the latest come, and since when they are complete", func(t *testing.T) {
		q := c.Lines
		q.Limit = 1
		answer, err := adg.AskLines(t.Context(), source(t), q)
		if err != nil {
			t.Fatal(err)
		}
		all, err := adg.AskLines(t.Context(), source(t), c.Lines)
		if err != nil {
			t.Fatal(err)
		}
		latest := all.Lines[len(all.Lines)-1]
		if len(answer.Lines) != 1 || answer.Lines[0].At.Before(latest.At) || !answer.Since.After(c.Lines.At.Add(-c.Lines.Window)) {
			t.Errorf("%+v", answer)
		}
	})
	t.Run("a question for lines that can never be answered is permanent and invalid", func(t *testing.T) {
		q := c.Lines
		q.Text += "$nobody_defined_this"
		if _, err := adg.AskLines(t.Context(), source(t), q); !adg.IsPermanent(err) || adg.CodeOf(err) != adg.Invalid {
			t.Errorf("%v (permanent %v, code %s)", err, adg.IsPermanent(err), adg.CodeOf(err))
		}
	})
	t.Run("a context cancelled before ends a question for lines", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		source := source(t)
		begin := time.Now()
		if _, err := adg.AskLines(ctx, source, c.Lines); err == nil || time.Since(begin) > prompt {
			t.Errorf("%v after %s", err, time.Since(begin))
		}
	})
}

func wellWritten(t *testing.T, q adg.LinesQuery, answer adg.LinesAnswer) {
	t.Helper()
	if len(answer.Lines) < 2 {
		t.Fatalf("%d lines: the case needs more than one", len(answer.Lines))
	}
	for i, line := range answer.Lines {
		if line.At.Location() != time.UTC || line.At.Before(q.At.Add(-q.Window)) || !line.At.Before(q.At) || len(line.Text) > adg.MaxLine {
			t.Errorf("%+v is not of the window", line)
		}
		if i > 0 && line.At.Before(answer.Lines[i-1].At) {
			t.Error("lines are not in order")
		}
	}
}
