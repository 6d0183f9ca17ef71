package sqlite

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/deployguardian/adg"
)

func TestFullDiskKeepsDecisionsAndDropsMeasurements(t *testing.T) {
	dir, clock := t.TempDir(), newHandClock()
	var logged bytes.Buffer
	s := opened(t, dir, Options{Clock: clock.now, Log: slog.New(slog.NewTextHandler(&logged, nil))})
	create(t, s, "d0", "s0")
	w := takeAll(t, s, 1)[0]
	limitPages(t, s, 20)
	n := 0
	for ; isThere(t, dir, "reserve"); n++ {
		must(t, commitTo(t, s, &w, plain(w)))
		if n > 1000 {
			t.Fatal("the database never got full")
		}
	}
	if !strings.Contains(logged.String(), "disk is full") {
		t.Errorf("nobody was told: %s", logged.String())
	}
	kept := measurements(t, s)
	tick := plain(w)
	tick.Decision.Next.Health = adg.Unhealthy
	must(t, commitTo(t, s, &w, tick))
	if d, err := s.Deployment(t.Context(), "d0"); err != nil || d.Status.Health != adg.Unhealthy {
		t.Errorf("the status was not kept: %v, %v", d.Status.Health, err)
	}
	if got := measurements(t, s); got != kept {
		t.Errorf("%d measurements became %d", kept, got)
	}

	limitPages(t, s, 1<<20)
	clock.advance(reserveRetry)
	must(t, commitTo(t, s, &w, plain(w)))
	if got := measurements(t, s); !isThere(t, dir, "reserve") || got != kept+10 {
		t.Errorf("after there was room again: %d measurements after %d, reserve there: %t", got, kept, isThere(t, dir, "reserve"))
	}
	if !strings.Contains(logged.String(), "room on the disk again") {
		t.Errorf("nobody was told: %s", logged.String())
	}
}

func TestFullDiskWithoutReserveLosesNothingAndSaysWhatToDo(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir, Options{})
	create(t, s, "d0", "s0")
	w := takeAll(t, s, 1)[0]
	var err error
	for n := 0; err == nil; n++ {
		if n == 1 {
			limitPages(t, s, 0)
		}
		tick := eventful(w, fmt.Sprintf("d0/%d", n))
		tick.Decision.Slot = 0
		if n > 0 {
			tick.Input.Outcome = &adg.Outcome{OpID: fmt.Sprintf("d0/%d", n-1)}
		}
		if n > 1000 {
			t.Fatal("the database never got full")
		}
		if err = commitTo(t, s, &w, tick); err != nil {
			limitPages(t, s, 1<<20)
			if adg.CodeOf(err) != adg.Unavailable || !strings.Contains(err.Error(), "free some space") || !strings.Contains(err.Error(), dir) {
				t.Errorf("got %v", err)
			}
			effects, failed := s.Effects(t.Context(), "d0")
			must(t, failed)
			entries, failed := s.Entries(t.Context(), "d0", 0, 10_000)
			must(t, failed)
			if len(effects) != n || len(entries) != n || effects[n-1].Outcome != nil {
				t.Errorf("%d effects and %d entries of %d", len(effects), len(entries), n)
			}
			must(t, commitTo(t, s, &w, tick))
		}
	}
	integrity(t, s)
}

func TestDocumentThatDoesNotFitOnTheDiskKeepsNoDecisionOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := opened(t, fresh(t), Options{})
		create(t, s, "d0", "s0")
		w := takeAll(t, s, 1)[0]
		limitPages(t, s, 100)
		free := occupy(t, s)
		var all sync.WaitGroup
		var large, decision error
		all.Go(func() {
			_, large = s.WriteDocuments(t.Context(), []adg.Write{{Document: adg.Document{Kind: "model", Key: "m", Data: make([]byte, 4<<20)}}}, adg.AuditEntry{})
		})
		all.Go(func() { decision = commitTo(t, s, &w, eventful(w, "d0/1")) })
		synctest.Wait()
		free()
		all.Wait()
		if decision != nil || adg.CodeOf(large) != adg.Unavailable || !strings.Contains(large.Error(), "free some space") {
			t.Errorf("the decision: %v; the document: %v", decision, large)
		}
		if entries, err := s.Audit(t.Context(), adg.AuditFilter{}); err != nil || len(entries) != 0 {
			t.Errorf("on record: %v, %v", entries, err)
		}
		if all, err := s.Stops(t.Context()); err != nil || len(all) != 1 {
			t.Errorf("the stop that was written with them: %v, %v", all, err)
		}
	})
}

// limitPages lets the database grow by that many pages and no more.
func limitPages(t *testing.T, s *Store, more int) {
	t.Helper()
	must(t, s.write(t.Context(), false, func(t *tx) error {
		pages := 0
		if err := t.row([]any{&pages}, "PRAGMA page_count"); err != nil {
			return err
		}
		_, err := t.exec(fmt.Sprintf("PRAGMA max_page_count = %d", pages+more))
		return err
	}))
}

// commitTo commits a tick that keeps the lease.
func commitTo(t *testing.T, s *Store, w *adg.Work, tick adg.Tick) error {
	t.Helper()
	tick.GiveBack = false
	tick.Version = w.Deployment.Version
	stored, err := s.Commit(t.Context(), tick)
	if err == nil {
		w.Deployment = stored
	}
	return err
}

func measurements(t *testing.T, s *Store) int {
	t.Helper()
	n := 0
	must(t, s.reads.QueryRowContext(t.Context(), "SELECT count(*) FROM measurements").Scan(&n))
	return n
}

func isThere(t *testing.T, dir, name string) bool {
	t.Helper()
	_, err := os.Stat(filepath.Join(dir, name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return err == nil
}

func integrity(t *testing.T, s *Store) {
	t.Helper()
	says := ""
	must(t, s.reads.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&says))
	if says != "ok" {
		t.Errorf("the database is damaged: %s", says)
	}
	rows, err := s.reads.QueryContext(t.Context(), "PRAGMA foreign_key_check")
	must(t, err)
	defer rows.Close()
	if rows.Next() {
		t.Error("a row refers to what does not exist")
	}
	must(t, rows.Err())
}
