package webhook_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/notify/notifytest"
	"github.com/deployguardian/adg/internal/notify/webhook"
	"github.com/deployguardian/adg/internal/remote"
)

func TestConformance(t *testing.T) {
	notifytest.Run(t, notifytest.Case{Open: func(t *testing.T, url string) adg.Notifier {
		return open(t, webhook.Options{URL: url + "/hook?token=" + notifytest.Planted})
	}})
}

func TestEventIsASignedCloudEventWhoseIDIsTheFacts(t *testing.T) {
	r := notifytest.NewReceiver(t, http.StatusAccepted, nil)
	n := open(t, webhook.Options{URL: r.URL, Secret: adg.NewSecret("key")})
	if err := n.Notify(t.Context(), notifytest.Fact()); err != nil {
		t.Fatal(err)
	}
	req, body := r.Requests[0], r.Bodies[0]
	var event map[string]any
	if err := json.Unmarshal(body, &event); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{
		"specversion": "1.0", "id": notifytest.Fact().ID, "type": "io.github.deployguardian.adg.rolled_back.v1", "source": "/adg/hook",
		"subject": "shop-v2-abc", "time": "2026-03-04T05:06:07Z", "datacontenttype": "application/json",
	} {
		if event[key] != want {
			t.Errorf("%s is %v, want %v", key, event[key], want)
		}
	}
	if got := req.Header.Get("Content-Type"); !strings.HasPrefix(got, "application/cloudevents+json") {
		t.Errorf("content type %s", got)
	}
	signature := req.Header.Get("Adg-Signature")
	stamp, _, _ := strings.Cut(strings.TrimPrefix(signature, "t="), ",")
	var unix int64
	if err := json.Unmarshal([]byte(stamp), &unix); err != nil || time.Since(time.Unix(unix, 0)).Abs() > time.Minute {
		t.Errorf("signed at %s: %v", stamp, err)
	}
	if want := remote.Sign("key", time.Unix(unix, 0), body); signature != want {
		t.Errorf("signature %s, want %s", signature, want)
	}
	if remote.Sign("key", time.Unix(unix, 0), append(body, ' ')) == signature {
		t.Error("the signature does not cover the body")
	}
}

func TestSignatureIsThatOfThePublishedScheme(t *testing.T) {
	// HMAC-SHA256 of "1700000000.{}" under "key", from openssl dgst -sha256 -hmac key.
	const want = "t=1700000000,v1=9d713ed406bb7076d4123f0dc2c39d2df5c654ed4b0cd56b52c8b4c940bd63ae"
	if got := remote.Sign("key", time.Unix(1700000000, 0), []byte("{}")); got != want {
		t.Errorf("got %s", got)
	}
}

func TestAddressThatIsNoneIsRefusedWithoutRepeatingIt(t *testing.T) {
	_, err := webhook.Driver.Open(t.Context(), webhook.Options{URL: "ftp://user:hunter2@host"}, adg.Host{Name: "hook"})
	if adg.CodeOf(err) != adg.Invalid || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}

func open(t *testing.T, o webhook.Options) adg.Notifier {
	t.Helper()
	o.Options = remote.Defaults()
	n, err := webhook.Driver.Open(t.Context(), o, adg.Host{Name: "hook"})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
