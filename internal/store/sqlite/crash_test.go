package sqlite

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/deployguardian/adg"
)

// childDir names the data directory that this program writes to, when it is run to be killed; childLife is the number
// of that life. Each begins an hour later, so that the leases of the one before have expired.
const (
	childDir  = "ADG_SQLITE_TEST_DIR"
	childLife = "ADG_SQLITE_TEST_LIFE"
)

const childLease = 30 * time.Minute

// TestMain is also the process that tests kill, and the one that writes beside.
func TestMain(m *testing.M) {
	if n, err := strconv.Atoi(os.Getenv(childBeside)); err == nil {
		if err := keepBeside(os.Getenv(childDir), n, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if dir := os.Getenv(childDir); dir != "" {
		fmt.Fprintln(os.Stderr, commitForEver(dir, os.Stdout))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

func TestNothingThatWasAcknowledgedIsLostWhenTheProcessIsKilled(t *testing.T) {
	dir := t.TempDir()
	acknowledged := map[string]bool{} // "begun d0/17", "ended d0/17", "measured d0/17", "wrote d0/17"
	for life := range 12 {
		for _, line := range killed(t, dir, life, 3+rand.IntN(30)) {
			acknowledged[line] = true
		}
		s, err := Open(t.Context(), dir, Options{})
		must(t, err)
		integrity(t, s)
		known := recorded(t, s)
		for line := range acknowledged {
			if !known[line] {
				t.Errorf("life %d: %q was acknowledged and is not there", life, line)
			}
		}
		must(t, s.Close())
	}
	if len(acknowledged) < 12*3 {
		t.Errorf("only %d commits were acknowledged", len(acknowledged))
	}
}

// killed runs the child until it has acknowledged so many commits, and gives all lines that it got to write.
func killed(t *testing.T, dir string, life, after int) (lines []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	child := exec.CommandContext(ctx, os.Args[0])
	child.Env = append(os.Environ(), childDir+"="+dir, fmt.Sprintf("%s=%d", childLife, life))
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	must(t, err)
	must(t, child.Start())
	for written := bufio.NewReader(out); ; {
		line, err := written.ReadString('\n')
		if err != nil {
			break // with half a line, perhaps: that commit was not acknowledged
		}
		lines = append(lines, strings.TrimSpace(line))
		if len(lines) == after {
			must(t, child.Process.Kill())
		}
	}
	_ = child.Wait() // it says that it was killed
	if len(lines) < after {
		t.Fatalf("the child wrote %d lines only", len(lines))
	}
	return lines
}

// recorded are the lines of all commits that the store knows.
func recorded(t *testing.T, s *Store) map[string]bool {
	t.Helper()
	lines := map[string]bool{}
	all, err := s.ListDeployments(t.Context(), adg.DeploymentFilter{})
	must(t, err)
	for _, d := range all {
		told := map[string]bool{}
		facts, err := s.Facts(t.Context(), d.ID)
		must(t, err)
		for _, f := range facts {
			told[f.ID] = true
		}
		effects, err := s.Effects(t.Context(), d.ID)
		must(t, err)
		for _, e := range effects {
			op := e.Desired.OpID
			lines["begun "+op] = told[op+"/f1"] && told[op+"/f2"]
			lines["ended "+op] = e.Outcome != nil
		}
		assessments, err := s.Assessments(t.Context(), d.ID, adg.MeasurementFilter{Limit: maxRows})
		must(t, err)
		for _, a := range assessments {
			lines["measured "+a.Text] = true
		}
	}
	wrote(t, s, lines)
	return lines
}

// wrote adds the lines of all documents, each of which has an entry in a whole audit log.
func wrote(t *testing.T, s *Store, lines map[string]bool) {
	t.Helper()
	audited := map[string]bool{}
	for seq, prev := int64(0), ""; ; {
		page, err := s.Audit(t.Context(), adg.AuditFilter{After: seq, Limit: 1000})
		must(t, err)
		must(t, adg.VerifyAudit(seq, prev, page))
		if len(page) == 0 {
			break
		}
		for _, e := range page {
			audited[e.Resource] = true
		}
		seq, prev = page[len(page)-1].Seq, page[len(page)-1].Digest
	}
	for after := ""; ; {
		page, err := s.ListDocuments(t.Context(), adg.DocumentFilter{Kind: "op", After: after, Limit: 1000})
		must(t, err)
		if len(page) == 0 {
			break
		}
		for _, d := range page {
			if lines["wrote "+d.Key] = true; !audited[d.Key] {
				t.Errorf("the document of %s is there, and not on record", d.Key)
			}
			delete(audited, d.Key)
			after = d.Key
		}
	}
	for key := range audited {
		t.Errorf("the document of %s is on record, and not there", key)
	}
}

// commitForEver begins and ends effects of several deployments, and says which commits have returned.
func commitForEver(dir string, out io.Writer) error {
	ctx := context.Background()
	hours, _ := strconv.Atoi(os.Getenv(childLife)) // 0 where it is not set
	s, err := Open(ctx, dir, Options{Clock: func() time.Time { return time.Now().Add(time.Duration(hours) * time.Hour) }})
	if err != nil {
		return err
	}
	for i := range 4 {
		id := fmt.Sprintf("d%d", i)
		d := adg.Deployment{ID: id, Spec: adg.Spec{Policy: adg.Policy{Service: id, Environment: "bench", Checks: []adg.Check{{Name: "errors"}}}}}
		if err := s.CreateDeployment(ctx, d); err != nil && adg.CodeOf(err) != adg.Conflict {
			return err
		}
	}
	work, err := s.Take(ctx, "child", childLease, 4)
	if err != nil {
		return err
	}
	if len(work) != 4 {
		return fmt.Errorf("took %d deployments of 4", len(work))
	}
	var all sync.WaitGroup
	failed := make([]error, len(work))
	for i, w := range work {
		all.Go(func() { failed[i] = life(ctx, s, w, out) })
	}
	all.Wait()
	return errors.Join(failed...)
}

func life(ctx context.Context, s *Store, w adg.Work, out io.Writer) (err error) {
	commit := func(tick adg.Tick, what, op string) {
		if err != nil {
			return
		}
		tick.Lease, tick.GiveBack = w.Lease, false
		if w.Deployment, err = s.Commit(ctx, tick); err == nil {
			_, err = fmt.Fprintln(out, what, op)
		}
	}
	op := ""
	if w.Open != nil {
		op = w.Open.Desired.OpID
	}
	for err == nil {
		if op == "" {
			op = fmt.Sprintf("%s/%d", w.Deployment.ID, w.Deployment.Version)
			tick := eventful(w, op)
			tick.Decision.Slot = 0
			commit(tick, "begun", op)
			if _, failed := s.WriteDocuments(ctx, []adg.Write{{Document: adg.Document{Kind: "op", Key: op}}}, adg.AuditEntry{Resource: op}); failed != nil {
				return failed
			}
			if _, err := fmt.Fprintln(out, "wrote", op); err != nil {
				return err
			}
		}
		tick := plain(w)
		tick.Input.Assessment.Text = op
		commit(tick, "measured", op)
		tick = plain(w)
		tick.Input.Outcome = &adg.Outcome{OpID: op}
		commit(tick, "ended", op)
		op = ""
	}
	return err
}
