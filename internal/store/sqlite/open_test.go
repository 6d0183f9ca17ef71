package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/deployguardian/adg"
)

func TestForeignKeysAreOnInEveryConnection(t *testing.T) {
	s := opened(t, t.TempDir(), Options{})
	on := func(q querier) {
		t.Helper()
		value := 0
		must(t, q.QueryRowContext(t.Context(), "PRAGMA foreign_keys").Scan(&value))
		if value != 1 {
			t.Error("foreign keys are not checked")
		}
	}
	first, err := s.reads.Conn(t.Context())
	must(t, err)
	defer first.Close()
	second, err := s.reads.Conn(t.Context())
	must(t, err)
	defer second.Close()
	on(first)
	on(second)
	on(s.writer.conn)
	for _, c := range []*sql.Conn{first, second} {
		if _, err := c.ExecContext(t.Context(), "DELETE FROM stops"); err == nil {
			t.Error("a connection for reading can write")
		}
	}
	err = s.write(t.Context(), false, func(t *tx) error {
		_, err := t.exec("INSERT INTO specs (deployment, spec) VALUES (4711, '{}')")
		return err
	})
	if err == nil {
		t.Error("the specification of a deployment that does not exist was stored")
	}
}

func TestDirectoryInUseNamesTheProcess(t *testing.T) {
	dir := t.TempDir()
	opened(t, dir, Options{})
	_, err := Open(t.Context(), dir, Options{})
	if adg.CodeOf(err) != adg.Conflict || !strings.Contains(err.Error(), fmt.Sprintf("process %d", os.Getpid())) || !strings.Contains(err.Error(), dir) {
		t.Errorf("got %v", err)
	}
}

func TestDirectoryIsFreeAgainWhenItsProcessIsGone(t *testing.T) {
	dir := t.TempDir()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), childDir+"="+dir)
	out, err := child.StdoutPipe()
	must(t, err)
	must(t, child.Start())
	if _, err := out.Read(make([]byte, 1)); err != nil { // it has begun to write
		t.Fatal(err)
	}
	_, err = Open(t.Context(), dir, Options{})
	if adg.CodeOf(err) != adg.Conflict || !strings.Contains(err.Error(), fmt.Sprintf("process %d", child.Process.Pid)) {
		t.Errorf("got %v", err)
	}
	reader, err := OpenReadOnly(t.Context(), dir)
	must(t, err)
	if all, err := reader.ListDeployments(t.Context(), adg.DeploymentFilter{}); err != nil || len(all) == 0 {
		t.Errorf("reading along: %d deployments, %v", len(all), err)
	}
	closed(t, reader)
	must(t, child.Process.Kill())
	_ = child.Wait() // it says that it was killed
	opened(t, dir, Options{})
}

func TestReadingAlongSeesWhatIsWrittenAndWritesNothing(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir, Options{})
	create(t, s, "d0", "s0")
	reader, err := OpenReadOnly(t.Context(), dir)
	must(t, err)
	defer closed(t, reader)
	w := takeAll(t, s, 1)[0]
	_, err = s.Commit(t.Context(), eventful(w, "d0/1"))
	must(t, err)
	d, err := reader.Deployment(t.Context(), "d0")
	if err != nil || d.Status.State != adg.RollingBack {
		t.Errorf("read %+v, %v", d.Status, err)
	}
	if all, err := reader.Measurements(t.Context(), "d0", adg.MeasurementFilter{}); err != nil || len(all) != 10 {
		t.Errorf("read %d measurements, %v", len(all), err)
	}
	for what, err := range map[string]error{
		"StopLine": reader.StopLine(t.Context(), adg.Stop{Actor: "a", Reason: "b"}),
		"Ask":      reader.Ask(t.Context(), adg.Command{ID: "c", Deployment: "d0"}),
	} {
		if adg.CodeOf(err) != adg.Conflict || !strings.Contains(err.Error(), "reading only") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestReadingADirectoryAfterTheLastProcessEnded(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir, Options{})
	create(t, s, "d0", "s0")
	closed(t, s)
	reader, err := OpenReadOnly(t.Context(), dir)
	must(t, err)
	defer closed(t, reader)
	if _, err := reader.Deployment(t.Context(), "d0"); err != nil {
		t.Error(err)
	}
}

func TestReadingADirectoryWithoutADatabaseMakesNone(t *testing.T) {
	dir := t.TempDir()
	if _, err := OpenReadOnly(t.Context(), dir); adg.CodeOf(err) != adg.NotFound {
		t.Errorf("got %v", err)
	}
	if _, err := OpenReadOnly(t.Context(), filepath.Join(dir, "nothing")); adg.CodeOf(err) != adg.NotFound {
		t.Errorf("got %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestWhatIsNoDatabaseOfOursIsLeftAlone(t *testing.T) {
	for name, c := range map[string]struct {
		make func(t *testing.T, path string)
		code adg.Code
		says string
	}{
		"a text file": {func(t *testing.T, path string) {
			must(t, os.WriteFile(path, bytes.Repeat([]byte("text\n"), 1000), 0o600))
		}, adg.Invalid, "damaged"},
		"another program's":        {foreignDatabase, adg.Invalid, "another program"},
		"written by a newer adg":   {newerDatabase, adg.Conflict, "newer version"},
		"with its first page gone": {damagedDatabase, adg.Invalid, "damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, databaseName)
			c.make(t, path)
			before, _ := os.ReadFile(path)
			for what, open := range map[string]func() (*Store, error){
				"Open":         func() (*Store, error) { return Open(t.Context(), dir, Options{}) },
				"OpenReadOnly": func() (*Store, error) { return OpenReadOnly(t.Context(), dir) },
			} {
				_, err := open()
				if adg.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), dir) {
					t.Errorf("%s: %v (%s)", what, err, adg.CodeOf(err))
				}
			}
			if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
				t.Error("the file was changed")
			}
		})
	}
}

func foreignDatabase(t *testing.T, path string) {
	db, err := sql.Open("sqlite", dsn(path, "rwc"))
	must(t, err)
	_, err = db.ExecContext(t.Context(), "CREATE TABLE theirs (x)")
	must(t, err)
	must(t, db.Close())
}

func newerDatabase(t *testing.T, path string) {
	s, err := Open(t.Context(), filepath.Dir(path), Options{})
	must(t, err)
	must(t, s.write(t.Context(), true, func(t *tx) error {
		_, err := t.exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (?, 1)", newestSchema()+1)
		return err
	}))
	must(t, s.Close())
}

func damagedDatabase(t *testing.T, path string) {
	s, err := Open(t.Context(), filepath.Dir(path), Options{})
	must(t, err)
	must(t, s.Close())
	text, err := os.ReadFile(path)
	must(t, err)
	copy(text[100:], bytes.Repeat([]byte{0xff}, 2000))
	must(t, os.WriteFile(path, text, 0o600))
}

func TestDamageThatShowsLaterSaysWhatToDo(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir, Options{})
	create(t, s, "d0", "s0")
	page, size := 0, 0
	must(t, s.reads.QueryRowContext(t.Context(), "SELECT rootpage FROM sqlite_schema WHERE name = 'statuses'").Scan(&page))
	must(t, s.reads.QueryRowContext(t.Context(), "PRAGMA page_size").Scan(&size))
	closed(t, s)
	file, err := os.OpenFile(filepath.Join(dir, databaseName), os.O_RDWR, 0)
	must(t, err)
	_, err = file.WriteAt(bytes.Repeat([]byte{0xff}, size), int64(page-1)*int64(size))
	must(t, err)
	must(t, file.Close())
	s = opened(t, dir, Options{})
	_, err = s.Deployment(t.Context(), "d0")
	if adg.CodeOf(err) != adg.Invalid || !strings.Contains(err.Error(), "backup") {
		t.Errorf("got %v", err)
	}
}

func TestDirectoryThatCannotBeMadeSaysSo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	if _, err := Open(t.Context(), filepath.Join(file, "data"), Options{}); adg.CodeOf(err) != adg.Unavailable || !strings.Contains(err.Error(), file) {
		t.Errorf("got %v", err)
	}
}

func TestOpeningWithACancelledContextLeavesTheDirectoryFree(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, dir, Options{}); err == nil {
		t.Error("opened with a cancelled context")
	}
	opened(t, dir, Options{})
}

func TestOthersCannotReadTheDatabase(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir, Options{})
	create(t, s, "d0", "s0")
	files, err := os.ReadDir(dir)
	must(t, err)
	for _, file := range files {
		info, err := file.Info()
		must(t, err)
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has the mode %s", file.Name(), info.Mode())
		}
	}
	if len(files) < 5 {
		t.Errorf("found %v only", files)
	}
}

func TestClockThatIsSetMovesNothing(t *testing.T) {
	wall := newHandClock()
	s := opened(t, t.TempDir(), Options{Clock: wall.now})
	now := func() time.Time {
		t.Helper()
		at, err := s.Now(t.Context())
		must(t, err)
		return at
	}
	first := now()
	wall.advance(time.Minute)
	if got := now().Sub(first); got != time.Minute {
		t.Errorf("a minute took %s", got)
	}
	wall.advance(-time.Hour)
	if got := now().Sub(first); got != time.Minute {
		t.Errorf("the clock went back to %s", got)
	}
}

func TestClockThatWasWrongBeforeStallsNothing(t *testing.T) {
	dir, wrong := t.TempDir(), newHandClock()
	wrong.advance(365 * 24 * time.Hour)
	s := opened(t, dir, Options{Clock: wrong.now})
	create(t, s, "d0", "s0")
	create(t, s, "d1", "s1")
	for _, w := range takeAll(t, s, 2) {
		tick := eventful(w, w.Deployment.ID+"/1")
		tick.Decision.Next.Due, tick.Decision.Next.Health = wrong.now().Add(time.Minute), adg.Unhealthy
		tick.GiveBack = w.Deployment.ID == "d0" // the other stays leased
		_, err := s.Commit(t.Context(), tick)
		must(t, err)
	}
	claimed, err := s.Undelivered(t.Context(), "teller", time.Hour, 1)
	must(t, err)
	must(t, s.Postpone(t.Context(), claimed[0], wrong.now().Add(time.Hour), "no"))
	closed(t, s)

	right := newHandClock()
	s = opened(t, dir, Options{Clock: right.now})
	if work := takeAll(t, s, 10); len(work) != 1 || work[0].Deployment.ID != "d0" {
		t.Errorf("took %+v, want what is not leased", work)
	}
	if all, err := s.Undelivered(t.Context(), "teller", time.Hour, 10); err != nil || len(all) != 2 {
		t.Errorf("to be told: %v, %v", all, err)
	}
	fleet, err := s.Fleet(t.Context(), "bench", "")
	if err != nil || fleet.Rollbacks != 2 || fleet.TurnedBad != 2 {
		t.Errorf("fleet: %+v, %v", fleet, err)
	}
	right.advance(time.Hour + time.Second)
	if work := takeAll(t, s, 10); len(work) != 2 {
		t.Errorf("took %d after the time that the lease was taken for, want both", len(work))
	}
	if fleet, err = s.Fleet(t.Context(), "bench", ""); err != nil || fleet.Rollbacks != 0 || fleet.TurnedBad != 0 {
		t.Errorf("fleet an hour later: %+v, %v", fleet, err)
	}
}
