package kube

import (
	"testing"

	"github.com/deployguardian/adg"
)

func TestImageOfARelease(t *testing.T) {
	for _, row := range []struct {
		name          string
		option        string
		release       adg.Release
		present, want string
	}{
		{"the artifact with its digest", "", adg.Release{Version: "v2", Artifact: "r.example/shop:v2@sha256:ab"}, "old:v1", "r.example/shop:v2@sha256:ab"},
		{"a digest alone, of the present repository", "", adg.Release{Version: "v2", Artifact: "sha256:ab"}, "r.example:5000/shop:v1", "r.example:5000/shop@sha256:ab"},
		{"no artifact: the version is the tag", "", adg.Release{Version: "v2"}, "r.example:5000/shop:v1@sha256:ab", "r.example:5000/shop:v2"},
		{"a pattern of the policy", "r.example/$service:$version", adg.Release{Version: "v2", Service: "shop"}, "old:v1", "r.example/shop:v2"},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := Templates{Image: row.option}.image(row.release, row.present)
			if got != row.want || err != nil {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	if _, err := (Templates{}).image(adg.Release{Version: "1.0+7"}, "shop:1"); !adg.IsPermanent(err) {
		t.Errorf("a version that is no tag: %v", err)
	}
}
