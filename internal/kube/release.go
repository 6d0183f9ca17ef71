package kube

import (
	"encoding/json"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/deployguardian/adg"
)

// ReleaseAnnotation holds a Stamp as JSON, on pod templates and so on pods.
const ReleaseAnnotation = "deployguardian.io/release"

// VersionLabel is the label that the Kubernetes documentation recommends for versions.
const VersionLabel = "app.kubernetes.io/version"

// Stamp is which release a pod template is. It holds as long as the image is the one that it names.
type Stamp struct {
	Version string `json:"version"`
	Config  string `json:"config,omitempty"`
	Image   string `json:"image"`
}

// ReleaseOf is the release that a pod, or a pod template, is of, as the image of that container tells: the stamp that adg
// wrote, or else what the version label or the image says. Its Artifact is the image.
func ReleaseOf(meta metav1.ObjectMeta, spec corev1.PodSpec, container string) adg.Release {
	image := ""
	if i, found := ContainerOf(spec, container); found {
		image = spec.Containers[i].Image
	}
	var s Stamp
	if json.Unmarshal([]byte(meta.Annotations[ReleaseAnnotation]), &s) == nil && s.Image == image && adg.ValidVersion(s.Version) == nil {
		return adg.Release{Version: s.Version, Artifact: image, Config: s.Config}
	}
	label := meta.Labels[VersionLabel]
	if s.Image != "" {
		label = "" // somebody has changed the image since the stamp and the label were written together
	}
	return adg.Release{Version: versionOf(label, image), Artifact: image}
}

// ContainerOf is the index of the container of that name, or of the only one; false: there is none.
func ContainerOf(spec corev1.PodSpec, name string) (int, bool) {
	if i := slices.IndexFunc(spec.Containers, func(c corev1.Container) bool { return c.Name == name }); i >= 0 {
		return i, true
	}
	return 0, len(spec.Containers) == 1
}

// SplitImage cuts repository:tag@digest; a part that is not there is empty.
func SplitImage(image string) (repository, tag, digest string) {
	repository, digest, _ = strings.Cut(image, "@")
	if colon := strings.LastIndexByte(repository, ':'); colon > strings.LastIndexByte(repository, '/') {
		repository, tag = repository[:colon], repository[colon+1:]
	}
	return repository, tag, digest
}

// Ready tells whether a pod says that it can serve.
func Ready(p corev1.Pod) bool {
	return slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// Private

// versionOf guesses: the label that somebody wrote, else the image's tag, else the beginning of its digest.
func versionOf(label, image string) string {
	_, tag, digest := SplitImage(image)
	_, sum, _ := strings.Cut(digest, ":")
	const enough = 12
	for _, guess := range []string{label, tag, sum[:min(len(sum), enough)]} {
		if adg.ValidVersion(guess) == nil {
			return guess
		}
	}
	return "unknown"
}
