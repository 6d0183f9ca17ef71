package replay

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/deployguardian/adg"
)

func TestCompareSeesWhatAStoreCanTellApartAndNothingElse(t *testing.T) {
	at := time.Date(2026, 5, 1, 12, 0, 0, 5, time.UTC)
	nan, one, two := math.NaN(), 1.0, 2.0
	for _, test := range []struct {
		name         string
		was, wouldBe any
		want         string // empty: equal
	}{
		{"the same instant in another zone", at, at.In(time.FixedZone("", 3600)), ""},
		{"another instant", adg.Status{Due: at}, adg.Status{Due: at.Add(1)}, "x.due was 12:00:00.000000005 and would be 12:00:00.000000006"},
		{"an empty list and none", adg.Status{Reasons: []string{}}, adg.Status{}, ""},
		{"a list that is longer", adg.Status{Reasons: []string{"a"}}, adg.Status{Reasons: []string{"a", "b"}}, `x.reasons[1] was nothing and would be "b"`},
		{"NaN and NaN", nan, math.NaN(), ""},
		{"NaN and a number", nan, 1.0, "x was NaN and would be 1"},
		{"pointers to the same number", adg.Judgement{Value: &one}, adg.Judgement{Value: &[]float64{1}[0]}, ""},
		{"pointers to others", adg.Judgement{Value: &one}, adg.Judgement{Value: &two}, "x.value was 1 and would be 2"},
		{"a number and none", adg.Judgement{Value: &one}, adg.Judgement{}, "x.value was 1 and would be nothing"},
		{"a word", adg.Decision{Kind: adg.Hold}, adg.Decision{Kind: adg.Promote}, "x.kind was hold and would be promote"},
		{"JSON with other blanks and another order", adg.CheckState{Test: json.RawMessage(`{"a":1,"b":[2]}`)}, adg.CheckState{Test: json.RawMessage(`{ "b":[2], "a":1 }`)}, ""},
		{"other JSON", adg.CheckState{Test: json.RawMessage(`{"a":1}`)}, adg.CheckState{Test: json.RawMessage(`{"a":2}`)}, "x.test.a was 1 and would be 2"},
		{"JSON of another kind", adg.CheckState{Test: json.RawMessage(`{"a":[1]}`)}, adg.CheckState{Test: json.RawMessage(`{"a":{"b":null}}`)}, "x.test.a was [1] and would be map[b:<nil>]"},
		{"maps", adg.Policy{Variables: map[string]string{"a": "1"}}, adg.Policy{Variables: map[string]string{"b": "1"}}, `x.variables.a was "1" and would be nothing`},
		{"an effect and none", adg.Decision{Apply: &adg.Desired{OpID: "o"}}, adg.Decision{}, `would be nothing`},
	} {
		t.Run(test.name, func(t *testing.T) {
			var found changes
			found.compare("x", test.was, test.wouldBe)
			switch {
			case test.want == "" && found.n > 0:
				t.Errorf("found %v", found.list)
			case test.want != "" && (found.n == 0 || !strings.Contains(found.list[0].String(), test.want)):
				t.Errorf("found %v, want %s", found.list, test.want)
			}
		})
	}
}

func TestManyChangesAreCountedAndFewShown(t *testing.T) {
	var found changes
	found.compare("x", make([]int, 100), append(make([]int, 99), 1))
	if found.n != 1 {
		t.Errorf("%d changes", found.n)
	}
	ones := make([]int, 100)
	for i := range ones {
		ones[i] = 1
	}
	found.compare("y", make([]int, 100), ones)
	if found.n != 101 || len(found.list) != maxChanges {
		t.Errorf("%d changes, %d shown", found.n, len(found.list))
	}
}
