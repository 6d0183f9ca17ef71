package argocd

import (
	"context"
	"errors"
	"fmt"

	"github.com/deployguardian/adg"
)

// Suspends is the automated sync where the release comes from the history and not from the repository.
func (t *target) Suspends(ctx context.Context, want adg.Desired) (string, error) {
	s, err := t.look(ctx)
	if err != nil {
		return "", err
	}
	if what := s.suspended(); what != "" || s.app.automated() == nil {
		return what, nil
	}
	next, err := t.next(ctx, s, want)
	if err != nil || next.Entry == nil {
		return "", err
	}
	return s.automatedSync(), nil
}

// Resume puts automated sync back as it was, unless the revision that it would sync holds a release that is held.
func (t *target) Resume(ctx context.Context, held []adg.Release) (adg.Observed, error) {
	for range tries {
		s, err := t.look(ctx)
		if err != nil {
			return adg.Observed{}, err
		}
		seen := s.observed()
		if seen.Suspended == "" {
			return seen, nil
		}
		if why, err := t.brings(ctx, held); err != nil || why != "" {
			seen.Text = why
			return seen, err
		}
		n := s.note
		n.Automated = nil
		changes, err := n.changes(s.app)
		if err != nil {
			return adg.Observed{}, err
		}
		if s.app.Spec.SyncPolicy == nil {
			changes = append(changes, change{"add", "/spec/syncPolicy", struct{}{}})
		}
		changes = append(changes, change{"add", "/spec/syncPolicy/automated", s.note.Automated})
		switch err := t.api.patch(ctx, s.app, changes); {
		case err == nil:
			return t.Current(ctx)
		case !errors.Is(err, errAgain):
			return adg.Observed{}, fmt.Errorf("resume automated sync: %w", err)
		}
	}
	return adg.Observed{}, adg.Errorf(adg.Unavailable, "resume automated sync: %w, %d times", errAgain, tries)
}

// Rehearse says whether the release could be brought back: that it is in the history or in the repository, that the token
// may do what it takes, that no sync window forbids it, and who would put automated sync back.
func (t *target) Rehearse(ctx context.Context, want adg.Desired) ([]adg.Obstacle, error) {
	release, err := wanted(want)
	if err != nil {
		return []adg.Obstacle{{Name: "release", Final: true, Text: err.Error()}}, nil
	}
	app, err := t.api.application(ctx)
	var found place
	if err == nil {
		found, err = t.find(ctx, app, noteOf(app), release, true)
	}
	if err != nil {
		if name, is := gone(err); is {
			return []adg.Obstacle{{Name: name, Final: true, Text: err.Error()}}, nil
		}
		return nil, fmt.Errorf("rehearse: %w", err)
	}
	obstacles, err := t.rights(ctx, app)
	if err != nil {
		return nil, fmt.Errorf("rehearse: %w", err)
	}
	window, err := t.window(ctx)
	if err != nil {
		return nil, fmt.Errorf("rehearse: %w", err)
	}
	obstacles = append(obstacles, window...)
	for _, owner := range app.Metadata.OwnerReferences {
		if owner.Kind == "ApplicationSet" && found.entry != nil && app.automated() != nil {
			obstacles = append(obstacles, adg.Obstacle{Name: "sync", Text: fmt.Sprintf(
				"the ApplicationSet %s may put automated sync back: give it ignoreApplicationDifferences for .spec.syncPolicy", t.api.client.Scrub(owner.Name))})
		}
	}
	return obstacles, nil
}

// Private

// brings says which held release automated sync would bring back, or that this cannot be told; empty: none.
func (t *target) brings(ctx context.Context, held []adg.Release) (string, error) {
	images, revision, err := t.api.manifests(ctx, "")
	if err != nil {
		return "", fmt.Errorf("what the repository has: %w", err)
	}
	revision = t.api.client.Scrub(revision)
	for _, r := range held {
		if t.holds(images, r) {
			return fmt.Sprintf("revision %s of the repository still has %s, which is on hold: revert it there", revision, r.Version), nil
		}
	}
	if !t.runs(images) {
		return fmt.Sprintf("revision %s of the repository has no image of %s, so that nobody can tell which release it is", revision, t.o.Image), nil
	}
	return "", nil
}

// rights asks whether the token may change and sync the Application.
func (t *target) rights(ctx context.Context, app *application) (obstacles []adg.Obstacle, err error) {
	name := app.Spec.Project + "/" + t.o.Application
	if t.o.Namespace != "" {
		name = app.Spec.Project + "/" + t.o.Namespace + "/" + t.o.Application
	}
	for _, action := range []string{"update", "sync"} {
		var answer struct {
			Value string `json:"value"`
		}
		if err := t.api.send(ctx, read, "/api/v1/account/can-i/applications/"+action+"/"+name, nil, nil, &answer); err != nil {
			return nil, err
		}
		if answer.Value == "no" {
			obstacles = append(obstacles, adg.Obstacle{Name: "access", Final: true, Text: fmt.Sprintf(
				"the token may not %s the Application: give its account or role applications, %s, %s", action, action, name)})
		}
	}
	return obstacles, nil
}

// window asks whether a sync by hand is allowed now.
func (t *target) window(ctx context.Context) ([]adg.Obstacle, error) {
	var windows struct {
		CanSync *bool `json:"canSync"`
	}
	if err := t.api.do(ctx, read, "/syncwindows", nil, nil, &windows); err != nil {
		return nil, err
	}
	if windows.CanSync != nil && !*windows.CanSync {
		return []adg.Obstacle{{Name: "sync", Text: "a sync window of the project forbids to sync by hand now: set manualSync on it"}}, nil
	}
	return nil, nil
}
