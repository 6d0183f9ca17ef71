package openapi

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// Private

// samples are what a field of that name could hold.
var samples = map[string]string{
	"service": "checkout", "environment": "production", "version": "1.42.0", "id": "01J8ZK4T", "deployment": "01J8ZK4T", "name": "friday",
	"check": "error-rate", "reason": "error rate looks wrong", "etag": "7", "idempotencyKey": "build-4711", "text": "service: checkout\n…",
	"identity": "registry/checkout@sha256:9f2c", "role": "deployer", "subject": "user:maria", "provider": "company", "password": "…",
	"permission": "deployment.start", "type": "prometheus", "userCode": "WDJB-MJHT", "seq": "17",
}

// always are fields that an example has even where they may be left out.
var always = []string{"idempotencyKey", "etag", "reason"}

// curl is a line that could be pasted, with an example of the body.
func (s spec) curl(o operation, m method, body schema) string {
	path := o.Path
	var query []string
	for _, p := range m.Parameters {
		value := sample(p.Name)
		if p.In == "path" {
			path = strings.ReplaceAll(path, "{"+p.Name+"}", value)
		} else if p.Required {
			query = append(query, p.Name+"="+value)
		}
	}
	if len(query) > 0 {
		path += "?" + strings.Join(query, "&")
	}
	line := "curl"
	if o.Stream {
		line += " -N"
	}
	if o.Verb != "GET" {
		line += " -X " + o.Verb
	}
	if m.Security == nil {
		line += ` -H "Authorization: Bearer $ADG_TOKEN"`
	}
	line += ` "$ADG_SERVER` + path + `"`
	if body.Properties == nil {
		return line
	}
	text, err := json.Marshal(s.example(body, 3))
	if err != nil {
		return line // of maps, lists and words there always is JSON
	}
	return line + " \\\n  -d '" + string(text) + "'"
}

// example is a value of a schema with what is necessary; of messages in messages, so many levels.
func (s spec) example(of schema, levels int) any {
	if of.Ref != "" {
		of = s.Components.Schemas[strings.TrimPrefix(of.Ref, "#/components/schemas/")]
	}
	if len(of.Enum) > 0 {
		return of.Enum[min(1, len(of.Enum)-1)]
	}
	if of.Properties == nil || levels == 0 {
		return nil
	}
	value := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(of.Properties)) {
		p := of.Properties[name]
		if p.ReadOnly || !slices.Contains(of.Required, name) && !slices.Contains(always, name) {
			continue
		}
		if inner := s.example(p, levels-1); inner != nil {
			value[name] = inner
		} else {
			value[name] = sample(name)
		}
	}
	return value
}

func sample(name string) string {
	last := name[strings.LastIndexByte(name, '.')+1:]
	if text, ok := samples[last]; ok {
		return text
	}
	return "…"
}
