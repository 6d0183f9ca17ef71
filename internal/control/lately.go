package control

import (
	"context"
	"sync"
	"time"
)

// Private

// latelyFor is for how long a connection is used without looking whether another replica has changed it. Each tick uses
// one for each of its checks.
const latelyFor = time.Second

// lately remembers connections for a moment. What is changed here is forgotten at once.
type lately struct {
	mu      sync.Mutex
	of      map[string]remembered
	changes int // by which a read that has begun before a change is known
}

type remembered struct {
	connection Connection
	until      time.Time
}

// connection gives one as it was a moment ago at most.
func (r *lately) connection(ctx context.Context, c *Control, name string) (Connection, error) {
	now := time.Now() //nolint:forbidigo // how old a cache is: the store is to be spared the question
	r.mu.Lock()
	known, found := r.of[name]
	changes := r.changes
	r.mu.Unlock()
	if found && now.Before(known.until) {
		return known.connection, nil
	}
	k, version, err := read[Connection](ctx, c, kindConnection, name)
	k.Version = version
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		delete(r.of, name)
		return k, err
	}
	if r.changes == changes {
		if len(r.of) >= maxOpen {
			clear(r.of)
		}
		if r.of == nil {
			r.of = map[string]remembered{}
		}
		r.of[name] = remembered{k, now.Add(latelyFor)}
	}
	return k, nil
}

func (r *lately) forget(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changes++
	delete(r.of, name)
}
