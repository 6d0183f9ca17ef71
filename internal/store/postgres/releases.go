package postgres

import (
	"context"
	"errors"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/row"
)

// LastGood is the release that was recorded as good last, of those that still are.
func (s *Store) LastGood(ctx context.Context, service, environment string) (adg.ReleaseRecord, error) {
	r, err := one[adg.ReleaseRecord](ctx, s, "SELECT record FROM standings WHERE service = $1 AND environment = $2 AND standing = 'good' ORDER BY n DESC LIMIT 1", service, environment)
	if errors.Is(err, errNone) {
		err = adg.Errorf(adg.NotFound, "no release of %s is known to be good in %s", service, environment)
	}
	return r, err
}

// Standing is what is known of a release.
func (s *Store) Standing(ctx context.Context, service, environment, identity string) (adg.ReleaseRecord, error) {
	r, err := one[adg.ReleaseRecord](ctx, s, "SELECT record FROM standings WHERE service = $1 AND environment = $2 AND identity = $3", service, environment, identity)
	if errors.Is(err, errNone) {
		err = adg.Errorf(adg.NotFound, "nothing is known of %s %s in %s", service, identity, environment)
	}
	return r, err
}

// Mark records a standing.
func (s *Store) Mark(ctx context.Context, r adg.ReleaseRecord, entries ...adg.AuditEntry) error {
	record, err := row.Encode(r)
	if err != nil {
		return err
	}
	return s.onRecord(ctx, entries, func(ctx context.Context, t *tx) error {
		_, err := t.exec(ctx, markQuery, r.Release.Service, r.Environment, r.Release.Identity(), r.Standing.String(), record)
		return err
	})
}

// HoldOf is the hold that is in force.
func (s *Store) HoldOf(ctx context.Context, service, environment, identity string) (h adg.ReleaseHold, err error) {
	now, err := s.now(ctx)
	if err != nil {
		return h, err
	}
	h, err = one[adg.ReleaseHold](ctx, s, "SELECT hold FROM holds WHERE service = $1 AND environment = $2 AND identity = $3 AND until > $4", service, environment, identity, now)
	if errors.Is(err, errNone) {
		err = row.NoHold(service, environment, identity)
	}
	return h, err
}

// PutHold puts a hold in place of the one that there is.
func (s *Store) PutHold(ctx context.Context, h adg.ReleaseHold, entries ...adg.AuditEntry) error {
	hold, err := row.Encode(h)
	if err != nil {
		return err
	}
	return s.onRecord(ctx, entries, func(ctx context.Context, t *tx) error {
		_, err := t.exec(ctx, putHoldQuery, h.Service, h.Environment, h.Identity, row.End(h.Until), hold, t.now, true, h.Deployment)
		return err
	})
}

// LiftHold ends the hold that is in force.
func (s *Store) LiftHold(ctx context.Context, service, environment, identity string, entries ...adg.AuditEntry) error {
	return s.onRecord(ctx, entries, func(ctx context.Context, t *tx) error {
		lifted, err := t.exec(ctx, "DELETE FROM holds WHERE service = $1 AND environment = $2 AND identity = $3 AND until > $4", service, environment, identity, t.now)
		if err == nil && lifted == 0 {
			err = row.NoHold(service, environment, identity)
		}
		return err
	})
}

// ListHolds are the holds in force.
func (s *Store) ListHolds(ctx context.Context, f adg.ReleaseFilter) ([]adg.ReleaseHold, error) {
	now, err := s.now(ctx)
	if err != nil {
		return nil, err
	}
	w := scopeOf(f)
	w.add("until > %s", now)
	if k := f.After; k != (adg.ReleaseKey{}) {
		w.add("(service, environment, identity) > (%s, %s, %s)", k.Service, k.Environment, k.Identity)
	}
	query := "SELECT hold FROM holds" + w.clause() + " ORDER BY service, environment, identity LIMIT " + w.arg(row.Limit(f.Limit, 100, 1000))
	return collect(ctx, s, decoding(row.Decode[adg.ReleaseHold]), query, w.args...)
}

// ListReleases are the releases on record, what was recorded last comes first.
func (s *Store) ListReleases(ctx context.Context, f adg.ReleaseFilter) ([]adg.ReleaseRecord, error) {
	w := scopeOf(f)
	if k := f.After; k != (adg.ReleaseKey{}) {
		w.add("n < (SELECT n FROM standings WHERE (service, environment, identity) = (%s, %s, %s))", k.Service, k.Environment, k.Identity)
	}
	query := "SELECT record FROM standings" + w.clause() + " ORDER BY n DESC LIMIT " + w.arg(row.Limit(f.Limit, 100, 1000))
	return collect(ctx, s, decoding(row.Decode[adg.ReleaseRecord]), query, w.args...)
}

// Private

// markQuery gives what is recorded again a new place in the order: it was recorded last.
const markQuery = `
INSERT INTO standings (service, environment, identity, standing, record) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (service, environment, identity) DO UPDATE SET n = excluded.n, standing = excluded.standing, record = excluded.record`

// putHoldQuery stores a hold. One that automation puts ($7 is false) does not replace one that is in force for longer,
// unless that is of the same deployment ($8).
const putHoldQuery = `
INSERT INTO holds AS h (service, environment, identity, until, hold) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (service, environment, identity) DO UPDATE SET until = excluded.until, hold = excluded.hold
WHERE $7 OR h.until <= $6 OR h.until < excluded.until
	OR $8 <> '' AND replace(h.hold, '\u0000', '\ufffd')::jsonb ->> 'deployment' = $8`

func scopeOf(f adg.ReleaseFilter) (w where) {
	w.equal("service", f.Service)
	w.equal("environment", f.Environment)
	return w
}

// one reads one row that is stored as JSON; none is errNone.
func one[T any](ctx context.Context, s *Store, query string, args ...any) (v T, err error) {
	var text string
	if err := s.scan(ctx, []any{&text}, query, args...); err != nil {
		return v, err
	}
	return row.Decode[T](text)
}
