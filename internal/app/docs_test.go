package app

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"golang.org/x/crypto/ssh"

	"github.com/deployguardian/adg/internal/config"
)

// around is what an example leaves out because its page is about something else; what it says itself stays.
var around = []struct{ word, text string }{
	{"service", "service: shop"},
	{"environment", "environment: production"},
	{"sources", `sources: {prom: {type: prometheus, url: "http://prometheus:9090"}}`},
	{"checks", `checks: [{name: errors, source: prom, bad: 'b{version="$version"}', total: 'a{version="$version"}', replica: pod, critical: true}]`},
	{"strategy", "strategy: {canary: {steps: [5%, 100%], bake: 5m}}"},
	{"rollback", "rollback: {trust: auto, rules: [{when: unhealthy, for: 1m, act: now}]}"},
}

// others are the examples in YAML that are no part of a policy, by their first line.
var others = map[string]string{
	"parameters:": "a configuration of CircleCI",
	"run-name: deploy ${{ inputs.adg_version }} [${{ inputs.adg_run }}]": "a workflow of GitHub",
	"- name: deploy": "a step of a workflow of GitHub",
	"migrations:":    "the file adg.yaml in a folder of migrations",
}

var (
	word      = regexp.MustCompile(`(?m)^([a-z_-]+):`)
	driverOf  = regexp.MustCompile(`(?m)[ {]type: ([a-z-]+)`)
	nameOnly  = regexp.MustCompile(`(?m)^target: [a-z]`)
	ownTarget = regexp.MustCompile(`(?m)^target:`)
)

// TestEveryExampleOfThePagesIsAPolicy reads the pages as their reader does: what they show can be copied into a policy
// that is right, and opened.
func TestEveryExampleOfThePagesIsAPolicy(t *testing.T) {
	files := keysOf(t)
	shown := map[string]bool{} // pages and types: what is shown where
	for _, page := range pages(t) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, example := range examples(string(text)) {
			if others[strings.SplitN(example, "\n", 2)[0]] != "" {
				continue
			}
			if taken, err := byServer(example); taken {
				if err != nil {
					t.Errorf("%s: a server does not take what stands there:\n%s\n%v", page, example, err)
				}
				continue
			}
			for _, policy := range apart(example) {
				opens(t, page, policy, files)
				for _, m := range driverOf.FindAllStringSubmatch(policy, -1) {
					shown[filepath.Base(page)+" "+m[1]] = true
				}
			}
		}
	}
	needed := map[string]string{} // by the type and its page: where that is
	for _, d := range drivers().Targets {
		page := d.Type
		if page == "webhook" {
			page = "command"
		}
		needed[page+".md "+d.Type] = "docs/targets"
	}
	for _, d := range drivers().Sources {
		needed["sources.md "+d.Type] = "docs"
	}
	for _, d := range drivers().Notifiers {
		needed["notifiers.md "+d.Type] = "docs"
	}
	for what, folder := range needed {
		if !shown[what] {
			t.Errorf("%s: a policy with a type is missing on its page: %s", folder, what)
		}
	}
}

func pages(t *testing.T) (all []string) {
	t.Helper()
	for _, pattern := range []string{"../../README.md", "../../docs/*.md", "../../docs/*/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v, %v", pattern, found, err)
		}
		all = append(all, found...)
	}
	return all
}

// examples are the fenced blocks in YAML of a page, and the indented ones that begin with what a policy may begin with.
func examples(page string) (all []string) {
	lines := strings.Split(page, "\n")
	for i := 0; i < len(lines); i++ {
		indent, fenced := strings.CutSuffix(lines[i], "```yaml")
		end := func(line string) bool { return strings.TrimSpace(line) == "```" }
		switch {
		case fenced && strings.TrimSpace(indent) == "":
			i++
		case strings.HasPrefix(lines[i], "    ") && (i == 0 || lines[i-1] == ""):
			indent = "    "
			end = func(line string) bool { return line != "" && !strings.HasPrefix(line, indent) }
		default:
			continue
		}
		var block []string
		for ; i < len(lines) && !end(lines[i]); i++ {
			block = append(block, strings.TrimPrefix(lines[i], indent))
		}
		example := strings.TrimSpace(strings.Join(block, "\n"))
		if fenced || len(topics(example)) > 0 {
			all = append(all, example)
		}
	}
	return all
}

// topics are the words of a policy that stand at its top.
func topics(example string) (found []string) {
	for _, m := range word.FindAllStringSubmatch(example, -1) {
		if slices.Contains([]string{"target", "targets", "sources", "checks", "rollback", "strategy", "risk", "verify", "notify"}, m[1]) {
			found = append(found, m[1])
		}
	}
	return found
}

// apart makes an example that shows several targets several policies.
func apart(example string) (all []string) {
	starts := ownTarget.FindAllStringIndex(example, -1)
	if len(starts) < 2 {
		return []string{example}
	}
	for i, at := range starts {
		end := len(example)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		all = append(all, example[at[0]:end])
	}
	return all
}

// opens completes an example, reads it as adg does, and opens all that it names.
func opens(t *testing.T, page, example string, files map[string]string) {
	t.Helper()
	text := example + "\n"
	has := func(name string) bool {
		return slices.ContainsFunc(word.FindAllStringSubmatch(text, -1), func(m []string) bool { return m[1] == name })
	}
	for _, a := range around {
		if !has(a.word) {
			text += a.text + "\n"
		}
	}
	if !has("target") && !has("targets") {
		text += "target: {type: webhook, url: \"https://deploy.example.com/apply\"}\n"
	}
	for named, stands := range files {
		text = strings.ReplaceAll(text, " "+named, " "+stands)
	}
	environment := func(name string) (string, bool) {
		if strings.HasSuffix(name, "DSN") {
			return "postgres://adg@127.0.0.1:1/shop", true
		}
		if strings.HasSuffix(name, "WEBHOOK") {
			return "https://hooks.example.com/canary", true
		}
		return "canary-of-" + name, true
	}
	file, err := config.Parse(filepath.Base(page), []byte(text), drivers(), environment)
	if err != nil {
		t.Errorf("%s: what stands there is no policy:\n%s\n%v", page, example, err)
		return
	}
	w, err := newWorld(file, t.TempDir(), slog.New(slog.DiscardHandler), true)
	if err != nil {
		t.Fatal(err)
	}
	if file.Target.Type == "" {
		w.file.Target = file.Targets[0]
	}
	if err := w.Open(t.Context()); err != nil {
		t.Errorf("%s: what stands there cannot be opened:\n%s\n%v", page, example, err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

// keysOf makes what the pages say is on a machine: where a page has it, and where it is now.
func keysOf(t *testing.T) map[string]string {
	t.Helper()
	dir := t.TempDir()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	host, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"ssh-ed25519 AAAA...": strings.TrimSpace(string(ssh.MarshalAuthorizedKey(host)))}
	server := httptest.NewTLSServer(nil) // for its certificate
	defer server.Close()
	key, err := x509.MarshalPKCS8PrivateKey(server.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	certificate := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	for name, text := range map[string]string{
		"ca.pem": certificate, "cert.pem": certificate, "key.pem": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})),
		"/etc/adg/deploy.key":     string(pem.EncodeToMemory(block)),
		"/etc/adg/registry.token": "secret",
		"/etc/adg/kubeconfig": "apiVersion: v1\nkind: Config\ncurrent-context: it\nclusters: [{name: it, cluster: {server: \"https://127.0.0.1:1\"}}]\n" +
			"users: [{name: it, user: {token: secret}}]\ncontexts: [{name: it, context: {cluster: it, user: it}}]\n",
	} {
		path := filepath.Join(dir, filepath.Base(name))
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		files[name] = path
	}
	for _, program := range []string{"deploy", "deploy.sh", "current.sh", "what-is-live", "errors", "journal", "smoke-test"} {
		path := filepath.Join(dir, program)
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		files["./"+program] = path
	}
	return files
}

// connectionOf reads a connection as an admin registers it, its secrets apart.
func connectionOf(text string) error {
	var c struct {
		Name, Seam, Type       string
		Options                map[string]any
		Services, Environments []string
	}
	if err := yaml.UnmarshalWithOptions([]byte(text), &c, yaml.Strict()); err != nil {
		return err
	}
	options, err := json.Marshal(c.Options)
	if err != nil {
		return err
	}
	_, err = config.Connection{Seam: c.Seam, Name: c.Name, Type: c.Type, Options: options}.Open(drivers(), nil)
	return err
}

// byServer reads what only a server takes: a connection, or a policy that names connections.
func byServer(example string) (taken bool, err error) {
	switch {
	case strings.Contains(example, "\nseam: "):
		return true, connectionOf(example)
	case nameOnly.MatchString(example):
		_, err := config.ParseRegistered("guardian.yaml", []byte(example), config.Connections{
			Sources: []config.Instance{{Name: "prom", Type: "prometheus"}}, Targets: []config.Instance{{Name: "checkout-deploy", Type: "webhook"}},
			Notifiers: []config.Instance{{Name: "team-chat", Type: "slack"}},
		})
		return true, err
	default:
		return false, nil
	}
}
