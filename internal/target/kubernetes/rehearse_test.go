package kubernetes

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/kube"
	"github.com/deployguardian/adg/internal/kubetest"
	"github.com/deployguardian/adg/internal/target/targettest"
)

func TestRehearsalNamesWhatStandsInTheWay(t *testing.T) {
	t.Parallel()
	quota := func(t *testing.T, w *world) {
		w.create(t, quotas, "small", map[string]any{"apiVersion": "v1", "kind": "ResourceQuota", "spec": map[string]any{"hard": map[string]any{"pods": "3"}}})
		kubetest.Poll(t, func() (bool, any) { // until its controller has counted
			q := &unstructured.Unstructured{}
			if err := w.admin.Get(t.Context(), quotas, "small", q); err != nil {
				t.Fatal(err)
			}
			used, _, _ := unstructured.NestedString(q.Object, "status", "used", "pods")
			return used == "3" || used == "2", used
		})
	}
	autoscaler := func(t *testing.T, w *world) {
		w.create(t, autoscalers, "shop", map[string]any{"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "spec": map[string]any{
			"maxReplicas": 9, "scaleTargetRef": map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop-blue"}}})
	}
	for _, row := range []struct {
		name   string
		world  func(t *testing.T) *world
		change func(t *testing.T, w *world)
		final  bool
		kind   string
		says   string
	}{
		{"nothing", func(t *testing.T) *world { return rollingWorld(t, "deployment") }, nil, false, "", ""},
		{"nothing between two Deployments", func(t *testing.T) *world { return pairWorld(t, blueGreen, 2) }, nil, false, "", ""},
		{"a quota without room for one more pod", func(t *testing.T) *world { return rollingWorld(t, "deployment") }, quota, false, "capacity", "ResourceQuota small"},
		{"a quota without room for the second Deployment", func(t *testing.T) *world { return pairWorld(t, blueGreen, 2) }, quota, false, "capacity", "2 more pods"},
		{"a paused rollout", func(t *testing.T) *world { return rollingWorld(t, "deployment") }, func(t *testing.T, w *world) {
			w.change(t, "shop", func(spec map[string]any) { spec["paused"] = true })
		}, false, "sync", "paused"},
		{"a Deployment that ends all pods first", func(t *testing.T) *world {
			return rollingWorld(t, "deployment", func(spec map[string]any) { spec["strategy"] = map[string]any{"type": "Recreate"} })
		}, nil, false, "capacity", "Recreate"},
		{"pods that nobody replaces", func(t *testing.T) *world {
			return rollingWorld(t, "statefulset", func(spec map[string]any) { spec["updateStrategy"] = map[string]any{"type": "OnDelete"} })
		}, nil, true, "sync", "OnDelete"},
		{"a workload that is not there", func(t *testing.T) *world { return rollingWorld(t, "deployment") }, func(_ *testing.T, w *world) { w.options.Name = "gone" }, true, "release", "not there"},
		{"a container that is not there", func(t *testing.T) *world { return rollingWorld(t, "deployment") }, func(_ *testing.T, w *world) { w.options.Container = "gone" }, true, "release", "container"},
		{"an autoscaler where numbers of pods are the shares", func(t *testing.T) *world { return pairWorld(t, replicas, 2) }, autoscaler, true, "release", "HorizontalPodAutoscaler shop"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			w := row.world(t)
			if row.change != nil {
				row.change(t, w)
			}
			obstacles := rehearse(t, w, targettest.Want("d/1", 1, 100))
			if row.kind == "" && len(obstacles) == 0 {
				return
			}
			if len(obstacles) != 1 || obstacles[0].Name != row.kind || obstacles[0].Final != row.final || !strings.Contains(obstacles[0].Text, row.says) {
				t.Errorf("%+v", obstacles)
			}
		})
	}
}

// granted are the rights of the target's role in deploy/kubernetes/rbac.yaml.
func granted(t *testing.T) []kubetest.Rule {
	t.Helper()
	text, err := os.ReadFile("../../../deploy/kubernetes/rbac.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return kubetest.RoleIn(t, text, "adg-target")
}

// grant gives a new service account those rights, and the target its token.
func (w *world) grant(t *testing.T, name string, rules []kubetest.Rule) {
	t.Helper()
	w.options.Token = cluster.ServiceAccount(t, w.namespace, name)
	rbac := func(plural string) kube.Resource {
		return kube.Resource{Group: "rbac.authorization.k8s.io", Version: "v1", Plural: plural}
	}
	w.create(t, rbac("roles"), name, map[string]any{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "rules": rules})
	w.create(t, rbac("rolebindings"), name, map[string]any{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
		"roleRef":  map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
		"subjects": []any{map[string]any{"kind": "ServiceAccount", "name": name}}})
	granted := w.open(t).(*target)
	kubetest.Poll(t, func() (bool, any) { // the API server notices a role some time after it was made, and all of its rights at once
		missing, err := granted.access(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return len(missing) < len(granted.rights()), missing
	})
}

func TestTheRoleThatIsShippedIsEnoughAndEachOfItsRightsIsNeeded(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	unneeded := granted(t)
	t.Cleanup(func() { // when every strategy has said what it needs
		unneeded = slices.DeleteFunc(unneeded, func(r kubetest.Rule) bool { return r.Resources[0] == "httproutes" }) // its own test needs it
		if len(unneeded) != 0 {
			t.Errorf("the role grants what nothing needs: %+v", unneeded)
		}
	})
	for name, fresh := range map[string]func(*testing.T) *world{
		"Deployment":  func(t *testing.T) *world { return rollingWorld(t, "deployment") },
		"StatefulSet": func(t *testing.T) *world { return rollingWorld(t, "statefulset") },
		"DaemonSet":   func(t *testing.T) *world { return rollingWorld(t, "daemonset") },
		blueGreen:     func(t *testing.T) *world { return pairWorld(t, blueGreen, 2) },
		replicas:      func(t *testing.T) *world { return pairWorld(t, replicas, 2) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := fresh(t)
			needs := thereAndBack(t, w, granted(t))
			mu.Lock()
			defer mu.Unlock()
			unneeded = slices.DeleteFunc(unneeded, func(r kubetest.Rule) bool { return covers(needs, r) })
		})
	}
}

// thereAndBack deploys and rolls back with no more than a Role's rules, and gives the rights that the target says it needs.
func thereAndBack(t *testing.T, w *world, rules []kubetest.Rule) []right {
	t.Helper()
	w.options.ConfigMaps = []string{"shop"}
	w.grant(t, "adg", rules)
	want := targettest.Want("d/1", 1, 100)
	if obstacles := rehearse(t, w, want); len(obstacles) != 0 {
		t.Fatalf("%+v", obstacles)
	}
	apply(t, w, want)
	w.eventually(t, done)
	apply(t, w, targettest.Rollback("d/2", 1))
	w.eventually(t, done)
	return w.open(t).(*target).rights()
}

// covers tells whether a rule is among what a target needs.
func covers(needs []right, r kubetest.Rule) bool {
	return slices.ContainsFunc(needs, func(n right) bool {
		return n.verb == r.Verbs[0] && n.resource.Plural == r.Resources[0] && n.resource.Group == r.Groups[0]
	})
}

func TestTheRoleOfTheChartIsEnoughForWhatIsSwitchedOnAndGrantsNoMore(t *testing.T) {
	t.Parallel()
	values := map[string][]string{
		"deployment":  {},
		"statefulset": {"rbac.deployments=false", "rbac.statefulSets=true"},
		"daemonset":   {"rbac.deployments=false", "rbac.daemonSets=true"},
		blueGreen:     {"rbac.deployments=false", "rbac.blueGreen=true"},
		replicas:      {"rbac.deployments=false", "rbac.replicas=true"},
		route:         {"rbac.deployments=false", "rbac.route=true"},
	}
	for name, fresh := range everyWorld {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rules := kubetest.Chart(t, append(values[name], "rbac.configMaps=true")...)
			w := fresh(t)
			needs := thereAndBack(t, w, rules)
			for _, r := range rules {
				if !covers(needs, r) {
					t.Errorf("the chart grants what nothing needs: %+v", r)
				}
			}
		})
	}
}

func TestEachMissingRightIsNamed(t *testing.T) {
	t.Parallel()
	w := pairWorld(t, blueGreen, 1)
	for i, missing := range granted(t) {
		name := missing.Verbs[0] + " " + missing.Resources[0]
		needed := slices.ContainsFunc(w.open(t).(*target).rights(), func(n right) bool { return n.verb == missing.Verbs[0] && n.resource.Plural == missing.Resources[0] })
		if !needed {
			continue
		}
		t.Run(name, func(t *testing.T) {
			w.grant(t, "adg-"+string(rune('a'+i)), slices.DeleteFunc(granted(t), func(r kubetest.Rule) bool {
				return r.Verbs[0] == missing.Verbs[0] && r.Resources[0] == missing.Resources[0]
			}))
			obstacles := rehearse(t, w, targettest.Want("d/1", 1, 100))
			if len(obstacles) == 0 {
				t.Fatal("nothing stands in the way")
			}
			for _, o := range obstacles {
				spare := missing.Resources[0] == "resourcequotas" || missing.Resources[0] == "events"
				if o.Name != "access" || o.Final == spare || !strings.Contains(o.Text, missing.Verbs[0]) || !strings.Contains(o.Text, missing.Resources[0]) {
					t.Errorf("%+v", o)
				}
			}
			if missing.Resources[0] == "resourcequotas" || missing.Resources[0] == "replicasets" || missing.Resources[0] == "events" {
				return // Apply does without, or can on a good day
			}
			_, err := w.open(t).Apply(t.Context(), targettest.Want("d/1", 1, 100))
			if adg.CodeOf(err) != adg.Unauthorized || !adg.IsPermanent(err) || !strings.Contains(err.Error(), missing.Resources[0]) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestRightsThatOnlyTellMoreKeepNobodyFromGoingBack(t *testing.T) {
	t.Parallel()
	w := pairWorld(t, blueGreen, 1)
	w.grant(t, "adg", slices.DeleteFunc(granted(t), func(r kubetest.Rule) bool {
		return r.Resources[0] == "resourcequotas" || r.Resources[0] == "events"
	}))
	apply(t, w, targettest.Want("d/1", 1, 100))
	w.eventually(t, done)
	obstacles := rehearse(t, w, targettest.Rollback("d/2", 1))
	if len(obstacles) != 2 || obstacles[0].Final || obstacles[1].Final {
		t.Errorf("%+v", obstacles)
	}
	w.change(t, "shop-blue", func(spec map[string]any) { spec["paused"] = true })
	obstacles = rehearse(t, w, targettest.Rollback("d/2", 1))
	if !slices.ContainsFunc(obstacles, func(o adg.Obstacle) bool { return strings.Contains(o.Text, "paused") }) {
		t.Errorf("nobody looked any further: %+v", obstacles)
	}
	w.change(t, "shop-blue", func(spec map[string]any) { spec["paused"] = false })
	apply(t, w, targettest.Rollback("d/2", 1))
	w.eventually(t, done)
}

func TestOptionsAreRefusedAllAtOnce(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(*Options)
		says   []string
	}{
		{"no name and no cluster", func(o *Options) { o.Name = "" }, []string{"name"}},
		{"an unknown kind and an unknown strategy", func(o *Options) { o.Kind, o.Strategy = "pod", "magic" }, []string{"kind", "strategy"}},
		{"blue-green of a StatefulSet without a Service", func(o *Options) { o.Kind, o.Strategy, o.Other = "statefulset", blueGreen, "b" }, []string{"Deployments", "service"}},
		{"a Service that nothing uses", func(o *Options) { o.Service = "shop" }, []string{"service"}},
		{"a name that would be an address", func(o *Options) { o.Name = "../../secrets/key" }, []string{"name"}},
		{"the same Deployment twice", func(o *Options) { o.Strategy, o.Other = replicas, "shop" }, []string{"other"}},
		{"a server and a kubeconfig", func(o *Options) { o.Kubeconfig = "/kube" }, []string{"exclude"}},
		{"a token without a server", func(o *Options) { o.Server, o.Token = "", adg.NewSecret("x") }, []string{"token"}},
		{"a metadata service", func(o *Options) { o.Server = "http://169.254.169.254" }, []string{"metadata"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			o := Driver.Options.(Options)
			o.Server, o.Name = "https://127.0.0.1:1", "shop"
			row.change(&o)
			_, err := Driver.Open(t.Context(), o, adg.Host{Name: "shop"})
			if !adg.IsPermanent(err) {
				t.Fatalf("%v", err)
			}
			for _, text := range row.says {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("%v does not say %s", err, text)
				}
			}
		})
	}
}

func TestKubeconfigLogsIn(t *testing.T) {
	t.Parallel()
	w := rollingWorld(t, "deployment")
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, []byte(cluster.Kubeconfig(cluster.Token)), 0o600); err != nil {
		t.Fatal(err)
	}
	w.options.Server, w.options.CAFile, w.options.Token, w.options.Kubeconfig = "", "", adg.Secret{}, file
	w.eventually(t, done)
}

func TestKubeconfigThatStartsAProgramNeedsPermission(t *testing.T) {
	file := filepath.Join(t.TempDir(), "kubeconfig")
	text := `{"apiVersion":"v1","kind":"Config","current-context":"c","clusters":[{"name":"c","cluster":{"server":"https://127.0.0.1:1"}}],"contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}],
"users":[{"name":"u","user":{"exec":{"apiVersion":"client.authentication.k8s.io/v1","command":"/bin/login","interactiveMode":"Never"}}}]}`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	o := Driver.Options.(Options)
	o.Kubeconfig, o.Name = file, "shop"
	if _, err := Driver.Open(t.Context(), o, adg.Host{Name: "shop"}); adg.CodeOf(err) != adg.Unauthorized || !adg.IsPermanent(err) {
		t.Errorf("%v", err)
	}
	if _, err := Driver.Open(t.Context(), o, adg.Host{Name: "shop", Commands: true, Programs: []string{"/bin/login"}}); err != nil {
		t.Error(err)
	}
}
