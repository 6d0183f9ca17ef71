package report

import (
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/deployguardian/adg"
)

// JSON is the story for programs: what the other formats show, with names of fields that stay. Times are UTC; a number
// that does not exist is null. Text that came from outside is as it came.
func JSON(s Story) ([]byte, error) {
	d := s.Deployment
	told := toldStory{
		Deployment: d.ID, Service: d.Spec.Policy.Service, Environment: d.Spec.Policy.Environment, Version: d.Spec.Release.Version, State: d.Status.State,
		Title: s.Title, Summary: each(s.Summary, func(l Line) toldLine { return toldLine(l) }),
		Timeline:  each(s.Timeline, func(e Event) toldEvent { return toldEvent{e.At.UTC(), e.Kind, e.Text, e.Urgent} }),
		Decisions: each(s.Decisions, tellDecision), Effects: each(s.Effects, tellEffect), Predicted: tellPrediction(d.Spec.Prediction), Expected: each(s.Expected.Points, tellPoint),
		Checks: each(s.Checks, func(c Course) toldCourse {
			return toldCourse{c.Check.Name, c.Last.Verdict, c.Last.Text, each(c.Sent, same), each(c.Points, tellPoint)}
		}),
		Baselines: each(s.Baselines, func(b adg.Baseline) toldBaseline {
			return toldBaseline{b.Check, b.From.UTC(), b.To.UTC(), each(b.Values, number), number(b.Bad), number(b.Total), b.Err}
		}),
	}
	told.Impact = each(s.Impact, func(i Impact) toldImpact { return toldImpact{i.Check, number(i.Bad), number(i.All), number(i.Usual)} })
	if bad := s.FirstBad.UTC(); !bad.IsZero() {
		told.FirstBad = &bad
	}
	text, err := json.Marshal(told)
	if err != nil {
		return nil, fmt.Errorf("writing the report: %w", err)
	}
	return text, nil
}

// Private

type toldStory struct {
	Deployment  string          `json:"deployment"`
	Service     string          `json:"service"`
	Environment string          `json:"environment"`
	Version     string          `json:"version"`
	State       adg.State       `json:"state"`
	Title       string          `json:"title"`
	Summary     []toldLine      `json:"summary"`
	Timeline    []toldEvent     `json:"timeline"`
	Decisions   []toldDecision  `json:"decisions"`
	Effects     []toldEffect    `json:"effects"`
	Predicted   *toldPrediction `json:"predicted"` // null: nobody predicted
	Expected    []toldPoint     `json:"expected"`  // in percent
	Checks      []toldCourse    `json:"checks"`
	Baselines   []toldBaseline  `json:"baselines"`
	FirstBad    *time.Time      `json:"first_bad"` // null: health was good
	Impact      []toldImpact    `json:"impact"`
}

type toldImpact struct {
	Check string   `json:"check"`
	Bad   *float64 `json:"bad"`
	All   *float64 `json:"all"`
	Usual *float64 `json:"usual"` // null: there is no baseline
}

type toldLine struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

type toldEvent struct {
	At     time.Time `json:"at"`
	Kind   string    `json:"kind"`
	Text   string    `json:"text"`
	Urgent bool      `json:"urgent"`
}

type toldPrediction struct {
	Success  *float64        `json:"success"` // probabilities, from 0 to 1
	Low      *float64        `json:"low"`
	High     *float64        `json:"high"`
	Base     *float64        `json:"base"`
	Standing string          `json:"standing"`
	Because  []toldInfluence `json:"because"`
	Missing  []string        `json:"missing"`
}

type toldInfluence struct {
	Points *float64 `json:"points"` // of percent
	Text   string   `json:"text"`
}

type toldDecision struct {
	Seq        int64            `json:"seq"`
	At         time.Time        `json:"at"`
	Kind       adg.DecisionKind `json:"kind"`
	From       adg.State        `json:"from"`
	To         adg.State        `json:"to"`
	Reasons    []string         `json:"reasons"`
	Health     *adg.Health      `json:"health"` // null: nothing was judged for it, as score and judgements
	Score      *float64         `json:"score"`
	Judgements []toldJudgement  `json:"judgements"`
}

type toldJudgement struct {
	Check    string      `json:"check"`
	Verdict  adg.Verdict `json:"verdict"`
	Value    *float64    `json:"value"`
	Baseline *float64    `json:"baseline"`
	Limit    *float64    `json:"limit"`
	Text     string      `json:"text"`

	Patterns []toldPattern `json:"patterns,omitempty"` // of logs
}

type toldEffect struct {
	ID       string     `json:"id"`
	Begun    time.Time  `json:"begun"`
	Ended    *time.Time `json:"ended"`
	Wanted   string     `json:"wanted"`
	Reported string     `json:"reported"`
	Rollback bool       `json:"rollback"`
	Error    string     `json:"error"`
}

type toldPoint struct {
	At       time.Time   `json:"at"`
	Value    *float64    `json:"value"`
	Baseline *float64    `json:"baseline"`
	Limit    *float64    `json:"limit"`
	Verdict  adg.Verdict `json:"verdict"`
}

type toldCourse struct {
	Check   string      `json:"check"`
	Verdict adg.Verdict `json:"verdict"`
	Text    string      `json:"text"`
	Sent    []string    `json:"sent"`
	Points  []toldPoint `json:"points"`
}

type toldBaseline struct {
	Check  string     `json:"check"`
	From   time.Time  `json:"from"`
	To     time.Time  `json:"to"`
	Values []*float64 `json:"values"`
	Bad    *float64   `json:"bad"`
	Total  *float64   `json:"total"`
	Error  string     `json:"error"`
}

func tellPrediction(p *adg.Prediction) *toldPrediction {
	if p == nil {
		return nil
	}
	return &toldPrediction{
		number(p.Success), number(p.Low), number(p.High), number(p.Base), p.Standing,
		each(p.Contributions, func(c adg.Contribution) toldInfluence { return toldInfluence{number(c.Points), c.Text} }), each(p.Missing, same),
	}
}

func same(text string) string { return text }

func tellDecision(e adg.Entry) toldDecision {
	d := e.Decision
	told := toldDecision{Seq: e.Seq, At: d.At.UTC(), Kind: d.Kind, From: d.From, To: d.Next.State, Reasons: each(d.Reasons, same)}
	if a := e.Input.Assessment; a != nil {
		told.Health, told.Score = &a.Health, number(a.Score)
		told.Judgements = each(a.Judgements, func(j adg.Judgement) toldJudgement {
			return toldJudgement{j.Check, j.Verdict, number(value(j.Value)), number(value(j.Baseline)), number(value(j.Limit)), j.Text, each(j.Patterns, tellPattern)}
		})
	}
	return told
}

func tellEffect(e adg.Effect) toldEffect {
	told := toldEffect{ID: e.Desired.OpID, Begun: e.Begun.UTC(), Wanted: shares(e.Desired.Releases), Rollback: e.Desired.Rollback}
	if o := e.Outcome; o != nil {
		ended := o.At.UTC()
		told.Ended, told.Reported, told.Error = &ended, shares(o.Observed.Releases), o.Err
	}
	return told
}

func tellPoint(p Point) toldPoint {
	return toldPoint{p.At.UTC(), number(p.Value), number(p.Baseline), number(p.Limit), p.Verdict}
}

// number is a number as JSON can have it.
func number(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

// each is a list that is never null.
func each[From, To any](all []From, one func(From) To) []To {
	made := make([]To, len(all))
	for i, a := range all {
		made[i] = one(a)
	}
	return made
}
