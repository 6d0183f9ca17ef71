package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// Private

func statusCommand(t Terminal, connect Connect) *cobra.Command {
	cmd := &cobra.Command{
		Use: "status ID", Short: "Say where a deployment stands, why, and what happens next", Args: cobra.ExactArgs(1),
		Example: `  adg deploy status checkout-1.4.2-k3v9x2qa
  adg deploy status checkout-1.4.2-k3v9x2qa --output json`,
	}
	completeDeployment(cmd, t, connect, false)
	return online(t, connect, cmd, func(ctx context.Context, s session, args []string) error {
		d, err := s.Deployments.GetDeployment(ctx, &adgv1.GetDeploymentRequest{Id: args[0]})
		if err != nil {
			return err
		}
		return s.show(d, func() error { return showDeployment(s, d) })
	})
}

// showDeployment writes where a deployment stands, its checks, and what may be said about it.
func showDeployment(s session, d *adgv1.Deployment) error {
	status := d.GetStatus()
	if status == nil {
		status = &adgv1.Status{}
	}
	asked := when(s.now, d.GetCreateTime()) + " by " + d.GetActor()
	if d.GetReason() != "" {
		asked += ": " + d.GetReason()
	}
	health := spoken(status.GetHealth())
	if status.GetHealth() != adgv1.Health_HEALTH_UNKNOWN {
		health += fmt.Sprintf(", score %.0f", status.GetScore())
	}
	expected := ""
	if status.Success != nil {
		expected = fmt.Sprintf("success with %.0f %%", 100*status.GetSuccess())
	}
	back := "nowhere: no release is known to be good"
	if last := d.GetLastGood(); last != nil {
		back = last.GetVersion()
	}
	because, condemned := strings.Join(status.GetReasons(), "\n"), status.GetCondemnedFor()
	if strings.Contains(because, condemned) {
		condemned = "" // it was just said
	}
	err := facts(s.t, "deployment", d.GetId(), "release", title(d), "state", where(deploymentOf(d))+", since "+when(s.now, status.GetSinceTime()),
		"because", because, "condemned for", condemned, "health", health, "expected", expected, "next", status.GetOutlook().GetText(),
		"waits for", status.GetOutlook().GetWaitsFor(), "rolls back to", back, "asked for", asked, "policy", fmt.Sprintf("version %d", d.GetPolicyVersion()))
	if err != nil {
		return err
	}
	if err := showChecks(s, status.GetChecks()); err != nil {
		return err
	}
	for _, step := range status.GetRollbackSteps() {
		if err := s.line("rollback: " + step.GetName() + " " + spoken(step.GetState()) + ": " + step.GetText()); err != nil {
			return err
		}
	}
	var may []string
	for _, p := range status.GetPermits() {
		if p.GetAllowed() {
			may = append(may, strings.ReplaceAll(wordOf(p.GetAction()), "_", "")) // as the verbs are typed
		}
	}
	if len(may) == 0 {
		return nil
	}
	return s.line("\nyou may: " + strings.Join(may, ", "))
}

func showChecks(s session, checks []*adgv1.Watch) error {
	var rows [][]string
	for _, c := range checks {
		j := judgementOf(c)
		unit := c.GetLast().GetUnit()
		rows = append(rows, []string{mark(j.Verdict) + " " + c.GetCheck(), amount(j.Value, unit), amount(j.Baseline, unit), amount(j.Limit, unit), when(s.now, c.GetLast().GetTime()), j.Text})
	}
	if len(rows) == 0 {
		return nil
	}
	_, _ = fmt.Fprintln(s.t.Out)
	return table(s.t, []string{"  CHECK", "VALUE", "BASELINE", "LIMIT", "JUDGED", "SENTENCE"}, rows)
}

func deploymentsCommand(t Terminal, connect Connect) *cobra.Command {
	var where scopes
	var states, healths, actors []string
	var from, to, version, order string
	var live, waiting bool
	var limit int
	cmd := &cobra.Command{
		Use: "list", Short: "List deployments, the newest first", Args: cobra.NoArgs,
		Example: `  adg deploy list --live
  adg deploy list -s checkout -e production --from 168h
  adg deploy list --state rolled_back,rollback_failed --limit 0 --output json`,
	}
	flags := cmd.Flags()
	where.flags(cmd, t, connect)
	flags.BoolVar(&live, "live", false, "only those that have not ended")
	flags.BoolVar(&waiting, "waiting", false, "only those that want a human's word")
	flags.StringSliceVar(&states, "state", nil, "only in these `states`; may be repeated")
	flags.StringSliceVar(&healths, "health", nil, "only of these `healths`; may be repeated")
	flags.StringSliceVar(&actors, "actor", nil, "only those that these `people` asked for; may be repeated")
	flags.StringVar(&version, "version", "", "only of this `version`")
	flags.StringVar(&from, "from", "", "asked for since: a `time`, a day, or how long ago (720h)")
	flags.StringVar(&to, "to", "", "asked for until: a `time`, a day, or how long ago")
	flags.StringVar(&order, "order", "newest", "newest, oldest or worst first")
	limitFlag(cmd, &limit)
	completeWords(cmd, "state", choices[adgv1.State]())
	completeWords(cmd, "health", choices[adgv1.Health]())
	completeWords(cmd, "order", orders)
	return online(t, connect, cmd, func(ctx context.Context, s session, _ []string) (err error) {
		r := &adgv1.ListDeploymentsRequest{Services: where.services, Environments: where.environments, Actors: actors, Version: version, Live: live, WaitsForHuman: waiting}
		if r.States, err = enums[adgv1.State]("state", states); err != nil {
			return err
		}
		if r.Healths, err = enums[adgv1.Health]("health", healths); err != nil {
			return err
		}
		if r.FromTime, err = past("from", from, s.now); err != nil {
			return err
		}
		if r.ToTime, err = past("to", to, s.now); err != nil {
			return err
		}
		if err := oneOf("order", order, orders...); err != nil {
			return err
		}
		r.Order = map[string]adgv1.DeploymentOrder{"worst": adgv1.DeploymentOrder_DEPLOYMENT_ORDER_WORST, "oldest": adgv1.DeploymentOrder_DEPLOYMENT_ORDER_OLDEST}[order]
		return list(s, listing[*adgv1.DeploymentSummary]{
			limit: limit, none: "there is no such deployment",
			header: []string{"ID", "SERVICE", "ENVIRONMENT", "VERSION", "STATE", "HEALTH", "BEGAN", "BY", "BECAUSE"},
			page: func(size int32, token string) ([]*adgv1.DeploymentSummary, string, error) {
				r.PageSize, r.PageToken = size, token
				answer, err := s.Deployments.ListDeployments(ctx, r)
				return answer.GetDeployments(), answer.GetNextPageToken(), err
			},
			row: func(d *adgv1.DeploymentSummary) []string {
				return []string{d.GetId(), d.GetService(), d.GetEnvironment(), d.GetVersion(), place(d), spoken(d.GetHealth()), when(s.now, d.GetCreateTime()), d.GetActor(), whyOf(d)}
			},
		})
	})
}

// orders are those that deployments are listed in.
var orders = []string{"newest", "oldest", "worst"}

// whyOf is why a deployment is where it is. Of what went back it is why the release was condemned: the last word is of the one before.
func whyOf(d *adgv1.DeploymentSummary) string {
	condemned, reason := d.GetCondemnedFor(), d.GetReason()
	switch {
	case condemned == "", strings.Contains(reason, condemned):
		return reason
	case d.GetState() == adgv1.State_STATE_ROLLED_BACK, reason == "":
		return condemned
	case d.GetState() == adgv1.State_STATE_ROLLBACK_FAILED:
		return reason + "; condemned: " + condemned
	}
	return condemned + "; " + reason
}

// place is where a deployment stands, with its share or phase.
func place(d *adgv1.DeploymentSummary) string {
	text := spoken(d.GetState())
	switch {
	case d.GetState() == adgv1.State_STATE_ROLLING:
		text += fmt.Sprintf(" %g %%", d.GetShare())
	case d.GetState() == adgv1.State_STATE_VERIFYING && d.GetPhase() != "":
		text += " " + d.GetPhase()
	}
	if d.GetPaging() || d.GetWaitsForHuman() {
		text += " (!)"
	}
	return text
}

// completeWords offers the words of a flag.
func completeWords(cmd *cobra.Command, flag string, words []string) {
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
}

// wayBack says what a rollback would do, as facts.
func wayBack(p *adgv1.RollbackPlan) []string {
	to := "nowhere"
	if p.GetPossible() {
		if to = p.GetTo().GetVersion() + ", and ADG may do so alone"; !p.GetAutomatic() {
			to = p.GetTo().GetVersion() + ", after a human's word"
		}
	}
	return []string{"rolls back to", to, "would do", strings.Join(p.GetSteps(), "\n"), "hindered by", strings.Join(p.GetObstacles(), "\n")}
}

// showPlan writes what would happen.
func showPlan(s session, p *adgv1.Plan) error {
	starts := "at once"
	if !p.GetWouldStart() {
		starts = "not before a human's word, or not at all: see the gates"
	}
	expected := ""
	if e := p.GetPrediction(); e != nil {
		expected = fmt.Sprintf("success with %.0f %%", 100*e.GetSuccess())
	}
	err := facts(s.t, append([]string{"release", p.GetRelease().GetService() + " " + p.GetRelease().GetVersion(), "policy", fmt.Sprintf("version %d", p.GetPolicyVersion()),
		"would start", starts, "done", "in " + span(p.GetShortest().AsDuration()) + " at the earliest", "expected", expected,
		"steered", strings.Join(p.GetSteered(), "\n"), "supersedes", strings.Join(p.GetSupersedes(), "\n"), "mind", strings.Join(p.GetWarnings(), "\n"),
	}, wayBack(p.GetRollback())...)...)
	if err != nil || len(p.GetGates()) == 0 {
		return err
	}
	var rows [][]string
	for _, g := range p.GetGates() {
		until := "–"
		if g.GetUntilTime() != nil {
			until = when(s.now, g.GetUntilTime())
		}
		rows = append(rows, []string{g.GetName(), spoken(g.GetState()), until, g.GetText()})
	}
	_, _ = fmt.Fprintln(s.t.Out)
	return table(s.t, []string{"GATE", "IS", "UNTIL", "BECAUSE"}, rows)
}
