package gitops

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg"
)

const (
	shop   = "registry.test:5000/shop"
	digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
)

func TestAnImageIsOfTheReleaseThatNamesIt(t *testing.T) {
	for name, c := range map[string]struct {
		image   string
		release adg.Release
		is      bool
	}{
		"its tag is the version":               {shop + ":v1", adg.Release{Version: "v1"}, true},
		"its tag is another version":           {shop + ":v2", adg.Release{Version: "v1"}, false},
		"another repository with the same tag": {"registry.test/cart:v1", adg.Release{Version: "v1"}, false},
		"it is the artifact":                   {"elsewhere.test/shop:x", adg.Release{Version: "v1", Artifact: "elsewhere.test/shop:x"}, true},
		"the artifact's digest, with a tag":    {shop + ":v1@" + digest, adg.Release{Version: "v1", Artifact: shop + "@" + digest}, true},
		"the same tag with another digest":     {shop + ":v1", adg.Release{Version: "v1", Artifact: shop + "@" + digest}, false},
	} {
		if got := Is(c.image, shop, c.release); got != c.is {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestTheImagesOfAManifestAreFoundOnce(t *testing.T) {
	var manifest any
	text := `{"kind":"List","items":[{"spec":{"template":{"spec":{"initContainers":[{"image":"a:1"}],"containers":[{"image":"b:2"},{"image":"a:1"}]}}}},{"image":{"tag":"x"}}]}`
	if err := json.Unmarshal([]byte(text), &manifest); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a:1", "b:2"}, Images(manifest)); diff != "" {
		t.Error(diff)
	}
}

func TestAnImageOfNoKnownReleaseIsNamedByTagOrDigest(t *testing.T) {
	for image, want := range map[string]string{shop + ":v7": "v7", shop + "@" + digest: "0123456789ab", shop: "unknown"} {
		if got := Version(image); got != want {
			t.Errorf("%s is %s, want %s", image, got, want)
		}
	}
}
