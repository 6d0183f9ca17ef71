package remote

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/deployguardian/adg"
)

// GitHubLimit is the Throttled error that an answer stands for which says that a limit of requests is reached, in the
// way of GitHub: with 403 as well as with 429, and with headers of its own. It is nil for every other answer, and for
// those of other servers says what their header Retry-After does.
func GitHubLimit(answer Response) error {
	if answer.Status != http.StatusForbidden && answer.Status != http.StatusTooManyRequests {
		return nil
	}
	wait := time.Minute // as its documentation advises where nothing is told
	now, _ := http.ParseTime(answer.Header.Get("Date"))
	reset, err := strconv.ParseInt(answer.Header.Get("X-Ratelimit-Reset"), 10, 64)
	asked, told := RetryAfter(answer.Header.Get("Retry-After"), now)
	switch {
	case told:
		wait = asked
	case answer.Header.Get("X-Ratelimit-Remaining") == "0":
		if err == nil && !now.IsZero() {
			wait = min(max(time.Unix(reset, 0).Sub(now), time.Second), time.Hour)
		}
	case strings.Contains(string(answer.Body), "secondary rate limit"):
	default:
		return nil
	}
	return adg.Throttled(adg.Errorf(adg.Unavailable, "the limit of requests is reached: the server asks to wait %s", adg.Span(wait)), wait)
}
