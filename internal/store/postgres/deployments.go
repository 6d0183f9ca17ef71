package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

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
	return s.write(ctx, true, func(ctx context.Context, t *tx) error {
		made, err := t.exec(ctx, `
			WITH d AS (
				INSERT INTO deployments (id, service, environment, version, state, live, due) VALUES ($1, $2, $3, 1, $4, $5, $6)
				ON CONFLICT (id) DO NOTHING RETURNING n
			), s AS (INSERT INTO specs (deployment, spec) SELECT n, $7 FROM d)
			INSERT INTO statuses (deployment, status) SELECT n, $8 FROM d`,
			d.ID, policy.Service, policy.Environment, state.String(), !state.Ended(), t.now, spec, status)
		if err != nil {
			return err
		}
		if made == 0 {
			return adg.Errorf(adg.Conflict, "deployment %s exists already", d.ID)
		}
		if d.Spec.Key != "" {
			kept, err := t.exec(ctx, "INSERT INTO starts (key, deployment) SELECT $1, n FROM deployments WHERE id = $2 ON CONFLICT (key) DO NOTHING", d.Spec.Key, d.ID)
			if err != nil {
				return err
			}
			if kept == 0 {
				return row.KeyTaken(d)
			}
		}
		_, err = t.exec(ctx, "UPDATE deployments SET due = $1 WHERE live AND service = $2 AND environment = $3 AND due > $1", t.now, policy.Service, policy.Environment)
		return err
	})
}

// Deployment is one deployment.
func (s *Store) Deployment(ctx context.Context, id string) (adg.Deployment, error) {
	var r record
	err := s.scan(ctx, r.dest(), "SELECT d.id, d.version, s.spec, t.status"+fromDeployments+" WHERE d.id = $1", id)
	if errors.Is(err, errNone) {
		return adg.Deployment{}, row.UnknownDeployment(id)
	}
	if err != nil {
		return adg.Deployment{}, err
	}
	return r.deployment()
}

// ListDeployments gives the newest first, unless the filter says otherwise.
func (s *Store) ListDeployments(ctx context.Context, f adg.DeploymentFilter) ([]adg.Deployment, error) {
	before := int64(0)
	if f.Before != "" {
		n, err := s.number(ctx, f.Before)
		if err != nil {
			return nil, err
		}
		before = n
	}
	query, args := deploymentQuery(f, before)
	return collect(ctx, s, func(rows pgx.CollectableRow) (adg.Deployment, error) {
		var r record
		if err := rows.Scan(r.dest()...); err != nil {
			return adg.Deployment{}, err
		}
		return r.deployment()
	}, query, args...)
}

// Versions are those of some deployments, or of the live and the newest ones.
func (s *Store) Versions(ctx context.Context, ids []string) (map[string]int64, error) {
	query, args := versionsQuery, []any(nil)
	if ids != nil {
		query, args = "SELECT id, version FROM deployments WHERE id = ANY ($1::text[])", []any{ids}
	}
	versions := map[string]int64{}
	_, err := collect(ctx, s, func(rows pgx.CollectableRow) (none struct{}, err error) {
		var id string
		var version int64
		err = rows.Scan(&id, &version)
		versions[id] = version
		return none, err
	}, query, args...)
	return versions, err
}

// Private

const fromDeployments = " FROM deployments d JOIN specs s ON s.deployment = d.n JOIN statuses t ON t.deployment = d.n"

const versionsQuery = `
SELECT id, version FROM deployments WHERE live
UNION SELECT * FROM (SELECT id, version FROM deployments ORDER BY n DESC LIMIT 100) newest`

// What specifications are selected by, as their indexes have it.
const (
	specActor   = `replace(spec, '\u0000', '\ufffd')::jsonb ->> 'actor'`
	specRelease = `replace(spec, '\u0000', '\ufffd')::jsonb #>> '{release,version}'`
	specCreated = `rtrim(replace(spec, '\u0000', '\ufffd')::jsonb ->> 'created', 'Z') COLLATE "C"`
)

// deploymentQuery selects a page of deployments, those that come after the one with that number. What their
// specifications are selected by has indexes, from which their numbers are read before the rows.
func deploymentQuery(f adg.DeploymentFilter, before int64) (query string, args []any) {
	var w where
	among := func(column string, values []string) {
		if len(values) > 0 {
			w.add(column+" = ANY (%s::text[])", values)
		}
	}
	w.equal("d.service", f.Service)
	w.equal("d.environment", f.Environment)
	among("d.id", f.IDs)
	among("d.service", f.Services)
	among("d.environment", f.Environments)
	among("d.state", row.Names(f.States))
	if f.Key != "" {
		w.add("d.n = (SELECT deployment FROM starts WHERE key = %s)", f.Key)
	}
	if specified := w.conditionsOf(f); specified != "" {
		w.conditions = append(w.conditions, "d.n = ANY (ARRAY(SELECT deployment FROM specs WHERE "+specified+"))")
	}
	if row.LiveOnly(f) {
		w.add("d.live")
	}
	order, past := "DESC", "d.n < %s"
	if f.Oldest {
		order, past = "ASC", "d.n > %s"
	}
	if before > 0 {
		w.add(past, before)
	}
	query = "SELECT d.id, d.version, s.spec, t.status" + fromDeployments + w.clause() + " ORDER BY d.n " + order
	return query + " LIMIT " + w.arg(row.Limit(f.Limit, 100, 1000)), w.args
}

// conditionsOf are those on the specification. Their values are w's.
func (w *where) conditionsOf(f adg.DeploymentFilter) string {
	all := where{args: w.args}
	if len(f.Actors) > 0 {
		all.add(specActor+" = ANY (%s::text[])", f.Actors)
	}
	all.equal(specRelease, f.Version)
	if !f.From.IsZero() {
		all.add(specCreated+" >= %s", row.Created(f.From))
	}
	if !f.To.IsZero() {
		all.add(specCreated+" < %s", row.Created(f.To))
	}
	w.args = all.args
	return strings.Join(all.conditions, " AND ")
}

// record is a deployment as it is stored.
type record struct {
	id, spec, status string
	version          int64
}

func (r *record) dest() []any { return []any{&r.id, &r.version, &r.spec, &r.status} }

func (r *record) deployment() (adg.Deployment, error) {
	return row.Deployment(r.id, r.version, r.spec, r.status)
}

// number finds a deployment's row.
func (s *Store) number(ctx context.Context, id string) (n int64, err error) {
	err = s.scan(ctx, []any{&n}, "SELECT n FROM deployments WHERE id = $1", id)
	if errors.Is(err, errNone) {
		return 0, row.UnknownDeployment(id)
	}
	return n, err
}

// where is the conditions of a query that have to hold together, and their values.
type where struct {
	conditions []string
	args       []any
}

// add adds a condition, in which each %s stands for a value.
func (w *where) add(condition string, values ...any) {
	names := make([]any, len(values))
	for i, v := range values {
		names[i] = w.arg(v)
	}
	w.conditions = append(w.conditions, fmt.Sprintf(condition, names...))
}

// equal wants a column to be a value, unless that is empty.
func (w *where) equal(column, value string) {
	if value != "" {
		w.add(column+" = %s", value)
	}
}

// arg is the name of one more value.
func (w *where) arg(value any) string {
	w.args = append(w.args, value)
	return fmt.Sprintf("$%d", len(w.args))
}

func (w *where) clause() string {
	if len(w.conditions) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.conditions, " AND ")
}
