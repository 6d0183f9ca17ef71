package judge

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/deployguardian/adg"
)

const (
	// scrapesPerBucket keeps what the two arms do in one bucket comparable, though each replica is scraped at a time
	// of its own.
	scrapesPerBucket = 4
	// slack is how long after its scrape a sample may take to be found.
	slack = time.Second
	// maxGroups and maxOpen bound the state: replicas that are told apart, and buckets that wait for samples.
	maxGroups = 64
	maxOpen   = 8
	// maxStreams is how many kinds of bad requests are counted at once: one for each quantile of a histogram.
	maxStreams = 5
	// believable is the most requests between two scrapes: more would be nobody's counter, and beyond what adds up
	// exactly.
	believable = 1e12
)

// cell is what one replica did in one bucket: its requests and, stream by stream, the bad ones.
type cell struct {
	All float64             `json:"n,omitempty"`
	Bad [maxStreams]float64 `json:"b,omitzero"`
}

func (c *cell) add(rise cell) {
	c.All += rise.All
	for i, bad := range rise.Bad {
		c.Bad[i] += bad
	}
}

// counts are the cell's of one stream. More bad ones than there are happen where a series was seen late.
func (c cell) counts(stream int) adg.Counts {
	return adg.Counts{Bad: min(c.Bad[stream], c.All), All: c.All}
}

// believable tells whether a replica can have had so many requests.
func (c cell) believable() bool {
	most := c.All
	for _, bad := range c.Bad {
		most = max(most, bad)
	}
	return most <= believable
}

// bucket is what both arms did between two multiples of the buckets' length.
type bucket struct {
	Index     int64  `json:"i"`
	Candidate cell   `json:"c,omitzero"`
	Groups    []cell `json:"g,omitempty"` // the baseline's replicas, in the order of books.Replicas
}

// books turn counters into buckets, from one observation to the next: every increase is counted once, in the bucket of
// the scrape that showed it or, where that one is closed already, in the oldest that is open.
type books struct {
	Length   int64    `json:"ms"`               // of a bucket; zero: not known yet
	Gap      int64    `json:"gap"`              // ms between two scrapes
	Closed   int64    `json:"closed,omitempty"` // the latest bucket that was handed out
	Open     []bucket `json:"open,omitempty"`   // by their index
	Replicas []uint32 `json:"replicas,omitempty"`
	Marks    marks    `json:"marks,omitempty"`
	Seen     int64    `json:"seen,omitempty"` // ms of the latest sample of all
}

// pass is what one look at the counters brings to light.
type pass struct {
	skipped    time.Duration // the longest time of which no sample is left
	reset      bool          // of a counter
	candidates []uint32      // replicas of the candidate
	seen       int64         // ms of the latest sample
	oldest     int64         // ms of the oldest of the counters' latest samples
}

// length is how long a bucket is at that scrape interval, in ms; zero where neither is known.
func length(c adg.Check, gap time.Duration) int64 {
	switch {
	case c.Sequential.Bucket > 0:
		return int64(c.Sequential.Bucket) * 1000
	case gap <= 0:
		return 0
	}
	// Half a second off, as the interval that is seen is never quite the one that is configured.
	return 1000 * int64(math.Ceil(max(1, scrapesPerBucket*gap.Seconds()-0.5)))
}

// book counts what the tracks show beyond what was counted before; from is where the window begins.
func (b *books) book(tracks []track, from time.Time) pass {
	arrange(tracks)
	p := pass{oldest: math.MaxInt64, seen: b.Seen}
	fresh := make(marks, 0, len(tracks))
	for i := range tracks {
		fresh = append(fresh, mark{tracks[i].id, b.count(&tracks[i], from, &p)})
	}
	b.Marks = b.Marks.with(fresh)
	b.Seen = p.seen
	return p
}

// close hands out the buckets for which no sample is to be expected any more, oldest first.
func (b *books) close(now time.Time, oldest int64) []bucket {
	if b.Length == 0 {
		return nil
	}
	at := now.UnixMilli()
	last := floor(max(at-b.Gap-slack.Milliseconds(), min(oldest, at)), b.Length) - 1
	if over := len(b.Open) - maxOpen; over > 0 {
		last = max(last, b.Open[over-1].Index)
	}
	last = max(last, b.Closed)
	n := 0
	for n < len(b.Open) && b.Open[n].Index <= last {
		n++
	}
	closed := b.Open[:n:n]
	b.Open, b.Closed = b.Open[n:], last
	return closed
}

// Private

// count books the increases of one track and gives the time of the latest sample that is counted now.
func (b *books) count(t *track, from time.Time, p *pass) int64 {
	latest, first := t.at(t.len()-1).UnixMilli(), t.at(0)
	p.seen = max(p.seen, latest)
	if t.arm == adg.CandidateArm && !slices.Contains(p.candidates, t.replica) && len(p.candidates) < maxGroups {
		p.candidates = append(p.candidates, t.replica)
	}
	if t.stream == allRequests {
		p.oldest = min(p.oldest, latest)
	}
	until, known := b.Marks.of(t.id)
	if !known && len(b.Marks) == maxMarks {
		until, known = b.Seen, first.UnixMilli() <= b.Seen
	}
	next := 1
	switch {
	case !known:
		if isNew(first, from, t.gap(), time.Duration(b.Gap)*time.Millisecond) {
			next = 0
		}
	case first.UnixMilli() > until:
		p.skipped = max(p.skipped, first.Sub(time.UnixMilli(until)))
	default:
		for next < t.len() && t.at(next).UnixMilli() <= until {
			next++
		}
	}
	for ; next < t.len(); next++ {
		rise, reset := t.rise(next)
		p.reset = p.reset || reset
		b.rise(t, t.at(next), rise)
	}
	return max(latest, until)
}

// rise books an increase that the scrape at that time showed.
func (b *books) rise(t *track, at time.Time, rise cell) {
	if rise == (cell{}) || !rise.believable() {
		return
	}
	// A bucket owns its end and not its beginning: a scrape tells of what was before it.
	index := max(floor(at.UnixMilli()-1, b.Length), b.Closed+1)
	i, found := slices.BinarySearchFunc(b.Open, index, func(o bucket, index int64) int { return cmp.Compare(o.Index, index) })
	if !found {
		b.Open = slices.Insert(b.Open, i, bucket{Index: index})
	}
	if t.arm == adg.CandidateArm {
		b.Open[i].Candidate.add(rise)
		return
	}
	g := b.group(t.replica)
	for len(b.Open[i].Groups) <= g {
		b.Open[i].Groups = append(b.Open[i].Groups, cell{})
	}
	b.Open[i].Groups[g].add(rise)
}

// group is the place of a replica of the baseline. Past the last place, the rest are one.
func (b *books) group(replica uint32) int {
	if g := slices.Index(b.Replicas, replica); g >= 0 {
		return g
	}
	if len(b.Replicas) == maxGroups {
		return maxGroups - 1
	}
	b.Replicas = append(b.Replicas, replica)
	return len(b.Replicas) - 1
}

// control is all replicas of the baseline together.
func (b bucket) control() cell {
	var all cell
	for _, g := range b.Groups {
		all.add(g)
	}
	return all
}

// floor divides, and rounds down also below zero.
func floor(a, by int64) int64 {
	q := a / by
	if a%by < 0 {
		q--
	}
	return q
}
