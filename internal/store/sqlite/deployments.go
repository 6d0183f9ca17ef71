package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/row"
)

// CreateDeployment stores a new deployment.
func (s *Store) CreateDeployment(ctx context.Context, d adg.Deployment) error {
	if d.ID == "" {
		return adg.Errorf(adg.Invalid, "a deployment needs an id")
	}
	spec, err := row.Spec(d.Spec)
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
		if d.Spec.Key != "" {
			kept, err := t.exec("INSERT INTO starts (key, deployment) SELECT ?, n FROM deployments WHERE id = ? ON CONFLICT (key) DO NOTHING", d.Spec.Key, d.ID)
			if err != nil {
				return err
			}
			if kept == 0 {
				return row.KeyTaken(d)
			}
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

// ListDeployments gives the newest first, unless the filter says otherwise.
func (s *Store) ListDeployments(ctx context.Context, f adg.DeploymentFilter) ([]adg.Deployment, error) {
	query, args, err := s.deploymentQuery(ctx, f)
	if err != nil {
		return nil, err
	}
	return collect(ctx, s, func(rows *sql.Rows) (adg.Deployment, error) {
		var r record
		if err := rows.Scan(&r.id, &r.version, &r.spec, &r.status); err != nil {
			return adg.Deployment{}, err
		}
		return r.deployment()
	}, query, args...)
}

// Versions are those of some deployments, or of the live and the newest ones.
func (s *Store) Versions(ctx context.Context, ids []string) (map[string]int64, error) {
	query, args := versionsQuery, []any(nil)
	if ids != nil {
		query, args = "SELECT id, version FROM deployments WHERE "+fmt.Sprintf(oneOf, "id"), []any{list(ids)}
	}
	type version struct {
		id string
		n  int64
	}
	all, err := collect(ctx, s, func(rows *sql.Rows) (v version, err error) { return v, rows.Scan(&v.id, &v.n) }, query, args...)
	versions := make(map[string]int64, len(all))
	for _, v := range all {
		versions[v.id] = v.n
	}
	return versions, err
}

// Private

const fromDeployments = " FROM deployments d JOIN specs s ON s.deployment = d.n JOIN statuses t ON t.deployment = d.n"

// oneOf wants a column to be one of a list.
const oneOf = "%s IN (SELECT value FROM json_each(?))"

const versionsQuery = `
SELECT id, version FROM deployments INDEXED BY deployments_live WHERE live = 1
UNION SELECT id, version FROM (SELECT id, version FROM deployments ORDER BY n DESC LIMIT 100)`

// deploymentQuery selects a page of deployments. What their specifications are selected by has indexes, from which their
// numbers are read before the rows.
func (s *Store) deploymentQuery(ctx context.Context, f adg.DeploymentFilter) (query string, args []any, err error) {
	from, where := fromDeployments, []string{"true"}
	add := func(condition string, values ...any) {
		where, args = append(where, condition), append(args, values...)
	}
	among := func(condition, column string, values []string) {
		if len(values) > 0 {
			add(fmt.Sprintf(condition, fmt.Sprintf(oneOf, column)), list(values))
		}
	}
	if f.Service != "" {
		add("d.service = ?", f.Service)
	}
	if f.Environment != "" {
		add("d.environment = ?", f.Environment)
	}
	among("%s", "d.id", f.IDs)
	among("%s", "d.service", f.Services)
	among("%s", "d.environment", f.Environments)
	among("%s", "d.state", row.Names(f.States))
	among("d.n IN (SELECT deployment FROM specs WHERE %s)", "actor", f.Actors)
	if f.Version != "" {
		add("d.n IN (SELECT deployment FROM specs WHERE release_version = ?)", f.Version)
	}
	if f.Key != "" {
		add("d.n = (SELECT deployment FROM starts WHERE key = ?)", f.Key)
	}
	if !f.From.IsZero() {
		add("d.n IN (SELECT deployment FROM specs WHERE created >= ?)", row.Created(f.From))
	}
	if !f.To.IsZero() {
		add("d.n IN (SELECT deployment FROM specs WHERE created < ?)", row.Created(f.To))
	}
	if row.LiveOnly(f) {
		add("d.live = 1")
		if len(f.IDs) == 0 {
			// There are few live ones and many ended ones: the planner cannot know.
			from = strings.Replace(from, "deployments d", "deployments d INDEXED BY deployments_live", 1)
		}
	}
	order, past := "DESC", "d.n < ?"
	if f.Oldest {
		order, past = "ASC", "d.n > ?"
	}
	if f.Before != "" {
		n, err := s.number(ctx, s.reads, f.Before)
		if err != nil {
			return "", nil, err
		}
		add(past, n)
	}
	query = "SELECT d.id, d.version, s.spec, t.status" + from + " WHERE " + strings.Join(where, " AND ") + " ORDER BY d.n " + order + " LIMIT ?"
	return query, append(args, row.Limit(f.Limit, 100, 1000)), nil
}

// list is a list as one value.
func list(values []string) string {
	text, err := json.Marshal(values)
	if err != nil {
		panic("sqlite: " + err.Error()) // texts have a JSON form
	}
	return string(text)
}

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
