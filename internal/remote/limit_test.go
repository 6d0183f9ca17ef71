package remote

import (
	"net/http"
	"testing"
	"time"

	"github.com/deployguardian/adg"
)

func TestTheLimitsOfGitHubAreTold(t *testing.T) {
	date := time.Unix(1700000000, 0).UTC().Format(http.TimeFormat)
	for _, c := range []struct {
		name   string
		status int
		header map[string]string
		body   string
		wait   time.Duration // zero: it is no limit
	}{
		{"the hour's requests are used up", 403, map[string]string{"X-Ratelimit-Remaining": "0", "X-Ratelimit-Reset": "1700000090", "Date": date}, "", 90 * time.Second},
		{"used up, and nobody says until when", 403, map[string]string{"X-Ratelimit-Remaining": "0"}, "", time.Minute},
		{"too many at once", 403, nil, `{"message":"You have exceeded a secondary rate limit."}`, time.Minute},
		{"too many at once, with the time to wait", 429, map[string]string{"Retry-After": "12"}, "", 12 * time.Second},
		{"a token without the right", 403, map[string]string{"X-Ratelimit-Remaining": "4999"}, `{"message":"Resource not accessible by integration"}`, 0},
		{"something else", 500, nil, "", 0},
	} {
		header := http.Header{}
		for name, value := range c.header {
			header.Set(name, value)
		}
		wait, limits := adg.RetryAfter(GitHubLimit(Response{Status: c.status, Header: header, Body: []byte(c.body)}))
		if wait != c.wait || limits != (c.wait > 0) {
			t.Errorf("%s: wait %s, %v", c.name, wait, limits)
		}
	}
}
