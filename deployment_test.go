package adg_test

import (
	"testing"

	"github.com/deployguardian/adg"
)

func TestADeploymentIsByWhoStartedItAndByWhoWroteIt(t *testing.T) {
	for _, tt := range []struct {
		name, actor, author, person string
		by                          bool
	}{
		{"who started it", "ann", "", "ann", true},
		{"in another case", "ann", "", "Ann ", true},
		{"somebody else", "ann", "bob", "cid", false},
		{"nobody of a deployment that nobody started", "", "", "", false},
		{"who wrote it", "ann", "bob", "bob", true},
		{"by his address", "ann", "Bob@example.com", "bob@example.com", true},
		{"as Git says it, by address", "ann", "Bob B. <bob@example.com>", "bob@example.com", true},
		{"as Git says it, by name", "ann", "bob <b@example.com>", "bob", true},
		{"half an address", "ann", "Bob <bob@example.com>", "bob@example", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if by := (adg.Spec{Actor: tt.actor, Author: tt.author}).By(tt.person); by != tt.by {
				t.Errorf("got %t", by)
			}
		})
	}
}

func TestAWayBackLeadsToAnotherVersion(t *testing.T) {
	bad := adg.Release{Version: "v2", Artifact: "shop@sha256:b2"}
	for _, c := range []struct {
		name string
		last *adg.Release
		want bool
	}{
		{"to another version", &adg.Release{Version: "v1", Artifact: "shop@sha256:a1"}, true},
		{"to nothing", nil, false},
		{"to the release itself", &bad, false},
		{"to the same version with another artifact, which no target could tell from it", &adg.Release{Version: "v2", Artifact: "shop@sha256:c3"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := (adg.Spec{Release: bad, LastGood: c.last}).WayBack(); got != c.want {
				t.Errorf("got %t", got)
			}
		})
	}
}
