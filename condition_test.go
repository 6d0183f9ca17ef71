package adg_test

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/deployguardian/adg"
)

func TestConditionsAreReadAsPeopleWriteThem(t *testing.T) {
	for _, row := range []struct {
		text  string
		want  adg.Condition
		again string // as it is written; empty: like text
	}{
		{"> 5", adg.Condition{Operator: adg.Above, Value: 5}, ""},
		{">= 5", adg.Condition{Operator: adg.AtLeast, Value: 5}, ""},
		{"< 5", adg.Condition{Operator: adg.Below, Value: 5}, ""},
		{"<= 5", adg.Condition{Operator: adg.AtMost, Value: 5}, ""},
		{"= 5", adg.Condition{Operator: adg.Equal, Value: 5}, ""},
		{"!= 5", adg.Condition{Operator: adg.NotEqual, Value: 5}, ""},
		{"> -0.5", adg.Condition{Operator: adg.Above, Value: -0.5}, ""},
		{"> 5%", adg.Condition{Operator: adg.Above, Value: 5, Unit: adg.Percent}, ""},
		{"  >5 %  ", adg.Condition{Operator: adg.Above, Value: 5, Unit: adg.Percent}, "> 5%"},
		{"> 0%", adg.Condition{Operator: adg.Above, Unit: adg.Percent}, ""},
		{"> 1500000", adg.Condition{Operator: adg.Above, Value: 1.5e6}, "> 1.5e+06"},
		{"inside 10..20", adg.Condition{Operator: adg.Inside, Value: 10, Upper: 20}, ""},
		{"outside 1% .. 2.5%", adg.Condition{Operator: adg.Outside, Value: 1, Upper: 2.5, Unit: adg.Percent}, "outside 1%..2.5%"},
		{"outside -1..1", adg.Condition{Operator: adg.Outside, Value: -1, Upper: 1}, ""},
		{"> baseline", adg.Condition{Operator: adg.Above, Relative: true}, ""},
		{"> baseline + 25%", adg.Condition{Operator: adg.Above, Relative: true, Value: 25, Unit: adg.Percent}, ""},
		{">baseline+5pp", adg.Condition{Operator: adg.Above, Relative: true, Value: 5, Unit: adg.Points}, "> baseline + 5pp"},
		{"< baseline - 3", adg.Condition{Operator: adg.Below, Relative: true, Value: -3}, ""},
		{"> baseline + 0%", adg.Condition{Operator: adg.Above, Relative: true}, "> baseline"},
	} {
		t.Run(row.text, func(t *testing.T) {
			got, err := adg.ParseCondition(row.text)
			if err != nil || got != row.want {
				t.Fatalf("got %+v, %v", got, err)
			}
			if row.again == "" {
				row.again = row.text
			}
			if got.String() != row.again {
				t.Errorf("written as %q, want %q", got, row.again)
			}
		})
	}
}

func TestConditionsAreWrittenForPeopleInTheUnitOfTheValues(t *testing.T) {
	for _, row := range []struct{ text, unit, want string }{
		{"> 0.3", "s", "> 300 ms"}, {"> 1500000", "", "> 1.5e+06"}, {"> 1500000", "1/s", "> 1,500,000 1/s"}, {"> 5%", "ms", "> 5%"},
		{"> 0.05", adg.Share, "> 5 %"}, {"outside 10..20", "MiB", "outside 10 MiB..20 MiB"}, {"< baseline - 3", "ms", "< baseline - 3 ms"},
		{"> baseline + 0.05", adg.Share, "> baseline + 5 pp"}, {"> baseline + 25%", "s", "> baseline + 25%"}, {"> baseline", "s", "> baseline"},
	} {
		c, err := adg.ParseCondition(row.text)
		if got := c.In(row.unit); err != nil || got != row.want {
			t.Errorf("%s in %s is %q, want %q (%v)", row.text, row.unit, got, row.want, err)
		}
	}
	if got := (adg.Condition{}).In("ms"); got != "" {
		t.Errorf("no condition is %q", got)
	}
}

func TestConditionsThatAreNoneSayWhatToWrite(t *testing.T) {
	for text, want := range map[string]string{
		"":                   `condition "": start with one of >, >=, <, <=, =, !=, inside, outside`,
		"5%":                 `condition "5%": start with one of >, >=, <, <=, =, !=, inside, outside`,
		">":                  `condition ">": "" is no number`,
		"== 5":               `condition "== 5": "= 5" is no number`,
		"> five":             `condition "> five": "five" is no number`,
		"> NaN":              `condition "> NaN": "NaN" is no number`,
		"> Inf%":             `condition "> Inf%": "Inf%" is no number`,
		"> 1e999":            `condition "> 1e999": "1e999" is no number`,
		"> 5pp":              `condition "> 5pp": percentage points (pp) are added to a baseline, as in '> baseline + 5pp'`,
		"> baseline * 2":     `condition "> baseline * 2": after 'baseline' comes '+' or '-' and an amount, as in '> baseline + 25%'`,
		"> baseline +":       `condition "> baseline +": "" is no number`,
		"> baseline + -5":    `condition "> baseline + -5": write 'baseline - 5' rather than two signs`,
		"outside 10":         `condition "outside 10": a range is two numbers with two dots between, as in 'outside 10..20'`,
		"outside 20..10":     `condition "outside 20..10": the lower end comes first`,
		"outside 1%..2":      `condition "outside 1%..2": write both ends the same way, both plain or both in %`,
		"outside 1pp..2pp":   `condition "outside 1pp..2pp": write both ends the same way, both plain or both in %`,
		"outside ..2":        `condition "outside ..2": "" is no number`,
		"outside 1..b":       `condition "outside 1..b": "b" is no number`,
		"inside baseline..2": `condition "inside baseline..2": "baseline" is no number`,
	} {
		got, err := adg.ParseCondition(text)
		if err == nil || err.Error() != want || adg.CodeOf(err) != adg.Invalid || !got.IsZero() {
			t.Errorf("%q\ngot  %v, %+v\nwant %s", text, err, got, want)
		}
	}
}

func TestConditionsHoldForWhatIsBad(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	for _, row := range []struct {
		condition string
		baseline  float64
		bad       []float64
		good      []float64
	}{
		{"> 5", 0, []float64{5.1, inf}, []float64{5, -inf, nan}},
		{">= 5", 0, []float64{5}, []float64{4.9, nan}},
		{"< 5", 0, []float64{4.9, -inf}, []float64{5, nan}},
		{"<= 5", 0, []float64{5}, []float64{5.1, nan}},
		{"= 5", 0, []float64{5}, []float64{5.1, nan}},
		{"!= 5", 0, []float64{5.1, inf}, []float64{5, nan}},
		{"inside 10..20", 0, []float64{10, 15, 20}, []float64{9.9, 20.1, nan}},
		{"outside 10..20", 0, []float64{9.9, 20.1, inf, -inf}, []float64{10, 15, 20, nan}},
		{"> 5%", 0, []float64{0.051}, []float64{0.05, 0.01}},
		{"outside 10%..20%", 0, []float64{0.09, 15}, []float64{0.1, 0.2}},
		{"> baseline", 2, []float64{2.1}, []float64{2}},
		{"> baseline + 25%", 2, []float64{2.51}, []float64{2.5}},
		{"> baseline + 25%", -2, []float64{-1.49}, []float64{-1.5, -2}},
		{"< baseline - 25%", 2, []float64{1.49}, []float64{1.5}},
		{"> baseline + 5pp", 0.02, []float64{0.0701}, []float64{0.07}},
		{"> baseline + 5", 2, []float64{7.1}, []float64{7}},
		{"> baseline + 5", nan, nil, []float64{1, 100, inf, nan}},
		{"", 0, nil, []float64{0, 1, inf, nan}},
	} {
		var c adg.Condition
		if err := c.UnmarshalText([]byte(row.condition)); err != nil {
			t.Fatal(err)
		}
		for _, v := range row.bad {
			if !c.Holds(v, row.baseline) {
				t.Errorf("%q does not hold for %g (baseline %g)", row.condition, v, row.baseline)
			}
		}
		for _, v := range row.good {
			if c.Holds(v, row.baseline) {
				t.Errorf("%q holds for %g (baseline %g)", row.condition, v, row.baseline)
			}
		}
	}
}

func TestOnlyRangesHaveAnUpperLimit(t *testing.T) {
	lower, upper := adg.Condition{Operator: adg.Outside, Value: 10, Upper: 20, Unit: adg.Percent}.Limits(0)
	if lower != 0.1 || upper != 0.2 {
		t.Errorf("%g..%g", lower, upper)
	}
	lower, upper = adg.Condition{Operator: adg.Above, Value: 25, Unit: adg.Percent, Relative: true}.Limits(4)
	if lower != 5 || !math.IsNaN(upper) {
		t.Errorf("%g, %g", lower, upper)
	}
}

func TestConditionsAreStoredAsTheyAreWritten(t *testing.T) {
	check := adg.Check{Fail: adg.Condition{Operator: adg.Above, Relative: true, Value: 25, Unit: adg.Percent}}
	text, err := json.Marshal(check)
	if err != nil || !strings.Contains(string(text), `"fail":"\u003e baseline + 25%"`) || strings.Contains(string(text), "warn") {
		t.Fatalf("%s, %v", text, err)
	}
	var back adg.Check
	if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(back, check) {
		t.Errorf("%+v, %v", back, err)
	}
	if err := json.Unmarshal([]byte(`{"fail":"much"}`), &back); err == nil {
		t.Error("read a condition that is none")
	}
}

func TestWhatIsWrittenIsReadBackTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		amount := rapid.Float64Range(-1e9, 1e9)
		c := adg.Condition{Operator: adg.Operator(rapid.IntRange(1, 8).Draw(t, "operator")), Value: amount.Draw(t, "value")}
		unit := adg.Unit(rapid.IntRange(0, 2).Draw(t, "unit"))
		switch {
		case c.Operator == adg.Inside || c.Operator == adg.Outside:
			c.Upper = c.Value + math.Abs(amount.Draw(t, "more"))
			c.Unit = min(unit, adg.Percent)
		case rapid.Bool().Draw(t, "relative"):
			c.Relative = true
			if c.Value != 0 {
				c.Unit = unit
			}
		default:
			c.Unit = min(unit, adg.Percent)
		}
		if back, err := adg.ParseCondition(c.String()); err != nil || back != c {
			t.Fatalf("%+v is written %q and read %+v, %v", c, c, back, err)
		}
	})
}

func FuzzParseCondition(f *testing.F) {
	for _, seed := range []string{"> 5%", "<= baseline - 2pp", "outside 1e3..2e3", "inside -1%..1%", "> baseline + 0x1p-2", "!= .5", "= 1_0", ">= baseline+", "0...1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := adg.ParseCondition(text)
		if err != nil {
			if adg.CodeOf(err) != adg.Invalid || !c.IsZero() {
				t.Fatalf("%q: %v, %+v", text, err, c)
			}
			return
		}
		back, err := adg.ParseCondition(c.String())
		if err != nil || back != c {
			t.Fatalf("%q is written %q and read %+v, %v", text, c, back, err)
		}
		if c.Holds(math.NaN(), 1) || c.Holds(1, math.NaN()) && c.Relative {
			t.Fatalf("%q holds for no number", text)
		}
	})
}
