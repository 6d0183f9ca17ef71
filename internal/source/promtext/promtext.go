// Package promtext turns the PromQL of a policy into the PromQL that is sent: variables go in escaped for the place
// that they stand in, so that no value can become syntax; and it reads what such servers write. The sources that speak PromQL,
// or a language like it, share it.
package promtext

import (
	"maps"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/deployguardian/adg"
)

// Expand is the text of q with its variables expanded, $window among them. Inside quotes a value becomes a PromQL
// string, and a quoted literal of a regular expression after =~ and !~; elsewhere it must be a word or a duration
// (letters, digits and _ . : -). For Counters the text must be an instant vector selector, and the result is that
// selector over the window. Errors are Invalid and permanent.
func Expand(q adg.Query) (string, error) {
	vars := maps.Clone(q.Vars)
	if vars == nil {
		vars = map[string]string{}
	}
	if q.Window > 0 {
		vars["window"] = Duration(q.Window)
	}
	var failed error
	text, err := adg.Expand(q.Text, vars, func(before, value string) string {
		escaped, err := placeAfter(before).escape(value)
		if failed == nil {
			failed = err
		}
		return escaped
	})
	if err == nil {
		err = failed
	}
	if err == nil && q.Kind == adg.Counters {
		text, err = counters(text, q.Window)
	}
	if err != nil {
		return "", adg.Permanent(err)
	}
	return text, nil
}

// Duration is d as PromQL writes it, such as 1m30s, to the millisecond.
func Duration(d time.Duration) string {
	d = max(d.Round(time.Millisecond), time.Millisecond)
	var out strings.Builder
	for _, unit := range units {
		if n := d / unit.length; n > 0 {
			out.WriteString(strconv.FormatInt(int64(n), 10) + unit.name)
			d %= unit.length
		}
	}
	return out.String()
}

// Private

var units = []struct {
	name   string
	length time.Duration
}{{"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond}}

var word = regexp.MustCompile(`^[A-Za-z0-9_.:-]+$`)

// place is where in PromQL text the next character stands.
type place struct {
	quote   byte // 0 outside of strings
	regex   bool // the string is a regular expression
	escaped bool // a backslash has just begun an escape
}

// placeAfter reads PromQL as its lexer does, as far as strings and comments go.
func placeAfter(text string) place {
	var p place
	comment := false
	var last, lastButOne byte // outside of strings, blanks and comments apart
	for i := range len(text) {
		c := text[i]
		switch {
		case comment:
			comment = c != '\n' && c != '\r'
		case p.escaped:
			p.escaped = false
		case p.quote != 0 && c == p.quote:
			p = place{}
			last, lastButOne = c, 0
		case p.quote != 0:
			p.escaped = c == '\\' && p.quote != '`'
		case c == '#':
			comment = true
		case c == '"' || c == '\'' || c == '`':
			p = place{quote: c, regex: last == '~' && (lastButOne == '=' || lastButOne == '!')}
		case c != ' ' && c != '\t' && c != '\n' && c != '\r':
			last, lastButOne = c, last
		}
	}
	return p
}

func (p place) escape(value string) (string, error) {
	switch {
	case p.escaped:
		return "", adg.Errorf(adg.Invalid, "a variable stands right after a backslash: write the backslash twice")
	case !utf8.ValidString(value):
		return "", adg.Errorf(adg.Invalid, "the value %q of a variable is not valid UTF-8", value)
	case p.quote == 0 && !word.MatchString(value):
		return "", adg.Errorf(adg.Invalid,
			"the value %q of a variable outside of quotes: only letters, digits and _ . : - may stand there", value)
	case p.quote == 0:
		return value, nil
	}
	if p.regex {
		value = regexp.QuoteMeta(value)
	}
	if p.quote == '`' {
		if strings.ContainsAny(value, "`\ufffd") { // there are no escapes to write them with
			return "", adg.Errorf(adg.Invalid, "the value %q of a variable cannot stand in backquotes: use double quotes", value)
		}
		return value, nil
	}
	return inQuotes(value, p.quote), nil
}

// inQuotes escapes what ends a string or may not stand in one.
func inQuotes(value string, quote byte) string {
	const hex = "0123456789abcdef"
	var out strings.Builder
	for _, c := range value {
		switch {
		case c == '\\' || c == rune(quote):
			out.WriteByte('\\')
			out.WriteRune(c)
		case c < ' ' || c == 0x7f:
			out.WriteString(`\x`)
			out.WriteByte(hex[c>>4])
			out.WriteByte(hex[c&15])
		case c == utf8.RuneError:
			out.WriteString(`\ufffd`) // as itself it is taken for an encoding error
		default:
			out.WriteRune(c)
		}
	}
	return out.String()
}

// counters makes the range selector that returns raw samples.
func counters(text string, window time.Duration) (string, error) {
	if window <= 0 {
		return "", adg.Errorf(adg.Invalid, "counters are asked for over a window, and it is %s", window)
	}
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(text)
	if err != nil {
		return "", adg.Errorf(adg.Invalid, "counters %q: %w", text, err)
	}
	selector, ok := expr.(*parser.VectorSelector)
	if !ok || selector.OriginalOffset != 0 || selector.Timestamp != nil || selector.StartOrEnd != 0 {
		return "", adg.Errorf(adg.Invalid, "counters %q: give the counter itself, as in requests_total{code=\"500\"}, without "+
			"functions, sums, ranges, offset or @: rates are computed from its raw samples", text)
	}
	return selector.String() + "[" + Duration(window) + "]", nil
}
