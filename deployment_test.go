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
