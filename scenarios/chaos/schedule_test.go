//go:build linux

package chaos

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"time"
)

// kind is what goes wrong.
type kind string

const (
	killed       kind = "replica killed"             // SIGKILL, and started again
	paused       kind = "replica paused"             // SIGSTOP past its leases, then SIGCONT
	cutOff       kind = "replica cut off"            // from PostgreSQL: connections are closed, new ones refused
	silenced     kind = "line silent"                // what is said to PostgreSQL and back comes much later, or never
	slowed       kind = "line slow"                  // it comes a little later
	halfClosed   kind = "line half closed"           // PostgreSQL's answers do not come any more
	crashed      kind = "PostgreSQL crashed"         // pg_ctl restart -m immediate
	restarted    kind = "PostgreSQL restarted"       // pg_ctl restart -m fast
	terminated   kind = "backends terminated"        // all of the replicas' connections
	sourceDown   kind = "source down"                // of some services: 500, or no answer
	targetDown   kind = "target down"                // of some services: 500, no answer, or done and the answer lost
	receiverDown kind = "receiver of events is down" // 500, no answer, or taken and the answer lost
)

// weights say how often each kind is drawn.
var weights = []struct {
	kind   kind
	weight int
}{
	{killed, 6}, {paused, 3}, {cutOff, 2}, {silenced, 2}, {slowed, 2}, {halfClosed, 2}, {crashed, 1}, {restarted, 1}, {terminated, 2},
	{sourceDown, 3}, {targetDown, 4}, {receiverDown, 2},
}

// event is one fault of a schedule.
type event struct {
	at, lasts time.Duration
	kind      kind
	replica   int
	services  []string
	variant   int // which way of going wrong
	delay     time.Duration
}

func (e event) String() string {
	text := fmt.Sprintf("%s for %5.2fs: %s", stamp(e.at), e.lasts.Seconds(), e.kind)
	switch e.kind {
	case killed, paused, cutOff, silenced, halfClosed:
		return fmt.Sprintf("%s: r%d (%d)", text, e.replica, e.variant)
	case slowed:
		return fmt.Sprintf("%s: r%d by %s", text, e.replica, e.delay)
	case sourceDown, targetDown, receiverDown:
		return fmt.Sprintf("%s (%d): %v", text, e.variant, e.services)
	case crashed, restarted, terminated:
	}
	return text
}

// draw makes a schedule: the same seed gives the same. At every time one replica at least is neither killed, paused nor
// cut off.
func draw(seed uint64, lasts, gap time.Duration, replicas int, services []string) []event {
	dice := rand.New(rand.NewPCG(seed, 2))
	between := func(low, high time.Duration) time.Duration {
		return low + time.Duration(dice.Int64N(int64(high-low)))
	}
	var bag, first []kind
	for _, w := range weights {
		first = append(first, w.kind)
		for range w.weight {
			bag = append(bag, w.kind)
		}
	}
	dice.Shuffle(len(first), func(i, j int) { first[i], first[j] = first[j], first[i] })
	// These come while every service deploys: facts of one deployment have to wait, and a replica has work in its hands.
	for i, early := range []kind{receiverDown, killed} {
		at := slices.Index(first, early)
		first[i], first[at] = first[at], first[i]
	}
	busy := make([]time.Duration, replicas) // until then a fault is on the replica
	var all []event
	for at := gap; at < lasts; at += between(gap/2, 3*gap/2) {
		e := event{at: at, kind: bag[dice.IntN(len(bag))], variant: dice.IntN(6), delay: between(50*time.Millisecond, 400*time.Millisecond)}
		if len(first) > 0 { // each kind once, before chance has it
			e.kind = first[0]
		}
		switch e.kind {
		case killed, cutOff, silenced:
			e.lasts = between(time.Second, 9*time.Second)
		case paused:
			e.lasts = between(9*time.Second, 13*time.Second)
		case slowed, halfClosed:
			e.lasts = between(3*time.Second, 10*time.Second)
		case sourceDown:
			e.lasts = between(2*time.Second, 10*time.Second)
		case targetDown:
			e.lasts = between(time.Second, 6*time.Second)
		case receiverDown:
			e.lasts = between(4*time.Second, 10*time.Second)
		case crashed, restarted, terminated:
		}
		e.services = some(dice, services)
		if e.ofReplica() && !e.place(busy, dice) {
			if len(first) > 0 { // another one first
				first = append(first[1:], first[0])
			}
			continue
		}
		if len(first) > 0 {
			first = first[1:]
		}
		all = append(all, e)
	}
	slices.SortStableFunc(all, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	return all
}

func (e *event) ofReplica() bool {
	return slices.Contains([]kind{killed, paused, cutOff, silenced, slowed, halfClosed}, e.kind)
}

// place finds a replica that nothing is wrong with, if that leaves another one. A replica that was gone has some time to
// come back.
func (e *event) place(busy []time.Duration, dice *rand.Rand) bool {
	var free []int
	for i, until := range busy {
		if until <= e.at {
			free = append(free, i)
		}
	}
	if len(free) < 2 {
		return false
	}
	e.replica = free[dice.IntN(len(free))]
	busy[e.replica] = e.at + e.lasts + 3*time.Second
	return true
}

// some is about a third.
func some(dice *rand.Rand, services []string) []string {
	var chosen []string
	for _, s := range services {
		if dice.IntN(3) == 0 {
			chosen = append(chosen, s)
		}
	}
	return chosen
}

// inflict does what the event says, and mends it after its time.
func (c *chaos) inflict(e event) {
	r := c.replicas[e.replica]
	wait := func() {
		select {
		case <-time.After(e.lasts):
		case <-c.over:
		}
	}
	switch e.kind {
	case killed:
		pid, _ := r.well()
		c.sampler.busy(pid, 20)
		r.signal(syscall.SIGKILL)
		c.sampler.orphaned(pid)
		wait()
		<-r.gone
		c.check(r.start())
		c.check(r.await(time.Minute))
	case paused:
		pid, _ := r.well()
		c.sampler.busy(pid, 20)
		r.absent(true)
		c.world.spoil(func(w *world) { w.stopped++ })
		r.signal(syscall.SIGSTOP)
		wait()
		r.signal(syscall.SIGCONT)
		c.world.spoil(func(w *world) { w.stopped, w.resumed = w.stopped-1, time.Now().Add(time.Second) })
		r.absent(false)
	case cutOff:
		r.absent(true)
		r.line.cut()
		wait()
		r.line.mend()
		r.absent(false)
	case silenced:
		r.absent(true)
		r.line.silence()
		wait()
		if e.variant%2 == 0 {
			r.line.lose()
		}
		r.line.mend()
		r.absent(false)
	case slowed:
		r.line.slow(e.delay)
		wait()
		r.line.mend()
	case halfClosed:
		r.line.halfClose(e.variant%2 == 0)
	case crashed, restarted:
		mode := map[kind]string{crashed: "immediate", restarted: "fast"}[e.kind]
		c.postgres.Lock()
		defer c.postgres.Unlock()
		c.check(c.database.Restart(mode))
	case terminated:
		c.database.rows("SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity WHERE application_name = 'adg'")
	case sourceDown, targetDown, receiverDown:
		c.world.spoil(func(w *world) { w.set(e, fault(1+e.variant%3)) })
		wait()
		c.world.spoil(func(w *world) { w.set(e, none) })
	}
}

// set makes the part of the world that an event is about behave in a way.
func (w *world) set(e event, f fault) {
	switch e.kind {
	case receiverDown:
		w.receiver = f
	case sourceDown:
		if f == mute {
			f = hangs
		}
		for _, s := range e.services {
			w.source[s] = f
		}
	case targetDown:
		for _, s := range e.services {
			w.services[s].wrong = f
		}
	case killed, paused, cutOff, silenced, slowed, halfClosed, crashed, restarted, terminated:
	}
}
