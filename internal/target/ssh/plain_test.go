package ssh

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/deployguardian/adg"
)

func TestARealShellSplitsACommandLineIntoExactlyTheWords(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		words := rapid.SliceOfN(rapid.StringMatching(`[ -~\n\t'"$\\;&|<>*!é]{0,12}`), 1, 5).Draw(rt, "words")
		splits(rt, words)
	})
}

func FuzzCommandLine(f *testing.F) {
	f.Add("it's", "$(id) `id` \\ \"")
	f.Add("", "'; rm -rf /; '")
	f.Fuzz(func(t *testing.T, a, b string) {
		if !strings.ContainsRune(a+b, 0) && len(a)+len(b) < 64<<10 {
			splits(t, []string{a, b})
		}
	})
}

func splits(t interface{ Fatalf(string, ...any) }, words []string) {
	out, err := exec.Command("/bin/sh", "-c", quoted(append([]string{"printf", `%s\0`}, words...)...)).Output()
	if got := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00"); err != nil || !slices.Equal(got, words) {
		t.Fatalf("%q became %q, %v", words, got, err)
	}
}

func TestHostsGetReleasesByTheirShareAndAsFewAsPossibleChange(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		shares []float64 // of v1, v2, …
		has    string
		want   string
	}{
		{"nothing to change", []float64{100}, "1 1 1", "1 1 1"},
		{"a canary of 5 % on 20 hosts is one host", []float64{95, 5}, strings.TrimSpace(strings.Repeat("1 ", 20)), strings.Repeat("1 ", 19) + "2"},
		{"a canary has one host at least", []float64{95, 5}, "1 1 1 1", "1 1 1 2"},
		{"what is there stays", []float64{50, 50}, "1 2 1 1", "1 2 1 2"},
		{"a release without share has no host", []float64{100, 0}, "1 2 2", "1 1 1"},
		{"a stranger is replaced", []float64{50, 50}, "9 1 2 9", "1 1 2 2"},
		{"one host, two releases", []float64{60, 40}, "9", "1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var wanted []adg.Placement
			for i, share := range c.shares {
				wanted = append(wanted, adg.Placement{Release: adg.Release{Version: string(rune('1' + i))}, Share: share})
			}
			var got []string
			for _, r := range assigned(wanted, strings.Fields(c.has)) {
				got = append(got, r.Version)
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("got %v, want %s", got, c.want)
			}
		})
	}
}

func TestEveryHostGetsAReleaseWithAShare(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		hosts := rapid.IntRange(1, 60).Draw(rt, "hosts")
		first := rapid.Float64Range(0, 100).Draw(rt, "share")
		wanted := []adg.Placement{
			{Release: adg.Release{Version: "a"}, Share: first}, {Release: adg.Release{Version: "b"}, Share: 100 - first},
		}
		n := counts(wanted, hosts)
		if n[0]+n[1] != hosts || n[0] < 0 || n[1] < 0 {
			rt.Fatalf("%d hosts: %v", hosts, n)
		}
		for i, p := range wanted {
			ideal := p.Share * float64(hosts) / 100
			if hosts > 1 && (p.Share == 0) != (n[i] == 0) || float64(n[i])-ideal > 1.001 || ideal-float64(n[i]) > 1.001 {
				rt.Fatalf("%d hosts, %g %%: %v", hosts, p.Share, n)
			}
		}
	})
}

func FuzzLook(f *testing.F) {
	f.Add([]byte("note {\"ops\":[\"d/1\"],\"version\":\"v1\",\"step\":\"done\"}\nlink releases/v1\nlinked 1.5\nnow 2.5\nuptime 1.0\nunit MainPID=7\nlog\nsaid\n"))
	f.Add([]byte("note \nlink /srv/shop/releases/v1/\nlinked \nmissing flock\nreadonly /srv\nrelease v1\nlog\n"))
	f.Add([]byte("log\n"))
	f.Fuzz(func(t *testing.T, out []byte) {
		v, err := parseLook(out)
		if err != nil {
			return
		}
		if v.version != "" && adg.ValidVersion(v.version) != nil {
			t.Errorf("accepted the version %q", v.version)
		}
		if v.version == "" && strings.TrimSuffix(v.current, "/") == "releases/v1" {
			t.Error("a release was not seen")
		}
	})
}
