package api

import (
	"context"

	"google.golang.org/grpc"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/api/wire"
	"github.com/deployguardian/adg/internal/backtest"
	"github.com/deployguardian/adg/internal/control"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// DiffPolicy compares two versions, or a version with a text that is not stored.
func (s *policies) DiffPolicy(ctx context.Context, r *adgv1.DiffPolicyRequest) (*adgv1.DiffPolicyResponse, error) {
	d, err := s.o.Control.DiffPolicy(ctx, caller(ctx), control.Comparison{
		Scope: scope(r), From: r.GetFromVersion(), To: r.GetToVersion(), Text: r.GetToText(),
	})
	if err != nil {
		return nil, err
	}
	return wire.Difference(d), nil
}

// GetPolicySchema is the schema of policies as this server takes them.
func (s *policies) GetPolicySchema(ctx context.Context, _ *adgv1.GetPolicySchemaRequest) (*adgv1.GetPolicySchemaResponse, error) {
	written, err := s.o.Control.PolicySchema(ctx, caller(ctx))
	if err != nil {
		return nil, err
	}
	schema, err := wire.Schema(written)
	return &adgv1.GetPolicySchemaResponse{Schema: schema}, err
}

// TestPolicy asks every query once.
func (s *policies) TestPolicy(ctx context.Context, r *adgv1.TestPolicyRequest) (*adgv1.TestPolicyResponse, error) {
	t := control.PolicyTest{Scope: scope(r), Text: r.GetText(), Checks: r.GetChecks(), Previous: r.GetPrevious()}
	if r.GetRelease() != nil {
		named := r.GetRelease()
		if named.GetService() != "" && named.GetService() != r.GetService() {
			return nil, wire.Wrong("release.service", "the release is one of %.80q, and the policy one of %.80q", named.GetService(), r.GetService())
		}
		named.Service = r.GetService()
		var err error
		if t.Release, err = wire.ReadRelease(named); err != nil {
			return nil, err
		}
	}
	file, tested, err := s.o.World.TestPolicy(ctx, caller(ctx), t)
	problems, other := problemsOf(file, err)
	if other != nil {
		return nil, other
	}
	answer := &adgv1.TestPolicyResponse{Problems: problems}
	for _, one := range tested.Checks {
		answer.Checks = append(answer.Checks, wire.CheckTest(tested.Spec.Policy, one.Measurements, one.Judgement))
	}
	if err == nil {
		answer.Rollback = wire.RollbackOf(tested.Spec, tested.Obstacles, tested.Doubt)
	}
	return answer, nil
}

// BacktestPolicy tells what a policy would have done, case by case.
func (s *policies) BacktestPolicy(r *adgv1.BacktestPolicyRequest, stream grpc.ServerStreamingServer[adgv1.BacktestPolicyResponse]) error {
	from, err := wire.ReadTimestamp("from_time", r.GetFromTime())
	if err != nil {
		return err
	}
	to, err := wire.ReadTimestamp("to_time", r.GetToTime())
	if err != nil {
		return err
	}
	last := &adgv1.BacktestPolicyResponse{}
	b := control.Backtest{Scope: scope(r), Text: r.GetText(), From: from, To: to, Limit: int(r.GetLimit())}
	summary, err := s.o.Control.BacktestPolicy(stream.Context(), caller(stream.Context()), b, func(done, all int, one backtest.Case) error {
		last.Done, last.All = int32(done), int32(all) //nolint:gosec // 1,000 at most
		return stream.Send(&adgv1.BacktestPolicyResponse{Done: last.GetDone(), All: last.GetAll(), Case: wire.BacktestCase(one)})
	})
	if err != nil {
		return err
	}
	last.Summary = wire.BacktestSummary(summary)
	return stream.Send(last)
}

// Private

// scope is what a request is about.
func scope(r interface {
	GetService() string
	GetEnvironment() string
}) adg.Scope {
	return adg.Scope{Service: r.GetService(), Environment: r.GetEnvironment()}
}
