package pipeline

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/deployguardian/adg"
)

// Private

const (
	maxLogs = 16 // logs of runs that are kept
	// nobody is the operation of a target that has no run: what is at rest is not what was asked for.
	nobody = "none"
	// again is how long a log that could not be read is not asked for again: it may be large.
	again = time.Minute
)

// tail is the end of a run's log, or why there is none.
type tail struct {
	text  string
	until time.Time // zero: for ever
}

// observe says what a look at the newest run means. The pipeline's word that it succeeded is not enough where the policy
// says how to find out what is live.
func (t *Target) observe(ctx context.Context, s sight) (adg.Observed, error) {
	seen := adg.Observed{Done: true, OpID: nobody, Text: "no run of adg is there yet"}
	switch {
	case s.wanted != "":
		seen = adg.Observed{OpID: s.wanted, Text: "the run of operation " + s.wanted + " has not been started, or does not show yet"}
	case s.found:
		state := s.run.State
		seen = adg.Observed{
			OpID: s.run.Tag.Op, Text: t.printable(s.run.text() + s.since),
			Done: state == Succeeded, Failed: state.Ended() && state != Succeeded,
		}
		if state.Ended() && state != Gone {
			seen.Log = t.log(ctx, s.run)
		}
	}
	if t.witness == nil {
		return seen, nil
	}
	live, err := t.witness.Ask(ctx)
	if err != nil {
		return adg.Observed{}, err
	}
	seen.Releases = []adg.Placement{{Release: adg.Release{Version: live}, Share: 100, Role: adg.StableRole}}
	if s.found && seen.Done && live != s.run.Tag.Version {
		seen.Done = false
		seen.Text += fmt.Sprintf("; but %s is live, and not %s", live, s.run.Tag.Version)
	}
	return seen, nil
}

// log is the tail of a run's log, read once, or not again for a while. That it cannot be read is no reason not to know how the run ended.
func (t *Target) log(ctx context.Context, run Run) string {
	t.mu.Lock()
	kept, known := t.logs[run.ID]
	t.mu.Unlock()
	if known && (kept.until.IsZero() || time.Until(kept.until) > 0) { //nolint:forbidigo // requests are counted in real time
		return kept.text
	}
	raw, err := t.s.Platform.Tail(ctx, run)
	if err != nil && ctx.Err() != nil {
		return t.printable("the log could not be read: " + err.Error())
	}
	kept = tail{text: adg.LogTail(t.redact(raw))}
	if err != nil {
		kept = tail{t.printable("the log could not be read: " + err.Error()), time.Now().Add(again)} //nolint:forbidigo // as above
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.logs) >= maxLogs {
		clear(t.logs)
	}
	t.logs[run.ID] = kept
	return kept.text
}

// printable is a sentence without secrets and of bounded length.
func (t *Target) printable(text string) string {
	const longest = 1000
	text = adg.Printable(t.redact(text))
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + "…"
	}
	return text
}
