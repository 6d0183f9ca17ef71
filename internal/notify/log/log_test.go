package log_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/notify/log"
	"github.com/deployguardian/adg/internal/notify/notifytest"
)

func TestFileOfFacts(t *testing.T) {
	var path string
	notifytest.Run(t, notifytest.Case{
		Open: func(t *testing.T, _ string) adg.Notifier {
			path = filepath.Join(t.TempDir(), "facts.jsonl")
			return open(t, log.Options{Path: path}, nil)
		},
		Read: func(t *testing.T) string {
			text, err := os.ReadFile(path)
			if err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
			return string(text)
		},
	})
}

func TestProcessLog(t *testing.T) {
	var out *lockedBuffer
	notifytest.Run(t, notifytest.Case{
		Open: func(t *testing.T, _ string) adg.Notifier {
			out = &lockedBuffer{}
			return open(t, log.Options{}, slog.New(slog.NewTextHandler(out, nil)))
		},
		Read: func(*testing.T) string { return out.String() },
	})
}

func TestMissingDirectoryIsNamedWhenThePolicyIsRead(t *testing.T) {
	_, err := log.Driver.Open(t.Context(), log.Options{Path: "no/such/dir/facts"}, adg.Host{Name: "audit", Commands: true})
	if adg.CodeOf(err) != adg.Invalid || !strings.Contains(err.Error(), "no/such/dir") {
		t.Errorf("got %v", err)
	}
}

// A line of JSON in the right file is a command: who may register a notifier is no user of the machine by that.
func TestAServersFileIsWrittenOnlyInTheFoldersThatAreAllowed(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	for name, c := range map[string]struct {
		path string
		host adg.Host
		well bool
	}{
		"nothing is allowed":                  {filepath.Join(dir, "facts"), adg.Host{}, false},
		"the folder is":                       {filepath.Join(dir, "facts"), adg.Host{Folders: []string{other, dir}}, true},
		"the folder is, and a program":        {filepath.Join(dir, "facts"), adg.Host{Commands: true, Programs: []string{"/bin/true"}, Folders: []string{dir}}, true},
		"a program is, and no folder":         {filepath.Join(dir, "facts"), adg.Host{Commands: true, Programs: []string{"/bin/true"}}, false},
		"another one is":                      {filepath.Join(other, "facts"), adg.Host{Folders: []string{dir}}, false},
		"out of it again":                     {dir + "/../" + filepath.Base(other) + "/facts", adg.Host{Folders: []string{dir}}, false},
		"one whose name goes on":              {dir + "-more/facts", adg.Host{Folders: []string{dir}}, false},
		"no folder that there is, outside":    {"/no/such/folder/facts", adg.Host{Folders: []string{dir}}, false},
		"the process's log, which is no file": {"", adg.Host{}, true},
		"everything, on one's own machine":    {filepath.Join(other, "facts"), adg.Host{Commands: true}, true},
	} {
		_, err := log.Driver.Open(t.Context(), log.Options{Path: c.path}, c.host)
		if (err == nil) != c.well || err != nil && (adg.CodeOf(err) != adg.Unauthorized || !strings.Contains(err.Error(), "files.allow")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func open(t *testing.T, o log.Options, l *slog.Logger) adg.Notifier {
	t.Helper()
	n, err := log.Driver.Open(t.Context(), o, adg.Host{Name: "log", Log: l, Commands: true})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// lockedBuffer is a buffer that may be written from many goroutines.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
