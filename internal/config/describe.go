package config

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"github.com/deployguardian/adg"
)

// Described is a type that a connection may have.
type Described struct {
	Seam    string // one of Seams
	Type    string
	Summary string
	Schema  []byte   // JSON Schema (draft 2020-12) of its options; that a secret is necessary it does not say: those may be given apart
	Secrets []string // paths of the options that are secrets, as in basic_auth.password or scrape[].bearer_token
}

// Describe tells of all types, by seam and name.
func (d Drivers) Describe() ([]Described, error) {
	if err := d.described(); err != nil {
		return nil, err
	}
	var all []Described
	for _, s := range d.seams() {
		for _, driver := range s.drivers {
			t := reflect.TypeOf(driver.Options)
			one := Described{Seam: s.name, Type: driver.Type, Summary: driver.Summary}
			options := language.Object(t, reflect.ValueOf(driver.Options))
			options["$schema"] = "https://json-schema.org/draft/2020-12/schema"
			for _, row := range language.Rows(t, "", reflect.Value{}) {
				if row.Kind == "secret" {
					one.Secrets = append(one.Secrets, row.Name)
					unnecessary(options, strings.Split(row.Name, "."))
				}
			}
			var err error
			if one.Schema, err = json.Marshal(options); err != nil {
				return nil, adg.Errorf(adg.Internal, "the schema of %s %s: %w", s.name, driver.Type, err)
			}
			all = append(all, one)
		}
	}
	return all, nil
}

// RegisteredSchema is the JSON Schema (draft 2020-12) of policy files as a server takes them: sources, targets and
// notifiers go by the names of known.
func RegisteredSchema(known Connections) ([]byte, error) {
	root := language.Object(reflect.TypeFor[policy](), reflect.Value{})
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "Policy of the Automated Deployment Guardian, as a server takes it"
	properties := root["properties"].(schema)
	delete(properties, "sources")
	delete(properties, "targets")
	root["required"] = append(slices.DeleteFunc(root["required"].([]string), func(name string) bool { return name == "sources" }), "target")
	name(properties["target"].(schema), known.Targets)
	checks := properties["checks"].(schema)["items"].(schema)["properties"].(schema)
	name(checks["source"].(schema), known.Sources)
	notifier := schema{}
	name(notifier, known.Notifiers)
	properties["notify"].(schema)["items"] = notifier
	return json.MarshalIndent(root, "", "  ")
}

// Private

// name makes a schema that of a registered connection's name.
func name(of schema, known []Instance) {
	delete(of, "$ref")
	of["type"] = "string"
	if len(known) > 0 {
		of["enum"] = names(known)
	}
}

// unnecessary takes the field at a path out of what is required.
func unnecessary(of schema, path []string) {
	if len(path) > 1 {
		if below, ok := of["properties"].(schema)[path[0]].(schema); ok && below["properties"] != nil {
			unnecessary(below, path[1:])
		}
		return
	}
	required, _ := of["required"].([]string)
	required = slices.DeleteFunc(required, func(name string) bool { return name == path[0] })
	if len(required) == 0 {
		delete(of, "required")
		return
	}
	of["required"] = required
}
