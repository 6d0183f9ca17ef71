package control

import (
	"context"
	"slices"
	"strings"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/identity"
)

// Setting is one setting of the server in force.
type Setting struct {
	Path   string // as in the configuration file
	Value  string // of a secret, where it is kept
	Origin string // default, file, environment or flag
	Text   string // what it is for
	Secret bool
}

// Feature is something that a server may offer.
type Feature struct {
	Name    string
	Enabled bool
	Text    string // what it is, and how it is switched on
}

// Step is one thing to do on a new server.
type Step struct {
	Name    string
	Text    string // what to do
	Done    bool
	Example string // a command to begin with
}

// Settings are those whose path begins so, by their paths.
func (c *Control) Settings(ctx context.Context, who identity.Caller, prefix string) ([]Setting, error) {
	if err := c.allowed(ctx, who, identity.SettingRead, adg.Scope{}, adg.AuditEntry{Action: "setting.list", Resource: "setting"}); err != nil {
		return nil, err
	}
	var some []Setting
	for _, s := range c.o.Settings {
		if strings.HasPrefix(s.Path, prefix) {
			some = append(some, s)
		}
	}
	return some, nil
}

// Features are what the server offers and what is switched off. Everybody who is logged in may know.
func (c *Control) Features() []Feature { return slices.Clone(c.o.Features) }

// Setup is what is to do on a new server, in order. The token of the first start may ask, too.
func (c *Control) Setup(ctx context.Context, who identity.Caller) ([]Step, error) {
	first := who.Kind == identity.KindBootstrap
	if !first {
		if err := c.allowed(ctx, who, identity.SettingRead, adg.Scope{}, adg.AuditEntry{Action: "setup.get", Resource: "setting"}); err != nil {
			return nil, err
		}
	}
	connections, _, err := all[Connection](ctx, c.o.Store, kindConnection, "")
	if err != nil {
		return nil, err
	}
	seams := map[string]bool{}
	for _, k := range connections {
		seams[k.Seam] = true
	}
	heads, _, err := all[head](ctx, c.o.Store, kindPolicyHead, "")
	if err != nil {
		return nil, err
	}
	deployments, err := c.o.Store.ListDeployments(ctx, adg.DeploymentFilter{Limit: 1})
	if err != nil {
		return nil, err
	}
	return []Step{
		{"create-admin", "Make the first admin with the token that the first start printed; it ends with that.", !first,
			"adg user create NAME --reason setup && adg role grant user:NAME admin -s '*' -e '*' --reason setup"},
		{"connect-source", "Register where measurements come from, such as Prometheus.", seams["source"],
			"printf 'name: prom\\nseam: source\\ntype: prometheus\\noptions: {url: \"https://prometheus.example.com\"}\\nservices: [\"*\"]\\nenvironments: [\"*\"]\\n' | adg connection put -f - --reason setup && adg connection test prom --query up"},
		{"connect-target", "Register what makes releases live, such as a webhook of yours.", seams["target"],
			"printf 'name: deployer\\nseam: target\\ntype: webhook\\noptions: {url: \"https://deployer.example.com/adg\", current_url: \"https://deployer.example.com/adg\"}\\nservices: [\"*\"]\\nenvironments: [\"*\"]\\n' | adg connection put -f - --reason setup && adg connection test deployer"},
		{"connect-notifier", "Register who is told, such as a channel of Slack.", seams["notifier"],
			"printf 'name: chat\\nseam: notifier\\ntype: slack\\nservices: [\"*\"]\\nenvironments: [\"*\"]\\n' | adg connection put -f - --secret webhook=env:SLACK_WEBHOOK --reason setup && adg connection test chat"},
		{"push-policy", "Store the policy of a service: what is measured, and what is bad.", slices.ContainsFunc(heads, func(h head) bool { return h.InForce > 0 }),
			"adg policy lint guardian.yaml && adg policy push guardian.yaml --reason 'the first one'"},
		{"deploy", "Start the first deployment, from here or from a pipeline.", len(deployments) > 0,
			"adg deploy start -s SERVICE -e ENVIRONMENT --version VERSION --wait"},
	}, nil
}

// Demonstrate starts a demo, on record, for somebody who may change what belongs to the whole server. No start: this
// server runs none.
func (c *Control) Demonstrate(ctx context.Context, who identity.Caller, start func() error) error {
	entry := adg.AuditEntry{Action: "demo.start", Resource: "demo"}
	if err := c.allowed(ctx, who, identity.SettingWrite, adg.Scope{}, entry); err != nil {
		return err
	}
	if start == nil {
		return adg.Advised(adg.Errorf(adg.Invalid, "this server runs no demo"), "start one that does with adg demo --serve, or say demo: true in the configuration of one that listens on its machine alone")
	}
	return c.done(ctx, who, entry, start)
}
