// Package argocd makes releases live through an Application of Argo CD: it syncs what the repository has, goes back to an
// entry of the application's history, and keeps automated sync from undoing that.
package argocd

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
	"github.com/deployguardian/adg/internal/target/ledger"
)

// Options are what a policy says about a target of type argocd.
type Options struct {
	URL            string `yaml:"url" doc:"Address of the Argo CD server, without /api; bearer_token is the token of an account or of a project's role."`
	Application    string `yaml:"application" doc:"Name of the Application."`
	Namespace      string `yaml:"namespace" doc:"Namespace of the Application; empty: the one that Argo CD runs in."`
	Image          string `yaml:"image" doc:"Repository of the image that tells which release runs, such as registry.example/shop: its tag is the version, or its digest that of the release's artifact."`
	Prune          bool   `yaml:"prune" doc:"Delete what the revision that is synced does not have any more, such as a CronJob that came with the release that is rolled back."`
	remote.Options `yaml:",inline"`
}

// Driver opens targets that are Applications of Argo CD, 2.5 or later.
var Driver = adg.NewTargetDriver("argocd", "Syncs an Application of Argo CD, and rolls it back with automated sync suspended.", Options{Options: remote.Defaults()}, open)

// Private

type target struct {
	o    Options
	api  api
	host adg.Host
}

var (
	objectName = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$`)
	repository = regexp.MustCompile(`^[a-z0-9][a-z0-9._:/-]*[a-z0-9]$`)
)

func open(_ context.Context, o Options, host adg.Host) (adg.Target, error) {
	var problems []error
	problem := func(format string, args ...any) {
		problems = append(problems, adg.Errorf(adg.Invalid, format, args...))
	}
	base, err := remote.BaseURL("url", o.URL)
	problems = append(problems, err)
	client, err := remote.New(o.Options)
	problems = append(problems, err)
	if !objectName.MatchString(o.Application) {
		problem("application: %q is no name of an Application", o.Application)
	}
	if o.Namespace != "" && !objectName.MatchString(o.Namespace) {
		problem("namespace: %q is no name of a namespace", o.Namespace)
	}
	if !repository.MatchString(o.Image) {
		problem("image: %q: write the repository without tag and digest, such as registry.example/shop", o.Image)
	}
	if host.Dir == "" {
		problem("the target has no directory of its own, where processes of one machine wait for each other")
	}
	if err := errors.Join(problems...); err != nil {
		return nil, adg.Permanent(adg.Errorf(adg.Invalid, "target %s: %w", host.Name, err))
	}
	return &target{o: o, host: host, api: api{client: client, base: base, name: o.Application, namespace: o.Namespace}}, nil
}

// Close lets go of idle connections.
func (t *target) Close() error { return t.api.client.Close() }

// Can is to say what is so: an Application has one release, and its pods are replaced one after the other.
func (t *target) Can() adg.Capabilities { return adg.Capabilities{Drain: true, Reports: true} }

// Current reads the Application and its pods.
func (t *target) Current(ctx context.Context) (adg.Observed, error) {
	s, err := t.look(ctx)
	if err != nil {
		return adg.Observed{}, err
	}
	return s.observed(), nil
}

// Apply notes the operation at the Application, with automated sync suspended where the release is not the one that the
// repository has, and starts the sync or the rollback. Current tells when it has converged.
func (t *target) Apply(ctx context.Context, want adg.Desired) (adg.Observed, error) {
	if _, err := wanted(want); err != nil {
		return adg.Observed{}, adg.Permanent(err)
	}
	operation, err := ledger.New(t.host.Dir).Begin(ctx, want)
	if err != nil {
		return adg.Observed{}, fmt.Errorf("apply %s: %w", want.OpID, err)
	}
	defer operation.End(false)
	if err := t.converge(ctx, want); err != nil {
		return adg.Observed{}, errors.Join(fmt.Errorf("apply %s: %w", want.OpID, err), operation.Set(ledger.Failed))
	}
	seen, err := t.Current(ctx)
	if err != nil {
		return seen, errors.Join(err, operation.Set(ledger.Failed))
	}
	return seen, operation.Set(ledger.Done)
}

// wanted is the release that is to be live.
func wanted(want adg.Desired) (adg.Release, error) {
	if err := want.Validate(); err != nil {
		return adg.Release{}, err
	}
	for _, p := range want.Releases {
		if p.Share > 0 && p.Share < 100 {
			return adg.Release{}, adg.Errorf(adg.Invalid, "release %s is wanted at %g %%: an Application cannot split traffic", p.Release.Version, p.Share)
		}
	}
	for _, p := range want.Releases {
		if p.Share > 0 {
			return p.Release, nil
		}
	}
	return adg.Release{}, adg.Errorf(adg.Invalid, "no release is to be live")
}

// gone is whether an error says that the credentials or the Application are.
func gone(err error) (name string, is bool) {
	switch adg.CodeOf(err) {
	case adg.NotFound:
		return "release", true
	case adg.Unauthorized:
		return "access", true
	case adg.Internal, adg.Invalid, adg.Conflict, adg.Unavailable:
	}
	return "", false
}

var errAgain = errors.New("the Application was written by somebody else meanwhile")

const (
	read  = http.MethodGet
	write = http.MethodPost
	patch = http.MethodPatch
	end   = http.MethodDelete
)
