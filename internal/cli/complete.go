package cli

import (
	"context"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/deployguardian/adg/internal/contexts"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// Private

// completing is how long a shell waits for what could be meant. A test that asks for the answer has more time.
var completing = time.Second

// suggest asks the server of the command's context what could be meant; without an answer in time nothing is.
func suggest(cmd *cobra.Command, t Terminal, connect Connect, ask func(context.Context, session) ([]string, error)) ([]string, cobra.ShellCompDirective) {
	name := ""
	if flag := cmd.Flags().Lookup("context"); flag != nil {
		name = flag.Value.String()
	}
	s, err := dialled(t, connect, name)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer func() { _ = s.Close() }() // a shell does not care
	ctx, cancel := context.WithTimeout(cmd.Context(), completing)
	defer cancel()
	words, err := ask(ctx, s)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	for i := range words {
		words[i] = flat(words[i])
	}
	return words, cobra.ShellCompDirectiveNoFileComp
}

// completeDeployment offers the ids of deployments for the first argument, with what each is.
func completeDeployment(cmd *cobra.Command, t Terminal, connect Connect, live bool) {
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return suggest(cmd, t, connect, func(ctx context.Context, s session) ([]string, error) {
			answer, err := s.Deployments.ListDeployments(ctx, &adgv1.ListDeploymentsRequest{Live: live, PageSize: 100})
			var words []string
			for _, d := range answer.GetDeployments() {
				if strings.HasPrefix(d.GetId(), typed) {
					words = append(words, cobra.CompletionWithDesc(d.GetId(), d.GetService()+" "+d.GetVersion()+" in "+d.GetEnvironment()+", "+spoken(d.GetState())))
				}
			}
			return words, err
		})
	}
}

// completeScope offers services and environments for the flags of these names.
func completeScope(cmd *cobra.Command, t Terminal, connect Connect) {
	_ = cmd.RegisterFlagCompletionFunc("service", func(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		return suggest(cmd, t, connect, func(ctx context.Context, s session) ([]string, error) {
			answer, err := s.Catalog.ListServices(ctx, &adgv1.ListServicesRequest{Prefix: typed, PageSize: 100})
			var words []string
			for _, service := range answer.GetServices() {
				words = append(words, service.GetName())
			}
			return words, err
		})
	})
	_ = cmd.RegisterFlagCompletionFunc("env", func(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		return suggest(cmd, t, connect, func(ctx context.Context, s session) ([]string, error) {
			answer, err := s.Catalog.ListEnvironments(ctx, &adgv1.ListEnvironmentsRequest{PageSize: 100})
			var words []string
			for _, e := range answer.GetEnvironments() {
				if strings.HasPrefix(e.GetName(), typed) {
					words = append(words, e.GetName())
				}
			}
			return words, err
		})
	})
}

// completeContexts offers the names of the contexts.
func completeContexts(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	path, err := contexts.Path(os.LookupEnv)
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	f, err := contexts.Load(path)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return f.Names(), cobra.ShellCompDirectiveNoFileComp
}
