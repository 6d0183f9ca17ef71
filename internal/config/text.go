package config

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/deployguardian/adg"
)

// percent is a share as people write it: 5%, 0.5 %.
type percent float64

// act is what a rule of rollback does: now, or after a grace.
type act struct{ after time.Duration }

// textual is a type that is written as a text of its own form. What pattern does not match, read is not asked about,
// so that the schema, which knows the pattern only, takes all that is taken here.
type textual struct {
	name    string // as the reference page has it
	what    string // as in "service is …"
	cure    func(number string) string
	pattern *regexp.Regexp
	read    func(text string) (any, error)
}

// longest is the longest time that a policy can ask for.
const longest = 366 * 24 * time.Hour

const decimal = `\d{1,12}(?:\.\d{1,12})?`

var (
	durationPattern  = regexp.MustCompile(`^\s*(?:(` + decimal + `)\s?w)?\s*(?:(` + decimal + `)\s?d)?\s*(?:(` + decimal + `)\s?h)?\s*(?:(` + decimal + `)\s?m)?\s*(?:(` + decimal + `)\s?s)?\s*(?:(` + decimal + `)\s?ms)?\s*$`)
	percentPattern   = regexp.MustCompile(`^\s*(` + decimal + `)\s*%\s*$`)
	conditionPattern = regexp.MustCompile(`^\s*(?:>=|<=|!=|>|<|=|inside|outside)\s*.*[\w%]\s*$`)
	riskPattern      = regexp.MustCompile(`^\s*(success|lower|upper)\s*<\s*[0-9]+(\.[0-9]+)?\s*%?\s*$`)
	actPattern       = regexp.MustCompile(`^\s*(?:now|after\s+(.*\S))\s*$`)
)

var durationUnits = []time.Duration{7 * 24 * time.Hour, 24 * time.Hour, time.Hour, time.Minute, time.Second, time.Millisecond}

var textuals = map[reflect.Type]textual{
	reflect.TypeFor[time.Duration](): {
		name: "time", what: "a time, such as 90s, 15m, 1h30m or 7d", pattern: durationPattern,
		cure: func(n string) string { return fmt.Sprintf("say %s of what: %ss, %sm or %sh", n, n, n, n) },
		read: func(text string) (any, error) { return parseDuration(text) },
	},
	reflect.TypeFor[percent](): {
		name: "percentage", what: "a percentage, such as 5%", pattern: percentPattern,
		cure: func(n string) string { return fmt.Sprintf("write %s%%", n) },
		read: func(text string) (any, error) { return parsePercent(text) },
	},
	reflect.TypeFor[adg.Condition](): {
		name: "condition", what: `a condition in quotes, such as "> 5%", "> baseline + 25%" or "outside 10..20"`, pattern: conditionPattern,
		cure: func(n string) string { return fmt.Sprintf(`say what is bad: "> %s" or "< %s"`, n, n) },
		read: func(text string) (any, error) { return adg.ParseCondition(text) },
	},
	reflect.TypeFor[adg.RiskLimit](): {
		name: "limit of a prediction", what: `a limit in quotes, such as "success < 90%" or "upper < 60%"`, pattern: riskPattern,
		cure: func(n string) string { return fmt.Sprintf(`say which number: "success < %s"`, n) },
		read: func(text string) (any, error) {
			var limit adg.RiskLimit
			err := limit.UnmarshalText([]byte(text))
			return limit, err
		},
	},
	reflect.TypeFor[act](): {
		name: "now, or after a time", what: "now, or a grace, such as after 10m", pattern: actPattern,
		cure: func(n string) string { return fmt.Sprintf("say %s of what: after %sm", n, n) },
		read: func(text string) (any, error) { return parseAct(text) },
	},
}

func parseDuration(text string) (time.Duration, error) {
	match := durationPattern.FindStringSubmatch(text)
	if match == nil || strings.TrimSpace(text) == "" {
		return 0, fmt.Errorf("%q is no time: write 90s, 15m, 1h30m or 7d (w, d, h, m, s, ms, the largest first)", cut(text))
	}
	var sum float64
	for i, number := range match[1:] {
		if number == "" {
			continue
		}
		n, err := strconv.ParseFloat(number, 64)
		if err != nil {
			return 0, fmt.Errorf("%q is no time: %w", cut(text), err)
		}
		sum += n * float64(durationUnits[i])
	}
	if sum > float64(longest) {
		return 0, fmt.Errorf("%s is longer than a year", cut(strings.TrimSpace(text)))
	}
	return time.Duration(sum).Round(time.Microsecond), nil
}

func parsePercent(text string) (percent, error) {
	match := percentPattern.FindStringSubmatch(text)
	if match == nil {
		return 0, fmt.Errorf("%q is no percentage: write 5%% or 0.5%%", cut(text))
	}
	n, err := strconv.ParseFloat(match[1], 64)
	if err == nil && n > 100 {
		err = errors.New("a share is at most 100%")
	}
	return percent(n), err
}

func parseAct(text string) (act, error) {
	match := actPattern.FindStringSubmatch(text)
	if match == nil {
		return act{}, fmt.Errorf("%q is nothing that a rule does: write now, or after 10m", cut(text))
	}
	if match[1] == "" {
		return act{}, nil
	}
	after, err := parseDuration(match[1])
	return act{after}, err
}

// cut keeps what is quoted from a policy short.
func cut(text string) string {
	if runes := []rune(text); len(runes) > 60 {
		return string(runes[:60]) + "…"
	}
	return text
}
