package api

import (
	"context"
	"strconv"
	"strings"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/api/wire"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// evidence answers EvidenceService.
type evidence struct {
	adgv1.UnimplementedEvidenceServiceServer
	*API
}

// ListChecks are the checks of a deployment, each with its last judgement.
func (s *evidence) ListChecks(ctx context.Context, r *adgv1.ListChecksRequest) (*adgv1.ListChecksResponse, error) {
	d, err := s.o.Control.Deployment(ctx, caller(ctx), r.GetDeployment())
	if err != nil {
		return nil, err
	}
	var all []*adgv1.WatchedCheck
	for i, c := range d.Spec.Policy.Checks {
		one := &adgv1.WatchedCheck{Check: wire.Check(c)}
		if i < len(d.Status.Checks) {
			one.Watch = wire.Watch(d.Spec.Policy, d.Status.Checks[i])
		}
		all = append(all, one)
	}
	page, next, err := stretch(r, all)
	return &adgv1.ListChecksResponse{Checks: page, NextPageToken: next}, err
}

// ListMeasurements is what sources answered.
func (s *evidence) ListMeasurements(ctx context.Context, r *adgv1.ListMeasurementsRequest) (*adgv1.ListMeasurementsResponse, error) {
	course, err := wire.ReadMeasurements(r)
	if err != nil {
		return nil, err
	}
	list, next, err := s.o.Control.Measurements(ctx, caller(ctx), r.GetDeployment(), course)
	if err != nil {
		return nil, err
	}
	answer := &adgv1.ListMeasurementsResponse{Measurements: translated(list, wire.Measurement), NextPageToken: wire.PageToken(r, next)}
	answer.Compacted, err = s.o.Control.Forgotten(ctx, caller(ctx), r.GetDeployment(), course.From, course.To)
	return answer, err
}

// ListAssessments is the health over time.
func (s *evidence) ListAssessments(ctx context.Context, r *adgv1.ListAssessmentsRequest) (*adgv1.ListAssessmentsResponse, error) {
	course, err := wire.ReadAssessments(r)
	if err != nil {
		return nil, err
	}
	d, list, next, err := s.o.Control.Assessments(ctx, caller(ctx), r.GetDeployment(), course)
	if err != nil {
		return nil, err
	}
	answer := &adgv1.ListAssessmentsResponse{NextPageToken: wire.PageToken(r, next)}
	for _, one := range list {
		answer.Assessments = append(answer.Assessments, wire.Assessment(d.Spec.Policy, one))
	}
	answer.Compacted, err = s.o.Control.Forgotten(ctx, caller(ctx), r.GetDeployment(), course.From, course.To)
	return answer, err
}

// ListDecisions are the decisions that changed something and those that answered a human.
func (s *evidence) ListDecisions(ctx context.Context, r *adgv1.ListDecisionsRequest) (*adgv1.ListDecisionsResponse, error) {
	size, after, err := numbered(r)
	if err != nil {
		return nil, err
	}
	d, list, err := s.o.Control.Decisions(ctx, caller(ctx), r.GetDeployment(), after, size+1)
	if err != nil {
		return nil, err
	}
	answer := &adgv1.ListDecisionsResponse{}
	for _, e := range list[:min(len(list), size)] {
		answer.Decisions = append(answer.Decisions, wire.Decision(d.Spec, e))
	}
	if len(list) > size {
		answer.NextPageToken = wire.PageToken(r, strconv.FormatInt(list[size-1].Seq, 10))
	}
	return answer, nil
}

// GetEvidence is everything that one decision was made from.
func (s *evidence) GetEvidence(ctx context.Context, r *adgv1.GetEvidenceRequest) (*adgv1.Evidence, error) {
	e, err := s.o.Control.Evidence(ctx, caller(ctx), r.GetDeployment(), r.GetSeq())
	if err != nil {
		return nil, err
	}
	answer := wire.Evidence(e.Deployment.Spec, e.Entry, e.Measurements, e.Compacted)
	if e.Ended != nil {
		answer.Outcome = wire.Effect(*e.Ended)
	}
	return answer, nil
}

// ReplayDecisions makes every decision again.
func (s *evidence) ReplayDecisions(ctx context.Context, r *adgv1.ReplayDecisionsRequest) (*adgv1.ReplayDecisionsResponse, error) {
	found, err := s.o.Control.Replay(ctx, caller(ctx), r.GetDeployment())
	if err != nil {
		return nil, err
	}
	answer := &adgv1.ReplayDecisionsResponse{
		Decisions: int64(found.Decisions), Equal: found.Equal(), Compacted: found.Unmeasured > 0 || int64(found.Ticks+found.Unfollowed) < found.Made,
	}
	for _, d := range found.Shown {
		for _, line := range d.Lines() {
			if len(answer.Differences) < maxDifferences {
				answer.Differences = append(answer.Differences, strings.ToValidUTF8(strings.TrimSpace(line), "\uFFFD"))
			}
		}
	}
	return answer, nil
}

// ListEffects are what was done to the target.
func (s *evidence) ListEffects(ctx context.Context, r *adgv1.ListEffectsRequest) (*adgv1.ListEffectsResponse, error) {
	page, next, err := recorded(ctx, s, r, s.o.Store.Effects, wire.Effect)
	return &adgv1.ListEffectsResponse{Effects: page, NextPageToken: next}, err
}

// ListGates are the gates as they are now, or were when the deployment began.
func (s *evidence) ListGates(ctx context.Context, r *adgv1.ListGatesRequest) (*adgv1.ListGatesResponse, error) {
	d, gates, err := s.o.Control.GatesOf(ctx, caller(ctx), r.GetDeployment())
	if err != nil {
		return nil, err
	}
	page, next, err := stretch(r, wire.Gates(d, gates))
	return &adgv1.ListGatesResponse{Gates: page, NextPageToken: next}, err
}

// ListBaselines are the frozen baselines.
func (s *evidence) ListBaselines(ctx context.Context, r *adgv1.ListBaselinesRequest) (*adgv1.ListBaselinesResponse, error) {
	list, err := newListing(r, func(b adg.Baseline) string { return b.Check })
	if err != nil {
		return nil, err
	}
	d, err := s.o.Control.Deployment(ctx, caller(ctx), r.GetDeployment())
	if err != nil {
		return nil, err
	}
	all, err := s.o.Store.Baselines(ctx, d.ID)
	list.add(all...)
	page, next := list.page()
	return &adgv1.ListBaselinesResponse{Baselines: translated(page, wire.Baseline), NextPageToken: next}, err
}

// ListFacts are what people were told.
func (s *evidence) ListFacts(ctx context.Context, r *adgv1.ListFactsRequest) (*adgv1.ListFactsResponse, error) {
	page, next, err := recorded(ctx, s, r, s.o.Store.Facts, wire.Fact)
	return &adgv1.ListFactsResponse{Facts: page, NextPageToken: next}, err
}

// GetRollbackPlan says what a rollback would do now, and why it could not work.
func (s *evidence) GetRollbackPlan(ctx context.Context, r *adgv1.GetRollbackPlanRequest) (*adgv1.RollbackPlan, error) {
	w, err := s.o.Control.WayBack(ctx, caller(ctx), r.GetDeployment())
	if err != nil {
		return nil, err
	}
	plan := wire.RollbackPlan(w.Deployment, w.Fleet)
	for _, why := range w.Obstacles {
		plan.Obstacles = append(plan.Obstacles, strings.ToValidUTF8(why, "\uFFFD"))
	}
	return plan, nil
}

// Private

// maxDifferences bounds what a replay tells.
const maxDifferences = 100

// ofDeployment is a request for a list that belongs to a deployment.
type ofDeployment interface {
	wire.Listing
	GetDeployment() string
}

// recorded is a page of what is on record of a deployment that the caller may see, in the order in which it came.
func recorded[From, To any](ctx context.Context, s *evidence, r ofDeployment, read func(context.Context, string) ([]From, error), one func(From) To) ([]To, string, error) {
	d, err := s.o.Control.Deployment(ctx, caller(ctx), r.GetDeployment())
	if err != nil {
		return nil, "", err
	}
	all, err := read(ctx, d.ID)
	if err != nil {
		return nil, "", err
	}
	page, next, err := stretch(r, all)
	return translated(page, one), next, err
}

// stretch is a page of a list that only grows at its end.
func stretch[T any](r wire.Listing, all []T) (page []T, next string, err error) {
	size, after, err := numbered(r)
	if err != nil {
		return nil, "", err
	}
	all = all[min(int(after), len(all)):]
	if len(all) <= size {
		return all, "", nil
	}
	return all[:size], wire.PageToken(r, strconv.FormatInt(after+int64(size), 10)), nil
}

// numbered is how many rows a page has, and the number of the last row before it.
func numbered(r wire.Listing) (size int, after int64, err error) {
	if size, err = wire.ReadPageSize(r, 100, 1000); err != nil {
		return 0, 0, err
	}
	token, err := wire.ReadPageToken(r)
	if err != nil || token == "" {
		return size, 0, err
	}
	if after, err = strconv.ParseInt(token, 10, 64); err != nil || after < 0 {
		return size, 0, wire.Wrong("page_token", "the page token is none of this list: leave it out to begin with the first page")
	}
	return size, after, nil
}

func translated[From, To any](all []From, one func(From) To) []To {
	made := make([]To, len(all))
	for i, a := range all {
		made[i] = one(a)
	}
	return made
}
