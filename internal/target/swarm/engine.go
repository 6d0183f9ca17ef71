package swarm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/moby/moby/api/pkg/authconfig"
	"github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
)

const maxAnswer = 64 << 20 // bytes: some ten thousand tasks

// engine is the API of a manager. Each call has the time of the option timeout.
type engine struct {
	api      *client.Client
	host     string
	timeout  time.Duration
	user     string
	password adg.Secret
	clock    *atomic.Int64 // what the manager's clock said last, in seconds; zero: nothing yet
	idle     func()        // lets go of idle connections
}

// newEngine reaches for nothing: the first call connects.
func newEngine(o Options) (*engine, error) {
	network, address, err := o.hostURL()
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		MaxIdleConnsPerHost: 4, IdleConnTimeout: 30 * time.Second, MaxResponseHeaderBytes: 64 << 10, TLSHandshakeTimeout: o.Timeout,
		DialContext: remote.Dial,
	}
	scheme := "http"
	if network == "unix" {
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", address)
		}
	}
	if network == "tcp" && o.TLS != (remote.TLS{}) {
		scheme = "https"
		if transport.TLSClientConfig, err = o.TLS.Config(); err != nil {
			return nil, err
		}
	}
	clock := new(atomic.Int64)
	api, err := client.New(client.WithHost(o.Host), client.WithScheme(scheme),
		client.WithHTTPClient(&http.Client{Transport: bounded{transport, clock}, CheckRedirect: client.CheckRedirect}))
	if err != nil {
		return nil, fmt.Errorf("host: %w", err)
	}
	return &engine{
		api: api, host: o.Host, timeout: o.Timeout, user: o.RegistryUser, password: o.RegistryPassword, clock: clock, idle: transport.CloseIdleConnections,
	}, nil
}

func (e *engine) close() { e.idle() }

// service reads one service.
func (e *engine) service(ctx context.Context, name string) (s swarm.Service, err error) {
	err = e.call(ctx, "read service "+name, func(ctx context.Context) error {
		result, err := e.api.ServiceInspect(ctx, name, client.ServiceInspectOptions{})
		s = result.Service
		return err
	})
	return s, err
}

// tasks are all tasks of the services, those of the past that the swarm still knows included.
func (e *engine) tasks(ctx context.Context, services []string) (tasks []swarm.Task, err error) {
	err = e.call(ctx, "list tasks", func(ctx context.Context) error {
		result, err := e.api.TaskList(ctx, client.TaskListOptions{Filters: make(client.Filters).Add("service", services...)})
		tasks = result.Items
		return err
	})
	return tasks, err
}

func (e *engine) nodes(ctx context.Context) (nodes []swarm.Node, err error) {
	err = e.call(ctx, "list nodes", func(ctx context.Context) error {
		result, err := e.api.NodeList(ctx, client.NodeListOptions{})
		nodes = result.Items
		return err
	})
	return nodes, err
}

// now is the time by the manager's clock when it answered last, rounded down to a second. Its answers say it, and asking
// for more would have the manager start programs.
func (e *engine) now() (time.Time, error) {
	seconds := e.clock.Load()
	if seconds == 0 {
		return time.Time{}, adg.Errorf(adg.Unavailable, "the engine at %s does not say what time it is: let its header Date through", e.host)
	}
	return time.Unix(seconds, 0), nil
}

// update changes a service if it still is the one that was read: otherwise the engine refuses.
func (e *engine) update(ctx context.Context, s swarm.Service, spec swarm.ServiceSpec) error {
	return e.call(ctx, "update service "+s.Spec.Name, func(ctx context.Context) error {
		o := client.ServiceUpdateOptions{Version: s.Version, Spec: spec, RegistryAuthFrom: swarm.RegistryAuthFromSpec}
		if e.user != "" && spec.TaskTemplate.ContainerSpec != nil {
			o.EncodedRegistryAuth, o.RegistryAuthFrom = e.auth(spec.TaskTemplate.ContainerSpec.Image), ""
		}
		_, err := e.api.ServiceUpdate(ctx, s.ID, o)
		return err
	})
}

// local tells whether the manager itself has the image, and the digest that the registry knew it by; empty: it was
// built or loaded here.
func (e *engine) local(ctx context.Context, image string) (digest string, found bool, err error) {
	err = e.call(ctx, "look for image "+image, func(ctx context.Context) error {
		inspected, err := e.api.ImageInspect(ctx, image)
		if errdefs.IsNotFound(err) {
			return nil
		}
		found = err == nil
		for _, known := range inspected.RepoDigests {
			if repository(known) == repository(image) {
				digest = digestOf(known)
			}
		}
		return err
	})
	return digest, found, err
}

// registered asks the registry for the image's digest.
func (e *engine) registered(ctx context.Context, image string) (digest string, err error) {
	err = e.call(ctx, "ask the registry for "+image, func(ctx context.Context) error {
		o := client.DistributionInspectOptions{}
		if e.user != "" {
			o.EncodedRegistryAuth = e.auth(image)
		}
		result, err := e.api.DistributionInspect(ctx, image, o)
		digest = result.Descriptor.Digest.String()
		return err
	})
	return digest, err
}

// pin adds the digest that the image's tag stands for now, where anybody knows it: a tag may be moved later.
func (e *engine) pin(ctx context.Context, image string) (string, error) {
	if digestOf(image) != "" {
		return image, nil
	}
	known, found, err := e.local(ctx, image)
	if err != nil || found && known == "" {
		return image, err
	}
	digest, err := e.registered(ctx, image)
	if ctx.Err() != nil {
		return "", err
	}
	if err != nil {
		return withDigest(image, known), nil // the nodes may have it all the same, or say why not
	}
	return withDigest(image, digest), nil
}

// Private

// call gives a request its time, and its error a code.
func (e *engine) call(ctx context.Context, what string, request func(context.Context) error) error {
	tooLong := adg.Errorf(adg.Unavailable, "the engine at %s gave no answer within %s", e.host, adg.Short(e.timeout))
	ctx, cancel := context.WithTimeoutCause(ctx, e.timeout, tooLong)
	defer cancel()
	if ctx.Err() != nil {
		return adg.Errorf(adg.Unavailable, "%s: %w", what, context.Cause(ctx))
	}
	err := request(ctx)
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil {
		return adg.Errorf(adg.Unavailable, "%s: %w", what, cause)
	}
	return e.failure(what, err)
}

func (e *engine) failure(what string, err error) error {
	said := excerpt(err.Error())
	if op, is := errors.AsType[*net.OpError](err); is && op.Op == "remote error" { // an alert of TLS, as crypto/tls calls it
		return adg.Permanent(adg.Errorf(adg.Unauthorized, "%s: the engine at %s refuses the certificate of adg: %s: renew tls.cert_file", what, e.host, said))
	}
	if after, is := adg.RetryAfter(err); is {
		return adg.Throttled(adg.Errorf(adg.Unavailable, "%s: the engine at %s is asked too often", what, e.host), after)
	}
	switch {
	case errors.Is(err, fs.ErrPermission) || strings.Contains(said, "permission denied while trying to connect"):
		return adg.Permanent(adg.Errorf(adg.Unauthorized, "%s: %s: adg's user needs to be in the socket's group", what, said))
	case errdefs.IsUnauthorized(err) || errdefs.IsPermissionDenied(err):
		return adg.Permanent(adg.Errorf(adg.Unauthorized, "%s: %s: check the credentials", what, said))
	case errdefs.IsNotFound(err):
		return adg.Permanent(adg.Errorf(adg.NotFound, "%s: %s", what, said))
	case client.IsErrConnectionFailed(err):
		return adg.Errorf(adg.Unavailable, "%s: the engine at %s: %s", what, e.host, excerpt(remote.Explain(err)))
	default:
		return adg.Errorf(adg.Unavailable, "%s: %w", what, answered{said})
	}
}

// answered is a refusal by the engine itself, and not one by the way to it.
type answered struct{ text string }

// Error is what the engine said.
func (a answered) Error() string { return a.text }

// refused tells whether the engine answered, and said no.
func refused(err error) bool {
	_, is := errors.AsType[answered](err)
	return is
}

func (e *engine) auth(image string) string {
	config := registry.AuthConfig{Username: e.user, Password: e.password.Reveal()}
	if named, err := reference.ParseNormalizedNamed(image); err == nil {
		config.ServerAddress = reference.Domain(named)
	}
	encoded, err := authconfig.Encode(config)
	if err != nil {
		return "" // strings only: it cannot happen
	}
	return encoded
}

// bounded keeps answers within a size, and knows what time it is at the other side, and when that wants to be asked less
// often.
type bounded struct {
	inner http.RoundTripper
	clock *atomic.Int64
}

// RoundTrip makes an error of status 429, because the client would lose what its header says.
func (b bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := b.inner.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		b.clock.Store(date.Unix())
	}
	if resp.StatusCode == http.StatusTooManyRequests {
		_ = resp.Body.Close() // nothing in it is needed
		//nolint:forbidigo // the header may hold a date, which counts from now
		after, _ := remote.RetryAfter(resp.Header.Get("Retry-After"), time.Now())
		return nil, adg.Throttled(errors.New("too many requests"), after)
	}
	resp.Body = http.MaxBytesReader(nil, resp.Body, maxAnswer)
	return resp, nil
}

// excerpt is foreign text for an error or for people.
func excerpt(text string) string {
	const most = 300
	text = strings.TrimPrefix(strings.TrimSpace(text), "Error response from daemon: ")
	line, _, _ := strings.Cut(text, "\n")
	if len(line) > most {
		line = strings.ToValidUTF8(line[:most], "") + "…"
	}
	return adg.Printable(line)
}
