package wire

import (
	"slices"
	"time"
	"unicode/utf8"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/control"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// Selection selects deployments. Empty fields select all; several values of one field select any.
type Selection struct {
	Services      []string
	Environments  []string
	Teams         []string
	States        []adg.State
	Healths       []adg.Health
	Actors        []string
	Version       string
	Live          bool
	WaitsForHuman bool
	From          time.Time
	To            time.Time
}

// ReadSelection is the selection that a caller means.
func ReadSelection(r *adgv1.ListDeploymentsRequest) (Selection, error) {
	s := Selection{
		Services: r.GetServices(), Environments: r.GetEnvironments(), Teams: r.GetTeams(), Actors: r.GetActors(), Version: r.GetVersion(),
		Live: r.GetLive(), WaitsForHuman: r.GetWaitsForHuman(),
	}
	for name, list := range map[string]int{"services": len(s.Services), "environments": len(s.Environments), "teams": len(s.Teams), "actors": len(s.Actors)} {
		if list > maxNamed {
			return s, adg.Errorf(adg.Invalid, "%s names at most %d: leave it out for all of them", name, maxNamed)
		}
	}
	var err error
	if s.States, err = ReadStates(r.GetStates()); err != nil {
		return s, err
	}
	if s.Healths, err = ReadHealths(r.GetHealths()); err != nil {
		return s, err
	}
	if s.From, err = ReadTimestamp("from_time", r.GetFromTime()); err != nil {
		return s, err
	}
	s.To, err = ReadTimestamp("to_time", r.GetToTime())
	return s, err
}

// ReadWatchSelection is the selection that a caller means to watch.
func ReadWatchSelection(r *adgv1.WatchDeploymentsRequest) (Selection, error) {
	return ReadSelection(&adgv1.ListDeploymentsRequest{
		Services: r.GetServices(), Environments: r.GetEnvironments(), Teams: r.GetTeams(), States: r.GetStates(), Healths: r.GetHealths(),
		Actors: r.GetActors(), Version: r.GetVersion(), Live: r.GetLive(), WaitsForHuman: r.GetWaitsForHuman(), FromTime: r.GetFromTime(),
		ToTime: r.GetToTime(),
	})
}

// Holds tells whether a deployment, whose service has that team, is selected.
func (s Selection) Holds(d adg.Deployment, team string) bool {
	p, at := d.Spec.Policy, d.Spec.Created
	return anyOf(s.Services, p.Service) && anyOf(s.Environments, p.Environment) && anyOf(s.Teams, team) &&
		anyOf(s.States, d.Status.State) && anyOf(s.Healths, d.Status.Health) && anyOf(s.Actors, d.Spec.Actor) &&
		(s.Version == "" || s.Version == d.Spec.Release.Version) &&
		(!s.Live || !d.Status.State.Ended()) && (!s.WaitsForHuman || WaitsForHuman(d)) &&
		!at.Before(s.From) && (s.To.IsZero() || at.Before(s.To))
}

// ReadStart is what a caller wants deployed, or planned.
func ReadStart(r *adgv1.StartDeploymentRequest) (control.Start, error) {
	s := control.Start{
		Environment: r.GetEnvironment(), Reason: r.GetReason(), Features: r.GetFeatures(), Key: r.GetIdempotencyKey(),
		Policy: r.GetPolicyVersion(), Previous: r.GetPrevious(), Emergency: r.GetEmergency(), Author: r.GetAuthor(), Labels: r.GetLabels(),
	}
	var err error
	if s.Release, err = ReadRelease(r.GetRelease()); err != nil {
		return s, err
	}
	if author := r.GetAuthor(); author != "" {
		s.Authors = []string{author}
	}
	switch {
	case utf8.RuneCountInString(s.Key) > maxKey:
		err = adg.Errorf(adg.Invalid, "the idempotency key has at most %d characters", maxKey)
	case len(r.GetLabels()) > maxLabels:
		err = adg.Errorf(adg.Invalid, "a deployment has at most %d labels", maxLabels)
	case len(s.Features) > maxFeatures:
		err = adg.Errorf(adg.Invalid, "a deployment has at most %d features", maxFeatures)
	default:
		err = adg.ValidName("environment", s.Environment)
	}
	return s, err
}

// ReadPlan is what a caller wants planned.
func ReadPlan(r *adgv1.PlanDeploymentRequest) (control.Start, error) {
	return ReadStart(&adgv1.StartDeploymentRequest{
		Environment: r.GetEnvironment(), Release: r.GetRelease(), PolicyVersion: r.GetPolicyVersion(), Features: r.GetFeatures(), Previous: r.GetPrevious(),
	})
}

// Private

const (
	maxNamed    = 1000 // values of one field of a selection
	maxKey      = 128  // characters of an idempotency key
	maxLabels   = 32
	maxFeatures = 256
)

// anyOf tells whether a value is one of those that are selected.
func anyOf[T comparable](selected []T, value T) bool {
	return len(selected) == 0 || slices.Contains(selected, value)
}
