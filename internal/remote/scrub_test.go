package remote

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/deployguardian/adg"
)

func TestASecretWithinEncodedTextIsHiddenWhereverItStands(t *testing.T) {
	const secret = "canary+connection/env=e5f6&x"
	scrub := Redactor(adg.NewSecret(secret))
	for name, alphabet := range map[string]*base64.Encoding{
		"padded": base64.StdEncoding, "bare": base64.RawStdEncoding, "for URLs": base64.URLEncoding, "bare, for URLs": base64.RawURLEncoding,
	} {
		for _, before := range []string{"", "a", "ab", "abc", "Bearer ", "user:"} {
			for _, after := range []string{"", "z", "yz", "xyz"} {
				text := scrub(alphabet.EncodeToString([]byte(before + secret + after)))
				// Of the first and the last byte a few bits may be left, which are shared with what stands beside them.
				if len(strings.ReplaceAll(text, adg.Secret{}.String(), "")) > len(alphabet.EncodeToString([]byte(before+after)))+4 {
					t.Errorf("%s, between %q and %q: %s", name, before, after, text)
				}
			}
		}
	}
	if got := scrub("nothing of it"); got != "nothing of it" {
		t.Error(got)
	}
}

func TestSecretsAreTakenOutOfJSONAndHTML(t *testing.T) {
	const secret = "a<b>&c/'d"
	hidden := adg.Secret{}.String()
	scrub := Redactor(adg.NewSecret(secret))
	for _, form := range []string{`a\u003cb\u003e\u0026c/'d`, "a&lt;b&gt;&amp;c/&#39;d"} {
		if got := scrub("it is " + form + "!"); got != "it is "+hidden+"!" {
			t.Errorf("%s became %s", form, got)
		}
	}
}
