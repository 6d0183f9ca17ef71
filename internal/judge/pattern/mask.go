package pattern

import (
	"regexp"
	"strings"
	"unicode"

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
	for _, s := range secrets {
		line = s.looks.ReplaceAllString(line, s.becomes)
	}
	return long.ReplaceAllStringFunc(line, func(run string) string {
		if isRandom(run) {
			return "<id>"
		}
		return run
	})
}

// Private

var quoted = regexp.MustCompile(`(^|[\s=:(\[,])("[^"]*"|'[^']*'|` + "`[^`]*`" + `)`)

// secrets are what looks like one, most telling first. A value in quotes goes up to the quote that ends it, or to the end of a
// line that was cut before; quotes and what escapes them come as JSON within JSON has them.
var secrets = []struct {
	looks   *regexp.Regexp
	becomes string
}{
	{regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----.*`), "<secret>"},
	{regexp.MustCompile(`(?i)(\bauthorization\\*["']?\s*[=:]\s*\\*["']?)([a-z]+\s+)?[^\s"'\\]+`), "${1}<secret>"},
	{regexp.MustCompile(`(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}`), "$1 <secret>"},
	{regexp.MustCompile(`(?i)(\b(?:set-)?cookie\\*["']?\s*[=:]\s*\\*["']?)[^"'\\]+`), "${1}<secret>"},
	{regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]*)?`), "<secret>"},
	{regexp.MustCompile(`\b(AKIA|ASIA)[A-Z0-9]{12,}\b`), "<secret>"},
	{regexp.MustCompile(`\b(gh[oprsu]|github_pat|glpat|xapp|xox[a-z]|whsec|sk|pk|rk|hv[sb])[_.-][A-Za-z0-9_-]{10,}`), "<secret>"},
	{regexp.MustCompile(`(?i)((?:passw(?:or)?d|passphrase|pwd|secret|token|(?:api|access|private|encryption|signing)[_-]?key|signature|credential|session)[A-Za-z0-9_.-]*\\*["']?\s*[=:]>?\s*)` +
		`(\\+["'].*?(?:\\+["']|$)|"(?:[^"\\]|\\.)*\\?(?:"|$)|'(?:[^'\\]|\\.)*\\?(?:'|$)|[^\s"'&]+)`), "${1}<secret>"},
	{regexp.MustCompile(`(?i)([?&][a-z0-9_.-]*(?:key|sig|sign|code|auth|jwt|sid|pass)=)[^\s"'&<>]+`), "${1}<secret>"},
	{regexp.MustCompile(`(://)([^/\s:@"'<>]*:[^\s"'<>]*|[^/\s@"'<>]+)@`), "$1<secret>@"},
	{regexp.MustCompile(`[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+`), "<email>"},
	{regexp.MustCompile(`\b[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{1,7}\b`), "<n>"},
}

// long is what may be a key, and isRandom tells whether it is: a path or the name of a class has not as many digits amid its
// letters, nor capitals.
var long = regexp.MustCompile(`[A-Za-z0-9+/_-]{32,}={0,2}`)

func isRandom(run string) bool {
	digits, capitals, before := 0, 0, 0
	for i := range len(run) {
		class := 0
		switch c := run[i]; {
		case '0' <= c && c <= '9':
			class = 1
		case 'a' <= c && c <= 'z':
			class = 2
		case 'A' <= c && c <= 'Z':
			class = 3
		}
		switch {
		case class == 0 || before == 0 || class == before:
		case class == 1 || before == 1:
			digits++
		default:
			capitals++
		}
		before = class
	}
	return digits >= max(4, len(run)/12) || digits > 0 && digits+capitals >= len(run)/4 && strings.ContainsAny(run, "+/")
}

// maskWord masks one word, and leaves what stands around it.
func maskWord(word string) string {
	const around = "[](){}<>,;:.!?\"'|"
	if word == wild {
		return "<text>" // whoever writes the mark of what differs must not make lines alike by it
	}
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
