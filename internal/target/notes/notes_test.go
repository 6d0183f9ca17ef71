package notes

import (
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/deployguardian/adg"
)

func TestAnOlderOwnerOfTheSameDeploymentIsRefused(t *testing.T) {
	want := func(deployment string, fence int64) adg.Desired {
		return adg.Desired{Deployment: deployment, Fence: fence}
	}
	fences := Fences(nil).With(want("a", 2)).With(want("b", 1))
	for name, c := range map[string]struct {
		of    adg.Desired
		older bool
	}{
		"the owner before":      {want("a", 1), true},
		"the same owner":        {want("a", 2), false},
		"the next owner":        {want("a", 3), false},
		"of another deployment": {want("c", 1), false},
	} {
		if got := fences.Refuse(c.of); got != c.older {
			t.Errorf("%s: refused is %t", name, got)
		}
	}
	for i := range 3 * MaxFences {
		fences = fences.With(want(fmt.Sprint(i), 1))
	}
	if len(fences) != MaxFences {
		t.Errorf("%d fences are remembered, want %d", len(fences), MaxFences)
	}
}

func TestANoteIsReadAsItWasPutAndAStrangersIsNone(t *testing.T) {
	type note struct {
		OpID   string `json:"op_id"`
		Fences Fences `json:"fences"`
	}
	object := &unstructured.Unstructured{Object: map[string]any{}}
	if got := Of[note](object); got.OpID != "" {
		t.Errorf("%+v", got)
	}
	if err := Put(object, note{"d/1", Fences{{"d", 3}}}); err != nil {
		t.Fatal(err)
	}
	if got := Of[note](object); got.OpID != "d/1" || len(got.Fences) != 1 || got.Fences[0] != (Fence{"d", 3}) {
		t.Errorf("%+v", got)
	}
	for _, text := range []string{"by hand", "[]", `{"op_id": "d/2", "fences": 7}`} {
		object.SetAnnotations(map[string]string{Annotation: text})
		if got := Of[note](object); got.OpID != "" || got.Fences != nil {
			t.Errorf("%s: %+v", text, got)
		}
	}
}
