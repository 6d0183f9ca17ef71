package git

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/targettest"
)

func TestCommitsAreSignedWithAKeyOfSSH(t *testing.T) {
	t.Parallel()
	r := newRepository(t)
	signer, private := newKey(t)
	allowed := filepath.Join(t.TempDir(), "allowed")
	if err := os.WriteFile(allowed, []byte("adg@localhost "+string(ssh.MarshalAuthorizedKey(signer.PublicKey()))), 0o600); err != nil {
		t.Fatal(err)
	}
	o := r.options(t)
	o.Signing.Key = adg.NewSecret(string(private))
	mustApply(t, openAt(t, o, t.TempDir()), targettest.Want("shop-v2-abc/1", 1, 100))
	r.git(t, nil, "-c", "gpg.format=ssh", "-c", "gpg.ssh.allowedSignersFile="+allowed, "verify-commit", "main")

	o.Signing.Key = adg.NewSecret("nonsense")
	if _, err := openAt(t, o, t.TempDir()).Apply(t.Context(), targettest.Rollback("shop-v2-abc/2", 1)); err == nil || len(r.operations(t)) != 1 {
		t.Errorf("a key that is none: %v, %v", err, r.operations(t))
	}
}

func TestCommitsAreSignedWithAKeyOfOpenPGP(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("gpg")
	if err != nil {
		missing(t, "gpg")
	}
	home, err := os.MkdirTemp("", "adg-gpg") // the name of a socket in it may not be long
	if err != nil {
		t.Fatal(err)
	}
	gpg := func(args ...string) []byte {
		t.Helper()
		cmd := exec.Command(program, append([]string{"--homedir", home, "--batch", "--quiet"}, args...)...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("gpg %v: %v: %s", args, err, stderr.String())
		}
		return out
	}
	t.Cleanup(func() {
		_ = exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run()
		_ = os.RemoveAll(home)
	})
	gpg("--pinentry-mode", "loopback", "--passphrase", "", "--quick-generate-key", "ADG <adg@localhost>", "ed25519", "sign", "never")
	r := newRepository(t)
	o := r.options(t)
	o.Signing = Signing{Format: "openpgp", Key: adg.NewSecret(string(gpg("--armor", "--export-secret-keys"))), Program: program}
	target := openAt(t, o, t.TempDir())
	mustApply(t, target, targettest.Want("shop-v2-abc/1", 1, 100))
	mustApply(t, target, targettest.Rollback("shop-v2-abc/2", 1)) // no agent of the first one holds the clone
	r.git(t, nil, "-c", "gpg.program="+wrapper(t, program, home), "verify-commit", "main", "main^")

	o.Signing.Key = adg.NewSecret("nonsense")
	_, err = openAt(t, o, t.TempDir()).Apply(t.Context(), targettest.Want("shop-v2-abc/3", 1, 100))
	if adg.CodeOf(err) != adg.Invalid || !adg.IsPermanent(err) || !strings.Contains(err.Error(), "signing.key") {
		t.Errorf("a key that is none: %v", err)
	}
}

// wrapper is gpg with a key ring of the test's own.
func wrapper(t *testing.T, program, home string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gpg")
	if err := os.WriteFile(path, []byte("#!/bin/sh\nexec "+program+" --homedir "+home+" \"$@\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}
