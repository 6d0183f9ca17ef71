package linejudge

import (
	"errors"
	"io"
	"math"
	"slices"

	"github.com/deployguardian/adg"
)

// Private

// column is a list of samples that a request has, and a column of the same name in CSV.
type column struct {
	name   string
	needed bool
	take   func(samples)
}

// listed is a request whose lists are columns.
type listed interface {
	request
	columns() []column
}

// metric is what the rows with the same name make up.
type metric struct {
	name  string
	lists []samples // as the columns
	wrong string    // with the first row that is
}

// metrics answers the CSV of the methods that need all samples: a row holds one sample for each list, and an empty
// cell none.
func (s *session) metrics() error {
	r, err := s.request()
	if err != nil {
		return err
	}
	columns := r.(listed).columns()
	l := layout{key: "metric", answers: limitsColumns}
	if s.Method == MannWhitney {
		l.answers = ranksColumns
	}
	for _, c := range columns {
		if c.needed {
			l.needed = append(l.needed, c.name)
		}
	}
	l.known = func(name string) bool {
		return slices.ContainsFunc(columns, func(c column) bool { return c.name == name })
	}
	t, err := s.begin(l)
	if err != nil {
		return err
	}
	all, err := t.gather(columns)
	if err != nil {
		return err
	}
	for _, m := range all {
		if err := t.judge(m); err != nil {
			return err
		}
	}
	return nil
}

// gather reads all rows; metrics come in the order in which they are first seen. A row that can't be read belongs to
// the metric before it.
func (t *table) gather(columns []column) ([]*metric, error) {
	var all []*metric
	known := map[string]*metric{}
	name := ""
	for rows := 0; ; rows++ {
		row, wrong, err := t.next()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		if rows == maxSamples {
			return nil, adg.Errorf(adg.Invalid, "more than %d rows: their answers come at the end, so give them in parts", maxSamples)
		}
		if wrong == nil && t.key >= 0 {
			name = row[t.key]
		}
		m := known[name]
		if m == nil {
			m = &metric{name: name, lists: make([]samples, len(columns))}
			known[name] = m
			all = append(all, m)
		}
		if wrong == nil {
			wrong = m.add(t, columns, row)
		}
		if wrong != nil && m.wrong == "" {
			m.wrong = t.located(wrong)
		}
	}
}

func (m *metric) add(t *table, columns []column, row []string) error {
	for i, c := range columns {
		at := slices.Index(t.names, c.name)
		if at < 0 || row[at] == "" {
			continue
		}
		v, err := parsed(c.name, row[at])
		if err != nil {
			return err
		}
		if math.IsInf(v, 0) {
			return adg.Errorf(adg.Invalid, "%s: an infinite value can't be compared", c.name)
		}
		m.lists[i] = append(m.lists[i], v)
	}
	return nil
}

// judge answers one metric: with what is wrong, if a row of it is. Half of its samples would be another question.
func (t *table) judge(m *metric) error {
	if m.wrong != "" {
		t.tally.Failed++
		return t.answer(m.name, nil, m.wrong)
	}
	r, err := t.request()
	if err != nil {
		return err
	}
	for i, c := range r.(listed).columns() {
		if slices.Contains(t.names, c.name) {
			c.take(append(samples{}, m.lists[i]...)) // a list without samples is still a list
		}
	}
	a, err := r.answer()
	if err != nil {
		t.tally.Failed++
		return t.answer(m.name, nil, err.Error())
	}
	return t.answer(m.name, a.row(), "")
}
