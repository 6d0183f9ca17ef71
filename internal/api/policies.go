package api

import (
	"context"
	"errors"
	"fmt"
	"math"

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
	return once(ctx, s.API, r, func() (*adgv1.PolicyVersion, error) {
		after, err := wire.ReadEtag(r.GetEtag(), 0)
		if err != nil {
			return nil, err
		}
		put, err := s.o.Control.PutPolicy(ctx, because(ctx, r.GetReason()), scope(r), r.GetText(), r.GetReason(), after)
		if errors.Is(err, control.ErrOtherPlace) {
			err = wire.InField("text", err)
		}
		return s.parsed(ctx)(put, err)
	})
}

// ApprovePolicy puts a version in force that guards less.
func (s *policies) ApprovePolicy(ctx context.Context, r *adgv1.ApprovePolicyRequest) (*adgv1.PolicyVersion, error) {
	return once(ctx, s.API, r, func() (*adgv1.PolicyVersion, error) {
		check := func(p control.Policy) error {
			if r.GetEtag() != wire.Etag(p.Number) {
				return adg.Advised(adg.Errorf(adg.Conflict, "version %d is not any more as you looked at it", p.Number), "look again, and decide again")
			}
			return nil
		}
		return s.parsed(ctx)(s.o.Control.ApprovePolicy(ctx, because(ctx, r.GetReason()), r.GetService(), r.GetEnvironment(), r.GetVersion(), r.GetReason(), check))
	})
}

// GetPolicy is one version.
func (s *policies) GetPolicy(ctx context.Context, r *adgv1.GetPolicyRequest) (*adgv1.PolicyVersion, error) {
	return s.parsed(ctx)(s.o.Control.Policy(ctx, caller(ctx), r.GetService(), r.GetEnvironment(), r.GetVersion()))
}

// ListPolicies are a page of the newest versions, by service and environment.
func (s *policies) ListPolicies(ctx context.Context, r *adgv1.ListPoliciesRequest) (*adgv1.ListPoliciesResponse, error) {
	size, err := wire.ReadPageSize(r, 100, 1000)
	if err != nil {
		return nil, err
	}
	after, err := wire.ReadPageToken(r)
	if err != nil {
		return nil, err
	}
	wanted := control.PolicyFilter{Services: r.GetServices(), Environments: r.GetEnvironments(), Pending: r.GetPendingApproval(), After: after, Limit: size}
	list, next, err := s.o.Control.Policies(ctx, caller(ctx), wanted)
	return &adgv1.ListPoliciesResponse{Policies: translated(list, s.versionRow(ctx)), NextPageToken: wire.PageToken(r, next)}, err
}

// ListPolicyVersions are a page of the versions of one policy, the newest first.
func (s *policies) ListPolicyVersions(ctx context.Context, r *adgv1.ListPolicyVersionsRequest) (*adgv1.ListPolicyVersionsResponse, error) {
	rows, err := newListing(r, func(p control.Policy) string { return fmt.Sprintf("%019d", math.MaxInt64-p.Number) })
	if err != nil {
		return nil, err
	}
	list, err := s.o.Control.PolicyVersions(ctx, caller(ctx), r.GetService(), r.GetEnvironment())
	rows.add(list...)
	page, next := rows.page()
	return &adgv1.ListPolicyVersionsResponse{Versions: translated(page, s.versionRow(ctx)), NextPageToken: next}, err
}

// LintPolicy says everything that is wrong or doubtful about a policy.
func (s *policies) LintPolicy(ctx context.Context, r *adgv1.LintPolicyRequest) (*adgv1.LintPolicyResponse, error) {
	file, err := s.o.Control.LintPolicy(ctx, caller(ctx), r.GetText())
	problems, other := problemsOf(file, err)
	if other != nil {
		return nil, other
	}
	answer := &adgv1.LintPolicyResponse{Promise: file.Promise, Problems: problems}
	if err == nil {
		answer.Policy = wire.Policy(file.Policy)
	}
	return answer, nil
}

// Private

// problemsOf are what is wrong or doubtful with a text; an error of another kind comes back.
func problemsOf(file config.File, err error) (all []*adgv1.PolicyProblem, other error) {
	problems, wrong := errors.AsType[config.Problems](err)
	if err != nil && !wrong {
		return nil, err
	}
	for _, p := range problems {
		all = append(all, wire.PolicyProblem(p, true))
	}
	for _, w := range file.Warnings {
		all = append(all, wire.PolicyProblem(w, false))
	}
	return all, nil
}

// versionRow is a version in a list: without its text.
func (s *policies) versionRow(ctx context.Context) func(control.Policy) *adgv1.PolicyVersion {
	return func(p control.Policy) *adgv1.PolicyVersion {
		return wire.PolicyVersion(p, nil, s.o.Control.MayApprovePolicy(caller(ctx), p))
	}
}

// parsed answers with a version and what it says.
func (s *policies) parsed(ctx context.Context) func(control.Policy, error) (*adgv1.PolicyVersion, error) {
	return func(p control.Policy, err error) (*adgv1.PolicyVersion, error) {
		if err != nil {
			return nil, err
		}
		mayNot := s.o.Control.MayApprovePolicy(caller(ctx), p)
		file, err := s.o.Control.LintPolicy(ctx, caller(ctx), p.Text)
		if err != nil {
			return wire.PolicyVersion(p, nil, mayNot), nil //nolint:nilerr // a connection is gone: the text is all there is
		}
		return wire.PolicyVersion(p, &file.Policy, mayNot), nil
	}
}
