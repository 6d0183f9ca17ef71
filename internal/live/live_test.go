package live

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ledger is a store in memory that counts how often it is asked.
type ledger struct {
	mu          sync.Mutex
	events      []adg.Event
	deployments map[string]adg.Deployment
	asked       atomic.Int64
	broken      error
}

func (l *ledger) Now(context.Context) (time.Time, error) { return time.Now(), nil }

func (l *ledger) Events(_ context.Context, f adg.EventFilter) (page []adg.Event, next int64, err error) {
	l.asked.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.events[min(int(f.After), len(l.events)):] { // cursors are without gaps here
		if matches(f, e.Fact) {
			if page = append(page, e); len(page) == f.Limit {
				return page, e.Cursor, l.broken
			}
		}
	}
	return page, int64(len(l.events)), l.broken
}

func (l *ledger) LastEvent(context.Context) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int64(len(l.events)), l.broken
}

func (l *ledger) happen(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for range n {
		cursor := int64(len(l.events) + 1)
		l.events = append(l.events, adg.Event{Cursor: cursor, Fact: adg.Fact{ID: fmt.Sprint("f", cursor), Service: fmt.Sprint("s", cursor%2)}})
	}
}

func (l *ledger) CreateDeployment(context.Context, adg.Deployment) error { return nil }

func (l *ledger) Deployment(_ context.Context, id string) (adg.Deployment, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.deployments[id], l.broken
}

func (l *ledger) ListDeployments(_ context.Context, f adg.DeploymentFilter) (page []adg.Deployment, err error) {
	l.asked.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range f.IDs {
		if d, found := l.deployments[id]; found {
			page = append(page, d)
		}
	}
	return page, l.broken
}

func (l *ledger) Versions(_ context.Context, ids []string) (map[string]int64, error) {
	l.asked.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	versions := map[string]int64{}
	for id, d := range l.deployments {
		// Here the newest are those whose ids begin with an n.
		if ids == nil && (!d.Status.State.Ended() || id[0] == 'n') || slices.Contains(ids, id) {
			versions[id] = d.Version
		}
	}
	return versions, l.broken
}

// put stores the next version of a deployment.
func (l *ledger) Places(context.Context, adg.Scope, int) ([]adg.Scope, error) { return nil, nil }

func (l *ledger) put(id string, state adg.State) adg.Deployment {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := adg.Deployment{ID: id, Version: l.deployments[id].Version + 1, Status: adg.Status{State: state}}
	if l.deployments == nil {
		l.deployments = map[string]adg.Deployment{}
	}
	l.deployments[id] = d
	return d
}

func (l *ledger) breakDown(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken = err
}

// follower keeps what it was told.
type follower struct {
	mu    sync.Mutex
	heard []int64
	signs int
	err   error
	stop  context.CancelFunc
}

func (f *follower) see(p Page) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(p.Events) == 0 {
		f.signs++
	}
	for _, e := range p.Events {
		f.heard = append(f.heard, e.Cursor)
	}
	return nil
}

func (f *follower) cursors() []int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.heard)
}

func follow(t *testing.T, e *Events, filter adg.EventFilter, see func(Page) error) *follower {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	f := &follower{stop: stop}
	if see == nil {
		see = f.see
	}
	go func() {
		err := e.Follow(ctx, filter, 15*time.Second, see)
		f.mu.Lock()
		defer f.mu.Unlock()
		f.err = err
	}()
	return f
}

func upTo(n int64, step int64) (all []int64) {
	for c := step; c <= n; c += step {
		all = append(all, c)
	}
	return all
}

func TestEveryFollowerHearsEverythingOnceAndInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{}
		l.happen(2500)
		e := NewEvents(l, 0)
		whole, even := follow(t, e, adg.EventFilter{}, nil), follow(t, e, adg.EventFilter{Service: "s0"}, nil)
		late := follow(t, e, adg.EventFilter{After: 2500}, nil)
		ahead := follow(t, e, adg.EventFilter{After: 2600}, nil)
		for range 50 {
			l.happen(300)
			time.Sleep(70 * time.Millisecond) // of the bubble
		}
		time.Sleep(time.Second)
		synctest.Wait()
		for name, c := range map[string]struct{ got, want []int64 }{
			"from the beginning":          {whole.cursors(), upTo(17500, 1)},
			"what matches":                {even.cursors(), upTo(17500, 2)},
			"from now on":                 {late.cursors(), upTo(17500, 1)[2500:]},
			"after what is yet to happen": {ahead.cursors(), upTo(17500, 1)[2600:]},
		} {
			if !slices.Equal(c.got, c.want) {
				t.Errorf("%s: %d events, want %d", name, len(c.got), len(c.want))
			}
		}
		for _, f := range []*follower{whole, even, late, ahead} {
			f.stop()
		}
	})
}

func TestSlowFollowerKeepsNobodyWaitingAndMissesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{}
		e := NewEvents(l, 0)
		slow := &follower{}
		free := make(chan struct{})
		blocked := follow(t, e, adg.EventFilter{}, func(p Page) error {
			if len(p.Events) > 0 {
				<-free
			}
			return slow.see(p)
		})
		quick := follow(t, e, adg.EventFilter{}, nil)
		synctest.Wait()
		const n = 4 * ringSize
		for range n / 1024 {
			l.happen(1024)
			time.Sleep(300 * time.Millisecond) // of the bubble
		}
		synctest.Wait()
		if got := quick.cursors(); !slices.Equal(got, upTo(n, 1)) {
			t.Errorf("the quick one heard %d of %d", len(got), n)
		}
		e.mu.RLock()
		if kept := len(e.ring); kept < ringSize || kept > 2*ringSize+pageSize {
			t.Errorf("%d events are in memory", kept)
		}
		e.mu.RUnlock()
		close(free)
		time.Sleep(time.Second)
		synctest.Wait()
		if got := slow.cursors(); !slices.Equal(got, upTo(n, 1)) {
			t.Errorf("the slow one heard %d of %d", len(got), n)
		}
		quick.stop()
		blocked.stop()
	})
}

func TestStoreIsAskedForManyFollowersAsOftenAsForOneAndNeverForNone(t *testing.T) {
	costs := func(followers int) (asked int64) {
		synctest.Test(t, func(t *testing.T) {
			l := &ledger{}
			d := l.put("d", adg.Rolling)
			events, deployments := NewEvents(l, 0), NewDeployments(l, 0)
			table := NewTable(l, 0, oneByOne(func(d adg.Deployment) adg.Deployment { return d }), func(_, _ adg.Deployment) bool { return false })
			ctx, stop := context.WithCancel(t.Context())
			for range followers {
				go func() { _ = events.Follow(ctx, adg.EventFilter{}, time.Hour, func(Page) error { return nil }) }()
				go func() { _ = deployments.Follow(ctx, d, func(adg.Deployment) error { return nil }) }()
				go func() { _ = table.Follow(ctx, time.Hour, func(Rows[adg.Deployment]) error { return nil }) }()
			}
			synctest.Wait() // whoever comes later reads what he has missed
			for range 40 {
				l.happen(10)
				l.put("d", adg.Rolling)
				time.Sleep(100 * time.Millisecond) // of the bubble
			}
			stop()
			synctest.Wait()
			asked = l.asked.Load()
			time.Sleep(time.Minute) // of the bubble
			if after := l.asked.Load(); after != asked {
				t.Errorf("the store was asked %d times with nobody there", after-asked)
			}
		})
		return asked
	}
	if one, many := costs(1), costs(300); one == 0 || many > one+10 {
		t.Errorf("asked %d times for one, %d times for many", one, many)
	}
	if none := costs(0); none != 0 {
		t.Errorf("asked %d times for nobody", none)
	}
}

func TestWhatIsOfNoServiceIsToldToWhoFollowsOne(t *testing.T) {
	place := func(service, environment string) adg.Fact {
		return adg.Fact{Service: service, Environment: environment}
	}
	for _, c := range []struct {
		f    adg.EventFilter
		fact adg.Fact
		want bool
	}{
		{adg.EventFilter{Service: "shop"}, place("", ""), true},
		{adg.EventFilter{Service: "shop"}, place("", "production"), true},
		{adg.EventFilter{Service: "shop"}, place("cart", ""), false},
		{adg.EventFilter{Environment: "production"}, place("", ""), true},
		{adg.EventFilter{Environment: "production"}, place("cart", ""), true},
		{adg.EventFilter{Environment: "production"}, place("", "staging"), false},
		{adg.EventFilter{Service: "shop", Environment: "production"}, place("", "staging"), false},
		{adg.EventFilter{Deployment: "d1"}, place("", ""), false},
	} {
		if matches(c.f, c.fact) != c.want {
			t.Errorf("%+v of %+v: %t", c.f, c.fact, !c.want)
		}
	}
}

func TestSignsOfLifeComeWhereNothingHappens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{}
		f := follow(t, NewEvents(l, 0), adg.EventFilter{Service: "s1"}, nil)
		time.Sleep(61 * time.Second) // of the bubble
		synctest.Wait()
		if f.signs != 5 { // one at the beginning
			t.Errorf("%d signs of life in 61 s", f.signs)
		}
		f.stop()
	})
}

func TestFollowersHearOfAStoreThatFailsAndBeginAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{}
		e, ds := NewEvents(l, 0), NewDeployments(l, 0)
		table := NewTable(l, 0, oneByOne(func(d adg.Deployment) adg.Deployment { return d }), func(_, _ adg.Deployment) bool { return false })
		f := follow(t, e, adg.EventFilter{}, nil)
		ended := make(chan error, 2)
		d := l.put("d", adg.Rolling)
		go func() { ended <- ds.Follow(t.Context(), d, func(adg.Deployment) error { return nil }) }()
		go func() {
			ended <- table.Follow(t.Context(), time.Hour, func(Rows[adg.Deployment]) error { return nil })
		}()
		l.happen(3)
		time.Sleep(time.Second) // of the bubble
		down := errors.New("the disk is gone")
		l.breakDown(down)
		time.Sleep(time.Second) // of the bubble
		synctest.Wait()
		for i, err := range []error{f.err, <-ended, <-ended} {
			if !errors.Is(err, down) {
				t.Errorf("%d: %v", i, err)
			}
		}
		if err := e.Follow(t.Context(), adg.EventFilter{}, time.Hour, func(Page) error { return nil }); !errors.Is(err, down) {
			t.Error(err)
		}
		l.breakDown(nil)
		l.happen(2)
		again := follow(t, e, adg.EventFilter{After: 3}, nil)
		time.Sleep(time.Second) // of the bubble
		synctest.Wait()
		if got := again.cursors(); !slices.Equal(got, []int64{4, 5}) {
			t.Errorf("after that it heard %v", got)
		}
		again.stop()
	})
}

func TestWatcherOfADeploymentSeesItChangeUntilItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{}
		d, other := l.put("d", adg.Pending), l.put("other", adg.Pending)
		ds := NewDeployments(l, 0)
		var seen, elsewhere []int64
		ended := make(chan error, 1)
		ctx, stop := context.WithCancel(t.Context())
		go func() {
			_ = ds.Follow(ctx, other, func(d adg.Deployment) error {
				elsewhere = append(elsewhere, d.Version)
				return nil
			})
		}()
		go func() {
			ended <- ds.Follow(ctx, d, func(d adg.Deployment) error {
				seen = append(seen, d.Version)
				return nil
			})
		}()
		l.put("d", adg.Rolling) // between what the watcher has read and the first reading
		time.Sleep(time.Second) // of the bubble
		l.put("d", adg.Rolling)
		l.put("d", adg.Rolling)
		time.Sleep(time.Second) // of the bubble
		l.put("d", adg.Succeeded)
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if !slices.Equal(seen, []int64{1, 2, 4, 5}) {
			t.Errorf("seen: %v", seen)
		}
		stop()
		synctest.Wait()
		if !slices.Equal(elsewhere, []int64{1}) {
			t.Errorf("of the other: %v", elsewhere)
		}
		if len(ds.watched) != 0 {
			t.Errorf("still watched: %v", ds.watched)
		}
	})
}

func TestTableTellsWhatIsLiveAndWhatBecomesOfIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{}
		l.put("a", adg.Rolling)
		l.put("b", adg.Rolling)
		l.put("old", adg.Succeeded)
		l.put("new, and ended", adg.Succeeded)
		table := NewTable(l, 0, oneByOne(func(d adg.Deployment) adg.State { return d.Status.State }), func(a, b adg.State) bool { return a == b })
		var told []string
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go func() {
			_ = table.Follow(ctx, time.Hour, func(r Rows[adg.State]) error {
				for _, id := range slices.Sorted(maps.Keys(r.Live)) {
					told = append(told, fmt.Sprintf("%s is %s", id, r.Live[id]))
				}
				for _, c := range r.Changes {
					told = append(told, fmt.Sprintf("%s was %s (%t) is %s (%t)", c.ID, c.Was, c.Known, c.Is, c.Ended))
				}
				return nil
			})
		}()
		steps := []func(){
			func() { l.put("a", adg.Rolling) }, // the row stays the same
			func() { l.put("a", adg.Verifying) },
			func() { l.put("c", adg.Pending) },
			func() { l.put("a", adg.Succeeded) },
			func() { l.put("n", adg.Blocked) }, // began and ended between two readings
		}
		for _, step := range steps {
			time.Sleep(time.Second) // of the bubble
			step()
		}
		time.Sleep(time.Second) // of the bubble
		synctest.Wait()
		want := []string{
			"a is rolling", "b is rolling", "a was rolling (true) is verifying (false)", "c was pending (false) is pending (false)",
			"a was verifying (true) is succeeded (true)", "n was pending (false) is blocked (true)",
		}
		if !slices.Equal(told, want) {
			t.Errorf("told %q", told)
		}
	})
}

func TestWatcherOfATableWhoIsTooSlowBeginsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{}
		table := NewTable(l, 0, oneByOne(func(d adg.Deployment) int64 { return d.Version }), func(a, b int64) bool { return a == b })
		free := make(chan struct{})
		ended := make(chan error, 1)
		go func() {
			ended <- table.Follow(t.Context(), time.Hour, func(r Rows[int64]) error {
				if len(r.Changes) > 0 {
					<-free
				}
				return nil
			})
		}()
		for range 20 {
			for i := range 1000 {
				l.put(fmt.Sprint("d", i), adg.Rolling)
			}
			time.Sleep(time.Second) // of the bubble
		}
		table.mu.RLock()
		if kept := len(table.changes); kept < keptChanges || kept > 2*keptChanges+1000 {
			t.Errorf("%d changes are in memory", kept)
		}
		table.mu.RUnlock()
		close(free)
		if err := <-ended; adg.CodeOf(err) != adg.Unavailable {
			t.Error(err)
		}
	})
}

func TestManyFollowersOfARealStoreHearTheSame(t *testing.T) {
	const ticks, followers = 60, 20
	store, err := sqlite.Open(t.Context(), t.TempDir(), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	if err := store.CreateDeployment(t.Context(), adg.Deployment{ID: "d"}); err != nil {
		t.Fatal(err)
	}
	work, err := store.Take(t.Context(), "test", time.Minute, 1)
	if err != nil {
		t.Fatal(err)
	}
	e := NewEvents(store, time.Millisecond)
	heard := make([][]string, followers)
	enough := errors.New("enough")
	var all sync.WaitGroup
	for i := range heard {
		all.Go(func() {
			err := e.Follow(t.Context(), adg.EventFilter{}, time.Hour, func(p Page) error {
				for _, one := range p.Events {
					heard[i] = append(heard[i], one.Fact.ID)
				}
				if len(heard[i]) >= 2*ticks {
					return enough
				}
				return nil
			})
			if !errors.Is(err, enough) {
				t.Error(err)
			}
		})
	}
	var want []string
	w := work[0]
	for i := range ticks {
		tick := adg.Tick{Lease: w.Lease, Version: w.Deployment.Version, Decision: adg.Decision{Kind: adg.Hold, Next: w.Deployment.Status}}
		for j := range 2 {
			tick.Decision.Facts = append(tick.Decision.Facts, adg.Fact{ID: fmt.Sprintf("%03d/%d", i, j), Deployment: "d", Kind: adg.FactHeld})
			want = append(want, tick.Decision.Facts[j].ID)
		}
		if w.Deployment, err = store.Commit(t.Context(), tick); err != nil {
			t.Fatal(err)
		}
	}
	all.Wait()
	for i, got := range heard {
		if !slices.Equal(got, want) {
			t.Errorf("follower %d heard %d events, want %d: %v", i, len(got), len(want), got)
		}
	}
}

// oneByOne makes each row of its deployment alone.
func oneByOne[R any](row func(adg.Deployment) R) RowsOf[R] {
	return func(_ context.Context, found []adg.Deployment, _ map[string]R) ([]R, error) {
		rows := make([]R, len(found))
		for i, d := range found {
			rows[i] = row(d)
		}
		return rows, nil
	}
}
