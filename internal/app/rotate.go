package app

import (
	"context"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/cli"
	"github.com/deployguardian/adg/internal/control"
	"github.com/deployguardian/adg/internal/settings"
	"github.com/deployguardian/adg/internal/store/sqlite"
)

// Private

// rotate seals every secret in a server's store by the active key. It needs no server, and disturbs none.
func (a *App) rotate(ctx context.Context, o cli.ServerOptions) (_ control.Resealed, err error) {
	set, _, err := settings.Load(o.Config, os.Environ(), o.Flags)
	if err != nil {
		return control.Resealed{}, err
	}
	ring, err := set.Keyring(ctx, os.Environ())
	if err != nil {
		return control.Resealed{}, err
	}
	documents, end, err := besides(ctx, set, a.log)
	if err != nil {
		return control.Resealed{}, err
	}
	defer both(&err, end)
	return control.Reseal(ctx, documents, drivers(), ring, "machine:"+account())
}

// besides opens the documents of a server's store, which may be in use.
func besides(ctx context.Context, set settings.Settings, log *slog.Logger) (adg.Documents, func() error, error) {
	if set.Store.Postgres != nil {
		store, err := openStore(ctx, set, log)
		if err != nil {
			return nil, nil, err
		}
		return store, store.Close, nil
	}
	path := set.Store.SQLite.Path
	store, err := sqlite.OpenBeside(ctx, filepath.Dir(path), sqlite.Options{Name: filepath.Base(path), Log: log})
	if err != nil {
		return nil, nil, err
	}
	return store, store.Close, nil
}

// account is whose process this is, as the audit log names him.
func account() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "unknown"
}
