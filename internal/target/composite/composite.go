// Package composite is a target that is made of others: several services or clusters, or a database and what runs on it,
// that become live and are rolled back together.
package composite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/deployguardian/adg"
)

// Options are the driver's.
type Options struct {
	Parts       []string `yaml:"parts" need:"required" doc:"The names of the targets, in the order in which a release becomes live. A rollback goes the other way round."`
	Independent bool     `yaml:"independent" doc:"Whether the parts do not need each other: then one that fails does not keep the others from going on."`
}

// Driver opens composite targets.
var Driver = composite(adg.NewTargetDriver("composite", "Makes a release live at several targets, one after the other, and rolls it back in the opposite order.", Options{}, open))

// Private

const (
	maxParts  = 50
	firstLook = 200 * time.Millisecond // after which a part is asked whether it has converged; then ever later
	lastLook  = 5 * time.Second
)

func composite(d adg.TargetDriver) adg.TargetDriver {
	d.Parts = func(options any) []string {
		o, _ := options.(Options)
		return o.Parts
	}
	return d
}

func open(_ context.Context, o Options, host adg.Host) (adg.Target, error) {
	var errs []error
	if host.Target == nil {
		errs = append(errs, adg.Errorf(adg.Invalid, "a part of a composite target is none itself: name its parts there"))
	}
	if len(o.Parts) == 0 || len(o.Parts) > maxParts {
		errs = append(errs, adg.Errorf(adg.Invalid, "parts: name 1 to %d targets", maxParts))
	}
	for i, name := range o.Parts {
		if err := adg.ValidName("target", name); err != nil {
			errs = append(errs, fmt.Errorf("parts: %w", err))
		}
		if name == host.Name || slices.Contains(o.Parts[:i], name) {
			errs = append(errs, adg.Errorf(adg.Invalid, "parts: %s is named twice, or is this target itself", name))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &target{o: o, part: host.Target}, nil
}

type target struct {
	o    Options
	part func(ctx context.Context, name string) (adg.Target, error)
}

// part is one target, and what it says.
type part struct {
	name string
	adg.Target
	seen adg.Observed
	err  error
}

// Can is what all parts can. What moves a schema has no traffic, and its shares do not count; a part that cannot be opened
// can nothing.
func (t *target) Can() adg.Capabilities {
	parts, err := t.open(context.Background())
	if err != nil {
		return adg.Capabilities{}
	}
	can := adg.Capabilities{Shares: true, Idle: true, Drain: true, Reports: true}
	for _, p := range parts {
		one := p.Can()
		can.Migrate = can.Migrate || one.Migrate
		can.Reports = can.Reports && one.Reports
		if !one.Migrate {
			can.Shares, can.Idle, can.Drain = can.Shares && one.Shares, can.Idle && one.Idle, can.Drain && one.Drain
		}
	}
	return can
}

// Current asks every part.
func (t *target) Current(ctx context.Context) (adg.Observed, error) {
	parts, err := t.open(ctx)
	if err != nil {
		return adg.Observed{}, err
	}
	for i := range parts {
		if parts[i].seen, err = parts[i].Current(ctx); err != nil {
			return adg.Observed{}, fmt.Errorf("part %s: %w", parts[i].name, err)
		}
	}
	return together(parts), nil
}

// Apply brings one part after the other to what is wanted, each once the one before it has converged. It goes as far as it
// can: what was done and what was not is in the text, and the same state can be asked for again.
func (t *target) Apply(ctx context.Context, want adg.Desired) (adg.Observed, error) {
	if err := want.Validate(); err != nil {
		return adg.Observed{}, adg.Permanent(err)
	}
	parts, err := t.open(ctx)
	if err != nil {
		return adg.Observed{}, err
	}
	order := slices.Clone(parts)
	if want.Rollback {
		slices.Reverse(order)
	}
	var errs []error
	for i := range order {
		p := &order[i]
		p.seen, p.err = converge(ctx, p.Target, want, t.o.Independent || i == len(order)-1)
		if p.err != nil {
			errs = append(errs, p.failure(order, i))
		}
		if stop := p.err != nil || p.seen.Failed || !p.seen.Done; stop && !t.o.Independent || ctx.Err() != nil {
			order = order[:i+1]
			break
		}
	}
	if len(errs) > 0 {
		return adg.Observed{}, all(errs)
	}
	seen := together(order)
	if len(order) < len(parts) {
		seen.Done = false
		seen.Text += fmt.Sprintf("; %d of %d parts were not begun", len(parts)-len(order), len(parts))
	}
	return seen, nil
}

// Rehearse asks every part that can tell.
func (t *target) Rehearse(ctx context.Context, want adg.Desired) (found []adg.Obstacle, err error) {
	parts, err := t.open(ctx)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, p := range parts {
		rehearser, can := adg.PowerOf[adg.Rehearser](p.Target)
		if !can {
			continue
		}
		some, err := rehearser.Rehearse(ctx, want)
		if err != nil {
			errs = append(errs, fmt.Errorf("part %s: %w", p.name, err))
		}
		for _, o := range some {
			o.Text = p.name + ": " + o.Text
			found = append(found, o)
		}
	}
	return found, errors.Join(errs...)
}

// Suspends is what each part would suspend.
func (t *target) Suspends(ctx context.Context, want adg.Desired) (string, error) {
	parts, err := t.open(ctx)
	if err != nil {
		return "", err
	}
	var all []string
	var errs []error
	for _, p := range parts {
		suspender, can := adg.PowerOf[adg.Suspender](p.Target)
		if !can {
			continue
		}
		what, err := suspender.Suspends(ctx, want)
		if err != nil {
			errs = append(errs, fmt.Errorf("part %s: %w", p.name, err))
		}
		if what != "" {
			all = append(all, what)
		}
	}
	return strings.Join(all, ", "), errors.Join(errs...)
}

// Resume has every part give back what it has suspended.
func (t *target) Resume(ctx context.Context, held []adg.Release) (adg.Observed, error) {
	parts, err := t.open(ctx)
	if err != nil {
		return adg.Observed{}, err
	}
	for i := range parts {
		p := &parts[i]
		if suspender, can := adg.PowerOf[adg.Suspender](p.Target); can {
			p.seen, err = suspender.Resume(ctx, held)
		} else {
			p.seen, err = p.Current(ctx)
		}
		if err != nil {
			return adg.Observed{}, fmt.Errorf("part %s: %w", p.name, err)
		}
	}
	return together(parts), nil
}

func (t *target) open(ctx context.Context) ([]part, error) {
	parts := make([]part, len(t.o.Parts))
	for i, name := range t.o.Parts {
		one, err := t.part(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("part %s: %w", name, err)
		}
		parts[i] = part{name: name, Target: one}
	}
	return parts, nil
}

// failure says which part failed, and how far the others have come.
func (p *part) failure(order []part, at int) error {
	var done []string
	for _, before := range order[:at] {
		if before.err == nil && before.seen.Done {
			done = append(done, before.name)
		}
	}
	if done == nil {
		return fmt.Errorf("part %s: %w", p.name, p.err)
	}
	return fmt.Errorf("part %s (%s done before it): %w", p.name, strings.Join(done, ", "), p.err)
}

// all is one error of several. It is final only if each of them is, or if one says that the owner's time is over. What is
// tried again waits for as long as the most patient part asks to.
func all(errs []error) error {
	again := slices.IndexFunc(errs, func(err error) bool { return !adg.IsPermanent(err) })
	fenced := slices.ContainsFunc(errs, func(err error) bool { return errors.Is(err, adg.ErrFenced) })
	if len(errs) == 1 || again < 0 || fenced {
		return errors.Join(errs...)
	}
	texts, throttled, longest := make([]string, len(errs)), false, time.Duration(0)
	for i, err := range errs {
		texts[i] = err.Error()
		if wait, asked := adg.RetryAfter(err); asked {
			throttled, longest = true, max(longest, wait)
		}
	}
	one := adg.Errorf(adg.CodeOf(errs[again]), "%s", strings.Join(texts, "; "))
	if throttled {
		return adg.Throttled(one, longest)
	}
	return one
}

// converge brings a part to what is wanted, and waits until it is there or has given up. One that no other needs is not
// waited for: whoever asked asks again.
func converge(ctx context.Context, one adg.Target, want adg.Desired, last bool) (adg.Observed, error) {
	seen, err := one.Apply(ctx, want)
	for wait := firstLook; err == nil && missing(one, seen, want) != "" && !seen.Failed && !last; wait = min(2*wait, lastLook) {
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return seen, adg.Errorf(adg.Unavailable, "it has not converged (%s): %w", missing(one, seen, want), context.Cause(ctx))
		case <-timer.C:
		}
		seen, err = one.Current(ctx)
	}
	return seen, err
}

// missing says why a part is not where it is wanted; empty: it is there. Its word alone is not enough where it reports what
// is live, because the next part builds on it.
func missing(one adg.Target, seen adg.Observed, want adg.Desired) string {
	if !seen.Done {
		return cmp.Or(seen.Text, "it does not say why")
	}
	if one.Can().Migrate || len(seen.Releases) == 0 {
		return ""
	}
	for _, p := range want.Releases {
		share, _ := seen.Share(p.Release.Version)
		if p.Share == 100 && share < 99 || p.Share == 0 && share >= 1 {
			return fmt.Sprintf("it says that it is done, and %s has %g %% there, not %g %%", p.Release.Version, share, p.Share)
		}
	}
	return ""
}

// together is the state of the whole: something is done when all parts have done it, for the same operation.
func together(parts []part) adg.Observed {
	seen := adg.Observed{Done: true}
	var texts, suspended, logs []string
	var reports [][]adg.Placement
	for _, p := range parts {
		one := p.seen
		seen.Done, seen.Failed = seen.Done && one.Done, seen.Failed || one.Failed
		if one.OpID != "" && seen.OpID != "" && one.OpID != seen.OpID {
			seen.Done = false
		}
		seen.OpID = cmp.Or(seen.OpID, one.OpID)
		if one.Text != "" {
			texts = append(texts, fmt.Sprintf("%s: %s", p.name, one.Text))
		}
		if one.Suspended != "" {
			suspended = append(suspended, one.Suspended)
		}
		if one.Log != "" {
			logs = append(logs, p.name+":\n"+one.Log)
		}
		if !p.Can().Migrate && len(one.Releases) > 0 {
			reports = append(reports, one.Releases)
		}
	}
	seen.Releases = shared(reports)
	seen.Text, seen.Suspended = strings.Join(texts, "; "), strings.Join(suspended, ", ")
	if seen.Log = strings.Join(logs, "\n"); len(seen.Log) > adg.MaxLog {
		seen.Log = strings.ToValidUTF8(seen.Log[len(seen.Log)-adg.MaxLog:], "")
	}
	return seen
}

// shared are the releases of all parts. The one that has most of the traffic is as far as it is everywhere; each other one
// has as much as it has anywhere, so that one which is still, or again, live in a single part is seen.
func shared(reports [][]adg.Placement) (all []adg.Placement) {
	var sums, least []float64
	for _, report := range reports {
		for _, p := range report {
			i := slices.IndexFunc(all, func(known adg.Placement) bool { return known.Release.Version == p.Release.Version })
			if i < 0 {
				all, sums, least = append(all, p), append(sums, 0), append(least, 100)
				i = len(all) - 1
			}
			sums[i] += p.Share
			all[i].Share, least[i] = max(all[i].Share, p.Share), min(least[i], p.Share)
		}
	}
	for i, p := range all {
		missing := slices.ContainsFunc(reports, func(report []adg.Placement) bool {
			return !slices.ContainsFunc(report, func(one adg.Placement) bool { return one.Release.Version == p.Release.Version })
		})
		switch {
		case sums[i] <= 50*float64(len(reports)):
		case missing:
			all[i].Share = 0
		default:
			all[i].Share = least[i]
		}
	}
	return all
}
