package config

import (
	"encoding/json"
	"reflect"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/strictyaml"
)

// Schema is the JSON Schema (draft 2020-12) of policy files, for editors. It takes everything that Parse takes, and
// knows the same fields; what needs more than one field to judge only Parse refuses. A driver whose options have a
// field without a description, or one that no policy could set, is an error.
func Schema(drivers Drivers) ([]byte, error) {
	if err := drivers.described(); err != nil {
		return nil, err
	}
	root := language.Object(reflect.TypeFor[policy](), reflect.Value{})
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

type schema = strictyaml.Schema

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
			if err := language.Described(t); err != nil {
				return adg.Errorf(adg.Internal, "%s %s: %w", s.name, driver.Type, err)
			}
		}
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
		options := language.Object(reflect.TypeOf(driver.Options), reflect.ValueOf(driver.Options))
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
