package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/config"
	"github.com/deployguardian/adg/internal/notify"
	"github.com/deployguardian/adg/internal/source"
	"github.com/deployguardian/adg/internal/target"
)

// drivers are all that there are.
func drivers() config.Drivers {
	return config.Drivers{Sources: source.All, Targets: target.All, Notifiers: notify.All}
}

// world opens what one policy file names, each on first use, and closes all of it.
type world struct {
	file    config.File
	drivers config.Drivers
	dir     string // for the instances' own files; absolute
	log     *slog.Logger
	dryRun  bool

	mu        sync.Mutex
	sources   map[string]adg.Source
	targets   map[string]adg.Target
	notifiers map[string]adg.Notifier
}

// newWorld makes a world whose instances keep their files below dir.
func newWorld(file config.File, dir string, log *slog.Logger, dryRun bool) (*world, error) {
	whole, err := filepath.Abs(dir)
	if err != nil {
		return nil, adg.Errorf(adg.Unavailable, "finding the data directory %s: %w", dir, err)
	}
	return &world{
		file: file, drivers: drivers(), dir: whole, log: log, dryRun: dryRun,
		sources: map[string]adg.Source{}, targets: map[string]adg.Target{}, notifiers: map[string]adg.Notifier{},
	}, nil
}

// Source opens a source by its name in the policy.
func (w *world) Source(ctx context.Context, _ adg.Deployment, name string) (adg.Source, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s, ok := w.sources[name]; ok {
		return s, nil
	}
	instance, err := named(w.file.Sources, "source", name)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(w.drivers.Sources, func(d adg.SourceDriver) bool { return d.Type == instance.Type })
	s, err := w.drivers.Sources[i].Open(ctx, instance.Options, w.host("source", name))
	if err != nil {
		return nil, fmt.Errorf("opening source %s: %w", name, err)
	}
	w.sources[name] = s
	return s, nil
}

// Target opens the target in charge, wrapped: each call is audited and tried again where that can help, and a dry run
// changes nothing.
func (w *world) Target(ctx context.Context, d adg.Deployment) (adg.Target, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if d.Status.Fallback {
		return w.another(ctx, d.Target())
	}
	host := w.host("target", "target")
	host.Target = w.part
	return w.openTarget(ctx, w.file.Target, host)
}

// Notifier opens a notifier by its name in the policy.
func (w *world) Notifier(ctx context.Context, name string) (adg.Notifier, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n, ok := w.notifiers[name]; ok {
		return n, nil
	}
	instance, err := named(w.file.Notifiers, "notifier", name)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(w.drivers.Notifiers, func(d adg.NotifierDriver) bool { return d.Type == instance.Type })
	n, err := w.drivers.Notifiers[i].Open(ctx, instance.Options, w.host("notifier", name))
	if err != nil {
		return nil, fmt.Errorf("opening notifier %s: %w", name, err)
	}
	w.notifiers[name] = n
	return n, nil
}

// Open opens everything that the policy names, so that what is wrong with it is said before anything is deployed.
func (w *world) Open(ctx context.Context) error {
	var errs []error
	for _, s := range w.file.Sources {
		errs = append(errs, w.works(ctx, "source", s.Name))
	}
	for _, n := range w.file.Notifiers {
		errs = append(errs, w.works(ctx, "notifier", n.Name))
	}
	errs = append(errs, w.works(ctx, "target", "target"))
	for _, t := range w.file.Targets {
		errs = append(errs, w.works(ctx, "target", t.Name))
	}
	return errors.Join(errs...)
}

// Close closes whatever holds something open.
func (w *world) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var errs []error
	for _, s := range w.sources {
		errs = append(errs, closeIt(s))
	}
	for _, n := range w.notifiers {
		errs = append(errs, closeIt(n))
	}
	for _, t := range w.targets {
		errs = append(errs, closeIt(t))
	}
	return errors.Join(errs...)
}

// Private

// works opens an instance, and has it say what would keep it from working here.
func (w *world) works(ctx context.Context, seam, name string) error {
	check := func(c adg.Checker) error {
		if err := c.Check(); err != nil {
			return fmt.Errorf("%s: %w", titled(seam, name), err)
		}
		return nil
	}
	switch seam {
	case "source":
		s, err := w.Source(ctx, adg.Deployment{}, name)
		if c, can := s.(adg.Checker); err == nil && can {
			return check(c)
		}
		return err
	case "target":
		t, err := w.targetOf(ctx, name)
		if err != nil {
			return err
		}
		if c, can := adg.PowerOf[adg.Checker](t); can {
			return check(c)
		}
		return nil
	default:
		_, err := w.Notifier(ctx, name)
		return err
	}
}

// targetOf opens a target by its name: the one in charge, or one of the others.
func (w *world) targetOf(ctx context.Context, name string) (adg.Target, error) {
	if name == "target" {
		return w.Target(ctx, adg.Deployment{})
	}
	return w.part(ctx, name)
}

// titled is how an instance is named to people; the target in charge has no name of its own.
func titled(seam, name string) string {
	if seam == name {
		return seam
	}
	return seam + " " + name
}

// part opens another target than the first one. It is no composite one: who names parts is none.
func (w *world) part(ctx context.Context, name string) (adg.Target, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.another(ctx, name)
}

func (w *world) another(ctx context.Context, name string) (adg.Target, error) {
	instance, err := named(w.file.Targets, "target", name)
	if err != nil {
		return nil, err
	}
	return w.openTarget(ctx, instance, w.host("target", name))
}

// openTarget is for who holds the lock.
func (w *world) openTarget(ctx context.Context, instance config.Instance, host adg.Host) (adg.Target, error) {
	if t, open := w.targets[instance.Name]; open {
		return t, nil
	}
	i := slices.IndexFunc(w.drivers.Targets, func(d adg.TargetDriver) bool { return d.Type == instance.Type })
	if i < 0 {
		return nil, adg.Errorf(adg.Invalid, "the policy names no target: add one, as in target: {type: command, …}")
	}
	t, err := w.drivers.Targets[i].Open(ctx, instance.Options, host)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", titled("target", instance.Name), err)
	}
	w.targets[instance.Name] = target.Wrap(t, target.WrapOptions{DryRun: w.dryRun, Host: host})
	return w.targets[instance.Name], nil
}

func (w *world) host(seam, name string) adg.Host {
	return adg.Host{Name: name, Dir: filepath.Join(w.dir, seam+"-"+name), Log: w.log.With(seam, name), Commands: true}
}

func named(all []config.Instance, what, name string) (config.Instance, error) {
	i := slices.IndexFunc(all, func(x config.Instance) bool { return x.Name == name })
	if i < 0 {
		return config.Instance{}, adg.Permanent(adg.Errorf(adg.NotFound, "the policy has no %s %q", what, name))
	}
	return all[i], nil
}

func closeIt(x any) error {
	if c, ok := x.(io.Closer); ok {
		return c.Close()
	}
	return nil
}
