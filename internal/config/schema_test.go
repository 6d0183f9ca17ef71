package config_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"pgregory.net/rapid"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/config"
)

func compiled(t testing.TB) *jsonschema.Schema {
	t.Helper()
	text, err := config.Schema(drivers())
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("policy.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("policy.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// value is a policy as editors see it.
func value(t testing.TB, text []byte) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return plain(t, v)
}

func plain(t testing.TB, v any) any {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestSchemaTakesGoodPolicies(t *testing.T) {
	schema := compiled(t)
	for name, text := range good(t) {
		if err := schema.Validate(value(t, text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSchemaRefusesBadPolicies(t *testing.T) {
	schema := compiled(t)
	for _, one := range []struct{ name, old, young string }{
		{"a missing field", "service: shop\n", ""},
		{"an unknown field", "service: shop\n", "service: shop\nservcie: shop\n"},
		{"a source of no known type", "type: command, path: ./errors", "type: comand, path: ./errors"},
		{"an option of another driver", "path: ./errors", "url: ./errors"},
		{"a bare number for a time", "strategy: recreate", "strategy: {recreate: {bake: 5}}"},
		{"a time that is none", "strategy: recreate", "strategy: {recreate: {bake: soon}}"},
		{"a percentage without its sign", "strategy: recreate", "strategy: {canary: {steps: [5, 100]}}"},
		{"two strategies", "strategy: recreate", "strategy: {canary: {}, recreate: {}}"},
		{"a strategy that does not exist", "strategy: recreate", "strategy: canray"},
		{"a condition without operator", `"> 5%"`, `"5%"`},
		{"a literal secret", "strategy: recreate", "strategy: recreate\nnotify: [{type: slack, webhook: literal}]"},
		{"a secret in a variable with no name", "strategy: recreate", "strategy: recreate\nnotify: [{type: slack, webhook: {env: 'a b'}}]"},
		{"a trust that does not exist", "strategy: recreate", "strategy: recreate\nrollback: {trust: full}"},
		{"no time at all for a phase", "strategy: recreate", "strategy: recreate\nverify: [{phase: a}]"},
		{"a weight of nothing", "source: errors,", "source: errors, weight: 0,"},
		{"yes for true", "source: errors,", "source: errors, critical: 'yes',"},
	} {
		text := strings.Replace(minimal, one.old, one.young, 1)
		if text == minimal {
			t.Fatalf("%s: changes nothing", one.name)
		}
		if schema.Validate(value(t, []byte(text))) == nil {
			t.Errorf("%s: taken by the schema", one.name)
		}
		if _, err := config.Parse("policy.yaml", []byte(text), drivers(), env); err == nil {
			t.Errorf("%s: taken by the decoder", one.name)
		}
	}
}

func TestSchemaTakesWhateverParses(t *testing.T) {
	schema, documents := compiled(t), documents(t)
	parsed := 0
	rapid.Check(t, func(rt *rapid.T) {
		doc := copied(rapid.SampledFrom(documents).Draw(rt, "document"))
		for range rapid.IntRange(1, 3).Draw(rt, "changes") {
			change(rt, doc)
		}
		text, err := json.Marshal(doc)
		if err != nil {
			rt.Fatal(err)
		}
		if _, err := config.Parse("policy.yaml", text, drivers(), env); err != nil {
			return
		}
		parsed++
		if err := schema.Validate(plain(t, doc)); err != nil {
			rt.Fatalf("parses, and the schema refuses it:\n%s\n%v", text, err)
		}
	})
	if parsed == 0 {
		t.Error("none of the changed policies parses: the test has gone blind")
	}
}

func TestSchemaAndDecoderKnowTheSameFields(t *testing.T) {
	schema, documents := compiled(t), documents(t)
	names := fieldNames(documents)
	unknown, known := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		doc := copied(rapid.SampledFrom(documents).Draw(rt, "document"))
		into := rapid.SampledFrom(objects(doc)).Draw(rt, "object")
		name := rapid.SampledFrom(names).Draw(rt, "name")
		into[name] = nil // of no type that anything has
		text, err := json.Marshal(doc)
		if err != nil {
			rt.Fatal(err)
		}
		_, err = config.Parse("policy.yaml", text, drivers(), env)
		if err == nil {
			rt.Fatalf("null is taken:\n%s", text)
		}
		decoder := strings.Contains(err.Error(), `unknown field "`+name+`"`)
		editor := additional(schema.Validate(plain(t, doc)), name)
		// A secret has env or file: anything else in it is no secret, rather than an unknown field.
		if strings.Contains(err.Error(), "is a secret, which") {
			return
		}
		if decoder != editor {
			rt.Fatalf("%s is unknown to the decoder: %v, to the schema: %v\n%s\n%v", name, decoder, editor, text, err)
		}
		if decoder {
			unknown++
		} else {
			known++
		}
	})
	if unknown < 5 || known < 5 {
		t.Errorf("%d unknown and %d known fields were tried: the test has gone blind", unknown, known)
	}
}

// additional tells whether the schema calls a field unknown.
func additional(err error, name string) bool {
	v, ok := errors.AsType[*jsonschema.ValidationError](err)
	if !ok {
		return false
	}
	if k, ok := v.ErrorKind.(*kind.AdditionalProperties); ok && slices.Contains(k.Properties, name) {
		return true
	}
	return slices.ContainsFunc(v.Causes, func(cause *jsonschema.ValidationError) bool { return additional(cause, name) })
}

func documents(t testing.TB) []any {
	t.Helper()
	texts := good(t)
	var all []any
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		all = append(all, value(t, texts[name]))
	}
	return all
}

func copied(v any) any {
	switch v := v.(type) {
	case map[string]any:
		made := map[string]any{}
		for name, inner := range v {
			made[name] = copied(inner)
		}
		return made
	case []any:
		made := make([]any, len(v))
		for i, inner := range v {
			made[i] = copied(inner)
		}
		return made
	default:
		return v
	}
}

// objects are all mappings of a document, outermost first.
func objects(v any) []map[string]any {
	var all []map[string]any
	switch v := v.(type) {
	case map[string]any:
		all = append(all, v)
		for _, name := range slices.Sorted(maps.Keys(v)) {
			all = append(all, objects(v[name])...)
		}
	case []any:
		for _, inner := range v {
			all = append(all, objects(inner)...)
		}
	}
	return all
}

func fieldNames(documents []any) []string {
	names := map[string]bool{"nothing_has_this": true}
	for _, doc := range documents {
		for _, o := range objects(doc) {
			for name := range o {
				names[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// change takes a field of a document away, or gives it another value.
func change(rt *rapid.T, doc any) {
	o := rapid.SampledFrom(objects(doc)).Draw(rt, "in")
	if len(o) == 0 {
		return
	}
	name := rapid.SampledFrom(slices.Sorted(maps.Keys(o))).Draw(rt, "field")
	if rapid.Bool().Draw(rt, "remove") {
		delete(o, name)
		return
	}
	o[name] = rapid.SampledFrom([]any{
		"", "x", "5s", " 1h 30m", "1.5 h", "0s", "5%", "0.5 %", "100%", "> 5%", ">=1", "outside 1..2", "> baseline + 5pp", "inside 1 .. 2", "now", "after 5m", " after  1d ",
		"recreate", "canary", "observe", "auto", "command", "http", "degraded", true, false, json.Number("0"), json.Number("1"), json.Number("-1"), json.Number("2.50"), json.Number("3"),
		[]any{}, []any{"5%", "100%"}, []any{"errors"}, map[string]any{}, map[string]any{"recreate": map[string]any{}}, map[string]any{"env": "SLACK_URL"}, map[string]any{"bake": "1m"},
	}).Draw(rt, "value")
}

func TestReferenceNamesEverything(t *testing.T) {
	page, err := config.Reference(drivers())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"`environment`", "`canary.steps[].pause`", "`rules[].act`", "`verify.within`", "type: prometheus", "`tls.ca_file`",
		"`apply.timeout` | time | `5m` |", "`scrape[].token` | secret", "| `trust` | observe, suggest, ask, auto | `suggest` |", "## Notifiers"} {
		if !bytes.Contains(page, []byte(want)) {
			t.Errorf("nothing about %s", want)
		}
	}
	again, err := config.Reference(drivers())
	if err != nil || !bytes.Equal(page, again) {
		t.Error("written differently each time")
	}
}

func TestOptionsThatCannotBeExplainedAreRefused(t *testing.T) {
	type undocumented struct {
		URL string `yaml:"url"`
	}
	type impossible struct {
		Listen chan int `yaml:"listen" doc:"A channel."`
	}
	type inner struct {
		Inner []undocumented `yaml:"inner" doc:"Something."`
	}
	for _, options := range []any{undocumented{}, impossible{}, inner{}, 5, nil, &undocumented{}} {
		d := config.Drivers{Sources: []adg.SourceDriver{{
			Driver: adg.Driver{Type: "odd", Options: options},
			Open:   func(context.Context, any, adg.Host) (adg.Source, error) { return nil, nil },
		}}}
		if _, err := config.Schema(d); err == nil || !strings.Contains(err.Error(), "odd") {
			t.Errorf("schema of %T: %v", options, err)
		}
		if _, err := config.Reference(d); err == nil {
			t.Errorf("reference of %T was written", options)
		}
	}
}

func TestSchemaWithoutDriversStillCompiles(t *testing.T) {
	text, err := config.Schema(config.Drivers{})
	if err != nil || !json.Valid(text) {
		t.Errorf("%v", err)
	}
}
