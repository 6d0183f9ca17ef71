package strictyaml

import (
	"strings"
	"testing"
	"time"

	"github.com/deployguardian/adg"
)

func TestTimesAreReadAsPeopleWriteThem(t *testing.T) {
	const day = 24 * time.Hour
	for _, one := range []struct {
		text string
		want time.Duration
	}{
		{"90s", 90 * time.Second}, {"15m", 15 * time.Minute}, {"1h30m", 90 * time.Minute}, {"1h 30m", 90 * time.Minute}, {"1.5h", 90 * time.Minute},
		{"2d", 2 * day}, {"1w", 7 * day}, {"1w2d", 9 * day}, {" 5 m ", 5 * time.Minute}, {"250ms", 250 * time.Millisecond}, {"0s", 0},
		{"1s500ms", 1500 * time.Millisecond}, {"366d", 366 * day},
	} {
		if got, err := ParseDuration(one.text); err != nil || got != one.want {
			t.Errorf("%q: %s, %v", one.text, got, err)
		}
	}
	for _, text := range []string{"", " ", "5", "5 minutes", "-5m", "+5m", "1m1h", "1m1m", "5M", "h", ".5h", "1.h", "367d", "99999999999w", "1e3s", "1h30", "0x5s", "五m"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("%q is read as %s", text, got)
		}
	}
}

func TestPercentagesAreReadAsPeopleWriteThem(t *testing.T) {
	for text, want := range map[string]Percent{"5%": 5, "5 %": 5, "0.5%": 0.5, " 100% ": 100, "0%": 0} {
		if got, err := parsePercent(text); err != nil || got != want {
			t.Errorf("%q: %g, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "5", "%", "101%", "-1%", "5pp", "five%"} {
		if got, err := parsePercent(text); err == nil {
			t.Errorf("%q is read as %g", text, got)
		}
	}
}

func TestSuggestionsAreNear(t *testing.T) {
	choices := []string{"service", "environment", "sources", "checks", "bake", "for", "url"}
	for word, want := range map[string]string{
		"servcie": "service", "Service": "service", "env": "environment", "source": "sources", "chekcs": "checks", "bakes": "bake", "fro": "for", "ulr": "url",
		"colour": "", "x": "", "": "", "zzz": "", strings.Repeat("service", 50): "service", "check-everything": "",
	} {
		if got := Nearest(word, choices); got != want {
			t.Errorf("%.20q: %q, not %q", word, got, want)
		}
	}
}

func FuzzTimes(f *testing.F) {
	for _, seed := range []string{"90s", "1h30m", "1.5h", "2d", "1w", "", "5", "-1s", "99999999w"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseDuration(text)
		if err != nil {
			return
		}
		if d < 0 || d > longest {
			t.Errorf("%q is %s", text, d)
		}
		again, err := ParseDuration(adg.Short(d))
		if err == nil && again != d {
			t.Errorf("%q is %s, written as %q, read as %s", text, d, adg.Short(d), again)
		}
	})
}
