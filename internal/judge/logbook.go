package judge

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/judge/pattern"
	"github.com/deployguardian/adg/internal/judge/sequential"
)

const (
	// maxLogged bounds the patterns that are remembered from one look to the next: those with the least evidence make
	// place for others.
	maxLogged = 64
	// maxKnown of them are those that the baseline had before, which stay: forgotten, they would come back as new ones.
	maxKnown   = maxLogged / 2
	usualLeast = 3
	usualOften = 0.25
	// lag is how much longer than a moment is waited for its lines, and patience for how long, at most, where none has
	// come that is later than the moment.
	lag      = 5 * time.Second
	patience = time.Minute
	// grown is how many times as much traffic as before the deployment is nothing to blame a release for, where no stable
	// version beside it shows how much there is.
	grown = 2
	// usually is the quantile of the baseline's lines per moment up to which they are nothing special.
	usually = 0.95
)

// logbook is the state of a check of logs, which CheckState.Test holds.
type logbook struct {
	Moment   int64                  `json:"moment"`          // ms
	Begun    int64                  `json:"begun"`           // the first moment that was counted
	Here     int64                  `json:"here,omitempty"`  // ms; what was before it is none of the candidate's; 0: it has not written a line
	Closed   int64                  `json:"closed"`          // the last one
	Cells    [2]float64             `json:"cells"`           // moments of all replicas, by arm
	Alone    float64                `json:"alone,omitempty"` // of those of the candidate, the ones without a baseline beside it
	Lines    [2]float64             `json:"lines"`           // of whatever level, in those moments or near them
	Writers  float64                `json:"writers"`         // replicas of the candidate, the most that a window showed
	Replicas []uint32               `json:"replicas,omitempty"`
	Spread   sequential.Calibration `json:"spread"`
	Made     int                    `json:"made"` // patterns that were new, so far
	Patterns []logged               `json:"patterns,omitempty"`
	Sure     logged                 `json:"sure"`            // one that only the candidate had, often: what would have been found by now
	Able     bool                   `json:"able,omitempty"`  // it would have been, at some time: what comes later takes nothing of that away
	Worse    *adg.Judgement         `json:"worse,omitempty"` // the last word on the release
}

// logged is what is remembered of one pattern.
type logged struct {
	Text    string           `json:"text,omitempty"`
	Level   adg.LogLevel     `json:"level,omitempty"`
	Example string           `json:"example,omitempty"`
	First   time.Time        `json:"first,omitzero"`
	Place   int              `json:"place,omitempty"` // among the new ones, from 1; 0: the baseline had it before
	Usual   int              `json:"usual,omitempty"` // lines in a moment up to which it is nothing special
	Bad     [2]float64       `json:"bad"`             // moments with more, by arm
	Lines   [2]float64       `json:"lines"`
	Before  float64          `json:"before,omitempty"` // of the moments of the frozen baseline
	Alone   float64          `json:"alone,omitempty"`  // moments of the candidate that were compared with those
	Test    sequential.Light `json:"test"`
}

// pastLogs is what a check of logs learned from the baseline: Baseline.Calibration.
type pastLogs struct {
	Cells    float64                `json:"cells"`
	Lines    float64                `json:"lines"`
	Spread   sequential.Calibration `json:"spread"`
	Replicas []uint32               `json:"replicas,omitempty"`
	Patterns []logged               `json:"patterns,omitempty"`
	Rest     float64                `json:"rest,omitempty"` // in how many moments a pattern that found no place there may have been
}

// Private

// freezeLogs learns which patterns the baseline had, and how often.
func freezeLogs(b *adg.Baseline, c adg.Check, m adg.Measurement) {
	if m.Log == nil || m.Log.Lines == 0 {
		b.Err = "there was no line " + between(b)
		return
	}
	moments := momentsOf(*m.Log, b.From, b.To)
	b.Total = float64(m.Log.Lines)
	past := pastLogs{Lines: b.Total}
	for _, at := range moments {
		_, groups := past.replicas(m.Log, at)
		past.Cells += float64(len(m.Log.Replicas))
		past.Spread.Learn(groups, c.Moment().Seconds())
	}
	if past.Cells == 0 {
		b.Err = "the lines cover no whole moment " + between(b)
		return
	}
	seen := map[string]int{} // moments with a line of the pattern
	for _, p := range m.Log.Patterns {
		one := logged{Text: p.Text, Level: p.Level, Example: p.Example, First: p.First}
		var counts []int
		for _, cell := range p.Cells {
			if _, found := slices.BinarySearch(moments, cell.Moment); found {
				counts = append(counts, cell.Lines)
			}
		}
		slices.SortFunc(counts, func(a, b int) int { return cmp.Compare(b, a) })
		if at := int((1 - usually) * past.Cells); at < len(counts) {
			one.Usual = counts[at]
		}
		for _, n := range counts {
			if n > one.Usual {
				one.Before++
			}
		}
		seen[key(p)] = len(counts)
		past.Patterns = append(past.Patterns, one)
	}
	often := func(p logged) int { return seen[p.key()] }
	slices.SortStableFunc(past.Patterns, func(a, b logged) int { return cmp.Compare(often(b), often(a)) })
	past.Rest = float64(m.Log.Left)
	if len(past.Patterns) > maxKnown {
		past.Rest = max(past.Rest, float64(often(past.Patterns[maxKnown])))
		past.Patterns = past.Patterns[:maxKnown]
	}
	past.Rest = min(past.Rest, past.Cells)
	text, err := json.Marshal(past)
	if err != nil { // a number that JSON has no word for, which counts never are
		b.Err = "what was learned cannot be kept"
		return
	}
	b.Calibration = text
}

func pastLogsOf(b *adg.Baseline) (pastLogs, bool) {
	var past pastLogs
	if b == nil || b.Err != "" || len(b.Calibration) == 0 || json.Unmarshal(b.Calibration, &past) != nil ||
		!(past.Cells > 0 && isFinite(past.Cells)) || len(past.Patterns) > maxLogged {
		return pastLogs{}, false
	}
	return past, true
}

// replicas are those of a measurement at one moment: how many there are, and what each did, in the order in which they
// were first seen. What one did is whether it wrote any line that counts.
func (l *pastLogs) replicas(log *adg.LogCount, moment int64) (n float64, groups []adg.Counts) {
	bad := make([]bool, len(log.Replicas))
	for _, p := range log.Patterns {
		for _, cell := range p.Cells {
			if cell.Moment == moment && cell.Replica < len(bad) && cell.Replica >= 0 {
				bad[cell.Replica] = true
			}
		}
	}
	for i, name := range log.Replicas {
		id := uint32(hash(offset, name)) //nolint:gosec // the lower half tells replicas apart as well
		at := slices.Index(l.Replicas, id)
		if at < 0 && len(l.Replicas) == adg.MaxLogReplicas {
			at = len(l.Replicas) - 1
		} else if at < 0 {
			at = len(l.Replicas)
			l.Replicas = append(l.Replicas, id)
		}
		for len(groups) <= max(at, len(l.Replicas)-1) {
			groups = append(groups, adg.Counts{})
		}
		groups[at].All++
		if bad[i] {
			groups[at].Bad++
		}
	}
	return float64(len(log.Replicas)), groups
}

// momentsOf are the moments that lie within a time as a whole, rising.
func momentsOf(log adg.LogCount, from, to time.Time) []int64 {
	length := log.Moment.Milliseconds()
	if length <= 0 {
		return nil
	}
	if log.From.After(from) {
		from = log.From
	}
	const most = 10_000
	var all []int64
	for at := -floor(-from.UnixMilli(), length); (at+1)*length <= to.UnixMilli() && len(all) < most; at++ {
		all = append(all, at)
	}
	return all
}

// begin starts a book from what the baseline had before.
func (l *logbook) begin(moment int64, past pastLogs) {
	l.Moment = moment
	l.Spread, l.Replicas = past.Spread, slices.Clone(past.Replicas)
	l.Patterns = slices.Clone(past.Patterns)
	for i := range l.Patterns {
		l.Patterns[i].Bad, l.Patterns[i].Lines = [2]float64{}, [2]float64{}
	}
}

// find gives each pattern of both arms its place in the book, new ones in the order of their texts: which arm wrote a line
// first must not decide which part of alpha it gets.
func (l *logbook) find(arms []*adg.LogCount) map[string]int {
	const unplaced = -1
	tree := pattern.Tree{Max: maxLogged + 2*adg.MaxLogPatterns}
	at := make([]int, 0, len(l.Patterns))
	for i, p := range l.Patterns {
		if n, ok := tree.Add(p.Level, p.Text); ok && n == len(at) {
			at = append(at, i)
		}
	}
	var all []adg.LogPattern
	for _, log := range arms {
		all = append(all, log.Patterns...)
	}
	slices.SortStableFunc(all, func(a, b adg.LogPattern) int {
		return cmp.Or(cmp.Compare(b.Level, a.Level), strings.Compare(a.Text, b.Text))
	})
	places := map[string]int{}
	for _, p := range all {
		n, ok := tree.Add(p.Level, p.Text)
		if !ok {
			continue
		}
		if n == len(at) {
			at = append(at, unplaced)
		}
		if at[n] == unplaced {
			// One that was forgotten does not come back for the moments that it was counted in.
			if !slices.ContainsFunc(p.Cells, func(c adg.LogCell) bool { return c.Moment > l.Closed }) {
				continue
			}
			l.Made++
			l.Patterns = append(l.Patterns, logged{Level: p.Level, Example: p.Example, First: p.First, Place: l.Made})
			at[n] = len(l.Patterns) - 1
		}
		one := &l.Patterns[at[n]]
		one.Text = tree.Text(n)
		if p.First.Before(one.First) {
			one.First = p.First
		}
		places[key(p)] = at[n]
	}
	return places
}

func key(p adg.LogPattern) string { return p.Level.String() + " " + p.Text }

func (p logged) key() string { return key(adg.LogPattern{Level: p.Level, Text: p.Text}) }

// forget keeps the book within its bounds: of the new patterns, what says the least goes first.
func (l *logbook) forget() {
	if len(l.Patterns) <= maxLogged {
		return
	}
	slices.SortStableFunc(l.Patterns, func(a, b logged) int {
		return cmp.Or(cmp.Compare(min(a.Place, 1), min(b.Place, 1)), cmp.Compare(b.Test.LogE(), a.Test.LogE()), cmp.Compare(b.Bad[0], a.Bad[0]))
	})
	l.Patterns = l.Patterns[:maxLogged]
}

// sound tells whether a book is one that the judge has written.
func (l *logbook) sound() bool {
	if l.Worse != nil {
		return l.Worse.Verdict == adg.Fail && l.Worse.Final && l.Worse.Text != ""
	}
	good := l.Moment > 0 && l.Moment <= time.Hour.Milliseconds() && l.Closed >= 0 && l.Closed < latestBucket && len(l.Patterns) <= maxLogged && l.Made >= 0
	for _, n := range [...]float64{l.Cells[0], l.Cells[1], l.Lines[0], l.Lines[1], l.Writers} {
		good = good && n >= 0 && isFinite(n)
	}
	return good
}

// limit is from which evidence on a pattern is decisive. Half of alpha is for all patterns that the baseline had before
// the first line of the candidate that counts, the same for each; the other half is for those that come: the j-th has
// 1/(j(j+1)) of it, which adds up to all of it however many come.
func (l *logbook) limit(p logged, alpha float64) float64 {
	if p.Place == 0 {
		known := 0
		for _, one := range l.Patterns {
			if one.Place == 0 {
				known++
			}
		}
		return -math.Log(alpha / 2 / float64(max(known, maxKnown)))
	}
	return -math.Log(alpha / 2 / (float64(p.Place) * float64(p.Place+1)))
}
