// Package helm makes releases live as revisions of a Helm release: forward by helm upgrade, back by helm rollback to the
// revision that the last good release really was.
package helm

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/kube"
	"github.com/deployguardian/adg/internal/remote"
)

// Options are what a policy says about a target of type helm.
type Options struct {
	kube.Options `yaml:",inline"`
	Program      string            `yaml:"program" doc:"Path of helm, version 3.14 or later."`
	Release      string            `yaml:"release" doc:"Name of the release, as helm list shows it."`
	Chart        string            `yaml:"chart" doc:"The chart that a release of the service is, such as oci://registry.example/charts/shop or a folder. Without it adg only goes back."`
	ChartVersion string            `yaml:"chart_version" doc:"Version of the chart, such as $version; empty: the newest one."`
	Set          map[string]string `yaml:"set" doc:"Values of the chart that a release sets, such as image.tag: $version; $artifact, $config and $commit are known too. All other values stay as they are."`
	Wait         bool              `yaml:"wait" doc:"Whether helm waits until all is ready before it runs the hooks that come after. Without it, it is adg that watches the workloads, and nothing is locked meanwhile."`
	Deadline     time.Duration     `yaml:"deadline" doc:"How long one run of helm may take. Where adg was ended in the middle of one, whoever takes over waits for so long before it is taken for dead."`
}

// Driver opens targets that are releases of Helm.
var Driver = adg.NewTargetDriver("helm", "Upgrades a Helm release, and rolls it back to the revision that was good.", Options{
	Options: kube.Defaults(), Program: "/usr/local/bin/helm", Deadline: 2 * time.Minute,
}, open)

// Private

type target struct {
	o      Options
	host   adg.Host
	client *kube.Client
	redact func(string) string // takes the credentials out of what helm wrote
}

func open(_ context.Context, o Options, host adg.Host) (adg.Target, error) {
	problems := []error{o.validate(host)}
	client, err := kube.Open(o.Options, host)
	if err := errors.Join(append(problems, err)...); err != nil {
		return nil, adg.Permanent(fmt.Errorf("target %s: %w", host.Name, err))
	}
	return &target{o: o, host: host, client: client, redact: remote.Redactor(o.Token)}, nil
}

func (o Options) validate(host adg.Host) error {
	var problems []error
	problem := func(format string, args ...any) {
		problems = append(problems, adg.Errorf(adg.Invalid, format, args...))
	}
	if !filepath.IsAbs(o.Program) {
		problem("program: %q: write the program's whole path, PATH is not searched", o.Program)
	} else if err := host.MayStart(o.Program); err != nil {
		problems = append(problems, err)
	}
	const longest = 53 // that helm takes
	if err := kube.ValidName("release", o.Release); err != nil || len(o.Release) > longest {
		problem("release: %q is no name of a release: helm takes up to %d lower-case letters, digits, '-' and '.'", o.Release, longest)
	}
	if o.Deadline <= 0 {
		problem("deadline: %s: it must be longer than 0s", o.Deadline)
	}
	if strings.HasPrefix(o.Chart, "-") {
		problem("chart: %q would be taken for a flag of helm", o.Chart)
	}
	if o.Chart == "" && (len(o.Set) > 0 || o.ChartVersion != "") {
		problem("set and chart_version go with chart: write it")
	}
	if o.Chart != "" && len(o.Set) == 0 && o.ChartVersion == "" {
		problem("chart: what makes one release different from another? write chart_version: $version, or set: {image.tag: $version}")
	}
	for _, key := range slices.Sorted(maps.Keys(o.Set)) {
		if key == "" || strings.ContainsAny(key, ",={}\\\n") {
			problem("set: %q is no name of one value: write it like image.tag", key)
		}
	}
	for _, pattern := range append(slices.Sorted(maps.Values(o.Set)), o.ChartVersion) {
		if _, err := expand(pattern, adg.Release{Service: "s", Version: "v", Artifact: "a", Config: "c", Commit: "f"}); err != nil {
			problem("%q: %w", pattern, err)
		}
	}
	if host.Dir == "" {
		problem("the target has no directory of its own to write the credentials for helm to")
	}
	return errors.Join(problems...)
}

// expand puts what a release is into a pattern.
func expand(pattern string, r adg.Release) (string, error) {
	values := map[string]string{"version": r.Version, "artifact": r.Artifact, "config": r.Config, "commit": r.Commit, "service": r.Service}
	for name, value := range values {
		if value == "" && strings.Contains(pattern, "$"+name) {
			return "", adg.Permanent(adg.Errorf(adg.Invalid, "release %s says no %s, which %s needs", r.Version, name, pattern))
		}
	}
	text, err := adg.Expand(pattern, values, func(_, value string) string { return value })
	return text, adg.Permanent(err)
}

// Close lets go of idle connections.
func (t *target) Close() error { return t.client.Close() }

// Can is what every chart can do.
func (t *target) Can() adg.Capabilities { return adg.Capabilities{Drain: true, Reports: true} }

// Current reads helm's history, and what the workloads of the release report.
func (t *target) Current(ctx context.Context) (adg.Observed, error) {
	s, err := t.look(ctx)
	if err != nil {
		return adg.Observed{}, err
	}
	return s.observed(), nil
}

// Apply runs helm once, unless what is wanted is there already or this operation has run it. The cluster converges, and
// Current tells when it has.
func (t *target) Apply(ctx context.Context, want adg.Desired) (adg.Observed, error) {
	release, err := wanted(want)
	if err != nil {
		return adg.Observed{}, adg.Permanent(err)
	}
	log, err := t.run(ctx, want, release)
	if err != nil {
		return adg.Observed{}, fmt.Errorf("apply %s: %w", want.OpID, err)
	}
	s, err := t.look(ctx)
	switch {
	case err != nil:
		return adg.Observed{}, err
	case s.note.Fences.Refuse(want):
		return adg.Observed{}, adg.ErrFenced
	case s.note.OpID != want.OpID:
		return adg.Observed{}, adg.Errorf(adg.Conflict, "apply %s: the release %s is not as this operation left it: it has the note of %q", want.OpID, t.o.Release, s.note.OpID)
	}
	seen := s.observed()
	if !seen.Done {
		seen.Log = log
	}
	return seen, nil
}

// wanted is the one release that is to be live.
func wanted(want adg.Desired) (adg.Release, error) {
	if err := want.Validate(); err != nil {
		return adg.Release{}, err
	}
	i := slices.IndexFunc(want.Releases, func(p adg.Placement) bool { return p.Share > 0 })
	p := want.Releases[i]
	if p.Share < 100-0.001 {
		return adg.Release{}, adg.Errorf(adg.Invalid, "release %s is wanted at %g %%: helm has one release at a time live", p.Release.Version, p.Share)
	}
	return p.Release, nil
}

// is tells whether a release that is known from the history is the wanted one.
func is(known, want adg.Release) bool {
	return known.Version == want.Version && (want.Config == "" || known.Config == want.Config) &&
		(want.Artifact == "" || known.Artifact == "" || known.Artifact == want.Artifact)
}
