package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"github.com/deployguardian/adg"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// Private

// storedPolicies are the verbs on the policies that a server keeps.
func storedPolicies(t Terminal, connect Connect) []*cobra.Command {
	return []*cobra.Command{
		pushCommand(t, connect), pullCommand(t, connect), diffCommand(t, connect), versionsCommand(t, connect), approvePolicyCommand(t, connect),
	}
}

// policyFile is a policy's text and whose it is.
type policyFile struct {
	scope
	text string
}

// readPolicy reads a policy's file as far as it says whose it is; the server says what is wrong with the rest.
func readPolicy(t Terminal, name string) (policyFile, error) {
	text, err := readFile(t, name)
	if err != nil {
		return policyFile{}, err
	}
	return parseScope(name, text)
}

func parseScope(name string, text []byte) (policyFile, error) {
	var whose struct {
		Service     string `yaml:"service"`
		Environment string `yaml:"environment"`
	}
	if err := yaml.Unmarshal(text, &whose); err != nil {
		return policyFile{}, adg.Errorf(adg.Invalid, "%s: %w", name, err)
	}
	if whose.Service == "" || whose.Environment == "" {
		return policyFile{}, adg.Errorf(adg.Invalid, "%s does not say its service and environment: adg policy lint says more", name)
	}
	return policyFile{scope{whose.Service, whose.Environment}, string(text)}, nil
}

func pushCommand(t Terminal, connect Connect) *cobra.Command {
	var reason, etag string
	cmd := &cobra.Command{
		Use: "push FILE --reason WHY", Short: "Store a new version of a policy on the server", Args: cobra.ExactArgs(1),
		Long: `Store a new version of a policy on the server, for the service and environment that the file names. Deployments under
way keep the version that they started with. A version that weakens the guard waits for the approval of somebody else.
The text of the newest version stores nothing, so a pipeline may push at each run.

With --etag, as adg policy versions --output json shows it, nothing is stored if there is a newer version than the one
that you looked at.`,
		Example: "  adg policy push guardian.yaml --reason 'a slower second step'",
	}
	reasonFlag(cmd, &reason)
	cmd.Flags().StringVar(&etag, "etag", "", "`etag` of the version that you looked at: if there is a newer one, nothing is stored")
	return online(t, connect, cmd, func(ctx context.Context, s session, args []string) error {
		if err := because(reason); err != nil {
			return err
		}
		f, err := readPolicy(t, args[0])
		if err != nil {
			return err
		}
		if etag == "" {
			newest, err := newestPolicy(ctx, s, f.scope)
			if err != nil {
				return err
			}
			etag = newest.GetEtag()
		}
		v, err := s.Policies.PutPolicy(ctx, &adgv1.PutPolicyRequest{Service: f.service, Environment: f.environment, Etag: etag, Reason: reason, Text: f.text})
		if err != nil {
			return err
		}
		return s.show(v, func() error { return showPushed(s, v, v.GetEtag() == etag) })
	})
}

// showPushed says what came of the file. Where it was the newest version already, nothing was stored.
func showPushed(s session, v *adgv1.PolicyVersion, unchanged bool) error {
	for _, w := range v.GetWarnings() {
		if err := s.line(fmt.Sprintf("%d:%d: %s: %s", w.GetLine(), w.GetColumn(), w.GetPath(), w.GetText())); err != nil {
			return err
		}
	}
	said := "stored: version %d of %s in %s"
	if unchanged {
		said = "unchanged: it is version %d of %s in %s already"
	}
	if err := s.line(fmt.Sprintf(said, v.GetVersion(), v.GetService(), v.GetEnvironment())); err != nil || !v.GetPendingApproval() {
		return err
	}
	return s.line(fmt.Sprintf("it weakens the guard (%s) and waits for somebody else: adg policy approve %d -s %s -e %s --reason …",
		strings.Join(v.GetWeakens(), "; "), v.GetVersion(), v.GetService(), v.GetEnvironment()))
}

// newestPolicy is the newest version, in force or not; nil if there is none.
func newestPolicy(ctx context.Context, s session, where scope) (*adgv1.PolicyVersion, error) {
	answer, err := s.Policies.ListPolicyVersions(ctx, &adgv1.ListPolicyVersionsRequest{Service: where.service, Environment: where.environment, PageSize: 1})
	if adg.CodeOf(err) == adg.NotFound || err == nil && len(answer.GetVersions()) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return answer.GetVersions()[0], nil
}

func pullCommand(t Terminal, connect Connect) *cobra.Command {
	var where scope
	var version int64
	cmd := &cobra.Command{
		Use: "pull -s SERVICE -e ENVIRONMENT", Short: "Print the server's version of a policy", Args: cobra.NoArgs,
		Example: `  adg policy pull -s checkout -e production >guardian.yaml
  adg policy pull -s checkout -e production --version 3`,
	}
	where.flags(cmd, t, connect)
	cmd.Flags().Int64Var(&version, "version", 0, "`number` of the version (default: the newest in force)")
	return online(t, connect, cmd, func(ctx context.Context, s session, _ []string) error {
		if err := where.whole(); err != nil {
			return err
		}
		v, err := s.Policies.GetPolicy(ctx, &adgv1.GetPolicyRequest{Service: where.service, Environment: where.environment, Version: version})
		if err != nil {
			return err
		}
		return s.show(v, func() error {
			_, err := io.WriteString(t.Out, clean(v.GetText()))
			return err
		})
	})
}

func diffCommand(t Terminal, connect Connect) *cobra.Command {
	var version int64
	cmd := &cobra.Command{
		Use: "diff FILE", Short: "Show how a policy's file differs from the server's version, and what of it weakens the guard", Args: cobra.ExactArgs(1),
		Example: `  adg policy diff guardian.yaml
  adg policy diff guardian.yaml --version 3`,
	}
	cmd.Flags().Int64Var(&version, "version", 0, "`number` of the server's version (default: the newest)")
	return online(t, connect, cmd, func(ctx context.Context, s session, args []string) error {
		f, err := readPolicy(t, args[0])
		if err != nil {
			return err
		}
		d, err := s.Policies.DiffPolicy(ctx, &adgv1.DiffPolicyRequest{Service: f.service, Environment: f.environment, FromVersion: version, ToText: f.text})
		if err != nil {
			return err
		}
		return s.show(d, func() error {
			if d.GetUnified() == "" {
				return s.line("no difference")
			}
			_, err := io.WriteString(t.Out, clean(d.GetUnified()))
			for _, w := range d.GetWeakens() {
				_, _ = fmt.Fprintln(t.Out, "weakens the guard: "+flat(w))
			}
			return err
		})
	})
}

func versionsCommand(t Terminal, connect Connect) *cobra.Command {
	var where scope
	var limit int
	cmd := &cobra.Command{
		Use: "versions -s SERVICE -e ENVIRONMENT", Short: "List the versions of a policy, the newest first", Args: cobra.NoArgs,
		Example: "  adg policy versions -s checkout -e production",
	}
	where.flags(cmd, t, connect)
	limitFlag(cmd, &limit)
	return online(t, connect, cmd, func(ctx context.Context, s session, _ []string) error {
		if err := where.whole(); err != nil {
			return err
		}
		return list(s, listing[*adgv1.PolicyVersion]{
			limit: limit, none: "there is no policy: store one with adg policy push", header: []string{"VERSION", "PUT", "BY", "APPROVED BY", "BECAUSE"},
			page: func(size int32, token string) ([]*adgv1.PolicyVersion, string, error) {
				answer, err := s.Policies.ListPolicyVersions(ctx, &adgv1.ListPolicyVersionsRequest{
					Service: where.service, Environment: where.environment, PageSize: size, PageToken: token,
				})
				return answer.GetVersions(), answer.GetNextPageToken(), err
			},
			row: func(v *adgv1.PolicyVersion) []string {
				approved := dash(v.GetApprover())
				if v.GetPendingApproval() {
					approved = "waits for it"
				}
				return []string{strconv.FormatInt(v.GetVersion(), 10), when(s.now, v.GetCreateTime()), v.GetAuthor(), approved, v.GetReason()}
			},
		})
	})
}

func approvePolicyCommand(t Terminal, connect Connect) *cobra.Command {
	var where scope
	var reason, etag string
	cmd := &cobra.Command{
		Use: "approve VERSION -s SERVICE -e ENVIRONMENT --reason WHY", Short: "Approve a version that weakens the guard; its author cannot", Args: cobra.ExactArgs(1),
		Example: "  adg policy approve 4 -s checkout -e production --reason 'agreed in the review'",
	}
	where.flags(cmd, t, connect)
	reasonFlag(cmd, &reason)
	cmd.Flags().StringVar(&etag, "etag", "", "`etag` of what you looked at: if it has changed since, nothing is done")
	return online(t, connect, cmd, func(ctx context.Context, s session, args []string) error {
		version, err := strconv.ParseInt(args[0], 10, 64)
		if err != nil || version < 1 {
			return adg.Errorf(adg.Invalid, "%q is no version: adg policy versions lists them", args[0])
		}
		if err := where.whole(); err != nil {
			return err
		}
		if err := because(reason); err != nil {
			return err
		}
		if etag == "" {
			before, err := s.Policies.GetPolicy(ctx, &adgv1.GetPolicyRequest{Service: where.service, Environment: where.environment, Version: version})
			if err != nil {
				return err
			}
			for _, w := range before.GetWeakens() {
				if err := s.line("weakens the guard: " + w); err != nil {
					return err
				}
			}
			etag = before.GetEtag()
		}
		v, err := s.Policies.ApprovePolicy(ctx, &adgv1.ApprovePolicyRequest{
			Service: where.service, Environment: where.environment, Version: version, Etag: etag, Reason: reason,
		})
		if err != nil {
			return err
		}
		return s.show(v, func() error {
			return s.line(fmt.Sprintf("approved: version %d of %s in %s", v.GetVersion(), v.GetService(), v.GetEnvironment()))
		})
	})
}
