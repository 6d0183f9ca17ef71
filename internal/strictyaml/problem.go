package strictyaml

import (
	"fmt"
	"strings"

	"github.com/deployguardian/adg"
)

// Problem is one thing that is wrong or doubtful in a file, and where.
type Problem struct {
	File         string
	Line, Column int    // from 1; in characters
	Path         string // the field, as in checks[0].query; empty for the whole file
	Text         string // what is wrong, and what to do
	Suggestion   string // what was probably meant; empty: nothing is near
	Source       string // the line, secrets masked, cut to a width that can be read; empty for a line of many KiB
	Caret        int    // where in Source the problem is, from 1; in characters
}

// String is file:line:column, the problem, and the line with a caret under the place.
func (p Problem) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:%d: %s", adg.Printable(p.File), p.Line, p.Column, p.Text)
	if p.Suggestion != "" {
		fmt.Fprintf(&b, " — did you mean %q?", p.Suggestion)
	}
	if strings.TrimSpace(p.Source) != "" {
		fmt.Fprintf(&b, "\n    %s\n    %s^", p.Source, strings.Repeat(" ", p.Caret-1))
	}
	return b.String()
}

// Problems is everything that is wrong with a file, in the order of the file.
type Problems []Problem

// Error is all problems, one after the other.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.String()
	}
	return strings.Join(lines, "\n")
}
