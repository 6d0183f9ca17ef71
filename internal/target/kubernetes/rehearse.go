package kubernetes

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/kube"
)

var (
	reviews = kube.Resource{Group: "authorization.k8s.io", Version: "v1", Plural: "selfsubjectaccessreviews", Cluster: true}
	quotas  = kube.Resource{Version: "v1", Plural: "resourcequotas"}
)

// Rehearse asks the cluster whether adg has the rights, whether the release, its configuration and its template are
// still there, whether somebody has stopped the rollout, and whether the quota has room.
func (t *target) Rehearse(ctx context.Context, want adg.Desired) ([]adg.Obstacle, error) {
	if err := t.check(want); err != nil {
		return []adg.Obstacle{{Name: "release", Final: true, Text: err.Error()}}, nil
	}
	obstacles, err := t.access(ctx)
	if err != nil || slices.ContainsFunc(obstacles, func(o adg.Obstacle) bool { return o.Final }) {
		return obstacles, err // what may not be read cannot be looked at
	}
	s, err := t.look(ctx)
	if adg.CodeOf(err) == adg.NotFound || adg.CodeOf(err) == adg.Invalid {
		return []adg.Obstacle{{Name: "release", Final: true, Text: err.Error()}}, nil
	}
	if err != nil {
		return nil, err
	}
	a := &application{target: t, want: want}
	plans := []plan{{}}
	if t.o.Strategy != rolling {
		if err = a.scalable(ctx); err == nil {
			plans, _, err = a.plans(s)
		}
		if err != nil {
			return found(err)
		}
	} else if i := slices.IndexFunc(want.Releases, func(p adg.Placement) bool { return p.Share > 0 }); i >= 0 {
		plans[0] = plan{placement: &want.Releases[i], size: s.slots[0].wanted}
	}
	for i, p := range plans {
		if p.placement == nil || p.placement.Share == 0 {
			continue
		}
		more, err := a.rehearse(ctx, s.slots[i], p)
		if err != nil {
			return nil, err
		}
		obstacles = append(obstacles, more...)
	}
	return obstacles, nil
}

// Private

// found makes an obstacle of an error that would end Apply for good; any other stays one.
func found(err error) ([]adg.Obstacle, error) {
	if !adg.IsPermanent(err) {
		return nil, err
	}
	return []adg.Obstacle{{Name: "release", Final: true, Text: err.Error()}}, nil
}

// rehearse looks at one release and the workload that it would go into.
func (a *application) rehearse(ctx context.Context, in slot, p plan) ([]adg.Obstacle, error) {
	t := a.target
	var obstacles []adg.Obstacle
	if err := a.mayWrite(in.workload); err != nil {
		obstacles = append(obstacles, adg.Obstacle{Name: "sync", Final: adg.IsPermanent(err), Text: err.Error()})
	}
	switch err := a.configured(ctx, p.placement.Release); {
	case adg.CodeOf(err) == adg.NotFound:
		obstacles = append(obstacles, adg.Obstacle{Name: "release", Final: true, Text: err.Error()})
	case err != nil:
		return nil, err
	}
	template, _, err := unstructured.NestedMap(in.object.Object, "spec", "template")
	if err != nil {
		return nil, adg.Errorf(adg.Unavailable, "the pod template of %s: %w", in.name(), err)
	}
	switch kept, err := t.recorded(ctx, in.workload, p.placement.Release); {
	case err != nil:
		return nil, err
	case kept == nil && a.want.Rollback && !t.is(in.release, p.placement.Release):
		obstacles = append(obstacles, adg.Obstacle{Name: "release", Text: fmt.Sprintf(
			"the pod template that %s had in %s is not kept any more: only its image and configuration would go back; raise revisionHistoryLimit", p.placement.Release.Version, in.name())})
	}
	if err := t.put(template, p.placement.Release); err != nil {
		obstacles = append(obstacles, adg.Obstacle{Name: "release", Final: true, Text: err.Error()})
	}
	if recreates, _, _ := unstructured.NestedString(in.object.Object, "spec", "strategy", "type"); recreates == "Recreate" && t.o.Strategy == rolling {
		obstacles = append(obstacles, adg.Obstacle{Name: "capacity", Text: fmt.Sprintf("Deployment %s has the strategy Recreate: it ends all pods before it starts new ones, so nothing answers meanwhile", in.name())})
	}
	room, err := t.room(ctx, in, p.size)
	return append(obstacles, room...), err
}

// room compares what the pods that come first would take with what the quotas have left. A rolling workload needs room
// for one pod more at least; a Deployment that is idle, for all that it is to have.
func (t *target) room(ctx context.Context, in slot, size int) ([]adg.Obstacle, error) {
	all, err := kube.List[corev1.ResourceQuota](ctx, t.client, quotas, kube.Selection{})
	if adg.CodeOf(err) == adg.Unauthorized {
		return nil, nil // access has said so
	}
	if err != nil {
		return nil, err
	}
	extra := int64(max(size-len(in.pods), 0))
	if t.o.Strategy == rolling && in.kind.word == "Deployment" {
		extra = 1
	}
	if extra == 0 {
		return nil, nil
	}
	var obstacles []adg.Obstacle
	for _, q := range all {
		for name, hard := range q.Status.Hard {
			need, counted := demand(in.template.Spec, name)
			if !counted || len(q.Spec.Scopes) > 0 || q.Spec.ScopeSelector != nil {
				continue
			}
			need.Mul(extra)
			need.Add(q.Status.Used[name])
			if need.Cmp(hard) > 0 {
				obstacles = append(obstacles, adg.Obstacle{Name: "capacity", Text: fmt.Sprintf(
					"ResourceQuota %s has no room for %d more pods of %s: %s would be %s of %s; raise it or free something", q.Name, extra, in.name(), name, need.String(), hard.String())})
			}
		}
	}
	return obstacles, nil
}

// demand is what one pod takes of a quota's resource.
func demand(spec corev1.PodSpec, name corev1.ResourceName) (resource.Quantity, bool) {
	sum := func(of func(corev1.ResourceRequirements) corev1.ResourceList, key corev1.ResourceName) (resource.Quantity, bool) {
		var total resource.Quantity
		for _, c := range spec.Containers {
			total.Add(of(c.Resources)[key])
		}
		return total, true
	}
	requests := func(r corev1.ResourceRequirements) corev1.ResourceList { return r.Requests }
	limits := func(r corev1.ResourceRequirements) corev1.ResourceList { return r.Limits }
	switch name { //nolint:exhaustive // what a quota may also be of says nothing about pods
	case corev1.ResourcePods, "count/pods":
		return *resource.NewQuantity(1, resource.DecimalSI), true
	case corev1.ResourceCPU, corev1.ResourceRequestsCPU:
		return sum(requests, corev1.ResourceCPU)
	case corev1.ResourceMemory, corev1.ResourceRequestsMemory:
		return sum(requests, corev1.ResourceMemory)
	case corev1.ResourceLimitsCPU:
		return sum(limits, corev1.ResourceCPU)
	case corev1.ResourceLimitsMemory:
		return sum(limits, corev1.ResourceMemory)
	}
	return resource.Quantity{}, false
}

// right is a verb on a kind of object.
type right struct {
	verb     string
	resource kube.Resource
	name     string // empty: all of them
	spare    bool   // Apply does without; only less is told
}

// rights are those that the options need; deploy/kubernetes/rbac.yaml grants them.
func (t *target) rights() []right {
	all := []right{{verb: "list", resource: podResource}, {verb: "list", resource: eventResource, spare: true}, {verb: "list", resource: quotas, spare: true}}
	need := func(verb string, r kube.Resource) { all = append(all, right{verb: verb, resource: r}) }
	both := func(r kube.Resource, name string) {
		all = append(all, right{verb: "get", resource: r, name: name}, right{verb: "update", resource: r, name: name})
	}
	for _, name := range t.slots {
		both(t.kind.resource, name)
	}
	switch t.kind.word {
	case "Deployment":
		need("list", replicaSets)
	case "StatefulSet":
		need("list", controllerRevisions)
		need("delete", podResource)
	default:
		need("list", controllerRevisions)
	}
	switch t.o.Strategy {
	case blueGreen:
		both(services, t.o.Service)
		need("list", endpointSlices)
	case replicas:
		need("list", autoscalers)
	case route:
		both(httpRoutes, t.o.Route)
	}
	if len(t.o.ConfigMaps) > 0 {
		need("get", kube.Resource{Version: "v1", Plural: "configmaps"})
	}
	if len(t.o.Secrets) > 0 {
		need("get", kube.Resource{Version: "v1", Plural: "secrets"})
	}
	return all
}

// access asks the cluster for each right.
func (t *target) access(ctx context.Context) ([]adg.Obstacle, error) {
	var obstacles []adg.Obstacle
	for _, r := range t.rights() {
		review := map[string]any{"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": map[string]any{"resourceAttributes": map[string]any{
			"namespace": t.client.Namespace(), "verb": r.verb, "group": r.resource.Group, "version": r.resource.Version, "resource": r.resource.Plural, "name": r.name}}}
		var answer struct {
			Status struct {
				Allowed bool `json:"allowed"`
			} `json:"status"`
		}
		if err := t.client.Create(ctx, reviews, review, &answer); err != nil {
			return nil, err
		}
		if !answer.Status.Allowed {
			obstacles = append(obstacles, adg.Obstacle{Name: "access", Final: !r.spare, Text: fmt.Sprintf(
				"the credentials may not %s %s in the namespace %s: grant it in their role", r.verb, r.resource, t.client.Namespace())})
		}
	}
	return obstacles, nil
}
