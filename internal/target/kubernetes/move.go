package kubernetes

import (
	"context"
	"fmt"
	"math"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/deployguardian/adg"
)

// plan is what one of the two Deployments is to be.
type plan struct {
	placement *adg.Placement // nil: nothing; its pods are taken away
	size      int            // pods that it needs before traffic moves
	added     int            // those among the pods of all releases that others have added here
}

// move brings two Deployments to what is wanted: first what is to get more is there and ready, then the traffic moves,
// then what is of no more use is taken away. Each step begins with what the cluster says, so whoever takes over goes on
// where the last one was stopped.
func (a *application) move(ctx context.Context) error {
	t := a.target
	for _, p := range a.want.Releases {
		if a.leaves(p) {
			continue
		}
		if err := a.configured(ctx, p.Release); err != nil {
			return err
		}
	}
	s, err := t.look(ctx)
	if err != nil {
		return err
	}
	plans, total, err := a.plans(s)
	if err != nil {
		return err
	}
	if err := a.scalable(ctx); err != nil {
		return err
	}
	if err := a.claim(ctx); err != nil {
		return err
	}
	// The first workload has the note of the whole operation, so it is written first.
	for i := range s.slots {
		if err := a.prepare(ctx, i, plans, total); err != nil {
			return err
		}
	}
	failed, err := a.ready(ctx, plans)
	if err != nil || failed {
		return err
	}
	if err := a.shift(ctx, plans); err != nil {
		return err
	}
	return a.shrink(ctx, plans, total)
}

// leaves tells whether a release is only left: whatever is wrong with it or its Deployment keeps nobody from going back.
func (a *application) leaves(p adg.Placement) bool { return a.want.Rollback && p.Share == 0 }

// plans says which release goes where. One that is there already stays; one that is new gets the Deployment without
// traffic. Going back, nothing is put anywhere for being kept idle.
func (a *application) plans(s *state) ([]plan, int, error) {
	t := a.target
	plans := make([]plan, len(s.slots))
	var homeless []*adg.Placement
	for _, p := range a.want.Releases {
		at := slices.IndexFunc(s.slots, func(in slot) bool { return t.is(in.release, p.Release) })
		switch {
		case at >= 0 && plans[at].placement == nil:
			plans[at].placement = &p
		case p.Share > 0 || t.Can().Idle && !a.want.Rollback:
			homeless = append(homeless, &p)
		}
	}
	for _, p := range homeless {
		at := slices.IndexFunc(plans, func(other plan) bool { return other.placement == nil })
		if at < 0 {
			return nil, 0, adg.Permanent(adg.Errorf(adg.Invalid, "release %s finds no Deployment: %s and %s have the others", p.Release.Version, t.slots[0], t.slots[1]))
		}
		if spare := len(plans) - 1 - at; spare != at && plans[spare].placement == nil && s.share(spare) < s.share(at) {
			at = spare
		}
		if s.share(at) > 0 && len(a.want.Releases) > 1 {
			return nil, 0, adg.Permanent(adg.Errorf(adg.Conflict, "release %s would go into Deployment %s, whose %s has traffic and is none of the releases that are wanted",
				p.Release.Version, t.slots[at], s.slots[at].release.Version))
		}
		plans[at].placement = p
	}
	total := a.total(s)
	for i := range plans {
		plans[i].size = a.size(plans[i].placement, total)
		plans[i].added = s.slots[i].added(a.want.Deployment)
	}
	if t.o.Strategy == replicas { // what one gets, the other does not, so that they add up
		for i, p := range plans {
			if other := plans[1-i]; p.placement != nil && other.placement != nil && p.placement.Role == adg.StableRole && other.placement.Share > 0 {
				plans[i].size = max(total-other.size, 1)
			}
		}
	}
	return plans, total, nil
}

// total is how many pods the service has when nothing moves.
func (a *application) total(s *state) int {
	if a.target.o.Strategy != replicas {
		n := 1
		for _, in := range s.slots {
			n = max(n, in.wanted)
		}
		return n
	}
	// A move that was broken off has both sizes, so what the deployment began with is noted, and what others did since.
	last, n := s.note(), 0
	if last.Deployment == a.want.Deployment {
		n = last.Size
	}
	begun := n > 0
	for _, in := range s.slots {
		if begun {
			n += in.added(a.want.Deployment)
		} else {
			n += in.wanted
		}
	}
	return max(n, 1)
}

// added is how many pods others than adg have added to a Deployment since adg's deployment began.
func (w *workload) added(deployment string) int {
	if w.note.Deployment != deployment || w.note.Pods == nil {
		return 0
	}
	return w.note.Added + w.wanted - *w.note.Pods
}

// count notes how many pods adg leaves the Deployment with, and what the shares are then.
func (a *application) count(w *workload, size int, plans []plan, total int, next *note) {
	next.Added, next.Pods, next.Size = w.added(a.want.Deployment), &size, total
	for _, p := range plans {
		next.Size -= p.added
	}
	next.round(plans, total)
}

// size is how many pods a release needs for its share. What goes back needs all of them, and so does what is kept idle
// to go back to.
func (a *application) size(p *adg.Placement, total int) int {
	switch {
	case p == nil:
		return 0
	case a.target.o.Strategy == replicas && p.Share == 0:
		return 0
	case a.target.o.Strategy == replicas, a.target.o.Strategy == route && !a.want.Rollback && p.Share > 0:
		return int(math.Max(1, math.Round(float64(total)*p.Share/100)))
	case p.Share == 0 && a.want.Rollback:
		return 0
	default:
		return total
	}
}

// share is the traffic of a slot, by what routes to it, or by its pods.
func (s *state) share(at int) float64 {
	if s.traffic.slots != nil {
		return s.traffic.slots[at]
	}
	return float64(len(s.slots[at].pods))
}

// prepare puts the release into its Deployment and gives it at least the pods that it needs. A Deployment gets no
// smaller here.
func (a *application) prepare(ctx context.Context, i int, plans []plan, total int) error {
	t := a.target
	p, name := plans[i], t.slots[i]
	_, err := a.write(ctx, t.kind.resource, name, func(object *unstructured.Unstructured, next *note) error {
		w, err := t.parse(object)
		if err != nil {
			return adg.Errorf(adg.Unavailable, "read Deployment %s: %w", name, err)
		}
		if t.o.Strategy == replicas {
			a.count(w, max(w.wanted, p.size), plans, total, next)
		}
		if p.placement == nil {
			return nil
		}
		if w.wanted < p.size {
			if err := unstructured.SetNestedField(object.Object, int64(p.size), "spec", "replicas"); err != nil {
				return adg.Permanent(adg.Errorf(adg.Invalid, "Deployment %s: %w", name, err))
			}
		}
		if a.leaves(*p.placement) {
			return nil
		}
		if err := a.mayWrite(w); err != nil {
			return err
		}
		return a.place(ctx, w, p.placement.Release, next)
	})
	return err
}

// round makes the shares those that whole pods can have.
func (n *note) round(plans []plan, total int) {
	for _, p := range plans {
		for i := range n.Releases {
			if p.placement != nil && n.Releases[i].Version == p.placement.Release.Version {
				n.Releases[i].Share = 100 * float64(p.size) / float64(max(total, plans[0].size+plans[1].size))
			}
		}
	}
}

// ready waits until every release that gets traffic has the pods that it needs, ready. A rollout that has failed is no
// error: what it says is in the state.
func (a *application) ready(ctx context.Context, plans []plan) (failed bool, err error) {
	err = a.until(ctx, func() (bool, string, error) {
		s, err := a.target.look(ctx)
		if err != nil {
			return false, "", err
		}
		if err := a.held(s); err != nil {
			return false, "", err
		}
		waiting := ""
		for i, p := range plans {
			if p.placement == nil || p.placement.Share == 0 {
				continue
			}
			in := s.slots[i]
			// An autoscaler may have made it smaller meanwhile: the size is then its business.
			if need := min(p.size, in.wanted); in.complete && in.ready >= need {
				continue
			}
			_, text, bad := s.progress(in)
			if bad {
				failed = true
				return true, "", nil
			}
			waiting = fmt.Sprintf("no traffic was moved, %s", text)
		}
		return waiting == "", waiting, nil
	})
	return failed, err
}

// held refuses to go on with what another operation has changed since, or what the server took and did not keep.
func (a *application) held(s *state) error {
	for _, in := range s.slots {
		switch {
		case in.note.Fences.Refuse(a.want):
			return adg.ErrFenced
		case in.note.OpID != a.want.OpID:
			return adg.Errorf(adg.Conflict, "Deployment %s is not as this operation left it: it has the note of %q", in.name(), in.note.OpID)
		}
	}
	return nil
}

// shrink takes away the pods that nothing is for any more, after the traffic has left them.
func (a *application) shrink(ctx context.Context, plans []plan, total int) error {
	t := a.target
	for i, p := range plans {
		if p.placement != nil && t.o.Strategy != replicas {
			continue // what has no traffic stays ready to go back to
		}
		_, err := a.write(ctx, t.kind.resource, t.slots[i], func(object *unstructured.Unstructured, next *note) error {
			size := p.size
			if t.o.Strategy == replicas {
				w, err := t.parse(object)
				if err != nil {
					return adg.Errorf(adg.Unavailable, "read Deployment %s: %w", t.slots[i], err)
				}
				size = a.remaining(w, p)
				a.count(w, size, plans, total, next)
			}
			return unstructured.SetNestedField(object.Object, int64(size), "spec", "replicas")
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// remaining is how many pods a release keeps: what others have added while the traffic moved stays, and going back,
// nothing of the good one is taken away.
func (a *application) remaining(w *workload, p plan) int {
	if p.size == 0 {
		return 0
	}
	size := max(p.size+w.added(a.want.Deployment)-p.added, 1)
	if a.want.Rollback {
		size = max(size, w.wanted)
	}
	return size
}
