package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
)

// GenericOptions are what a policy says about a target of type pipeline.
type GenericOptions struct {
	StartURL  string     `yaml:"start_url" doc:"Where a run is started: POST of {\"run\":\"adg:…\",\"rollback\":false,\"variables\":{…}} with the operation's id in Idempotency-Key; 2xx is answered with {\"id\":\"17\"}. The same key again is answered with the same run. 409 means that another run is under way, 412 that the fence in run is older than one seen before."`
	FollowURL string     `yaml:"follow_url" doc:"Where the latest runs are read with GET, the newest first: {\"runs\":[{\"id\":\"17\",\"run\":\"adg:…\",\"state\":\"queued|running|waiting|succeeded|failed|cancelled\",\"job\":\"deploy\",\"text\":\"…\",\"url\":\"…\",\"log\":\"…\"}]}; run is what the run was started with, log the end of what it printed."`
	StopURL   string     `yaml:"stop_url" doc:"Where a run is cancelled with POST; $id in it is the run's id. Without it runs are waited for."`
	Secret    adg.Secret `yaml:"secret" doc:"Key of the signature in the header Adg-Signature: t=UNIX,v1=HEX, an HMAC-SHA256 over 'UNIX.body'."`
	Options   `yaml:",inline"`
}

// Driver opens targets that are pipelines with an HTTP interface of one's own.
var Driver = adg.NewTargetDriver("pipeline", "Starts and follows a pipeline through an HTTP interface of your own.",
	GenericOptions{Options: Defaults("adg")}, open)

// Private

type generic struct {
	o   GenericOptions
	api *API
}

func open(_ context.Context, o GenericOptions, host adg.Host) (adg.Target, error) {
	problems := []error{o.Validate(regexp.MustCompile(`^[A-Za-z0-9_.-]{1,100}$`))}
	check := func(option, text string) {
		if err := remote.ValidURL(text); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", option, err))
		}
	}
	check("start_url", o.StartURL)
	check("follow_url", o.FollowURL)
	if o.StopURL != "" {
		check("stop_url", o.StopURL)
		if !strings.Contains(o.StopURL, "$id") {
			problems = append(problems, errors.New("stop_url: it needs $id where the run's id goes"))
		}
	}
	api, err := NewAPI(o.Options.Options, &url.URL{}, "", fencedAnswer, o.Secret)
	if err := errors.Join(append(problems, err)...); err != nil {
		return nil, adg.Permanent(adg.Errorf(adg.Invalid, "%w", err))
	}
	return New(Setup{Platform: &generic{o: o, api: api}, Options: o.Options, Secrets: []adg.Secret{o.Secret}}, host)
}

func fencedAnswer(answer remote.Response) error {
	if answer.Status == http.StatusPreconditionFailed {
		return adg.ErrFenced
	}
	return nil
}

// Close lets go of idle connections.
func (g *generic) Close() error { return g.api.Close() }

// genericRun is a run as the endpoint tells of it.
type genericRun struct {
	ID    string `json:"id"`
	Run   string `json:"run"`
	State string `json:"state"`
	Job   string `json:"job"`
	Text  string `json:"text"`
	URL   string `json:"url"`
	Log   string `json:"log"`
}

var genericStates = map[string]State{"queued": Queued, "running": Running, "waiting": Waiting, "succeeded": Succeeded, "failed": Failed, "cancelled": Cancelled}

const maxGenericRuns = 100

func (g *generic) list(ctx context.Context) ([]genericRun, error) {
	var answer struct {
		Runs *[]genericRun `json:"runs"`
	}
	if _, err := g.api.Ask(ctx, g.signed(Request{Path: g.o.FollowURL}, nil), &answer); err != nil {
		return nil, err
	}
	if answer.Runs == nil {
		return nil, adg.Errorf(adg.Unavailable, `follow_url answers without "runs"`)
	}
	runs := (*answer.Runs)[:min(len(*answer.Runs), maxGenericRuns)]
	for _, r := range runs {
		if _, known := genericStates[r.State]; !known || r.ID == "" {
			return nil, adg.Errorf(adg.Unavailable, "follow_url answers with run %q in state %q: a run has an id, and a state of queued, running, waiting, succeeded, failed, cancelled",
				g.api.Scrub(r.ID), g.api.Scrub(r.State))
		}
	}
	return runs, nil
}

// Recent reads the runs.
func (g *generic) Recent(ctx context.Context) ([]Run, error) {
	listed, err := g.list(ctx)
	runs := make([]Run, len(listed))
	for i, r := range listed {
		runs[i] = Run{ID: r.ID, State: genericStates[r.State], Job: g.api.Scrub(r.Job), Why: g.api.Scrub(r.Text), URL: g.api.Scrub(r.URL)}
		if tag, found := ParseTag(r.Run); found {
			runs[i].Tag = tag
		}
	}
	return runs, err
}

// Start posts the order.
func (g *generic) Start(ctx context.Context, order Order) (Run, error) {
	body, err := json.Marshal(struct {
		Run       string            `json:"run"`
		Rollback  bool              `json:"rollback"`
		Variables map[string]string `json:"variables"`
	}{order.Tag.String(), order.Rollback, order.Variables})
	if err != nil {
		return Run{}, adg.Permanent(adg.Errorf(adg.Internal, "write the order: %w", err))
	}
	r := g.signed(Request{Method: http.MethodPost, Path: g.o.StartURL, JSON: json.RawMessage(body)}, body)
	r.Header.Set("Idempotency-Key", order.Tag.Op)
	var answer genericRun
	if _, err := g.api.Ask(ctx, r, &answer); err != nil {
		return Run{}, err
	}
	if answer.ID == "" {
		return Run{}, adg.Errorf(adg.Unavailable, "start_url answers without the id of the run")
	}
	return Run{ID: answer.ID, URL: g.api.Scrub(answer.URL)}, nil
}

// Follow finds the run among the recent ones.
func (g *generic) Follow(ctx context.Context, run Run) (Run, error) {
	runs, err := g.Recent(ctx)
	if err != nil {
		return run, err
	}
	for _, r := range runs {
		if r.ID == run.ID {
			r.Tag = run.Tag
			return r, nil
		}
	}
	run.State = Gone
	return run, nil
}

// Tail is what the endpoint tells of the log.
func (g *generic) Tail(ctx context.Context, run Run) (string, error) {
	listed, err := g.list(ctx)
	for _, r := range listed {
		if r.ID == run.ID {
			return r.Log, nil
		}
	}
	return "", err
}

// Stop posts to the address for that, if there is one.
func (g *generic) Stop(ctx context.Context, run Run) error {
	if g.o.StopURL == "" {
		return errors.ErrUnsupported
	}
	_, err := g.api.Ask(ctx, g.signed(Request{Method: http.MethodPost, Path: strings.ReplaceAll(g.o.StopURL, "$id", Segment(run.ID))}, nil), nil)
	return err
}

// Check reads the runs: more cannot be told without starting one.
func (g *generic) Check(ctx context.Context, _ Order) ([]adg.Obstacle, error) {
	_, err := g.list(ctx)
	return nil, err
}

func (g *generic) signed(r Request, body []byte) Request {
	r.Header = http.Header{}
	if !g.o.Secret.IsZero() {
		//nolint:forbidigo // receivers refuse old signatures by their own clock, so this is the time of sending
		r.Header.Set(remote.SignatureHeader, remote.Sign(g.o.Secret.Reveal(), time.Now(), bytes.TrimSpace(body)))
	}
	return r
}
