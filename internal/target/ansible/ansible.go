// Package ansible makes releases live by a playbook of the user's own, and asks another one which release each host runs.
package ansible

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
	"github.com/deployguardian/adg/internal/target/ledger"
)

// Options are what a policy says about a target of type ansible.
type Options struct {
	Program       string                `yaml:"program" doc:"Path of ansible-playbook."`
	Dir           string                `yaml:"dir" doc:"Folder of the project, where ansible.cfg, the inventory and the playbooks are looked for."`
	Inventory     string                `yaml:"inventory" doc:"The inventory: a file, a folder, or names of hosts with a comma after each; empty: the one of ansible.cfg."`
	Playbook      string                `yaml:"playbook" doc:"Playbook that makes a release live. It gets the variables adg_version, adg_artifact, adg_config, adg_commit, adg_service and adg_share of the release with the largest share, adg_release and adg_releases with all of that, adg_operation, adg_deployment, adg_fence and adg_rollback. It must be able to start again after it was stopped half-way; runs never overlap."`
	Current       string                `yaml:"current" doc:"Playbook that says what is live: by set_stats, for each host, with adg_live as the version there, or as shares by version. Without it nothing proves that a rollback arrived."`
	Limit         string                `yaml:"limit" doc:"Pattern of the hosts that both playbooks are limited to."`
	Vars          map[string]string     `yaml:"vars" doc:"Further variables for both playbooks, passed as they are: nothing in them is a template."`
	SecretVars    map[string]adg.Secret `yaml:"secret_vars" doc:"Variables for both playbooks whose values are secret. Use no_log in the tasks that need them."`
	Env           map[string]string     `yaml:"env" doc:"Environment variables for ansible, beside PATH, HOME and LANG=C.UTF-8; nothing else is inherited."`
	Secrets       map[string]adg.Secret `yaml:"secrets" doc:"Environment variables for ansible whose values are secret."`
	VaultPassword adg.Secret            `yaml:"vault_password" doc:"Password of what is encrypted by ansible-vault."`
	Check         bool                  `yaml:"check" doc:"Whether the playbook works in check mode. Then a release is tried in it first and changes nothing unless that succeeds, and it is how adg rehearses the way back."`
	Shares        bool                  `yaml:"shares" doc:"Whether the playbook can split traffic between two releases, as a canary needs: by adg_releases."`
	Timeout       time.Duration         `yaml:"timeout" doc:"How long a run of playbook may take before it is stopped."`
	LookTimeout   time.Duration         `yaml:"current_timeout" doc:"How long a run of current may take before it is stopped."`
}

// Driver opens targets that run playbooks.
var Driver = adg.NewTargetDriver("ansible", "Runs an Ansible playbook that makes a release live, and asks another one what each host runs.", Options{
	Program:     "/usr/bin/ansible-playbook",
	Check:       true,
	Timeout:     30 * time.Minute,
	LookTimeout: 2 * time.Minute,
}, open)

// Private

type target struct {
	o      Options
	dir    string // of this instance
	env    []string
	ledger ledger.Ledger
	redact func(string) string
}

func open(_ context.Context, o Options, host adg.Host) (adg.Target, error) {
	if err := o.validate(host); err != nil {
		return nil, err
	}
	secrets := slices.Concat(slices.Collect(maps.Values(o.Secrets)), slices.Collect(maps.Values(o.SecretVars)), []adg.Secret{o.VaultPassword})
	return &target{o: o, dir: host.Dir, env: o.environment(), ledger: ledger.New(host.Dir), redact: remote.Redactor(secrets...)}, nil
}

// Can is what the policy says that the playbooks can.
func (t *target) Can() adg.Capabilities {
	return adg.Capabilities{Shares: t.o.Shares, Reports: t.o.Current != ""}
}

// environment is what ansible gets beside what a run needs.
func (o Options) environment() []string {
	env := []string{"LANG=C.UTF-8"} // it does not start with another encoding
	for _, name := range []string{"PATH", "HOME"} {
		if value, found := os.LookupEnv(name); found {
			env = append(env, name+"="+value)
		}
	}
	for name, value := range o.Env {
		env = append(env, name+"="+value)
	}
	for name, secret := range o.Secrets {
		env = append(env, name+"="+secret.Reveal())
	}
	return env
}

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func (o Options) validate(host adg.Host) error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if err := host.MayStart(o.Program); err != nil {
		problem("%w", err)
	}
	if !filepath.IsAbs(o.Program) {
		problem("program: %q: write the whole path of ansible-playbook", o.Program)
	}
	if !filepath.IsAbs(o.Dir) {
		problem("dir: %q: write the whole path of the project's folder", o.Dir)
	}
	if host.Dir == "" {
		problem("the target has no directory of its own to keep its operations in")
	}
	if o.Playbook == "" {
		problem("playbook: it is missing")
	}
	for name, text := range map[string]string{"inventory": o.Inventory, "playbook": o.Playbook, "current": o.Current, "limit": o.Limit} {
		if strings.HasPrefix(text, "-") || strings.ContainsRune(text, 0) {
			problem("%s: %q: it must not start with '-', nor hold a zero byte", name, text)
		}
	}
	twice(problem, variableName, "adg_", "vars", slices.Sorted(maps.Keys(o.Vars)), "secret_vars", slices.Sorted(maps.Keys(o.SecretVars)))
	twice(problem, variableName, "ADG_", "env", slices.Sorted(maps.Keys(o.Env)), "secrets", slices.Sorted(maps.Keys(o.Secrets)))
	for name, d := range map[string]time.Duration{"timeout": o.Timeout, "current_timeout": o.LookTimeout} {
		if d <= 0 {
			problem("%s: %s: it must be longer than 0s", name, d)
		}
	}
	if len(problems) == 0 {
		return nil
	}
	slices.SortStableFunc(problems, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
	return adg.Permanent(adg.Errorf(adg.Invalid, "%w", errors.Join(problems...)))
}

// twice finds names that are none, that are adg's own, and that are in both of two lists.
func twice(problem func(string, ...any), form *regexp.Regexp, own, first string, a []string, second string, b []string) {
	for i, name := range slices.Concat(a, b) {
		where := first
		if i >= len(a) {
			where = second
			if slices.Contains(a, name) {
				problem("%s: %q is in %s too", second, name, first)
			}
		}
		if !form.MatchString(name) || strings.HasPrefix(name, own) {
			problem("%s: %q: use letters, digits and '_'; names that start with %s are adg's own", where, name, own)
		}
	}
}
