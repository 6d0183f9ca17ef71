package importer

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/deployguardian/adg/internal/importer/manifest"
)

// Private

var rangeOf = regexp.MustCompile(`\[\s*((?:\d+(?:ms|[smhdwy]))+)\s*\]`)

// windowed is a query whose only range is $window, and how long that is; zero where there is no range, or several.
func windowed(query string) (string, time.Duration) {
	var window time.Duration
	for _, hit := range rangeOf.FindAllStringSubmatchIndex(query, 100) {
		d, err := model.ParseDuration(query[hit[2]:hit[3]])
		long := time.Duration(d)
		if err != nil || long <= 0 || window != 0 && long != window || quotedAt(query, hit[0]) {
			return query, 0
		}
		window = long
	}
	if window == 0 || window > 30*24*time.Hour {
		return query, 0
	}
	return rangeOf.ReplaceAllString(query, "[$$window]"), window
}

// quotedAt tells whether a place in PromQL is inside of quotes.
func quotedAt(query string, at int) bool {
	var quote byte
	for i := 0; i < at; i++ {
		switch c := query[i]; {
		case quote == 0 && (c == '"' || c == '\'' || c == '`'):
			quote = c
		case quote != 0 && c == '\\' && quote != '`':
			i++
		case c == quote:
			quote = 0
		}
	}
	return quote != 0
}

// ratio is a query that divides two counters, as sum(rate(a[5m])) / sum(rate(b[5m])).
type ratio struct {
	part, whole *parser.VectorSelector
	good        bool // whether the query falls when things get worse
}

var policyVariable = regexp.MustCompile(`\$(?:\{(\w+)\}|(\w+))`)

// ratioOf recognises a ratio; a query as a policy has it, with variables.
func ratioOf(query string) (ratio, bool) {
	if len(query) > 10_000 || strings.Count(query, "(") > 50 {
		return ratio{}, false
	}
	// Words stand for the variables, because PromQL has none.
	text := policyVariable.ReplaceAllStringFunc(query, func(v string) string {
		name := strings.Trim(v, "${}")
		if name == "window" {
			return "1m"
		}
		return "adgvar_" + name + "_adgvar"
	})
	parsed, err := parser.NewParser(parser.Options{}).ParseExpr(text)
	if err != nil {
		return ratio{}, false
	}
	return ratioIn(parsed, false)
}

func ratioIn(e parser.Expr, flipped bool) (ratio, bool) {
	switch e := e.(type) {
	case *parser.ParenExpr:
		return ratioIn(e.Expr, flipped)
	case *parser.BinaryExpr:
		left, leftNumber := e.LHS.(*parser.NumberLiteral)
		_, rightNumber := e.RHS.(*parser.NumberLiteral)
		switch {
		case leftNumber && e.Op == parser.SUB && (left.Val == 1 || left.Val == 100):
			return ratioIn(e.RHS, !flipped)
		case leftNumber && e.Op == parser.MUL:
			return ratioIn(e.RHS, flipped)
		case rightNumber && e.Op == parser.MUL:
			return ratioIn(e.LHS, flipped)
		case e.Op == parser.DIV:
			part, first := summed(e.LHS)
			whole, second := summed(e.RHS)
			return ratio{part, whole, flipped}, first && second
		}
	}
	return ratio{}, false
}

// summed is the counter in sum(rate(counter[5m])), or in the same with increase, times a number.
func summed(e parser.Expr) (*parser.VectorSelector, bool) {
	switch e := e.(type) {
	case *parser.ParenExpr:
		return summed(e.Expr)
	case *parser.BinaryExpr:
		if _, number := e.LHS.(*parser.NumberLiteral); number && e.Op == parser.MUL {
			return summed(e.RHS)
		}
	case *parser.AggregateExpr:
		if e.Op == parser.SUM && len(e.Grouping) == 0 && !e.Without {
			return counted(e.Expr)
		}
	}
	return nil, false
}

func counted(e parser.Expr) (*parser.VectorSelector, bool) {
	switch e := e.(type) {
	case *parser.ParenExpr:
		return counted(e.Expr)
	case *parser.Call:
		if len(e.Args) != 1 || e.Func.Name != "rate" && e.Func.Name != "irate" && e.Func.Name != "increase" {
			return nil, false
		}
		if m, ok := e.Args[0].(*parser.MatrixSelector); ok {
			v, ok := m.VectorSelector.(*parser.VectorSelector)
			return v, ok && v.OriginalOffset == 0 && v.Timestamp == nil && v.StartOrEnd == 0
		}
	}
	return nil, false
}

// counters are the selectors of what went wrong and of everything. bad tells which way of the query is bad: up or down.
func (r ratio) counters(badIsUp bool) (bad, total string, ok bool) {
	if badIsUp != r.good { // the ratio itself is of bad ones
		return selector(r.part), selector(r.whole), true
	}
	// It is of good ones: what is bad is the rest, which can be selected where one label tells the two apart.
	if r.part.Name != r.whole.Name {
		return "", "", false
	}
	var extra []*labels.Matcher
	for _, m := range r.part.LabelMatchers {
		if !hasMatcher(r.whole.LabelMatchers, m) {
			extra = append(extra, m)
		}
	}
	if len(extra) != 1 || len(r.part.LabelMatchers) != len(r.whole.LabelMatchers)+1 {
		return "", "", false
	}
	rest, err := extra[0].Inverse()
	if err != nil {
		return "", "", false
	}
	turned := *r.whole
	turned.LabelMatchers = append(append([]*labels.Matcher{}, r.whole.LabelMatchers...), rest)
	return selector(&turned), selector(r.whole), true
}

func hasMatcher(all []*labels.Matcher, m *labels.Matcher) bool {
	for _, other := range all {
		if other.Type == m.Type && other.Name == m.Name && other.Value == m.Value {
			return true
		}
	}
	return false
}

var wordVariable = regexp.MustCompile(`adgvar_(\w+?)_adgvar`)

// selector writes a selector with the variables that it had.
func selector(v *parser.VectorSelector) string {
	plain := parser.VectorSelector{Name: v.Name, LabelMatchers: v.LabelMatchers}
	return wordVariable.ReplaceAllString(plain.String(), "$${$1}")
}

// better offers the sequential check for a query that divides two counters; nil where none is recognised.
func better(c check) *check {
	r, ok := ratioOf(c.query)
	if !ok || c.fail == "" {
		return nil
	}
	bad, total, ok := r.counters(strings.HasPrefix(c.fail, ">"))
	if !ok || !strings.HasPrefix(c.fail, ">") && !strings.HasPrefix(c.fail, "<") {
		return nil
	}
	instead := &check{name: c.name, source: c.source, bad: bad, total: total, compare: compareSequential, weight: c.weight, critical: c.critical}
	if !strings.Contains(total, "$version") && !strings.Contains(total, "${version}") {
		instead.notes = []string{`Both counters need a label that tells the versions apart, as in version="$version".`}
	}
	return instead
}

// prometheus is the name of the source at an address; a user or a token in the address is left behind.
func (d *draft) prometheus(at *manifest.Node, address string, more ...option) string {
	address, kept := bareAddress(address)
	if !kept {
		d.lose(at, "the address of the server holds a user, a password or parameters, which are not copied: name them under basic_auth, bearer_token or params of the source")
	}
	if address == "" {
		known := len(d.sources)
		name := d.ask("prometheus", "prometheus", append([]option{{"url", placeholderURL}}, more...), "LOOK: where your Prometheus is.")
		if len(d.sources) > known {
			d.assume(at, "the documents do not say where Prometheus is: the source points to %s", placeholderURL)
		}
		return name
	}
	return d.ask("prometheus", "prometheus", append([]option{{"url", quoted(address)}}, more...))
}

// literal is foreign text as a query has it: a '$' is written twice.
func literal(text string) string { return strings.ReplaceAll(text, "$", "$$") }

// variableIn is how a query names a variable, before the text that follows.
func variableIn(name, after string) string {
	if after != "" && (after[0] == '_' || letter(after[0]) || '0' <= after[0] && after[0] <= '9') {
		return "${" + name + "}"
	}
	return "$" + name
}

// count is a number of things in words.
func count(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + one + "s"
}
