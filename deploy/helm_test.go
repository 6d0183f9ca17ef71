package deploy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/deployguardian/adg/internal/settings"
)

const buildHelm = "scripts/test-servers builds it"

func TestTheChartPassesHelmsLint(t *testing.T) {
	helm := program(t, "helm", buildHelm)
	for name, values := range charts {
		if said, err := exec.CommandContext(t.Context(), helm, set(values, "lint", "--strict", "helm/adg")...).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, said)
		}
	}
}

// charts are values that a chart is installed with.
var charts = map[string][]string{
	"one server on SQLite":              {"seal.secret=seal", "tls.secret=tls"},
	"three on PostgreSQL":               {"seal.secret=seal", "tls.secret=tls", "replicas=3", "postgres.secret=db", "baseURL=https://adg.example.com"},
	"behind a mesh, keys being rotated": {"seal.secret=seal", "insecureHTTP=true", "seal.older={old.key}", "config.trusted_proxies={127.0.0.0/8}"},
	"everything switched on": {
		"seal.secret=seal", "tls.secret=tls", "postgres.secret=db", "replicas=2", "rbac.namespaces[0]=shop", "rbac.namespaces[1].name=pay", "rbac.statefulSets=true", "rbac.daemonSets=true",
		"rbac.blueGreen=true", "rbac.replicas=true", "rbac.route=true", "rbac.argoRollouts=true", "rbac.configMaps=true", "rbac.logs=true",
		"metrics.serviceMonitor.enabled=true", "metrics.serviceMonitor.tokenFrom.name=scrape", "metrics.serviceMonitor.tokenFrom.key=token", "config.log.level=debug", "config.metrics.token.env=TOKEN", "extraEnv[0].name=TOKEN", "extraEnv[0].value=t",
		"networkPolicy.egress[0].ports[0].port=443", "networkPolicy.from[0].namespaceSelector.matchLabels.team=ops", "drainSeconds=90",
	},
}

func TestTheServerTakesTheConfigurationThatTheChartMakes(t *testing.T) {
	for name, values := range charts {
		all := rendered(t, values...)
		pod := all.pod(t)
		container := pod.Spec.Containers[0]
		environ := []string{}
		for _, variable := range container.Env {
			environ = append(environ, variable.Name+"=postgres://given")
		}
		environ = slices.DeleteFunc(environ, func(pair string) bool { return strings.HasPrefix(pair, "ADG_SERVER_GUARD_NAME=") })
		s, warnings, err := settings.Parse("adg.yaml", []byte(all["ConfigMap"][0].Data["adg.yaml"]), environ, nil)
		if err != nil || len(warnings) > 0 {
			t.Errorf("%s: %v, %v", name, warnings, err)
			continue
		}
		if grace := pod.Spec.Grace; float64(grace) < s.Drain.Seconds()+10 {
			t.Errorf("%s: killed after %d s, and draining takes up to %s", name, grace, s.Drain)
		}
		if got := fmt.Sprint(container.Args); got != "[server --config /etc/adg/adg.yaml]" {
			t.Errorf("%s: started with %s", name, got)
		}
		if s.Data != "/data" || s.Metrics.Listen != ":9464" || s.Listen != ":8443" {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

func TestOneServerKeepsAVolumeAndSeveralKeepNone(t *testing.T) {
	one := rendered(t, charts["one server on SQLite"]...)
	if len(one["StatefulSet"]) != 1 || len(one["Deployment"]) != 0 || len(one["PodDisruptionBudget"]) != 0 || one["StatefulSet"][0].Spec.Replicas != 1 {
		t.Errorf("%v", one.kinds())
	}
	three := rendered(t, charts["three on PostgreSQL"]...)
	if len(three["StatefulSet"]) != 0 || len(three["Deployment"]) != 1 || len(three["PodDisruptionBudget"]) != 1 || three["Deployment"][0].Spec.Replicas != 3 {
		t.Errorf("%v", three.kinds())
	}
}

func TestThePodsMayDoNothingThatTheyNeedNot(t *testing.T) {
	for name, values := range charts {
		all := rendered(t, values...)
		pod := all.pod(t).Spec
		c := pod.Containers[0].Security
		if !pod.Security.NonRoot || pod.Security.User == 0 || pod.Security.Seccomp.Type != "RuntimeDefault" || c.Escalation == nil || *c.Escalation ||
			!c.ReadOnly || fmt.Sprint(c.Capabilities.Drop) != "[ALL]" {
			t.Errorf("%s: not restricted: %+v %+v", name, pod.Security, c)
		}
		if pod.Links == nil || *pod.Links {
			t.Errorf("%s: variables of services would look like the server's", name)
		}
		if pod.Token != (len(all["Role"]) > 0) || len(all["ClusterRole"]) > 0 {
			t.Errorf("%s: has a token: %t, roles: %v", name, pod.Token, all.kinds())
		}
		for _, role := range all["Role"] {
			if text := fmt.Sprint(role.Rules); strings.Contains(text, "*") || strings.Contains(text, "secrets") || strings.Contains(text, "create") || strings.Contains(text, "patch") {
				t.Errorf("%s: may do too much: %s", name, text)
			}
		}
		for _, probe := range []string{pod.Containers[0].Live.Get.Path, pod.Containers[0].Ready.Get.Path} {
			if probe != "/livez" && probe != "/readyz" {
				t.Errorf("%s: probes %q", name, probe)
			}
		}
		if len(all["NetworkPolicy"]) != 1 {
			t.Errorf("%s: %v", name, all.kinds())
		}
		for _, variable := range pod.Containers[0].Env {
			if strings.Contains(variable.Name, "KEY") && (variable.Value != "" || variable.From.Secret.Name != "seal") {
				t.Errorf("%s: %s is not from the secret", name, variable.Name)
			}
		}
	}
}

func TestEveryNamespaceHasARoleAndEveryScrapeItsToken(t *testing.T) {
	all := rendered(t, charts["everything switched on"]...)
	if len(all["Role"]) != 2 || len(all["RoleBinding"]) != 2 || len(all["ServiceMonitor"]) != 1 {
		t.Errorf("%v", all.kinds())
	}
	if text, err := template(t, charts["everything switched on"]...); err != nil || !bytes.Contains(text, []byte("credentials:\n          key: token\n          name: scrape\n")) {
		t.Errorf("a scrape does not show the token: %v", err)
	}
}

func TestValuesThatCannotWorkAreRefusedWithWhatToDo(t *testing.T) {
	for _, one := range []struct {
		name, want string
		values     []string
	}{
		{"no image", "deploy/README.md", []string{"image.repository=", "seal.secret=s", "tls.secret=t"}},
		{"no key", "adg key new", []string{"tls.secret=t"}},
		{"no TLS", "kubernetes.io/tls", []string{"seal.secret=s"}},
		{"TLS and none", "exclude each other", []string{"seal.secret=s", "tls.secret=t", "insecureHTTP=true"}},
		{"three on SQLite", "more than one replica needs PostgreSQL", []string{"seal.secret=s", "tls.secret=t", "replicas=3"}},
		{"a value that there is none of", "replcas", []string{"seal.secret=s", "tls.secret=t", "replcas=3"}},
		{"a right that there is none of", "blueGren", []string{"seal.secret=s", "tls.secret=t", "rbac.blueGren=true"}},
		{"one that there is none of in a namespace", "blueGren", []string{"seal.secret=s", "tls.secret=t", "rbac.namespaces[0].name=shop", "rbac.namespaces[0].blueGren=true"}},
		{"a namespace without a name", "name", []string{"seal.secret=s", "tls.secret=t", "rbac.namespaces[0].blueGreen=true"}},
		{"what the chart sets itself", "config", []string{"seal.secret=s", "tls.secret=t", "config.data=/elsewhere"}},
	} {
		_, err := template(t, one.values...)
		if err == nil || !strings.Contains(err.Error(), one.want) {
			t.Errorf("%s: %v, not %q", one.name, err, one.want)
		}
	}
}

// object is what the tests ask of what Kubernetes is given.
type object struct {
	Kind     string
	Metadata struct{ Name, Namespace string }
	Data     map[string]string
	Rules    []map[string][]string
	Subjects []subject
	Spec     struct {
		Replicas int
		Template pod
	}
}

type subject struct{ Kind, Name, Namespace string }

type pod struct {
	Spec struct {
		Token    bool  `yaml:"automountServiceAccountToken"`
		Links    *bool `yaml:"enableServiceLinks"`
		Grace    int   `yaml:"terminationGracePeriodSeconds"`
		Security struct {
			NonRoot bool                  `yaml:"runAsNonRoot"`
			User    int                   `yaml:"runAsUser"`
			Seccomp struct{ Type string } `yaml:"seccompProfile"`
		} `yaml:"securityContext"`
		Containers []struct {
			Args []string
			Env  []struct {
				Name, Value string
				From        struct {
					Secret struct{ Name, Key string } `yaml:"secretKeyRef"`
				} `yaml:"valueFrom"`
			}
			Security struct {
				Escalation   *bool `yaml:"allowPrivilegeEscalation"`
				ReadOnly     bool  `yaml:"readOnlyRootFilesystem"`
				Capabilities struct{ Drop []string }
			} `yaml:"securityContext"`
			Live  probe `yaml:"livenessProbe"`
			Ready probe `yaml:"readinessProbe"`
		}
	}
}

type probe struct {
	Get struct{ Path string } `yaml:"httpGet"`
}

type objects map[string][]object

func (o objects) kinds() []string {
	var all []string
	for kind, of := range o {
		all = append(all, fmt.Sprintf("%d %s", len(of), kind))
	}
	slices.Sort(all)
	return all
}

func (o objects) pod(t *testing.T) pod {
	t.Helper()
	workloads := append(slices.Clone(o["Deployment"]), o["StatefulSet"]...)
	if len(workloads) != 1 || len(workloads[0].Spec.Template.Spec.Containers) != 1 {
		t.Fatalf("%v", o.kinds())
	}
	return workloads[0].Spec.Template
}

func rendered(t *testing.T, values ...string) objects {
	t.Helper()
	text, err := template(t, values...)
	if err != nil {
		t.Fatal(err)
	}
	all := objects{}
	for decoder := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var one object
		err := decoder.Decode(&one)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		all[one.Kind] = append(all[one.Kind], one)
	}
}

// set are the arguments of helm with those values. Nobody but us knows where the image is.
func set(values []string, args ...string) []string {
	for _, v := range slices.Insert(slices.Clone(values), 0, "image.repository=registry.example.com/adg") {
		args = append(args, "--set", v)
	}
	return args
}

func template(t *testing.T, values ...string) ([]byte, error) {
	t.Helper()
	args := set(values, "template", "adg", "helm/adg", "--namespace", "guard", "--kube-version", "1.30.0")
	command := exec.CommandContext(t.Context(), program(t, "helm", buildHelm), args...)
	var complaint bytes.Buffer
	command.Stderr = &complaint
	text, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, complaint.String())
	}
	return text, nil
}
