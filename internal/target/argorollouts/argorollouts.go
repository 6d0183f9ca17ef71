// Package argorollouts makes releases live through Argo Rollouts: it leads a Rollout from weight to weight, back, and to
// the end, and the controller of Argo Rollouts moves the pods and the traffic.
package argorollouts

import (
	"context"
	"errors"
	"fmt"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/kube"
)

// Options are what a policy says about a target of type argo-rollouts.
type Options struct {
	kube.Options `yaml:",inline"`
	Name         string   `yaml:"name" doc:"Name of the Rollout."`
	Container    string   `yaml:"container" doc:"The container that a release's image goes into; empty: the one that is named like the Rollout, or the only one."`
	Image        string   `yaml:"image" doc:"Image of a release that names none itself, such as registry.example/shop:$version; empty: the present image's repository, with the version as tag."`
	ConfigMaps   []string `yaml:"configmaps" doc:"ConfigMaps that belong to a release: one whose config revision is r7 gets shop-r7 wherever its pods refer to shop."`
	Secrets      []string `yaml:"secrets" doc:"Secrets that belong to a release, in the same way."`
}

// Driver opens targets that are Rollouts.
var Driver = adg.NewTargetDriver("argo-rollouts", "Leads a Rollout of Argo Rollouts from weight to weight, and back.", Options{Options: kube.Defaults()}, open)

// Private

type target struct {
	o         Options
	client    *kube.Client
	templates kube.Templates
}

func open(_ context.Context, o Options, host adg.Host) (adg.Target, error) {
	problems := []error{kube.ValidName("name", o.Name)}
	for _, names := range [][]string{o.ConfigMaps, o.Secrets} {
		for _, name := range names {
			problems = append(problems, kube.ValidName("configmaps and secrets", name))
		}
	}
	client, err := kube.Open(o.Options, host)
	if err := errors.Join(append(problems, err)...); err != nil {
		return nil, adg.Permanent(fmt.Errorf("target %s: %w", host.Name, err))
	}
	templates := kube.Templates{Workload: o.Name, Container: o.Container, Image: o.Image, ConfigMaps: o.ConfigMaps, Secrets: o.Secrets}
	return &target{o: o, client: client, templates: templates}, nil
}

// Close lets go of idle connections.
func (t *target) Close() error { return t.client.Close() }

// Can is what a Rollout with the strategy canary can do.
func (t *target) Can() adg.Capabilities {
	return adg.Capabilities{
		Shares:  true,
		Drain:   true, // a pod that ends gets no new requests, and ends after its grace period
		Reports: true,
	}
}

// Current reads what the Rollout, its ReplicaSets and its pods report.
func (t *target) Current(ctx context.Context) (adg.Observed, error) {
	s, err := t.look(ctx)
	if err != nil {
		return adg.Observed{}, err
	}
	return s.observed(), nil
}

// Apply writes what is wanted into the Rollout, in one write, and sees to it that the controller takes notice. It converges,
// and Current tells when it has.
func (t *target) Apply(ctx context.Context, want adg.Desired) (adg.Observed, error) {
	if err := check(want); err != nil {
		return adg.Observed{}, adg.Permanent(err)
	}
	if err := t.write(ctx, want); err != nil {
		return adg.Observed{}, fmt.Errorf("apply %s: %w", want.OpID, err)
	}
	if err := t.awaitNotice(ctx, want); err != nil {
		return adg.Observed{}, fmt.Errorf("apply %s: %w", want.OpID, err)
	}
	s, err := t.look(ctx)
	switch {
	case err != nil:
		return adg.Observed{}, err
	case s.note.Fences.Refuse(want):
		return adg.Observed{}, adg.ErrFenced
	case s.note.OpID != want.OpID:
		return adg.Observed{}, adg.Errorf(adg.Conflict, "apply %s: Rollout %s is not as this operation left it: it has the note of %q", want.OpID, t.o.Name, s.note.OpID)
	}
	return s.observed(), nil
}

// check refuses what no Rollout can be brought to.
func check(want adg.Desired) error {
	if err := want.Validate(); err != nil {
		return err
	}
	if n := len(live(want)); n > 2 {
		return adg.Errorf(adg.Invalid, "%d releases are to have traffic: a Rollout has room for two", n)
	}
	return nil
}

// live are the placements with traffic.
func live(want adg.Desired) []adg.Placement {
	var all []adg.Placement
	for _, p := range want.Releases {
		if p.Share > 0 {
			all = append(all, p)
		}
	}
	return all
}
