// Package ssh makes releases live on servers: each release is a folder, a symbolic link says which one is current, and a
// service is restarted, on one host after the other.
package ssh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
)

// Options are what a policy says about a target of type ssh.
type Options struct {
	Hosts      []string      `yaml:"hosts" doc:"The servers, as host or host:port, in the order in which they are changed."`
	User       string        `yaml:"user" doc:"The user to log in as; its login shell must be a POSIX shell."`
	Key        adg.Secret    `yaml:"key" doc:"Private key of the user, without a passphrase."`
	KnownHosts string        `yaml:"known_hosts" doc:"Keys of the servers, as lines of a known_hosts file; no other server is talked to."`
	Root       string        `yaml:"root" doc:"Folder on the servers with releases/VERSION in it, and the link current to one of them."`
	Fetch      []string      `yaml:"fetch" doc:"Program on the server, and its arguments, that fills the folder of a release: {dir} stands for the folder, {version}, {artifact}, {commit}, {config} and {service} for the release. Without it the folders have to be there."`
	Unit       string        `yaml:"unit" doc:"Unit of systemd that runs the current release."`
	Action     string        `yaml:"action" doc:"What is done with the unit after the link has changed: restart, reload or reload-or-restart."`
	Systemctl  []string      `yaml:"systemctl" doc:"How systemctl is started, such as [sudo, -n, systemctl] or [systemctl, --user]."`
	Restart    []string      `yaml:"restart" doc:"Program that brings the current release into use, and its arguments, instead of a unit."`
	Drain      []string      `yaml:"drain" doc:"Program on the server, and its arguments, that takes the server's traffic away and ends when it has none."`
	Undrain    []string      `yaml:"undrain" doc:"Program on the server, and its arguments, that gives the traffic back."`
	Health     string        `yaml:"health" doc:"Address that answers with a status of 2xx when the server is well; {host} stands for the server: http://{host}:8080/healthz."`
	Batch      int           `yaml:"batch" doc:"How many servers are changed at the same time."`
	Settle     time.Duration `yaml:"settle" doc:"How long a service must have run before it counts as started."`
	Wait       time.Duration `yaml:"wait" doc:"How long a service may take to run and to be well after it was restarted."`
	Timeout    time.Duration `yaml:"timeout" doc:"How long a program on a server may run."`
	Connect    time.Duration `yaml:"connect_timeout" doc:"How long a server may take to let adg in, and to say what is live."`
}

// Driver opens targets that are servers with folders of releases.
var Driver = adg.NewTargetDriver("ssh", "Switches a link to the release's folder and restarts a service, on servers over SSH.", Options{
	Action:    "restart",
	Systemctl: []string{"systemctl"},
	Batch:     1,
	Settle:    2 * time.Second,
	Wait:      time.Minute,
	Timeout:   5 * time.Minute,
	Connect:   10 * time.Second,
}, open)

// Private

const maxHosts = 200

type target struct {
	o      Options
	login  login
	health *remote.Client // nil: nothing is asked
	scrub  func(string) string
	redact func(string) string
}

func open(_ context.Context, o Options, host adg.Host) (adg.Target, error) {
	t := &target{o: o, scrub: remote.Scrubber(o.Key), redact: remote.Redactor(o.Key)}
	t.o.Hosts = make([]string, len(o.Hosts))
	for i, h := range o.Hosts {
		t.o.Hosts[i] = withPort(h)
	}
	login, loginErr := newLogin(o, host.Dir)
	t.login = login
	err := errors.Join(t.o.validate(), loginErr)
	if o.Health != "" {
		web := remote.Defaults()
		web.Timeout, web.MaxBytes = o.Connect, 64<<10
		client, failed := remote.New(web)
		t.health, err = client, errors.Join(err, failed)
	}
	if err != nil {
		return nil, adg.Permanent(adg.Errorf(adg.Invalid, "%w", err))
	}
	return t, nil
}

// Close lets go of idle connections.
func (t *target) Close() error {
	if t.health == nil {
		return nil
	}
	return t.health.Close()
}

// Can is to give each server one release.
func (t *target) Can() adg.Capabilities {
	return adg.Capabilities{Shares: len(t.o.Hosts) > 1, Drain: len(t.o.Drain) > 0, Reports: true}
}

var (
	hostName = regexp.MustCompile(`^[A-Za-z0-9:._-]{1,253}$`)
	userName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._@-]{0,63}$`)
	unitName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9:._@\\-]{0,254}$`)
	rootPath = regexp.MustCompile(`^(/[A-Za-z0-9._+@-]+)+$`)
)

func (o Options) validate() error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if len(o.Hosts) == 0 || len(o.Hosts) > maxHosts {
		problem("hosts: name 1 to %d servers", maxHosts)
	}
	for i, h := range o.Hosts {
		name, port, err := net.SplitHostPort(h)
		if err != nil || port == "" || !hostName.MatchString(name) || strings.HasPrefix(name, "-") {
			problem("hosts: %q is no name of a server: write host or host:port", h)
		}
		if slices.Contains(o.Hosts[:i], h) {
			problem("hosts: %s is there twice", h)
		}
	}
	if !userName.MatchString(o.User) {
		problem("user: %q is no name of a user", o.User)
	}
	if !rootPath.MatchString(o.Root) || path.Clean(o.Root) != o.Root {
		problem("root: %q: write the whole path of a folder, of letters, digits and ._+@-", o.Root)
	}
	if (o.Unit == "") == (len(o.Restart) == 0) {
		problem("unit, restart: name one of them")
	}
	if o.Unit != "" && !unitName.MatchString(o.Unit) {
		problem("unit: %q is no name of a unit", o.Unit)
	}
	if !slices.Contains([]string{"restart", "reload", "reload-or-restart"}, o.Action) {
		problem("action: %q: use restart, reload or reload-or-restart", o.Action)
	}
	if o.Unit != "" && len(o.Systemctl) == 0 {
		problem("systemctl: it must not be empty")
	}
	for _, program := range []struct {
		name string
		args []string
	}{{"fetch", o.Fetch}, {"systemctl", o.Systemctl}, {"restart", o.Restart}, {"drain", o.Drain}, {"undrain", o.Undrain}} {
		if err := validProgram(program.args); err != nil {
			problem("%s: %w", program.name, err)
		}
	}
	if (len(o.Drain) == 0) != (len(o.Undrain) == 0) {
		problem("drain, undrain: they go together")
	}
	if o.Health != "" {
		if err := remote.ValidURL(healthOf(o.Health, "host")); err != nil {
			problem("health: %w", err)
		}
	}
	if o.Batch < 1 {
		problem("batch: %d: it must be at least 1", o.Batch)
	}
	for name, d := range map[string]time.Duration{"wait": o.Wait, "timeout": o.Timeout, "connect_timeout": o.Connect} {
		if d <= 0 {
			problem("%s: %s: it must be longer than 0s", name, d)
		}
	}
	if o.Settle < 0 || o.Settle >= o.Wait {
		problem("settle: %s: it must be shorter than wait", o.Settle)
	}
	slices.SortStableFunc(problems, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
	return errors.Join(problems...)
}

// validProgram refuses what cannot be handed to a program as it is.
func validProgram(args []string) error {
	for i, arg := range args {
		if i == 0 && (arg == "" || strings.HasPrefix(arg, "-") || strings.Contains(arg, "=")) {
			return fmt.Errorf("%q is no program", arg)
		}
		if strings.ContainsRune(arg, 0) || len(arg) > 4096 {
			return errors.New("an argument holds a zero byte, or is longer than 4096 bytes")
		}
	}
	return nil
}

func withPort(host string) string {
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	return net.JoinHostPort(strings.Trim(host, "[]"), "22")
}

// healthOf is the address to ask for a server's health.
func healthOf(address, name string) string {
	if strings.Contains(name, ":") {
		name = "[" + name + "]"
	}
	return strings.ReplaceAll(address, "{host}", name)
}
