package cli

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

func TestWhoSaysSomethingIsToldWhatCameOfIt(t *testing.T) {
	at := func(minute int) *timestamppb.Timestamp {
		return timestamppb.New(time.Date(2026, 1, 1, 0, minute, 0, 0, time.UTC))
	}
	answers := func(minute int, action adgv1.Action, reason string, reasons ...string) *adgv1.Decision {
		return &adgv1.Decision{Command: &adgv1.Command{Action: action, Actor: "carl", Reason: reason, Time: at(minute)}, Reasons: reasons}
	}
	const back = adgv1.Action_ACTION_ROLL_BACK
	refusal := answers(3, back, "why", "errors are up", "rollback by carl is refused: there is no last good release to go back to")
	for _, c := range []struct {
		name, line string
		decisions  []*adgv1.Decision
		exit       int
		says       string
	}{
		{"it is done", "deploy rollback d1 --reason why", []*adgv1.Decision{answers(3, back, "why", "rolled back by carl (why)")}, 0, "d1: asked to roll back: rolled back by carl (why)"},
		{"it cannot be done", "deploy rollback d1 --reason why", []*adgv1.Decision{refusal}, 1, "rollback was refused: there is no last good release to go back to"},
		{"it cannot be done, for a program", "deploy rollback d1 --reason why --output json", []*adgv1.Decision{refusal}, 1, "refused"},
		{"nobody waits", "deploy rollback d1 --reason why --no-wait", []*adgv1.Decision{refusal}, 0, "d1: asked to roll back\n"},
		{"the same was refused before", "deploy rollback d1 --reason why", []*adgv1.Decision{answers(1, back, "why", refusal.GetReasons()...), answers(3, back, "why", "rolled back by carl")}, 0, "rolled back by carl"},
		{"the same again by its key", "deploy rollback d1 --reason why --idempotency-key k", []*adgv1.Decision{answers(1, back, "why", refusal.GetReasons()...)}, 1, "refused"},
		{"others say other things", "deploy rollback d1 --reason why", []*adgv1.Decision{
			answers(3, adgv1.Action_ACTION_HOLD, "why", "hold by carl is refused: no"), answers(3, back, "another", refusal.GetReasons()...), answers(3, back, "why", "rolled back by carl"),
		}, 0, "rolled back by carl"},
		{"somebody writes as a refusal is written", "deploy promote d1 --reason why", []*adgv1.Decision{
			answers(3, adgv1.Action_ACTION_PROMOTE, "why", "promoted by carl (promote by carl is refused: no)"),
		}, 0, "asked to go on: promoted"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := &adgv1.Deployment{Id: "d1", Status: &adgv1.Status{TickedTime: at(2)}}
			serve(t, &fakeServer{answers: map[string]func(proto.Message) (proto.Message, error){
				"RollBackDeployment": says(d), "PromoteDeployment": says(d), "ListDecisions": says(&adgv1.ListDecisionsResponse{Decisions: c.decisions}),
			}})
			exit, out, errOut := command(t, "", strings.Fields(c.line)...)
			if exit != c.exit || !strings.Contains(out+errOut, c.says) {
				t.Errorf("exit code %d: %s%s", exit, out, errOut)
			}
		})
	}
}
