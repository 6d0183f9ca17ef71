package database

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/migration"
)

// Private

// querier is a connection or a transaction.
type querier interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// step is a migration in one direction, on the way from one revision to the next.
type step struct {
	migration migration.Migration
	up        bool
	from, to  string
}

func (s step) script() migration.Script {
	if s.up {
		return s.migration.Up
	}
	return s.migration.Down
}

// String says what is done.
func (s step) String() string {
	if s.up {
		return "migration " + s.migration.String()
	}
	return "the way down of migration " + s.migration.String()
}

// book is the table in which a tool keeps what was applied: what stands in it is what the tool itself would write.
type book interface {
	// table is the statements that make it, where it is not there.
	create() []string
	// read is only called where the table is there.
	read(ctx context.Context, q querier) (state, error)
	// begin writes down that a step begins for which no transaction stands.
	begin(ctx context.Context, q querier, s step) error
	// done writes down that a step was done.
	done(ctx context.Context, q querier, s step, took time.Duration) error
}

// state is what a book says.
type state struct {
	revision string    // the newest one; migration.None where nothing was applied
	applied  []applied // what is known of each migration; not complete where only the newest is kept
	upTo     string    // all up to this one count as applied, whatever stands in applied
	repeated map[string]int32
	dirty    string // what is half done and needs a person, a sentence; empty: nothing
}

type applied struct {
	version  string
	checksum *int32
}

func (s state) has(f migration.Format, version string) bool {
	return s.upTo != "" && f.Compare(version, s.upTo) <= 0 ||
		slices.ContainsFunc(s.applied, func(a applied) bool { return f.Compare(a.version, version) == 0 })
}

// changed are the repeatable migrations that were not run as they are in the folder.
func (s state) changed(folder migration.Folder) (all []migration.Migration) {
	for _, m := range folder.Repeatable {
		if sum, found := s.repeated[m.Name]; !found || sum != m.Up.Checksum {
			all = append(all, m)
		}
	}
	return all
}

func bookOf(format migration.Format, t table) book {
	switch format {
	case migration.GolangMigrate:
		return golangMigrate{t}
	case migration.Goose:
		return goose{t}
	case migration.Flyway:
		return flyway{t}
	case migration.SQL:
	}
	return plain{t}
}

// read is what the book says, with what adg's own journal says to be half done.
func (s *session) read(ctx context.Context) (state, error) {
	found, err := s.exists(ctx, s.table)
	if err != nil {
		return state{}, err
	}
	now := state{revision: migration.None}
	if found {
		if now, err = s.book.read(ctx, s.conn); err != nil {
			return state{}, s.t.explain(ctx, "read "+s.table.String(), err)
		}
	}
	ops, err := s.last(ctx)
	if err != nil {
		return state{}, err
	}
	for _, o := range ops {
		if o.UnderWay != "" && now.dirty == "" {
			now.dirty = fmt.Sprintf("%s, which runs without a transaction, was interrupted by the end of operation %s, and nobody knows how far it came: bring the schema in order, "+
				"then say so by UPDATE %s SET under_way = '' WHERE op_id = '%s'", o.UnderWay, o.OpID, s.journal, strings.ReplaceAll(o.OpID, "'", "''"))
		}
	}
	return now, nil
}

// golangMigrate keeps the newest revision only.
type golangMigrate struct{ t table }

func (b golangMigrate) create() []string {
	return []string{"CREATE TABLE IF NOT EXISTS " + b.t.String() + " (version bigint not null primary key, dirty boolean not null)"}
}

func (b golangMigrate) read(ctx context.Context, q querier) (state, error) {
	rows, err := q.Query(ctx, "SELECT version, dirty FROM "+b.t.String()+" LIMIT 1")
	if err != nil {
		return state{}, err
	}
	type row struct {
		Version int64
		Dirty   bool
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[row])
	if err != nil || len(found) == 0 {
		return state{revision: migration.None}, err
	}
	now := state{revision: strconv.FormatInt(max(found[0].Version, 0), 10)}
	now.upTo = now.revision
	if found[0].Dirty {
		now.dirty = fmt.Sprintf("the schema is dirty: a migration to revision %d failed half-way: bring the schema in order, then say which revision it is by migrate force REVISION", found[0].Version)
	}
	return now, nil
}

func (b golangMigrate) begin(ctx context.Context, q querier, s step) error {
	version := s.to
	if s.to == migration.None {
		version = "-1" // as the tool has it before the first one
	}
	return b.set(ctx, q, version, true)
}

func (b golangMigrate) done(ctx context.Context, q querier, s step, _ time.Duration) error {
	return b.set(ctx, q, s.to, false)
}

func (b golangMigrate) set(ctx context.Context, q querier, version string, dirty bool) error {
	n, err := strconv.ParseInt(version, 10, 64)
	if err != nil {
		return adg.Permanent(adg.Errorf(adg.Invalid, "revision %s: %w", version, err))
	}
	values := "SELECT $1::bigint, $2::boolean"
	if n == 0 {
		values += " WHERE false" // none has no row
	}
	_, err = q.Exec(ctx, "WITH gone AS (DELETE FROM "+b.t.String()+" WHERE version <> $1) INSERT INTO "+b.t.String()+" (version, dirty) "+values+
		" ON CONFLICT (version) DO UPDATE SET dirty = excluded.dirty", n, dirty)
	return err
}

// goose has a row for each migration.
type goose struct{ t table }

func (b goose) create() []string {
	return []string{
		"CREATE TABLE IF NOT EXISTS " + b.t.String() + ` (id integer PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY, version_id bigint NOT NULL,
			is_applied boolean NOT NULL, tstamp timestamp NOT NULL DEFAULT now())`,
		"INSERT INTO " + b.t.String() + " (version_id, is_applied) VALUES (0, true)",
	}
}

func (b goose) read(ctx context.Context, q querier) (state, error) {
	rows, err := q.Query(ctx, "SELECT version_id FROM (SELECT DISTINCT ON (version_id) version_id, is_applied FROM "+b.t.String()+
		" ORDER BY version_id, id DESC) AS newest WHERE is_applied AND version_id > 0 ORDER BY version_id")
	if err != nil {
		return state{}, err
	}
	versions, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	now := state{revision: migration.None}
	for _, v := range versions {
		now.revision = strconv.FormatInt(v, 10)
		now.applied = append(now.applied, applied{version: now.revision})
	}
	return now, err
}

// begin needs nothing: a migration that is half done stands in adg's journal, because goose itself has no place for it.
func (b goose) begin(context.Context, querier, step) error { return nil }

func (b goose) done(ctx context.Context, q querier, s step, _ time.Duration) error {
	n, err := strconv.ParseInt(s.migration.Version, 10, 64)
	if err != nil {
		return adg.Permanent(adg.Errorf(adg.Invalid, "revision %s: %w", s.migration.Version, err))
	}
	if s.up {
		_, err = q.Exec(ctx, "INSERT INTO "+b.t.String()+" (version_id, is_applied) VALUES ($1, true)", n)
	} else {
		_, err = q.Exec(ctx, "DELETE FROM "+b.t.String()+" WHERE version_id = $1", n)
	}
	return err
}

// plain is adg's own table, for folders that belong to no tool.
type plain struct{ t table }

func (b plain) create() []string {
	return []string{"CREATE TABLE IF NOT EXISTS " + b.t.String() + ` (version text COLLATE "C" PRIMARY KEY, checksum integer NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())`}
}

func (b plain) read(ctx context.Context, q querier) (state, error) {
	rows, err := q.Query(ctx, "SELECT version, checksum FROM "+b.t.String()+" ORDER BY version")
	if err != nil {
		return state{}, err
	}
	now := state{revision: migration.None}
	now.applied, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (a applied, err error) {
		return a, row.Scan(&a.version, &a.checksum)
	})
	if n := len(now.applied); n > 0 {
		now.revision = now.applied[n-1].version
	}
	return now, err
}

// begin needs nothing: a migration that is half done stands in adg's journal.
func (b plain) begin(context.Context, querier, step) error { return nil }

func (b plain) done(ctx context.Context, q querier, s step, _ time.Duration) (err error) {
	if s.up {
		_, err = q.Exec(ctx, "INSERT INTO "+b.t.String()+" (version, checksum) VALUES ($1, $2)", s.migration.Version, s.migration.Up.Checksum)
	} else {
		_, err = q.Exec(ctx, "DELETE FROM "+b.t.String()+" WHERE version = $1", s.migration.Version)
	}
	return err
}
