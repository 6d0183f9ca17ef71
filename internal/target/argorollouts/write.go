package argorollouts

import (
	"context"
	"math"
	"reflect"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/kube"
	"github.com/deployguardian/adg/internal/target/notes"
)

// write reads the Rollout and writes back what is wanted, with the note of this operation, unless all of it is there
// already. Nobody's write is lost: the object's resourceVersion is compared, and after a conflict all begins anew.
func (t *target) write(ctx context.Context, want adg.Desired) error {
	return kube.Swap(ctx, func() (bool, error) {
		r, err := t.read(ctx)
		if err != nil {
			return false, err
		}
		object := r.object
		before := object.DeepCopy()
		if r.note.Fences.Refuse(want) {
			return false, adg.ErrFenced
		}
		next, err := t.change(ctx, r, want)
		if err == nil {
			err = notes.Put(object, next)
		}
		if err != nil || reflect.DeepEqual(before.Object, object.Object) {
			return false, err
		}
		err = t.client.Replace(ctx, rollouts, t.o.Name, object, nil)
		return adg.CodeOf(err) == adg.Conflict, err
	})
}

// When the controller has not taken notice after this long it is nudged, so many times.
const (
	notice = 3 * time.Second
	nudges = 3
)

// awaitNotice waits until the controller has seen what was written, and writes the note once more where it does not: up to
// version 1.9 it may lose a change that comes while it is at work on the Rollout, until there is another one.
func (t *target) awaitNotice(ctx context.Context, want adg.Desired) error {
	for range nudges {
		over, err := t.noticed(ctx, want)
		if over || err != nil {
			return err
		}
		if err := t.nudge(ctx, want); err != nil {
			return err
		}
	}
	_, err := t.noticed(ctx, want) // if not, Current says so
	return err
}

// noticed waits a while, until the controller has seen what was written, or nobody has to wait any more.
func (t *target) noticed(ctx context.Context, want adg.Desired) (bool, error) {
	late := time.NewTimer(notice)
	defer late.Stop()
	tick := time.NewTicker(notice / 30)
	defer tick.Stop()
	for {
		r, err := t.read(ctx)
		if err != nil || r.observedSpec() || r.note.OpID != want.OpID {
			return true, err
		}
		select {
		case <-tick.C:
		case <-late.C:
			return false, nil
		case <-ctx.Done():
			return true, nil // it is written
		}
	}
}

// nudge writes nothing new. A conflict is fine: somebody else has written, which nudges as well.
func (t *target) nudge(ctx context.Context, want adg.Desired) error {
	r, err := t.read(ctx)
	if err != nil || r.observedSpec() || r.note.OpID != want.OpID {
		return err
	}
	r.note.Nudges++
	if err := notes.Put(r.object, r.note); err != nil {
		return err
	}
	err = t.client.Replace(ctx, rollouts, t.o.Name, r.object, nil)
	if adg.CodeOf(err) == adg.Conflict {
		return nil
	}
	return err
}

func (t *target) read(ctx context.Context) (*rollout, error) {
	object := &unstructured.Unstructured{}
	if err := t.client.Get(ctx, rollouts, t.o.Name, object); err != nil {
		return nil, err
	}
	return t.parse(object)
}

// plan is where a Rollout is to go.
type plan struct {
	release adg.Release
	weight  int64 // of it
	back    bool  // it is the stable one: the controller goes there at once, whatever the steps
	kept    *kept // the template that it had; nil: none is known
}

// plan finds which of the releases is the one in the Rollout's template, and which weight it has.
func (t *target) plan(r *rollout, history []kept, want adg.Desired) (plan, error) {
	var stable *kept
	if i := slices.IndexFunc(history, func(k kept) bool { return k.hash == r.status.StableRS && k.hash != "" }); i >= 0 {
		stable = &history[i]
	}
	all := live(want)
	p := plan{release: all[0].Release, weight: r.whole()}
	if len(all) == 2 {
		at := -1
		if stable != nil {
			at = slices.IndexFunc(all, func(p adg.Placement) bool { return t.templates.Is(stable.release, p.Release) })
		}
		if at < 0 {
			return plan{}, adg.Permanent(adg.Errorf(adg.Conflict, "neither %s nor %s is the stable release of Rollout %s: traffic can be shared with that one only",
				all[0].Release.Version, all[1].Release.Version, t.o.Name))
		}
		other := all[1-at]
		weight := int64(math.Round(other.Share * float64(r.whole()) / 100))
		p.release, p.weight = other.Release, min(max(weight, 1), r.whole()-1)
	}
	if stable != nil && p.weight == r.whole() && t.templates.Is(stable.release, p.release) {
		p.kept, p.back = stable, true
	} else if i := slices.IndexFunc(history, func(k kept) bool { return t.templates.Is(k.release, p.release) }); i >= 0 {
		p.kept = &history[i]
	}
	return p, nil
}

// change makes the Rollout what is wanted, and returns the note that goes with it.
func (t *target) change(ctx context.Context, r *rollout, want adg.Desired) (note, error) {
	next := r.note.next(want)
	history, err := t.history(ctx, r)
	if err != nil {
		return next, err
	}
	p, err := t.plan(r, history, want)
	if err == nil {
		err = t.mayWrite(r, p, want)
	}
	if err == nil {
		err = t.configured(ctx, p.release)
	}
	if err != nil {
		return next, err
	}
	fresh := !t.templates.Is(r.release, p.release)
	if fresh {
		template, err := t.template(r, p, want.Rollback)
		if err != nil {
			return next, err
		}
		if err := unstructured.SetNestedMap(r.object.Object, template, "spec", "template"); err != nil {
			return next, adg.Permanent(adg.Errorf(adg.Invalid, "the pod template of Rollout %s: %w", t.o.Name, err))
		}
	}
	if !p.back && (fresh || !r.leads(p.weight)) {
		if err := unstructured.SetNestedSlice(r.object.Object, r.steps(p.weight, fresh), "spec", "strategy", "canary", "steps"); err != nil {
			return next, adg.Permanent(adg.Errorf(adg.Invalid, "the steps of Rollout %s: %w", t.o.Name, err))
		}
	}
	share := 100 * float64(p.weight) / float64(r.whole())
	for _, w := range want.Releases {
		got := wanted{w.Release.Version, 0}
		switch {
		case w.Release.Version == p.release.Version:
			got.Share = share
		case w.Share > 0:
			got.Share = 100 - share
		}
		next.Releases = append(next.Releases, got)
	}
	next.Template = hashOf(r.object)
	return next, nil
}

// template is that of the release. Going back it is the whole one that the release had; where the cluster has not kept
// that, and going forward, it is the present one with the release's image and configuration.
func (t *target) template(r *rollout, p plan, rollback bool) (map[string]any, error) {
	if p.kept != nil && (p.back || rollback) {
		return p.kept.template, nil
	}
	template, _, err := unstructured.NestedMap(r.object.Object, "spec", "template")
	if err != nil {
		return nil, adg.Permanent(adg.Errorf(adg.Invalid, "the pod template of Rollout %s: %w", t.o.Name, err))
	}
	return template, t.templates.Put(template, p.release)
}

// leads tells whether the steps go to that weight and stay there.
func (r *rollout) leads(weight int64) bool {
	steps := r.spec.Strategy.Canary.Steps
	if weight == r.whole() {
		return len(steps) == 0 || steps[len(steps)-1].weight() == weight
	}
	if len(steps) < 2 || steps[len(steps)-2].weight() != weight {
		return false
	}
	pause, pauses := steps[len(steps)-1]["pause"].(map[string]any)
	return pauses && pause["duration"] == nil
}

// weight is that of a step that sets one; -1: it does something else.
func (s step) weight() int64 {
	if weight, sets := s["setWeight"].(float64); sets {
		return int64(weight)
	}
	return -1
}

// steps go to the weight, and stay there unless it is the whole. With other steps the controller begins at the first one,
// so that is the weight of now: else the release would lose its traffic until it has the pods for the next weight.
func (r *rollout) steps(weight int64, fresh bool) []any {
	var steps []any
	if now := r.status.Canary.Weights; !fresh && now != nil && !r.promoted() && now.Canary.Weight > 0 && int64(now.Canary.Weight) != weight {
		steps = append(steps, map[string]any{"setWeight": int64(now.Canary.Weight)})
	}
	steps = append(steps, map[string]any{"setWeight": weight})
	if weight < r.whole() {
		steps = append(steps, map[string]any{"pause": map[string]any{}})
	}
	return steps
}

// mayWrite refuses what would run over somebody else's work, and over the Rollout's own judgement.
func (t *target) mayWrite(r *rollout, p plan, want adg.Desired) error {
	wants := func(w adg.Placement) bool {
		return t.templates.Is(r.release, w.Release) || w.Release.Version == r.release.Version
	}
	foreign := r.note.Deployment == want.Deployment && r.note.Template != "" && r.note.Template != hashOf(r.object) &&
		!r.note.knows(r.release.Version) && !slices.ContainsFunc(want.Releases, wants)
	switch {
	case r.spec.Paused:
		return adg.Errorf(adg.Conflict, "Rollout %s is paused, by somebody else than adg: continue it with kubectl argo rollouts promote %s", t.o.Name, t.o.Name)
	case foreign:
		return adg.Permanent(adg.Errorf(adg.Conflict, "Rollout %s runs %s now, which %s has put there since adg's last change: adg does not run over it; deploy or roll back by hand",
			t.o.Name, r.release.Version, writer(r.object)))
	case r.status.Abort && !p.back && r.note.OpID != want.OpID && t.templates.Is(r.release, p.release):
		return adg.Permanent(adg.Errorf(adg.Conflict, "Rollout %s has aborted %s itself (%s): adg gives it no traffic against that; try it again with kubectl argo rollouts retry rollout %s",
			t.o.Name, p.release.Version, t.client.Scrub(r.status.Message), t.o.Name))
	case p.back:
		return nil
	}
	for _, s := range r.spec.Strategy.Canary.Steps {
		for does := range s {
			if does != "setWeight" && does != "pause" {
				return adg.Permanent(adg.Errorf(adg.Invalid, "Rollout %s has a step %s, and adg, which sets the steps of a Rollout that it leads, would drop it: take it away; an analysis can stand in strategy.canary.analysis", t.o.Name, does))
			}
		}
	}
	return nil
}

// configured refuses a release whose ConfigMaps or Secrets are not there: its pods could not start.
func (t *target) configured(ctx context.Context, r adg.Release) error {
	if r.Config == "" {
		return nil
	}
	for resource, names := range map[string][]string{"configmaps": t.o.ConfigMaps, "secrets": t.o.Secrets} {
		for _, name := range names {
			var object struct{}
			if err := t.client.Get(ctx, kube.Resource{Version: "v1", Plural: resource}, kube.Revised(name, r.Config), &object); err != nil {
				return err
			}
		}
	}
	return nil
}
