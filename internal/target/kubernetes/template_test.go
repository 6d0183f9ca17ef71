package kubernetes

import (
	"encoding/json"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"pgregory.net/rapid"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/notes"
	"github.com/deployguardian/adg/internal/target/targettest"
)

// Whatever the order in which owners write, one that is older than one before it is refused.
func TestOlderFencesAreRefusedAsLongAsTheyAreRemembered(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var n note
		newest := map[string]int64{}
		for range rapid.IntRange(1, 40).Draw(t, "writes") {
			want := adg.Desired{Deployment: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "deployment"), Fence: rapid.Int64Range(1, 5).Draw(t, "fence"), OpID: "op"}
			stale := want.Fence < newest[want.Deployment]
			if n.Fences.Refuse(want) != stale {
				t.Fatalf("fence %d of %s after %d: refused %v", want.Fence, want.Deployment, newest[want.Deployment], n.Fences.Refuse(want))
			}
			if !stale {
				newest[want.Deployment] = want.Fence
				n = n.next(want)
			}
		}
	})
}

func TestFencesAreBounded(t *testing.T) {
	var n note
	for i := range 50 {
		want := targettest.Want("op", 1, 100)
		want.Deployment += string(rune('a' + i))
		n = n.next(want)
	}
	if len(n.Fences) != notes.MaxFences {
		t.Errorf("%d fences", len(n.Fences))
	}
}

func FuzzNotesOfStrangersAreIgnored(f *testing.F) {
	f.Add(`{"op_id":"a","fences":[{"deployment":"d","fence":3}]}`)
	f.Add("[]")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		object := &unstructured.Unstructured{Object: map[string]any{}}
		object.SetAnnotations(map[string]string{notes.Annotation: text})
		n := notes.Of[note](object)
		if err := notes.Put(object, n.next(targettest.Want("op", 1, 5))); err != nil {
			t.Fatal(err)
		}
		if again := notes.Of[note](object); again.OpID != "op" || len(again.Fences) > notes.MaxFences || !json.Valid([]byte(object.GetAnnotations()[notes.Annotation])) {
			t.Errorf("%+v", again)
		}
	})
}
