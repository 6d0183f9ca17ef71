package control_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/config"
	"github.com/deployguardian/adg/internal/control"
	"github.com/deployguardian/adg/internal/notify"
	"github.com/deployguardian/adg/internal/seal"
	"github.com/deployguardian/adg/internal/source"
	"github.com/deployguardian/adg/internal/target"
)

func key(t *testing.T) seal.Key {
	t.Helper()
	k, err := seal.ParseKey(adg.NewSecret(seal.NewKey()))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func ring(t *testing.T, active seal.Key, older ...seal.Key) *seal.Keyring {
	t.Helper()
	r, err := seal.NewKeyring(active, older...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAfterARotationTheOlderKeyIsNotNeeded(t *testing.T) {
	b := newBench(t)
	older, active := key(t), key(t)
	drivers := config.Drivers{Sources: source.All, Targets: target.All, Notifiers: notify.All}
	with := func(r *seal.Keyring) *control.Control {
		return control.New(control.Options{Store: b.store, Starter: b.starter, Keyring: r, Drivers: drivers, Host: adg.Host{Dir: t.TempDir()},
			Secrets: control.Secrets{Env: func(string) (string, bool) { return "https://hooks.slack.com/services/T/B/x", true }, EnvPrefix: "ADG_SECRET_"}})
	}
	b.Control = with(ring(t, older))
	b.connect()
	b.Control = with(ring(t, active, older))
	_, err := b.PutConnection(t.Context(), b.admin, control.Connection{Seam: "source", Name: "new", Type: "prometheus", Options: `{"url": "http://127.0.0.1:1", "bearer_token": {"value": "hunter3"}}`}, 0)
	b.must(err)

	if _, err := control.Reseal(t.Context(), b.store, drivers, ring(t, active), "machine:ann"); err == nil || !strings.Contains(err.Error(), "prom") || !strings.Contains(err.Error(), "seal.older") {
		t.Errorf("without the older key: %v", err)
	}
	for range 2 {
		made, err := control.Reseal(t.Context(), b.store, drivers, ring(t, active, older), "machine:ann")
		b.must(err)
		if want := (control.Resealed{Secrets: 1, Connections: 1, Kept: 1}); made != want && made != (control.Resealed{Kept: 2}) {
			t.Error(cmp.Diff(want, made))
		}
	}
	again, err := control.Reseal(t.Context(), b.store, drivers, ring(t, active), "machine:ann")
	b.must(err)
	if again != (control.Resealed{Kept: 2}) {
		t.Errorf("nothing was left to do, and %+v was done", again)
	}
	w := control.NewWorld(with(ring(t, active)), control.Wrap{})
	defer func() { b.must(w.Close()) }()
	d := adg.Deployment{Spec: adg.Spec{Policy: adg.Policy{Service: "shop", Environment: "production"}}}
	for _, name := range []string{"prom", "new"} {
		_, err := w.Source(t.Context(), d, name)
		b.must(err)
	}
	if n := len(slices.DeleteFunc(b.audited(), func(e string) bool { return e != "machine:ann connection.reseal done" })); n != 1 {
		t.Errorf("%d rotations are on record: %v", n, b.audited())
	}
}
