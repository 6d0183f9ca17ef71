package ssh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/deployguardian/adg"
)

// Apply brings the releases to their shares of the hosts. Going forward it changes nothing unless every host answers; a
// rollback is made on those that do, and is an error that names the others.
func (t *target) Apply(ctx context.Context, want adg.Desired) (adg.Observed, error) {
	if err := want.Validate(); err != nil {
		return adg.Observed{}, adg.Permanent(err)
	}
	links := t.crew()
	defer closeAll(links)
	seen, err := t.apply(ctx, want, links)
	if err != nil {
		return adg.Observed{}, fmt.Errorf("apply %s: %w", want.OpID, err)
	}
	return seen, nil
}

// Private

const (
	conflicts = 8 // times that a note may change under us
	poll      = 200 * time.Millisecond
)

// errFailed says that a step has failed, and that this is noted on the host.
var errFailed = errors.New("a step failed")

// operation is an Apply under way.
type operation struct {
	t    *target
	want adg.Desired
}

func (t *target) apply(ctx context.Context, want adg.Desired, links []*link) (adg.Observed, error) {
	o := operation{t, want}
	views := t.lookAt(ctx, links, versions(want)...)
	if err := nobody(ctx, views); err != nil {
		return adg.Observed{}, err
	}
	for _, v := range views {
		if v.note.newer(want) {
			return adg.Observed{}, adg.ErrFenced
		}
	}
	if slices.ContainsFunc(views, func(v view) bool { return v.note.superseded(want) }) {
		return observed(views), nil
	}
	if err := o.carryOut(ctx, views); err != nil && !errors.Is(err, errFailed) {
		return adg.Observed{}, err
	}
	missing := unanswered(views)
	views = t.lookAt(ctx, links)
	if err := nobody(ctx, views); err != nil {
		return adg.Observed{}, err
	}
	seen := observed(views)
	if missing != nil && !seen.Failed {
		return adg.Observed{}, adg.Errorf(adg.CodeOf(missing), "the other hosts were changed, but %w", missing)
	}
	if seen.Done && seen.OpID != want.OpID {
		seen.Done, seen.Text = false, "the hosts took the operation, and nothing of it is there"
	}
	return seen, nil
}

// versions are those that are to have traffic.
func versions(want adg.Desired) []string {
	var all []string
	for _, p := range want.Releases {
		if p.Share > 0 {
			all = append(all, p.Release.Version)
		}
	}
	return all
}

// carryOut changes the hosts. In a rollback, those that cannot be changed get an err in their view.
func (o operation) carryOut(ctx context.Context, views []view) error {
	present, err := o.usable(ctx, views)
	if err != nil {
		return err
	}
	goals := assigned(o.want.Releases, o.has(present))
	for i, v := range present {
		if err := o.refuses(v, goals[i]); err != nil {
			return err
		}
		if v.version != goals[i].Version && !v.folders[goals[i].Version] && len(o.t.o.Fetch) == 0 {
			v.err = vanished(v.link, goals[i].Version)
		}
	}
	if _, err = o.usable(ctx, views); err != nil {
		return err
	}
	if err := o.claim(ctx, present, goals); err != nil {
		return err
	}
	o.stage(ctx, present, goals)
	if present, err = o.usable(ctx, views); err != nil {
		return err
	}
	return o.moveAll(ctx, present)
}

// usable are the hosts that can be changed: all of them, or in a rollback one at least.
func (o operation) usable(ctx context.Context, views []view) ([]*view, error) {
	if err := nobody(ctx, views); err != nil {
		return nil, err
	}
	if err := unanswered(views); err != nil && (!o.want.Rollback || errors.Is(err, adg.ErrFenced)) {
		return nil, err
	}
	var present []*view
	for i := range views {
		if views[i].err == nil {
			present = append(present, &views[i])
		}
	}
	return present, nil
}

func vanished(l *link, version string) error {
	return adg.Permanent(adg.Errorf(adg.NotFound, "%s: there is no folder %s/releases/%s: bring it back, or set fetch", l.name(), l.t.o.Root, version))
}

// has are the versions that the hosts have, or were promised by this operation.
func (o operation) has(views []*view) []string {
	versions := make([]string, len(views))
	for i, v := range views {
		versions[i] = v.version
		if v.note.op() == o.want.OpID {
			versions[i] = v.note.Version
		}
	}
	return versions
}

// refuses what must not be overwritten blindly.
func (o operation) refuses(v *view, goal adg.Release) error {
	wanted := slices.ContainsFunc(o.want.Releases, func(p adg.Placement) bool { return p.Release.Version == v.version })
	if v.note.deployment() == o.want.Deployment && v.note.Step == done && v.note.Version != v.version && !wanted {
		return adg.Permanent(adg.Errorf(adg.Conflict, "%s: somebody else has changed current from %s to %s during this deployment: "+
			"put it back, or end the deployment", v.link.name(), v.note.Version, adg.Printable(cmp.Or(v.version, v.current, "nothing"))))
	}
	if there, found := v.note.known(goal.Version); found && v.folders[goal.Version] && there.Identity() != goal.Identity() {
		return adg.Permanent(adg.Errorf(adg.Conflict, "%s: the folder of %s holds %s, not %s: give the release a version of its own",
			v.link.name(), goal.Version, there.Identity(), goal.Identity()))
	}
	return nil
}

// claim notes the operation on every host before anything is changed on one: then no owner before can change any.
func (o operation) claim(ctx context.Context, views []*view, goals []adg.Release) error {
	problems := make([]error, len(views))
	each(len(views), atOnce, func(i int) { problems[i] = o.claimHost(ctx, views[i], goals[i]) })
	return errors.Join(problems...)
}

func (o operation) claimHost(ctx context.Context, v *view, goal adg.Release) error {
	for range conflicts {
		switch {
		case v.note.newer(o.want):
			return adg.ErrFenced
		case v.note.superseded(o.want):
			return adg.Errorf(adg.Conflict, "%s: operation %s was begun there meanwhile", v.link.name(), v.note.op())
		}
		next := v.note.claim(o.want, goal, o.firstStep(*v, goal))
		if next.String() == v.raw {
			return nil
		}
		err := o.write(ctx, v, next)
		if !errors.Is(err, errChanged) {
			return err
		}
		again := v.link.look(ctx, nil)
		if again.err != nil {
			return again.err
		}
		*v = again
	}
	return adg.Errorf(adg.Unavailable, "%s: others keep changing the note", v.link.name())
}

// firstStep is how far the host is on the way to a release already.
func (o operation) firstStep(v view, goal adg.Release) string {
	switch {
	case v.version != goal.Version && v.note.Version == goal.Version && v.note.Step == drained:
		return drained
	case v.version != goal.Version:
		return claimed
	case v.note.Failed != "" && v.note.Step == restarted:
		return linked
	case v.note.Version != goal.Version || v.note.Step == done || v.note.Step == "" || v.note.Step == claimed:
		if v.trouble() != "" {
			return linked
		}
		return done
	case v.note.Step == drained: // it has the release and no traffic
		return restarted
	default:
		return v.note.Step
	}
}

// stage brings the folders of the releases to the hosts that need them, before any link is changed.
func (o operation) stage(ctx context.Context, views []*view, goals []adg.Release) {
	each(len(views), atOnce, func(i int) {
		v := views[i]
		if v.err != nil || v.note.Step == done || len(o.t.o.Fetch) == 0 {
			return
		}
		dir := o.t.o.Root + "/releases/." + goals[i].Version + ".new"
		args := append([]string{v.raw, goals[i].Version, o.limit()}, o.program(v, goals[i], filled(o.t.o.Fetch, goals[i], dir))...)
		_, err := v.link.run(ctx, o.patience(), "stage", args...)
		if failed := (*programError)(nil); errors.As(err, &failed) {
			err = adg.Errorf(adg.Unavailable, "%s: fetch of %s: %w: %s", v.link.name(), goals[i].Version, failed, o.t.scrub(failed.log))
		}
		v.err = o.changed(ctx, v, err)
	})
}

// moveAll changes the hosts, batch after batch, and stops after the first one that fails.
func (o operation) moveAll(ctx context.Context, views []*view) error {
	for batch := range slices.Chunk(views, o.t.o.Batch) {
		problems := make([]error, len(batch))
		each(len(batch), len(batch), func(i int) { problems[i] = o.move(ctx, batch[i]) })
		for _, err := range problems {
			if err != nil && !errors.Is(err, errFailed) {
				return errors.Join(problems...)
			}
		}
		if err := errors.Join(problems...); err != nil {
			return err
		}
	}
	return nil
}

// move takes a host from the step that it is at to the end.
func (o operation) move(ctx context.Context, v *view) error {
	release, _ := v.note.known(v.note.Version)
	for v.note.Step != done {
		var err error
		what := "drain"
		switch v.note.Step {
		case claimed:
			err = o.perform(ctx, v, release, o.t.o.Drain, drained)
		case drained:
			what = "link"
			err = o.relink(ctx, v)
		case linked:
			what = "restart"
			err = o.perform(ctx, v, release, o.restart(), restarted)
		default:
			what = "start"
			if err = o.await(ctx, v); err == nil {
				what = "undrain"
				err = o.perform(ctx, v, release, o.t.o.Undrain, done)
			}
		}
		if failed := (*programError)(nil); errors.As(err, &failed) {
			return o.fail(ctx, v, what+" of "+release.Version+": "+failed.Error())
		}
		if err := o.changed(ctx, v, err); err != nil {
			return err
		}
	}
	return nil
}

// restart is the program that brings the current release into use.
func (o operation) restart() []string {
	if o.t.o.Unit == "" {
		return o.t.o.Restart
	}
	return append(slices.Clone(o.t.o.Systemctl), o.t.o.Action, "--", o.t.o.Unit)
}

// perform runs a program of the user's on the host, and notes the step with it.
func (o operation) perform(ctx context.Context, v *view, release adg.Release, args []string, step string) error {
	next := v.note.at(step)
	if len(args) == 0 {
		return o.write(ctx, v, next)
	}
	args = o.program(v, release, filled(args, release, o.t.o.Root+"/releases/"+release.Version))
	if _, err := v.link.run(ctx, o.patience(), "run", append([]string{v.raw, next.String(), o.limit()}, args...)...); err != nil {
		return err
	}
	v.note, v.raw = next, next.String()
	return nil
}

func (o operation) relink(ctx context.Context, v *view) error {
	next := v.note.at(linked)
	if _, err := v.link.run(ctx, o.patience(), "link", v.raw, next.String(), v.current, next.Version); err != nil {
		return err
	}
	v.note, v.raw, v.version = next, next.String(), next.Version
	return nil
}

// write replaces the note.
func (o operation) write(ctx context.Context, v *view, next note) error {
	if _, err := v.link.run(ctx, o.patience(), "run", v.raw, next.String()); err != nil {
		return err
	}
	v.note, v.raw = next, next.String()
	return nil
}

// fail notes on the host why it was given up.
func (o operation) fail(ctx context.Context, v *view, why string) error {
	next := v.note
	next.Failed = why
	if err := o.changed(ctx, v, o.write(ctx, v, next)); err != nil {
		return err
	}
	return errFailed
}

// await waits until the host runs the release and is well.
func (o operation) await(ctx context.Context, v *view) error {
	ctx, cancel := context.WithTimeoutCause(ctx, o.t.o.Wait+o.t.o.Connect, adg.Errorf(adg.Unavailable, "%s does not answer", v.link.name()))
	defer cancel()
	begin := time.Now() //nolint:forbidigo // how long a service takes to start is real time
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for {
		seen := v.link.look(ctx, nil)
		if seen.err == nil && o.t.health != nil {
			seen.health = v.link.wellness(ctx)
		}
		switch {
		case seen.err != nil:
			return seen.err
		case seen.raw != v.raw:
			return errChanged
		}
		trouble := seen.trouble()
		if trouble == "" && seen.settled() {
			return nil
		}
		given := time.Since(begin) > o.t.o.Wait //nolint:forbidigo // see above
		if seen.unit["ActiveState"] == "failed" || given {
			return &programError{status: cmp.Or(trouble, "it has not run for "+adg.Short(o.t.o.Settle))}
		}
		select {
		case <-ctx.Done():
			return adg.Errorf(adg.Unavailable, "wait for %s: %w", v.link.name(), context.Cause(ctx))
		case <-ticker.C:
		}
	}
}

// changed finds out who has changed the note under us.
func (o operation) changed(ctx context.Context, v *view, err error) error {
	if !errors.Is(err, errChanged) {
		return err
	}
	again := v.link.look(ctx, nil)
	switch {
	case again.err != nil:
		return again.err
	case again.note.newer(o.want):
		return adg.ErrFenced
	case again.note.op() == o.want.OpID || again.note.op() == "":
		return adg.Errorf(adg.Unavailable, "%s does not keep what adg notes there", v.link.name())
	default:
		return adg.Errorf(adg.Conflict, "%s: operation %s was begun there meanwhile", v.link.name(), again.note.op())
	}
}

// program is what runs on the host, with what it may want to know in its environment.
func (o operation) program(v *view, release adg.Release, args []string) []string {
	return append([]string{
		"env", "ADG_OP_ID=" + o.want.OpID, "ADG_FENCE=" + strconv.FormatInt(o.want.Fence, 10), "ADG_DEPLOYMENT=" + o.want.Deployment,
		"ADG_HOST=" + v.link.name(), "ADG_SERVICE=" + release.Service, "ADG_VERSION=" + release.Version,
		"ADG_ARTIFACT=" + release.Artifact, "ADG_ROLLBACK=" + strconv.FormatBool(o.want.Rollback),
	}, args...)
}

// limit is how long a program may run, as timeout(1) reads it.
func (o operation) limit() string { return strconv.FormatFloat(o.t.o.Timeout.Seconds(), 'f', 3, 64) }

// patience is how long a host may take for a step.
func (o operation) patience() time.Duration { return o.t.o.Timeout + lockWait + o.t.o.Connect }
