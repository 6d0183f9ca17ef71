package adg

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"
)

// Source says how a release is doing. It is safe for concurrent use.
//
// Query asks one question once and does not retry. No samples is an answer, not an error; an error means that the
// question was not answered, names no secret, and is marked Permanent where asking again cannot help (a query that
// does not parse, credentials that are refused) or Throttled where the source asked us to wait. A cancelled context
// ends the call promptly. The answer is bounded: a source refuses, rather than cuts, what is larger than its limits.
// Sources that hold something open also implement io.Closer.
type Source interface {
	Query(ctx context.Context, q Query) (Answer, error)
}

// QueryKind is the shape of the answer that is wanted.
type QueryKind uint8

// The kinds of query.
const (
	Instant  QueryKind = iota // one value per series, at At
	Range                     // one value per Step, from At-Span to At
	Counters                  // the raw samples of counters between At-Window and At, with their own timestamps
)

var queryKindNames = []string{"instant", "range", "counters"}

// String is the kind's name.
func (k QueryKind) String() string { return enumText(k, queryKindNames) }

// Query is one question to a source.
type Query struct {
	Kind QueryKind
	// Text is in the source's own language and may hold $variables; the source expands them, escaped for its language.
	Text   string
	Vars   map[string]string // version, baseline, service, environment and the user's; never "window"
	At     time.Time
	Window time.Duration // $window expands to it
	Step   time.Duration // for Range
	Span   time.Duration // for Range; zero: Window
}

// Answer is what a source said.
type Answer struct {
	Series   []Series
	Sent     string   // the query as it was sent, variables expanded
	Warnings []string // what the source said about the answer
}

// Expand replaces $name and ${name} in text by escape(name, value); "$$" is one '$'. A name that vars does not hold
// is Invalid, naming the ones that it does hold. A '$' that no name follows stays.
func Expand(text string, vars map[string]string, escape func(before, value string) string) (string, error) {
	var out strings.Builder
	for {
		i := strings.IndexByte(text, '$')
		if i < 0 || i == len(text)-1 {
			out.WriteString(text)
			return out.String(), nil
		}
		out.WriteString(text[:i])
		rest := text[i+1:]
		if rest[0] == '$' {
			out.WriteByte('$')
			text = rest[1:]
			continue
		}
		name, after := cutVariable(rest)
		if name == "" {
			out.WriteByte('$')
			text = rest
			continue
		}
		value, found := vars[name]
		if !found {
			return "", Errorf(Invalid, "unknown variable $%s: known are %s", name, variableNames(vars))
		}
		out.WriteString(escape(out.String(), value))
		text = after
	}
}

// Private

func cutVariable(text string) (name, after string) {
	if inner, found := strings.CutPrefix(text, "{"); found {
		name, after, found = strings.Cut(inner, "}")
		if !found || name != word(name) {
			return "", text
		}
		return name, after
	}
	name = word(text)
	return name, text[len(name):]
}

// word is the longest prefix of text that can be a variable's name.
func word(text string) string {
	for i := range len(text) {
		c := text[i]
		letter := c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return text[:i]
		}
	}
	return text
}

func variableNames(vars map[string]string) string {
	names := slices.Sorted(maps.Keys(vars))
	return "$" + strings.Join(names, ", $")
}
