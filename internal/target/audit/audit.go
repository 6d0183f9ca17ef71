// Package audit wraps a target so that every change that was asked of it is on record: what, by whom, with which
// outcome.
package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/deployguardian/adg"
)

// FileName is the file in the target's directory that the records are appended to.
const FileName = "audit.jsonl"

// Record is one line of the file.
type Record struct {
	At         time.Time       `json:"at"` // when the call began
	Target     string          `json:"target"`
	OpID       string          `json:"op_id"`
	Deployment string          `json:"deployment"`
	Fence      int64           `json:"fence"`
	Rollback   bool            `json:"rollback,omitempty"`
	Want       []adg.Placement `json:"want"`
	TookMS     int64           `json:"took_ms"`
	Seen       []adg.Placement `json:"seen,omitempty"`
	Done       bool            `json:"done"`
	Failed     bool            `json:"failed,omitempty"`
	Err        string          `json:"err,omitempty"`
	Permanent  bool            `json:"permanent,omitempty"`
}

// New wraps a target. Each Apply appends one line to FileName in host.Dir, on disk before Apply returns, and one to
// host.Log; Current changes nothing and is not recorded. A record that cannot be written is reported in the log and
// never keeps a rollback from happening.
//
// The file is opened for each line, so that it may be rotated at any time. Secrets are not in it: neither a state nor
// an error of a target holds any.
func New(inner adg.Target, host adg.Host) adg.Target {
	log := host.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &target{inner: inner, name: host.Name, path: filepath.Join(host.Dir, FileName), log: log}
}

// Private

type target struct {
	inner adg.Target
	name  string
	path  string
	log   *slog.Logger
	mu    sync.Mutex // one line at a time
}

// Can is what the target can.
func (t *target) Can() adg.Capabilities { return t.inner.Can() }

// Unwrap is the target: what it can do beyond a Target's methods is not recorded here.
func (t *target) Unwrap() adg.Target { return t.inner }

// Current reads the state.
func (t *target) Current(ctx context.Context) (adg.Observed, error) { return t.inner.Current(ctx) }

// Apply converges and writes down what came of it.
func (t *target) Apply(ctx context.Context, want adg.Desired) (adg.Observed, error) {
	begin := time.Now() //nolint:forbidigo // a record says when it really happened, and decides nothing
	seen, err := t.inner.Apply(ctx, want)
	r := Record{
		At: begin.UTC(), Target: t.name, OpID: want.OpID, Deployment: want.Deployment, Fence: want.Fence, Rollback: want.Rollback,
		Want: want.Releases, Seen: seen.Releases, Done: seen.Done, Failed: seen.Failed,
		TookMS: time.Since(begin).Milliseconds(), //nolint:forbidigo // see above
	}
	level := slog.LevelInfo
	if err != nil {
		r.Err, r.Permanent = err.Error(), adg.IsPermanent(err)
		level = slog.LevelWarn
	}
	t.log.LogAttrs(context.WithoutCancel(ctx), level, "the target was asked to change",
		slog.String("target", r.Target), slog.String("op", r.OpID), slog.String("deployment", r.Deployment), slog.Int64("fence", r.Fence),
		slog.Bool("rollback", r.Rollback), slog.Bool("done", r.Done), slog.Int64("took_ms", r.TookMS), slog.String("error", r.Err))
	if writing := t.append(r); writing != nil {
		t.log.Error("the audit record could not be written", "op", want.OpID, "error", writing)
	}
	return seen, err
}

// Close closes the target, where it can be closed.
func (t *target) Close() error {
	if c, ok := t.inner.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// append writes one line. If the last one was torn by a crash or a full disk, a line end comes first, so that the new
// one can be read.
func (t *target) append(r Record) (err error) {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := os.MkdirAll(filepath.Dir(t.path), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(t.path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if torn(file) {
		line = append([]byte{'\n'}, line...)
	}
	if _, err := file.Write(append(line, '\n')); err != nil {
		return err
	}
	return file.Sync()
}

func torn(file *os.File) bool {
	info, err := file.Stat()
	if err != nil || info.Size() == 0 {
		return false
	}
	last := make([]byte, 1)
	_, err = file.ReadAt(last, info.Size()-1)
	return err == nil && !bytes.Equal(last, []byte{'\n'})
}
