package config_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/config"
)

const options = `{"url": "https://prom:9090", "timeout": "5s", "bearer_token": {"value": "hunter2"},
	"headers": {"X-Scope": {"env": "SCOPE"}, "X-Key": {"keep": "true"}}, "tls": {"ca_file": "/ca.pem"}}`

// changes seals what is new, keeps what is kept, and leaves references as they are.
func changes(sealed map[string]string) map[string]func(path, text string) (any, error) {
	return map[string]func(path, text string) (any, error){
		"value": func(path, text string) (any, error) {
			sealed[path] = text
			return map[string]string{"sealed": "box of " + path}, nil
		},
		"keep": func(path, _ string) (any, error) { return map[string]string{"sealed": "old box of " + path}, nil },
		"env":  func(_, name string) (any, error) { return map[string]string{"env": name}, nil },
	}
}

func TestSecretsOfAConnectionAreReplacedWhereverTheyStand(t *testing.T) {
	c := config.Connection{Seam: "source", Name: "prom", Type: "prometheus", Options: []byte(options)}
	sealed := map[string]string{}
	stored, err := c.Rewritten(drivers(), changes(sealed))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(stored.Options), "hunter2") {
		t.Errorf("the secret is stored as it is: %s", stored.Options)
	}
	var got, want any
	_ = json.Unmarshal(stored.Options, &got)
	_ = json.Unmarshal([]byte(`{"url": "https://prom:9090", "timeout": "5s", "bearer_token": {"sealed": "box of bearer_token"},
		"headers": {"X-Scope": {"env": "SCOPE"}, "X-Key": {"sealed": "old box of headers.X-Key"}}, "tls": {"ca_file": "/ca.pem"}}`), &want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if sealed["bearer_token"] != "hunter2" {
		t.Errorf("sealed: %v", sealed)
	}
	opened, err := stored.Open(drivers(), config.SecretForms{
		"sealed": func(_, text string) (string, error) { return "opened " + text, nil },
		"env":    func(_, name string) (string, error) { return "value of " + name, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	o := opened.Options.(prometheusOptions)
	if o.BearerToken.Reveal() != "opened box of bearer_token" || o.Headers["X-Scope"].Reveal() != "value of SCOPE" || o.URL != "https://prom:9090" {
		t.Errorf("%+v", o)
	}
}

func TestConnectionsThatCannotBeOpenedShowNoSecret(t *testing.T) {
	for name, c := range map[string]config.Connection{
		"a literal":              {Seam: "source", Name: "p", Type: "prometheus", Options: []byte(`{"bearer_token": "hunter2"}`)},
		"a form that is not":     {Seam: "source", Name: "p", Type: "prometheus", Options: []byte(`{"bearer_token": {"file": "/etc/hunter2"}}`)},
		"a field that is not":    {Seam: "source", Name: "p", Type: "prometheus", Options: []byte(`{"password": "hunter2"}`)},
		"a secret beside others": {Seam: "source", Name: "p", Type: "prometheus", Options: []byte(`{"bearer_token": {"value": "hunter2", "env": "X"}}`)},
		"no YAML":                {Seam: "source", Name: "p", Type: "prometheus", Options: []byte(`{"bearer_token": {"value": "hunter2"`)},
		"a refused change":       {Seam: "source", Name: "p", Type: "prometheus", Options: []byte(`{"bearer_token": {"refuse": "hunter2"}}`)},
		"no such type":           {Seam: "source", Name: "p", Type: "prometeus"},
		"no such seam":           {Seam: "sources", Name: "p", Type: "prometheus"},
		"no such name":           {Seam: "source", Name: "../p", Type: "prometheus"},
	} {
		all := changes(map[string]string{})
		all["refuse"] = func(string, string) (any, error) { return nil, errors.New("no") }
		_, err := c.Rewritten(drivers(), all)
		if adg.CodeOf(err) != adg.Invalid || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPolicyOnAServerNamesWhatIsRegistered(t *testing.T) {
	known := config.Connections{
		Sources:   []config.Instance{{Name: "prom", Type: "prometheus", Options: prometheusOptions{}}},
		Targets:   []config.Instance{{Name: "shop-lb", Type: "command", Options: commandOptions{}}},
		Notifiers: []config.Instance{{Name: "team", Type: "slack"}, {Name: "log", Type: "log"}},
	}
	const text = `
service: shop
environment: production
target: shop-lb
checks:
  - {name: errors, source: prom, query: 'errors{version="$version"}', fail: "> 5%"}
strategy: recreate
notify: [log, team]
`
	file, err := config.ParseRegistered("shop.yaml", []byte(text), known)
	if err != nil {
		t.Fatal(err)
	}
	if p := file.Policy; p.Target != "shop-lb" || !cmp.Equal(p.Notify, []string{"log", "team"}) || p.Checks[0].Source != "prom" {
		t.Errorf("%+v", p)
	}
	for name, c := range map[string]struct{ from, to, want string }{
		"a source of its own":       {"checks:", "sources: {prom: {type: prometheus, url: 'http://evil', bearer_token: hunter2}}\nchecks:", "registered by an admin"},
		"a target of its own":       {"target: shop-lb", "target: {type: command, path: /bin/sh}", "name one of shop-lb"},
		"a target that is not":      {"target: shop-lb", "target: shop-lp", "shop-lb"},
		"a source that is not":      {"source: prom", "source: prometheus", `no source "prometheus"`},
		"a notifier of its own":     {"[log, team]", "[{type: slack, webhook: 'https://hunter2'}]", "registered by an admin"},
		"a notifier that is not":    {"[log, team]", "[log, tema]", "team"},
		"what no policy could have": {"strategy: recreate", "strategy: hope", "strategy"},
	} {
		_, err := config.ParseRegistered("shop.yaml", []byte(strings.Replace(text, c.from, c.to, 1)), known)
		if adg.CodeOf(err) != adg.Invalid || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := config.ParseRegistered("shop.yaml", []byte(text), config.Connections{}); err == nil || !strings.Contains(err.Error(), "have an admin register one, by adg connection put") {
		t.Errorf("nothing is registered: %v", err)
	}
}

func FuzzConnections(f *testing.F) {
	f.Add([]byte(options))
	f.Add([]byte("bearer_token: {value: x}\nheaders: {a: {value: y}}"))
	f.Add([]byte("[]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c := config.Connection{Seam: "source", Name: "prom", Type: "prometheus", Options: text}
		stored, err := c.Rewritten(drivers(), changes(map[string]string{}))
		if err != nil {
			return
		}
		if _, err := stored.Open(drivers(), config.SecretForms{"sealed": func(string, string) (string, error) { return "x", nil }, "env": func(string, string) (string, error) { return "x", nil }}); err != nil {
			t.Errorf("what was written cannot be opened: %v\n%s\n%s", err, text, stored.Options)
		}
	})
}
