package database

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/deployguardian/adg"
)

// Private

// The states of an operation. One that is running while nobody holds the lock was interrupted.
const (
	runningState = "running"
	failedState  = "failed"  // and may be tried again
	refusedState = "refused" // trying again cannot help
	doneState    = "done"
)

// kept is how many operations are remembered for a schema; a deployment needs about ten.
const kept = 64

// operation is a row of the journal: it is in the database, where every replica of adg sees it.
type operation struct {
	OpID     string
	State    string
	Releases []adg.Placement
	Revision string // of the schema, when it was done
	UnderWay string // the migration that is being run without a transaction
	Said     string
	Log      string
}

// exists tells whether a table is there.
func (s *session) exists(ctx context.Context, t table) (found bool, err error) {
	err = s.conn.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", t.String()).Scan(&found)
	return found, s.explained(ctx, "look for "+t.String(), err)
}

func (s *session) explained(ctx context.Context, doing string, err error) error {
	if err == nil {
		return nil
	}
	return s.t.explain(ctx, doing, err)
}

// begin writes down that an operation begins, unless it was done before. An owner whose time is over is refused.
func (s *session) begin(ctx context.Context, want adg.Desired) (done bool, err error) {
	const doing = "note the operation"
	found, err := s.exists(ctx, s.journal)
	if err != nil {
		return false, err
	}
	if !found {
		if _, err := s.conn.Exec(ctx, `CREATE TABLE `+s.journal.String()+` (
			seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
			book text NOT NULL, op_id text NOT NULL, deployment text NOT NULL, fence bigint NOT NULL,
			state text NOT NULL, releases jsonb NOT NULL, revision text NOT NULL DEFAULT '', under_way text NOT NULL DEFAULT '',
			said text NOT NULL DEFAULT '', log text NOT NULL DEFAULT '', at timestamptz NOT NULL DEFAULT now(),
			UNIQUE (book, op_id))`); err != nil {
			return false, s.t.explain(ctx, "make a table for adg's operations", err)
		}
	}
	tx, err := s.conn.Begin(ctx)
	if err != nil {
		return false, s.t.explain(ctx, doing, err)
	}
	defer rollBack(ctx, tx)
	if done, err = s.note(ctx, tx, want); err != nil {
		return false, err
	}
	return done, s.explained(ctx, doing, tx.Commit(ctx))
}

func (s *session) note(ctx context.Context, tx pgx.Tx, want adg.Desired) (done bool, err error) {
	const doing = "note the operation"
	var newest int64
	err = tx.QueryRow(ctx, `SELECT coalesce(max(fence), 0) FROM `+s.journal.String()+` WHERE book = $1 AND deployment = $2`, s.table.name, want.Deployment).Scan(&newest)
	if err != nil {
		return false, s.t.explain(ctx, doing, err)
	}
	if want.Fence < newest {
		return false, adg.ErrFenced
	}
	again, err := tx.Exec(ctx, `UPDATE `+s.journal.String()+` SET fence = $3 WHERE book = $1 AND op_id = $2 AND state = $4`, s.table.name, want.OpID, want.Fence, doneState)
	if err != nil {
		return false, s.t.explain(ctx, doing, err)
	}
	if again.RowsAffected() > 0 {
		return true, nil
	}
	releases, err := json.Marshal(want.Releases)
	if err != nil {
		return false, adg.Permanent(adg.Errorf(adg.Internal, "%s: %w", doing, err))
	}
	// An operation that begins again becomes the last one, and keeps what it left half done.
	_, err = tx.Exec(ctx, `WITH before AS (DELETE FROM `+s.journal.String()+` WHERE book = $1::text AND op_id = $2::text RETURNING under_way)
		INSERT INTO `+s.journal.String()+` (book, op_id, deployment, fence, state, releases, under_way)
		SELECT $1::text, $2::text, $3::text, $4::bigint, $5::text, $6::jsonb, coalesce((SELECT under_way FROM before), '')`,
		s.table.name, want.OpID, want.Deployment, want.Fence, runningState, releases)
	if err != nil {
		return false, s.t.explain(ctx, doing, err)
	}
	_, err = tx.Exec(ctx, `DELETE FROM `+s.journal.String()+` WHERE book = $1 AND under_way = '' AND seq <=
		(SELECT seq FROM `+s.journal.String()+` WHERE book = $1 ORDER BY seq DESC OFFSET $2 LIMIT 1)`, s.table.name, kept)
	return false, s.explained(ctx, doing, err)
}

// end writes down how the operation ended, also when its context has ended meanwhile.
func (s *session) end(ctx context.Context, want adg.Desired, state, said string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
	defer cancel()
	if s.conn.IsClosed() {
		return nil // it stays running in the journal, which is what is known
	}
	revision := ""
	if state == doneState {
		now, err := s.read(ctx)
		if err != nil {
			return err
		}
		revision = now.revision
	}
	_, err := s.conn.Exec(ctx, `UPDATE `+s.journal.String()+` SET state = $3, said = $4, revision = $5, log = $6 WHERE book = $1 AND op_id = $2`,
		s.table.name, want.OpID, state, adg.Printable(s.t.redact(said)), revision, adg.LogTail(string(s.log)))
	return s.explained(ctx, "note how the operation ended", err)
}

// progress says what is being done now; underWay is the migration for which no transaction stands.
func (s *session) progress(ctx context.Context, op, said, underWay string) error {
	_, err := s.conn.Exec(ctx, `UPDATE `+s.journal.String()+` SET said = $3, under_way = $4 WHERE book = $1 AND op_id = $2`, s.table.name, op, adg.Printable(said), adg.Printable(underWay))
	return s.explained(ctx, "note the progress", err)
}

// last are the operations that were begun, the last one first.
func (s *session) last(ctx context.Context) ([]operation, error) {
	found, err := s.exists(ctx, s.journal)
	if err != nil || !found {
		return nil, err
	}
	rows, err := s.conn.Query(ctx, `SELECT op_id, state, releases, revision, under_way, said, log FROM `+s.journal.String()+` WHERE book = $1 ORDER BY seq DESC`, s.table.name)
	if err != nil {
		return nil, s.t.explain(ctx, "read adg's operations", err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[operation])
	return all, s.explained(ctx, "read adg's operations", err)
}

// look is the state of the schema, and the releases that it was brought there for.
func (s *session) look(ctx context.Context) (adg.Observed, error) {
	now, err := s.read(ctx)
	if err != nil {
		return adg.Observed{}, err
	}
	ops, err := s.last(ctx)
	if err != nil {
		return adg.Observed{}, err
	}
	seen := adg.Observed{Done: true}
	done := slices.IndexFunc(ops, func(o operation) bool { return o.State == doneState })
	if done >= 0 {
		seen.OpID = ops[done].OpID
	}
	if len(ops) > 0 {
		seen.Text, seen.Log = ops[0].Said, ops[0].Log
		seen.Done, seen.Failed = ops[0].State == doneState, ops[0].State == refusedState
	}
	seen.Releases = placements(ops, done, now.revision)
	switch {
	case now.dirty != "":
		seen.Done, seen.Failed = false, true
		if !strings.Contains(seen.Text, now.dirty) {
			seen.Text = strings.TrimPrefix(seen.Text+"; "+now.dirty, "; ")
		}
	case len(ops) > 0 && ops[0].State == doneState && ops[0].Revision != now.revision:
		seen.Done = false
		seen.Text = "the schema is at revision " + now.revision + ", and adg left it at " + ops[0].Revision + ": somebody else has migrated it"
	}
	return seen, nil
}

// placements are what the schema is there for: what was asked for, as long as the schema is as it was left; otherwise the
// release of the last operation that needs this revision; otherwise one that is named after the revision.
func placements(ops []operation, done int, revision string) []adg.Placement {
	var all []adg.Placement
	if len(ops) > 0 {
		all = slices.Clone(ops[0].Releases)
	}
	if done >= 0 && ops[done].Revision == revision {
		before := ops[done].Releases
		for _, p := range all {
			known := slices.ContainsFunc(before, func(b adg.Placement) bool { return b.Release.Version == p.Release.Version })
			if !known {
				p.Share, p.Role = 0, adg.IdleRole
				before = append(slices.Clip(before), p)
			}
		}
		return before
	}
	at := -1
	for i := range all {
		if all[i].Release.Schema == revision && (at < 0 || all[i].Share > all[at].Share) {
			at = i
		}
	}
	for i := range all {
		all[i].Share, all[i].Role = 0, adg.IdleRole
		if i == at {
			all[i].Share, all[i].Role = 100, adg.StableRole
		}
	}
	if at < 0 {
		bare := adg.Placement{Release: adg.Release{Version: revision, Schema: revision}, Share: 100}
		all = append(slices.DeleteFunc(all, func(p adg.Placement) bool { return p.Release.Version == revision }), bare)
	}
	return all
}
