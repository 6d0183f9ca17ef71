package wire

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/types/known/structpb"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/config"
	"github.com/deployguardian/adg/internal/control"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// Connection is a connection as control shows it: its secrets are taken out, and the places that have one are named. A
// connection for everything names "*". How it answers is for the caller to set.
func Connection(k control.Connection) (*adgv1.Connection, error) {
	options, err := decodeOptions(k)
	if err != nil {
		return nil, err
	}
	made := &adgv1.Connection{
		Name: text(k.Name), Seam: Seam(k.Seam), Type: text(k.Type), Services: everywhere(k.Services), Environments: everywhere(k.Environments),
		SecretNames: takeSecrets(options, "", false), Etag: Etag(k.Version),
		CreateTime: Timestamp(k.Created), UpdateTime: Timestamp(k.Changed), Actor: text(k.Actor),
	}
	slices.Sort(made.SecretNames)
	if made.Options, err = structpb.NewStruct(options); err != nil {
		return nil, adg.Errorf(adg.Internal, "showing the options of %s %s: %w", k.Seam, k.Name, err)
	}
	return made, nil
}

// ReadConnection is the connection that a caller wants, for control.PutConnection. Secrets of the one before, which is
// as control shows it and nil for a new one, stay where the caller names none; one that is named empty goes. The path of
// a secret has its fields between dots, as in basic_auth.password or scrape[0].bearer_token.
func ReadConnection(c *adgv1.Connection, before *control.Connection) (control.Connection, error) {
	seam, err := ReadSeam(c.GetSeam())
	k := control.Connection{Seam: seam, Name: c.GetName(), Type: c.GetType(), Services: c.GetServices(), Environments: c.GetEnvironments()}
	if err != nil {
		return k, err
	}
	if len(k.Services) == 0 || len(k.Environments) == 0 {
		return k, adg.Errorf(adg.Invalid, "name the services and the environments that may use the connection, or '*' for all of them")
	}
	options := c.GetOptions().AsMap()
	if before != nil && before.Seam == k.Seam && before.Type == k.Type {
		old, err := decodeOptions(*before)
		if err != nil {
			return k, err
		}
		keepSecrets(options, old, c.GetSecrets(), "")
	}
	for path, secret := range c.GetSecrets() {
		if err := putSecret(options, path, secret); err != nil {
			return k, err
		}
	}
	made, err := json.Marshal(options)
	if err != nil {
		return k, adg.Errorf(adg.Invalid, "the options cannot be written as JSON: %w", err)
	}
	k.Options = string(made)
	return k, nil
}

// ConnectionHealth is how a connection has been answering, and how many policies name it.
func ConnectionHealth(h control.Health, usedBy int) *adgv1.ConnectionHealth {
	return &adgv1.ConnectionHealth{
		SuccessTime: Timestamp(h.Success), FailureTime: Timestamp(h.Failure), Error: text(h.Error), Latency: Duration(h.Latency), UsedBy: count(usedBy),
	}
}

// Trial is what came of trying a connection out.
func Trial(t control.Trial) *adgv1.TestConnectionResponse {
	return &adgv1.TestConnectionResponse{
		Ok: t.OK, Text: text(t.Text), WayOut: text(t.WayOut), Took: Duration(t.Took),
		Measurement: optional(t.Measurement, Measurement), Observed: optional(t.Observed, Observed),
	}
}

// Driver is a type that a connection may have.
func Driver(d config.Described) (*adgv1.Driver, error) {
	schema, err := Schema(d.Schema)
	return &adgv1.Driver{Seam: Seam(d.Seam), Type: text(d.Type), Summary: text(d.Summary), Schema: schema, Secrets: texts(d.Secrets)}, err
}

// Schema is a JSON Schema as a message.
func Schema(written []byte) (*structpb.Struct, error) {
	var fields map[string]any
	if err := json.Unmarshal(written, &fields); err != nil {
		return nil, adg.Errorf(adg.Internal, "a schema is no JSON: %w", err)
	}
	made, err := structpb.NewStruct(fields)
	if err != nil {
		return nil, adg.Errorf(adg.Internal, "a schema is no message: %w", err)
	}
	return made, nil
}

// Private

// everywhere names all of them where none is named.
func everywhere(patterns []string) []string {
	if len(patterns) == 0 {
		return []string{"*"}
	}
	return texts(patterns)
}

func decodeOptions(k control.Connection) (map[string]any, error) {
	options := map[string]any{}
	if k.Options == "" {
		return options, nil
	}
	if err := json.Unmarshal([]byte(k.Options), &options); err != nil {
		// The cause may quote the options.
		return nil, adg.Errorf(adg.Internal, "the options of %s %s are no JSON", k.Seam, k.Name)
	}
	return options, nil
}

// form tells how a secret stands in options; empty: this is none.
func form(value any) string {
	secret, isMap := value.(map[string]any)
	if !isMap || len(secret) != 1 {
		return ""
	}
	for _, form := range []string{"keep", "env", "file", "value", "sealed"} {
		if _, isText := secret[form].(string); isText {
			return form
		}
	}
	return ""
}

// takeSecrets takes secrets out of options and gives their paths. Where a secret is kept is no secret, so that stays;
// those that should not be here at all go with the rest. In lists it stays visible that there is one: which entry it
// belongs to is not to be guessed when the list comes back.
func takeSecrets(options map[string]any, path string, listed bool) []string {
	var names []string
	for name, value := range options {
		at := join(path, name)
		switch form(value) {
		case "":
			names = append(names, takeInside(value, at, listed)...)
			continue
		case "env", "file":
		default:
			if delete(options, name); listed {
				options[name] = kept()
			}
		}
		names = append(names, at)
	}
	return names
}

func takeInside(value any, path string, listed bool) []string {
	switch inner := value.(type) {
	case map[string]any:
		return takeSecrets(inner, path, listed)
	case []any:
		var names []string
		for i, item := range inner {
			// An entry stands as an option of that name would.
			entry := map[string]any{"": item}
			for _, name := range takeSecrets(entry, "", true) {
				names = append(names, join(fmt.Sprintf("%s[%d]", path, i), name))
			}
			inner[i] = entry[""]
		}
		return names
	}
	return nil
}

// keepSecrets keeps the secrets of old where neither the options nor the secrets have another word.
func keepSecrets(options, old map[string]any, secrets map[string]string, path string) {
	for name, was := range old {
		at := join(path, name)
		now, present := options[name]
		_, named := secrets[at]
		inner, isMap := was.(map[string]any)
		switch {
		case form(was) == "keep":
			if !present && !named {
				options[name] = kept()
			}
		case isMap && form(was) == "":
			below, fits := now.(map[string]any)
			if !present {
				below, fits = map[string]any{}, true
			}
			if !fits {
				continue
			}
			if keepSecrets(below, inner, secrets, at); len(below) > 0 {
				options[name] = below
			}
		}
	}
}

// putSecret puts a new secret in its place; an empty one goes.
func putSecret(options map[string]any, path, secret string) error {
	fields := strings.Split(path, ".")
	for _, field := range fields[:len(fields)-1] {
		below, err := descend(options, field)
		if err != nil {
			return adg.Errorf(adg.Invalid, "%.100q is no path of a secret: %w", path, err)
		}
		options = below
	}
	last := fields[len(fields)-1]
	if last == "" || strings.ContainsAny(last, "[]") || slices.Contains(fields, "") {
		return adg.Errorf(adg.Invalid, "%.100q is no path of a secret: write its fields between dots, as in basic_auth.password", path)
	}
	if secret == "" {
		delete(options, last)
		return nil
	}
	options[last] = map[string]any{"value": secret}
	return nil
}

// descend goes into a field, such as auth, which is made where it is missing, or into an entry of a list, such as
// scrape[0].
func descend(options map[string]any, field string) (map[string]any, error) {
	if name, rest, isEntry := strings.Cut(field, "["); isEntry {
		list, _ := options[name].([]any)
		i, err := strconv.Atoi(strings.TrimSuffix(rest, "]"))
		if err != nil || i < 0 || i >= len(list) {
			return nil, fmt.Errorf("the options have no %.60q", field)
		}
		if entry, isMap := list[i].(map[string]any); isMap {
			return entry, nil
		}
		return nil, fmt.Errorf("%.60q has nothing below it", field)
	}
	switch below := options[field].(type) {
	case nil:
		made := map[string]any{}
		options[field] = made
		return made, nil
	case map[string]any:
		return below, nil
	}
	return nil, fmt.Errorf("%.60q has nothing below it", field)
}

// kept is how a secret that is sealed already is named.
func kept() map[string]any { return map[string]any{"keep": "true"} }

func join(path, name string) string {
	if path == "" || name == "" || name[0] == '[' {
		return path + name
	}
	return path + "." + name
}
