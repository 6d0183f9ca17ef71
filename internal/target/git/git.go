// Package git makes releases live by what a git repository says: it commits the version of a service, and rolls back by
// reverting the commits that brought a release.
package git

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
	"github.com/deployguardian/adg/internal/target/witness"
)

// Options are what a policy says about a target of type git.
type Options struct {
	Repository string          `yaml:"repository" doc:"Address of the repository: https://host/team/deployments.git or ssh://git@host/team/deployments.git."`
	Branch     string          `yaml:"branch" doc:"The branch that says what is live."`
	Paths      []string        `yaml:"paths" doc:"Folders and files of this service: a rollback reverts nothing outside of them. Without them it is the folder of version.file."`
	Version    Place           `yaml:"version" doc:"Where the version of the service is written."`
	User       string          `yaml:"user" doc:"User that goes with token, where the server cares: oauth2 for GitLab."`
	Token      adg.Secret      `yaml:"token" doc:"Token or password for https, and for the requests of mode pull-request."`
	Key        adg.Secret      `yaml:"key" doc:"Private key for ssh, without a passphrase."`
	KnownHosts string          `yaml:"known_hosts" doc:"Keys of the ssh server, as lines of a known_hosts file; no other server is talked to."`
	CAFile     string          `yaml:"ca_file" doc:"File with the certificates of the authorities to trust instead of the system's, in PEM format."`
	Author     Author          `yaml:"author" doc:"Whose commits they are."`
	Signing    Signing         `yaml:"signing" doc:"How commits are signed; without a key they are not."`
	Mode       string          `yaml:"mode" doc:"push: commits go to the branch. pull-request: they go to a branch of their own, for which a request is opened, and are live when that is merged."`
	Forge      Forge           `yaml:"forge" doc:"Where requests are opened in mode pull-request."`
	Fallback   string          `yaml:"fallback" doc:"What a rollback does where the commits cannot be reverted: none gives up and says why, write writes the last good version and leaves everything else."`
	Verify     witness.Options `yaml:"verify" doc:"Where the version that really runs is read. Without it the branch's word counts."`
	History    int             `yaml:"history" doc:"How many commits back operations and releases are looked for."`
	Timeout    time.Duration   `yaml:"timeout" doc:"How long one run of git and one request may take."`
	Git        string          `yaml:"git" doc:"Path of git, 2.37 or later."`
	SSH        string          `yaml:"ssh" doc:"Path of ssh, for an address that starts with ssh."`
}

// Author is a name and an address in commits.
type Author struct {
	Name  string `yaml:"name" doc:"Name of the author."`
	Email string `yaml:"email" doc:"E-mail address of the author."`
}

// Signing is how commits are signed.
type Signing struct {
	Format  string     `yaml:"format" doc:"Kind of the key: ssh or openpgp."`
	Key     adg.Secret `yaml:"key" doc:"Private key without a passphrase: of OpenSSH, or of OpenPGP in ASCII armor."`
	Program string     `yaml:"program" doc:"Path of the program that signs; empty: /usr/bin/ssh-keygen for ssh, /usr/bin/gpg for openpgp."`
}

// Forge is a server that merges requests.
type Forge struct {
	Type string `yaml:"type" doc:"Kind of the server: github, gitlab or gitea."`
	API  string `yaml:"api" doc:"Address of its API; empty: as the address of the repository suggests, such as https://api.github.com or https://host/api/v4."`
	Name string `yaml:"name" doc:"Name of the repository there, such as team/deployments; empty: as in the address of the repository."`
}

// The modes and the fallbacks.
const (
	push        = "push"
	pullRequest = "pull-request"
	none        = "none"
	write       = "write"
)

// Driver opens targets that are branches of git repositories.
var Driver = adg.NewTargetDriver("git", "Commits the version of a service to a git repository, and rolls back by reverting.", Options{
	Branch:   "main",
	User:     "x-access-token",
	Author:   Author{Name: "ADG", Email: "adg@localhost"},
	Signing:  Signing{Format: "ssh"},
	Mode:     push,
	Forge:    Forge{Type: "github"},
	Verify:   witness.Defaults(),
	Fallback: none,
	History:  500,
	Timeout:  time.Minute,
	Git:      "/usr/bin/git",
	SSH:      "/usr/bin/ssh",
}, open)

// Private

const maxHistory = 100_000

type target struct {
	o     Options
	name  string // of the target: other targets may write to the same branch
	dir   string
	place place
	at    address
	forge *forge           // nil: commits are pushed to the branch
	live  *witness.Witness // nil: the branch's word counts
	scrub func(string) string
	turn  chan struct{} // one session at a time, in the order in which they were asked for
	fit   bool          // git is known to be new enough; of the session that has the turn

	mu    sync.Mutex
	stuck stuck
}

// stuck is an operation that was given up, until the branch moves or another operation comes.
type stuck struct {
	op, head, text string
}

func open(_ context.Context, o Options, host adg.Host) (adg.Target, error) {
	o.Signing.Program = cmp.Or(o.Signing.Program, map[string]string{"ssh": "/usr/bin/ssh-keygen", "openpgp": "/usr/bin/gpg"}[o.Signing.Format])
	where, at, err := o.validate(host)
	t := &target{
		o: o, name: host.Name, dir: host.Dir, place: where, at: at, turn: make(chan struct{}, 1),
		scrub: remote.Scrubber(o.Token, o.Key, o.Signing.Key, adg.NewSecret(basic(o.User, o.Token))),
	}
	if len(o.Paths) == 0 && err == nil {
		t.o.Paths = []string{path.Dir(where.file)}
	}
	if o.Verify.URL != "" {
		live, failed := witness.New(o.Verify, o.Token)
		t.live, err = live, errors.Join(err, failed)
	}
	if o.Mode == pullRequest {
		f, failed := openForge(o, at)
		t.forge, err = f, errors.Join(err, failed)
	}
	if err != nil {
		return nil, adg.Permanent(adg.Errorf(adg.Invalid, "%w", err))
	}
	return t, nil
}

// Close lets go of idle connections. The clone stays, for the next one who opens the target.
func (t *target) Close() error {
	if t.live != nil {
		_ = t.live.Close() // never fails
	}
	if t.forge != nil {
		return t.forge.client.Close()
	}
	return nil
}

// Can is to say what is live, and nothing in between.
func (t *target) Can() adg.Capabilities { return adg.Capabilities{Reports: true} }

var branchName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_./+-]{0,199}$`)

func (o Options) validate(host adg.Host) (place, address, error) {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	at, err := parseAddress(o)
	if err != nil {
		problems = append(problems, err)
	}
	where, err := o.Version.parse()
	if err != nil {
		problems = append(problems, err)
	}
	if !branchName.MatchString(o.Branch) || strings.Contains(o.Branch, "..") || strings.Contains(o.Branch, "//") || strings.HasSuffix(o.Branch, ".lock") || strings.HasSuffix(o.Branch, "/") {
		problem("branch: %q is no name of a branch", o.Branch)
	}
	for _, p := range o.Paths {
		if err := validPath(p); err != nil {
			problem("paths: %w", err)
		}
	}
	if len(o.Paths) > 0 && where.file != "" && !within(o.Paths, where.file) {
		problem("paths: %s lies outside of them", where.file)
	}
	for name, text := range map[string]string{"author.name": o.Author.Name, "author.email": o.Author.Email} {
		if text == "" || len(text) > 200 || adg.Printable(text) != text || strings.ContainsAny(text, "<>\n") {
			problem("%s: %q: write plain text without < and >", name, text)
		}
	}
	for _, choice := range []struct {
		name, value string
		of          []string
	}{
		{"mode", o.Mode, []string{push, pullRequest}}, {"fallback", o.Fallback, []string{none, write}}, {"signing.format", o.Signing.Format, []string{"ssh", "openpgp"}},
	} {
		if !slices.Contains(choice.of, choice.value) {
			problem("%s: %q: use one of %s", choice.name, choice.value, strings.Join(choice.of, ", "))
		}
	}
	if o.History < 1 || o.History > maxHistory {
		problem("history: %d: use 1 to %d commits", o.History, maxHistory)
	}
	if o.Timeout <= 0 {
		problem("timeout: %s: it must be longer than 0s", o.Timeout)
	}
	if host.Dir == "" {
		problem("the target has no directory of its own to keep a clone in")
	}
	if err := o.Verify.Validate(); err != nil {
		problems = append(problems, err)
	}
	for name, program := range o.programs(at) {
		if !path.IsAbs(program) {
			problem("%s: %q: write the program's whole path, PATH is not searched", name, program)
		} else if err := host.MayStart(program); err != nil {
			problem("%s: %w", name, err)
		}
	}
	slices.SortStableFunc(problems, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
	return where, at, errors.Join(problems...)
}

// programs are those that are started, by the option that names them.
func (o Options) programs(at address) map[string]string {
	all := map[string]string{"git": o.Git}
	if at.scheme == "ssh" {
		all["ssh"] = o.SSH
	}
	if !o.Signing.Key.IsZero() {
		all["signing.program"] = o.Signing.Program
	}
	return all
}

// within tells whether a file is one of the paths or below one.
func within(paths []string, file string) bool {
	return slices.ContainsFunc(paths, func(p string) bool { return p == "." || file == p || strings.HasPrefix(file, p+"/") })
}

// address is a repository's address, taken apart.
type address struct {
	scheme, host, port string
	url                *url.URL
}

func parseAddress(o Options) (address, error) {
	u, err := url.Parse(o.Repository)
	if err != nil || u.Hostname() == "" || strings.Trim(u.Path, "/") == "" || u.RawQuery != "" || u.Fragment != "" || adg.Printable(o.Repository) != o.Repository {
		return address{}, errors.New("repository: this is no address of a repository: write it as https://host/team/name.git or ssh://git@host/team/name.git")
	}
	at := address{scheme: u.Scheme, host: u.Hostname(), port: u.Port(), url: u}
	if strings.HasPrefix(at.host, "-") || strings.ContainsAny(at.host, "%\"'\\ ") {
		return address{}, errors.New("repository: the address holds no name of a host")
	}
	switch u.Scheme {
	case "https", "http":
		at.port = cmp.Or(at.port, map[string]string{"http": "80", "https": "443"}[u.Scheme])
		if err := remote.ValidURL(o.Repository); err != nil {
			return address{}, errors.New("repository: the address holds a user or password, or is one that nothing is sent to: use user and token")
		}
	case "ssh":
		at.port = cmp.Or(at.port, "22")
		if _, has := u.User.Password(); has || strings.HasPrefix(u.User.Username(), "-") {
			return address{}, errors.New("repository: the address holds a password: use key")
		}
		if o.Key.IsZero() || strings.TrimSpace(o.KnownHosts) == "" {
			return address{}, errors.New("repository: for ssh, key and known_hosts are needed (ssh-keyscan prints the latter: compare it with what the server's operator publishes)")
		}
	default:
		return address{}, fmt.Errorf("repository: %s is not spoken here: use https or ssh", u.Scheme)
	}
	return at, nil
}
