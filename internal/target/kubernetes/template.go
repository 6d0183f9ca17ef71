package kubernetes

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/kube"
)

func (o Options) templates() kube.Templates {
	return kube.Templates{Workload: o.Name, Container: o.Container, Image: o.Image, ConfigMaps: o.ConfigMaps, Secrets: o.Secrets}
}

// releaseOf is the release that a pod, or a pod template, is of.
func (t *target) releaseOf(meta metav1.ObjectMeta, spec corev1.PodSpec) adg.Release {
	return t.o.templates().ReleaseOf(meta, spec)
}

// is tells whether a template of live is what a release wants.
func (t *target) is(live, want adg.Release) bool { return t.o.templates().Is(live, want) }

// put makes the template one of the release.
func (t *target) put(template map[string]any, r adg.Release) error {
	return t.o.templates().Put(template, r)
}

func (w *workload) release(t *target) adg.Release {
	return t.releaseOf(w.template.ObjectMeta, w.template.Spec)
}

// hash recognises a pod template. JSON from a map has sorted keys.
func hash(template any) string {
	text, err := json.Marshal(template)
	if err != nil {
		return fmt.Sprint(err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}
