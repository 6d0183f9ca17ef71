package ssh

import (
	"errors"
	"os/user"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/sshdtest"
	"github.com/deployguardian/adg/internal/target/targettest"
)

// TestARealSSHServerCarriesAReleaseAndItsWayBack has OpenSSH in the place of the server of the other tests: its login
// shell, its way to say how a program ended, its keys.
func TestARealSSHServerCarriesAReleaseAndItsWayBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	o := w.reallyServed(t)
	target := w.open(t, o)
	if seen := applied(t, target, to("shop-v2-abc/1", "v2")); !seen.Done || seen.OpID != "shop-v2-abc/1" {
		t.Errorf("%+v", seen)
	}
	w.live(t, "v2", 100)
	if seen := applied(t, w.open(t, o), targettest.Rollback("shop-v2-abc/2", 2)); !seen.Done {
		t.Errorf("%+v", seen)
	}
	w.live(t, "v1", 100)
	if n := len(w.Effects(t)); n != 2 {
		t.Errorf("%d restarts, want 2", n)
	}
	if _, err := target.Apply(t.Context(), to("shop-v2-abc/3", "v2")); !errors.Is(err, adg.ErrFenced) {
		t.Errorf("an owner whose time is over: %v", err)
	}
	o.Fetch = []string{"sh", "-c", "echo no such archive; exit 22"}
	missing := to("shop-v2-abc/4", "v3")
	missing.Fence = 2
	if _, err := w.open(t, o).Apply(t.Context(), missing); err == nil || !strings.Contains(err.Error(), "status 22: no such archive") {
		t.Errorf("%v", err)
	}
}

func TestARealSSHServerRefusesAStrangersKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	o := w.reallyServed(t)
	_, stranger := newKey(t)
	o.Key = adg.NewSecret(string(stranger))
	_, err := w.open(t, o).Current(t.Context())
	if adg.CodeOf(err) != adg.Unauthorized || !adg.IsPermanent(err) || !strings.Contains(err.Error(), "refused the key") {
		t.Errorf("%v", err)
	}
	o = w.options()
	other, _ := newKey(t)
	o.KnownHosts = strings.Fields(o.KnownHosts)[0] + " " + string(ssh.MarshalAuthorizedKey(other.PublicKey()))
	_, err = w.open(t, o).Current(t.Context())
	if adg.CodeOf(err) != adg.Unauthorized || !adg.IsPermanent(err) || !strings.Contains(err.Error(), "known_hosts") {
		t.Errorf("%v", err)
	}
}

// reallyServed has OpenSSH serve the connections of the only host, as the user of the tests.
func (w *world) reallyServed(t *testing.T) Options {
	t.Helper()
	m := w.machines[0]
	friend, err := ssh.ParsePrivateKey(w.client)
	if err != nil {
		t.Fatal(err)
	}
	config := sshdtest.Configure(t, m.dir, w.hostPEM, friend.PublicKey())
	w.mu.Lock()
	m.sshd = config
	w.mu.Unlock()
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	o := w.options()
	o.User, o.Root, o.Systemctl = me.Username, m.dir+"/srv", []string{m.dir + "/bin/systemctl"}
	return o
}
