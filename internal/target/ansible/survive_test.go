package ansible

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/targettest"
)

func applied(t *testing.T, target adg.Target, want adg.Desired) adg.Observed {
	t.Helper()
	seen, err := target.Apply(t.Context(), want)
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

func rehearsed(t *testing.T, target adg.Target, want adg.Desired) []adg.Obstacle {
	t.Helper()
	found, err := target.(adg.Rehearser).Rehearse(t.Context(), want)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// refusingV2 is a playbook that says, in check mode too, that v2 cannot be had.
const refusingV2 = `
- hosts: all
  gather_facts: false
  tasks:
    - name: look for the package
      ansible.builtin.assert:
        that: adg_version != 'v2'
        fail_msg: "there is no package {{ adg_version }} ({{ token }})"
- ansible.builtin.import_playbook: deploy.yml
`

func TestAReleaseThatCheckModeRefusesChangesNothingAndARollbackDoesNotAskIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	w.write(t, "guarded.yml", refusingV2)
	o := w.options()
	o.Playbook = "guarded.yml"
	target := w.open(t, o)
	found := rehearsed(t, target, targettest.Want("shop-v2-abc/1", 1, 100))
	if len(found) != 1 || found[0].Name != "release" || found[0].Final || !strings.Contains(found[0].Text, "web2: look for the package: there is no package v2 ([redacted])") {
		t.Errorf("%+v", found)
	}
	seen := applied(t, target, targettest.Want("shop-v2-abc/1", 1, 100))
	if !seen.Failed || seen.Done || !strings.Contains(seen.Text, "nothing was changed") || !strings.Contains(seen.Text, "no package v2") ||
		!strings.Contains(seen.Log, "PLAY RECAP") || strings.Contains(seen.Log+seen.Text, targettest.Planted) || len(w.Effects(t)) != 0 {
		t.Errorf("%d changes, %+v", len(w.Effects(t)), seen)
	}
	again, err := w.open(t, o).Current(t.Context())
	if err != nil || !cmp.Equal(again, seen) {
		t.Errorf("%+v, %v", again, err)
	}
	if found := rehearsed(t, target, targettest.Rollback("shop-v2-abc/2", 1)); len(found) != 0 {
		t.Errorf("%+v", found)
	}
	w.write(t, "guarded.yml", strings.Replace(refusingV2, "adg_version != 'v2'", "not ansible_check_mode", 1))
	if seen = applied(t, target, targettest.Rollback("shop-v2-abc/2", 1)); !seen.Done || seen.Failed || len(w.Effects(t)) != 2 {
		t.Errorf("%d changes, %+v", len(w.Effects(t)), seen)
	}
}

func TestARehearsalTellsWhatKeepsThePlaybookFromRunning(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, says string
		final      bool
		spoil      func(*testing.T, world, *Options)
	}{
		{"no such playbook", "no playbook", true, func(_ *testing.T, _ world, o *Options) { o.Playbook = "other.yml" }},
		{"a playbook that cannot be read", "status 4", true, func(t *testing.T, w world, _ *Options) { w.write(t, "deploy.yml", "- hosts: all\n  taskz: []\n") }},
		{"the same, where check mode is not used", "status 4", true, func(t *testing.T, w world, o *Options) {
			o.Check = false
			w.write(t, "deploy.yml", "- hosts: all\n  taskz: []\n")
		}},
		{"no host that it is for", "found no host", true, func(t *testing.T, w world, _ *Options) {
			w.write(t, "deploy.yml", strings.Replace(deployBook, "all", "database", 1))
		}},
		{"a host that does not answer", "web2", false, func(t *testing.T, w world, _ *Options) {
			w.inventory(t, "web2")
			w.write(t, "deploy.yml", strings.Replace(deployBook, "      ansible.builtin.raw", "      check_mode: false\n      ansible.builtin.raw", 1))
			w.write(t, "deploy", "exit 0")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 2)
			o := w.options()
			c.spoil(t, w, &o)
			found := rehearsed(t, w.open(t, o), targettest.Rollback("shop-v2-abc/2", 1))
			if len(found) != 1 || found[0].Name != "access" || found[0].Final != c.final || !strings.Contains(found[0].Text, c.says) || len(w.Effects(t)) != 0 {
				t.Errorf("%+v", found)
			}
		})
	}
}

func TestHostsThatFailAndHostsThatDoNotAnswerAreTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3)
	w.inventory(t, "web3")
	o := w.options()
	o.Check = false
	w.write(t, "deploy", strings.Replace(deployText, "fault=", `[ $host != web2 ] || { echo "no room left" >&2; exit 1; }; fault=`, 1))
	target := w.open(t, o)
	seen := applied(t, target, targettest.Want("shop-v2-abc/1", 1, 100))
	share, _ := seen.Share("v2")
	if !seen.Failed || seen.Done || seen.OpID != "shop-v2-abc/1" || share < 33 || share > 34 ||
		!strings.Contains(seen.Text, "web2: make the release live: ") || !strings.Contains(seen.Text, "no room left") || !strings.Contains(seen.Text, "web3: ") {
		t.Errorf("%+v", seen)
	}
	w.write(t, "deploy", deployText)
	_, err := target.Apply(t.Context(), targettest.Want("shop-v2-abc/1", 1, 100))
	if adg.CodeOf(err) != adg.Unavailable || adg.IsPermanent(err) || !strings.Contains(err.Error(), "web3: ") || strings.Contains(err.Error(), "web2: ") {
		t.Errorf("%v", err)
	}
	w.inventory(t, "")
	if seen := applied(t, target, targettest.Want("shop-v2-abc/1", 1, 100)); !seen.Done || seen.Failed {
		t.Errorf("%+v", seen)
	}
}

func TestACanaryGoesByTheListOfReleases(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	o := w.options()
	o.Check, o.Shares = false, true
	w.write(t, "deploy.yml", strings.Replace(deployBook, "{{ adg_version }}",
		"{{ (adg_releases | selectattr('role', 'equalto', 'candidate') | first).version if ansible_play_hosts.index(inventory_hostname) < "+
			"(adg_releases | selectattr('role', 'equalto', 'candidate') | map(attribute='share') | sum) * 2 / 100 else 'v1' }}", 1))
	target := w.open(t, o)
	for i, share := range []float64{50, 100} {
		seen := applied(t, target, targettest.Want("shop-v2-abc/"+string(rune('1'+i)), 1, share))
		if got, _ := seen.Share("v2"); !seen.Done || got != share || w.Shares(t)["v2"] != share {
			t.Errorf("%g %%: %+v", share, seen)
		}
	}
}

func TestAHostThatSomebodyElseChangedIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	o := w.options()
	o.Check = false
	target := w.open(t, o)
	if seen := applied(t, target, targettest.Want("shop-v2-abc/1", 1, 100)); !seen.Done {
		t.Fatalf("%+v", seen)
	}
	w.write(t, "web2", "hotfix\n")
	seen, err := target.Current(t.Context())
	if share, _ := seen.Share("hotfix"); err != nil || seen.Done || share != 50 || !strings.Contains(seen.Text, "web2: hotfix is live, and was not wanted") {
		t.Errorf("%+v, %v", seen, err)
	}
	w.write(t, "web2", "{ $(id) }\n")
	if _, err := target.Current(t.Context()); adg.CodeOf(err) != adg.Unavailable || !strings.Contains(err.Error(), "adg_live") {
		t.Errorf("what is no version: %v", err)
	}
	w.write(t, "look.yml", strings.Replace(lookBook, "adg_live", "other", 1))
	if _, err := target.Current(t.Context()); err == nil || !strings.Contains(err.Error(), "web1 says no adg_live") {
		t.Errorf("nothing said: %v", err)
	}
}

func TestThePlaybookGetsTheWholeReleaseAndNoTextIsATemplate(t *testing.T) {
	w := newWorld(t, 1)
	t.Setenv("ADG_TEST_CANARY", "must not be inherited")
	o := w.options()
	o.Check, o.Current = false, ""
	o.Vars["braces"] = "{{ 1 + 1 }}: \"quoted\"\n- é"
	o.SecretVars["password"] = adg.NewSecret("{{ lookup('pipe', 'id') }}")
	o.Env, o.Secrets = map[string]string{"PLAIN": "open"}, map[string]adg.Secret{"HIDDEN": adg.NewSecret(targettest.Planted)}
	o.VaultPassword = adg.NewSecret(targettest.Planted)
	w.write(t, "deploy.yml", `
- hosts: all
  gather_facts: false
  tasks:
    - name: what there is
      ansible.builtin.set_fact:
        all: "{{ {'release': adg_release, 'releases': adg_releases, 'version': adg_version, 'artifact': adg_artifact, 'config': adg_config,
          'commit': adg_commit, 'share': adg_share, 'op': adg_operation, 'deployment': adg_deployment, 'fence': adg_fence, 'rollback': adg_rollback,
          'braces': braces, 'password': password, 'plain': lookup('env', 'PLAIN'), 'hidden': lookup('env', 'HIDDEN'), 'canary': lookup('env', 'ADG_TEST_CANARY'),
          'modes': lookup('pipe', 'stat -c %a $(dirname $ADG_REPORT) $(dirname $ADG_REPORT)/vars.yml $(dirname $ADG_REPORT)/vault')} }}"
    - ansible.builtin.raw: "cat > {{ world }}/got <<'END'\n{{ all | to_json }}\nEND"
`)
	want := targettest.Want("shop-v2-abc/7", 42, 100)
	want.Releases[0].Release.Version, want.Releases[0].Release.Artifact, want.Releases[0].Release.Config = "1.10", "registry/shop@sha256:1", "c7"
	seen := applied(t, w.open(t, o), want)
	if !seen.Done || len(seen.Releases) != 0 || seen.OpID != want.OpID {
		t.Errorf("%+v", seen)
	}
	text, err := os.ReadFile(filepath.Join(w.dir, "got"))
	if err != nil {
		t.Fatal(err, seen)
	}
	release := map[string]any{"service": "shop", "version": "1.10", "artifact": "registry/shop@sha256:1", "config": "c7", "commit": "c0ffee", "schema": "",
		"share": 100.0, "role": "candidate"}
	idle := map[string]any{"service": "shop", "version": "v1", "artifact": "", "config": "", "commit": "c0ffee", "schema": "", "share": 0.0, "role": "idle"}
	wanted := map[string]any{"release": release, "releases": []any{release, idle}, "version": "1.10", "artifact": "registry/shop@sha256:1", "config": "c7",
		"commit": "c0ffee", "share": 100.0, "op": "shop-v2-abc/7", "deployment": "shop-v2-abc", "fence": 42.0, "rollback": false,
		"braces": o.Vars["braces"], "password": "{{ lookup('pipe', 'id') }}", "plain": "open", "hidden": targettest.Planted, "canary": "", "modes": "700\n600\n600"}
	var got map[string]any
	if err := json.Unmarshal(text, &got); err != nil || !cmp.Equal(got, wanted) {
		t.Errorf("%v\n%s", err, cmp.Diff(wanted, got))
	}
	if left, _ := filepath.Glob(filepath.Join(w.host().Dir, "run-*")); len(left) != 0 {
		t.Errorf("secrets are left behind: %v", left)
	}
}

func TestWhatAKilledProcessLeftBehindIsRemovedWhenItIsOldEnough(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	old, young := filepath.Join(w.host().Dir, "run-old"), filepath.Join(w.host().Dir, "run-young")
	for _, dir := range []string{old, young} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	before := time.Now().Add(-time.Hour)
	if err := os.Chtimes(old, before, before); err != nil {
		t.Fatal(err)
	}
	if _, err := w.open(t, w.options()).Current(t.Context()); err != nil {
		t.Fatal(err)
	}
	left, _ := filepath.Glob(filepath.Join(w.host().Dir, "run-*"))
	if !slices.Equal(left, []string{young}) {
		t.Errorf("%v", left)
	}
}

const ownerDir = "ADG_TEST_OWNER_DIR"

// owner is an adg that has the test binary's name: it applies one operation, and is killed meanwhile.
func owner(dir string) {
	w := world{dir: dir}
	o := w.options()
	o.Check = false
	target, err := Driver.Open(context.Background(), o, w.host())
	if err == nil {
		_, err = target.Apply(context.Background(), targettest.Want("shop-v2-abc/1", 1, 100))
	}
	println(err == nil)
	os.Exit(1)
}

// TestAPlaybookWhoseOwnerWasKilledIsWaitedFor kills the process that applies while its playbook works on a host.
func TestAPlaybookWhoseOwnerWasKilledIsWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	started, gate := filepath.Join(w.dir, "started"), filepath.Join(w.dir, "gate")
	for _, pipe := range []string{started, gate} {
		if err := syscall.Mkfifo(pipe, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// The first one to come tells that it has begun, and waits.
	w.write(t, "deploy", strings.Replace(deployText, "if [", "if mkdir first 2>/dev/null; then echo >started; read -r _ <gate; fi\nif [", 1))
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), ownerDir+"="+w.dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.ReadFile(started); err != nil { // waits for the playbook
		t.Fatal(err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // it was killed
	o := w.options()
	o.Check = false
	target := w.open(t, o)
	second := targettest.Want("shop-v2-abc/1", 2, 100)
	ctx, cancel := context.WithTimeoutCause(t.Context(), 300*time.Millisecond, errors.New("the lease is over"))
	defer cancel()
	if _, err := target.Apply(ctx, second); err == nil || !strings.Contains(err.Error(), "may still be running") || len(w.Effects(t)) != 1 {
		t.Errorf("it does not wait: %v, %d changes", err, len(w.Effects(t)))
	}
	if err := os.WriteFile(gate, []byte("go\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if seen := applied(t, target, second); !seen.Done {
		t.Errorf("%+v", seen)
	}
	effects := w.Effects(t)
	if len(effects) != 2 || effects[0].Overlapped || effects[1].Overlapped || effects[1].Fence != 2 {
		t.Errorf("%+v", effects)
	}
	if _, err := target.Apply(t.Context(), targettest.Want("shop-v2-abc/1", 1, 100)); !errors.Is(err, adg.ErrFenced) {
		t.Errorf("the first owner is let in again: %v", err)
	}
}

func TestARunThatTakesTooLongIsStopped(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	o := w.options()
	o.Check, o.Timeout = false, 2*time.Second
	mend := w.Break(t, targettest.Hang)
	_, err := w.open(t, o).Apply(t.Context(), targettest.Want("shop-v2-abc/1", 1, 100))
	if adg.CodeOf(err) != adg.Unavailable || adg.IsPermanent(err) || !strings.Contains(err.Error(), "2s") {
		t.Errorf("%v", err)
	}
	mend()
	seen, err := w.open(t, o).Current(t.Context())
	if err != nil || seen.Done || seen.Failed || !strings.Contains(seen.Text, "has not come to its end") {
		t.Errorf("%+v, %v", seen, err)
	}
}
