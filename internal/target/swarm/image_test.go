package swarm

import (
	"strings"
	"testing"

	"github.com/deployguardian/adg"
)

const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestTheImageOfAReleaseIsItsArtifactOrItsVersion(t *testing.T) {
	for name, test := range map[string]struct {
		release        adg.Release
		template, runs string
		image          string // empty: refused
	}{
		"the version is the tag of what runs":         {adg.Release{Version: "v2"}, "", "registry.example.com:5000/shop:v1@" + digest, "registry.example.com:5000/shop:v2"},
		"a template says where the version goes":      {adg.Release{Version: "v2"}, "registry.example.com/shop:{version}-slim", "shop:v1", "registry.example.com/shop:v2-slim"},
		"an artifact is an image":                     {adg.Release{Version: "v2", Artifact: "ghcr.io/a/shop:v2"}, "shop:{version}", "shop:v1", "ghcr.io/a/shop:v2"},
		"an artifact without a tag is the latest one": {adg.Release{Version: "v2", Artifact: "ghcr.io/a/shop"}, "", "shop:v1", "ghcr.io/a/shop:latest"},
		"an artifact is a digest of what runs":        {adg.Release{Version: "v2", Artifact: digest}, "", "ghcr.io/a/shop:v1", "ghcr.io/a/shop@" + digest},
		"a version that is no tag is refused":         {adg.Release{Version: "v2+build.7"}, "", "shop:v1", ""},
		"a path is no image":                          {adg.Release{Version: "v2", Artifact: "/srv/Shop"}, "", "shop:v1", ""},
	} {
		image, err := imageOf(test.release, test.template, test.runs)
		if image != test.image || (err != nil) != (test.image == "") {
			t.Errorf("%s: %q, %v", name, image, err)
		}
	}
}

func TestImagesAreTheSameByDigestElseByNameAndTag(t *testing.T) {
	other := strings.ReplaceAll(digest, "0", "f")
	for name, test := range map[string]struct {
		a, b string
		same bool
	}{
		"a short name and the whole one":            {"shop:v1", "docker.io/library/shop:v1", true},
		"the tag with and without its digest":       {"shop:v1", "shop:v1@" + digest, true},
		"two digests under one tag":                 {"shop:v1@" + other, "shop:v1@" + digest, false},
		"one digest under two tags":                 {"shop:v1@" + digest, "shop:v2@" + digest, true},
		"another repository":                        {"shop:v1", "ghcr.io/a/shop:v1", false},
		"another tag":                               {"shop:v1", "shop:v2", false},
		"a registry's port is no tag of a nameless": {"localhost:5000/shop", "localhost:5000/shop:latest", true},
	} {
		if same := sameImage(test.a, test.b); same != test.same {
			t.Errorf("%s: %v", name, same)
		}
	}
}

func FuzzImage(f *testing.F) {
	for _, seed := range []string{"shop", "shop:v1", "localhost:5000/shop:v1@" + digest, "sha256:12", "-", "A/b:c", ":", "@", ""} {
		f.Add(seed, "v1", "shop:{version}")
		f.Add("", seed, "")
	}
	f.Fuzz(func(t *testing.T, artifact, version, template string) {
		image, err := imageOf(adg.Release{Version: version, Artifact: artifact}, template, "shop:v0")
		if err != nil || strings.HasPrefix(image, "sha256:") { // a repository of that name is not told from a digest
			return
		}
		again, err := imageOf(adg.Release{Artifact: image}, "", "shop:v0")
		if err != nil || again != image || !sameImage(again, image) {
			t.Errorf("%q became %q, %v", image, again, err)
		}
	})
}

func FuzzNote(f *testing.F) {
	want := adg.Desired{OpID: "d/1", Deployment: "d", Fence: 3}
	f.Add(note{}.claim(want, 4).write(nil)[noteLabel])
	f.Add(`{"ops":["a","a"],"fences":[{"deployment":"d","fence":9}]}`)
	f.Add("null")
	f.Fuzz(func(t *testing.T, text string) {
		n := readNote(map[string]string{noteLabel: text})
		again := n.claim(want, 1)
		if read := readNote(again.write(nil)); !read.claimed(want) || read.newer(want) || read.superseded(want) {
			t.Errorf("a claim on %q reads as %+v", text, read)
		}
		if len(again.Ops) > keptOps || len(again.Fences) > keptFences {
			t.Errorf("%d operations and %d fences are remembered", len(again.Ops), len(again.Fences))
		}
	})
}
