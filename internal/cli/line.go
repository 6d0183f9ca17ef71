package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/deployguardian/adg"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// Private

// reach is the part of everything that a stop holds for.
type reach struct {
	scope
	all bool
}

func (r *reach) flags(cmd *cobra.Command, t Terminal, connect Connect) {
	cmd.Flags().BoolVar(&r.all, "all", false, "everything")
	r.scope.flags(cmd, t, connect)
}

// said is the scope that was asked for; nothing is never everything.
func (r *reach) said() (*adgv1.Scope, error) {
	if r.all == (r.service != "" || r.environment != "") {
		return nil, adg.Errorf(adg.Invalid, "how much of it? --all, or --env and --service, or one of the two")
	}
	return &adgv1.Scope{Service: r.service, Environment: r.environment}, nil
}

// spokenScope is a scope within a sentence.
func spokenScope(s *adgv1.Scope) string {
	switch service, environment := s.GetService(), s.GetEnvironment(); {
	case service == "" && environment == "":
		return "everything"
	case environment == "":
		return service + " everywhere"
	case service == "":
		return "everything in " + environment
	default:
		return service + " in " + environment
	}
}

func stopCommand(t Terminal, connect Connect) *cobra.Command {
	var r reach
	var reason string
	cmd := &cobra.Command{
		Use: "stop --all | --env ENVIRONMENT | --service SERVICE", Short: "Stop the line: ADG does not act there until it is resumed", Args: cobra.NoArgs,
		Long: `Stop the line: ADG starts nothing there, promotes nothing and rolls nothing back until adg resume. Guarding and
recording go on, and people are told what would have been done.`,
		Example: `  adg stop --all --reason 'the metrics are wrong'
  adg stop -e production --reason 'moving the data centre'
  adg stop list`,
	}
	r.flags(cmd, t, connect)
	reasonFlag(cmd, &reason)
	cmd.AddCommand(listStopsCommand(t, connect))
	return online(t, connect, cmd, func(ctx context.Context, s session, _ []string) error {
		scope, err := r.said()
		if err != nil {
			return err
		}
		if err := because(reason); err != nil {
			return err
		}
		stop, err := s.Line.StopLine(ctx, &adgv1.StopLineRequest{Scope: scope, Reason: reason})
		if err != nil {
			return err
		}
		return s.show(stop, func() error { return s.line("stopped: " + spokenScope(stop.GetScope())) })
	})
}

func resumeCommand(t Terminal, connect Connect) *cobra.Command {
	var r reach
	var reason string
	cmd := &cobra.Command{
		Use: "resume --all | --env ENVIRONMENT | --service SERVICE", Short: "End a stop of the line", Args: cobra.NoArgs,
		Long:    "End the stop of exactly that scope, as adg stop list shows it. Other stops stay.",
		Example: "  adg resume --all --reason 'the metrics are right again'",
	}
	r.flags(cmd, t, connect)
	reasonFlag(cmd, &reason)
	return online(t, connect, cmd, func(ctx context.Context, s session, _ []string) error {
		scope, err := r.said()
		if err != nil {
			return err
		}
		if err := because(reason); err != nil {
			return err
		}
		answer, err := s.Line.ResumeLine(ctx, &adgv1.ResumeLineRequest{Scope: scope, Reason: reason})
		if err != nil {
			return err
		}
		return s.show(answer, func() error { return s.line("resumed: " + spokenScope(scope)) })
	})
}

func listStopsCommand(t Terminal, connect Connect) *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List the stops in force, the widest first", Args: cobra.NoArgs, Example: "  adg stop list"}
	return online(t, connect, cmd, func(ctx context.Context, s session, _ []string) error {
		return list(s, listing[*adgv1.Stop]{
			none: "the line is not stopped anywhere", header: []string{"STOPPED", "SINCE", "BY", "BECAUSE"},
			page: func(size int32, token string) ([]*adgv1.Stop, string, error) {
				answer, err := s.Line.ListStops(ctx, &adgv1.ListStopsRequest{PageSize: size, PageToken: token})
				return answer.GetStops(), answer.GetNextPageToken(), err
			},
			row: func(stop *adgv1.Stop) []string {
				return []string{spokenScope(stop.GetScope()), when(s.now, stop.GetTime()), stop.GetActor(), stop.GetReason()}
			},
		})
	})
}

func freezeCommand(t Terminal, connect Connect) *cobra.Command {
	return group("freeze", "Say when deployments may not begin", listFreezesCommand(t, connect), putFreezeCommand(t, connect), dropFreezeCommand(t, connect))
}

func listFreezesCommand(t Terminal, connect Connect) *cobra.Command {
	var where scope
	var active bool
	var limit int
	cmd := &cobra.Command{Use: "list", Short: "List freeze windows", Args: cobra.NoArgs, Example: "  adg freeze list --active"}
	where.flags(cmd, t, connect)
	cmd.Flags().BoolVar(&active, "active", false, "only those that hold now")
	limitFlag(cmd, &limit)
	return online(t, connect, cmd, func(ctx context.Context, s session, _ []string) error {
		return list(s, listing[*adgv1.FreezeWindow]{
			limit: limit, none: "there is no freeze window", header: []string{"NAME", "SERVICE", "ENVIRONMENT", "WHEN", "HOLDS", "BY", "BECAUSE"},
			page: func(size int32, token string) ([]*adgv1.FreezeWindow, string, error) {
				answer, err := s.Line.ListFreezeWindows(ctx, &adgv1.ListFreezeWindowsRequest{
					Active: active, Service: where.service, Environment: where.environment, PageSize: size, PageToken: token,
				})
				return answer.GetFreezes(), answer.GetNextPageToken(), err
			},
			row: func(f *adgv1.FreezeWindow) []string {
				holds := "not now"
				switch {
				case f.GetActive() && f.GetActiveUntilTime() != nil:
					holds = "ends " + when(s.now, f.GetActiveUntilTime())
				case f.GetActive():
					holds = "until dropped"
				}
				return []string{f.GetName(), everything(f.GetService()), everything(f.GetEnvironment()), window(s, f), holds, f.GetActor(), f.GetReason()}
			},
		})
	})
}

// everything stands for a name that is empty because it means all.
func everything(name string) string {
	if name == "" {
		return "*"
	}
	return name
}

// window is when a freeze window holds.
func window(s session, f *adgv1.FreezeWindow) string {
	if w := f.GetWeekly(); w != nil {
		zone := w.GetZone()
		if zone == "" {
			zone = "UTC"
		}
		return fmt.Sprintf("weekly, %s to %s %s", w.GetFrom(), w.GetUntil(), zone)
	}
	until := "until dropped"
	if f.GetUntilTime() != nil {
		until = "to " + when(s.now, f.GetUntilTime())
	}
	return "from " + when(s.now, f.GetFromTime()) + " " + until
}

func putFreezeCommand(t Terminal, connect Connect) *cobra.Command {
	var where scope
	var from, until, reason string
	var weekly adgv1.WeeklyFreeze
	cmd := &cobra.Command{
		Use: "put NAME --reason WHY", Short: "Make a freeze window, or replace the one of that name", Args: cobra.ExactArgs(1),
		Long: `Make a freeze window, or replace the one of that name: no deployment begins within it. Those under way go on, and
rollbacks are never kept back. Without a service and an environment it holds for all; a final '*' makes a prefix.`,
		Example: `  adg freeze put year-end -e production --from 2026-12-20 --until 2027-01-02 --reason 'sales of the year'
  adg freeze put weekend -e 'prod*' --weekly-from 'Fri 16:00' --weekly-until 'Mon 06:00' --zone Europe/Berlin --reason 'nobody is there'`,
	}
	where.flags(cmd, t, connect)
	flags := cmd.Flags()
	flags.StringVar(&from, "from", "", "when it begins: a `time`, a day, or how long until then (default: now)")
	flags.StringVar(&until, "until", "", "when it ends: a `time`, a day, or how long until then (default: when somebody drops it)")
	flags.StringVar(&weekly.From, "weekly-from", "", "when it begins each week: a `day and hour`")
	flags.StringVar(&weekly.Until, "weekly-until", "", "when it ends each week: a `day and hour`")
	flags.StringVar(&weekly.Zone, "zone", "", "`name` of the time zone of a weekly one (default: UTC)")
	reasonFlag(cmd, &reason)
	return online(t, connect, cmd, func(ctx context.Context, s session, args []string) (err error) {
		if err := because(reason); err != nil {
			return err
		}
		f := &adgv1.FreezeWindow{Name: args[0], Service: where.service, Environment: where.environment, Reason: reason}
		if weekly.From != "" || weekly.Until != "" {
			if from != "" || until != "" || weekly.From == "" || weekly.Until == "" {
				return adg.Errorf(adg.Invalid, "a weekly window has --weekly-from and --weekly-until, and no --from or --until")
			}
			f.Weekly = &weekly
		} else {
			if from == "" {
				from = "1s"
			}
			if f.FromTime, err = coming("from", from, s.now); err != nil {
				return err
			}
			if f.UntilTime, err = coming("until", until, s.now); err != nil {
				return err
			}
		}
		if f, err = putFreeze(ctx, s, f); err != nil {
			return err
		}
		return s.show(f, func() error { return s.line("frozen: " + f.GetName() + ", " + window(s, f)) })
	})
}

// putFreeze makes a window, or replaces the one that is there.
func putFreeze(ctx context.Context, s session, f *adgv1.FreezeWindow) (*adgv1.FreezeWindow, error) {
	before, err := s.Line.GetFreezeWindow(ctx, &adgv1.GetFreezeWindowRequest{Name: f.GetName()})
	switch {
	case err == nil:
		return s.Line.UpdateFreezeWindow(ctx, &adgv1.UpdateFreezeWindowRequest{Freeze: f, Etag: before.GetEtag(), Reason: f.GetReason()})
	case adg.CodeOf(err) == adg.NotFound:
		return s.Line.CreateFreezeWindow(ctx, &adgv1.CreateFreezeWindowRequest{Freeze: f, Reason: f.GetReason()})
	}
	return nil, err
}

func dropFreezeCommand(t Terminal, connect Connect) *cobra.Command {
	var reason string
	cmd := &cobra.Command{Use: "drop NAME --reason WHY", Short: "Drop a freeze window", Args: cobra.ExactArgs(1), Example: "  adg freeze drop year-end --reason 'it is over'"}
	reasonFlag(cmd, &reason)
	return online(t, connect, cmd, func(ctx context.Context, s session, args []string) error {
		if err := because(reason); err != nil {
			return err
		}
		answer, err := s.Line.DeleteFreezeWindow(ctx, &adgv1.DeleteFreezeWindowRequest{Name: args[0], Reason: reason})
		if err != nil {
			return err
		}
		return s.show(answer, func() error { return s.line("dropped: " + args[0]) })
	})
}
