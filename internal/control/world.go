package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
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
	Source   func(name, kind string, s adg.Source) adg.Source
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

	health histories
}

// NewWorld makes the world of a control's connections.
func NewWorld(c *Control, w Wrap) *World {
	if w.Source == nil {
		w.Source = func(_, _ string, s adg.Source) adg.Source { return s }
	}
	if w.Notifier == nil {
		w.Notifier = func(_ string, n adg.Notifier) adg.Notifier { return n }
	}
	return &World{c: c, wrap: w, open: map[string]*opened{}, health: histories{of: map[string]*history{}}}
}

// Source opens a source that the deployment may use.
func (w *World) Source(ctx context.Context, d adg.Deployment, name string) (adg.Source, error) {
	return connect(ctx, w, "source", name, d.Spec.Policy, w.openSource)
}

// Target opens the deployment's target: each call is audited and tried again where that can help.
func (w *World) Target(ctx context.Context, d adg.Deployment) (adg.Target, error) {
	name := d.Target()
	if name == "" {
		return nil, adg.Permanent(adg.Errorf(adg.Invalid, "the policy names no target"))
	}
	return connect(ctx, w, "target", name, d.Spec.Policy, func(ctx context.Context, i config.Instance, host adg.Host, h *history) (adg.Target, error) {
		host.Target = func(ctx context.Context, part string) (adg.Target, error) {
			return connect(ctx, w, "target", part, d.Spec.Policy, w.openTarget) // which has no parts in its turn
		}
		return w.openTarget(ctx, i, host, h)
	})
}

// Notifier opens a notifier. Which deployment it is for is not known here: policies were checked when they were put.
func (w *World) Notifier(ctx context.Context, name string) (adg.Notifier, error) {
	return connect(ctx, w, "notifier", name, adg.Policy{}, w.openNotifier)
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

// Tend closes what was dropped or changed and was not asked for since: a source that scrapes goes on by itself, with the
// secrets that it was given. What cannot be looked at now stays open.
func (w *World) Tend(ctx context.Context) error {
	w.mu.Lock()
	keys := slices.Collect(maps.Keys(w.open))
	w.mu.Unlock()
	var errs []error
	for _, key := range keys {
		part := strings.SplitN(key, "/", 3) // the seam, the name, and whom it is for
		k, err := w.c.lately.connection(ctx, w.c, part[1])
		if err != nil && adg.CodeOf(err) != adg.NotFound {
			errs = append(errs, err)
			continue
		}
		w.mu.Lock()
		if o, found := w.open[key]; found && (err != nil || k.Seam != part[0] || k.Version > o.version) {
			w.close(key)
		}
		w.mu.Unlock()
	}
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

// opener opens a connection of one seam, whose calls go into a history.
type opener[T any] func(ctx context.Context, i config.Instance, host adg.Host, h *history) (T, error)

func (w *World) openSource(ctx context.Context, i config.Instance, host adg.Host, h *history) (adg.Source, error) {
	at := slices.IndexFunc(w.c.o.Drivers.Sources, func(d adg.SourceDriver) bool { return d.Type == i.Type })
	s, err := w.c.o.Drivers.Sources[at].Open(context.WithoutCancel(ctx), i.Options, host)
	if err != nil {
		return nil, err
	}
	return watchedSource{w.wrap.Source(i.Name, i.Type, s), h}, nil
}

func (w *World) openTarget(ctx context.Context, i config.Instance, host adg.Host, h *history) (adg.Target, error) {
	at := slices.IndexFunc(w.c.o.Drivers.Targets, func(d adg.TargetDriver) bool { return d.Type == i.Type })
	t, err := w.c.o.Drivers.Targets[at].Open(context.WithoutCancel(ctx), i.Options, host)
	if err != nil {
		return nil, err
	}
	return watchedTarget{target.Wrap(t, target.WrapOptions{Host: host}), h}, nil
}

func (w *World) openNotifier(ctx context.Context, i config.Instance, host adg.Host, h *history) (adg.Notifier, error) {
	at := slices.IndexFunc(w.c.o.Drivers.Notifiers, func(d adg.NotifierDriver) bool { return d.Type == i.Type })
	n, err := w.c.o.Drivers.Notifiers[at].Open(context.WithoutCancel(ctx), i.Options, host)
	if err != nil {
		return nil, err
	}
	return watchedNotifier{w.wrap.Notifier(i.Name, n), h}, nil
}

// connect gives a connection that the policy's service may use there.
func connect[T any](ctx context.Context, w *World, seam, name string, p adg.Policy, open opener[T]) (T, error) {
	var none T
	k, err := w.c.lately.connection(ctx, w.c, name)
	if adg.CodeOf(err) == adg.NotFound || err == nil && k.Seam != seam {
		return none, adg.Errorf(adg.NotFound, "there is no %s %q registered any more", seam, name)
	}
	if err != nil {
		return none, err
	}
	if seam != "notifier" && !k.Covers(p.Service, p.Environment) {
		return none, adg.Permanent(adg.Errorf(adg.Unauthorized, "the %s %q is not registered for %s in %s", seam, name, p.Service, p.Environment))
	}
	return shared(ctx, w, k, p, open)
}

// shared finds what is open, or opens it. A connection that was changed in the meantime is closed, and opened anew: both
// may want the same directory. Whoever is just using the old one is answered with an error, and asks again.
func shared[T any](ctx context.Context, w *World, k Connection, p adg.Policy, open opener[T]) (T, error) {
	var none T
	key := strings.Join([]string{k.Seam, k.Name}, "/")
	if k.personal() || w.composite(k) {
		key = strings.Join([]string{k.Seam, k.Name, p.Service, p.Environment}, "/")
		k.Options = personalised(k.Options, p)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.used++
	if o, found := w.open[key]; found && o.version == k.Version {
		o.used = w.used
		return o.it.(T), nil
	} else if found {
		w.close(key)
	}
	it, err := opening(ctx, w, k, filepath.FromSlash(key), w.health.named(k.Name), open)
	if err != nil {
		return none, err
	}
	w.evict()
	w.open[key] = &opened{version: k.Version, it: it, used: w.used}
	return it, nil
}

// opening opens a connection with its secrets; its files are in a directory of that name.
func opening[T any](ctx context.Context, w *World, k Connection, dir string, h *history, open opener[T]) (it T, err error) {
	instance, err := w.c.opened(ctx, k)
	if err == nil {
		host := w.c.o.Host
		host.Name, host.Dir, host.Log = k.Name, filepath.Join(host.Dir, dir), w.c.o.Log.With(k.Seam, k.Name)
		it, err = open(ctx, instance, host, h)
	}
	if err != nil {
		return it, fmt.Errorf("opening %s %s: %w", k.Seam, k.Name, err)
	}
	return it, nil
}

// composite tells whether the connection is a target that opens others, which may be registered for one deployment and not
// for another.
func (w *World) composite(k Connection) bool {
	return k.Seam == "target" && slices.ContainsFunc(w.c.o.Drivers.Targets, func(d adg.TargetDriver) bool { return d.Type == k.Type && d.Parts != nil })
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
	w.close(oldest)
}

// close closes what is open under a key.
func (w *World) close(key string) {
	if err := closeIt(w.open[key].it); err != nil {
		w.c.o.Log.Warn("a connection that is not used any more could not be closed", "connection", key, "error", err)
	}
	delete(w.open, key)
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
