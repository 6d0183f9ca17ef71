package pattern

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/deployguardian/adg"
)

const (
	maxMessage = 2 << 10 // bytes of a message that are looked at
	maxWords   = 48
	maxText    = 300 // bytes of a pattern
	maxExample = 400 // bytes of an example
)

// Mask is a message without what changes from one line to the next.
func Mask(message string) string {
	message = quoted.ReplaceAllString(Example(message), "${1}<text>")
	words := strings.Fields(message)
	if len(words) > maxWords {
		words = append(words[:maxWords:maxWords], "…")
	}
	for i, word := range words {
		words[i] = maskWord(word)
	}
	return cut(strings.Join(words, " "), maxText)
}

// Example is a line that people may see: one line, printable, without what looks like a secret.
func Example(line string) string {
	line = cut(strings.ToValidUTF8(line, "?"), maxMessage)
	line = strings.Join(strings.Fields(adg.Printable(line)), " ")
	seen := glance(line)
	for _, s := range secrets {
		if !s.may(seen) {
			continue
		}
		if masked := s.looks.ReplaceAllString(line, s.becomes); masked != line {
			line, seen = masked, glance(masked)
		}
	}
	return line
}

// Private

var quoted = regexp.MustCompile(`(^|[\s=:(\[,])("[^"]*"|'[^']*'|` + "`[^`]*`" + `)`)

// secret is what looks like one.
type secret struct {
	words   []string // in small letters: where none of them is, none is; empty: one may be anywhere
	digits  int      // where a line has fewer, none is
	long    int      // where no word of a line is as long, none is
	looks   *regexp.Regexp
	becomes string
}

// may tells whether it is worth looking closer: most lines have no secret, and a closer look takes a hundred times as long.
func (s secret) may(seen outline) bool {
	if seen.digits < s.digits || seen.long < s.long {
		return false
	}
	if len(s.words) == 0 || seen.foreign {
		return true
	}
	return slices.ContainsFunc(s.words, func(word string) bool { return strings.Contains(seen.small, word) })
}

// outline is what is seen of a line at a glance.
type outline struct {
	small   string // in small letters
	foreign bool   // it has letters beyond ASCII, some of which count as the same as one within it
	digits  int
	long    int // the longest of its words that may be an identifier
}

func glance(line string) outline {
	o := outline{small: strings.ToLower(line)}
	n := 0
	for i := range len(line) {
		c := line[i]
		n++
		switch {
		case c >= '0' && c <= '9':
			o.digits++
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '+', c == '/', c == '_', c == '-':
		default:
			n = 0
		}
		o.long, o.foreign = max(o.long, n), o.foreign || c >= utf8.RuneSelf
	}
	return o
}

// secrets are all kinds of them, most telling first.
var secrets = []secret{
	{[]string{"-----begin "}, 0, 0, regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----.*`), "<secret>"},
	{[]string{"bearer", "basic"}, 0, 0, regexp.MustCompile(`(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}`), "$1 <secret>"},
	{[]string{"eyj"}, 0, 0, regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]*)?`), "<secret>"},
	{[]string{"akia", "asia"}, 0, 0, regexp.MustCompile(`\b(AKIA|ASIA)[A-Z0-9]{12,}\b`), "<secret>"},
	{[]string{"ghp", "gho", "ghs", "ghu", "glpat", "xox", "sk-", "sk_", "pk-", "pk_", "rk-", "rk_"}, 0, 0, regexp.MustCompile(`\b(ghp|gho|ghs|ghu|glpat|xox[abprs]|sk|pk|rk)[_-][A-Za-z0-9_-]{10,}`), "<secret>"},
	{[]string{"passw", "pwd", "secret", "token", "api", "authorization", "credential", "cookie", "session"}, 0, 0,
		regexp.MustCompile(`(?i)([A-Za-z0-9_.-]*(?:passw(?:or)?d|passwd|pwd|secret|token|api[_-]?key|authorization|credential|cookie|session)[A-Za-z0-9_.-]*["']?\s*[=:]\s*)("[^"]*"|'[^']*'|[^\s,;&"'}\])]+)`), "${1}<secret>"},
	{[]string{"://"}, 0, 0, regexp.MustCompile(`(://)[^/\s:@]*:[^/\s@]*@`), "$1<secret>@"},
	{[]string{"@"}, 0, 0, regexp.MustCompile(`[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+`), "<email>"},
	{nil, 13, 0, regexp.MustCompile(`\b[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{1,7}\b`), "<n>"},
	{nil, 0, 40, regexp.MustCompile(`\b[A-Za-z0-9+/_-]*[0-9][A-Za-z0-9+/_-]{39,}={0,2}`), "<id>"},
}

// maskWord masks one word, and leaves what stands around it.
func maskWord(word string) string {
	const around = "[](){}<>,;:.!?\"'|"
	if strings.Contains(word, "<text>") || strings.Contains(word, "<secret>") || strings.Contains(word, "<email>") {
		return word
	}
	if end := strings.TrimRight(word, ",;.:"); isAddress(end) {
		return "<ip>" + word[len(end):]
	}
	core := strings.TrimLeft(word, around)
	before := word[:len(word)-len(core)]
	core = strings.TrimRight(core, around)
	after := word[len(before)+len(core):]
	if key, value, found := strings.Cut(core, "="); found && key != "" && value != "" && !strings.ContainsAny(key, "/?") {
		return before + digits(key) + "=" + maskValue(value) + after
	}
	return before + maskValue(core) + after
}

var (
	uuid     = regexp.MustCompile(`^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$`)
	hex      = regexp.MustCompile(`^(0[xX][0-9a-fA-F]+|[0-9a-fA-F]{8,})$`)
	date     = regexp.MustCompile(`^[0-9]{4}[-/][0-9]{2}[-/][0-9]{2}([T_].*)?$|^[0-9]{1,2}:[0-9]{2}(:[0-9]{2}([.,][0-9]+)?)?(Z|[+-][0-9:]+)?$`)
	quantity = regexp.MustCompile(`^[+-]?[0-9][0-9.,_]*([a-zA-Zµ%]{1,4})?$|^([0-9.]+(ns|us|µs|ms|s|m|h))+$`)
)

func maskValue(v string) string {
	switch {
	case !strings.ContainsFunc(v, unicode.IsDigit):
		if isPath(v) {
			return "<path>"
		}
		return v
	case isAddress(v):
		return "<ip>"
	case date.MatchString(v):
		return "<time>"
	case quantity.MatchString(v):
		return "<n>"
	case uuid.MatchString(v), hex.MatchString(v):
		return "<id>"
	case isPath(v):
		return "<path>"
	case isIdentifier(v):
		return "<id>"
	}
	return digits(v)
}

// isPath tells whether a word is a path or the address of a page.
func isPath(v string) bool {
	return strings.Contains(v, "://") || len(v) > 1 && (v[0] == '/' || strings.HasPrefix(v, "./") || strings.HasPrefix(v, `\\`) || len(v) > 3 && v[1:3] == `:\`) ||
		strings.Count(v, "/") > 1
}

var (
	ipv4 = regexp.MustCompile(`^[0-9]{1,3}(\.[0-9]{1,3}){3}(/[0-9]{1,2}|:[0-9]{1,5})?$`)
	ipv6 = regexp.MustCompile(`^(\[[0-9a-fA-F:.]+(%[a-z0-9]+)?\](:[0-9]{1,5})?|[0-9a-fA-F:.]+(%[a-z0-9]+)?(/[0-9]{1,3})?)$`)
)

// isAddress tells whether a word is an address of the internet, with its port or not; a time has colons, too, but neither two in
// a row nor seven.
func isAddress(v string) bool {
	return ipv4.MatchString(v) || (strings.Contains(v, "::") || strings.Count(v, ":") >= 7) && len(v) > 2 && ipv6.MatchString(v)
}

// isIdentifier tells whether a word of letters and digits is nobody's word.
func isIdentifier(v string) bool {
	changes, last := 0, 0
	for _, r := range v {
		class := 1
		switch {
		case unicode.IsDigit(r):
			class = 2
		case !unicode.IsLetter(r):
			class = 0
		}
		if class != 0 && last != 0 && class != last {
			changes++
		}
		last = class
	}
	return len(v) >= 6 && changes >= 3
}

// digits makes one <n> of each run of digits.
func digits(v string) string {
	if !strings.ContainsFunc(v, unicode.IsDigit) {
		return v
	}
	var out strings.Builder
	in := false
	for _, r := range v {
		if unicode.IsDigit(r) {
			if !in {
				out.WriteString("<n>")
			}
			in = true
			continue
		}
		in = false
		out.WriteRune(r)
	}
	return out.String()
}

// cut is the first bytes of a text, whole characters only.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}
