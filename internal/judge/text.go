package judge

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/deployguardian/adg"
)

// maxQuote bounds what is repeated of other people's words.
const maxQuote = 200

// sentence says what was compared with what, how much of it there was, and the limit.
func sentence(c adg.Check, r reading, base *reading, b bound) string {
	var text strings.Builder
	switch {
	case c.Compare == adg.Events:
		fmt.Fprintf(&text, "%s in %s (%s)", plural(r.value, "event"), duration(window(c)), plural(r.n, "sample"))
	case c.Counts():
		fmt.Fprintf(&text, "%s of %s were bad", amount(c, r.value), size(c, r.n))
		if r.bad > r.n {
			fmt.Fprintf(&text, " (%s bad, more than there were)", number(r.bad, 4))
		}
	default:
		what := c.Aggregate.String()
		switch {
		case c.Histogram != "":
			what = "p95"
		case c.Aggregate == adg.Latest:
			what = "latest value"
		}
		fmt.Fprintf(&text, "the %s is %s (%s)", what, amount(c, r.value), size(c, r.n))
	}
	if base != nil {
		fmt.Fprintf(&text, ", baseline %s of %s", amount(c, base.value), number(base.n, 4))
	}
	if b.limit.IsZero() {
		return text.String() + "; no limit"
	}
	baseline := math.NaN()
	if base != nil {
		baseline = base.value
	}
	lower, upper := b.limit.Limits(baseline)
	if math.IsNaN(upper) {
		fmt.Fprintf(&text, "; limit %s (%s: %s)", amount(c, lower), b.name, b.limit)
	} else {
		fmt.Fprintf(&text, "; limits %s and %s (%s: %s)", amount(c, lower), amount(c, upper), b.name, b.limit)
	}
	return text.String()
}

// amount writes a value of the check: in percent where it is a share, else with its unit.
func amount(c adg.Check, v float64) string {
	switch unit := c.CountedIn(); unit {
	case adg.Share:
		return number(v*100, 3) + " %"
	case "":
		return number(v, 4)
	default:
		return number(v, 4) + " " + unit
	}
}

// size writes how much a value was made of.
func size(c adg.Check, n float64) string {
	if c.Histogram != "" || c.Counts() && c.Compare != adg.Events {
		return plural(n, "request")
	}
	return plural(n, "sample")
}

func plural(n float64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return number(n, 4) + " " + what + "s"
}

// number writes that many digits, or all before the point where there are more, in groups of three.
func number(v float64, digits int) string {
	if v == 0 {
		return "0" // also where it is -0
	}
	if whole := math.Abs(v); whole < 1000 || whole >= 1e15 || math.IsNaN(v) {
		return strconv.FormatFloat(v, 'g', digits, 64)
	}
	text := strconv.FormatFloat(math.Abs(v), 'f', 0, 64)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	if v < 0 {
		text = "-" + text
	}
	return text
}

// lately is the time that a measurement of the check looks back.
func lately(c adg.Check) string { return "in the last " + duration(window(c)) }

// duration writes whole seconds without the zeros at the end: 5m, not 5m0s.
func duration(d time.Duration) string {
	if d >= time.Second || d <= -time.Second {
		d = d.Round(time.Second)
	}
	text := d.String()
	if whole, found := strings.CutSuffix(text, "m0s"); found {
		text = whole + "m"
	}
	if whole, found := strings.CutSuffix(text, "h0m"); found {
		text = whole + "h"
	}
	return text
}

// plain makes one line of other people's words, bounded and without control characters.
func plain(text string) string {
	if len(text) > 4*maxQuote {
		text = text[:4*maxQuote]
	}
	words := strings.FieldsFunc(strings.ToValidUTF8(text, "?"), func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) })
	text = strings.Join(words, " ")
	if runes := []rune(text); len(runes) > maxQuote {
		text = string(runes[:maxQuote]) + "…"
	}
	return text
}
