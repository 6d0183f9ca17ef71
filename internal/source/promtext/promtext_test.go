package promtext

import (
	"maps"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/deployguardian/adg"
)

func parse(text string) (parser.Expr, error) {
	return parser.NewParser(parser.Options{}).ParseExpr(text)
}

func TestVariablesAreEscapedForThePlaceThatTheyStandIn(t *testing.T) {
	for _, c := range []struct{ name, text, value, want string }{
		{"a plain version in quotes", `up{version="$v"}`, "1.2.3", `up{version="1.2.3"}`},
		{"a quote in double quotes", `up{a="$v"}`, `x"} or vector(1) #`, `up{a="x\"} or vector(1) #"}`},
		{"a single quote in single quotes", `up{a='$v'}`, `it's "x"`, `up{a='it\'s "x"'}`},
		{"a backslash", `up{a="$v"}`, `C:\x`, `up{a="C:\\x"}`},
		{"a line break", `up{a="$v"}`, "a\nb", `up{a="a\x0ab"}`},
		{"the replacement character", `up{a="$v"}`, "a\ufffdb", `up{a="a\ufffdb"}`},
		{"a regular expression", `up{a=~"v$v"}`, "1.2+b", `up{a=~"v1\\.2\\+b"}`},
		{"a regular expression, negated, blanks between", "up{a !~\t\n 'v$v|x'}", "1.2", "up{a !~\t\n 'v1\\\\.2|x'}"},
		{"a regular expression in backquotes", "up{a=~`v$v`}", "1.2", "up{a=~`v1\\.2`}"},
		{"equality in backquotes", "up{a=`$v`}", `1.2\"`, "up{a=`1.2\\\"`}"},
		{"quotes that closed before", `label_replace(up{a="$v"}, "x", "$1", "y", "(.*)") * $v`, "2", `label_replace(up{a="2"}, "x", "$1", "y", "(.*)") * 2`},
		{"an escaped quote before the variable", `up{a="\"$v"}`, `"`, `up{a="\"\""}`},
		{"a comment with a quote in it", "up # it's\n{a=\"$v\"}", `"`, "up # it's\n{a=\"\\\"\"}"},
		{"a word outside of quotes", `rate(x_$v[$window])`, "total", `rate(x_total[5m])`},
		{"a duration outside of quotes", `rate(x[$v])`, "1h30m", `rate(x[1h30m])`},
		{"the window in braces", `rate(x[${window}])`, "", `rate(x[5m])`},
		{"a dollar", `up{a="$$v"}`, "x", `up{a="$v"}`},
	} {
		got, err := Expand(adg.Query{Text: c.text, Vars: map[string]string{"v": c.value}, Window: 5 * time.Minute})
		if err != nil || got != c.want {
			t.Errorf("%s: got %s, %v; want %s", c.name, got, err, c.want)
			continue
		}
		if _, err := parse(got); err != nil {
			t.Errorf("%s: %s does not parse: %v", c.name, got, err)
		}
	}
}

func TestWhatCannotBeExpandedSafelyIsRefusedForGood(t *testing.T) {
	for _, c := range []struct{ name, text, value, want string }{
		{"syntax outside of quotes", `up * $v`, "1 or up", "outside of quotes"},
		{"nothing outside of quotes", `up * $v`, "", "outside of quotes"},
		{"a line break in a comment", "up # $v", "x\nor up", "outside of quotes"},
		{"a backquote in backquotes", "up{a=`$v`}", "`", "backquotes"},
		{"bytes that are no text", `up{a="$v"}`, "\xff", "UTF-8"},
		{"right after a backslash", `up{a="\$v"}`, "n", "backslash"},
		{"a variable that nobody defined", `up{a="$version"}`, "", "unknown variable $version"},
	} {
		_, err := Expand(adg.Query{Text: c.text, Vars: map[string]string{"v": c.value}})
		if !adg.IsPermanent(err) || adg.CodeOf(err) != adg.Invalid || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestCountersAreARangeSelectorOverTheWindow(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"a name", `requests_total`, `requests_total[1m30s]`},
		{"a name with labels", `requests_total{code=~"5..",version="$v"}`, `requests_total{code=~"5..",version="1.0"}[1m30s]`},
		{"labels only", `{__name__="a.b", x="y"}`, `{__name__="a.b",x="y"}[1m30s]`},
		{"a comment after it", "requests_total # all", `requests_total[1m30s]`},
	} {
		got, err := Expand(adg.Query{Kind: adg.Counters, Text: c.text, Vars: map[string]string{"v": "1.0"}, Window: 90 * time.Second})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		expr, err := parse(got)
		if err != nil {
			t.Errorf("%s: %s: %v", c.name, got, err)
			continue
		}
		want, _ := parse(c.want)
		if expr.String() != want.String() {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
	for _, text := range []string{
		`rate(x[5m])`, `sum(x)`, `x[5m]`, `x offset 5m`, `x @ 1`, `x @ end()`, `x + y`, `(x)`, `1`, `x{`, ``, `x[5m:1m]`,
	} {
		_, err := Expand(adg.Query{Kind: adg.Counters, Text: text, Window: time.Minute})
		if !adg.IsPermanent(err) || adg.CodeOf(err) != adg.Invalid {
			t.Errorf("counters %q: %v", text, err)
		}
	}
	if _, err := Expand(adg.Query{Kind: adg.Counters, Text: "x"}); !adg.IsPermanent(err) {
		t.Errorf("counters over no window: %v", err)
	}
}

func TestDurationsAreWrittenAsPromQLReadsThem(t *testing.T) {
	for _, c := range []struct {
		d    time.Duration
		want string
	}{
		{5 * time.Minute, "5m"}, {90 * time.Second, "1m30s"}, {1500 * time.Millisecond, "1s500ms"}, {26 * time.Hour, "26h"},
		{time.Nanosecond, "1ms"}, {time.Hour + time.Millisecond, "1h1ms"},
	} {
		if got := Duration(c.d); got != c.want {
			t.Errorf("%s: %s, want %s", c.d, got, c.want)
		}
		m, err := parse("x[" + Duration(c.d) + "]")
		if err != nil || m.(*parser.MatrixSelector).Range != max(c.d, time.Millisecond) {
			t.Errorf("%s is read back as %v, %v", c.d, m, err)
		}
	}
}

func TestTheLentVariablesAreNotWrittenTo(t *testing.T) {
	vars := map[string]string{"v": "1"}
	before := maps.Clone(vars)
	if _, err := Expand(adg.Query{Text: `x{v="$v"}[$window]`, Vars: vars, Window: time.Minute}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, vars); diff != "" {
		t.Error(diff)
	}
}

func FuzzNoValueBreaksOutOfItsQuotes(f *testing.F) {
	for _, seed := range []string{"1.2.3", `"`, `'`, "`", `\`, `\"`, "\n", "\r", "#", "\x00", "é", "\ufffd", "\xff", `"} or vector(1) #`, "$v", "a|b.*", "\u2028", "{{"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		for _, quote := range []string{`"`, `'`, "`"} {
			text := strings.ReplaceAll(`m{a=Q$vQ,b=~Q$vQ, c!~ Q$vQ,d!=Qx$v\yQ}`, "Q", quote)
			if quote != "`" {
				text = strings.ReplaceAll(text, `\y`, `\\y`)
			}
			got, err := Expand(adg.Query{Text: text, Vars: map[string]string{"v": value}})
			if err != nil {
				if utf8.ValidString(value) && (quote != "`" || !strings.ContainsAny(value, "`\ufffd")) {
					t.Fatalf("%q was refused: %v", value, err)
				}
				continue
			}
			expr, err := parse(got)
			if err != nil {
				t.Fatalf("%q became %s: %v", value, got, err)
			}
			matchers := map[string]*labels.Matcher{}
			for _, m := range expr.(*parser.VectorSelector).LabelMatchers {
				matchers[m.Name] = m
			}
			if len(matchers) != 5 || matchers["a"].Value != value || matchers["d"].Value != "x"+value+`\y` {
				t.Fatalf("%q became %s", value, got)
			}
			if matchers["b"].Value != regexp.QuoteMeta(value) || matchers["c"].Value != regexp.QuoteMeta(value) || !matchers["b"].Matches(value) || matchers["c"].Matches(value) {
				t.Fatalf("%q as a regular expression became %s", value, got)
			}
		}
	})
}

func FuzzNoValueChangesTheSyntaxOfAnyQuery(f *testing.F) {
	f.Add(`sum(rate(x{a="$v",b=~'y$v'}[5m])) # $v`, `"`)
	f.Add("x{a=`$v`} or label_replace(x, \"a\", \"$1\", 'b', \"(.*)$v\")", `'`)
	f.Add(`x{"a$v"="b\"$v"} + $v`, `\`)
	f.Add("x # ' \r {a=\"$v\"}", "`")
	f.Fuzz(func(t *testing.T, text, value string) {
		if strings.Contains(strings.ReplaceAll(text, "$v", ""), "$") {
			return
		}
		// Bytes that are no word keep the value out of every place but strings.
		hostile, err := Expand(adg.Query{Text: text, Vars: map[string]string{"v": " " + value}})
		if err != nil {
			return
		}
		harmless, err := Expand(adg.Query{Text: text, Vars: map[string]string{"v": "a"}})
		if err != nil {
			t.Fatalf("%q takes %q, but not a letter: %v", text, value, err)
		}
		want, ok := shape(harmless)
		if !ok {
			return
		}
		got, _ := shape(hostile)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%q with %q became %s:\n%s", text, value, hostile, diff)
		}
	})
}

// shape is the kinds of the tokens of a query; false if it is no sequence of tokens at all.
func shape(text string) ([]string, bool) {
	var kinds []string
	lexer := parser.Lex(text)
	for {
		var item parser.Item
		lexer.NextItem(&item)
		kinds = append(kinds, item.Typ.String())
		if item.Typ == parser.EOF || item.Typ == parser.ERROR {
			return kinds, item.Typ == parser.EOF
		}
		if item.Typ != parser.STRING && item.Typ != parser.COMMENT {
			kinds = append(kinds, item.Val)
		}
	}
}
