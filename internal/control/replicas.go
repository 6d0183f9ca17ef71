package control

import (
	"context"
	"time"

	"github.com/deployguardian/adg"
)

// Replica is one server of those that share the store, as it said last how it is.
type Replica struct {
	Name        string        `json:"name"`
	Version     string        `json:"version"`
	Started     time.Time     `json:"started"`
	Seen        time.Time     `json:"seen"`        // when it said so
	Deployments int           `json:"deployments"` // that it works on
	Lateness    time.Duration `json:"lateness"`    // 99th percentile of how late its ticks were in the last minutes
}

// ReplicaMemory is how long a replica that says nothing any more stays in the list.
const ReplicaMemory = 10 * time.Minute

// Beat says how this replica is. The time is the store's; of the first beat it is when the replica started.
func (c *Control) Beat(ctx context.Context, r Replica) (Replica, error) {
	now, err := c.o.Store.Now(ctx)
	if err != nil {
		return r, err
	}
	if r.Seen = now; r.Started.IsZero() {
		r.Started = now
	}
	body, err := marshal(r)
	if err != nil {
		return r, err
	}
	_, err = c.o.Store.WriteDocuments(ctx, []adg.Write{{Document: adg.Document{Kind: kindReplica, Key: r.Name, Data: body, Expires: now.Add(ReplicaMemory)}, If: adg.AnyVersion}})
	return r, err
}

// Leave takes a replica that ends from the list.
func (c *Control) Leave(ctx context.Context, name string) error {
	_, err := c.o.Store.WriteDocuments(ctx, []adg.Write{{Document: adg.Document{Kind: kindReplica, Key: name}, If: adg.AnyVersion, Drop: true}})
	return err
}

// Replicas are all servers that said lately how they are, by their names. Everybody who is logged in may know.
func (c *Control) Replicas(ctx context.Context) ([]Replica, error) {
	list, _, err := all[Replica](ctx, c.o.Store, kindReplica, "")
	return list, err
}

// Private

const kindReplica = "replica"
