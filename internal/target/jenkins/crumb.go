package jenkins

import (
	"context"
	"net/http"
	"strings"

	"github.com/deployguardian/adg/internal/remote"
	"github.com/deployguardian/adg/internal/target/pipeline"
)

// Private

// post sends a request that changes something. Jenkins refuses one without its crumb before it does anything, so it may
// be sent again with it.
func (p *platform) post(ctx context.Context, r pipeline.Request) (remote.Response, error) {
	r.Method = http.MethodPost
	p.mu.Lock()
	r.Header = p.crumb
	p.mu.Unlock()
	answer, err := p.api.Ask(ctx, r, nil)
	if answer.Status != http.StatusForbidden || !strings.Contains(strings.ToLower(string(answer.Body)), "crumb") {
		return answer, err
	}
	header, crumbErr := p.issue(ctx)
	if crumbErr != nil {
		return answer, err
	}
	p.mu.Lock()
	p.crumb = header
	p.mu.Unlock()
	r.Header = header
	return p.api.Ask(ctx, r, nil)
}

// issue gets a crumb, which holds for the session of the cookies that come with it.
func (p *platform) issue(ctx context.Context) (http.Header, error) {
	var crumb struct {
		Crumb string `json:"crumb"`
		Field string `json:"crumbRequestField"`
	}
	answer, err := p.api.Ask(ctx, pipeline.Request{Path: "/crumbIssuer/api/json"}, &crumb)
	if err != nil {
		return nil, err
	}
	header := http.Header{}
	header.Set(crumb.Field, crumb.Crumb)
	var cookies []string
	for _, line := range answer.Header.Values("Set-Cookie") {
		if cookie, err := http.ParseSetCookie(line); err == nil {
			cookies = append(cookies, cookie.Name+"="+cookie.Value)
		}
	}
	if len(cookies) > 0 {
		header.Set("Cookie", strings.Join(cookies, "; "))
	}
	return header, nil
}
