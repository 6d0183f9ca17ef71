//go:build unix

package embedded_test

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/source/embedded"
)

func init() { children["fill"] = fill }

func TestAFullDiskIsToldAndQueriesGoOn(t *testing.T) {
	shop := expose(t, "colour 1\n")
	dir := t.TempDir()
	child := startChild(t, "fill", dir, "EMBEDDED_TEST_TARGET="+shop.address())
	output := child.end(t)
	for _, line := range []string{
		"scraped", "samples cannot be stored", "the target tells of it", "queries go on", "samples are stored again", "the target is up again",
	} {
		if !strings.Contains(output, line) {
			t.Errorf("the child does not say %q", line)
		}
	}
	again := startIn(t, options(), adg.Host{Dir: dir, Log: testLog(t)})
	if _, found := value(t, again, "last_over_time(colour[5m])"); !found {
		t.Error("what was stored is gone")
	}
}

// fill takes the room to write away from a source, and gives it back: no file may grow, as on a full disk.
func fill(dir string) int {
	signal.Ignore(syscall.SIGXFSZ)
	o := scraping(embedded.Job{Job: "shop", Targets: []string{os.Getenv("EMBEDDED_TEST_TARGET")}})
	s, err := openChild(dir, o)
	if err != nil {
		fmt.Println("error:", err)
		return 1
	}
	defer func() { _ = s.Close() }()
	target := func() embedded.TargetHealth { return s.Targets()[0] }
	answers := func() bool {
		a, err := s.Query(context.Background(), adg.Query{Text: "last_over_time(colour[5m])", At: time.Now()})
		return err == nil && len(a.Series) == 1
	}
	var before unix.Rlimit
	for _, step := range []struct {
		name string
		do   func() error
		done func() bool
	}{
		{"scraped", nil, answers},
		{"the target tells of it", func() error {
			if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &before); err != nil {
				return err
			}
			return unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 1, Max: before.Max})
		}, func() bool { h := target(); return !h.Up && strings.Contains(h.Err, "cannot be stored") }},
		{"queries go on", nil, answers},
		{"the target is up again", func() error { return unix.Setrlimit(unix.RLIMIT_FSIZE, &before) }, func() bool { return target().Up }},
	} {
		if step.do != nil {
			if err := step.do(); err != nil {
				fmt.Println("error:", err)
				return 1
			}
		}
		if !within(time.Minute, step.done) {
			fmt.Printf("error: not %s: %+v\n", step.name, target())
			return 1
		}
		fmt.Println(step.name)
	}
	return 0
}

func within(d time.Duration, ok func() bool) bool {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}
