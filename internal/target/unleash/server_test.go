package unleash

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/deployguardian/adg/internal/store/postgres/pgtest"
)

const (
	adminToken  = "*:*.planted-secret-4711"
	clientToken = "*:development.client-secret-4711"
)

var (
	once    sync.Once
	address string
	problem error
	stdin   io.Closer // the server ends when this is closed, at the latest with the process
)

// TestMain lets more tests run at once than there are processors: most of the time they wait for what applications read,
// which Unleash renews once a second.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "6"); err != nil {
		panic(err)
	}
	m.Run()
}

// errMissing says that the server is not installed on this machine.
var errMissing = errors.New("the Unleash server is not installed: run scripts/test-servers, which needs npm")

// server is the address of the one of this process; it ends with it.
func server(t *testing.T) string {
	t.Helper()
	once.Do(func() { address, problem = start(t) })
	switch {
	case problem == nil:
	case errors.Is(problem, errMissing) && os.Getenv("CI") != "true":
		t.Skip(problem)
	default:
		t.Fatal(problem)
	}
	return address
}

func start(t *testing.T) (string, error) {
	modules, node, err := installed()
	if err != nil {
		return "", err
	}
	script, err := filepath.Abs("testdata/server/server.mjs")
	if err != nil {
		return "", err
	}
	command := exec.Command(node, script, pgtest.OverTCP(t, pgtest.Lasting(t, "")), adminToken, clientToken)
	command.Dir = modules
	said := &bytes.Buffer{}
	command.Stderr = said
	if stdin, err = command.StdinPipe(); err != nil {
		return "", err
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := command.Start(); err != nil {
		return "", err
	}
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "http://") {
			go func() { _, _ = io.Copy(io.Discard, stdout) }()
			return lines.Text(), nil
		}
	}
	return "", fmt.Errorf("the Unleash server did not start: %w\n%s", command.Wait(), said)
}

func installed() (modules, node string, err error) {
	lock, err := os.ReadFile("testdata/server/package-lock.json")
	if err != nil {
		return "", "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", "", err
	}
	sum := sha256.Sum256(lock)
	modules = filepath.Join(cache, "adg", "test-unleash-"+hex.EncodeToString(sum[:8]))
	node, err = exec.LookPath("node")
	if _, missing := os.Stat(filepath.Join(modules, "node_modules", "unleash-server")); err != nil || missing != nil {
		return "", "", fmt.Errorf("%w (%w)", errMissing, errors.Join(err, missing))
	}
	return modules, node, nil
}
