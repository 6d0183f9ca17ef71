package config

import (
	"fmt"
	"reflect"
	"regexp"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/strictyaml"
)

// percent is a share as people write it: 5%, 0.5 %.
type percent = strictyaml.Percent

// act is what a rule of rollback does: now, or after a grace.
type act struct{ after time.Duration }

// language is that of policy files.
var language = strictyaml.Language{
	Noun: "policy", Plural: "policies", Example: "service: checkout",
	Opening:  "service, environment, sources, target, checks and strategy",
	Textuals: textuals,
	Words:    maxWords,
}

// maxWords is ten times what the largest policies have that we know of: anybody may send one to a server, and reading one
// that is as large as that takes a tenth of a second.
const maxWords = 6000

var (
	conditionPattern = regexp.MustCompile(`^\s*(?:>=|<=|!=|>|<|=|inside|outside)\s*.*[\w%]\s*$`)
	riskPattern      = regexp.MustCompile(`^\s*(success|lower|upper)\s*<\s*[0-9]+(\.[0-9]+)?\s*%?\s*$`)
	actPattern       = regexp.MustCompile(`^\s*(?:now|after\s+(.*\S))\s*$`)
)

var textuals = map[reflect.Type]strictyaml.Textual{
	reflect.TypeFor[adg.Condition](): {
		Name: "condition", What: `a condition in quotes, such as "> 5%", "> baseline + 25%" or "outside 10..20"`, Pattern: conditionPattern,
		Cure: func(n string) string { return fmt.Sprintf(`say what is bad: "> %s" or "< %s"`, n, n) },
		Read: func(text string) (any, error) { return adg.ParseCondition(text) },
	},
	reflect.TypeFor[adg.RiskLimit](): {
		Name: "limit of a prediction", What: `a limit in quotes, such as "success < 90%" or "upper < 60%"`, Pattern: riskPattern,
		Cure: func(n string) string { return fmt.Sprintf(`say which number: "success < %s"`, n) },
		Read: func(text string) (any, error) {
			var limit adg.RiskLimit
			err := limit.UnmarshalText([]byte(text))
			return limit, err
		},
	},
	reflect.TypeFor[act](): {
		Name: "now, or after a time", What: "now, or a grace, such as after 10m", Pattern: actPattern,
		Cure: func(n string) string { return fmt.Sprintf("say %s of What: after %sm", n, n) },
		Read: func(text string) (any, error) { return parseAct(text) },
	},
}

func parseAct(text string) (act, error) {
	match := actPattern.FindStringSubmatch(text)
	if match == nil {
		return act{}, fmt.Errorf("%q is nothing that a rule does: write now, or after 10m", strictyaml.Cut(text))
	}
	if match[1] == "" {
		return act{}, nil
	}
	after, err := strictyaml.ParseDuration(match[1])
	return act{after}, err
}
