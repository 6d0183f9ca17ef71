package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/row"
)

// CreateDeployment stores a new deployment.
func (s *Store) CreateDeployment(ctx context.Context, d adg.Deployment) error {
	if d.ID == "" {
		return adg.Errorf(adg.Invalid, "a deployment needs an id")
	}
	spec, err := row.Encode(d.Spec)
	if err != nil {
		return err
	}
	status, err := row.Status(d.Status)
	if err != nil {
		return err
	}
	policy, state := d.Spec.Policy, d.Status.State
	return s.write(ctx, true, func(t *tx) error {
		now := row.Nanos(s.clock.now())
		made, err := t.exec("INSERT INTO deployments (id, service, environment, version, state, live, due) VALUES (?, ?, ?, 1, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
			d.ID, policy.Service, policy.Environment, state.String(), !state.Ended(), now)
		if err != nil {
			return err
		}
		if made == 0 {
			return adg.Errorf(adg.Conflict, "deployment %s exists already", d.ID)
		}
		if _, err := t.exec("INSERT INTO specs (deployment, spec) SELECT n, ? FROM deployments WHERE id = ?", spec, d.ID); err != nil {
			return err
		}
		if _, err := t.exec("INSERT INTO statuses (deployment, status) SELECT n, ? FROM deployments WHERE id = ?", status, d.ID); err != nil {
			return err
		}
		_, err = t.exec("UPDATE deployments SET due = min(due, ?1) WHERE live = 1 AND service = ?2 AND environment = ?3", now, policy.Service, policy.Environment)
		return err
	})
}

// Deployment is one deployment.
func (s *Store) Deployment(ctx context.Context, id string) (adg.Deployment, error) {
	var r record
	err := s.reads.QueryRowContext(ctx, "SELECT d.id, d.version, s.spec, t.status"+fromDeployments+" WHERE d.id = ?", id).Scan(&r.id, &r.version, &r.spec, &r.status)
	if errors.Is(err, sql.ErrNoRows) {
		return adg.Deployment{}, row.UnknownDeployment(id)
	}
	if err != nil {
		return adg.Deployment{}, explain(s.dir, err)
	}
	return r.deployment()
}

// ListDeployments gives the newest first.
func (s *Store) ListDeployments(ctx context.Context, f adg.DeploymentFilter) ([]adg.Deployment, error) {
	from, where, args := fromDeployments, []string{"true"}, []any{}
	add := func(condition, value string) {
		if value != "" {
			where, args = append(where, condition), append(args, value)
		}
	}
	add("d.service = ?", f.Service)
	add("d.environment = ?", f.Environment)
	if f.Live {
		// There are few live ones and many ended ones: the planner cannot know.
		from = strings.Replace(from, "deployments d", "deployments d INDEXED BY deployments_live", 1)
		where = append(where, "d.live = 1")
	}
	if f.Before != "" {
		n, err := s.number(ctx, s.reads, f.Before)
		if err != nil {
			return nil, err
		}
		where, args = append(where, "d.n < ?"), append(args, n)
	}
	query := "SELECT d.id, d.version, s.spec, t.status" + from + " WHERE " + strings.Join(where, " AND ") + " ORDER BY d.n DESC LIMIT ?"
	return collect(ctx, s, func(rows *sql.Rows) (adg.Deployment, error) {
		var r record
		if err := rows.Scan(&r.id, &r.version, &r.spec, &r.status); err != nil {
			return adg.Deployment{}, err
		}
		return r.deployment()
	}, query, append(args, row.Limit(f.Limit, 100, 1000))...)
}

// Private

const fromDeployments = " FROM deployments d JOIN specs s ON s.deployment = d.n JOIN statuses t ON t.deployment = d.n"

// record is a deployment as it is stored.
type record struct {
	id, spec, status string
	version          int64
}

func (r record) deployment() (adg.Deployment, error) {
	return row.Deployment(r.id, r.version, r.spec, r.status)
}

type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// number finds a deployment's row.
func (s *Store) number(ctx context.Context, q querier, id string) (n int64, err error) {
	err = q.QueryRowContext(ctx, "SELECT n FROM deployments WHERE id = ?", id).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, row.UnknownDeployment(id)
	}
	return n, explain(s.dir, err)
}

// collect reads rows into a list.
func collect[T any](ctx context.Context, s *Store, read func(*sql.Rows) (T, error), query string, args ...any) ([]T, error) {
	rows, err := s.reads.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, explain(s.dir, err)
	}
	var all []T
	err = scanAll(rows, func(rows *sql.Rows) error {
		one, err := read(rows)
		all = append(all, one)
		return err
	})
	if err != nil {
		return nil, explain(s.dir, err)
	}
	return all, nil
}
