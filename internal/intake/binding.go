package intake

import (
	"errors"
	"strings"

	"github.com/deployguardian/adg"
)

// Binding is what may be announced with one secret, or through one queue. In its patterns a '*' stands for any text,
// slashes included, and everything else for itself.
type Binding struct {
	Service     string `yaml:"service" doc:"Services that may be announced: a name, or a pattern with '*'."`
	Environment string `yaml:"environment" doc:"Environments that may be announced: a name, or a pattern with '*'."`
	Ref         string `yaml:"ref" doc:"Git refs that announcements may come from, such as refs/tags/v*; '*' for any, empty for announcements without one."`
}

// Check reports every problem of the binding at once. A binding that allows everything has to say so.
func (b Binding) Check() error {
	var problems []error
	for _, p := range []struct{ name, pattern string }{{"service", b.Service}, {"environment", b.Environment}} {
		if p.pattern == "" {
			problems = append(problems, adg.Errorf(adg.Invalid, "%s: say which may be announced: a name, or a pattern such as shop-*", p.name))
		} else if rest := strings.ReplaceAll(p.pattern, "*", ""); rest != "" && adg.ValidName(p.name, "x"+rest+"x") != nil {
			problems = append(problems, adg.Errorf(adg.Invalid, "%s %q: no name can be like that", p.name, excerpt(p.pattern)))
		}
	}
	for _, p := range []string{b.Service, b.Environment, b.Ref} {
		if strings.Count(p, "*") > 8 || len(p) > 512 {
			problems = append(problems, adg.Errorf(adg.Invalid, "a pattern has at most 8 '*' and 512 bytes"))
		}
	}
	return errors.Join(problems...)
}

// Allows refuses, with an Unauthorized error, an announcement that is outside of the binding.
func (b Binding) Allows(a Announcement) error {
	for _, p := range []struct{ name, pattern, value string }{
		{"service", b.Service, a.Service}, {"environment", b.Environment, a.Environment}, {"ref", b.Ref, a.Ref},
	} {
		if !match(p.pattern, p.value) {
			return adg.Errorf(adg.Unauthorized, "%s %q may not be announced here: only %q", p.name, excerpt(p.value), p.pattern)
		}
	}
	return nil
}

// Private

func match(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	last := len(parts) - 1
	if last == 0 {
		return pattern == text
	}
	text, found := strings.CutPrefix(text, parts[0])
	if !found {
		return false
	}
	for _, part := range parts[1:last] {
		if _, text, found = strings.Cut(text, part); !found {
			return false
		}
	}
	return strings.HasSuffix(text, parts[last])
}
