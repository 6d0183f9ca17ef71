package wire

import (
	"github.com/deployguardian/adg"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// Decision is an entry's decision. Spec is the deployment's: the share that the release is wanted to have follows from
// its strategy.
func Decision(spec adg.Spec, e adg.Entry) *adgv1.Decision {
	d := e.Decision
	made := &adgv1.Decision{
		Deployment: text(e.Deployment), Seq: e.Seq, Time: Timestamp(d.At), Kind: decisionKinds.to(d.Kind), Reasons: texts(d.Reasons),
		From: states.to(d.From), To: states.to(d.Next.State), Step: count(d.Next.Step), Phase: count(d.Next.Phase),
		Share: wanted(spec.Policy, d.Next), Health: healths.to(d.Next.Health), Score: d.Next.Score,
		Command: optional(e.Input.Command, Command), Facts: each(d.Facts, Fact),
	}
	if d.Apply != nil {
		made.Operation = text(d.Apply.OpID)
	}
	return made
}

// Evidence is everything that a decision was made from. Compacted says that the measurements were forgotten since.
func Evidence(spec adg.Spec, e adg.Entry, measurements []adg.Measurement, compacted bool) *adgv1.Evidence {
	in := e.Input
	return &adgv1.Evidence{
		Decision: Decision(spec, e), Before: Status(spec.Policy, e.Before), After: Status(spec.Policy, e.Decision.Next),
		Assessment: optional(in.Assessment, func(a adg.Assessment) *adgv1.Assessment { return Assessment(spec.Policy, a) }), Measurements: each(measurements, Measurement), Gates: each(in.Gates, Gate),
		Observed: optional(in.Observed, Observed), Outcome: optional(in.Outcome, outcome(e)),
		Fleet: &adgv1.Fleet{
			Rollbacks: count(in.Fleet.Rollbacks), TurnedBad: count(in.Fleet.TurnedBad), Stopped: text(in.Fleet.Stopped), Rolling: text(in.Fleet.Rolling),
		},
		Newer: text(in.Newer), Compacted: compacted,
	}
}

// Command is a human's word on a deployment.
func Command(c adg.Command) *adgv1.Command {
	return &adgv1.Command{Id: text(c.ID), Action: actions.to(c.Kind), Actor: text(c.Actor), Reason: text(c.Reason), Time: Timestamp(c.At), Via: text(c.Via)}
}

// Effect is something done to the target.
func Effect(e adg.Effect) *adgv1.Effect {
	made := &adgv1.Effect{
		Id: text(e.Desired.OpID), Deployment: text(e.Deployment), Rollback: e.Desired.Rollback,
		Wanted: each(e.Desired.Releases, Placement), BeginTime: Timestamp(e.Begun),
	}
	if o := e.Outcome; o != nil {
		made.EndTime, made.Took, made.Observed, made.Error, made.Final = Timestamp(o.At), Duration(o.Took), Observed(o.Observed), text(o.Err), o.Final
	}
	return made
}

// Observed is what the target reported.
func Observed(o adg.Observed) *adgv1.Observed {
	return &adgv1.Observed{Releases: each(o.Releases, Placement), Done: o.Done, Failed: o.Failed, Text: text(o.Text), Suspended: text(o.Suspended), Log: text(o.Log)}
}

// Obstacle is what is in the way back.
func Obstacle(o adg.Obstacle) *adgv1.Obstacle {
	return &adgv1.Obstacle{Name: text(o.Name), Final: o.Final, Text: text(o.Text)}
}

// Placement is a release with its part.
func Placement(p adg.Placement) *adgv1.Placement {
	return &adgv1.Placement{Release: Release(p.Release), Share: p.Share, Role: roles.to(p.Role)}
}

// Gate is something that must hold before a deployment starts.
func Gate(g adg.Gate) *adgv1.Gate {
	return &adgv1.Gate{Name: text(g.Name), State: gateStates.to(g.Open), Text: text(g.Text), UntilTime: Timestamp(g.Until)}
}

// Fact is something that people are told.
func Fact(f adg.Fact) *adgv1.Fact {
	message := &adgv1.Fact{
		Id: text(f.ID), Deployment: text(f.Deployment), Kind: factKinds.to(f.Kind), Time: Timestamp(f.At), Service: text(f.Service),
		Environment: text(f.Environment), Release: text(f.Release), LastGood: text(f.LastGood), State: states.to(f.State),
		Health: healths.to(f.Health), Text: text(f.Text), Reasons: texts(f.Reasons), Actor: text(f.Actor), Urgent: f.Urgent,
		Via: text(f.Via), Action: text(f.Action), Resource: text(f.Resource),
	}
	if f.Kind == adg.FactChanged { // it is of no deployment
		message.State = adgv1.State_STATE_UNSPECIFIED
	}
	return message
}

// Event is a fact as it stands in the order of all facts.
func Event(e adg.Event) *adgv1.Event { return &adgv1.Event{Cursor: e.Cursor, Fact: Fact(e.Fact)} }

// DeadDelivery is a fact that did not get through to a notifier.
func DeadDelivery(d adg.DeadDelivery) *adgv1.Delivery {
	message := Delivery(d.Delivery)
	message.Error, message.Time = text(d.Why), Timestamp(d.At)
	return message
}

// Delivery is a fact on its way to a notifier.
func Delivery(d adg.Delivery) *adgv1.Delivery {
	return &adgv1.Delivery{
		Id: DeliveryID(d), Fact: Fact(d.Fact), Notifier: text(d.Notifier), Tries: count(d.Tries), Etag: Etag(int64(d.Tries)),
	}
}

// Private

// outcome translates how the effect ended that an entry closed. When its intent was stored, and what it wanted, is not
// part of the entry.
func outcome(e adg.Entry) func(adg.Outcome) *adgv1.Effect {
	return func(o adg.Outcome) *adgv1.Effect {
		return &adgv1.Effect{
			Id: text(o.OpID), Deployment: text(e.Deployment), EndTime: Timestamp(o.At), Took: Duration(o.Took),
			Rollback: e.Before.State == adg.RollingBack, Observed: Observed(o.Observed), Error: text(o.Err), Final: o.Final,
		}
	}
}
