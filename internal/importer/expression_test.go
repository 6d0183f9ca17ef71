package importer

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/deployguardian/adg"
)

func TestConditionsOfArgoRolloutsBecomeLimits(t *testing.T) {
	for _, c := range []struct{ name, text, fail string }{
		{"at least", "result[0] >= 0.95", "< 0.95"},
		{"at most", "result <= 0.01", "> 0.01"},
		{"the number first", "0.5 > result", ">= 0.5"},
		{"between", "result > 1 && result < 3", "outside 1..3"},
		{"on either side", "result[0] < 1 || result[0] > 3", "inside 1..3"},
		{"negated", "!(result > 5)", "> 5"},
		{"in words", "not (result > 5) and result > 2", "outside 2..5"},
		{"exactly", "result == 0", "!= 0"},
		{"anything but", "result != 7", "= 7"},
		{"a negative number with an exponent", "result > -2.5e-3", "<= -0.0025"},
		{"or nothing", "len(result) == 0 || result[0] >= 0.9", "< 0.9"},
		{"if there is anything", "len(result) > 0 && result[0] >= 0.9", "< 0.9"},
		{"NaN is fine", "isNaN(result) || result >= 0.9", "< 0.9"},
		{"NaN is not", "!isNaN(result) && result >= 0.9", "< 0.9"},
		{"a default", "default(result, 0) < 5", ">= 5"},
		{"as a number", "asFloat(result[0]) < 5 && asInt(result[0]) < 7", ">= 5"},
		{"all series", "all(result, # < 9)", ">= 9"},
		{"all series, in braces", "all(result, {# <= 9})", "> 9"},
		{"the largest", "max(result) < 0.05", ">= 0.05"},
		{"a condition that says the same twice", "result < 5 || (result < 3)", ">= 5"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, err := parseExpression(c.text)
			if err != nil {
				t.Fatal(err)
			}
			got, _, ok := e.on.not().condition()
			if !ok || got != c.fail {
				t.Errorf("fails %q (%v), want %q", got, ok, c.fail)
			}
			if _, err := adg.ParseCondition(got); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestWhatALimitCannotSayIsRefused(t *testing.T) {
	for _, text := range []string{
		"", "result", "result ==", "result == true", `result == "fine"`, "result.ok > 5", "result[1] > 5", "results[0] > 5", "result[0].x > 1",
		"result > other", "5 > 3", "len(result) > 5", "result > 1 result", "(result > 1", "result >> 1", "max(result) > 1 && result[0] > 2",
		"all(result, # == 3)", "all(result, .value > 3)", "result > 1 ? 2 : 3", "result * 100 > 5", "isNaN(5)", "result > 1e999",
		strings.Repeat("(", 100) + "result > 1" + strings.Repeat(")", 100), strings.Repeat("!", 1900) + "isNaN(result)",
		strings.Repeat("result > 1 && ", 500) + "result > 1",
	} {
		if e, err := parseExpression(text); err == nil {
			t.Errorf("%.40q was read as %+v", text, e)
		}
	}
}

func TestWhatNoAnswerMeansIsKnown(t *testing.T) {
	for text, want := range map[string]answer{
		"result[0] > 1": fails, "default(result, 0) < 5": isTrue, "default(result, 9) < 5": isFalse,
		"len(result) == 0 || result[0] > 1": isTrue, "len(result) > 0 && result[0] > 1": isFalse, "isNil(result)": isTrue,
		"result[0] > 1 || len(result) == 0": fails, "!(len(result) == 0)": isFalse,
	} {
		e, err := parseExpression(text)
		if err != nil || e.empty != want {
			t.Errorf("%s: %d, %v; want %d", text, e.empty, err, want)
		}
	}
}

// TestLimitsHoldExactlyWhereTheSourceFails compares a random condition with what becomes of it, number by number.
func TestLimitsHoldExactlyWhereTheSourceFails(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		holds, z := randomCondition(t, 3)
		text, note, ok := z.condition()
		var c adg.Condition
		if ok {
			var err error
			if c, err = adg.ParseCondition(text); err != nil {
				t.Fatal(err)
			}
		}
		for x := -1.5; x <= 6.5; x += 0.25 {
			if z.has(x) != holds(x) {
				t.Fatalf("%g: in the zone %v, and the condition says %v: %+v", x, z.has(x), holds(x), z)
			}
			limit := x == c.Value || x == c.Upper
			if ok && c.Holds(x, 0) != holds(x) && (note == "" || !limit) {
				t.Fatalf("%q holds for %g: %v, want %v; %q", text, x, c.Holds(x, 0), holds(x), note)
			}
		}
		if holds(1e300) != z.has(infinite) || holds(-1e300) != z.has(-infinite) {
			t.Fatalf("the infinities are on another side: %+v", z)
		}
	})
}

// randomCondition is a condition as a function, and as a zone.
func randomCondition(t *rapid.T, depth int) (func(float64) bool, zone) {
	kind := rapid.IntRange(0, 3).Draw(t, "kind")
	if depth == 0 {
		kind = 0
	}
	switch kind {
	case 1, 2:
		left, a := randomCondition(t, depth-1)
		right, b := randomCondition(t, depth-1)
		if kind == 1 {
			return func(x float64) bool { return left(x) && right(x) }, a.and(b)
		}
		return func(x float64) bool { return left(x) || right(x) }, a.or(b)
	case 3:
		inner, z := randomCondition(t, depth-1)
		return func(x float64) bool { return !inner(x) }, z.not()
	}
	operator := rapid.SampledFrom([]string{"<", "<=", ">", ">=", "==", "!="}).Draw(t, "operator")
	limit := float64(rapid.IntRange(0, 5).Draw(t, "limit"))
	z, _ := compared(operator, limit)
	return func(x float64) bool {
		switch operator {
		case "<":
			return x < limit
		case "<=":
			return x <= limit
		case ">":
			return x > limit
		case ">=":
			return x >= limit
		case "==":
			return x == limit
		default:
			return x != limit
		}
	}, z
}

func FuzzExpression(f *testing.F) {
	for _, seed := range []string{"result[0] >= 0.95", "all(result, {# < 5}) || isNaN(result)", "default(result, -1e-3) != 7", `result == "x`, "len(result) > 0 && !(result < 1)"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := parseExpression(text)
		if err != nil {
			return
		}
		if limit, _, ok := e.on.condition(); ok {
			if _, err := adg.ParseCondition(limit); err != nil {
				t.Errorf("%q became %q: %v", text, limit, err)
			}
		}
	})
}

func TestQuantitiesAreThoseOfKubernetes(t *testing.T) {
	for text, want := range map[string]float64{"600": 600, "500m": 0.5, "1k": 1000, "2Gi": 2 << 30, "1.5M": 1.5e6, "-3": -3, "1e3": 1000} {
		if got, ok := quantity(text); !ok || math.Abs(got-want) > 1e-12 {
			t.Errorf("%s is %g, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "m", "ten", "1x", "NaN", "Inf"} {
		if got, ok := quantity(text); ok {
			t.Errorf("%q is %g", text, got)
		}
	}
}

func TestTheOnlyRangeOfAQueryIsItsWindow(t *testing.T) {
	for query, want := range map[string]string{
		"rate(a[5m]) / rate(b[5m])":   "rate(a[$window]) / rate(b[$window])",
		"rate(a[5m]) / rate(b[1m])":   "rate(a[5m]) / rate(b[1m])",
		`rate(a{x="[5m]"}[1m])`:       `rate(a{x="[5m]"}[1m])`,
		"max_over_time(a[1h:5m])":     "max_over_time(a[1h:5m])",
		"rate(a[1h30m])":              "rate(a[$window])",
		"rate(a[99999999999999999y])": "rate(a[99999999999999999y])",
		"up":                          "up",
	} {
		if got, window := windowed(query); got != want || (window > 0) != strings.Contains(want, "$window") {
			t.Errorf("%s became %s, %s", query, got, window)
		}
	}
}
