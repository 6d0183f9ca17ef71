package strictyaml

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/deployguardian/adg"
)

// Schema is a JSON Schema, or a part of one.
type Schema map[string]any

// Object is the schema of a struct; defaults are the values of a driver's options, or no value.
func (l Language) Object(t reflect.Type, defaults reflect.Value) Schema {
	s := shapeOf(t)
	properties := Schema{}
	var required []string
	for _, f := range s.fields {
		properties[f.name] = l.property(f, defaults)
		if f.required {
			required = append(required, f.name)
		}
	}
	made := Schema{"type": "object", "properties": properties, "additionalProperties": false}
	if required != nil {
		made["required"] = required
	}
	if s.pick {
		made["minProperties"], made["maxProperties"] = 1, 1
	}
	return made
}

// Described refuses a struct with a field that has no description, or that no file could set.
func (l Language) Described(t reflect.Type) error {
	switch l.formOf(t) {
	case noForm:
		return fmt.Errorf("no %s can set a %s", l.Noun, t)
	case structForm:
		for _, f := range shapeOf(t).fields {
			if f.doc == "" {
				return fmt.Errorf("field %s has no doc tag", f.name)
			}
			if err := l.Described(f.typ); err != nil {
				return fmt.Errorf("field %s: %w", f.name, err)
			}
		}
	case pointerForm, mapForm, listForm:
		return l.Described(t.Elem())
	case rawForm, secretForm, textualForm, enumForm, textForm, boolForm, wholeForm, numberForm:
	}
	return nil
}

// Private

// property is the schema of a field.
func (l Language) property(f field, defaults reflect.Value) Schema {
	inner := reflect.Value{}
	if defaults.IsValid() {
		inner = defaults.FieldByIndex(f.index)
	}
	made := l.typed(f.typ, f.seam, inner)
	// Beside a reference a description of one's own is allowed since draft 2019-09.
	made["description"] = f.doc
	if f.choices != nil {
		made["enum"] = f.choices
	}
	if form := l.formOf(f.typ); f.positive && (form == wholeForm || form == numberForm) {
		made["exclusiveMinimum"] = 0
	}
	if f.filled {
		made["minItems"] = 1
	}
	switch {
	case f.fallback != "":
		made["default"] = l.plain(f.fallback)
	case inner.IsValid():
		if text := l.written(inner); text != "" {
			made["default"] = l.plain(text)
		}
	}
	return made
}

// typed is the schema of a Go type.
func (l Language) typed(t reflect.Type, seam string, defaults reflect.Value) Schema {
	switch l.formOf(t) {
	case rawForm:
		return Schema{"$ref": "#/$defs/" + seam}
	case secretForm:
		return Schema{
			"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": false,
			"properties": Schema{
				"env":  Schema{"type": "string", "pattern": variableName.String(), "description": "The environment variable that holds the secret."},
				"file": Schema{"type": "string", "minLength": 1, "description": "The file that holds the secret."},
			},
		}
	case textualForm:
		textual, _ := l.textual(t)
		return Schema{"type": "string", "pattern": textual.Pattern.String()}
	case enumForm:
		if choices := enumChoices(t); choices != nil {
			return Schema{"enum": choices}
		}
		return Schema{"type": "string"}
	case pointerForm:
		return l.typed(t.Elem(), seam, reflect.Value{})
	case structForm:
		return l.structured(t, defaults)
	case mapForm:
		return Schema{"type": "object", "additionalProperties": l.typed(t.Elem(), seam, reflect.Value{})}
	case listForm:
		return Schema{"type": "array", "items": l.typed(t.Elem(), seam, reflect.Value{})}
	case textForm:
		return Schema{"type": "string"}
	case boolForm:
		return Schema{"type": "boolean"}
	case wholeForm:
		return Schema{"type": "integer"}
	case numberForm:
		return Schema{"type": "number"}
	case noForm:
	}
	return Schema{}
}

// structured is the schema of a struct that may be written shorter.
func (l Language) structured(t reflect.Type, defaults reflect.Value) Schema {
	s, made := shapeOf(t), l.Object(t, defaults)
	if f, found := s.field(s.short); found {
		return Schema{"anyOf": []any{l.typed(f.typ, "", reflect.Value{}), made}}
	}
	if s.pick {
		return Schema{"anyOf": []any{Schema{"enum": s.names()}, made}}
	}
	return made
}

// plain is a default as JSON has it.
func (l Language) plain(text string) any {
	doc := newDocument(l, "default", []byte(text))
	n := parseTree(doc, text)
	if n == nil || doc.Failed() {
		return text
	}
	return Plain(n, nil)
}

// written is a default as a file would write it; empty for what is not worth saying.
func (l Language) written(v reflect.Value) string {
	switch l.formOf(v.Type()) {
	case textualForm:
		if d, ok := v.Interface().(time.Duration); ok && d > 0 {
			return adg.Short(d)
		}
	case enumForm:
		if text, ok := v.Interface().(fmt.Stringer); ok {
			return text.String()
		}
	case textForm:
		if v.String() != "" {
			return strconv.Quote(v.String())
		}
	case boolForm:
		return strconv.FormatBool(v.Bool())
	case wholeForm, numberForm:
		if !v.IsZero() {
			return strings.Trim(fmt.Sprintf("%v", v.Interface()), " ")
		}
	case listForm:
		var items []string
		for i := range v.Len() {
			item := l.written(v.Index(i))
			if item == "" {
				return ""
			}
			items = append(items, item)
		}
		if items != nil {
			return "[" + strings.Join(items, ", ") + "]"
		}
	case noForm, rawForm, secretForm, pointerForm, structForm, mapForm:
	}
	return ""
}
