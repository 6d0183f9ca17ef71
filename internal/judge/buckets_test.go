package judge

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/deployguardian/adg"
)

var (
	counted   = adg.Check{Name: "check", Bad: "b", Total: "t", Replica: "pod", Window: time.Minute, Compare: adg.Sequential}
	midnight  = time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC)
	inSeconds = func(s float64) time.Time { return midnight.Add(time.Duration(s * float64(time.Second))) }
)

// counter is a series of a replica: pairs of seconds after midnight and value.
func counter(pod string, pairs ...float64) adg.Series {
	s := adg.Series{Labels: map[string]string{"pod": pod}}
	for i := 0; i < len(pairs); i += 2 {
		s.Samples = append(s.Samples, adg.Sample{At: inSeconds(pairs[i]), Value: pairs[i+1]})
	}
	return s
}

// look books what the arms show in the window before now.
func (b *books) look(now, window float64, candidate, stable []adg.Series) pass {
	from := inSeconds(now - window)
	all := tracks(nil, counted, adg.CandidateArm, allRequests, candidate, from, inSeconds(now))
	all = tracks(all, counted, adg.BaselineArm, allRequests, stable, from, inSeconds(now))
	return b.book(all, from)
}

// requests are those of buckets of a minute, counted from midnight.
func requests(list []bucket) (candidate, baseline map[int64]float64) {
	candidate, baseline = map[int64]float64{}, map[int64]float64{}
	for _, b := range list {
		at := b.Index - floor(midnight.UnixMilli(), 60_000)
		if b.Candidate.All > 0 {
			candidate[at] = b.Candidate.All
		}
		if n := b.control().All; n > 0 {
			baseline[at] = n
		}
	}
	return candidate, baseline
}

func TestIncreasesGoToTheBucketOfTheScrapeThatShowedThem(t *testing.T) {
	for _, row := range []struct {
		name   string
		series adg.Series
		want   map[int64]float64
	}{
		{"each replica at its own scrapes", counter("a", 3, 10, 18, 25, 33, 45, 48, 70), map[int64]float64{0: 60}},
		{"a bucket owns its end", counter("a", 45, 0, 60, 5, 75, 7), map[int64]float64{0: 5, 1: 2}},
		{"a reset counts from zero", counter("a", 15, 100, 30, 110, 45, 4), map[int64]float64{0: 14}},
		{"a birth counts from zero", counter("a", 40, 7, 55, 9), map[int64]float64{0: 9}},
		{"a series that was there before counts from its first sample", counter("a", 5, 1000, 20, 1007), map[int64]float64{0: 7}},
		{"one sample of an old series tells nothing", counter("a", 5, 1000), map[int64]float64{}},
		{"what nobody can have served is left out", counter("a", 5, 0, 20, 1e300, 35, math.MaxFloat64), map[int64]float64{}},
		{"NaN is no sample", counter("a", 5, 1, 20, math.NaN(), 35, 5), map[int64]float64{0: 4}},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := books{Length: 60_000, Gap: 15_000}
			b.look(80, 80, []adg.Series{row.series}, nil)
			got, _ := requests(b.Open)
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestABucketIsClosedWhenNothingIsToComeForItAnyMore(t *testing.T) {
	for _, row := range []struct {
		name   string
		now    float64
		oldest float64 // the oldest of the latest samples
		want   int64
	}{
		{"its end and a scrape interval have passed, and a second", 76, 0, 0},
		{"not a moment earlier", 75.9, 0, -1},
		{"or all replicas showed something later", 61, 60, 0},
		{"and not just some", 61, 59.9, -1},
		{"samples from the future close nothing", 59, 80, -1},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := books{Length: 60_000, Gap: 15_000, Closed: floor(midnight.UnixMilli(), 60_000) - 1}
			b.close(inSeconds(row.now), inSeconds(row.oldest).UnixMilli())
			if got := b.Closed - floor(midnight.UnixMilli(), 60_000); got != row.want {
				t.Errorf("closed %d, want %d", got, row.want)
			}
		})
	}
}

func TestLateIncreasesGoToTheOldestOpenBucket(t *testing.T) {
	b := books{Length: 60_000, Gap: 15_000}
	b.look(80, 80, []adg.Series{counter("a", 15, 0, 30, 4, 60, 8, 75, 9)}, nil)
	first := b.close(inSeconds(80), 0)
	p := b.look(100, 100, []adg.Series{counter("a", 15, 0, 30, 4, 60, 8, 75, 9, 90, 11)}, []adg.Series{counter("late", 10, 3, 25, 5, 40, 9)})
	if p.skipped != 0 {
		t.Errorf("%s skipped", p.skipped)
	}
	got, none := requests(first)
	if diff := cmp.Diff(map[int64]float64{0: 8}, got); diff != "" || len(none) != 0 {
		t.Error(diff, none)
	}
	got, late := requests(b.Open)
	if diff := cmp.Diff([]map[int64]float64{{1: 3}, {1: 6}}, []map[int64]float64{got, late}); diff != "" {
		t.Error(diff)
	}
}

func TestAGapThatNoSampleIsLeftOfCountsForNothingAndIsSaid(t *testing.T) {
	b := books{Length: 4000, Gap: 1000}
	b.look(10, 10, []adg.Series{counter("a", 8, 1, 9, 2, 10, 3)}, nil)
	p := b.look(60, 10, []adg.Series{counter("a", 55, 500, 56, 501)}, nil)
	if p.skipped != 45*time.Second {
		t.Errorf("%s skipped", p.skipped)
	}
	got, _ := requests(b.Open)
	sum := 0.0
	for _, n := range got {
		sum += n
	}
	if sum != 4 { // from its birth at 8 s to 10 s, and from 55 s to 56 s
		t.Errorf("%g requests in %v", sum, got)
	}
}

// Whatever the rhythm of the scrapes, of the looks and of the delays: each request is counted once.
func TestNoRequestIsLostOrCountedTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type sample struct{ at, seen, value float64 }
		gap := float64(rapid.IntRange(1, 15).Draw(t, "gap"))
		series, shape := map[string][]sample{}, rapid.IntRange(0, 30)
		want := map[string]float64{}
		for i := range rapid.IntRange(1, 4).Draw(t, "pods") {
			pod := fmt.Sprint("pod", i)
			at, value := rapid.Float64Range(0, gap).Draw(t, "offset"), 100.0
			for n := range 40 {
				rise := float64(shape.Draw(t, "rise"))
				value += rise
				if n > 0 {
					want[pod] += rise
				}
				if anew := float64(rapid.IntRange(0, 5).Draw(t, "anew")); n > 0 && anew < value-rise && rapid.IntRange(0, 15).Draw(t, "reset") == 0 {
					value = anew
					want[pod] += value - rise
				}
				delay := rapid.SampledFrom([]float64{0, 0, 0.5, 20}).Draw(t, "delay")
				seen := at + delay
				if n > 0 { // a series comes in order
					seen = max(seen, series[pod][n-1].seen)
				} else {
					seen = at
				}
				series[pod] = append(series[pod], sample{at, seen, value})
				at += gap
			}
		}
		b := books{Length: int64(gap) * 4000, Gap: int64(gap) * 1000}
		got, last := 0.0, int64(math.MinInt64)
		sum := func(list []bucket) {
			for _, one := range list {
				if one.Index <= last {
					t.Fatalf("bucket %d after %d", one.Index, last)
				}
				last = one.Index
				got += one.Candidate.All
			}
		}
		at := gap
		for at < 40*gap+60 {
			var list []adg.Series
			for pod, all := range series {
				var pairs []float64
				for _, s := range all {
					if s.seen <= at {
						pairs = append(pairs, s.at, s.value)
					}
				}
				list = append(list, counter(pod, pairs...))
			}
			text, err := json.Marshal(b)
			if err != nil {
				t.Fatal(err)
			}
			b = books{}
			if err := json.Unmarshal(text, &b); err != nil {
				t.Fatal(err)
			}
			p := b.look(at, at, list, nil)
			sum(b.close(inSeconds(at), p.oldest))
			at += rapid.Float64Range(0.2, 3*gap).Draw(t, "interval")
		}
		sum(b.Open)
		total := 0.0
		for _, n := range want {
			total += n
		}
		if math.Abs(got-total) > 1e-6 {
			t.Fatalf("%g counted of %g", got, total)
		}
	})
}

func TestTheBooksAreBoundedWhateverTheNumberOfReplicas(t *testing.T) {
	b, total := books{Length: 4000, Gap: 1000}, 0.0
	for second := 10.0; second < 60; second += 5 {
		var list []adg.Series
		for pod := range 300 {
			s := counter(fmt.Sprintf("checkout-7d9f8b6c5-%03d", pod))
			for at := 1.0; at <= second; at++ {
				s.Samples = append(s.Samples, adg.Sample{At: inSeconds(at), Value: 100 + 3*at})
			}
			list = append(list, s)
		}
		b.look(second, second, list[:150], list)
		for _, one := range b.close(inSeconds(second), 0) {
			total += one.control().All
		}
		text, err := json.Marshal(b)
		if err != nil || len(text) > 16_000 {
			t.Fatalf("%d bytes, %v", len(text), err)
		}
	}
	for _, one := range b.Open {
		total += one.control().All
	}
	if want := 300.0 * 3 * 54; total != want || len(b.Replicas) != maxGroups || len(b.Marks) != maxMarks {
		t.Errorf("%g requests of %g, %d replicas, %d marks", total, want, len(b.Replicas), len(b.Marks))
	}
}

func TestMarksAreRefusedWhereTheyAreNotAsTheyWereWritten(t *testing.T) {
	for _, text := range []string{`"AAAA"`, `7`, `"` + string(bytes.Repeat([]byte("AAAA"), 16)) + `"`} {
		var m marks
		if err := json.Unmarshal([]byte(text), &m); err == nil {
			t.Errorf("%s is read as %v", text, m)
		}
	}
}

func TestBucketsAreFourScrapesLong(t *testing.T) {
	for gap, want := range map[time.Duration]int64{time.Second: 4000, 15 * time.Second: 60_000, 15100 * time.Millisecond: 60_000,
		100 * time.Millisecond: 1000, time.Minute: 240_000, 0: 0} {
		if got := length(counted, gap); got != want {
			t.Errorf("%s: %d, want %d", gap, got, want)
		}
	}
	if got := length(with(counted, func(c *adg.Check) { c.Sequential.Bucket = 7 }), time.Minute); got != 7000 {
		t.Errorf("%d though 7 s were asked for", got)
	}
}

func TestTheOrderOfTheAnswerDoesNotChangeTheBooks(t *testing.T) {
	list := []adg.Series{counter("a", 1, 0, 2, 0.1), counter("b", 1, 0, 2, 0.2), counter("c", 1, 0, 2, 0.3), counter("c", 1, 0, 2, 0.7)}
	var first []byte
	for range 4 {
		list = append(list[1:], list[0])
		b := books{Length: 4000, Gap: 1000}
		b.look(2, 2, slices.Clone(list), list)
		text, _ := json.Marshal(b)
		if first == nil {
			first = text
		}
		if !bytes.Equal(first, text) {
			t.Fatalf("%s\n%s", first, text)
		}
	}
}
