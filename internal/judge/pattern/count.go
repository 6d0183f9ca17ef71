package pattern

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/deployguardian/adg"
)

// Watch is which lines count, and how.
type Watch struct {
	Level  adg.LogLevel // lines below it do not count
	Any    bool         // lines without a level count, too
	Ignore []*regexp.Regexp
	From   time.Time // lines before it do not count
	To     time.Time // lines from then on do not either
	Moment time.Duration
}

// Count counts lines by their patterns. What was lent is not written to.
func Count(lines []adg.LogLine, w Watch) adg.LogCount {
	c := counter{Watch: w, found: map[spot]*pile{}, replicas: map[string]int{}}
	c.out.From, c.out.Moment = w.From, w.Moment
	// In the order of their names, so that the order of the answer decides nothing.
	sorted := slices.Clone(lines)
	slices.SortStableFunc(sorted, func(a, b adg.LogLine) int {
		return cmp.Or(strings.Compare(a.Replica, b.Replica), a.At.Compare(b.At))
	})
	for i := 0; i < len(sorted); {
		end := i + 1
		for end < len(sorted) && sorted[end].Replica == sorted[i].Replica {
			end++
		}
		for _, e := range Join(sorted[i:end]) {
			c.add(e)
		}
		i = end
	}
	c.patterns()
	return c.out
}

// Join makes one of the lines that belong together, as those of a stack trace; they are of one replica and in order. The
// first says what it is about, but for a traceback of Python, whose last does.
func Join(lines []adg.LogLine) []adg.LogLine {
	var all []adg.LogLine
	trace, goroutines := false, false
	for _, line := range lines {
		text := strings.TrimRight(line.Text, " \t\r\n")
		switch {
		case len(all) == 0:
		case text == "" || text[0] == ' ' || text[0] == '\t' || goesOn.MatchString(text):
			goroutines = goroutines || strings.HasPrefix(text, "goroutine ")
			continue
		case goroutines && frame.MatchString(text):
			continue
		case trace:
			last := &all[len(all)-1]
			last.Text = "panic: " + text
			trace = false
			continue
		}
		if text == "" {
			continue
		}
		trace, goroutines = strings.HasPrefix(text, "Traceback (most recent call last)"), strings.HasPrefix(text, "goroutine ")
		line.Text = text
		all = append(all, line)
	}
	return all
}

// Private

var (
	goesOn = regexp.MustCompile(`^(Caused by: |\.\.\. [0-9]+ more|goroutine [0-9]+ |created by |exit status [0-9]+$|\[signal )`)
	frame  = regexp.MustCompile(`^[^\s(]+\(.*\)$|^[^\s(]+\(\.\.\.\)$|^panic\(`)
)

type spot struct {
	level adg.LogLevel
	text  string
}

// pile is the lines of one masked message.
type pile struct {
	spot
	example string
	first   time.Time
	cells   map[cell]int
}

type cell struct {
	moment  int64
	replica int
}

type counter struct {
	Watch
	out      adg.LogCount
	found    map[spot]*pile
	replicas map[string]int
}

// distinct bounds the masked messages of one measurement, before they become patterns.
const distinct = 2048

func (c *counter) add(line adg.LogLine) {
	if line.At.Before(c.From) || !line.At.Before(c.To) {
		return
	}
	c.out.Lines++
	replica := c.replica(line.Replica)
	e := Read(line.Text)
	if e.Level == adg.LevelUnknown && !c.Any || e.Level != adg.LevelUnknown && e.Level < c.Level {
		return
	}
	if slices.ContainsFunc(c.Ignore, func(r *regexp.Regexp) bool { return r.MatchString(line.Text) }) {
		return
	}
	at := spot{e.Level, Mask(e.Message)}
	p := c.found[at]
	if p == nil {
		if len(c.found) == distinct {
			c.out.Left++
			return
		}
		p = &pile{spot: at, cells: map[cell]int{}}
		c.found[at] = p
	}
	if p.first.IsZero() || !line.At.After(p.first) { // of those of one time the order of the answer must not decide
		if example := cut(Example(line.Text), maxExample); p.first.IsZero() || line.At.Before(p.first) || example < p.example {
			p.first, p.example = line.At, example
		}
	}
	p.cells[cell{line.At.UnixMilli() / c.Moment.Milliseconds(), replica}]++
}

// replica is the place of a replica's name.
func (c *counter) replica(name string) int {
	if at, known := c.replicas[name]; known {
		return at
	}
	at := len(c.out.Replicas)
	if at == adg.MaxLogReplicas {
		at-- // the rest are the last of them
	} else {
		c.out.Replicas = append(c.out.Replicas, cut(adg.Printable(name), 128))
	}
	c.replicas[name] = at
	return at
}

// patterns makes patterns of the piles.
func (c *counter) patterns() {
	piles := make([]*pile, 0, len(c.found))
	for _, p := range c.found {
		piles = append(piles, p)
	}
	slices.SortFunc(piles, func(a, b *pile) int { return cmp.Or(cmp.Compare(b.level, a.level), strings.Compare(a.text, b.text)) })
	tree, merged := Tree{}, []*pile(nil)
	for _, p := range piles {
		at, ok := tree.Add(p.level, p.text)
		switch {
		case !ok:
			for _, n := range p.cells {
				c.out.Left += n
			}
		case at == len(merged):
			merged = append(merged, p)
		default:
			merged[at].take(p)
		}
	}
	for at, p := range merged {
		one := adg.LogPattern{Text: tree.Text(at), Level: p.level, Example: p.example, First: p.first.UTC()}
		for where, n := range p.cells {
			one.Cells = append(one.Cells, adg.LogCell{Replica: where.replica, Moment: where.moment, Lines: n})
		}
		slices.SortFunc(one.Cells, func(a, b adg.LogCell) int {
			return cmp.Or(cmp.Compare(a.Moment, b.Moment), cmp.Compare(a.Replica, b.Replica))
		})
		c.out.Patterns = append(c.out.Patterns, one)
	}
}

func (p *pile) take(other *pile) {
	if other.first.Before(p.first) {
		p.first, p.example = other.first, other.example
	}
	for at, n := range other.cells {
		p.cells[at] += n
	}
}
