package adg

import "context"

// Notifier tells people a fact. It is called again with the same fact until it returns nil or a Permanent error, so
// receivers see each fact at least once and recognise a repeat by its ID. It is safe for concurrent use.
type Notifier interface {
	Notify(ctx context.Context, f Fact) error
}
