package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/row"
)

// Commit writes a tick.
func (s *Store) Commit(ctx context.Context, tick adg.Tick) (adg.Deployment, error) {
	encoded, err := row.Prepare(tick)
	if err != nil {
		return adg.Deployment{}, err
	}
	p := &prepared{Tick: encoded}
	var spec adg.Spec
	err = s.transact(ctx, p.Durable(), func(ctx context.Context, t *tx) error {
		if err := p.hold(ctx, t, &s.clock); err != nil {
			return err
		}
		if spec, err = s.spec(ctx, t, tick.Lease.Deployment, p.n); err != nil {
			return err
		}
		// All at once: one way to the server and back, however much a tick writes.
		p.Batch = &pgx.Batch{}
		for _, step := range []func(){p.takeSlot, p.closeEffect, p.storeIntent, p.answerCommand, p.storeEvidence, p.storeFacts, p.storeKnowledge, p.storeStatus} {
			step()
		}
		return t.SendBatch(ctx, p.Batch).Close()
	})
	if err != nil {
		return adg.Deployment{}, err
	}
	if tick.Decision.Next.State.Ended() {
		s.specs.Drop(tick.Lease.Deployment)
	}
	return adg.Deployment{ID: tick.Lease.Deployment, Version: p.version, Spec: spec, Status: tick.Decision.Next}, nil
}

// Private

const rollbacksWithin = time.Hour

// prepared is a tick on its way into the rows of a deployment whose lease is held.
type prepared struct {
	row.Tick
	*pgx.Batch
	now        int64
	n, version int64 // the version that the tick makes
	bad        bool
	service    string
	where      string // the environment
}

const holdQuery = `
SELECT n, version, bad, service, environment, until, adg_now() FROM deployments
WHERE id = $1 AND owner = $2 AND fence = $3
FOR NO KEY UPDATE`

// hold locks the deployment of a lease that is in force, or is ErrFenced.
func (p *prepared) hold(ctx context.Context, t *tx, c *clock) error {
	var until int64
	err := t.QueryRow(ctx, holdQuery, p.Lease.Deployment, p.Lease.Owner, p.Lease.Fence).
		Scan(&p.n, &p.version, &p.bad, &p.service, &p.where, &until, &p.now)
	if errors.Is(err, errNone) {
		return adg.ErrFenced
	}
	if err != nil {
		return err
	}
	p.now, err = c.forward(p.now)
	switch {
	case err != nil:
		return err
	case until <= p.now:
		return adg.ErrFenced
	case p.version != p.Version:
		return adg.Errorf(adg.Conflict, "deployment %s was changed since it was read", p.Lease.Deployment)
	}
	p.version++
	return nil
}

// spec is a deployment's, which is read where it is not remembered.
func (s *Store) spec(ctx context.Context, t *tx, id string, n int64) (adg.Spec, error) {
	if spec, found := s.specs.Get(id); found {
		return spec, nil
	}
	var text string
	if err := t.QueryRow(ctx, "SELECT spec FROM specs WHERE deployment = $1", n).Scan(&text); err != nil {
		return adg.Spec{}, err
	}
	return s.decoded(id, text)
}

// decoded is the spec in a text, which is remembered from now on. What it refers to is shared: it is for reading.
func (s *Store) decoded(id, text string) (adg.Spec, error) {
	spec, err := row.Decode[adg.Spec](text)
	if err == nil {
		s.specs.Put(id, spec)
	}
	return spec, err
}

// must queues a statement that has to change something; otherwise refusal is why not.
func (p *prepared) must(refusal error, query string, args ...any) {
	p.Queue(query, args...).Exec(func(tag pgconn.CommandTag) error {
		if tag.RowsAffected() == 0 {
			return refusal
		}
		return nil
	})
}

func (p *prepared) takeSlot() {
	if p.Decision.Slot == 0 {
		return
	}
	// The next statement sees what the one who had the lock before has written.
	p.Queue(lockQuery, lockClass, lockSlots)
	p.Queue("DELETE FROM slots WHERE at <= $1", after(p.now, -rollbacksWithin))
	p.must(adg.ErrNoSlot, "INSERT INTO slots (at) SELECT $1::bigint WHERE (SELECT count(*) FROM slots) < $2", p.now, p.Decision.Slot)
}

func (p *prepared) closeEffect() {
	if p.Input.Outcome == nil {
		return
	}
	op := p.Input.Outcome.OpID
	p.must(adg.Errorf(adg.Conflict, "deployment %s: effect %q is not open", p.Lease.Deployment, op),
		"UPDATE effects SET outcome = $1 WHERE op_id = $2 AND deployment = $3 AND outcome IS NULL", p.OutcomeJSON, op, p.n)
}

func (p *prepared) storeIntent() {
	if p.Decision.Apply == nil {
		return
	}
	op := p.Decision.Apply.OpID
	p.must(adg.Errorf(adg.Conflict, "deployment %s: effect %q was begun already, or another is open", p.Lease.Deployment, op),
		"INSERT INTO effects (op_id, deployment, effect) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", op, p.n, p.IntentJSON)
}

func (p *prepared) answerCommand() {
	if p.Input.Command == nil {
		return
	}
	id := p.Input.Command.ID
	p.must(adg.Errorf(adg.Conflict, "deployment %s: command %q waits for no answer", p.Lease.Deployment, id),
		"UPDATE commands SET answered = $1 WHERE id = $2 AND deployment = $3 AND answered IS NULL", p.version, id, p.n)
}

func (p *prepared) storeEvidence() {
	at, assessed := p.At()
	p.Queue("INSERT INTO ticks (deployment, seq, at, keep, assessed, tick) VALUES ($1, $2, $3, $4, $5, $6)", p.n, p.version, at, p.Recorded(), assessed, p.EntryJSON)
	if len(p.Baselines) > 0 {
		names := make([]string, len(p.Baselines))
		for i, b := range p.Baselines {
			names[i] = b.Check
		}
		p.Queue("INSERT INTO baselines (deployment, name, baseline) SELECT $1::bigint, * FROM unnest($2::text[], $3::text[]) ON CONFLICT DO NOTHING", p.n, names, p.BaselinesJSON)
	}
	if len(p.Measurements) > 0 {
		times, names := make([]int64, len(p.Measurements)), make([]string, len(p.Measurements))
		for i, m := range p.Measurements {
			times[i], names[i] = row.Nanos(m.At), m.Check
		}
		p.Queue("INSERT INTO measurements (deployment, keep, at, name, measurement) SELECT $1::bigint, $2::boolean, * FROM unnest($3::bigint[], $4::text[], $5::text[])",
			p.n, p.Recorded(), times, names, p.MeasurementsJSON)
	}
}

func (p *prepared) storeFacts() {
	for i, f := range p.Decision.Facts {
		p.Queue(factQuery, f.ID, p.n, p.service, p.where, f.Kind.String(), p.FactsJSON[i], p.Notifiers, p.now)
	}
}

func (p *prepared) storeKnowledge() {
	if h := p.Decision.Hold; h != nil {
		hold, err := row.Encode(h)
		p.queueEncoded(err, putHoldQuery, h.Service, h.Environment, h.Identity, row.End(h.Until), hold, p.now, false, h.Deployment)
	}
	if r := p.Decision.Standing; r != nil {
		record, err := row.Encode(r)
		p.queueEncoded(err, markQuery, r.Release.Service, r.Environment, r.Release.Identity(), r.Standing.String(), record)
	}
}

// queueEncoded queues a statement, which comes to nothing if one of its values could not be encoded.
func (p *prepared) queueEncoded(failed error, query string, args ...any) {
	p.Queue(query, args...).Exec(func(pgconn.CommandTag) error { return failed })
}

// statusQuery leaves the time when a release turned bad, when it is better again: the service did turn bad then.
const statusQuery = `
UPDATE deployments SET
	version = $2, state = $3, live = $4,
	due = CASE WHEN EXISTS (SELECT 1 FROM commands WHERE deployment = $1 AND answered IS NULL) THEN least($5::bigint, $6::bigint) ELSE $5::bigint END,
	bad = $7, bad_since = CASE WHEN $7 AND NOT bad THEN $6::bigint ELSE bad_since END,
	owner = CASE WHEN $8 THEN '' ELSE owner END, until = CASE WHEN $8 THEN 0 ELSE until END
WHERE n = $1`

func (p *prepared) storeStatus() {
	next := p.Decision.Next
	p.Queue(statusQuery, p.n, p.version, next.State.String(), !next.State.Ended(), row.Nanos(next.Due), p.now, row.Bad(p.bad, next), p.GiveBack)
	p.Queue("UPDATE statuses SET status = $1 WHERE deployment = $2", p.StatusJSON, p.n)
}
