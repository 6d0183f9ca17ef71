package report

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/deployguardian/adg"
)

func TestJSONTellsTheSameStoryWhateverTheNumbersAre(t *testing.T) {
	s := rich(hostile)
	s.Checks[0].Points[0].Value = math.Inf(1)
	s.Baselines[0].Bad, s.Baselines[0].Values[0] = math.NaN(), math.Inf(-1)
	s.Decisions[0].Input.Assessment.Judgements[0].Value = ptr(math.NaN())
	s.Effects = []adg.Effect{{Desired: adg.Desired{OpID: "under way"}, Begun: at(31)}}
	text, err := JSON(s)
	if err != nil {
		t.Fatal(err)
	}
	var told struct {
		Deployment, Title, State string
		Summary                  []struct{ Name, Text string }
		Timeline                 []struct{ Kind, Text string }
		Predicted                struct {
			Success *float64
			Because []struct {
				Points float64
				Text   string
			}
		}
		Expected  []struct{ Value *float64 }
		Decisions []struct {
			Kind, From, To, Health string
			Reasons                []string
			Judgements             []struct{ Value, Limit *float64 }
		}
		Effects []struct {
			ID    string
			Ended *string
		}
		Checks []struct {
			Points []struct{ Value, Limit *float64 }
		}
		Baselines []struct {
			Values     []*float64
			Bad, Total *float64
		}
	}
	if err := json.Unmarshal(text, &told); err != nil {
		t.Fatal(err)
	}
	if told.Deployment != "shop-v2-x" || told.State != "rolled_back" || len(told.Summary) != len(s.Summary) || len(told.Timeline) != len(s.Timeline) || len(told.Expected) != len(s.Expected.Points) {
		t.Errorf("%+v", told)
	}
	if p := told.Predicted; p.Success == nil || *p.Success != 0.88 || len(p.Because) != 2 || p.Because[0].Points != -6.5 || p.Because[0].Text != hostile {
		t.Errorf("what was predicted: %+v", p)
	}
	if d := told.Decisions[0]; d.Kind != "roll_back" || d.From != "rolling" || d.To != "rolling_back" || d.Health != "unhealthy" || d.Reasons[0] != hostile || d.Judgements[0].Value != nil || *d.Judgements[0].Limit != 0.1 {
		t.Errorf("the decision: %+v", d)
	}
	if c := told.Checks[0]; len(c.Points) != 5 || c.Points[0].Value != nil || *c.Points[1].Value != 0.03 || c.Points[2].Limit != nil {
		t.Errorf("the check: %+v", c)
	}
	if b := told.Baselines[0]; b.Values[0] != nil || *b.Values[1] != 0.03 || b.Bad != nil || *b.Total != 100 {
		t.Errorf("the baseline: %+v", b)
	}
	if e := told.Effects[0]; e.ID != "under way" || e.Ended != nil {
		t.Errorf("the effect: %+v", e)
	}
	if strings.Contains(string(text), "<script>") {
		t.Error("what a browser takes for a page can be in it")
	}
}

func TestJSONOfAStoryThatHasNotBegunHasListsAndNoNulls(t *testing.T) {
	text, err := JSON(Story{})
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range []string{`"summary":[]`, `"timeline":[]`, `"decisions":[]`, `"effects":[]`, `"expected":[]`, `"checks":[]`, `"baselines":[]`, `"predicted":null`} {
		if !strings.Contains(string(text), list) {
			t.Errorf("no %s in %s", list, text)
		}
	}
}
