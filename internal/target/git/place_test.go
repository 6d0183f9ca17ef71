package git

import (
	"strings"
	"testing"

	"github.com/deployguardian/adg"
)

func TestAVersionIsFoundAndReplacedWhereItStandsAndNothingElseChanges(t *testing.T) {
	for _, c := range []struct {
		name          string
		file          string
		path, pattern string
		text          string // the version is between « and »
		version       string
		written       string // what stands there then; empty: the version
	}{
		{"a tag of Helm", "values.yaml", "image.tag", "", "# é\nimage:\n  name: shop\n  tag: «v1» # the tag\nother: v1\n", "v2", ""},
		{"a tag in double quotes", "values.yaml", "image.tag", "", "image: {name: shop, tag: \"«v1»\"}\n", "v2", ""},
		{"a tag in single quotes", "values.yaml", "image.tag", "", "image:\n    tag: '«1.9»'\n", "1.10", ""},
		{"a tag that would be read as a number", "values.yaml", "image.tag", "", "image:\n  tag: «v1»\n", "1.10", `"1.10"`},
		{"a number that becomes a word", "values.yaml", "tag", "", "tag: «1.9»\n", "v2", ""},
		{"an image of Kustomize", "kustomization.yaml", "images[name=shop].newTag", "", "images:\n- name: cart\n  newTag: v1\n- name: shop\n  newTag: «v1»\n", "v2", ""},
		{"an image of Kubernetes", "deployment.yaml", "spec.template.spec.containers[0].image", ":([^:@]+)$", "spec:\n  template:\n    spec:\n      containers:\n      - image: host:5000/shop:«v1»\n", "v2", ""},
		{"one document of several", "all.yaml", "spec.version", "", "kind: Service\n---\nkind: Shop\nspec:\n  version: «v1»\n", "v2", ""},
		{"a chart", "Chart.yaml", "version", "", "apiVersion: v2\nversion: «1.2.3»\n", "1.2.4-rc.1+5", ""},
		{"JSON with tabs", "shop.json", "image.tag", "", "{\n\t\"image\": {\n\t\t\"tag\": \"«v1»\"\n\t}\n}\n", "v2", ""},
		{"lines that end as on Windows", "values.yaml", "image.tag", "", "a: 1\r\nimage:\r\n  tag: «v1»\r\nb: 2\r\n", "v2", ""},
		{"a key with a dot", "values.yaml", `labels["app.version"]`, "", "labels:\n  app.version: «v1»\n", "v2", ""},
		{"any text by pattern", "main.tf", "", `(?m)^shop_version\s*=\s*"([^"]+)"$`, "cart_version = \"v1\"\nshop_version = \"«v1»\"\n", "v2", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := Place{File: c.file, Path: c.path, Pattern: c.pattern}.parse()
			if err != nil {
				t.Fatal(err)
			}
			before, rest, _ := strings.Cut(c.text, "«")
			old, after, _ := strings.Cut(rest, "»")
			text := []byte(before + old + after)
			if got, err := p.read(text); err != nil || got != old {
				t.Fatalf("read %q, %v, want %q", got, err, old)
			}
			if c.written == "" {
				c.written = c.version
			}
			written, err := p.write(text, c.version)
			if want := before + c.written + after; err != nil || string(written) != want {
				t.Errorf("wrote %q, %v, want %q", written, err, want)
			}
		})
	}
}

func TestAPlaceThatIsNotOneIsAnErrorThatSaysWhy(t *testing.T) {
	for name, c := range map[string]struct{ path, pattern, text, says string }{
		"no such key":              {"image.tag", "", "image:\n  name: x\n", "there is no tag"},
		"no list":                  {"image[0]", "", "image: x\n", "no list"},
		"two elements":             {"images[name=x].tag", "", "images:\n- {name: x, tag: v1}\n- {name: x, tag: v2}\n", "2 elements"},
		"two documents":            {"tag", "", "tag: v1\n---\ntag: v2\n", "several"},
		"a key twice":              {"tag", "", "tag: v1\ntag: v2\n", "YAML"},
		"a block":                  {"tag", "", "tag: |\n  v1\n", "plain"},
		"escapes":                  {"tag", "", "tag: \"v\\u0031\"\n", "plain"},
		"no scalar":                {"tag", "", "tag: {a: b}\n", "plain"},
		"no version":               {"tag", "", "tag: $(rm -rf x)\n", "version"},
		"an alias":                 {"tag", "", "a: &x v1\ntag: *x\n", "plain"},
		"a pattern without a hit":  {"", "tag=(x)", "tag=y\n", "nowhere"},
		"a pattern with two":       {"", "tag=(.)", "tag=y\ntag=z\n", "more than once"},
		"a group that is not used": {"", "tag=y|tag=(x)", "tag=y\n", "without its group"},
		"not YAML":                 {"tag", "", "tag: [v1\n", "YAML"},
		"empty":                    {"tag", "", "", ""},
		"too large":                {"tag", "", strings.Repeat("#", maxFile) + "\ntag: v1\n", "1 MiB"},
	} {
		p, err := Place{File: "x.yaml", Path: c.path, Pattern: c.pattern}.parse()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, failed := range []func() error{
			func() error { _, err := p.read([]byte(c.text)); return err },
			func() error { _, err := p.write([]byte(c.text), "v9"); return err },
		} {
			if name == "no version" && p.pattern == nil {
				failed = func() error { _, err := p.read([]byte(c.text)); return err } // it may be replaced by one
			}
			if err := failed(); adg.CodeOf(err) != adg.Invalid || !adg.IsPermanent(err) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func FuzzPlace(f *testing.F) {
	f.Add("image.tag", "", "image:\n  tag: v1 # x\n", "v2")
	f.Add("images[name=shop].newTag", "", "images:\n- name: shop\n  newTag: \"v1\"\n", "1.10")
	f.Add("a[0][\"b.c\"]", ":([^:]+)$", "a: [{b.c: x:v1}]\n", "v2")
	f.Add("", "v=(.+)", "v=1\n", "2")
	f.Fuzz(func(t *testing.T, path, pattern, text, version string) {
		p, err := Place{File: "x.yaml", Path: path, Pattern: pattern}.parse()
		if err != nil || adg.ValidVersion(version) != nil {
			return
		}
		before, err := p.read([]byte(text))
		if err != nil {
			return
		}
		written, err := p.write([]byte(text), version)
		if err != nil {
			return
		}
		if again, err := p.read(written); err != nil || again != version {
			t.Errorf("wrote %q and read %q, %v", version, again, err)
		}
		if len(written) > len(text)-len(before)+len(version)+2 {
			t.Errorf("%q became %q", text, written)
		}
	})
}

func FuzzHistory(f *testing.F) {
	f.Add("c0ffee\x1fshop\x1fshop-v2-abc\x1fshop-v2-abc/1\x1f1\x1fv2\x00")
	f.Add(":100644 100755 a1 b2 M\x00apps/x\x00")
	f.Fuzz(func(t *testing.T, text string) {
		for _, o := range parseOperations(text, "shop") {
			if !word.MatchString(o.id) || !word.MatchString(o.deployment) || adg.ValidVersion(o.version) != nil {
				t.Errorf("accepted %+v", o)
			}
		}
		_, _ = parseDiff(text)
		_ = complaints([]byte(text))
	})
}
