package ansible

import (
	"strings"
	"testing"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/targettest"
)

func TestEveryProblemOfTheOptionsIsReportedAtOnceAndNoSecret(t *testing.T) {
	o := Driver.Options.(Options)
	o.Program, o.Dir, o.Inventory, o.Limit = "ansible-playbook", "shop", "-i", "--become"
	o.Vars, o.SecretVars = map[string]string{"a-b": "", "token": ""}, map[string]adg.Secret{"token": adg.NewSecret(targettest.Planted), "adg_fence": {}}
	o.Env, o.Secrets = map[string]string{"ADG_REPORT": "/tmp"}, map[string]adg.Secret{"A=B": adg.NewSecret(targettest.Planted)}
	o.Timeout = 0
	_, err := Driver.Open(t.Context(), o, adg.Host{Name: "shop", Commands: true})
	if adg.CodeOf(err) != adg.Invalid || !adg.IsPermanent(err) || strings.Contains(err.Error(), targettest.Planted) {
		t.Fatal(err)
	}
	for _, says := range []string{
		"program:", "dir:", "inventory:", "limit:", "playbook:", `vars: "a-b"`, `secret_vars: "token" is in vars too`, `secret_vars: "adg_fence"`,
		`env: "ADG_REPORT"`, `secrets: "A=B"`, "timeout:", "directory of its own",
	} {
		if !strings.Contains(err.Error(), says) {
			t.Errorf("%s is missing in %v", says, err)
		}
	}
}

func TestAProgramThatMayNotBeStartedIsRefused(t *testing.T) {
	o := Driver.Options.(Options)
	o.Dir, o.Playbook = "/srv/shop", "deploy.yml"
	for name, host := range map[string]adg.Host{
		"no program at all": {Dir: t.TempDir()},
		"another one":       {Dir: t.TempDir(), Commands: true, Programs: []string{"/bin/true"}},
	} {
		if _, err := Driver.Open(t.Context(), o, host); !adg.IsPermanent(err) || !strings.Contains(err.Error(), "commands.allow") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Driver.Open(t.Context(), o, adg.Host{Dir: t.TempDir(), Commands: true, Programs: []string{o.Program}}); err != nil {
		t.Error(err)
	}
}

func TestAShareThatThePlaybookCannotMakeIsRefused(t *testing.T) {
	o := Driver.Options.(Options)
	o.Dir, o.Playbook = "/srv/shop", "deploy.yml"
	target, err := Driver.Open(t.Context(), o, adg.Host{Dir: t.TempDir(), Commands: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := target.Apply(t.Context(), targettest.Want("shop-v2-abc/1", 1, 25)); !adg.IsPermanent(err) || !strings.Contains(err.Error(), "set shares") {
		t.Error(err)
	}
}

func FuzzRecap(f *testing.F) {
	f.Add([]byte(`{"hosts":{"web1":{"ok":1,"changed":1,"failures":0,"unreachable":0,"live":"v1"}},"live":null}`))
	f.Add([]byte(`{"hosts":{"web1":{"ok":1,"changed":1,"failures":1,"unreachable":0,"task":"t","said":"s","live":{"v1":95,"v2":5}}},"live":"v2"}`))
	f.Add([]byte(`{"hosts":{},"live":{"v1":1e999}}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := parseRecap(text)
		if err != nil {
			return
		}
		told := []*live{r.Live}
		for _, h := range r.Hosts {
			told = append(told, h.Live)
		}
		for _, l := range told {
			if l == nil {
				continue
			}
			sum := 0.0
			for _, p := range placements(*l) {
				sum += p.Share
				if adg.ValidVersion(p.Release.Version) != nil || p.Share < 0 {
					t.Errorf("accepted %+v", p)
				}
			}
			if sum > 100.01 {
				t.Errorf("accepted %g %%", sum)
			}
		}
	})
}
