package adg

import (
	"regexp"
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

// Uncoloured is text without the sequences by which programs colour and move on a terminal.
func Uncoloured(text string) string {
	if !strings.ContainsRune(text, '\x1b') {
		return text
	}
	return terminal.ReplaceAllString(text, "")
}

// LogTail is the end of a log that a terminal, a log or a page can show: at most MaxLog bytes, as whole lines where it can
// be, without colours and what a progress bar has overwritten. Take secrets out before: half of one could not be told.
func LogTail(text string) string {
	const enough = 16 * MaxLog
	text = strings.ToValidUTF8(text[max(len(text)-enough, 0):], "")
	text = terminal.ReplaceAllString(text, "")
	text = strings.ReplaceAll(text, "\r\n", "\n")
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		// What a progress bar has overwritten is not shown on a terminal either.
		lines[i] = line[strings.LastIndexByte(strings.TrimRight(line, "\r"), '\r')+1:]
	}
	text = strings.TrimSpace(Printable(strings.ReplaceAll(strings.Join(lines, "\n"), "\r", "")))
	if len(text) <= MaxLog {
		return text
	}
	text = strings.ToValidUTF8(text[len(text)-MaxLog:], "")
	if _, rest, found := strings.Cut(text, "\n"); found {
		return rest
	}
	return text
}

// Private

// terminal are the sequences by which programs colour and move on a terminal, and the marks that GitLab folds logs by.
var terminal = regexp.MustCompile("\x1b\\[[0-9;?]*[A-Za-z]|\x1b\\][^\x07]*\x07|section_(start|end):[0-9]+:[A-Za-z0-9_.-]+(\\[[^\\]]*\\])?\r?")
