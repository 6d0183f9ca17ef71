package linejudge

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/deployguardian/adg"
)

// Private

// table is CSV that is read line by line: a cell ends on the line that it begins on, so that a quote that is never
// closed spoils one line, and not the rest.
type table struct {
	*session
	csv   *csv.Writer
	names []string
	key   int // the column that tells what belongs together; -1: all does
	width int // columns of an answer
}

// layout is which columns a table has.
type layout struct {
	key     string   // may be there
	needed  []string // have to be there
	further string   // what else may be there, for people
	known   func(name string) bool
	answers []string
}

// begin reads the names of the columns and writes those of the answers.
func (s *session) begin(l layout) (*table, error) {
	t := &table{session: s, csv: csv.NewWriter(s.out), width: len(l.answers)}
	line, err := s.in.next()
	if err == nil {
		t.names, err = cells(line)
	}
	switch {
	case errors.Is(err, io.EOF) || err == nil && len(bytes.TrimSpace(line)) == 0:
		return nil, adg.Errorf(adg.Invalid, "the first line names the columns: %s", strings.Join(l.needed, ","))
	case err != nil:
		return nil, fmt.Errorf("reading the names of the columns: %w", err)
	}
	for i, name := range t.names {
		switch {
		case slices.Contains(t.names[:i], name):
			return nil, adg.Errorf(adg.Invalid, "there are two columns %q", cut(name))
		case name != l.key && !slices.Contains(l.needed, name) && !l.known(name):
			return nil, adg.Errorf(adg.Invalid, "unknown column %q: choose from %s%s, and %s", cut(name), strings.Join(l.needed, ", "), l.further, l.key)
		}
	}
	for _, name := range l.needed {
		if !slices.Contains(t.names, name) {
			return nil, adg.Errorf(adg.Invalid, "there is no column %q: %s needs %s", name, s.Method, strings.Join(l.needed, ","))
		}
	}
	header := append(slices.Clone(l.answers), "error")
	if t.key = slices.Index(t.names, l.key); t.key >= 0 {
		header = append([]string{l.key}, header...)
	}
	return t, t.write(header)
}

// next is the next row; lines without anything are no rows. What is wrong with a row comes as wrong, and what ends the
// reading as err.
func (t *table) next() (row []string, wrong, err error) {
	for {
		line, err := t.in.next()
		switch {
		case errors.Is(err, errTooLong):
			return nil, err, nil
		case errors.Is(err, io.EOF):
			return nil, nil, io.EOF
		case err != nil:
			return nil, nil, fmt.Errorf("reading line %d: %w", t.in.number, err)
		case len(bytes.TrimSpace(line)) == 0:
			continue
		}
		row, wrong := cells(line)
		if wrong == nil && len(row) != len(t.names) {
			wrong = adg.Errorf(adg.Invalid, "%d cells where there are %d columns", len(row), len(t.names))
		}
		return row, wrong, nil
	}
}

// answer writes a row, after the key where there is one; wrong is what it says in place of an answer.
func (t *table) answer(key string, row []string, wrong string) error {
	t.tally.Answers++
	if wrong != "" {
		row = make([]string, t.width)
	}
	row = append(slices.Clone(row), wrong)
	if t.key >= 0 {
		row = append([]string{key}, row...)
	}
	return t.write(row)
}

func (t *table) write(row []string) error {
	if err := t.csv.Write(row); err != nil {
		return fmt.Errorf("writing an answer: %w", err)
	}
	return t.hand()
}

// cells are those of one line.
func cells(line []byte) ([]string, error) {
	row := strings.Split(string(line), ",")
	if bytes.IndexByte(line, '"') >= 0 {
		var err error
		if row, err = csv.NewReader(bytes.NewReader(line)).Read(); err != nil {
			return nil, adg.Errorf(adg.Invalid, "a quote has to stand at both ends of a cell, on one line")
		}
	}
	for i, cell := range row {
		row[i] = strings.TrimSpace(cell)
	}
	return row, nil
}

// parsed is a cell's number; NaN is one.
func parsed(column, cell string) (float64, error) {
	v, err := strconv.ParseFloat(cell, 64)
	if err != nil {
		return math.NaN(), adg.Errorf(adg.Invalid, "%s: %q is no number", column, cut(cell))
	}
	return v, nil
}
