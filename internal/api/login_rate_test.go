package api_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

func TestOneAddressBeginsTwentyLoginsAMinuteAndAsksForOtherThingsAllTheSame(t *testing.T) {
	h := newHouse(t, nil)
	b := h.browser()
	began, logins := time.Now(), 0
	answer, text := b.password("ann")
	for ; answer.StatusCode == http.StatusOK && logins < 100; logins++ {
		answer, text = b.password("ann")
	}
	if answer.StatusCode != http.StatusTooManyRequests || !strings.Contains(text, "too many logins") {
		t.Errorf("after %d logins: %s %s", logins, answer.Status, text)
	}
	// Another way in counts as well, and other things do not.
	_, err := h.login.StartDeviceLogin(t.Context(), &adgv1.StartDeviceLoginRequest{Client: "c"})
	for ; err == nil && logins < 100; logins++ {
		_, err = h.login.StartDeviceLogin(t.Context(), &adgv1.StartDeviceLoginRequest{Client: "c"})
	}
	refused(t, err, codes.ResourceExhausted, "too many logins")
	if most := 20 + int(20*time.Since(began).Minutes()); logins < 20 || logins > most {
		t.Errorf("%d logins were begun, not 20 to %d", logins, most)
	}
	_, err = h.login.ListLoginProviders(t.Context(), &adgv1.ListLoginProvidersRequest{})
	h.must(err)
}

// password logs in, or tries to.
func (b browser) password(name string) (*http.Response, string) {
	b.t.Helper()
	return b.send(http.MethodPost, "/v1/login", "application/json", []byte(`{"name": "`+name+`", "password": "`+password+`"}`))
}

func TestManyTokensOfAPersonHaveTheRateOfOne(t *testing.T) {
	h := newHouse(t, nil)
	tokens := []context.Context{h.as("ann"), h.as("ann"), h.as("ann"), h.as("ann")}
	began, answered := time.Now(), 0
	for range 300 {
		for _, ctx := range tokens {
			if _, err := h.people.WhoAmI(ctx, &adgv1.WhoAmIRequest{}); err == nil {
				answered++
			}
		}
	}
	if most := 200 + int(50*time.Since(began).Seconds()) + 1; answered > most {
		t.Errorf("%d requests of one person were answered, and %d may be", answered, most)
	}
}
