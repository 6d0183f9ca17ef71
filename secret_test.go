package adg_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/deployguardian/adg"
)

const planted = "hunter2-planted"

func TestASecretDoesNotShowItself(t *testing.T) {
	secret := adg.NewSecret(planted)
	type options struct {
		Token  adg.Secret
		Nested *adg.Secret
		List   []adg.Secret
		Map    map[string]adg.Secret
	}
	all := options{secret, &secret, []adg.Secret{secret}, map[string]adg.Secret{"a": secret}}
	shown := map[string]string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%08.3f", "%-30v"} {
		shown[verb] = fmt.Sprintf(verb, secret)
		shown["pointer "+verb] = fmt.Sprintf(verb, &secret)
		shown["struct "+verb] = fmt.Sprintf(verb, all)
	}
	shown["String"] = secret.String()
	shown["error"] = fmt.Errorf("log in with %v: %w", secret, errors.New("refused")).Error()
	shown["Errorf"] = adg.Errorf(adg.Invalid, "log in with %s", secret).Error()
	shown["json"] = encoded(t, json.Marshal, all)
	shown["yaml"] = encoded(t, yaml.Marshal, all)
	shown["xml"] = encoded(t, xml.Marshal, secret)
	for name, handler := range map[string]func(*bytes.Buffer) slog.Handler{
		"text log": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
		"json log": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
	} {
		var out bytes.Buffer
		slog.New(handler(&out)).Info("opened", "secret", secret, "options", all)
		shown[name] = out.String()
	}
	for how, text := range shown {
		for _, form := range []string{planted, fmt.Sprintf("%x", planted), fmt.Sprintf("%X", planted), fmt.Sprintf("%d", []byte(planted))} {
			if strings.Contains(text, form) {
				t.Errorf("%s shows it: %s", how, text)
			}
		}
		if !strings.Contains(text, "redacted") {
			t.Errorf("%s does not tell that something is hidden: %s", how, text)
		}
	}
	if secret.Reveal() != planted {
		t.Errorf("revealed as %q", secret.Reveal())
	}
}

func TestASecretIsNamedAndNeverWritten(t *testing.T) {
	for _, row := range []struct {
		name, text string
		want       adg.Secret
		refused    bool
	}{
		{"from the environment", "{env: TOKEN}", adg.Secret{Env: "TOKEN"}, false},
		{"from a file", "{file: /run/token}", adg.Secret{File: "/run/token"}, false},
		{"from both", "{env: TOKEN, file: /run/token}", adg.Secret{}, true},
		{"from nowhere", "{}", adg.Secret{}, true},
		{"literally", planted, adg.Secret{}, true},
		{"literally in a list", "[" + planted + "]", adg.Secret{}, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			var got struct{ Token adg.Secret }
			err := got.Token.UnmarshalYAML(func(v any) error { return yaml.Unmarshal([]byte(row.text), v) })
			if (err != nil) != row.refused || got.Token != row.want {
				t.Fatalf("%v, %+v", err, got.Token.Env)
			}
			if err == nil {
				return
			}
			if adg.CodeOf(err) != adg.Invalid || strings.Contains(err.Error(), planted) || !strings.Contains(err.Error(), "{env: NAME}") {
				t.Error(err)
			}
		})
	}
}

func TestASecretKeepsWhereItIsFrom(t *testing.T) {
	named := adg.Secret{Env: "TOKEN"}
	resolved := named.With(planted)
	if resolved.Env != "TOKEN" || resolved.Reveal() != planted || named.Reveal() != "" {
		t.Errorf("%q from %q, before %q", resolved.Reveal(), resolved.Env, named.Reveal())
	}
	if !(adg.Secret{}).IsZero() || named.IsZero() || resolved.IsZero() || adg.NewSecret(planted).IsZero() {
		t.Error("only a secret that nobody named or gave is zero")
	}
}

func encoded(t *testing.T, marshal func(any) ([]byte, error), v any) string {
	t.Helper()
	text, err := marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
