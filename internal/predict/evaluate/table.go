package evaluate

import (
	"bufio"
	"compress/gzip"
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

// Columns say what the columns of a table mean.
type Columns struct {
	Label  string   // failed or not: 0/1, true/false, yes/no, failed/ok; an empty cell is an outcome that nobody knows
	Time   string   // epoch seconds (or ms, µs), RFC 3339 or a date; where all are small numbers, only the order
	Group  string   // optional: the service
	Ignore []string // never features
}

// Table is a table in time order, its features as numbers.
type Table struct {
	Names   []string
	Values  [][]float32 // by row; a missing value is NaN
	Times   []float64   // epoch seconds, or the position where Ordinal
	Ordinal bool        // the times are positions and no moments
	Groups  []string
	Labels  []Label
	Notes   []string // what was found and how it was read, for a person
}

// Label is what became of a row.
type Label int8

// The labels. Unlabelled rows are neither learned from nor scored.
const (
	Unlabelled Label = iota
	Succeeded
	Failed
)

// Limits on a table; what is larger is refused, not cut.
const (
	maxColumns = 512
	maxRows    = 5_000_000
	maxValues  = 200_000_000
	maxCell    = 1 << 20
)

// Read reads a CSV table with a header, plain or gzipped, and puts it in time order. Errors name the line and have
// the code Invalid.
func Read(r io.Reader, c Columns) (*Table, error) {
	plain, err := unzipped(r)
	if err != nil {
		return nil, err
	}
	in := csv.NewReader(plain)
	in.ReuseRecord = true
	in.LazyQuotes = true
	header, err := in.Read()
	if errors.Is(err, io.EOF) {
		return nil, adg.Errorf(adg.Invalid, "the table is empty: its first line names the columns")
	}
	if err != nil {
		return nil, adg.Errorf(adg.Invalid, "read the table: %w", err)
	}
	t, err := newReading(slices.Clone(header), c)
	if err != nil {
		return nil, err
	}
	for {
		record, err := in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, adg.Errorf(adg.Invalid, "read the table: %w", err)
		}
		if err := t.add(record, in); err != nil {
			return nil, err
		}
	}
	return t.finish()
}

// Private

func unzipped(r io.Reader) (io.Reader, error) {
	b := bufio.NewReaderSize(r, 1<<16)
	if head, err := b.Peek(2); err == nil && head[0] == 0x1f && head[1] == 0x8b {
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, adg.Errorf(adg.Invalid, "unzip the table: %w", err)
		}
		return z, nil
	}
	if mark, err := b.Peek(3); err == nil && string(mark) == "\xef\xbb\xbf" {
		_, _ = b.Discard(3)
	}
	return b, nil
}

// reading is a table that is being read.
type reading struct {
	columns            Columns
	label, time, group int
	features           []int // positions of what may be features
	names              []string
	present, text      []int // per feature: cells that hold anything, and that hold no number
	infinite           int
	values             [][]float32
	times              []float64
	groups             []string
	known              map[string]string // each group's name once
	labels             []Label
	arena              []float32
}

func newReading(header []string, c Columns) (*reading, error) {
	if len(header) > maxColumns {
		return nil, adg.Errorf(adg.Invalid, "the table has %d columns, at most %d are read", len(header), maxColumns)
	}
	t := &reading{columns: c, label: -1, time: -1, group: -1, known: map[string]string{}}
	seen := map[string]bool{}
	for i, name := range header {
		name = strings.TrimSpace(name)
		if seen[name] {
			return nil, adg.Errorf(adg.Invalid, "the table has two columns named %q", name)
		}
		seen[name] = true
		switch {
		case name == c.Label:
			t.label = i
		case name == c.Time:
			t.time = i
		case c.Group != "" && name == c.Group:
			t.group = i
		case !slices.Contains(c.Ignore, name):
			t.features, t.names = append(t.features, i), append(t.names, name)
		}
	}
	var unknown []string
	for _, name := range append([]string{c.Label, c.Time}, c.Ignore...) {
		if !seen[name] {
			unknown = append(unknown, strconv.Quote(name))
		}
	}
	if c.Group != "" && !seen[c.Group] {
		unknown = append(unknown, strconv.Quote(c.Group))
	}
	if len(unknown) > 0 {
		return nil, adg.Errorf(adg.Invalid, "the table has no column %s; it has %s", strings.Join(unknown, ", "), strings.Join(header, ", "))
	}
	t.present, t.text = make([]int, len(t.features)), make([]int, len(t.features))
	return t, nil
}

func (t *reading) add(record []string, in *csv.Reader) error {
	if len(t.values) >= maxRows || len(t.values)*len(t.features) > maxValues {
		return adg.Errorf(adg.Invalid, "the table is too large: at most %d rows and %d numbers are read", maxRows, maxValues)
	}
	where := func(column int) string {
		line, _ := in.FieldPos(column)
		return fmt.Sprintf("line %d, column %s", line, []string{t.columns.Label, t.columns.Time}[btoi(column == t.time)])
	}
	label, err := parseLabel(record[t.label])
	if err != nil {
		return adg.Errorf(adg.Invalid, "%s: %w", where(t.label), err)
	}
	moment, err := parseTime(record[t.time])
	if err != nil {
		return adg.Errorf(adg.Invalid, "%s: %w", where(t.time), err)
	}
	group := ""
	if t.group >= 0 {
		group = record[t.group]
		if _, known := t.known[group]; !known {
			t.known[strings.Clone(group)] = strings.Clone(group)
		}
		group = t.known[group]
	}
	t.values = append(t.values, t.numbers(record))
	t.labels, t.times, t.groups = append(t.labels, label), append(t.times, moment), append(t.groups, group)
	return nil
}

func (t *reading) numbers(record []string) []float32 {
	width := len(t.features)
	if len(t.arena) < width {
		t.arena = make([]float32, 4096*width)
	}
	row := t.arena[:width:width]
	t.arena = t.arena[width:]
	for j, column := range t.features {
		v, there, isNumber := parseNumber(record[column])
		if there {
			t.present[j]++
		}
		if !isNumber {
			t.text[j]++
		}
		if math.IsInf(v, 0) {
			t.infinite++
			v = math.NaN()
		}
		row[j] = float32(v)
	}
	return row
}

// finish leaves out what is no feature, and sorts.
func (t *reading) finish() (*Table, error) {
	if len(t.values) == 0 {
		return nil, adg.Errorf(adg.Invalid, "the table has a header and no rows")
	}
	out := &Table{Times: t.times, Groups: t.groups, Labels: t.labels}
	keep := t.choose(out)
	if len(keep) == 0 {
		out.note("no column holds numbers: all that can be said is the base rate")
	}
	out.Values = t.values
	for i, row := range t.values {
		short := row[:0]
		for _, j := range keep {
			short = append(short, row[j])
		}
		out.Values[i] = short
	}
	for _, j := range keep {
		out.Names = append(out.Names, t.names[j])
	}
	if t.infinite > 0 {
		out.note("%d infinite values count as missing", t.infinite)
	}
	out.sort()
	out.describe()
	return out, nil
}

// A column with more text than this share of its cells is no column of numbers.
const textShare = 0.05

func (t *reading) choose(out *Table) (keep []int) {
	var text, empty []string
	for j, name := range t.names {
		switch {
		case t.present[j] == 0:
			empty = append(empty, name)
		case float64(t.text[j]) > textShare*float64(t.present[j]):
			text = append(text, name)
		default:
			keep = append(keep, j)
			if t.text[j] > 0 {
				out.note("column %s: %d cells are text and count as missing", name, t.text[j])
			}
		}
	}
	if len(text) > 0 {
		out.note("left out, because they hold text: %s", strings.Join(text, ", "))
	}
	if len(empty) > 0 {
		out.note("left out, because they are empty: %s", strings.Join(empty, ", "))
	}
	return keep
}

func (t *Table) note(format string, args ...any) {
	t.Notes = append(t.Notes, fmt.Sprintf(format, args...))
}

// sort puts the rows in time order; those of the same time stay as they are.
func (t *Table) sort() {
	order := make([]int, len(t.Times))
	backwards := 0
	for i := range order {
		order[i] = i
		if i > 0 && t.Times[i] < t.Times[i-1] {
			backwards++
		}
	}
	if backwards > 0 {
		t.note("the time goes backwards %d times: the rows were put in time order", backwards)
		slices.SortStableFunc(order, func(a, b int) int {
			switch {
			case t.Times[a] < t.Times[b]:
				return -1
			case t.Times[a] > t.Times[b]:
				return 1
			default:
				return 0
			}
		})
		t.Times, t.Groups, t.Labels, t.Values = permute(t.Times, order), permute(t.Groups, order), permute(t.Labels, order), permute(t.Values, order)
	}
	t.scaleTimes()
}

func permute[T any](values []T, order []int) []T {
	out := make([]T, len(values))
	for i, from := range order {
		out[i] = values[from]
	}
	return out
}

// Times below this are positions: as moments, they would all be in the first four months of 1970.
const firstMoment = 1e7

func (t *Table) scaleTimes() {
	last := t.Times[len(t.Times)-1]
	unit := 1.0
	switch {
	case last >= 1e17:
		unit = 1e9
	case last >= 1e14:
		unit = 1e6
	case last >= 1e11:
		unit = 1e3
	}
	for i := range t.Times {
		t.Times[i] /= unit
	}
	if last/unit < firstMoment {
		t.Ordinal = true
		t.note("the times are positions, not moments: there is no delay to wait for, and no calendar to refit by")
	}
}

// describe notes what else a reader should know of the rows.
func (t *Table) describe() {
	counts := map[Label]int{}
	for _, l := range t.Labels {
		counts[l]++
	}
	if n := counts[Unlabelled]; n > 0 {
		t.note("%d rows have no outcome: they are neither learned from nor scored", n)
	}
	if counts[Failed] == 0 || counts[Succeeded] == 0 {
		t.note("all outcomes are alike: how well failures are told from successes cannot be said")
	}
	doubles := 0
	for i := 1; i < len(t.Values); i++ {
		if t.Times[i] == t.Times[i-1] && t.Groups[i] == t.Groups[i-1] && len(t.Names) > 0 && sameRow(t.Values[i], t.Values[i-1]) {
			doubles++
		}
	}
	if doubles > 0 {
		t.note("%d rows repeat the row before them: all are kept", doubles)
	}
	if len(t.Values) > 1 {
		var constant []string
		for j, name := range t.Names {
			first := t.Values[0][j : j+1]
			if !slices.ContainsFunc(t.Values, func(row []float32) bool { return !sameRow(row[j:j+1], first) }) {
				constant = append(constant, name)
			}
		}
		if len(constant) > 0 {
			t.note("constant, and so without influence: %s", strings.Join(constant, ", "))
		}
	}
}

func sameRow(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool { return x == y || x != x && y != y })
}

// parseNumber reads a cell: there tells whether it holds anything, isNumber whether what it holds is a number.
func parseNumber(cell string) (v float64, there, isNumber bool) {
	cell = strings.TrimSpace(cell)
	if len(cell) == 0 {
		return math.NaN(), false, true
	}
	if v, err := strconv.ParseFloat(cell, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		return v, true, true
	}
	switch strings.ToLower(cell) {
	case "true", "yes":
		return 1, true, true
	case "false", "no":
		return 0, true, true
	case "na", "n/a", "null", "none", "-", "?":
		return math.NaN(), false, true
	}
	return math.NaN(), true, false
}

func parseLabel(cell string) (Label, error) {
	if len(cell) > maxCell {
		return Unlabelled, errors.New("the cell is too long")
	}
	switch word := strings.ToLower(strings.TrimSpace(cell)); word {
	case "1", "1.0", "true", "yes", "t", "y", "failed", "fail", "failure":
		return Failed, nil
	case "0", "0.0", "false", "no", "f", "n", "ok", "succeeded", "success", "passed":
		return Succeeded, nil
	case "", "nan", "na", "n/a", "null", "none", "?":
		return Unlabelled, nil
	default:
		if v, err := strconv.ParseFloat(word, 64); err == nil && (v == 0 || v == 1) {
			return Label(1 + v), nil
		}
		return Unlabelled, fmt.Errorf("%q is no outcome: 1 or true is a failure, 0 or false a success, empty is not known", shortened(cell))
	}
}

var layouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02",
	"2006/1/2 15:04:05", "2006/1/2 15:04", "2006/1/2", "2006-01-02 15:04:05 -0700", "2006-01-02 15:04:05 MST", time.RFC1123Z, time.RFC1123}

func parseTime(cell string) (float64, error) {
	cell = strings.TrimSpace(cell)
	if v, err := strconv.ParseFloat(cell, 64); err == nil && !math.IsNaN(v) && !math.IsInf(v, 0) {
		return v, nil
	}
	for _, layout := range layouts {
		if at, err := time.Parse(layout, cell); err == nil {
			return float64(at.Unix()) + float64(at.Nanosecond())/1e9, nil
		}
	}
	return 0, fmt.Errorf("%q is no time: write epoch seconds, RFC 3339 or a date such as 2026-01-31 15:04", shortened(cell))
}

func shortened(cell string) string {
	if len(cell) > 40 {
		cell = cell[:40] + "…"
	}
	return adg.Printable(cell)
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
