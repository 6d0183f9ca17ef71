package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/client"
	"github.com/deployguardian/adg/internal/contexts"
)

// Connect makes a client of a server; nothing is sent yet.
type Connect func(contexts.Context) (*client.Client, error)

// Private

// The headings that verbs stand below: those that need no server, and those that speak to one.
const (
	localGroup  = "local"
	serverGroup = "server"
)

// session is one verb's conversation with a server. Listing verbs show their answers through it.
type session struct {
	*client.Client
	t      Terminal
	at     contexts.Context
	output string
	now    time.Time // for times as people say them
}

// onlineVerbs are those that speak to a server, policy's apart.
func onlineVerbs(t Terminal, calls Calls, version string) []*cobra.Command {
	connect := calls.Connect
	verbs := []*cobra.Command{
		loginCommand(t, connect, version), logoutCommand(t, connect), contextCommand(t), whoamiCommand(t, connect),
		deployCommand(t, connect, calls.Changed), answerCommand(t, connect, approval), answerCommand(t, connect, rejection),
		holdCommand(t, calls), releaseCommand(t, connect), freezeCommand(t, connect), stopCommand(t, connect), resumeCommand(t, connect),
		eventsCommand(t, connect), auditCommand(t, connect), connectionCommand(t, connect),
		tokenCommand(t, connect), userCommand(t, connect), roleCommand(t, connect),
	}
	for _, v := range verbs {
		v.GroupID = serverGroup
	}
	return verbs
}

// group is a verb that has its meaning from those below it.
func group(use, short string, below ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(below...)
	return cmd
}

// online makes a verb of what speaks to a server: with the server to speak to, and the format of what it prints.
func online(t Terminal, connect Connect, cmd *cobra.Command, do func(context.Context, session, []string) error) *cobra.Command {
	var name, output string
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := oneOf("output", output, "text", "json"); err != nil {
			return err
		}
		s, err := dialled(t, connect, name)
		if err != nil {
			return err
		}
		s.output = output
		return errors.Join(do(cmd.Context(), s, args), s.Close())
	}
	contextFlag(cmd, &name)
	outputFlag(cmd, &output)
	return cmd
}

func contextFlag(cmd *cobra.Command, name *string) {
	cmd.Flags().StringVar(name, "context", "", "`name` of the context, as adg context list shows them (or ADG_CONTEXT)")
	_ = cmd.RegisterFlagCompletionFunc("context", completeContexts)
}

// dialled is a session with the server of a context; nothing was sent yet.
func dialled(t Terminal, connect Connect, name string) (session, error) {
	at, err := contexts.Choose(os.LookupEnv, name)
	if err != nil {
		return session{}, err
	}
	c, err := connect(at)
	return session{Client: c, t: t, at: at, now: clock()}, err
}

// line writes a sentence where people read, and nothing among JSON.
func (s session) line(text string) error {
	if s.output == "json" {
		return nil
	}
	_, err := io.WriteString(s.t.Out, clean(text)+"\n")
	return err
}

// show writes an answer: as the API's JSON on one line, or as text.
func (s session) show(m proto.Message, text func() error) error {
	if s.output == "json" {
		return writeJSON(s.t.Out, m)
	}
	return text()
}

// writeJSON writes a message as one line of the API's JSON, the same each time.
func writeJSON(out io.Writer, m proto.Message) error {
	written, err := protojson.MarshalOptions{EmitUnpopulated: true}.Marshal(m)
	if err != nil {
		return adg.Errorf(adg.Internal, "writing the answer as JSON: %w", err)
	}
	var line bytes.Buffer
	if err := json.Compact(&line, written); err != nil { // protojson sprinkles blanks by chance
		return adg.Errorf(adg.Internal, "writing the answer as JSON: %w", err)
	}
	line.WriteByte('\n')
	_, err = line.WriteTo(out)
	return err
}

// pageSize is how many are asked for at a time.
const pageSize = 200

// listing is a list that comes in pages.
type listing[T proto.Message] struct {
	limit  int // at most so many; 0: all
	header []string
	page   func(size int32, token string) (items []T, next string, err error)
	row    func(T) []string
	none   string // what an empty list means, as a sentence
}

// list shows a list: one object per line, or a table.
func list[T proto.Message](s session, l listing[T]) error {
	if l.limit < 0 {
		return adg.Errorf(adg.Invalid, "--limit %d: a number from 1, or 0 for all", l.limit)
	}
	var rows [][]string
	count, token := 0, ""
	for {
		size := pageSize
		if l.limit > 0 {
			size = min(size, l.limit-count)
		}
		items, next, err := l.page(int32(size), token)
		if err != nil {
			return err
		}
		for _, item := range items {
			count++
			if s.output != "json" {
				rows = append(rows, l.row(item))
			} else if err := writeJSON(s.t.Out, item); err != nil {
				return err
			}
		}
		if next == token && next != "" {
			return adg.Errorf(adg.Internal, "%s gives the same page again and again: tell its admin", s.at.Server)
		}
		if token = next; token == "" || l.limit > 0 && count >= l.limit {
			break
		}
	}
	switch {
	case s.output == "json":
		return nil
	case count == 0:
		return s.line(l.none)
	}
	if err := table(s.t, l.header, rows); err != nil || token == "" {
		return err
	}
	_, err := io.WriteString(s.t.Err, "there are more: see them with --limit 0\n")
	return err
}

func limitFlag(cmd *cobra.Command, limit *int) {
	cmd.Flags().IntVar(limit, "limit", 100, "at most `n`; 0: all")
}

// scope is a service in an environment, as most verbs want it.
type scope struct{ service, environment string }

func (s *scope) flags(cmd *cobra.Command, t Terminal, connect Connect) {
	cmd.Flags().StringVarP(&s.service, "service", "s", "", "`name` of the service")
	cmd.Flags().StringVarP(&s.environment, "env", "e", "", "`name` of the environment")
	completeScope(cmd, t, connect)
}

// whole refuses half a scope.
func (s *scope) whole() error {
	if s.service == "" || s.environment == "" {
		return adg.Errorf(adg.Invalid, "which service, and where? as in: -s checkout -e production")
	}
	return nil
}

// scopes are the filters of a list.
type scopes struct{ services, environments []string }

func (s *scopes) flags(cmd *cobra.Command, t Terminal, connect Connect) {
	cmd.Flags().StringSliceVarP(&s.services, "service", "s", nil, "only of these `services`; may be repeated")
	cmd.Flags().StringSliceVarP(&s.environments, "env", "e", nil, "only in these `environments`; may be repeated")
	completeScope(cmd, t, connect)
}

func reasonFlag(cmd *cobra.Command, reason *string) {
	cmd.Flags().StringVar(reason, "reason", "", "why, for the record")
}

// because refuses what has to have a reason and has none.
func because(reason string) error {
	if strings.TrimSpace(reason) == "" {
		return adg.Errorf(adg.Invalid, "why? say it with --reason: it goes on record")
	}
	return nil
}

func clock() time.Time {
	return time.Now() //nolint:forbidigo // for "3m ago" on the screen, and for times that a person gives as "in 2h"
}
