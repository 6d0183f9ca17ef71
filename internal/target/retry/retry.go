// Package retry wraps a target so that a hiccup is not taken for a failure: what may pass is tried again, a few times
// and ever later.
package retry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/deployguardian/adg"
)

// Options say how often and how late.
type Options struct {
	Attempts int           // in all; zero: 3
	First    time.Duration // the longest first wait; zero: 200 ms
	Max      time.Duration // the longest wait; zero: 5 s
}

// New wraps a target. A call is tried again if its error is neither Permanent nor ErrFenced and the context still has
// the time that the wait takes: a random part of a span that doubles each time, or what the target asked for with
// Throttled. The last error is returned. The same operation id goes along, so an attempt whose answer was lost is not
// done twice.
func New(inner adg.Target, o Options) adg.Target {
	if o.Attempts <= 0 {
		o.Attempts = 3
	}
	if o.First <= 0 {
		o.First = 200 * time.Millisecond
	}
	if o.Max <= 0 {
		o.Max = 5 * time.Second
	}
	return &target{inner, o}
}

// Private

type target struct {
	inner adg.Target
	o     Options
}

// Can is what the target can.
func (t *target) Can() adg.Capabilities { return t.inner.Can() }

// Unwrap is the target: what it can do beyond a Target's methods is not tried again.
func (t *target) Unwrap() adg.Target { return t.inner }

// Current reads the state.
func (t *target) Current(ctx context.Context) (adg.Observed, error) {
	return t.try(ctx, t.inner.Current)
}

// Apply converges.
func (t *target) Apply(ctx context.Context, want adg.Desired) (adg.Observed, error) {
	return t.try(ctx, func(ctx context.Context) (adg.Observed, error) { return t.inner.Apply(ctx, want) })
}

// Close closes the target, where it can be closed.
func (t *target) Close() error {
	if c, ok := t.inner.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

func (t *target) try(ctx context.Context, call func(context.Context) (adg.Observed, error)) (adg.Observed, error) {
	if cause := context.Cause(ctx); cause != nil {
		return adg.Observed{}, adg.Errorf(adg.Unavailable, "nothing was begun: %w", cause)
	}
	for attempt := 1; ; attempt++ {
		seen, err := call(ctx)
		switch {
		case err == nil:
			return seen, nil
		case adg.IsPermanent(err), errors.Is(err, adg.ErrFenced), ctx.Err() != nil:
			return seen, err
		case attempt == t.o.Attempts:
			return seen, fmt.Errorf("tried %d times: %w", attempt, err)
		}
		if !sleep(ctx, t.wait(attempt, err)) {
			return seen, err
		}
	}
}

// wait is random, so that those who failed together do not come back together.
func (t *target) wait(attempt int, err error) time.Duration {
	if asked, throttled := adg.RetryAfter(err); throttled && asked > 0 {
		return asked
	}
	span := t.o.First
	for range attempt - 1 {
		span = min(2*span, t.o.Max)
	}
	return span/2 + rand.N(span/2+1)
}

// sleep tells whether the wait passed; one that would outlast the context is not even begun.
func sleep(ctx context.Context, wait time.Duration) bool {
	if deadline, limited := ctx.Deadline(); limited && time.Until(deadline) <= wait { //nolint:forbidigo // a context's deadline is real time
		return false
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
