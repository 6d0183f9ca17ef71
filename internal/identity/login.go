package identity

import (
	"context"
	"net/netip"
	"time"

	"github.com/deployguardian/adg"
)

// Attempt is somebody who says that he is a local user.
type Attempt struct {
	Name     string
	Password adg.Secret
	From     string // the address that the request came from, with or without a port
	Agent    string // what the program calls itself
}

// Login opens a session for a local user. A wrong name and a wrong password are the same error and take the same time.
// After Options.Attempts failures of a name, or four times as many of an address, each further one doubles the time
// until the next attempt, from Options.Lockout to an hour; too early is adg.Throttled, right password or not. A day
// after the last one all is forgotten.
func (d *Directory) Login(ctx context.Context, attempt Attempt) (Opened, error) {
	proof, err := d.prove(ctx, attempt)
	if err != nil {
		return Opened{}, err
	}
	var o Opened
	err = d.settle(ctx, func() (change, error) {
		a, version, err := load[account](ctx, d, kindUser, proof.name)
		if err != nil {
			return change{}, unknownIfMissing(err, wrongLogin)
		}
		if a.Disabled || a.Hash != proof.hash {
			return change{}, adg.Errorf(adg.Unauthorized, wrongLogin) // it was changed in this very moment
		}
		now, err := d.store.Now(ctx)
		if err != nil {
			return change{}, err
		}
		a.Login = now
		if proof.renewed != "" {
			a.Hash = proof.renewed
		}
		opened, c, err := d.open(ctx, proof.name, &a, origin{attempt.From, attempt.Agent}, now)
		o = opened
		if err != nil {
			return c, err
		}
		forgiven, err := d.forgive(ctx, proof)
		c.writes = append(append(c.writes, put(kindUser, proof.name, a, version, time.Time{})), forgiven...)
		return c, err
	})
	if err != nil {
		return Opened{}, err
	}
	return o, nil
}

// Private

const (
	wrongLogin = "the name or the password is wrong"

	freeForUser   = 5
	usersOfOne    = 4 // address: so many times the failures of one name are free for it
	firstWait     = 30 * time.Second
	longestWait   = time.Hour
	failureMemory = 24 * time.Hour
)

// proven is what is known after the right password.
type proven struct {
	name    string
	hash    string
	renewed string // the hash with today's parameters, if it had others
	counted []counter
}

// failures counts the attempts of a name or an address that did not succeed, or not yet.
type failures struct {
	Count int       `json:"count"`
	Wait  time.Time `json:"wait,omitzero"` // no attempt before then
}

// prove compares a name and a password. The attempt is counted as a failure before, so that many at the same time, on
// any number of replicas, are not more than the limit.
func (d *Directory) prove(ctx context.Context, attempt Attempt) (proven, error) {
	p := proven{name: lowered(attempt.Name)}
	if ValidUser(p.name) == nil {
		p.counted = append(p.counted, counter{key: "user/" + p.name, free: d.o.Attempts})
	}
	if address := addressKey(attempt.From); address != "" {
		p.counted = append(p.counted, counter{key: "address/" + address, free: usersOfOne * d.o.Attempts, shared: true})
	}
	locked, err := d.count(ctx, p.counted)
	if err != nil {
		return proven{}, err
	}
	a := account{}
	if ValidUser(p.name) == nil {
		if a, _, err = load[account](ctx, d, kindUser, p.name); err != nil && adg.CodeOf(err) != adg.NotFound {
			return proven{}, err
		}
	}
	password := attempt.Password.Reveal()
	if len(password) > maxPassword {
		password = ""
	}
	fits, outdated, err := d.passwords.verify(ctx, a.Hash, password)
	if err != nil {
		return proven{}, err
	}
	if !fits || a.Disabled {
		return proven{}, d.reject(ctx, p.name, attempt.From, locked)
	}
	if p.hash = a.Hash; outdated {
		if p.renewed, err = d.passwords.hash(ctx, password); err != nil {
			return proven{}, err
		}
	}
	return p, nil
}

type counter struct {
	key    string
	free   int  // so many failures are nothing but mistyping
	shared bool // by many names: success with one of them says nothing about the others
}

// count counts an attempt for all of the keys, unless one has to wait. It says which have to wait from now on.
func (d *Directory) count(ctx context.Context, keys []counter) (locked []string, err error) {
	err = d.settle(ctx, func() (change, error) {
		locked = nil
		c := change{}
		now, err := d.store.Now(ctx)
		if err != nil {
			return c, err
		}
		for _, k := range keys {
			f, version, err := load[failures](ctx, d, kindFailures, k.key)
			if err != nil && adg.CodeOf(err) != adg.NotFound {
				return c, err
			}
			if wait := f.Wait.Sub(now); wait > 0 {
				return c, adg.Throttled(adg.Errorf(adg.Unauthorized, "too many failed logins: try again in %v", wait.Round(time.Second)), wait)
			}
			f.Count++
			if wait := penalty(f.Count, k.free, d.o.Lockout); wait > 0 {
				f.Wait = now.Add(wait)
				locked = append(locked, k.key)
			}
			c.writes = append(c.writes, put(kindFailures, k.key, f, version, now.Add(failureMemory)))
		}
		return c, nil
	})
	return locked, err
}

// forgive takes back what was counted for an attempt that succeeded: of a name all, of an address this one.
func (d *Directory) forgive(ctx context.Context, p proven) ([]adg.Write, error) {
	now, err := d.store.Now(ctx)
	if err != nil {
		return nil, err
	}
	var writes []adg.Write
	for _, k := range p.counted {
		f, version, err := load[failures](ctx, d, kindFailures, k.key)
		switch f.Count--; {
		case err != nil && adg.CodeOf(err) != adg.NotFound:
			return nil, err
		case err != nil: // another attempt of that name has succeeded, too
		case f.Count <= 0 || !k.shared:
			writes = append(writes, drop(kindFailures, k.key, version))
		default:
			f.Wait = time.Time{} // it was over before this attempt
			writes = append(writes, put(kindFailures, k.key, f, version, now.Add(failureMemory)))
		}
	}
	return writes, nil
}

// reject puts on record which locks a failed attempt has closed.
func (d *Directory) reject(ctx context.Context, name, from string, locked []string) error {
	wrong := adg.Errorf(adg.Unauthorized, wrongLogin)
	if len(locked) == 0 {
		return wrong
	}
	var entries []adg.AuditEntry
	for _, key := range locked {
		e := Caller{From: from, Reason: "too many failed logins"}.entry("login.lock", "login/"+key)
		if ValidUser(name) == nil {
			e = detailed(e, "user", name)
		}
		entries = append(entries, e)
	}
	if err := d.recordDenied(ctx, entries...); err != nil {
		return err
	}
	return wrong
}

// penalty is how long the next attempt has to wait after so many failures.
func penalty(count, free int, first time.Duration) time.Duration {
	if count < free {
		return 0
	}
	return min(first<<min(count-free, 10), max(first, longestWait))
}

// addressKey is what an address is counted by: of IPv6 the network that one customer gets. Empty: it is none.
func addressKey(from string) string {
	addr, err := netip.ParseAddr(from)
	if err != nil {
		pair, err := netip.ParseAddrPort(from)
		if err != nil {
			return ""
		}
		addr = pair.Addr()
	}
	addr = addr.Unmap().WithZone("")
	if addr.Is4() {
		return addr.String()
	}
	network, err := addr.Prefix(64)
	if err != nil {
		return ""
	}
	return network.String()
}
