package migration

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/deployguardian/adg"
)

// Read reads a folder, not those inside it. A folder that is not there is NotFound; what is there and cannot be
// understood is Invalid, with every problem at once: nothing is passed over that the tool itself would run.
func Read(fsys fs.FS, format Format) (Folder, error) {
	files, err := load(fsys)
	if err != nil {
		return Folder{}, err
	}
	r := reader{folder: Folder{Format: format}, files: files, index: map[string]int{}}
	switch format {
	case GolangMigrate:
		r.golangMigrate()
	case Goose:
		r.goose()
	case Flyway:
		r.flyway()
	case SQL:
		r.plain()
	default:
		return Folder{}, adg.Errorf(adg.Invalid, "format %q: use golang-migrate, goose, flyway or sql", format)
	}
	r.declared()
	if len(r.problems) > 0 {
		return Folder{}, adg.Errorf(adg.Invalid, "%w", errors.Join(r.problems...))
	}
	slices.SortStableFunc(r.folder.Migrations, func(a, b Migration) int { return format.Compare(a.Version, b.Version) })
	slices.SortStableFunc(r.folder.Repeatable, func(a, b Migration) int { return cmp.Compare(a.Name, b.Name) })
	return r.folder, nil
}

// Private

const (
	maxFiles = 10_000
	maxBytes = 4 << 20 // of one file
	maxTotal = 64 << 20
)

type file struct{ name, text string }

type reader struct {
	folder   Folder
	files    []file
	index    map[string]int // of a version in folder.Migrations
	problems []error
}

func (r *reader) problem(format string, args ...any) {
	r.problems = append(r.problems, fmt.Errorf(format, args...))
}

func load(fsys fs.FS) ([]file, error) {
	entries, err := fs.ReadDir(fsys, ".")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, adg.Errorf(adg.NotFound, "the folder of migrations is not there: %w", err)
	case err != nil:
		return nil, adg.Errorf(adg.Unavailable, "read the folder of migrations: %w", err)
	case len(entries) > maxFiles:
		return nil, adg.Errorf(adg.Invalid, "there are %d files in the folder of migrations, more than %d", len(entries), maxFiles)
	}
	var files []file
	total := 0
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() || name != declarations && !slices.Contains([]string{".sql", ".go"}, path.Ext(name)) {
			continue
		}
		if info, err := e.Info(); err == nil && info.Size() > maxBytes {
			return nil, adg.Errorf(adg.Invalid, "%s is larger than %d bytes", name, maxBytes)
		}
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, adg.Errorf(adg.Unavailable, "read %s: %w", name, err)
		}
		if total += len(text); total > maxTotal {
			return nil, adg.Errorf(adg.Invalid, "the folder of migrations is larger than %d bytes", maxTotal)
		}
		text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
		if !utf8.Valid(text) || bytes.IndexByte(text, 0) >= 0 {
			return nil, adg.Errorf(adg.Invalid, "%s is no text in UTF-8", name)
		}
		files = append(files, file{name, string(text)})
	}
	return files, nil
}

// sql are the files with this ending.
func (r *reader) sql() []file {
	return slices.DeleteFunc(slices.Clone(r.files), func(f file) bool { return path.Ext(f.name) != ".sql" })
}

// script is a whole file.
func script(f file) Script {
	return Script{File: f.name, Text: f.text, Line: 1, NoTx: mustStandAlone(f.text), Checksum: checksum(f.text)}
}

// put adds one direction of a migration. The version is as the tool keeps it in its table; marked is where its marks stand.
func (r *reader) put(version, name string, up bool, s Script, marked string) {
	if len(r.folder.Format.parts(version)) == 0 || r.folder.Format.Compare(version, "00") == 0 {
		r.problem("%s: there is no migration 0: it would be the empty schema", s.File)
		return
	}
	parts, _ := r.folder.Format.parse(version) // it was found valid
	key := strings.Join(parts, ".")
	at, found := r.index[key]
	if !found {
		at = len(r.folder.Migrations)
		r.index[key] = at
		r.folder.Migrations = append(r.folder.Migrations, Migration{Version: version})
	}
	m := &r.folder.Migrations[at]
	side := &m.Down
	if up {
		side = &m.Up
		m.Name = name
	}
	if side.File != "" {
		r.problem("%s and %s are the same version %s: rename one of them", side.File, s.File, version)
		return
	}
	*side = s
	if m.Name == "" {
		m.Name = name
	}
	r.mark(&m.Marks, s.File, marked)
}

// complete refuses ways back without a way there.
func (r *reader) complete() {
	for _, m := range r.folder.Migrations {
		if m.Up.File == "" {
			r.problem("%s: there is no way up for it: add the file, or remove this one", m.Down.File)
		}
	}
}

func (r *reader) golangMigrate() {
	for _, f := range r.sql() {
		stem, up := strings.CutSuffix(f.name, ".up.sql")
		stem, down := strings.CutSuffix(stem, ".down.sql")
		version, name, cut := strings.Cut(stem, "_")
		if up == down || !cut || GolangMigrate.Valid(version) != nil {
			r.problem("%s: golang-migrate has files such as 42_name.up.sql and 42_name.down.sql", f.name)
			continue
		}
		r.put(canonicalNumber(version), name, up, script(f), f.text)
	}
	r.complete()
}

func (r *reader) plain() {
	for _, f := range r.sql() {
		stem, down := strings.CutSuffix(f.name, ".down.sql")
		if !down {
			stem = strings.TrimSuffix(strings.TrimSuffix(f.name, ".sql"), ".up")
		}
		if err := SQL.Valid(stem); err != nil {
			r.problem("%s: %w", f.name, err)
			continue
		}
		r.put(stem, stem, !down, script(f), f.text)
	}
	r.complete()
}

func (r *reader) goose() {
	for _, f := range r.files {
		if f.name == declarations || strings.HasSuffix(f.name, "_test.go") {
			continue
		}
		version, name, cut := strings.Cut(strings.TrimSuffix(strings.TrimSuffix(f.name, ".sql"), ".go"), "_")
		if !cut || Goose.Valid(version) != nil {
			if path.Ext(f.name) == ".sql" {
				r.problem("%s: goose has files such as 00042_name.sql", f.name)
			}
			continue
		}
		if path.Ext(f.name) == ".go" {
			r.problem("%s: a migration written in Go can only be run by its own program: use the target command for this folder", f.name)
			continue
		}
		up, down, err := gooseScripts(f)
		if err != nil {
			r.problem("%s: %w", f.name, err)
			continue
		}
		r.put(canonicalNumber(version), name, true, up, f.text)
		if down.Text != "" {
			r.put(canonicalNumber(version), name, false, down, "")
		}
	}
}

// canonicalNumber is the number as a table of numbers gives it back.
func canonicalNumber(version string) string {
	return cmp.Or(strings.TrimLeft(version, "0"), None)
}

// gooseScripts takes a file apart by its annotations. Where statements end is told by the text itself, so that
// StatementBegin and StatementEnd say nothing new.
func gooseScripts(f file) (up, down Script, err error) {
	up, down = Script{File: f.name, Checksum: checksum(f.text)}, Script{File: f.name}
	var side *Script
	noTx, inside := false, false
	for n, line := range splitLines(f.text) {
		annotation, found := gooseAnnotation(line)
		switch {
		case !found:
			if side != nil {
				side.Text += line
			}
			continue
		case annotation == "Up" && side == nil:
			side = &up
		case annotation == "Down" && side == &up && !inside:
			side = &down
		case annotation == "StatementBegin" && side != nil && !inside:
			inside = true
		case annotation == "StatementEnd" && inside:
			inside = false
		case annotation == "NO TRANSACTION":
			noTx = true
		case strings.HasPrefix(annotation, "ENVSUB"):
			return up, down, fmt.Errorf("line %d: values of the environment are not put into migrations here: write them out, or use the target command", n+1)
		default:
			return up, down, fmt.Errorf("line %d: the annotation %q stands where goose does not know it", n+1, annotation)
		}
		if side != nil && side.Line == 0 {
			side.Line = n + 2
		} else if side != nil {
			side.Text += "\n" // an annotation inside keeps the lines that are counted
		}
	}
	switch {
	case side == nil:
		return up, down, errors.New("it must start with -- +goose Up")
	case inside:
		return up, down, errors.New("-- +goose StatementEnd is missing")
	}
	up.NoTx, down.NoTx = noTx, noTx
	if len(Split(down.Text)) == 0 {
		down = Script{}
	}
	return up, down, nil
}

func gooseAnnotation(line string) (string, bool) {
	line = strings.TrimSpace(line)
	if !strings.HasPrefix(line, "--") || !strings.Contains(line, "+goose") {
		return "", false
	}
	text := strings.Replace(strings.ReplaceAll(line, "--", ""), "+goose", "", 1)
	text = strings.TrimSpace(text)
	for _, known := range []string{"Up", "Down", "StatementBegin", "StatementEnd", "NO TRANSACTION"} {
		if strings.EqualFold(text, known) {
			return known, true
		}
	}
	return strings.ToUpper(text), true
}

// splitLines are the lines with their ends.
func splitLines(text string) []string {
	return slices.Collect(strings.Lines(text))
}

// begins tells whether it begins a transaction.
func (s Statement) begins() bool { return len(s.tokens) > 0 && s.tokens[0].is("begin", "start") }

// ends tells whether it ends one, not only what was done since a savepoint.
func (s Statement) ends() bool {
	switch {
	case len(s.tokens) == 0:
		return false
	case s.tokens[0].is("rollback"):
		return !slices.ContainsFunc(s.tokens, func(t token) bool { return t.is("to") })
	case s.tokens[0].is("prepare"):
		return len(s.tokens) > 1 && s.tokens[1].is("transaction")
	default:
		return s.tokens[0].is("commit", "end", "abort")
	}
}

// mustStandAlone tells whether PostgreSQL refuses the script in a transaction, or whether it makes its own.
func mustStandAlone(text string) bool {
	return slices.ContainsFunc(Split(text), func(s Statement) bool {
		if len(s.tokens) == 0 {
			return false
		}
		first := s.tokens[0]
		has := func(word string) bool {
			return slices.ContainsFunc(s.tokens, func(t token) bool { return t.is(word) })
		}
		second := token{}
		if len(s.tokens) > 1 {
			second = s.tokens[1]
		}
		switch {
		case s.begins(), s.ends(), first.is("vacuum"):
			return true
		case first.is("create", "drop", "reindex", "refresh", "alter") && has("concurrently"):
			return !first.is("refresh")
		case first.is("create", "drop"):
			return second.is("database", "tablespace", "subscription")
		case first.is("alter"):
			return second.is("system", "database")
		case first.is("reindex"):
			return has("database") || has("schema") || has("system")
		}
		return false
	})
}
