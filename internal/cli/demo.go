package cli

import (
	"github.com/spf13/cobra"

	"github.com/deployguardian/adg"
)

// DemoOptions are the arguments of `adg demo`.
type DemoOptions struct {
	Headless bool
	Output   string
	Fault    string
	HAProxy  bool
	DataDir  string
	Serve    bool
	Listen   string // for Serve
}

// Faults are what the bad release of the demo can suffer from; "none" promotes both.
var Faults = []string{"errors", "latency", "crash", "silent", "leak", "log", "none"}

func demoCommand(t Terminal, calls Calls) *cobra.Command {
	var o DemoOptions
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "See a good release promoted and a bad one caught, rolled back and verified, in a minute",
		Long: `See the whole of it with nothing installed: a small shop in several versions as real processes, 200 requests per
second of real traffic through a weighted router, scraped into the embedded metrics store. A good release goes
5 → 25 → 50 → 100 % and is promoted; then a bad one is deployed, caught, rolled back, and service is verified.

What is wrong with the bad release is --fault: ten times the errors, twice the latency, a crash now and then, requests
that are never answered, a leak of memory, or, with all numbers fine, payments that only its log says are lost.

Exits with 0 only if both went as they should.

With --serve a server runs on this machine with the demo inside it, until it is interrupted: it says where, and how to
log in.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := oneOf("output", o.Output, "text", "json"); err != nil {
				return err
			}
			if err := oneOf("fault", o.Fault, Faults...); err != nil {
				return err
			}
			if o.Serve && o.Output == "json" {
				return adg.Errorf(adg.Invalid, "--serve prints text: ask the server for JSON")
			}
			if !o.Serve && cmd.Flags().Changed("listen") {
				return adg.Errorf(adg.Invalid, "--listen is for --serve")
			}
			return calls.Demo(cmd.Context(), o, t)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.Headless, "headless", false, "plain lines, even on a terminal")
	flags.StringVar(&o.Fault, "fault", "errors", "what is wrong with the bad release: errors, latency, crash, silent, leak, log or none")
	flags.BoolVar(&o.HAProxy, "haproxy", false, "route through a real HAProxy (which has to be installed)")
	flags.StringVar(&o.DataDir, "data-dir", "", "`directory` to keep the evidence in (default: a new temporary one)")
	flags.BoolVar(&o.Serve, "serve", false, "run a server with the demo inside it")
	flags.StringVar(&o.Listen, "listen", "127.0.0.1:0", "`address` of that server, on this machine; port 0 is any that is free")
	_ = cmd.MarkFlagDirname("data-dir")
	_ = cmd.RegisterFlagCompletionFunc("fault", cobra.FixedCompletions(Faults, cobra.ShellCompDirectiveNoFileComp))
	outputFlag(cmd, &o.Output)
	return cmd
}

// DemoView is the view that the demo shows its deployments in; dir is where their records are.
func DemoView(t Terminal, o DemoOptions, dir string) View {
	if o.Headless && o.Output != "json" {
		return &lineView{out: t.Out, after: reported(dir)}
	}
	return newView(t, o.Output, "", reported(dir))
}
