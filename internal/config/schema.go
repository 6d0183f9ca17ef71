package config

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/deployguardian/adg"
)

// Schema is the JSON Schema (draft 2020-12) of policy files, for editors. It takes everything that Parse takes, and
// knows the same fields; what needs more than one field to judge only Parse refuses. A driver whose options have a
// field without a description, or one that no policy could set, is an error.
func Schema(drivers Drivers) ([]byte, error) {
	if err := drivers.described(); err != nil {
		return nil, err
	}
	root := object(reflect.TypeFor[policy](), reflect.Value{})
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "Policy of the Automated Deployment Guardian"
	defs := schema{}
	for _, s := range drivers.seams() {
		defs[s.name] = s.schema(defs)
	}
	root["$defs"] = defs
	return json.MarshalIndent(root, "", "  ")
}

// Private

// schema is a JSON Schema, or a part of one.
type schema map[string]any

// seam is one kind of driver, as policies name it.
type seam struct {
	name     string
	drivers  []adg.Driver
	reserved schema // the fields that all of its instances have, beside type
}

func (d Drivers) seams() []seam {
	name := schema{"name": schema{"type": "string", "description": "Its name; the type unless set."}}
	return []seam{{"source", d.sources(), nil}, {"target", d.targets(), nil}, {"notifier", d.notifiers(), name}}
}

// described refuses drivers that could not be explained to who writes a policy.
func (d Drivers) described() error {
	for _, s := range d.seams() {
		for _, driver := range s.drivers {
			t := reflect.TypeOf(driver.Options)
			if t == nil || t.Kind() != reflect.Struct {
				return adg.Errorf(adg.Internal, "%s %s: its options are %v, not a struct", s.name, driver.Type, t)
			}
			if err := described(t); err != nil {
				return adg.Errorf(adg.Internal, "%s %s: %w", s.name, driver.Type, err)
			}
		}
	}
	return nil
}

func described(t reflect.Type) error {
	switch formOf(t) {
	case noForm:
		return fmt.Errorf("no policy can set a %s", t)
	case structForm:
		for _, f := range shapeOf(t).fields {
			if f.doc == "" {
				return fmt.Errorf("field %s has no doc tag", f.name)
			}
			if err := described(f.typ); err != nil {
				return fmt.Errorf("field %s: %w", f.name, err)
			}
		}
	case pointerForm, mapForm, listForm:
		return described(t.Elem())
	case rawForm, secretForm, textualForm, enumForm, textForm, boolForm, wholeForm, numberForm:
	}
	return nil
}

// schema is that of an instance: which options there are depends on its type. The options go to defs.
func (s seam) schema(defs schema) schema {
	var types []string
	var cases []any
	for _, driver := range s.drivers {
		types = append(types, driver.Type)
		key := s.name + "." + driver.Type
		options := object(reflect.TypeOf(driver.Options), reflect.ValueOf(driver.Options))
		options["description"] = driver.Summary
		properties := options["properties"].(schema)
		properties["type"] = schema{"const": driver.Type, "description": driver.Summary}
		for name, reserved := range s.reserved {
			properties[name] = reserved
		}
		defs[key] = options
		cases = append(cases, schema{
			"if":   schema{"properties": schema{"type": schema{"const": driver.Type}}, "required": []string{"type"}},
			"then": schema{"$ref": "#/$defs/" + key},
		})
	}
	made := schema{
		"type": "object", "required": []string{"type"},
		"properties": schema{"type": schema{"enum": types, "description": "What kind of " + s.name + " it is."}},
	}
	if types == nil {
		made["properties"] = schema{"type": false}
	}
	if cases != nil {
		made["allOf"] = cases
	}
	return made
}

// object is the schema of a struct; defaults are the values of a driver's options, or no value.
func object(t reflect.Type, defaults reflect.Value) schema {
	s := shapeOf(t)
	properties := schema{}
	var required []string
	for _, f := range s.fields {
		properties[f.name] = property(f, defaults)
		if f.required {
			required = append(required, f.name)
		}
	}
	made := schema{"type": "object", "properties": properties, "additionalProperties": false}
	if required != nil {
		made["required"] = required
	}
	if s.pick {
		made["minProperties"], made["maxProperties"] = 1, 1
	}
	return made
}

// property is the schema of a field.
func property(f field, defaults reflect.Value) schema {
	inner := reflect.Value{}
	if defaults.IsValid() {
		inner = defaults.FieldByIndex(f.index)
	}
	made := typed(f.typ, f.seam, inner)
	// Beside a reference a description of one's own is allowed since draft 2019-09.
	made["description"] = f.doc
	if f.choices != nil {
		made["enum"] = f.choices
	}
	if form := formOf(f.typ); f.positive && (form == wholeForm || form == numberForm) {
		made["exclusiveMinimum"] = 0
	}
	if f.filled {
		made["minItems"] = 1
	}
	switch {
	case f.fallback != "":
		made["default"] = plain(f.fallback)
	case inner.IsValid():
		if text := written(inner); text != "" {
			made["default"] = plain(text)
		}
	}
	return made
}

// typed is the schema of a Go type.
func typed(t reflect.Type, seam string, defaults reflect.Value) schema {
	switch formOf(t) {
	case rawForm:
		return schema{"$ref": "#/$defs/" + seam}
	case secretForm:
		return schema{
			"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": false,
			"properties": schema{
				"env":  schema{"type": "string", "pattern": variableName.String(), "description": "The environment variable that holds the secret."},
				"file": schema{"type": "string", "minLength": 1, "description": "The file that holds the secret."},
			},
		}
	case textualForm:
		return schema{"type": "string", "pattern": textuals[t].pattern.String()}
	case enumForm:
		if choices := enumChoices(t); choices != nil {
			return schema{"enum": choices}
		}
		return schema{"type": "string"}
	case pointerForm:
		return typed(t.Elem(), seam, reflect.Value{})
	case structForm:
		return structured(t, defaults)
	case mapForm:
		return schema{"type": "object", "additionalProperties": typed(t.Elem(), seam, reflect.Value{})}
	case listForm:
		return schema{"type": "array", "items": typed(t.Elem(), seam, reflect.Value{})}
	case textForm:
		return schema{"type": "string"}
	case boolForm:
		return schema{"type": "boolean"}
	case wholeForm:
		return schema{"type": "integer"}
	case numberForm:
		return schema{"type": "number"}
	case noForm:
	}
	return schema{}
}

// structured is the schema of a struct that may be written shorter.
func structured(t reflect.Type, defaults reflect.Value) schema {
	s, made := shapeOf(t), object(t, defaults)
	if f, found := s.field(s.short); found {
		return schema{"anyOf": []any{typed(f.typ, "", reflect.Value{}), made}}
	}
	if s.pick {
		return schema{"anyOf": []any{schema{"enum": s.names()}, made}}
	}
	return made
}

// plain is a default as JSON has it.
func plain(text string) any {
	doc := newDocument("default", []byte(text))
	n := parseTree(doc, text)
	if n == nil || doc.failed() {
		return text
	}
	return plainNode(n)
}

func plainNode(n *node) any {
	switch n.kind {
	case listKind:
		items := make([]any, len(n.items))
		for i, item := range n.items {
			items[i] = plainNode(item)
		}
		return items
	case mappingKind:
		fields := map[string]any{}
		for _, e := range n.entries {
			fields[e.name] = plainNode(e.value)
		}
		return fields
	case numberKind:
		return json.Number(n.text)
	case boolKind:
		return n.text == "true"
	case textKind:
		return n.text
	case nullKind, refusedKind:
	}
	return nil
}

// written is a driver's default as a policy would write it; empty for what is not worth saying.
func written(v reflect.Value) string {
	switch formOf(v.Type()) {
	case textualForm:
		if d, ok := v.Interface().(time.Duration); ok && d > 0 {
			return short(d)
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
			item := written(v.Index(i))
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
