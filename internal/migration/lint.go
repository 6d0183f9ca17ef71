package migration

import (
	"fmt"
	"slices"
	"strings"
)

// Kind is what is wrong with a statement.
type Kind string

// The kinds. What cannot be judged is never taken for harmless.
const (
	Loss     Kind = "loss"     // rows, columns or values are gone afterwards
	Breaks   Kind = "breaks"   // code that was written for the schema before may not run any more
	Locks    Kind = "locks"    // others wait for long
	Unjudged Kind = "unjudged" // it may be any of these
)

// Finding is what the linter says about a statement.
type Finding struct {
	Kind Kind
	File string
	Line int
	Text string // a sentence for people
	Way  string // the way out, a sentence; empty: there is none
}

// String is the finding in one line.
func (f Finding) String() string {
	text := fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Text)
	if f.Way != "" {
		text += " (" + f.Way + ")"
	}
	return text
}

// LintUp says what the migration does to rows, to the code of before, and to others that work meanwhile.
func (m Migration) LintUp() []Finding { return lint(m.Up, m.Down) }

// LintDown says what its undoing does.
func (m Migration) LintDown() []Finding { return lint(m.Down, m.Up) }

// Private

// linter goes through one script, statement by statement.
type linter struct {
	script   Script
	line     int // of the file, where the statement begins
	found    []Finding
	created  map[string]bool   // tables that the script itself has made so far: they are empty and nobody uses them
	typeWas  map[string]string // of table.column, as far as the other direction tells
	unusual  bool              // strings are not read as the standard says from here on
	concerns reading
}

// reading is a statement being read.
type reading struct {
	tokens []token
	at     int
}

func lint(s, opposite Script) []Finding {
	l := linter{script: s, created: map[string]bool{}, typeWas: typesSet(opposite)}
	for _, statement := range Split(s.Text) {
		l.line = s.Line + statement.Line - 1
		l.concerns = reading{tokens: statement.tokens}
		switch {
		case statement.broken != "":
			l.add(Unjudged, "write it so that PostgreSQL reads it", "the statement cannot be read: %s", statement.broken)
		case l.unusual:
			l.add(Unjudged, "leave the setting as it is", "the statement comes after standard_conforming_strings was set, and cannot be read for sure")
		case statement.has(meta):
			l.add(Unjudged, "write it in SQL: neither adg nor the tools of migrations run commands of psql", "the statement has a command of psql in it")
		default:
			l.statement()
		}
	}
	return l.found
}

func (s Statement) has(k kind) bool {
	return slices.ContainsFunc(s.tokens, func(t token) bool { return t.kind == k })
}

func (l *linter) add(kind Kind, way, format string, args ...any) {
	l.found = append(l.found, Finding{Kind: kind, File: l.script.File, Line: l.line, Text: fmt.Sprintf(format, args...), Way: way})
}

// unjudged is for every statement that has no rule.
func (l *linter) unjudged() {
	words := make([]string, 0, 4)
	for _, t := range l.concerns.tokens[:min(4, len(l.concerns.tokens))] {
		if t.kind != word && t.kind != quoted {
			break
		}
		words = append(words, t.text)
	}
	l.add(Unjudged, "look at it yourself, and mark the migration", "what %q does cannot be judged", strings.Join(words, " "))
}

func (l *linter) statement() {
	c := &l.concerns
	switch first := c.next(); {
	case first.is("alter"):
		l.alter()
	case first.is("create"):
		l.create()
	case first.is("drop"):
		l.drop()
	case first.is("delete", "truncate"):
		l.add(Loss, "keep the rows, or copy them to another table first", "%s takes rows away", strings.ToUpper(first.text))
	case first.is("update"):
		l.add(Loss, "write the new values into a new column", "UPDATE overwrites values: what stood there is gone")
		l.calls()
	case first.is("insert"):
		l.insert()
	case first.is("select", "values", "table"):
		l.reads()
	case first.is("merge"):
		l.add(Loss, "use INSERT", "MERGE may overwrite rows or take them away")
	case first.is("set", "reset", "show"):
		if l.unusual = c.has("standard_conforming_strings") && !c.has("on"); l.unusual {
			l.unjudged()
		}
	case first.is("begin", "start", "commit", "end", "savepoint", "release", "grant", "comment", "analyze"):
	case first.is("revoke"):
		l.add(Breaks, "revoke it when no code needs it any more", "REVOKE takes rights away that the code of before may need")
	default:
		l.maintenance(first)
	}
}

// maintenance is what changes no row, but may keep everybody waiting.
func (l *linter) maintenance(first token) {
	c := &l.concerns
	switch {
	case first.is("vacuum") && !c.has("full"):
	case first.is("vacuum", "cluster", "lock"):
		l.add(Locks, "do it outside migrations, at a quiet time", "%s keeps everybody away from the table", strings.ToUpper(first.text))
	case first.is("reindex"), first.is("refresh"):
		if !c.has("concurrently") {
			l.add(Locks, "add CONCURRENTLY", "%s without CONCURRENTLY keeps readers or writers waiting until it has ended", strings.ToUpper(first.text))
		}
	default:
		l.unjudged()
	}
}

func (l *linter) create() {
	c := &l.concerns
	replaces := c.take("or", "replace")
	for c.take("temporary") || c.take("temp") || c.take("unlogged") || c.take("global") || c.take("local") || c.take("recursive") {
		continue
	}
	unique := c.take("unique")
	switch kind := c.next(); {
	case kind.is("table"):
		perhaps := c.take("if", "not", "exists")
		if table := c.name(); !perhaps { // otherwise it may have been there before
			l.created[table] = true
		}
		if c.pass("as") {
			l.reads()
		}
	case kind.is("index"):
		l.createIndex(unique)
	case kind.is("materialized"):
		l.calls()
	case kind.is("view", "function", "procedure", "aggregate"):
		if replaces {
			l.add(Breaks, "give it a new name while the old code runs", "CREATE OR REPLACE %s changes what the code of before may use", strings.ToUpper(kind.text))
		}
	case kind.is("trigger", "rule", "constraint", "event"):
		l.add(Breaks, "make sure that the code of before stands it", "CREATE %s changes what happens when the code of before writes", strings.ToUpper(kind.text))
	case kind.is("type", "domain", "schema", "sequence", "extension", "policy", "statistics", "collation", "cast", "operator", "role", "user",
		"publication", "text", "server", "foreign"):
		if kind.is("schema") && c.hasAny("create", "grant") || kind.is("extension") && c.has("cascade") {
			l.unjudged()
		}
	default:
		l.unjudged()
	}
}

func (l *linter) createIndex(unique bool) {
	c := &l.concerns
	concurrently := c.has("concurrently")
	for c.at < len(c.tokens) && !c.take("on") {
		c.at++
	}
	c.take("only")
	if table := c.name(); l.created[table] {
		return
	}
	if !concurrently {
		l.add(Locks, "CREATE INDEX CONCURRENTLY, in a migration of its own", "CREATE INDEX without CONCURRENTLY keeps writers waiting until it has ended")
	}
	if unique {
		l.add(Breaks, "make sure that the code of before writes no value twice", "a unique index refuses what the code of before may write")
	}
}

// drop says what goes. Of what only code uses nothing is lost but the code that needs it.
func (l *linter) drop() {
	c := &l.concerns
	what := c.next()
	if what.is("materialized", "foreign", "event", "text", "access") {
		c.next()
	}
	c.take("concurrently")
	c.take("if", "exists")
	switch {
	case what.is("table", "schema", "database", "sequence", "extension", "owned", "foreign", "tablespace", "large"):
		if what.is("table") && l.created[c.name()] && !c.has(",") && !c.has("cascade") {
			return
		}
		l.add(Loss, "leave it until no release needs it, and keep a backup", "DROP %s takes away what is in it", strings.ToUpper(what.text))
		l.add(Breaks, "drop it in a release after the last one that uses it", "DROP %s takes away what the code of before may use", strings.ToUpper(what.text))
		return
	case what.is("view", "materialized", "function", "procedure", "routine", "aggregate", "type", "domain", "role", "user", "operator", "collation", "cast"):
		l.add(Breaks, "drop it when no code needs it any more", "DROP %s takes away what the code of before may use", strings.ToUpper(what.text))
	case what.is("index", "trigger", "rule", "policy", "statistics", "event", "publication", "text"):
	default:
		l.unjudged()
		return
	}
	if c.has("cascade") {
		l.add(Unjudged, "leave CASCADE away, and drop each thing by its name", "what else DROP %s … CASCADE takes away, such as columns, cannot be judged", strings.ToUpper(what.text))
	}
}

func (l *linter) insert() {
	c := &l.concerns
	for i, t := range c.tokens {
		if t.is("update") && i > 0 && c.tokens[i-1].is("do") {
			l.add(Loss, "use ON CONFLICT DO NOTHING", "INSERT … ON CONFLICT DO UPDATE overwrites values: what stood there is gone")
		}
	}
	c.take("into")
	c.name()
	if c.take("as") {
		c.name()
	}
	if c.at < len(c.tokens) && c.tokens[c.at].is("(") {
		c.parentheses()
	}
	l.reads()
}

// reads is the rest of a statement that reads rows: it may write by what it calls, and by a WITH.
func (l *linter) reads() {
	c := &l.concerns
	for i := c.at; i < len(c.tokens); i++ {
		before := c.tokens[max(i-1, 0)]
		if c.tokens[i].is("delete", "merge") || c.tokens[i].is("update") && !before.is("for", "key", "do") {
			l.add(Loss, "write it as a statement of its own", "%s in it takes rows or values away", strings.ToUpper(c.tokens[i].text))
			return
		}
	}
	l.calls()
}

// calls says of the first function that is not known to do nothing that it may do anything.
func (l *linter) calls() {
	c := &l.concerns
	for i := max(c.at, 1); i+1 < len(c.tokens); i++ {
		t, before := c.tokens[i], c.tokens[i-1]
		foreign := before.is(".") && i > 1 && !c.tokens[i-2].is("pg_catalog")
		switch {
		case !c.tokens[i+1].is("("), t.kind != word && t.kind != quoted:
		case t.kind == word && harmless[t.text] && !foreign:
		case before.is("into", "references", "with", "as"): // names of columns follow
		default:
			l.add(Unjudged, "look at it yourself, and mark the migration", "what the function %s does cannot be judged", t.text)
			return
		}
	}
}

func (r *reading) next() token {
	if r.at >= len(r.tokens) {
		return token{}
	}
	r.at++
	return r.tokens[r.at-1]
}

// take passes over these words, if they come next.
func (r *reading) take(words ...string) bool {
	if r.at+len(words) > len(r.tokens) {
		return false
	}
	for i, w := range words {
		if !r.tokens[r.at+i].is(w) {
			return false
		}
	}
	r.at += len(words)
	return true
}

func (r *reading) has(text string) bool { return r.hasAny(text) }

func (r *reading) hasAny(text ...string) bool {
	return slices.ContainsFunc(r.tokens, func(t token) bool { return t.is(text...) })
}

// pass goes on behind a word that stands in no parentheses; false: there is none.
func (r *reading) pass(word string) bool {
	for r.at < len(r.tokens) {
		switch {
		case r.take(word):
			return true
		case r.tokens[r.at].is("("):
			r.parentheses()
		default:
			r.at++
		}
	}
	return false
}

// name reads one, with its schema; empty: there is none.
func (r *reading) name() string {
	var parts []string
	for r.at < len(r.tokens) {
		t := r.tokens[r.at]
		if t.kind != word && t.kind != quoted {
			break
		}
		parts = append(parts, t.text)
		r.at++
		if !r.take(".") {
			break
		}
	}
	return strings.Join(parts, ".")
}

// parentheses passes over a pair, with what is in it.
func (r *reading) parentheses() {
	depth := 0
	for r.at < len(r.tokens) {
		switch t := r.next(); {
		case t.is("("):
			depth++
		case t.is(")"):
			depth--
		}
		if depth <= 0 {
			return
		}
	}
}
