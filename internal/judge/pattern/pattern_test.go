package pattern

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestALineIsReadForItsLevelAndMessage(t *testing.T) {
	for _, c := range []struct {
		name, line string
		want       Entry
	}{
		{"JSON with a level and a message", `{"time":"2026-03-01","level":"ERROR","msg":"card refused"}`, Entry{adg.LevelError, "card refused"}},
		{"JSON of pino, whose levels are numbers", `{"level":50,"msg":"card refused"}`, Entry{adg.LevelError, "card refused"}},
		{"JSON with an error beside the message", `{"severity":"warning","message":"retry","err":"timeout"}`, Entry{adg.LevelWarn, "retry: timeout"}},
		{"JSON with an error that is an object", `{"level":"error","msg":"x failed","error":{"message":"no route"}}`, Entry{adg.LevelError, "x failed: no route"}},
		{"logfmt", `time=12:00 level=error msg="card refused" err="no route"`, Entry{adg.LevelError, "card refused: no route"}},
		{"text with its level in capitals", "2026-03-01 12:00:00 ERROR card refused", Entry{adg.LevelError, "2026-03-01 12:00:00 ERROR card refused"}},
		{"text with its level in brackets", "12:00 [warn] slow", Entry{adg.LevelWarn, "12:00 [warn] slow"}},
		{"a word of a sentence is no level", "12:00 found no error in it", Entry{adg.LevelUnknown, "12:00 found no error in it"}},
		{"a panic of Go", "panic: runtime error: index out of range [3]", Entry{adg.LevelPanic, "panic: runtime error: index out of range [3]"}},
		{"an exception of Java", "java.lang.NullPointerException: cart", Entry{adg.LevelError, "java.lang.NullPointerException: cart"}},
		{"klog", "E0301 12:00:00.000001 1 main.go:3] lost the lease", Entry{adg.LevelError, "E0301 12:00:00.000001 1 main.go:3] lost the lease"}},
		{"a number is no level of text", "50 files were read", Entry{adg.LevelUnknown, "50 files were read"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, Read(c.line)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWhatChangesFromOneLineToTheNextIsMasked(t *testing.T) {
	for _, c := range []struct{ name, message, want string }{
		{"numbers and quantities", "took 12ms, 3.5s, 40% of 1,000", "took <n>, <n>, <n> of <n>"},
		{"times", "2026-03-01T12:00:00.123Z 12:00:01 late", "<time> <time> late"},
		{"addresses", "dial 10.0.0.1:8080 and [::1]:80 and 192.168.0.1", "dial <ip> and <ip> and <ip>"},
		{"a UUID and hex", "order 2f1c0a52-3d1c-4d2f-9a3b-0a1b2c3d4e5f of 0xdeadbeef, deadbeef01", "order <id> of <id>, <id>"},
		{"paths and pages", "GET /cart/42 from https://shop.example/x?y=1", "GET <path> from <path>"},
		{"what is quoted", `no item "blue shoes" for 'bob'`, "no item <text> for <text>"},
		{"an apostrophe quotes nothing", "it doesn't work, we can't go on", "it doesn't work, we can't go on"},
		{"a number within a word", "worker-7 of shop2", "worker-<n> of shop<n>"},
		{"values of keys", "user=42 path=/a/b state=open", "user=<n> path=<path> state=open"},
		{"an identifier", "session of a1b2c3d4e5", "session of <id>"},
		{"an e-mail address", "no user bob@shop.example", "no user <email>"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Mask(c.message); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestNothingThatLooksLikeASecretStaysInAnExample(t *testing.T) {
	for _, c := range []struct{ name, line, secret string }{
		{"a password", "login password=hunter2hunter failed", "hunter2hunter"},
		{"a password in JSON", `{"password": "hunter2 hunter", "level":"error","msg":"x"}`, "hunter2"},
		{"a bearer token", "Authorization: Bearer abcdefghijklmn", "abcdefghijklmn"},
		{"a JSON web token", "got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "eyJ"},
		{"a key of AWS", "with AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"},
		{"a token of GitHub", "push by ghp_abcdefghijklmnopqrst", "ghp_abcdef"},
		{"credentials of an address", "dial postgres://app:pa55word@db/shop", "pa55word"},
		{"a long random text", "cookie jar 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "9f86d081884c"},
		{"a card's number", "card 4111 1111 1111 1111 refused", "1111"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, got := range []string{Example(c.line), Mask(c.line), Mask(Read(c.line).Message)} {
				if strings.Contains(got, c.secret) {
					t.Errorf("%q holds %q", got, c.secret)
				}
			}
		})
	}
}

func lines(at time.Time, texts ...string) []adg.LogLine {
	all := make([]adg.LogLine, len(texts))
	for i, text := range texts {
		all[i] = adg.LogLine{At: at.Add(time.Duration(i) * time.Millisecond), Replica: "a", Text: text}
	}
	return all
}

func watch() Watch {
	return Watch{Level: adg.LevelWarn, From: noon, To: noon.Add(time.Minute), Moment: 10 * time.Second}
}

func texts(c adg.LogCount) []string {
	var all []string
	for _, p := range c.Patterns {
		all = append(all, fmt.Sprintf("%s %s ×%d", p.Level, p.Text, total(p)))
	}
	return all
}

func total(p adg.LogPattern) int {
	n := 0
	for _, c := range p.Cells {
		n += c.Lines
	}
	return n
}

// TestASecretIsNotOverlookedForTheSakeOfSpeed lays pieces of secrets beside each other: what is not looked at closely is
// as it is after a close look.
func TestASecretIsNotOverlookedForTheSakeOfSpeed(t *testing.T) {
	pieces := []string{
		"-----BEGIN ", "RSA PRIVATE KEY-----", "Bearer ", "BASIC ", "eyJ", "AKIA", "ASIAABCDEFGHIJKLMN", "ghp_", "glpat-", "xoxb-", "sk-", "Passwd=", "pass\u017fword: ", "PA\u017f\u017fWORD=", "pwd", "to\u212aen=",
		"api", "api_key", "Session", "cookie: ", "=", ":", "://", "user:", "@", "a.b", "4111 1111 1111 1111", "4111111111111", "0123456789abcdef", "ABCDEFGHIJ", "abcdefghij", "/", "+", "_", "-", " ", "\"", "'", ",", ".", "ü", "x",
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 50_000 {
		line := ""
		for range 1 + r.IntN(7) {
			line += pieces[r.IntN(len(pieces))]
		}
		for _, s := range secrets {
			if !s.may(glance(line)) && s.looks.MatchString(line) {
				t.Fatalf("%s is overlooked in %q", s.looks, line)
			}
		}
	}
}

func TestLinesThatDifferInAFewWordsAreOnePattern(t *testing.T) {
	c := Count(lines(noon,
		"ERROR payment of bob was refused by bank", "ERROR payment of eve was refused by bank", "ERROR payment of ann was refused by bank",
		"ERROR cart is full", "INFO payment of bob went well", "DEBUG x", "no level at all"), watch())
	want := []string{"error ERROR cart is full ×1", "error ERROR payment of <*> was refused by bank ×3"}
	if diff := cmp.Diff(want, texts(c)); diff != "" {
		t.Error(diff)
	}
	if c.Lines != 7 {
		t.Errorf("%d lines, want all 7: those of no level tell that somebody writes", c.Lines)
	}
}

func TestAStackTraceIsOneLine(t *testing.T) {
	for _, c := range []struct {
		name string
		text string
		want []string
	}{
		{"of Go", "panic: nil map\n\ngoroutine 1 [running]:\nmain.main()\n\t/src/main.go:3 +0x1\nexit status 2\nERROR next", []string{"panic: nil map", "ERROR next"}},
		{"of Java", "Exception in thread \"main\" java.lang.Error: x\n\tat a.B.c(B.java:3)\nCaused by: y\n\t... 3 more\nERROR next", []string{"Exception in thread \"main\" java.lang.Error: x", "ERROR next"}},
		{"of Python", "Traceback (most recent call last):\n  File \"x.py\", line 3\n    f()\nValueError: bad\nERROR next", []string{"panic: ValueError: bad", "ERROR next"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, line := range Join(lines(noon, strings.Split(c.text, "\n")...)) {
				got = append(got, line.Text)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCountsAreByMomentAndReplica(t *testing.T) {
	at := func(seconds int, replica string) adg.LogLine {
		return adg.LogLine{At: noon.Add(time.Duration(seconds) * time.Second), Replica: replica, Text: "ERROR x failed"}
	}
	c := Count([]adg.LogLine{at(1, "b"), at(2, "b"), at(11, "b"), at(3, "a"), at(-1, "a"), at(60, "a")}, watch())
	moment := noon.Unix() / 10
	want := []adg.LogCell{{Replica: 0, Moment: moment, Lines: 1}, {Replica: 1, Moment: moment, Lines: 2}, {Replica: 1, Moment: moment + 1, Lines: 1}}
	if len(c.Patterns) != 1 || !slices.Equal(c.Replicas, []string{"a", "b"}) {
		t.Fatalf("%+v", c)
	}
	if diff := cmp.Diff(want, c.Patterns[0].Cells); diff != "" {
		t.Error(diff)
	}
}

func TestIgnoredLinesDoNotCount(t *testing.T) {
	w := watch()
	w.Ignore = []*regexp.Regexp{regexp.MustCompile("context canceled")}
	c := Count(lines(noon, "ERROR context canceled", "ERROR x"), w)
	if diff := cmp.Diff([]string{"error ERROR x ×1"}, texts(c)); diff != "" {
		t.Error(diff)
	}
}

// words of random lines: few enough for patterns to overlap.
var words = strings.Fields("ERROR WARN payment of bob eve ann refused by bank cart is full 42 7 10.0.0.1 /a/b lost")

func randomLines(r *rand.Rand, n int) []adg.LogLine {
	all := make([]adg.LogLine, n)
	for i := range all {
		line := []string{words[r.IntN(2)]}
		for range 2 + r.IntN(5) {
			line = append(line, words[2+r.IntN(len(words)-2)])
		}
		all[i] = adg.LogLine{At: noon.Add(time.Duration(r.IntN(60)) * time.Second), Replica: string(rune('a' + r.IntN(3))), Text: strings.Join(line, " ")}
	}
	return all
}

func TestTheOrderOfTheLinesDecidesNothing(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 1))
		all := randomLines(r, 200)
		want := Count(all, watch())
		r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		if diff := cmp.Diff(want, Count(all, watch())); diff != "" {
			t.Fatalf("seed %d: %s", seed, diff)
		}
	}
}

func TestPatternsAreBoundedAndWhatIsLeftOutIsCounted(t *testing.T) {
	var all []adg.LogLine
	for i := range 3000 {
		word := string(rune('a'+i%26)) + string(rune('a'+i/26%26)) + string(rune('a'+i/676))
		all = append(all, adg.LogLine{At: noon, Replica: fmt.Sprint(i % 100), Text: "ERROR " + word + " " + word + word})
	}
	c := Count(all, watch())
	n := c.Left
	for _, p := range c.Patterns {
		n += total(p)
	}
	if len(c.Patterns) > adg.MaxLogPatterns || len(c.Replicas) > adg.MaxLogReplicas || n != 3000 || c.Left == 0 {
		t.Errorf("%d patterns, %d replicas, %d lines of 3000, %d left out", len(c.Patterns), len(c.Replicas), n, c.Left)
	}
}

func FuzzCount(f *testing.F) {
	for _, line := range []string{`{"level":"error","msg":"x"}`, "level=error msg=\"x", "ERROR x 1", "panic: x\n\ngoroutine 1 [r]:", "\x00\xff", "[", "password=x"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, text string) {
		w := watch()
		w.Level, w.Any = adg.LevelUnknown, true
		c := Count(lines(noon, strings.Split(text, "\n")...), w)
		for _, p := range c.Patterns {
			if len(p.Text) > maxText+8*maxWords || len(p.Example) > maxExample+8 || !utf8.ValidString(p.Text+p.Example) || strings.ContainsAny(p.Text+p.Example, "\n\x00\x1b") {
				t.Errorf("%+v", p)
			}
			if total(p) == 0 {
				t.Errorf("a pattern of no line: %q", p.Text)
			}
		}
		if again := Mask(text); Mask(text) != again {
			t.Error("the same line is masked in two ways")
		}
	})
}
