package wire

import (
	"github.com/deployguardian/adg"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// Gates are the gates of a deployment with those that are no question to anybody else: whether it was approved, where
// that is wanted, and whether it is too risky, where the policy has a limit.
func Gates(d adg.Deployment, asked []adg.Gate) []*adgv1.Gate {
	spec, s := d.Spec, d.Status
	all := asked[:len(asked):len(asked)]
	if wantsApproval(spec) {
		gate := adg.Gate{Name: "approval", Open: adg.GateShut, Text: "an approval is wanted"}
		if !spec.Policy.Approve {
			gate.Text += ": " + expected(spec)
		}
		switch {
		case s.Ops > 0: // since then Approved may be about a rollback
			gate.Open, gate.Text = adg.GateOpen, "it was approved"
		case s.Approved != "":
			gate.Open, gate.Text = adg.GateOpen, "approved by "+s.Approved
		}
		all = append(all, gate)
	}
	if limit := spec.Policy.Risk.Block; spec.Prediction != nil && !limit.IsZero() {
		gate := adg.Gate{Name: "prediction", Open: adg.GateOpen, Text: expected(spec) + "; the policy blocks at " + limit.String()}
		if limit.Holds(*spec.Prediction) {
			gate.Open = adg.GateRefused
		}
		all = append(all, gate)
	}
	return each(all, Gate)
}
