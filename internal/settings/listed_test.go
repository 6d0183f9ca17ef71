package settings_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/settings"
)

func TestEverySettingIsListedWithItsOriginAndWithoutSecrets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "adg.yaml")
	text := said(string(settings.Example()))
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	set := append([]string{"ADG_SERVER_SESSIONS_IDLE=30m", "ADG_SERVER_METRICS_TOKEN=planted-directly", "ADG_SERVER_EGRESS_PROXY=direct"}, environ...)
	read, err := settings.LoadAll(path, set, map[string]string{"limits.burst": "777"})
	if err != nil {
		t.Fatal(err)
	}
	all := read.Listed
	if read.Settings.Limits.Burst != 777 || read.Settings.Listen != ":8443" {
		t.Errorf("got %+v", read.Settings)
	}
	found := map[string]settings.Listed{}
	for _, one := range all {
		found[one.Path] = one
		if strings.Contains(one.Value, "planted") || one.Text == "" {
			t.Errorf("%+v", one)
		}
	}
	if len(all) != len(settings.Fields()) {
		t.Errorf("%d of %d are listed", len(all), len(settings.Fields()))
	}
	for path, want := range map[string][2]string{
		"listen":           {":8443", "file"},
		"sessions.idle":    {"30m", "environment"},
		"limits.burst":     {"777", "flag"},
		"metrics.token":    {"{env: ADG_SERVER_METRICS_TOKEN}", "environment"},
		"egress.proxy":     {"direct", "environment"},
		"commands.allow":   {"[/usr/local/bin/deploy]", "file"},
		"telemetry.sample": {"10%", "file"},
		"demo":             {"false", "file"},
	} {
		if one := found[path]; one.Value != want[0] || one.Origin != want[1] {
			t.Errorf("%s is %q from %s, want %v", path, one.Value, one.Origin, want)
		}
	}
	if oidc := found["oidc"].Value; !strings.Contains(oidc, "client_secret: {env: ADG_OIDC_SECRET}") || !strings.Contains(oidc, "issuer:") {
		t.Errorf("oidc is %q", oidc)
	}
	if !found["metrics.token"].Secret || found["listen"].Secret {
		t.Error("what is secret is not said")
	}
}

func TestSettingsThatNobodyMadeAreDefaults(t *testing.T) {
	all, err := settings.LoadAll("", []string{"ADG_SERVER_INSECURE_HTTP=true", "ADG_SERVER_LISTEN=127.0.0.1:0", "ADG_SERVER_SEAL_ACTIVE_FILE=/k"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range all.Listed {
		switch one.Path {
		case "insecure_http", "listen", "seal.active.file":
		default:
			if one.Origin != "default" {
				t.Errorf("%+v", one)
			}
		}
	}
}

func TestTheDemoIsForOneMachineOnly(t *testing.T) {
	_, err := settings.LoadAll("", []string{"ADG_SERVER_INSECURE_HTTP=true", "ADG_SERVER_LISTEN=:8443", "ADG_SERVER_SEAL_ACTIVE_FILE=/k"}, map[string]string{"demo": "true"})
	if adg.CodeOf(err) != adg.Invalid || !strings.Contains(err.Error(), "listen on 127.0.0.1") {
		t.Error(err)
	}
}
