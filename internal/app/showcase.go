package app

import (
	"cmp"
	"context"
	"crypto/rand"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/config"
	"github.com/deployguardian/adg/internal/control"
	"github.com/deployguardian/adg/internal/demo"
	"github.com/deployguardian/adg/internal/demo/shop"
	"github.com/deployguardian/adg/internal/identity"
)

// showcase is the demo inside a server: a shop that the server guards as it guards all others.
type showcase struct {
	server  *server
	haproxy bool
	told    func(text string) // how it goes on; may be nil

	running context.Context //nolint:containedctx // of what goes on after a request
	stop    context.CancelFunc
	parts   sync.WaitGroup

	mu    sync.Mutex
	stage *demo.Stage // nil: it was not started yet
	busy  bool
}

func newShowcase(s *server) *showcase {
	c := &showcase{server: s, told: func(string) {}}
	c.running, c.stop = context.WithCancel(context.Background())
	return c
}

// Start registers what the shop needs, starts the deployment of the good release, and, once that has ended well, the
// one of the bad release. It is done as the caller, who may change what belongs to the whole server.
func (c *showcase) Start(ctx context.Context, who identity.Caller, fault string) (service string, deployments []string, err error) {
	who.Reason = cmp.Or(who.Reason, "the demo")
	err = c.server.control.Demonstrate(ctx, who, func() error {
		if err := c.enter(); err != nil {
			return err
		}
		deployments, err = c.start(ctx, who, fault)
		if err != nil {
			c.leave()
		}
		return err
	})
	return demo.Service, deployments, err
}

// close ends the shop, once nothing acts on it any more.
func (c *showcase) close() {
	c.stop()
	c.parts.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stage != nil {
		c.stage.Close()
	}
}

// drivers are the usual ones, and the demo's own.
func (c *showcase) drivers() config.Drivers {
	return withStage(drivers(), func() (*demo.Stage, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.stage == nil {
			return nil, adg.Errorf(adg.Unavailable, "the demo does not run any more: start it again")
		}
		return c.stage, nil
	})
}

// Private

// The connections that the demo registers.
const (
	demoSource      = "demo-metrics"
	demoLog         = "demo-log"
	demoTarget      = "demo-shop"
	demoEnvironment = "demo"
)

func (c *showcase) enter() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy {
		return adg.Errorf(adg.Conflict, "the demo is under way: it can be started again when both deployments have ended")
	}
	c.busy = true
	return nil
}

func (c *showcase) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy = false
}

func (c *showcase) start(ctx context.Context, who identity.Caller, fault string) ([]string, error) {
	stage, err := c.raise(ctx, fault)
	if err != nil {
		return nil, err
	}
	if err := c.register(ctx, who, stage, fault); err != nil {
		return nil, err
	}
	select {
	case <-time.After(demoHistory):
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	key := rand.Text()
	good := control.Start{Release: demo.Release(demo.Good), Environment: demoEnvironment, Previous: demo.Stable, Reason: who.Reason, Key: key + "-good"}
	bad := control.Start{Release: demo.Release(demo.Bad), Environment: demoEnvironment, Previous: demo.Good, Reason: who.Reason, Key: key + "-bad"}
	first, err := c.server.control.StartDeployment(ctx, who, good)
	if err != nil {
		return nil, err
	}
	c.parts.Go(func() {
		defer c.leave()
		if err := c.goOn(c.running, who, first.ID, bad); err != nil && c.running.Err() == nil {
			c.server.log.Error("the demo did not go on", "error", err)
			c.told("The demo did not go on: " + err.Error())
		}
	})
	return []string{first.ID, control.DeploymentID(who, bad)}, nil
}

// raise opens a new stage in place of the one before, with nobody but the stable release live.
func (c *showcase) raise(ctx context.Context, fault string) (*demo.Stage, error) {
	dir := filepath.Join(c.server.set.Data, "demo")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, adg.Errorf(adg.Unavailable, "making the demo's directory: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stage != nil {
		c.stage.Close()
		c.stage = nil
	}
	stage, err := demo.Open(ctx, demo.Options{Fault: shop.Fault(fault), HAProxy: c.haproxy, Dir: dir, Seed: 1, Log: c.server.log})
	c.stage = stage
	return stage, err
}

// register makes known what the policy of the shop names, as an admin would.
func (c *showcase) register(ctx context.Context, who identity.Caller, stage *demo.Stage, fault string) error {
	scrape, err := demoScrapes(stage.Admin())
	if err != nil {
		return err
	}
	shop, here := []string{demo.Service}, []string{demoEnvironment}
	needed := []control.Connection{
		{Seam: "source", Name: demoSource, Type: "embedded", Options: `{"scrape": ` + scrape + `}`, Services: shop, Environments: here},
		{Seam: "target", Name: demoTarget, Type: "demo", Options: "{}", Services: shop, Environments: here},
	}
	logged := logFor(fault, demoLog) != ""
	if logged {
		needed = append(needed, control.Connection{Seam: "source", Name: demoLog, Type: "demo", Options: "{}", Services: shop, Environments: here})
	}
	for _, k := range needed {
		before, err := c.server.control.Connection(ctx, who, k.Name)
		if err != nil && adg.CodeOf(err) != adg.NotFound {
			return err
		}
		if _, err := c.server.control.PutConnection(ctx, who, k, before.Version); err != nil {
			return err
		}
	}
	if err := c.push(ctx, who, fault); err != nil {
		return err
	}
	if !logged {
		if err := c.dropLog(ctx, who); err != nil {
			return err
		}
	}
	scope := adg.Scope{Service: demo.Service, Environment: demoEnvironment}
	for _, version := range []string{demo.Good, demo.Bad} {
		_, err := c.server.control.LiftHold(ctx, who, scope, demo.Release(version).Identity(), "the demo begins anew", nil)
		if err != nil && adg.CodeOf(err) != adg.NotFound {
			return err
		}
	}
	// From now on it is measured.
	_, err = c.server.world.Source(ctx, adg.Deployment{Spec: adg.Spec{Policy: adg.Policy{Service: scope.Service, Environment: scope.Environment}}}, demoSource)
	return err
}

// dropLog forgets the log that an earlier start has registered. It stays where the policy in force goes on to name it: one
// without its check guards less, and waits for somebody who approves it.
func (c *showcase) dropLog(ctx context.Context, who identity.Caller) error {
	before, err := c.server.control.Connection(ctx, who, demoLog)
	if err == nil {
		err = c.server.control.DropConnection(ctx, who, demoLog, before.Version)
	}
	if code := adg.CodeOf(err); code == adg.NotFound || code == adg.Conflict {
		return nil
	}
	return err
}

// push puts the policy of the shop where another one is in force, or none.
func (c *showcase) push(ctx context.Context, who identity.Caller, fault string) error {
	text, err := demoText(demoNames{Server: true, Source: demoSource, Log: logFor(fault, demoLog), Target: demoTarget})
	if err != nil {
		return err
	}
	versions, err := c.server.control.PolicyVersions(ctx, who, demo.Service, demoEnvironment)
	newest := int64(0)
	switch {
	case err != nil && adg.CodeOf(err) != adg.NotFound:
		return err
	case len(versions) > 0 && versions[0].Text == string(text) && versions[0].InForce:
		return nil
	case len(versions) > 0:
		newest = versions[0].Number
	}
	_, err = c.server.control.PutPolicy(ctx, who, adg.Scope{}, string(text), who.Reason, newest)
	return err
}

// goOn waits for the first deployment, starts the second, and waits for that.
func (c *showcase) goOn(ctx context.Context, who identity.Caller, id string, next control.Start) error {
	end, err := c.ended(ctx, who, id)
	if err != nil {
		return err
	}
	if end != adg.Succeeded {
		return adg.Errorf(adg.Internal, "the good release was not promoted, but %s", end)
	}
	d, err := c.server.control.StartDeployment(ctx, who, next)
	if err != nil {
		return err
	}
	_, err = c.ended(ctx, who, d.ID)
	return err
}

func (c *showcase) ended(ctx context.Context, who identity.Caller, id string) (end adg.State, err error) {
	err = c.server.control.Watch(ctx, who, id, func(d adg.Deployment) error {
		if end = d.Status.State; end.Ended() {
			c.told(d.Spec.Release.Version + " has ended: " + end.String() + " (adg deploy status " + id + ")")
		}
		return nil
	})
	return end, err
}
