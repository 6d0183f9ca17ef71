package git

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
)

// Private

// forge is a server that merges requests, by the API of its kind.
type forge struct {
	client  *remote.Client
	dialect dialect
	api     string
	project string
}

// request asks to merge a branch.
type request struct {
	number int64
	state  requestState
	link   string
}

type requestState uint8

const (
	openRequest requestState = iota
	mergedRequest
	closedRequest
)

// dialect is how one kind of forge is spoken to. Paths are relative to the project's.
type dialect struct {
	api     string // path of the API at a host of one's own
	project func(name string) string
	one     func(branch, base string) string // path of a branch's request, whatever its state; nil: list has them all
	list    func(branch, base string) string
	create  string
	fields  map[string]string // of a new request: head, base, title and body
	change  string            // path of a request, with its number
	method  string
	closing map[string]string // what closes it
}

var dialects = map[string]dialect{
	"github": {
		api: "/api/v3", project: func(name string) string { return "/repos/" + name },
		create: "/pulls", fields: map[string]string{"head": "head", "base": "base", "title": "title", "body": "body"},
		change: "/pulls/%d", method: http.MethodPatch, closing: map[string]string{"state": "closed"},
	},
	"gitea": {
		api: "/api/v1", project: func(name string) string { return "/repos/" + name },
		one: func(branch, base string) string {
			return "/pulls/" + url.PathEscape(base) + "/" + strings.ReplaceAll(url.PathEscape(branch), "%2F", "/")
		},
		list:   func(string, string) string { return "/pulls?state=open&sort=recentupdate&limit=50" },
		create: "/pulls", fields: map[string]string{"head": "head", "base": "base", "title": "title", "body": "body"},
		change: "/pulls/%d", method: http.MethodPatch, closing: map[string]string{"state": "closed"},
	},
	"gitlab": {
		api: "/api/v4", project: func(name string) string { return "/projects/" + url.PathEscape(name) },
		list: func(branch, base string) string {
			return "/merge_requests?state=all&per_page=100&source_branch=" + url.QueryEscape(branch) + "&target_branch=" + url.QueryEscape(base)
		},
		create: "/merge_requests", fields: map[string]string{"head": "source_branch", "base": "target_branch", "title": "title", "body": "description"},
		change: "/merge_requests/%d", method: http.MethodPut, closing: map[string]string{"state_event": "close"},
	},
}

func openForge(o Options, at address) (*forge, error) {
	spoken, known := dialects[o.Forge.Type]
	if !known {
		return nil, fmt.Errorf("forge.type: %q: use github, gitlab or gitea", o.Forge.Type)
	}
	if o.Token.IsZero() {
		return nil, errors.New("token: mode pull-request needs one, to open requests")
	}
	if at.url == nil {
		return nil, nil // the address of the repository is a problem of its own
	}
	name := cmp.Or(o.Forge.Name, strings.TrimSuffix(strings.Trim(at.url.Path, "/"), ".git"))
	owner, _, found := strings.Cut(name, "/")
	if !found || strings.ContainsAny(name, "?#%\\ ") || strings.Contains(name, "..") {
		return nil, fmt.Errorf("forge.name: %q is no name of a repository: write it as team/deployments", name)
	}
	if spoken.list == nil {
		spoken.list = func(branch, base string) string {
			return "/pulls?state=all&per_page=100&head=" + url.QueryEscape(owner+":"+branch) + "&base=" + url.QueryEscape(base)
		}
	}
	api := o.Forge.API
	if api == "" {
		host := "https://" + at.host
		if at.scheme != "ssh" {
			host = at.scheme + "://" + at.url.Host
		}
		api = host + spoken.api
		if at.host == "github.com" {
			api = "https://api.github.com"
		}
	}
	base, err := remote.BaseURL("forge.api", api)
	if err != nil {
		return nil, err
	}
	web := remote.Defaults()
	web.Timeout, web.BearerToken, web.TLS.CAFile = o.Timeout, o.Token, o.CAFile
	client, err := remote.New(web)
	return &forge{client: client, dialect: spoken, api: strings.TrimSuffix(base.String(), "/"), project: spoken.project(name)}, err
}

// find gives the newest request of a branch; false: there is none.
func (f *forge) find(ctx context.Context, branch, base string) (request, bool, error) {
	best, found, err := f.findOne(ctx, branch, base)
	if err != nil {
		return request{}, false, fmt.Errorf("look for the request: %w", err)
	}
	if found && best.state != closedRequest {
		return best, true, nil
	}
	var listed []answer
	if err := f.call(ctx, http.MethodGet, f.dialect.list(branch, base), nil, &listed); err != nil {
		return request{}, false, fmt.Errorf("look for the request: %w", err)
	}
	for _, a := range listed {
		if r := a.request(); a.branch() == branch && !a.foreign() && (!found || r.number > best.number) {
			best, found = r, true
		}
	}
	return best, found, nil
}

// findOne asks for the request of a branch, where the forge can be asked that. Of several it gives any, so one that was
// closed may hide one that is open.
func (f *forge) findOne(ctx context.Context, branch, base string) (request, bool, error) {
	if f.dialect.one == nil {
		return request{}, false, nil
	}
	var one answer
	switch status, err := f.exchange(ctx, http.MethodGet, f.dialect.one(branch, base), nil, &one); {
	case status == http.StatusNotFound:
		return request{}, false, nil
	case err != nil:
		return request{}, false, err
	}
	return one.request(), true, nil
}

// open asks to merge a branch.
func (f *forge) open(ctx context.Context, branch, base, title, body string) (request, error) {
	fields := map[string]string{}
	for name, value := range map[string]string{"head": branch, "base": base, "title": title, "body": body} {
		fields[f.dialect.fields[name]] = value
	}
	var made answer
	if err := f.call(ctx, http.MethodPost, f.dialect.create, fields, &made); err != nil {
		if r, found, again := f.find(ctx, branch, base); again == nil && found && r.state == openRequest {
			return r, nil // another replica was faster, or the answer was lost
		}
		return request{}, fmt.Errorf("open a request: %w", err)
	}
	return made.request(), nil
}

// close gives a request up; one that was merged just now stays merged.
func (f *forge) close(ctx context.Context, r request, branch, base string) error {
	if err := f.call(ctx, f.dialect.method, fmt.Sprintf(f.dialect.change, r.number), f.dialect.closing, nil); err != nil {
		if now, found, again := f.find(ctx, branch, base); again == nil && found && now.state != openRequest {
			return nil
		}
		return fmt.Errorf("close request %d, which is out of date: %w", r.number, err)
	}
	return nil
}

// call sends one request, and reads what is answered into v.
func (f *forge) call(ctx context.Context, method, path string, body, v any) error {
	_, err := f.exchange(ctx, method, path, body, v)
	return err
}

// exchange is call with the status of the answer; 0: there is none.
func (f *forge) exchange(ctx context.Context, method, path string, body, v any) (int, error) {
	var text []byte
	if body != nil {
		text, _ = json.Marshal(body) // a map of strings can be written
	}
	req, err := http.NewRequestWithContext(ctx, method, f.api+f.project+path, bytes.NewReader(text))
	if err != nil {
		return 0, adg.Permanent(adg.Errorf(adg.Invalid, "forge.api: this is no address"))
	}
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	said, err := f.client.Do(ctx, req)
	if err != nil {
		if limit := remote.GitHubLimit(said); limit != nil {
			err = limit
		}
		return said.Status, err
	}
	if v == nil {
		return said.Status, nil
	}
	if err := json.Unmarshal(said.Body, v); err != nil {
		return said.Status, adg.Errorf(adg.Unavailable, "%s of %s: the answer is not understood: %s", method, f.project, f.client.Scrub(err.Error()))
	}
	return said.Status, nil
}

// answer is a request as the forges describe it: each fills in its own of these.
type answer struct {
	Number int64  `json:"number"`
	IID    int64  `json:"iid"`
	HTML   string `json:"html_url"`
	Web    string `json:"web_url"`
	State  string `json:"state"`
	Merged bool   `json:"merged"`
	At     string `json:"merged_at"`
	Source string `json:"source_branch"`
	From   int64  `json:"source_project_id"`
	Into   int64  `json:"target_project_id"`
	Head   end    `json:"head"`
	Base   end    `json:"base"`
}

// end is a branch that a request leads from or to.
type end struct {
	Ref    string `json:"ref"`
	RepoID int64  `json:"repo_id"`
	Repo   struct {
		ID int64 `json:"id"`
	} `json:"repo"`
}

func (e end) repository() int64 { return cmp.Or(e.RepoID, e.Repo.ID) }

// foreign tells whether a request comes from another repository: everybody may have a branch of any name in a fork.
func (a answer) foreign() bool { return a.From != a.Into || a.Head.repository() != a.Base.repository() }

func (a answer) branch() string { return cmp.Or(a.Source, a.Head.Ref) }

func (a answer) request() request {
	r := request{number: max(a.Number, a.IID), link: cmp.Or(a.HTML, a.Web)}
	switch {
	case a.Merged, a.At != "", a.State == "merged":
		r.state = mergedRequest
	case a.State == "closed":
		r.state = closedRequest
	}
	if remote.ValidURL(r.link) != nil || len(r.link) > 500 || adg.Printable(r.link) != r.link {
		r.link = fmt.Sprintf("number %d", r.number)
	}
	return r
}
