package main

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/pluginpb"
)

// Private

// base is what no service has: the title, how one logs in, and what errors look like.
//
//go:embed base.json
var base []byte

type object = map[string]any

// document joins the plugin's documents, one per service, into one, and adds what the plugin does not know.
func document(d *definition, files []*pluginpb.CodeGeneratorResponse_File) ([]byte, error) {
	var doc object
	if err := json.Unmarshal(base, &doc); err != nil {
		return nil, fmt.Errorf("read base.json: %w", err)
	}
	schemas := doc["components"].(object)["schemas"].(object)
	paths, tags := object{}, []any{}
	for _, f := range files {
		var part struct {
			Tags       []any
			Paths      map[string]object
			Components struct{ Schemas object }
		}
		if err := json.Unmarshal([]byte(f.GetContent()), &part); err != nil {
			return nil, fmt.Errorf("read %s: %w", f.GetName(), err)
		}
		tags = append(tags, part.Tags...)
		maps.Copy(schemas, part.Components.Schemas)
		for path, item := range part.Paths {
			if paths[path] == nil {
				paths[path] = object{}
			}
			maps.Copy(paths[path].(object), item)
		}
	}
	doc["tags"], doc["paths"] = tags, paths
	for _, m := range methods(d) {
		operation, err := find(paths, operationID(m))
		if err != nil {
			return nil, err
		}
		finish(operation, m)
	}
	requireAnswered(d, schemas)
	describeValues(d, schemas)
	text, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return nil, err
	}
	return append(text, '\n'), nil
}

func operationID(m protoreflect.MethodDescriptor) string {
	return string(m.Parent().Name()) + "_" + string(m.Name())
}

func find(paths object, id string) (object, error) {
	for _, item := range paths {
		for _, operation := range item.(object) {
			if o, ok := operation.(object); ok && o["operationId"] == id {
				return o, nil
			}
		}
	}
	return nil, fmt.Errorf("the OpenAPI document has no operation %s: does it have a google.api.http rule?", id)
}

// finish says how an operation fails, that a stream is a sequence of lines, and that a document is no JSON.
func finish(operation object, m protoreflect.MethodDescriptor) {
	responses := operation["responses"].(object)
	responses["default"] = object{"$ref": "#/components/responses/Error"}
	success := responses["200"].(object)
	switch {
	case m.IsStreamingServer():
		item := success["content"].(object)["application/json"].(object)["schema"]
		line := object{"type": "object", "properties": object{
			"result": item, "error": object{"$ref": "#/components/schemas/google.rpc.Status"}}}
		success["description"] = "A stream: one JSON object per line. " + fmt.Sprint(success["description"])
		success["content"] = object{"application/x-ndjson": object{"schema": line}, "text/event-stream": object{"schema": line}}
	case m.Output().FullName() == "google.api.HttpBody":
		text := object{"schema": object{"type": "string"}}
		success["description"] = "The document."
		success["content"] = object{"text/markdown": text, "text/html": text, "application/json": object{"schema": object{}}}
	}
	if openToAll(m) {
		operation["security"] = []any{}
	}
}

// openToAll tells whether an operation is for those who are not logged in yet.
func openToAll(m protoreflect.MethodDescriptor) bool {
	switch m.FullName().Name() {
	case "ListLoginProviders", "LogIn", "StartOidcLogin", "CompleteOidcLogin", "StartDeviceLogin", "PollDeviceLogin", "GetVersion":
		return true
	}
	return false
}

// requireAnswered marks what is in every answer: all fields but messages and those that may not be set. Messages that
// are also sent keep what the definition requires, because a caller may leave fields out.
func requireAnswered(d *definition, schemas object) {
	sent, answered := map[protoreflect.FullName]protoreflect.MessageDescriptor{}, map[protoreflect.FullName]protoreflect.MessageDescriptor{}
	for _, m := range methods(d) {
		reach(m.Input(), sent)
		reach(m.Output(), answered)
	}
	for name, message := range answered {
		schema, ok := schemas[string(name)].(object)
		if _, both := sent[name]; both || !ok {
			continue
		}
		var required []string
		for i := range message.Fields().Len() {
			if f := message.Fields().Get(i); f.IsList() || f.IsMap() || f.Message() == nil && !f.HasPresence() {
				required = append(required, f.JSONName())
			}
		}
		if slices.Sort(required); len(required) > 0 {
			schema["required"] = required
		}
	}
}

// describeValues says in an enum's description what each value means.
func describeValues(d *definition, schemas object) {
	for _, f := range d.own {
		said := comments(f)
		for i, e := range f.GetEnumType() {
			schema, ok := schemas[f.GetPackage()+"."+e.GetName()].(object)
			if !ok {
				continue // no method has to do with it
			}
			text := fmt.Sprint(schema["description"]) + "\n"
			for j, v := range e.GetValue() {
				text += fmt.Sprintf("\n* `%s`: %s", v.GetName(), said[fmt.Sprint([]int32{5, int32(i), 2, int32(j)})])
			}
			schema["description"] = text
		}
	}
}

func reach(m protoreflect.MessageDescriptor, seen map[protoreflect.FullName]protoreflect.MessageDescriptor) {
	if seen[m.FullName()] != nil || !strings.HasPrefix(string(m.FullName()), "adg.") {
		return
	}
	seen[m.FullName()] = m
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		if f.IsMap() {
			f = f.MapValue()
		}
		if f.Message() != nil {
			reach(f.Message(), seen)
		}
	}
}

// methods are all methods of all services, in the order of the files.
func methods(d *definition) []protoreflect.MethodDescriptor {
	var all []protoreflect.MethodDescriptor
	for _, file := range d.files {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				all = append(all, service.Methods().Get(j))
			}
		}
	}
	return all
}
