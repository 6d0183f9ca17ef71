package sqlite

import (
	"bufio"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/deployguardian/adg"
)

func TestBackupOfABusyDirectoryHasAllThatWasAcknowledged(t *testing.T) {
	dir := t.TempDir()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env, child.Stderr = append(os.Environ(), childDir+"="+dir), os.Stderr
	out, err := child.StdoutPipe()
	must(t, err)
	must(t, child.Start())
	written := make(chan string, 1<<16)
	go func() {
		defer close(written)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			written <- lines.Text()
		}
	}()
	var acknowledged []string
	for round := range 3 {
		for range 100 {
			acknowledged = append(acknowledged, <-written)
		}
		file := filepath.Join(t.TempDir(), "backup.db")
		b, err := WriteBackup(t.Context(), dir, file)
		must(t, err)
		<-written // it still works
		restored := opened(t, restore(t, file), Options{})
		integrity(t, restored)
		known := recorded(t, restored)
		for _, line := range acknowledged {
			if !known[line] {
				t.Errorf("backup %d: %q was acknowledged before, and is not there", round, line)
			}
		}
		last, err := endOfAudit(t.Context(), restored)
		must(t, err)
		if b.Deployments != 4 || b.LastAudit.Digest != last.Digest || last.Seq == 0 || b.Bytes == 0 {
			t.Errorf("it said %+v, the last entry is %d", b, last.Seq)
		}
	}
	must(t, child.Process.Kill())
	for range written {
	}
	_ = child.Wait() // it says that it was killed
}

func TestWhoeverRestoresABackupLooksFirstAndIsTheLaterOwner(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir, Options{})
	create(t, s, "d0", "s0")
	file := filepath.Join(t.TempDir(), "backup.db")
	_, err := WriteBackup(t.Context(), dir, file)
	must(t, err)
	fence := int64(0)
	for range 5 {
		fence = takeAll(t, s, 1)[0].Lease.Fence
		must(t, s.GiveBack(t.Context(), adg.Lease{Deployment: "d0", Owner: "owner", Fence: fence}))
	}
	restored := opened(t, restore(t, file), Options{})
	if stops, err := restored.Stops(t.Context()); err != nil || len(stops) != 1 || stops[0].Scope != (adg.Scope{}) || time.Since(stops[0].At) > time.Hour {
		t.Errorf("stopped are %+v, %v", stops, err)
	}
	must(t, restored.ResumeLine(t.Context(), adg.Scope{}, "ann"))
	if w := takeAll(t, restored, 1)[0]; w.Lease.Fence <= fence {
		t.Errorf("the fence is %d, and the original was at %d", w.Lease.Fence, fence)
	}
	if stops, err := s.Stops(t.Context()); err != nil || len(stops) != 0 {
		t.Errorf("in the original %+v are stopped, %v", stops, err)
	}
}

func TestBackupIsForItsOwnerAndLeavesNothingBeside(t *testing.T) {
	dir, to := t.TempDir(), t.TempDir()
	create(t, opened(t, dir, Options{}), "d0", "s0")
	file := filepath.Join(to, "backup.db")
	b, err := WriteBackup(t.Context(), dir, file)
	must(t, err)
	if b.LastAudit.Seq != 0 || b.Deployments != 1 {
		t.Errorf("it said %+v", b)
	}
	info, err := os.Stat(file)
	must(t, err)
	if info.Mode() != 0o600 {
		t.Errorf("the file's mode is %s", info.Mode())
	}
	alone(t, to, "backup.db")
}

func TestBackupNeverReplacesAFile(t *testing.T) {
	dir, to := t.TempDir(), t.TempDir()
	create(t, opened(t, dir, Options{}), "d0", "s0")
	for name, make := range map[string]func(string) error{
		"a file":         func(path string) error { return os.WriteFile(path, []byte("precious"), 0o600) },
		"a dead symlink": func(path string) error { return os.Symlink("nowhere", path) },
		"a directory":    func(path string) error { return os.Mkdir(path, 0o700) },
	} {
		path := filepath.Join(to, strings.ReplaceAll(name, " ", "-"))
		must(t, make(path))
		if _, err := WriteBackup(t.Context(), dir, path); adg.CodeOf(err) != adg.Conflict {
			t.Errorf("%s: %v", name, err)
		}
	}
	alone(t, to, "a-dead-symlink", "a-directory", "a-file")
	if _, err := os.Stat(filepath.Join(to, "nowhere")); err == nil {
		t.Error("it went where the symlink points to")
	}
	draft := filepath.Join(to, "draft")
	must(t, os.WriteFile(draft, nil, 0o600))
	if err := place(draft, filepath.Join(to, "a-file")); adg.CodeOf(err) != adg.Conflict {
		t.Errorf("a file that came to be meanwhile: %v", err)
	}
}

func TestThereIsNoBackupOfWhatIsNotSound(t *testing.T) {
	for name, c := range map[string]struct {
		harm func(t *testing.T, dir string)
		code adg.Code
		says string
	}{
		"no database": {func(t *testing.T, dir string) { must(t, os.RemoveAll(filepath.Join(dir, databaseName))) }, adg.NotFound, "nothing was guarded"},
		"an audit log that was changed": {func(t *testing.T, dir string) {
			tampered(t, dir, "DROP TRIGGER audit_unchanged; UPDATE audit SET actor = 'mallory' WHERE seq = 2")
		}, adg.Conflict, "entry 2 was changed"},
		"a damaged page": {func(t *testing.T, dir string) {
			path := filepath.Join(dir, databaseName)
			text, err := os.ReadFile(path)
			must(t, err)
			for i := len(text) / 2; i < len(text); i++ {
				text[i] = 0xa5
			}
			must(t, os.WriteFile(path, text, 0o600))
		}, adg.Invalid, "damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, to := t.TempDir(), t.TempDir()
			s := opened(t, dir, Options{})
			create(t, s, "d0", "s0")
			for i := range 3 {
				_, err := s.AppendAudit(t.Context(), adg.AuditEntry{Actor: "ann", Action: fmt.Sprint(i)})
				must(t, err)
			}
			closed(t, s)
			c.harm(t, dir)
			_, err := WriteBackup(t.Context(), dir, filepath.Join(to, "backup.db"))
			if adg.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v", err)
			}
			alone(t, to)
		})
	}
}

// restore does what the handbook says: the file, alone in a directory.
func restore(t *testing.T, file string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	text, err := os.ReadFile(file)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "adg.db"), text, 0o600))
	return dir
}

// alone demands that a directory holds just those.
func alone(t *testing.T, dir string, want ...string) {
	t.Helper()
	found, err := os.ReadDir(dir)
	must(t, err)
	var names []string
	for _, f := range found {
		names = append(names, f.Name())
	}
	if strings.Join(names, " ") != strings.Join(want, " ") {
		t.Errorf("the directory holds %v, want %v", names, want)
	}
}

func tampered(t *testing.T, dir, statements string) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, databaseName))
	must(t, err)
	_, err = db.ExecContext(t.Context(), statements)
	must(t, errors.Join(err, db.Close()))
}
