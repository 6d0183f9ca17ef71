package api

import (
	"context"
	"strings"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/api/wire"
	"github.com/deployguardian/adg/internal/identity"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// CreateRoleBinding gives a role to a subject.
func (s *identities) CreateRoleBinding(ctx context.Context, r *adgv1.CreateRoleBindingRequest) (*adgv1.RoleBinding, error) {
	return once(ctx, s.API, r, func() (*adgv1.RoleBinding, error) {
		b, err := wire.ReadBinding(r)
		if err != nil {
			return nil, err
		}
		if err := s.o.Directory.Grant(ctx, because(ctx, r.GetReason()), b); err != nil {
			return nil, err
		}
		given, err := s.o.Directory.Given(ctx)
		return wire.GivenBinding(b, given[b]), err
	})
}

// ListRoleBindings gives a page of the roles that were given.
func (s *identities) ListRoleBindings(ctx context.Context, r *adgv1.ListRoleBindingsRequest) (*adgv1.ListRoleBindingsResponse, error) {
	rows, err := newListing(r, func(b identity.Binding) string {
		return strings.Join([]string{b.Subject, b.Role.String(), b.Service, b.Environment}, "\x00")
	})
	if err != nil {
		return nil, err
	}
	found, err := s.o.Directory.Bindings(ctx, caller(ctx))
	if err != nil {
		return nil, err
	}
	given, err := s.o.Directory.Given(ctx)
	if err != nil {
		return nil, err
	}
	var asked []identity.Binding
	for _, b := range found {
		if r.GetSubject() == "" || b.Subject == r.GetSubject() {
			asked = append(asked, b)
		}
	}
	rows.add(asked...)
	answer := &adgv1.ListRoleBindingsResponse{}
	page, next := rows.page()
	for _, b := range page {
		answer.Bindings = append(answer.Bindings, wire.GivenBinding(b, given[b]))
	}
	answer.NextPageToken = next
	return answer, nil
}

// DeleteRoleBinding takes a role away.
func (s *identities) DeleteRoleBinding(ctx context.Context, r *adgv1.DeleteRoleBindingRequest) (*adgv1.DeleteRoleBindingResponse, error) {
	return once(ctx, s.API, r, func() (*adgv1.DeleteRoleBindingResponse, error) {
		who, err := lookedAt(ctx, r)
		if err != nil {
			return nil, err
		}
		found, err := s.o.Directory.Bindings(ctx, who)
		if err != nil {
			return nil, err
		}
		for _, b := range found {
			if wire.BindingID(b) == r.GetId() {
				return &adgv1.DeleteRoleBindingResponse{}, s.o.Directory.Revoke(ctx, who, b)
			}
		}
		// Who is shown some of them only is told the same, whether it exists or not.
		if err := identity.Allowed(who.Identity, identity.RoleGrant, "", ""); err != nil {
			return nil, err
		}
		return nil, adg.Errorf(adg.NotFound, "there is no role binding %.60q", r.GetId())
	})
}

// ListRoles lists the roles, the weakest first.
func (s *identities) ListRoles(_ context.Context, r *adgv1.ListRolesRequest) (*adgv1.ListRolesResponse, error) {
	rows, err := newListing(r, func(role identity.Role) string { return string(rune('0' + role)) })
	if err != nil {
		return nil, err
	}
	rows.add(identity.Roles()...)
	answer := &adgv1.ListRolesResponse{}
	page, next := rows.page()
	for _, role := range page {
		answer.Roles = append(answer.Roles, wire.RoleDescription(role))
	}
	answer.NextPageToken = next
	return answer, nil
}
