package sqlite

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/deployguardian/adg"
)

// childBeside is how many documents this program writes beside the process that guards, when it is run for that.
const childBeside = "ADG_SQLITE_TEST_BESIDE"

func besides(t testing.TB, dir string) *Beside {
	t.Helper()
	b, err := OpenBeside(context.Background(), dir, Options{})
	must(t, err)
	t.Cleanup(func() { must(t, b.Close()) })
	return b
}

// keep writes documents, each with an audit entry, and counts itself up in a document that all writers share.
func keep(ctx context.Context, documents adg.Documents, writer string, n int) error {
	for i := range n {
		key := fmt.Sprintf("%s/%d", writer, i)
		for {
			shared, err := documents.Document(ctx, "count", "all")
			if err != nil && adg.CodeOf(err) != adg.NotFound {
				return err
			}
			_, err = documents.WriteDocuments(ctx, []adg.Write{
				{Document: adg.Document{Kind: "op", Key: key, Data: []byte(key)}},
				{Document: adg.Document{Kind: "count", Key: "all"}, If: shared.Version},
			}, adg.AuditEntry{Resource: key})
			if err == nil {
				break
			}
			if adg.CodeOf(err) != adg.Conflict && !busy(err) { // another was faster: read it again
				return err
			}
		}
	}
	return nil
}

// busy tells that others wrote for longer than this one waits. Nothing was written, as only the begin of a transaction waits.
func busy(err error) bool { return codeOf(err) == sqlite3.SQLITE_BUSY }

// commitBeside commits also while others write for long.
func commitBeside(t *testing.T, s *Store, w *adg.Work) {
	t.Helper()
	for {
		if err := commitTo(t, s, w, plain(*w)); !busy(err) {
			must(t, err)
			return
		}
	}
}

// keepBeside is the life of a child: it says that it is open, waits for a line, and writes.
func keepBeside(dir string, n int, in io.Reader, out io.Writer) error {
	b, err := OpenBeside(context.Background(), dir, Options{})
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out, "open"); err != nil {
		return err
	}
	if _, err := bufio.NewReader(in).ReadString('\n'); err != nil {
		return err
	}
	if err := keep(context.Background(), b, "child", n); err != nil {
		return err
	}
	return b.Close()
}

// allKept compares what is in the store, and on record, with what so many writers have each written.
func allKept(t *testing.T, s *Store, writers, each int) {
	t.Helper()
	integrity(t, s)
	lines := map[string]bool{}
	wrote(t, s, lines) // the audit log is whole, and of each document there is one entry
	if len(lines) != writers*each {
		t.Errorf("%d documents are left of %d", len(lines), writers*each)
	}
	if d, err := s.Document(t.Context(), "count", "all"); err != nil || d.Version != int64(writers*each) {
		t.Errorf("counted %d, want %d: %v", d.Version, writers*each, err)
	}
}

func TestDocumentsOfSeveralWritersInOneProcessAreAllKept(t *testing.T) {
	const each = 40
	dir := t.TempDir()
	s := opened(t, dir, Options{})
	create(t, s, "d0", "s0")
	w := takeAll(t, s, 1)[0]
	one, other := besides(t, dir), besides(t, dir)
	var all sync.WaitGroup
	for name, documents := range map[string]adg.Documents{"guard": s, "one": one, "other": other} {
		all.Go(func() {
			if err := keep(t.Context(), documents, name, each); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	for range each {
		commitBeside(t, s, &w)
	}
	all.Wait()
	allKept(t, s, 3, each)
	if d, err := one.Document(t.Context(), "op", "guard/0"); err != nil || string(d.Data) != "guard/0" {
		t.Errorf("read beside: %+v, %v", d, err)
	}
}

func TestDocumentsOfAnotherProcessAreKeptWhileThisOneGuards(t *testing.T) {
	const each = 40
	dir := t.TempDir()
	s := opened(t, dir, Options{})
	create(t, s, "d0", "s0")
	w := takeAll(t, s, 1)[0]
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	child := exec.CommandContext(ctx, os.Args[0])
	child.Env = append(os.Environ(), childDir+"="+dir, fmt.Sprintf("%s=%d", childBeside, each))
	child.Stderr = os.Stderr
	in, err := child.StdinPipe()
	must(t, err)
	out, err := child.StdoutPipe()
	must(t, err)
	must(t, child.Start())
	said, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || said != "open\n" {
		t.Fatalf("the child says %q: %v", said, err)
	}
	_, err = fmt.Fprintln(in, "go on")
	must(t, err)
	for i := range each {
		must(t, keep(ctx, s, fmt.Sprintf("guard%d", i), 1))
		commitBeside(t, s, &w)
	}
	if err := child.Wait(); err != nil {
		t.Errorf("the child: %v", err)
	}
	allKept(t, s, 2, each)
	if n := measurements(t, s); n != 10*each {
		t.Errorf("%d measurements are left of %d", n, 10*each)
	}
}

func TestNewDirectoryIsMadeBesideAndLeftFree(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	b := besides(t, dir)
	must(t, keep(t.Context(), b, "beside", 3))
	s := opened(t, dir, Options{})
	allKept(t, s, 1, 3)
	for _, name := range []string{databaseName, "lock"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is open to others: %v, %v", name, info, err)
		}
	}
}

func TestOlderDatabaseIsBroughtUpToDateBesideOnlyIfNobodyUsesIt(t *testing.T) {
	dir := t.TempDir()
	older(t, dir, 2)
	held, err := lock(dir)
	must(t, err)
	if _, err := OpenBeside(t.Context(), dir, Options{}); adg.CodeOf(err) != adg.Conflict || !strings.Contains(err.Error(), "brought up to date") || !strings.Contains(err.Error(), fmt.Sprintf("process %d", os.Getpid())) {
		t.Errorf("in use: %v", err)
	}
	if version, err := inspect(t.Context(), filepath.Join(dir, databaseName), "ro"); err != nil || version != 2 {
		t.Errorf("version %d, %v", version, err)
	}
	must(t, held.Close())
	must(t, keep(t.Context(), besides(t, dir), "beside", 1))
	allKept(t, opened(t, dir, Options{}), 1, 1)
}

func TestWhatIsNoDatabaseOfOursIsLeftAloneBeside(t *testing.T) {
	for name, write := range map[string]func(*testing.T, string){"another program's": foreignDatabase, "of a newer version": newerDatabase} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, databaseName))
			before, err := os.ReadFile(filepath.Join(dir, databaseName))
			must(t, err)
			if b, err := OpenBeside(t.Context(), dir, Options{}); err == nil {
				t.Error("opened")
				must(t, b.Close())
			}
			after, err := os.ReadFile(filepath.Join(dir, databaseName))
			if err != nil || string(after) != string(before) {
				t.Errorf("changed: %v", err)
			}
		})
	}
}

// Whoever opens the database beside gets no leases back and makes nothing due: that is the guard's.
func TestOpeningBesideChangesNothing(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir, Options{})
	create(t, s, "d0", "s0")
	lease := takeAll(t, s, 1)[0].Lease
	besides(t, dir)
	if _, err := s.Renew(t.Context(), lease, time.Minute); err != nil {
		t.Error(err)
	}
	if again, err := s.Take(t.Context(), "another", time.Minute, 1); err != nil || len(again) != 0 {
		t.Errorf("taken by two: %+v, %v", again, err)
	}
}

func TestGuardWaitsNoLongerThanALargeDocumentTakesToWrite(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir, Options{})
	create(t, s, "d0", "s0")
	b := besides(t, dir)
	w := takeAll(t, s, 1)[0]
	large := adg.Write{Document: adg.Document{Kind: "model", Key: "large", Data: make([]byte, adg.MaxDocument)}, If: adg.AnyVersion}
	var begun time.Time
	written := make(chan time.Time, 1)
	go func() {
		begun = time.Now()
		if _, err := b.WriteDocuments(t.Context(), []adg.Write{large}); err != nil {
			t.Error(err)
		}
		written <- time.Now()
	}()
	for gaveUp := false; ; {
		err := commitTo(t, s, &w, plain(w))
		if gaveUp = gaveUp || busy(err); !busy(err) {
			must(t, err)
		}
		select {
		case at := <-written:
			// SQLite looks every 100 ms at the latest whether the other has ended.
			if late := time.Since(at); late > 30*time.Second {
				t.Errorf("a commit ended %s after the document was written", late)
			}
			if took := at.Sub(begun); gaveUp && took < 5*time.Second { // a slow disk may take longer than a guard waits
				t.Errorf("a commit gave up, although the document was written in %s", took)
			}
			return
		default:
		}
	}
}
