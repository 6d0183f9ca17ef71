package wire_test

import (
	"strings"
	"testing"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/api/wire"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

func TestApprovalAndPredictionAreGatesWhereThePolicyWantsThem(t *testing.T) {
	low := &adg.Prediction{Success: 0.5, Low: 0.4, High: 0.6, Base: 0.9}
	for _, c := range []struct {
		name string
		d    adg.Deployment
		want string // name, state and text of each but the first
	}{
		{"a policy that wants neither", adg.Deployment{}, ""},
		{"an approval that nobody gave", adg.Deployment{Spec: adg.Spec{Policy: adg.Policy{Approve: true}}}, "approval SHUT an approval is wanted\n"},
		{"one that somebody gave", adg.Deployment{Spec: adg.Spec{Policy: adg.Policy{Approve: true}}, Status: adg.Status{Approved: "bob"}}, "approval OPEN approved by bob\n"},
		{"one of a deployment that has begun", adg.Deployment{Spec: adg.Spec{Policy: adg.Policy{Approve: true}}, Status: adg.Status{Ops: 1}}, "approval OPEN it was approved\n"},
		{
			"an approval because of the risk", adg.Deployment{Spec: adg.Spec{Prediction: low, Policy: adg.Policy{Risk: adg.RiskPolicy{Approve: adg.RiskLimit{Below: 0.8}}}}},
			"approval SHUT an approval is wanted: success is expected with 50 % (40 to 60 %; usual is 90 %)\n",
		},
		{
			"a risk that blocks", adg.Deployment{Spec: adg.Spec{Prediction: low, Policy: adg.Policy{Risk: adg.RiskPolicy{Block: adg.RiskLimit{Below: 0.8}}}}},
			"prediction REFUSED success is expected with 50 % (40 to 60 %; usual is 90 %); the policy blocks at ",
		},
		{
			"a risk that does not", adg.Deployment{Spec: adg.Spec{Prediction: low, Policy: adg.Policy{Risk: adg.RiskPolicy{Block: adg.RiskLimit{Below: 0.2}}}}},
			"prediction OPEN success is expected with 50 %",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			asked := []adg.Gate{{Name: "freeze", Open: adg.GateOpen}}
			gates := wire.Gates(c.d, asked)
			got := ""
			for _, g := range gates[1:] {
				got += g.GetName() + " " + strings.TrimPrefix(g.GetState().String(), "GATE_STATE_") + " " + g.GetText() + "\n"
			}
			if gates[0].GetName() != "freeze" || gates[0].GetState() != adgv1.GateState_GATE_STATE_OPEN || !strings.HasPrefix(got, c.want) || c.want == "" && got != "" {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
