package strictyaml

import (
	"reflect"
	"strings"

	"github.com/deployguardian/adg"
)

// Leaf is a field of a file that can be set by itself from outside: by a variable or a flag.
type Leaf struct {
	Path    string // as in store.postgres.max_conns
	Kind    string // how its values are written
	Default string
	Doc     string
	Secret  bool // holds a secret, which no command line may hold
	Switch  bool // true or false
}

// Leaves are the fields of a struct that can be set by themselves, in its order. What is in a list or under a name of
// the file's choice is set as a whole.
func (l Language) Leaves(t reflect.Type) []Leaf { return l.leaves(t, "") }

// Override lays a text over the field of *into at a path, over whatever it holds. A field that is text takes it as it
// is, a list of texts may do without its brackets, everything else is written as in the file. Source is what problems
// call the text. One that may be secret itself is what a secret's field holds, and is shown in no problem.
func (l Language) Override(source, text string, secret bool, into any, path string, env Lookup) *Document {
	v, parent := reflect.ValueOf(into).Elem(), ""
	names := strings.Split(path, ".")
	doc := newDocument(l, source, []byte(text))
	if secret {
		doc.Mask(Mark{1, 1, len(doc.lines)})
	}
	if !bounded(doc, []byte(text)) {
		return doc
	}
	d := NewDecoder(doc, env)
	for _, name := range names[:len(names)-1] {
		f, found := d.shape(v.Type()).field(name)
		if !found {
			doc.Refuse(Mark{1, 1, 1}, path, "", "there is no field %s", Cut(path))
			return doc
		}
		v = d.entered(v.FieldByIndex(f.index))
		parent = Join(parent, name)
	}
	f, found := d.shape(v.Type()).field(names[len(names)-1])
	if !found {
		doc.Refuse(Mark{1, 1, 1}, path, "", "there is no field %s", Cut(path))
		return doc
	}
	field := v.FieldByIndex(f.index)
	if secret && l.formOf(f.typ) == secretForm {
		if text == "" {
			doc.Refuse(Mark{1, 1, 1}, path, "", "%s is empty", f.name)
			return doc
		}
		field.Set(reflect.ValueOf(adg.Secret{Env: source}.With(text)))
		return doc
	}
	if n := l.node(doc, f.typ, text); n != nil {
		field.Set(d.blank(f.typ))
		d.field(Entry{Name: f.name, At: n.At, Value: n}, f, field, parent)
	}
	return doc
}

// Private

func (l Language) leaves(t reflect.Type, prefix string) []Leaf {
	var all []Leaf
	for _, f := range shapeOf(t).fields {
		inner := f.typ
		if l.formOf(inner) == pointerForm {
			inner = inner.Elem()
		}
		form := l.formOf(inner)
		if form == structForm {
			all = append(all, l.leaves(inner, prefix+f.name+".")...)
			continue
		}
		r := l.rowOf(f, "", reflect.Value{})
		all = append(all, Leaf{
			Path: prefix + f.name, Kind: r.Kind, Default: f.fallback, Doc: f.doc, Secret: form == secretForm, Switch: form == boolForm,
		})
	}
	return all
}

// entered is the struct that a field holds, made with its defaults where there was none.
func (d *Decoder) entered(v reflect.Value) reflect.Value {
	if v.Kind() != reflect.Pointer {
		return v
	}
	if v.IsNil() {
		v.Set(reflect.New(v.Type().Elem()))
		v.Elem().Set(d.blank(v.Type().Elem()))
	}
	return v.Elem()
}

// node is a text as a value of a type; nil if it cannot be read, and the document says why.
func (l Language) node(doc *Document, t reflect.Type, text string) *Node {
	if l.formOf(t) == pointerForm {
		return l.node(doc, t.Elem(), text)
	}
	switch l.formOf(t) {
	case textForm, enumForm, textualForm:
		return &Node{Kind: Text, Text: text, At: Mark{1, 1, len(doc.lines)}}
	case listForm:
		if form := l.formOf(t.Elem()); (form == textForm || form == textualForm || form == enumForm) && !strings.HasPrefix(strings.TrimSpace(text), "[") {
			return listed(text)
		}
	case noForm, rawForm, secretForm, pointerForm, structForm, mapForm, boolForm, wholeForm, numberForm:
	}
	return parseTree(doc, text)
}

// listed is a list of texts with commas between.
func listed(text string) *Node {
	list := &Node{Kind: List, At: Mark{1, 1, 1}}
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			list.Items = append(list.Items, &Node{Kind: Text, Text: item, At: list.At})
		}
	}
	return list
}
