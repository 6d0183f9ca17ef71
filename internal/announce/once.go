package announce

import (
	"context"
	"strings"
	"time"

	"github.com/deployguardian/adg"
)

// Store is what webhooks need of the store.
type Store interface {
	adg.Documents
	adg.Clock
}

// Private

const (
	kindRequest = "webhook_request"
	underWay    = 2 * time.Minute // after which a request whose server died may come again
)

// claim makes one request of a webhook count once, on all replicas: while it is under way, and, once it was kept, for
// as long as it has to be remembered. It is an intake.Once.
type claim struct {
	store  Store
	name   string // of the webhook
	writes []adg.Write
	until  []time.Time
}

// Once claims an id.
func (c *claim) Once(ctx context.Context, kind, id string, until time.Time) (bool, error) {
	now, err := c.store.Now(ctx)
	if err != nil {
		return false, err
	}
	w := adg.Write{Document: adg.Document{Kind: kindRequest, Key: strings.Join([]string{c.name, kind, id}, "/"), Data: []byte("{}"), Expires: now.Add(underWay)}}
	stored, err := c.store.WriteDocuments(ctx, []adg.Write{w})
	if adg.CodeOf(err) == adg.Conflict {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	w.If = stored[0].Version
	c.writes, c.until = append(c.writes, w), append(c.until, until)
	return true, nil
}

// keep remembers the request as one that was made.
func (c *claim) keep(ctx context.Context) error {
	for i := range c.writes {
		c.writes[i].Document.Expires = c.until[i]
	}
	return c.write(ctx)
}

// release lets the request come again: nothing came of it.
func (c *claim) release(ctx context.Context) error {
	for i := range c.writes {
		c.writes[i].Drop = true
	}
	return c.write(ctx)
}

func (c *claim) write(ctx context.Context) error {
	if len(c.writes) == 0 {
		return nil
	}
	_, err := c.store.WriteDocuments(ctx, c.writes)
	return err
}
