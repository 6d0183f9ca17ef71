package api_test

import (
	"fmt"

	"github.com/deployguardian/adg/internal/identity"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// Of whom a method asks what.
type demand uint8

const (
	ofNobody   demand = iota // everybody may call it, logged in or not
	ofLogin                  // everybody who is logged in
	ofPerson                 // everybody who is logged in himself: no token
	here                     // who has the permission for the shop in production, which the request names
	everywhere               // who has the permission for all services in all environments together
	sees                     // everybody who is logged in; he is shown what he has the permission for
	forShop                  // who has the permission for the shop in all environments
	somewhere                // who has the permission for anything at all
)

// method is what one method of the API demands, and a request that somebody who may is answered well.
type method struct {
	demand
	permission identity.Permission
	ask        func(*matrix) string // JSON; what it needs is made before. nil: {}
	hides      bool                 // who may not read the thing does not learn that it is there: NotFound
	own        bool                 // everybody may do it with what is his own; the request names what is somebody else's
	public     bool                 // its answer holds nothing that is somebody's
	code       string               // how it is answered where no good answer can be had here; empty: well
}

// methods are all of them: whoever adds one to the API says here what it demands.
var methods = map[string]method{
	"AuditService/ListAuditEntries": {demand: everywhere, permission: identity.AuditRead},
	"AuditService/VerifyAuditLog":   {demand: everywhere, permission: identity.AuditRead},

	"CatalogService/ListServices": {demand: sees, permission: identity.DeploymentRead},
	"CatalogService/GetService":   {demand: here, permission: identity.DeploymentRead, ask: says(`{"service": "shop"}`), hides: true},
	"CatalogService/UpdateService": {demand: forShop, permission: identity.PolicyWrite, ask: func(m *matrix) string {
		etag := m.field(&adgv1.Service{}, "etag", "CatalogService/GetService", `{"service": "shop"}`)
		return `{"service": "shop", "team": "` + marker + `", "etag": "` + etag + `", "reason": "r"}`
	}, hides: true},
	"CatalogService/GetServiceFigures":    {demand: here, permission: identity.DeploymentRead, ask: says(`{"service": "shop", "environment": "production"}`), hides: true},
	"CatalogService/ListServiceBaselines": {demand: here, permission: identity.DeploymentRead, ask: says(`{"service": "shop", "environment": "production"}`), hides: true},
	"CatalogService/ListEnvironments":     {demand: sees, permission: identity.DeploymentRead, public: true},

	"ConnectionService/CreateConnection": {demand: everywhere, permission: identity.ConnectionWrite, ask: func(m *matrix) string {
		return fmt.Sprintf(`{"connection": {"name": "new-%d", "seam": "SEAM_TARGET", "type": "webhook", "options": {"url": "http://127.0.0.1:1/x"}, "services": ["*"], "environments": ["*"]}, "reason": "r"}`, m.next())
	}},
	"ConnectionService/GetConnection":   {demand: everywhere, permission: identity.ConnectionRead, ask: says(`{"name": "prom"}`)},
	"ConnectionService/ListConnections": {demand: everywhere, permission: identity.ConnectionRead},
	"ConnectionService/UpdateConnection": {demand: everywhere, permission: identity.ConnectionWrite, ask: func(m *matrix) string {
		etag := m.field(&adgv1.Connection{}, "etag", "ConnectionService/GetConnection", `{"name": "spare"}`)
		return `{"connection": {"name": "spare", "seam": "SEAM_TARGET", "type": "webhook", "options": {"url": "http://127.0.0.1:1/y"}, "services": ["*"], "environments": ["*"]}, "etag": "` + etag + `", "reason": "r"}`
	}},
	"ConnectionService/DeleteConnection": {demand: everywhere, permission: identity.ConnectionWrite, ask: func(m *matrix) string {
		name := fmt.Sprintf("old-%d", m.next())
		m.root("ConnectionService/CreateConnection", `{"connection": {"name": "`+name+`", "seam": "SEAM_TARGET", "type": "webhook", "options": {"url": "http://127.0.0.1:1/x"}, "services": ["*"], "environments": ["*"]}}`)
		return `{"name": "` + name + `", "reason": "r"}`
	}},
	"ConnectionService/TestConnection": {demand: everywhere, permission: identity.ConnectionWrite, ask: says(`{"name": "prom", "reason": "r"}`)},
	"ConnectionService/ListDrivers":    {demand: everywhere, permission: identity.ConnectionRead},

	"DeploymentService/StartDeployment": {demand: here, permission: identity.DeploymentStart, ask: func(m *matrix) string {
		return fmt.Sprintf(`{"environment": "production", "release": {"service": "shop", "version": "v%d"}, "reason": "r", "idempotencyKey": "k"}`, m.next())
	}},
	"DeploymentService/PlanDeployment":     {demand: here, permission: identity.DeploymentRead, ask: says(`{"environment": "production", "release": {"service": "shop", "version": "v3"}}`)},
	"DeploymentService/GetDeployment":      {demand: here, permission: identity.DeploymentRead, ask: (*matrix).deployment, hides: true},
	"DeploymentService/ListDeployments":    {demand: sees, permission: identity.DeploymentRead},
	"DeploymentService/WatchDeployment":    {demand: here, permission: identity.DeploymentRead, ask: (*matrix).deployment, hides: true},
	"DeploymentService/WatchDeployments":   {demand: sees, permission: identity.DeploymentRead},
	"DeploymentService/PromoteDeployment":  {demand: here, permission: identity.DeploymentCommand, ask: (*matrix).command, hides: true},
	"DeploymentService/HoldDeployment":     {demand: here, permission: identity.DeploymentCommand, ask: (*matrix).command, hides: true},
	"DeploymentService/ResumeDeployment":   {demand: here, permission: identity.DeploymentCommand, ask: (*matrix).command, hides: true},
	"DeploymentService/RollBackDeployment": {demand: here, permission: identity.DeploymentCommand, ask: (*matrix).command, hides: true},
	"DeploymentService/CancelDeployment":   {demand: here, permission: identity.DeploymentCommand, ask: (*matrix).command, hides: true},
	"DeploymentService/ApproveDeployment":  {demand: here, permission: identity.DeploymentApprove, ask: (*matrix).command, hides: true},
	"DeploymentService/RejectDeployment":   {demand: here, permission: identity.DeploymentApprove, ask: (*matrix).command, hides: true},

	"EventService/ListEvents":         {demand: sees, permission: identity.EventRead},
	"EventService/StreamEvents":       {demand: sees, permission: identity.EventRead, ask: says(`{"after": "0", "kinds": ["FACT_KIND_STARTED"]}`)},
	"EventService/ListDeadDeliveries": {demand: sees, permission: identity.EventRead, ask: func(m *matrix) string { m.abandoned(); return `{}` }},
	"EventService/RetryDelivery":      {demand: here, permission: identity.DeploymentCommand, ask: (*matrix).abandoned, hides: true},

	"EvidenceService/ListChecks":       evidence(`{"deployment": "$"}`),
	"EvidenceService/ListMeasurements": evidence(`{"deployment": "$"}`),
	"EvidenceService/ListAssessments":  evidence(`{"deployment": "$"}`),
	"EvidenceService/ListDecisions":    evidence(`{"deployment": "$"}`),
	"EvidenceService/GetEvidence":      {demand: here, permission: identity.DeploymentRead, ask: (*matrix).decided, hides: true},
	"EvidenceService/ReplayDecisions":  evidence(`{"deployment": "$"}`),
	"EvidenceService/ListEffects":      evidence(`{"deployment": "$"}`),
	"EvidenceService/ListGates":        evidence(`{"deployment": "$"}`),
	"EvidenceService/ListBaselines":    evidence(`{"deployment": "$"}`),
	"EvidenceService/ListFacts":        evidence(`{"deployment": "$"}`),
	"EvidenceService/GetRollbackPlan":  evidence(`{"deployment": "$"}`),

	"IdentityService/WhoAmI":         {demand: ofLogin},
	"IdentityService/CheckAccess":    {demand: ofLogin, ask: says(`{"permission": "deployment.start", "service": "shop", "environment": "production"}`)},
	"IdentityService/ChangePassword": {demand: ofPerson, ask: says(`{"current": "not the current one", "wanted": "short"}`), code: "InvalidArgument"},
	"IdentityService/CreateUser": {demand: everywhere, permission: identity.IdentityWrite, ask: func(m *matrix) string {
		return fmt.Sprintf(`{"name": "new-%d", "password": "correct horse battery", "reason": "r"}`, m.next())
	}},
	"IdentityService/GetUser":   {demand: everywhere, permission: identity.IdentityRead, ask: says(`{"name": "` + marker + `"}`), own: true},
	"IdentityService/ListUsers": {demand: everywhere, permission: identity.IdentityRead},
	"IdentityService/UpdateUser": {demand: everywhere, permission: identity.IdentityWrite, ask: func(m *matrix) string {
		etag := m.field(&adgv1.User{}, "etag", "IdentityService/GetUser", `{"name": "`+marker+`"}`)
		return `{"name": "` + marker + `", "displayName": "` + marker + `", "etag": "` + etag + `", "reason": "r"}`
	}},
	"IdentityService/DeleteUser": {demand: everywhere, permission: identity.IdentityWrite, ask: func(m *matrix) string {
		name := fmt.Sprintf("old-%d", m.next())
		m.root("IdentityService/CreateUser", `{"name": "`+name+`", "password": "correct horse battery"}`)
		return `{"name": "` + name + `", "reason": "r"}`
	}},
	"IdentityService/CreateToken": {demand: here, permission: identity.RoleGrant, own: true,
		ask: says(`{"name": "t", "role": "admin", "service": "shop", "environment": "production", "reason": "r"}`)},
	"IdentityService/ListTokens": {demand: everywhere, permission: identity.IdentityRead, ask: says(`{"creator": "` + marker + `"}`), own: true},
	"IdentityService/RevokeToken": {demand: everywhere, permission: identity.IdentityWrite, ask: func(m *matrix) string {
		return `{"id": "` + m.tokenOfAnother() + `", "reason": "r"}`
	}, own: true},
	"IdentityService/CreateRoleBinding": {demand: here, permission: identity.RoleGrant, ask: func(m *matrix) string {
		return fmt.Sprintf(`{"subject": "group:g%d", "role": "viewer", "service": "shop", "environment": "production", "reason": "r"}`, m.next())
	}},
	"IdentityService/ListRoleBindings": {demand: sees, permission: identity.RoleGrant},
	"IdentityService/DeleteRoleBinding": {demand: here, permission: identity.RoleGrant, ask: func(m *matrix) string {
		id := m.field(&adgv1.RoleBinding{}, "id", "IdentityService/CreateRoleBinding",
			fmt.Sprintf(`{"subject": "group:x%d", "role": "viewer", "service": "shop", "environment": "production"}`, m.next()))
		return `{"id": "` + id + `", "reason": "r"}`
	}, hides: true},
	"IdentityService/ListRoles":     {demand: ofLogin},
	"IdentityService/ListSessions":  {demand: everywhere, permission: identity.IdentityRead, ask: says(`{"user": "` + marker + `"}`), own: true, public: true},
	"IdentityService/RevokeSession": {demand: everywhere, permission: identity.IdentityWrite, ask: says(`{"id": "aaaaaaaaaaaaa", "reason": "r"}`), own: true, code: "NotFound"},

	"LineService/StopLine":   {demand: here, permission: identity.StopWrite, ask: says(`{"scope": {"service": "shop", "environment": "production"}, "reason": "` + marker + `"}`)},
	"LineService/ResumeLine": {demand: here, permission: identity.StopWrite, ask: (*matrix).stopped},
	"LineService/ListStops":  {demand: sees, permission: identity.DeploymentRead, ask: func(m *matrix) string { m.stopped(); return `{}` }},
	"LineService/CreateFreezeWindow": {demand: here, permission: identity.FreezeWrite, ask: func(m *matrix) string {
		return fmt.Sprintf(`{"freeze": {"name": "f%d", "service": "shop", "environment": "production", "fromTime": "2031-01-01T00:00:00Z", "reason": "r"}, "reason": "r"}`, m.next())
	}},
	"LineService/GetFreezeWindow":   {demand: ofLogin, ask: func(m *matrix) string { return `{"name": "` + m.freeze() + `"}` }},
	"LineService/ListFreezeWindows": {demand: ofLogin},
	"LineService/UpdateFreezeWindow": {demand: here, permission: identity.FreezeWrite, ask: func(m *matrix) string {
		name := m.freeze()
		etag := m.field(&adgv1.FreezeWindow{}, "etag", "LineService/GetFreezeWindow", `{"name": "`+name+`"}`)
		return `{"freeze": {"name": "` + name + `", "service": "shop", "environment": "production", "fromTime": "2032-01-01T00:00:00Z", "reason": "r"}, "etag": "` + etag + `", "reason": "r"}`
	}},
	"LineService/DeleteFreezeWindow": {demand: here, permission: identity.FreezeWrite, ask: func(m *matrix) string { return `{"name": "` + m.freeze() + `", "reason": "r"}` }},

	"LoginService/ListLoginProviders": {demand: ofNobody},
	"LoginService/LogIn":              {demand: ofNobody, ask: says(`{"name": "` + marker + `", "password": "correct horse battery"}`), code: "InvalidArgument"}, // over HTTP only
	"LoginService/LogOut":             {demand: ofLogin, code: "Unauthenticated"},                                                                                // of a session only, and then it is over
	"LoginService/StartOidcLogin":     {demand: ofNobody, ask: says(`{"provider": "none"}`), code: "NotFound"},
	"LoginService/CompleteOidcLogin":  {demand: ofNobody, ask: says(`{"provider": "none", "code": "x", "state": "x"}`), code: "NotFound"},
	"LoginService/StartDeviceLogin":   {demand: ofNobody, ask: says(`{"client": "c"}`)},
	"LoginService/PollDeviceLogin":    {demand: ofNobody, ask: says(`{"deviceCode": "none"}`)},
	"LoginService/GetDeviceLogin":     {demand: ofPerson, ask: (*matrix).device},
	"LoginService/ApproveDeviceLogin": {demand: ofPerson, ask: (*matrix).device},

	"PolicyService/PutPolicy": {demand: here, permission: identity.PolicyWrite, ask: func(m *matrix) string {
		return `{"service": "shop", "environment": "production", "etag": "v` + m.newest() + `", "reason": "r", "text": "` + m.policy() + `"}`
	}},
	"PolicyService/ApprovePolicy": {demand: here, permission: identity.DeploymentApprove, ask: func(m *matrix) string {
		named := `{"service": "shop", "environment": "production", "version": "` + m.weakened() + `"`
		etag := m.field(&adgv1.PolicyVersion{}, "etag", "PolicyService/GetPolicy", named+`}`)
		return named + `, "etag": "` + etag + `", "reason": "r"}`
	}},
	"PolicyService/GetPolicy":          {demand: here, permission: identity.PolicyRead, ask: says(`{"service": "shop", "environment": "production"}`)},
	"PolicyService/ListPolicies":       {demand: sees, permission: identity.PolicyRead},
	"PolicyService/ListPolicyVersions": {demand: here, permission: identity.PolicyRead, ask: says(`{"service": "shop", "environment": "production"}`)},
	"PolicyService/DiffPolicy":         {demand: here, permission: identity.PolicyRead, ask: says(`{"service": "shop", "environment": "production", "fromVersion": "1", "toVersion": "1"}`)},
	"PolicyService/LintPolicy": {demand: here, permission: identity.PolicyRead, ask: func(m *matrix) string {
		return `{"text": "` + m.policy() + `"}`
	}},
	"PolicyService/GetPolicySchema": {demand: somewhere, permission: identity.PolicyRead},
	"PolicyService/TestPolicy":      {demand: here, permission: identity.PolicyRead, ask: says(`{"service": "shop", "environment": "production"}`)},
	"PolicyService/BacktestPolicy":  {demand: here, permission: identity.PolicyRead, ask: says(`{"service": "shop", "environment": "production"}`)},

	"PredictionService/Predict":              {demand: here, permission: identity.PredictionRead, ask: says(`{"environment": "production", "release": {"service": "shop", "version": "v9"}}`), code: "NotFound"},
	"PredictionService/ListPredictions":      {demand: sees, permission: identity.PredictionRead, public: true},
	"PredictionService/GetPredictionFigures": {demand: sees, permission: identity.PredictionRead, public: true},
	"PredictionService/CorrectOutcome": {demand: here, permission: identity.LearnWrite, ask: func(m *matrix) string {
		return `{"deployment": "` + m.id + `", "outcome": "OUTCOME_SUCCEEDED", "reason": "r"}`
	}, hides: true, code: "Aborted"},
	"PredictionService/TrainModel": {demand: everywhere, permission: identity.LearnWrite, ask: says(`{"reason": "r"}`), code: "Aborted"},
	"PredictionService/GetModel":   {demand: everywhere, permission: identity.PredictionRead, ask: says(`{"id": "none"}`), code: "NotFound"},
	"PredictionService/ListModels": {demand: everywhere, permission: identity.PredictionRead},
	"PredictionService/PinModel":   {demand: everywhere, permission: identity.LearnWrite, ask: says(`{"id": "none", "reason": "r"}`), code: "NotFound"},
	"PredictionService/UnpinModel": {demand: everywhere, permission: identity.LearnWrite, ask: says(`{"id": "none", "reason": "r"}`), code: "NotFound"},

	"ReleaseService/ListReleases": {demand: sees, permission: identity.DeploymentRead},
	"ReleaseService/MarkReleaseGood": {demand: here, permission: identity.ReleaseMark,
		ask: says(`{"environment": "production", "release": {"service": "shop", "version": "` + marker + `"}, "reason": "r"}`)},
	"ReleaseService/CreateHold": {demand: here, permission: identity.HoldWrite, ask: says(hold)},
	"ReleaseService/ListHolds":  {demand: sees, permission: identity.DeploymentRead, ask: func(m *matrix) string { m.held(); return `{}` }},
	"ReleaseService/LiftHold":   {demand: here, permission: identity.HoldWrite, ask: (*matrix).held},

	"ReportService/GetReport": {demand: here, permission: identity.ReportRead, ask: func(m *matrix) string { return `{"deployment": "` + m.id + `"}` }, hides: true},

	"SystemService/GetVersion":      {demand: ofNobody},
	"SystemService/GetSystemHealth": {demand: ofLogin},
	"SystemService/ListReplicas":    {demand: ofLogin},
	"SystemService/ListSettings":    {demand: everywhere, permission: identity.SettingRead},
	"SystemService/ListFeatures":    {demand: ofLogin},
	"SystemService/GetSetup":        {demand: everywhere, permission: identity.SettingRead, public: true},
	"SystemService/StartDemo":       {demand: everywhere, permission: identity.SettingWrite, ask: says(`{"reason": "r"}`), code: "InvalidArgument"}, // there is none
}
