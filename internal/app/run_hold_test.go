package app

import (
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/cli"
	"github.com/deployguardian/adg/internal/store/sqlite"
)

func TestAHoldOfADataDirectoryIsLiftedWithoutAServerAlsoWhileARunHasIt(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "adg")
	store, err := sqlite.Open(t.Context(), dir, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	r := adg.Release{Service: "shop", Version: "v2", Artifact: "registry/shop@sha256:11"}
	hold := adg.ReleaseHold{Service: "shop", Environment: "production", Identity: r.Identity(), Actor: "adg", Reason: "errors", Since: time.Now(), Until: time.Now().Add(time.Hour)}
	if err := store.PutHold(t.Context(), hold); err != nil {
		t.Fatal(err)
	}
	d := adg.Deployment{Spec: adg.Spec{Policy: adg.Policy{Service: "shop", Environment: "production"}, Release: r}, Status: adg.Status{State: adg.Blocked}}
	o := cli.RunOptions{DataDir: dir}
	want := "adg hold lift --data-dir " + dir + " -s shop -e production --version v2 --artifact registry/shop@sha256:11 --reason WHY"
	if said := outOfHold(t.Context(), store, o, d); !strings.Contains(said, want) {
		t.Errorf("said %q, want %q", said, want)
	}
	a := New("test", strings.NewReader(""), io.Discard, io.Discard)
	entry := adg.AuditEntry{Actor: "ann", Service: "shop", Environment: "production", Reason: "it was the network"}
	if err := a.liftHold(t.Context(), dir, r.Identity(), entry); err != nil {
		t.Fatal(err)
	}
	if said := outOfHold(t.Context(), store, o, d); said != "" {
		t.Errorf("nothing is on hold, and it said %q", said)
	}
	if err := a.liftHold(t.Context(), dir, r.Identity(), entry); adg.CodeOf(err) != adg.NotFound {
		t.Errorf("nothing is on hold any more: %v", err)
	}
	last, err := store.Audit(t.Context(), adg.AuditFilter{})
	if err != nil || len(last) != 1 || last[0].Actor != "ann" || last[0].Action != "hold.lift" || last[0].Reason != "it was the network" {
		t.Errorf("on record: %+v, %v", last, err)
	}
	nowhere := filepath.Join(t.TempDir(), "nowhere")
	if err := a.liftHold(t.Context(), nowhere, "v2", entry); adg.CodeOf(err) != adg.NotFound {
		t.Errorf("a directory that is not there: %v", err)
	}
	if made, _ := filepath.Glob(nowhere); made != nil {
		t.Errorf("%v was made", made)
	}
}
