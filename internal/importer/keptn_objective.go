package importer

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/deployguardian/adg/internal/importer/manifest"
)

// Private

// criterion is one comparison of an SLO: '<600', or '<=+10%' against earlier values.
type criterion struct {
	operator string
	value    float64
	relative bool
	percent  bool
}

var criterionText = regexp.MustCompile(`^\s*(<=|<|==|=|>=|>)\s*([+-]?)\s*(\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)\s*(%?)\s*$`)

// number is a finite number.
func number(text string) (float64, bool) {
	v, err := strconv.ParseFloat(text, 64)
	return v, err == nil && !math.IsInf(v, 0) && !math.IsNaN(v)
}

func parseCriterion(text string) (criterion, bool) {
	hit := criterionText.FindStringSubmatch(text)
	if hit == nil {
		return criterion{}, false
	}
	v, ok := number(hit[3])
	if hit[2] == "-" {
		v = -v
	}
	return criterion{operator: hit[1], value: v, relative: hit[2] != "", percent: hit[4] != ""}, ok
}

// targets are the criteria of a result: it is reached where one of the sets is, and a set where all in it hold.
type targets struct {
	fixed    zone // what is reached, as far as it goes by fixed numbers
	isFixed  bool
	relative []criterion // all of which have to hold
	narrowed bool        // whether a choice between fixed and relative was left out
}

func (k *keptn) targets(list *manifest.Node) (targets, error) {
	var t targets
	sets := list.Items()
	for _, set := range sets {
		reached, fixed := everything(), false
		var relative []criterion
		for _, text := range set.Get("criteria").Items() {
			c, ok := parseCriterion(text.Text())
			if !ok {
				return t, fmt.Errorf("%q is no criterion", oneLine(text.Text(), 60))
			}
			if c.relative {
				relative = append(relative, c)
				continue
			}
			if c.percent {
				k.d.change(text, "%s is an absolute number in Keptn, in percent of nothing: the number stands without the sign", oneLine(text.Text(), 60))
			}
			on, _ := compared(c.operator, c.value)
			reached, fixed = reached.and(on), true
		}
		switch {
		case len(sets) > 1 && len(relative) > 0:
			t.narrowed = true // one of several ways to reach it, which one limit cannot say
		case fixed && t.isFixed:
			t.fixed = t.fixed.or(reached)
		case fixed:
			t.fixed, t.isFixed = reached, true
		}
		if len(sets) == 1 {
			t.relative = relative
		}
	}
	return t, nil
}

// objective makes checks of an objective: one for its fixed criteria, and one for each relative one.
func (k *keptn) objective(o *manifest.Node) {
	d := k.d
	name := o.Get("sli").Text()
	base := check{name: name, from: o, critical: o.Get("key_sli").True(), weight: 1}
	if w, ok := o.Get("weight").Number(); ok && w > 0 && w < 1e6 {
		base.weight = w
	}
	if title := o.Get("displayName"); title != nil {
		base.notes = append(base.notes, oneLine(title.Text(), 200))
	}
	base.source = "prometheus"
	if q := k.queries[name]; q != nil {
		k.sli(&base, q)
	} else {
		base.keepOut("its query is in none of the files: import the SLI file together with the SLO")
	}
	pass, err := k.targets(o.Get("pass"))
	warning, err2 := k.targets(o.Get("warning"))
	switch {
	case err != nil || err2 != nil:
		if err == nil {
			err = err2
		}
		base.keepOut(err.Error())
	case o.Get("pass") == nil:
		base.keepOut("without pass it is for information only, and counts for nothing")
	}
	for _, t := range []struct {
		at *manifest.Node
		targets
	}{{o.Get("pass"), pass}, {o.Get("warning"), warning}} {
		if t.narrowed {
			d.change(t.at, "%s: it could be reached by being near earlier values, too: here only the fixed numbers count, which is stricter", name)
		}
	}
	if base.out != "" {
		base.weight = 0
		d.add(base)
		return
	}
	for _, c := range k.limits(base, o, pass, warning) {
		if c.instead = better(c); c.out != "" {
			c.weight = 0
		}
		d.add(c)
	}
}

// limits are the checks of an objective: what reaches neither pass nor warning fails.
func (k *keptn) limits(base check, o *manifest.Node, pass, warning targets) []check {
	var all []check
	hasWarning := warning.isFixed || len(warning.relative) > 0
	if pass.isFixed || warning.isFixed {
		all = append(all, k.fixed(base, o, pass, warning, hasWarning))
	}
	all = append(all, k.near(base, o, pass, warning, hasWarning)...)
	if len(all) == 0 {
		base.out = "its criteria cannot be limits"
		return []check{base}
	}
	if len(all) > 1 {
		k.d.change(o, "%s: its criteria are %d checks, which share its weight", base.name, len(all))
		for i := range all {
			all[i].weight = round(base.weight / float64(len(all)))
		}
	}
	return all
}

func (k *keptn) fixed(c check, o *manifest.Node, pass, warning targets, hasWarning bool) check {
	failing := pass.fixed.not()
	switch {
	case !pass.isFixed:
		failing = warning.fixed.not()
		k.d.change(o.Get("warning"), "%s: pass goes by earlier values and warning by numbers: what is past the warning fails here, even if it is near earlier values", c.name)
	case warning.isFixed:
		failing = pass.fixed.or(warning.fixed).not()
	case hasWarning:
		k.d.change(o.Get("warning"), "%s: pass goes by numbers and warning by earlier values: what does not pass fails here", c.name)
	}
	text, note, ok := failing.condition()
	if !ok {
		c.out = "its criteria are more than one limit can say"
		return c
	}
	c.fail = text
	if note != "" {
		k.d.change(o, "%s: %s", c.name, note)
	}
	if pass.isFixed && warning.isFixed {
		if warn, _, ok := pass.fixed.not().condition(); ok && warn != text {
			c.warn = warn
		}
	}
	return c
}

// near makes a check of each relative criterion.
func (k *keptn) near(base check, o *manifest.Node, pass, warning targets, hasWarning bool) []check {
	var all []check
	for i, p := range pass.relative {
		c := base
		c.baseline, c.name = "historical", base.name+"-relative"
		if i > 0 {
			c.name = fmt.Sprintf("%s-%d", c.name, i+1)
		}
		fail, warn := p.bad(), ""
		match, ok := opponent(p, warning.relative)
		switch {
		case ok:
			fail, warn = match.bad(), p.bad()
		case warning.isFixed: // whose check fails what is past the warning, so that this one only warns
			fail, warn, c.critical = "", p.bad(), false
		case hasWarning:
			k.d.change(o.Get("warning"), "%s: a warning of another kind than pass is left out", base.name)
		}
		if c.fail = fail; warn != fail {
			c.warn = warn
		}
		if fail == "" && warn == "" {
			c.out = "to be exactly the earlier value is no limit"
		}
		all = append(all, c)
	}
	return all
}

// opponent is the criterion of a warning that looks into the same direction.
func opponent(p criterion, all []criterion) (criterion, bool) {
	for _, c := range all {
		if c.operator[0] == p.operator[0] {
			return c, true
		}
	}
	return criterion{}, false
}

// bad writes the opposite of a relative criterion.
func (c criterion) bad() string {
	operator := map[string]string{"<=": ">", "<": ">=", ">=": "<", ">": "<=", "=": "!=", "==": "!="}[c.operator]
	if operator == "!=" {
		return ""
	}
	unit, sign := "", "+"
	if c.percent {
		unit = "%"
	}
	if c.value < 0 {
		sign = "-"
	}
	return operator + " baseline " + sign + " " + strconv.FormatFloat(math.Abs(c.value), 'f', -1, 64) + unit
}

// keptnVariable is $SERVICE and the like in the queries of an SLI file.
var keptnVariable = regexp.MustCompile(`\$((?:LABEL\.)?[A-Za-z_][A-Za-z0-9_]{0,60})`)

// sliQuery is the query of an indicator.
func (k *keptn) sliQuery(q *manifest.Node) (string, time.Duration) {
	a := arguments{d: k.d, braces: keptnVariable, values: map[string]argument{
		"SERVICE": {variable: "service"}, "STAGE": {variable: "environment"}, "DURATION_SECONDS": {variable: "window"},
	}}
	a.left = func(name string) {
		k.d.assume(q, "$%s comes with each evaluation: give the variable %s a value", name, word(name))
	}
	return withWindow(a.inQuery(q.Text()))
}

// sli fills in the query of an indicator, which is PromQL unless it is plainly something else.
func (k *keptn) sli(c *check, q *manifest.Node) {
	text := q.Text()
	for _, mark := range []string{"metricSelector=", "builtin:", "USQL;", "PV2;", "SLO;", "MV2;", "entitySelector"} {
		if strings.Contains(text, mark) {
			c.source, c.query = "dynatrace", literal(text)
			c.keepOut("ADG has no source for Dynatrace yet")
			return
		}
	}
	c.source = k.d.prometheus(q, "")
	query, window := k.sliQuery(q)
	if c.query = query; window > 0 {
		c.window = window
	}
	if strings.TrimSpace(query) == "" {
		c.keepOut("its query is empty")
	}
}
