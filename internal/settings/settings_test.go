package settings_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/settings"
)

var update = flag.Bool("update", false, "write the generated files")

// fewest is the least that a server needs.
const fewest = "tls: {cert_file: a.crt, key_file: a.key}\nseal: {active: {file: seal.key}}\n"

var environ = []string{
	"ADG_POSTGRES_DSN=postgres://adg:planted@db/adg", "ADG_OIDC_SECRET=planted-oidc", "ADG_BROKER_PASSWORD=planted-broker",
	"ADG_WEBHOOK_SECRET=planted-webhook-secret", "ADG_WEBHOOK_SECRET_BEFORE=planted-webhook-before", "ADG_METRICS_TOKEN=planted-metrics",
	"ADG_WATCHDOG_WEBHOOK=https://hooks.example/planted", "ADG_OTLP_AUTHORIZATION=planted-otlp", "EMPTY=", "TOKEN=planted-vault", "PATH=/bin",
}

func TestTheExampleLoads(t *testing.T) {
	s := parsed(t, string(settings.Example()))
	if s.Listen != ":8443" || s.Store.SQLite == nil || s.Store.SQLite.Path != "/var/lib/adg/adg.db" || *s.Seal.Active.File != "/etc/adg/seal.key" {
		t.Errorf("loaded as %+v", s)
	}
}

func TestWhatTheExampleCommentsOutLoadsAndIsTheDefault(t *testing.T) {
	text := said(string(settings.Example()))
	all := parsed(t, text)
	if len(all.OIDC) != 1 || len(all.Webhooks) != 1 || len(all.Intake) != 1 || all.Egress.Proxy == "" {
		t.Errorf("not everything is said:\n%s", text)
	}
	least := parsed(t, string(settings.Example()))
	for _, pair := range [][2]any{
		{least.Listen, all.Listen}, {least.Login, all.Login}, {least.Sessions, all.Sessions}, {least.Tokens, all.Tokens}, {least.Limits, all.Limits},
		{least.Stop, all.Stop}, {least.Retention, all.Retention}, {least.Log, all.Log}, {least.Drain, all.Drain}, {least.Data, all.Data}, {least.Store, all.Store},
		{least.Guard.Lease, all.Guard.Lease}, {least.Watchdog.Late, all.Watchdog.Late}, {least.Telemetry.Sample, all.Telemetry.Sample},
	} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			t.Errorf("the example says %+v, the default is %+v", pair[1], pair[0])
		}
	}
}

func TestTheSchemaTakesTheExampleAndKnowsItsFields(t *testing.T) {
	text, err := settings.Schema()
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("server.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("server.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, one := range map[string]struct {
		text string
		good bool
	}{
		"the example":      {string(settings.Example()), true},
		"all of it":        {said(string(settings.Example())), true},
		"an unknown field": {fewest + "lisen: ':1'", false},
		"a bare number":    {fewest + "drain: 30", false},
	} {
		var value any
		if err := yaml.Unmarshal([]byte(one.text), &value); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := schema.Validate(value); (err == nil) != one.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEverythingThatIsWrongIsSaidAtOnce(t *testing.T) {
	text := `lisen: ":8443"
listen: "8443"
base_url: http://adg.example.com
tls: {cert_file: a.crt}
trusted_proxies: [10.0.0.0/8, ten]
store: {sqlite: {}, postgres: {dsn: {env: ADG_POSTGRES_DSN}}}
seal: {active: {file: ""}, older: [{vault: {url: "vault:8200", token: {env: TOKEN}}}]}
drain: 30
sessions: {idle: 13h}
tokens: {default: 2d, longest: 1d}
limits: {per_second: 50, burst: 5, body: 999999999}
egress: {allow: [prometheus.example.com, "http://x", "a:0"]}
commands: {allow: [deploy, /usr/bin/../bin/x]}
files: {allow: [logs]}
guard: {lease: 1s, poll: 1s, workers: 0}
oidc:
  company: {issuer: "http://login.example.com", client_id: adg, algorithms: [HS256], scopes: [email], skew: 1h}
webhooks:
  git hub: {type: github, secret: {env: ADG_WEBHOOK_SECRET}, service: "sh*op", environment: production}
  gitlab: {type: svn, secret: planted-secret, service: shop}
intake:
  bus: {type: kafka, addresses: [], topic: t, service: shop, environment: p, username: u}
metrics: {listen: "8443"}
telemetry: {endpoint: collector, sample: 0.1}
log: {level: verbose}
retention: {measurements: for ever}
`
	_, _, err := settings.Parse("adg.yaml", []byte(text), environ, nil)
	if adg.CodeOf(err) != adg.Invalid {
		t.Fatalf("%v", err)
	}
	golden(t, "testdata/wrong.txt", []byte(err.Error()+"\n"))
	if strings.Contains(err.Error(), "planted") {
		t.Error("a secret shows")
	}
}

func TestEachRuleSaysWhatToDo(t *testing.T) {
	for _, one := range []struct{ name, text, want string }{
		{"nothing at all", "listen: ':1'", "tls is missing"},
		{"no key to seal with", "insecure_http: true", "adg key new"},
		{"both TLS and not", fewest + "insecure_http: true", "exclude each other"},
		{"a certificate is demanded of clients, whose authority nobody knows", "tls: {cert_file: a, key_file: b, client_cert: required}\nseal: {active: {env: X}}", "client_ca_file"},
		{"PostgreSQL somewhere", fewest + "store: {postgres: {}}", "store.postgres.dsn is missing"},
		{"a database that is none", fewest + "store: {postgres: {dsn: {env: ADG_OIDC_SECRET}}}", "postgres://user:password@host"},
		{"too few connections", fewest + "store: {postgres: {dsn: {env: ADG_POSTGRES_DSN}, max_conns: 2}}", "at least 4"},
		{"a provider without a way back", fewest + "oidc: {company: {issuer: 'https://x', client_id: y}}", "base_url is missing"},
		{"a secret that can be guessed", fewest + "webhooks: {git: {type: github, secret: {env: PATH}, service: shop, environment: '*'}}", "at least 16 characters"},
		{"two listeners in one place", fewest + "metrics: {listen: ':8443'}", "a port of their own"},
		{"a lease for hours", fewest + "guard: {lease: 2h}", "at most 10m"},
		{"a variable that is not set", fewest + "metrics: {token: {env: NOWHERE}}", "NOWHERE is not set"},
		{"a variable that is empty", fewest + "metrics: {token: {env: EMPTY}}", "EMPTY is empty"},
		{"an alarm to nowhere", fewest + "watchdog: {webhook: {env: ADG_METRICS_TOKEN}}", "watchdog.webhook"},
	} {
		_, _, err := settings.Parse("adg.yaml", []byte(one.text), environ, nil)
		if err == nil || !strings.Contains(err.Error(), one.want) || strings.Contains(err.Error(), "planted") {
			t.Errorf("%s: %v, not %q", one.name, err, one.want)
		}
	}
}

func TestVariablesWinOverTheFileAndFlagsOverBoth(t *testing.T) {
	file := fewest + "drain: 1m\nlog: {level: debug}\negress: {allow: [a.example]}\nsessions: {idle: 5m}\n"
	set := append(environ, "ADG_SERVER_DRAIN=2m", "ADG_SERVER_LOG_LEVEL=warn", "ADG_SERVER_EGRESS_ALLOW=b.example, 10.0.0.0/8",
		"ADG_SERVER_STORE_POSTGRES_DSN=postgres://u:planted-dsn@h/d", "ADG_SERVER_LOGIN_LOCAL=false", "ADG_SERVER_LIMITS_PER_SECOND=7", "ADG_SERVER_GUARD_NAME=1")
	s, warnings, err := settings.Parse("adg.yaml", []byte(file), set, map[string]string{"log.level": "error", "telemetry.sample": "5%"})
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintln(s.Drain, s.Log.Level, s.Egress.Allow, s.Login.Local, s.Limits.PerSecond, s.Guard.Name, s.Sessions.Idle, s.Telemetry.Sample, s.Store.SQLite, s.Store.Postgres.MaxConns)
	if want := "2m0s error [b.example 10.0.0.0/8] false 7 1 5m0s 5 <nil> 20\n"; got != want {
		t.Errorf("%s, not %s", got, want)
	}
	if dsn := s.Store.Postgres.DSN; dsn.Reveal() != "postgres://u:planted-dsn@h/d" || strings.Contains(fmt.Sprintf("%+v", s), "planted") {
		t.Errorf("the secret is %q, or shows in %+v", dsn.Reveal(), s)
	}
	if len(warnings) != 0 {
		t.Errorf("doubtful: %v", warnings)
	}
}

func TestAServerNeedsNoFile(t *testing.T) {
	s, _, err := settings.Load("", []string{"ADG_SERVER_SEAL_ACTIVE_ENV=KEY", "ADG_SERVER_INSECURE_HTTP=true", "ADG_SERVER_LISTEN=127.0.0.1:80"}, map[string]string{"data": "/data"})
	if err != nil || s.Store.SQLite.Path != "/data/adg.db" || !s.InsecureHTTP || s.Listen != "127.0.0.1:80" {
		t.Errorf("%+v, %v", s, err)
	}
	_, _, err = settings.Load("", nil, nil)
	if err == nil || !strings.Contains(err.Error(), "insecure_http: true") {
		t.Errorf("said: %v", err)
	}
	if _, _, err := settings.Load(filepath.Join(t.TempDir(), "none.yaml"), nil, nil); adg.CodeOf(err) != adg.Invalid {
		t.Errorf("a file that is not there: %v", err)
	}
}

func TestWhatIsWrongWithAVariableOrAFlagNamesIt(t *testing.T) {
	_, _, err := settings.Parse("adg.yaml", []byte(fewest), []string{"ADG_SERVER_DRAIN=soon", "ADG_SERVER_LISTEN=nowhere", "ADG_SERVER_LIMITS_BODY=many"},
		map[string]string{"log.format": "xml", "store.postgres.dsn": "postgres://planted", "no.such": "1", "login.local": "perhaps"})
	for _, want := range []string{
		"ADG_SERVER_DRAIN:1:1: drain", "ADG_SERVER_LISTEN:1:1: ", "ADG_SERVER_LIMITS_BODY:1:1: body is a whole number", "--log-format:1:1: format cannot be \"xml\"",
		"--store-postgres-dsn:1:1: no flag sets store.postgres.dsn", "ADG_SERVER_STORE_POSTGRES_DSN", "--no-such", "--login-local:1:1: local is true or false",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not said: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "planted") {
		t.Errorf("a secret shows: %v", err)
	}
}

func TestAVariableThatSetsNothingIsDoubtful(t *testing.T) {
	_, warnings, err := settings.Parse("adg.yaml", []byte(fewest), []string{"ADG_SERVER_DRAIM=1m", "ADG_SERVER_SERVICE_HOST=10.0.0.1"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	said := fmt.Sprint(warnings)
	if len(warnings) != 2 || !strings.Contains(said, "was ADG_SERVER_DRAIN meant?") || !strings.Contains(said, "ADG_SERVER_SERVICE_HOST") {
		t.Errorf("doubtful: %s", said)
	}
}

func TestBrowsersComeByTLSAlsoWhereAProxyEndsIt(t *testing.T) {
	for text, want := range map[string]bool{
		"tls: {cert_file: a, key_file: b}\n": true, "insecure_http: true\n": false, "insecure_http: true\nbase_url: http://adg.example.com\n": false,
		"insecure_http: true\nbase_url: HTTPS://adg.example.com\n": true,
	} {
		s, _, err := settings.Parse("adg.yaml", []byte(text+"seal: {active: {env: KEY}}\n"), nil, nil)
		if err != nil || s.Secure() != want {
			t.Errorf("%q: %t, %v", text, s.Secure(), err)
		}
	}
}

func TestServingInTheClearToOthersIsDoubtful(t *testing.T) {
	for text, want := range map[string]int{
		"insecure_http: true\n": 1, "insecure_http: true\nlisten: 127.0.0.1:80\n": 0, "insecure_http: true\ntrusted_proxies: [10.0.0.0/8]\n": 0,
	} {
		_, warnings, err := settings.Parse("adg.yaml", []byte(text+"seal: {active: {env: KEY}}\n"), nil, nil)
		if err != nil || len(warnings) != want {
			t.Errorf("%q: %v, %v", text, warnings, err)
		}
	}
}

func TestEveryFieldHasANameOfItsOwnOutside(t *testing.T) {
	variables, flags := map[string]string{}, map[string]string{}
	for _, f := range settings.Fields() {
		for _, one := range []struct {
			seen map[string]string
			name string
		}{{variables, settings.Variable(f.Path)}, {flags, settings.Flag(f.Path)}} {
			if other, taken := one.seen[one.name]; taken {
				t.Errorf("%s and %s are both called %s", other, f.Path, one.name)
			}
			one.seen[one.name] = f.Path
		}
	}
	if len(variables) < 80 {
		t.Errorf("only %d fields", len(variables))
	}
}

func TestTheGeneratedFilesAreFresh(t *testing.T) {
	schema, err := settings.Schema()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "../../docs/reference/server.md", settings.Reference())
	golden(t, "../../docs/reference/server.schema.json", append(schema, '\n'))
	golden(t, "../../deploy/adg.yaml", settings.Example())
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{fewest, string(settings.Example()), said(string(settings.Example())), "oidc: {a: {}}", "store: sqlite", "seal: {active: file}", "[", "a: *b", ""} {
		f.Add(seed, "30s", "a,b")
	}
	f.Fuzz(func(t *testing.T, text, variable, other string) {
		if strings.Contains(text+variable+other, "planted") {
			t.Skip()
		}
		set := append(environ, "ADG_SERVER_DRAIN="+variable, "ADG_SERVER_EGRESS_ALLOW="+other, "ADG_SERVER_OIDC="+variable)
		s, warnings, err := settings.Parse("adg.yaml", []byte(text), set, map[string]string{"listen": other, "limits.body": variable, "telemetry.headers": other})
		if err != nil && adg.CodeOf(err) != adg.Invalid {
			t.Errorf("nobody classified %v", err)
		}
		if shown := fmt.Sprintf("%v %v %+v", err, warnings, s); strings.Contains(shown, "planted") {
			t.Errorf("a secret shows: %s", shown)
		}
		if err == nil && (s.TLS == nil) != s.InsecureHTTP {
			t.Errorf("neither TLS nor said so: %+v", s)
		}
	})
}

var commented = regexp.MustCompile(`(?m)^(\s*)#([^# ])`)

// said is an example with every field that it comments out, but for those that exclude others.
func said(example string) string { return commented.ReplaceAllString(example, "$1$2") }

func parsed(t *testing.T, text string) settings.Settings {
	t.Helper()
	s, warnings, err := settings.Parse("adg.yaml", []byte(text), environ, nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	for _, w := range warnings {
		t.Errorf("doubtful: %s", w)
	}
	return s
}

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s is not what is generated (go test ./internal/settings -update writes it), -want +got:\n%s", path, diff)
	}
}
