package client

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"time"

	"github.com/deployguardian/adg"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// Patience is how long the loss of a connection is borne, and who hears of it.
type Patience struct {
	For  time.Duration                             // without an answer; 0: the first loss is the end
	Lost func(since time.Time, err error)          // once per loss; nil: nobody hears
	Back func(since time.Time, gone time.Duration) // when the server answers again; nil: nobody hears
}

// Follow calls see for a deployment as it is and whenever it has changed, with the server's time, until it has ended.
// Lost connections and restarts of the server are borne as p says; afterwards it goes on with how things are then, and
// what was seen already is not seen again. The answer is the deployment as it was seen last, nil if it was not seen at
// all. An error of see ends it.
func (c *Client) Follow(ctx context.Context, id string, p Patience, see func(*adgv1.Deployment, time.Time) error) (*adgv1.Deployment, error) {
	var last *adgv1.Deployment
	err := c.Bear(ctx, p, func(ctx context.Context, alive func()) error {
		stream, err := c.Deployments.WatchDeployment(ctx, &adgv1.WatchDeploymentRequest{Id: id}) // without an etag it answers at once
		if err != nil {
			return err
		}
		for {
			answer, err := stream.Recv()
			if errors.Is(err, io.EOF) && ended(last) {
				return nil
			}
			if err != nil {
				return err
			}
			alive()
			d := answer.GetDeployment()
			if d == nil || last != nil && d.GetEtag() == last.GetEtag() && d.GetVersion() == last.GetVersion() {
				continue
			}
			last = d
			if err := see(last, answer.GetTime().AsTime()); err != nil || ended(last) {
				return err
			}
		}
	})
	return last, err
}

// Stream calls see for events as they happen, in order and each once, until the context ends or see gives an error.
// It goes on after the last cursor that it was told, however often the connection is lost.
func (c *Client) Stream(ctx context.Context, from *adgv1.StreamEventsRequest, p Patience, see func(*adgv1.Event) error) error {
	// A copy: the caller's request stays as it is.
	ask := &adgv1.StreamEventsRequest{After: from.After, Deployment: from.GetDeployment(), Services: from.GetServices(),
		Environments: from.GetEnvironments(), Kinds: from.GetKinds(), Urgent: from.GetUrgent()}
	return c.Bear(ctx, p, func(ctx context.Context, alive func()) error {
		stream, err := c.Events.StreamEvents(ctx, ask)
		if err != nil {
			return err
		}
		for {
			answer, err := stream.Recv()
			if err != nil {
				return err
			}
			alive()
			if answer.GetEvent() != nil {
				if err := see(answer.GetEvent()); err != nil {
					return err
				}
			}
			ask.After = &answer.Cursor
		}
	})
}

// Bear does something that needs the server, again and again while the server is away, as p says. What is done calls
// alive for each sign of life, and is safe to do again. The error that ended it is the answer; if patience ended, it
// says since when the server is away.
func (c *Client) Bear(ctx context.Context, p Patience, do func(ctx context.Context, alive func()) error) error {
	var since time.Time // of the loss; zero: the server is there
	tries := 0
	alive := func() {
		if !since.IsZero() && p.Back != nil {
			p.Back(since, clock().Sub(since))
		}
		since, tries = time.Time{}, 0
	}
	for {
		began := clock()
		err := attempt(ctx, do, alive)
		if err == nil || ctx.Err() != nil || !passing(err) {
			return err
		}
		now := clock()
		if now.Sub(began) >= settled { // there, and had nothing to say
			alive()
		}
		if since.IsZero() {
			since = now
			if p.Lost != nil && p.For > 0 {
				p.Lost(since, err)
			}
		}
		wait := pause(tries, err)
		tries++
		if left := p.For - now.Sub(since); wait > left {
			if wait = left; wait <= 0 {
				return c.gone(p, since, err)
			}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(wait):
		}
	}
}

// Private

// The first pause before a lost connection is tried again, and the longest.
const (
	firstPause = 250 * time.Millisecond
	longPause  = 10 * time.Second
)

// settled is how long a connection lasts that counts as one. Shorter ones may end at a proxy.
const settled = 5 * time.Second

// attempt does it once; its streams end with it.
func attempt(ctx context.Context, do func(context.Context, func()) error, alive func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return do(ctx, alive)
}

// pause grows with the tries, and half of it is chance, so that not all clients come back at once. What the server
// asked for is the least.
func pause(tries int, err error) time.Duration {
	whole := min(longPause, firstPause<<min(tries, 10))
	asked, _ := adg.RetryAfter(err)
	return max(asked, whole/2+rand.N(whole/2))
}

// gone is the error of patience that ended.
func (c *Client) gone(p Patience, since time.Time, err error) error {
	if errors.Is(err, io.EOF) {
		err = adg.Errorf(adg.Unavailable, "%s ended the stream", c.server)
	}
	if p.For <= 0 {
		return err
	}
	return adg.Errorf(adg.Unavailable, "%s has been away since %s, longer than %s: %w", c.server, since.Format("15:04:05"), adg.Short(p.For), err)
}

// ended tells whether a deployment is over; those that are not known are not.
func ended(d *adgv1.Deployment) bool { return d.GetStatus().GetState() >= adgv1.State_STATE_BLOCKED }

func clock() time.Time {
	return time.Now() //nolint:forbidigo // how long a server is away is measured where it is missed
}
