// Package witness reads which version of a service is live from an address that tells it: who makes a release live takes
// its word instead of his own.
package witness

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
)

// Options say where the version that is live is read. Drivers have them under the name verify; without a URL there is no
// witness.
type Options struct {
	URL            string `yaml:"url" doc:"Address that answers with the version that is live, such as the service's own /version."`
	Path           string `yaml:"path" doc:"Where the version is in the JSON of the answer, such as build.version or items.0.tag; empty: the answer is the version and nothing else."`
	remote.Options `yaml:",inline"`
}

// Defaults are the options that drivers start from: an answer within 5 s, of at most 1 MiB.
func Defaults() Options {
	return Options{Options: remote.Options{Timeout: 5 * time.Second, MaxBytes: 1 << 20}}
}

// Secrets are the values of the options that must not show up anywhere.
func (o Options) Secrets() []adg.Secret {
	return slices.AppendSeq([]adg.Secret{o.BearerToken, o.BasicAuth.Password}, maps.Values(o.Headers))
}

// Validate reports every problem of the address and the path.
func (o Options) Validate() error {
	switch {
	case o.URL == "" && o.Path != "":
		return errors.New("verify.path is there and verify.url is not")
	case o.URL == "":
		return nil
	}
	if err := remote.ValidURL(o.URL); err != nil {
		return fmt.Errorf("verify.url: %w", err)
	}
	return nil
}

// Witness tells the version that is live. It is safe for concurrent use.
type Witness struct {
	o      Options
	client *remote.Client
}

// New makes the witness of options with a URL. Additional secrets are kept out of errors too. Options that cannot work
// are Invalid.
func New(o Options, additional ...adg.Secret) (*Witness, error) {
	client, err := remote.New(o.Options, additional...)
	if err != nil {
		return nil, adg.Permanent(adg.Errorf(adg.Invalid, "verify: %w", err))
	}
	return &Witness{o: o, client: client}, nil
}

// Ask reads the version. An answer that holds none is an error.
func (w *Witness) Ask(ctx context.Context) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.o.URL, http.NoBody)
	if err != nil {
		return "", adg.Permanent(adg.Errorf(adg.Invalid, "verify.url is no address"))
	}
	answer, err := w.client.Do(ctx, req)
	if err != nil {
		return "", fmt.Errorf("ask which version is live: %w", err)
	}
	version, err := liveVersion(answer.Body, w.o.Path)
	if err != nil {
		return "", adg.Errorf(adg.Unavailable, "ask which version is live: %s", w.client.Scrub(err.Error()))
	}
	return version, nil
}

// Close lets go of idle connections.
func (w *Witness) Close() error { return w.client.Close() }

// Private

// liveVersion finds the version in an answer. What it does not understand it refuses: a guess could end a rollback too
// early.
func liveVersion(body []byte, path string) (string, error) {
	if path == "" {
		version := strings.TrimSpace(string(body))
		return version, adg.ValidVersion(version)
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var at any
	if err := decoder.Decode(&at); err != nil {
		return "", fmt.Errorf("the answer is no JSON: %w", err)
	}
	for _, key := range strings.Split(strings.TrimPrefix(path, "$."), ".") {
		var found bool
		switch v := at.(type) {
		case map[string]any:
			at, found = v[key]
		case []any:
			i, err := strconv.Atoi(key)
			if found = err == nil && i >= 0 && i < len(v); found {
				at = v[i]
			}
		}
		if !found {
			return "", fmt.Errorf("the answer has no %q of verify.path %s", key, path)
		}
	}
	var version string
	switch v := at.(type) {
	case string:
		version = v
	case json.Number:
		version = v.String()
	default:
		return "", fmt.Errorf("what is at verify.path %s is no version", path)
	}
	return version, adg.ValidVersion(version)
}
