// Package webhook tells facts to an HTTP endpoint as CloudEvents in JSON, signed.
package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
)

// Options are the notifier's settings.
type Options struct {
	URL            string     `yaml:"url" doc:"Where the events are posted to."`
	Secret         adg.Secret `yaml:"secret" doc:"Key of the signature in the header Adg-Signature: t=UNIX,v1=HEX, an HMAC-SHA256 over 't.body'."`
	remote.Options `yaml:",inline"`
}

// Driver opens notifiers of type webhook.
var Driver = adg.NewNotifierDriver("webhook", "Posts facts as CloudEvents to an HTTP endpoint.", Options{Options: remote.Defaults()}, open)

// Event is a CloudEvent, version 1.0, in its JSON form. The id is the fact's: the same each time it is sent.
type Event struct {
	SpecVersion     string    `json:"specversion"`
	ID              string    `json:"id"`
	Source          string    `json:"source"`
	Type            string    `json:"type"`
	Subject         string    `json:"subject"`
	Time            time.Time `json:"time"`
	DataContentType string    `json:"datacontenttype"`
	Data            adg.Fact  `json:"data"`
}

// NewEvent is the event that tells a fact.
func NewEvent(f adg.Fact) Event {
	f.Text, f.Actor = adg.Printable(f.Text), adg.Printable(f.Actor)
	reasons := make([]string, len(f.Reasons))
	for i, r := range f.Reasons {
		reasons[i] = adg.Printable(r)
	}
	f.Reasons = reasons
	return Event{
		SpecVersion: "1.0", ID: f.ID, Source: "adg/" + f.Environment + "/" + f.Service, Type: "io.deployguardian." + f.Kind.String(),
		Subject: f.Deployment, Time: f.At, DataContentType: "application/json", Data: f,
	}
}

// Private

type notifier struct {
	o      Options
	client *remote.Client
}

// Close lets go of idle connections.
func (n *notifier) Close() error { return n.client.Close() }

func open(_ context.Context, o Options, host adg.Host) (adg.Notifier, error) {
	address, err := url.Parse(o.URL)
	if err != nil || address.Host == "" || address.Scheme != "http" && address.Scheme != "https" {
		return nil, adg.Errorf(adg.Invalid, "notifier %s: url is no address: write it as https://host/path", host.Name)
	}
	client, err := remote.New(o.Options, o.Secret)
	if err != nil {
		return nil, fmt.Errorf("notifier %s: %w", host.Name, err)
	}
	return &notifier{o, client}, nil
}

// Notify posts the event; any 2xx means that it was taken.
func (n *notifier) Notify(ctx context.Context, f adg.Fact) error {
	body, err := json.Marshal(NewEvent(f))
	if err != nil {
		return adg.Permanent(fmt.Errorf("writing fact %s as an event: %w", f.ID, err))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, n.o.URL, bytes.NewReader(body))
	if err != nil {
		return adg.Permanent(adg.Errorf(adg.Invalid, "the webhook's url is no url"))
	}
	req.Header.Set("Content-Type", "application/cloudevents+json; charset=utf-8")
	if !n.o.Secret.IsZero() {
		//nolint:forbidigo // receivers refuse old signatures by their own clock, so this is the time of sending
		req.Header.Set(remote.SignatureHeader, remote.Sign(n.o.Secret.Reveal(), time.Now(), body))
	}
	_, err = n.client.Do(ctx, req)
	return err
}
