package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/config"
	"github.com/deployguardian/adg/internal/target"
)

// Wrap is what a world lays around the sources and notifiers that it opens, such as metrics.
type Wrap struct {
	Source   func(name string, s adg.Source) adg.Source
	Notifier func(name string, n adg.Notifier) adg.Notifier
}

// World opens the connections that deployments use, each on first use, and anew when it was changed. A deployment
// reaches only what is registered for its service and environment, whatever its policy says. All methods are safe for
// concurrent use.
type World struct {
	c    *Control
	wrap Wrap

	mu   sync.Mutex
	open map[string]*opened // by what was opened, and for whom
	used int64              // counts the uses, to know the oldest
}

// NewWorld makes the world of a control's connections.
func NewWorld(c *Control, w Wrap) *World {
	if w.Source == nil {
		w.Source = func(_ string, s adg.Source) adg.Source { return s }
	}
	if w.Notifier == nil {
		w.Notifier = func(_ string, n adg.Notifier) adg.Notifier { return n }
	}
	return &World{c: c, wrap: w, open: map[string]*opened{}}
}

// Source opens a source that the deployment may use.
func (w *World) Source(ctx context.Context, d adg.Deployment, name string) (adg.Source, error) {
	return connect(ctx, w, "source", name, d.Spec.Policy, func(i config.Instance, host adg.Host) (adg.Source, error) {
		at := slices.IndexFunc(w.c.o.Drivers.Sources, func(d adg.SourceDriver) bool { return d.Type == i.Type })
		s, err := w.c.o.Drivers.Sources[at].Open(context.WithoutCancel(ctx), i.Options, host)
		if err != nil {
			return nil, err
		}
		return w.wrap.Source(name, s), nil
	})
}

// Target opens the deployment's target: each call is audited and tried again where that can help.
func (w *World) Target(ctx context.Context, d adg.Deployment) (adg.Target, error) {
	name := d.Spec.Policy.Target
	if name == "" {
		return nil, adg.Permanent(adg.Errorf(adg.Invalid, "the policy names no target"))
	}
	return connect(ctx, w, "target", name, d.Spec.Policy, func(i config.Instance, host adg.Host) (adg.Target, error) {
		at := slices.IndexFunc(w.c.o.Drivers.Targets, func(d adg.TargetDriver) bool { return d.Type == i.Type })
		t, err := w.c.o.Drivers.Targets[at].Open(context.WithoutCancel(ctx), i.Options, host)
		if err != nil {
			return nil, err
		}
		return target.Wrap(t, target.WrapOptions{Host: host}), nil
	})
}

// Notifier opens a notifier. Which deployment it is for is not known here: policies were checked when they were put.
func (w *World) Notifier(ctx context.Context, name string) (adg.Notifier, error) {
	return connect(ctx, w, "notifier", name, adg.Policy{}, func(i config.Instance, host adg.Host) (adg.Notifier, error) {
		at := slices.IndexFunc(w.c.o.Drivers.Notifiers, func(d adg.NotifierDriver) bool { return d.Type == i.Type })
		n, err := w.c.o.Drivers.Notifiers[at].Open(context.WithoutCancel(ctx), i.Options, host)
		if err != nil {
			return nil, err
		}
		return w.wrap.Notifier(name, n), nil
	})
}

// Close closes whatever holds something open.
func (w *World) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var errs []error
	for _, o := range w.open {
		errs = append(errs, closeIt(o.it))
	}
	clear(w.open)
	return errors.Join(errs...)
}

// Private

// maxOpen is how many connections stay open; those that were not used for longest are closed.
const maxOpen = 2000

type opened struct {
	version int64 // of the connection's document
	it      any
	used    int64
}

// connect finds what is open, or opens it. A connection that was changed in the meantime is opened anew; what used the
// old one finishes with it.
func connect[T any](ctx context.Context, w *World, seam, name string, p adg.Policy, open func(config.Instance, adg.Host) (T, error)) (T, error) {
	var none T
	k, version, err := read[Connection](ctx, w.c, kindConnection, name)
	if adg.CodeOf(err) == adg.NotFound || err == nil && k.Seam != seam {
		return none, adg.Errorf(adg.NotFound, "there is no %s %q registered any more", seam, name)
	}
	if err != nil {
		return none, err
	}
	if seam != "notifier" && !k.Covers(p.Service, p.Environment) {
		return none, adg.Permanent(adg.Errorf(adg.Unauthorized, "the %s %q is not registered for %s in %s", seam, name, p.Service, p.Environment))
	}
	key := strings.Join([]string{seam, name}, "/")
	if k.personal() {
		key = strings.Join([]string{seam, name, p.Service, p.Environment}, "/")
		k.Options = personalised(k.Options, p)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.used++
	if o, found := w.open[key]; found && o.version == version {
		o.used = w.used
		return o.it.(T), nil
	}
	instance, err := w.c.opened(ctx, k)
	if err != nil {
		return none, fmt.Errorf("opening %s %s: %w", seam, name, err)
	}
	host := w.c.o.Host
	host.Name, host.Dir = name, filepath.Join(host.Dir, strings.ReplaceAll(key, "/", "-"))
	host.Log = w.c.o.Log.With(seam, name)
	it, err := open(instance, host)
	if err != nil {
		return none, fmt.Errorf("opening %s %s: %w", seam, name, err)
	}
	w.evict()
	w.open[key] = &opened{version: version, it: it, used: w.used}
	return it, nil
}

// evict closes the connection that was not used for longest, once there are too many.
func (w *World) evict() {
	if len(w.open) < maxOpen {
		return
	}
	oldest := ""
	for key, o := range w.open {
		if oldest == "" || o.used < w.open[oldest].used {
			oldest = key
		}
	}
	if err := closeIt(w.open[oldest].it); err != nil {
		w.c.o.Log.Warn("a connection that was not used any more could not be closed", "connection", oldest, "error", err)
	}
	delete(w.open, oldest)
}

// personal tells whether the options depend on the deployment.
func (k Connection) personal() bool {
	return strings.Contains(k.Options, "$service") || strings.Contains(k.Options, "$environment")
}

// personalised puts the deployment's names in. Their alphabet needs no escaping in JSON.
func personalised(options string, p adg.Policy) string {
	return strings.NewReplacer("$service", p.Service, "$environment", p.Environment).Replace(options)
}

func closeIt(x any) error {
	if c, ok := x.(io.Closer); ok {
		return c.Close()
	}
	return nil
}
