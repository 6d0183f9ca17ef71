package adg

import (
	"strings"
	"unicode/utf8"
)

// Printable is foreign text that a terminal, a log or a page can show: control characters and those that reorder what
// is read become '·', line ends and tabs stay.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r < ' ', r == 0x7f, 0x80 <= r && r < 0xa0, r == utf8.RuneError,
			0x200e <= r && r <= 0x200f, 0x202a <= r && r <= 0x202e, 0x2066 <= r && r <= 0x2069:
			return '·'
		default:
			return r
		}
	}, text)
}
