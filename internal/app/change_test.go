package app

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/change"
	"github.com/deployguardian/adg/internal/store/sqlite"
)

// kept is a real store, whose clock goes on by a second whenever it is read.
func kept(t *testing.T) *sqlite.Beside {
	t.Helper()
	at := time.Date(2026, 1, 5, 10, 0, 0, 0, time.UTC)
	store, err := sqlite.OpenBeside(t.Context(), t.TempDir(), sqlite.Options{Clock: func() time.Time { at = at.Add(time.Second); return at }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

func indexesIn(t *testing.T, documents adg.Documents) []adg.Document {
	t.Helper()
	all, err := documents.ListDocuments(t.Context(), adg.DocumentFilter{Kind: "change-index", Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// repository is one with 1,000 commits, the last two of which have the tags v1 and v2. An index stays behind by some
// hundred of them.
func repository(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	git := func(input string, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir}, args...)...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
		cmd.Stdin = strings.NewReader(input)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
	}
	var told strings.Builder
	for i := range 1000 {
		_, _ = fmt.Fprintf(&told, "commit refs/heads/main\ncommitter ann <ann@example.com> %d +0000\ndata 0\nM 644 inline shop.go\ndata 4\n%04d\n", 1_700_000_000+i, i)
	}
	git("", "init", "--quiet")
	git(told.String(), "fast-import", "--quiet")
	git("", "tag", "v1", "main~1")
	git("", "tag", "v2", "main")
	return dir
}

func TestHistoryThatWasReadIsNotReadAgain(t *testing.T) {
	store, dir := kept(t), repository(t)
	var read [2]int // commits
	for i := range read {
		if _, err := measure(t.Context(), dir, indexes{store, store}, "v1", "v2", func(_, all int) { read[i] += all }); err != nil {
			t.Fatal(err)
		}
	}
	if read[0] < 900 || read[1] > 500 {
		t.Errorf("%d commits were read, and then %d", read[0], read[1])
	}
	if all := indexesIn(t, store); len(all) != 1 || all[0].Version != 1 {
		t.Errorf("%d indexes are kept", len(all))
	}
}

func TestDryRunReadsWhatIsKeptInEarnestAndWritesNothingThere(t *testing.T) {
	earnest, dry, dir := kept(t), kept(t), repository(t)
	measured := func(i indexes) (read int) {
		if _, err := measure(t.Context(), dir, i, "v1", "v2", func(_, all int) { read += all }); err != nil {
			t.Fatal(err)
		}
		return read
	}
	first := measured(indexes{from: earnest, to: dry})
	if n := len(indexesIn(t, earnest)); n != 0 {
		t.Errorf("%d indexes are kept in earnest", n)
	}
	measured(indexes{from: earnest, to: earnest})
	if again := measured(indexes{from: earnest, to: dry}); again >= first {
		t.Errorf("%d commits were read without an index, and %d with it", first, again)
	}
}

func TestDamagedIndexIsReadAnew(t *testing.T) {
	store, dir := kept(t), repository(t)
	r, err := change.Open(t.Context(), dir, change.Options{})
	if err != nil {
		t.Fatal(err)
	}
	name, err := r.Name(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	damaged := adg.Write{Document: adg.Document{Kind: "change-index", Key: name, Data: []byte("nonsense")}}
	if _, err := store.WriteDocuments(t.Context(), []adg.Write{damaged}); err != nil {
		t.Fatal(err)
	}
	if _, err := measure(t.Context(), dir, indexes{store, store}, "v1", "v2", nil); err != nil {
		t.Fatal(err)
	}
	if index, err := (indexes{store, store}).read(t.Context(), name); err != nil || index.Head() == "" {
		t.Errorf("not kept: %v", err)
	}
}

func TestIndexThatWasNotWrittenForLongestGoesFirst(t *testing.T) {
	store := kept(t)
	both := indexes{store, store}
	keep := func(name string) {
		t.Helper()
		if note, err := both.keep(t.Context(), name, &change.Index{}); note != "" || err != nil {
			t.Fatal(note, err)
		}
	}
	for i := range mostIndexes {
		keep(fmt.Sprintf("%03d", i))
	}
	keep("000") // it is the newest again
	keep("another")
	all := indexesIn(t, store)
	if len(all) != mostIndexes || all[0].Key != "000" || all[1].Key != "002" || all[len(all)-1].Key != "another" {
		t.Errorf("%d are kept, from %s and %s", len(all), all[0].Key, all[1].Key)
	}
}

func TestDirectoryThatRemembersNothingIsLeftAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "nothing")
	a := New("test", nil, nil, nil)
	if all, err := a.models(t.Context(), dir); err != nil || len(all) != 0 {
		t.Errorf("%v, %v", all, err)
	}
	if _, err := a.model(t.Context(), dir, ""); adg.CodeOf(err) != adg.NotFound {
		t.Errorf("got %v", err)
	}
	documents, end, err := reading(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := documents.WriteDocuments(t.Context(), nil); adg.CodeOf(err) != adg.Conflict {
		t.Errorf("got %v", err)
	}
	if err := end(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("it was made: %v", err)
	}
}
