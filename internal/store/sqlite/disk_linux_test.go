package sqlite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/deployguardian/adg"
)

func TestFullFileSystem(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=3m"); err != nil {
		t.Logf("no file system can be mounted here (%v): the tests with a full database say the same", err)
		return
	}
	t.Cleanup(func() { must(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	data := filepath.Join(dir, "data")
	s, err := Open(t.Context(), data, Options{})
	must(t, err)
	create(t, s, "d0", "s0")
	w := takeAll(t, s, 1)[0]
	for n := 0; isThere(t, data, "reserve"); n++ {
		must(t, commitTo(t, s, &w, plain(w)))
		if n > 10_000 {
			t.Fatal("the disk never got full")
		}
	}
	// A rollback is decided, done and verified on the full disk, with the log's room alone.
	for n := range 20 {
		tick := eventful(w, fmt.Sprintf("d0/%d", n))
		tick.Decision.Slot = 0
		must(t, commitTo(t, s, &w, tick))
		tick = plain(w)
		tick.GiveBack, tick.Input.Outcome = false, &adg.Outcome{OpID: fmt.Sprintf("d0/%d", n)}
		must(t, commitTo(t, s, &w, tick))
	}
	fill(t, filepath.Join(dir, "filler"))
	done := 20
	for err == nil && done < 10_000 {
		tick := eventful(w, fmt.Sprintf("d0/%d", done))
		tick.Decision.Slot, tick.Input.Outcome = 0, nil
		if err = commitTo(t, s, &w, tick); err == nil {
			tick = plain(w)
			tick.GiveBack, tick.Input.Outcome = false, &adg.Outcome{OpID: fmt.Sprintf("d0/%d", done)}
			err = commitTo(t, s, &w, tick)
			done++
		}
	}
	t.Logf("%d effects were recorded before there was no byte left", done)
	if adg.CodeOf(err) != adg.Unavailable || !strings.Contains(err.Error(), "free some space") {
		t.Errorf("got %v", err)
	}
	must(t, s.Close())
	if s, err = Open(t.Context(), data, Options{}); err == nil { // it may even be opened
		must(t, s.Close())
	} else if adg.CodeOf(err) != adg.Unavailable {
		t.Errorf("opening on a full disk: %v", err)
	}
	must(t, os.Remove(filepath.Join(dir, "filler")))
	s, err = Open(t.Context(), data, Options{})
	must(t, err)
	integrity(t, s)
	effects, err := s.Effects(t.Context(), "d0")
	if err != nil || len(effects) < done {
		t.Errorf("%d effects of %d are left, %v", len(effects), done, err)
	}
	must(t, s.Close())
}

// fill writes a file until there is no room left.
func fill(t *testing.T, path string) {
	t.Helper()
	file, err := os.Create(path)
	must(t, err)
	defer file.Close()
	for err == nil {
		_, err = file.Write(make([]byte, 4096))
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
}
