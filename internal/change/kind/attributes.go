package kind

import (
	"path"
	"regexp"
	"strings"
)

// MaxAttributeRules bounds how many rules of .gitattributes are kept.
const MaxAttributeRules = 10_000

// Attributes are the rules of a repository's .gitattributes files that say what a file is. The zero value has none.
type Attributes struct {
	rules []rule
}

// Add reads one .gitattributes file that lies in a folder ("" is the root). Files of deeper folders are added later,
// since the last rule that fits wins. Lines that cannot be understood are left out, as git does.
func (a *Attributes) Add(folder, text string) {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 2 || strings.HasPrefix(fields[0], "#") || strings.HasPrefix(fields[0], "!") || len(a.rules) >= MaxAttributeRules {
			continue
		}
		sets := map[string]bool{}
		for _, word := range fields[1:] {
			name, value, _ := strings.Cut(strings.TrimLeft(word, "-!"), "=")
			switch name {
			case "linguist-generated", "linguist-vendored", "linguist-documentation":
				sets[name] = word[0] != '-' && word[0] != '!' && value != "false"
			case "filter":
				sets["lfs"] = value == "lfs" && word[0] != '-' && word[0] != '!'
			}
		}
		if len(sets) == 0 {
			continue
		}
		if pattern := compile(folder, fields[0]); pattern != nil {
			a.rules = append(a.rules, rule{pattern, sets})
		}
	}
}

// Of is the kind of a file, as Of tells it, unless an attribute says otherwise.
func (a *Attributes) Of(name string) Kind {
	k := Of(name)
	for _, verdict := range []struct {
		attribute string
		kind      Kind
	}{{"linguist-documentation", Docs}, {"linguist-generated", Generated}, {"linguist-vendored", Vendored}} {
		switch says, found := a.says(name, verdict.attribute); {
		case found && says:
			k = verdict.kind
		case found && k == verdict.kind, found && k == Lock && verdict.kind == Generated:
			k = Source
		}
	}
	return k
}

// LFS tells whether the repository holds only a pointer to the file's content.
func (a *Attributes) LFS(name string) bool {
	says, _ := a.says(name, "lfs")
	return says
}

// Private

type rule struct {
	pattern *regexp.Regexp
	sets    map[string]bool
}

func (a *Attributes) says(name, attribute string) (value, found bool) {
	for i := len(a.rules) - 1; i >= 0; i-- {
		if v, sets := a.rules[i].sets[attribute]; sets && a.rules[i].pattern.MatchString(name) {
			return v, true
		}
	}
	return false, false
}

// compile turns a pattern of gitattributes(5) into an expression over whole paths; nil if it is none.
func compile(folder, pattern string) *regexp.Regexp {
	if len(pattern) > 1024 || strings.HasSuffix(pattern, "/") {
		return nil
	}
	var b strings.Builder
	b.WriteString("^")
	if folder != "" {
		b.WriteString(regexp.QuoteMeta(path.Clean(folder)) + "/")
	}
	if !strings.Contains(pattern, "/") {
		b.WriteString("(.*/)?")
	}
	pattern = strings.TrimPrefix(pattern, "/")
	for pattern != "" {
		switch {
		case strings.HasPrefix(pattern, "**/"):
			b.WriteString("(.*/)?")
			pattern = pattern[3:]
		case strings.HasPrefix(pattern, "**"):
			b.WriteString(".*")
			pattern = pattern[2:]
		case pattern[0] == '*':
			b.WriteString("[^/]*")
			pattern = pattern[1:]
		case pattern[0] == '?':
			b.WriteString("[^/]")
			pattern = pattern[1:]
		case pattern[0] == '[' && strings.Contains(pattern[1:], "]"):
			end := strings.Index(pattern[1:], "]") + 1
			class := strings.ReplaceAll(pattern[1:end], `\`, `\\`)
			if negated, found := strings.CutPrefix(class, "!"); found {
				class = "^" + negated
			}
			b.WriteString("[" + class + "]")
			pattern = pattern[end+1:]
		default:
			if pattern[0] == '\\' && len(pattern) > 1 {
				pattern = pattern[1:]
			}
			b.WriteString(regexp.QuoteMeta(pattern[:1]))
			pattern = pattern[1:]
		}
	}
	expression, err := regexp.Compile("(?s)" + b.String() + "$")
	if err != nil {
		return nil
	}
	return expression
}
