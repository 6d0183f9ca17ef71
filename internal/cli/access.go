package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/deployguardian/adg"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// Private

// roles are what somebody may be.
var roles = []string{"viewer", "deployer", "approver", "admin"}

// patterns are the flags for where a role holds.
func patterns(cmd *cobra.Command, t Terminal, connect Connect, service, environment *string) {
	cmd.Flags().StringVarP(service, "service", "s", "", "`name` of a service, a prefix with a final '*', or '*' for all")
	cmd.Flags().StringVarP(environment, "env", "e", "", "`name` of an environment, a prefix with a final '*', or '*' for all")
	completeScope(cmd, t, connect)
}

func tokenCommand(t Terminal, connect Connect) *cobra.Command {
	revoke := removal(t, connect, "revoke", "Revoke a token: it ends at once", "adg token revoke 01J9Z", "revoked", func(ctx context.Context, s session, id, reason string) error {
		_, err := s.Identity.RevokeToken(ctx, &adgv1.RevokeTokenRequest{Id: id, Reason: reason})
		return err
	})
	return group("token", "Make and revoke API tokens, for pipelines", createTokenCommand(t, connect), listTokensCommand(t, connect), revoke)
}

// removal is a verb that ends something for good: it takes an id and wants no more than an optional reason.
func removal(t Terminal, connect Connect, use, short, example, done string, do func(ctx context.Context, s session, id, reason string) error) *cobra.Command {
	var reason string
	cmd := &cobra.Command{Use: use + " ID", Short: short, Args: cobra.ExactArgs(1), Example: "  " + example}
	reasonFlag(cmd, &reason)
	return online(t, connect, cmd, func(ctx context.Context, s session, args []string) error {
		if err := do(ctx, s, args[0], reason); err != nil {
			return err
		}
		return s.line(done + ": " + args[0])
	})
}

func createTokenCommand(t Terminal, connect Connect) *cobra.Command {
	var r adgv1.CreateTokenRequest
	var lifetime time.Duration
	cmd := &cobra.Command{
		Use: "create NAME --role ROLE -s SERVICE -e ENVIRONMENT", Short: "Make a token; it is shown this once and never again", Args: cobra.ExactArgs(1),
		Long: `Make a token; it is shown this once and never again, on standard output and alone, so that it can be piped to where it
is kept. It never may more than who made it.`,
		Example: `  adg token create ci-checkout --role deployer -s checkout -e '*' --lifetime 720h
  adg token create ci-checkout --role deployer -s checkout -e production | gh secret set ADG_TOKEN`,
	}
	cmd.Flags().StringVar(&r.Role, "role", "", "viewer, deployer, approver or admin")
	completeWords(cmd, "role", roles)
	patterns(cmd, t, connect, &r.Service, &r.Environment)
	cmd.Flags().DurationVar(&lifetime, "lifetime", 90*24*time.Hour, "how long it is good, at most a year")
	reasonFlag(cmd, &r.Reason)
	return online(t, connect, cmd, func(ctx context.Context, s session, args []string) error {
		if err := oneOf("role", r.GetRole(), roles...); err != nil {
			return err
		}
		if r.GetService() == "" || r.GetEnvironment() == "" {
			return adg.Errorf(adg.Invalid, "where may it be used? say -s and -e; '*' is everywhere")
		}
		if lifetime <= 0 {
			return adg.Errorf(adg.Invalid, "--lifetime %s: how long, as in 720h", lifetime)
		}
		r.Name, r.Lifetime = args[0], durationpb.New(lifetime)
		answer, err := s.Identity.CreateToken(ctx, &r)
		if err != nil {
			return err
		}
		if answer.GetSecret() == "" {
			return adg.Errorf(adg.Unavailable, "the token %s was made, and lost on its way here: adg token revoke %s, and make another", clean(answer.GetToken().GetId()), clean(answer.GetToken().GetId()))
		}
		return s.show(answer, func() error {
			_, _ = fmt.Fprintf(t.Err, "token %s, ends %s; it is shown this once:\n", clean(answer.GetToken().GetId()), when(s.now, answer.GetToken().GetExpireTime()))
			return s.line(answer.GetSecret())
		})
	})
}

func listTokensCommand(t Terminal, connect Connect) *cobra.Command {
	var creator string
	var revoked bool
	var limit int
	cmd := &cobra.Command{Use: "list", Short: "List tokens, the newest first", Args: cobra.NoArgs, Example: "  adg token list --creator alice"}
	cmd.Flags().StringVar(&creator, "creator", "", "only those that this `person` made")
	cmd.Flags().BoolVar(&revoked, "revoked", false, "those that have ended, too")
	limitFlag(cmd, &limit)
	return online(t, connect, cmd, func(ctx context.Context, s session, _ []string) error {
		return list(s, listing[*adgv1.Token]{
			limit: limit, none: "there is no token", header: []string{"ID", "NAME", "ROLE", "SERVICE", "ENVIRONMENT", "BY", "MADE", "USED", "ENDS"},
			page: func(size int32, token string) ([]*adgv1.Token, string, error) {
				answer, err := s.Identity.ListTokens(ctx, &adgv1.ListTokensRequest{Creator: creator, Revoked: revoked, PageSize: size, PageToken: token})
				return answer.GetTokens(), answer.GetNextPageToken(), err
			},
			row: func(k *adgv1.Token) []string {
				ends := when(s.now, k.GetExpireTime())
				if k.GetRevoked() {
					ends = "revoked"
				}
				return []string{k.GetId(), k.GetName(), k.GetRole(), k.GetService(), k.GetEnvironment(), k.GetCreator(), when(s.now, k.GetCreateTime()), when(s.now, k.GetUseTime()), ends}
			},
		})
	})
}

func userCommand(t Terminal, connect Connect) *cobra.Command {
	no, yes := false, true
	remove := removal(t, connect, "delete", "Remove a user with his sessions, tokens and roles", "adg user delete bob --reason 'has left'", "deleted", func(ctx context.Context, s session, name, reason string) error {
		_, err := s.Identity.DeleteUser(ctx, &adgv1.DeleteUserRequest{Name: name, Reason: reason})
		return err
	})
	remove.Use = "delete NAME"
	return group("user", "Keep the people who can log in", createUserCommand(t, connect), listUsersCommand(t, connect),
		changeUser(t, connect, "disable", "Keep a user from logging in, and end his sessions", "disabled", func(r *adgv1.UpdateUserRequest) { r.Disabled = &yes }),
		changeUser(t, connect, "enable", "Let a user log in again", "enabled", func(r *adgv1.UpdateUserRequest) { r.Disabled = &no }),
		changeUser(t, connect, "unlock", "Let a user log in at once who typed too many wrong passwords", "unlocked", func(r *adgv1.UpdateUserRequest) { r.Locked = &no }),
		passwordCommand(t, connect), remove)
}

func createUserCommand(t Terminal, connect Connect) *cobra.Command {
	var r adgv1.CreateUserRequest
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Make a local user; the password is typed, or comes on standard input", Args: cobra.ExactArgs(1),
		Example: `  adg user create alice --name 'Alice A.' --email alice@example.com
  adg user create alice <password.txt`,
	}
	cmd.Flags().StringVar(&r.DisplayName, "name", "", "`name` for people")
	cmd.Flags().StringVar(&r.Email, "email", "", "`address`")
	reasonFlag(cmd, &r.Reason)
	return online(t, connect, cmd, func(ctx context.Context, s session, args []string) (err error) {
		if r.Password, err = password(t, "password for "+args[0]); err != nil {
			return err
		}
		r.Name = args[0]
		user, err := s.Identity.CreateUser(ctx, &r)
		if err != nil {
			return err
		}
		return s.show(user, func() error {
			return s.line("created: " + user.GetName() + "; give a role with adg role grant user:" + user.GetName())
		})
	})
}

// changeUser is a verb that changes a user, as he is then.
func changeUser(t Terminal, connect Connect, use, short, done string, change func(*adgv1.UpdateUserRequest)) *cobra.Command {
	var reason string
	cmd := &cobra.Command{Use: use + " NAME", Short: short, Args: cobra.ExactArgs(1), Example: "  adg user " + use + " bob --reason 'asked for it'"}
	reasonFlag(cmd, &reason)
	return online(t, connect, cmd, func(ctx context.Context, s session, args []string) error {
		return updateUser(ctx, s, args[0], reason, done, change)
	})
}

func passwordCommand(t Terminal, connect Connect) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "password NAME", Short: "Give a user a new password, and end his sessions; it is typed, or comes on standard input", Args: cobra.ExactArgs(1),
		Example: "  adg user password bob --reason 'has forgotten it'",
	}
	reasonFlag(cmd, &reason)
	return online(t, connect, cmd, func(ctx context.Context, s session, args []string) error {
		wanted, err := password(t, "new password for "+args[0])
		if err != nil {
			return err
		}
		return updateUser(ctx, s, args[0], reason, "password changed", func(r *adgv1.UpdateUserRequest) { r.Password = &wanted })
	})
}

func updateUser(ctx context.Context, s session, name, reason, done string, change func(*adgv1.UpdateUserRequest)) error {
	before, err := s.Identity.GetUser(ctx, &adgv1.GetUserRequest{Name: name})
	if err != nil {
		return err
	}
	r := &adgv1.UpdateUserRequest{Name: name, Etag: before.GetEtag(), Reason: reason}
	change(r)
	user, err := s.Identity.UpdateUser(ctx, r)
	if err != nil {
		return err
	}
	return s.show(user, func() error { return s.line(done + ": " + user.GetName()) })
}

// password is typed twice without being shown, or the first line of standard input.
func password(t Terminal, prompt string) (string, error) {
	if !t.typed() {
		secret, err := line(t.In, maxToken)
		if err == nil && secret == "" {
			err = adg.Errorf(adg.Invalid, "there is no password on standard input")
		}
		return secret, err
	}
	first, err := hidden(t, prompt)
	if err != nil {
		return "", err
	}
	second, err := hidden(t, "the same again")
	if err == nil && first != second {
		err = adg.Errorf(adg.Invalid, "the two are not the same: nothing was changed")
	}
	return first, err
}

// hidden reads what is typed without showing it.
func hidden(t Terminal, prompt string) (string, error) {
	in, ok := t.In.(*os.File)
	if !ok {
		return "", adg.Errorf(adg.Invalid, "nobody can type here: give it on standard input")
	}
	_, _ = io.WriteString(t.Err, clean(prompt)+": ")
	text, err := term.ReadPassword(int(in.Fd()))
	_, _ = io.WriteString(t.Err, "\n")
	if err != nil && !errors.Is(err, io.EOF) {
		return "", adg.Errorf(adg.Invalid, "reading what is typed: %w", err)
	}
	return string(text), nil
}

func listUsersCommand(t Terminal, connect Connect) *cobra.Command {
	var prefix string
	var disabled bool
	var limit int
	cmd := &cobra.Command{Use: "list", Short: "List users by name", Args: cobra.NoArgs, Example: "  adg user list --disabled"}
	cmd.Flags().StringVar(&prefix, "prefix", "", "only names that begin `so`")
	cmd.Flags().BoolVar(&disabled, "disabled", false, "only those that cannot log in")
	limitFlag(cmd, &limit)
	return online(t, connect, cmd, func(ctx context.Context, s session, _ []string) error {
		return list(s, listing[*adgv1.User]{
			limit: limit, none: "there is no such user", header: []string{"NAME", "IS", "LOGIN BY", "LAST LOGIN", "EMAIL", "FOR PEOPLE"},
			page: func(size int32, token string) ([]*adgv1.User, string, error) {
				answer, err := s.Identity.ListUsers(ctx, &adgv1.ListUsersRequest{Prefix: prefix, Disabled: disabled, PageSize: size, PageToken: token})
				return answer.GetUsers(), answer.GetNextPageToken(), err
			},
			row: func(u *adgv1.User) []string {
				is, by := "active", "password"
				switch {
				case u.GetDisabled():
					is = "disabled"
				case u.GetLocked():
					is = "locked"
				}
				if u.GetProvider() != "" {
					by = u.GetProvider()
				}
				return []string{u.GetName(), is, by, when(s.now, u.GetLoginTime()), dash(u.GetEmail()), u.GetDisplayName()}
			},
		})
	})
}

func roleCommand(t Terminal, connect Connect) *cobra.Command {
	revoke := removal(t, connect, "revoke", "Take a role away, by the id that adg role list shows", "adg role revoke 01J9Z --reason 'has changed teams'", "revoked", func(ctx context.Context, s session, id, reason string) error {
		_, err := s.Identity.DeleteRoleBinding(ctx, &adgv1.DeleteRoleBindingRequest{Id: id, Reason: reason})
		return err
	})
	return group("role", "Say who may do what, and where", grantCommand(t, connect), revoke, listRolesCommand(t, connect))
}

func grantCommand(t Terminal, connect Connect) *cobra.Command {
	var r adgv1.CreateRoleBindingRequest
	cmd := &cobra.Command{
		Use: "grant SUBJECT ROLE -s SERVICE -e ENVIRONMENT", Short: "Give a role to user:NAME, group:NAME or token:ID", Args: cobra.ExactArgs(2),
		Example: `  adg role grant user:alice deployer -s 'shop-*' -e production
  adg role grant group:sre admin -s '*' -e '*'`,
	}
	patterns(cmd, t, connect, &r.Service, &r.Environment)
	reasonFlag(cmd, &r.Reason)
	return online(t, connect, cmd, func(ctx context.Context, s session, args []string) error {
		if r.GetService() == "" || r.GetEnvironment() == "" {
			return adg.Errorf(adg.Invalid, "where? say -s and -e; '*' is everywhere")
		}
		r.Subject, r.Role = args[0], args[1]
		b, err := s.Identity.CreateRoleBinding(ctx, &r)
		if err != nil {
			return err
		}
		return s.show(b, func() error {
			return s.line(fmt.Sprintf("%s is %s of %s in %s (%s)", b.GetSubject(), b.GetRole(), b.GetService(), b.GetEnvironment(), b.GetId()))
		})
	})
}

func listRolesCommand(t Terminal, connect Connect) *cobra.Command {
	var subject string
	var limit int
	cmd := &cobra.Command{Use: "list", Short: "List who has which role, and where", Args: cobra.NoArgs, Example: "  adg role list --subject user:alice"}
	cmd.Flags().StringVar(&subject, "subject", "", "only of user:NAME, group:NAME or token:ID")
	limitFlag(cmd, &limit)
	return online(t, connect, cmd, func(ctx context.Context, s session, _ []string) error {
		return list(s, listing[*adgv1.RoleBinding]{
			limit: limit, none: "nobody has such a role", header: []string{"ID", "WHO", "ROLE", "SERVICE", "ENVIRONMENT", "GIVEN", "BY"},
			page: func(size int32, token string) ([]*adgv1.RoleBinding, string, error) {
				answer, err := s.Identity.ListRoleBindings(ctx, &adgv1.ListRoleBindingsRequest{Subject: subject, PageSize: size, PageToken: token})
				return answer.GetBindings(), answer.GetNextPageToken(), err
			},
			row: func(b *adgv1.RoleBinding) []string {
				return []string{b.GetId(), b.GetSubject(), b.GetRole(), b.GetService(), b.GetEnvironment(), when(s.now, b.GetCreateTime()), b.GetCreator()}
			},
		})
	})
}
