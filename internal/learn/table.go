package learn

import (
	"bufio"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/deployguardian/adg"
)

// CSV says how a table is read. The zero value reads what Write wrote, and tables whose columns have the usual names.
type CSV struct {
	Options
	Time   string   // column; empty: at, ts, time, timestamp, commit_ts or date
	Group  string   // column of the service; empty: service, app or group
	Label  string   // column with failed or not, where none says the outcome; empty: failed, failure or label
	Ignore []string // columns that are known only afterwards, or mean nothing
}

// ReadCSV reads a history from a table, plain or gzipped: one deployment in a row, its first line names the columns.
// Besides those that Write writes it takes the tables of adg predict evaluate: a time, and a label of 0 or 1; columns
// named rolled_back, blocked, hotfixed, incident or superseded with 1 in them say more exactly how it ended, and a link or
// a name in incident is that of one. What counts as a failure is what the rules say, else the row's counted_as_failed. Columns
// of numbers that are nothing else are features. Errors are Invalid and name the line.
func ReadCSV(r io.Reader, o CSV) (History, error) {
	if err := o.Rules.Validate(); err != nil {
		return History{}, err
	}
	recount := len(o.Rules.Count) > 0
	o.Rules = o.Rules.WithDefaults()
	plain, err := unzipped(r)
	if err != nil {
		return History{}, err
	}
	bounds := &limited{r: plain}
	in := csv.NewReader(bounds)
	in.ReuseRecord = true
	header, err := in.Read()
	if errors.Is(err, io.EOF) {
		return History{Rules: o.Rules, Notes: []string{"the table is empty"}}, nil
	}
	if err != nil {
		return History{}, adg.Errorf(adg.Invalid, "read the table: %w", err)
	}
	t, err := newTable(slices.Clone(header), o)
	if err != nil {
		return History{}, err
	}
	t.recount = recount
	for line := 1; ; line, _ = in.FieldPos(0) {
		bounds.next()
		record, err := in.Read()
		if errors.Is(err, io.EOF) {
			return t.history(), nil
		}
		if err == nil && len(t.rows) >= MaxDeployments {
			return History{}, errTooMany()
		}
		if err == nil {
			err = t.row(record)
		}
		if err != nil {
			return History{}, adg.Errorf(adg.Invalid, "line %d of the table: %w", lineOf(in, record, line, err), err)
		}
	}
}

// Write writes a history as a table that can be looked at, corrected and read again: ReadCSV gives the same
// deployments. The column failed is what a model learns (1 failed, 0 not, empty unknown); it follows from outcome,
// which is the one to correct. Features that are no finite number are left out. Words that a spreadsheet would take
// for a formula get an apostrophe in front.
func Write(w io.Writer, h History) error {
	features := map[string]bool{}
	for _, d := range h.Deployments {
		for name := range d.Features {
			features[name] = true
		}
	}
	names := slices.Sorted(maps.Keys(features))
	for _, name := range names {
		if err := ValidFeature(name); err != nil {
			return err
		}
	}
	if len(names) > maxColumns-len(columns) {
		return adg.Errorf(adg.Invalid, "the history has %d features, a table holds %d at most", len(names), maxColumns-len(columns))
	}
	out := csv.NewWriter(w)
	if err := out.Write(append(slices.Clone(columns), names...)); err != nil {
		return adg.Errorf(adg.Unavailable, "write the table: %w", err)
	}
	record := make([]string, len(columns)+len(names))
	for i, d := range h.Deployments {
		if err := fill(record, names, d, h); err != nil {
			return adg.Errorf(adg.CodeOf(err), "deployment %d: %w", i+1, err)
		}
		if err := out.Write(record); err != nil {
			return adg.Errorf(adg.Unavailable, "write the table: %w", err)
		}
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return adg.Errorf(adg.Unavailable, "write the table: %w", err)
	}
	return nil
}

// ValidFeature refuses names that a feature cannot have: they would not be told apart in a table.
func ValidFeature(name string) error {
	if !isFeature(name) {
		return adg.Errorf(adg.Invalid, "a feature cannot be called %q: use 1 to 100 printable characters, and none of the names of a history's own columns (%s)", cut(clean(name), 60), enumerate(columns))
	}
	return nil
}

// Private

const maxColumns = 512

var columns = []string{"service", "environment", "from", "to", "from_commit", "to_commit", "at", "actor", "outcome", "failed", "failed_at", "why", countedColumn}

// countedColumn says beside each deployment what counts as a failure of it.
const countedColumn = "counted_as_failed"

// spellings are the other usual names of columns.
var spellings = map[string][]string{
	"service":     {"app", "group"},
	"environment": {"env"},
	"from":        {"base_version"},
	"to":          {"version"},
	"at":          {"ts", "time", "timestamp", "commit_ts", "date"},
	"failed":      {"failure", "label"},
	"to_commit":   {"commit"},
	"actor":       {"author"},
}

// flag is a column with 1 in it for an outcome.
type flag struct {
	column  string
	outcome Outcome
}

// flags are the usual ones, the gravest first.
var flags = []flag{{"rolled_back", RolledBack}, {"blocked", Blocked}, {"hotfixed", Hotfixed}, {"incident", Incident}, {"superseded", Superseded}}

// lineOf is where reading stopped.
func lineOf(in *csv.Reader, record []string, before int, err error) int {
	if parse, ok := errors.AsType[*csv.ParseError](err); ok {
		return parse.Line
	}
	if len(record) == 0 { // it could not be read on
		return before + 1
	}
	line, _ := in.FieldPos(0)
	return line
}

func isFeature(name string) bool {
	return name != "" && name == clean(name) && len(name) <= 100 && !slices.Contains(columns, name) && !strings.HasPrefix(name, "\ufeff") &&
		!slices.ContainsFunc(flags, func(f flag) bool { return f.column == name })
}

func fill(record, names []string, d Deployment, h History) error {
	if !plausible(d.At) || !d.FailedAt.IsZero() && !plausible(d.FailedAt) {
		return adg.Errorf(adg.Invalid, "%s is no time of a deployment", d.At.UTC().Format(time.RFC3339))
	}
	outcome, err := d.Outcome.MarshalText()
	if err != nil {
		return err
	}
	failed := ""
	if bad, known := h.Label(d); known {
		failed = map[bool]string{true: "1", false: "0"}[bad]
	}
	failedAt := ""
	if !d.FailedAt.IsZero() {
		failedAt = d.FailedAt.UTC().Format(time.RFC3339Nano)
	}
	copy(record, []string{
		escaped(clean(d.Service)), escaped(clean(d.Environment)), escaped(clean(d.From)), escaped(clean(d.To)), escaped(clean(d.FromCommit)), escaped(clean(d.ToCommit)),
		d.At.UTC().Format(time.RFC3339Nano), escaped(clean(d.Actor)), string(outcome), failed, failedAt, escaped(cleanTo(d.Why, maxSentence)), escaped(cleanTo(d.Counted, maxSentence)),
	})
	for i, name := range names {
		record[len(columns)+i] = ""
		if v, found := d.Features[name]; found && !math.IsNaN(v) && !math.IsInf(v, 0) {
			record[len(columns)+i] = strconv.FormatFloat(v, 'g', -1, 64)
		}
	}
	return nil
}

// escaped keeps a spreadsheet from calculating a word.
func escaped(word string) string {
	if word != "" && strings.ContainsRune("=+-@'", rune(word[0])) {
		return "'" + word
	}
	return word
}

func unescaped(cell string) string { return strings.TrimPrefix(cell, "'") }

// table is a table that is being read.
type table struct {
	options  CSV
	recount  bool           // who reads it says what counts as a failure, whatever the table does
	at       map[string]int // position of each column that is known
	flags    map[int]Outcome
	features []int // positions of what may be features
	names    []string
	text     []int // per feature: cells that are no number
	filled   []int
	rows     []Deployment
}

func newTable(header []string, o CSV) (*table, error) {
	if len(header) > maxColumns {
		return nil, adg.Errorf(adg.Invalid, "the table has %d columns, at most %d are read", len(header), maxColumns)
	}
	t := &table{options: o, at: map[string]int{}, flags: map[int]Outcome{}}
	position := map[string]int{}
	for i, name := range header {
		name = strings.TrimSpace(name)
		if _, twice := position[name]; twice {
			return nil, adg.Errorf(adg.Invalid, "the table has two columns named %q", cut(name, 60))
		}
		position[name], header[i] = i, name
	}
	named := map[string]string{"at": o.Time, "service": o.Group, "failed": o.Label}
	used := map[int]bool{}
	for _, column := range columns {
		choices := append([]string{column}, spellings[column]...)
		if named[column] != "" {
			choices = []string{named[column]}
		}
		for _, choice := range choices {
			if i, found := position[choice]; found && !used[i] {
				t.at[column], used[i] = i, true
				break
			}
		}
		if _, found := t.at[column]; !found && named[column] != "" {
			return nil, adg.Errorf(adg.Invalid, "the table has no column %q", cut(named[column], 60))
		}
	}
	if _, found := t.at["at"]; !found {
		return nil, adg.Errorf(adg.Invalid, "no column says when: name one at, ts, time, timestamp or date, or say which it is")
	}
	for _, flag := range flags {
		if i, found := position[flag.column]; found && !used[i] {
			t.flags[i], used[i] = flag.outcome, true
		}
	}
	for i, name := range header {
		if !used[i] && isFeature(name) && !slices.Contains(o.Ignore, name) {
			t.features, t.names = append(t.features, i), append(t.names, name)
		}
	}
	t.text, t.filled = make([]int, len(t.features)), make([]int, len(t.features))
	return t, nil
}

func (t *table) cell(record []string, column string) string {
	if i, found := t.at[column]; found && i < len(record) {
		return strings.TrimSpace(record[i])
	}
	return ""
}

func (t *table) row(record []string) error {
	at, err := parseTime(t.cell(record, "at"))
	if err != nil {
		return err
	}
	word := func(column string) string { return strings.Clone(clean(unescaped(t.cell(record, column)))) }
	d := Deployment{
		Service: first(word("service"), clean(t.options.Service)), Environment: first(word("environment"), clean(t.options.Environment)),
		From: word("from"), To: word("to"), FromCommit: word("from_commit"), ToCommit: word("to_commit"), At: at,
		Actor: t.actor(word("actor")), Why: strings.Clone(cleanTo(unescaped(t.cell(record, "why")), maxSentence)),
	}
	if cell := t.cell(record, "failed_at"); cell != "" {
		if d.FailedAt, err = parseTime(cell); err != nil {
			return err
		}
	}
	if err := t.outcome(&d, record); err != nil {
		return err
	}
	if !t.recount {
		d.Counted = strings.Clone(cleanTo(unescaped(t.cell(record, countedColumn)), maxSentence))
		if _, err := countedIn(d.Counted); err != nil {
			return fmt.Errorf("%s: %w", countedColumn, err)
		}
	}
	for i, position := range t.features {
		cell := strings.TrimSpace(record[position])
		if cell == "" {
			continue
		}
		t.filled[i]++
		v, isNumber := parseNumber(cell)
		if !isNumber {
			t.text[i]++
			continue
		}
		if math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		if d.Features == nil {
			d.Features = map[string]float64{}
		}
		d.Features[t.names[i]] = v
	}
	t.rows = append(t.rows, d)
	return nil
}

// actor hashes what looks like an address or a name: only a pseudonym is taken as it is.
func (t *table) actor(word string) string {
	if len(word) == 16 && strings.Trim(word, "0123456789abcdef") == "" || word == "" {
		return word
	}
	if strings.Contains(word, "@") {
		return pseudonym(t.options.Key, "", word)
	}
	return pseudonym(t.options.Key, word, "")
}

// outcome takes the column outcome, else a flag that is set, else the label.
func (t *table) outcome(d *Deployment, record []string) error {
	if cell := strings.ToLower(t.cell(record, "outcome")); cell != "" {
		return d.Outcome.UnmarshalText([]byte(strings.ReplaceAll(cell, "_", "-")))
	}
	set := map[Outcome]bool{}
	for i, outcome := range t.flags {
		cell := strings.TrimSpace(record[i])
		v, isNumber := parseNumber(cell)
		set[outcome] = isNumber && v == 1
		if outcome == Incident && !isNumber && cell != "" {
			set[Incident], d.Why = true, first(d.Why, cleanTo("incident "+unescaped(cell), maxSentence))
		}
	}
	for _, flag := range flags {
		if set[flag.outcome] {
			d.Outcome, d.Why = flag.outcome, first(d.Why, "the table says so")
			return nil
		}
	}
	cell := strings.ToLower(t.cell(record, "failed"))
	switch v, isNumber := parseNumber(cell); {
	case isNumber && v == 1, cell == "failed", cell == "failure":
		d.Outcome, d.Why = Incident, first(d.Why, "the table says that it failed, not how")
	case isNumber && v == 0, cell == "ok", cell == "success", cell == "succeeded":
		d.Outcome, d.Why = Success, first(d.Why, "the table says that it did not fail")
	case cell == "", isNumber && math.IsNaN(v):
	default:
		return fmt.Errorf("%q is no outcome: 1 is a failure, 0 a success, empty is not known", clean(cut(cell, 40)))
	}
	return nil
}

func (t *table) history() History {
	var n notes
	for i, name := range t.names {
		if t.text[i] == 0 {
			continue
		}
		if 2*t.text[i] > t.filled[i] {
			n.add("column %s holds text and is no feature", name)
			for _, d := range t.rows {
				delete(d.Features, name)
			}
			continue
		}
		n.add("%d cells of column %s are no numbers and count as missing", t.text[i], name)
	}
	for i := range t.rows {
		if len(t.rows[i].Features) == 0 {
			t.rows[i].Features = nil
		}
	}
	backwards := 0
	for i := 1; i < len(t.rows); i++ {
		if t.rows[i].At.Before(t.rows[i-1].At) {
			backwards++
		}
	}
	n.counted(backwards, "time goes backwards %d times: the rows were put in time order")
	inTimeOrder(t.rows)
	rows := len(t.rows)
	t.rows = distinct(t.rows)
	n.counted(rows-len(t.rows), "%d rows repeat another's time, service, versions and commit and were left out")
	return History{Deployments: t.rows, Rules: t.options.Rules, Notes: n.texts}
}

func parseNumber(cell string) (v float64, isNumber bool) {
	if v, err := strconv.ParseFloat(cell, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		return v, true
	}
	switch strings.ToLower(cell) {
	case "true", "yes":
		return 1, true
	case "false", "no":
		return 0, true
	case "na", "n/a", "null", "none", "-", "?":
		return math.NaN(), true
	}
	return 0, false
}

var layouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02",
	"2006-01-02 15:04:05 -0700", "2006-01-02 15:04:05 MST"}

// parseTime reads RFC 3339, a date, or seconds, milliseconds or microseconds since 1970.
func parseTime(cell string) (time.Time, error) {
	at := time.Time{}
	if v, err := strconv.ParseFloat(cell, 64); err == nil {
		switch {
		case v >= 1e14:
			v /= 1e6
		case v >= 1e11:
			v /= 1e3
		}
		if v > 0 && v < 1e11 {
			whole, part := math.Modf(v)
			at = time.Unix(int64(whole), int64(math.Round(part*1e6))*1e3)
		}
	} else {
		for _, layout := range layouts {
			if parsed, err := time.Parse(layout, cell); err == nil {
				at = parsed
				break
			}
		}
	}
	if !plausible(at) {
		return time.Time{}, fmt.Errorf("%q is no time of a deployment: write RFC 3339, a date such as 2026-01-31 15:04, or seconds since 1970", clean(cut(cell, 40)))
	}
	return at.UTC(), nil
}

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
