package api

import (
	"context"
	"errors"
	"strings"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/api/wire"
	"github.com/deployguardian/adg/internal/identity"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// identities answers IdentityService.
type identities struct {
	adgv1.UnimplementedIdentityServiceServer
	*API
}

// WhoAmI says who the caller is and what he may do.
func (s *identities) WhoAmI(ctx context.Context, _ *adgv1.WhoAmIRequest) (*adgv1.WhoAmIResponse, error) {
	who := caller(ctx)
	given, err := s.o.Directory.Given(ctx)
	if err != nil {
		return nil, err
	}
	answer := &adgv1.WhoAmIResponse{Identity: wire.Identity(who.Identity), ExpireTime: wire.Timestamp(who.Until), Grants: wire.Grants(who.Identity)}
	answer.Identity.Bindings = wire.GivenBindings(who.Identity, given)
	if identity.InPerson(who.Identity) == nil {
		u, err := s.o.Directory.User(ctx, who, who.Person)
		if err != nil {
			return nil, err
		}
		answer.Identity.DisplayName = u.DisplayName
	}
	return answer, nil
}

// CheckAccess says whether the caller may do something.
func (s *identities) CheckAccess(ctx context.Context, r *adgv1.CheckAccessRequest) (*adgv1.CheckAccessResponse, error) {
	var choices []string
	for _, p := range identity.Permissions() {
		if p.String() != r.GetPermission() {
			choices = append(choices, p.String())
			continue
		}
		err := identity.Allowed(caller(ctx).Identity, p, r.GetService(), r.GetEnvironment())
		if err == nil {
			return &adgv1.CheckAccessResponse{Allowed: true}, nil
		}
		if !errors.Is(err, identity.ErrDenied) {
			return nil, err
		}
		return &adgv1.CheckAccessResponse{WhyNot: strings.ToValidUTF8(err.Error(), "\uFFFD")}, nil
	}
	return nil, wire.Wrong("permission", "unknown permission %.40q: choose one of %s", r.GetPermission(), strings.Join(choices, ", "))
}

// ChangePassword changes the caller's own password. All his sessions end; a browser gets a new one in place of its own.
func (s *identities) ChangePassword(ctx context.Context, r *adgv1.ChangePasswordRequest) (*adgv1.ChangePasswordResponse, error) {
	return once(ctx, s.API, r, func() (*adgv1.ChangePasswordResponse, error) {
		who := because(ctx, r.GetReason())
		if err := identity.InPerson(who.Identity); err != nil {
			return nil, err
		}
		open, err := s.o.Directory.Sessions(ctx, who, who.Person)
		if err != nil {
			return nil, err
		}
		wanted := adg.NewSecret(r.GetWanted())
		if err := s.o.Directory.ChangePassword(ctx, who, adg.NewSecret(r.GetCurrent()), wanted); err != nil {
			return nil, err
		}
		answer := &adgv1.ChangePasswordResponse{EndedSessions: int32(min(len(open), 1000))} //nolint:gosec // at most 1,000
		if !inside(ctx) {
			return answer, nil
		}
		again, err := s.o.Directory.Login(ctx, identity.Attempt{Name: who.Person, Password: wanted, From: who.From, Agent: agent(ctx)})
		if err != nil {
			return answer, carry(ctx, metaCookie, "") // the password is another one all the same: he logs in with it
		}
		answer.EndedSessions--
		return answer, carry(ctx, metaCookie, again.Credential.Reveal())
	})
}

// CreateToken makes a token.
func (s *identities) CreateToken(ctx context.Context, r *adgv1.CreateTokenRequest) (*adgv1.CreateTokenResponse, error) {
	return once(ctx, s.API, r, func() (*adgv1.CreateTokenResponse, error) {
		life, err := wire.ReadDuration("lifetime", r.GetLifetime())
		if err != nil {
			return nil, err
		}
		scope := identity.Binding{Service: r.GetService(), Environment: r.GetEnvironment()}
		if err := scope.Role.UnmarshalText([]byte(r.GetRole())); err != nil {
			return nil, wire.InField("role", err)
		}
		secret, made, err := s.o.Directory.CreateToken(ctx, because(ctx, r.GetReason()), identity.NewToken{Label: r.GetName(), Scope: []identity.Binding{scope}, Life: life})
		if err != nil {
			return nil, err
		}
		return &adgv1.CreateTokenResponse{Token: wire.Token(made), Secret: secret.Reveal()}, nil
	})
}

// ListTokens gives a page of tokens.
func (s *identities) ListTokens(ctx context.Context, r *adgv1.ListTokensRequest) (*adgv1.ListTokensResponse, error) {
	rows, err := newListing(r, func(t identity.Token) string { return newestFirst(t.Created, t.ID) })
	if err != nil {
		return nil, err
	}
	now, err := s.o.Store.Now(ctx)
	if err != nil {
		return nil, err
	}
	who := caller(ctx)
	f := identity.TokenFilter{Person: r.GetCreator(), Limit: 1000}
	if f.Person == "" && !identity.Sees(who.Identity, identity.IdentityRead)("", "") {
		f.Person = who.Person
	}
	for {
		found, err := s.o.Directory.Tokens(ctx, who, f)
		if err != nil {
			return nil, err
		}
		for _, t := range found {
			if r.GetRevoked() || now.Before(t.Expires) {
				rows.add(t)
			}
			f.After = t.ID
		}
		if len(found) < f.Limit {
			break
		}
	}
	answer := &adgv1.ListTokensResponse{}
	page, next := rows.page()
	for _, t := range page {
		answer.Tokens = append(answer.Tokens, wire.Token(t))
	}
	answer.NextPageToken = next
	return answer, nil
}

// RevokeToken ends a token.
func (s *identities) RevokeToken(ctx context.Context, r *adgv1.RevokeTokenRequest) (*adgv1.RevokeTokenResponse, error) {
	return once(ctx, s.API, r, func() (*adgv1.RevokeTokenResponse, error) {
		who, err := lookedAt(ctx, r)
		if err != nil {
			return nil, err
		}
		return &adgv1.RevokeTokenResponse{}, s.o.Directory.RevokeToken(ctx, who, r.GetId())
	})
}

// ListSessions gives a page of open sessions.
func (s *identities) ListSessions(ctx context.Context, r *adgv1.ListSessionsRequest) (*adgv1.ListSessionsResponse, error) {
	rows, err := newListing(r, func(o identity.Session) string { return newestFirst(o.Started, o.ID) })
	if err != nil {
		return nil, err
	}
	who, person := caller(ctx), r.GetUser()
	if person == "" {
		person = who.Person
	}
	open, err := s.o.Directory.Sessions(ctx, who, person)
	if err != nil {
		return nil, err
	}
	rows.add(open...)
	answer := &adgv1.ListSessionsResponse{}
	page, next := rows.page()
	for _, o := range page {
		answer.Sessions = append(answer.Sessions, &adgv1.Session{Id: o.ID, User: o.Person, Address: o.From, Agent: o.Agent, CreateTime: wire.Timestamp(o.Started),
			UseTime: wire.Timestamp(o.Seen), ExpireTime: wire.Timestamp(o.Until), Current: o.ID == who.Session, Etag: wire.Etag(identity.Unchanging)})
	}
	answer.NextPageToken = next
	return answer, nil
}

// RevokeSession ends a session; a browser that ends its own loses the cookie.
func (s *identities) RevokeSession(ctx context.Context, r *adgv1.RevokeSessionRequest) (*adgv1.RevokeSessionResponse, error) {
	return once(ctx, s.API, r, func() (*adgv1.RevokeSessionResponse, error) {
		who, err := lookedAt(ctx, r)
		if err != nil {
			return nil, err
		}
		if err := s.o.Directory.RevokeSession(ctx, who, r.GetId()); err != nil {
			return nil, err
		}
		if r.GetId() != who.Session {
			return &adgv1.RevokeSessionResponse{}, nil
		}
		return &adgv1.RevokeSessionResponse{}, carry(ctx, metaCookie, "")
	})
}

// Private

// lookedAt is the caller with what he says why and the version of what he looked at.
func lookedAt(ctx context.Context, r interface {
	GetEtag() string
	GetReason() string
}) (who identity.Caller, err error) {
	who = because(ctx, r.GetReason())
	who.Version, err = wire.ReadEtag(r.GetEtag(), 0)
	return who, err
}
