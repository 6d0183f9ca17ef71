package dependency

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg"
)

// The files are written from the formats' documentation.
func TestEachFormatIsRead(t *testing.T) {
	for _, c := range []struct {
		name, path, text string
		want             Set
	}{
		{"Go", "a/go.mod", "module x\n\ngo 1.26\n\nrequire a.b/c v1.2.3 // why\n\nrequire (\n\td.e/f/v3 v3.0.1 // indirect\n\tgopkg.in/yaml.v2 v2.4.0\n)\n\nexclude z v1\n",
			Set{"go": {"1.26"}, "a.b/c": {"v1.2.3"}, "d.e/f": {"v3.0.1"}, "gopkg.in/yaml": {"v2.4.0"}}},
		{"npm, lock file of version 3", "package-lock.json", `{"lockfileVersion":3,"packages":{"":{"dependencies":{"x":"^1"}},"node_modules/x":{"version":"1.0.0","dependencies":{"y":"^2"}},"node_modules/x/node_modules/@s/y":{"version":"2.0.0"},"node_modules/@s/y":{"version":"3.0.0"}}}`,
			Set{"x": {"1.0.0"}, "@s/y": {"2.0.0", "3.0.0"}}},
		{"npm, lock file of version 1", "package-lock.json", `{"dependencies":{"x":{"version":"1.0.0","requires":{"y":"2"},"dependencies":{"y":{"version":"2.0.0"}}}}}`,
			Set{"x": {"1.0.0"}, "y": {"2.0.0"}}},
		{"npm, manifest", "package.json", `{"name":"n","version":"1","dependencies":{"x":"^1.0.0"},"devDependencies":{"y":"~2"}}`, Set{"x": {"^1.0.0"}, "y": {"~2"}}},
		{"yarn, classic", "yarn.lock", "# yarn lockfile v1\n\n\"@s/x@^1.0.0\", \"@s/x@^1.1.0\":\n  version \"1.2.0\"\n  resolved \"u\"\n  dependencies:\n    version \"^9\"\n\ny@2:\n  version \"2.0.0\"\n",
			Set{"@s/x": {"1.2.0"}, "y": {"2.0.0"}}},
		{"yarn, later", "yarn.lock", "__metadata:\n  version: 6\n\n\"x@npm:^1.0.0\":\n  version: 1.3.0\n  resolution: \"x@npm:1.3.0\"\n\n\"@s/y@npm:2, @s/y@npm:^2\":\n  version: 2.1.0\n", Set{"x": {"1.3.0"}, "@s/y": {"2.1.0"}}},
		{"pnpm, earlier", "pnpm-lock.yaml", "lockfileVersion: 5.4\n\ndependencies:\n  x: 1.0.0\n\npackages:\n\n  /x/1.0.0:\n    resolution: {integrity: s}\n  /@s/y/2.0.0_x@1:\n    dev: true\n", Set{"x": {"1.0.0"}, "@s/y": {"2.0.0_x@1"}}},
		{"pnpm, later", "pnpm-lock.yaml", "lockfileVersion: '9.0'\n\npackages:\n\n  x@1.0.0:\n    resolution: {integrity: s}\n\n  '@s/y@2.0.0(x@1.0.0)':\n    dev: true\n\nsnapshots:\n\n  z@9.0.0: {}\n", Set{"x": {"1.0.0"}, "@s/y": {"2.0.0"}}},
		{"Cargo", "Cargo.lock", "version = 3\n\n[[package]]\nname = \"x\"\nversion = \"1.0.0\"\n\n[[package]]\nname = \"x\"\nversion = \"2.0.0\"\n\n[metadata]\nname = \"no\"\nversion = \"9\"\n", Set{"x": {"1.0.0", "2.0.0"}}},
		{"Poetry", "poetry.lock", "[[package]]\nname = \"x\"\nversion = \"1.0.0\"\n\n[package.dependencies]\nversion = \"9\"\n", Set{"x": {"1.0.0"}}},
		{"uv", "uv.lock", "version = 1\n[[package]]\nname = \"x\"\nversion = \"1.0.0\"\nsource = { registry = \"u\" }\n", Set{"x": {"1.0.0"}}},
		{"pip", "requirements-dev.txt", "# c\n-r other.txt\nX_y==1.0\nz[a,b]>=2.1,<3 ; python_version > '3'\nw\n--hash=sha256:0\n", Set{"x-y": {"1.0"}, "z": {"2.1"}, "w": {""}}},
		{"Pipenv", "Pipfile.lock", `{"_meta":{"hash":{"sha256":"x"},"requires":{"python_version":"3"}},"default":{"x":{"version":"==1.0"}},"develop":{"y":{"version":"==2.0"}}}`, Set{"x": {"==1.0"}, "y": {"==2.0"}}},
		{"Bundler", "Gemfile.lock", "GEM\n  remote: u\n  specs:\n    rails (7.0.1)\n      rack (>= 2)\n    rack (2.2.3)\n\nDEPENDENCIES\n  rails (~> 7)\n", Set{"rails": {"7.0.1"}, "rack": {"2.2.3"}}},
		{"Composer", "composer.lock", `{"packages":[{"name":"a/b","version":"v1.0.0"}],"packages-dev":[{"name":"c/d","version":"2.0"}]}`, Set{"a/b": {"v1.0.0"}, "c/d": {"2.0"}}},
		{"Maven", "pom.xml", `<?xml version="1.0" encoding="ISO-8859-1"?><project><properties><v>1.2</v></properties><parent><groupId>p</groupId><artifactId>q</artifactId><version>9</version></parent><dependencies>
			<dependency><groupId>a</groupId><artifactId>b</artifactId><version>${v}</version><exclusions><exclusion><artifactId>z</artifactId></exclusion></exclusions></dependency>
			<plugin><artifactId>plug</artifactId><version>3</version><dependencies><dependency><groupId>g</groupId><artifactId>in</artifactId><version>4</version></dependency></dependencies></plugin>
			<dependency><groupId>c</groupId><artifactId>d</artifactId><version>${elsewhere}</version></dependency></dependencies></project>`,
			Set{"p/q": {"9"}, "a/b": {"1.2"}, "plug": {"3"}, "g/in": {"4"}, "c/d": {"${elsewhere}"}}},
	} {
		got, err := Parse(c.path, []byte(c.text))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		for _, versions := range got {
			copy(versions, sorted(versions))
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestTwoSetsAreCompared(t *testing.T) {
	for _, c := range []struct {
		name           string
		before, after  Set
		changed, major int
	}{
		{"the same", Set{"a": {"1"}}, Set{"a": {"1"}}, 0, 0},
		{"versions in another order", Set{"a": {"1", "2"}}, Set{"a": {"2", "1"}}, 0, 0},
		{"one of each", Set{"gone": {"1"}, "minor": {"v1.2"}, "major": {"^1.9"}}, Set{"new": {"1"}, "minor": {"v1.3"}, "major": {"^2.0"}}, 4, 1},
		{"a second version beside the first", Set{"a": {"1.0"}}, Set{"a": {"1.0", "2.0"}}, 1, 1},
		{"down is a jump, too", Set{"a": {"3"}}, Set{"a": {"2"}}, 1, 1},
		{"a name for a version is no jump", Set{"a": {"${v}"}}, Set{"a": {"2"}}, 1, 0},
		{"from nothing", nil, Set{"a": {"1"}}, 1, 0},
	} {
		if changed, major := Compare(c.before, c.after); changed != c.changed || major != c.major {
			t.Errorf("%s: %d changed, %d major, want %d and %d", c.name, changed, major, c.changed, c.major)
		}
	}
}

func TestWhatIsInNoFormatIsRefused(t *testing.T) {
	for path, text := range map[string]string{
		"package.json": `{"dependencies":[]}`, "package-lock.json": `{`, "composer.lock": `[]`, "Pipfile.lock": `1`, "pom.xml": `<a><b>`, "unknown.lock": "x",
		"x/pom.xml": strings.Repeat("<a>", 300),
	} {
		if _, err := Parse(path, []byte(text)); adg.CodeOf(err) != adg.Invalid {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("go.mod", []byte("require (\n a v1\n"))
	f.Add("package-lock.json", []byte(`{"dependencies":{"a":{"dependencies":{"b":{}}}}}`))
	f.Add("yarn.lock", []byte("\"@a@b\":\n  version \"1\"\n@:\n  version\n\",\":\n"))
	f.Add("pnpm-lock.yaml", []byte("packages:\n  '/@/':\n"))
	f.Add("pom.xml", []byte("</a><dependency><version>${x</version></dependency>"))
	f.Add("Pipfile.lock", []byte(`{"default":null}`))
	f.Fuzz(func(t *testing.T, path string, text []byte) {
		set, err := Parse(path, text)
		if err != nil {
			return
		}
		if changed, major := Compare(set, set); changed != 0 || major != 0 {
			t.Errorf("a set differs from itself: %d, %d", changed, major)
		}
	})
}
