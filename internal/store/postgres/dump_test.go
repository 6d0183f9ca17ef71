package postgres

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/postgres/pgtest"
)

func TestDumpOfABusyDatabaseHasAllThatWasAcknowledged(t *testing.T) {
	dir, dsn := t.TempDir(), fresh(t)
	must(t, lived(t, dir).Close())
	_, err := filled(t, dir, dsn, nil)
	must(t, err)
	s := opened(t, dsn)
	rounds, stop := make(chan int, 1<<16), make(chan struct{})
	var busy sync.WaitGroup
	busy.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := s.WriteDocuments(t.Context(), []adg.Write{{Document: adg.Document{Kind: "op", Key: fmt.Sprint(n)}}}, adg.AuditEntry{Resource: fmt.Sprint(n)}); err != nil {
				t.Error(err)
				close(rounds)
				return
			}
			rounds <- n
		}
	})
	before := 0
	for range 50 {
		before = <-rounds
	}
	file := filepath.Join(t.TempDir(), "adg.dump")
	pgtest.Run(t, "pg_dump", "--format=custom", "--file="+file, dsn)
	<-rounds // it still works
	close(stop)
	busy.Wait()

	to := pgtest.Database(t)
	pgtest.Run(t, "pg_restore", "--exit-on-error", "--no-owner", "--dbname="+to, file)
	handbook, err := os.ReadFile("../../../docs/operating.md")
	must(t, err)
	for _, statement := range afterRestore {
		if !strings.Contains(string(handbook), statement) {
			t.Errorf("the handbook does not say %s", statement)
		}
		pgtest.Exec(t, to, statement)
	}
	restored := opened(t, to)
	if stops, err := restored.Stops(t.Context()); err != nil || len(stops) != 2 || stops[0].Scope != (adg.Scope{}) {
		t.Errorf("stopped are %+v, %v", stops, err)
	}
	must(t, restored.ResumeLine(t.Context(), adg.Scope{}, "ann"))
	for n := range before + 1 {
		if _, err := restored.Document(t.Context(), "op", fmt.Sprint(n)); err != nil {
			t.Errorf("the document %d was acknowledged before, and is not there: %v", n, err)
		}
	}
	seq, digest := int64(0), ""
	for {
		page, err := restored.Audit(t.Context(), adg.AuditFilter{After: seq, Limit: 1000})
		must(t, err)
		must(t, adg.VerifyAudit(seq, digest, page))
		if len(page) == 0 {
			break
		}
		seq, digest = page[len(page)-1].Seq, page[len(page)-1].Digest
	}
	if seq <= int64(before) {
		t.Errorf("%d audit entries were restored", seq)
	}
	want, got := told(t, s), told(t, restored)
	delete(want, "audit") // which has gone on
	delete(got, "audit")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("restored is something else (-before +after):\n%s", diff)
	}
	create(t, restored, "new", "other") // numbers go on
	if _, err := restored.AppendAudit(t.Context(), adg.AuditEntry{Actor: "ann"}); err != nil {
		t.Error(err)
	}
	if err := deleteAudit(t, restored); err == nil {
		t.Error("the restored audit log is not append-only any more")
	}
}

// afterRestore is what the handbook has people say before a server starts.
var afterRestore = []string{
	"UPDATE deployments SET fence = fence + 4294967296 WHERE live;",
	"INSERT INTO stops (service, environment, actor, reason, at) VALUES ('', '', 'restore', 'restored from a backup', adg_now()) ON CONFLICT DO NOTHING;",
}

func deleteAudit(t *testing.T, s *Store) error {
	t.Helper()
	_, err := s.pool.Exec(t.Context(), "DELETE FROM audit")
	return err
}
