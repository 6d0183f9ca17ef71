package database

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/deployguardian/adg/internal/migration"
)

// Private

// flyway has a row for each thing that ever happened, with the checksum of the file.
type flyway struct{ t table }

func (b flyway) create() []string {
	name := func(suffix string) string { return pgx.Identifier{b.t.name + suffix}.Sanitize() }
	return []string{
		"CREATE TABLE " + b.t.String() + ` (installed_rank INT NOT NULL, version VARCHAR(50), description VARCHAR(200) NOT NULL, type VARCHAR(20) NOT NULL,
			script VARCHAR(1000) NOT NULL, checksum INTEGER, installed_by VARCHAR(100) NOT NULL, installed_on TIMESTAMP NOT NULL DEFAULT now(),
			execution_time INTEGER NOT NULL, success BOOLEAN NOT NULL)`,
		"ALTER TABLE " + b.t.String() + " ADD CONSTRAINT " + name("_pk") + " PRIMARY KEY (installed_rank)",
		"CREATE INDEX " + name("_s_idx") + " ON " + b.t.String() + " (success)",
	}
}

// entry is a row.
type entry struct {
	Version     *string
	Description string
	Type        string
	Checksum    *int32
	Success     bool
}

func (b flyway) read(ctx context.Context, q querier) (state, error) {
	rows, err := q.Query(ctx, "SELECT version, description, type, checksum, success FROM "+b.t.String()+" ORDER BY installed_rank")
	if err != nil {
		return state{}, err
	}
	entries, err := pgx.CollectRows(rows, pgx.RowToStructByPos[entry])
	if err != nil {
		return state{}, err
	}
	now := state{revision: migration.None, repeated: map[string]int32{}}
	for _, e := range entries {
		b.fold(&now, e)
	}
	for _, a := range now.applied {
		if migration.Flyway.Compare(a.version, now.revision) > 0 {
			now.revision = a.version
		}
	}
	return now, nil
}

// fold adds what a row says to what those before it said.
func (b flyway) fold(now *state, e entry) {
	switch {
	case !e.Success:
		what := e.Description
		if e.Version != nil {
			what = *e.Version + " " + what
		}
		now.dirty = fmt.Sprintf("migration %s failed half-way: bring the schema in order, then run flyway repair", what)
	case e.Version == nil:
		if e.Checksum != nil {
			now.repeated[e.Description] = *e.Checksum
		}
	case e.Type == "UNDO_SQL", e.Type == "DELETE":
		now.applied = slices.DeleteFunc(now.applied, func(a applied) bool { return migration.Flyway.Compare(a.version, *e.Version) == 0 })
	case e.Type == "BASELINE", e.Type == "SQL_BASELINE":
		now.upTo = *e.Version
		now.applied = append(now.applied, applied{version: *e.Version})
	default:
		now.applied = append(now.applied, applied{*e.Version, e.Checksum})
	}
}

// begin writes the row of a failure, which done makes one of success: so flyway, too, sees what is half done.
func (b flyway) begin(ctx context.Context, q querier, s step) error {
	return b.insert(ctx, q, s, 0, false)
}

func (b flyway) done(ctx context.Context, q querier, s step, took time.Duration) error {
	if !s.script().NoTx {
		return b.insert(ctx, q, s, took, true)
	}
	_, err := q.Exec(ctx, "UPDATE "+b.t.String()+" SET success = true, execution_time = $1 WHERE NOT success", took.Milliseconds())
	return err
}

func (b flyway) insert(ctx context.Context, q querier, s step, took time.Duration, success bool) error {
	var version *string
	if s.migration.Version != "" {
		version = &s.migration.Version
	}
	kind := "SQL"
	if !s.up {
		kind = "UNDO_SQL"
	}
	_, err := q.Exec(ctx, "INSERT INTO "+b.t.String()+` (installed_rank, version, description, type, script, checksum, installed_by, execution_time, success)
		SELECT coalesce(max(installed_rank), 0) + 1, $1::text, $2::text, $3::text, $4::text, $5::integer, current_user, $6::integer, $7::boolean FROM `+b.t.String(),
		version, s.migration.Name, kind, s.script().File, s.script().Checksum, took.Milliseconds(), success)
	return err
}
