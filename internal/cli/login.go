package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/contexts"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// Private

// maxToken is the longest token that is read, in bytes.
const maxToken = 4 << 10

func loginCommand(t Terminal, connect Connect, version string) *cobra.Command {
	var at contexts.Context
	var fromStdin bool
	cmd := &cobra.Command{
		Use:   "login [URL]",
		Short: "Log in to a server, and use it from now on",
		Long: `Log in to a server, and use it from now on.

A short code is shown: open the address beside it in any browser where you are logged in, enter the code, and approve.
--token-stdin reads a token that you already have. The server and the token are kept in a file of your own, that
nobody else can read; without a URL it is the server in use that you log in to again.`,
		Example: `  adg login https://adg.example.com
  adg login https://adg.example.com --name work --ca company-ca.pem
  adg login https://adg.example.com --token-stdin <token.txt`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			at, err := entered(at, args)
			if err != nil {
				return err
			}
			return logIn(cmd.Context(), t, connect, at, version, fromStdin)
		},
	}
	cmd.Flags().StringVar(&at.Name, "name", "", "`name` to remember the server by (default: its host)")
	cmd.Flags().StringVar(&at.CA, "ca", "", "`file` with the authority that signed the server's certificate, in PEM (default: the system's)")
	cmd.Flags().BoolVar(&fromStdin, "token-stdin", false, "read a token from standard input")
	mustBeFile(cmd, "ca", "pem", "crt")
	return cmd
}

func logoutCommand(t Terminal, connect Connect) *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "logout",
		Short: "End the login on the server, and forget its token here",
		Example: `  adg logout
  adg logout --context work`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := dialled(t, connect, name)
			if err != nil {
				return err
			}
			if s.at.Token == "" {
				_, err := fmt.Fprintf(t.Out, "not logged in to %s\n", s.at.Server)
				return errors.Join(err, s.Close())
			}
			_, ended := s.Login.LogOut(cmd.Context(), &adgv1.LogOutRequest{})
			if err := errors.Join(remember(func(f *contexts.File) error { return forgetToken(f, s.at.Name) }), s.Close()); err != nil {
				return err
			}
			if ended != nil {
				return fmt.Errorf("the token is forgotten here, and may still be good on the server (adg token list, adg token revoke): %w", ended)
			}
			_, err = fmt.Fprintf(t.Out, "logged out of %s\n", s.at.Server)
			return err
		},
	}
	contextFlag(cmd, &name)
	return cmd
}

func whoamiCommand(t Terminal, connect Connect) *cobra.Command {
	cmd := &cobra.Command{
		Use: "whoami", Short: "Say who you are to the server, and what you may do where", Args: cobra.NoArgs,
		Example: `  adg whoami
  adg whoami --output json`,
	}
	return online(t, connect, cmd, func(ctx context.Context, s session, _ []string) error {
		me, err := s.Identity.WhoAmI(ctx, &adgv1.WhoAmIRequest{})
		if err != nil {
			return err
		}
		return s.show(me, func() error {
			who := me.GetIdentity()
			ends := "never"
			if me.GetExpireTime() != nil {
				ends = when(s.now, me.GetExpireTime())
			}
			if err := facts(t, "who", who.GetSubject(), "person", who.GetPerson(), "name", who.GetDisplayName(), "groups", strings.Join(who.GetGroups(), ", "),
				"server", s.at.Server, "ends", ends); err != nil {
				return err
			}
			var rows [][]string
			for _, g := range me.GetGrants() {
				rows = append(rows, []string{g.GetPermission(), g.GetService(), g.GetEnvironment()})
			}
			_, _ = fmt.Fprintln(t.Out)
			if len(rows) == 0 {
				return s.line("you may do nothing: an admin can give you a role with adg role grant")
			}
			return table(t, []string{"MAY", "SERVICE", "ENVIRONMENT"}, rows)
		})
	})
}

func contextCommand(t Terminal) *cobra.Command {
	var output string
	list := &cobra.Command{
		Use: "list", Short: "List the servers that are known here", Args: cobra.NoArgs, Example: `  adg context list`,
		RunE: func(*cobra.Command, []string) error {
			if err := oneOf("output", output, "text", "json"); err != nil {
				return err
			}
			return listContexts(t, output)
		},
	}
	outputFlag(list, &output)
	use := &cobra.Command{
		Use: "use NAME", Short: "Use a server from now on", Args: cobra.ExactArgs(1), Example: `  adg context use work`, ValidArgsFunction: completeContexts,
		RunE: func(_ *cobra.Command, args []string) error {
			return remember(func(f *contexts.File) error { return f.Use(args[0]) })
		},
	}
	remove := &cobra.Command{
		Use: "remove NAME", Short: "Forget a server and the token for it", Args: cobra.ExactArgs(1), Example: `  adg context remove work`, ValidArgsFunction: completeContexts,
		Long: "Forget a server and the token for it. The token stays good on the server: adg logout ends it.",
		RunE: func(_ *cobra.Command, args []string) error {
			return remember(func(f *contexts.File) error { return f.Remove(args[0]) })
		},
	}
	return group("context", "List, choose and forget the servers that are known here", list, use, remove)
}

// listContexts shows the servers that are known, without their tokens.
func listContexts(t Terminal, output string) error {
	f, err := known()
	if err != nil {
		return err
	}
	if len(f.Contexts) == 0 && output != "json" {
		_, err := fmt.Fprintln(t.Out, "no server is known here: adg login https://your-server")
		return err
	}
	var rows [][]string
	for _, c := range f.Contexts {
		if output == "json" {
			err := json.NewEncoder(t.Out).Encode(map[string]any{"name": c.Name, "server": c.Server, "current": c.Name == f.Current, "loggedIn": c.Token != ""})
			if err != nil {
				return err
			}
			continue
		}
		mark, in := "", "no"
		if c.Name == f.Current {
			mark = "*"
		}
		if c.Token != "" {
			in = "yes"
		}
		rows = append(rows, []string{mark, c.Name, c.Server, in})
	}
	if output == "json" {
		return nil
	}
	return table(t, []string{"", "NAME", "SERVER", "LOGGED IN"}, rows)
}

// entered is the context to log in to: of the address, or the one in use.
func entered(at contexts.Context, args []string) (contexts.Context, error) {
	if len(args) == 0 {
		before, err := contexts.Choose(os.LookupEnv, at.Name)
		if err != nil {
			return at, err
		}
		at.Server = before.Server
		if before.Name != "environment" {
			at.Name = before.Name
		}
		if at.CA == "" {
			at.CA = before.CA
		}
	} else {
		at.Server = strings.TrimRight(args[0], "/")
	}
	if err := at.Validate(); err != nil {
		return at, err
	}
	if at.Name == "" {
		u, err := url.Parse(at.Server)
		if err != nil {
			return at, adg.Errorf(adg.Invalid, "the server's address: %w", err)
		}
		at.Name = u.Host
	}
	if at.CA != "" {
		absolute, err := filepath.Abs(at.CA)
		if err != nil {
			return at, adg.Errorf(adg.Invalid, "the authority's file: %w", err)
		}
		at.CA = absolute
	}
	return at, nil
}

// logIn gets a token, sees that it is good, and remembers it.
func logIn(ctx context.Context, t Terminal, connect Connect, at contexts.Context, version string, fromStdin bool) error {
	var err error
	at.Token = ""
	if fromStdin {
		at.Token, err = line(t.In, maxToken)
	} else {
		at.Token, err = deviceToken(ctx, t, connect, at, version)
	}
	if err != nil {
		return err
	}
	if at.Token == "" {
		return adg.Errorf(adg.Invalid, "there is no token on standard input")
	}
	c, err := connect(at)
	if err != nil {
		return err
	}
	me, err := c.Identity.WhoAmI(ctx, &adgv1.WhoAmIRequest{})
	if err = errors.Join(err, c.Close()); err != nil {
		return err
	}
	if err := remember(func(f *contexts.File) error { f.Put(at); return f.Use(at.Name) }); err != nil {
		return err
	}
	until := ""
	if ends := me.GetExpireTime(); ends != nil {
		until = ", which ends " + when(clock(), ends)
	}
	_, err = fmt.Fprintf(t.Out, "logged in to %s as %s%s\n", at.Server, clean(me.GetIdentity().GetSubject()), until)
	return err
}

// pageOf is the whole address of a page: a server that was not told its own base_url says the path alone.
func pageOf(at contexts.Context, address string) string {
	if strings.HasPrefix(address, "/") {
		address = strings.TrimSuffix(at.Server, "/") + address
	}
	return clean(address)
}

// deviceToken shows a code and waits until a person has approved it elsewhere.
func deviceToken(ctx context.Context, t Terminal, connect Connect, at contexts.Context, version string) (token string, err error) {
	c, err := connect(at)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	host, err := os.Hostname()
	if err != nil {
		host = "a machine without a name"
	}
	begun, err := c.Login.StartDeviceLogin(ctx, &adgv1.StartDeviceLoginRequest{Client: "adg " + version + " on " + host})
	if err != nil {
		return "", err
	}
	_, _ = fmt.Fprintf(t.Err, "open %s and enter the code %s\n", pageOf(at, begun.GetVerificationUri()), clean(begun.GetUserCode()))
	if whole := begun.GetVerificationUriComplete(); whole != "" {
		_, _ = fmt.Fprintf(t.Err, "or open %s\n", pageOf(at, whole))
	}
	ctx, cancel := context.WithTimeoutCause(ctx, min(time.Hour, begun.GetExpiresIn().AsDuration()), errLateLogin)
	defer cancel()
	every := 5 * time.Second
	if asked := begun.GetInterval().AsDuration(); asked > 0 {
		every = min(time.Minute, max(100*time.Millisecond, asked))
	}
	for {
		select {
		case <-ctx.Done():
			return "", context.Cause(ctx)
		case <-time.After(every):
		}
		answer, err := c.Login.PollDeviceLogin(ctx, &adgv1.PollDeviceLoginRequest{DeviceCode: begun.GetDeviceCode()})
		if adg.CodeOf(err) == adg.Unavailable { // it may come back before the code ends
			continue
		}
		if err != nil {
			return "", err
		}
		switch answer.GetState() {
		case adgv1.DeviceLoginState_DEVICE_LOGIN_STATE_APPROVED:
			return answer.GetToken(), nil
		case adgv1.DeviceLoginState_DEVICE_LOGIN_STATE_DENIED:
			return "", adg.Errorf(adg.Unauthorized, "the login was refused")
		case adgv1.DeviceLoginState_DEVICE_LOGIN_STATE_EXPIRED:
			return "", errLateLogin
		case adgv1.DeviceLoginState_DEVICE_LOGIN_STATE_SLOW_DOWN:
			every += 5 * time.Second
		case adgv1.DeviceLoginState_DEVICE_LOGIN_STATE_PENDING, adgv1.DeviceLoginState_DEVICE_LOGIN_STATE_UNSPECIFIED:
		}
	}
}

var errLateLogin = adg.Errorf(adg.Unauthorized, "nobody has approved the login in time: begin again with adg login")

// known are the servers that are remembered.
func known() (contexts.File, error) {
	path, err := contexts.Path(os.LookupEnv)
	if err != nil {
		return contexts.File{}, err
	}
	return contexts.Load(path)
}

// remember changes what is remembered.
func remember(change func(*contexts.File) error) error {
	path, err := contexts.Path(os.LookupEnv)
	if err != nil {
		return err
	}
	f, err := contexts.Load(path)
	if err != nil {
		return err
	}
	if err := change(&f); err != nil {
		return err
	}
	return f.Save(path)
}

// forgetToken leaves the server and drops the token; what came from the environment is not in the file.
func forgetToken(f *contexts.File, name string) error {
	for i := range f.Contexts {
		if f.Contexts[i].Name == name {
			f.Contexts[i].Token = ""
		}
	}
	return nil
}

// line is the first line of what is typed or piped in, without the blanks around it.
func line(in io.Reader, most int64) (string, error) {
	text, err := bufio.NewReader(io.LimitReader(in, most)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", adg.Errorf(adg.Invalid, "reading standard input: %w", err)
	}
	return strings.TrimSpace(text), nil
}
