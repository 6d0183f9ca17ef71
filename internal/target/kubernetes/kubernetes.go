// Package kubernetes makes releases live as workloads of a Kubernetes cluster: Deployments, StatefulSets and
// DaemonSets that are rolled, or two Deployments between which traffic moves.
package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/kube"
)

// Options are what a policy says about a target of type kubernetes.
type Options struct {
	kube.Options `yaml:",inline"`
	Kind         string        `yaml:"kind" doc:"What the release runs as: deployment, statefulset or daemonset."`
	Name         string        `yaml:"name" doc:"Name of the workload."`
	Container    string        `yaml:"container" doc:"The container that a release's image goes into; empty: the one that is named like the workload, or the only one."`
	Image        string        `yaml:"image" doc:"Image of a release that names none itself, such as registry.example/shop:$version; empty: the present image's repository, with the version as tag."`
	Strategy     string        `yaml:"strategy" doc:"How a release gets its traffic: rolling (the workload's pods are replaced), blue-green (a Service is pointed at one Deployment or the other), replicas (two Deployments behind one Service share the traffic by their number of pods) or route (the weights of a Gateway API HTTPRoute)."`
	Other        string        `yaml:"other" doc:"The second Deployment, for every strategy but rolling. The release that is new goes into the one of the two that has no traffic."`
	Service      string        `yaml:"service" doc:"With blue-green, the Service whose selector is moved; with route, the Service of name's pods."`
	OtherService string        `yaml:"other_service" doc:"With route, the Service of other's pods."`
	Route        string        `yaml:"route" doc:"With route, the HTTPRoute whose weights are set, in each of its rules that names both Services."`
	ConfigMaps   []string      `yaml:"configmaps" doc:"ConfigMaps that belong to a release: one whose config revision is r7 gets shop-r7 wherever its pods refer to shop."`
	Secrets      []string      `yaml:"secrets" doc:"Secrets that belong to a release, in the same way."`
	Deadline     time.Duration `yaml:"deadline" doc:"How long pods may take to become ready, and traffic to move. Past it a rollout of a StatefulSet or DaemonSet counts as failed; a Deployment says that itself by its progressDeadlineSeconds."`
}

// Driver opens targets that are workloads in Kubernetes.
var Driver = adg.NewTargetDriver("kubernetes", "Rolls Deployments, StatefulSets and DaemonSets, and moves traffic between two Deployments.", Options{
	Options: kube.Defaults(), Kind: "deployment", Strategy: rolling, Deadline: 10 * time.Minute,
}, open)

// Private

// The strategies.
const (
	rolling   = "rolling"
	blueGreen = "blue-green"
	replicas  = "replicas"
	route     = "route"
)

type target struct {
	o      Options
	client *kube.Client
	kind   kind
	slots  []string // the workloads' names
}

func open(_ context.Context, o Options, host adg.Host) (adg.Target, error) {
	problems := []error{o.validate()}
	client, err := kube.Open(o.Options, host)
	if err := errors.Join(append(problems, err)...); err != nil {
		return nil, adg.Permanent(fmt.Errorf("target %s: %w", host.Name, err))
	}
	t := &target{o: o, client: client, kind: kinds[o.Kind], slots: []string{o.Name}}
	if o.Strategy != rolling {
		t.slots = append(t.slots, o.Other)
	}
	return t, nil
}

func (o Options) validate() error {
	var problems []error
	problem := func(format string, args ...any) {
		problems = append(problems, adg.Errorf(adg.Invalid, format, args...))
	}
	if _, known := kinds[o.Kind]; !known {
		problem("kind: %q: write deployment, statefulset or daemonset", o.Kind)
	}
	strategies := []string{rolling, blueGreen, replicas, route}
	if !slices.Contains(strategies, o.Strategy) {
		problem("strategy: %q: write %s", o.Strategy, strings.Join(strategies, ", "))
	}
	if o.Strategy != rolling && o.Kind != "deployment" {
		problem("strategy: %s moves traffic between two Deployments, and kind is %s", o.Strategy, o.Kind)
	}
	if o.Deadline <= 0 {
		problem("deadline: %s: it must be longer than 0s", o.Deadline)
	}
	needs := map[string][]string{rolling: {"name"}, blueGreen: {"name", "other", "service"}, replicas: {"name", "other"},
		route: {"name", "other", "service", "other_service", "route"}}[o.Strategy]
	given := map[string]string{"name": o.Name, "other": o.Other, "service": o.Service, "other_service": o.OtherService, "route": o.Route}
	for _, option := range []string{"name", "other", "service", "other_service", "route"} {
		switch needed := slices.Contains(needs, option); {
		case needed:
			if err := kube.ValidName(option, given[option]); err != nil {
				problem("%w", err)
			}
		case given[option] != "":
			problem("%s is of no use with the strategy %s", option, o.Strategy)
		}
	}
	if o.Other != "" && o.Other == o.Name {
		problem("other: it is the same as name: traffic moves between two Deployments")
	}
	for _, name := range slices.Concat(o.ConfigMaps, o.Secrets) {
		if err := kube.ValidName("configmaps and secrets", name); err != nil {
			problem("%w", err)
		}
	}
	return errors.Join(problems...)
}

// Close lets go of idle connections.
func (t *target) Close() error { return t.client.Close() }

// Can follows from the strategy.
func (t *target) Can() adg.Capabilities {
	return adg.Capabilities{
		Shares:  t.o.Strategy == replicas || t.o.Strategy == route,
		Idle:    t.o.Strategy == blueGreen || t.o.Strategy == route,
		Drain:   true, // a pod that ends gets no new requests, and ends after its grace period
		Reports: true,
	}
}

// Current reads what the workloads, their pods and what routes to them report.
func (t *target) Current(ctx context.Context) (adg.Observed, error) {
	s, err := t.look(ctx)
	if err != nil {
		return adg.Observed{}, err
	}
	return s.observed(), nil
}

// Apply converges. A rolling workload converges by itself, and Current tells when it has; the other strategies take
// several steps, and Apply waits for what each step needs.
func (t *target) Apply(ctx context.Context, want adg.Desired) (adg.Observed, error) {
	if err := t.check(want); err != nil {
		return adg.Observed{}, adg.Permanent(err)
	}
	limit := t.o.Deadline
	if want.Timeout > 0 {
		limit = want.Timeout
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, adg.Errorf(adg.Unavailable, "not within %s", adg.Short(limit)))
	defer cancel()
	var err error
	a := &application{target: t, want: want}
	if t.o.Strategy == rolling {
		err = a.roll(ctx)
	} else {
		err = a.move(ctx)
	}
	if err != nil {
		return adg.Observed{}, fmt.Errorf("apply %s: %w", want.OpID, err)
	}
	return t.Current(ctx)
}

// check refuses what the strategy cannot be brought to.
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
			return adg.Errorf(adg.Invalid, "release %s is wanted at %g %%: the strategy %s cannot split traffic: use replicas or route", p.Release.Version, p.Share, t.o.Strategy)
		}
	}
	if live > len(t.slots) || len(want.Releases) > 2 {
		return adg.Errorf(adg.Invalid, "%d releases are wanted: there is room for two", len(want.Releases))
	}
	return nil
}
