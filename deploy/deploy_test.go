// Package deploy holds what the server is run with; its tests read and check all of it.
package deploy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/deployguardian/adg/internal/settings"
	"github.com/deployguardian/adg/internal/telemetry"
)

// metrics are those of the server, as they are named in rules and dashboards.
var metrics = []string{
	"up", "adg_ticks_total", "adg_tick_seconds", "adg_tick_lateness_seconds", "adg_decisions_total", "adg_source_query_seconds", "adg_source_errors_total",
	"adg_leases", "adg_outbox_oldest_seconds", "adg_outbox_dead", "adg_watchdog_blind", "adg_http_requests_total",
}

func TestEveryYAMLFileParses(t *testing.T) {
	n := 0
	for _, path := range files(t, ".yaml") {
		if strings.Contains(path, "/templates/") {
			continue // of Helm, which renders them first
		}
		n++
		var value any
		if err := yaml.Unmarshal(read(t, path), &value); err != nil || value == nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	if n < 6 {
		t.Errorf("only %d files", n)
	}
}

func TestTheAlertRulesDoWhatTheySay(t *testing.T) {
	promtool := program(t, "promtool", "apt-get install prometheus")
	for _, args := range [][]string{{"check", "rules", "adg.rules.yaml"}, {"test", "rules", "adg.rules.test.yaml"}} {
		command := exec.CommandContext(t.Context(), promtool, args...)
		command.Dir = "prometheus"
		if said, err := command.CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, said)
		}
	}
}

func TestEveryAlertIsTestedAndSaysWhatToDo(t *testing.T) {
	tests := string(read(t, "prometheus/adg.rules.test.yaml"))
	for _, rule := range rules(t) {
		if n := strings.Count(tests, "alertname: "+rule.Alert+"\n") + strings.Count(tests, "alertname: "+rule.Alert+"}"); n < 2 {
			t.Errorf("%s is not tested both ways", rule.Alert)
		}
		if rule.Annotations["summary"] == "" || len(rule.Annotations["description"]) < 40 || !slices.Contains([]string{"page", "ticket"}, rule.Labels["severity"]) {
			t.Errorf("%s tells too little: %+v", rule.Alert, rule)
		}
	}
}

func TestRulesAndDashboardAskForMetricsThatThereAre(t *testing.T) {
	asked := map[string]string{}
	for _, rule := range rules(t) {
		asked["the alert "+rule.Alert] = rule.Expr
	}
	for _, p := range dashboard(t).Panels {
		for _, target := range p.Targets {
			asked[fmt.Sprintf("the panel %s, %s", p.Title, target.RefID)] = strings.NewReplacer("$__rate_interval", "5m", "$job", "adg").Replace(target.Expr)
		}
	}
	seen := map[string]bool{}
	reader := parser.NewParser(parser.Options{})
	for where, query := range asked {
		expr, err := reader.ParseExpr(query)
		if err != nil {
			t.Errorf("%s: %v", where, err)
			continue
		}
		parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
			if s, ok := n.(*parser.VectorSelector); ok {
				name := strings.TrimSuffix(strings.TrimSuffix(s.Name, "_bucket"), "_count")
				seen[name] = true
				if !slices.Contains(metrics, name) {
					t.Errorf("%s asks for %s, which there is none of", where, s.Name)
				}
			}
			return nil
		})
	}
	for _, name := range metrics {
		if !seen[name] {
			t.Errorf("nobody looks at %s", name)
		}
	}
}

func TestTheServerHasTheMetricsThatAreAskedFor(t *testing.T) {
	m := telemetry.NewMetrics("v1")
	m.Leases(func() int { return 0 })
	all := make(chan *prometheus.Desc, 1000)
	m.Registry.Describe(all)
	close(all)
	there := map[string]bool{"up": true} // which Prometheus makes
	for desc := range all {
		if name := regexp.MustCompile(`fqName: "([^"]+)"`).FindStringSubmatch(desc.String()); name != nil {
			there[name[1]] = true
		}
	}
	for _, name := range metrics {
		if !there[name] {
			t.Errorf("the server has no metric %s", name)
		}
	}
}

func TestTheDashboardIsWhole(t *testing.T) {
	d := dashboard(t)
	ids := map[int]bool{}
	for _, p := range d.Panels {
		if ids[p.ID] || p.Title == "" {
			t.Errorf("panel %d %q has no id or title of its own", p.ID, p.Title)
		}
		ids[p.ID] = true
		if p.Type == "row" {
			continue
		}
		if len(p.Targets) == 0 || p.Description == "" || p.Grid.X+p.Grid.W > 24 {
			t.Errorf("panel %s asks nothing, says nothing, or stands outside: %+v", p.Title, p)
		}
		for _, other := range d.Panels {
			if other.ID > p.ID && p.Grid.X < other.Grid.X+other.Grid.W && other.Grid.X < p.Grid.X+p.Grid.W && p.Grid.Y < other.Grid.Y+other.Grid.H && other.Grid.Y < p.Grid.Y+p.Grid.H {
				t.Errorf("panels %s and %s overlap", p.Title, other.Title)
			}
		}
	}
	if d.UID == "" || len(ids) < 15 {
		t.Errorf("%d panels, uid %q", len(ids), d.UID)
	}
}

func TestTheUnitIsRightAndHardened(t *testing.T) {
	analyze := program(t, "systemd-analyze", "apt-get install systemd")
	text := string(read(t, "systemd/adg.service"))
	stop := regexp.MustCompile(`(?m)^TimeoutStopSec=(.*)$`).FindStringSubmatch(text)
	s, _, err := settings.Parse("adg.yaml", read(t, "adg.yaml"), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if limit, err := time.ParseDuration(stop[1]); err != nil || limit < s.Drain+10*time.Second {
		t.Errorf("systemd kills after %s, and draining takes up to %s", stop[1], s.Drain)
	}
	// The binary and the user are not on this machine: others, which are, stand for them.
	unit := filepath.Join(t.TempDir(), "adg.service")
	stand := strings.NewReplacer("/usr/local/bin/adg", "/bin/true", "User=adg", "User=daemon", "Group=adg", "Group=daemon").Replace(text)
	if err := os.WriteFile(unit, []byte(stand), 0o600); err != nil {
		t.Fatal(err)
	}
	said, err := exec.CommandContext(t.Context(), analyze, "verify", "--man=no", unit).CombinedOutput()
	if err != nil || bytes.Contains(said, []byte("adg.service:")) {
		t.Errorf("systemd-analyze verify: %v\n%s", err, said)
	}
	said, err = exec.CommandContext(t.Context(), analyze, "security", "--offline=true", "--threshold=20", unit).CombinedOutput()
	if err != nil {
		t.Errorf("more exposed than 2.0: %v\n%s", err, said)
	}
}

func TestTheImageHoldsNothingButTheServer(t *testing.T) {
	_, last, found := strings.Cut(string(read(t, "docker/Dockerfile")), "\nFROM scratch\n")
	if !found {
		t.Fatal("the image is not made from scratch")
	}
	for _, want := range []string{"\nUSER 65532:65532\n", "\nVOLUME /data\n", "ca-certificates.crt", `ENTRYPOINT ["/adg"]`, "ADG_SERVER_DATA=/data"} {
		if !strings.Contains(last, want) {
			t.Errorf("%q is not in it", want)
		}
	}
	if strings.Contains(last, "RUN ") || strings.Contains(last, "HEALTHCHECK") {
		t.Error("nothing can run in it: there is no shell")
	}
}

func TestTheServerTakesWhatComposeTellsIt(t *testing.T) {
	var compose struct {
		Services map[string]struct {
			Environment map[string]string `yaml:"environment"`
			StopGrace   string            `yaml:"stop_grace_period"`
			ReadOnly    bool              `yaml:"read_only"`
		} `yaml:"services"`
	}
	if err := yaml.Unmarshal(read(t, "docker/compose.yaml"), &compose); err != nil {
		t.Fatal(err)
	}
	adg := compose.Services["adg"]
	asked := regexp.MustCompile(`\$\{[A-Z_]+:\?[^}]*\}`)
	var environ []string
	for name, value := range adg.Environment {
		environ = append(environ, name+"="+asked.ReplaceAllString(value, "given"))
	}
	s, warnings, err := settings.Load("", environ, map[string]string{"data": "/data"})
	if err != nil || len(warnings) > 0 {
		t.Fatalf("%v %v", warnings, err)
	}
	if grace, err := time.ParseDuration(adg.StopGrace); err != nil || grace < s.Drain+10*time.Second || !adg.ReadOnly || s.Store.Postgres == nil {
		t.Errorf("%+v, %v", adg, err)
	}
}

type rule struct {
	Alert, Expr         string
	Labels, Annotations map[string]string
}

func rules(t *testing.T) []rule {
	t.Helper()
	var file struct{ Groups []struct{ Rules []rule } }
	if err := yaml.Unmarshal(read(t, "prometheus/adg.rules.yaml"), &file); err != nil || len(file.Groups) == 0 || len(file.Groups[0].Rules) < 10 {
		t.Fatalf("%+v, %v", file, err)
	}
	return file.Groups[0].Rules
}

type board struct {
	UID    string
	Panels []struct {
		ID                       int
		Type, Title, Description string
		Grid                     struct{ X, Y, W, H int } `json:"gridPos"`
		Targets                  []struct{ RefID, Expr string }
	}
}

func dashboard(t *testing.T) board {
	t.Helper()
	var d board
	if err := json.Unmarshal(read(t, "grafana/adg.json"), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// program finds a program, or skips the test; where everything has to be there, it fails.
func program(t *testing.T, name, cure string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if cache, cacheErr := os.UserCacheDir(); cacheErr == nil {
		if path, err = exec.LookPath(filepath.Join(cache, "adg-test", name)); err == nil {
			return path
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not here: %s", name, cure)
	}
	t.Skipf("%s is not here: %s", name, cure)
	return ""
}

func files(t *testing.T, extension string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(".", func(path string, _ os.DirEntry, err error) error {
		if strings.HasSuffix(path, extension) {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
