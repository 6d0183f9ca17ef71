// Package haproxy moves the traffic of an HAProxy backend between slots of servers, over HAProxy's runtime socket,
// without failing a request.
package haproxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
	"github.com/deployguardian/adg/internal/target/ledger"
)

// Options are what a policy says about a target of type haproxy.
type Options struct {
	Socket       string              `yaml:"socket" doc:"HAProxy's stats socket, with level admin: a path such as /run/haproxy/admin.sock, or an address such as 127.0.0.1:9999."`
	Backend      string              `yaml:"backend" doc:"The backend whose servers get the traffic."`
	Slots        map[string][]string `yaml:"slots" doc:"Groups of servers, each of which runs one release at a time: {blue: [srv1, srv2], green: [srv3, srv4]}."`
	Initial      map[string]string   `yaml:"initial" doc:"The version that a slot runs before adg has deployed anything there: {blue: v1}. What adg deployed, and what version_path says, win over it."`
	VersionPath  string              `yaml:"version_path" doc:"Path on each server, over HTTP, that answers with the version that it really runs: the version alone, or JSON with a field version."`
	Prepare      Program             `yaml:"prepare" doc:"The program that brings a release into a slot that has no traffic: it starts the release on the slot's servers, and may set their addresses in HAProxy. It gets ADG_SLOT, ADG_BACKEND, ADG_SERVERS, ADG_VERSION, ADG_SERVICE, ADG_ARTIFACT, ADG_CONFIG, ADG_COMMIT, ADG_OP_ID, ADG_FENCE and ADG_DEPLOYMENT, and all of it as JSON on its standard input. Without it the release has to be in a free slot already."`
	Timeout      time.Duration       `yaml:"timeout" doc:"How long HAProxy may take for one answer."`
	UpTimeout    time.Duration       `yaml:"up_timeout" doc:"How long the servers of a slot may take to pass their health checks before they get traffic."`
	DrainTimeout time.Duration       `yaml:"drain_timeout" doc:"How long requests may go on in a slot that gets no new ones, before it counts as idle all the same."`
	RollbackUp   float64             `yaml:"rollback_up" doc:"Percent of a slot's servers that must be up to take the traffic back in a rollback; going forward it is all of them."`
}

// Program is what to run. It is started directly; no shell reads any of it.
type Program struct {
	Path    string            `yaml:"path" doc:"The program's path, with a slash in it; PATH is not searched."`
	Args    []string          `yaml:"args" doc:"Its arguments, passed as they are."`
	Dir     string            `yaml:"dir" doc:"The directory that it runs in; empty: the one that adg runs in."`
	Env     map[string]string `yaml:"env" doc:"Environment variables beside PATH, HOME and LANG; nothing else is inherited."`
	Timeout time.Duration     `yaml:"timeout" doc:"How long it may run before it and its children are stopped."`
}

// Driver opens targets that are backends of an HAProxy, 2.4 or later.
var Driver = adg.NewTargetDriver("haproxy", "Moves the traffic of an HAProxy backend between slots of servers: weights, drain, health.", Options{
	Prepare:      Program{Timeout: 5 * time.Minute},
	Timeout:      5 * time.Second,
	UpTimeout:    30 * time.Second,
	DrainTimeout: 30 * time.Second,
	RollbackUp:   50,
}, open)

// Private

const maxSlots = 16

type target struct {
	o      Options
	names  []string // of the slots, sorted
	socket socket
	ledger ledger.Ledger
	file   string // what is in which slot
	http   *remote.Client
}

func open(_ context.Context, o Options, host adg.Host) (adg.Target, error) {
	if err := o.validate(host); err != nil {
		return nil, err
	}
	t := &target{
		o: o, names: slices.Sorted(maps.Keys(o.Slots)), ledger: ledger.New(host.Dir), file: filepath.Join(host.Dir, "slots.json"),
		socket: socket{network: "tcp", address: o.Socket, timeout: o.Timeout},
	}
	if strings.Contains(o.Socket, "/") {
		t.socket.network = "unix"
	}
	if o.VersionPath != "" {
		web := remote.Defaults()
		web.Timeout, web.MaxBytes, web.Proxy = o.Timeout, maxVersionAnswer, "direct"
		client, err := remote.New(web)
		if err != nil {
			return nil, err
		}
		t.http = client
	}
	return t, nil
}

// Close lets go of idle connections.
func (t *target) Close() error {
	if t.http == nil {
		return nil
	}
	return t.http.Close()
}

// haproxyName is the alphabet of HAProxy's own names: nothing in it can end a command.
var haproxyName = regexp.MustCompile(`^[A-Za-z0-9_.:-]{1,128}$`)

func (o Options) validate(host adg.Host) error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if !strings.Contains(o.Socket, "/") && !strings.Contains(o.Socket, ":") {
		problem("socket: %q: write the path of HAProxy's stats socket, or its address as host:port", o.Socket)
	}
	if !haproxyName.MatchString(o.Backend) {
		problem("backend: %q is no name of a backend", o.Backend)
	}
	if len(o.Slots) < 2 || len(o.Slots) > maxSlots {
		problem("slots: there are %d: a release moves from one slot to another, so write 2 to %d", len(o.Slots), maxSlots)
	}
	owner := map[string]string{}
	for _, slot := range slices.Sorted(maps.Keys(o.Slots)) {
		if err := adg.ValidName("slot", slot); err != nil {
			problem("slots: %w", err)
		}
		if len(o.Slots[slot]) == 0 {
			problem("slots: %s has no servers", slot)
		}
		for _, name := range o.Slots[slot] {
			if !haproxyName.MatchString(name) {
				problem("slots: %s: %q is no name of a server", slot, name)
			}
			if owner[name] != "" {
				problem("slots: server %s is in %s and in %s", name, owner[name], slot)
			}
			owner[name] = slot
		}
	}
	for _, slot := range slices.Sorted(maps.Keys(o.Initial)) {
		if _, found := o.Slots[slot]; !found {
			problem("initial: there is no slot %s: %s", slot, strings.Join(slices.Sorted(maps.Keys(o.Slots)), ", "))
		}
		if err := adg.ValidVersion(o.Initial[slot]); err != nil {
			problem("initial: %s: %w", slot, err)
		}
	}
	if o.VersionPath != "" && !strings.HasPrefix(o.VersionPath, "/") {
		problem("version_path: %q: it starts with a slash", o.VersionPath)
	}
	if o.Prepare.Path != "" {
		o.Prepare.check(host, problem)
	}
	for name, d := range map[string]time.Duration{"timeout": o.Timeout, "up_timeout": o.UpTimeout, "drain_timeout": o.DrainTimeout} {
		if d <= 0 {
			problem("%s: %s: it must be longer than 0s", name, d)
		}
	}
	if !(o.RollbackUp > 0 && o.RollbackUp <= 100) {
		problem("rollback_up: %g: use a percentage above 0, at most 100", o.RollbackUp)
	}
	if host.Dir == "" {
		problem("the target has no directory of its own to keep its state in")
	}
	if len(problems) == 0 {
		return nil
	}
	slices.SortStableFunc(problems, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
	return adg.Permanent(adg.Errorf(adg.Invalid, "%w", errors.Join(problems...)))
}

func (p Program) check(host adg.Host, problem func(format string, args ...any)) {
	if err := host.MayStart(p.Path); err != nil {
		problem("prepare: %w", err)
	}
	if !strings.Contains(p.Path, "/") {
		problem("prepare: path: %q: write the program's path with a slash, such as ./prepare", p.Path)
	}
	if p.Timeout <= 0 {
		problem("prepare: timeout: %s: it must be longer than 0s", p.Timeout)
	}
	for _, name := range slices.Sorted(maps.Keys(p.Env)) {
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.HasPrefix(name, "ADG_") {
			problem("prepare: env: %q is no name for an environment variable here: no '=', and ADG_ is adg's own", name)
		}
	}
}

// Can is everything but the database.
func (t *target) Can() adg.Capabilities {
	return adg.Capabilities{Shares: true, Idle: true, Drain: true, Reports: true}
}

// Current reads the weights and the states that HAProxy really has.
func (t *target) Current(ctx context.Context) (adg.Observed, error) {
	begun, done, err := t.ledger.Last()
	if err != nil {
		return adg.Observed{}, err
	}
	v, err := t.lookAndAsk(ctx)
	if err != nil {
		return adg.Observed{}, err
	}
	seen, err := v.observed()
	if err != nil {
		return adg.Observed{}, err
	}
	seen.OpID = done.OpID
	seen.Done = begun.State == "" || begun.State == ledger.Done
	if !seen.Done && seen.Text == "" {
		seen.Text = fmt.Sprintf("operation %s has not come to its end", begun.OpID)
	}
	return seen, nil
}

// Apply converges: what is already as it is wanted is not touched, so a repeated operation sends nothing, unless
// HAProxy has forgotten its weights meanwhile. Traffic moves only when the receiving servers are up.
func (t *target) Apply(ctx context.Context, want adg.Desired) (adg.Observed, error) {
	if err := t.check(want); err != nil {
		return adg.Observed{}, adg.Permanent(err)
	}
	operation, err := t.ledger.Begin(ctx, want)
	if err != nil {
		return adg.Observed{}, fmt.Errorf("apply %s: %w", want.OpID, err)
	}
	inherited := false
	if operation.Before != ledger.Done || operation.Latest {
		c := change{target: t, want: want, operation: operation}
		err = c.converge(ctx)
		inherited = c.stillRuns
		state := ledger.Done
		if err != nil {
			state = ledger.Failed
		}
		err = errors.Join(err, operation.Set(state))
	}
	operation.End(inherited)
	if err != nil {
		return adg.Observed{}, fmt.Errorf("apply %s: %w", want.OpID, err)
	}
	return t.Current(ctx)
}

// check refuses what no HAProxy can be brought to.
func (t *target) check(want adg.Desired) error {
	if err := want.Validate(); err != nil {
		return err
	}
	versions := map[string]bool{}
	for _, p := range want.Releases {
		if versions[p.Release.Version] {
			return adg.Errorf(adg.Invalid, "release %s is wanted twice", p.Release.Version)
		}
		versions[p.Release.Version] = true
	}
	if len(want.Releases) > len(t.names) {
		return adg.Errorf(adg.Invalid, "%d releases are wanted in %d slots", len(want.Releases), len(t.names))
	}
	return nil
}
