package kubernetes

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/goccy/go-yaml"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/kube"
	"github.com/deployguardian/adg/internal/kubetest"
	"github.com/deployguardian/adg/internal/target/targettest"
)

// gatewayAPI teaches the cluster what an HTTPRoute is, by the Gateway API's own definition.
var gatewayAPI = sync.OnceValue(func() error {
	text, err := kubetest.Asset("gateway-api/gateway.networking.k8s.io_httproutes.yaml")
	if err != nil {
		return err
	}
	var definition map[string]any
	if err := yaml.Unmarshal(text, &definition); err != nil {
		return err
	}
	return cluster.Define(definition, httpRoutes)
})

// routeWorld has all traffic on v1. The gateway before it does what one that takes on a route does to its status.
func routeWorld(t *testing.T) *world {
	t.Helper()
	kubetest.Need(t, cluster)
	if err := gatewayAPI(); err != nil {
		t.Fatal(err)
	}
	w := pairWorld(t, replicas, 4)
	w.options.Strategy = route
	w.options.Service, w.options.OtherService, w.options.Route = "shop-blue", "shop-green", "shop"
	w.service(t, "shop-blue", map[string]any{"app": "shop", "slot": "blue"})
	w.service(t, "shop-green", map[string]any{"app": "shop", "slot": "green"})
	backend := func(name string, weight int) map[string]any {
		return map[string]any{"name": name, "port": 80, "weight": weight}
	}
	w.create(t, httpRoutes, "shop", map[string]any{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "spec": map[string]any{
		"parentRefs": []any{map[string]any{"name": "edge"}},
		"rules": []any{
			map[string]any{"backendRefs": []any{backend("shop-blue", 1), backend("shop-green", 0)}},
			map[string]any{"matches": []any{map[string]any{"path": map[string]any{"type": "PathPrefix", "value": "/other"}}}, "backendRefs": []any{backend("other", 1)}},
		}}})
	w.accept(t)
	w.After = func(r *http.Request) {
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/httproutes/shop") {
			w.accept(t)
		}
	}
	w.shares = w.byWeights
	w.settle(t)
	return w
}

// accept is what a gateway writes when it has taken on the route as it is.
func (w *world) accept(t *testing.T) {
	t.Helper()
	for {
		object := &unstructured.Unstructured{}
		err := w.admin.Get(t.Context(), httpRoutes, "shop", object)
		if err == nil {
			object.Object["status"] = map[string]any{"parents": []any{map[string]any{
				"controllerName": "test/gateway", "parentRef": map[string]any{"name": "edge"},
				"conditions": []any{map[string]any{"type": "Accepted", "status": "True", "reason": "Accepted", "message": "",
					"lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": object.GetGeneration()}}}}}
			err = w.admin.Replace(t.Context(), httpRoutes, "shop/status", object, nil)
		}
		if err == nil {
			return
		}
		if adg.CodeOf(err) != adg.Conflict {
			t.Error(errors.Join(errors.New("the gateway"), err))
			return
		}
	}
}

func (w *world) byWeights(t *testing.T) map[string]float64 {
	t.Helper()
	object := &unstructured.Unstructured{}
	if err := w.admin.Get(t.Context(), httpRoutes, "shop", object); err != nil {
		t.Fatal(err)
	}
	rules, _, _ := unstructured.NestedSlice(object.Object, "spec", "rules")
	weights, sum := map[string]float64{}, 0.0
	for _, b := range rules[0].(map[string]any)["backendRefs"].([]any) {
		ref := b.(map[string]any)
		weights[ref["name"].(string)] = float64(ref["weight"].(int64))
		sum += float64(ref["weight"].(int64))
	}
	shares := map[string]float64{}
	for name, weight := range weights {
		d := &unstructured.Unstructured{}
		if err := w.admin.Get(t.Context(), kinds["deployment"].resource, name, d); err != nil {
			t.Fatal(err)
		}
		var typed struct {
			Spec struct {
				Template struct {
					Spec struct{ Containers []struct{ Image string } }
				}
			}
		}
		if err := kube.Convert(d.Object, &typed); err != nil {
			t.Fatal(err)
		}
		_, tag, _ := kube.SplitImage(typed.Spec.Template.Spec.Containers[0].Image)
		if weight > 0 {
			shares[tag] += 100 * weight / sum
		}
	}
	return shares
}

func TestCanaryByRouteKeepsTheContract(t *testing.T) {
	t.Parallel()
	targettest.Run(t, targettest.Case{
		Open:   func(t *testing.T) targettest.Fixture { return routeWorld(t).fixture(t) },
		Faults: everyFault, Fences: true, Tolerance: 0.01, Parallel: true,
	})
}

func TestRouteThatNoGatewayTakesOnIsNotDone(t *testing.T) {
	t.Parallel()
	w := routeWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var written, read atomic.Int64
	w.After = func(r *http.Request) { // the gateway is gone
		switch {
		case !strings.HasSuffix(r.URL.Path, "/httproutes/shop"):
		case r.Method == http.MethodPut:
			written.Add(1)
		case written.Load() == 2 && read.Add(1) == 3: // one to claim it, one for the weights, and it has been looked at since
			cancel()
		}
	}
	if _, err := w.open(t).Apply(ctx, targettest.Want("d/1", 1, 25)); !errors.Is(err, context.Canceled) {
		t.Errorf("nobody has taken on the weights, and it does not wait for that: %v", err)
	}
	seen, err := w.open(t).Current(t.Context())
	if err != nil || seen.Done {
		t.Errorf("%+v, %v", seen, err)
	}
}
