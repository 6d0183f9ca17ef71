package strictyaml

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Percent is a share as people write it: 5%, 0.5 %.
type Percent float64

// ParseDuration reads a time as people write it: 90s, 15m, 1h30m or 7d; at most a year.
func ParseDuration(text string) (time.Duration, error) {
	match := durationPattern.FindStringSubmatch(text)
	if match == nil || strings.TrimSpace(text) == "" {
		return 0, fmt.Errorf("%q is no time: write 90s, 15m, 1h30m or 7d (w, d, h, m, s, ms, the largest first)", Cut(text))
	}
	var sum float64
	for i, number := range match[1:] {
		if number == "" {
			continue
		}
		n, err := strconv.ParseFloat(number, 64)
		if err != nil {
			return 0, fmt.Errorf("%q is no time: %w", Cut(text), err)
		}
		sum += n * float64(durationUnits[i])
	}
	if sum > float64(longest) {
		return 0, fmt.Errorf("%s is longer than a year", Cut(strings.TrimSpace(text)))
	}
	return time.Duration(sum).Round(time.Microsecond), nil
}

// Cut keeps what is quoted from a file short.
func Cut(text string) string {
	if runes := []rune(text); len(runes) > 60 {
		return string(runes[:60]) + "…"
	}
	return text
}

// Private

// longest is the longest time that a file can ask for.
const longest = 366 * 24 * time.Hour

const decimal = `\d{1,12}(?:\.\d{1,12})?`

var (
	durationPattern = regexp.MustCompile(`^\s*(?:(` + decimal + `)\s?w)?\s*(?:(` + decimal + `)\s?d)?\s*(?:(` + decimal + `)\s?h)?\s*(?:(` + decimal + `)\s?m)?\s*(?:(` + decimal + `)\s?s)?\s*(?:(` + decimal + `)\s?ms)?\s*$`)
	percentPattern  = regexp.MustCompile(`^\s*(` + decimal + `)\s*%\s*$`)
)

var durationUnits = []time.Duration{7 * 24 * time.Hour, 24 * time.Hour, time.Hour, time.Minute, time.Second, time.Millisecond}

// textuals are those that every language has.
var textuals = map[reflect.Type]Textual{
	reflect.TypeFor[time.Duration](): {
		Name: "time", What: "a time, such as 90s, 15m, 1h30m or 7d", Pattern: durationPattern,
		Cure: func(n string) string { return fmt.Sprintf("say %s of what: %ss, %sm or %sh", n, n, n, n) },
		Read: func(text string) (any, error) { return ParseDuration(text) },
	},
	reflect.TypeFor[Percent](): {
		Name: "percentage", What: "a percentage, such as 5%", Pattern: percentPattern,
		Cure: func(n string) string { return fmt.Sprintf("write %s%%", n) },
		Read: func(text string) (any, error) { return parsePercent(text) },
	},
}

func parsePercent(text string) (Percent, error) {
	match := percentPattern.FindStringSubmatch(text)
	if match == nil {
		return 0, fmt.Errorf("%q is no percentage: write 5%% or 0.5%%", Cut(text))
	}
	n, err := strconv.ParseFloat(match[1], 64)
	if err == nil && n > 100 {
		err = errors.New("a share is at most 100%")
	}
	return Percent(n), err
}
