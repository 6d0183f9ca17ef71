package remote

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"html"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/deployguardian/adg"
)

// Scrubber makes functions of the kind of Client.Scrub: what they return is free of the secrets in every form that
// systems echo them in, free of control characters, and as short as an excerpt in an error should be.
func Scrubber(secrets ...adg.Secret) func(text string) string {
	hidden := replacer(secrets)
	return func(text string) string {
		const enough = 4 << 10 // cut generously before and tightly after, so that no half of a secret is left at the end
		text = hidden.Replace(text[:min(len(text), 2*enough)])
		return excerpt(text[:min(len(text), enough)])
	}
}

// Redactor makes functions that take the secrets out of text, in every form that systems echo them in, and leave the
// rest as it is.
func Redactor(secrets ...adg.Secret) func(text string) string { return replacer(secrets).Replace }

// Private

// replacer takes secrets out of text, in the forms that servers echo them in.
func replacer(secrets []adg.Secret) *strings.Replacer {
	const shortest = 4 // less than that is no secret, and would cut up every text
	var forms []string
	for _, s := range secrets {
		value := s.Reveal()
		if address, err := url.Parse(value); err == nil && address.Host != "" {
			forms = append(forms, address.RequestURI(), address.EscapedPath(), address.Path)
		}
		raw := []byte(value)
		forms = append(forms, value, url.QueryEscape(value), url.PathEscape(value), hex.EncodeToString(raw),
			base64.StdEncoding.EncodeToString(raw), base64.RawURLEncoding.EncodeToString(raw), strings.Trim(strconv.Quote(value), `"`),
			html.EscapeString(value), inJSON(value))
		forms = append(forms, within(raw)...)
	}
	forms = slices.DeleteFunc(forms, func(f string) bool { return len(f) < shortest })
	slices.SortFunc(forms, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, f := range forms {
		pairs = append(pairs, f, adg.Secret{}.String())
	}
	return strings.NewReplacer(pairs...)
}

// inJSON is how a text looks within JSON, where & and < may be \u0026 and \u003c.
func inJSON(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		return ""
	}
	return string(quoted[1 : len(quoted)-1])
}

// within is how bytes look in the base64 of something longer that they stand in, such as a header: what of it depends on
// them alone, wherever they begin.
func within(secret []byte) (forms []string) {
	for before := range 3 {
		padded := append(make([]byte, before), secret...)
		first, last := (8*before+5)/6, 8*len(padded)/6
		for _, alphabet := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			if first < last {
				forms = append(forms, alphabet.EncodeToString(padded)[first:last])
			}
		}
	}
	return forms
}

// excerpt is at most 300 bytes of text on one line, without control characters.
func excerpt(text string) string {
	const longest = 300
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsPrint(r):
			return r
		default:
			return -1
		}
	}, strings.ToValidUTF8(text, ""))
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + "…"
	}
	return text
}
