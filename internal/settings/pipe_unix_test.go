//go:build unix

package settings_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/deployguardian/adg/internal/settings"
)

// A file that another program decrypts comes as a pipe, which can be read once.
func TestAConfigurationThatComesAsAPipeIsReadOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	written := make(chan error, 1)
	go func() {
		written <- os.WriteFile(path, []byte("listen: 127.0.0.1:0\ninsecure_http: true\nseal: {active: {file: /k}}\n"), 0o600)
	}()
	all, err := settings.LoadAll(path, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	if all.Settings.Listen != "127.0.0.1:0" {
		t.Errorf("it listens on %s", all.Settings.Listen)
	}
	for _, one := range all.Listed {
		if one.Path == "listen" && (one.Origin != "file" || one.Value != "127.0.0.1:0") {
			t.Errorf("%+v", one)
		}
	}
}
