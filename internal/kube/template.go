package kube

import (
	"cmp"
	"encoding/json"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/deployguardian/adg"
)

// Templates says how a release becomes a pod template, and which release a template is of.
type Templates struct {
	Workload   string   // whose templates they are: its name is that of the container, where Container is empty
	Container  string   // the one that gets the image; empty: the one that is named like the workload, or the only one
	Image      string   // of a release that names none itself, with $version in it; empty: the present repository with the version as tag
	ConfigMaps []string // those that belong to a release: what refers to shop refers to shop-r7 for the revision r7
	Secrets    []string // likewise
}

// ReleaseOf is the release that a pod, or a pod template, is of.
func (t Templates) ReleaseOf(meta metav1.ObjectMeta, spec corev1.PodSpec) adg.Release {
	return ReleaseOf(meta, spec, cmp.Or(t.Container, t.Workload))
}

// Is tells whether a template of live is what a release wants.
func (t Templates) Is(live, want adg.Release) bool {
	if want.Config != "" && want.Config != live.Config {
		return false
	}
	if want.Artifact == "" {
		return want.Version == live.Version
	}
	image, err := t.image(want, live.Artifact)
	return err == nil && image == live.Artifact
}

// Put makes the template one of the release: its image, its configuration, its version, and nothing else.
func (t Templates) Put(template map[string]any, r adg.Release) error {
	var typed corev1.PodTemplateSpec
	if err := Convert(template, &typed); err != nil {
		return adg.Permanent(adg.Errorf(adg.Invalid, "the pod template: %w", err))
	}
	i, err := t.container(typed.Spec)
	if err != nil {
		return err
	}
	image, err := t.image(r, typed.Spec.Containers[i].Image)
	if err != nil {
		return err
	}
	before := t.ReleaseOf(typed.ObjectMeta, typed.Spec)
	containers, _, err := unstructured.NestedSlice(template, "spec", "containers")
	if err != nil {
		return adg.Permanent(adg.Errorf(adg.Invalid, "the pod template: %w", err))
	}
	containers[i].(map[string]any)["image"] = image
	text, err := json.Marshal(Stamp{Version: r.Version, Config: r.Config, Image: image})
	if err != nil {
		return err
	}
	if _, labelled := typed.Labels[VersionLabel]; labelled && len(validation.IsValidLabelValue(r.Version)) == 0 {
		err = unstructured.SetNestedField(template, r.Version, "metadata", "labels", VersionLabel)
	}
	if err == nil {
		err = unstructured.SetNestedSlice(template, containers, "spec", "containers")
	}
	if err == nil {
		err = unstructured.SetNestedField(template, string(text), "metadata", "annotations", ReleaseAnnotation)
	}
	if err != nil {
		return adg.Permanent(adg.Errorf(adg.Invalid, "the pod template: %w", err))
	}
	if r.Config != "" {
		t.refer(template["spec"], before.Config, r.Config)
	}
	return nil
}

// Revised is the name of a ConfigMap or Secret of one revision.
func Revised(name, revision string) string {
	return name + "-" + strings.ToLower(strings.NewReplacer("+", "-", "_", "-").Replace(revision))
}

// Convert makes one shape of an object another, by way of JSON.
func Convert(from, to any) error {
	text, err := json.Marshal(from)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, to)
}

// Private

// container is the index of the one that gets the image.
func (t Templates) container(spec corev1.PodSpec) (int, error) {
	i, found := ContainerOf(spec, cmp.Or(t.Container, t.Workload))
	if found && (t.Container == "" || spec.Containers[i].Name == t.Container) {
		return i, nil
	}
	var names []string
	for _, c := range spec.Containers {
		names = append(names, c.Name)
	}
	return 0, adg.Permanent(adg.Errorf(adg.Invalid, "container: which of %s gets the image? write it", strings.Join(names, ", ")))
}

// image is the one that a release runs; present is the one that its container has now.
func (t Templates) image(r adg.Release, present string) (string, error) {
	repository, _, _ := SplitImage(present)
	switch {
	case strings.HasPrefix(r.Artifact, "sha256:"):
		return repository + "@" + r.Artifact, nil
	case r.Artifact != "":
		return r.Artifact, nil
	case strings.ContainsRune(r.Version, '+'):
		return "", adg.Permanent(adg.Errorf(adg.Invalid, "release %s: a version with '+' is no tag of an image: give the release an artifact", r.Version))
	case t.Image == "":
		return repository + ":" + r.Version, nil
	}
	escape := func(_, value string) string { return value }
	image, err := adg.Expand(t.Image, map[string]string{"version": r.Version, "service": r.Service, "commit": r.Commit}, escape)
	return image, adg.Permanent(err)
}

// refer points every reference to a ConfigMap or Secret of the release at those of a revision.
func (t Templates) refer(part any, before, now string) {
	rename := func(names []string, object map[string]any, field string) {
		if name, ok := object[field].(string); ok {
			for _, known := range names {
				if name == known || before != "" && name == Revised(known, before) {
					object[field] = Revised(known, now)
				}
			}
		}
	}
	switch p := part.(type) {
	case []any:
		for _, item := range p {
			t.refer(item, before, now)
		}
	case map[string]any:
		for key, value := range p {
			if inner, ok := value.(map[string]any); ok {
				switch key {
				case "configMap", "configMapRef", "configMapKeyRef":
					rename(t.ConfigMaps, inner, "name")
				case "secret", "secretRef", "secretKeyRef":
					rename(t.Secrets, inner, "name")
					rename(t.Secrets, inner, "secretName")
				}
			}
			t.refer(value, before, now)
		}
	}
}
