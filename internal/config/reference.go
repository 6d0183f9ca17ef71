package config

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
)

// Reference is the reference page of policy files, in Markdown. It fails as Schema does.
func Reference(drivers Drivers) ([]byte, error) {
	if err := drivers.described(); err != nil {
		return nil, err
	}
	var page bytes.Buffer
	page.WriteString(opening)
	top := shapeOf(reflect.TypeFor[policy]())
	var plainRows []row
	for _, f := range top.fields {
		plainRows = append(plainRows, rowOf(f, "", reflect.Value{}))
	}
	table(&page, plainRows)
	for _, f := range top.fields {
		inner := f.typ
		if formOf(inner) == listForm {
			inner = inner.Elem()
		}
		if formOf(inner) != structForm {
			continue
		}
		_, _ = fmt.Fprintf(&page, "\n## %s\n\n%s\n\n", f.name, f.doc)
		table(&page, rows(inner, "", reflect.Value{}))
	}
	for _, s := range drivers.seams() {
		_, _ = fmt.Fprintf(&page, "\n## %s\n", strings.ToUpper(s.name[:1])+s.name[1:]+"s")
		for _, driver := range s.drivers {
			_, _ = fmt.Fprintf(&page, "\n### type: %s\n\n%s\n", driver.Type, driver.Summary)
			if options := rows(reflect.TypeOf(driver.Options), "", reflect.ValueOf(driver.Options)); len(options) > 0 {
				page.WriteString("\n")
				table(&page, options)
			}
		}
	}
	return page.Bytes(), nil
}

// Private

const opening = `# Policy file

This page is generated from the program; ` + "`adg policy schema`" + ` prints the same for editors.

A policy is one YAML document. What it does not say has the default below. Everything that is wrong with it is said at
once; ` + "`adg policy lint`" + ` says what is doubtful, too. An unknown field is an error.

* A **time** is written as people write it: ` + "`90s`, `15m`, `1h30m`, `1.5h`, `2d`, `1w`" + `. A number alone is refused.
* A **percentage** is written with its sign: ` + "`5%`, `0.5%`" + `.
* A **condition** says what is bad, in quotes: ` + "`\"> 5%\"`, `\"outside 10..20\"`, `\"> baseline + 25%\"`" + ` (a quarter more),
  ` + "`\"> baseline + 5pp\"`" + ` (five percentage points more).
* A **secret** is named, never written: ` + "`{env: NAME}` or `{file: PATH}`" + `. One line end at the end of the file is left out.
* Paths are relative to the folder that adg runs in.
* Anchors and aliases stand for whole values. Merge keys (` + "`<<`" + `), tags and further documents are refused.

## Fields

`

// row is one line of a table.
type row struct{ name, kind, fallback, doc string }

// rows are the fields of a struct and of those inside it, with their paths.
func rows(t reflect.Type, prefix string, defaults reflect.Value) []row {
	var all []row
	for _, f := range shapeOf(t).fields {
		all = append(all, rowOf(f, prefix, defaults))
		value := reflect.Value{}
		if defaults.IsValid() {
			value = defaults.FieldByIndex(f.index)
		}
		path, inner := prefix+f.name, f.typ
		for formOf(inner) != structForm {
			switch formOf(inner) {
			case listForm:
				path += "[]"
			case mapForm:
				path += ".NAME"
			case pointerForm:
			case noForm, rawForm, secretForm, textualForm, enumForm, structForm, textForm, boolForm, wholeForm, numberForm:
				inner = nil
			}
			if inner == nil {
				break
			}
			inner, value = inner.Elem(), reflect.Value{}
		}
		if inner != nil {
			all = append(all, rows(inner, path+".", value)...)
		}
	}
	return all
}

func rowOf(f field, prefix string, defaults reflect.Value) row {
	r := row{name: prefix + f.name, kind: kindOf(f.typ, f.seam), fallback: f.fallback, doc: f.doc}
	if f.choices != nil {
		r.kind = strings.Join(f.choices, ", ")
	}
	if f.required {
		r.fallback = "required"
	} else if r.fallback == "" && defaults.IsValid() {
		r.fallback = written(defaults.FieldByIndex(f.index))
	}
	if r.fallback != "" && !f.required {
		r.fallback = "`" + r.fallback + "`"
	}
	return r
}

// kindOf says how values of a type are written.
func kindOf(t reflect.Type, seam string) string {
	switch formOf(t) {
	case rawForm:
		return "[" + seam + "](#" + seam + "s)"
	case secretForm:
		return "secret"
	case textualForm:
		return textuals[t].name
	case enumForm:
		if choices := enumChoices(t); choices != nil {
			return strings.Join(choices, ", ")
		}
		return "text"
	case pointerForm:
		return kindOf(t.Elem(), seam)
	case structForm:
		s := shapeOf(t)
		if f, found := s.field(s.short); found {
			return kindOf(f.typ, "") + ", or its fields"
		}
		if s.pick {
			return "one of its fields, or the name of one"
		}
		return "fields"
	case mapForm:
		return "by name: " + kindOf(t.Elem(), seam)
	case listForm:
		return "list of " + kindOf(t.Elem(), seam)
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

func table(page *bytes.Buffer, rows []row) {
	page.WriteString("| field | is | default | what it is for |\n|---|---|---|---|\n")
	cell := strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;")
	for _, r := range rows {
		_, _ = fmt.Fprintf(page, "| `%s` | %s | %s | %s |\n", r.name, cell.Replace(r.kind), cell.Replace(r.fallback), cell.Replace(r.doc))
	}
}
