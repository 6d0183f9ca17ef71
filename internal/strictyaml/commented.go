package strictyaml

import (
	"bytes"
	"reflect"
	"strings"
)

// Commented is a file of a struct with every field, its description and its default. The fields whose paths are in live
// hold these values; all others are there as comments: # before the name, ## for what excludes the field before it.
func (l Language) Commented(t reflect.Type, live map[string]string) []byte {
	w := commenter{l: l, live: live}
	w.structure(t, "", 0, "")
	return bytes.TrimLeft(w.page.Bytes(), "\n")
}

// Private

const commentWidth = 110

type commenter struct {
	l    Language
	live map[string]string
	page bytes.Buffer
}

// structure writes the fields of a struct; mark is what stands before the names of those that are not live.
func (w *commenter) structure(t reflect.Type, path string, depth int, mark string) {
	s := shapeOf(t)
	for i, f := range s.fields {
		own := mark
		if s.pick && i > 0 && !w.lives(Join(path, f.name)) {
			own = "##"
		}
		w.field(f, Join(path, f.name), depth, own)
	}
}

func (w *commenter) field(f field, path string, depth int, mark string) {
	indent := strings.Repeat("  ", depth)
	if depth == 0 {
		w.page.WriteString("\n")
	}
	w.comment(indent, f)
	inner := f.typ
	if w.l.formOf(inner) == pointerForm {
		inner = inner.Elem()
	}
	if mark == "" && !w.lives(path) {
		mark = "#"
	}
	form := w.l.formOf(inner)
	switch {
	case form == structForm:
		w.line(indent, mark, f.name+":")
		w.structure(inner, path, depth+1, mark)
	case form == mapForm && w.l.formOf(inner.Elem()) == structForm:
		w.line(indent, mark, f.name+":")
		w.line(indent+"  ", mark, "example:")
		w.structure(inner.Elem(), Join(path, "example"), depth+2, mark)
	default:
		w.line(indent, mark, strings.TrimRight(f.name+": "+w.value(f, path), " "))
	}
}

// value is what a file might say for a field.
func (w *commenter) value(f field, path string) string {
	if text, found := w.live[path]; found {
		return text
	}
	for _, text := range []string{f.fallback, f.example} {
		if text != "" {
			return text
		}
	}
	inner := f.typ
	if w.l.formOf(inner) == pointerForm {
		inner = inner.Elem()
	}
	switch w.l.formOf(inner) {
	case secretForm:
		return "{env: " + strings.ToUpper(f.name) + "}"
	case textForm:
		return `""`
	case boolForm:
		return "false"
	case wholeForm, numberForm:
		return "0"
	case listForm:
		return "[]"
	case mapForm:
		return "{}"
	case textualForm:
		return "0s"
	case noForm, rawForm, enumForm, pointerForm, structForm:
	}
	return ""
}

// lives tells whether a field, or something in it, holds a value.
func (w *commenter) lives(path string) bool {
	for live := range w.live {
		if live == path || Inside(live, path) {
			return true
		}
	}
	return false
}

func (w *commenter) line(indent, mark, text string) {
	w.page.WriteString(indent + mark + text + "\n")
}

// comment writes what a field is for, in lines that fit a screen.
func (w *commenter) comment(indent string, f field) {
	text := f.doc
	if f.choices != nil {
		text += " One of " + Choices(f.choices) + "."
	}
	line := indent + "#"
	for word := range strings.FieldsSeq(text) {
		if len(line)+1+len(word) > commentWidth {
			w.page.WriteString(line + "\n")
			line = indent + "#"
		}
		line += " " + word
	}
	w.page.WriteString(line + "\n")
}
