package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/backtest"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// Private

// away is whether a verb that needs no server asks one all the same, and which.
type away struct {
	asked   bool
	context string
}

func (a *away) flags(cmd *cobra.Command, what string) {
	cmd.Flags().BoolVar(&a.asked, "server", false, what)
	contextFlag(cmd, &a.context)
}

// chosen tells whether a server is asked: naming a context says so, too.
func (a *away) chosen() bool { return a.asked || a.context != "" }

// ask does something with the server.
func (a *away) ask(ctx context.Context, t Terminal, connect Connect, output string, do func(context.Context, session) error) error {
	s, err := dialled(t, connect, a.context)
	if err != nil {
		return err
	}
	s.output = output
	return errors.Join(do(ctx, s), s.Close())
}

// lintOnServer says what is wrong or doubtful in policies as the server knows it, by the connections and the schema that
// it has: with what the server would refuse, how many doubts there are.
func lintOnServer(ctx context.Context, s session, files []string, strict bool) error {
	var wrong []error
	doubts := 0
	for _, file := range files {
		text, err := readFile(s.t, file)
		if err != nil {
			return err
		}
		answer, err := s.Policies.LintPolicy(ctx, &adgv1.LintPolicyRequest{Text: string(text)})
		if err != nil {
			return err
		}
		showProblems(s.t.Out, file, answer.GetProblems())
		if len(answer.GetProblems()) == 0 {
			_, _ = fmt.Fprintf(s.t.Out, "%s: good\n", clean(file))
		}
		if answer.GetPromise() != "" {
			_, _ = fmt.Fprintf(s.t.Out, "%s: promise: %s\n", clean(file), clean(answer.GetPromise()))
		}
		unusable := unusable(answer.GetProblems())
		if doubts += len(answer.GetProblems()); unusable != nil {
			wrong = append(wrong, adg.Errorf(adg.Invalid, "%s: %w", clean(file), unusable))
		}
	}
	if len(wrong) == 0 && strict && doubts > 0 {
		return adg.Errorf(adg.Invalid, "%d warnings, and --strict allows none", doubts)
	}
	return errors.Join(wrong...)
}

func showProblems(out io.Writer, file string, all []*adgv1.PolicyProblem) {
	for _, p := range all {
		line := fmt.Sprintf("%s:%d:%d: ", clean(file), p.GetLine(), p.GetColumn())
		if p.GetPath() != "" {
			line += clean(p.GetPath()) + ": "
		}
		if line += clean(p.GetText()); p.GetSuggestion() != "" {
			line += fmt.Sprintf(" — did you mean %q?", clean(p.GetSuggestion()))
		}
		_, _ = fmt.Fprintln(out, line)
	}
}

// unusable is an error if some of the problems are fatal.
func unusable(all []*adgv1.PolicyProblem) error {
	fatal := 0
	for _, p := range all {
		if p.GetFatal() {
			fatal++
		}
	}
	if fatal == 0 {
		return nil
	}
	return adg.Errorf(adg.Invalid, "the policy cannot be used: %d problems", fatal)
}

// testOnServer asks every query of a policy by the server's connections.
func testOnServer(ctx context.Context, s session, o TestOptions) error {
	f, err := readPolicy(s.t, o.File)
	if err != nil {
		return err
	}
	r := &adgv1.TestPolicyRequest{Service: f.service, Environment: f.environment, Text: f.text, Previous: o.Previous}
	if o.Version != "" {
		r.Release = &adgv1.Release{Service: f.service, Version: o.Version, Schema: o.Schema}
	}
	answer, err := s.Policies.TestPolicy(ctx, r)
	if err != nil {
		return err
	}
	err = s.show(answer, func() error { return showTests(s.t.Out, o.File, answer) })
	unknown := 0
	for _, c := range answer.GetChecks() {
		if c.GetJudgement().GetVerdict() == adgv1.Verdict_VERDICT_UNKNOWN {
			unknown++
		}
	}
	if unusable := unusable(answer.GetProblems()); unusable != nil {
		return errors.Join(err, unusable)
	}
	return errors.Join(err, mute(unknown, len(answer.GetChecks())))
}

func showTests(out io.Writer, file string, answer *adgv1.TestPolicyResponse) (err error) {
	showProblems(out, file, answer.GetProblems())
	if len(answer.GetChecks()) == 0 && answer.GetRollback() == nil {
		return nil
	}
	defer func() {
		if plan := answer.GetRollback(); err == nil && plan != nil {
			_, _ = fmt.Fprintln(out)
			err = facts(Terminal{Out: out}, wayBack(plan)...)
		}
	}()
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, testedHead)
	for _, c := range answer.GetChecks() {
		var verdict adg.Verdict
		j := c.GetJudgement()
		same(&verdict, j.GetVerdict())
		var took string
		if len(c.GetMeasurements()) > 0 {
			took = c.GetMeasurements()[0].GetTook().AsDuration().Round(100_000).String()
		}
		unit := j.GetUnit()
		_, _ = fmt.Fprintf(w, "%s\t%s %s\t%s\t%s\t%s\t%s\t%s\n", flat(c.GetCheck()), mark(verdict), verdict,
			amount(j.Value, unit), amount(j.Baseline, unit), amount(j.Limit, unit), took, clean(j.GetText()))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, c := range answer.GetChecks() {
		for _, m := range c.GetMeasurements() {
			for _, sent := range m.GetSent() {
				_, _ = fmt.Fprintf(out, "\n%s, %s: %s", flat(m.GetCheck()), wordOf(m.GetArm()), clean(sent))
			}
			for _, warning := range m.GetWarnings() {
				_, _ = fmt.Fprintf(out, "\n%s, %s: warning: %s", flat(m.GetCheck()), wordOf(m.GetArm()), clean(warning))
			}
		}
	}
	_, err = fmt.Fprintln(out)
	return err
}

// schemaOfServer prints the schema of policies as the server takes them.
func schemaOfServer(ctx context.Context, s session) error {
	answer, err := s.Policies.GetPolicySchema(ctx, &adgv1.GetPolicySchemaRequest{})
	if err != nil {
		return err
	}
	written, err := protojson.Marshal(answer.GetSchema())
	if err != nil {
		return adg.Errorf(adg.Internal, "writing the schema: %w", err)
	}
	var fields map[string]any // protojson sprinkles blanks by chance
	if err := json.Unmarshal(written, &fields); err != nil {
		return adg.Errorf(adg.Internal, "writing the schema: %w", err)
	}
	to := json.NewEncoder(s.t.Out)
	to.SetIndent("", "  ")
	return to.Encode(fields)
}

// backtestOnServer tries a policy on what the server has on record.
func backtestOnServer(ctx context.Context, s session, o BacktestOptions) (backtest.Result, error) {
	f, err := readPolicy(s.t, o.File)
	if err != nil {
		return backtest.Result{}, err
	}
	r := &adgv1.BacktestPolicyRequest{Service: f.service, Environment: f.environment, Text: f.text, Limit: int32(o.Limit)} //nolint:gosec // 1,000 at most
	if !o.From.IsZero() {
		r.FromTime = timestamppb.New(o.From)
	}
	if !o.To.IsZero() {
		r.ToTime = timestamppb.New(o.To)
	}
	stream, err := s.Policies.BacktestPolicy(ctx, r)
	if err != nil {
		return backtest.Result{}, err
	}
	var result backtest.Result
	for {
		piece, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return result, adg.Errorf(adg.Unavailable, "the server ended before it was done: try again")
		case err != nil:
			return result, err
		case piece.GetSummary() != nil:
			result.Summary = readSummary(piece.GetSummary())
			slices.SortStableFunc(result.Cases, func(a, b backtest.Case) int { return a.Began.Compare(b.Began) })
			return result, nil
		}
		o.Progress(int(piece.GetDone()), int(piece.GetAll()))
		if piece.GetCase() != nil {
			result.Cases = append(result.Cases, readCase(piece.GetCase()))
		}
	}
}

func readCase(c *adgv1.BacktestCase) backtest.Case {
	was := ""
	if c.GetWas() != adgv1.State_STATE_UNSPECIFIED {
		was = spoken(c.GetWas())
	}
	return backtest.Case{
		Name: c.GetDeployment(), Release: c.GetVersion(), Began: c.GetBeginTime().AsTime(), Truth: backtest.Truth(c.GetTruth()), Was: was,
		WasFound: readSeconds(c.GetWasFound()), WasServed: c.WasServed, WouldBe: backtest.End(c.GetWouldBe()), Found: readSeconds(c.GetFound()),
		Detect:  readDetect(c),
		Decided: readSeconds(c.GetDecided()), Served: c.Served, Reasons: c.GetReasons(), Missing: c.GetMissing(), Notes: c.GetNotes(),
	}
}

// readDetect is the time to detection: the fault of a recorded release was there from its first traffic.
func readDetect(c *adgv1.BacktestCase) *float64 {
	if backtest.Truth(c.GetTruth()) != backtest.Bad {
		return nil
	}
	return readSeconds(c.GetFound())
}

func readSummary(s *adgv1.BacktestSummary) backtest.Summary {
	return backtest.Summary{
		Cases: int(s.GetCases()), Skipped: int(s.GetSkipped()), FalseRollbacks: readRate(s.GetFalseRollbacks()), Detections: readRate(s.GetDetections()),
		Early: int(s.GetEarly()), Median: readSeconds(s.GetDetectMedian()), P95: readSeconds(s.GetDetectP95()), Served: s.GetServed(),
		Promoted: int(s.GetPromoted()), Open: int(s.GetOpen()), WasMedian: readSeconds(s.GetWasMedian()), WasServed: s.WasServed,
	}
}

func readRate(r *adgv1.BacktestRate) backtest.Rate {
	return backtest.Rate{N: int(r.GetCount()), Of: int(r.GetOf()), Low: r.GetLow(), High: r.GetHigh()}
}

func readSeconds(d *durationpb.Duration) *float64 {
	if d == nil {
		return nil
	}
	return new(d.AsDuration().Seconds())
}

var testedHead = strings.Join([]string{"CHECK", "VERDICT", "VALUE", "BASELINE", "LIMIT", "TOOK", "SENTENCE"}, "\t")
