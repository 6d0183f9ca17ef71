package argocd

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/kube"
	"github.com/deployguardian/adg/internal/target/gitops"
)

// Private

// tries bounds how often the Application is read again because somebody else has written it meanwhile: while it syncs, its
// controller does so every second.
const tries = 8

// converge notes the operation, and starts it unless it was started already.
func (t *target) converge(ctx context.Context, want adg.Desired) error {
	s, err := t.noted(ctx, want)
	if err != nil {
		return err
	}
	return t.start(ctx, s)
}

// noted writes the note, with automated sync suspended where it would undo the operation, and gives the state that has it.
// Both are one write, and it is read back: the server does not say whether it took it.
func (t *target) noted(ctx context.Context, want adg.Desired) (*state, error) {
	wrote := false
	for range tries {
		s, err := t.look(ctx)
		if err != nil {
			return nil, err
		}
		if s.note.Fences.Refuse(want) {
			return nil, adg.ErrFenced
		}
		next, err := t.next(ctx, s, want)
		if err != nil {
			return nil, err
		}
		changes, err := next.changes(s.app)
		if err != nil {
			return nil, err
		}
		if next.Entry != nil && s.app.automated() != nil {
			changes = append(changes, change{Op: "remove", Path: "/spec/syncPolicy/automated"})
		}
		if len(changes) == 0 {
			return s, nil
		}
		switch err := t.api.patch(ctx, s.app, changes); {
		case err == nil:
			wrote = true
		case !errors.Is(err, errAgain):
			return nil, err
		}
	}
	if wrote {
		return nil, adg.Errorf(adg.Unavailable, "Argo CD took the note of the operation and does not have it, or somebody puts automated sync back, %d times: does another Application or an ApplicationSet manage this one?", tries)
	}
	return nil, adg.Errorf(adg.Unavailable, "%w, %d times", errAgain, tries)
}

// next is the note for want. An operation that is noted already keeps what was decided for it.
func (t *target) next(ctx context.Context, s *state, want adg.Desired) (note, error) {
	n := s.note
	n.Fences = n.Fences.With(want)
	if n.OpID != want.OpID {
		release, err := wanted(want)
		if err != nil {
			return n, adg.Permanent(err)
		}
		if image, only := s.only(); only && s.app.running() == nil && s.app.newest().ID >= 0 {
			n = n.saw(image, s.app.newest())
		}
		found, err := t.find(ctx, s.app, n, release, want.Rollback)
		if err != nil {
			return n, err
		}
		n.OpID, n.Rollback, n.Live, n.Others = want.OpID, want.Rollback, named{release.Version, release.Artifact}, nil
		for _, p := range want.Releases {
			if p.Release.Version != release.Version {
				n.Others = append(n.Others, named{p.Release.Version, p.Release.Artifact})
			}
		}
		n.Entry, n.Revision, n.Newest, n.Started = found.entry, found.revision, s.app.newest().ID, ""
		if last := s.app.Status.OperationState; last != nil {
			n.Started = last.StartedAt
		}
	}
	if policy := s.app.automated(); n.Entry != nil && policy != nil {
		n.Automated = policy
	}
	return n, nil
}

// place is where a release is to be had from.
type place struct {
	entry    *int64 // of the history; nil: what the repository has
	revision string
}

// find looks for a release in what the repository has, then in the history: where it was seen live, and else in the
// manifests of each revision that was synced from the same source.
func (t *target) find(ctx context.Context, app *application, n note, r adg.Release, rollback bool) (place, error) {
	if len(app.Spec.Sources) > 0 {
		return place{}, adg.Permanent(adg.Errorf(adg.Invalid, "the Application has several sources: adg goes back in the history of one source only"))
	}
	images, revision, err := t.api.manifests(ctx, "")
	switch _, refused := gone(err); {
	case err == nil && t.holds(images, r):
		return place{revision: revision}, nil
	case err != nil && (!rollback || refused):
		return place{}, err
	}
	unknown := err // going back, a repository that does not answer is no reason to give up: the history may know
	history := slices.Clone(app.Status.History)
	slices.SortFunc(history, func(a, b entry) int { return cmp.Compare(b.ID, a.ID) })
	for _, known := range n.Known {
		at := slices.IndexFunc(history, func(e entry) bool { return e.ID == known.Entry })
		if at >= 0 && gitops.Is(known.Image, t.o.Image, r) {
			return place{&known.Entry, history[at].Revision}, nil
		}
	}
	asked := map[string]bool{revision: true}
	for _, e := range history {
		if asked[e.Revision] || !sameSource(e.Source, app.Spec.Source) {
			continue
		}
		asked[e.Revision] = true
		images, _, err := t.api.manifests(ctx, e.Revision)
		switch {
		case err == nil && t.holds(images, r):
			return place{&e.ID, e.Revision}, nil
		case ctx.Err() != nil:
			return place{}, err
		case err != nil && !adg.IsPermanent(err):
			unknown = err
		}
	}
	switch {
	case unknown != nil:
		return place{}, fmt.Errorf("look for release %s: %w", r.Version, unknown)
	case rollback:
		return place{}, adg.Permanent(adg.Errorf(adg.NotFound, "release %s is in none of the %d entries of the Application's history, and not in the repository: raise revisionHistoryLimit, or revert in Git",
			r.Version, len(history)))
	}
	return place{}, adg.Errorf(adg.Unavailable, "release %s is not in revision %s of the repository, which the Application tracks, nor in its history: merge it", r.Version, t.api.client.Scrub(revision))
}

func (t *target) holds(images []string, r adg.Release) bool {
	return slices.ContainsFunc(images, func(image string) bool { return gitops.Is(image, t.o.Image, r) })
}

// runs tells whether any of them is an image of the repository, of whatever release.
func (t *target) runs(images []string) bool {
	return slices.ContainsFunc(images, func(image string) bool {
		of, _, _ := kube.SplitImage(image)
		return of == t.o.Image
	})
}

// sameSource compares all but the revision that is tracked: parameters of an older source made other manifests.
func sameSource(a, b json.RawMessage) bool {
	clean := func(raw json.RawMessage) []byte {
		fields := map[string]any{}
		if json.Unmarshal(raw, &fields) != nil {
			return nil
		}
		delete(fields, "targetRevision")
		text, _ := json.Marshal(fields) // what was JSON is JSON
		return text
	}
	one := clean(a)
	return one != nil && bytes.Equal(one, clean(b))
}

// start begins the sync or the rollback that is noted, once. One that is in the way of a rollback is ended.
func (t *target) start(ctx context.Context, s *state) error {
	n := s.note
	switch running := s.app.running(); {
	case s.app.Metadata.DeletionTimestamp != "":
		return adg.Permanent(adg.Errorf(adg.NotFound, "the Application is being deleted"))
	case running != nil && n.ours(running), running == nil && s.begun():
		return nil
	case running != nil && n.Rollback:
		if err := t.api.do(ctx, end, "/operation", nil, nil, nil); err != nil {
			return err
		}
		return adg.Errorf(adg.Unavailable, "another sync is under way and was told to end: the rollback starts when it has")
	case running != nil:
		return adg.Errorf(adg.Unavailable, "another sync is under way: this one starts when it has ended")
	case n.Entry != nil:
		return t.api.do(ctx, write, "/rollback", nil, t.api.body(map[string]any{"id": *n.Entry, "prune": t.o.Prune}), nil)
	}
	return t.api.do(ctx, write, "/sync", nil, t.api.body(map[string]any{"prune": t.o.Prune, "infos": []info{{infoName, n.OpID}}}), nil)
}
