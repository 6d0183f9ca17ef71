package migration

import (
	"slices"
	"strconv"
	"strings"
)

// Private

// alter judges ALTER: of a table action by action, of the rest what is common.
func (l *linter) alter() {
	c := &l.concerns
	what := c.next()
	switch {
	case what.is("table"), what.is("foreign") && c.take("table"):
		l.alterTable()
	case what.is("type") && l.losesAttributes():
		l.add(Loss, "make a new type", "ALTER TYPE changes the attributes of values that are there")
	case c.has("rename"), c.hasSet("schema"):
		if !what.is("index") {
			l.add(Breaks, "add the new name beside the old one, and take the old one away when no code uses it", "renaming breaks the code that uses the old name")
		}
	case what.is("type") && c.has("add"), c.has("owner"):
	case what.is("index", "statistics", "publication"):
	default:
		l.unjudged()
	}
}

// losesAttributes looks at what follows the name of a type.
func (l *linter) losesAttributes() bool {
	c := &l.concerns
	c.name()
	return slices.ContainsFunc(c.tokens[c.at:], func(t token) bool { return t.is("drop", "alter") })
}

func (r *reading) hasSet(what string) bool {
	for i := range len(r.tokens) - 1 {
		if r.tokens[i].is("set") && r.tokens[i+1].is(what) {
			return true
		}
	}
	return false
}

func (l *linter) alterTable() {
	c := &l.concerns
	c.take("if", "exists")
	c.take("only")
	table := c.name()
	c.take("*")
	if table == "all" || table == "" {
		l.unjudged()
		return
	}
	for _, action := range c.actions() {
		if l.created[table] && !action.tokens[0].is("detach", "set") {
			continue // it is empty, and nobody uses it yet
		}
		l.action(table, &action)
	}
}

// actions are the parts between commas.
func (r *reading) actions() []reading {
	var all []reading
	depth, begin := 0, r.at
	for i := r.at; i <= len(r.tokens); i++ {
		if i == len(r.tokens) || depth == 0 && r.tokens[i].is(",") {
			if i > begin {
				all = append(all, reading{tokens: r.tokens[begin:i]})
			}
			begin = i + 1
			continue
		}
		switch t := r.tokens[i]; {
		case t.is("("):
			depth++
		case t.is(")"):
			depth--
		}
	}
	return all
}

func (l *linter) action(table string, a *reading) {
	switch first := a.next(); {
	case first.is("add"):
		l.addTo(table, a)
	case first.is("drop"):
		l.dropFrom(table, a)
	case first.is("alter"):
		l.alterColumn(table, a)
	case first.is("rename"):
		if !a.take("constraint") {
			l.add(Breaks, "add the new name beside the old one, and take the old one away when no code uses it", "RENAME in %s breaks the code that uses the old name", table)
		}
	case first.is("attach", "validate", "owner", "reset", "replica", "no", "not"):
		if first.is("no") {
			l.unjudged()
		}
	case first.is("detach"):
		l.add(Loss, "leave the partition where it is", "DETACH PARTITION takes the partition's rows out of %s", table)
	case first.is("enable", "disable", "force"):
		l.add(Breaks, "make sure that the code of before stands it", "%s changes what the code of before sees of %s, or what happens when it writes", strings.ToUpper(first.text), table)
	case first.is("set"):
		l.setTable(table, a)
	default:
		l.unjudged()
	}
}

func (l *linter) setTable(table string, a *reading) {
	switch next := a.next(); {
	case next.is("schema"):
		l.add(Breaks, "leave it where it is", "SET SCHEMA takes %s from where the code of before looks for it", table)
	case next.is("unlogged"):
		l.add(Loss, "leave it logged", "an unlogged table such as %s is empty after a crash", table)
	case next.is("logged", "tablespace", "access"):
		l.add(Locks, "do it at a quiet time", "SET %s writes the whole of %s anew, and everybody waits", strings.ToUpper(next.text), table)
	case next.is("("), next.is("without"):
	default:
		l.unjudged()
	}
}

// addTo judges ADD: a constraint or a column.
func (l *linter) addTo(table string, a *reading) {
	constraint := a.take("constraint")
	if constraint {
		a.name()
	}
	if constraint || a.at < len(a.tokens) && a.tokens[a.at].is("check", "unique", "primary", "foreign", "exclude", "not") {
		l.add(Breaks, "make sure that the code of before writes nothing else", "a new constraint on %s refuses what the code of before may write", table)
		if !a.hasPair("not", "valid") && !a.hasPair("using", "index") {
			l.add(Locks, "add it NOT VALID and validate it in the next migration, or build its index CONCURRENTLY first", "the whole of %s is read for the new constraint, and writers wait", table)
		}
		return
	}
	a.take("column")
	a.take("if", "not", "exists")
	column := a.name()
	gives := a.hasAny("default", "generated", "serial", "bigserial", "smallserial")
	if (a.hasPair("not", "null") || a.has("primary")) && !gives {
		l.add(Breaks, "give it a DEFAULT, or leave NOT NULL to a later migration", "the new column %s of %s must not be NULL, and the code of before writes nothing into it", column, table)
	}
	if a.hasAny("unique", "primary", "references", "check") {
		l.add(Locks, "add the constraint by itself, NOT VALID or by an index that was built CONCURRENTLY", "the whole of %s is read for the constraint of the new column %s, and writers wait", table, column)
	}
	if a.hasAny("generated", "serial", "bigserial", "smallserial") || a.has("default") && a.computes() {
		l.add(Locks, "add the column without it, and fill it in small steps", "the new column %s gets a value of its own in each row: the whole of %s is written anew, and everybody waits", column, table)
	}
}

func (r *reading) hasPair(one, two string) bool {
	for i := range len(r.tokens) - 1 {
		if r.tokens[i].is(one) && r.tokens[i+1].is(two) {
			return true
		}
	}
	return false
}

// computes tells whether a default may differ from row to row.
func (r *reading) computes() bool {
	at := slices.IndexFunc(r.tokens, func(t token) bool { return t.is("default") })
	for i := at; i+1 < len(r.tokens); i++ {
		once := r.tokens[i].is("now", "transaction_timestamp", "statement_timestamp", "current_timestamp", "localtimestamp", "default", "numeric", "varchar", "timestamp", "timestamptz", "interval")
		if r.tokens[i+1].is("(") && (r.tokens[i].kind == word || r.tokens[i].kind == quoted) && !once {
			return true
		}
	}
	return false
}

func (l *linter) dropFrom(table string, a *reading) {
	if a.take("constraint") {
		return // a later one may be refused by what is written meanwhile, but nothing is lost
	}
	a.take("column")
	a.take("if", "exists")
	l.add(Loss, "leave the column until no release needs it, and keep a backup", "DROP COLUMN takes %s.%s away with what is in it", table, a.name())
	l.add(Breaks, "drop it in a release after the last one that uses it", "the code of before may use the column that is dropped from %s", table)
}

func (l *linter) alterColumn(table string, a *reading) {
	a.take("column")
	column := a.name()
	switch {
	case a.take("type"), a.take("set", "data", "type"):
		l.changeType(table, column, a)
	case a.take("set", "not", "null"):
		l.add(Breaks, "make sure that the code of before writes it always", "SET NOT NULL refuses rows of the code of before that have no %s", column)
		l.add(Locks, "add CHECK (… IS NOT NULL) NOT VALID first, and validate it", "the whole of %s is read for SET NOT NULL, and everybody waits", table)
	case a.take("drop", "default"), a.take("drop", "identity"), a.take("drop", "expression"):
		l.add(Breaks, "leave it while the code of before runs", "the code of before may count on %s being filled by itself", column)
	case a.take("drop", "not", "null"), a.take("set", "default"), a.take("set", "statistics"), a.take("set", "storage"),
		a.take("set", "compression"), a.take("set", "("), a.take("reset"), a.take("add", "generated"), a.take("set", "generated"):
	default:
		l.unjudged()
	}
}

// changeType needs the type of before, which only the other direction of the migration tells.
func (l *linter) changeType(table, column string, a *reading) {
	after := a.typeName()
	before, known := l.typeWas[table+"."+column]
	way := "add a column of the new type, and take the old one away when no code uses it"
	switch {
	case a.has("using"):
		l.add(Loss, way, "USING makes other values of %s.%s, and what stood there is gone", table, column)
	case widens(before, after):
	case known:
		l.add(Loss, way, "%s.%s goes from %s to %s, in which not every value fits", table, column, before, after)
	default:
		l.add(Unjudged, way, "whether every value of %s.%s fits into %s cannot be judged: what it was is written nowhere here", table, column, after)
	}
	if !rewritesNothing(before, after) {
		l.add(Locks, way, "the whole of %s is written anew for another type of %s, and everybody waits", table, column)
	}
	l.add(Breaks, way, "the code of before may not understand %s of the new type", column)
}

// typesSet are the types that a script gives to columns, by table.column.
func typesSet(s Script) map[string]string {
	types := map[string]string{}
	for _, statement := range Split(s.Text) {
		c := reading{tokens: statement.tokens}
		if statement.broken != "" || !c.take("alter", "table") {
			continue
		}
		c.take("if", "exists")
		c.take("only")
		table := c.name()
		c.take("*")
		for _, a := range c.actions() {
			if !a.take("alter") {
				continue
			}
			a.take("column")
			column := a.name()
			if a.take("type") || a.take("set", "data", "type") {
				types[table+"."+column] = a.typeName()
			}
		}
	}
	return types
}

// typeName reads a type, in one way to write it.
func (r *reading) typeName() string {
	var b strings.Builder
	for r.at < len(r.tokens) && !r.tokens[r.at].is("using", "collate") {
		t := r.next()
		if b.Len() > 0 && t.kind == word {
			b.WriteByte(' ')
		}
		b.WriteString(t.text)
	}
	name := b.String()
	for long, short := range map[string]string{"character varying": "varchar", "integer": "int4", "bigint": "int8", "smallint": "int2",
		"decimal": "numeric", "double precision": "float8", "timestamp with time zone": "timestamptz", "timestamp without time zone": "timestamp"} {
		if rest, found := strings.CutPrefix(name, long); found {
			return short + rest
		}
	}
	if name == "int" {
		return "int4"
	}
	if name == "real" {
		return "float4"
	}
	return name
}

// sizes are of types of which each holds every value of those before it.
var sizes = [][]string{{"int2", "int4", "int8", "numeric"}, {"float4", "float8"}, {"date", "timestamp"}}

// widens tells whether every value of a type fits into another; of a type that is not known, only text holds every value.
func widens(before, after string) bool {
	if after == "text" || after == "varchar" || before == after && before != "" {
		return true
	}
	for _, chain := range sizes {
		if from, to := slices.Index(chain, before), slices.Index(chain, after); from >= 0 && to >= from {
			return true
		}
	}
	from, ofBefore := argumentsOf(before, "varchar")
	to, ofAfter := argumentsOf(after, "varchar")
	if ofBefore && ofAfter {
		return len(from) == 1 && len(to) == 1 && to[0] >= from[0]
	}
	from, ofBefore = argumentsOf(before, "numeric")
	to, ofAfter = argumentsOf(after, "numeric")
	if ofBefore && (ofAfter || after == "numeric") {
		if after == "numeric" {
			return true
		}
		from, to = append(from, 0), append(to, 0)
		return to[1] >= from[1] && to[0]-to[1] >= from[0]-from[1]
	}
	return false
}

// rewritesNothing tells whether only the catalogue changes.
func rewritesNothing(before, after string) bool {
	if !widens(before, after) {
		return false
	}
	for _, family := range []string{"varchar", "numeric"} {
		_, from := argumentsOf(before, family)
		_, to := argumentsOf(after, family)
		if from && (to || after == family || family == "varchar" && after == "text") {
			return family == "varchar" || after == family || sameScale(before, after)
		}
	}
	return before == after || before == "varchar" && after == "text" || before == "text" && after == "varchar"
}

func sameScale(before, after string) bool {
	from, _ := argumentsOf(before, "numeric")
	to, _ := argumentsOf(after, "numeric")
	return append(from, 0)[1] == append(to, 0)[1]
}

// argumentsOf are the numbers in the parentheses of a type.
func argumentsOf(name, family string) ([]int, bool) {
	inner, found := strings.CutPrefix(name, family+"(")
	inner, closed := strings.CutSuffix(inner, ")")
	if !found || !closed {
		return nil, false
	}
	var numbers []int
	for text := range strings.SplitSeq(inner, ",") {
		n, err := strconv.Atoi(text)
		if err != nil {
			return nil, false
		}
		numbers = append(numbers, n)
	}
	return numbers, len(numbers) <= 2
}
