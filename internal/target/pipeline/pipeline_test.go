package pipeline

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
	"github.com/deployguardian/adg/internal/target/targettest"
)

func TestATagIsReadBackAsItWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tag := Tag{
			Op:    rapid.StringMatching(`[a-z0-9][a-zA-Z0-9._+-]{0,60}/[0-9]{1,3}`).Draw(t, "op"),
			Fence: rapid.Int64Range(0, 1e17).Draw(t, "fence"), Version: rapid.StringMatching(`[a-zA-Z0-9][a-zA-Z0-9._+-]{0,127}`).Draw(t, "version"),
			Scope: place(rapid.String().Draw(t, "target"), rapid.String().Draw(t, "environment")) + scoped(rapid.String().Draw(t, "service")),
		}
		around := rapid.StringMatching(`[ a-z(\["]{0,10}`)
		got, found := FindTag(around.Draw(t, "before") + " " + tag.String() + "] " + around.Draw(t, "after"))
		if !found || got != tag {
			t.Fatalf("%s is read as %+v, %v", tag, got, found)
		}
	})
}

func FuzzFindTag(f *testing.F) {
	f.Add("Deploy v41 [adg:shop-v41-k3f/2:7:v41:rollout/production/shop]")
	f.Add("adg::1:")
	f.Fuzz(func(t *testing.T, text string) {
		if tag, found := FindTag(text); found && (tag.IsZero() || adg.ValidVersion(tag.Version) != nil || !strings.Contains(text, "adg:"+tag.Op+":")) {
			t.Errorf("%q is read as %+v", text, tag)
		}
	})
}

func TestALogIsItsLastWholeLinesWithoutSecretsAndColours(t *testing.T) {
	redact := remote.Redactor(adg.NewSecret(targettest.Planted))
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "", ""},
		{"colours", "\x1b[0;32mgreen\x1b[0m\r\nplain\n", "green\nplain"},
		{"a progress bar", "load 1%\rload 50%\rload 100%\ndone\n", "load 100%\ndone"},
		{"folds of GitLab", "section_start:1560896352:glob\r\x1b[0Kbuild\nsection_end:1560896353:glob\r\x1b[0Kok", "build\nok"},
		{"a secret", "token=" + targettest.Planted + "\n", "token=[redacted]"},
		{"a title of the terminal and a bell", "\x1b]0;title\x07text\x07", "text·"},
	} {
		if got := adg.LogTail(redact(c.text)); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	// The cut must not leave the end of a secret, which nothing would tell.
	for shift := range 2 * len(targettest.Planted) {
		text := strings.Repeat("x", 100) + targettest.Planted + strings.Repeat("y", adg.MaxLog-len(targettest.Planted)+shift)
		if got := adg.LogTail(redact(text)); strings.Contains(got, "4711") || len(got) > adg.MaxLog {
			t.Fatalf("shifted by %d: %d bytes, %.40q", shift, len(got), got)
		}
	}
}

func TestAPipelineTakesNoPartOfTheTraffic(t *testing.T) {
	_, err := Defaults("adg").order(targettest.Want("shop-v2-abc/1", 1, 25), "shop")
	if adg.CodeOf(err) != adg.Invalid || !adg.IsPermanent(err) || !strings.Contains(err.Error(), "25 %") {
		t.Errorf("got %v", err)
	}
	want := targettest.Want("an id; with blanks", 1, 100)
	if _, err := Defaults("adg").order(want, "shop"); !adg.IsPermanent(err) {
		t.Errorf("got %v", err)
	}
}
