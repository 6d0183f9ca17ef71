// Package swarm makes releases live as services of Docker Swarm: one that is updated in place, or two between which the
// tasks, or the traffic of a router, move.
package swarm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/client"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
)

// Options are what a policy says about a target of type swarm.
type Options struct {
	Host                string        `yaml:"host" doc:"The engine of a manager: unix:///var/run/docker.sock, or tcp://manager:2376 with tls."`
	TLS                 remote.TLS    `yaml:"tls" doc:"How the engine is reached over TCP; without any of it the connection is not encrypted."`
	Services            []string      `yaml:"services" doc:"The service that runs the releases, [shop], which is updated in place; or two, [shop, shop-canary], that run one release each: a share is then its part of the running tasks."`
	Image               string        `yaml:"image" doc:"The image of a release that names no artifact, such as registry.example.com/shop:{version}; empty: the repository of the image that the service runs, and the version as tag."`
	LiveLabel           string        `yaml:"live_label" doc:"Label by which a router, such as Traefik, knows which of the two services gets the traffic: traefik.enable=true. The other one then keeps its tasks, idle and ready; shares are 0 or 100."`
	SplitElsewhere      bool          `yaml:"split_elsewhere" doc:"Whether something before the two services, such as a target haproxy, splits the traffic. Both then keep all their tasks, idle or not; the shares are not this target's."`
	Order               string        `yaml:"order" doc:"Whether a task that is updated starts before the old one stops (start-first) or after it (stop-first)."`
	Parallelism         int           `yaml:"parallelism" doc:"How many tasks are updated at a time; 0: all."`
	RollbackParallelism int           `yaml:"rollback_parallelism" doc:"How many tasks are updated at a time in a rollback; 0: all, which needs room for twice the service."`
	Monitor             time.Duration `yaml:"monitor" doc:"How long a task must have run before it counts as one that goes on running."`
	EngineRollback      bool          `yaml:"engine_rollback" doc:"Let the engine roll back by itself when tasks of an update fail. Otherwise the update pauses, adg is told, and decides."`
	RegistryUser        string        `yaml:"registry_user" doc:"User at the registry of the images; empty: the credentials that the service has already."`
	RegistryPassword    adg.Secret    `yaml:"registry_password" doc:"Password or token of registry_user."`
	Timeout             time.Duration `yaml:"timeout" doc:"How long the engine may take for one answer."`
	ReadyTimeout        time.Duration `yaml:"ready_timeout" doc:"How long the tasks of one of two services may take to run before the other one loses any."`
	DrainTimeout        time.Duration `yaml:"drain_timeout" doc:"With live_label: how long a release that is not wanted any more goes on after it has lost the traffic, so that the router notices."`
}

// Driver opens targets that are services of a Docker Swarm, engine 19.03 or later.
var Driver = adg.NewTargetDriver("swarm", "Updates services of Docker Swarm: in place, as a canary by tasks, or blue-green by a router's label.", Options{
	Host:         "unix:///var/run/docker.sock",
	Order:        "start-first",
	Parallelism:  1,
	Monitor:      5 * time.Second,
	Timeout:      10 * time.Second,
	ReadyTimeout: 3 * time.Minute,
	DrainTimeout: 20 * time.Second,
}, open)

// Private

type target struct {
	o      Options
	engine *engine
}

func open(_ context.Context, o Options, _ adg.Host) (adg.Target, error) {
	engine, err := newEngine(o)
	if err := errors.Join(o.validate(), err); err != nil {
		return nil, adg.Permanent(adg.Errorf(adg.Invalid, "%w", err))
	}
	return &target{o, engine}, nil
}

// Close lets go of idle connections.
func (t *target) Close() error {
	t.engine.close()
	return nil
}

func (o Options) validate() error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if len(o.Services) < 1 || len(o.Services) > 2 {
		problem("services: there are %d: write one that is updated in place, or two", len(o.Services))
	}
	for i, name := range o.Services {
		if err := adg.ValidName("service", name); err != nil {
			problem("services: %w", err)
		}
		if slices.Contains(o.Services[:i], name) {
			problem("services: %s is there twice", name)
		}
	}
	if o.Image != "" {
		if _, err := parseImage(strings.ReplaceAll(o.Image, versionMark, "v1")); err != nil || !strings.Contains(o.Image, versionMark) {
			problem("image: %q: write an image with %s where the version goes, such as registry.example.com/shop:%s", o.Image, versionMark, versionMark)
		}
	}
	if o.LiveLabel != "" {
		if key, _, found := strings.Cut(o.LiveLabel, "="); !found || key == "" || strings.HasPrefix(key, "adg.") {
			problem("live_label: %q: write it as KEY=VALUE, such as traefik.enable=true", o.LiveLabel)
		}
		if len(o.Services) != 2 {
			problem("live_label: it tells two services apart, so services needs two")
		}
	}
	if o.SplitElsewhere && (len(o.Services) != 2 || o.LiveLabel != "") {
		problem("split_elsewhere: it is for two services without live_label")
	}
	if o.Order != "start-first" && o.Order != "stop-first" {
		problem("order: %q: use start-first or stop-first", o.Order)
	}
	if o.Parallelism < 0 || o.RollbackParallelism < 0 {
		problem("parallelism and rollback_parallelism: use a number of tasks, or 0 for all of them")
	}
	if (o.RegistryUser == "") != o.RegistryPassword.IsZero() {
		problem("registry_user and registry_password go together: one of them is missing")
	}
	for name, d := range map[string]time.Duration{"timeout": o.Timeout, "ready_timeout": o.ReadyTimeout, "monitor": o.Monitor} {
		if d <= 0 {
			problem("%s: %s: it must be longer than 0s", name, d)
		}
	}
	if o.DrainTimeout < 0 {
		problem("drain_timeout: %s: it cannot be negative", o.DrainTimeout)
	}
	slices.SortStableFunc(problems, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
	return errors.Join(problems...)
}

// whole: each of two services has as many tasks as all the traffic needs, because others split it.
func (o Options) whole() bool { return o.LiveLabel != "" || o.SplitElsewhere }

// hostURL reads the address of an engine.
func (o Options) hostURL() (network, address string, err error) {
	parsed, err := client.ParseHostURL(o.Host)
	switch {
	case err != nil || parsed.Scheme != "unix" && parsed.Scheme != "tcp" || parsed.Scheme == "tcp" && parsed.Path != "":
		return "", "", fmt.Errorf("host: %q: write it as unix:///var/run/docker.sock or tcp://manager:2376", o.Host)
	default:
		return parsed.Scheme, parsed.Host, nil
	}
}

// Can depends on how many services there are, and on what tells them apart.
func (t *target) Can() adg.Capabilities {
	return adg.Capabilities{Shares: t.splits() || t.o.SplitElsewhere, Idle: t.o.whole(), Drain: true, Reports: true}
}

// splits: the tasks of two services share the traffic.
func (t *target) splits() bool { return len(t.o.Services) == 2 && !t.o.whole() }

// routed: a router sends the traffic to one of two services, by a label.
func (t *target) routed() bool { return t.o.LiveLabel != "" }

// Current reads the services and their tasks.
func (t *target) Current(ctx context.Context) (adg.Observed, error) {
	v, err := t.look(ctx)
	if err != nil {
		return adg.Observed{}, err
	}
	return v.observed(), nil
}

// Apply converges: it first puts its claim on every service, so that an older owner can change none any more. What is
// as wanted is not touched. One service is left to the engine's update, which Current follows; of two, the one that
// gets tasks or traffic is ready before the other loses any.
func (t *target) Apply(ctx context.Context, want adg.Desired) (adg.Observed, error) {
	if err := t.check(want); err != nil {
		return adg.Observed{}, adg.Permanent(err)
	}
	c := change{target: t, want: want}
	superseded, err := c.claim(ctx)
	if err == nil && !superseded {
		err = c.converge(ctx)
	}
	if err != nil {
		return adg.Observed{}, fmt.Errorf("apply %s: %w", want.OpID, err)
	}
	return t.Current(ctx)
}

// check refuses what these services cannot be brought to.
func (t *target) check(want adg.Desired) error {
	if err := want.Validate(); err != nil {
		return err
	}
	live := 0
	for _, p := range want.Releases {
		if p.Share > 0 {
			live++
		}
		if p.Share > 0 && p.Share < 100 && !t.Can().Shares {
			return adg.Errorf(adg.Invalid, "release %s: a share of %g %%: only two services without live_label can split the traffic by their tasks", p.Release.Version, p.Share)
		}
	}
	if live > len(t.o.Services) {
		return adg.Errorf(adg.Invalid, "%d releases are wanted in %d services", live, len(t.o.Services))
	}
	return nil
}
