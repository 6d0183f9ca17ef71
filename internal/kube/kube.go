// Package kube is how ADG speaks to the API server of a Kubernetes cluster: with the credentials that people have for
// it, within limits of time and size, and with errors that say what kind they are and what to do.
package kube

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"k8s.io/client-go/rest"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
)

// Options is which cluster is meant and how it is reached. Drivers inline it into their own options.
type Options struct {
	Kubeconfig string        `yaml:"kubeconfig" doc:"File that says where the cluster is and how to log in there. Without it and without server, adg takes the service account of the pod that it runs in."`
	Context    string        `yaml:"context" doc:"Context of the kubeconfig; empty: its current one."`
	Server     string        `yaml:"server" doc:"Address of the API server, such as https://10.0.0.1:6443, in place of a kubeconfig."`
	Token      adg.Secret    `yaml:"token" doc:"Token of a service account, sent to server as a bearer token."`
	CAFile     string        `yaml:"ca_file" doc:"File with the certificates of the authorities that server's certificate is checked against; empty: the system's."`
	Namespace  string        `yaml:"namespace" doc:"Namespace; empty: that of the kubeconfig's context or of the pod, else default."`
	Timeout    time.Duration `yaml:"timeout" doc:"How long one request may take, the answer included."`
}

// Defaults are the options that drivers start from.
func Defaults() Options { return Options{Timeout: 10 * time.Second} }

// Client sends requests to one API server. It is safe for concurrent use.
type Client struct {
	http      *http.Client
	sender    *sender
	base      *url.URL
	namespace string
	timeout   time.Duration
	clock     *atomic.Int64 // what the server's latest answer was dated, in seconds since 1970; 0: none was
}

// Open makes a client, or reports what is wrong with the options: Invalid, Unauthorized where the kubeconfig logs in
// by a program that host does not let it start; both permanent. Nothing is sent.
func Open(o Options, host adg.Host) (*Client, error) {
	config, namespace, err := o.config(host)
	if err != nil {
		return nil, adg.Permanent(err)
	}
	base, err := remote.BaseURL("server", config.Host)
	if err != nil {
		return nil, adg.Permanent(err)
	}
	sender := newSender(config)
	client, err := rest.HTTPClientFor(sender.under(config))
	if err != nil {
		return nil, adg.Permanent(adg.Errorf(adg.Invalid, "the credentials for %s: %s", base.Host, sender.scrub(err.Error())))
	}
	// A redirect is an answer like any other: no credential follows it elsewhere.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	client.Timeout = 0 // by context, so that the error says which
	return &Client{http: client, sender: sender, base: base, namespace: namespace, timeout: o.Timeout, clock: new(atomic.Int64)}, nil
}

// Namespace is the one that the options mean.
func (c *Client) Namespace() string { return c.namespace }

// In is the same client for another namespace, or Invalid where that is no name of one. Both share their connections: it
// is closed with c.
func (c *Client) In(namespace string) (*Client, error) {
	if err := ValidName("namespace", namespace); err != nil {
		return nil, err
	}
	other := *c
	other.namespace = namespace
	return &other, nil
}

// Now is the time by the server's clock when it answered last, in whole seconds: what times of the cluster are compared
// with. Before it has answered, it is this machine's.
func (c *Client) Now() time.Time {
	if seconds := c.clock.Load(); seconds != 0 {
		return time.Unix(seconds, 0)
	}
	return time.Now() //nolint:forbidigo // the server has not said what its own is
}

// Close lets go of idle connections.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

// Scrub takes the credentials out of text that came from outside, and makes it fit for an error.
func (c *Client) Scrub(text string) string { return c.sender.scrub(text) }

// Resource is a kind of object as the API's addresses name it.
type Resource struct {
	Group   string // empty: the core group
	Version string
	Plural  string
	Cluster bool // of the whole cluster, in no namespace
}

// String is the resource as people and roles name it, such as deployments.apps.
func (r Resource) String() string {
	if r.Group == "" {
		return r.Plural
	}
	return r.Plural + "." + r.Group
}

// Get reads the object of that name in the client's namespace into object.
func (c *Client) Get(ctx context.Context, r Resource, name string, object any) error {
	return c.do(ctx, call{method: http.MethodGet, resource: r, name: name}, nil, object)
}

// Replace writes the object back. Its metadata.resourceVersion is compared: if somebody else has written it since it was
// read, nothing is changed and the error has the code Conflict. What is stored then is read into stored, if not nil.
func (c *Client) Replace(ctx context.Context, r Resource, name string, object, stored any) error {
	return c.do(ctx, call{method: http.MethodPut, resource: r, name: name, query: url.Values{"fieldManager": {"adg"}}}, object, stored)
}

// Create makes an object; what is stored then is read into stored, if not nil.
func (c *Client) Create(ctx context.Context, r Resource, object, stored any) error {
	return c.do(ctx, call{method: http.MethodPost, resource: r}, object, stored)
}

// Delete removes the object of that name if it is still the one with this uid; that it is gone already is no error.
func (c *Client) Delete(ctx context.Context, r Resource, name, uid string) error {
	body := map[string]any{"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": map[string]any{"uid": uid}}
	err := c.do(ctx, call{method: http.MethodDelete, resource: r, name: name}, body, nil)
	if code := adg.CodeOf(err); code == adg.NotFound || code == adg.Conflict {
		return nil
	}
	return err
}

// Log reads the latest lines of a pod's container, each after its time: since a time, of the container that runs or of the
// one before it.
func (c *Client) Log(ctx context.Context, pod, container string, since time.Time, lines int, previous bool) ([]byte, error) {
	query := url.Values{
		"container": {container}, "timestamps": {"true"}, "sinceTime": {since.UTC().Format(time.RFC3339)}, "tailLines": {strconv.Itoa(lines)},
	}
	if previous {
		query.Set("previous", "true")
	}
	var text []byte
	err := c.do(ctx, call{method: http.MethodGet, resource: Resource{Version: "v1", Plural: "pods"}, name: pod, part: "log", query: query}, nil, &text)
	return text, err
}

// Redact takes the credentials out of text that is no error, such as lines of a log, and leaves the rest as it is.
func (c *Client) Redact(text string) string { return c.sender.redact(text) }

// Selection is which objects List lists.
type Selection struct {
	Labels string // a label selector; empty: all
	Fields string // a field selector; empty: all
}

// maxPages bounds a list; with the size of a page it is 20,000 objects.
const (
	pageSize = 500
	maxPages = 40
)

// List lists the objects of the client's namespace, in pages. More than 20,000 of them are refused.
func List[T any](ctx context.Context, c *Client, r Resource, which Selection) ([]T, error) {
	var all []T
	query := url.Values{"limit": {strconv.Itoa(pageSize)}}
	if which.Labels != "" {
		query.Set("labelSelector", which.Labels)
	}
	if which.Fields != "" {
		query.Set("fieldSelector", which.Fields)
	}
	for range maxPages {
		var page struct {
			Kind     string `json:"kind"`
			Metadata struct {
				Continue string `json:"continue"`
			} `json:"metadata"`
			Items []T `json:"items"`
		}
		if err := c.do(ctx, call{method: http.MethodGet, resource: r, query: query}, nil, &page); err != nil {
			return nil, err
		}
		if !strings.HasSuffix(page.Kind, "List") {
			return nil, adg.Errorf(adg.Unavailable, "list %s: the answer is no list: is this the address of a Kubernetes API server?", r)
		}
		all = append(all, page.Items...)
		if page.Metadata.Continue == "" {
			return all, nil
		}
		query.Set("continue", page.Metadata.Continue)
	}
	return nil, adg.Permanent(adg.Errorf(adg.Invalid, "list %s: there are more than %d: narrow the selector", r, pageSize*maxPages))
}

// Private

// maxAnswer is the largest answer that is read, in bytes.
const maxAnswer = 16 << 20

type call struct {
	method   string
	resource Resource
	name     string
	part     string // of the object, such as its log
	query    url.Values
}

// String is the call as an error names it.
func (c call) String() string {
	verb := map[string]string{http.MethodGet: "read", http.MethodPut: "write", http.MethodPost: "create", http.MethodDelete: "delete"}[c.method]
	if c.name == "" {
		return verb + " " + c.resource.String()
	}
	return verb + " " + c.resource.String() + " " + c.name
}

func (c *Client) address(to call) string {
	path := []string{"api", to.resource.Version}
	if to.resource.Group != "" {
		path = []string{"apis", to.resource.Group, to.resource.Version}
	}
	if !to.resource.Cluster {
		path = append(path, "namespaces", c.namespace)
	}
	path = append(path, to.resource.Plural)
	if to.name != "" {
		path = append(path, to.name)
	}
	if to.part != "" {
		path = append(path, to.part)
	}
	address := c.base.JoinPath(path...)
	address.RawQuery = to.query.Encode()
	return address.String()
}

func (c *Client) do(ctx context.Context, to call, in, out any) error {
	if cause := context.Cause(ctx); cause != nil {
		return adg.Errorf(adg.Unavailable, "%s: not sent: %w", to, cause)
	}
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return adg.Permanent(adg.Errorf(adg.Internal, "%s: %w", to, err))
		}
	}
	tooSlow := adg.Errorf(adg.Unavailable, "no complete answer within the timeout of %s", adg.Short(c.timeout))
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout, tooSlow)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, to.method, c.address(to), bytes.NewReader(body))
	if err != nil {
		return adg.Permanent(adg.Errorf(adg.Invalid, "%s: the address of the server is not valid", to))
	}
	if _, plain := out.(*[]byte); !plain {
		req.Header.Set("Accept", "application/json")
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	answer, err := c.http.Do(req)
	if err != nil {
		return c.failure(ctx, to, err)
	}
	defer answer.Body.Close()
	if date, err := http.ParseTime(answer.Header.Get("Date")); err == nil {
		c.clock.Store(date.Unix())
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	switch {
	case err != nil:
		return c.failure(ctx, to, fmt.Errorf("the answer ended early: %w", err))
	case len(text) > maxAnswer:
		return adg.Permanent(adg.Errorf(adg.Invalid, "%s: the answer is larger than %d MiB", to, maxAnswer>>20))
	}
	if err := c.refusal(to, answer, text); err != nil {
		return err
	}
	if out == nil {
		return nil
	}
	if plain, is := out.(*[]byte); is {
		*plain = text
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		if strings.HasPrefix(strings.TrimSpace(string(text[:min(len(text), 64)])), "<") {
			err = errors.New("it is a web page: is this the address of a Kubernetes API server?")
		}
		return adg.Errorf(adg.Unavailable, "%s: the answer cannot be read: %s", to, c.Scrub(err.Error()))
	}
	return nil
}
