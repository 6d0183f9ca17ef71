package identity

import (
	"context"
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
// After Options.Attempts failures of a name from one network, or four times as many of an address, each further one
// doubles the time until the next attempt, from Options.Lockout to an hour; too early is adg.Throttled, right password or
// not. After ten times as many failures of a name from all networks together those wait, too, for five minutes at most,
// that he has not logged in from lately: whoever guesses from many places is slow, and keeps nobody out of the places
// that are his. A day after the last one all is forgotten.
func (d *Directory) Login(ctx context.Context, attempt Attempt) (Opened, error) {
	proof, err := d.prove(ctx, attempt)
	if err != nil {
		return Opened{}, err
	}
	var o Opened
	err = d.settle(ctx, func() (change, error) {
		a, version, err := load[account](ctx, d, kindUser, proof.name)
		if err != nil {
			return change{}, unknownIfMissing(err, errLogin)
		}
		if a.Disabled || a.Hash != proof.hash {
			return change{}, errLogin // it was changed in this very moment
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
		a.settled(proof.network, now)
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

var errLogin = adg.Advised(adg.Errorf(adg.Unauthorized, "the name or the password is wrong"), "correct them, and try again")

const (
	freeForUser   = 5
	usersOfOne    = 4  // address: so many times the failures of one name from one network are free for it
	networksOfOne = 10 // name: so many times they are free for all networks together
	firstWait     = 30 * time.Second
	longestWait   = time.Hour
	longestForAll = 5 * time.Minute
	failureMemory = 24 * time.Hour
)

// proven is what is known after the right password.
type proven struct {
	name    string
	network string // that he comes from
	hash    string
	renewed string // the hash with today's parameters, if it had others
	counted []counter
}

// prove compares a name and a password. The attempt is counted as a failure before, so that many at the same time, on
// any number of replicas, are not more than the limit.
func (d *Directory) prove(ctx context.Context, attempt Attempt) (_ proven, err error) {
	p := proven{name: lowered(attempt.Name), network: networkKey(attempt.From)}
	a := account{}
	if ValidUser(p.name) == nil {
		if a, _, err = load[account](ctx, d, kindUser, p.name); err != nil && adg.CodeOf(err) != adg.NotFound {
			return proven{}, err
		}
	}
	if p.counted, err = d.counters(ctx, p, a, attempt.From); err != nil {
		return proven{}, err
	}
	locked, err := d.count(ctx, p.counted)
	if err != nil {
		return proven{}, err
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
