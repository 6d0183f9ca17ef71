package cli

import (
	"context"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// Private

const (
	answerWithin = 5 * time.Second // a deployment is looked at at once when somebody has said something
	answerEvery  = 250 * time.Millisecond
	answerPages  = 20 // of 1,000 decisions: more have no deployment
)

// asked is how a word on a deployment was given.
type asked struct {
	reason string
	again  bool // it may have been given before, with the same key
	noWait bool
}

// told waits for what comes of a word, and says it. A refusal is an error; that nothing was decided yet is none.
func (s session) told(ctx context.Context, c onDeployment, d *adgv1.Deployment, a asked) error {
	said := d.GetId() + ": " + c.done
	if !a.noWait {
		decision, err := s.answered(ctx, c.action, d, a)
		if err != nil {
			return s.show(d, func() error { return s.line(said + "; what comes of it shows adg deploy watch " + d.GetId()) })
		}
		if decision == nil {
			return s.show(d, func() error { return s.line(said + ", and not answered yet: adg deploy watch " + d.GetId()) })
		}
		if why, refused := commandAnswered(decision).Refused(decision.GetReasons()); refused {
			return adg.Errorf(adg.Conflict, "%s was refused: %s", c.use, clean(why))
		}
		if reasons := decision.GetReasons(); len(reasons) > 0 {
			said += ": " + reasons[0]
		}
	}
	return s.show(d, func() error { return s.line(said) })
}

// answered is the decision on what was asked; nil: there is none in time.
func (s session) answered(ctx context.Context, action adgv1.Action, d *adgv1.Deployment, a asked) (*adgv1.Decision, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	tick := time.NewTicker(answerEvery)
	defer tick.Stop()
	for {
		found, err := s.decisionOn(ctx, action, d, a)
		if found != nil || err != nil && ctx.Err() == nil {
			return found, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, nil //nolint:nilnil // nothing was decided, which is no error
		}
	}
}

// decisionOn looks for the newest decision that answers such a word. One that was answered before d was looked at is
// another's, unless the same was asked again.
func (s session) decisionOn(ctx context.Context, action adgv1.Action, d *adgv1.Deployment, a asked) (found *adgv1.Decision, err error) {
	r := &adgv1.ListDecisionsRequest{Deployment: d.GetId(), PageSize: 1000}
	for range answerPages {
		page, err := s.Evidence.ListDecisions(ctx, r)
		if err != nil {
			return nil, err
		}
		for _, one := range page.GetDecisions() {
			command := one.GetCommand()
			ours := command.GetAction() == action && command.GetReason() == a.reason
			if ours && (a.again || !command.GetTime().AsTime().Before(d.GetStatus().GetTickedTime().AsTime())) {
				found = one
			}
		}
		if r.PageToken = page.GetNextPageToken(); r.GetPageToken() == "" {
			return found, nil
		}
	}
	return found, nil
}

// commandAnswered is the command that a decision answers, as its reasons speak of it.
func commandAnswered(d *adgv1.Decision) adg.Command {
	c := adg.Command{Actor: d.GetCommand().GetActor()}
	_ = c.Kind.UnmarshalText([]byte(strings.ReplaceAll(wordOf(d.GetCommand().GetAction()), "_", ""))) // none: a newer server has more words
	return c
}
