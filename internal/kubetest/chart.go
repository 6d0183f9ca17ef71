package kubetest

import (
	"bytes"
	"os"
	"os/exec"
	"testing"

	"github.com/goccy/go-yaml"
)

// Rule is one of a Role.
type Rule struct {
	Groups    []string `yaml:"apiGroups" json:"apiGroups"`
	Resources []string `yaml:"resources" json:"resources"`
	Verbs     []string `yaml:"verbs" json:"verbs"`
}

// Chart is what the Role of the Helm chart grants in a namespace whose values of rbac are these, as in blueGreen=true; one
// verb on one kind each. The test stands in a folder three below the root. It is skipped where helm is missing; where
// everything has to be there, it fails.
func Chart(t *testing.T, values ...string) []Rule {
	t.Helper()
	helm, err := find("helm")
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatal("helm is not here: scripts/test-helm builds it")
	}
	if err != nil {
		t.Skip("helm is not here: scripts/test-helm builds it")
	}
	args := []string{"template", "adg", "../../../deploy/helm/adg", "--show-only", "templates/rbac.yaml", "--kube-version", "1.30.0"}
	for _, v := range append([]string{"image.repository=adg", "seal.secret=seal", "tls.secret=tls", "rbac.namespaces={shop}"}, values...) {
		args = append(args, "--set", v)
	}
	command := exec.CommandContext(t.Context(), helm, args...)
	var complaint bytes.Buffer
	command.Stderr = &complaint
	text, err := command.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, complaint.String())
	}
	return RoleIn(t, text, "adg")
}

// RoleIn is what a Role among manifests grants, one verb on one kind each.
func RoleIn(t *testing.T, manifests []byte, name string) []Rule {
	t.Helper()
	for part := range bytes.SplitSeq(manifests, []byte("\n---\n")) {
		var role struct {
			Kind     string `yaml:"kind"`
			Metadata struct {
				Name string `yaml:"name"`
			} `yaml:"metadata"`
			Rules []Rule `yaml:"rules"`
		}
		if err := yaml.Unmarshal(part, &role); err != nil {
			t.Fatal(err)
		}
		if role.Kind != "Role" || role.Metadata.Name != name {
			continue
		}
		var single []Rule
		for _, r := range role.Rules {
			for _, resource := range r.Resources {
				for _, verb := range r.Verbs {
					single = append(single, Rule{r.Groups, []string{resource}, []string{verb}})
				}
			}
		}
		return single
	}
	t.Fatalf("there is no Role %s", name)
	return nil
}
