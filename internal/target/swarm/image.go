package swarm

import (
	"strings"

	"github.com/distribution/reference"

	"github.com/deployguardian/adg"
)

// versionMark is where the version goes in the option image.
const versionMark = "{version}"

// parseImage reads the name of an image as Docker does: shop:v1 is docker.io/library/shop:v1.
func parseImage(image string) (reference.Named, error) {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return nil, err
	}
	return reference.TagNameOnly(named), nil
}

// imageOf is the image of a release: its artifact, or what the template makes of its version. An artifact that is a
// digest alone is one of the repository that runs now.
func imageOf(r adg.Release, template, runs string) (string, error) {
	image := r.Artifact
	switch {
	case image == "" && template != "":
		image = strings.ReplaceAll(template, versionMark, r.Version)
	case image == "":
		image = repository(runs) + ":" + r.Version
	case strings.HasPrefix(image, "sha256:"):
		image = repository(runs) + "@" + image
	}
	named, err := parseImage(image)
	if err != nil {
		return "", adg.Permanent(adg.Errorf(adg.Invalid, "release %s: %q is no image: %w", r.Version, image, err))
	}
	return reference.FamiliarString(named), nil
}

// repository is the image's name without tag and digest.
func repository(image string) string {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return image
	}
	return reference.FamiliarName(named)
}

// tagOf is the image's tag; empty: it has none that is a version.
func tagOf(image string) string {
	named, err := parseImage(image)
	if err != nil {
		return ""
	}
	if tagged, is := named.(reference.Tagged); is && adg.ValidVersion(tagged.Tag()) == nil {
		return tagged.Tag()
	}
	return ""
}

// digestOf is the image's digest; empty: it names none.
func digestOf(image string) string {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return ""
	}
	if digested, is := named.(reference.Digested); is {
		return digested.Digest().String()
	}
	return ""
}

// sameImage compares by digest where both have one, else by name and tag.
func sameImage(a, b string) bool {
	if x, y := digestOf(a), digestOf(b); x != "" && y != "" {
		return x == y
	}
	return repository(a) == repository(b) && tagOf(a) == tagOf(b)
}

// withDigest pins an image.
func withDigest(image, digest string) string {
	if digest == "" || digestOf(image) != "" {
		return image
	}
	return image + "@" + digest
}
