package contexts_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/contexts"
)

func env(values map[string]string) contexts.Lookup {
	return func(name string) (string, bool) {
		v, ok := values[name]
		return v, ok
	}
}

func TestContextsAreKeptForTheirOwnerAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "contexts.yaml")
	var f contexts.File
	f.Put(contexts.Context{Name: "prod", Server: "https://adg.example.com", Token: "adg_x_y"})
	f.Put(contexts.Context{Name: "test", Server: "http://localhost:8080", CA: "/ca.pem"})
	f.Put(contexts.Context{Name: "test", Server: "http://localhost:8081"})
	if err := f.Save(path); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	got, err := contexts.Load(path)
	if diff := cmp.Diff(f, got); err != nil || diff != "" || got.Current != "prod" || len(got.Contexts) != 2 {
		t.Errorf("%v\n%s", err, diff)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := contexts.Load(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a file that others can read: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".contexts-*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestContextIsChosenByWhoeverSaysItMostPlainly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "contexts.yaml")
	var f contexts.File
	f.Put(contexts.Context{Name: "prod", Server: "https://prod", Token: "p"})
	f.Put(contexts.Context{Name: "test", Server: "https://test", Token: "t"})
	if err := f.Save(path); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, flag string
		env        map[string]string
		want       string
	}{
		{"nothing said: the current one", "", nil, "https://prod p"},
		{"by name", "test", nil, "https://test t"},
		{"by the environment's name", "", map[string]string{"ADG_CONTEXT": "test"}, "https://test t"},
		{"a name against the environment's name", "prod", map[string]string{"ADG_CONTEXT": "test"}, "https://prod p"},
		{"a pipeline's server", "", map[string]string{"ADG_SERVER": "https://ci", "ADG_TOKEN": "c"}, "https://ci c"},
		{"a name against a pipeline's server", "test", map[string]string{"ADG_SERVER": "https://ci"}, "https://test t"},
		{"a token of one's own", "test", map[string]string{"ADG_TOKEN": "mine"}, "https://test mine"},
	} {
		values := map[string]string{"ADG_CONTEXTS": path}
		for k, v := range c.env {
			values[k] = v
		}
		got, err := contexts.Choose(env(values), c.flag)
		if err != nil || got.Server+" "+got.Token != c.want {
			t.Errorf("%s: %v %v", c.name, got, err)
		}
	}
	for name, values := range map[string]map[string]string{
		"an unknown context":  {"ADG_CONTEXTS": path, "ADG_CONTEXT": "nowhere"},
		"no context at all":   {"ADG_CONTEXTS": path + ".not"},
		"a token in the open": {"ADG_SERVER": "http://adg.example.com"},
	} {
		if _, err := contexts.Choose(env(values), ""); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func TestContextsAreUsedAndForgotten(t *testing.T) {
	var f contexts.File
	f.Put(contexts.Context{Name: "a"})
	f.Put(contexts.Context{Name: "b"})
	if err := f.Use("b"); err != nil || f.Current != "b" {
		t.Error(err)
	}
	if err := f.Use("c"); adg.CodeOf(err) != adg.NotFound || !strings.Contains(err.Error(), "a, b") {
		t.Error(err)
	}
	if err := f.Remove("b"); err != nil || f.Current != "" || len(f.Contexts) != 1 {
		t.Errorf("%v %+v", err, f)
	}
	if f.Remove("b") == nil {
		t.Error("a context is forgotten twice")
	}
}

func TestServersThatATokenMustNotGoToAreRefused(t *testing.T) {
	for server, good := range map[string]bool{
		"https://adg.example.com": true, "https://adg.example.com:8443/": true, "http://localhost:8080": true, "http://127.0.0.1": true, "http://[::1]:1": true,
		"http://adg.example.com": false, "adg.example.com": false, "https://user:secret@adg": false, "https://adg/path": false, "file:///etc/passwd": false, "https://adg?x=y": false, "": false,
	} {
		err := contexts.Context{Server: server}.Validate()
		if (err == nil) != good {
			t.Errorf("%q: %v", server, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the error shows the password: %v", err)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("current: a\ncontexts:\n- {name: a, server: https://x, token: adg_secret}\n")
	f.Add("token: [")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "c")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := contexts.Load(path); err != nil && strings.Contains(err.Error(), "adg_secret") {
			t.Errorf("the error shows a token: %v", err)
		}
	})
}
