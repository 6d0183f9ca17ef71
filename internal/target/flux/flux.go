// Package flux makes releases live through a HelmRelease of Flux: by the field of its spec that holds the version, with the
// Kustomization that would set it back suspended.
package flux

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/kube"
	"github.com/deployguardian/adg/internal/remote"
)

// Options are what a policy says about a target of type flux.
type Options struct {
	kube.Options `yaml:",inline"`
	Name         string         `yaml:"name" doc:"Name of the HelmRelease."`
	Field        string         `yaml:"field" doc:"Where its spec holds the version of the release, such as values.image.tag or chart.spec.version."`
	Image        string         `yaml:"image" doc:"Repository of the image whose tag is the version, such as registry.example/shop: the pods that run it tell what is live."`
	Pods         string         `yaml:"pods" doc:"Label selector of the release's pods; empty: app.kubernetes.io/instance is the name of the Helm release."`
	Artifacts    remote.Options `yaml:"artifacts" doc:"How the artifacts of Flux's source-controller are fetched, which tell what the repository has."`
}

// Driver opens targets that are HelmReleases of Flux 2.3 or later.
var Driver = adg.NewTargetDriver("flux", "Sets the version of a HelmRelease of Flux, and rolls it back with its Kustomization suspended.", Options{
	Options: kube.Defaults(), Field: "values.image.tag", Artifacts: remote.Defaults(),
}, open)

// Private

type target struct {
	o         Options
	client    *kube.Client
	artifacts *remote.Client
	field     []string
}

func open(_ context.Context, o Options, host adg.Host) (adg.Target, error) {
	client, err := kube.Open(o.Options, host)
	artifacts, artifactsErr := remote.New(o.Artifacts)
	problems := []error{err, artifactsErr, kube.ValidName("name", o.Name)}
	field := strings.Split(o.Field, ".")
	for _, element := range field {
		if element == "" {
			problems = append(problems, adg.Errorf(adg.Invalid, "field: %q: write a path below spec, such as values.image.tag", o.Field))
			break
		}
	}
	if o.Image == "" || strings.ContainsAny(o.Image, "@ ") {
		problems = append(problems, adg.Errorf(adg.Invalid, "image: %q: write the repository without tag and digest, such as registry.example/shop", o.Image))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, adg.Permanent(adg.Errorf(adg.Invalid, "target %s: %w", host.Name, err))
	}
	return &target{o: o, client: client, artifacts: artifacts, field: append([]string{"spec"}, field...)}, nil
}

// Close lets go of idle connections.
func (t *target) Close() error { return errors.Join(t.client.Close(), t.artifacts.Close()) }

// Can is to say what is so: a HelmRelease has one version, and its pods are replaced one after the other.
func (t *target) Can() adg.Capabilities { return adg.Capabilities{Drain: true, Reports: true} }

// Current reads the HelmRelease, its Kustomization and its pods.
func (t *target) Current(ctx context.Context) (adg.Observed, error) {
	s, err := t.look(ctx)
	if err != nil {
		return adg.Observed{}, err
	}
	return s.observed(), nil
}

// Apply notes the operation at the HelmRelease and sets its version, or leaves that to its Kustomization where the
// repository has it. Current tells when it has converged.
func (t *target) Apply(ctx context.Context, want adg.Desired) (adg.Observed, error) {
	version, err := wanted(want)
	if err != nil {
		return adg.Observed{}, adg.Permanent(err)
	}
	if err := t.converge(ctx, want, version); err != nil {
		return adg.Observed{}, fmt.Errorf("apply %s: %w", want.OpID, err)
	}
	return t.Current(ctx)
}

// wanted is the version that is to be live.
func wanted(want adg.Desired) (string, error) {
	if err := want.Validate(); err != nil {
		return "", err
	}
	version := ""
	for _, p := range want.Releases {
		switch p.Share {
		case 0:
		case 100:
			version = p.Release.Version
		default:
			return "", adg.Errorf(adg.Invalid, "release %s is wanted at %g %%: a HelmRelease cannot split traffic", p.Release.Version, p.Share)
		}
	}
	return version, nil
}
