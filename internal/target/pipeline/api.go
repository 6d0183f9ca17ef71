package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
)

// API asks a platform's HTTP interface. It is safe for concurrent use.
type API struct {
	client  *remote.Client
	base    string
	accept  string
	explain func(remote.Response) error
	redact  func(string) string
}

// Request is one question. Path is what comes after the address of the platform, its segments escaped by Segment; Form
// and JSON exclude each other.
type Request struct {
	Method string // empty: GET
	Path   string
	Query  url.Values
	Form   url.Values
	JSON   any
	Header http.Header
}

// NewAPI makes the client of a platform at base. Accept is the media type to ask for; empty: application/json. Explain
// may know better than HTTP what an answer with a status other than 2xx means: what it returns is the error, unless nil.
func NewAPI(o remote.Options, base *url.URL, accept string, explain func(remote.Response) error, additional ...adg.Secret) (*API, error) {
	client, err := remote.New(o, additional...)
	if err != nil {
		return nil, err
	}
	if accept == "" {
		accept = "application/json"
	}
	if explain == nil {
		explain = func(remote.Response) error { return nil }
	}
	return &API{
		client: client, base: strings.TrimSuffix(base.String(), "/"), accept: accept, explain: explain,
		redact: remote.Redactor(append(secretsOf(o), additional...)...),
	}, nil
}

// Segment is one segment of a path, escaped.
func Segment(text string) string { return url.PathEscape(text) }

// Ask sends a request and reads the JSON of the answer into v, unless v is nil. What is not found, or not to be seen by
// the credentials, is a permanent NotFound; a conflict is Unavailable, and may pass.
func (a *API) Ask(ctx context.Context, r Request, v any) (remote.Response, error) {
	answer, err := a.send(ctx, r, a.client.Do)
	if err != nil || v == nil {
		return answer, err
	}
	if err := json.Unmarshal(answer.Body, v); err != nil {
		return answer, adg.Errorf(adg.Unavailable, "%s: the answer is not what the interface of this platform answers: %s", a.where(r), a.Scrub(err.Error()))
	}
	return answer, nil
}

// ReadLog reads the end of a log, however long it is, as whole lines: the first one could begin with half of a secret.
func ReadLog(ctx context.Context, client *remote.Client, req *http.Request) (remote.Response, error) {
	const enough = 16 * adg.MaxLog
	answer, err := client.DoTail(ctx, req, enough)
	if _, rest, found := bytes.Cut(answer.Body, []byte("\n")); found && len(answer.Body) == enough {
		answer.Body = rest
	}
	return answer, err
}

// Text sends a request and returns the body of the answer, without secrets; the end of it where it is longer than a log
// may be, however long it is.
func (a *API) Text(ctx context.Context, r Request) (string, error) {
	answer, err := a.send(ctx, r, func(ctx context.Context, req *http.Request) (remote.Response, error) {
		return ReadLog(ctx, a.client, req)
	})
	if err != nil {
		return "", err
	}
	return a.redact(string(answer.Body)), nil
}

// Scrub makes an excerpt of foreign text that is fit for a sentence.
func (a *API) Scrub(text string) string { return adg.Printable(a.client.Scrub(text)) }

// Close lets go of idle connections.
func (a *API) Close() error { return a.client.Close() }

// IsNotFound tells whether an error says that something is not there.
func IsNotFound(err error) bool { return err != nil && adg.CodeOf(err) == adg.NotFound }

// Private

func (r Request) method() string {
	if r.Method == "" {
		return http.MethodGet
	}
	return r.Method
}

// where names a request without its query, which may be secret.
func (a *API) where(r Request) string {
	path, _, _ := strings.Cut(r.Path, "?")
	return r.method() + " " + a.Scrub(path)
}

func (r Request) body() (io.Reader, string, error) {
	switch {
	case r.Form != nil:
		return strings.NewReader(r.Form.Encode()), "application/x-www-form-urlencoded", nil
	case r.JSON != nil:
		text, err := json.Marshal(r.JSON)
		return bytes.NewReader(text), "application/json", err
	default:
		return http.NoBody, "", nil
	}
}

func (a *API) send(ctx context.Context, r Request, do func(context.Context, *http.Request) (remote.Response, error)) (remote.Response, error) {
	body, kind, err := r.body()
	if err != nil {
		return remote.Response{}, adg.Permanent(adg.Errorf(adg.Internal, "%s: %w", a.where(r), err))
	}
	address := a.base + r.Path
	if len(r.Query) > 0 {
		address += "?" + r.Query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method(), address, body)
	if err != nil {
		return remote.Response{}, adg.Permanent(adg.Errorf(adg.Invalid, "the address of the platform is none"))
	}
	for name, values := range r.Header {
		req.Header[name] = values
	}
	req.Header.Set("Accept", a.accept)
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	answer, err := do(ctx, req)
	if err == nil {
		return answer, nil
	}
	if answer.Status != 0 && (answer.Status < 200 || answer.Status > 299) {
		if known := a.explain(answer); known != nil {
			return answer, known
		}
	}
	said := func() string { return a.Scrub(string(answer.Body)) }
	switch answer.Status {
	case http.StatusNotFound, http.StatusGone:
		return answer, adg.Permanent(adg.Errorf(adg.NotFound, "%s: it is not there, or the credentials may not see it (%d %s)",
			a.where(r), answer.Status, said()))
	case http.StatusConflict:
		return answer, adg.Errorf(adg.Unavailable, "%s: the platform is busy with something that contradicts (409 %s)", a.where(r), said())
	}
	return answer, err
}
