package identity

import (
	"fmt"
	"slices"
	"strings"

	"github.com/deployguardian/adg"
)

// Permission is a verb on a kind of resource.
type Permission uint8

// The permissions. None is the zero value, and nobody has it.
const (
	PermissionNone Permission = iota
	DeploymentRead            // deployments, their checks and decisions; releases, holds, freezes and stops
	DeploymentStart
	DeploymentCommand // hold, resume, promote, roll back, cancel
	DeploymentApprove // approve, reject
	PolicyRead
	PolicyWrite
	ReleaseMark
	HoldWrite
	FreezeWrite
	StopWrite
	EventRead
	PredictionRead
	ReportRead
	LearnWrite // correct an outcome, train a model
	ConnectionRead
	ConnectionWrite
	AuditRead
	IdentityRead // users and tokens of others, roles
	IdentityWrite
	RoleGrant // only roles that the granting one holds himself, where he holds them
	SettingRead
	SettingWrite
)

var permissionNames = []string{"none", "deployment.read", "deployment.start", "deployment.command", "deployment.approve", "policy.read", "policy.write",
	"release.mark", "hold.write", "freeze.write", "stop.write", "event.read", "prediction.read", "report.read", "learn.write", "connection.read",
	"connection.write", "audit.read", "identity.read", "identity.write", "role.grant", "setting.read", "setting.write"}

// Permissions are all that there are.
func Permissions() []Permission {
	all := make([]Permission, 0, len(permissionNames)-1)
	for p := DeploymentRead; int(p) < len(permissionNames); p++ {
		all = append(all, p)
	}
	return all
}

// String is the permission's name.
func (p Permission) String() string { return nameOf(p, permissionNames) }

// FleetWide tells whether the permission is on what belongs to no single service or environment: it needs a role on all
// of both.
func (p Permission) FleetWide() bool {
	return slices.Contains([]Permission{ConnectionRead, ConnectionWrite, AuditRead, IdentityRead, IdentityWrite, SettingRead, SettingWrite}, p)
}

// Role is a set of permissions.
type Role uint8

// The roles. Viewer is part of each of the others, and Admin has everything.
const (
	RoleNone Role = iota
	Viewer
	Deployer // starts and commands deployments
	Approver // approves them, lifts holds, marks releases, sets freezes
	Admin
)

var roleNames = []string{"none", "viewer", "deployer", "approver", "admin"}

// Roles are all that there are.
func Roles() []Role { return []Role{Viewer, Deployer, Approver, Admin} }

// String is the role's name.
func (r Role) String() string { return nameOf(r, roleNames) }

// MarshalText writes the name.
func (r Role) MarshalText() ([]byte, error) {
	if int(r) >= len(roleNames) {
		return nil, adg.Errorf(adg.Internal, "role %d does not exist", uint8(r))
	}
	return []byte(roleNames[r]), nil
}

// UnmarshalText reads a name.
func (r *Role) UnmarshalText(text []byte) error {
	i := slices.Index(roleNames, string(text))
	if i <= 0 {
		return adg.Errorf(adg.Invalid, "unknown role %.40q: choose one of %s", text, strings.Join(roleNames[1:], ", "))
	}
	*r = Role(i)
	return nil
}

// Has tells whether the role contains the permission.
func (r Role) Has(p Permission) bool {
	viewing := slices.Contains([]Permission{DeploymentRead, PolicyRead, EventRead, PredictionRead, ReportRead}, p)
	switch r {
	case Viewer:
		return viewing
	case Deployer:
		return viewing || p == DeploymentStart || p == DeploymentCommand
	case Approver:
		return viewing || slices.Contains([]Permission{DeploymentApprove, ReleaseMark, HoldWrite, FreezeWrite}, p)
	case Admin:
		return p > PermissionNone && int(p) < len(permissionNames)
	case RoleNone:
		return false
	default:
		return false
	}
}

// Private

// contains tells whether every permission of the other role is one of this role.
func (r Role) contains(other Role) bool {
	return r == other || r == Admin || other == Viewer && r != RoleNone
}

// meet is the role with the permissions that both have.
func (r Role) meet(other Role) Role {
	switch {
	case r.contains(other):
		return other
	case other.contains(r):
		return r
	case r == RoleNone || other == RoleNone:
		return RoleNone
	default:
		return Viewer
	}
}

func nameOf[E ~uint8](e E, names []string) string {
	if int(e) < len(names) {
		return names[e]
	}
	return fmt.Sprintf("invalid(%d)", uint8(e))
}
