// Package kubernetes counts what happens to the pods of a workload: restarts, kills for memory, crash loops, images that
// cannot be pulled, evictions; and reads their logs.
package kubernetes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/kube"
)

// Options are what a policy says about a source of type kubernetes.
type Options struct {
	kube.Options `yaml:",inline"`
	Kind         string   `yaml:"kind" doc:"What the release runs as: deployment, statefulset or daemonset."`
	Names        []string `yaml:"names" doc:"Names of the workloads whose pods are counted: one, or the two that traffic moves between."`
	Container    string   `yaml:"container" doc:"The container whose image is the release; empty: the one that is named like the workload, or the only one."`
}

// Driver opens sources that count what happens to pods. A query is a signal and, unless all pods are meant, a version:
// "oom_killed version=$version".
var Driver = adg.NewSourceDriver("kubernetes", "Counts restarts, crash loops, kills for memory and evictions of a workload's pods, and reads their logs.",
	Options{Options: kube.Defaults(), Kind: "deployment"}, open)

// Private

var kinds = map[string]kube.Resource{
	"deployment":  {Group: "apps", Version: "v1", Plural: "deployments"},
	"statefulset": {Group: "apps", Version: "v1", Plural: "statefulsets"},
	"daemonset":   {Group: "apps", Version: "v1", Plural: "daemonsets"},
}

// maxWorkloads bounds the requests of one query.
const maxWorkloads = 8

type source struct {
	o      Options
	client *kube.Client
}

func open(_ context.Context, o Options, host adg.Host) (adg.Source, error) {
	var problems []error
	if _, known := kinds[o.Kind]; !known {
		problems = append(problems, adg.Errorf(adg.Invalid, "kind: %q: write deployment, statefulset or daemonset", o.Kind))
	}
	if len(o.Names) == 0 || len(o.Names) > maxWorkloads {
		problems = append(problems, adg.Errorf(adg.Invalid, "names: there are %d: write 1 to %d", len(o.Names), maxWorkloads))
	}
	for _, name := range o.Names {
		problems = append(problems, kube.ValidName("names", name))
	}
	client, err := kube.Open(o.Options, host)
	if err := errors.Join(append(problems, err)...); err != nil {
		return nil, adg.Permanent(fmt.Errorf("source %s: %w", host.Name, err))
	}
	return &source{o, client}, nil
}

// Close lets go of idle connections.
func (s *source) Close() error { return s.client.Close() }

// Query counts now: the cluster keeps no history. Where there are no pods of the version there is no sample, because
// nothing happened to nobody.
func (s *source) Query(ctx context.Context, q adg.Query) (adg.Answer, error) {
	signal, version, text, err := parse(q)
	if err != nil {
		return adg.Answer{}, adg.Permanent(err)
	}
	answer := adg.Answer{Sent: text}
	total, counted := 0.0, 0
	for _, name := range s.o.Names {
		pods, err := s.pods(ctx, name)
		if err != nil {
			return adg.Answer{}, fmt.Errorf("query %q: %w", text, err)
		}
		for _, p := range pods {
			if version == "" || kube.ReleaseOf(p.ObjectMeta, p.Spec, cmp.Or(s.o.Container, name)).Version == version {
				counted++
				total += signal(p, q.At.Add(-q.Window))
			}
		}
	}
	if counted > 0 {
		answer.Series = []adg.Series{{Samples: []adg.Sample{{At: q.At.UTC(), Value: total}}}}
	}
	return answer, nil
}

// expand is a query with its variables, whose values are words.
func expand(query string, vars map[string]string) (string, error) {
	strange := error(nil)
	text, err := adg.Expand(query, vars, func(_, value string) string {
		if adg.ValidVersion(value) != nil {
			strange = adg.Errorf(adg.Invalid, "the value %q of a variable: only letters, digits and . _ + - may stand there", value)
		}
		return value
	})
	return text, errors.Join(err, strange)
}

// parse reads a signal and what follows it.
func parse(q adg.Query) (signal func(corev1.Pod, time.Time) float64, version, text string, err error) {
	if q.Kind != adg.Instant {
		return nil, "", "", adg.Errorf(adg.Invalid, "a %s query: the cluster knows how its pods are now, and no history: ask for one value", q.Kind)
	}
	if text, err = expand(q.Text, q.Vars); err != nil {
		return nil, "", "", err
	}
	words := strings.Fields(text)
	if len(words) == 0 || len(words) > 2 || signals[words[0]] == nil {
		return nil, "", "", adg.Errorf(adg.Invalid, "%q: write a signal and a version, such as \"restarts version=$version\"; the signals are %s", text, strings.Join(slices.Sorted(maps.Keys(signals)), ", "))
	}
	if len(words) == 2 {
		found := false
		if version, found = strings.CutPrefix(words[1], "version="); !found || adg.ValidVersion(version) != nil {
			return nil, "", "", adg.Errorf(adg.Invalid, "%q: after the signal comes version=$version", text)
		}
	}
	return signals[words[0]], version, text, nil
}

func (s *source) pods(ctx context.Context, name string) ([]corev1.Pod, error) {
	var workload struct {
		Kind string `json:"kind"`
		Spec struct {
			Selector metav1.LabelSelector `json:"selector"`
		} `json:"spec"`
	}
	if err := s.client.Get(ctx, kinds[s.o.Kind], name, &workload); err != nil {
		return nil, err
	}
	if !strings.EqualFold(workload.Kind, s.o.Kind) {
		return nil, adg.Errorf(adg.Unavailable, "read %s %s: the answer is none: is this the address of a Kubernetes API server?", s.o.Kind, name)
	}
	selector, err := metav1.LabelSelectorAsSelector(&workload.Spec.Selector)
	if err != nil || selector.Empty() {
		return nil, adg.Permanent(adg.Errorf(adg.Invalid, "the selector of %s %s selects no pods of its own", s.o.Kind, name))
	}
	return kube.List[corev1.Pod](ctx, s.client, kube.Resource{Version: "v1", Plural: "pods"}, kube.Selection{Labels: selector.String()})
}
