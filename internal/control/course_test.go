package control_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/control"
)

// recorded is a deployment with as many ticks as are named, each at its time after the beginning, with as many
// measurements of both arms, each of so many bytes and some more.
func (b *bench) recorded(id string, measurements, large int, ticks ...time.Duration) (begin time.Time) {
	b.Helper()
	now, err := b.store.Now(b.Context())
	b.must(err)
	begin = now.Add(-48 * time.Hour)
	b.must(b.store.CreateDeployment(b.Context(), adg.Deployment{ID: id, Spec: adg.Spec{
		Release: adg.Release{Service: "shop", Version: id}, Created: begin, Policy: adg.Policy{Service: "shop", Environment: "production"},
	}}))
	work, err := b.store.Take(b.Context(), "test", time.Minute, 1)
	b.must(err)
	d := work[0].Deployment
	for i, after := range ticks {
		at := begin.Add(after)
		tick := adg.Tick{
			Lease: work[0].Lease, Version: d.Version, Before: d.Status,
			Input:    adg.Input{Now: at, Assessment: &adg.Assessment{At: at, Judgements: []adg.Judgement{{Check: "a", At: at}, {Check: "b", At: at}}}},
			Decision: adg.Decision{At: at, Next: d.Status},
		}
		tick.Decision.Next.Ticked = at
		for n := range measurements {
			tick.Measurements = append(tick.Measurements, adg.Measurement{Check: "a", Arm: adg.Arm(n % 2), At: at, Sent: []string{fmt.Sprintf("%d.%d", i, n)}, Err: strings.Repeat("x", large)})
		}
		if d, err = b.store.Commit(b.Context(), tick); err != nil {
			b.Fatal(err)
		}
	}
	return begin
}

// walked are all measurements that a course selects, page by page, by what was sent.
func (b *bench) walked(id string, r control.Course) (sent []string, pages int) {
	b.Helper()
	for {
		list, next, err := b.Measurements(b.Context(), b.admin, id, r)
		b.must(err)
		for _, m := range list {
			sent = append(sent, m.Sent[0])
		}
		pages++
		if r.After = next; next == "" {
			return sent, pages
		}
	}
}

func TestCourseIsWholeHoweverDenseItIs(t *testing.T) {
	b := newBench(t)
	// More in a second than the store gives at once, long silences, and a time of many.
	begin := b.recorded("dense", 450, 0, 0, 100*time.Millisecond, 200*time.Millisecond, 300*time.Millisecond, 400*time.Millisecond, 26*time.Hour, 26*time.Hour+time.Nanosecond)
	var want []string
	for i := range 7 {
		for n := range 450 {
			want = append(want, fmt.Sprintf("%d.%d", i, n))
		}
	}
	for _, size := range []int{450, 1000, 10_000} {
		if got, pages := b.walked("dense", control.Course{Limit: size}); !slices.Equal(got, want) || pages != (len(want)+size-1)/size {
			t.Errorf("pages of %d: %d of %d rows on %d pages", size, len(got), len(want), pages)
		}
	}
	if got, pages := b.walked("dense", control.Course{Limit: 9, From: begin.Add(26*time.Hour + time.Nanosecond)}); !slices.Equal(got, want[6*450:]) || pages != 50 {
		t.Errorf("within one time: %d rows on %d pages", len(got), pages)
	}
	arm := adg.BaselineArm
	if got, _ := b.walked("dense", control.Course{Limit: 100, Arm: &arm, From: begin.Add(26 * time.Hour), To: begin.Add(26*time.Hour + time.Nanosecond)}); len(got) != 225 || got[0] != "5.1" {
		t.Errorf("one arm at one time: %d rows from %v", len(got), got[:1])
	}
	whole, _ := b.walked("dense", control.Course{Limit: 10_000, Points: 100})
	paged, pages := b.walked("dense", control.Course{Limit: 60, Points: 100})
	if len(whole) != 200 || pages != 4 || !slices.Equal(whole, paged) {
		t.Errorf("thinned out: %d rows, and %d on %d pages", len(whole), len(paged), pages)
	}
	if first, last := whole[:2], whole[198:]; !slices.Equal(first, want[:2]) || !slices.Equal(last, want[len(want)-2:]) {
		t.Errorf("the ends: %v and %v", first, last)
	}
}

func TestAssessmentsComeInPagesThinnedOutOrNot(t *testing.T) {
	b := newBench(t)
	var ticks []time.Duration
	for i := range 50 {
		ticks = append(ticks, time.Duration(i)*10*time.Minute)
	}
	begin := b.recorded("long", 1, 0, ticks...)
	read := func(r control.Course) (at []time.Duration, pages int) {
		t.Helper()
		for {
			_, list, next, err := b.Assessments(t.Context(), b.admin, "long", r)
			b.must(err)
			for _, a := range list {
				at = append(at, a.At.Sub(begin))
				if len(a.Judgements) != 1 || a.Judgements[0].Check != "b" {
					t.Fatalf("judgements of others: %+v", a)
				}
			}
			pages++
			if r.After = next; next == "" {
				return at, pages
			}
		}
	}
	if at, pages := read(control.Course{Check: "b", Limit: 7}); pages != 8 || !slices.Equal(at, ticks) {
		t.Errorf("%d pages: %v", pages, at)
	}
	if at, pages := read(control.Course{Check: "b", Limit: 3, Points: 10}); pages != 4 || len(at) != 10 || at[0] != 0 || at[9] != ticks[49] {
		t.Errorf("thinned out, %d pages: %v", pages, at)
	}
	if at, _ := read(control.Course{Check: "b", Limit: 100, From: begin.Add(ticks[3]), To: begin.Add(ticks[6])}); !slices.Equal(at, ticks[3:6]) {
		t.Errorf("from a time on and before another: %v", at)
	}
}

func TestPageOfLargeMeasurementsEndsEarly(t *testing.T) {
	b := newBench(t)
	var ticks []time.Duration
	for i := range 5 {
		ticks = append(ticks, time.Duration(i)*time.Minute)
	}
	b.recorded("large", 1, 1<<20, ticks...)
	if sent, pages := b.walked("large", control.Course{Limit: 1000}); len(sent) != 5 || pages < 2 {
		t.Errorf("%d measurements of 1 MiB on %d pages", len(sent), pages)
	}
}

func TestPlaceThatNobodyMadeIsRefused(t *testing.T) {
	b := newBench(t)
	b.recorded("one", 1, 0, time.Minute)
	for _, after := range []string{"x", "1", "1.", "1.0", "1.-3"} {
		_, _, err := b.Measurements(t.Context(), b.admin, "one", control.Course{Limit: 1, After: after})
		b.refused(err, adg.Invalid, "page token")
	}
	_, _, err := b.Measurements(t.Context(), reader("till"), "one", control.Course{Limit: 1})
	b.refused(err, adg.NotFound, "there is no deployment")
}
