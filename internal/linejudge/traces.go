package linejudge

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/deployguardian/adg"
)

// Private

// trace is the CSV of sequential: a row is a bucket, and its answer is what the test has come to by then. Rows of
// another trace begin another test. Nothing is kept but the state of the test.
type trace struct {
	*table
	settings sequentialSettings
	arms     [4]int   // columns: the canary's bad and all, the control's
	groups   [][2]int // columns: bad and all of each of the control's replicas
	test     *test
	name     string
	index    int // of the next bucket
	bucket   bucket
}

var armColumns = []string{"canary_bad", "canary_all", "control_bad", "control_all"}

func (s *session) traces() error {
	r, err := s.request()
	if err != nil {
		return err
	}
	t := &trace{settings: r.(*sequentialRequest).sequentialSettings}
	t.table, err = s.begin(layout{
		key: "trace", needed: armColumns, further: ", group_1_bad, group_1_all, group_2_bad and so on", known: isGroup,
		answers: slices.Concat([]string{"bucket", "log_e"}, outcomeColumns),
	})
	if err == nil {
		err = t.place()
	}
	for err == nil {
		err = t.row()
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// isGroup tells whether a column is one of a replica of the control.
func isGroup(name string) bool {
	number, found := strings.CutPrefix(strings.TrimSuffix(strings.TrimSuffix(name, "_bad"), "_all"), "group_")
	n, err := strconv.Atoi(number)
	return found && err == nil && n > 0 && (name == groupColumn(n, "bad") || name == groupColumn(n, "all"))
}

func groupColumn(n int, what string) string { return fmt.Sprintf("group_%d_%s", n, what) }

// place finds the columns. Replicas count from 1 without a gap.
func (t *trace) place() error {
	column := func(name string) int { return slices.Index(t.names, name) }
	for i, name := range armColumns {
		t.arms[i] = column(name)
	}
	found := 0
	for _, name := range t.names {
		if isGroup(name) {
			found++
		}
	}
	for n := 1; 2*len(t.groups) < found; n++ {
		pair := [2]int{column(groupColumn(n, "bad")), column(groupColumn(n, "all"))}
		if pair[0] < 0 || pair[1] < 0 {
			return adg.Errorf(adg.Invalid, "the control's replicas count from 1 without a gap, and each has %s and %s", groupColumn(n, "bad"), groupColumn(n, "all"))
		}
		t.groups = append(t.groups, pair)
	}
	t.bucket = bucket{Canary: &counts{}, Control: &counts{}, Groups: make([]counts, len(t.groups))}
	return nil
}

// row answers the next row. One that is wrong is a bucket of which nothing is known: its time goes by, and those after
// it keep their place.
func (t *trace) row() error {
	row, wrong, err := t.next()
	if err != nil {
		return err
	}
	name := t.name
	if wrong == nil && t.key >= 0 {
		name = row[t.key]
	}
	if t.test == nil || name != t.name {
		if t.test, err = t.settings.begin(); err != nil {
			return err
		}
		t.name, t.index = name, 0
	}
	if wrong == nil {
		wrong = t.read(row)
	}
	if wrong == nil {
		wrong = t.test.next(&t.bucket)
	}
	t.index++
	if wrong != nil {
		t.test.pass()
		return t.answer(t.name, nil, t.failed(wrong))
	}
	o := t.test.outcome()
	return t.answer(t.name, slices.Concat([]string{strconv.Itoa(t.index - 1), t.test.logE().cell()}, o.row()), "")
}

// read fills the bucket.
func (t *trace) read(row []string) error {
	for _, c := range []struct {
		at   int
		into *float64
	}{{t.arms[0], &t.bucket.Canary.Bad}, {t.arms[1], &t.bucket.Canary.All}, {t.arms[2], &t.bucket.Control.Bad}, {t.arms[3], &t.bucket.Control.All}} {
		var err error
		if *c.into, err = parsed(t.names[c.at], row[c.at]); err != nil {
			return err
		}
	}
	for i, pair := range t.groups {
		var bad, all error
		t.bucket.Groups[i].Bad, bad = parsed(t.names[pair[0]], row[pair[0]])
		t.bucket.Groups[i].All, all = parsed(t.names[pair[1]], row[pair[1]])
		if bad != nil {
			return bad
		}
		if all != nil {
			return all
		}
	}
	return nil
}
