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
	_, err := log.Driver.Open(t.Context(), log.Options{Path: "no/such/dir/facts"}, adg.Host{Name: "audit"})
	if adg.CodeOf(err) != adg.Invalid || !strings.Contains(err.Error(), "no/such/dir") {
		t.Errorf("got %v", err)
	}
}

func open(t *testing.T, o log.Options, l *slog.Logger) adg.Notifier {
	t.Helper()
	n, err := log.Driver.Open(t.Context(), o, adg.Host{Name: "log", Log: l})
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
