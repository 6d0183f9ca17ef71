package strictyaml

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/deployguardian/adg"
)

// maxProblems is how many problems are listed: who has more reads the first ones first.
const maxProblems = 200

// Mark is a place in the text: where something begins, and its last line.
type Mark struct{ Line, Column, End int }

// Document is the text of a file, what is known of the places in it, and what is wrong there.
type Document struct {
	language Language
	name     string
	lines    []string
	values   map[string]Mark // where the value of a field stands, by path
	keys     map[string]Mark // where its name stands
	masked   map[int]int     // line → the column from which on it is not shown
	hidden   map[int]int     // the same, with what the line itself tells; filled as lines are shown
	unread   bool            // whether the text is no YAML, so that only its lines tell what is secret
	wrong    []Problem
	doubts   []Problem
	more     int // problems past maxProblems
}

func newDocument(l Language, name string, text []byte) *Document {
	lines := strings.Split(string(text), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSuffix(line, "\r")
	}
	if n := len(lines); n > 1 && lines[n-1] == "" {
		lines = lines[:n-1]
	}
	return &Document{language: l, name: name, lines: lines, values: map[string]Mark{}, keys: map[string]Mark{}, masked: map[int]int{}, hidden: map[int]int{}}
}

// Name is what problems call the file.
func (doc *Document) Name() string { return doc.name }

// Refuse puts on record that something is wrong at a place.
func (doc *Document) Refuse(at Mark, path, suggestion, format string, args ...any) {
	if len(doc.wrong) == maxProblems {
		doc.more++
		return
	}
	doc.wrong = append(doc.wrong, doc.problem(at, path, suggestion, format, args...))
}

// RefuseField puts on record that something is wrong with a field.
func (doc *Document) RefuseField(path, format string, args ...any) {
	doc.Refuse(doc.Value(path), path, "", format, args...)
}

// Doubt puts on record that something is probably not what was meant with a field.
func (doc *Document) Doubt(path, format string, args ...any) {
	if len(doc.doubts) < maxProblems {
		doc.doubts = append(doc.doubts, doc.problem(doc.Value(path), path, "", format, args...))
	}
}

// Failed tells whether anything is wrong.
func (doc *Document) Failed() bool { return len(doc.wrong) > 0 }

// FailedAt tells whether anything is wrong with a field or something in it.
func (doc *Document) FailedAt(path string) bool {
	return slices.ContainsFunc(doc.wrong, func(p Problem) bool { return p.Path == path || Inside(p.Path, path) })
}

// DoubtedAt tells whether anything is doubtful in a field.
func (doc *Document) DoubtedAt(path string) bool {
	return slices.ContainsFunc(doc.doubts, func(p Problem) bool { return p.Path == path || Inside(p.Path, path) })
}

// Has tells whether the text sets a field.
func (doc *Document) Has(path string) bool {
	_, found := doc.values[path]
	return found
}

// Value is where a field's value stands, or that of the nearest field around it; the start of the file in the end.
func (doc *Document) Value(path string) Mark {
	for {
		if at, found := doc.values[path]; found {
			return at
		}
		if path == "" {
			return Mark{1, 1, 1}
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
}

// Key is where a field's name stands, its value if it has none.
func (doc *Document) Key(path string) Mark {
	if at, found := doc.keys[path]; found {
		return at
	}
	return doc.Value(path)
}

// UnreadAround tells whether one of the fields around a path could not be read, so that its defaults stand in for it.
func (doc *Document) UnreadAround(path string) bool {
	return slices.ContainsFunc(doc.wrong, func(p Problem) bool { return p.Path != "" && Inside(path, p.Path) })
}

// Find is where text stands in a field's value, the value itself if it is written in another way there.
func (doc *Document) Find(path, text string) Mark {
	at := doc.Value(path)
	for line := at.Line; line <= at.End && line <= len(doc.lines); line++ {
		from := 0
		if line == at.Line {
			from = byteColumn(doc.lines[line-1], at.Column)
		}
		if i := strings.Index(doc.lines[line-1][from:], text); i >= 0 {
			return Mark{line, 1 + utf8.RuneCountInString(doc.lines[line-1][:from+i]), line}
		}
	}
	return at
}

// Mask hides everything from a place to the end of its last line, in whatever is shown of the text.
func (doc *Document) Mask(at Mark) {
	for line := at.Line; line <= max(at.End, at.Line); line++ {
		column := 1
		if line == at.Line {
			column = at.Column
		}
		if old, found := doc.masked[line]; !found || column < old {
			doc.masked[line] = column
		}
	}
}

// Problems is what is wrong, in the order of the file.
func (doc *Document) Problems() Problems {
	if doc.more > 0 {
		last := doc.wrong[len(doc.wrong)-1]
		last.Text, last.Suggestion = fmt.Sprintf("and %d more problems", doc.more), ""
		doc.wrong, doc.more = append(doc.wrong, last), 0
	}
	return doc.shown(doc.wrong)
}

// Warnings is what is doubtful, in the order of the file.
func (doc *Document) Warnings() []Problem { return doc.shown(doc.doubts) }

// Private

const (
	width    = 120     // how much of a line is shown
	maxShown = 8 << 10 // a longer line was not written by a person, and none of it is shown
)

var (
	// secretLike is a field whose name sounds secret, up to its value; userInfo is the user of an address.
	secretLike = regexp.MustCompile(`(?i)(?:token|passw(?:or)?d|secret|webhook|api_?key|credential|authorization)[\w-]*["']?\s*:\s*`)
	userInfo   = regexp.MustCompile(`://[^/@\s"']*@`)

	// A value that only says where the secret is, or is another mapping.
	namedOnly     = regexp.MustCompile(`^(?:[&*][\w-]+\s*)?(?:$|#|\{\s*["']?(?:env|file)["']?\s*:)`)
	namedOrNested = regexp.MustCompile(`^(?:[&*][\w-]+\s*)?(?:$|#|\{)`)
)

func (doc *Document) problem(at Mark, path, suggestion, format string, args ...any) Problem {
	line := min(max(at.Line, 1), len(doc.lines))
	column := min(max(at.Column, 1), utf8.RuneCountInString(doc.lines[line-1])+1)
	return Problem{
		File: doc.name, Line: line, Column: column, Path: path, Text: adg.Printable(fmt.Sprintf(format, args...)), Suggestion: suggestion,
	}
}

// shown completes problems with their lines: only now is it known what must not be shown.
func (doc *Document) shown(problems []Problem) []Problem {
	for i, p := range problems {
		problems[i].Source, problems[i].Caret = doc.show(p.Line, p.Column)
	}
	slices.SortStableFunc(problems, func(a, b Problem) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	return problems
}

// show is the part of a line around a column, as it may be shown, and where the column is in it.
func (doc *Document) show(line, column int) (string, int) {
	text := doc.lines[line-1]
	if len(text) > maxShown {
		return "", 1
	}
	hide := doc.secretFrom(line)
	column = min(column, hide)
	first := max(column-width/2, 1)
	if utf8.RuneCountInString(text) <= width {
		first = 1
	}
	last := first + width
	start, end := byteColumn(text, first), byteColumn(text, min(last, hide))
	shown := strings.ReplaceAll(adg.Printable(text[start:end]), "\t", " ")
	switch {
	case hide < last && byteColumn(text, hide) < len(text):
		shown += "[redacted]"
	case end < len(text):
		shown += "…"
	}
	if first > 1 {
		return "…" + shown, column - first + 2
	}
	return shown, column
}

// secretFrom is the column from which on a line is not shown, past its end for most.
func (doc *Document) secretFrom(line int) int {
	if hide, found := doc.hidden[line]; found {
		return hide
	}
	text := doc.lines[line-1]
	hide := utf8.RuneCountInString(text) + 1
	if column, found := doc.masked[line]; found {
		hide = min(hide, column)
	}
	if from := literalSecret(text, doc.unread); from >= 0 {
		hide = min(hide, utf8.RuneCountInString(text[:from])+1)
	}
	doc.hidden[line] = hide
	return hide
}

// literalSecret is where in a line something begins that is not shown whatever it is meant as; -1 if there is nothing.
// A mapping is looked into by the decoder, which knows what is secret, unless the text could not be read at all.
func literalSecret(line string, unread bool) int {
	named := namedOrNested
	if unread {
		named = namedOnly
	}
	from := -1
	for _, hit := range secretLike.FindAllStringIndex(line, 64) {
		if !named.MatchString(line[hit[1]:]) {
			from = hit[1]
			break
		}
	}
	if hit := userInfo.FindStringIndex(line); hit != nil && (from < 0 || hit[0] < from) {
		from = hit[0] + len("://")
	}
	return from
}

// Inside tells whether a path is of something in the field at outer.
func Inside(path, outer string) bool {
	return outer == "" || len(path) > len(outer) && strings.HasPrefix(path, outer) && (path[len(outer)] == '.' || path[len(outer)] == '[')
}

// byteColumn is where in a line a column begins.
func byteColumn(line string, column int) int {
	n := 0
	for i := range line {
		if n++; n == column {
			return i
		}
	}
	return len(line)
}
