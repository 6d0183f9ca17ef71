package cli

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/deployguardian/adg"
)

// clean makes foreign text harmless on a terminal.
func clean(text string) string { return adg.Printable(text) }

// flat is foreign text on one line: it can neither break a picture nor forge the next line of a log.
func flat(text string) string { return strings.NewReplacer("\n", " ", "\t", " ").Replace(clean(text)) }

// cut is text on one line, shortened to width columns, counting a character as one.
func cut(text string, width int) string {
	text = flat(text)
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	runes := []rune(text)
	if width < 1 {
		return ""
	}
	return string(runes[:width-1]) + "…"
}

// number is short and keeps what matters.
func number(v *float64) string {
	switch {
	case v == nil:
		return "–"
	case math.IsNaN(*v):
		return "NaN"
	case math.Abs(*v) >= 1e6 || *v != 0 && math.Abs(*v) < 1e-3:
		return fmt.Sprintf("%.2e", *v)
	default:
		return fmt.Sprintf("%.4g", *v)
	}
}

// amount is a value with its unit; without one as number says it.
func amount(v *float64, unit string) string {
	if v == nil || unit == "" {
		return number(v)
	}
	return flat(adg.Amount(*v, unit, 4))
}

// span is a duration as people say it, to the second.
func span(d time.Duration) string {
	d = d.Round(time.Second)
	switch {
	case d >= 24*time.Hour:
		return fmt.Sprintf("%dd%dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	default:
		return fmt.Sprintf("%ds", d/time.Second)
	}
}

// finite is v, or nil where JSON has no word for it.
func finite(v *float64) *float64 {
	if v == nil || math.IsNaN(*v) || math.IsInf(*v, 0) {
		return nil
	}
	return v
}

var bars = []rune("▁▂▃▄▅▆▇█")

// sparkline draws the last values, the lowest and the highest of them as the ends; gaps are blanks.
func sparkline(values []float64, width int) string {
	if len(values) > width {
		values = values[len(values)-width:]
	}
	low, high := math.Inf(1), math.Inf(-1)
	for _, v := range values {
		if drawn(v) {
			low, high = min(low, v), max(high, v)
		}
	}
	return curve(values, low, high)
}

// curve draws values between two ends; gaps are blanks.
func curve(values []float64, low, high float64) string {
	var line strings.Builder
	for _, v := range values {
		switch {
		case !drawn(v):
			line.WriteRune(' ')
		case high == low:
			line.WriteRune(bars[0])
		default:
			line.WriteRune(bars[int((v-low)/(high-low)*float64(len(bars)-1)+0.5)])
		}
	}
	return line.String()
}

// percent is a probability as people say it; what is not quite certain is not said to be.
func percent(p float64) string {
	switch {
	case p < 0.005:
		return "<1 %"
	case p > 0.995:
		return ">99 %"
	default:
		return fmt.Sprintf("%.0f %%", 100*p)
	}
}

// drawn tells whether a sparkline shows a value: it is a number, and the distance between two of them is one, too.
func drawn(v float64) bool { return math.Abs(v) <= math.MaxFloat64/4 }

// progress draws how much of a whole is done.
func progress(done, whole time.Duration, width int) string {
	if whole <= 0 {
		return ""
	}
	full := int(float64(width) * min(1, max(0, float64(done)/float64(whole))))
	return strings.Repeat("█", full) + strings.Repeat("░", width-full)
}
