package learn

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func write(t interface{ Fatal(...any) }, h History) string {
	var out bytes.Buffer
	if err := Write(&out, h); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func roundTrip(t *testing.T, h History) {
	t.Helper()
	text := write(t, h)
	again, err := ReadCSV(strings.NewReader(text), CSV{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(h.Deployments, again.Deployments); diff != "" {
		t.Errorf("read back differently:\n%s\n%s", diff, text)
	}
	if write(t, again) != text {
		t.Error("written again it differs")
	}
}

func TestWhatIsWrittenIsReadBackExactly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.Custom(func(t *rapid.T) string { return clean(rapid.String().Draw(t, "word")) })
		var h History
		for i := range rapid.IntRange(0, 8).Draw(t, "n") {
			d := Deployment{
				Service: word.Draw(t, "s"), Environment: word.Draw(t, "e"), From: word.Draw(t, "f"), To: word.Draw(t, "v"), ToCommit: word.Draw(t, "c"),
				At: start.Add(time.Duration(i)*hour + time.Duration(rapid.Int64Range(0, 1e9).Draw(t, "ns"))), Actor: pseudonym(nil, "", word.Draw(t, "a")),
				Outcome: Outcome(rapid.IntRange(0, len(outcomeNames)-1).Draw(t, "o")), Why: cleanTo(rapid.String().Draw(t, "w"), maxSentence),
			}
			if rapid.Bool().Draw(t, "failed") {
				d.FailedAt = d.At.Add(hour)
			}
			if rapid.Bool().Draw(t, "features") {
				d.Features = map[string]float64{"x": rapid.Float64().Draw(t, "x"), "=y": 1}
			}
			h.Deployments = append(h.Deployments, d)
		}
		text := write(t, h)
		again, err := ReadCSV(strings.NewReader(text), CSV{})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(h.Deployments, again.Deployments); diff != "" {
			t.Fatalf("%s\n%s", diff, text)
		}
	})
}

func TestATableOfAnotherMakingIsRead(t *testing.T) {
	const text = "app,version,base_version,ts,nf,auto,actor,rolled_back,blocked,superseded,failed,note\n" +
		"web,8,6,1691506568,6,true,bob@example.com,0,1,0,1,x\n" +
		"api,5,4,1691503427,,false,,0,0,0,0,y\n" +
		"api,5,4,1691503427,,false,,0,0,0,0,y\n" +
		"api,6,5,1691503428,NaN,no,,0,0,1,0,z\n"
	h, err := ReadCSV(strings.NewReader(text), CSV{Ignore: []string{"auto"}})
	if err != nil {
		t.Fatal(err)
	}
	want(t, h, "api 4→5 success", "api 5→6 superseded", "web 6→8 blocked")
	if d := h.Deployments[2]; !cmp.Equal(d.Features, map[string]float64{"nf": 6}) || strings.Contains(d.Actor, "@") || d.Actor == "" {
		t.Errorf("%+v", d)
	}
	if len(h.Notes) != 3 {
		t.Errorf("notes %q", h.Notes)
	}
}

func TestABadTableIsRefusedWithItsLine(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"no time":         {"service,to\na,b\n", "no column says when"},
		"twice":           {"at,at\n", "two columns"},
		"a bad time":      {"at,to\n2026-01-01,1\nyesterday,2\n", "line 3"},
		"a bad outcome":   {"at,outcome\n2026-01-01,maybe\n", "choose one of"},
		"a bad label":     {"at,failed\n2026-01-01,7\n", "is no outcome"},
		"a ragged line":   {"at,to\n2026-01-01\n", "line 2"},
		"an endless cell": {"at,to\n\"" + strings.Repeat("x", maxRecord+1<<20), "larger than"},
	} {
		if _, err := ReadCSV(strings.NewReader(c.text), CSV{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if h, err := ReadCSV(strings.NewReader(""), CSV{}); err != nil || len(h.Notes) != 1 {
		t.Errorf("an empty table: %+v %v", h, err)
	}
}

func TestTwoCommitsOfTheSameSecondAreTwoDeployments(t *testing.T) {
	h, err := ReadCSV(strings.NewReader("commit,ts,failed\na1,1691503427,0\na2,1691503427,1\n"), CSV{})
	if err != nil || len(h.Deployments) != 2 || len(Join(h, h).Deployments) != 2 {
		t.Errorf("%+v %v", h, err)
	}
}

func TestNoCellIsAFormula(t *testing.T) {
	text := write(t, History{Deployments: []Deployment{{At: start, To: "=HYPERLINK(1)", Service: "@x"}}})
	if !strings.Contains(text, "'=HYPERLINK") || !strings.Contains(text, "'@x") {
		t.Error(text)
	}
	if err := Write(&bytes.Buffer{}, History{Deployments: []Deployment{{At: start, Features: map[string]float64{"outcome": 1}}}}); err == nil {
		t.Error("a feature that is called as a column was written")
	}
}

func TestASummaryIsSaidInWords(t *testing.T) {
	h := History{Deployments: []Deployment{
		{Service: "a", Environment: "prod", At: start, Outcome: RolledBack}, {Service: "b", At: start.Add(day), Outcome: Success},
		{Service: "a", At: start.Add(2 * day), Why: "watched for 1d only"}, {Service: "a", At: start.Add(2 * day), Outcome: Hotfixed},
	}, Rules: Rules{Count: []Outcome{RolledBack}}, Notes: []string{"one thing"}}
	text := h.Summary().String()
	for _, part := range []string{"4 deployments of 2 services from 2026-01-05 to 2026-01-07 in prod", "Failed: 1 of 3 known (33.3 %): 1 rolled-back, 1 hotfixed (not counted)", "Unknown: 1: 1 too young", "a fix within 4h", "Note: one thing."} {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in\n%s", part, text)
		}
	}
}

func FuzzTable(f *testing.F) {
	f.Add("at,service,outcome,x\n2026-01-01,a,success,1\n")
	f.Add("ts,failed\n1,1\n")
	f.Add("\"")
	f.Fuzz(func(t *testing.T, text string) {
		h, err := ReadCSV(strings.NewReader(text), CSV{})
		if err == nil {
			var out bytes.Buffer
			if Write(&out, h) != nil {
				return
			}
			again, err := ReadCSV(&out, CSV{})
			if err != nil || !cmp.Equal(h.Deployments, again.Deployments) {
				t.Errorf("%v %s", err, cmp.Diff(h.Deployments, again.Deployments))
			}
		}
	})
}
