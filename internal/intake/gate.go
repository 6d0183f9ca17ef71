package intake

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/deployguardian/adg"
)

// Handler takes an announcement. It is called again with the same one until it returns nil or a Permanent error, so it
// recognises a repeat by the IdempotencyKey.
type Handler func(ctx context.Context, a Announcement) error

// Outcome is what is to become of a message.
type Outcome uint8

// The outcomes. Again is the zero value: a message that nobody judged is not lost.
const (
	Again  Outcome = iota // was not handled, and is delivered again
	Done                  // was handled, and is acknowledged
	Poison                // can never be handled, and is put aside
)

// Gate is what messages of a queue pass before they are announcements. It is safe for concurrent use.
type Gate struct {
	Type                 string                          // of the CloudEvents; empty: DefaultType
	Binding              Binding                         // what may be announced
	Aside                func(message []byte, why error) // is told each message that is put aside; may be nil
	taken, aside, failed atomic.Uint64
}

// Counts is how many messages came to which end.
type Counts struct {
	Taken  uint64 // handled
	Aside  uint64 // put aside: they can never be handled
	Failed uint64 // not handled this time
}

// Counts gives the counts since the start.
func (g *Gate) Counts() Counts {
	return Counts{Taken: g.taken.Load(), Aside: g.aside.Load(), Failed: g.failed.Load()}
}

// Read makes an announcement of a message, if it is one and the binding allows it.
func (g *Gate) Read(message []byte) (Announcement, error) {
	eventType := g.Type
	if eventType == "" {
		eventType = DefaultType
	}
	a, err := FromEvent(message, eventType)
	if err != nil {
		return Announcement{}, err
	}
	return a, g.Binding.Allows(a)
}

// Take reads a message and hands it to the handler, which has half a minute. The error says why the outcome is not Done.
func (g *Gate) Take(ctx context.Context, message []byte, handle Handler) (Outcome, error) {
	a, err := g.Read(message)
	if err != nil {
		return g.putAside(message, fmt.Errorf("this is no announcement that may be made here: %w", err))
	}
	limited, cancel := context.WithTimeoutCause(ctx, handling, adg.Errorf(adg.Unavailable, "not handled within %s", adg.Short(handling)))
	defer cancel()
	err = handle(limited, a)
	switch {
	case err == nil:
		g.taken.Add(1)
		return Done, nil
	case adg.IsPermanent(err) && limited.Err() == nil:
		return g.putAside(message, err)
	default:
		g.failed.Add(1)
		return Again, err
	}
}

// Serve runs sessions with a broker, one after the other, until ctx is done, which is no error, or until one ends with a
// Permanent error. A session says whether it got anywhere; after one that did not the wait for the next one grows.
func Serve(ctx context.Context, log *slog.Logger, session func(context.Context) (progress bool, err error)) error {
	for wait := firstBackoff; ; wait = min(2*wait, maxBackoff) {
		progress, err := session(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case adg.IsPermanent(err):
			return err
		case progress:
			wait = firstBackoff
		}
		log.Warn("taking announcements was interrupted, it goes on after a while", "after", wait, "error", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// Private

const (
	handling     = 30 * time.Second // bounds the handling of one announcement
	firstBackoff = 200 * time.Millisecond
	maxBackoff   = 30 * time.Second
)

func (g *Gate) putAside(message []byte, why error) (Outcome, error) {
	g.aside.Add(1)
	if g.Aside != nil {
		g.Aside(message, why)
	}
	return Poison, why
}
