package adg_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/deployguardian/adg"
)

func TestTheTailOfALogCanBeShownAndKept(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "", ""},
		{"colours", "\x1b[0;32mgreen\x1b[0m\r\nplain\n", "green\nplain"},
		{"a progress bar", "load 1%\rload 50%\rload 100%\ndone\n", "load 100%\ndone"},
		{"bytes that are no text", "a\x00b\xffc", "a·bc"},
		{"a line that is too long", strings.Repeat("€", adg.MaxLog), strings.Repeat("€", adg.MaxLog/3)},
		{"a line that is cut", strings.Repeat("x", adg.MaxLog) + "\nwhole", "whole"},
	} {
		if got := adg.LogTail(c.text); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func FuzzLogTail(f *testing.F) {
	f.Add("\x1b[31mred\x1b[0m\r\n\xff")
	f.Add(strings.Repeat("€\n", adg.MaxLog))
	f.Fuzz(func(t *testing.T, text string) {
		got := adg.LogTail(text)
		if len(got) > adg.MaxLog || !utf8.ValidString(got) || strings.ContainsAny(got, "\x1b\r\x00") {
			t.Errorf("%q becomes %q", text, got)
		}
	})
}
