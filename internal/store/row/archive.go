package row

import (
	"context"
	"iter"
)

// Archive is everything that a store keeps, as it was at one moment.
type Archive interface {
	// Count is how many rows of a table there are.
	Count(ctx context.Context, t Table) (int64, error)
	// Rows are those rows, in the order of the table's first column, with a value for each of its columns: an int64, a
	// bool, a string or bytes, as the column says, or nil where nothing is stored. A row is good until the next one. After
	// an error there are no more.
	Rows(ctx context.Context, t Table) iter.Seq2[[]any, error]
}

// Moved is how far a table has come on its way from one store to another.
type Moved struct {
	Table string
	Done  int64 // rows
	All   int64
}

// Table is a table that goes along when everything goes to another database, and what of it does. The databases may have
// columns of their own beside these.
type Table struct {
	Name    string
	Columns []Column
}

// Names are the names of the columns.
func (t Table) Names() []string {
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = c.Name
	}
	return names
}

// Column is a column of a table.
type Column struct {
	Name  string
	Holds Kind
}

// Kind is what a column holds.
type Kind uint8

// The kinds.
const (
	Number Kind = iota
	Truth
	Text
	Bytes
)

// Tables are all, those that others refer to first. Leases stay behind: nobody works on what has just moved. Their
// fences go along, so that a target knows the new owner as the later one.
var Tables = []Table{
	table("deployments", "n", Number, "id", Text, "service", Text, "environment", Text, "version", Number, "state", Text,
		"live", Truth, "due", Number, "fence", Number, "bad", Truth, "bad_since", Number),
	table("starts", "key", Text, "deployment", Number),
	table("specs", "deployment", Number, "spec", Text),
	table("statuses", "deployment", Number, "status", Text),
	table("effects", "n", Number, "op_id", Text, "deployment", Number, "effect", Text, "outcome", Text),
	table("commands", "n", Number, "id", Text, "deployment", Number, "command", Text, "answered", Number),
	table("ticks", "n", Number, "deployment", Number, "seq", Number, "at", Number, "keep", Truth, "assessed", Truth, "tick", Text),
	table("measurements", "n", Number, "deployment", Number, "at", Number, "keep", Truth, "name", Text, "measurement", Text),
	table("baselines", "n", Number, "deployment", Number, "name", Text, "baseline", Text),
	table("facts", "n", Number, "id", Text, "deployment", Number, "service", Text, "environment", Text, "kind", Text, "fact", Text, "cursor", Number),
	table("outbox", "n", Number, "fact", Number, "deployment", Number, "notifier", Text, "tries", Number, "due", Number, "dead", Truth, "why", Text, "ended", Number),
	table("standings", "n", Number, "service", Text, "environment", Text, "identity", Text, "standing", Text, "record", Text),
	table("holds", "service", Text, "environment", Text, "identity", Text, "until", Number, "hold", Text),
	table("slots", "n", Number, "at", Number),
	table("stops", "n", Number, "service", Text, "environment", Text, "actor", Text, "reason", Text, "at", Number, "ended", Number, "ended_by", Text),
	table("documents", "kind", Text, "key", Text, "version", Number, "updated", Number, "expires", Number, "data", Bytes),
	table("audit", "seq", Number, "at", Number, "actor", Text, "origin", Text, "action", Text, "resource", Text, "service", Text, "environment", Text,
		"outcome", Text, "reason", Text, "detail", Text, "prev", Text, "digest", Text),
}

// Private

// table names the columns and what each holds, in turns.
func table(name string, columns ...any) Table {
	t := Table{Name: name}
	for i := 0; i < len(columns); i += 2 {
		t.Columns = append(t.Columns, Column{columns[i].(string), columns[i+1].(Kind)})
	}
	return t
}
