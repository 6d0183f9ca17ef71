package config

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/strictyaml"
)

// validate puts on record what the policy itself says is wrong with it, each at the field that it is about. A part
// whose field could not be read is not asked: what would be said of it is not what is wrong.
func (t translator) validate(p adg.Policy) {
	for _, err := range flatten(p.Validate()) {
		text := err.Error()
		path := t.locate(text)
		if t.doc.FailedAt(path) || t.doc.UnreadAround(path) {
			continue
		}
		t.doc.RefuseField(path, "%s", text)
	}
}

// Private

var (
	checkText  = regexp.MustCompile(`^(?:check|two checks are named) "((?:[^"\\]|\\.)*)"`)
	phaseText  = regexp.MustCompile(`^phase "((?:[^"\\]|\\.)*)"`)
	ruleText   = regexp.MustCompile(`^rollback rule (\d+)`)
	stepText   = regexp.MustCompile(`^strategy [\w-]+: step (\d+)`)
	fieldWords = regexp.MustCompile(`[a-z_]+`)
)

// locate is the path of the field that a problem of adg.Policy.Validate is about, as its words tell.
func (t translator) locate(text string) string {
	path, rest := "", text
	if hit := checkText.FindStringSubmatch(text); hit != nil {
		path = t.named("checks", hit[1], len(t.wire.Checks), func(i int) string { return t.wire.Checks[i].Name })
	} else if hit := phaseText.FindStringSubmatch(text); hit != nil {
		path = t.named("verify", hit[1], len(t.wire.Verify), func(i int) string { return t.wire.Verify[i].Phase })
	} else if hit := ruleText.FindStringSubmatch(text); hit != nil {
		path = numbered("rollback.rules", hit[1])
	} else if hit := stepText.FindStringSubmatch(text); hit != nil {
		path = numbered(t.stepsPath(), hit[1])
	} else if strings.HasPrefix(text, "strategy") {
		path = t.stepsPath()
	} else if strings.HasPrefix(text, "rollback") {
		path = "rollback"
	}
	if path != "" {
		_, rest, _ = strings.Cut(text, ":")
	}
	// What comes after a colon is the cure or an example.
	rest, _, _ = strings.Cut(rest, ":")
	return t.refine(path, rest)
}

// refine is the first field at a path that a text names and the file sets, else the path.
func (t translator) refine(path, text string) string {
	for _, word := range fieldWords.FindAllString(text, -1) {
		if at := strictyaml.Join(path, word); t.doc.Has(at) {
			return at
		}
	}
	return path
}

func (t translator) named(field, quoted string, n int, name func(int) string) string {
	want, err := strconv.Unquote(`"` + quoted + `"`)
	if err != nil {
		return field
	}
	// From the end: of two of the same name it is the second that is wrong.
	for i := n - 1; i >= 0; i-- {
		if name(i) == want {
			return fmt.Sprintf("%s[%d]", field, i)
		}
	}
	return field
}

func (t translator) stepsPath() string {
	for _, path := range []string{"strategy.canary.steps", "strategy.feature-flag.steps", "strategy.rolling.batches"} {
		if t.doc.Has(path) {
			return path
		}
	}
	return "strategy"
}

func numbered(field, number string) string {
	n, err := strconv.Atoi(number)
	if err != nil {
		return field
	}
	return fmt.Sprintf("%s[%d]", field, n-1)
}

func flatten(err error) []error {
	if joined, ok := any(err).(interface{ Unwrap() []error }); ok {
		var all []error
		for _, one := range joined.Unwrap() {
			all = append(all, flatten(one)...)
		}
		return all
	}
	if err == nil {
		return nil
	}
	return []error{err}
}
