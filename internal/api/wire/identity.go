package wire

import (
	"github.com/deployguardian/adg/internal/identity"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// Identity is who somebody is. His name for people is for the caller to set where he knows it, and so is who gave him his
// roles.
func Identity(who identity.Identity) *adgv1.Identity {
	return &adgv1.Identity{
		Subject: text(who.Subject), Kind: identityKinds.to(who.Kind), Person: text(who.Person), Groups: texts(who.Groups),
		Bindings: each(who.Bindings, Binding),
	}
}

// GivenBindings are the roles that somebody has, with who gave them. What a token was made for its maker gave it.
func GivenBindings(who identity.Identity, given map[identity.Binding]identity.Given) []*adgv1.RoleBinding {
	return each(who.Bindings, func(b identity.Binding) *adgv1.RoleBinding {
		by, kept := given[b]
		if !kept && who.Kind == identity.KindToken {
			by.By = who.Person
		}
		return GivenBinding(b, by)
	})
}

// Grants are the permissions that somebody has, and where.
func Grants(who identity.Identity) []*adgv1.Grant {
	var made []*adgv1.Grant
	for _, p := range identity.Permissions() {
		for _, b := range who.Bindings {
			if b.Role.Has(p) && identity.Allowed(only(who, b), p, b.Service, b.Environment) == nil {
				made = append(made, &adgv1.Grant{Permission: p.String(), Service: text(b.Service), Environment: text(b.Environment)})
			}
		}
	}
	return made
}

// only is the identity with one of its bindings.
func only(who identity.Identity, b identity.Binding) identity.Identity {
	who.Bindings = []identity.Binding{b}
	return who
}

// Binding is a role that somebody has somewhere. Its id stands for all of it, so it never changes.
func Binding(b identity.Binding) *adgv1.RoleBinding {
	return &adgv1.RoleBinding{
		Id: BindingID(b), Subject: text(b.Subject), Role: b.Role.String(), Service: text(b.Service), Environment: text(b.Environment),
		Etag: Etag(identity.Unchanging),
	}
}

// GivenBinding is a role with who gave it.
func GivenBinding(b identity.Binding, by identity.Given) *adgv1.RoleBinding {
	wired := Binding(b)
	wired.Creator, wired.CreateTime = text(by.By), Timestamp(by.At)
	return wired
}

// BindingID names a binding. It is compared and never read.
func BindingID(b identity.Binding) string {
	return digest(b.Subject, b.Role.String(), b.Service, b.Environment)
}

// ReadBinding is the binding that a caller wants to give, validated.
func ReadBinding(b *adgv1.CreateRoleBindingRequest) (identity.Binding, error) {
	read := identity.Binding{Subject: b.GetSubject(), Service: b.GetService(), Environment: b.GetEnvironment()}
	if err := read.Role.UnmarshalText([]byte(b.GetRole())); err != nil {
		return read, InField("role", err)
	}
	return read, read.Validate()
}

// User is somebody who can log in.
func User(u identity.User) *adgv1.User {
	return &adgv1.User{
		Name: text(u.Name), Provider: text(u.Issuer), Disabled: u.Disabled, CreateTime: Timestamp(u.Created),
		LoginTime: Timestamp(u.Login), Groups: texts(u.Groups), DisplayName: text(u.DisplayName), Email: text(u.Email), Locked: u.Locked, Etag: Etag(u.Version),
	}
}

// Token is an API token without its secret. Of several places where it has a role the first one is shown.
func Token(t identity.Token) *adgv1.Token {
	made := &adgv1.Token{
		Id: text(t.ID), Name: text(t.Label), Creator: text(t.Person), CreateTime: Timestamp(t.Created), ExpireTime: Timestamp(t.Expires),
		UseTime: Timestamp(t.Used), Etag: Etag(identity.Unchanging),
	}
	if len(t.Scope) > 0 {
		b := t.Scope[0]
		made.Role, made.Service, made.Environment = b.Role.String(), text(b.Service), text(b.Environment)
	}
	return made
}

// RoleDescription says what a role may do.
func RoleDescription(r identity.Role) *adgv1.RoleDescription {
	made := &adgv1.RoleDescription{Role: r.String()}
	switch r {
	case identity.Viewer:
		made.Text = "Sees deployments, policies, events, predictions and reports."
	case identity.Deployer:
		made.Text = "Starts deployments and commands them, and sees what a viewer sees."
	case identity.Approver:
		made.Text = "Approves and rejects, marks releases good, holds them and sets freeze windows, and sees what a viewer sees."
	case identity.Admin:
		made.Text = "May do everything."
	case identity.RoleNone:
	}
	for _, p := range identity.Permissions() {
		if r.Has(p) {
			made.Permissions = append(made.Permissions, p.String())
		}
	}
	return made
}
