package judge

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/judge/histogram"
)

// allRequests is the stream of the requests themselves, next to those of the bad ones, which are 0 and up.
const allRequests = -1

// maxMarks bounds the series whose latest counted sample is remembered one by one.
const maxMarks = 256

// track is one counter of one replica, or one histogram, its samples in order and without what is no number.
type track struct {
	id         uint64 // of the series, among those of all arms and counters
	arm        adg.Arm
	replica    uint32
	stream     int
	samples    []adg.Sample
	histograms []adg.HistogramSample // in place of samples; all streams
	bounds     []histogram.Threshold
}

func (t *track) len() int { return len(t.samples) + len(t.histograms) }

func (t *track) at(i int) time.Time {
	if t.histograms != nil {
		return t.histograms[i].At
	}
	return t.samples[i].At
}

// rise is what was counted from the sample before to that one, and whether the counter was reset between. Before the
// first sample, everything is new.
func (t *track) rise(i int) (rise cell, reset bool) {
	if t.histograms == nil {
		v := max(t.samples[i].Value, 0)
		if i > 0 {
			reset = t.samples[i].Value < t.samples[i-1].Value
		}
		if i > 0 && !reset {
			v = t.samples[i].Value - t.samples[i-1].Value
		}
		if t.stream == allRequests {
			return cell{All: v}, reset
		}
		rise.Bad[t.stream] = v
		return rise, reset
	}
	var before adg.HistogramSample
	if i > 0 {
		before = t.histograms[i-1]
	}
	buckets, reset := histogram.Increase(nil, before, t.histograms[i])
	for k, e := range histogram.Above(nil, buckets, t.bounds) {
		n := e.Counts(t.arm)
		rise.All, rise.Bad[k] = n.All, n.Bad
	}
	return rise, reset
}

// countersOf adds the tracks of a measurement. Of histograms, the requests above the bounds are counted.
func countersOf(dst []track, c adg.Check, m adg.Measurement, bounds []histogram.Threshold, from, to time.Time) ([]track, reading) {
	if c.Histogram == "" {
		dst = tracks(dst, c, m.Arm, allRequests, m.Total, from, to)
		return tracks(dst, c, m.Arm, 0, m.Bad, from, to), reading{}
	}
	replicas, err := histogram.Read(m.Slow)
	if err != nil {
		return nil, reading{why: adg.NoData, text: "the histogram cannot be read: " + plain(err.Error())}
	}
	for _, r := range replicas {
		samples := slices.DeleteFunc(r.Samples, func(h adg.HistogramSample) bool { return h.At.Before(from) || h.At.After(to) })
		samples = slices.CompactFunc(samples, func(a, b adg.HistogramSample) bool { return a.At.Equal(b.At) })
		if len(samples) > 0 {
			dst = append(dst, track{id: identity(m.Arm, allRequests, r.Labels), arm: m.Arm, replica: replicaOf(c, r.Labels),
				stream: allRequests, histograms: samples, bounds: bounds})
		}
	}
	return dst, reading{}
}

// overall is the histogram of everything that the tracks of an arm counted between their first and last samples.
func overall(list []track, arm adg.Arm) []adg.HistogramBucket {
	var sum []adg.HistogramBucket
	for i := range list {
		t := &list[i]
		if t.arm != arm || len(t.histograms) < 2 {
			continue
		}
		rise, reset := histogram.Increase(nil, t.histograms[0], t.histograms[len(t.histograms)-1])
		if !reset {
			sum = histogram.Sum(nil, sum, rise)
			continue
		}
		for n := 1; n < len(t.histograms); n++ {
			rise, _ = histogram.Increase(rise, t.histograms[n-1], t.histograms[n])
			sum = histogram.Sum(nil, sum, rise)
		}
	}
	return sum
}

// tracks makes tracks of the series of one counter, with what they show from a time to another.
func tracks(dst []track, c adg.Check, arm adg.Arm, stream int, list []adg.Series, from, to time.Time) []track {
	for _, s := range list {
		samples := within(numbers(inOrder(s.Samples)), from, to)
		if len(samples) > 0 {
			dst = append(dst, track{id: identity(arm, stream, s.Labels), arm: arm, replica: replicaOf(c, s.Labels), stream: stream, samples: samples})
		}
	}
	return dst
}

// scrapes is the time between two scrapes: half of the series have more than that on average, and half have less.
// It is zero where no series has two samples.
func scrapes(tracks []track) time.Duration {
	var gaps []time.Duration
	for _, t := range tracks {
		if gap := t.gap(); gap > 0 {
			gaps = append(gaps, gap)
		}
	}
	if len(gaps) == 0 {
		return 0
	}
	slices.Sort(gaps)
	return gaps[len(gaps)/2]
}

func (t *track) gap() time.Duration {
	if t.len() < 2 {
		return 0
	}
	return t.at(t.len()-1).Sub(t.at(0)) / time.Duration(t.len()-1)
}

// arrange sorts tracks, so that sums come out the same whatever the order of the answer, and tells apart those that
// their labels do not.
func arrange(tracks []track) {
	slices.SortStableFunc(tracks, func(a, b track) int { return cmp.Compare(a.id, b.id) })
	for i := 1; i < len(tracks); i++ {
		if tracks[i].id <= tracks[i-1].id {
			tracks[i].id = tracks[i-1].id + 1
		}
	}
}

// marks are the times up to which series were counted, by their identity.
type marks []mark

type mark struct {
	id uint64
	ms int64
}

// of is when the series was last counted.
func (m marks) of(id uint64) (ms int64, known bool) {
	i, found := m.find(id)
	if !found {
		return 0, false
	}
	return m[i].ms, true
}

// with is the marks with newer ones. Where there are too many, one that was not seen for long makes place for another;
// series without a mark are counted up to the latest sample of all.
func (m marks) with(newer marks) marks {
	all := slices.Clone(m)
	for _, n := range newer {
		i, found := all.find(n.id)
		if found {
			all[i] = n
			continue
		}
		if len(all) == maxMarks {
			oldest := all.oldest()
			if n.ms-all[oldest].ms < forgotten.Milliseconds() {
				continue
			}
			all = slices.Delete(all, oldest, oldest+1)
			i, _ = all.find(n.id)
		}
		all = slices.Insert(all, i, n)
	}
	return all
}

// MarshalJSON writes 16 bytes for each mark.
func (m marks) MarshalJSON() ([]byte, error) {
	packed := make([]byte, 0, markSize*len(m))
	for _, one := range m {
		packed = binary.BigEndian.AppendUint64(packed, one.id)
		packed = binary.BigEndian.AppendUint64(packed, uint64(one.ms))
	}
	return json.Marshal(packed)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (m *marks) UnmarshalJSON(text []byte) error {
	var packed []byte
	if err := json.Unmarshal(text, &packed); err != nil {
		return err
	}
	if len(packed)%markSize != 0 || len(packed) > maxMarks*markSize {
		return errors.New("marks are not as they were written")
	}
	all := make(marks, 0, len(packed)/markSize)
	for ; len(packed) > 0; packed = packed[markSize:] {
		one := mark{binary.BigEndian.Uint64(packed), int64(binary.BigEndian.Uint64(packed[8:]))}
		if len(all) > 0 && one.id <= all[len(all)-1].id {
			return errors.New("marks are not in order")
		}
		all = append(all, one)
	}
	*m = all
	return nil
}

// Private

const (
	markSize  = 16
	forgotten = 10 * time.Minute
)

func (m marks) oldest() int {
	oldest := 0
	for i := range m {
		if m[i].ms < m[oldest].ms {
			oldest = i
		}
	}
	return oldest
}

func (m marks) find(id uint64) (int, bool) {
	return slices.BinarySearchFunc(m, id, func(one mark, id uint64) int { return cmp.Compare(one.id, id) })
}

// identity tells series of all arms and counters apart by their labels.
func identity(arm adg.Arm, stream int, labels map[string]string) uint64 {
	sum := hash(uint64(arm)<<8|uint64(byte(stream)), "")
	for name, value := range labels {
		sum += hash(hash(offset, name), value) // a sum, as the order of labels is none
	}
	return sum
}

// replicaOf is the replica that the series is of.
func replicaOf(c adg.Check, labels map[string]string) uint32 {
	if c.Replica == "" {
		return 0
	}
	h := hash(offset, labels[c.Replica])
	return uint32(h ^ h>>32)
}

// FNV-1a, with a zero byte at the end so that what follows does not run into it.
const (
	offset = 14695981039346656037
	prime  = 1099511628211
)

func hash(sum uint64, text string) uint64 {
	for i := range len(text) {
		sum = (sum ^ uint64(text[i])) * prime
	}
	return sum * prime
}

// within is the samples from one time to another, of samples in order.
func within(samples []adg.Sample, from, to time.Time) []adg.Sample {
	samples = since(samples, from)
	n := len(samples)
	for n > 0 && samples[n-1].At.After(to) {
		n--
	}
	return samples[:n]
}
