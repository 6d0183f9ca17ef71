package row

import (
	"context"
	"time"

	"github.com/deployguardian/adg"
)

// Aged is a record that may be forgotten when it is old.
type Aged struct {
	N     int64     // its number: records are numbered in the order in which they began
	Begun time.Time // not later than that of any record with a larger number, clocks that were set back apart
	Ended time.Time // from when on its age counts
	Kept  bool      // it stays, however old
}

// Forget walks through records, the oldest first, and forgets those that ended before then: a page at a time, at most
// so many of them. It stops at the first page without any that began before then, so that it costs as much as there is
// to forget, and not as much as there is.
func Forget(ctx context.Context, before time.Time, most int, page func(ctx context.Context, after int64) ([]Aged, error), forget func(ctx context.Context, numbers []int64) (int64, error)) (gone int64, err error) {
	if before.IsZero() {
		return 0, nil
	}
	for after := int64(0); most > 0; {
		records, err := page(ctx, after)
		if err != nil || len(records) == 0 {
			return gone, err
		}
		after = records[len(records)-1].N
		var old []int64
		young := true
		for _, r := range records {
			young = young && !r.Begun.Before(before)
			if !r.Kept && r.Ended.Before(before) && len(old) < most {
				old = append(old, r.N)
			}
		}
		if young {
			return gone, nil
		}
		if len(old) == 0 {
			continue
		}
		rows, err := forget(ctx, old)
		gone, most = gone+rows, most-len(old)
		if err != nil {
			return gone, err
		}
	}
	return gone, nil
}

// Part is one kind of records, and how a store finds and forgets them.
type Part struct {
	Before time.Time // what ended before then; zero: nothing
	Page   func(ctx context.Context, after int64) ([]Aged, error)
	Forget func(ctx context.Context, numbers []int64) (int64, error)
}

// The steps in which stores forget, so that ticks need not wait for it.
const (
	ForgetPage = 200    // records of one kind that are looked at together
	forgetMost = 10_000 // records of one kind that are forgotten in one call
)

// ForgetParts forgets of one kind after the other, and says how many rows went.
func ForgetParts(ctx context.Context, parts ...Part) (gone int64, err error) {
	for _, p := range parts {
		rows, err := Forget(ctx, p.Before, forgetMost, p.Page, p.Forget)
		gone += rows
		if err != nil {
			return gone, err
		}
	}
	return gone, nil
}

// Waits notes for how long something waits: the deployment that is due for longest since then, in nanoseconds, and the
// oldest fact that was not told. Zero and empty: nothing does.
func Waits(b adg.Backlog, now time.Time, due int64, fact string) (adg.Backlog, error) {
	if due > 0 {
		b.Late = max(now.Sub(Time(due)), 0)
	}
	if fact == "" {
		return b, nil
	}
	at, err := FactTime(fact)
	if err != nil {
		return adg.Backlog{}, err
	}
	b.Oldest = max(now.Sub(at), 0)
	return b, nil
}

// Times are those of a deployment, as its specification and its status tell them.
func Times(spec, status string) (created, since time.Time, err error) {
	begun, err := Decode[struct {
		Created time.Time `json:"created"`
	}](spec)
	if err != nil {
		return created, since, err
	}
	is, err := Decode[struct {
		Since time.Time `json:"since"`
	}](status)
	return begun.Created, is.Since, err
}

// FactTime is when a fact became true.
func FactTime(fact string) (time.Time, error) {
	f, err := Decode[struct {
		At time.Time `json:"at"`
	}](fact)
	return f.At, err
}
