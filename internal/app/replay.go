package app

import (
	"context"
	"fmt"
	"strings"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/cli"
	"github.com/deployguardian/adg/internal/replay"
	"github.com/deployguardian/adg/internal/store/sqlite"
)

// replay makes the decisions of one deployment, or of all, again.
func (a *App) replay(ctx context.Context, o cli.ReplayOptions) (err error) {
	store, err := sqlite.OpenReadOnly(ctx, o.DataDir)
	if err != nil {
		return err
	}
	defer both(&err, store.Close)
	one := func(id string) error {
		r, err := replay.Of(ctx, store, id, func(done, all int64) { o.Progress(id, fmt.Sprintf("%d of %d ticks", done, all)) })
		if err != nil {
			return fmt.Errorf("replaying %s: %w", id, err)
		}
		return o.Each(r)
	}
	if o.All {
		return everyDeployment(ctx, store, adg.DeploymentFilter{}, func(d adg.Deployment) error { return one(d.ID) })
	}
	id, err := called(ctx, store, o.Deployment)
	if err != nil {
		return err
	}
	return one(id)
}

// deployments are the ids of a data directory that begin so, the newest first: what a shell completes.
func (a *App) deployments(ctx context.Context, dir, prefix string) (ids []string, err error) {
	store, err := sqlite.OpenReadOnly(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer both(&err, store.Close)
	list, err := store.ListDeployments(ctx, adg.DeploymentFilter{Limit: 1000})
	for _, d := range list {
		if strings.HasPrefix(d.ID, prefix) {
			ids = append(ids, d.ID)
		}
	}
	return ids, err
}

// Private

// called finds the one deployment that has this id, or whose id begins so.
func called(ctx context.Context, store adg.Deployments, name string) (string, error) {
	d, err := store.Deployment(ctx, name)
	if err == nil || adg.CodeOf(err) != adg.NotFound {
		return d.ID, err
	}
	const named = 5
	var found []string
	err = everyDeployment(ctx, store, adg.DeploymentFilter{}, func(d adg.Deployment) error {
		if strings.HasPrefix(d.ID, name) && len(found) <= named {
			found = append(found, d.ID)
		}
		return nil
	})
	switch {
	case err != nil:
		return "", err
	case len(found) == 0:
		return "", adg.Errorf(adg.NotFound, "there is no deployment %q, and none whose id begins so", name)
	case len(found) > named:
		return "", adg.Errorf(adg.Invalid, "%q is the beginning of many deployments, %s among them: say more of it", name, strings.Join(found[:named], ", "))
	case len(found) > 1:
		return "", adg.Errorf(adg.Invalid, "%q is the beginning of %s: say more of it", name, strings.Join(found, ", "))
	}
	return found[0], nil
}

// everyDeployment goes through the deployments that a filter selects, the newest first.
func everyDeployment(ctx context.Context, store adg.Deployments, f adg.DeploymentFilter, each func(adg.Deployment) error) error {
	const page = 200
	f.Limit = page
	for {
		list, err := store.ListDeployments(ctx, f)
		if err != nil {
			return err
		}
		for _, d := range list {
			if err := each(d); err != nil {
				return err
			}
		}
		if len(list) < page {
			return nil
		}
		f.Before = list[len(list)-1].ID
	}
}
