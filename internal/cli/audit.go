package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/deployguardian/adg"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// Private

func auditCommand(t Terminal, connect Connect) *cobra.Command {
	return group("audit", "Show who did what, and prove that nothing of it was changed", listAuditCommand(t, connect), verifyAuditCommand(t, connect))
}

func listAuditCommand(t Terminal, connect Connect) *cobra.Command {
	var where scope
	var r adgv1.ListAuditEntriesRequest
	var outcomes []string
	var from, to string
	var limit int
	cmd := &cobra.Command{
		Use: "list", Short: "List who did what, to what, why and from where, the newest first", Args: cobra.NoArgs,
		Example: `  adg audit list --actor alice --from 168h
  adg audit list --action policy. -s checkout --outcome denied`,
	}
	where.flags(cmd, t, connect)
	flags := cmd.Flags()
	flags.StringVar(&r.Actor, "actor", "", "only what this `person` did")
	flags.StringVar(&r.Action, "action", "", "only this `action`; with a final '.' all below it")
	flags.StringVar(&r.Resource, "resource", "", "only what was done to this `resource`")
	flags.StringSliceVar(&outcomes, "outcome", nil, "only what ended so: done, denied or failed; may be repeated")
	flags.StringVar(&from, "from", "", "since: a `time`, a day, or how long ago (720h)")
	flags.StringVar(&to, "to", "", "until: a `time`, a day, or how long ago")
	flags.BoolVar(&r.OldestFirst, "oldest-first", false, "the oldest first")
	completeWords(cmd, "outcome", choices[adgv1.AuditOutcome]())
	limitFlag(cmd, &limit)
	return online(t, connect, cmd, func(ctx context.Context, s session, _ []string) (err error) {
		r.Service, r.Environment = where.service, where.environment
		if r.Outcomes, err = enums[adgv1.AuditOutcome]("outcome", outcomes); err != nil {
			return err
		}
		if r.FromTime, err = past("from", from, s.now); err != nil {
			return err
		}
		if r.ToTime, err = past("to", to, s.now); err != nil {
			return err
		}
		return list(s, listing[*adgv1.AuditEntry]{
			limit: limit, none: "there is no such entry", header: []string{"NUMBER", "WHEN", "WHO", "FROM", "ACTION", "RESOURCE", "OUTCOME", "REASON"},
			page: func(size int32, token string) ([]*adgv1.AuditEntry, string, error) {
				r.PageSize, r.PageToken = size, token
				answer, err := s.Audit.ListAuditEntries(ctx, &r)
				return answer.GetEntries(), answer.GetNextPageToken(), err
			},
			row: func(e *adgv1.AuditEntry) []string {
				return []string{fmt.Sprint(e.GetSeq()), when(s.now, e.GetTime()), e.GetActor(), dash(e.GetAddress()), e.GetAction(), e.GetResource(), spoken(e.GetOutcome()), e.GetReason()}
			},
		})
	})
}

func verifyAuditCommand(t Terminal, connect Connect) *cobra.Command {
	var r adgv1.VerifyAuditLogRequest
	cmd := &cobra.Command{
		Use: "verify", Short: "Check that the audit log is as it was written", Args: cobra.NoArgs,
		Long: `Check that the audit log is as it was written: each entry holds the digest of the one before. The exit code is 1 if
it is not.

The number and digest of the last entry are printed: note them elsewhere, and say them next time with --after and
--digest. So it is also noticed if the end of the log was cut off.`,
		Example: `  adg audit verify
  adg audit verify --after 81734 --digest 9f2c…`,
	}
	cmd.Flags().Int64Var(&r.AfterSeq, "after", 0, "`number` of the last entry that is trusted (default: from the beginning)")
	cmd.Flags().StringVar(&r.AfterDigest, "digest", "", "`digest` of that entry")
	return online(t, connect, cmd, func(ctx context.Context, s session, _ []string) error {
		if (r.GetAfterSeq() != 0) != (r.GetAfterDigest() != "") {
			return adg.Errorf(adg.Invalid, "--after and --digest belong together: both are printed by adg audit verify")
		}
		answer, err := s.Audit.VerifyAuditLog(ctx, &r)
		if err != nil {
			return err
		}
		err = s.show(answer, func() error {
			return facts(t, "checked", fmt.Sprintf("%d entries", answer.GetEntries()), "last", fmt.Sprint(answer.GetLastSeq()), "digest", answer.GetLastDigest())
		})
		if err == nil && !answer.GetIntact() {
			err = adg.Errorf(adg.Conflict, "the audit log is not as it was written: %s", clean(answer.GetProblem()))
		}
		return err
	})
}
