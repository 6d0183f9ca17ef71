package judge

import (
	"fmt"
	"math"
	"strings"
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
		fmt.Fprintf(&text, "%s in %s (%s)", plural(r.value, "event"), adg.Span(window(c)), plural(r.n, "sample"))
	case c.Counts():
		fmt.Fprintf(&text, "%s of %s were bad", c.Amount(r.value), size(c, r.n))
		if r.bad > r.n {
			fmt.Fprintf(&text, " (%s bad, more than there were)", adg.Number(r.bad, 4))
		}
	default:
		what := c.Aggregate.String()
		switch {
		case c.Histogram != "":
			what = "p95"
		case c.Aggregate == adg.Latest:
			what = "latest value"
		}
		fmt.Fprintf(&text, "the %s is %s (%s)", what, c.Amount(r.value), size(c, r.n))
	}
	if base != nil {
		fmt.Fprintf(&text, ", baseline %s of %s", c.Amount(base.value), adg.Number(base.n, 4))
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
		fmt.Fprintf(&text, "; limit %s (%s: %s)", c.Amount(lower), b.name, b.limit.In(c.CountedIn()))
	} else {
		fmt.Fprintf(&text, "; limits %s and %s (%s: %s)", c.Amount(lower), c.Amount(upper), b.name, b.limit.In(c.CountedIn()))
	}
	return text.String()
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
	return adg.Number(n, 4) + " " + what + "s"
}

// lately is the time that a measurement of the check looks back.
func lately(c adg.Check) string { return "in the last " + adg.Span(window(c)) }

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
