//go:build linux

package chaos

import (
	"context"
	"sync"
	"testing"
	"time"
)

// TestServerAloneGetsOverConnectionsThatNobodyAnswers takes away the answers on every connection that one server has to
// PostgreSQL, without a word, as a firewall or a failover does. Nobody else can take its work: it has to notice by itself
// and connect anew.
func TestServerAloneGetsOverConnectionsThatNobodyAnswers(t *testing.T) {
	c := assemble(t, scale{deployments: 16, services: 8, lasts: 12 * time.Second, interval: time.Second, seed: 1}, 1)
	over := make(chan struct{})
	var sampling, pipelines sync.WaitGroup
	sampling.Go(func() { c.sampler.run(over) })
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	for i := range c.scale.services {
		pipelines.Go(func() { c.pipeline(ctx, i) })
	}
	for _, at := range []time.Duration{4 * time.Second, 10 * time.Second} {
		<-time.After(time.Until(c.world.begun.Add(at)))
		c.replicas[0].line.halfClose(false)
	}
	pipelines.Wait()
	c.delivered()
	close(over)
	sampling.Wait()
	c.judge(t)
}
