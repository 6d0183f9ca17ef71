//go:build unix

package linejudge_test

import (
	"syscall"
	"testing"
	"time"
)

// Seconds of a processor: what else the machine does is not this program's fault.
func TestAHundredThousandBucketsTakeSeconds(t *testing.T) {
	trace := scene{seconds: 100_000}.draw(4)
	line := request(trace, "")
	before := used(t)
	got, _ := judged(t, bySequence, line)
	took := used(t) - before
	if logE, _ := got[0]["log_e"].([]any); len(logE) != len(trace) {
		t.Errorf("%d numbers for %d buckets: %v", len(logE), len(trace), got[0]["error"])
	}
	if took > 30*time.Second {
		t.Errorf("took %s", took)
	}
}

// used is the time that processors have spent on this process.
func used(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
