package api

import (
	"context"
	"strings"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/api/wire"
	"github.com/deployguardian/adg/internal/identity"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// CreateUser makes a local user.
func (s *identities) CreateUser(ctx context.Context, r *adgv1.CreateUserRequest) (*adgv1.User, error) {
	return once(ctx, s.API, r, func() (*adgv1.User, error) {
		who := because(ctx, r.GetReason())
		p := identity.Profile{DisplayName: r.GetDisplayName(), Email: r.GetEmail()}
		if err := s.o.Directory.CreateUserWith(ctx, who, r.GetName(), adg.NewSecret(r.GetPassword()), p); err != nil {
			return nil, err
		}
		return userOf(s.o.Directory.User(ctx, who, r.GetName()))
	})
}

// GetUser gives one.
func (s *identities) GetUser(ctx context.Context, r *adgv1.GetUserRequest) (*adgv1.User, error) {
	return userOf(s.o.Directory.User(ctx, caller(ctx), r.GetName()))
}

// ListUsers gives a page of users.
func (s *identities) ListUsers(ctx context.Context, r *adgv1.ListUsersRequest) (*adgv1.ListUsersResponse, error) {
	rows, err := newListing(r, func(u identity.User) string { return u.Name })
	if err != nil {
		return nil, err
	}
	const most = 1000
	after := rows.after
	for len(rows.rows) <= rows.size {
		found, err := s.o.Directory.Users(ctx, caller(ctx), after, most)
		if err != nil {
			return nil, err
		}
		for _, u := range found {
			if strings.HasPrefix(u.Name, r.GetPrefix()) && (u.Disabled || !r.GetDisabled()) {
				rows.add(u)
			}
			after = u.Name
		}
		if len(found) < most {
			break
		}
	}
	answer := &adgv1.ListUsersResponse{}
	page, next := rows.page()
	for _, u := range page {
		one, err := userOf(u, nil)
		if err != nil {
			return nil, err
		}
		answer.Users = append(answer.Users, one)
	}
	answer.NextPageToken = next
	return answer, nil
}

// UpdateUser changes one.
func (s *identities) UpdateUser(ctx context.Context, r *adgv1.UpdateUserRequest) (*adgv1.User, error) {
	return once(ctx, s.API, r, func() (*adgv1.User, error) {
		who, err := lookedAt(ctx, r)
		if err != nil {
			return nil, err
		}
		if who.Version == 0 {
			return nil, wire.Wrong("etag", "the etag of the user that was looked at is missing: get the user, and send its etag along")
		}
		if r.GetLocked() {
			return nil, wire.Wrong("locked", "locked can only be set to false: to keep a user out, disable him")
		}
		u := identity.Update{DisplayName: r.DisplayName, Email: r.Email, Disabled: r.Disabled, Unlock: r.Locked != nil}
		if r.Password != nil {
			wanted := adg.NewSecret(r.GetPassword())
			u.Password = &wanted
		}
		return userOf(s.o.Directory.UpdateUser(ctx, who, r.GetName(), u))
	})
}

// DeleteUser removes one.
func (s *identities) DeleteUser(ctx context.Context, r *adgv1.DeleteUserRequest) (*adgv1.DeleteUserResponse, error) {
	return once(ctx, s.API, r, func() (*adgv1.DeleteUserResponse, error) {
		who, err := lookedAt(ctx, r)
		if err != nil {
			return nil, err
		}
		return &adgv1.DeleteUserResponse{}, s.o.Directory.RemoveUser(ctx, who, r.GetName())
	})
}

// Private

func userOf(u identity.User, err error) (*adgv1.User, error) {
	if err != nil {
		return nil, err
	}
	return wire.User(u), nil
}
