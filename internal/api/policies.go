package api

import (
	"context"
	"errors"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/api/wire"
	"github.com/deployguardian/adg/internal/config"
	"github.com/deployguardian/adg/internal/control"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// policies answers PolicyService.
type policies struct {
	adgv1.UnimplementedPolicyServiceServer
	*API
}

// PutPolicy adds a version.
func (s *policies) PutPolicy(ctx context.Context, r *adgv1.PutPolicyRequest) (*adgv1.PolicyVersion, error) {
	if service, environment := config.About([]byte(r.GetText())); r.GetService() != "" && service != r.GetService() || r.GetEnvironment() != "" && environment != r.GetEnvironment() {
		return nil, adg.Errorf(adg.Invalid, "the policy is for %q in %q, not for %s in %s", service, environment, r.GetService(), r.GetEnvironment())
	}
	after, err := wire.ReadEtag(r.GetEtag(), 0)
	if err != nil {
		return nil, err
	}
	return s.parsed(ctx)(s.o.Control.PutPolicy(ctx, because(ctx, r.GetReason()), r.GetText(), r.GetReason(), after))
}

// ApprovePolicy puts a version in force that guards less.
func (s *policies) ApprovePolicy(ctx context.Context, r *adgv1.ApprovePolicyRequest) (*adgv1.PolicyVersion, error) {
	return s.parsed(ctx)(s.o.Control.ApprovePolicy(ctx, because(ctx, r.GetReason()), r.GetService(), r.GetEnvironment(), r.GetVersion(), r.GetReason()))
}

// GetPolicy is one version.
func (s *policies) GetPolicy(ctx context.Context, r *adgv1.GetPolicyRequest) (*adgv1.PolicyVersion, error) {
	return s.parsed(ctx)(s.o.Control.Policy(ctx, caller(ctx), r.GetService(), r.GetEnvironment(), r.GetVersion()))
}

// ListPolicies are the policies in force.
func (s *policies) ListPolicies(ctx context.Context, r *adgv1.ListPoliciesRequest) (*adgv1.ListPoliciesResponse, error) {
	after, err := wire.ReadPageToken(r)
	if err != nil {
		return nil, err
	}
	list, next, err := s.o.Control.Policies(ctx, caller(ctx), after, pageSize(r.GetPageSize()))
	answer := &adgv1.ListPoliciesResponse{}
	for _, p := range list {
		if among(r.GetServices(), p.Service) && among(r.GetEnvironments(), p.Environment) {
			p.Text = ""
			answer.Policies = append(answer.Policies, wire.PolicyVersion(p, nil))
		}
	}
	if next != "" {
		answer.NextPageToken = wire.PageToken(r, next)
	}
	return answer, err
}

// ListPolicyVersions are all versions of one policy, the newest first.
func (s *policies) ListPolicyVersions(ctx context.Context, r *adgv1.ListPolicyVersionsRequest) (*adgv1.ListPolicyVersionsResponse, error) {
	list, err := s.o.Control.PolicyVersions(ctx, caller(ctx), r.GetService(), r.GetEnvironment())
	answer := &adgv1.ListPolicyVersionsResponse{}
	for _, p := range list {
		p.Text = ""
		answer.Versions = append(answer.Versions, wire.PolicyVersion(p, nil))
	}
	return answer, err
}

// LintPolicy says everything that is wrong or doubtful about a policy.
func (s *policies) LintPolicy(ctx context.Context, r *adgv1.LintPolicyRequest) (*adgv1.LintPolicyResponse, error) {
	file, err := s.o.Control.LintPolicy(ctx, caller(ctx), r.GetText())
	answer := &adgv1.LintPolicyResponse{Promise: file.Promise}
	problems, wrong := errors.AsType[config.Problems](err)
	if err != nil && !wrong {
		return nil, err
	}
	for _, p := range problems {
		answer.Problems = append(answer.Problems, wire.PolicyProblem(p, true))
	}
	for _, w := range file.Warnings {
		answer.Problems = append(answer.Problems, wire.PolicyProblem(w, false))
	}
	if err == nil {
		answer.Policy = wire.Policy(file.Policy)
	}
	return answer, nil
}

// Private

// parsed answers with a version and what it says.
func (s *policies) parsed(ctx context.Context) func(control.Policy, error) (*adgv1.PolicyVersion, error) {
	return func(p control.Policy, err error) (*adgv1.PolicyVersion, error) {
		if err != nil {
			return nil, err
		}
		file, err := s.o.Control.LintPolicy(ctx, caller(ctx), p.Text)
		if err != nil {
			return wire.PolicyVersion(p, nil), nil //nolint:nilerr // a connection is gone: the text is all there is
		}
		return wire.PolicyVersion(p, &file.Policy), nil
	}
}
