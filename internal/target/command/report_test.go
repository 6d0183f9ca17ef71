package command

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg"
)

func TestWhatCurrentPrintsIsReadStrictly(t *testing.T) {
	v1 := []adg.Placement{{Release: adg.Release{Version: "v1"}, Share: 100}}
	for _, c := range []struct {
		name, output string
		want         adg.Observed
		problem      string
	}{
		{"a bare version", " v1\n", adg.Observed{Releases: v1, Done: true}, ""},
		{"JSON without done", `{"releases":[{"version":"v1","share":100}]}`, adg.Observed{Releases: v1, Done: true}, ""},
		{"JSON with everything", `{"releases":[{"version":"v1","share":99.5,"artifact":"img:1","config":"c1"},{"version":"v2","share":0.5,"role":"candidate"}],"done":false,"failed":true,"text":"stuck","op_id":"d/1"}`,
			adg.Observed{
				Releases: []adg.Placement{
					{Release: adg.Release{Version: "v1", Artifact: "img:1", Config: "c1"}, Share: 99.5},
					{Release: adg.Release{Version: "v2"}, Share: 0.5, Role: adg.CandidateRole},
				}, Failed: true, Text: "stuck", OpID: "d/1",
			}, ""},
		{"nothing", " \n", adg.Observed{}, "printed nothing"},
		{"two lines", "v1\nv2\n", adg.Observed{}, "it printed"},
		{"a sentence", "error: not logged in", adg.Observed{}, "print a version, or JSON"},
		{"half of JSON", `{"releases":[`, adg.Observed{}, "print a version, or JSON"},
		{"an unknown field", `{"releases":[{"version":"v1","share":100}],"ok":true}`, adg.Observed{}, `unknown field "ok"`},
		{"something after it", `{"releases":[{"version":"v1","share":100}]} {}`, adg.Observed{}, "more after the JSON"},
		{"no release", `{"releases":[],"done":true}`, adg.Observed{}, "0 releases"},
		{"no share", `{"releases":[{"version":"v1"}]}`, adg.Observed{}, "share must be a number"},
		{"a share of 101", `{"releases":[{"version":"v1","share":101}]}`, adg.Observed{}, "share must be a number"},
		{"too much in sum", `{"releases":[{"version":"v1","share":60},{"version":"v2","share":60}]}`, adg.Observed{}, "add up to 120"},
		{"a release twice", `{"releases":[{"version":"v1","share":50},{"version":"v1","share":50}]}`, adg.Observed{}, "twice"},
		{"a hostile version", `{"releases":[{"version":"$(id)","share":100}]}`, adg.Observed{}, "version"},
		{"an unknown role", `{"releases":[{"version":"v1","share":100,"role":"king"}]}`, adg.Observed{}, "stable, candidate, idle"},
	} {
		got, err := parseReport([]byte(c.output))
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s:\n%s", c.name, diff)
		}
		if (err != nil) != (c.problem != "") || err != nil && !strings.Contains(err.Error(), c.problem) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.problem)
		}
	}
}

func FuzzReport(f *testing.F) {
	f.Add([]byte("v1\n"))
	f.Add([]byte(`{"releases":[{"version":"v1","share":100,"role":"stable"}],"done":true,"op_id":"d/1"}`))
	f.Add([]byte(`{"releases":[{"version":"v1","share":1e400}]}`))
	f.Add([]byte(`{"releases":null}`))
	f.Fuzz(func(t *testing.T, output []byte) {
		seen, err := parseReport(output)
		if err != nil {
			if !cmp.Equal(seen, adg.Observed{}) {
				t.Errorf("an error and a state: %+v", seen)
			}
			return
		}
		sum := 0.0
		for _, p := range seen.Releases {
			if adg.ValidVersion(p.Release.Version) != nil || !(p.Share >= 0 && p.Share <= 100) {
				t.Errorf("accepted %+v", p)
			}
			sum += p.Share
		}
		if len(seen.Releases) == 0 || sum > 100.001 || adg.Printable(fmt.Sprint(seen)) != fmt.Sprint(seen) {
			t.Errorf("accepted %+v", seen)
		}
	})
}
