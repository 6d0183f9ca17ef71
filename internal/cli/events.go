package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/deployguardian/adg"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// Private

// eventFilter is what `adg events` is told.
type eventFilter struct {
	scopes
	kinds      []string
	deployment string
	urgent     bool
	follow     bool
	after      int64
	from       string
	limit      int
	patience   time.Duration
}

func eventsCommand(t Terminal, connect Connect) *cobra.Command {
	var f eventFilter
	cmd := &cobra.Command{
		Use: "events", Short: "Show what happened, and with --follow what happens", Args: cobra.NoArgs,
		Long: `Show what happened, the newest last. What concerns all services, such as a stop of everything, is shown with each of them,
and what concerns all environments with each of those.

--follow shows what happens from now on, until it is interrupted; with --after from the event behind that cursor on, so
that a reader who notes the last cursor that he saw misses nothing and sees nothing twice. Lost connections are borne
for as long as --patience says.`,
		Example: `  adg events -e production --from 24h
  adg events --follow --urgent
  adg events --follow --after 81734 --output json`,
	}
	flags := cmd.Flags()
	f.flags(cmd, t, connect)
	flags.BoolVarP(&f.follow, "follow", "f", false, "show what happens, until interrupted")
	flags.Int64Var(&f.after, "after", 0, "with --follow, only what comes after this `cursor`")
	flags.StringVar(&f.deployment, "deployment", "", "only of the deployment with this `id`")
	flags.StringSliceVar(&f.kinds, "kind", nil, "only of these `kinds`; may be repeated")
	flags.BoolVar(&f.urgent, "urgent", false, "only what wakes people")
	flags.StringVar(&f.from, "from", "", "only since: a `time`, a day, or how long ago (24h)")
	completeWords(cmd, "kind", choices[adgv1.FactKind]())
	limitFlag(cmd, &f.limit)
	patienceFlag(cmd, &f.patience)
	cmd.AddCommand(deadCommand(t, connect), retryCommand(t, connect))
	return online(t, connect, cmd, func(ctx context.Context, s session, _ []string) error {
		kinds, err := enums[adgv1.FactKind]("kind", f.kinds)
		if err != nil {
			return err
		}
		if !f.follow {
			if cmd.Flags().Changed("after") {
				return adg.Errorf(adg.Invalid, "--after is for --follow: without it say --from")
			}
			return pastEvents(ctx, s, f, kinds)
		}
		if f.from != "" {
			return adg.Errorf(adg.Invalid, "--from is for what happened: with --follow say --after")
		}
		r := &adgv1.StreamEventsRequest{Deployment: f.deployment, Services: f.services, Environments: f.environments, Kinds: kinds, Urgent: f.urgent}
		if cmd.Flags().Changed("after") {
			r.After = &f.after
		}
		return followEvents(ctx, s, r, f.patience)
	})
}

func deadCommand(t Terminal, connect Connect) *cobra.Command {
	var notifier string
	var limit int
	cmd := &cobra.Command{
		Use: "dead", Short: "List what could not be told to a notifier and was given up, the oldest first", Args: cobra.NoArgs,
		Example: "  adg events dead --notifier chat",
	}
	cmd.Flags().StringVar(&notifier, "notifier", "", "only what was for the notifier with this `name`")
	limitFlag(cmd, &limit)
	return online(t, connect, cmd, func(ctx context.Context, s session, _ []string) error {
		return list(s, listing[*adgv1.Delivery]{
			limit: limit, none: "nothing was given up: every fact is told or on its way", header: []string{"ID", "NOTIFIER", "FACT", "SERVICE", "ENVIRONMENT", "GIVEN UP", "TRIES", "BECAUSE"},
			page: func(size int32, token string) ([]*adgv1.Delivery, string, error) {
				answer, err := s.Events.ListDeadDeliveries(ctx, &adgv1.ListDeadDeliveriesRequest{Notifier: notifier, PageSize: size, PageToken: token})
				return answer.GetDeliveries(), answer.GetNextPageToken(), err
			},
			row: func(d *adgv1.Delivery) []string {
				f := d.GetFact()
				return []string{d.GetId(), d.GetNotifier(), spoken(f.GetKind()), f.GetService(), f.GetEnvironment(), when(s.now, d.GetTime()), strconv.Itoa(int(d.GetTries())), d.GetError()}
			},
		})
	})
}

func retryCommand(t Terminal, connect Connect) *cobra.Command {
	var reason, etag string
	cmd := &cobra.Command{
		Use: "retry ID --reason WHY", Short: "Tell a fact again that was given up", Args: cobra.ExactArgs(1),
		Long: `Tell a fact again that could not be told to a notifier and was given up. It is told after what waits for the notifier
already. The ids are those that adg events dead shows.`,
		Example: "  adg events retry Y2hhdC9mMQ --reason 'the chat is back'",
	}
	cmd.Flags().StringVar(&etag, "etag", "", "`etag` of what you looked at: if it has changed since, nothing is done")
	reasonFlag(cmd, &reason)
	return online(t, connect, cmd, func(ctx context.Context, s session, args []string) error {
		if err := because(reason); err != nil {
			return err
		}
		d, err := s.Events.RetryDelivery(ctx, &adgv1.RetryDeliveryRequest{Id: args[0], Etag: etag, Reason: reason})
		if err != nil {
			return err
		}
		return s.show(d, func() error {
			f := d.GetFact()
			if f.GetKind() == adgv1.FactKind_FACT_KIND_CHANGED {
				return s.line(fmt.Sprintf("on its way again: %s, to %s", f.GetText(), d.GetNotifier()))
			}
			return s.line(fmt.Sprintf("on its way again: %s of %s in %s, to %s", spoken(f.GetKind()), f.GetService(), f.GetEnvironment(), d.GetNotifier()))
		})
	})
}

// pastEvents shows the newest events up to the limit, the newest last.
func pastEvents(ctx context.Context, s session, f eventFilter, kinds []adgv1.FactKind) error {
	from, err := past("from", f.from, s.now)
	if err != nil {
		return err
	}
	var newest []*adgv1.Event
	if f.limit < 0 {
		return adg.Errorf(adg.Invalid, "--limit %d: a number from 1, or 0 for %d", f.limit, mostEvents)
	}
	if f.limit == 0 {
		f.limit = mostEvents
	}
	for token := ""; len(newest) < f.limit; {
		answer, err := s.Events.ListEvents(ctx, &adgv1.ListEventsRequest{
			Deployment: f.deployment, Services: f.services, Environments: f.environments, Kinds: kinds, Urgent: f.urgent, FromTime: from,
			NewestFirst: true, PageSize: int32(min(pageSize, f.limit-len(newest))), PageToken: token,
		})
		if err != nil {
			return err
		}
		newest = append(newest, answer.GetEvents()...)
		if token = answer.GetNextPageToken(); token == "" {
			break
		}
	}
	if len(newest) == 0 {
		return s.line("nothing of that kind has happened")
	}
	for i := range newest {
		if err := showEvent(s, newest[len(newest)-1-i]); err != nil {
			return err
		}
	}
	return nil
}

// mostEvents is how many past events are shown at most.
const mostEvents = 10_000

// followEvents shows what happens until a person has seen enough.
func followEvents(ctx context.Context, s session, r *adgv1.StreamEventsRequest, patience time.Duration) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	said := &lineView{out: s.t.Err}
	err := s.Stream(ctx, r, patienceOf(said, s, patience), func(e *adgv1.Event) error { return showEvent(s, e) })
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// showEvent writes an event on one line.
func showEvent(s session, e *adgv1.Event) error {
	if s.output == "json" {
		return writeJSON(s.t.Out, e)
	}
	f := e.GetFact()
	text := timeOf(f.GetTime()).Local().Format("2006-01-02 15:04:05") + "  " + sentence(f)
	if f.GetUrgent() {
		text += " (!)"
	}
	_, err := io.WriteString(s.t.Out, flat(text)+"\n")
	return err
}

// sentence is what a fact says: of a deployment, or of what somebody changed.
func sentence(f *adgv1.Fact) string {
	if f.GetKind() == adgv1.FactKind_FACT_KIND_CHANGED {
		text := fmt.Sprintf("%s: %s, by %s", spoken(f.GetKind()), f.GetText(), cmp.Or(f.GetActor(), "nobody"))
		if f.GetVia() != "" {
			text += " (" + f.GetVia() + ")"
		}
		return strings.Join(append([]string{text}, f.GetReasons()...), ": ")
	}
	about := fmt.Sprintf("%s %s in %s: ", f.GetService(), f.GetRelease(), f.GetEnvironment())
	text := about + spoken(f.GetKind())
	if said := strings.TrimPrefix(f.GetText(), about); said != "" {
		text += ": " + said
	}
	return text
}
