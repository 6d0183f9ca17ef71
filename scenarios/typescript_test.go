package scenarios

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// web is the folder of the TypeScript client, from this one.
const web = "../web"

// modules is where scripts/test-servers has put what the client needs.
func modules() (string, error) {
	lock, err := os.ReadFile(filepath.Join(web, "package-lock.json"))
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(lock)
	dir := filepath.Join(cache, "adg", "test-web-"+hex.EncodeToString(sum[:8]), "node_modules")
	_, err = os.Stat(filepath.Join(dir, "typescript"))
	return dir, err
}

// typed tells whether TypeScript can be compiled here.
func typed(t *testing.T) bool {
	t.Helper()
	_, err := modules()
	if err == nil {
		_, err = exec.LookPath("node")
	}
	if err != nil && os.Getenv("CI") != "" {
		t.Fatal(err)
	}
	return err == nil
}

// typescript compiles the TypeScript client and what tests it, and puts the path of the test into $CLIENT.
func typescript(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: typescript")
	}
	found, err := modules()
	ts.Check(err)
	dir := ts.MkAbs("web")
	for _, folder := range []string{"src/api", "test"} {
		ts.Check(os.CopyFS(filepath.Join(dir, folder), os.DirFS(filepath.Join(web, folder))))
	}
	for _, name := range []string{"package.json", "tsconfig.json"} {
		text, err := os.ReadFile(filepath.Join(web, name))
		ts.Check(err)
		ts.Check(os.WriteFile(filepath.Join(dir, name), text, 0o600))
	}
	ts.Check(os.Symlink(found, filepath.Join(dir, "node_modules")))
	ts.Check(ts.Exec("node", filepath.Join(found, "typescript", "bin", "tsc"), "-p", dir))
	ts.Setenv("CLIENT", filepath.Join(dir, "dist", "test", "client.js"))
}
