// Package sourcetest is the conformance suite of the Source seam: what every source must do, on good days and on bad
// ones. A bug found in one source becomes a case here.
package sourcetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg"
)

// Case is one source as the suite needs it.
type Case struct {
	// Open gives a source in front of the real thing. The suite closes it.
	Open func(t *testing.T) adg.Source
	// Good is answered with samples. It has variables, all in use, with values that no language needs to escape.
	Good adg.Query
	// Empty is answered without samples; without Text: there is no such query (a probe always says something).
	Empty adg.Query
	// Bad can never be answered; without Text: every text is good.
	Bad adg.Query
	// Lines is answered with lines of a log, of which there are more than one, and has variables as Good has; without Text:
	// the source gives none. LineServer gives a source for it; nil: Open's.
	Lines      adg.LinesQuery
	LineServer func(t *testing.T) adg.Source
	// Probe tells that a server that misbehaves is an answer (one series, one sample: 0 or 1) and not an error.
	Probe bool

	// Faulty gives a source whose server is at address (host:port, plain HTTP or TCP), with every option that is a
	// secret set to the canary (the user of a password is "user") and limits of time of at least
	// two minutes, so that a call that ends sooner did so because it was told to; nil: the source has no server.
	Faulty func(t *testing.T, address string, canary adg.Secret) adg.Source
	// ErrorBody is what the server says with status 200 when it failed; empty: it has no such answers.
	ErrorBody string
	// TooMany is an answer with more series than the source accepts; empty: the source has no such answers.
	TooMany string
}

// Run runs the suite.
func Run(t *testing.T, c Case) {
	t.Run("a good query is answered with samples in order", func(t *testing.T) { good(t, c) })
	t.Run("no data is no error", func(t *testing.T) { empty(t, c) })
	t.Run("what can never be answered is permanent and invalid", func(t *testing.T) { bad(t, c) })
	t.Run("the lent query is not written to", func(t *testing.T) { lent(t, c) })
	t.Run("concurrent questions are all answered", func(t *testing.T) { concurrent(t, c) })
	t.Run("a context cancelled before ends the call", func(t *testing.T) { cancelledBefore(t, c) })
	if c.Lines.Text != "" {
		runLines(t, c)
	}
	if c.Faulty == nil {
		return
	}
	t.Run("nothing is sent with a context cancelled before", func(t *testing.T) { nothingSent(t, c) })
	t.Run("a context cancelled while the server hangs ends the call", func(t *testing.T) { cancelledDuring(t, c) })
	t.Run("a deadline ends the call", func(t *testing.T) { deadline(t, c) })
	for _, f := range faults(c) {
		t.Run(f.name, func(t *testing.T) { misbehaving(t, c, f) })
	}
}

// Private

// prompt is how long a call may still take after it was cancelled; generous, for loaded machines.
const prompt = time.Minute

func open(t *testing.T, source adg.Source) adg.Source {
	t.Helper()
	if closer, ok := source.(io.Closer); ok {
		t.Cleanup(func() {
			if err := closer.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
	return source
}

func good(t *testing.T, c Case) {
	answer, err := open(t, c.Open(t)).Query(t.Context(), c.Good)
	if err != nil {
		t.Fatal(err)
	}
	if n := wellFormed(t, answer); n == 0 {
		t.Errorf("no samples for %q", answer.Sent)
	}
	if c.Probe {
		oneBit(t, answer)
	}
	if len(c.Good.Vars) == 0 {
		t.Error("the case's good query uses no variable")
	}
	for name, value := range c.Good.Vars {
		if !strings.Contains(answer.Sent, value) || strings.Contains(answer.Sent, "$"+name) {
			t.Errorf("Sent is %q: $%s is not expanded to %s", answer.Sent, name, value)
		}
	}
}

// wellFormed counts the samples of an answer.
func wellFormed(t *testing.T, answer adg.Answer) int {
	t.Helper()
	n := 0
	for _, series := range answer.Series {
		n += len(series.Samples)
		for i, sample := range series.Samples {
			if sample.At.IsZero() || sample.At.Location() != time.UTC {
				t.Errorf("%v: a sample at %v", series.Labels, sample.At)
			}
			if i > 0 && sample.At.Before(series.Samples[i-1].At) {
				t.Errorf("%v: samples are not in order", series.Labels)
			}
		}
	}
	return n
}

// oneBit holds a probe to its form.
func oneBit(t *testing.T, answer adg.Answer) {
	t.Helper()
	if len(answer.Series) != 1 || len(answer.Series[0].Samples) != 1 {
		t.Fatalf("a probe answers with one sample of one series: %+v", answer.Series)
	}
	switch answer.Series[0].Samples[0].Value {
	case 1:
	case 0:
		if len(answer.Warnings) == 0 {
			t.Error("a failed probe says why in its warnings")
		}
	default:
		t.Errorf("a probe says 0 or 1: %+v", answer.Series)
	}
}

func empty(t *testing.T, c Case) {
	if c.Empty.Text == "" {
		return // such a source always says something
	}
	answer, err := open(t, c.Open(t)).Query(t.Context(), c.Empty)
	if err != nil {
		t.Fatal(err)
	}
	if n := wellFormed(t, answer); n != 0 {
		t.Errorf("%d samples for %q", n, answer.Sent)
	}
}

func bad(t *testing.T, c Case) {
	source := open(t, c.Open(t))
	unknownKind, unknownVariable := c.Good, c.Good
	unknownKind.Kind = 99
	unknownVariable.Text += "$nobody_defined_this"
	queries := map[string]adg.Query{"a kind that does not exist": unknownKind, "an unknown variable": unknownVariable}
	if c.Bad.Text != "" {
		queries["the case's bad query"] = c.Bad
	}
	if c.Probe {
		ranged := c.Good
		ranged.Kind, ranged.Step = adg.Range, time.Second
		queries["a range of a probe"] = ranged
	}
	for name, q := range queries {
		_, err := source.Query(t.Context(), q)
		if !adg.IsPermanent(err) || adg.CodeOf(err) != adg.Invalid {
			t.Errorf("%s: %v (permanent %v, code %s)", name, err, adg.IsPermanent(err), adg.CodeOf(err))
		}
	}
}

func lent(t *testing.T, c Case) {
	q := c.Good
	q.Vars = maps.Clone(c.Good.Vars)
	if _, err := open(t, c.Open(t)).Query(t.Context(), q); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c.Good.Vars, q.Vars); diff != "" {
		t.Errorf("variables before and after:\n%s", diff)
	}
}

func concurrent(t *testing.T, c Case) {
	source := open(t, c.Open(t))
	var asked sync.WaitGroup
	for range 8 {
		asked.Go(func() {
			for range 3 {
				answer, err := source.Query(t.Context(), c.Good)
				if err != nil || len(answer.Series) == 0 {
					t.Errorf("%d series, %v", len(answer.Series), err)
				}
			}
		})
	}
	asked.Wait()
}

var errStop = errors.New("the operator said stop")

func cancelledBefore(t *testing.T, c Case) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errStop)
	endsWith(t, open(t, c.Open(t)), ctx, c.Good, errStop)
}

// endsWith asks and wants the error of a context that is or becomes done.
func endsWith(t *testing.T, source adg.Source, ctx context.Context, q adg.Query, want error) { //nolint:revive // the context is what is tested
	t.Helper()
	begin := time.Now()
	_, err := source.Query(ctx, q)
	if !errors.Is(err, want) || adg.IsPermanent(err) {
		t.Errorf("error %v (permanent %v), want one that wraps %q", err, adg.IsPermanent(err), want)
	}
	if took := time.Since(begin); took > prompt {
		t.Errorf("the call went on for %s", took)
	}
	withoutSecrets(t, adg.Answer{}, err)
}

func nothingSent(t *testing.T, c Case) {
	b := start(t, fault{serve: garbage})
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errStop)
	endsWith(t, open(t, c.Faulty(t, b.address, adg.NewSecret(Canary))), ctx, c.Good, errStop)
	if n := b.connections.Load(); n != 0 {
		t.Errorf("%d connections were made", n)
	}
}

func cancelledDuring(t *testing.T, c Case) {
	b := start(t, fault{serve: hang})
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	go func() {
		select {
		case <-b.asked:
		case <-b.quit:
		}
		cancel(errStop)
	}()
	source := open(t, c.Faulty(t, b.address, adg.NewSecret(Canary)))
	if c.Probe {
		answeredOr(t, source, ctx, c.Good, errStop)
		return
	}
	endsWith(t, source, ctx, c.Good, errStop)
}

// answeredOr is endsWith for probes, which may be done before the context is: a connection may be all they want.
func answeredOr(t *testing.T, source adg.Source, ctx context.Context, q adg.Query, want error) { //nolint:revive // see endsWith
	t.Helper()
	begin := time.Now()
	answer, err := source.Query(ctx, q)
	if err == nil {
		oneBit(t, answer)
		if answer.Series[0].Samples[0].Value == 0 {
			t.Error("a probe that was cancelled says nothing about the service, least of all that it failed")
		}
	} else if !errors.Is(err, want) || adg.IsPermanent(err) {
		t.Errorf("error %v (permanent %v), want one that wraps %q", err, adg.IsPermanent(err), want)
	}
	if took := time.Since(begin); took > prompt {
		t.Errorf("the call went on for %s", took)
	}
}

func deadline(t *testing.T, c Case) {
	b := start(t, fault{serve: hang})
	source := open(t, c.Faulty(t, b.address, adg.NewSecret(Canary)))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if c.Probe {
		answeredOr(t, source, ctx, c.Good, context.DeadlineExceeded)
		return
	}
	endsWith(t, source, ctx, c.Good, context.DeadlineExceeded)
}

func misbehaving(t *testing.T, c Case, f fault) {
	b := start(t, f)
	source := open(t, c.Faulty(t, b.address, adg.NewSecret(Canary)))
	answer, err := source.Query(t.Context(), c.Good)
	withoutSecrets(t, answer, err)
	if served := b.served.Load(); served > maxServed {
		t.Errorf("%d MiB were read", served>>20)
	}
	if c.Probe {
		if err == nil {
			oneBit(t, answer)
		}
		return
	}
	if err == nil {
		t.Fatalf("no error, but %+v", answer)
	}
	if code := adg.CodeOf(err); code != f.code || adg.IsPermanent(err) != f.permanent {
		t.Errorf("code %s, permanent %v: %v", code, adg.IsPermanent(err), err)
	}
	if wait, throttled := adg.RetryAfter(err); throttled != (f.wait > 0) || wait != f.wait {
		t.Errorf("throttled %v, to wait %s: %v", throttled, wait, err)
	}
	if !strings.Contains(err.Error(), f.says) {
		t.Errorf("%q does not say %q", err, f.says)
	}
}

// withoutSecrets looks for the canary in everything that people and logs may see.
func withoutSecrets(t *testing.T, answer adg.Answer, err error) {
	t.Helper()
	text := fmt.Sprintf("%+v", answer)
	for e := err; e != nil; e = errors.Unwrap(e) {
		text += fmt.Sprintf(" %v %+v %s %q", e, e, e, e)
	}
	for _, form := range canaryForms() {
		if strings.Contains(text, form) {
			t.Errorf("the secret (as %s) shows up in %s", form, text)
		}
	}
}
