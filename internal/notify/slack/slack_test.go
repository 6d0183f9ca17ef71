package slack_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/notify/notifytest"
	"github.com/deployguardian/adg/internal/notify/slack"
	"github.com/deployguardian/adg/internal/remote"
)

func TestConformance(t *testing.T) {
	notifytest.Run(t, notifytest.Case{Open: func(t *testing.T, url string) adg.Notifier {
		return open(t, slack.Options{Webhook: adg.NewSecret(url + "/services/" + notifytest.Planted)})
	}})
}

func TestNobodyIsMentionedByTextThatCameFromOutside(t *testing.T) {
	text := sent(t, slack.Options{})
	if strings.Contains(text, "<!channel>") || !strings.Contains(text, "&lt;!channel&gt;") {
		t.Errorf("the fact's text is markup: %s", text)
	}
}

func TestHumanWhoIsNeededIsCalled(t *testing.T) {
	for mention, want := range map[string]string{"here": "<!here>", "U012AB3CD": "<@U012AB3CD>", "S0XYZ": "<!subteam^S0XYZ>"} {
		if text := sent(t, slack.Options{Mention: mention}); !strings.Contains(text, want) {
			t.Errorf("mention %s: %s", mention, text)
		}
	}
}

func TestMessageLeadsToTheDeployment(t *testing.T) {
	f := notifytest.Fact()
	for _, tt := range []struct{ name, link, want string }{
		{"a server that knows its address", "https://adg.example.com/deployments/shop-v2-abc", "<https://adg.example.com/deployments/shop-v2-abc|shop-v2-abc>"},
		{"a run without a server", "", "`adg report shop-v2-abc`"},
		{"an address with markup in it", "https://adg.example.com/<!channel>", "<https://adg.example.com/&lt;!channel&gt;|shop-v2-abc>"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f.Link = tt.link
			if text := told(t, slack.Options{}, f); !strings.Contains(text, tt.want) {
				t.Errorf("got %s, want %s", text, tt.want)
			}
		})
	}
}

func TestMessageOfAChangeSaysWhatWhoAndHow(t *testing.T) {
	text := told(t, slack.Options{}, adg.Fact{
		ID: "audit/7", Kind: adg.FactChanged, Text: "the user <bob> was made", Reasons: []string{"he is new"}, Actor: "user:ann", Via: adg.ViaCLI, Action: "user.create", Resource: "user/<bob>",
	})
	for _, want := range []string{"user.create: user/&lt;bob&gt;", "the user &lt;bob&gt; was made", "he is new", "by user:ann", "via cli"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in %s", want, text)
		}
	}
	for _, none := range []string{"last good", "adg report", "<bob>"} {
		if strings.Contains(text, none) {
			t.Errorf("%q is in %s", none, text)
		}
	}
}

func TestLongReasonsAreCutToWhatSlackTakes(t *testing.T) {
	f := notifytest.Fact()
	f.Reasons = nil
	for range 50 {
		f.Reasons = append(f.Reasons, strings.Repeat("long ", 200))
	}
	r := notifytest.NewReceiver(t, http.StatusOK, nil)
	if err := open(t, slack.Options{Webhook: adg.NewSecret(r.URL)}).Notify(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	var message struct {
		Blocks []struct {
			Text struct{ Text string }
		}
	}
	if err := json.Unmarshal(r.Bodies[0], &message); err != nil {
		t.Fatal(err)
	}
	for _, b := range message.Blocks {
		if len(b.Text.Text) > 3000 {
			t.Errorf("a block of %d characters", len(b.Text.Text))
		}
	}
}

func TestWrongOptionsAreRefusedWithoutRepeatingTheSecret(t *testing.T) {
	for name, o := range map[string]slack.Options{
		"no address": {Webhook: adg.NewSecret("hunter2")}, "markup as mention": {Webhook: adg.NewSecret("https://hooks/hunter2"), Mention: "<x>"},
	} {
		_, err := slack.Driver.Open(t.Context(), o, adg.Host{Name: "chat"})
		if adg.CodeOf(err) != adg.Invalid || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// sent is the message about a fact, as Slack gets it.
func sent(t *testing.T, o slack.Options) string {
	t.Helper()
	return told(t, o, notifytest.Fact())
}

func told(t *testing.T, o slack.Options, f adg.Fact) string {
	t.Helper()
	r := notifytest.NewReceiver(t, http.StatusOK, nil)
	o.Webhook = adg.NewSecret(r.URL)
	if err := open(t, o).Notify(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			text.WriteString(v + "\n")
		case []any:
			for _, x := range v {
				walk(x)
			}
		case map[string]any:
			for _, x := range v {
				walk(x)
			}
		}
	}
	var message any
	if err := json.Unmarshal(r.Bodies[0], &message); err != nil {
		t.Fatal(err)
	}
	walk(message)
	return text.String()
}

func open(t *testing.T, o slack.Options) adg.Notifier {
	t.Helper()
	o.Options = remote.Defaults()
	n, err := slack.Driver.Open(t.Context(), o, adg.Host{Name: "chat"})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
