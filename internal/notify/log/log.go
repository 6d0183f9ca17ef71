// Package log tells facts to a file, one JSON object per line, or to the process's own log.
package log

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/deployguardian/adg"
)

// Options are the notifier's settings.
type Options struct {
	Path string `yaml:"path" doc:"File that one JSON object per fact is appended to; on a server, in a folder of its files.allow. Without it, facts go to the log of the process."`
}

// Driver opens notifiers of type log.
var Driver = adg.NewNotifierDriver("log", "Writes facts to a file or to the log.", Options{}, open)

// Private

func open(_ context.Context, o Options, host adg.Host) (adg.Notifier, error) {
	if o.Path == "" {
		return logger{host.Log}, nil
	}
	path, err := filepath.Abs(o.Path)
	if err != nil {
		return nil, adg.Errorf(adg.Invalid, "notifier %s: %w", host.Name, err)
	}
	if err := host.MayWrite(path); err != nil {
		return nil, fmt.Errorf("notifier %s: %w", host.Name, err)
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
		return nil, adg.Errorf(adg.Invalid, "notifier %s: there is no directory %s: create it, or name another path", host.Name, filepath.Dir(path))
	}
	return file{path}, nil
}

// file appends lines. Each fact is one write of one line to a file opened for appending, so that lines of several
// processes do not mix.
type file struct{ path string }

// Notify appends the fact and waits until it is on disk.
func (n file) Notify(ctx context.Context, f adg.Fact) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	line, err := json.Marshal(harmless(f))
	if err != nil {
		return adg.Permanent(fmt.Errorf("writing fact %s as JSON: %w", f.ID, err))
	}
	out, err := os.OpenFile(n.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return adg.Errorf(adg.Unavailable, "opening the file of facts: %w", err)
	}
	_, err = out.Write(append(line, '\n'))
	if err == nil {
		err = out.Sync()
	}
	if closed := out.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return adg.Errorf(adg.Unavailable, "appending to %s: %w", n.path, err)
	}
	return nil
}

// logger tells the process's log.
type logger struct{ log *slog.Logger }

// Notify logs the fact, as a warning where people have to act.
func (n logger) Notify(ctx context.Context, f adg.Fact) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	f = harmless(f)
	level := slog.LevelInfo
	if f.Urgent {
		level = slog.LevelWarn
	}
	to := n.log
	if f.Link != "" {
		to = to.With("link", f.Link)
	}
	if f.Kind == adg.FactChanged {
		to = to.With("action", f.Action, "resource", f.Resource, "actor", f.Actor, "via", f.Via)
	}
	to.Log(ctx, level, f.Text, "fact", f.Kind.String(), "id", f.ID, "deployment", f.Deployment, "service", f.Service,
		"environment", f.Environment, "release", f.Release, "last_good", f.LastGood, "state", f.State.String(), "reasons", f.Reasons)
	return nil
}

// harmless replaces what a terminal that shows the file would act on.
func harmless(f adg.Fact) adg.Fact {
	f.Text, f.Actor, f.Resource = adg.Printable(f.Text), adg.Printable(f.Actor), adg.Printable(f.Resource)
	reasons := make([]string, len(f.Reasons))
	for i, r := range f.Reasons {
		reasons[i] = strings.ReplaceAll(adg.Printable(r), "\n", " ")
	}
	f.Reasons = reasons
	return f
}
