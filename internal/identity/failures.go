package identity

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/deployguardian/adg"
)

// Private

const (
	networksKept = 64 // of one name: those that failed last
	placesKept   = 10 // that somebody logged in from
	placeMemory  = 90 * 24 * time.Hour
	anyNew       = "any that is new" // the network of a lock, as it stands on record
)

// failures counts the attempts of a name or an address that did not succeed, or not yet.
type failures struct {
	Count    int                 `json:"count"`
	Wait     time.Time           `json:"wait,omitzero"`      // no attempt before then
	Last     time.Time           `json:"last,omitzero"`      // attempt
	Networks map[string]failures `json:"networks,omitempty"` // of a name: its failures from each of them
}

// waiting tells whether some attempt has to wait.
func (f failures) waiting(now time.Time) bool {
	if now.Before(f.Wait) {
		return true
	}
	for _, n := range f.Networks {
		if now.Before(n.Wait) {
			return true
		}
	}
	return false
}

// fail counts an attempt, and says whether the next one has to wait now.
func (f *failures) fail(now time.Time, free int, first, longest time.Duration) (locked bool) {
	f.Count++
	f.Last = now
	if wait := penalty(f.Count, free, first, longest); wait > 0 {
		f.Wait, locked = now.Add(wait), true
	}
	return locked
}

// familiar is a network that somebody has logged in from.
type familiar struct {
	Network string    `json:"network"`
	At      time.Time `json:"at"`
}

// settled notes that somebody has logged in from a network: what others do elsewhere does not keep him out of there.
func (a *account) settled(network string, now time.Time) {
	kept := []familiar{{network, now}}
	for _, p := range a.Places {
		if p.Network != network && now.Sub(p.At) < placeMemory && len(kept) < placesKept {
			kept = append(kept, p)
		}
	}
	a.Places = kept
}

func (a account) knows(network string, now time.Time) bool {
	return slices.ContainsFunc(a.Places, func(p familiar) bool { return p.Network == network && now.Sub(p.At) < placeMemory })
}

// counter is what an attempt is counted by.
type counter struct {
	key     string
	free    int    // so many failures are nothing but mistyping
	shared  bool   // by many names: success with one of them says nothing about the others
	network string // of a name: its failures from there are counted apart
	known   bool   // and only apart: he has logged in from there lately
}

// counters are those of one attempt.
func (d *Directory) counters(ctx context.Context, p proven, a account, from string) ([]counter, error) {
	var all []counter
	if ValidUser(p.name) == nil {
		now, err := d.store.Now(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, counter{key: userKey(p.name), free: d.o.Attempts, network: p.network, known: a.knows(p.network, now)})
	}
	if address := addressKey(from); address != "" {
		all = append(all, counter{key: "address/" + address, free: usersOfOne * d.o.Attempts, shared: true})
	}
	return all, nil
}

// locked is what was closed by an attempt: a key, or a name from a network.
type locked struct{ key, network string }

// count counts an attempt for all of the counters, unless one has to wait. It says which have to wait from now on.
func (d *Directory) count(ctx context.Context, counters []counter) (closed []locked, err error) {
	err = d.settle(ctx, func() (change, error) {
		closed = nil
		c := change{}
		now, err := d.store.Now(ctx)
		if err != nil {
			return c, err
		}
		for _, k := range counters {
			f, version, err := load[failures](ctx, d, kindFailures, k.key)
			if err != nil && adg.CodeOf(err) != adg.NotFound {
				return c, err
			}
			if wait := k.wait(f).Sub(now); wait > 0 {
				return c, adg.Throttled(adg.Advised(adg.Errorf(adg.Unauthorized, "too many failed logins"), "try again in %v", adg.Span(wait)), wait)
			}
			closed = append(closed, k.fail(&f, now, d.o.Lockout)...)
			c.writes = append(c.writes, put(kindFailures, k.key, f, version, now.Add(failureMemory)))
		}
		return c, nil
	})
	return closed, err
}

// wait is until when the next attempt has to wait.
func (k counter) wait(f failures) time.Time {
	if k.shared {
		return f.Wait
	}
	here := f.Networks[k.network].Wait
	if !k.known && f.Wait.After(here) {
		return f.Wait
	}
	return here
}

// fail counts an attempt, and says what it has closed.
func (k counter) fail(f *failures, now time.Time, first time.Duration) (closed []locked) {
	if k.shared {
		if f.fail(now, k.free, first, longestWait) {
			closed = append(closed, locked{k.key, ""})
		}
		return closed
	}
	here := f.Networks[k.network]
	if here.fail(now, k.free, first, longestWait) {
		closed = append(closed, locked{k.key, k.network})
	}
	if !k.known && f.fail(now, networksOfOne*k.free, first, longestForAll) {
		closed = append(closed, locked{k.key, anyNew})
	}
	if f.Networks == nil {
		f.Networks = map[string]failures{}
	}
	f.Networks[k.network] = here
	for len(f.Networks) > networksKept {
		oldest := ""
		for network, n := range f.Networks {
			if oldest == "" || n.Last.Before(f.Networks[oldest].Last) {
				oldest = network
			}
		}
		delete(f.Networks, oldest)
	}
	return closed
}

// forgive takes back what was counted for an attempt that succeeded: of a name all from this network, else this one.
func (d *Directory) forgive(ctx context.Context, p proven) ([]adg.Write, error) {
	now, err := d.store.Now(ctx)
	if err != nil {
		return nil, err
	}
	var writes []adg.Write
	for _, k := range p.counted {
		f, version, err := load[failures](ctx, d, kindFailures, k.key)
		if err != nil && adg.CodeOf(err) != adg.NotFound {
			return nil, err
		}
		if err != nil {
			continue // another attempt of that name has succeeded, too
		}
		delete(f.Networks, k.network)
		if !k.known {
			f.Count = max(f.Count-1, 0)
			f.Wait = time.Time{} // it was over before this attempt
		}
		if f.Count == 0 && len(f.Networks) == 0 {
			writes = append(writes, drop(kindFailures, k.key, version))
			continue
		}
		writes = append(writes, put(kindFailures, k.key, f, version, now.Add(failureMemory)))
	}
	return writes, nil
}

// reject puts on record which locks a failed attempt has closed.
func (d *Directory) reject(ctx context.Context, name, from string, closed []locked) error {
	if len(closed) == 0 {
		return errLogin
	}
	var entries []adg.AuditEntry
	for _, l := range closed {
		e := Caller{From: from, Reason: "too many failed logins"}.entry("login.lock", "login/"+l.key)
		if ValidUser(name) == nil {
			e = e.With("user", name)
		}
		if l.network != "" {
			e = e.With("network", l.network)
		}
		entries = append(entries, e)
	}
	if err := d.recordDenied(ctx, entries...); err != nil {
		return err
	}
	return errLogin
}

// penalty is how long the next attempt has to wait after so many failures.
func penalty(count, free int, first, longest time.Duration) time.Duration {
	if count < free {
		return 0
	}
	return min(first<<min(count-free, 10), max(first, longest))
}

func userKey(name string) string { return "user/" + name }

// addressKey is what an address is counted by: of IPv6 the network that one customer gets. Empty: it is none.
func addressKey(from string) string { return prefixed(from, 32) }

// networkKey is the network that one who is at an address may have other addresses of, too.
func networkKey(from string) string { return prefixed(from, 24) }

// prefixed is the address that a text begins with, so many bits of it where it is IPv4; empty: it is none.
func prefixed(from string, bits int) string {
	addr, err := netip.ParseAddr(from)
	if err != nil {
		pair, err := netip.ParseAddrPort(from)
		if err != nil {
			return ""
		}
		addr = pair.Addr()
	}
	addr = addr.Unmap().WithZone("")
	if addr.Is4() && bits == 32 {
		return addr.String()
	}
	if !addr.Is4() {
		bits = 64
	}
	network, err := addr.Prefix(bits)
	if err != nil {
		return ""
	}
	return network.String()
}
