package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/deployguardian/adg/bench/judge/trace"
	"github.com/deployguardian/adg/bench/judge/view"
)

// writeTraces writes n traces of healthy releases and of each fault of the usual world, or of the worlds that -only names.
func (b *bench) writeTraces(ctx context.Context) error {
	if err := os.MkdirAll(b.csv, 0o755); err != nil {
		return fmt.Errorf("making the folder of the traces: %w", err)
	}
	for _, s := range setups() {
		if s.world.Name != b.only && (b.only != "" || s.world.Name != "usual") {
			continue
		}
		for _, f := range append([]trace.Fault{healthy}, s.faults...) {
			failed := make([]error, b.n)
			err := b.each(ctx, &s.world, &f, csvTraces, b.n, func(i int, t *trace.Trace, _ *view.View) {
				failed[i] = writeTrace(filepath.Join(b.csv, fmt.Sprintf("%s-%s-%03d.csv", slug(s.world.Name), slug(f.Name), i)), t)
			})
			if err := errors.Join(append(failed, err)...); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("there is no world %q", b.only)
}

// Private

func writeTrace(name string, t *trace.Trace) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("making a trace: %w", err)
	}
	defer func() {
		if closed := f.Close(); err == nil {
			err = closed
		}
	}()
	return t.WriteCSV(f)
}

// slug is a name that a file can have anywhere.
func slug(name string) string {
	name = strings.NewReplacer("×", "x", "%", "pct", "+", "plus").Replace(strings.ToLower(name))
	return strings.Join(strings.FieldsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '.'
	}), "-")
}
