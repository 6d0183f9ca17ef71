package haproxy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/ledger"
)

// poll is how often HAProxy is asked while something is waited for.
const poll = 50 * time.Millisecond

// change brings the backend to one desired state.
type change struct {
	target    *target
	want      adg.Desired
	operation *ledger.Operation
	weights   []int // per slot, as shift has set them
	stillRuns bool  // something of the prepare program may have outlived it
}

// converge goes the way on which no request fails: releases are brought into slots without traffic, receiving slots
// are raised once their servers are up, only then the others are lowered and drained, and at last what is not wanted
// any more is taken out.
func (c *change) converge(ctx context.Context) error {
	v, err := c.target.lookAndAsk(ctx)
	if err != nil {
		return err
	}
	plan, err := c.assign(v)
	if err != nil {
		return err
	}
	for _, p := range plan {
		if p.wanted == nil || p.inPlace {
			continue
		}
		if err := c.bring(ctx, plan, p); err != nil {
			return err
		}
	}
	shares := make([]float64, len(plan))
	for i, p := range plan {
		if p.wanted != nil {
			shares[i] = p.wanted.Share
		}
	}
	if err := c.shift(ctx, shares); err != nil {
		return err
	}
	for i, p := range plan {
		if shares[i] > 0 {
			continue
		}
		if err := c.rest(ctx, i, p.wanted == nil); err != nil {
			return err
		}
	}
	return c.verify(ctx, shares)
}

// Private

// place is what the plan says about a slot.
type place struct {
	slot    string
	wanted  *adg.Placement // nil: nothing
	inPlace bool           // the release is there already
}

// assign finds a slot for every release: the one that holds it, else the one where it was last, else one that nobody
// knows anything about, else one without traffic, else one whose traffic another slot can take meanwhile.
func (c *change) assign(v view) ([]place, error) {
	plan := make([]place, len(v.slots))
	for i, s := range v.slots {
		plan[i].slot = s.name
	}
	var homeless []*adg.Placement
	for i := range c.want.Releases {
		w := &c.want.Releases[i]
		at := slices.IndexFunc(v.slots, func(s slot) bool { return s.holds(w.Release) })
		// Where two slots hold it, the one with traffic is meant.
		for j, s := range v.slots {
			if s.holds(w.Release) && s.weight() > v.slots[at].weight() {
				at = j
			}
		}
		if at < 0 {
			homeless = append(homeless, w)
			continue
		}
		plan[at].wanted, plan[at].inPlace = w, true
	}
	shares := v.shares()
	for _, w := range homeless {
		best, rank := -1, 0
		for i, s := range v.slots {
			if plan[i].wanted != nil {
				continue
			}
			if r := suits(s, shares[i], w.Release); best < 0 || r > rank {
				best, rank = i, r
			}
		}
		if shares[best] > 0 && !slices.ContainsFunc(plan, func(p place) bool { return p.inPlace && p.wanted.Share > 0 }) {
			return nil, c.homeless(v.slots[best], w.Release.Version)
		}
		plan[best].wanted = w
	}
	return plan, nil
}

// homeless says why there is no slot for a release. What the servers say of themselves may be another thing soon: they are
// asked again, then.
func (c *change) homeless(s slot, version string) error {
	var heard []string
	for _, r := range s.reports {
		if r.version != "" {
			heard = append(heard, r.version)
		}
	}
	reported := ""
	if len(heard) > 0 {
		reported = fmt.Sprintf(" (its servers say that they run %s)", strings.Join(heard, " and "))
	}
	err := adg.Errorf(adg.Conflict,
		"there is no slot for %s: slot %s has traffic%s, and no wanted release is known to run elsewhere that could take it; if %s runs %s, say so with version_path or with initial: {%s: %s}",
		version, s.name, reported, s.name, version, s.name, version)
	if c.target.http == nil {
		return adg.Permanent(err)
	}
	return err
}

// suits ranks the slots that a release could go to, the best highest.
func suits(s slot, share float64, r adg.Release) int {
	switch known := s.record.Release; {
	case share > 0:
		return 0
	case known.Version == r.Version:
		return 3
	case known.Version == "":
		return 2
	default:
		return 1
	}
}

// bring gets a release into a slot, which loses what traffic it may have first.
func (c *change) bring(ctx context.Context, plan []place, p place) error {
	t := c.target
	if err := c.evacuate(ctx, plan, p); err != nil {
		return err
	}
	r := record{Release: p.wanted.Release}
	if t.o.Prepare.Path != "" {
		r.Parked = true
		if err := t.put(p.slot, r); err != nil {
			return err
		}
		if err := c.set(ctx, p.slot, always, "state maint"); err != nil {
			return err
		}
		if err := c.prepare(ctx, p); err != nil {
			return err
		}
	}
	r.Ready = true
	if err := t.put(p.slot, r); err != nil {
		return err
	}
	if t.http == nil {
		return nil
	}
	return c.confirm(ctx, p)
}

// evacuate takes the traffic from a slot and lets its requests end. Those of the wanted releases that are in place
// take it, in their own proportions.
func (c *change) evacuate(ctx context.Context, plan []place, p place) error {
	v, err := c.target.look(ctx)
	if err != nil {
		return err
	}
	at := v.index(p.slot)
	if v.shares()[at] > 0 {
		shares, sum := make([]float64, len(plan)), 0.0
		for i, other := range plan {
			if other.inPlace {
				shares[i] = other.wanted.Share
				sum += shares[i]
			}
		}
		if sum == 0 {
			return adg.Errorf(adg.Conflict, "slot %s has traffic all of a sudden, and no wanted release could take it", p.slot)
		}
		for i := range shares {
			shares[i] *= 100 / sum
		}
		if err := c.shift(ctx, shares); err != nil {
			return err
		}
	}
	if err := c.set(ctx, p.slot, server.ready, "state drain"); err != nil {
		return err
	}
	return c.drained(ctx, at)
}

// confirm waits until every server of the slot says that it runs the release; the slot gets no traffic meanwhile.
func (c *change) confirm(ctx context.Context, p place) error {
	if err := c.wake(ctx, p.slot); err != nil {
		return err
	}
	var why error
	return c.wait(ctx, c.target.o.UpTimeout, func() error { return why }, func(v view) bool {
		s := v.slots[v.index(p.slot)]
		s.reports = c.target.versions(ctx, s.servers)
		for i, h := range s.servers {
			switch heard := s.reports[i]; {
			case heard.version == "":
				why = adg.Errorf(adg.Unavailable, "slot %s: whether %s runs %s is not known: it %s", p.slot, h.name, p.wanted.Release.Version, heard.silence)
				return false
			case heard.version != p.wanted.Release.Version:
				why = adg.Errorf(adg.Unavailable, "slot %s: %s says that it runs %s, not %s: deploy it there first, or let a prepare program do it",
					p.slot, h.name, heard.version, p.wanted.Release.Version)
				return false
			}
		}
		return true
	})
}

// shift makes the shares real: receiving slots first, then the others.
func (c *change) shift(ctx context.Context, shares []float64) error {
	v, err := c.target.look(ctx)
	if err != nil {
		return err
	}
	now := v.shares()
	for i, s := range v.slots {
		if shares[i] <= now[i] || shares[i] == 0 {
			continue
		}
		if err := c.wake(ctx, s.name); err != nil {
			return err
		}
		if err := c.receivable(ctx, i, shares[i]); err != nil {
			return err
		}
	}
	if v, err = c.target.look(ctx); err != nil {
		return err
	}
	c.weights = balance(v, shares)
	if err := c.target.socket.change(ctx, c.weightCommands(v)); err != nil {
		return err
	}
	for i, s := range v.slots {
		if shares[i] == 0 {
			if err := c.set(ctx, s.name, server.ready, "state drain"); err != nil {
				return err
			}
		}
	}
	return nil
}

// weightCommands are those that are needed, the ones that raise first.
func (c *change) weightCommands(v view) []string {
	var raise, lower []string
	for i, weight := range c.weights {
		for _, h := range v.slots[i].servers {
			command := fmt.Sprintf("set server %s/%s weight %d", c.target.o.Backend, h.name, weight)
			switch {
			case weight > h.weight:
				raise = append(raise, command)
			case weight < h.weight:
				lower = append(lower, command)
			}
		}
	}
	return append(raise, lower...)
}

// balance gives the weights per slot: the servers that are up carry their slot's share.
func balance(v view, shares []float64) []int {
	counts := make([]int, len(v.slots))
	for i, s := range v.slots {
		for _, h := range s.members() {
			if h.ready() && h.running {
				counts[i]++
			}
		}
		if counts[i] == 0 {
			counts[i] = len(s.servers)
		}
	}
	return weigh(shares, counts)
}

// wake makes a slot's servers ready to take traffic without giving them any: the weight goes to 0 first.
func (c *change) wake(ctx context.Context, name string) error {
	v, err := c.target.look(ctx)
	if err != nil {
		return err
	}
	s := v.slots[v.index(name)]
	var commands []string
	for _, h := range s.members() {
		if h.ready() {
			continue
		}
		if h.weight > 0 {
			commands = append(commands, fmt.Sprintf("set server %s/%s weight 0", c.target.o.Backend, h.name))
		}
		commands = append(commands, fmt.Sprintf("set server %s/%s state ready", c.target.o.Backend, h.name))
	}
	if err := c.target.socket.change(ctx, commands); err != nil {
		return err
	}
	if s.record.Parked {
		s.record.Parked = false
		return c.target.put(name, s.record)
	}
	return nil
}

// receivable waits until the slot can take its share: servers that are up, with room for the sessions that there are.
func (c *change) receivable(ctx context.Context, at int, share float64) error {
	var why error
	return c.wait(ctx, c.target.o.UpTimeout, func() error { return why }, func(v view) bool {
		why = c.refusal(v, at, share)
		return why == nil
	})
}

func (c *change) refusal(v view, at int, share float64) error {
	s := v.slots[at]
	var sick []string
	up, room, bounded := 0, 0, true
	members := s.members()
	for _, h := range members {
		if !h.healthy() {
			sick = append(sick, h.sick())
			continue
		}
		up++
		room += h.limit
		bounded = bounded && h.limit > 0
	}
	least := float64(len(members))
	if c.want.Rollback {
		least *= c.target.o.RollbackUp / 100
	}
	if up == 0 || float64(up) < least {
		return adg.Errorf(adg.Unavailable, "no traffic was moved to slot %s: of its %d servers %d are up: %s",
			s.name, len(members), up, strings.Join(sick, ", "))
	}
	sessions := 0
	for _, other := range v.slots {
		sessions += other.sessions()
	}
	if needed := float64(sessions) * share / 100; bounded && float64(room) < needed {
		return adg.Errorf(adg.Unavailable, "no traffic was moved to slot %s: its servers take %d requests at a time (maxconn), and %.0f are needed now",
			s.name, room, needed)
	}
	return nil
}

// rest ends a slot's part: its requests end, unless this is a rollback, which must not wait for the stragglers of a
// bad release; and what is not wanted any more goes into maintenance.
func (c *change) rest(ctx context.Context, at int, unwanted bool) error {
	t := c.target
	v, err := t.look(ctx)
	if err != nil {
		return err
	}
	s := v.slots[at]
	if unwanted {
		if s.retired() {
			return nil
		}
		if err := c.drained(ctx, at); err != nil {
			return err
		}
		s.record.Ready, s.record.Parked = false, true
		if err := t.put(s.name, s.record); err != nil {
			return err
		}
		return c.set(ctx, s.name, func(h server) bool { return !h.maint() }, "state maint")
	}
	if s.record.Parked || s.retired() {
		// An idle release is watched by HAProxy's health checks, which stop in maintenance.
		if err := c.set(ctx, s.name, server.maint, "state drain"); err != nil {
			return err
		}
		s.record.Parked = false
		if err := t.put(s.name, s.record); err != nil {
			return err
		}
	}
	if c.want.Rollback {
		return nil
	}
	return c.drained(ctx, at)
}

// drained waits until a slot has no request left, or the time for that is over, which is no error.
func (c *change) drained(ctx context.Context, at int) error {
	return c.wait(ctx, c.target.o.DrainTimeout, func() error { return nil }, func(v view) bool { return v.slots[at].sessions() == 0 })
}

// verify reads back what was set: a command that was taken is not yet one that was done.
func (c *change) verify(ctx context.Context, shares []float64) error {
	v, err := c.target.look(ctx)
	if err != nil {
		return err
	}
	for i, weight := range c.weights {
		s := v.slots[i]
		for _, h := range s.members() {
			switch {
			case h.weight != weight:
				return adg.Errorf(adg.Unavailable, "HAProxy took the commands, but server %s has weight %d, not %d", h.name, h.weight, weight)
			case shares[i] > 0 && !h.ready():
				return adg.Errorf(adg.Unavailable, "HAProxy took the commands, but server %s is %s", h.name, h.status)
			case shares[i] == 0 && h.ready():
				return adg.Errorf(adg.Unavailable, "HAProxy took the commands, but server %s is not taken out of service", h.name)
			}
		}
	}
	return nil
}

// always is every server.
func always(server) bool { return true }

// set sends the same command for all servers of a slot that it is meant for.
func (c *change) set(ctx context.Context, name string, which func(server) bool, command string) error {
	v, err := c.target.look(ctx)
	if err != nil {
		return err
	}
	var commands []string
	for _, h := range v.slots[v.index(name)].servers {
		if which(h) {
			commands = append(commands, fmt.Sprintf("set server %s/%s %s", c.target.o.Backend, h.name, command))
		}
	}
	return c.target.socket.change(ctx, commands)
}

// wait looks until it is met, or the time is over: then late says what that means.
func (c *change) wait(ctx context.Context, timeout time.Duration, late func() error, met func(view) bool) error {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		v, err := c.target.look(ctx)
		if err != nil {
			return err
		}
		if met(v) {
			return nil
		}
		select {
		case <-ctx.Done():
			if err := late(); err != nil {
				return err
			}
			return ctxError(ctx)
		case <-timer.C:
			return late()
		case <-tick.C:
		}
	}
}

func (v view) index(name string) int {
	return slices.IndexFunc(v.slots, func(s slot) bool { return s.name == name })
}
