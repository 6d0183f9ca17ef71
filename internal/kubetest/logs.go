package kubetest

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/kube"
)

// Log gives a pod the log of the container that runs, and that of the one before it. The nodes serve it some time later.
func (c *Cluster) Log(t testing.TB, namespace, pod string, running, previous []adg.LogLine) {
	t.Helper()
	served := map[string]any{}
	for name, lines := range map[string][]adg.LogLine{"logsFile": running, "previousLogsFile": previous} {
		var text strings.Builder
		for _, l := range lines { // as container runtimes write it
			fmt.Fprintf(&text, "%s stdout F %s\n", l.At.Format(time.RFC3339Nano), l.Text)
		}
		path := c.path(namespace + "." + pod + "." + name)
		if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		served[name] = path
	}
	object := map[string]any{"apiVersion": "kwok.x-k8s.io/v1alpha1", "kind": "Logs", "metadata": map[string]any{"name": pod}, "spec": map[string]any{"logs": []any{served}}}
	if err := c.Admin(t, namespace).Create(t.Context(), podLogs, object, nil); err != nil {
		t.Fatal(err)
	}
}

// Private

// podLogs are how kwok is told which files are the logs of a pod.
var podLogs = kube.Resource{Group: "kwok.x-k8s.io", Version: "v1alpha1", Plural: "logs"}

// podLogsDefinition is the kind of podLogs: kwok itself knows what belongs into them.
var podLogsDefinition = map[string]any{
	"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": map[string]any{"name": "logs.kwok.x-k8s.io"},
	"spec": map[string]any{
		"group": "kwok.x-k8s.io", "scope": "Namespaced", "names": map[string]any{"kind": "Logs", "listKind": "LogsList", "plural": "logs", "singular": "logs"},
		"versions": []any{map[string]any{"name": "v1alpha1", "served": true, "storage": true,
			"schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}},
	},
}
