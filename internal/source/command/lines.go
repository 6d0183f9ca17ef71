package command

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/deployguardian/adg"
)

// Lines runs the program once, for the lines that it prints.
func (s *source) Lines(ctx context.Context, q adg.LinesQuery) (adg.LinesAnswer, error) {
	if s.o.As != "lines" {
		return adg.LinesAnswer{}, adg.Permanent(adg.Errorf(adg.Invalid, "the program prints no lines of a log: set as: lines"))
	}
	as := adg.Query{Kind: adg.Range, Text: q.Text, Vars: q.Vars, At: q.At, Window: q.Window}
	text, err := s.expand(as)
	if err != nil {
		return adg.LinesAnswer{}, adg.Permanent(err)
	}
	output, err := s.run(ctx, as, text)
	if err != nil {
		return adg.LinesAnswer{}, err
	}
	answer := readLines(output, q, s.redact)
	answer.Sent = strings.TrimSpace(strings.Join(append([]string{s.o.Path}, s.o.Args...), " ") + " " + text)
	if len(answer.Lines) == 0 && len(bytes.TrimSpace(output)) > 0 && answer.Since.IsZero() && len(answer.Warnings) > 0 {
		return adg.LinesAnswer{}, adg.Permanent(fmt.Errorf("%s: %w", s.o.Path, adg.Errorf(adg.Invalid, "%s", answer.Warnings[0])))
	}
	return answer, nil
}

// ForLines tells what the program prints, whatever it is asked.
func (s *source) ForLines(string) bool { return s.o.As == "lines" }

// Private

// readLines reads what a program printed. Where a line has no time it goes on the one before, as those of a stack trace do.
func readLines(output []byte, q adg.LinesQuery, redact func(string) string) adg.LinesAnswer {
	var answer adg.LinesAnswer
	from := q.At.Add(-q.Window)
	var before adg.LogLine
	timeless := 0
	for raw := range bytes.Lines(output) {
		text := strings.TrimRight(string(raw), "\r\n")
		if text == "" {
			continue
		}
		line, ok := readLine(text, q.Replica)
		if !ok && before.At.IsZero() {
			timeless++
			continue
		}
		if !ok {
			line.At, line.Replica = before.At, before.Replica
		}
		before = line
		if line.At.Before(from) || !line.At.Before(q.At) {
			continue
		}
		line.Text = redact(line.Text)
		line.Text = line.Text[:min(len(line.Text), adg.MaxLine)]
		answer.Lines = append(answer.Lines, line)
	}
	if timeless > 0 {
		answer.Warnings = append(answer.Warnings, fmt.Sprintf("%d lines have no time: a line begins with it, as in 2026-03-01T12:00:00Z, or is JSON of journald", timeless))
	}
	slices.SortStableFunc(answer.Lines, func(a, b adg.LogLine) int { return a.At.Compare(b.At) })
	limit := cmp.Or(q.Limit, adg.MaxLines)
	if cut := len(answer.Lines) - limit; cut > 0 {
		// Of the moment at which it was cut, a part is missing.
		answer.Since = answer.Lines[cut-1].At.Add(time.Nanosecond)
		answer.Lines = answer.Lines[cut:]
	}
	return answer
}

// readLine reads a line with its time: JSON of journald, or text that begins with the time or with [replica] and the time.
func readLine(text, replica string) (adg.LogLine, bool) {
	if strings.HasPrefix(text, "{") {
		if line, ok := readJournal(text, replica); ok {
			return line, true
		}
	}
	rest, name := text, ""
	if strings.HasPrefix(text, "[") {
		if inner, after, found := strings.Cut(text[1:], "] "); found {
			name, rest = inner, after
		}
	}
	stamp, after, _ := strings.Cut(rest, " ")
	at, err := time.Parse(time.RFC3339, stamp)
	if err != nil {
		at, err = time.Parse("2006-01-02T15:04:05Z0700", stamp) // as journalctl -o short-iso
	}
	if err != nil {
		return adg.LogLine{Text: text}, false
	}
	return adg.LogLine{At: at.UTC(), Replica: name, Text: after}, true
}

// said is what journald keeps of a message: text, or a list of its bytes where some are not printable, such as those of
// colours.
func said(message any) (string, bool) {
	switch m := message.(type) {
	case string:
		return m, true
	case []any:
		text := make([]byte, 0, len(m))
		for _, one := range m {
			n, ok := one.(float64)
			if !ok || n < 0 || n > 255 {
				return "", false
			}
			text = append(text, byte(n))
		}
		return string(text), true
	}
	return "", false
}

func readJournal(text, replica string) (adg.LogLine, bool) {
	var fields map[string]any
	if json.Unmarshal([]byte(text), &fields) != nil {
		return adg.LogLine{}, false
	}
	stamp, _ := fields["__REALTIME_TIMESTAMP"].(string)
	micros, err := strconv.ParseInt(stamp, 10, 64)
	message, known := said(fields["MESSAGE"])
	if err != nil || !known || micros < 0 || micros > 253402300799e6 {
		return adg.LogLine{}, false
	}
	name, _ := fields[cmp.Or(replica, "_HOSTNAME")].(string)
	// What a program writes to its output has the priority of information, whatever it says itself.
	if priority, ok := fields["PRIORITY"].(string); ok && len(priority) == 1 && priority[0] >= '0' && priority[0] <= '4' {
		message = "[" + [...]string{"PANIC", "PANIC", "PANIC", "ERROR", "WARN"}[priority[0]-'0'] + "] " + message
	}
	return adg.LogLine{At: time.UnixMicro(micros).UTC(), Replica: name, Text: message}, true
}
