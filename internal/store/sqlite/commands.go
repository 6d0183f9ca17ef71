package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/row"
)

// Ask stores a command.
func (s *Store) Ask(ctx context.Context, c adg.Command) error {
	if c.ID == "" {
		return adg.Errorf(adg.Invalid, "a command needs an id")
	}
	return s.write(ctx, true, func(t *tx) error {
		now := s.clock.now()
		if c.At.IsZero() {
			c.At = now
		}
		command, err := row.Encode(c)
		if err != nil {
			return err
		}
		known, live := false, false
		if err := t.row([]any{&known}, "SELECT EXISTS (SELECT 1 FROM commands WHERE id = ?)", c.ID); err != nil || known {
			return err
		}
		n := int64(0)
		err = t.row([]any{&n, &live}, "SELECT n, live FROM deployments WHERE id = ?", c.Deployment)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return row.UnknownDeployment(c.Deployment)
		case err != nil:
			return err
		case !live:
			return adg.Errorf(adg.Conflict, "deployment %s has ended: there is nothing to %s any more", c.Deployment, c.Kind)
		}
		if _, err := t.exec("INSERT INTO commands (id, deployment, command) VALUES (?, ?, ?)", c.ID, n, command); err != nil {
			return err
		}
		_, err = t.exec("UPDATE deployments SET due = min(due, ?) WHERE n = ?", row.Nanos(now), n)
		return err
	})
}
