package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/row"
)

// LastGood is the release that was recorded as good last, of those that still are.
func (s *Store) LastGood(ctx context.Context, service, environment string) (adg.ReleaseRecord, error) {
	r, err := one[adg.ReleaseRecord](ctx, s, "SELECT record FROM standings WHERE service = ? AND environment = ? AND standing = 'good' ORDER BY n DESC LIMIT 1", service, environment)
	if errors.Is(err, sql.ErrNoRows) {
		err = adg.Errorf(adg.NotFound, "no release of %s is known to be good in %s", service, environment)
	}
	return r, err
}

// Standing is what is known of a release.
func (s *Store) Standing(ctx context.Context, service, environment, identity string) (adg.ReleaseRecord, error) {
	r, err := one[adg.ReleaseRecord](ctx, s, "SELECT record FROM standings WHERE service = ? AND environment = ? AND identity = ?", service, environment, identity)
	if errors.Is(err, sql.ErrNoRows) {
		err = adg.Errorf(adg.NotFound, "nothing is known of %s %s in %s", service, identity, environment)
	}
	return r, err
}

// Mark records a standing.
func (s *Store) Mark(ctx context.Context, r adg.ReleaseRecord, entries ...adg.AuditEntry) error {
	return s.onRecord(ctx, entries, func(t *tx) error { return t.mark(r) })
}

// HoldOf is the hold that is in force.
func (s *Store) HoldOf(ctx context.Context, service, environment, identity string) (adg.ReleaseHold, error) {
	h, err := one[adg.ReleaseHold](ctx, s, "SELECT hold FROM holds WHERE service = ? AND environment = ? AND identity = ? AND until > ?",
		service, environment, identity, row.Nanos(s.clock.now()))
	if errors.Is(err, sql.ErrNoRows) {
		err = row.NoHold(service, environment, identity)
	}
	return h, err
}

// PutHold puts a hold in place of the one that there is.
func (s *Store) PutHold(ctx context.Context, h adg.ReleaseHold, entries ...adg.AuditEntry) error {
	return s.onRecord(ctx, entries, func(t *tx) error { return t.putHold(h, s.clock.now(), true) })
}

// LiftHold ends the hold that is in force.
func (s *Store) LiftHold(ctx context.Context, service, environment, identity string, entries ...adg.AuditEntry) error {
	return s.onRecord(ctx, entries, func(t *tx) error {
		lifted, err := t.exec("DELETE FROM holds WHERE service = ? AND environment = ? AND identity = ? AND until > ?", service, environment, identity, row.Nanos(s.clock.now()))
		if err == nil && lifted == 0 {
			err = row.NoHold(service, environment, identity)
		}
		return err
	})
}

// ListHolds are the holds in force.
func (s *Store) ListHolds(ctx context.Context, f adg.ReleaseFilter) ([]adg.ReleaseHold, error) {
	query, args := within("SELECT hold FROM holds WHERE until > ?", []any{row.Nanos(s.clock.now())}, f)
	if k := f.After; k != (adg.ReleaseKey{}) {
		query, args = query+" AND (service, environment, identity) > (?, ?, ?)", append(args, k.Service, k.Environment, k.Identity)
	}
	return collect(ctx, s, decoding(row.Decode[adg.ReleaseHold]), query+" ORDER BY service, environment, identity LIMIT ?", append(args, row.Limit(f.Limit, 100, 1000))...)
}

// ListReleases are the releases that something is known of.
func (s *Store) ListReleases(ctx context.Context, f adg.ReleaseFilter) ([]adg.ReleaseRecord, error) {
	query, args := within("SELECT record FROM standings WHERE true", nil, f)
	if k := f.After; k != (adg.ReleaseKey{}) {
		query, args = query+" AND n < (SELECT n FROM standings WHERE (service, environment, identity) = (?, ?, ?))", append(args, k.Service, k.Environment, k.Identity)
	}
	return collect(ctx, s, decoding(row.Decode[adg.ReleaseRecord]), query+" ORDER BY n DESC LIMIT ?", append(args, row.Limit(f.Limit, 100, 1000))...)
}

// Private

// within adds the conditions of a filter to a query.
func within(query string, args []any, f adg.ReleaseFilter) (string, []any) {
	if f.Service != "" {
		query, args = query+" AND service = ?", append(args, f.Service)
	}
	if f.Environment != "" {
		query, args = query+" AND environment = ?", append(args, f.Environment)
	}
	return query, args
}

func (t *tx) mark(r adg.ReleaseRecord) error {
	record, err := row.Encode(r)
	if err != nil {
		return err
	}
	// A replaced row gets a new number: it was recorded last.
	_, err = t.exec("INSERT OR REPLACE INTO standings (service, environment, identity, standing, record) VALUES (?, ?, ?, ?, ?)",
		r.Release.Service, r.Environment, r.Release.Identity(), r.Standing.String(), record)
	return err
}

// putHold stores a hold. One that automation puts does not replace one that is in force for longer, unless that is of the
// same deployment.
func (t *tx) putHold(h adg.ReleaseHold, now time.Time, replace bool) error {
	hold, err := row.Encode(h)
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT INTO holds (service, environment, identity, until, hold) VALUES (?1, ?2, ?3, ?4, ?5)
		ON CONFLICT DO UPDATE SET until = excluded.until, hold = excluded.hold WHERE ?7 OR until <= ?6 OR until < excluded.until OR ?8 <> '' AND hold ->> '$.deployment' = ?8`,
		h.Service, h.Environment, h.Identity, row.End(h.Until), hold, row.Nanos(now), replace, h.Deployment)
	return err
}

// one reads one row that is stored as JSON; none is sql.ErrNoRows.
func one[T any](ctx context.Context, s *Store, query string, args ...any) (v T, err error) {
	var text string
	if err := s.reads.QueryRowContext(ctx, query, args...).Scan(&text); err != nil {
		return v, explain(s.dir, err)
	}
	return row.Decode[T](text)
}
