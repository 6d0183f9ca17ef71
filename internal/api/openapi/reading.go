package openapi

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Private

// reading is the document in the order in which a person reads it.
type reading struct {
	Title, About string
	Style        string
	Services     []service
	Messages     []message
}

type service struct {
	Name, About string
	Operations  []operation
}

type operation struct {
	ID, Verb, Path, About string
	Stream                bool
	Fields                []field
	Answer                string // name of the message that comes back; empty: a document of another kind
	Curl                  string
}

type message struct {
	Name, About string
	Fields      []field
	Values      []string // of an enum
}

type field struct {
	Name, In, Type, About string
	Link                  string // name of the message that the type is, or is made of
	Required              bool
}

// spec is as much of an OpenAPI document as the page shows.
type spec struct {
	Info struct{ Title, Description string }
	Tags []struct{ Name, Description string }
	// Paths holds path → verb → method.
	Paths      map[string]map[string]method
	Components struct{ Schemas map[string]schema }
}

type method struct {
	OperationID string
	Summary     string
	Description string
	Tags        []string
	Parameters  []struct {
		Name, In, Description string
		Required              bool
		Schema                schema
	}
	RequestBody struct {
		Content map[string]struct{ Schema schema }
	}
	Responses map[string]struct {
		Content map[string]struct{ Schema schema }
	}
	Security *[]any
}

type schema struct {
	Ref                  string          `json:"$ref"`
	Type                 json.RawMessage // a word, or a list of them
	Format, Description  string
	Enum                 []string
	Items                *schema
	Properties           map[string]schema
	AdditionalProperties json.RawMessage // a schema, or true
	Required             []string
	ReadOnly             bool
}

func read(text []byte) (reading, error) {
	var s spec
	if err := json.Unmarshal(text, &s); err != nil {
		return reading{}, fmt.Errorf("read the OpenAPI document: %w", err)
	}
	r := reading{Title: s.Info.Title, About: s.Info.Description, Style: style}
	byTag := map[string][]operation{}
	for path, verbs := range s.Paths {
		for verb, m := range verbs {
			if len(m.Tags) != 1 {
				return reading{}, fmt.Errorf("%s %s belongs to %d services", verb, path, len(m.Tags))
			}
			byTag[m.Tags[0]] = append(byTag[m.Tags[0]], s.operation(path, verb, m))
		}
	}
	for _, tag := range s.Tags {
		all := byTag[tag.Name]
		slices.SortFunc(all, func(a, b operation) int {
			return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Verb, b.Verb))
		})
		r.Services = append(r.Services, service{Name: tag.Name, About: tag.Description, Operations: all})
	}
	for _, name := range slices.Sorted(maps.Keys(s.Components.Schemas)) {
		m := s.Components.Schemas[name]
		r.Messages = append(r.Messages, message{Name: short(name), About: m.Description, Fields: fields(m, "body"), Values: m.Enum})
	}
	return r, nil
}

func (s spec) operation(path, verb string, m method) operation {
	o := operation{ID: m.OperationID, Verb: strings.ToUpper(verb), Path: path, About: strings.TrimSpace(m.Summary + "\n" + m.Description)}
	for _, p := range m.Parameters {
		o.Fields = append(o.Fields, describe(p.Name, p.In, p.Description, p.Schema, p.Required))
	}
	body := m.RequestBody.Content["application/json"].Schema
	o.Fields = append(o.Fields, fields(body, "body")...)
	for kind, content := range m.Responses["200"].Content {
		target := content.Schema
		if result, ok := target.Properties["result"]; ok && kind != "application/json" {
			target, o.Stream = result, true
		}
		if target.Ref != "" {
			o.Answer = short(target.Ref)
		}
	}
	o.Curl = s.curl(o, m, body)
	return o
}

func fields(s schema, in string) []field {
	var all []field
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		p := s.Properties[name]
		all = append(all, describe(name, in, p.Description, p, slices.Contains(s.Required, name)))
	}
	return all
}

func describe(name, in, about string, s schema, required bool) field {
	kind, link := s.name()
	return field{Name: name, In: in, Type: kind, Link: link, About: about, Required: required}
}

// name is the schema's type for people, and the message in it.
func (s schema) name() (kind, link string) {
	switch {
	case s.Ref != "":
		return short(s.Ref), short(s.Ref)
	case s.Items != nil:
		kind, link = s.Items.name()
		return "list of " + kind, link
	case len(s.AdditionalProperties) > 0:
		var values schema
		if json.Unmarshal(s.AdditionalProperties, &values) == nil {
			kind, link = values.name()
			return "map to " + kind, link
		}
		return "object", ""
	}
	var word string
	if json.Unmarshal(s.Type, &word) != nil {
		word = "any"
	}
	if s.Format != "" {
		word += " (" + s.Format + ")"
	}
	return word, ""
}

func short(ref string) string {
	ref = strings.TrimPrefix(ref, "#/components/schemas/")
	return strings.TrimPrefix(ref, "adg.v1.")
}
