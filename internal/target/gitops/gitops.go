// Package gitops is what targets that work through a controller of somebody else have in common: which images manifests
// run, and of which release they are.
package gitops

import (
	"slices"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/kube"
)

// Images are those of the containers of a manifest, and of all that it holds; each of them once.
func Images(manifest any) []string {
	return slices.Compact(slices.Sorted(slices.Values(images(manifest, 0))))
}

// Is tells whether an image is that of a release: its artifact where it has one, else its version as the repository's tag.
func Is(image, repository string, r adg.Release) bool {
	if r.Artifact != "" && image == r.Artifact {
		return true
	}
	of, tag, digest := kube.SplitImage(image)
	_, _, artifact := kube.SplitImage(r.Artifact)
	if artifact != "" {
		return of == repository && digest == artifact
	}
	return of == repository && tag == r.Version
}

// Version is the version that an image of no known release has by its name: its tag, else the beginning of its digest.
func Version(image string) string {
	_, tag, digest := kube.SplitImage(image)
	const algorithm, enough = len("sha256:"), 12
	if len(digest) > algorithm+enough {
		digest = digest[algorithm : algorithm+enough]
	}
	for _, guess := range []string{tag, digest} {
		if adg.ValidVersion(guess) == nil {
			return guess
		}
	}
	return "unknown"
}

// Private

// maxDepth bounds how deep manifests are looked into; a pod template of a custom resource is about eight deep.
const maxDepth = 32

func images(value any, depth int) (found []string) {
	if depth > maxDepth {
		return nil
	}
	switch value := value.(type) {
	case map[string]any:
		for key, inner := range value {
			if image, is := inner.(string); is && key == "image" && image != "" {
				found = append(found, image)
				continue
			}
			found = append(found, images(inner, depth+1)...)
		}
	case []any:
		for _, inner := range value {
			found = append(found, images(inner, depth+1)...)
		}
	}
	return found
}
