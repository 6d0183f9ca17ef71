package ansible

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/sshdtest"
	"github.com/deployguardian/adg/internal/target/targettest"
)

func TestAHostThatRefusesTheKeyIsNotSaidToBeSilent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	port := w.reallyServed(t)
	o := w.options()
	o.Check = false
	target := w.open(t, o)
	w.reachedBySSH(t, port, "friend", "web1", "web2")
	if seen := applied(t, target, targettest.Want("shop-v2-abc/1", 1, 100)); !seen.Done {
		t.Fatalf("with the right key: %+v", seen)
	}
	refusal := func(err error, names ...string) {
		t.Helper()
		if adg.CodeOf(err) != adg.Unauthorized || !adg.IsPermanent(err) || !strings.Contains(err.Error(), "refuse the key") || !strings.Contains(err.Error(), "authorized_keys") {
			t.Fatalf("%v", err)
		}
		for _, name := range names {
			if !strings.Contains(err.Error(), name+": ") {
				t.Errorf("%s is missing in: %v", name, err)
			}
		}
	}
	w.reachedBySSH(t, port, "stranger", "web1", "web2")
	_, err := target.Current(t.Context())
	refusal(err, "web1", "web2")
	_, err = target.Apply(t.Context(), targettest.Rollback("shop-v2-abc/2", 1))
	refusal(err, "web1", "web2")
	w.write(t, "deploy.yml", strings.Replace(deployBook, "      ansible.builtin.raw", "      check_mode: false\n      ansible.builtin.raw", 1))
	o.Check = true
	found := rehearsed(t, w.open(t, o), targettest.Rollback("shop-v2-abc/2", 1))
	if len(found) != 1 || found[0].Name != "access" || !found[0].Final || !strings.Contains(found[0].Text, "refuse the key") {
		t.Errorf("%+v", found)
	}
	// Another one that really does not answer may be there again: it is worth another try.
	w.inventory(t, "web2")
	w.rewritten(t, "hosts", func(text string) string {
		return strings.Replace(text, "web1 ansible_connection=local", w.bySSH(port, "web1", "stranger"), 1)
	})
	_, err = target.Current(t.Context())
	if adg.CodeOf(err) != adg.Unavailable || adg.IsPermanent(err) || !strings.Contains(err.Error(), "refuse the key") || !strings.Contains(err.Error(), "hosts do not answer: web2: ") {
		t.Errorf("%v", err)
	}
}

// reallyServed has OpenSSH serve a port of this machine, as the user of the tests, for the key named friend.
func (w world) reallyServed(t *testing.T) (port int) {
	t.Helper()
	friend, _ := w.key(t, "friend")
	w.key(t, "stranger")
	own, hostKey := w.key(t, "hostkey")
	config := sshdtest.Configure(t, w.dir, hostKey, friend)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port = listener.Addr().(*net.TCPAddr).Port
	w.write(t, "known_hosts", fmt.Sprintf("[127.0.0.1]:%d %s", port, ssh.MarshalAuthorizedKey(own)))
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // it was closed
			}
			serving.Go(func() { sshdtest.Serve(conn, config) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		serving.Wait()
	})
	return port
}

// key makes a key in a file of the world, and gives its public half, and the file's text.
func (w world) key(t *testing.T, name string) (public ssh.PublicKey, text []byte) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, name)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	text = pem.EncodeToMemory(block)
	w.write(t, name, string(text))
	return signer.PublicKey(), text
}

// reachedBySSH writes an inventory of hosts that are this machine, with one of the keys.
func (w world) reachedBySSH(t *testing.T, port int, key string, hosts ...string) {
	t.Helper()
	var text strings.Builder
	for _, host := range hosts {
		text.WriteString(w.bySSH(port, host, key) + "\n")
	}
	w.write(t, "hosts", text.String())
}

// bySSH is a host's line in the inventory. No connection is kept for the next run: that would not ask for a key again.
func (w world) bySSH(port int, host, key string) string {
	me, err := user.Current()
	if err != nil {
		panic(err)
	}
	return fmt.Sprintf("%s ansible_host=127.0.0.1 ansible_port=%d ansible_user=%s ansible_ssh_private_key_file=%s/%s "+
		"ansible_ssh_args='-F /dev/null -o ControlMaster=no -o ControlPath=none -o IdentitiesOnly=yes -o IdentityAgent=none -o StrictHostKeyChecking=yes -o UserKnownHostsFile=%s/known_hosts'",
		host, port, me.Username, w.dir, key, w.dir)
}

// rewritten changes a file of the world.
func (w world) rewritten(t *testing.T, name string, change func(string) string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(w.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	w.write(t, name, change(string(text)))
}
