package audit

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/targettest"
)

func host(dir string, log io.Writer) adg.Host {
	return adg.Host{Name: "shop", Dir: dir, Log: slog.New(slog.NewTextHandler(log, nil))}
}

func TestAuditKeepsTheContract(t *testing.T) {
	targettest.Run(t, targettest.Case{
		Open: func(t *testing.T) targettest.Fixture {
			m := targettest.NewMemory()
			target := New(m, host(t.TempDir(), io.Discard))
			return targettest.Fixture{Target: target, World: m, Reopen: func(*testing.T) adg.Target { return target }}
		},
		Faults: []targettest.Fault{targettest.Unreachable, targettest.Hang, targettest.Halfway, targettest.Lie}, Fences: true,
	})
}

func records(t *testing.T, dir string) []Record {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, FileName))
	if err != nil {
		t.Fatal(err)
	}
	var all []Record
	for line := range strings.Lines(string(text)) {
		var r Record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Logf("unreadable line %q", line)
			continue
		}
		all = append(all, r)
	}
	return all
}

func TestEveryApplyIsOnRecordWithItsOutcome(t *testing.T) {
	dir, m, log := filepath.Join(t.TempDir(), "created"), targettest.NewMemory(), &bytes.Buffer{}
	target := New(m, host(dir, log))
	before := time.Now().UTC()
	if _, err := target.Apply(t.Context(), targettest.Want("d/1", 2, 25)); err != nil {
		t.Fatal(err)
	}
	if _, err := target.Current(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := target.Apply(t.Context(), targettest.Rollback("d/2", 1)); err == nil {
		t.Fatal("no error")
	}
	bad := targettest.Want("d/3", 2, 25)
	bad.Releases[0].Share = 60
	if _, err := target.Apply(t.Context(), bad); err == nil {
		t.Fatal("no error")
	}
	good, back := targettest.Want("d/1", 2, 25), targettest.Rollback("d/2", 1)
	want := []Record{
		{Target: "shop", OpID: "d/1", Deployment: good.Deployment, Fence: 2, Want: good.Releases, Seen: good.Releases, Done: true},
		{Target: "shop", OpID: "d/2", Deployment: good.Deployment, Fence: 1, Rollback: true, Want: back.Releases, Err: adg.ErrFenced.Error()},
		{Target: "shop", OpID: "d/3", Deployment: good.Deployment, Fence: 2, Want: bad.Releases, Err: "the shares add up to 135 %, not to 100", Permanent: true},
	}
	got := records(t, dir)
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Record{}, "At", "TookMS")); diff != "" {
		t.Error(diff)
	}
	if got[0].At.Before(before.Truncate(time.Second)) || got[0].At.After(time.Now()) {
		t.Errorf("at %s", got[0].At)
	}
	for _, part := range []string{"op=d/1", "op=d/2", "another owner", "level=WARN"} {
		if !strings.Contains(log.String(), part) {
			t.Errorf("%s is missing in the log:\n%s", part, log)
		}
	}
}

func TestConcurrentRecordsStayWhole(t *testing.T) {
	dir, m := t.TempDir(), targettest.NewMemory()
	var wg sync.WaitGroup
	for range 4 {
		target := New(m, host(dir, io.Discard)) // as several processes do
		wg.Go(func() {
			for range 10 {
				_, _ = target.Apply(t.Context(), targettest.Want("d/1", 1, 25))
			}
		})
	}
	wg.Wait()
	if got := len(records(t, dir)); got != 40 {
		t.Errorf("%d readable records, want 40", got)
	}
}

func TestATornLineDoesNotSpoilTheNextOne(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, FileName), []byte(`{"at":"2026-`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(targettest.NewMemory(), host(dir, io.Discard)).Apply(t.Context(), targettest.Want("d/1", 1, 25)); err != nil {
		t.Fatal(err)
	}
	if got := records(t, dir); len(got) != 1 || got[0].OpID != "d/1" {
		t.Errorf("got %+v", got)
	}
}

func TestADiskThatCannotBeWrittenDoesNotKeepARollbackFromHappening(t *testing.T) {
	file, log, m := filepath.Join(t.TempDir(), "file"), &bytes.Buffer{}, targettest.NewMemory()
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	seen, err := New(m, host(file, log)).Apply(t.Context(), targettest.Rollback("d/1", 1))
	if err != nil || !seen.Done {
		t.Errorf("%+v, %v", seen, err)
	}
	if !strings.Contains(log.String(), "could not be written") {
		t.Errorf("nobody was told: %s", log)
	}
}

func TestClosingPassesThrough(t *testing.T) {
	m := targettest.NewMemory()
	if err := New(m, adg.Host{}).(io.Closer).Close(); err != nil || !m.Closed {
		t.Errorf("closed: %v, %v", m.Closed, err)
	}
}
