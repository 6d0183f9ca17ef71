// Package records reads measurements of others that stand in a folder beside the project: they are used where they
// are, and a benchmark says so when they are not there.
package records

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"strconv"

	"github.com/deployguardian/adg/bench/judge/view"
)

// ErrMissing is that the data, or a program needed to read it, is not there.
var ErrMissing = errors.New("not there")

// Point is what a service did in one step of a recording.
type Point struct {
	At int64 // seconds since 1970
	view.Window
	Counted bool // whether the number of requests is known; else All is nominal, and only the ratio means something
}

// Episode is a stretch of a recording that is judged against one before it.
type Episode struct {
	Name   string
	Kind   string // of the fault; empty: none is known
	Before []Point
	After  []Point
}

// Private

// table is a CSV file with a line of column names.
type table struct {
	columns map[string]int
	rows    [][]string
}

func open(name string) (*os.File, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", name, ErrMissing)
	}
	return f, err
}

func readAll(in io.Reader) ([][]string, error) {
	r := csv.NewReader(in)
	r.FieldsPerRecord = -1
	rows, err := r.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("reading a table: %w", err)
	}
	return rows, nil
}

func readTable(name string) (*table, error) {
	f, err := open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	rows, err := readAll(f)
	if err != nil || len(rows) == 0 {
		return nil, errors.Join(err, fmt.Errorf("%s has no line of column names", name))
	}
	t := &table{columns: map[string]int{}, rows: rows[1:]}
	for i, column := range rows[0] {
		t.columns[column] = i
	}
	return t, nil
}

// number is a field; NaN where there is none.
func (t *table) number(row []string, column string) float64 {
	i, found := t.columns[column]
	if !found || i >= len(row) {
		return math.NaN()
	}
	return parse(row[i])
}

func parse(text string) float64 {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return math.NaN()
	}
	return v
}
