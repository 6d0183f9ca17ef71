package flux

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/kube"
	"github.com/deployguardian/adg/internal/target/gitops"
	"github.com/deployguardian/adg/internal/target/notes"
)

// Private

// state is what the cluster says at one moment.
type state struct {
	t       *target
	release *unstructured.Unstructured
	note    note
	parent  *unstructured.Unstructured // nil: none
	pods    map[string]count           // by version
}

type count struct{ all, ready int }

func (t *target) look(ctx context.Context) (*state, error) {
	s := &state{t: t, release: &unstructured.Unstructured{}, pods: map[string]count{}}
	if err := t.client.Get(ctx, helmReleases, t.o.Name, s.release); err != nil {
		return nil, err
	}
	if _, elsewhere, _ := unstructured.NestedMap(s.release.Object, "spec", "kubeConfig"); elsewhere {
		return nil, adg.Permanent(adg.Errorf(adg.Invalid, "the HelmRelease installs into another cluster (spec.kubeConfig), where adg does not see its pods"))
	}
	s.note = notes.Of[note](s.release)
	var err error
	if s.parent, err = t.parent(ctx, s.release); err != nil {
		return nil, err
	}
	return s, s.count(ctx)
}

// count counts the release's pods.
func (s *state) count(ctx context.Context) error {
	namespace := textOf(s.release, "spec", "targetNamespace")
	client, err := s.t.in(namespace)
	if err != nil {
		return err
	}
	name := s.release.GetName() // what the helm-controller calls a release: target namespace and name, where there is one
	if namespace != "" {
		name = namespace + "-" + name
	}
	selector := cmp.Or(s.t.o.Pods, "app.kubernetes.io/instance="+cmp.Or(textOf(s.release, "spec", "releaseName"), name))
	pods, err := kube.List[corev1.Pod](ctx, client, podResource, kube.Selection{Labels: selector})
	if err != nil {
		return err
	}
	for _, pod := range pods {
		ended := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
		i := slices.IndexFunc(pod.Spec.Containers, func(c corev1.Container) bool {
			of, _, _ := kube.SplitImage(c.Image)
			return of == s.t.o.Image
		})
		if ended || i < 0 {
			continue
		}
		version := gitops.Version(pod.Spec.Containers[i].Image)
		n := s.pods[version]
		n.all++
		if pod.DeletionTimestamp == nil && kube.Ready(pod) {
			n.ready++
		}
		s.pods[version] = n
	}
	return nil
}

func (t *target) value(object *unstructured.Unstructured) string {
	value, _, _ := unstructured.NestedFieldNoCopy(object.Object, t.field...)
	if value == nil {
		return ""
	}
	return fmt.Sprint(value)
}

// observed tells shares from pods that are ready. It is done when the helm-controller says so of this generation and no
// pod runs anything else: what it says of an older one is not about this version. It has failed when the controller tries
// no more; while a chart is fetched, or an upgrade is tried again, it is only not ready.
func (s *state) observed() adg.Observed {
	seen := adg.Observed{OpID: s.note.OpID, Suspended: s.suspended()}
	ready, all := 0, 0
	for _, n := range s.pods {
		ready, all = ready+n.ready, all+n.all
	}
	versions := slices.Sorted(maps.Keys(s.pods))
	for _, version := range versions {
		p := adg.Placement{Release: adg.Release{Version: version, Artifact: s.t.o.Image + ":" + version}, Role: adg.IdleRole}
		if n := s.pods[version].ready; n > 0 {
			p.Share, p.Role = 100*float64(n)/float64(ready), adg.StableRole
		}
		seen.Releases = append(seen.Releases, p)
	}
	value := s.t.value(s.release)
	version := cmp.Or(s.note.Version, value)
	status, message := s.condition("Ready")
	stalled, why := s.condition("Stalled")
	switch n := s.pods[version]; {
	case value != version:
		seen.Text = fmt.Sprintf("the HelmRelease has %s for %s, and %s is wanted", cmp.Or(s.t.client.Scrub(value), "nothing"), s.t.o.Field, version)
	case suspended(s.release):
		seen.Text = "the HelmRelease is suspended: its controller does nothing"
	case stalled == "True":
		seen.Failed, seen.Text = true, "the helm-controller has given up: "+cmp.Or(message, why)
	case status != "True":
		seen.Text = cmp.Or(message, "the helm-controller has not taken notice of this version yet")
	case n.all == 0 || n.ready < n.all || len(s.pods) > 1:
		seen.Text = fmt.Sprintf("%d of %d pods are ready, and they run %s", ready, all, cmp.Or(strings.Join(versions, " and "), "nothing"))
	default:
		seen.Done = true
	}
	return seen
}

// condition is what the helm-controller says of the present generation; empty: nothing yet.
func (s *state) condition(kind string) (status, message string) {
	conditions, _, _ := unstructured.NestedSlice(s.release.Object, "status", "conditions")
	for _, c := range conditions {
		fields, _ := c.(map[string]any)
		if generation, _ := fields["observedGeneration"].(int64); fields["type"] == kind && generation == s.release.GetGeneration() {
			status, _ = fields["status"].(string)
			message, _ = fields["message"].(string)
			return status, s.t.client.Scrub(message)
		}
	}
	return "", ""
}

// suspended is empty where the Kustomization is not, whoever has resumed it, and where it is not adg who has suspended it
// for this HelmRelease.
func (s *state) suspended() string {
	if s.parent == nil || !suspended(s.parent) || !slices.Contains(notes.Of[note](s.parent).Holds, s.t.key()) {
		return ""
	}
	return s.kustomization()
}

func (s *state) kustomization() string {
	return "the Kustomization " + s.parent.GetNamespace() + "/" + s.parent.GetName()
}
