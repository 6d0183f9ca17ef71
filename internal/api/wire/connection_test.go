package wire_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/api/wire"
	"github.com/deployguardian/adg/internal/control"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

const shown = `{"address":"https://prometheus:9090","timeout":30,"auth":{"username":"adg","password":{"keep":"true"}},
	"headers":{"X-Key":{"keep":"true"},"X-Env":{"env":"ADG_KEY"}},"scrape":[{"job":"a","token":{"keep":"true"}},{"job":"b"}]}`

func connection() control.Connection {
	return control.Connection{Seam: "source", Name: "prom", Type: "prometheus", Options: shown, Services: []string{"shop-*"}, Version: 4}
}

func TestSecretsOfAConnectionAreNamedAndNeverShown(t *testing.T) {
	made, err := wire.Connection(connection())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"auth.password", "headers.X-Env", "headers.X-Key", "scrape[0].token"}, made.SecretNames); diff != "" {
		t.Errorf("the places of secrets (-want +got):\n%s", diff)
	}
	want := map[string]any{
		"address": "https://prometheus:9090", "timeout": 30.0, "auth": map[string]any{"username": "adg"},
		"headers": map[string]any{"X-Env": map[string]any{"env": "ADG_KEY"}}, "scrape": []any{map[string]any{"job": "a", "token": map[string]any{"keep": "true"}}, map[string]any{"job": "b"}},
	}
	if diff := cmp.Diff(want, made.Options.AsMap()); diff != "" {
		t.Errorf("the options (-want +got):\n%s", diff)
	}
	if made.Etag != wire.Etag(4) || made.Secrets != nil || !slices.Equal(made.Environments, []string{"*"}) {
		t.Errorf("%v", made)
	}
}

func TestNoSecretPassesEvenIfItWasNotTakenOutBefore(t *testing.T) {
	const secret = "hunter2-hunter2"
	for _, options := range []string{
		`{"token":{"value":"` + secret + `"}}`,
		`{"token":{"sealed":"` + secret + `"}}`,
		`{"a":{"b":{"c":{"sealed":"` + secret + `"}}}}`,
		`{"a":[{"value":"` + secret + `"},[{"sealed":"` + secret + `"}],{"x":{"value":"` + secret + `"}}]}`,
		`{"token":{"sealed":"` + secret + `"}`, // no JSON
	} {
		k := connection()
		k.Options = options
		made, err := wire.Connection(k)
		text := protojson.Format(made)
		if err != nil {
			text = err.Error()
		}
		if strings.Contains(text, secret) {
			t.Errorf("%s shows the secret: %s", options, text)
		}
		if err == nil && len(made.SecretNames) == 0 {
			t.Errorf("%s names no place of a secret", options)
		}
	}
}

func TestSecretsThatAreNotNamedStay(t *testing.T) {
	before := connection()
	read := func(change func(*adgv1.Connection)) string {
		t.Helper()
		sent, err := wire.Connection(before)
		if err != nil {
			t.Fatal(err)
		}
		change(sent)
		k, err := wire.ReadConnection(sent, &before)
		if err != nil {
			t.Fatal(err)
		}
		var made map[string]any
		if err := json.Unmarshal([]byte(k.Options), &made); err != nil {
			t.Fatal(err)
		}
		delete(made, "address")
		delete(made, "timeout")
		text, _ := json.Marshal(made)
		return string(text)
	}
	for _, c := range []struct {
		name   string
		change func(*adgv1.Connection)
		want   string
	}{
		{"nothing is changed", func(*adgv1.Connection) {},
			`{"auth":{"password":{"keep":"true"},"username":"adg"},"headers":{"X-Env":{"env":"ADG_KEY"},"X-Key":{"keep":"true"}},"scrape":[{"job":"a","token":{"keep":"true"}},{"job":"b"}]}`},
		{"one is new", func(c *adgv1.Connection) {
			c.Secrets = map[string]string{"auth.password": "s3cret", "scrape[1].token": "s4cret"}
		},
			`{"auth":{"password":{"value":"s3cret"},"username":"adg"},"headers":{"X-Env":{"env":"ADG_KEY"},"X-Key":{"keep":"true"}},"scrape":[{"job":"a","token":{"keep":"true"}},{"job":"b","token":{"value":"s4cret"}}]}`},
		{"one goes", func(c *adgv1.Connection) { c.Secrets = map[string]string{"headers.X-Key": "", "scrape[0].token": ""} },
			`{"auth":{"password":{"keep":"true"},"username":"adg"},"headers":{"X-Env":{"env":"ADG_KEY"}},"scrape":[{"job":"a"},{"job":"b"}]}`},
		{"one is named in the options", func(c *adgv1.Connection) {
			c.Options.Fields["auth"].GetStructValue().Fields["password"], _ = structpb.NewValue(map[string]any{"env": "ADG_PASSWORD"})
			delete(c.Options.Fields, "scrape")
		}, `{"auth":{"password":{"env":"ADG_PASSWORD"},"username":"adg"},"headers":{"X-Env":{"env":"ADG_KEY"},"X-Key":{"keep":"true"}}}`},
		{"it is another type", func(c *adgv1.Connection) { c.Type, c.Options = "command", nil }, `{}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := read(c.change); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func TestConnectionOfNobodyIsNotOneOfEverybody(t *testing.T) {
	valid := func() *adgv1.Connection {
		return &adgv1.Connection{Name: "prom", Seam: adgv1.Seam_SEAM_SOURCE, Type: "prometheus", Services: []string{"*"}, Environments: []string{"*"},
			Secrets: map[string]string{"auth.password": "s3cret"}}
	}
	k, err := wire.ReadConnection(valid(), nil)
	if err != nil || k.Seam != "source" || k.Options != `{"auth":{"password":{"value":"s3cret"}}}` {
		t.Errorf("%+v, %v", k, err)
	}
	for name, change := range map[string]func(*adgv1.Connection){
		"no services":                            func(c *adgv1.Connection) { c.Services = nil },
		"no environments":                        func(c *adgv1.Connection) { c.Environments = nil },
		"an unknown seam":                        func(c *adgv1.Connection) { c.Seam = 9 },
		"a secret at no place":                   func(c *adgv1.Connection) { c.Secrets = map[string]string{"auth..password": "s3cret"} },
		"a secret in an entry that is not there": func(c *adgv1.Connection) { c.Secrets = map[string]string{"scrape[0].token": "s3cret"} },
		"a secret in place of an entry":          func(c *adgv1.Connection) { c.Secrets = map[string]string{"scrape[0]": "s3cret"} },
		"a secret in a text": func(c *adgv1.Connection) {
			c.Options, _ = structpb.NewStruct(map[string]any{"auth": "x"})
		},
	} {
		c := valid()
		change(c)
		if _, err := wire.ReadConnection(c, nil); adg.CodeOf(err) != adg.Invalid || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
