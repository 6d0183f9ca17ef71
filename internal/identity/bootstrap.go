package identity

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/deployguardian/adg"
)

// Bootstrap makes a token for the first start, as long as nobody who can log in is admin of everything; otherwise the
// secret is zero. It is shown once, is good for 24 hours and for saying who the people are, and ends when the first admin
// is made. Each replica that starts may make one; of many the newest eight are good.
func (d *Directory) Bootstrap(ctx context.Context) (adg.Secret, error) {
	c := newCredential(bootstrapPrefix)
	made := false
	err := d.settle(ctx, func() (change, error) {
		now, err := d.store.Now(ctx)
		if err != nil {
			return change{}, err
		}
		given, err := d.readRoles(ctx)
		if err != nil {
			return change{}, err
		}
		exists, err := d.adminAmong(ctx, given.list, "", nil)
		if made = !exists && err == nil; !made {
			return change{}, err
		}
		open, version, err := load[[]firstToken](ctx, d, kindBootstrap, firstKey)
		if err != nil && adg.CodeOf(err) != adg.NotFound {
			return change{}, err
		}
		open = append(open, firstToken{ID: c.id, Digest: c.digest(), Expires: now.Add(firstLife)})
		open = open[max(0, len(open)-firstTokens):]
		e := Caller{Identity: Identity{Subject: "adg"}, Reason: "there is no admin yet"}.entry("bootstrap.create", "bootstrap/"+c.id)
		return change{entries: []adg.AuditEntry{e}, writes: []adg.Write{put(kindBootstrap, firstKey, open, version, now.Add(firstLife))}}, nil
	})
	if err != nil || !made {
		return adg.Secret{}, err
	}
	return adg.NewSecret(c.text), nil
}

// Private

const (
	firstKey    = "tokens"
	firstLife   = 24 * time.Hour
	firstTokens = 8
)

type firstToken struct {
	ID      string    `json:"id"`
	Digest  []byte    `json:"digest"`
	Expires time.Time `json:"expires"`
}

func (d *Directory) byBootstrap(ctx context.Context, c credential) (Identity, error) {
	gone := adg.Advised(adg.Errorf(adg.Unauthorized, "this token of the first start is not valid any more: it ends after 24 hours, and when there is an admin"),
		"log in, or start the server again where there is no admin")
	open, _, err := load[[]firstToken](ctx, d, kindBootstrap, firstKey)
	if err != nil {
		return Identity{}, unknownIfMissing(err, gone)
	}
	now, err := d.store.Now(ctx)
	if err != nil {
		return Identity{}, err
	}
	good := func(t firstToken) bool { return t.ID == c.id && c.is(t.Digest) && now.Before(t.Expires) }
	at := slices.IndexFunc(open, good)
	if at < 0 {
		return Identity{}, gone
	}
	given, err := d.readRoles(ctx)
	if err != nil {
		return Identity{}, err
	}
	if made, err := d.adminAmong(ctx, given.list, "", nil); made || err != nil {
		return Identity{}, cmp.Or(err, gone) // an admin was made while a replica made this token
	}
	subject := "bootstrap:" + c.id
	return Identity{Subject: subject, Kind: KindBootstrap, Until: open[at].Expires, Bindings: []Binding{{Subject: subject, Role: Admin, Service: "*", Environment: "*"}}}, nil
}

// endBootstrap adds to a change that makes an admin the end of the tokens of the first start.
func (d *Directory) endBootstrap(ctx context.Context, c *change, by Caller, bindings []Binding, name string, changed *account) error {
	_, version, err := load[[]firstToken](ctx, d, kindBootstrap, firstKey)
	if err != nil {
		if adg.CodeOf(err) == adg.NotFound {
			return nil
		}
		return err
	}
	admin, err := d.adminAmong(ctx, bindings, name, changed)
	if err != nil || !admin {
		return err
	}
	c.writes = append(c.writes, drop(kindBootstrap, firstKey, version))
	c.entries = append(c.entries, by.entry("bootstrap.end", "bootstrap"))
	return nil
}
