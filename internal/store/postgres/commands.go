package postgres

import (
	"context"
	"errors"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/row"
)

// Ask stores a command.
func (s *Store) Ask(ctx context.Context, c adg.Command) error {
	if c.ID == "" {
		return adg.Errorf(adg.Invalid, "a command needs an id")
	}
	return s.write(ctx, true, func(ctx context.Context, t *tx) error {
		if c.At.IsZero() {
			c.At = row.Time(t.now)
		}
		command, err := row.Encode(c)
		if err != nil {
			return err
		}
		known, live, n := false, false, int64(0)
		if err := t.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM commands WHERE id = $1)", c.ID).Scan(&known); err != nil || known {
			return err
		}
		// A tick that is being committed is waited for: it may end the deployment, or else it sees the command.
		err = t.QueryRow(ctx, "SELECT n, live FROM deployments WHERE id = $1 FOR NO KEY UPDATE", c.Deployment).Scan(&n, &live)
		switch {
		case errors.Is(err, errNone):
			return row.UnknownDeployment(c.Deployment)
		case err != nil:
			return err
		case !live:
			return adg.Errorf(adg.Conflict, "deployment %s has ended: there is nothing to %s any more", c.Deployment, c.Kind)
		}
		if _, err := t.exec(ctx, "INSERT INTO commands (id, deployment, command) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING", c.ID, n, command); err != nil {
			return err
		}
		_, err = t.exec(ctx, "UPDATE deployments SET due = $1 WHERE n = $2 AND due > $1", t.now, n)
		return err
	})
}
