package sqlite

import (
	"context"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/row"
)

// Commit writes a tick. Ticks that are committed at the same time share a transaction, and succeed or fail alone.
func (s *Store) Commit(ctx context.Context, tick adg.Tick) (adg.Deployment, error) {
	encoded, err := row.Prepare(tick)
	if err != nil {
		return adg.Deployment{}, err
	}
	p := &prepared{encoded}
	stored := adg.Deployment{ID: tick.Lease.Deployment, Status: tick.Decision.Next}
	var spec string
	err = s.write(ctx, p.Durable(), func(t *tx) error {
		now := s.clock.now()
		h, err := t.holding(tick.Lease, row.Nanos(now))
		if err != nil {
			return err
		}
		if h.version != tick.Version {
			return adg.Errorf(adg.Conflict, "deployment %s was changed since it was read", tick.Lease.Deployment)
		}
		h.version++
		for _, step := range []func(*tx, held, time.Time) error{
			p.takeSlot, p.closeEffect, p.storeIntent, p.answerCommand, p.storeEvidence, p.storeFacts, p.storeKnowledge, p.storeStatus,
		} {
			if err := step(t, h, now); err != nil {
				return err
			}
		}
		stored.Version = h.version
		return t.row([]any{&spec}, "SELECT spec FROM specs WHERE deployment = ?", h.n)
	})
	if err != nil {
		return adg.Deployment{}, err
	}
	stored.Spec, err = row.Decode[adg.Spec](spec)
	return stored, err
}

// Private

// prepared is a tick on its way into the rows.
type prepared struct{ row.Tick }

func (p *prepared) takeSlot(t *tx, _ held, now time.Time) error {
	if p.Decision.Slot == 0 {
		return nil
	}
	hourAgo := row.Nanos(now.Add(-rollbacksWithin))
	if _, err := t.exec("DELETE FROM slots WHERE at <= ?", hourAgo); err != nil {
		return err
	}
	taken, err := t.exec("INSERT INTO slots (at) SELECT ? WHERE (SELECT count(*) FROM slots) < ?", row.Nanos(now), p.Decision.Slot)
	if err == nil && taken == 0 {
		err = adg.ErrNoSlot
	}
	return err
}

func (p *prepared) closeEffect(t *tx, h held, _ time.Time) error {
	if p.Input.Outcome == nil {
		return nil
	}
	op := p.Input.Outcome.OpID
	closed, err := t.exec("UPDATE effects SET outcome = ? WHERE op_id = ? AND deployment = ? AND outcome IS NULL", p.OutcomeJSON, op, h.n)
	if err == nil && closed == 0 {
		err = adg.Errorf(adg.Conflict, "deployment %s: effect %q is not open", p.Lease.Deployment, op)
	}
	return err
}

func (p *prepared) storeIntent(t *tx, h held, _ time.Time) error {
	if p.Decision.Apply == nil {
		return nil
	}
	made, err := t.exec("INSERT INTO effects (op_id, deployment, effect) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", p.Decision.Apply.OpID, h.n, p.IntentJSON)
	if err == nil && made == 0 {
		err = adg.Errorf(adg.Conflict, "deployment %s: effect %q was begun already, or another is open", p.Lease.Deployment, p.Decision.Apply.OpID)
	}
	return err
}

func (p *prepared) answerCommand(t *tx, h held, _ time.Time) error {
	if p.Input.Command == nil {
		return nil
	}
	id := p.Input.Command.ID
	answered, err := t.exec("UPDATE commands SET answered = ? WHERE id = ? AND deployment = ? AND answered IS NULL", h.version, id, h.n)
	if err == nil && answered == 0 {
		err = adg.Errorf(adg.Conflict, "deployment %s: command %q waits for no answer", p.Lease.Deployment, id)
	}
	return err
}

func (p *prepared) storeEvidence(t *tx, h held, _ time.Time) error {
	keep := p.Recorded()
	if keep || !t.tight {
		at, assessed := p.At()
		if _, err := t.exec("INSERT INTO ticks (deployment, seq, at, keep, assessed, tick) VALUES (?, ?, ?, ?, ?, ?)",
			h.n, h.version, at, keep, assessed, p.EntryJSON); err != nil {
			return err
		}
	}
	for i, b := range p.Baselines {
		if _, err := t.exec("INSERT INTO baselines (deployment, name, baseline) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", h.n, b.Check, p.BaselinesJSON[i]); err != nil {
			return err
		}
	}
	if t.tight {
		return nil
	}
	for i, m := range p.Measurements {
		if _, err := t.exec("INSERT INTO measurements (deployment, at, keep, name, measurement) VALUES (?, ?, ?, ?, ?)", h.n, row.Nanos(m.At), keep, m.Check, p.MeasurementsJSON[i]); err != nil {
			return err
		}
	}
	return nil
}

func (p *prepared) storeFacts(t *tx, h held, now time.Time) error {
	for i, f := range p.Decision.Facts {
		if err := t.storeFact(f.ID, h.n, p.FactsJSON[i], p.Notifiers, now); err != nil {
			return err
		}
	}
	return nil
}

func (p *prepared) storeKnowledge(t *tx, _ held, now time.Time) error {
	if h := p.Decision.Hold; h != nil {
		if err := t.putHold(*h, now, false); err != nil {
			return err
		}
	}
	if r := p.Decision.Standing; r != nil {
		return t.mark(*r)
	}
	return nil
}

func (p *prepared) storeStatus(t *tx, h held, now time.Time) error {
	next := p.Decision.Next
	due := row.Nanos(next.Due)
	waiting := false
	if err := t.row([]any{&waiting}, "SELECT EXISTS (SELECT 1 FROM commands INDEXED BY commands_waiting WHERE deployment = ? AND answered IS NULL)", h.n); err != nil {
		return err
	}
	if waiting {
		due = min(due, row.Nanos(now))
	}
	if _, err := t.exec("UPDATE deployments SET version = ?, state = ?, live = ?, due = ? WHERE n = ?", h.version, next.State.String(), !next.State.Ended(), due, h.n); err != nil {
		return err
	}
	if bad := row.Bad(h.bad, next); bad != h.bad {
		// The time stays when it is better again: the service did turn bad then.
		if _, err := t.exec("UPDATE deployments SET bad = ?1, bad_since = iif(?1, ?2, bad_since) WHERE n = ?3", bad, row.Nanos(now), h.n); err != nil {
			return err
		}
	}
	if p.GiveBack {
		if _, err := t.exec("UPDATE deployments SET owner = '', until = 0 WHERE n = ?", h.n); err != nil {
			return err
		}
	}
	_, err := t.exec("UPDATE statuses SET status = ? WHERE deployment = ?", p.StatusJSON, h.n)
	return err
}
