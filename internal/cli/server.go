package cli

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/deployguardian/adg/internal/settings"
)

// ServerOptions are the arguments of adg server.
type ServerOptions struct {
	Config string            // the file; empty: none
	Flags  map[string]string // by the path of the field
}

// ServerCalls are what the verbs of a server do.
type ServerCalls struct {
	Server      func(context.Context, ServerOptions, io.Writer) error
	ConfigCheck func(context.Context, ServerOptions) (warnings []string, err error)
	NewKey      func() string
}

// Private

func serverCommand(t Terminal, calls ServerCalls) *cobra.Command {
	o := ServerOptions{Flags: map[string]string{}}
	cmd := &cobra.Command{
		Use: "server", Short: "Run the server: API, guard and dashboard", Args: cobra.NoArgs,
		Long: `Run the server that pipelines and people talk to. It is configured by a file, by variables of the environment over
it, and by flags over both (docs/reference/server.md); adg config example prints a commented file.

The very first start prints a token that makes the first admin. There is no default password.`,
		Example: "  adg config example > adg.yaml\n  adg server --config adg.yaml",
		RunE: func(cmd *cobra.Command, _ []string) error {
			collect(cmd, &o)
			return calls.Server(cmd.Context(), o, t.Out)
		},
	}
	settingFlags(cmd, &o)
	return cmd
}

func configCommand(t Terminal, calls ServerCalls) *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Look at the server's configuration", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	o := ServerOptions{Flags: map[string]string{}}
	check := &cobra.Command{
		Use: "check", Short: "Say everything that is wrong with a configuration", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			collect(cmd, &o)
			warnings, err := calls.ConfigCheck(cmd.Context(), o)
			if err != nil {
				return err
			}
			for _, w := range warnings {
				cmd.Println("warning: " + w)
			}
			cmd.Println("the configuration is good")
			return nil
		},
	}
	settingFlags(check, &o)
	example := &cobra.Command{
		Use: "example", Short: "Print a commented configuration with every default", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := t.Out.Write(settings.Example())
			return err
		},
	}
	cmd.AddCommand(check, example)
	return cmd
}

func keyCommand(calls ServerCalls) *cobra.Command {
	cmd := &cobra.Command{Use: "key", Short: "Make keys that seal secrets", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(&cobra.Command{
		Use: "new", Short: "Print a new key: put it into a file that only the server can read", Args: cobra.NoArgs,
		Example: "  (umask 077; adg key new > /etc/adg/seal.key)",
		Run:     func(cmd *cobra.Command, _ []string) { cmd.Println(calls.NewKey()) },
	})
	return cmd
}

// settingFlags gives each field of the configuration its flag; those with a secret have none.
func settingFlags(cmd *cobra.Command, o *ServerOptions) {
	cmd.Flags().StringVar(&o.Config, "config", "", "configuration file")
	for _, f := range settings.Fields() {
		if !f.Secret {
			cmd.Flags().String(settings.Flag(f.Path), "", f.Doc)
			if f.Switch {
				cmd.Flags().Lookup(settings.Flag(f.Path)).NoOptDefVal = "true"
			}
		}
	}
}

func collect(cmd *cobra.Command, o *ServerOptions) {
	for _, f := range settings.Fields() {
		if flag := cmd.Flags().Lookup(settings.Flag(f.Path)); flag != nil && flag.Changed {
			o.Flags[f.Path] = flag.Value.String()
		}
	}
}
