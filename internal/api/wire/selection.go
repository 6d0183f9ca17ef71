package wire

import (
	"slices"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

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
			return s, Wrong(name, "%s names at most %d: leave it out for all of them", name, maxNamed)
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

// Filter is what the store can select of it. What Holds does not hold is to be left out of its answer.
func (s Selection) Filter() adg.DeploymentFilter {
	return adg.DeploymentFilter{
		Services: s.Services, Environments: s.Environments, States: s.States, Actors: s.Actors, Version: s.Version, Live: s.Live, From: s.From, To: s.To,
	}
}

// Holds tells whether a deployment, whose service has that team, is selected.
func (s Selection) Holds(d adg.Deployment, team string) bool { return s.holds(traitsOf(d), team) }

// HoldsRow tells it of a row.
func (s Selection) HoldsRow(r Row) bool { return s.holds(r.traits, r.Summary.GetTeam()) }

// Row is what a list shows of a deployment, and what it is selected by.
type Row struct {
	Summary *adgv1.DeploymentSummary
	traits  traits
}

// NewRow is the row of a deployment of a team's service.
func NewRow(d adg.Deployment, team string) Row {
	r := Row{Summary(d), traitsOf(d)}
	r.Summary.Team = team
	return r
}

// Scope is the service and the environment of the deployment.
func (r Row) Scope() (service, environment string) { return r.traits.service, r.traits.environment }

// Created is when the deployment was asked for.
func (r Row) Created() time.Time { return r.traits.created }

// GoOn draws the line of the row's headline on from the row before, and says whether it did: it does not where another
// check mattered most.
func (r Row) GoOn(before Row) bool {
	is, was := r.Summary.GetHeadline(), before.Summary.GetHeadline()
	if is == nil || is.GetJudgement().GetCheck() != was.GetJudgement().GetCheck() {
		return false
	}
	is.Recent = was.GetRecent()
	if j := is.GetJudgement(); j.Value != nil && j.GetTime().AsTime().After(was.GetJudgement().GetTime().AsTime()) {
		is.Recent = append(slices.Clone(is.GetRecent()), j.GetValue())
		is.Recent = is.GetRecent()[max(len(is.GetRecent())-maxRecent, 0):]
	}
	return true
}

// SameRow tells whether two rows of a deployment look the same.
func SameRow(a, b Row) bool { return proto.Equal(a.Summary, b.Summary) }

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
		err = Wrong("idempotency_key", "the idempotency key has at most %d characters", maxKey)
	case len(r.GetLabels()) > maxLabels:
		err = Wrong("labels", "a deployment has at most %d labels", maxLabels)
	case len(s.Features) > maxFeatures:
		err = Wrong("features", "a deployment has at most %d features", maxFeatures)
	default:
		err = InField("environment", adg.ValidName("environment", s.Environment))
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

// traits are what a deployment is selected by.
type traits struct {
	service, environment, actor, version string
	state                                adg.State
	health                               adg.Health
	waits                                bool
	created                              time.Time
}

func traitsOf(d adg.Deployment) traits {
	return traits{
		service: d.Spec.Policy.Service, environment: d.Spec.Policy.Environment, actor: d.Spec.Actor, version: d.Spec.Release.Version,
		state: d.Status.State, health: d.Status.Health, waits: WaitsForHuman(d), created: d.Spec.Created,
	}
}

func (s Selection) holds(t traits, team string) bool {
	return anyOf(s.Services, t.service) && anyOf(s.Environments, t.environment) && anyOf(s.Teams, team) &&
		anyOf(s.States, t.state) && anyOf(s.Healths, t.health) && anyOf(s.Actors, t.actor) &&
		(s.Version == "" || s.Version == t.version) &&
		(!s.Live || !t.state.Ended()) && (!s.WaitsForHuman || t.waits) &&
		!t.created.Before(s.From) && (s.To.IsZero() || t.created.Before(s.To))
}

// anyOf tells whether a value is one of those that are selected.
func anyOf[T comparable](selected []T, value T) bool {
	return len(selected) == 0 || slices.Contains(selected, value)
}
