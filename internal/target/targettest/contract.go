package targettest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg"
)

// patience is how long a call may take after its context has ended.
const patience = 9 * time.Second // shorter than the 10 s after which drivers give up by themselves

func steps(t *testing.T, c Case) {
	f := c.Open(t)
	op := 0
	next := func() string { op++; return fmt.Sprintf("shop-v2-abc/%d", op) }
	c.live(t, f, 0)
	up := c.shares(f.Target.Can())
	for last := range up {
		for _, share := range up[:last+1] {
			apply(t, f.Target, Want(next(), 1, share))
			c.live(t, f, share)
		}
		apply(t, f.Target, Rollback(next(), 1))
		c.live(t, f, 0)
	}
	counted(t, f.World)
}

func agrees(t *testing.T, c Case) {
	f := c.Open(t)
	for i, share := range append(c.shares(f.Target.Can()), 0) {
		want := Want(fmt.Sprintf("shop-v2-abc/%d", i+1), 1, share)
		applied := apply(t, f.Target, want)
		seen := current(t, f.Target)
		if applied.Done {
			if diff := cmp.Diff(applied, seen); diff != "" {
				t.Errorf("at %g %%, Apply (-) and Current (+) differ:\n%s", share, diff)
			}
		}
		if seen.OpID != "" && seen.OpID != want.OpID {
			t.Errorf("the last operation is %s, want %s", seen.OpID, want.OpID)
		}
		for _, p := range seen.Releases {
			if p.Release.Version == "" {
				t.Errorf("a release without a version: %+v", seen)
			}
		}
	}
}

func keepsIdle(t *testing.T, c Case) {
	f := c.Open(t)
	if !f.Target.Can().Idle {
		return
	}
	apply(t, f.Target, Want("shop-v2-abc/1", 1, 0))
	c.live(t, f, 0)
	apply(t, f.Target, Want("shop-v2-abc/2", 1, 100))
	c.live(t, f, 100)
	apply(t, f.Target, Rollback("shop-v2-abc/3", 1))
	c.live(t, f, 0)
	alone := Want("shop-v2-abc/4", 1, 100)
	alone.Releases = alone.Releases[:1]
	apply(t, f.Target, alone)
	c.live(t, f, 100)
}

func stages(t *testing.T, c Case) {
	f := c.Open(t)
	if !f.Target.Can().Idle {
		return
	}
	seen := apply(t, f.Target, Want("shop-v2-abc/1", 1, 0))
	if _, reported := seen.Share("v2"); f.Target.Can().Reports && !reported {
		t.Errorf("the staged release is not reported: %+v", seen)
	}
	c.live(t, f, 0)
}

// sizes has somebody save the servers of the last good release, and asks for the way back to it.
func sizes(t *testing.T, c Case) {
	if !c.Sizes {
		return
	}
	f := c.Open(t)
	w, counts := f.World.(Staffed)
	if !counts {
		t.Fatalf("a %T does not count servers", f.World)
	}
	apply(t, f.Target, Want("shop-v2-abc/1", 1, 100))
	c.live(t, f, 100)
	w.Shrink(t, "v1")
	before := len(w.Moves(t))
	apply(t, f.Target, Rollback("shop-v2-abc/2", 1))
	c.live(t, f, 0)
	moves := slices.DeleteFunc(w.Moves(t)[before:], func(m Move) bool { return m.To != "v1" })
	if len(moves) == 0 {
		t.Error("no traffic was seen on its way back")
	}
	for _, m := range moves {
		if m.Ready < 100 {
			t.Errorf("traffic went to v1 when %g %% of the servers that it needs were ready", m.Ready)
		}
	}
}

func once(t *testing.T, c Case) {
	f := c.Open(t)
	share := c.shares(f.Target.Can())[0]
	want := Want("shop-v2-abc/1", 1, share)
	first := apply(t, f.Target, want)
	for name, target := range map[string]adg.Target{"same instance": f.Target, "after a restart": f.Reopen(t)} {
		before := len(f.World.Effects(t))
		again := apply(t, target, want)
		if more := len(f.World.Effects(t)) - before; more != 0 {
			t.Errorf("%s: the repeated operation made %d changes", name, more)
		}
		if diff := cmp.Diff(first.Releases, again.Releases); first.Done && diff != "" {
			t.Errorf("%s: the repeated operation sees something else:\n%s", name, diff)
		}
	}
	c.live(t, f, share)
}

func fenced(t *testing.T, c Case) {
	if !c.Fences {
		return
	}
	f := c.Open(t)
	share := c.shares(f.Target.Can())[0]
	apply(t, f.Target, Want("shop-v2-abc/1", 2, share))
	current(t, f.Target) // else what changes may still be this operation's
	for name, target := range map[string]adg.Target{"same instance": f.Target, "after a restart": f.Reopen(t)} {
		untouched(t, f.World, func() {
			seen, err := target.Apply(t.Context(), Rollback("shop-v2-abc/2", 1))
			if !errors.Is(err, adg.ErrFenced) {
				t.Errorf("%s: an older fence gives %+v, %v", name, seen, err)
			}
		})
	}
	apply(t, f.Target, Rollback("shop-v2-abc/2", 3))
	c.live(t, f, 0)
	other := Want("shop-v2-xyz/1", 1, share)
	other.Deployment = "shop-v2-xyz"
	apply(t, f.Target, other) // fences are counted per deployment
	c.live(t, f, share)
}

func invalid(t *testing.T, c Case) {
	f := c.Open(t)
	for name, spoil := range map[string]func(*adg.Desired){
		"shares of 60 and 60": func(d *adg.Desired) { d.Releases[0].Share, d.Releases[1].Share = 60, 60 },
		"a share below zero":  func(d *adg.Desired) { d.Releases[0].Share, d.Releases[1].Share = -10, 110 },
		"a version twice":     func(d *adg.Desired) { d.Releases[1].Release.Version = d.Releases[0].Release.Version },
		"no operation id":     func(d *adg.Desired) { d.OpID = "" },
		"no release":          func(d *adg.Desired) { d.Releases = nil },
		"a hostile version":   func(d *adg.Desired) { d.Releases[0].Release.Version = "v2; rm -rf /" },
	} {
		untouched(t, f.World, func() {
			want := Want("shop-v2-abc/1", 1, 25)
			spoil(&want)
			_, err := f.Target.Apply(t.Context(), want)
			if adg.CodeOf(err) != adg.Invalid || !adg.IsPermanent(err) {
				t.Errorf("%s: %v, want a permanent error of code invalid", name, err)
			}
			hidesSecrets(t, err, adg.Observed{})
		})
	}
}

func cancelled(t *testing.T, c Case) {
	f := c.Open(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("the operator went home")
	cancel(why)
	untouched(t, f.World, func() {
		begin := time.Now()
		if _, err := f.Target.Apply(ctx, Want("shop-v2-abc/1", 1, 100)); err == nil {
			t.Error("Apply: no error")
		}
		if _, err := f.Target.Current(ctx); err == nil && f.Target.Can().Reports {
			t.Error("Current: no error")
		}
		if took := time.Since(begin); took > patience {
			t.Errorf("took %s", took)
		}
	})
	apply(t, f.Target, Want("shop-v2-abc/1", 1, 100)) // it was not taken for done
	c.live(t, f, 100)
}

func lent(t *testing.T, c Case) {
	f := c.Open(t)
	want, same := Want("shop-v2-abc/1", 1, 100), Want("shop-v2-abc/1", 1, 100)
	seen := apply(t, f.Target, want)
	if diff := cmp.Diff(same, want); diff != "" {
		t.Errorf("the desired state was written to:\n%s", diff)
	}
	for i := range seen.Releases {
		seen.Releases[i].Share = -1
	}
	for i := range want.Releases {
		want.Releases[i].Share = -1
	}
	c.live(t, f, 100)
}

func concurrent(t *testing.T, c Case) {
	f := c.Open(t)
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for {
				seen, err := f.Target.Current(t.Context())
				if err != nil {
					t.Errorf("current: %v", err)
				}
				for _, p := range seen.Releases {
					if p.Share < 0 || p.Share > 100 {
						t.Errorf("a share of %g", p.Share)
					}
				}
				select {
				case <-done:
					return
				default:
					pause(t)
				}
			}
		})
	}
	for i, share := range c.shares(f.Target.Can()) {
		apply(t, f.Target, Want(fmt.Sprintf("shop-v2-abc/%d", i+1), 1, share))
	}
	close(done)
	wg.Wait()
	c.live(t, f, 100)
}

// oneByOne has owners of rising fences act at once through instances of their own.
func oneByOne(t *testing.T, c Case) {
	f := c.Open(t)
	shares := []float64{100, 0}
	var wg sync.WaitGroup
	for fence := range int64(6) {
		target := f.Reopen(t)
		wg.Go(func() {
			want := Want(fmt.Sprintf("shop-v2-abc/%d", fence+1), fence+1, shares[fence%2])
			if _, err := target.Apply(t.Context(), want); err != nil && !errors.Is(err, adg.ErrFenced) {
				t.Errorf("fence %d: %v", fence+1, err)
			}
		})
	}
	wg.Wait()
	if c.Fences {
		counted(t, f.World)
		c.live(t, f, shares[1]) // the newest owner's
	}
}

func unreachable(t *testing.T, c Case) {
	f := c.Open(t)
	mend := f.World.Break(t, Unreachable)
	want := Want("shop-v2-abc/1", 1, 100)
	seen, err := f.Target.Apply(t.Context(), want)
	hidesSecrets(t, err, seen)
	if err == nil {
		t.Error("Apply: no error")
	}
	seen, err = f.Target.Current(t.Context())
	hidesSecrets(t, err, seen)
	if err == nil && f.Target.Can().Reports {
		t.Errorf("Current: no error, but %+v", seen)
	}
	mend()
	apply(t, f.Target, want)
	c.live(t, f, 100)
}

func hangs(t *testing.T, c Case) {
	f := c.Open(t)
	mend := f.World.Break(t, Hang)
	for name, call := range map[string]func(context.Context) (adg.Observed, error){
		"Apply": func(ctx context.Context) (adg.Observed, error) {
			return f.Target.Apply(ctx, Want("shop-v2-abc/1", 1, 100))
		},
		"Current": f.Target.Current,
	} {
		if name == "Current" && !f.Target.Can().Reports {
			continue
		}
		ctx, cancel := context.WithTimeoutCause(t.Context(), 300*time.Millisecond, errors.New("the lease is over"))
		begin := time.Now()
		seen, err := call(ctx)
		cancel()
		if took := time.Since(begin); took > patience {
			t.Errorf("%s took %s, and had 300 ms", name, took)
		}
		if err == nil {
			t.Errorf("%s: no error, but %+v", name, seen)
		}
		if adg.IsPermanent(err) {
			t.Errorf("%s: a target that hangs is not past help: %v", name, err)
		}
		hidesSecrets(t, err, seen)
	}
	mend()
	apply(t, f.Target, Want("shop-v2-abc/1", 1, 100))
	c.live(t, f, 100)
}

func halfway(t *testing.T, c Case) {
	f := c.Open(t)
	mend := f.World.Break(t, Halfway)
	want := Want("shop-v2-abc/1", 1, 100)
	seen, err := f.Target.Apply(t.Context(), want)
	hidesSecrets(t, err, seen)
	if err == nil && seen.Done {
		t.Errorf("an attempt that failed half-way is reported as done: %+v", seen)
	}
	if adg.IsPermanent(err) {
		t.Errorf("an attempt that failed half-way may be repeated: %v", err)
	}
	if now, err := f.Target.Current(t.Context()); err == nil && now.Done && now.OpID == want.OpID {
		t.Errorf("Current takes it for done: %+v", now)
	}
	mend()
	apply(t, f.Target, want)
	c.live(t, f, 100)
	counted(t, f.World)
}

func lies(t *testing.T, c Case) {
	f := c.Open(t)
	mend := f.World.Break(t, Lie)
	want := Want("shop-v2-abc/1", 1, 100)
	seen, err := f.Target.Apply(t.Context(), want)
	hidesSecrets(t, err, seen)
	if err == nil && f.Target.Can().Reports {
		believed := slices.ContainsFunc(seen.Releases, func(p adg.Placement) bool { return p.Release.Version == "v2" && p.Share > 0 })
		if believed || len(seen.Releases) == 0 {
			t.Errorf("nothing was changed, and the target is believed: %+v", seen)
		}
	}
	mend()
	want.OpID = "shop-v2-abc/2"
	apply(t, f.Target, want)
	c.live(t, f, 100)
}
