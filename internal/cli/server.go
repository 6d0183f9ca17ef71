package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/control"
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
	RotateKey   func(context.Context, ServerOptions) (control.Resealed, error)
	NewKey      func() string
}

// Private

func serverCommand(t Terminal, calls ServerCalls, connect Connect) *cobra.Command {
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
	cmd.AddCommand(statusOfServer(t, connect))
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

func keyCommand(t Terminal, calls ServerCalls) *cobra.Command {
	cmd := &cobra.Command{Use: "key", Short: "Make keys that seal secrets", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	var file string
	made := &cobra.Command{
		Use: "new", Short: "Make a new key, in a file that only its owner can read", Args: cobra.NoArgs,
		Example: "  adg key new --out /etc/adg/seal.key",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file == "" {
				cmd.Println(calls.NewKey())
				return nil
			}
			return writeKey(file, calls.NewKey())
		},
	}
	made.Flags().StringVar(&file, "out", "", "`file` to make; one that is there already is left alone (default: the key is printed)")
	cmd.AddCommand(made)
	o := ServerOptions{Flags: map[string]string{}}
	rotate := &cobra.Command{
		Use: "rotate", Short: "Seal every secret in the store by the active key, so that older ones can be taken away", Args: cobra.NoArgs,
		Long: `Seal every secret in the store anew that another key than the active one has sealed. It needs no server; those that
run have to know both keys.

  1. adg key new --out /etc/adg/seal.key.new, as the user that the server runs as
  2. name it as seal.active and the one before it in seal.older, and restart the servers
  3. adg key rotate
  4. take the older key out of seal.older, and keep it as long as backups that need it`,
		Example: "  adg key rotate --config /etc/adg/adg.yaml",
		RunE: func(cmd *cobra.Command, _ []string) error {
			collect(cmd, &o)
			made, err := calls.RotateKey(cmd.Context(), o)
			if made.Secrets > 0 || err == nil {
				_, _ = fmt.Fprintf(t.Out, "%d secrets of %d connections were sealed anew, %d were sealed by the active key already\n", made.Secrets, made.Connections, made.Kept)
			}
			return err
		},
	}
	settingFlags(rotate, &o)
	cmd.AddCommand(rotate)
	return cmd
}

// writeKey makes a file that holds a key. None is ever written over: what an older key has sealed would be lost.
func writeKey(path, key string) (err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return adg.Errorf(adg.Conflict, "%s is there already: a key that sealed something is never written over, so choose another name", path)
	}
	if err != nil {
		return adg.Errorf(adg.Invalid, "making the file of the key: %w", err)
	}
	defer func() {
		if err = errors.Join(err, file.Close()); err != nil {
			err = adg.Errorf(adg.Unavailable, "writing the key: %w", err)
		}
	}()
	if _, err := file.WriteString(key + "\n"); err != nil {
		return err
	}
	return file.Sync()
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
