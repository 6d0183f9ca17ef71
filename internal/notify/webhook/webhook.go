// Package webhook tells facts to an HTTP endpoint as CloudEvents in JSON, signed.
package webhook

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/notify/cloudevent"
	"github.com/deployguardian/adg/internal/remote"
)

// Options are the notifier's settings.
type Options struct {
	URL            string     `yaml:"url" doc:"Where the events are posted to."`
	Source         string     `yaml:"source" doc:"Source that the events name; empty: /adg/ and the notifier's name."`
	Secret         adg.Secret `yaml:"secret" doc:"Key of the signature in the header Adg-Signature: t=UNIX,v1=HEX, an HMAC-SHA256 over 'UNIX.body'."`
	remote.Options `yaml:",inline"`
}

// Driver opens notifiers of type webhook.
var Driver = adg.NewNotifierDriver("webhook", "Posts facts as CloudEvents to an HTTP endpoint.", Options{Options: remote.Defaults()}, open)

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
	o.Source = cmp.Or(o.Source, "/adg/"+host.Name)
	client, err := remote.New(o.Options, o.Secret)
	if err = errors.Join(err, cloudevent.ValidSource(o.Source)); err != nil {
		return nil, fmt.Errorf("notifier %s: %w", host.Name, err)
	}
	return &notifier{o, client}, nil
}

// Notify posts the event; any 2xx means that it was taken.
func (n *notifier) Notify(ctx context.Context, f adg.Fact) error {
	body, err := cloudevent.Encode(f, n.o.Source)
	if err != nil {
		return adg.Permanent(err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, n.o.URL, bytes.NewReader(body))
	if err != nil {
		return adg.Permanent(adg.Errorf(adg.Invalid, "the webhook's url is no url"))
	}
	req.Header.Set("Content-Type", cloudevent.ContentType)
	if !n.o.Secret.IsZero() {
		//nolint:forbidigo // receivers refuse old signatures by their own clock, so this is the time of sending
		req.Header.Set(remote.SignatureHeader, remote.Sign(n.o.Secret.Reveal(), time.Now(), body))
	}
	_, err = n.client.Do(ctx, req)
	return err
}
