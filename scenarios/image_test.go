package scenarios

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// nobody is the user of the image, and its group.
const nobody = 65532

// copied is a line of the image's last stage that puts something into it.
var copied = regexp.MustCompile(`(?m)^COPY --from=build (--chown=65532:65532 )?(\S+) (\S+)$`)

// TestTheServerRunsWhereNothingElseIs puts into an empty root what the image's last stage puts there, and runs the server in
// it as the image's user: there is no shell, no library, no /proc, no zone file, and nothing that it may write but its data.
func TestTheServerRunsWhereNothingElseIs(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("only root can change the root of a process")
		}
		t.Skip("only root can change the root of a process")
	}
	root, env := imageRoot(t)
	server := exec.CommandContext(t.Context(), "/adg", "server", "--listen", "127.0.0.1:0", "--insecure-http")
	server.Dir = "/"
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	server.Env = append(env, "ADG_SERVER_SEAL_ACTIVE_ENV=ADG_SEAL_KEY", "ADG_SEAL_KEY="+hex.EncodeToString(key))
	server.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: nobody, Gid: nobody}, Pdeathsig: syscall.SIGKILL}
	var log bytes.Buffer
	server.Stderr = &log
	said, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	address := servedAt(t, said, &log)
	for path, want := range map[string]string{"/livez": "", "/readyz": "", "/": "<!doctype html>", "/openapi.json": `"openapi"`} {
		if body := answerOf(t, address+path); !strings.Contains(strings.ToLower(body), want) {
			t.Errorf("%s: %.200s", path, body)
		}
	}
	if err := server.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, said); err != nil {
		t.Error(err)
	}
	if err := server.Wait(); err != nil {
		t.Errorf("%v\n%s", err, log.String())
	}
	err = filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		owner := info.Sys().(*syscall.Stat_t).Uid
		if mine := strings.HasPrefix(path, filepath.Join(root, "data")); mine != (owner == nobody) {
			t.Errorf("%s belongs to %d", strings.TrimPrefix(path, root), owner)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// imageRoot is a folder with what the image holds, and the environment that it sets.
func imageRoot(t *testing.T) (root string, env []string) {
	t.Helper()
	file, err := os.ReadFile("../deploy/docker/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	_, last, found := strings.Cut(string(file), "\nFROM scratch\n")
	lines := copied.FindAllStringSubmatch(last, -1)
	if !found || len(lines) != strings.Count(last, "COPY ") || !strings.Contains(last, fmt.Sprintf("\nUSER %d:%d\n", nobody, nobody)) {
		t.Fatalf("the image's last stage is not what is known here:\n%s", last)
	}
	root = t.TempDir()
	for dir := root; dir != "/" && dir != os.TempDir(); dir = filepath.Dir(dir) { // for the image's user, too
		if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // there is nothing secret in it
			t.Fatal(err)
		}
	}
	for _, line := range lines {
		handOn(t, line[2], filepath.Join(root, line[3]), line[1] != "")
	}
	for _, m := range regexp.MustCompile(`(?m)^ENV (\S+=\S+)$`).FindAllStringSubmatch(last, -1) {
		env = append(env, m[1])
	}
	return root, env
}

// handOn makes what the image's first stage hands on.
func handOn(t *testing.T, from, to string, owned bool) {
	t.Helper()
	made := map[string]string{"/out/adg": adg, "/etc/ssl/certs/ca-certificates.crt": "/etc/ssl/certs/ca-certificates.crt"}
	err := os.MkdirAll(filepath.Dir(to), 0o755)
	if source := made[from]; err == nil && source != "" {
		var content []byte
		if content, err = os.ReadFile(source); err == nil {
			err = os.WriteFile(to, content, 0o755) //nolint:gosec // it is run by others
		}
	} else if err == nil {
		err = os.Mkdir(to, map[string]os.FileMode{"/out/data": 0o700, "/out/tmp": 0o777}[from])
	}
	if err == nil && owned {
		err = os.Chown(to, nobody, nobody)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// servedAt reads where the server says that it is.
func servedAt(t *testing.T, said io.Reader, log *bytes.Buffer) string {
	t.Helper()
	for lines := bufio.NewScanner(said); lines.Scan(); {
		if where := whereItIs.FindStringSubmatch(lines.Text()); where != nil {
			return where[1]
		}
	}
	t.Fatalf("it did not say where it is:\n%s", log) // which is whole: the process has ended
	return ""
}

func answerOf(t *testing.T, address string) string {
	t.Helper()
	answer, err := (&http.Client{Timeout: 30 * time.Second}).Get(address) //nolint:noctx // the client has a limit
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Errorf("%s: %s, %v", address, answer.Status, err)
	}
	return string(body)
}
