package histogram

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/deployguardian/adg"
)

var (
	inf   = math.Inf(1)
	start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
)

func TestClassicBucketsOfOneScrape(t *testing.T) {
	for _, row := range []struct {
		name string
		give []Cumulative
		want []adg.HistogramBucket
		err  string
	}{
		{name: "in any order, the first from zero", give: []Cumulative{{inf, 10}, {0.1, 3}, {0.5, 7}},
			want: []adg.HistogramBucket{{Lower: 0, Upper: 0.1, Count: 3}, {Lower: 0.1, Upper: 0.5, Count: 4}, {Lower: 0.5, Upper: inf, Count: 3}}},
		{name: "a bound of zero or less has no beginning", give: []Cumulative{{0, 3}, {inf, 3}},
			want: []adg.HistogramBucket{{Lower: -inf, Upper: 0, Count: 3}, {Lower: 0, Upper: inf, Count: 0}}},
		{name: "the same bound twice counts once, the larger", give: []Cumulative{{1, 3}, {1, 4}, {inf, 9}, {inf, 8}},
			want: []adg.HistogramBucket{{Lower: 0, Upper: 1, Count: 4}, {Lower: 1, Upper: inf, Count: 5}}},
		{name: "a count below that of a smaller bound is raised", give: []Cumulative{{1, 5}, {2, 4}, {inf, 9}},
			want: []adg.HistogramBucket{{Lower: 0, Upper: 1, Count: 5}, {Lower: 1, Upper: 2, Count: 0}, {Lower: 2, Upper: inf, Count: 4}}},
		{name: "only all requests", give: []Cumulative{{inf, 9}}, want: []adg.HistogramBucket{{Lower: 0, Upper: inf, Count: 9}}},
		{name: "no count of all", give: []Cumulative{{1, 5}}, err: `no bucket with le="+Inf"`},
		{name: "nothing", err: `no bucket with le="+Inf"`},
		{name: "a bound that is no number", give: []Cumulative{{math.NaN(), 5}, {inf, 5}}, err: "bound NaN"},
		{name: "a bound of minus infinity", give: []Cumulative{{-inf, 5}, {inf, 5}}, err: "bound -Inf"},
		{name: "a count that is no number", give: []Cumulative{{inf, math.NaN()}}, err: "count of NaN"},
		{name: "a negative count", give: []Cumulative{{1, -1}, {inf, 5}}, err: "count of -1"},
		{name: "an infinite count", give: []Cumulative{{inf, inf}}, err: "count of +Inf"},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := FromCumulative(start, row.give)
			wantErr(t, err, row.err)
			if diff := cmp.Diff(row.want, got.Buckets); row.err == "" && diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNativeHistogramsAreDecoded(t *testing.T) {
	side := func(offset int32, deltas ...int64) Side {
		return Side{Spans: []Span{{offset, uint32(len(deltas))}}, Deltas: deltas}
	}
	for _, row := range []struct {
		name string
		give Native
		want []adg.HistogramBucket
		err  string
	}{
		{name: "both signs and zero, each power of two one bucket",
			give: Native{Count: 17, ZeroThreshold: 0.001, ZeroCount: 2, Positive: Side{Spans: []Span{{-1, 2}, {1, 1}}, Deltas: []int64{1, 2, -1}},
				Negative: side(1, 4, 1)},
			want: []adg.HistogramBucket{{Lower: -4, Upper: -2, Count: 5}, {Lower: -2, Upper: -1, Count: 4}, {Lower: -0.001, Upper: 0.001, Count: 2},
				{Lower: 0.25, Upper: 0.5, Count: 1}, {Lower: 0.5, Upper: 1, Count: 3}, {Lower: 2, Upper: 4, Count: 2}}},
		{name: "floating-point counts, two buckets for each power of two",
			give: Native{Schema: 1, Count: 3, Positive: Side{Spans: []Span{{0, 3}}, Counts: []float64{0.5, 0, 1.5}}},
			want: []adg.HistogramBucket{{Lower: math.Exp2(-0.5), Upper: 1, Count: 0.5}, {Lower: math.Exp2(0.5), Upper: 2, Count: 1.5}}},
		{name: "one bucket for sixteen powers of two", give: Native{Schema: -4, Count: 1, Positive: side(1, 1)},
			want: []adg.HistogramBucket{{Lower: 1, Upper: 65536, Count: 1}}},
		{name: "custom bounds", give: Native{Schema: CustomBounds, Count: 6, Bounds: []float64{0.1, 0.5}, Positive: side(0, 1, 1, 1)},
			want: []adg.HistogramBucket{{Lower: 0, Upper: 0.1, Count: 1}, {Lower: 0.1, Upper: 0.5, Count: 2}, {Lower: 0.5, Upper: inf, Count: 3}}},
		{name: "a zero bucket of zero alone", give: Native{Count: 1, ZeroCount: 1},
			want: []adg.HistogramBucket{{Lower: -math.SmallestNonzeroFloat64, Upper: 0, Count: 1}}},
		{name: "a zero bucket that ends within another", give: Native{Count: 2, ZeroThreshold: 0.75, ZeroCount: 1, Positive: side(0, 1)},
			want: []adg.HistogramBucket{{Lower: -0.75, Upper: 0.75, Count: 1}, {Lower: 0.75, Upper: 1, Count: 1}}},
		{name: "the last finite bucket and the infinite one", give: Native{Count: 2, Positive: side(1024, 1, 0)},
			want: []adg.HistogramBucket{{Lower: math.Ldexp(1, 1023), Upper: math.MaxFloat64, Count: 1}, {Lower: math.MaxFloat64, Upper: inf, Count: 1}}},
		{name: "a bucket beyond infinity", give: Native{Count: 2, Positive: side(1026, 1)}, err: "no value of schema 0"},
		{name: "a bucket below the smallest number", give: Native{Count: 2, Positive: side(-2000, 1)}, err: "no value of schema 0"},
		{name: "a bucket inside the zero bucket", give: Native{Count: 2, ZeroThreshold: 1, Positive: side(0, 1)}, err: "no value of schema 0 above 1"},
		{name: "a schema of tomorrow", give: Native{Schema: 9}, err: "schema 9"},
		{name: "more in the buckets than there are", give: Native{Count: 1, Positive: side(0, 2)}, err: "1 observations with 2 in its buckets"},
		{name: "a count below zero", give: Native{Count: 9, Positive: side(0, 2, -3)}, err: "count of -1"},
		{name: "a count that is no number", give: Native{Count: math.NaN()}, err: "counts NaN"},
		{name: "a zero threshold that is no number", give: Native{ZeroThreshold: math.NaN()}, err: "zero threshold NaN"},
		{name: "spans that take more than there is", give: Native{Count: 9, Positive: Side{Spans: []Span{{0, math.MaxUint32}}, Deltas: []int64{1}}}, err: "take more than its 1 buckets"},
		{name: "spans that take less", give: Native{Count: 9, Positive: Side{Spans: []Span{{0, 1}}, Deltas: []int64{1, 1}}}, err: "take 1 of its 2 buckets"},
		{name: "spans that go back", give: Native{Count: 9, Positive: Side{Spans: []Span{{0, 1}, {-1, 1}}, Deltas: []int64{1, 1}}}, err: "span 2 of a native histogram begins before"},
		{name: "deltas and counts", give: Native{Count: 9, Positive: Side{Deltas: []int64{1}, Counts: []float64{1}}}, err: "either deltas or counts"},
		{name: "custom bounds that fall", give: Native{Schema: CustomBounds, Bounds: []float64{1, 1}}, err: "custom bounds are finite and rise"},
		{name: "custom bounds and a zero bucket", give: Native{Schema: CustomBounds, ZeroCount: 1}, err: "no zero bucket"},
		{name: "custom bounds of another schema", give: Native{Bounds: []float64{1}}, err: "no custom bounds"},
		{name: "fewer custom bounds than buckets", give: Native{Schema: CustomBounds, Count: 3, Bounds: []float64{1}, Positive: side(0, 1, 0, 0)}, err: "bucket 2, and 1 custom bounds"},
		{name: "too many buckets", give: Native{Count: 5000, Positive: side(0, slices.Repeat([]int64{0}, 2000)...)}, err: "or more than 1024"},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := row.give.Sample()
			wantErr(t, err, row.err)
			if diff := cmp.Diff(row.want, got.Buckets); row.err == "" && diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCoarserSchemasShareTheirBoundsWithFinerOnes(t *testing.T) {
	for schema := int32(-4); schema < 8; schema++ {
		coarse, fine := Native{Schema: schema}, Native{Schema: schema + 1}
		for index := int64(-300); index < 300; index++ {
			if a, b := coarse.exponential(index), fine.exponential(2*index); a != b {
				t.Fatalf("bound %d of schema %d is %g, the same of the next is %g", index, schema, a, b)
			}
		}
	}
}

func TestIncreasesOfOneReplica(t *testing.T) {
	at := func(counts ...float64) adg.HistogramSample {
		buckets := make([]Cumulative, len(counts))
		for i, c := range counts {
			buckets[i] = Cumulative{[]float64{0.1, 0.5, inf}[i+3-len(counts)], c}
		}
		sample, err := FromCumulative(start, buckets)
		if err != nil {
			t.Fatal(err)
		}
		return sample
	}
	for _, row := range []struct {
		name           string
		earlier, later adg.HistogramSample
		want           []float64
		reset          bool
	}{
		{"counters that rise", at(1, 5, 9), at(2, 8, 20), []float64{1, 2, 8}, false},
		{"a replica that was just born", adg.HistogramSample{}, at(2, 8, 20), []float64{2, 6, 12}, false},
		{"a restart", at(100, 500, 900), at(1, 2, 3), []float64{1, 1, 1}, true},
		{"a restart that one bucket shows", at(100, 500, 900), at(1, 600, 1000), []float64{1, 599, 400}, true},
		{"a bucket that the earlier scrape lacks", at(5, 9), at(2, 8, 20), []float64{3, 8}, false},
		{"a bucket that the later scrape lacks", at(2, 8, 20), at(9, 25), []float64{1, 4}, false},
		{"a client that updates bucket by bucket", at(1, 5, 9), at(3, 6, 20), []float64{2, 0, 9}, false},
		{"nothing new", at(1, 5, 9), at(1, 5, 9), []float64{0, 0, 0}, false},
		{"a replica that lost its buckets", at(1, 5, 9), adg.HistogramSample{}, nil, true},
	} {
		got, reset := Increase(nil, row.earlier, row.later)
		var counts []float64
		for _, b := range got {
			counts = append(counts, b.Count)
		}
		if diff := cmp.Diff(row.want, counts); diff != "" || reset != row.reset {
			t.Errorf("%s: reset %v %s", row.name, reset, diff)
		}
	}
}

func TestBucketsJoinWhereTheirBoundsDiffer(t *testing.T) {
	a := []adg.HistogramBucket{{Lower: 0, Upper: 1, Count: 1}, {Lower: 1, Upper: 2, Count: 2}, {Lower: 4, Upper: 8, Count: 4}}
	b := []adg.HistogramBucket{{Lower: 0, Upper: 0.5, Count: 10}, {Lower: 0.5, Upper: 1.5, Count: 20}, {Lower: 2, Upper: 3, Count: 40}}
	want := []adg.HistogramBucket{{Lower: 0, Upper: 2, Count: 33}, {Lower: 2, Upper: 3, Count: 40}, {Lower: 4, Upper: 8, Count: 4}}
	for _, got := range [][]adg.HistogramBucket{Sum(nil, a, b), Sum(nil, b, a)} {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestSeriesBecomeHistogramsPerReplica(t *testing.T) {
	series := []adg.Series{
		bucket("a", "+Inf", 10, 20, 30), bucket("b", "0.5", 1, 1, 1), bucket("a", "0.1", 1, 2, 3),
		bucket("b", "+Inf", 5, math.NaN(), 7), bucket("a", "0.10", 1, 2, 3),
		{Labels: map[string]string{"pod": "c"}, Histograms: []adg.HistogramSample{{At: start, Count: 3, Buckets: []adg.HistogramBucket{{Lower: 0, Upper: 0, Count: 1}, {Lower: 1, Upper: 2, Count: 2}}}}},
	}
	got, err := Read(series)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 3 || got[0].Labels["pod"] != "a" || got[1].Labels["pod"] != "b" || got[2].Labels["pod"] != "c" {
		t.Fatalf("got %+v", got)
	}
	if _, found := got[0].Labels["le"]; found || series[0].Labels["le"] == "" {
		t.Error("le is left out of the replica's labels, and stays in those that were lent")
	}
	if len(got[0].Samples) != 3 || got[1].Skipped != 1 || len(got[1].Samples) != 2 {
		t.Errorf("a scrape without le=+Inf is skipped, others are not: %+v", got)
	}
	want := []adg.HistogramBucket{{Lower: 0, Upper: 0.1, Count: 2}, {Lower: 0.1, Upper: inf, Count: 18}}
	if diff := cmp.Diff(want, got[0].Samples[1].Buckets); diff != "" || !got[0].Samples[1].At.Equal(start.Add(time.Second)) {
		t.Error(diff)
	}
	if b := got[2].Samples[0].Buckets[0]; !(b.Lower < 0 && b.Upper == 0) || series[5].Histograms[0].Buckets[0].Lower != 0 {
		t.Errorf("a zero bucket without width has the least width there is, in a copy: %+v", b)
	}
}

func TestSeriesThatAreNoHistogramsAreRefused(t *testing.T) {
	native := func(b ...adg.HistogramBucket) adg.Series {
		return adg.Series{Labels: map[string]string{"pod": "a"}, Histograms: []adg.HistogramSample{{At: start, Buckets: b}}}
	}
	many := make([]adg.Series, 0, 1100)
	for i := range 1100 {
		many = append(many, bucket("a", strings.Repeat("1", 1+i%300)+"."+strings.Repeat("0", 1+i/300), 1))
	}
	for _, row := range []struct {
		name string
		give []adg.Series
		want string
	}{
		{"a sum or a count", []adg.Series{{Labels: map[string]string{"pod": "a"}, Samples: []adg.Sample{{At: start, Value: 1}}}}, `series {pod="a"}: it has no label le`},
		{"a bound in words", []adg.Series{bucket("a", "many", 1)}, `le="many" is no number`},
		{"a bound that is NaN", []adg.Series{bucket("a", "NaN", 1)}, `le="NaN" is no number`},
		{"no count of all", []adg.Series{bucket("a", "1", 1)}, `histogram {le="1", pod="a"}: there is no bucket with le="+Inf"`},
		{"a negative counter", []adg.Series{bucket("a", "+Inf", -1)}, "count of -1"},
		{"an infinite counter", []adg.Series{bucket("a", "+Inf", inf)}, "count of +Inf"},
		{"buckets that overlap", []adg.Series{native(adg.HistogramBucket{Lower: 0, Upper: 2}, adg.HistogramBucket{Lower: 1, Upper: 3})}, "begins at 1"},
		{"buckets that fall", []adg.Series{native(adg.HistogramBucket{Lower: 2, Upper: 1})}, "have to rise"},
		{"bounds that are NaN", []adg.Series{native(adg.HistogramBucket{Lower: math.NaN(), Upper: 1})}, "have to rise"},
		{"a native count that is NaN", []adg.Series{native(adg.HistogramBucket{Lower: 0, Upper: 1, Count: math.NaN()})}, "count of NaN"},
		{"too many native buckets", []adg.Series{native(make([]adg.HistogramBucket, 2000)...)}, "2000 buckets"},
		{"too many classic buckets", many, "more than 1024 buckets"},
		{"both kinds", []adg.Series{native(adg.HistogramBucket{Lower: 0, Upper: 1}), bucket("a", "+Inf", 1)}, "as a classic and as a native histogram"},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := Read(row.give)
			wantErr(t, err, row.want)
		})
	}
	if got, err := Read(nil); err != nil || len(got) != 0 {
		t.Errorf("nothing is no error: %v, %v", got, err)
	}
}

func TestThresholdsAreBoundsNearTheQuantiles(t *testing.T) {
	baseline := []adg.HistogramBucket{{Lower: 0, Upper: 0.1, Count: 480}, {Lower: 0.1, Upper: 0.2, Count: 300}, {Lower: 0.2, Upper: 0.4, Count: 130},
		{Lower: 0.4, Upper: 0.8, Count: 60}, {Lower: 0.8, Upper: 1.6, Count: 25}, {Lower: 1.6, Upper: inf, Count: 5}}
	got, err := Thresholds(baseline, Quantiles[:]...)
	if err != nil {
		t.Fatal(err)
	}
	want := []Threshold{{0.5, 0.1 + 0.1*20/300, 0.1, 0.52}, {0.75, 0.19, 0.2, 0.22}, {0.9, 0.2 + 0.2*120/130, 0.4, 0.09},
		{0.95, 0.4 + 0.4*40/60, 0.8, 0.03}, {0.99, 0.8 + 0.8*20/25, 1.6, 0.005}}
	near := cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-9 })
	if diff := cmp.Diff(want, got, near); diff != "" {
		t.Error(diff)
	}
	coarse, err := Thresholds([]adg.HistogramBucket{{Lower: 0, Upper: 1, Count: 95}, {Lower: 1, Upper: inf, Count: 5}}, Quantiles[:]...)
	if diff := cmp.Diff([]Threshold{{0.5, 50.0 / 95, 1, 0.05}}, coarse, near); diff != "" || err != nil {
		t.Error("one bound makes one threshold", diff, err)
	}
	for name, buckets := range map[string][]adg.HistogramBucket{"nothing": nil, "one bucket": {{Lower: 0, Upper: inf, Count: 9}}, "no observations": {{Lower: 0, Upper: 1}}} {
		if got, err := Thresholds(buckets, 0.5); len(got) != 0 || err != nil {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	for _, q := range [][]float64{{0}, {1}, {math.NaN()}, {0.9, 0.5}} {
		if _, err := Thresholds(baseline, q...); adg.CodeOf(err) != adg.Invalid || err == nil {
			t.Errorf("quantiles %v: %v", q, err)
		}
	}
}

func TestExceedancesFavourTheCandidateWhereBucketsDoNotTell(t *testing.T) {
	buckets := []adg.HistogramBucket{{Lower: 0, Upper: 1, Count: 10}, {Lower: 1, Upper: 2, Count: 20}, {Lower: 4, Upper: inf, Count: 30}}
	got := Above(nil, buckets, []Threshold{{Bound: 0.5}, {Bound: 1}, {Bound: 1.5}, {Bound: 3}, {Bound: 4}, {Bound: 5}})
	want := []Exceedance{{50, 60, 60}, {50, 50, 60}, {30, 50, 60}, {30, 30, 60}, {30, 30, 60}, {0, 30, 60}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if c, b := got[2].Counts(adg.CandidateArm), got[2].Counts(adg.BaselineArm); c != (adg.Counts{Bad: 30, All: 60}) || b != (adg.Counts{Bad: 50, All: 60}) {
		t.Errorf("candidate %v, baseline %v", c, b)
	}
}

func TestQuantilesAreInterpolatedForPeople(t *testing.T) {
	buckets := []adg.HistogramBucket{{Lower: -inf, Upper: 0, Count: 10}, {Lower: 0, Upper: 1, Count: 10}, {Lower: 1, Upper: 2}, {Lower: 2, Upper: inf, Count: 20}}
	for q, want := range map[float64]float64{0.1: 0, 0.25: 0, 0.375: 0.5, 0.5: 1, 0.9: 2} {
		if got := Quantile(buckets, q); math.Abs(got-want) > 1e-12 {
			t.Errorf("quantile %g is %g, want %g", q, got, want)
		}
	}
	if got := Quantile(nil, 0.5); !math.IsNaN(got) {
		t.Errorf("of nothing: %g", got)
	}
}

func TestNoRequestIsLostOrInvented(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		a, b := drawBuckets(rt, "a"), drawBuckets(rt, "b")
		sum := Sum(nil, a, b)
		if err := validate(sum); err != nil {
			rt.Fatal(err)
		}
		if got, want := total(sum), total(a)+total(b); math.Abs(got-want) > 1e-9*want {
			rt.Fatalf("%g and %g make %g", total(a), total(b), got)
		}
		if diff := cmp.Diff(sum, Sum(nil, b, a)); diff != "" {
			rt.Fatal(diff)
		}
		grown, reset := Increase(nil, adg.HistogramSample{Buckets: a}, adg.HistogramSample{Buckets: sum})
		if reset || math.Abs(total(grown)-total(b)) > 1e-9*total(sum) {
			rt.Fatalf("from %v to %v: %v, reset %v", a, sum, grown, reset)
		}
		thresholds, err := Thresholds(a, Quantiles[:]...)
		if err != nil {
			rt.Fatal(err)
		}
		for i, e := range Above(nil, a, thresholds) {
			if e.Least != e.Most || math.Abs(e.Least/e.All-thresholds[i].Share) > 1e-9 {
				rt.Fatalf("above a bound of its own %+v are %+v", thresholds[i], e)
			}
		}
		for _, e := range Above(nil, sum, thresholds) {
			if !(0 <= e.Least && e.Least <= e.Most && e.Most <= e.All) {
				rt.Fatalf("%+v", e)
			}
		}
	})
}

func FuzzNative(f *testing.F) {
	f.Add(int32(0), 17.0, 0.001, 2.0, int32(-1), uint32(2), int32(1), uint32(1), int64(1), int64(2), int64(-1), 1.0, 2.0)
	f.Add(int32(CustomBounds), 6.0, 0.0, 0.0, int32(0), uint32(2), int32(0), uint32(1), int64(1), int64(1), int64(1), 0.1, 0.5)
	f.Add(int32(8), 1.0, 0.0, 0.0, int32(math.MaxInt32), uint32(1), int32(math.MaxInt32), uint32(2), int64(1), int64(0), int64(0), 0.0, 0.0)
	f.Fuzz(func(t *testing.T, schema int32, count, threshold, zero float64, o1 int32, l1 uint32, o2 int32, l2 uint32, d1, d2, d3 int64, b1, b2 float64) {
		side := Side{Spans: []Span{{o1, l1}, {o2, l2}}, Deltas: []int64{d1, d2, d3}}
		n := Native{Schema: schema, Count: count, ZeroThreshold: threshold, ZeroCount: zero, Positive: side}
		if schema == CustomBounds {
			n.Bounds = []float64{b1, b2}
		} else {
			n.Negative = side
		}
		checkSample(t, n.Sample)
	})
}

func FuzzRead(f *testing.F) {
	f.Add("0.1", 1.0, 2.0, "+Inf", 5.0, 9.0)
	f.Add("NaN", 1.0, math.NaN(), "Inf", 5.0, -9.0)
	f.Add("1", 1e300, 2.0, "1.0", 5.0, 9.0)
	f.Fuzz(func(t *testing.T, le1 string, a1, a2 float64, le2 string, b1, b2 float64) {
		replicas, err := Read([]adg.Series{bucket("a", le1, a1, a2), bucket("a", le2, b1, b2), bucket("a", "0.25", 1, 2)})
		if err != nil {
			return
		}
		for _, r := range replicas {
			for i, s := range r.Samples {
				checkSample(t, func() (adg.HistogramSample, error) { return s, nil })
				if i > 0 {
					grown, _ := Increase(nil, r.Samples[i-1], s)
					if err := validate(grown); err != nil {
						t.Error(err)
					}
				}
			}
		}
	})
}

func TestAScrapeCostsNoAllocation(t *testing.T) {
	earlier, later, thresholds := scrapes(t)
	buckets, exceed := make([]adg.HistogramBucket, 0, 200), make([]Exceedance, 0, 5)
	if n := testing.AllocsPerRun(100, func() {
		buckets, _ = Increase(buckets, earlier, later)
		exceed = Above(exceed, buckets, thresholds)
	}); n != 0 {
		t.Errorf("%g allocations", n)
	}
}

func BenchmarkScrapeOf160Buckets(b *testing.B) {
	earlier, later, thresholds := scrapes(b)
	buckets, exceed := make([]adg.HistogramBucket, 0, 200), make([]Exceedance, 0, 5)
	b.ReportAllocs()
	for b.Loop() {
		buckets, _ = Increase(buckets, earlier, later)
		exceed = Above(exceed, buckets, thresholds)
	}
}

// Private

func scrapes(t testing.TB) (earlier, later adg.HistogramSample, thresholds []Threshold) {
	counts := slices.Repeat([]int64{0}, 160)
	counts[0] = 10
	n := Native{Schema: 3, Count: 1600, Positive: Side{Spans: []Span{{-80, 160}}, Deltas: counts}}
	earlier, err := n.Sample()
	if err != nil {
		t.Fatal(err)
	}
	counts[0], n.Count = 12, 1920
	later, err = n.Sample()
	if err != nil {
		t.Fatal(err)
	}
	thresholds, err = Thresholds(earlier.Buckets, Quantiles[:]...)
	if err != nil || len(thresholds) != 5 {
		t.Fatal(thresholds, err)
	}
	return earlier, later, thresholds
}

func checkSample(t *testing.T, give func() (adg.HistogramSample, error)) {
	t.Helper()
	s, err := give()
	if err != nil {
		return
	}
	if err := validate(s.Buckets); err != nil {
		t.Errorf("%+v: %v", s, err)
	}
	thresholds, err := Thresholds(s.Buckets, Quantiles[:]...)
	if err != nil {
		t.Error(err)
	}
	for _, e := range Above(nil, s.Buckets, thresholds) {
		if e.Least != e.Most || !(e.Most <= e.All) {
			t.Errorf("%+v", e)
		}
	}
}

// drawBuckets makes buckets on a grid, with gaps, of whole counts.
func drawBuckets(t *rapid.T, name string) []adg.HistogramBucket {
	bounds := rapid.SliceOfNDistinct(rapid.IntRange(0, 12), 2, 10, rapid.ID).Draw(t, name)
	slices.Sort(bounds)
	var buckets []adg.HistogramBucket
	for i, b := range bounds[1:] {
		if rapid.IntRange(0, 4).Draw(t, "gap") > 0 {
			buckets = append(buckets, adg.HistogramBucket{Lower: float64(bounds[i]), Upper: float64(b), Count: float64(rapid.IntRange(0, 100).Draw(t, "count"))})
		}
	}
	return buckets
}

func bucket(pod, le string, values ...float64) adg.Series {
	s := adg.Series{Labels: map[string]string{"pod": pod, "le": le}}
	for i, v := range values {
		s.Samples = append(s.Samples, adg.Sample{At: start.Add(time.Duration(i) * time.Second), Value: v})
	}
	return s
}

func wantErr(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Error(err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want) || adg.CodeOf(err) != adg.Invalid):
		t.Errorf("got the error %v, want one of invalid that says %q", err, want)
	}
}
