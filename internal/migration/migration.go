// Package migration reads folders of database migrations as the usual tools keep them, and says what stands between two
// revisions of a schema: whether the code of the older one runs on the newer one, what can be undone, and what is lost by
// it.
package migration

import (
	"errors"
	"fmt"
	"slices"

	"github.com/deployguardian/adg"
)

// Format is the tool whose rules a folder follows.
type Format string

// The formats.
const (
	GolangMigrate Format = "golang-migrate" // 42_name.up.sql and 42_name.down.sql
	Goose         Format = "goose"          // 42_name.sql with -- +goose Up and -- +goose Down
	Flyway        Format = "flyway"         // V1.2__name.sql, U1.2__name.sql, R__name.sql
	SQL           Format = "sql"            // name.sql and name.down.sql, in the order of their names
)

// Formats are all of them.
func Formats() []Format { return []Format{GolangMigrate, Goose, Flyway, SQL} }

// None is the revision of a schema to which no migration was applied.
const None = "0"

// Script is one direction of a migration.
type Script struct {
	File     string // where it stands
	Text     string // what is run; empty: there is none
	Line     int    // of the file at which Text begins, from 1
	NoTx     bool   // it must not be run in one transaction with anything else
	Checksum int32  // of the whole file, as Flyway counts it
}

// EndsTransaction is the line of the file in which the script ends a transaction; 0: it ends none.
func (s Script) EndsTransaction() int {
	for _, statement := range Split(s.Text) {
		if statement.ends() {
			return s.Line + statement.Line - 1
		}
	}
	return 0
}

// Migration is one step of a schema.
type Migration struct {
	Version  string // the revision that it leads to; empty: it is run whenever it has changed
	Name     string
	Up, Down Script
	Marks    Marks
}

// Marks are what people have declared about a migration, in comments such as "-- adg: expand" or in the folder's file
// adg.yaml.
type Marks struct {
	Expand       bool // it only adds: code that needs an older schema runs on it
	Contract     bool // it takes away what older code needs
	Irreversible bool // it must not be undone, whatever its down script says
	// CompatibleWith are revisions whose code, and all later code, runs on the schema after this migration.
	CompatibleWith []string
}

// Reversible tells whether it can be undone as far as people have declared and written: nothing is said about loss.
func (m Migration) Reversible() bool { return !m.Marks.Irreversible && len(Split(m.Down.Text)) > 0 }

// String names the migration for people.
func (m Migration) String() string {
	switch {
	case m.Version == "":
		return m.Name
	case m.Name == "" || m.Name == m.Version:
		return m.Version
	default:
		return m.Version + " " + m.Name
	}
}

// Folder is what was read.
type Folder struct {
	Format     Format
	Migrations []Migration // in the order in which they are applied
	Repeatable []Migration // those that are run anew whenever they have changed, in order
}

// Find is the migration of a version.
func (f Folder) Find(version string) (Migration, bool) {
	i := slices.IndexFunc(f.Migrations, func(m Migration) bool { return f.Format.Compare(m.Version, version) == 0 })
	if i < 0 {
		return Migration{}, false
	}
	return f.Migrations[i], true
}

// Between are the migrations that lead from one revision to a later one, in order: without the first one's own, with the
// last one's. A revision that the folder does not have is NotFound; one that is not later gives none.
func (f Folder) Between(from, to string) ([]Migration, error) {
	var errs []error
	for _, version := range []string{from, to} {
		if _, found := f.Find(version); !found && version != None {
			errs = append(errs, adg.Errorf(adg.NotFound, "there is no migration %s in the folder: bring the folder up to date, or correct the release's schema", version))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, adg.Errorf(adg.NotFound, "%w", err)
	}
	var found []Migration
	for _, m := range f.Migrations {
		if f.Format.Compare(m.Version, from) > 0 && f.Format.Compare(m.Version, to) <= 0 {
			found = append(found, m)
		}
	}
	return found, nil
}

// Valid refuses what is no revision of this format.
func (f Format) Valid(revision string) error {
	if revision == None {
		return nil
	}
	if _, err := f.parse(revision); err != nil {
		return adg.Errorf(adg.Invalid, "revision %q: %w", revision, err)
	}
	return nil
}

// Compare is negative where a comes before b. What is no revision of the format comes first.
func (f Format) Compare(a, b string) int {
	if a == b {
		return 0
	}
	return slices.Compare(f.parts(a), f.parts(b))
}

// Private

// part is a number or, in a folder of plain SQL, a name.
type part = string

// parse gives parts that compare as the revisions do.
func (f Format) parse(revision string) ([]part, error) {
	switch f {
	case GolangMigrate, Goose:
		n, err := number19(revision)
		return []part{n}, err
	case Flyway:
		return flywayParts(revision)
	case SQL:
		if err := adg.ValidVersion(revision); err != nil {
			return nil, fmt.Errorf("a file's name without .sql: %w", err)
		}
		return []part{revision}, nil
	default:
		return nil, fmt.Errorf("%q is no format", f)
	}
}

// parts of a revision; none of what comes before every migration.
func (f Format) parts(revision string) []part {
	parts, err := f.parse(revision)
	if err != nil || revision == None {
		return nil
	}
	return parts
}

// number19 is a number with as many digits as the longest has.
func number19(text string) (string, error) {
	if text == "" || length(text, digit) != len(text) {
		return "", errors.New("it is a whole number")
	}
	for len(text) > 1 && text[0] == '0' {
		text = text[1:]
	}
	if len(text) > 19 {
		return "", errors.New("it has more than 19 digits")
	}
	return fmt.Sprintf("%019s", text), nil
}

func digit(c byte) bool { return '0' <= c && c <= '9' }
