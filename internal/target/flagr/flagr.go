// Package flagr makes releases live through a flag of Flagr: the rollout percent of a segment, and the flag's switch.
package flagr

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
	"github.com/deployguardian/adg/internal/target/flag"
)

// Options are what a policy says about a target of type flagr.
type Options struct {
	URL            string `yaml:"url" doc:"Address of the Flagr server, without /api/v1."`
	Flag           string `yaml:"flag" doc:"Key of the flag. Its first segment without constraints is moved; the segment's distribution has to give 100 % to variant."`
	Variant        string `yaml:"variant" doc:"Key of the variant that users get for whom the flag is on."`
	EvaluationURL  string `yaml:"evaluation_url" doc:"Address of the Flagr server that applications ask; empty: url. It gets the same credentials. Every state is verified there, by one evaluation for the entity adg."`
	flag.Versions  `yaml:",inline"`
	remote.Options `yaml:",inline"`
}

// Driver opens targets that are flags of Flagr.
var Driver = adg.NewTargetDriver("flagr", "Makes a release live by a flag of Flagr: rollout percent of a segment, off within seconds.", Options{
	Variant: "on", Versions: flag.DefaultVersions(), Options: remote.Defaults(),
}, open)

// Private

type platform struct {
	o          Options
	api        flag.API
	evaluation flag.API
}

func open(_ context.Context, o Options, host adg.Host) (adg.Target, error) {
	base, urlErr := remote.BaseURL("url", o.URL)
	evaluation, evaluationErr := remote.BaseURL("evaluation_url", cmp.Or(o.EvaluationURL, o.URL))
	client, err := remote.New(o.Options)
	p := &platform{o: o, api: flag.API{Client: client, Base: base}, evaluation: flag.API{Client: client, Base: evaluation}}
	return flag.Open(flag.Shape{Flag: p, Versions: o.Versions, Grain: 1, Dir: host.Dir, Close: client.Close},
		urlErr, evaluationErr, flag.Element("flag", o.Flag), flag.Element("variant", o.Variant), err)
}

// Read looks the flag up by its key.
func (p *platform) Read(ctx context.Context) (flag.State, error) {
	f, s, err := p.find(ctx)
	if err != nil {
		return flag.State{}, err
	}
	return p.state(f, s), nil
}

// Write moves the switch and the rollout percent. Flagr changes one of them at a time and cannot compare.
func (p *platform) Write(ctx context.Context, from flag.State, share float64, text string) error {
	f, s, err := p.find(ctx)
	if err != nil {
		return err
	}
	if err := p.state(f, s).Since(from); err != nil {
		return err
	}
	path := []string{"api", "v1", "flags", strconv.FormatInt(f.ID, 10)}
	return flag.Dial{
		On: f.Enabled, Percent: s.RolloutPercent, Text: s.Description,
		Switch: func(ctx context.Context, on bool) error {
			_, err := p.api.Do(ctx, flag.Request{Method: http.MethodPut, Path: append(path, "enabled"), In: map[string]bool{"enabled": on}})
			return wrap("switch the flag", err)
		},
		Set: func(ctx context.Context, percent float64, text string) error {
			_, err := p.api.Do(ctx, flag.Request{
				Method: http.MethodPut, Path: append(path, "segments", strconv.FormatInt(s.ID, 10)),
				In: map[string]any{"description": text, "rolloutPercent": percent},
			})
			return wrap("set the rollout percent", err)
		},
	}.Turn(ctx, share, text)
}

// Lag compares the snapshot that evaluations are made from with the latest one.
func (p *platform) Lag(ctx context.Context, state flag.State) (string, error) {
	var snapshots []struct {
		ID int64 `json:"id"`
	}
	_, err := p.api.Do(ctx, flag.Request{
		Method: http.MethodGet, Path: []string{"api", "v1", "flags", state.Handle, "snapshots"},
		Query: url.Values{"limit": {"1"}, "sort": {"DESC"}}, Out: &snapshots,
	})
	if err != nil {
		return "", err
	}
	var evaluated struct {
		Snapshot int64  `json:"flagSnapshotID"`
		Variant  string `json:"variantKey"`
	}
	_, err = p.evaluation.Do(ctx, flag.Request{
		Method: http.MethodPost, Path: []string{"api", "v1", "evaluation"}, Out: &evaluated,
		In: map[string]string{"flagKey": p.o.Flag, "entityID": "adg", "entityType": "adg"},
	})
	switch {
	case err != nil:
		return "", err
	case len(snapshots) > 0 && evaluated.Snapshot < snapshots[0].ID:
		return fmt.Sprintf("evaluations are still made from snapshot %d of the flag, and %d is the latest", evaluated.Snapshot, snapshots[0].ID), nil
	case state.Share == 0 && state.Rules == "" && evaluated.Variant == p.o.Variant:
		return "an evaluation still answers " + p.o.Variant, nil
	}
	return "", nil
}

// found is a flag as Flagr writes it.
type found struct {
	ID       int64     `json:"id"`
	Key      string    `json:"key"`
	Enabled  bool      `json:"enabled"`
	Segments []segment `json:"segments"`
}

type segment struct {
	ID             int64      `json:"id"`
	Description    string     `json:"description"`
	RolloutPercent float64    `json:"rolloutPercent"`
	Constraints    []struct{} `json:"constraints"`
	Distributions  []struct {
		Percent    float64 `json:"percent"`
		VariantKey string  `json:"variantKey"`
	} `json:"distributions"`
}

// given is the percentage of the segment's users who get the variant.
func (s segment) given(variant string) (percent float64) {
	for _, d := range s.Distributions {
		if d.VariantKey == variant {
			percent += d.Percent
		}
	}
	return percent
}

// constrained counts the segments that are looked at before the one for everybody.
func (f found) constrained() int {
	for i, s := range f.Segments {
		if len(s.Constraints) == 0 {
			return i
		}
	}
	return len(f.Segments)
}

func (p *platform) state(f found, s segment) flag.State {
	state := flag.State{Text: s.Description, Handle: strconv.FormatInt(f.ID, 10)}
	if f.Enabled {
		state.Share = s.RolloutPercent * s.given(p.o.Variant) / 100
	}
	if given := s.given(p.o.Variant); given != 100 {
		state.Foreign = fmt.Sprintf("the distribution of segment %d gives %g %% to the variant %s: give it 100 %%, so that the rollout percent decides alone", s.ID, given, p.o.Variant)
	}
	if before := f.constrained(); before > 0 {
		state.Rules = fmt.Sprintf("%d segments with constraints", before)
	}
	return state
}

// find gives the flag, and the segment in which everybody is who is in none before it.
func (p *platform) find(ctx context.Context) (found, segment, error) {
	var flags []found
	_, err := p.api.Do(ctx, flag.Request{
		Method: http.MethodGet, Path: []string{"api", "v1", "flags"}, Query: url.Values{"key": {p.o.Flag}, "preload": {"true"}}, Out: &flags,
	})
	if err != nil {
		return found{}, segment{}, err
	}
	for _, f := range flags {
		if f.Key != p.o.Flag {
			continue
		}
		at := f.constrained()
		if at == len(f.Segments) {
			return found{}, segment{}, adg.Permanent(adg.Errorf(adg.NotFound,
				"the flag %s has no segment without constraints: add one whose distribution gives 100 %% to the variant %s", p.o.Flag, p.o.Variant))
		}
		return f, f.Segments[at], nil
	}
	return found{}, segment{}, adg.Permanent(adg.Errorf(adg.NotFound, "there is no flag with the key %s, or it is deleted: make it, or restore it", p.o.Flag))
}

func wrap(doing string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}
