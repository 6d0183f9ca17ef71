package config

import (
	"encoding"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// maxValues is how many values a policy has at most, aliases counted as often as they are used.
const maxValues = 100_000

// decoder lays the values of a tree over Go values and puts everything that is wrong on record.
type decoder struct {
	doc    *document
	env    Lookup
	values int
	hiding bool // whether the values of unknown fields may be secrets
	shapes map[reflect.Type]shape
	blanks map[reflect.Type]reflect.Value
}

func newDecoder(doc *document, env Lookup) *decoder {
	return &decoder{doc: doc, env: env, shapes: map[reflect.Type]shape{}, blanks: map[reflect.Type]reflect.Value{}}
}

// decode lays n over *into, which gets the defaults of its tags first.
func (d *decoder) decode(n *node, into any, path string) {
	v := reflect.ValueOf(into).Elem()
	v.Set(d.blank(v.Type()))
	d.value(n, v, path)
}

// options lays n over a copy of a driver's defaults; the fields named in reserved are not the driver's.
func (d *decoder) options(n *node, defaults any, path string, reserved ...string) any {
	v := reflect.New(reflect.TypeOf(defaults)).Elem()
	v.Set(reflect.ValueOf(defaults))
	d.hiding = true
	defer func() { d.hiding = false }()
	d.structure(n, v, path, reserved...)
	return v.Interface()
}

// Private

func (d *decoder) value(n *node, v reflect.Value, path string) {
	d.doc.values[path] = n.at
	if d.values++; d.values > maxValues {
		if d.values == maxValues+1 {
			d.doc.refuse(n.at, path, "", "more than %d values, aliases counted as often as they are used: that is no policy", maxValues)
		}
		return
	}
	if n.kind == refusedKind {
		d.doc.refuse(n.at, path, "", "%s", n.text)
		return
	}
	if n.kind == nullKind {
		d.doc.refuse(n.at, path, "", "%s has no value: give one, or take it out", last(path))
		return
	}
	switch formOf(v.Type()) {
	case rawForm:
		v.Set(reflect.ValueOf(n))
	case secretForm:
		d.secret(n, v, path)
	case textualForm:
		d.textual(n, v, path)
	case enumForm:
		d.enum(n, v, path)
	case pointerForm:
		inner := reflect.New(v.Type().Elem())
		inner.Elem().Set(d.blank(v.Type().Elem()))
		d.value(n, inner.Elem(), path)
		v.Set(inner)
	case structForm:
		d.structure(n, v, path)
	case mapForm:
		d.mapping(n, v, path)
	case listForm:
		d.list(n, v, path)
	case textForm:
		d.text(n, v, path)
	case boolForm:
		d.boolean(n, v, path)
	case wholeForm, numberForm:
		d.number(n, v, path)
	case noForm:
		d.doc.refuse(n.at, path, "", "%s cannot be set in a policy", last(path))
	}
}

func (d *decoder) structure(n *node, v reflect.Value, path string, reserved ...string) {
	s := d.shape(v.Type())
	if n.kind != mappingKind {
		if !d.shorthand(n, v, s, path) {
			d.wrongKind(n, path, "a mapping with "+list(s.names()))
		}
		return
	}
	seen, meant := map[string]mark{}, map[string]bool{}
	for _, e := range n.entries {
		if first, twice := seen[e.name]; twice {
			d.doc.refuse(e.at, join(path, e.name), "", "%s is given twice: first on line %d", cut(e.name), first.line)
			continue
		}
		seen[e.name] = e.at
		f, known := s.field(e.name)
		switch {
		case slices.Contains(reserved, e.name):
		case known:
			d.field(e, f, v.FieldByIndex(f.index), path)
		default:
			meant[d.unknown(e, append(slices.Clone(reserved), s.names()...), path)] = true
		}
	}
	for _, f := range s.fields {
		if _, found := seen[f.name]; f.required && !found && !meant[f.name] {
			d.doc.refuse(n.at, join(path, f.name), "", "%s is missing: %s", f.name, f.doc)
		}
	}
	if s.pick && len(n.entries) != 1 && !d.doc.failedAt(path) {
		d.doc.refuse(n.at, path, "", "%s is exactly one of %s", last(path), list(s.names()))
	}
}

func (d *decoder) field(e entry, f field, v reflect.Value, path string) {
	at := join(path, f.name)
	d.doc.keys[at] = e.at
	d.value(e.value, v, at)
	if d.doc.failedAt(at) {
		return
	}
	if f.positive && !positive(v) {
		d.doc.refuse(e.value.at, at, "", "%s is more than zero", f.name)
	}
	if f.filled && v.Len() == 0 {
		d.doc.refuse(e.value.at, at, "", "%s is empty: give it an entry, or take it out", f.name)
	}
	if f.choices != nil && !slices.Contains(f.choices, v.String()) {
		d.choose(e.value.at, at, v.String(), f.choices)
	}
}

// unknown refuses a field and says which one was probably meant. In the options of a driver its value is not shown: it may be a secret under a wrong name.
func (d *decoder) unknown(e entry, names []string, path string) (meant string) {
	if d.hiding {
		d.doc.mask(e.value.at)
	}
	where := ""
	if path != "" {
		where = " in " + path
	}
	meant = nearest(e.name, names)
	d.doc.refuse(e.at, join(path, e.name), meant, "unknown field %q%s: known are %s", cut(e.name), where, list(names))
	return meant
}

// shorthand lays a plain value over the field that it stands for; false if there is none.
func (d *decoder) shorthand(n *node, v reflect.Value, s shape, path string) bool {
	if n.kind == listKind {
		return false
	}
	if f, found := s.field(s.short); found {
		d.value(n, v.FieldByIndex(f.index), join(path, f.name))
		return true
	}
	if !s.pick || n.kind != textKind {
		return false
	}
	f, found := s.field(n.text)
	if !found {
		d.choose(n.at, path, n.text, s.names())
		return true
	}
	picked := reflect.New(f.typ.Elem())
	picked.Elem().Set(d.blank(f.typ.Elem()))
	v.FieldByIndex(f.index).Set(picked)
	return true
}

func (d *decoder) mapping(n *node, v reflect.Value, path string) {
	if n.kind != mappingKind {
		d.wrongKind(n, path, "a mapping of names")
		return
	}
	made := reflect.MakeMapWithSize(v.Type(), len(n.entries))
	lines := map[string]int{}
	for _, e := range n.entries {
		at := join(path, e.name)
		if first, twice := lines[e.name]; twice {
			d.doc.refuse(e.at, at, "", "%s is given twice: first on line %d", cut(e.name), first)
			continue
		}
		lines[e.name] = e.at.line
		d.doc.keys[at] = e.at
		one := reflect.New(v.Type().Elem()).Elem()
		one.Set(d.blank(one.Type()))
		d.value(e.value, one, at)
		made.SetMapIndex(reflect.ValueOf(e.name).Convert(v.Type().Key()), one)
	}
	v.Set(made)
}

func (d *decoder) list(n *node, v reflect.Value, path string) {
	if n.kind != listKind {
		d.wrongKind(n, path, "a list, such as [a, b]")
		return
	}
	made := reflect.MakeSlice(v.Type(), len(n.items), len(n.items))
	for i, item := range n.items {
		made.Index(i).Set(d.blank(v.Type().Elem()))
		d.value(item, made.Index(i), fmt.Sprintf("%s[%d]", path, i))
	}
	v.Set(made)
}

func (d *decoder) text(n *node, v reflect.Value, path string) {
	if n.kind != textKind {
		d.wrongKind(n, path, "text")
		return
	}
	v.SetString(n.text)
}

func (d *decoder) boolean(n *node, v reflect.Value, path string) {
	if n.kind != boolKind {
		d.wrongKind(n, path, "true or false")
		return
	}
	v.SetBool(n.text == "true")
}

var (
	wholeNumber = regexp.MustCompile(`^[-+]?(?:0|[1-9][0-9_]*)$`)
	anyNumber   = regexp.MustCompile(`^[-+]?(?:0|[1-9][0-9_]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?$`)
)

func (d *decoder) number(n *node, v reflect.Value, path string) {
	pattern, what := anyNumber, "a number, such as 2 or 0.5"
	if formOf(v.Type()) == wholeForm {
		pattern, what = wholeNumber, "a whole number, such as 3"
	}
	if n.kind != numberKind || !pattern.MatchString(n.text) {
		d.wrongKind(n, path, what)
		return
	}
	text := strings.ReplaceAll(n.text, "_", "")
	ok := false
	switch {
	case v.CanFloat():
		f, err := strconv.ParseFloat(text, v.Type().Bits())
		v.SetFloat(f)
		ok = err == nil
	case v.CanInt():
		i, err := strconv.ParseInt(text, 10, v.Type().Bits())
		v.SetInt(i)
		ok = err == nil
	default:
		u, err := strconv.ParseUint(strings.TrimPrefix(text, "+"), 10, v.Type().Bits())
		v.SetUint(u)
		ok = err == nil
	}
	if !ok {
		d.doc.refuse(n.at, path, "", "%s: %s is out of range", last(path), cut(n.text))
	}
}

func (d *decoder) textual(n *node, v reflect.Value, path string) {
	form := textuals[v.Type()]
	if n.kind == numberKind {
		d.doc.refuse(n.at, path, "", "%s is %s: %s", last(path), form.what, form.cure(cut(n.text)))
		return
	}
	if n.kind != textKind {
		d.wrongKind(n, path, form.what)
		return
	}
	if strings.TrimSpace(n.text) == "" {
		d.doc.refuse(n.at, path, "", "%s is empty: it is %s", last(path), form.what)
		return
	}
	read, err := form.read(n.text)
	if err == nil && !form.pattern.MatchString(n.text) {
		err = fmt.Errorf("%q is not %s", cut(n.text), form.what)
	}
	if err != nil {
		d.doc.refuse(n.at, path, "", "%s: %s", last(path), err)
		return
	}
	v.Set(reflect.ValueOf(read))
}

func (d *decoder) enum(n *node, v reflect.Value, path string) {
	choices := enumChoices(v.Type())
	if n.kind != textKind {
		what := "text"
		if choices != nil {
			what = "one of " + list(choices)
		}
		d.wrongKind(n, path, what)
		return
	}
	err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(n.text))
	switch {
	case err != nil && choices != nil:
		d.choose(n.at, path, n.text, choices)
	case err != nil:
		d.doc.refuse(n.at, path, "", "%s: %s", last(path), err)
	}
}

// choose refuses a text that is none of the choices.
func (d *decoder) choose(at mark, path, text string, choices []string) {
	d.doc.refuse(at, path, nearest(text, choices), "%s cannot be %q: choose one of %s", last(path), cut(text), list(choices))
}

// wrongKind refuses a value, with the cure for what people write most often.
func (d *decoder) wrongKind(n *node, path, want string) {
	cure := ""
	switch {
	case want == "text" && (n.kind == numberKind || n.kind == boolKind):
		cure = fmt.Sprintf(": put it in quotes, as in %q", cut(n.text))
	case want == "true or false" && n.kind == textKind && n.plain:
		cure = ": yes, no, on and off are text in YAML"
	case n.kind == textKind && !n.plain && anyNumber.MatchString(n.text):
		cure = ": take the quotes away"
	case n.kind == numberKind:
		cure = fmt.Sprintf(", and not written as %s", cut(n.text))
	}
	if cure == "" {
		cure = fmt.Sprintf(", not %s", n.kind)
	}
	d.doc.refuse(n.at, path, "", "%s is %s%s", last(path), want, cure)
}

func (d *decoder) shape(t reflect.Type) shape {
	s, found := d.shapes[t]
	if !found {
		s = shapeOf(t)
		d.shapes[t] = s
	}
	return s
}

// blank is a value with the defaults of its tags. What it shares with other blanks is never written to.
func (d *decoder) blank(t reflect.Type) reflect.Value {
	if v, found := d.blanks[t]; found {
		return v
	}
	v := reflect.New(t).Elem()
	if formOf(t) == structForm {
		for _, f := range d.shape(t).fields {
			into := v.FieldByIndex(f.index)
			switch {
			case f.fallback != "":
				setDefault(into, f)
			case formOf(f.typ) == structForm:
				into.Set(d.blank(f.typ))
			}
		}
	}
	d.blanks[t] = v
	return v
}

// setDefault reads a default as a policy would write it; one that cannot be read is a mistake in the tag.
func setDefault(into reflect.Value, f field) {
	doc := newDocument("default of "+f.name, []byte(f.fallback))
	if n := parseTree(doc, f.fallback); n != nil {
		newDecoder(doc, nil).value(n, into, f.name)
	}
	if doc.failed() {
		panic(doc.problems().Error())
	}
}

func positive(v reflect.Value) bool {
	switch {
	case v.Kind() == reflect.Pointer:
		return positive(v.Elem())
	case v.CanInt():
		return v.Int() > 0
	case v.CanUint():
		return v.Uint() > 0
	case v.CanFloat():
		return v.Float() > 0
	default:
		return true
	}
}

func join(path, name string) string {
	if path == "" {
		return cut(name)
	}
	return path + "." + cut(name)
}

// last is the name of the field at a path, as a sentence begins with it.
func last(path string) string {
	name := path[strings.LastIndexByte(path, '.')+1:]
	if name == "" {
		return "this"
	}
	return name
}
