package identity

import (
	"strings"

	"github.com/deployguardian/adg"
)

// Private

// A pattern is "*", a name, or the beginning of names with a final "*".

func validPattern(what, pattern string) error {
	name := strings.TrimSuffix(pattern, "*")
	switch {
	case pattern == "*":
		return nil
	case name != pattern:
		name = strings.TrimRight(name, "._-") // "shop-*" is a beginning; "shop-" is no name
	}
	if err := adg.ValidName(what, name); err != nil {
		return adg.Advised(adg.Errorf(adg.Invalid, "pattern for the %s %.80q", what, pattern), "use \"*\", a name, or the beginning of one with a final \"*\"")
	}
	return nil
}

// matches tells whether a pattern means a name; the empty name stands for all names together, which only "*" means.
func matches(pattern, name string) bool {
	beginning, open := strings.CutSuffix(pattern, "*")
	switch {
	case pattern == "*":
		return true
	case open:
		return strings.HasPrefix(name, beginning)
	default:
		return name == pattern
	}
}

// covers tells whether every name that the narrow pattern means is meant by the wide one, too.
func covers(wide, narrow string) bool {
	if beginning, open := strings.CutSuffix(wide, "*"); open {
		return strings.HasPrefix(strings.TrimSuffix(narrow, "*"), beginning)
	}
	return wide == narrow
}

// overlap is the pattern for the names that both mean; false if there are none. Two patterns are either one inside the
// other, or apart.
func overlap(a, b string) (string, bool) {
	switch {
	case covers(a, b):
		return b, true
	case covers(b, a):
		return a, true
	default:
		return "", false
	}
}
