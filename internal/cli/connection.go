package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/deployguardian/adg"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// Private

// maxFile is the largest file that is sent, in bytes.
const maxFile = 1 << 20

func connectionCommand(t Terminal, connect Connect) *cobra.Command {
	return group("connection", "Keep the sources, targets and notifiers that policies name", listConnectionsCommand(t, connect), getConnectionCommand(t, connect),
		putConnectionCommand(t, connect), dropConnectionCommand(t, connect), testConnectionCommand(t, connect))
}

func listConnectionsCommand(t Terminal, connect Connect) *cobra.Command {
	var seam string
	var limit int
	cmd := &cobra.Command{Use: "list", Short: "List connections by name", Args: cobra.NoArgs, Example: "  adg connection list --seam source"}
	cmd.Flags().StringVar(&seam, "seam", "", "only sources, targets or notifiers: `source`, target or notifier")
	completeWords(cmd, "seam", choices[adgv1.Seam]())
	limitFlag(cmd, &limit)
	return online(t, connect, cmd, func(ctx context.Context, s session, _ []string) error {
		r := &adgv1.ListConnectionsRequest{}
		if seam != "" {
			seams, err := enums[adgv1.Seam]("seam", []string{seam})
			if err != nil {
				return err
			}
			r.Seam = seams[0]
		}
		return list(s, listing[*adgv1.Connection]{
			limit: limit, none: "there is no connection", header: []string{"NAME", "SEAM", "TYPE", "SERVICES", "ENVIRONMENTS", "ANSWERED", "LAST FAILURE"},
			page: func(size int32, token string) ([]*adgv1.Connection, string, error) {
				r.PageSize, r.PageToken = size, token
				answer, err := s.Connections.ListConnections(ctx, r)
				return answer.GetConnections(), answer.GetNextPageToken(), err
			},
			row: func(c *adgv1.Connection) []string {
				failed := "–"
				if h := c.GetHealth(); h.GetFailureTime() != nil {
					failed = when(s.now, h.GetFailureTime()) + ": " + h.GetError()
				}
				return []string{c.GetName(), spoken(c.GetSeam()), c.GetType(), dash(strings.Join(c.GetServices(), ",")), dash(strings.Join(c.GetEnvironments(), ",")),
					when(s.now, c.GetHealth().GetSuccessTime()), failed}
			},
		})
	})
}

// connectionFile is a connection as people write it.
type connectionFile struct {
	Name         string         `yaml:"name"`
	Seam         string         `yaml:"seam"`
	Type         string         `yaml:"type"`
	Options      map[string]any `yaml:"options,omitempty"`
	Services     []string       `yaml:"services"`
	Environments []string       `yaml:"environments"`
}

func getConnectionCommand(t Terminal, connect Connect) *cobra.Command {
	cmd := &cobra.Command{
		Use: "get NAME", Short: "Print a connection as adg connection put reads it; its secrets are never shown", Args: cobra.ExactArgs(1),
		Example: "  adg connection get prom >prom.yaml", ValidArgsFunction: completeConnections(t, connect),
	}
	return online(t, connect, cmd, func(ctx context.Context, s session, args []string) error {
		c, err := s.Connections.GetConnection(ctx, &adgv1.GetConnectionRequest{Name: args[0]})
		if err != nil {
			return err
		}
		return s.show(c, func() error {
			text, err := yaml.Marshal(connectionFile{
				Name: c.GetName(), Seam: wordOf(c.GetSeam()), Type: c.GetType(), Options: c.GetOptions().AsMap(), Services: c.GetServices(), Environments: c.GetEnvironments(),
			})
			if err != nil {
				return adg.Errorf(adg.Internal, "writing the connection as YAML: %w", err)
			}
			if names := c.GetSecretNames(); len(names) > 0 {
				text = append(text, "# secrets on the server: "+strings.Join(names, ", ")+"\n"...)
			}
			_, err = io.WriteString(t.Out, clean(string(text)))
			return err
		})
	})
}

func putConnectionCommand(t Terminal, connect Connect) *cobra.Command {
	var file, reason string
	var secrets []string
	cmd := &cobra.Command{
		Use: "put -f FILE", Short: "Register a connection, or replace the one of that name", Args: cobra.NoArgs,
		Long: `Register a connection, or replace the one of that name. The file says what it is:

  name: prom
  seam: source                  # or target, notifier
  type: prometheus
  options: {url: 'https://prometheus.example.com', basic_auth: {username: adg}}
  services: ['*']               # who may use it: names, or prefixes with a final '*'
  environments: [production]

Secrets are never in the file: --secret names the option and where its secret is, a variable or a file. Those that are
not named stay as they are.`,
		Example: `  adg connection put -f prom.yaml --secret basic_auth.password=env:PROM_PASSWORD
  adg connection put -f slack.yaml --secret webhook=file:webhook.txt`,
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "`file` that says what it is; '-' is standard input")
	cmd.Flags().StringArrayVar(&secrets, "secret", nil, "an option's secret, as `option=env:NAME` or option=file:PATH; may be repeated")
	reasonFlag(cmd, &reason)
	mustBeFile(cmd, "file", "yaml", "yml")
	return online(t, connect, cmd, func(ctx context.Context, s session, _ []string) error {
		c, err := readConnection(t, file)
		if err != nil {
			return err
		}
		if c.Secrets, err = readSecrets(secrets); err != nil {
			return err
		}
		if c, err = putConnection(ctx, s, c, reason); err != nil {
			return err
		}
		return s.show(c, func() error {
			return s.line("registered: " + c.GetName() + "; try it with adg connection test " + c.GetName())
		})
	})
}

// putConnection registers a connection, or replaces the one that is there.
func putConnection(ctx context.Context, s session, c *adgv1.Connection, reason string) (*adgv1.Connection, error) {
	before, err := s.Connections.GetConnection(ctx, &adgv1.GetConnectionRequest{Name: c.GetName()})
	switch {
	case err == nil:
		return s.Connections.UpdateConnection(ctx, &adgv1.UpdateConnectionRequest{Connection: c, Etag: before.GetEtag(), Reason: reason})
	case adg.CodeOf(err) == adg.NotFound:
		return s.Connections.CreateConnection(ctx, &adgv1.CreateConnectionRequest{Connection: c, Reason: reason})
	}
	return nil, err
}

// readConnection reads a file strictly: what it does not know it refuses.
func readConnection(t Terminal, file string) (*adgv1.Connection, error) {
	text, err := readFile(t, file)
	if err != nil {
		return nil, err
	}
	return parseConnection(text)
}

func parseConnection(text []byte) (*adgv1.Connection, error) {
	var f connectionFile
	if err := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(&f); err != nil {
		return nil, adg.Errorf(adg.Invalid, "the connection: %w", err)
	}
	seams, err := enums[adgv1.Seam]("seam", []string{f.Seam})
	if err != nil {
		return nil, err
	}
	options, err := structpb.NewStruct(f.Options)
	if err != nil {
		return nil, adg.Errorf(adg.Invalid, "the connection's options: %w", err)
	}
	return &adgv1.Connection{Name: f.Name, Seam: seams[0], Type: f.Type, Options: options, Services: f.Services, Environments: f.Environments}, nil
}

// readSecrets finds the secrets where they are said to be.
func readSecrets(named []string) (map[string]string, error) {
	secrets := map[string]string{}
	for _, said := range named {
		option, where, _ := strings.Cut(said, "=")
		kind, at, found := strings.Cut(where, ":")
		if option == "" || !found || kind != "env" && kind != "file" {
			// What is wrong may be the secret itself, so it is not repeated.
			return nil, adg.Errorf(adg.Invalid, "--secret names an option and where its secret is, never the secret: option=env:NAME or option=file:PATH")
		}
		if kind == "env" {
			value, set := os.LookupEnv(at)
			if !set || value == "" {
				return nil, adg.Errorf(adg.Invalid, "--secret %s: the variable %s is not set", option, at)
			}
			secrets[option] = value
			continue
		}
		text, err := readFile(Terminal{}, at)
		if err != nil {
			return nil, err
		}
		secrets[option] = strings.TrimRight(string(text), "\r\n")
	}
	return secrets, nil
}

// readFile reads a file of a size that is sensible; '-' is standard input, where there is one.
func readFile(t Terminal, name string) ([]byte, error) {
	if name == "" {
		return nil, adg.Errorf(adg.Invalid, "which file? say it with -f")
	}
	in := t.In
	if name != "-" || in == nil {
		f, err := os.Open(name)
		if err != nil {
			return nil, adg.Errorf(adg.Invalid, "%w", err)
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err != nil {
		return nil, adg.Errorf(adg.Invalid, "reading %s: %w", name, err)
	}
	if len(text) > maxFile {
		return nil, adg.Errorf(adg.Invalid, "%s is larger than 1 MiB", name)
	}
	return text, nil
}

func dropConnectionCommand(t Terminal, connect Connect) *cobra.Command {
	cmd := removal(t, connect, "drop", "Drop a connection that no live deployment and no policy needs", "adg connection drop prom --reason 'replaced by mimir'", "dropped",
		func(ctx context.Context, s session, name, reason string) error {
			_, err := s.Connections.DeleteConnection(ctx, &adgv1.DeleteConnectionRequest{Name: name, Reason: reason})
			return err
		})
	cmd.Use, cmd.ValidArgsFunction = "drop NAME", completeConnections(t, connect)
	return cmd
}

func testConnectionCommand(t Terminal, connect Connect) *cobra.Command {
	var query string
	cmd := &cobra.Command{
		Use: "test NAME", Short: "Try a connection out: ask a source, read a target, send a test message", Args: cobra.ExactArgs(1),
		Long: "Try a connection out: a source is asked, a target is read, a notifier sends a test message. A query for the lines of a log is\n" +
			"answered with how many there are and the patterns that most of them have, secrets masked. The exit code is 1 if it does not work.",
		Example: `  adg connection test prom
  adg connection test prom --query 'up'
  adg connection test loki --query '{app="shop"}'`,
		ValidArgsFunction: completeConnections(t, connect),
	}
	cmd.Flags().StringVar(&query, "query", "", "what to ask a source (default: whether it answers at all)")
	return online(t, connect, cmd, func(ctx context.Context, s session, args []string) error {
		answer, err := s.Connections.TestConnection(ctx, &adgv1.TestConnectionRequest{Name: args[0], Query: query})
		if err != nil {
			return err
		}
		err = s.show(answer, func() error {
			if !answer.GetOk() {
				return nil
			}
			return errors.Join(s.line("works: "+answer.GetText()+" ("+answer.GetTook().AsDuration().String()+")"), showPatterns(t, answer.GetMeasurement().GetLog()))
		})
		if err == nil && !answer.GetOk() {
			err = adg.Errorf(adg.Unavailable, "%s does not work: %s", clean(args[0]), clean(strings.TrimSuffix(answer.GetText()+": "+answer.GetWayOut(), ": ")))
		}
		return err
	})
}

// showPatterns writes what the lines of a log have in common, with a line of each.
func showPatterns(t Terminal, log *adgv1.LogCount) error {
	if len(log.GetPatterns()) == 0 {
		return nil
	}
	var rows [][]string
	for _, p := range log.GetPatterns() {
		level := "no level"
		if p.GetLevel() != adgv1.LogLevel_LOG_LEVEL_UNSPECIFIED {
			level = wordOf(p.GetLevel())
		}
		rows = append(rows, []string{strconv.Itoa(int(p.GetLines())), level, p.GetText(), p.GetExample()})
	}
	return table(t, []string{"LINES", "LEVEL", "PATTERN", "EXAMPLE"}, rows)
}

// completeConnections offers the names of connections.
func completeConnections(t Terminal, connect Connect) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return suggest(cmd, t, connect, func(ctx context.Context, s session) ([]string, error) {
			answer, err := s.Connections.ListConnections(ctx, &adgv1.ListConnectionsRequest{PageSize: 100})
			var words []string
			for _, c := range answer.GetConnections() {
				if strings.HasPrefix(c.GetName(), typed) {
					words = append(words, c.GetName())
				}
			}
			return words, err
		})
	}
}
