package cli

import (
	"cmp"
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/deployguardian/adg"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// Private

// pick is a release of a service in an environment, by what it is made of.
type pick struct {
	scope
	release adg.Release
}

func (p *pick) flags(cmd *cobra.Command, t Terminal, connect Connect) {
	p.scope.flags(cmd, t, connect)
	cmd.Flags().StringVar(&p.release.Version, "version", "", "`version` of the release")
	cmd.Flags().StringVar(&p.release.Artifact, "artifact", "", "image, digest or path of the release, where it was deployed with one")
	cmd.Flags().StringVar(&p.release.Config, "config-revision", "", "revision of the release's configuration, where it was deployed with one")
}

// complete refuses what is no release.
func (p *pick) complete() error {
	if err := p.whole(); err != nil {
		return err
	}
	p.release.Service = p.service
	return p.release.Validate()
}

func holdCommand(t Terminal, calls Calls) *cobra.Command {
	return group("hold", "Keep releases from being deployed by automation", listHoldsCommand(t, calls.Connect), putHoldCommand(t, calls.Connect), liftHoldCommand(t, calls))
}

func listHoldsCommand(t Terminal, connect Connect) *cobra.Command {
	var where scopes
	var limit int
	cmd := &cobra.Command{Use: "list", Short: "List the holds in force", Args: cobra.NoArgs, Example: "  adg hold list -e production"}
	where.flags(cmd, t, connect)
	limitFlag(cmd, &limit)
	return online(t, connect, cmd, func(ctx context.Context, s session, _ []string) error {
		return list(s, listing[*adgv1.ReleaseHold]{
			limit: limit, none: "no release is on hold", header: []string{"SERVICE", "ENVIRONMENT", "RELEASE", "SINCE", "ENDS", "BY", "BECAUSE"},
			page: func(size int32, token string) ([]*adgv1.ReleaseHold, string, error) {
				answer, err := s.Releases.ListHolds(ctx, &adgv1.ListHoldsRequest{Services: where.services, Environments: where.environments, PageSize: size, PageToken: token})
				return answer.GetHolds(), answer.GetNextPageToken(), err
			},
			row: func(h *adgv1.ReleaseHold) []string {
				ends := "when lifted"
				if h.GetUntilTime() != nil {
					ends = when(s.now, h.GetUntilTime())
				}
				return []string{h.GetService(), h.GetEnvironment(), h.GetIdentity(), when(s.now, h.GetSinceTime()), ends, h.GetActor(), h.GetReason()}
			},
		})
	})
}

func putHoldCommand(t Terminal, connect Connect) *cobra.Command {
	var p pick
	var until, reason string
	cmd := &cobra.Command{
		Use: "put -s SERVICE -e ENVIRONMENT --version VERSION --reason WHY", Short: "Put a release on hold", Args: cobra.NoArgs,
		Long: `Put a release on hold: automation does not deploy it until the hold is lifted or ends. Other releases of the service
may deploy. A release that was deployed with an artifact is told by it, so name the same one.`,
		Example: "  adg hold put -s checkout -e production --version 1.4.2 --until 48h --reason 'loses orders of guests'",
	}
	p.flags(cmd, t, connect)
	cmd.Flags().StringVar(&until, "until", "", "when the hold ends: a `time`, a day, or how long until then (default: when somebody lifts it)")
	reasonFlag(cmd, &reason)
	return online(t, connect, cmd, func(ctx context.Context, s session, _ []string) error {
		if err := p.complete(); err != nil {
			return err
		}
		if err := because(reason); err != nil {
			return err
		}
		ends, err := coming("until", until, s.now)
		if err != nil {
			return err
		}
		h, err := s.Releases.CreateHold(ctx, &adgv1.CreateHoldRequest{
			Service: p.service, Environment: p.environment, Identity: p.release.Identity(), Reason: reason, UntilTime: ends,
		})
		if err != nil {
			return err
		}
		return s.show(h, func() error {
			return s.line(fmt.Sprintf("on hold: %s %s in %s", h.GetService(), h.GetIdentity(), h.GetEnvironment()))
		})
	})
}

func liftHoldCommand(t Terminal, calls Calls) *cobra.Command {
	var p pick
	var reason, etag, dir, actor string
	cmd := &cobra.Command{
		Use: "lift -s SERVICE -e ENVIRONMENT --version VERSION --reason WHY", Short: "End a hold: the release may be deployed again", Args: cobra.NoArgs,
		Long: `End a hold: the release may be deployed again. With --data-dir it is a hold of the deployments that adg run guarded with that
directory; no server is asked.`,
		Example: `  adg hold lift -s checkout -e production --version 1.4.2 --reason 'it was the network'
  adg hold lift --data-dir .adg -s checkout -e production --version 1.4.2 --reason 'it was the network'`,
	}
	p.flags(cmd, t, calls.Connect)
	cmd.Flags().StringVar(&etag, "etag", "", "`etag` of what you looked at: if it has changed since, nothing is done")
	cmd.Flags().StringVar(&dir, "data-dir", "", "`directory` of adg run, in place of a server")
	_ = cmd.MarkFlagDirname("data-dir")
	actorFlag(cmd, &actor)
	cmd.Flags().Lookup("actor").Usage = "`name` of who lifts it, for the record, with --data-dir (or ADG_ACTOR)"
	reasonFlag(cmd, &reason)
	lifted := func() string {
		return fmt.Sprintf("no longer on hold: %s %s in %s", p.service, p.release.Identity(), p.environment)
	}
	said := func() error { return cmp.Or(p.complete(), because(reason)) }
	cmd = online(t, calls.Connect, cmd, func(ctx context.Context, s session, _ []string) error {
		if err := said(); err != nil {
			return err
		}
		answer, err := s.Releases.LiftHold(ctx, &adgv1.LiftHoldRequest{
			Service: p.service, Environment: p.environment, Identity: p.release.Identity(), Etag: etag, Reason: reason,
		})
		if err != nil {
			return err
		}
		return s.show(answer, func() error { return s.line(lifted()) })
	})
	atServer := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if dir == "" {
			return atServer(cmd, args)
		}
		if err := said(); err != nil {
			return err
		}
		entry := adg.AuditEntry{Actor: actor, Service: p.service, Environment: p.environment, Reason: reason}
		if err := calls.LiftHold(cmd.Context(), dir, p.release.Identity(), entry); err != nil {
			return err
		}
		_, err := fmt.Fprintln(t.Out, clean(lifted()))
		return err
	}
	cmd.MarkFlagsMutuallyExclusive("data-dir", "context")
	cmd.MarkFlagsMutuallyExclusive("data-dir", "etag")
	return cmd
}

func releaseCommand(t Terminal, connect Connect) *cobra.Command {
	return group("release", "Show what is known of releases, and say which are good", listReleasesCommand(t, connect), markGoodCommand(t, connect))
}

func listReleasesCommand(t Terminal, connect Connect) *cobra.Command {
	var where scopes
	var standings []string
	var limit int
	cmd := &cobra.Command{
		Use: "list", Short: "List what is known of releases, the newest news first", Args: cobra.NoArgs,
		Example: `  adg release list -s checkout
  adg release list --standing rolled_back`,
	}
	where.flags(cmd, t, connect)
	cmd.Flags().StringSliceVar(&standings, "standing", nil, "only of these `standings`; may be repeated")
	completeWords(cmd, "standing", choices[adgv1.Standing]())
	limitFlag(cmd, &limit)
	return online(t, connect, cmd, func(ctx context.Context, s session, _ []string) error {
		wanted, err := enums[adgv1.Standing]("standing", standings)
		if err != nil {
			return err
		}
		return list(s, listing[*adgv1.ReleaseRecord]{
			limit: limit, none: "nothing is known of any such release", header: []string{"SERVICE", "ENVIRONMENT", "VERSION", "IS", "SINCE", "HOLD", "BECAUSE"},
			page: func(size int32, token string) ([]*adgv1.ReleaseRecord, string, error) {
				answer, err := s.Releases.ListReleases(ctx, &adgv1.ListReleasesRequest{
					Services: where.services, Environments: where.environments, Standings: wanted, PageSize: size, PageToken: token,
				})
				return answer.GetReleases(), answer.GetNextPageToken(), err
			},
			row: func(r *adgv1.ReleaseRecord) []string {
				is, hold := spoken(r.GetStanding()), "no"
				if r.GetLastGood() {
					is += ", rolled back to"
				}
				if r.GetHold() != nil {
					hold = "yes"
				}
				return []string{r.GetRelease().GetService(), r.GetEnvironment(), r.GetRelease().GetVersion(), is, when(s.now, r.GetSinceTime()), hold, r.GetWhy()}
			},
		})
	})
}

func markGoodCommand(t Terminal, connect Connect) *cobra.Command {
	var p pick
	var reason string
	cmd := &cobra.Command{
		Use: "mark-good -s SERVICE -e ENVIRONMENT --version VERSION --reason WHY", Short: "Say that a release is good: a rollback may go to it", Args: cobra.NoArgs,
		Example: "  adg release mark-good -s checkout -e production --version 1.4.1 --reason 'ran for a month'",
	}
	p.flags(cmd, t, connect)
	reasonFlag(cmd, &reason)
	return online(t, connect, cmd, func(ctx context.Context, s session, _ []string) error {
		if err := p.complete(); err != nil {
			return err
		}
		if err := because(reason); err != nil {
			return err
		}
		r, err := s.Releases.MarkReleaseGood(ctx, &adgv1.MarkReleaseGoodRequest{
			Environment: p.environment, Reason: reason,
			Release: &adgv1.Release{Service: p.service, Version: p.release.Version, Artifact: p.release.Artifact, Config: p.release.Config},
		})
		if err != nil {
			return err
		}
		return s.show(r, func() error {
			return s.line(fmt.Sprintf("good: %s %s in %s", r.GetRelease().GetService(), r.GetRelease().GetVersion(), r.GetEnvironment()))
		})
	})
}
