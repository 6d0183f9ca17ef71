package strictyaml

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
)

// Row is one line of a table.
type Row struct{ Name, Kind, Default, Doc string }

// Rows are the fields of a struct and of those inside it, with their paths.
func (l Language) Rows(t reflect.Type, prefix string, defaults reflect.Value) []Row {
	var all []Row
	for _, f := range shapeOf(t).fields {
		all = append(all, l.rowOf(f, prefix, defaults))
		value := reflect.Value{}
		if defaults.IsValid() {
			value = defaults.FieldByIndex(f.index)
		}
		path, inner := l.within(f.typ)
		if inner == nil {
			continue
		}
		if inner != f.typ {
			value = reflect.Value{} // there may be none of them, or many
		}
		all = append(all, l.Rows(inner, prefix+f.name+path+".", value)...)
	}
	return all
}

// Table writes rows as a table in Markdown.
func Table(page *bytes.Buffer, rows []Row) {
	page.WriteString("| field | is | default | what it is for |\n|---|---|---|---|\n")
	cell := strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;")
	for _, r := range rows {
		_, _ = fmt.Fprintf(page, "| `%s` | %s | %s | %s |\n", r.Name, cell.Replace(r.Kind), cell.Replace(r.Default), cell.Replace(r.Doc))
	}
}

// Sections writes what a file of that struct holds: a table of its fields, and a section with a table for each that
// holds fields itself, be it several of them, by name or not.
func (l Language) Sections(page *bytes.Buffer, t reflect.Type) {
	top := shapeOf(t)
	var fields []Row
	for _, f := range top.fields {
		fields = append(fields, l.rowOf(f, "", reflect.Value{}))
	}
	Table(page, fields)
	for _, f := range top.fields {
		_, inner := l.within(f.typ)
		if inner == nil {
			continue
		}
		_, _ = fmt.Fprintf(page, "\n## %s\n\n%s\n\n", f.name, f.doc)
		Table(page, l.Rows(inner, "", reflect.Value{}))
	}
}

// Private

// within is the struct that values of a type hold, themselves or as a list, by name or behind a pointer, and the path to its
// fields from there; nil if they hold none.
func (l Language) within(t reflect.Type) (path string, inner reflect.Type) {
	for l.formOf(t) != structForm {
		switch l.formOf(t) {
		case listForm:
			path += "[]"
		case mapForm:
			path += ".NAME"
		case pointerForm:
		case noForm, rawForm, secretForm, textualForm, enumForm, structForm, textForm, boolForm, wholeForm, numberForm:
			return "", nil
		}
		t = t.Elem()
	}
	return path, t
}

func (l Language) rowOf(f field, prefix string, defaults reflect.Value) Row {
	r := Row{Name: prefix + f.name, Kind: l.kindOf(f.typ, f.seam), Default: f.fallback, Doc: f.doc}
	if f.choices != nil {
		r.Kind = strings.Join(f.choices, ", ")
	}
	if f.required {
		r.Default = "required"
	} else if r.Default == "" && defaults.IsValid() {
		r.Default = l.written(defaults.FieldByIndex(f.index))
	}
	if r.Default != "" && !f.required {
		r.Default = "`" + r.Default + "`"
	}
	return r
}

// kindOf says how values of a type are written.
func (l Language) kindOf(t reflect.Type, seam string) string {
	switch l.formOf(t) {
	case rawForm:
		return "[" + seam + "](#" + seam + "s)"
	case secretForm:
		return "secret"
	case textualForm:
		textual, _ := l.textual(t)
		return textual.Name
	case enumForm:
		if choices := enumChoices(t); choices != nil {
			return strings.Join(choices, ", ")
		}
		return "text"
	case pointerForm:
		return l.kindOf(t.Elem(), seam)
	case structForm:
		s := shapeOf(t)
		if f, found := s.field(s.short); found {
			return l.kindOf(f.typ, "") + ", or its fields"
		}
		if s.pick {
			return "one of its fields, or the name of one"
		}
		return "fields"
	case mapForm:
		return "by name: " + l.kindOf(t.Elem(), seam)
	case listForm:
		return "list of " + l.kindOf(t.Elem(), seam)
	case textForm:
		return "text"
	case boolForm:
		return "true or false"
	case wholeForm:
		return "whole number"
	case numberForm:
		return "number"
	case noForm:
	}
	return ""
}
