package control

import (
	"context"
	"strconv"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/config"
	"github.com/deployguardian/adg/internal/seal"
)

// Resealed is what became of the secrets of connections.
type Resealed struct {
	Secrets     int // sealed anew
	Connections int // that hold them
	Kept        int // secrets that the active key had sealed already
}

// Reseal seals every secret in the store anew that another key than the active one of the ring has sealed, so that the
// older keys can be taken away after it. It changes a connection with all its secrets and its line in the audit log at
// once; after an error the rest can be done by doing it again. Servers may run meanwhile, if they know both keys.
func Reseal(ctx context.Context, store adg.Documents, drivers config.Drivers, ring *seal.Keyring, actor string) (made Resealed, err error) {
	every, _, err := all[Connection](ctx, store, kindConnection, "")
	for i := 0; i < len(every) && err == nil; i++ {
		err = made.one(ctx, store, drivers, ring, every[i].Name, actor)
	}
	return made, err
}

// Private

// resealings is how often a connection is read anew that somebody else changes at the same time.
const resealings = 5

func (r *Resealed) one(ctx context.Context, store adg.Documents, drivers config.Drivers, ring *seal.Keyring, name, actor string) error {
	for try := 1; ; try++ {
		d, err := store.Document(ctx, kindConnection, name)
		if adg.CodeOf(err) == adg.NotFound {
			return nil // it was dropped
		}
		if err != nil {
			return err
		}
		var k Connection
		if err := decode(d, &k); err != nil {
			return err
		}
		changed, kept, err := k.reseal(ctx, drivers, ring)
		if err != nil {
			return adg.Errorf(adg.CodeOf(err), "connection %s: %w", name, err)
		}
		if changed > 0 {
			err = k.restore(ctx, store, d.Version, adg.AuditEntry{
				Actor: actor, Action: "connection.reseal", Resource: k.resource(), Outcome: adg.AuditDone, Reason: "the key was exchanged",
				Detail: map[string]string{"key": ring.Active(), "secrets": strconv.Itoa(changed)},
			})
		}
		if adg.CodeOf(err) == adg.Conflict && err != nil && try < resealings {
			continue
		}
		if err != nil {
			return err
		}
		if r.Kept += kept; changed > 0 {
			r.Secrets, r.Connections = r.Secrets+changed, r.Connections+1
		}
		return nil
	}
}

// reseal seals the connection's secrets anew that need it.
func (k *Connection) reseal(ctx context.Context, drivers config.Drivers, ring *seal.Keyring) (changed, kept int, err error) {
	rewritten, err := k.plain().Rewritten(drivers, map[string]func(path, text string) (any, error){
		"sealed": func(path, text string) (any, error) {
			made, err := ring.Reseal(ctx, []seal.Record{{Place: k.place(path), Sealed: text}}, 1)
			if err != nil {
				return nil, err
			}
			if len(made.Changed) == 0 {
				kept++
				return map[string]string{"sealed": text}, nil
			}
			changed++
			return map[string]string{"sealed": made.Changed[0].Sealed}, nil
		},
		"env":  func(_, name string) (any, error) { return map[string]string{"env": name}, nil },
		"file": func(_, name string) (any, error) { return map[string]string{"file": name}, nil },
	})
	if err == nil {
		k.Options = string(rewritten.Options)
	}
	return changed, kept, err
}

func (k *Connection) restore(ctx context.Context, store adg.Documents, version int64, entry adg.AuditEntry) error {
	data, err := marshal(k)
	if err != nil {
		return err
	}
	_, err = store.WriteDocuments(ctx, []adg.Write{{Document: adg.Document{Kind: kindConnection, Key: k.Name, Data: data}, If: version}}, entry)
	return err
}
