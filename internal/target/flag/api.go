package flag

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
)

// API is the HTTP interface of a platform. It is safe for concurrent use.
type API struct {
	Client *remote.Client
	Base   *url.URL    // its query is part of every request
	Header http.Header // of every request, such as Authorization
	// Wait reads how long the platform asks to be left alone from headers of its own; nil: it has none but Retry-After.
	Wait func(http.Header) (time.Duration, bool)
}

// Request is one request of an API.
type Request struct {
	Method string
	Path   []string   // below the base, one element each, as they are
	Query  url.Values // beside the base's
	Header http.Header
	In     any // sent as JSON; nil: nothing
	Out    any // where the JSON of the answer goes; nil: nowhere
}

// Do sends a request and gives the headers of the answer. What is not there is a permanent error of code NotFound; a
// state that the platform says is not the current one any more (409, 412) is ErrChanged.
func (a *API) Do(ctx context.Context, r Request) (http.Header, error) {
	var body []byte
	if r.In != nil {
		var err error
		if body, err = json.Marshal(r.In); err != nil {
			return nil, adg.Permanent(adg.Errorf(adg.Internal, "write a request: %w", err))
		}
	}
	escaped := make([]string, len(r.Path))
	for i, element := range r.Path {
		escaped[i] = url.PathEscape(element)
	}
	to := a.Base.JoinPath(escaped...)
	if len(r.Query) > 0 {
		to.RawQuery = strings.TrimPrefix(to.RawQuery+"&"+r.Query.Encode(), "&")
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, to.String(), bytes.NewReader(body))
	if err != nil {
		return nil, adg.Permanent(adg.Errorf(adg.Invalid, "the address of the platform is none"))
	}
	req.Header.Set("Accept", "application/json")
	if r.In != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, header := range []http.Header{a.Header, r.Header} {
		for name, values := range header {
			req.Header[name] = values
		}
	}
	answer, err := a.Client.Do(ctx, req)
	if err != nil {
		return answer.Header, a.explain(answer, err)
	}
	if r.Out == nil {
		return answer.Header, nil
	}
	if err := json.Unmarshal(answer.Body, r.Out); err != nil {
		return answer.Header, adg.Errorf(adg.Unavailable, "%s %s: the answer is not what the platform documents: %s", r.Method, to.Path, a.Client.Scrub(err.Error()))
	}
	return answer.Header, nil
}

// Element refuses what cannot be one element of a path.
func Element(option, text string) error {
	if text == "" || len(text) > 256 || text == "." || text == ".." || strings.ContainsAny(text, "/\\?#%") || adg.Printable(text) != text {
		return adg.Errorf(adg.Invalid, "%s: %q: write 1 to 256 characters as the platform shows them, without slashes", option, text)
	}
	return nil
}

// Private

func (a *API) explain(answer remote.Response, err error) error {
	switch answer.Status {
	case http.StatusNotFound, http.StatusGone:
		return adg.Permanent(adg.Errorf(adg.NotFound, "there is no such flag, it is archived, or the token may not see it: %w", err))
	case http.StatusUnauthorized, http.StatusForbidden:
		return adg.Permanent(adg.Errorf(adg.Unauthorized, "the platform refuses the token, or what it is used for: %w", err))
	case http.StatusConflict, http.StatusPreconditionFailed:
		return errors.Join(ErrChanged, adg.Errorf(adg.Unavailable, "%s", a.Client.Scrub(string(answer.Body))))
	case http.StatusTooManyRequests:
		if a.Wait == nil || answer.Header.Get("Retry-After") != "" {
			return err
		}
		if wait, told := a.Wait(answer.Header); told {
			return adg.Throttled(err, wait)
		}
	}
	return err
}
