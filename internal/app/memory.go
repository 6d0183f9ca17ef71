package app

import (
	"context"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/sqlite"
)

// Private

// memory is what a data directory remembers apart from guarding.
type memory interface {
	adg.Documents
	ListDeployments(ctx context.Context, f adg.DeploymentFilter) ([]adg.Deployment, error)
}

// reading opens what a data directory remembers, for reading only, also while another process guards with it. One that
// nothing was kept in remembers nothing, and stays as it is.
func reading(ctx context.Context, dir string) (memory, func() error, error) {
	store, err := sqlite.OpenReadOnly(ctx, dir)
	switch {
	case adg.CodeOf(err) == adg.NotFound:
		return nothing{dir}, func() error { return nil }, nil
	case err != nil:
		return nil, nil, err
	}
	return store, store.Close, nil
}

// writing opens the documents of a data directory, which may be new, also while another process guards with it.
func writing(ctx context.Context, dir string) (adg.Documents, func() error, error) {
	beside, err := sqlite.OpenBeside(ctx, dir, sqlite.Options{})
	if err != nil {
		return nil, nil, err
	}
	return beside, beside.Close, nil
}

// nothing is the memory of a data directory without any.
type nothing struct{ dir string }

func (n nothing) Document(_ context.Context, kind, key string) (adg.Document, error) {
	return adg.Document{}, adg.Errorf(adg.NotFound, "%s holds no %s %q", n.dir, kind, key)
}

func (nothing) ListDocuments(context.Context, adg.DocumentFilter) ([]adg.Document, error) {
	return nil, nil
}

func (n nothing) WriteDocuments(context.Context, []adg.Write, ...adg.AuditEntry) ([]adg.Document, error) {
	return nil, adg.Errorf(adg.Conflict, "the data directory %s is open for reading only", n.dir)
}

func (nothing) Purge(context.Context, int) (int, error) { return 0, nil }

func (nothing) ListDeployments(context.Context, adg.DeploymentFilter) ([]adg.Deployment, error) {
	return nil, nil
}
