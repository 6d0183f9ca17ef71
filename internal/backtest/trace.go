package backtest

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/deployguardian/adg"
)

// trace is what two versions did beside each other, second by second.
type trace struct {
	truth    map[string]string // of the comment lines, by key
	seconds  int               // the length
	first    int               // second of the candidate's first request; -1: it has none
	replicas []*replica        // sorted by arm and name
	limits   []float64         // latencies in seconds, rising, above which requests are counted
}

// replica is one process: per second, what it did.
type replica struct {
	arm  adg.Arm
	name string
	rows map[int]row
}

// row is one second: requests, the bad ones among them, and those slower than each of the limits.
type row struct {
	requests, errors float64
	over             []float64
}

const (
	maxTraceBytes   = 256 << 20
	maxTraceSeconds = 7 * 24 * 3600
	maxReplicas     = 1000
	maxLimits       = 64
)

// parseTrace reads a trace, as bench/judge/TRACES.md describes it: comment lines `# key: value`, a line of column names,
// and a line per second and replica.
func parseTrace(in io.Reader) (*trace, error) {
	lines := bufio.NewReader(io.LimitReader(in, maxTraceBytes))
	t := &trace{truth: map[string]string{}, first: -1}
	if err := t.comments(lines); err != nil {
		return nil, err
	}
	rows := csv.NewReader(lines)
	rows.Comment, rows.ReuseRecord, rows.TrimLeadingSpace = '#', true, true
	names, err := rows.Read()
	if err != nil {
		return nil, adg.Errorf(adg.Invalid, "no line of column names: %w", err)
	}
	c, err := t.columns(slices.Clone(names))
	if err != nil {
		return nil, err
	}
	known := map[string]*replica{}
	for {
		fields, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return t, t.complete()
		}
		if err != nil {
			return nil, adg.Errorf(adg.Invalid, "after the comments: %w", err)
		}
		if err := t.row(c, fields, known); err != nil {
			line, _ := rows.FieldPos(0)
			return nil, adg.Errorf(adg.Invalid, "line %d after the comments: %w", line, err)
		}
	}
}

// Private

// columns are where in a line what stands.
type columns struct {
	second, arm, replica, requests, errors int
	over                                   []int // in the order of the limits
}

// comments reads the lines of the head.
func (t *trace) comments(lines *bufio.Reader) error {
	for {
		next, err := lines.Peek(1)
		if err != nil || next[0] != '#' {
			return nil // what is missing is said where it is wanted
		}
		line, err := lines.ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("reading the comments: %w", err)
		}
		key, value, found := strings.Cut(strings.TrimPrefix(line, "#"), ":")
		if found && len(t.truth) < 100 {
			t.truth[strings.ToLower(strings.TrimSpace(key))] = strings.TrimSpace(value)
		}
	}
}

func (t *trace) columns(names []string) (columns, error) {
	var c columns
	for _, wanted := range []struct {
		name string
		at   *int
	}{{"second", &c.second}, {"arm", &c.arm}, {"replica", &c.replica}, {"requests", &c.requests}, {"errors", &c.errors}} {
		if *wanted.at = slices.Index(names, wanted.name); *wanted.at < 0 {
			return c, adg.Errorf(adg.Invalid, "there is no column %q among %s", wanted.name, strings.Join(names, ", "))
		}
	}
	for i, name := range names {
		limit, found := strings.CutPrefix(name, "over_")
		if !found {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSuffix(limit, "s"), 64)
		if err != nil || !(v > 0) || math.IsInf(v, 0) || len(t.limits) > 0 && v <= t.limits[len(t.limits)-1] || len(t.limits) == maxLimits {
			return c, adg.Errorf(adg.Invalid, "column %q: at most %d latencies in seconds, rising, as in over_0.25", name, maxLimits)
		}
		t.limits, c.over = append(t.limits, v), append(c.over, i)
	}
	return c, nil
}

func (t *trace) row(c columns, fields []string, known map[string]*replica) error {
	second, err := strconv.Atoi(fields[c.second])
	if err != nil || second < 0 || second >= maxTraceSeconds {
		return adg.Errorf(adg.Invalid, "second %q: a number from 0 to %d", fields[c.second], maxTraceSeconds-1)
	}
	r := known[fields[c.arm]+"\x00"+fields[c.replica]]
	if r == nil {
		r = &replica{name: strings.Clone(fields[c.replica]), rows: map[int]row{}}
		switch fields[c.arm] {
		case "canary", "candidate":
		case "control", "baseline", "stable":
			r.arm = adg.BaselineArm
		default:
			return adg.Errorf(adg.Invalid, "arm %q: canary or baseline", fields[c.arm])
		}
		if len(known) == maxReplicas {
			return adg.Errorf(adg.Invalid, "more than %d replicas", maxReplicas)
		}
		known[strings.Clone(fields[c.arm])+"\x00"+r.name] = r
		t.replicas = append(t.replicas, r)
	}
	if _, twice := r.rows[second]; twice {
		return adg.Errorf(adg.Invalid, "second %d of %s is there twice", second, r.name)
	}
	numbers := make([]float64, 0, 2+len(c.over))
	for _, at := range append([]int{c.requests, c.errors}, c.over...) {
		v, err := strconv.ParseFloat(fields[at], 64)
		if err != nil || !(v >= 0) || math.IsInf(v, 0) {
			return adg.Errorf(adg.Invalid, "%q is no count", fields[at])
		}
		numbers = append(numbers, v)
	}
	r.rows[second] = row{numbers[0], numbers[1], numbers[2:]}
	t.seconds = max(t.seconds, second+1)
	if r.arm == adg.CandidateArm && numbers[0] > 0 && (t.first < 0 || second < t.first) {
		t.first = second
	}
	return nil
}

func (t *trace) complete() error {
	slices.SortFunc(t.replicas, func(a, b *replica) int {
		if a.arm != b.arm {
			return int(a.arm) - int(b.arm)
		}
		return strings.Compare(a.name, b.name)
	})
	if t.first < 0 && t.truth["canary from"] == "" {
		return adg.Errorf(adg.Invalid, "the canary has no requests")
	}
	return nil
}

// epoch is when traces begin.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func at(second int) time.Time { return epoch.Add(time.Duration(second) * time.Second) }

// counters are what the replicas of an arm have counted, as a source would answer: bad and all requests, and a
// classic histogram. A second that is missing was not scraped: what happened in it is in the next one.
func (t *trace) counters(arm adg.Arm, version string) (bad, total, slow []adg.Series) {
	for _, r := range t.replicas {
		if r.arm != arm {
			continue
		}
		labels := map[string]string{"version": version, "replica": r.name}
		b, a := adg.Series{Labels: labels}, adg.Series{Labels: labels}
		buckets := make([]adg.Series, len(t.limits)+1)
		for i := range buckets {
			le := "+Inf"
			if i < len(t.limits) {
				le = strconv.FormatFloat(t.limits[i], 'g', -1, 64)
			}
			buckets[i].Labels = map[string]string{"version": version, "replica": r.name, "le": le}
		}
		var sum row
		sum.over = make([]float64, len(t.limits))
		for second := range t.seconds {
			one, there := r.rows[second]
			if !there {
				continue
			}
			seen := at(second + 1)
			sum.requests += one.requests
			sum.errors += one.errors
			a.Samples = append(a.Samples, adg.Sample{At: seen, Value: sum.requests})
			b.Samples = append(b.Samples, adg.Sample{At: seen, Value: sum.errors})
			for i := range buckets {
				below := sum.requests
				if i < len(t.limits) {
					sum.over[i] += one.over[i]
					below -= sum.over[i]
				}
				buckets[i].Samples = append(buckets[i].Samples, adg.Sample{At: seen, Value: below})
			}
		}
		bad, total = append(bad, b), append(total, a)
		if len(t.limits) > 0 {
			slow = append(slow, buckets...)
		}
	}
	return bad, total, slow
}
