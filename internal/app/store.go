package app

import (
	"context"
	"errors"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/cli"
	"github.com/deployguardian/adg/internal/settings"
	"github.com/deployguardian/adg/internal/store/postgres"
	"github.com/deployguardian/adg/internal/store/row"
	"github.com/deployguardian/adg/internal/store/sqlite"
)

// copyStore moves a data directory to PostgreSQL. An interrupt ends it, and nothing was moved.
func (a *App) copyStore(ctx context.Context, o cli.CopyOptions) (copied []cli.StoredRows, err error) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	dsn, err := dsnOf(o)
	if err != nil {
		return nil, err
	}
	from, err := sqlite.OpenArchive(ctx, o.From)
	if err != nil {
		return nil, err
	}
	defer both(&err, from.Close)
	moved, err := postgres.Fill(ctx, postgres.Options{DSN: dsn, Log: a.log}, from, func(m row.Moved) { o.Progress(m.Table, m.Done, m.All) })
	if ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
		return nil, adg.Errorf(adg.Unavailable, "interrupted: nothing was copied")
	}
	for _, m := range moved {
		copied = append(copied, cli.StoredRows{Table: m.Table, Rows: m.Done})
	}
	return copied, err
}

// backup writes the database of a data directory into a file.
func (a *App) backup(ctx context.Context, dir, file string) (cli.BackedUp, error) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	b, err := sqlite.WriteBackup(ctx, dir, file)
	if ctx.Err() != nil && err != nil {
		return cli.BackedUp{}, adg.Errorf(adg.Unavailable, "interrupted: there is no backup")
	}
	return cli.BackedUp(b), err
}

// Private

// maxDSN is more than any DSN has.
const maxDSN = 16 << 10

// dsnOf is where a copy goes to.
func dsnOf(o cli.CopyOptions) (adg.Secret, error) {
	switch {
	case o.ToConfig != "":
		set, _, err := settings.Load(o.ToConfig, os.Environ(), nil)
		if err != nil {
			return adg.Secret{}, err
		}
		if set.Store.Postgres == nil {
			return adg.Secret{}, adg.Errorf(adg.Invalid, "%s names no PostgreSQL: set store.postgres.dsn", o.ToConfig)
		}
		return set.Store.Postgres.DSN, nil
	case o.ToFile != "":
		text, err := os.ReadFile(o.ToFile)
		if err != nil {
			return adg.Secret{}, adg.Errorf(adg.Invalid, "read the URL of the database: %w", err)
		}
		if len(text) > maxDSN {
			return adg.Secret{}, adg.Errorf(adg.Invalid, "%s is no URL of a database: it is too long", o.ToFile)
		}
		return adg.NewSecret(strings.TrimSpace(string(text))), nil
	}
	if tellsPassword(o.To) {
		return adg.Secret{}, adg.Errorf(adg.Invalid, "--to has a password in it, which everybody on this machine can see: change it, and give it by PGPASSWORD, PGPASSFILE or --to-file")
	}
	return adg.NewSecret(o.To), nil
}

// tellsPassword finds a password in a URL, or in what libpq reads instead of one.
func tellsPassword(dsn string) bool {
	if strings.Contains(strings.ToLower(dsn), "password") {
		return true
	}
	u, err := url.Parse(dsn)
	if err != nil {
		return strings.Contains(dsn, "@") // whatever it is, it may be one
	}
	_, told := u.User.Password()
	return told
}
