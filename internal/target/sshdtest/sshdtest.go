// Package sshdtest has OpenSSH serve connections of tests, as the user who runs them.
package sshdtest

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

const program = "/usr/sbin/sshd"

// Configure writes what a sshd needs into a folder: its key, and the only one that it lets in. It gives the path of its
// configuration. Where there is no sshd the test is skipped.
func Configure(t *testing.T, dir string, hostKey []byte, friend ssh.PublicKey) (config string) {
	t.Helper()
	if _, err := os.Stat(program); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("there is no sshd: scripts/test-servers installs it")
		}
		t.Skip("there is no sshd: scripts/test-servers installs it")
	}
	if os.Getuid() == 0 {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // where it shuts its unprivileged part in; it must be there
			t.Fatal(err)
		}
	}
	own, authorized, config := filepath.Join(dir, "sshd_key"), filepath.Join(dir, "authorized"), filepath.Join(dir, "sshd_config")
	for path, text := range map[string]string{
		own:        string(hostKey),
		authorized: string(ssh.MarshalAuthorizedKey(friend)),
		config: strings.Join([]string{
			"HostKey " + own, "AuthorizedKeysFile " + authorized, "PidFile none", "StrictModes no", "UsePAM no",
			"PermitRootLogin yes", "PasswordAuthentication no", "KbdInteractiveAuthentication no",
			"SetEnv HOME=" + dir, // what the user's own shell would run and print is nothing of the tests'
		}, "\n") + "\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return config
}

// Serve gives a connection to a sshd of its own, which ends with it.
func Serve(conn net.Conn, config string) {
	file, err := conn.(*net.TCPConn).File()
	if err != nil {
		return
	}
	cmd := exec.Command(program, "-i", "-e", "-f", config)
	cmd.Stdin, cmd.Stdout = file, file
	err = cmd.Start()
	_ = file.Close()
	_ = conn.Close() // the other end is the program's alone
	if err == nil {
		_ = cmd.Wait() // how it ends is what its client sees
	}
}
