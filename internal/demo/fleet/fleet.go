// Package fleet runs versions of a service as processes of their own, restarts those that crash, and leaves none
// behind.
package fleet

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"os/exec"
	"sync"
	"time"

	"github.com/deployguardian/adg"
)

// Options say how versions are run.
type Options struct {
	// Command makes the process of a version, not started yet. It shall listen on addr, print the address that it
	// listens on as its first line and its log after that, answer /healthz, and end when its standard input does.
	Command func(version, addr string, restarts int) *exec.Cmd

	Backoff time.Duration // between a crash and the restart; doubles while it does not come to serve; zero: 1 s
	Grace   time.Duration // between the end of its standard input and SIGKILL; zero: 2 s
}

// Fleet is the versions that run. It is safe for concurrent use; it must be closed.
type Fleet struct {
	options Options
	client  *http.Client

	mu       sync.Mutex
	closed   bool
	children map[string]*child
}

// New is a fleet in which nothing runs yet.
func New(o Options) *Fleet {
	o.Backoff, o.Grace = cmp.Or(o.Backoff, time.Second), cmp.Or(o.Grace, 2*time.Second)
	return &Fleet{
		options: o, children: map[string]*child{},
		client: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}},
	}
}

// Start runs a version and waits until it answers; its address stays the same over restarts. A version that runs is
// only waited for. What does not come up gives Unavailable with what it said, and nothing runs.
func (f *Fleet) Start(ctx context.Context, version string) (addr string, err error) {
	c, err := f.child(version)
	if err != nil {
		return "", err
	}
	if err := c.ready(ctx); err != nil {
		f.remove(c)
		return "", err
	}
	if err := f.answers(ctx, c.address()); err != nil {
		return "", adg.Errorf(adg.Unavailable, "start %s: %w", version, err)
	}
	return c.address(), nil
}

// Stop ends a version, at the latest after Grace; one that does not run is stopped already.
func (f *Fleet) Stop(version string) {
	f.mu.Lock()
	c := f.children[version]
	f.mu.Unlock()
	if c != nil {
		f.remove(c)
	}
}

// Addr is where a version listens, or did before it crashed; false if it was not started.
func (f *Fleet) Addr(version string) (string, bool) {
	f.mu.Lock()
	c := f.children[version]
	f.mu.Unlock()
	if c == nil {
		return "", false
	}
	addr := c.address()
	return addr, addr != ""
}

// Restarts is how often a version was restarted since it was started.
func (f *Fleet) Restarts(version string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c := f.children[version]; c != nil {
		return int(c.restarts.Load())
	}
	return 0
}

// Close stops all versions and waits until they have ended; nothing can be started any more.
func (f *Fleet) Close() {
	f.mu.Lock()
	f.closed = true
	children := f.children
	f.children = map[string]*child{}
	f.mu.Unlock()
	for _, c := range children {
		c.cancel()
	}
	for _, c := range children {
		<-c.done
	}
}

// Private

func (f *Fleet) child(version string) (*child, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, adg.Errorf(adg.Unavailable, "start %s: everything is being stopped", version)
	}
	c := f.children[version]
	if c == nil {
		c = newChild(version, f.options)
		f.children[version] = c
	}
	return c, nil
}

func (f *Fleet) remove(c *child) {
	c.cancel()
	<-c.done
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.children[c.version] == c {
		delete(f.children, c.version)
	}
}

func (f *Fleet) answers(ctx context.Context, addr string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/healthz", http.NoBody)
	if err != nil {
		return err
	}
	response, err := f.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<16)) // only the status matters
	if response.StatusCode != http.StatusOK {
		return adg.Errorf(adg.Unavailable, "/healthz answers %s", response.Status)
	}
	return nil
}
