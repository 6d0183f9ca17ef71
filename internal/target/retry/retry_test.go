package retry

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/targettest"
)

func TestRetryKeepsTheContract(t *testing.T) {
	targettest.Run(t, targettest.Case{
		Open: func(*testing.T) targettest.Fixture {
			m := targettest.NewMemory()
			target := New(m, Options{First: time.Millisecond, Max: 2 * time.Millisecond})
			return targettest.Fixture{Target: target, World: m, Reopen: func(*testing.T) adg.Target { return target }}
		},
		Faults: []targettest.Fault{targettest.Unreachable, targettest.Hang, targettest.Lie}, Fences: true,
	})
}

// flaky fails as often as it has errors, then works.
type flaky struct {
	*targettest.Memory
	errs  []error
	calls int
}

func (f *flaky) fail() error {
	f.calls++
	if f.calls <= len(f.errs) {
		return f.errs[f.calls-1]
	}
	return nil
}

func (f *flaky) Apply(ctx context.Context, want adg.Desired) (adg.Observed, error) {
	if err := f.fail(); err != nil {
		return adg.Observed{}, err
	}
	return f.Memory.Apply(ctx, want)
}

func (f *flaky) Current(ctx context.Context) (adg.Observed, error) {
	if err := f.fail(); err != nil {
		return adg.Observed{}, err
	}
	return f.Memory.Current(ctx)
}

func TestOnlyWhatMayPassIsTriedAgain(t *testing.T) {
	busy := adg.Errorf(adg.Unavailable, "busy")
	for _, c := range []struct {
		name   string
		errs   []error
		limit  time.Duration // of the context
		calls  int
		ok     bool
		least  time.Duration
		most   time.Duration
		saying string
	}{
		{"works at once", nil, time.Hour, 1, true, 0, 0, ""},
		{"a hiccup", []error{busy}, time.Hour, 2, true, 500 * time.Millisecond, time.Second, ""},
		{"two hiccups", []error{busy, busy}, time.Hour, 3, true, 1500 * time.Millisecond, 3 * time.Second, ""},
		{"the waits are bounded", []error{busy, busy, busy, busy}, time.Hour, 5, true, 4500 * time.Millisecond, 9 * time.Second, ""},
		{"never works", []error{busy, busy, busy, busy, busy, busy}, time.Hour, 5, false, 0, 9 * time.Second, "tried 5 times: busy"},
		{"permanent", []error{adg.Permanent(busy)}, time.Hour, 1, false, 0, 0, "busy"},
		{"fenced", []error{adg.ErrFenced}, time.Hour, 1, false, 0, 0, "another owner"},
		{"asked to wait", []error{adg.Throttled(busy, 7*time.Minute)}, time.Hour, 2, true, 7 * time.Minute, 7 * time.Minute, ""},
		{"asked to wait without a time", []error{adg.Throttled(busy, 0)}, time.Hour, 2, true, 500 * time.Millisecond, time.Second, ""},
		{"asked to wait for longer than there is time", []error{adg.Throttled(busy, 7*time.Minute)}, time.Minute, 1, false, 0, 0, "busy"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for name, call := range map[string]func(adg.Target, context.Context) error{
					"Apply": func(target adg.Target, ctx context.Context) error {
						_, err := target.Apply(ctx, targettest.Want("d/1", 1, 100))
						return err
					},
					"Current": func(target adg.Target, ctx context.Context) error { _, err := target.Current(ctx); return err },
				} {
					f := &flaky{Memory: targettest.NewMemory(), errs: c.errs}
					ctx, cancel := context.WithTimeout(t.Context(), c.limit)
					begin := time.Now()
					err := call(New(f, Options{Attempts: 5, First: time.Second, Max: 3 * time.Second}), ctx)
					cancel()
					took := time.Since(begin)
					if f.calls != c.calls || (err == nil) != c.ok || took < c.least || took > c.most {
						t.Errorf("%s: %d calls in %s, %v; want %d in %s to %s", name, f.calls, took, err, c.calls, c.least, c.most)
					}
					if err != nil && (!strings.Contains(err.Error(), c.saying) || !errors.Is(err, c.errs[0])) {
						t.Errorf("%s: error %v, want %q", name, err, c.saying)
					}
				}
			})
		})
	}
}

func TestACancelledContextStartsNothingAndEndsAWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &flaky{Memory: targettest.NewMemory(), errs: []error{adg.Throttled(errors.New("busy"), time.Hour)}}
		target := New(f, Options{})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, cancel)
		begin := time.Now()
		if _, err := target.Apply(ctx, targettest.Want("d/1", 1, 100)); err == nil || time.Since(begin) != time.Minute || f.calls != 1 {
			t.Errorf("%v after %s and %d calls", err, time.Since(begin), f.calls)
		}
		if _, err := target.Apply(ctx, targettest.Want("d/1", 1, 100)); err == nil || f.calls != 1 {
			t.Errorf("%v after %d calls", err, f.calls)
		}
	})
}

func TestClosingPassesThrough(t *testing.T) {
	m := targettest.NewMemory()
	if err := New(m, Options{}).(io.Closer).Close(); err != nil || !m.Closed {
		t.Errorf("closed: %v, %v", m.Closed, err)
	}
}
