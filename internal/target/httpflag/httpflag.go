// Package httpflag makes releases live through a feature flag that is a JSON document at an address: read with GET, and
// changed with PUT or PATCH where it is still as it was read.
package httpflag

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
	"github.com/deployguardian/adg/internal/target/flag"
)

// Options are what a policy says about a target of type httpflag.
type Options struct {
	URL             string `yaml:"url" doc:"Address of the flag: a JSON object such as {\"enabled\":true,\"percentage\":25}, with an ETag that changes with it. Changes come with If-Match, and 412 refuses them."`
	Method          string `yaml:"method" doc:"How the flag is changed: put sends the whole object back, patch the changed fields alone (JSON merge patch)."`
	EnabledField    string `yaml:"enabled_field" doc:"Field of the object that switches the flag on and off."`
	PercentageField string `yaml:"percentage_field" doc:"Field of the object with the percentage of users who have it on, 0 to 100."`
	NoteField       string `yaml:"note_field" doc:"Field of the object, a text, in which adg notes what it did. The server has to keep it."`
	EvaluationURL   string `yaml:"evaluation_url" doc:"Address where the same object is read as applications get it, such as a relay or a cache; it gets the same credentials. With it every state is verified there too."`
	flag.Versions   `yaml:",inline"`
	remote.Options  `yaml:",inline"`
}

// Driver opens targets that are JSON documents.
var Driver = adg.NewTargetDriver("httpflag", "Makes a release live by a flag of your own: a JSON document with a percentage, changed with If-Match.", Options{
	Method: "put", EnabledField: "enabled", PercentageField: "percentage", NoteField: "adg", Versions: flag.DefaultVersions(), Options: remote.Defaults(),
}, open)

// Private

// The ways to write the document, as options name them.
const (
	methodPut   = "put"
	methodPatch = "patch"
)

type platform struct {
	o          Options
	api        flag.API
	evaluation *flag.API // nil: there is none to ask
}

func open(_ context.Context, o Options, _ adg.Host) (adg.Target, error) {
	client, err := remote.New(o.Options)
	problems := []error{err}
	address := func(option, text string) *url.URL {
		if err := remote.ValidURL(text); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", option, err))
			return nil
		}
		to, err := url.Parse(text)
		problems = append(problems, err)
		return to
	}
	p := &platform{o: o, api: flag.API{Client: client, Base: address("url", o.URL)}}
	if o.EvaluationURL != "" {
		p.evaluation = &flag.API{Client: client, Base: address("evaluation_url", o.EvaluationURL)}
	}
	if o.Method != methodPut && o.Method != methodPatch {
		problems = append(problems, fmt.Errorf("method: %q: use put or patch", o.Method))
	}
	fields := []string{o.EnabledField, o.PercentageField, o.NoteField}
	slices.Sort(fields)
	if fields[0] == "" || len(slices.Compact(fields)) != 3 {
		problems = append(problems, errors.New("enabled_field, percentage_field and note_field name three fields"))
	}
	return flag.Open(flag.Shape{Flag: p, Versions: o.Versions, Grain: 0.001, Compares: true, Close: client.Close}, problems...)
}

// Read reads the document; its ETag is the version.
func (p *platform) Read(ctx context.Context) (flag.State, error) {
	_, state, err := p.read(ctx, &p.api)
	if err == nil && state.Handle == "" {
		err = adg.Permanent(adg.Errorf(adg.Invalid, "the flag came without an ETag: the server has to send one, or somebody else's change would be lost"))
	}
	return state, err
}

// Write sends what is to be, on the condition that the document is still the one that was read.
func (p *platform) Write(ctx context.Context, from flag.State, share float64, text string) error {
	changes := document{}
	if p.o.Method == methodPut {
		whole, now, err := p.read(ctx, &p.api)
		if err != nil {
			return err
		}
		if now.Handle != from.Handle {
			return flag.ErrChanged
		}
		changes = maps.Clone(whole)
	}
	for field, value := range map[string]any{p.o.EnabledField: share > 0, p.o.PercentageField: share, p.o.NoteField: text} {
		raw, err := json.Marshal(value)
		if err != nil {
			return adg.Permanent(adg.Errorf(adg.Internal, "write the flag: %w", err))
		}
		changes[field] = raw
	}
	r := flag.Request{Method: http.MethodPut, Header: http.Header{"If-Match": {from.Handle}}, In: changes}
	if p.o.Method == methodPatch {
		r.Method = http.MethodPatch
		r.Header.Set("Content-Type", "application/merge-patch+json")
	}
	_, err := p.api.Do(ctx, r)
	return err
}

// Lag compares with what applications get.
func (p *platform) Lag(ctx context.Context, state flag.State) (string, error) {
	if p.evaluation == nil {
		return "", nil
	}
	_, served, err := p.read(ctx, p.evaluation)
	if err != nil {
		return "", err
	}
	if served.Share != state.Share {
		return fmt.Sprintf("applications still get it on for %g %%", served.Share), nil
	}
	return "", nil
}

// document is the object; fields that are not ours stay as they are.
type document map[string]json.RawMessage

func (p *platform) read(ctx context.Context, api *flag.API) (document, flag.State, error) {
	var doc document
	header, err := api.Do(ctx, flag.Request{Method: http.MethodGet, Out: &doc})
	if err != nil {
		return nil, flag.State{}, err
	}
	state, err := p.o.parse(doc)
	if err != nil {
		return nil, flag.State{}, adg.Errorf(adg.Unavailable, "the flag is not of the form {\"%s\":true,\"%s\":25}: %s",
			p.o.EnabledField, p.o.PercentageField, p.api.Client.Scrub(err.Error()))
	}
	state.Handle = header.Get("ETag")
	return doc, state, nil
}

// parse reads the fields that are ours. Without a percentage a flag that is on is on for everybody.
func (o Options) parse(doc document) (flag.State, error) {
	state, enabled := flag.State{Share: 100}, false
	if err := json.Unmarshal(doc[o.EnabledField], &enabled); err != nil {
		return flag.State{}, fmt.Errorf("%s: %w", o.EnabledField, err)
	}
	if raw, found := doc[o.PercentageField]; found {
		if err := json.Unmarshal(raw, &state.Share); err != nil {
			return flag.State{}, fmt.Errorf("%s: %w", o.PercentageField, err)
		}
	}
	if !(state.Share >= 0 && state.Share <= 100) {
		return flag.State{}, fmt.Errorf("%s: %g is no percentage", o.PercentageField, state.Share)
	}
	if raw, found := doc[o.NoteField]; found {
		if err := json.Unmarshal(raw, &state.Text); err != nil {
			return flag.State{}, fmt.Errorf("%s: %w", o.NoteField, err)
		}
	}
	if !enabled {
		state.Share = 0
	}
	return state, nil
}
