package deploy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
)

// only is for a namespace in which nothing is switched on by itself.
var only = []string{"rbac.namespaces={shop}", "rbac.deployments=false"}

// switches are values, and the rights that they give in a namespace; nil: all that the role in the folder kubernetes gives.
var switches = []struct {
	name   string
	values []string
	role   string
	want   []string
}{
	{"unless more is said, Deployments with the strategy rolling", []string{"rbac.namespaces={shop}"}, "adg-target",
		[]string{"get apps/deployments", "update apps/deployments", "list apps/replicasets", "list /pods", "list /events", "list /resourcequotas"}},
	{"StatefulSets", append(only, "rbac.statefulSets=true"), "adg-target",
		[]string{"get apps/statefulsets", "update apps/statefulsets", "list apps/controllerrevisions", "list /pods", "delete /pods", "list /events", "list /resourcequotas"}},
	{"DaemonSets", append(only, "rbac.daemonSets=true"), "adg-target",
		[]string{"get apps/daemonsets", "update apps/daemonsets", "list apps/controllerrevisions", "list /pods", "list /events", "list /resourcequotas"}},
	{"the strategy blue-green", append(only, "rbac.blueGreen=true", "rbac.events=false", "rbac.quotas=false"), "adg-target",
		[]string{"get apps/deployments", "update apps/deployments", "list apps/replicasets", "list /pods", "get /services", "update /services", "list discovery.k8s.io/endpointslices"}},
	{"the strategy replicas", append(only, "rbac.replicas=true", "rbac.events=false"), "adg-target",
		[]string{"get apps/deployments", "update apps/deployments", "list apps/replicasets", "list /pods", "list /resourcequotas", "list autoscaling/horizontalpodautoscalers"}},
	{"the strategy route", append(only, "rbac.route=true", "rbac.quotas=false"), "adg-target",
		[]string{"get apps/deployments", "update apps/deployments", "list apps/replicasets", "list /pods", "list /events",
			"get gateway.networking.k8s.io/httproutes", "update gateway.networking.k8s.io/httproutes"}},
	{"a configuration in ConfigMaps", append(only, "rbac.configMaps=true"), "adg-target", []string{"list /pods", "get /configmaps"}},
	{"a configuration in Secrets", append(only, "rbac.secrets=true"), "adg-target", []string{"list /pods", "get /secrets"}},
	{"every target of type kubernetes", []string{"rbac.namespaces={shop}", "rbac.statefulSets=true", "rbac.daemonSets=true", "rbac.blueGreen=true", "rbac.replicas=true", "rbac.route=true",
		"rbac.configMaps=true", "rbac.secrets=true"}, "adg-target", nil},
	{"Rollouts", append(only, "rbac.argoRollouts=true"), "adg-rollouts",
		[]string{"get argoproj.io/rollouts", "update argoproj.io/rollouts", "list apps/replicasets", "list /pods"}},
	{"every target of type argo-rollouts", append(only, "rbac.argoRollouts=true", "rbac.configMaps=true", "rbac.secrets=true"), "adg-rollouts", nil},
	{"a source that counts pods of Deployments", []string{"rbac.namespaces={shop}", "rbac.sourceOnly=true"}, "adg-source", []string{"get apps/deployments", "list /pods"}},
	{"every source, and no target whatever is switched on", []string{"rbac.namespaces={shop}", "rbac.sourceOnly=true", "rbac.logs=true", "rbac.statefulSets=true", "rbac.daemonSets=true",
		"rbac.blueGreen=true", "rbac.replicas=true", "rbac.route=true", "rbac.argoRollouts=true", "rbac.configMaps=true", "rbac.secrets=true"}, "adg-source", nil},
}

func TestTheChartGrantsWhatTheManifestsGrantForEachSwitchAndNoMore(t *testing.T) {
	manifests := map[string][]string{}
	for _, path := range []string{"kubernetes/rbac.yaml", "kubernetes/argo-rollouts.yaml"} {
		for name, rules := range manifest(t, path) {
			manifests[name] = rights(t, rules)
		}
	}
	if len(manifests) != 3 {
		t.Fatalf("%v", manifests)
	}
	for _, one := range switches {
		all := rendered(t, append([]string{"seal.secret=s", "tls.secret=t"}, one.values...)...)
		if len(all["Role"]) != 1 || len(all["ClusterRole"]) != 0 {
			t.Errorf("%s: %v", one.name, all.kinds())
			continue
		}
		want := slices.Sorted(slices.Values(one.want))
		if one.want == nil {
			want = manifests[one.role]
		}
		if diff := cmp.Diff(want, rights(t, all["Role"][0].Rules)); diff != "" {
			t.Errorf("%s: wanted (-), granted (+):\n%s", one.name, diff)
		}
		for _, right := range want {
			if !slices.Contains(manifests[one.role], right) {
				t.Errorf("%s: %s does not grant %s", one.name, one.role, right)
			}
		}
	}
}

func TestANamespaceMayDifferFromTheOthers(t *testing.T) {
	all := rendered(t, "seal.secret=s", "tls.secret=t", "rbac.replicas=true", "rbac.namespaces[0]=shop", "rbac.namespaces[1].name=pay", "rbac.namespaces[1].blueGreen=true",
		"rbac.namespaces[1].replicas=false", "rbac.namespaces[2].name=cart", "rbac.namespaces[2].sourceOnly=true")
	base := []string{"get apps/deployments", "list /events", "list /pods", "list /resourcequotas", "list apps/replicasets", "update apps/deployments"}
	want := map[string][]string{
		"shop": append(slices.Clone(base), "list autoscaling/horizontalpodautoscalers"),
		"pay":  append(slices.Clone(base), "get /services", "update /services", "list discovery.k8s.io/endpointslices"),
		"cart": {"get apps/deployments", "list /pods"},
	}
	got := map[string][]string{}
	for _, role := range all["Role"] {
		got[role.Metadata.Namespace] = rights(t, role.Rules)
	}
	for _, of := range want {
		slices.Sort(of)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("wanted (-), granted (+):\n%s", diff)
	}
	for _, binding := range all["RoleBinding"] {
		if len(binding.Subjects) != 1 || binding.Subjects[0] != (subject{"ServiceAccount", "adg", "guard"}) || want[binding.Metadata.Namespace] == nil {
			t.Errorf("%+v", binding)
		}
	}
	if len(all["RoleBinding"]) != 3 {
		t.Errorf("%v", all.kinds())
	}
}

// manifest are the rules of the roles in a file, by name, with those that it has for taking in.
func manifest(t *testing.T, path string) map[string][]map[string][]string {
	t.Helper()
	text := strings.NewReplacer("  # - ", "  - ", "  #   ", "    ").Replace(string(read(t, path)))
	all := map[string][]map[string][]string{}
	for part := range strings.SplitSeq(text, "\n---\n") {
		var one object
		if err := yaml.Unmarshal([]byte(part), &one); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if one.Kind == "Role" {
			all[one.Metadata.Name] = one.Rules
		}
	}
	return all
}

// rights are what rules grant, one verb on one kind each and each once, as in "get apps/deployments".
func rights(t *testing.T, rules []map[string][]string) []string {
	t.Helper()
	var all []string
	for _, rule := range rules {
		if len(rule) != 3 {
			t.Errorf("a rule that says more, or less, than who may do what: %v", rule)
		}
		for _, group := range rule["apiGroups"] {
			for _, resource := range rule["resources"] {
				for _, verb := range rule["verbs"] {
					all = append(all, fmt.Sprintf("%s %s/%s", verb, group, resource))
				}
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
