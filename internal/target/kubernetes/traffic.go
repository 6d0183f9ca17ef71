package kubernetes

import (
	"context"
	"fmt"
	"maps"
	"math"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/kube"
)

var (
	services       = kube.Resource{Version: "v1", Plural: "services"}
	endpointSlices = kube.Resource{Group: "discovery.k8s.io", Version: "v1", Plural: "endpointslices"}
	httpRoutes     = kube.Resource{Group: "gateway.networking.k8s.io", Version: "v1", Plural: "httproutes"}
	autoscalers    = kube.Resource{Group: "autoscaling", Version: "v2", Plural: "horizontalpodautoscalers"}
)

// byService counts the addresses that answer for the Service, by the release of the pod behind each.
func (s *state) byService(ctx context.Context) (traffic, error) {
	t := s.target
	service := &unstructured.Unstructured{}
	if err := t.client.Get(ctx, services, t.o.Service, service); err != nil {
		return traffic{}, err
	}
	selector, _, err := unstructured.NestedStringMap(service.Object, "spec", "selector")
	if err != nil || len(selector) == 0 {
		return traffic{}, adg.Permanent(adg.Errorf(adg.Invalid, "Service %s has no selector that could be moved", t.o.Service))
	}
	slices, err := kube.List[discoveryv1.EndpointSlice](ctx, t.client, endpointSlices, kube.Selection{Labels: discoveryv1.LabelServiceName + "=" + t.o.Service})
	if err != nil {
		return traffic{}, err
	}
	seen := traffic{shares: map[string]float64{}, slots: make([]float64, len(s.slots))}
	selected := -1
	for i, in := range s.slots {
		if labels.SelectorFromSet(selector).Matches(labels.Set(in.template.Labels)) {
			seen.slots[i] = 100
			selected = i
		}
	}
	answering := addresses(slices)
	known := 0
	for i, in := range s.slots {
		for _, p := range in.pods {
			if answering[p.Name] {
				known++
				seen.shares[t.releaseOf(p.ObjectMeta, p.Spec).Version] += 100 / float64(len(answering))
				seen.settled = seen.settled || i == selected
			}
		}
	}
	both := len(seen.slots) > 1 && seen.slots[0] > 0 && seen.slots[1] > 0
	switch {
	case both:
		seen.text = fmt.Sprintf("Service %s selects the pods of both Deployments: its selector needs a label that only one of them has", t.o.Service)
	case selected < 0:
		seen.text = fmt.Sprintf("Service %s selects the pods of neither Deployment", t.o.Service)
	case len(answering) == 0:
		seen.text = fmt.Sprintf("no address answers for Service %s", t.o.Service)
	case known < len(answering):
		seen.text = fmt.Sprintf("Service %s has %d addresses of pods that are of neither Deployment, or on their way", t.o.Service, len(answering)-known)
	}
	seen.settled = seen.settled && seen.text == ""
	return seen, nil
}

// addresses are the pods that a Service sends requests to.
func addresses(all []discoveryv1.EndpointSlice) map[string]bool {
	pods := map[string]bool{}
	for _, slice := range all {
		for _, e := range slice.Endpoints {
			if e.TargetRef != nil && (e.Conditions.Ready == nil || *e.Conditions.Ready) {
				pods[e.TargetRef.Name] = true
			}
		}
	}
	return pods
}

// byRoute reads the weights, and whether a gateway has taken them on.
func (s *state) byRoute(ctx context.Context) (traffic, error) {
	t := s.target
	object := &unstructured.Unstructured{}
	if err := t.client.Get(ctx, httpRoutes, t.o.Route, object); err != nil {
		return traffic{}, err
	}
	pairs, _, err := t.backends(object)
	if err != nil {
		return traffic{}, err
	}
	seen := traffic{shares: map[string]float64{}, slots: make([]float64, 2)}
	for n, pair := range pairs {
		weights := [2]float64{weight(pair[0]), weight(pair[1])}
		sum := weights[0] + weights[1]
		if sum == 0 {
			seen.text = fmt.Sprintf("HTTPRoute %s sends requests nowhere: both weights are 0", t.o.Route)
			break
		}
		for i := range weights {
			share := 100 * weights[i] / sum
			if n > 0 && math.Abs(share-seen.slots[i]) > tolerance {
				seen.text = fmt.Sprintf("the rules of HTTPRoute %s have different weights", t.o.Route)
			}
			seen.slots[i] = max(seen.slots[i], share)
		}
	}
	for i, in := range s.slots {
		if seen.slots[i] > 0 {
			seen.shares[in.release.Version] += seen.slots[i]
		}
	}
	if text := accepted(object); seen.text == "" && text != "" {
		seen.text = fmt.Sprintf("HTTPRoute %s: %s", t.o.Route, text)
	}
	seen.settled = seen.text == ""
	return seen, nil
}

// backends are the references to the two Services, by rule, as they stand in the object; and its rules.
func (t *target) backends(object *unstructured.Unstructured) (pairs [][2]map[string]any, rules []any, err error) {
	rules, _, err = unstructured.NestedSlice(object.Object, "spec", "rules")
	if err != nil {
		return nil, nil, adg.Permanent(adg.Errorf(adg.Invalid, "HTTPRoute %s: %w", t.o.Route, err))
	}
	for _, r := range rules {
		rule, _ := r.(map[string]any)
		refs, _ := rule["backendRefs"].([]any)
		var pair [2]map[string]any
		for _, r := range refs {
			ref, _ := r.(map[string]any)
			switch ref["name"] {
			case t.o.Service:
				pair[0] = ref
			case t.o.OtherService:
				pair[1] = ref
			}
		}
		if pair[0] != nil && pair[1] != nil {
			pairs = append(pairs, pair)
		}
	}
	if len(pairs) == 0 {
		return nil, nil, adg.Permanent(adg.Errorf(adg.Invalid, "HTTPRoute %s has no rule that names both %s and %s as backends", t.o.Route, t.o.Service, t.o.OtherService))
	}
	return pairs, rules, nil
}

func weight(ref map[string]any) float64 {
	if w, found := ref["weight"].(int64); found {
		return float64(w)
	}
	return 1
}

// accepted is empty where every gateway of the route has taken on what it says now.
func accepted(object *unstructured.Unstructured) string {
	parents, _, _ := unstructured.NestedSlice(object.Object, "status", "parents")
	if len(parents) == 0 {
		return "no gateway has accepted it"
	}
	for _, p := range parents {
		parent, _ := p.(map[string]any)
		conditions, _, _ := unstructured.NestedSlice(parent, "conditions")
		taken := false
		for _, c := range conditions {
			condition, _ := c.(map[string]any)
			observed, _ := condition["observedGeneration"].(int64)
			switch {
			case condition["status"] == "False" && (condition["type"] == "Accepted" || condition["type"] == "ResolvedRefs"):
				return fmt.Sprintf("a gateway says %v: %v", condition["reason"], condition["message"])
			case condition["type"] == "Accepted" && observed >= object.GetGeneration():
				taken = true
			}
		}
		if !taken {
			return "a gateway has not taken on its last change yet"
		}
	}
	return ""
}

// shift moves the traffic, and waits until it has moved. With replicas there is nothing to move: the pods that shrink
// takes away are the move.
func (a *application) shift(ctx context.Context, plans []plan) error {
	t := a.target
	var err error
	switch t.o.Strategy {
	case blueGreen:
		_, err = a.write(ctx, services, t.o.Service, func(object *unstructured.Unstructured, _ *note) error { return a.point(ctx, object, plans) })
	case route:
		_, err = a.write(ctx, httpRoutes, t.o.Route, func(object *unstructured.Unstructured, _ *note) error { return a.weigh(object, plans) })
	default:
		return nil
	}
	if err != nil {
		return err
	}
	return a.until(ctx, func() (bool, string, error) {
		s, err := t.look(ctx)
		if err != nil {
			return false, "", err
		}
		if err := a.held(s); err != nil {
			return false, "", err
		}
		for i, p := range plans {
			share := 0.0
			if p.placement != nil {
				share = p.placement.Share
			}
			if math.Abs(s.traffic.slots[i]-share) > tolerance {
				return false, "the traffic is not where it was sent", nil
			}
			if version := s.slots[i].release.Version; s.traffic.settled && math.Abs(s.traffic.shares[version]-share) > tolerance {
				return false, fmt.Sprintf("the traffic is on its way to %.4g %% for %s", share, version), nil
			}
		}
		return s.traffic.settled, "the traffic is not yet where it was sent: " + s.traffic.text, nil
	})
}

// point has the Service select the pods of the Deployment that gets the traffic.
func (a *application) point(ctx context.Context, object *unstructured.Unstructured, plans []plan) error {
	t := a.target
	for i, p := range plans {
		if p.placement == nil || p.placement.Share == 0 {
			continue
		}
		w, err := t.workload(ctx, t.slots[i])
		if err != nil {
			return err
		}
		if len(w.selector.MatchLabels) == 0 || len(w.selector.MatchExpressions) > 0 {
			return adg.Permanent(adg.Errorf(adg.Invalid, "the selector of Deployment %s cannot be that of a Service: it may have matchLabels only", w.name()))
		}
		selector := maps.Clone(w.selector.MatchLabels)
		if err := unstructured.SetNestedStringMap(object.Object, selector, "spec", "selector"); err != nil {
			return adg.Permanent(adg.Errorf(adg.Invalid, "Service %s: %w", t.o.Service, err))
		}
	}
	return nil
}

// weigh sets the weights of every rule that names both Services.
func (a *application) weigh(object *unstructured.Unstructured, plans []plan) error {
	t := a.target
	pairs, rules, err := t.backends(object)
	if err != nil {
		return err
	}
	var weights [2]int64
	for i, p := range plans {
		if p.placement != nil {
			weights[i] = int64(math.Round(p.placement.Share * 100)) // hundredths of a percent
		}
	}
	for _, pair := range pairs {
		pair[0]["weight"], pair[1]["weight"] = weights[0], weights[1]
	}
	if err := unstructured.SetNestedSlice(object.Object, rules, "spec", "rules"); err != nil {
		return adg.Permanent(adg.Errorf(adg.Invalid, "HTTPRoute %s: %w", t.o.Route, err))
	}
	return nil
}

// scalable refuses to share traffic by numbers of pods that somebody else sets.
func (a *application) scalable(ctx context.Context) error {
	t := a.target
	if t.o.Strategy != replicas {
		return nil
	}
	all, err := kube.List[autoscalingv2.HorizontalPodAutoscaler](ctx, t.client, autoscalers, kube.Selection{})
	if err != nil {
		return err
	}
	for _, h := range all {
		for _, name := range t.slots {
			if to := h.Spec.ScaleTargetRef; strings.EqualFold(to.Kind, "Deployment") && to.Name == name {
				return adg.Permanent(adg.Errorf(adg.Invalid, "HorizontalPodAutoscaler %s sets the number of %s's pods, which is what shares the traffic: use route or blue-green, or take it away", h.Name, name))
			}
		}
	}
	return nil
}
