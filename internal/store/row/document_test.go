package row

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg"
)

func TestEntriesAreMadeLegibleInCopies(t *testing.T) {
	mine := []adg.AuditEntry{{Actor: "a\xffb\x00c", Reason: "why", Outcome: adg.AuditDone, Detail: map[string]string{"a": "\xff"}}}
	got, err := Legible(mine)
	if err != nil {
		t.Fatal(err)
	}
	want := []adg.AuditEntry{{Actor: "a�b�c", Reason: "why", Outcome: adg.AuditDone, Detail: map[string]string{"a": "�"}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if mine[0].Actor != "a\xffb\x00c" || mine[0].Detail["a"] != "\xff" {
		t.Error("what was lent was changed")
	}
	mine[0].Outcome = 99
	if _, err := Legible(mine); adg.CodeOf(err) != adg.Invalid {
		t.Errorf("an outcome that does not exist: %v", err)
	}
}
