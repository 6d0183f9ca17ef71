package strictyaml

import (
	"encoding"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// maxValues is how many values a file has at most, aliases counted as often as they are used.
const maxValues = 100_000

// Decoder lays the values of a tree over Go values and puts everything that is wrong on record.
type Decoder struct {
	l      Language
	doc    *Document
	env    Lookup
	forms  SecretForms
	values int
	hiding bool // whether the values of unknown fields may be secrets
	absent bool // whether a secret that is not to be had here is a doubt only
	shapes map[reflect.Type]shape
	blanks map[reflect.Type]reflect.Value
}

// NewDecoder makes a decoder for the tree of a document; env is where secrets are looked up.
func NewDecoder(doc *Document, env Lookup) *Decoder {
	d := &Decoder{l: doc.language, doc: doc, env: env, shapes: map[reflect.Type]shape{}, blanks: map[reflect.Type]reflect.Value{}}
	d.forms = SecretForms{"env": d.fromEnv, "file": d.fromFile}
	return d
}

// NewDecoderWith makes a decoder that takes secrets in these forms and no others.
func NewDecoderWith(doc *Document, forms SecretForms) *Decoder {
	d := NewDecoder(doc, nil)
	d.forms = forms
	return d
}

// SecretsMayBeAbsent makes a secret that is not to be had on this machine a doubt, and no error: it may be there where the file
// is used.
func (d *Decoder) SecretsMayBeAbsent() { d.absent = true }

// Decode lays n over *into, which gets the defaults of its tags first.
func (d *Decoder) Decode(n *Node, into any, path string) {
	v := reflect.ValueOf(into).Elem()
	v.Set(d.blank(v.Type()))
	d.Value(n, v, path)
}

// Options lays n over a copy of a driver's defaults; the fields named in reserved are not the driver's.
func (d *Decoder) Options(n *Node, defaults any, path string, reserved ...string) any {
	v := reflect.New(reflect.TypeOf(defaults)).Elem()
	v.Set(reflect.ValueOf(defaults))
	d.hiding = true
	defer func() { d.hiding = false }()
	d.structure(n, v, path, reserved...)
	return v.Interface()
}

// Value lays n over v, whatever v holds; path is what problems call the place.
func (d *Decoder) Value(n *Node, v reflect.Value, path string) {
	d.doc.values[path] = n.At
	if d.values++; d.values > maxValues {
		if d.values == maxValues+1 {
			d.doc.Refuse(n.At, path, "", "more than %d values, aliases counted as often as they are used: that is no %s", maxValues, d.l.Noun)
		}
		return
	}
	if n.Kind == Refused {
		d.doc.Refuse(n.At, path, "", "%s", n.Text)
		return
	}
	if n.Kind == Null {
		d.doc.Refuse(n.At, path, "", "%s has no value: give one, or take it out", last(path))
		return
	}
	switch d.l.formOf(v.Type()) {
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
		d.Value(n, inner.Elem(), path)
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
		d.doc.Refuse(n.At, path, "", "%s cannot be set in a %s", last(path), d.l.Noun)
	}
}

// Private

func (d *Decoder) structure(n *Node, v reflect.Value, path string, reserved ...string) {
	s := d.shape(v.Type())
	if n.Kind != Mapping {
		if !d.shorthand(n, v, s, path) {
			d.wrongKind(n, path, "a mapping with "+Choices(s.names()))
		}
		return
	}
	seen, meant := map[string]Mark{}, map[string]bool{}
	for _, e := range n.Entries {
		if first, twice := seen[e.Name]; twice {
			d.doc.Refuse(e.At, Join(path, e.Name), "", "%s is given twice: first on line %d", Cut(e.Name), first.Line)
			continue
		}
		seen[e.Name] = e.At
		f, known := s.field(e.Name)
		switch {
		case slices.Contains(reserved, e.Name):
		case known:
			d.field(e, f, v.FieldByIndex(f.index), path)
		default:
			meant[d.unknown(e, append(slices.Clone(reserved), s.names()...), path)] = true
		}
	}
	for _, f := range s.fields {
		if _, found := seen[f.name]; f.required && !found && !meant[f.name] {
			d.doc.Refuse(n.At, Join(path, f.name), "", "%s is missing: %s", f.name, f.doc)
		}
	}
	if s.pick && len(n.Entries) != 1 && !d.doc.FailedAt(path) {
		d.doc.Refuse(n.At, path, "", "%s is exactly one of %s", last(path), Choices(s.names()))
	}
}

func (d *Decoder) field(e Entry, f field, v reflect.Value, path string) {
	at := Join(path, f.name)
	d.doc.keys[at] = e.At
	d.Value(e.Value, v, at)
	if d.doc.FailedAt(at) {
		return
	}
	if f.positive && !positive(v) {
		d.doc.Refuse(e.Value.At, at, "", "%s is more than zero", f.name)
	}
	if f.filled && v.Len() == 0 {
		d.doc.Refuse(e.Value.At, at, "", "%s is empty: give it an entry, or take it out", f.name)
	}
	if f.choices != nil && !slices.Contains(f.choices, v.String()) {
		d.choose(e.Value.At, at, v.String(), f.choices)
	}
}

// unknown refuses a field and says which one was probably meant. In the options of a driver its value is not shown: it may be a secret under a wrong name.
func (d *Decoder) unknown(e Entry, names []string, path string) (meant string) {
	if d.hiding {
		d.doc.Mask(e.Value.At)
	}
	where := ""
	if path != "" {
		where = " in " + path
	}
	meant = Nearest(e.Name, names)
	d.doc.Refuse(e.At, Join(path, e.Name), meant, "unknown field %q%s: known are %s", Cut(e.Name), where, Choices(names))
	return meant
}

// shorthand lays a plain value over the field that it stands for; false if there is none.
func (d *Decoder) shorthand(n *Node, v reflect.Value, s shape, path string) bool {
	if n.Kind == List {
		return false
	}
	if f, found := s.field(s.short); found {
		d.Value(n, v.FieldByIndex(f.index), Join(path, f.name))
		return true
	}
	if !s.pick || n.Kind != Text {
		return false
	}
	f, found := s.field(n.Text)
	if !found {
		d.choose(n.At, path, n.Text, s.names())
		return true
	}
	picked := reflect.New(f.typ.Elem())
	picked.Elem().Set(d.blank(f.typ.Elem()))
	v.FieldByIndex(f.index).Set(picked)
	return true
}

func (d *Decoder) mapping(n *Node, v reflect.Value, path string) {
	if n.Kind != Mapping {
		d.wrongKind(n, path, "a mapping of names")
		return
	}
	made := reflect.MakeMapWithSize(v.Type(), len(n.Entries))
	lines := map[string]int{}
	for _, e := range n.Entries {
		at := Join(path, e.Name)
		if first, twice := lines[e.Name]; twice {
			d.doc.Refuse(e.At, at, "", "%s is given twice: first on line %d", Cut(e.Name), first)
			continue
		}
		lines[e.Name] = e.At.Line
		d.doc.keys[at] = e.At
		one := reflect.New(v.Type().Elem()).Elem()
		one.Set(d.blank(one.Type()))
		d.Value(e.Value, one, at)
		made.SetMapIndex(reflect.ValueOf(e.Name).Convert(v.Type().Key()), one)
	}
	v.Set(made)
}

func (d *Decoder) list(n *Node, v reflect.Value, path string) {
	if n.Kind != List {
		d.wrongKind(n, path, "a list, such as [a, b]")
		return
	}
	made := reflect.MakeSlice(v.Type(), len(n.Items), len(n.Items))
	for i, item := range n.Items {
		made.Index(i).Set(d.blank(v.Type().Elem()))
		d.Value(item, made.Index(i), fmt.Sprintf("%s[%d]", path, i))
	}
	v.Set(made)
}

func (d *Decoder) text(n *Node, v reflect.Value, path string) {
	if n.Kind != Text {
		d.wrongKind(n, path, "text")
		return
	}
	v.SetString(n.Text)
}

func (d *Decoder) boolean(n *Node, v reflect.Value, path string) {
	if n.Kind != Bool {
		d.wrongKind(n, path, "true or false")
		return
	}
	v.SetBool(n.Text == "true")
}

var (
	wholeNumber = regexp.MustCompile(`^[-+]?(?:0|[1-9][0-9_]*)$`)
	anyNumber   = regexp.MustCompile(`^[-+]?(?:0|[1-9][0-9_]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?$`)
)

func (d *Decoder) number(n *Node, v reflect.Value, path string) {
	pattern, what := anyNumber, "a number, such as 2 or 0.5"
	if d.l.formOf(v.Type()) == wholeForm {
		pattern, what = wholeNumber, "a whole number, such as 3"
	}
	if n.Kind != Number || !pattern.MatchString(n.Text) {
		d.wrongKind(n, path, what)
		return
	}
	text := strings.ReplaceAll(n.Text, "_", "")
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
		d.doc.Refuse(n.At, path, "", "%s: %s is out of range", last(path), Cut(n.Text))
	}
}

func (d *Decoder) textual(n *Node, v reflect.Value, path string) {
	form, _ := d.l.textual(v.Type())
	if n.Kind == Number {
		d.doc.Refuse(n.At, path, "", "%s is %s: %s", last(path), form.What, form.Cure(Cut(n.Text)))
		return
	}
	if n.Kind != Text {
		d.wrongKind(n, path, form.What)
		return
	}
	if strings.TrimSpace(n.Text) == "" {
		d.doc.Refuse(n.At, path, "", "%s is empty: it is %s", last(path), form.What)
		return
	}
	read, err := form.Read(n.Text)
	if err == nil && !form.Pattern.MatchString(n.Text) {
		err = fmt.Errorf("%q is not %s", Cut(n.Text), form.What)
	}
	if err != nil {
		d.doc.Refuse(n.At, path, "", "%s: %s", last(path), err)
		return
	}
	v.Set(reflect.ValueOf(read))
}

func (d *Decoder) enum(n *Node, v reflect.Value, path string) {
	choices := enumChoices(v.Type())
	if n.Kind != Text {
		what := "text"
		if choices != nil {
			what = "one of " + Choices(choices)
		}
		d.wrongKind(n, path, what)
		return
	}
	err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(n.Text))
	switch {
	case err != nil && choices != nil:
		d.choose(n.At, path, n.Text, choices)
	case err != nil:
		d.doc.Refuse(n.At, path, "", "%s: %s", last(path), err)
	}
}

// choose refuses a text that is none of the choices.
func (d *Decoder) choose(at Mark, path, text string, choices []string) {
	d.doc.Refuse(at, path, Nearest(text, choices), "%s cannot be %q: choose one of %s", last(path), Cut(text), Choices(choices))
}

// wrongKind refuses a value, with the cure for what people write most often.
func (d *Decoder) wrongKind(n *Node, path, want string) {
	cure := ""
	switch {
	case want == "text" && (n.Kind == Number || n.Kind == Bool):
		cure = fmt.Sprintf(": put it in quotes, as in %q", Cut(n.Text))
	case want == "true or false" && n.Kind == Text && n.Plain:
		cure = ": yes, no, on and off are text in YAML"
	case n.Kind == Text && !n.Plain && anyNumber.MatchString(n.Text):
		cure = ": take the quotes away"
	case n.Kind == Number:
		cure = fmt.Sprintf(", and not written as %s", Cut(n.Text))
	}
	if cure == "" {
		cure = fmt.Sprintf(", not %s", n.Kind)
	}
	d.doc.Refuse(n.At, path, "", "%s is %s%s", last(path), want, cure)
}

func (d *Decoder) shape(t reflect.Type) shape {
	s, found := d.shapes[t]
	if !found {
		s = shapeOf(t)
		d.shapes[t] = s
	}
	return s
}

// blank is a value with the defaults of its tags. What it shares with other blanks is never written to.
func (d *Decoder) blank(t reflect.Type) reflect.Value {
	if v, found := d.blanks[t]; found {
		return v
	}
	v := reflect.New(t).Elem()
	if d.l.formOf(t) == structForm {
		for _, f := range d.shape(t).fields {
			into := v.FieldByIndex(f.index)
			switch {
			case f.fallback != "":
				d.setDefault(into, f)
			case d.l.formOf(f.typ) == structForm:
				into.Set(d.blank(f.typ))
			}
		}
	}
	d.blanks[t] = v
	return v
}

// setDefault reads a default as a file would write it; one that cannot be read is a mistake in the tag.
func (d *Decoder) setDefault(into reflect.Value, f field) {
	doc := newDocument(d.l, "default of "+f.name, []byte(f.fallback))
	if n := parseTree(doc, f.fallback); n != nil {
		NewDecoder(doc, nil).Value(n, into, f.name)
	}
	if doc.Failed() {
		panic(doc.Problems().Error())
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

// Join is the path of a field in the one at path.
func Join(path, name string) string {
	if path == "" {
		return Cut(name)
	}
	return path + "." + Cut(name)
}

// last is the name of the field at a path, as a sentence begins with it.
func last(path string) string {
	name := path[strings.LastIndexByte(path, '.')+1:]
	if name == "" {
		return "this"
	}
	return name
}
