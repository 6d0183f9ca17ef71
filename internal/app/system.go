package app

import (
	"slices"
	"strings"

	"github.com/deployguardian/adg/internal/control"
	"github.com/deployguardian/adg/internal/settings"
)

// Private

// listed are the settings as callers may see them, by their paths.
func listed(all []settings.Listed) []control.Setting {
	var made []control.Setting
	for _, one := range all {
		made = append(made, control.Setting{Path: one.Path, Value: one.Value, Origin: one.Origin, Text: one.Text, Secret: one.Secret})
	}
	slices.SortFunc(made, func(a, b control.Setting) int { return strings.Compare(a.Path, b.Path) })
	return made
}

// offered is what a server with these settings offers, and what is switched off.
func offered(s settings.Settings) []control.Feature {
	return []control.Feature{
		{Name: "changes", Enabled: len(s.Changes.Notify) > 0, Text: "Notifiers are told of what people change: changes.notify."},
		{Name: "client-certificates", Enabled: s.TLS != nil && s.TLS.ClientCAFile != "", Text: "Clients show a certificate: tls.client_ca_file."},
		{Name: "commands", Enabled: len(s.Commands.Allow) > 0, Text: "Sources and targets may start programs on the server: commands.allow names them."},
		{Name: "demo", Enabled: s.Demo, Text: "An admin can start the demo inside the server: demo."},
		{Name: "egress-list", Enabled: len(s.Egress.Allow) > 0, Text: "Only listed hosts and networks are asked: egress.allow."},
		{Name: "files", Enabled: len(s.Files.Allow) > 0, Text: "Notifiers may write files on the server: files.allow names the folders."},
		{Name: "intake", Enabled: len(s.Intake) > 0, Text: "Deployments are announced through brokers: intake."},
		{Name: "local-login", Enabled: s.Login.Local, Text: "People log in with a password of their own here: login.local."},
		{Name: "metrics", Enabled: s.Metrics.Listen != "" || !s.Metrics.Token.IsZero(), Text: "Prometheus can scrape the server: metrics.listen or metrics.token."},
		{Name: "oidc", Enabled: len(s.OIDC) > 0, Text: "People log in with a provider of OpenID Connect: oidc."},
		{Name: "replicas", Enabled: s.Store.Postgres != nil, Text: "Several servers share one store, on PostgreSQL: store.postgres."},
		{Name: "tls", Enabled: s.TLS != nil, Text: "The server ends TLS itself: tls."},
		{Name: "traces", Enabled: s.Telemetry.Endpoint != "", Text: "Traces are sent by OTLP: telemetry.endpoint."},
		{Name: "watchdog", Enabled: !s.Watchdog.Webhook.IsZero(), Text: "Somebody is told when the server itself is late or blind: watchdog.webhook."},
		{Name: "webhooks", Enabled: len(s.Webhooks) > 0, Text: "Webhooks of GitHub, GitLab or CloudEvents start deployments: webhooks."},
	}
}
