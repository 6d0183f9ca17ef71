package helm

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/process"
)

// run has helm make the release live, one run at a time, and returns the tail of what helm wrote.
func (t *target) run(outer context.Context, want adg.Desired, release adg.Release) (string, error) {
	if err := t.begin(outer, want); err != nil {
		return "", err
	}
	defer t.end(outer, want)
	limit := t.limit(want) + leeway
	ctx, cancel := context.WithTimeoutCause(outer, limit, adg.Errorf(adg.Unavailable, "helm did not end within %s", adg.Short(limit)))
	defer cancel()
	s, err := t.look(ctx)
	if err != nil {
		return "", err
	}
	runs, err := s.plan(ctx, want, release)
	if err != nil {
		return "", err
	}
	err = t.swap(ctx, func(n *note) (bool, error) {
		switch {
		case n.Fences.Refuse(want):
			return false, adg.ErrFenced
		case n.Running == nil || n.Running.OpID != want.OpID:
			return false, adg.Errorf(adg.Conflict, "the ConfigMap %s does not say any more that this run of helm is under way", t.noteName())
		}
		before := *n
		n.OpID, n.Deployment, n.Version = want.OpID, want.Deployment, release.Version
		if len(runs) > 0 {
			n.After, n.Runs = s.top().Number, len(runs)
		}
		return n.OpID != before.OpID || n.Version != before.Version || n.After != before.After || n.Runs != before.Runs, nil
	})
	log := ""
	for _, args := range runs {
		if err != nil {
			break
		}
		result, failure := t.start(ctx, limit, args)
		log, err = t.tail(result), failure
	}
	if err == nil || outer.Err() != nil {
		return log, err
	}
	if now, lost := t.look(outer); lost == nil && now.top().Number > s.top().Number && now.top().Status == failed {
		return log, nil // helm has noted that it failed, and why: that is the state, and no reason to run it again
	}
	return log, err
}

// again is the pause between two looks whether a run of helm is over.
const again = 250 * time.Millisecond

// How long helm may go on after its own time is over: leeway until it is asked to end, grace until it is gone for certain.
const (
	leeway = 3 * time.Second
	grace  = leeway + process.DefaultGrace + 2*time.Second
)

// limit is helm's own time.
func (t *target) limit(want adg.Desired) time.Duration {
	if want.Timeout > 0 {
		return min(t.o.Deadline, want.Timeout)
	}
	return t.o.Deadline
}

// begin notes this owner's fence, so that no older one begins a run, and waits until no other run is under way.
func (t *target) begin(ctx context.Context, want adg.Desired) error {
	tick := time.NewTicker(again)
	defer tick.Stop()
	for {
		free := false
		err := t.swap(ctx, func(n *note) (bool, error) {
			if n.Fences.Refuse(want) {
				return false, adg.ErrFenced
			}
			known := n.Fences.Has(want)
			now := time.Now() //nolint:forbidigo // how long another process may run is real time
			mine := n.Running != nil && n.Running.OpID == want.OpID && n.Running.Fence == want.Fence
			if free = mine || n.Running == nil || now.After(n.Running.Until); free {
				n.Running = &running{want.OpID, want.Fence, now.Add(t.limit(want) + grace).UTC().Truncate(time.Second)}
			}
			n.Fences = n.Fences.With(want)
			return free || !known, nil
		})
		if err != nil || free {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return adg.Errorf(adg.Unavailable, "another run of helm for %s is under way: %w", t.o.Release, context.Cause(ctx))
		}
	}
}

// end says that the run is over. If that cannot be said, the next one waits until its time is.
func (t *target) end(ctx context.Context, want adg.Desired) {
	const enough = 2 * time.Second
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), enough)
	defer cancel()
	_ = t.swap(ctx, func(n *note) (bool, error) {
		mine := n.Running != nil && n.Running.OpID == want.OpID && n.Running.Fence == want.Fence
		if mine {
			n.Running = nil
		}
		return mine, nil
	})
}

// plan is how helm is to be run, once or not at all; twice where a run that was ended in the middle has to be got out of
// the way first.
func (s *state) plan(ctx context.Context, want adg.Desired, release adg.Release) ([][]string, error) {
	t, top := s.target, s.top()
	switch {
	case top.Status == deployed && is(s.release, release):
		return nil, nil
	case top.Status == failed && s.note.OpID == want.OpID && s.note.made(top.Number):
		return nil, nil // this operation's own
	}
	if err := s.mayRun(want); err != nil {
		return nil, err
	}
	if want.Rollback {
		back, found, err := s.find(ctx, release)
		if err != nil {
			return nil, err
		}
		if found {
			return [][]string{t.rollback(back.Number, want)}, nil
		}
	}
	upgrade, err := t.upgrade(release, want)
	if err != nil {
		return nil, err
	}
	if !top.pending() {
		return [][]string{upgrade}, nil
	}
	last := slices.IndexFunc(s.history, func(r revision) bool { return r.Status == deployed })
	if last < 0 {
		return nil, adg.Permanent(adg.Errorf(adg.Conflict, "the release %s is %s, and no revision of it is deployed: roll it back by hand", t.o.Release, top.Status))
	}
	return [][]string{t.rollback(s.history[last].Number, want), upgrade}, nil
}

// mayRun refuses what would run over somebody else's work.
func (s *state) mayRun(want adg.Desired) error {
	t, top := s.target, s.top()
	now := time.Now() //nolint:forbidigo // how long somebody's helm may run is real time
	switch {
	case top.pending() && !s.note.made(top.Number) && now.Sub(top.Updated) < t.o.Deadline:
		return adg.Errorf(adg.Conflict, "revision %d of the release %s is %s: somebody else's helm is at work, or was ended in the middle; after %s adg takes it for dead", top.Number, t.o.Release, top.Status, adg.Short(t.o.Deadline))
	case top.Status == deployed && s.note.Deployment == want.Deployment && s.release.Version != s.note.Version &&
		!slices.ContainsFunc(want.Releases, func(p adg.Placement) bool { return p.Release.Version == s.release.Version }):
		return adg.Permanent(adg.Errorf(adg.Conflict, "revision %d of the release %s is %s, which somebody has deployed since adg's last change: adg does not run over it; deploy or roll back by hand",
			top.Number, t.o.Release, s.release.Version))
	}
	return nil
}

func (t *target) rollback(number int, want adg.Desired) []string {
	return t.bounded(want, "rollback", t.o.Release, strconv.Itoa(number))
}

func (t *target) upgrade(r adg.Release, want adg.Desired) ([]string, error) {
	if t.o.Chart == "" {
		return nil, adg.Permanent(adg.Errorf(adg.NotFound, "no revision of the release %s that helm has kept is %s, and without chart adg cannot upgrade to it: write chart, or raise helm's --history-max", t.o.Release, r.Version))
	}
	description, err := stamp(r)
	if err != nil {
		return nil, err
	}
	args := t.bounded(want, "upgrade", t.o.Release, t.o.Chart, "--reset-then-reuse-values", "--description", description)
	if t.o.ChartVersion != "" {
		version, err := expand(t.o.ChartVersion, r)
		if err != nil {
			return nil, err
		}
		args = append(args, "--version", version)
	}
	for key, pattern := range t.o.Set {
		text, err := expand(pattern, r)
		if err != nil {
			return nil, err
		}
		args = append(args, "--set-string", key+"="+strings.NewReplacer(`\`, `\\`, `,`, `\,`).Replace(text))
	}
	return args, nil
}

func (t *target) bounded(want adg.Desired, args ...string) []string {
	args = append(args, "--timeout", t.limit(want).String())
	if t.o.Wait {
		args = append(args, "--wait")
	}
	return args
}
