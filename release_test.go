package adg_test

import (
	"strings"
	"testing"

	"github.com/deployguardian/adg"
)

func TestAReleaseIsWhatIsRunWithItsConfiguration(t *testing.T) {
	for _, row := range []struct {
		name    string
		release adg.Release
		want    string
	}{
		{"the version where nothing more is known", adg.Release{Service: "shop", Version: "v2"}, "v2"},
		{"the artifact rather than the version", adg.Release{Version: "v2", Artifact: "shop@sha256:ab"}, "shop@sha256:ab"},
		{"the configuration makes another release", adg.Release{Version: "v2", Config: "7"}, "v2+config.7"},
		{"neither commit nor schema do", adg.Release{Version: "v2", Commit: "abc", Schema: "12"}, "v2"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := row.release.Identity(); got != row.want {
				t.Errorf("%q, want %q", got, row.want)
			}
		})
	}
}

func TestWordsThatEndUpInQueriesAndCommandsAreStrict(t *testing.T) {
	good := adg.Release{Service: "shop", Version: "v2"}
	long := func(n int) string { return strings.Repeat("x", n) }
	for _, row := range []struct {
		name   string
		change func(*adg.Release)
		wrong  string // part of the message; empty: it is right
	}{
		{"a plain one", func(*adg.Release) {}, ""},
		{"everything given", func(r *adg.Release) {
			r.Artifact, r.Config, r.Commit, r.Schema = "registry:5000/shop/web@sha256:0a1b", "c_1", "deadbeef", "2026.1"
		}, ""},
		{"a version of many kinds of characters", func(r *adg.Release) { r.Version = "1.2.3-rc.1+build_5" }, ""},
		{"no service", func(r *adg.Release) { r.Service = "" }, `service ""`},
		{"a service that starts with a dash", func(r *adg.Release) { r.Service = "-rf" }, `service "-rf"`},
		{"a service that ends with a dot", func(r *adg.Release) { r.Service = "shop." }, `service "shop."`},
		{"a service of 63 characters", func(r *adg.Release) { r.Service = long(63) }, ""},
		{"a service of 64 characters", func(r *adg.Release) { r.Service = long(64) }, "use 1 to 63"},
		{"no version", func(r *adg.Release) { r.Version = "" }, `version ""`},
		{"a version with a quote", func(r *adg.Release) { r.Version = `1"}` }, "version"},
		{"a version with a line break at its end", func(r *adg.Release) { r.Version = "1\n" }, "version"},
		{"a version that looks like an option", func(r *adg.Release) { r.Version = "--force" }, "version"},
		{"a version of 128 characters", func(r *adg.Release) { r.Version = long(128) }, ""},
		{"a version of 129 characters", func(r *adg.Release) { r.Version = long(129) }, "use 1 to 128"},
		{"an artifact with a blank", func(r *adg.Release) { r.Artifact = "shop web" }, `artifact "shop web"`},
		{"an artifact that looks like an option", func(r *adg.Release) { r.Artifact = "-x" }, `artifact "-x"`},
		{"an artifact of 513 characters", func(r *adg.Release) { r.Artifact = long(513) }, "at most 512"},
		{"a configuration with a slash", func(r *adg.Release) { r.Config = "a/b" }, `"a/b" is no revision`},
		{"a commit with a shell's word", func(r *adg.Release) { r.Commit = "$(id)" }, `"$(id)" is no revision`},
		{"a schema with a semicolon", func(r *adg.Release) { r.Schema = "1;2" }, `"1;2" is no revision`},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := good
			row.change(&r)
			err := r.Validate()
			if row.wrong == "" && err != nil || row.wrong != "" && (err == nil || !strings.Contains(err.Error(), row.wrong) || adg.CodeOf(err) != adg.Invalid) {
				t.Error(err)
			}
		})
	}
}
