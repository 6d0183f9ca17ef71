// Package webhook makes releases live by asking an HTTP endpoint to do it.
package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
)

// Options are what a policy says about a target of type webhook.
type Options struct {
	URL            string     `yaml:"url" doc:"Where the wanted state is posted to as JSON, with the operation's id in Idempotency-Key. 2xx means that it was taken; the answer may be the state that is live now, as JSON, or nothing. 409 means that an operation is under way and this one should come again, 412 that its fence is older than one seen before."`
	CurrentURL     string     `yaml:"current_url" doc:"Where the state that is live is read with GET, as JSON: {\"releases\":[{\"release\":{\"version\":\"v1\"},\"share\":100}],\"done\":true}. Without it nothing proves that a rollback arrived."`
	Secret         adg.Secret `yaml:"secret" doc:"Key of the signature in the header Adg-Signature: t=UNIX,v1=HEX, an HMAC-SHA256 over 'UNIX.body'."`
	Shares         bool       `yaml:"shares" doc:"Whether the endpoint can split traffic between two releases, as a canary needs."`
	Idle           bool       `yaml:"idle" doc:"Whether the endpoint can keep a release running without traffic, as blue-green needs."`
	Drain          bool       `yaml:"drain" doc:"Whether the endpoint lets requests end before it takes a release away."`
	Migrate        bool       `yaml:"migrate" doc:"Whether the endpoint moves the schema of the database."`
	remote.Options `yaml:",inline"`
}

// Driver opens targets that are HTTP endpoints.
var Driver = adg.NewTargetDriver("webhook", "Asks an HTTP endpoint of your own to make releases live.", Options{Options: remote.Defaults()}, open)

// Private

const maxReleases = 64

type target struct {
	o      Options
	client *remote.Client
}

func open(_ context.Context, o Options, _ adg.Host) (adg.Target, error) {
	var problems []error
	check := func(option, text string) {
		address, err := url.Parse(text)
		if err != nil || address.Host == "" || address.Scheme != "http" && address.Scheme != "https" {
			problems = append(problems, fmt.Errorf("%s is no address: write it as https://host/path", option))
		}
	}
	check("url", o.URL)
	if o.CurrentURL != "" {
		check("current_url", o.CurrentURL)
	}
	client, err := remote.New(o.Options, o.Secret)
	if err := errors.Join(append(problems, err)...); err != nil {
		return nil, adg.Permanent(adg.Errorf(adg.Invalid, "%w", err))
	}
	return &target{o, client}, nil
}

// Close lets go of idle connections.
func (t *target) Close() error { return t.client.Close() }

// Can is what the policy says that the endpoint can.
func (t *target) Can() adg.Capabilities {
	return adg.Capabilities{Shares: t.o.Shares, Idle: t.o.Idle, Drain: t.o.Drain, Migrate: t.o.Migrate, Reports: t.o.CurrentURL != ""}
}

// Current asks the endpoint what is live. Without an address for that nothing is known but what Apply returned.
func (t *target) Current(ctx context.Context) (adg.Observed, error) {
	if t.o.CurrentURL == "" {
		return adg.Observed{Done: true}, nil
	}
	body, err := t.send(ctx, http.MethodGet, t.o.CurrentURL, nil, "")
	if err != nil {
		return adg.Observed{}, err
	}
	seen, err := t.parse(body)
	if err != nil {
		return adg.Observed{}, adg.Errorf(adg.Unavailable, "read the state: %w", err)
	}
	return seen, nil
}

// Apply posts the wanted state. Where the endpoint can be asked, what it says then counts, whatever it answered.
func (t *target) Apply(ctx context.Context, want adg.Desired) (adg.Observed, error) {
	if err := want.Validate(); err != nil {
		return adg.Observed{}, adg.Permanent(err)
	}
	body, err := json.Marshal(want)
	if err != nil {
		return adg.Observed{}, adg.Permanent(adg.Errorf(adg.Internal, "apply %s: %w", want.OpID, err))
	}
	answer, err := t.send(ctx, http.MethodPost, t.o.URL, body, want.OpID)
	if err != nil {
		return adg.Observed{}, fmt.Errorf("apply %s: %w", want.OpID, err)
	}
	if t.o.CurrentURL != "" {
		seen, err := t.Current(ctx)
		if err != nil {
			// What was asked for was taken. What is live now is not known, and the next Current may tell.
			return adg.Observed{OpID: want.OpID, Text: "applied, but " + err.Error()}, nil
		}
		return seen, nil
	}
	if len(bytes.TrimSpace(answer)) == 0 {
		return adg.Observed{Done: true}, nil
	}
	seen, err := t.parse(answer)
	if err != nil {
		return adg.Observed{}, adg.Errorf(adg.Unavailable, "apply %s: read the answer: %w", want.OpID, err)
	}
	if !seen.Done && !seen.Failed {
		return adg.Observed{}, adg.Permanent(adg.Errorf(adg.Invalid,
			"apply %s: the endpoint says that it is not done yet, and without current_url nobody can ask when it is", want.OpID))
	}
	return seen, nil
}

func (t *target) send(ctx context.Context, method, address string, body []byte, op string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, adg.Permanent(adg.Errorf(adg.Invalid, "the address of the webhook is none"))
	}
	req.Header.Set("Accept", "application/json")
	if op != "" {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", op)
	}
	if !t.o.Secret.IsZero() {
		//nolint:forbidigo // receivers refuse old signatures by their own clock, so this is the time of sending
		req.Header.Set(remote.SignatureHeader, remote.Sign(t.o.Secret.Reveal(), time.Now(), body))
	}
	answer, err := t.client.Do(ctx, req)
	switch {
	case err == nil:
		return answer.Body, nil
	case answer.Status == http.StatusPreconditionFailed && op != "":
		return nil, adg.ErrFenced
	case answer.Status == http.StatusConflict && op != "":
		return nil, adg.Errorf(adg.Unavailable, "the endpoint is busy with another operation (409)")
	default:
		return nil, err
	}
}

// parse reads a state strictly, and without the secrets that an endpoint may repeat in its text.
func (t *target) parse(body []byte) (adg.Observed, error) {
	seen, err := parseObserved(body)
	if err != nil {
		return adg.Observed{}, errors.New(t.client.Scrub(err.Error()))
	}
	seen.Text, seen.Done = t.client.Scrub(seen.Text), seen.Done && !seen.Failed
	return seen, nil
}

// parseObserved refuses what it does not understand: a guess about what is live could end a rollback too early.
func parseObserved(body []byte) (adg.Observed, error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	var seen adg.Observed
	if err := decoder.Decode(&seen); err != nil {
		return adg.Observed{}, fmt.Errorf(`it is not of the form {"releases":[{"release":{"version":"v1"},"share":100}],"done":true}: %w`, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return adg.Observed{}, errors.New("there is more after the JSON")
	}
	if len(seen.Releases) == 0 || len(seen.Releases) > maxReleases {
		return adg.Observed{}, fmt.Errorf("%d releases: name what is live, 1 to %d", len(seen.Releases), maxReleases)
	}
	sum, versions := 0.0, map[string]bool{}
	for _, p := range seen.Releases {
		r := p.Release
		if r.Service == "" {
			r.Service = "any" // an endpoint may leave it out
		}
		if err := r.Validate(); err != nil {
			return adg.Observed{}, err
		}
		if versions[r.Version] {
			return adg.Observed{}, fmt.Errorf("release %s is there twice", r.Version)
		}
		versions[r.Version] = true
		if !(p.Share >= 0 && p.Share <= 100) {
			return adg.Observed{}, fmt.Errorf("release %s has a share of %g %%", r.Version, p.Share)
		}
		sum += p.Share
	}
	if sum > 100.001 {
		return adg.Observed{}, fmt.Errorf("the shares add up to %g %%", sum)
	}
	if len(seen.OpID) > 256 || adg.Printable(seen.OpID) != seen.OpID {
		return adg.Observed{}, errors.New("op_id is no operation's id")
	}
	return seen, nil
}
