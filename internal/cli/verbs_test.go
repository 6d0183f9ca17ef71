package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// verb is one command line: what it asks the server in the end, and what it shows.
type verb struct {
	args   string
	answer proto.Message
	asks   proto.Message // the last request
	shows  string
	in     string // standard input
}

const guardian = "service: checkout\nenvironment: production\nchecks: []\n"

func someVerbs(dir string) map[string][]verb {
	release := &adgv1.Release{Service: "checkout", Version: "1.4.2"}
	whole := &adgv1.Release{Service: "checkout", Version: "1.4.2", Artifact: "shop/checkout@sha256:ab", Config: "c7", Commit: "4f2a", Schema: "s3"}
	d := &adgv1.Deployment{Id: "d1", Etag: "e1", Environment: "production", Release: release, PolicyVersion: 7, Actor: "alice", Status: &adgv1.Status{
		State: adgv1.State_STATE_ROLLING, Health: adgv1.Health_HEALTH_DEGRADED, Score: 71, Reasons: []string{"errors \x1b[31mare up"}, Outlook: &adgv1.Outlook{Text: "25 % in 3 m"},
		Permits: []*adgv1.Permit{{Action: adgv1.Action_ACTION_HOLD, Allowed: true}, {Action: adgv1.Action_ACTION_ROLL_BACK, Allowed: true}, {Action: adgv1.Action_ACTION_APPROVE}},
		Checks:  []*adgv1.Watch{{Check: "errors", Last: &adgv1.Judgement{Verdict: adgv1.Verdict_VERDICT_WARN, Text: "0.9 % of 1,200", Value: proto.Float64(0.9)}}},
	}}
	admin := &adgv1.User{Name: "bob", Etag: "e1"}
	flat := &adgv1.Connection{Name: "prom", Seam: adgv1.Seam_SEAM_SOURCE, Type: "prometheus", Services: []string{"*"}, Environments: []string{"production"}}
	options, _ := structpb.NewStruct(map[string]any{"url": "https://prom", "auth": map[string]any{"username": "adg"}, "retries": 3})
	full := &adgv1.Connection{Name: "prom", Seam: adgv1.Seam_SEAM_SOURCE, Type: "prometheus", Services: []string{"*"}, Environments: []string{"production"}, Options: options, Secrets: map[string]string{"basic_auth.password": "pl4nted"}}
	scope := &adgv1.Scope{Environment: "production"}
	return map[string][]verb{
		"whoami": {{args: "", answer: &adgv1.WhoAmIResponse{Identity: &adgv1.Identity{Subject: "user:alice"}, Grants: []*adgv1.Grant{{Permission: "deployment.start", Service: "*", Environment: "*"}}},
			asks: &adgv1.WhoAmIRequest{}, shows: "user:alice"}},
		"deploy start": {
			{args: "-s checkout -e production --version 1.4.2", answer: d, asks: &adgv1.StartDeploymentRequest{Environment: "production", Release: release}, shows: "d1\n"},
			{args: "-s checkout -e production --version 1.4.2 --artifact shop/checkout@sha256:ab --config-revision c7 --commit 4f2a --schema s3 --policy-version 7 --author bob --previous 1.4.1 --emergency fire --reason why --feature tests_failed=2 --label build=17 --label x=y",
				answer: d, asks: &adgv1.StartDeploymentRequest{Environment: "production", Release: whole, PolicyVersion: 7, Author: "bob", Previous: "1.4.1", Emergency: "fire", Reason: "why", Features: map[string]float64{"tests_failed": 2},
					Labels: map[string]string{"build": "17", "x": "y"}}, shows: "d1\n"},
			{args: "-s checkout -e production --version 1.4.2 --plan", answer: &adgv1.Plan{Release: release, Gates: []*adgv1.Gate{{Name: "freeze", State: adgv1.GateState_GATE_STATE_SHUT, Text: "it is Friday"}}},
				asks: &adgv1.PlanDeploymentRequest{Environment: "production", Release: release}, shows: "it is Friday"},
		},
		"deploy status": {{args: "d1", answer: d, asks: &adgv1.GetDeploymentRequest{Id: "d1"}, shows: "errors ·[31mare up"}, {args: "d1", answer: d, asks: &adgv1.GetDeploymentRequest{Id: "d1"}, shows: "you may: hold, rollback\n"},
			{args: "d2", answer: &adgv1.Deployment{Id: "d2", Status: &adgv1.Status{Reasons: []string{"v1 is live"}, CondemnedFor: "errors fails"}}, asks: &adgv1.GetDeploymentRequest{Id: "d2"}, shows: "condemned for  errors fails\n"}},
		"deploy report": {{args: "d1", answer: &httpbody.HttpBody{Data: []byte(`{"title": "checkout"}`)},
			asks: &adgv1.GetReportRequest{Deployment: "d1", Format: adgv1.ReportFormat_REPORT_FORMAT_MARKDOWN}, shows: `"checkout"`}},
		"deploy replay": {
			{args: "d1", answer: &adgv1.ReplayDecisionsResponse{Decisions: 7, Equal: true}, asks: &adgv1.ReplayDecisionsRequest{Deployment: "d1"}, shows: "d1: 7 decisions: all equal\n"},
			{args: "d1", answer: &adgv1.ReplayDecisionsResponse{Decisions: 7, Equal: true, Compacted: true}, asks: &adgv1.ReplayDecisionsRequest{Deployment: "d1"}, shows: "; some of the evidence was forgotten since\n"},
		},
		"deploy promote":  {{args: "d1 --reason why --etag e0", answer: d, asks: &adgv1.PromoteDeploymentRequest{Id: "d1", Reason: "why", Etag: "e0"}, shows: "d1: asked to go on"}},
		"deploy hold":     {{args: "d1 --reason why", answer: d, asks: &adgv1.HoldDeploymentRequest{Id: "d1", Reason: "why"}, shows: "d1: asked to pause"}},
		"deploy resume":   {{args: "d1 --reason why", answer: d, asks: &adgv1.ResumeDeploymentRequest{Id: "d1", Reason: "why"}, shows: "d1: asked to go on"}},
		"deploy rollback": {{args: "d1 --reason why", answer: d, asks: &adgv1.RollBackDeploymentRequest{Id: "d1", Reason: "why"}, shows: "d1: asked to roll back"}},
		"deploy cancel":   {{args: "d1 --reason why", answer: d, asks: &adgv1.CancelDeploymentRequest{Id: "d1", Reason: "why"}, shows: "d1: asked to end"}},
		"approve": {
			{args: "d1 --reason why --etag e0", answer: d, asks: &adgv1.ApproveDeploymentRequest{Id: "d1", Reason: "why", Etag: "e0"}, shows: "d1: approved"},
			{args: "d1 --reason why", answer: d, asks: &adgv1.ApproveDeploymentRequest{Id: "d1", Reason: "why", Etag: "e1"}, shows: "checkout 1.4.2 in production: rolling; errors"},
		},
		"reject": {{args: "d1 --reason why", answer: d, asks: &adgv1.RejectDeploymentRequest{Id: "d1", Reason: "why", Etag: "e1"}, shows: "d1: rejected"}},
		"deploy list": {{args: "--live -s checkout,till -e production --state held --health unhealthy --actor bob --version 1 --from 2026-01-01T00:00:00Z --order worst --waiting",
			answer: &adgv1.ListDeploymentsResponse{Deployments: []*adgv1.DeploymentSummary{{Id: "d1", Service: "checkout", State: adgv1.State_STATE_ROLLED_BACK, Reason: "v1 is live", CondemnedFor: "errors fails"}}},
			asks: &adgv1.ListDeploymentsRequest{Services: []string{"checkout", "till"}, Environments: []string{"production"}, States: []adgv1.State{adgv1.State_STATE_HELD},
				Healths: []adgv1.Health{adgv1.Health_HEALTH_UNHEALTHY}, Actors: []string{"bob"}, Version: "1", Live: true, WaitsForHuman: true, Order: adgv1.DeploymentOrder_DEPLOYMENT_ORDER_WORST,
				FromTime: timestamppb.New(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)), PageSize: 100}, shows: "errors fails"}},
		"hold list": {{args: "-s checkout", answer: &adgv1.ListHoldsResponse{Holds: []*adgv1.ReleaseHold{{Identity: "1.4.2", Reason: "loses orders"}}}, asks: &adgv1.ListHoldsRequest{Services: []string{"checkout"}, PageSize: 100}, shows: "loses orders"}},
		"hold put": {{args: "-s checkout -e production --version 1.4.2 --artifact img --config-revision c7 --until 2030-01-01T00:00:00Z --reason why", answer: &adgv1.ReleaseHold{Service: "checkout", Identity: "img+config.c7"},
			asks: &adgv1.CreateHoldRequest{Service: "checkout", Environment: "production", Identity: "img+config.c7", Reason: "why", UntilTime: timestamppb.New(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))}, shows: "on hold: checkout img+config.c7"}},
		"hold lift": {{args: "-s checkout -e production --version 1.4.2 --reason why --etag e0", answer: &adgv1.LiftHoldResponse{},
			asks: &adgv1.LiftHoldRequest{Service: "checkout", Environment: "production", Identity: "1.4.2", Reason: "why", Etag: "e0"}, shows: "no longer on hold: checkout 1.4.2 in production"}},
		"release list": {{args: "--standing good", answer: &adgv1.ListReleasesResponse{Releases: []*adgv1.ReleaseRecord{{Release: release, Standing: adgv1.Standing_STANDING_GOOD, LastGood: true, Why: "it ran"}}},
			asks: &adgv1.ListReleasesRequest{Standings: []adgv1.Standing{adgv1.Standing_STANDING_GOOD}, PageSize: 100}, shows: "good, rolled back to"}},
		"release mark-good": {{args: "-s checkout -e production --version 1.4.2 --reason why", answer: &adgv1.ReleaseRecord{Release: release, Environment: "production"},
			asks: &adgv1.MarkReleaseGoodRequest{Environment: "production", Release: release, Reason: "why"}, shows: "good: checkout 1.4.2 in production"}},
		"stop": {
			{args: "-e production --reason why", answer: &adgv1.Stop{Scope: scope}, asks: &adgv1.StopLineRequest{Scope: scope, Reason: "why"}, shows: "stopped: everything in production"},
			{args: "--all --reason why", answer: &adgv1.Stop{}, asks: &adgv1.StopLineRequest{Scope: &adgv1.Scope{}, Reason: "why"}, shows: "stopped: everything\n"},
		},
		"stop list": {{answer: &adgv1.ListStopsResponse{Stops: []*adgv1.Stop{{Scope: &adgv1.Scope{Service: "till"}, Reason: "moving"}}}, asks: &adgv1.ListStopsRequest{PageSize: 200}, shows: "till everywhere"}},
		"resume":    {{args: "-e production -s till --reason why", answer: &adgv1.ResumeLineResponse{}, asks: &adgv1.ResumeLineRequest{Scope: &adgv1.Scope{Service: "till", Environment: "production"}, Reason: "why"}, shows: "resumed: till in production"}},
		"freeze list": {{args: "--active", answer: &adgv1.ListFreezeWindowsResponse{Freezes: []*adgv1.FreezeWindow{{Name: "weekend", Weekly: &adgv1.WeeklyFreeze{From: "Fri 16:00", Until: "Mon 06:00"}}}},
			asks: &adgv1.ListFreezeWindowsRequest{Active: true, PageSize: 100}, shows: "weekly, Fri 16:00 to Mon 06:00 UTC"}},
		"freeze put": {{args: "weekend -e prod* --weekly-from Fri --weekly-until Mon --zone Europe/Berlin --reason why", answer: &adgv1.FreezeWindow{Name: "weekend", Etag: "e1"},
			asks: &adgv1.UpdateFreezeWindowRequest{Etag: "e1", Reason: "why", Freeze: &adgv1.FreezeWindow{Name: "weekend", Environment: "prod*", Reason: "why",
				Weekly: &adgv1.WeeklyFreeze{From: "Fri", Until: "Mon", Zone: "Europe/Berlin"}}}, shows: "frozen: weekend"}},
		"freeze drop": {{args: "weekend --reason why", answer: &adgv1.DeleteFreezeWindowResponse{}, asks: &adgv1.DeleteFreezeWindowRequest{Name: "weekend", Reason: "why"}, shows: "dropped: weekend"}},
		"audit list": {{args: "--actor bob --action policy. --resource r -s checkout -e production --outcome denied --oldest-first", answer: &adgv1.ListAuditEntriesResponse{Entries: []*adgv1.AuditEntry{{Seq: 7, Action: "policy.put"}}},
			asks: &adgv1.ListAuditEntriesRequest{Actor: "bob", Action: "policy.", Resource: "r", Service: "checkout", Environment: "production", OldestFirst: true,
				Outcomes: []adgv1.AuditOutcome{adgv1.AuditOutcome_AUDIT_OUTCOME_DENIED}, PageSize: 100}, shows: "policy.put"}},
		"audit verify": {{args: "--after 7 --digest ab", answer: &adgv1.VerifyAuditLogResponse{Intact: true, Entries: 3, LastSeq: 10, LastDigest: "cd"}, asks: &adgv1.VerifyAuditLogRequest{AfterSeq: 7, AfterDigest: "ab"}, shows: "3 entries"}},
		"events dead": {{args: "--notifier chat", answer: &adgv1.ListDeadDeliveriesResponse{Deliveries: []*adgv1.Delivery{{Id: "x1", Notifier: "chat", Tries: 3, Error: "nobody is there", Fact: &adgv1.Fact{Service: "till", Kind: adgv1.FactKind_FACT_KIND_PAGE}}}},
			asks: &adgv1.ListDeadDeliveriesRequest{Notifier: "chat", PageSize: 100}, shows: "nobody is there"}},
		"events retry": {{args: "x1 --reason why --etag v3", answer: &adgv1.Delivery{Id: "x1", Notifier: "chat", Fact: &adgv1.Fact{Service: "till", Environment: "production", Kind: adgv1.FactKind_FACT_KIND_PAGE}},
			asks: &adgv1.RetryDeliveryRequest{Id: "x1", Reason: "why", Etag: "v3"}, shows: "of till in production, to chat"}},
		"events": {{args: "-e production --kind rolled_back --urgent --deployment d1 --limit 5", answer: &adgv1.ListEventsResponse{Events: []*adgv1.Event{{Cursor: 9, Fact: &adgv1.Fact{Service: "till", Kind: adgv1.FactKind_FACT_KIND_PAGE, Text: "look"}}}},
			asks: &adgv1.ListEventsRequest{Deployment: "d1", Environments: []string{"production"}, Kinds: []adgv1.FactKind{adgv1.FactKind_FACT_KIND_ROLLED_BACK}, Urgent: true, NewestFirst: true, PageSize: 5}, shows: "page: look"},
			{args: "--kind changed --limit 5", answer: &adgv1.ListEventsResponse{Events: []*adgv1.Event{{Cursor: 9, Fact: &adgv1.Fact{
				Kind: adgv1.FactKind_FACT_KIND_CHANGED, Text: "the user bob was made", Actor: "user:ann", Via: "cli", Reasons: []string{"he is new"},
			}}}},
				asks:  &adgv1.ListEventsRequest{Kinds: []adgv1.FactKind{adgv1.FactKind_FACT_KIND_CHANGED}, NewestFirst: true, PageSize: 5},
				shows: "changed: the user bob was made, by user:ann (cli): he is new"}},
		"connection list": {{args: "--seam target", answer: &adgv1.ListConnectionsResponse{Connections: []*adgv1.Connection{flat}}, asks: &adgv1.ListConnectionsRequest{Seam: adgv1.Seam_SEAM_TARGET, PageSize: 100}, shows: "prometheus"}},
		"connection get":  {{args: "prom", answer: full, asks: &adgv1.GetConnectionRequest{Name: "prom"}, shows: "    username: adg\n"}},
		"connection put": {{args: "-f " + write(dir, "prom.yaml", "name: prom\nseam: source\ntype: prometheus\noptions: {url: 'https://prom', auth: {username: adg}, retries: 3}\nservices: ['*']\nenvironments: [production]\n") +
			" --secret basic_auth.password=file:" + write(dir, "secret", "pl4nted\n") + " --reason why", answer: &adgv1.Connection{Name: "prom", Etag: "e1"},
			asks: &adgv1.UpdateConnectionRequest{Connection: full, Etag: "e1", Reason: "why"}, shows: "registered: prom"}},
		"connection drop": {{args: "prom", answer: &adgv1.DeleteConnectionResponse{}, asks: &adgv1.DeleteConnectionRequest{Name: "prom"}, shows: "dropped: prom"}},
		"connection test": {{args: "prom --query up", answer: &adgv1.TestConnectionResponse{Ok: true, Text: "1 series", Took: durationpb.New(time.Millisecond)}, asks: &adgv1.TestConnectionRequest{Name: "prom", Query: "up"}, shows: "works: 1 series (1ms)"},
			{args: `loki --query {app="shop"}`, answer: &adgv1.TestConnectionResponse{Ok: true, Text: "asked", Measurement: &adgv1.Measurement{Log: &adgv1.LogCount{Lines: 3, Patterns: []*adgv1.LogPattern{
				{Text: "order <n> is lost", Example: "order 7 is lost\x1b[31m", Level: adgv1.LogLevel_LOG_LEVEL_ERROR, Lines: 2}, {Text: "hello", Example: "hello", Lines: 1}}}}},
				asks: &adgv1.TestConnectionRequest{Name: "loki", Query: `{app="shop"}`}, shows: "LINES  LEVEL     PATTERN            EXAMPLE\n2      error     order <n> is lost  order 7 is lost·[31m\n1      no level  hello              hello\n"}},
		"token create": {{args: "ci --role deployer -s checkout -e * --lifetime 24h --reason why", answer: &adgv1.CreateTokenResponse{Token: &adgv1.Token{Id: "k1"}, Secret: "adg_s3cret"},
			asks: &adgv1.CreateTokenRequest{Name: "ci", Role: "deployer", Service: "checkout", Environment: "*", Lifetime: durationpb.New(24 * time.Hour), Reason: "why"}, shows: "adg_s3cret\n"}},
		"token list":   {{args: "--creator bob --revoked", answer: &adgv1.ListTokensResponse{Tokens: []*adgv1.Token{{Id: "k1", Name: "ci", Revoked: true}}}, asks: &adgv1.ListTokensRequest{Creator: "bob", Revoked: true, PageSize: 100}, shows: "revoked"}},
		"token revoke": {{args: "k1 --reason why", answer: &adgv1.RevokeTokenResponse{}, asks: &adgv1.RevokeTokenRequest{Id: "k1", Reason: "why"}, shows: "revoked: k1"}},
		"user create": {{args: "bob --name Bob --email b@example.com", in: "corr3ct horse\n", answer: admin,
			asks: &adgv1.CreateUserRequest{Name: "bob", DisplayName: "Bob", Email: "b@example.com", Password: "corr3ct horse"}, shows: "created: bob"}},
		"user list":     {{args: "--prefix b --disabled", answer: &adgv1.ListUsersResponse{Users: []*adgv1.User{{Name: "bob", Disabled: true}}}, asks: &adgv1.ListUsersRequest{Prefix: "b", Disabled: true, PageSize: 100}, shows: "disabled"}},
		"user disable":  {{args: "bob --reason why", answer: admin, asks: &adgv1.UpdateUserRequest{Name: "bob", Etag: "e1", Reason: "why", Disabled: proto.Bool(true)}, shows: "disabled: bob"}},
		"user enable":   {{args: "bob", answer: admin, asks: &adgv1.UpdateUserRequest{Name: "bob", Etag: "e1", Disabled: proto.Bool(false)}, shows: "enabled: bob"}},
		"user unlock":   {{args: "bob", answer: admin, asks: &adgv1.UpdateUserRequest{Name: "bob", Etag: "e1", Locked: proto.Bool(false)}, shows: "unlocked: bob"}},
		"user password": {{args: "bob", in: "n3w", answer: admin, asks: &adgv1.UpdateUserRequest{Name: "bob", Etag: "e1", Password: proto.String("n3w")}, shows: "password changed: bob"}},
		"user delete":   {{args: "bob", answer: &adgv1.DeleteUserResponse{}, asks: &adgv1.DeleteUserRequest{Name: "bob"}, shows: "deleted: bob"}},
		"role grant": {{args: "user:bob deployer -s shop-* -e production", answer: &adgv1.RoleBinding{Id: "b1", Subject: "user:bob", Role: "deployer"},
			asks: &adgv1.CreateRoleBindingRequest{Subject: "user:bob", Role: "deployer", Service: "shop-*", Environment: "production"}, shows: "user:bob is deployer"}},
		"role revoke": {{args: "b1", answer: &adgv1.DeleteRoleBindingResponse{}, asks: &adgv1.DeleteRoleBindingRequest{Id: "b1"}, shows: "revoked: b1"}},
		"role list":   {{args: "--subject user:bob", answer: &adgv1.ListRoleBindingsResponse{Bindings: []*adgv1.RoleBinding{{Id: "b1", Role: "viewer"}}}, asks: &adgv1.ListRoleBindingsRequest{Subject: "user:bob", PageSize: 100}, shows: "viewer"}},
		"server status": {{args: "", answer: &adgv1.ListReplicasResponse{Replicas: []*adgv1.Replica{{Name: "adg-1", Version: "v1.2", Deployments: 7, Lateness: durationpb.New(20 * time.Millisecond), SeenTime: timestamppb.New(time.Now().Add(-time.Minute))}}},
			asks: &adgv1.ListReplicasRequest{PageSize: 100}, shows: "is silent"}},
		"policy push": {
			{args: write(dir, "g.yaml", guardian) + " --reason why", answer: &adgv1.PolicyVersion{Version: 4, PendingApproval: true, Weakens: []string{"no check is left"}},
				asks: &adgv1.PutPolicyRequest{Service: "checkout", Environment: "production", Etag: "e3", Reason: "why", Text: guardian}, shows: "it weakens the guard (no check is left)"},
			{args: write(dir, "same.yaml", guardian) + " --reason why", answer: &adgv1.PolicyVersion{Service: "checkout", Environment: "production", Version: 3, Etag: "e3"},
				asks: &adgv1.PutPolicyRequest{Service: "checkout", Environment: "production", Etag: "e3", Reason: "why", Text: guardian}, shows: "unchanged: it is version 3 of checkout in production already"},
		},
		"policy test": {{args: write(dir, "t.yaml", guardian) + " --server --version 1.4.1 --previous 1.4.0 --schema 17",
			answer: &adgv1.TestPolicyResponse{Rollback: &adgv1.RollbackPlan{Possible: true, To: &adgv1.Release{Version: "1.4.0"}, Obstacles: []string{"schema: migration 17 cannot be undone"}}},
			asks:   &adgv1.TestPolicyRequest{Service: "checkout", Environment: "production", Text: guardian, Previous: "1.4.0", Release: &adgv1.Release{Service: "checkout", Version: "1.4.1", Schema: "17"}},
			shows:  "1.4.0, after a human's word"}},
		"policy pull": {{args: "-s checkout -e production --version 3", answer: &adgv1.PolicyVersion{Text: guardian}, asks: &adgv1.GetPolicyRequest{Service: "checkout", Environment: "production", Version: 3}, shows: guardian}},
		"policy diff": {{args: write(dir, "g.yaml", guardian) + " --version 3", answer: &adgv1.DiffPolicyResponse{Unified: "-a\n+b\n", Weakens: []string{"fewer checks"}},
			asks: &adgv1.DiffPolicyRequest{Service: "checkout", Environment: "production", FromVersion: 3, ToText: guardian}, shows: "-a\n+b\nweakens the guard: fewer checks\n"}},
		"policy versions": {{args: "-s checkout -e production", answer: &adgv1.ListPolicyVersionsResponse{Versions: []*adgv1.PolicyVersion{{Version: 3, PendingApproval: true}}},
			asks: &adgv1.ListPolicyVersionsRequest{Service: "checkout", Environment: "production", PageSize: 100}, shows: "waits for it"}},
		"policy approve": {{args: "4 -s checkout -e production --reason why", answer: &adgv1.PolicyVersion{Service: "checkout", Environment: "production", Version: 4, Etag: "e4", Weakens: []string{"fewer checks"}},
			asks: &adgv1.ApprovePolicyRequest{Service: "checkout", Environment: "production", Version: 4, Etag: "e4", Reason: "why"}, shows: "weakens the guard: fewer checks\napproved: version 4"}},
	}
}

// otherVerbs have tests of their own.
var otherVerbs = []string{"login", "logout", "context list", "context use", "context remove", "deploy watch", "policy lint", "policy schema"}

func write(dir, name, text string) string {
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		panic(err)
	}
	return file
}

// answering makes a server of one verb's answer: every method whose answer is of that kind gives it.
func answering(t *testing.T, v verb) *fakeServer {
	f := &fakeServer{answers: map[string]func(proto.Message) (proto.Message, error){}}
	for _, service := range []string{"Audit", "Connection", "Deployment", "Event", "Evidence", "Identity", "Line", "Policy", "Release", "Report", "System"} {
		methods := adgv1.File_adg_v1_error_proto.Package()
		for name, output := range methodsOf(string(methods), service) {
			if output == string(v.answer.ProtoReflect().Descriptor().FullName()) {
				f.answers[name] = says(v.answer)
			}
		}
	}
	if _, isPush := v.asks.(*adgv1.PutPolicyRequest); isPush {
		f.answers["ListPolicyVersions"] = says(&adgv1.ListPolicyVersionsResponse{Versions: []*adgv1.PolicyVersion{{Version: 3, Etag: "e3"}}})
	}
	return serve(t, f)
}

func TestEachVerbAsksWhatItWasToldToAndShowsTheAnswer(t *testing.T) {
	verbs := someVerbs(t.TempDir())
	for name, lines := range verbs {
		for _, v := range lines {
			t.Run(name+" "+v.args, func(t *testing.T) {
				f := answering(t, v)
				args := slices.Concat(strings.Fields(name), strings.Fields(v.args))
				exit, out, errOut := command(t, v.in, args...)
				if exit != 0 {
					t.Fatalf("exit code %d: %s", exit, errOut)
				}
				if diff := cmp.Diff(v.asks, f.lastLike(v.asks), protocmp.Transform()); diff != "" {
					t.Errorf("asked something else (-want +got):\n%s", diff)
				}
				if !strings.Contains(out, v.shows) || strings.Contains(out, "\x1b") {
					t.Errorf("shows %q, want %q in it", out, v.shows)
				}
				if strings.Contains(out+errOut, "pl4nted") {
					t.Error("a secret is shown")
				}
				exit, out, errOut = command(t, v.in, append(args, "--output", "json")...)
				for line := range strings.Lines(out) {
					if !strings.HasPrefix(line, "{") || !strings.HasSuffix(line, "}\n") {
						t.Errorf("not an object on a line: %q", line)
					}
				}
				if exit != 0 {
					t.Errorf("as JSON: exit code %d: %s", exit, errOut)
				}
			})
		}
	}
}

func TestEveryVerbThatSpeaksToAServerIsTriedHasAnExampleAndChoosesItsServer(t *testing.T) {
	verbs := someVerbs(t.TempDir())
	tried := 0
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		name := strings.TrimPrefix(cmd.CommandPath(), "adg ")
		if !cmd.HasSubCommands() || name == "stop" {
			tried++
			if _, ok := verbs[name]; !ok && !slices.Contains(otherVerbs, name) {
				t.Errorf("%s: nobody tries it", name)
			}
			if cmd.Example == "" && !strings.HasPrefix(name, "policy ") {
				t.Errorf("%s has no example", name)
			}
			if _, ok := verbs[name]; ok && cmd.Flags().Lookup("context") == nil {
				t.Errorf("%s has no --context", name)
			}
		}
		for _, below := range cmd.Commands() {
			walk(below)
		}
	}
	for _, cmd := range New("v0", Terminal{}, Calls{Connect: dialling}).Commands() {
		if cmd.GroupID == serverGroup || cmd.Name() == "policy" {
			walk(cmd)
		}
	}
	if tried < 45 {
		t.Errorf("found %d verbs only", tried)
	}
}

func TestWhatIsSaidWronglyIsAUsageErrorAndIsNotSent(t *testing.T) {
	dir := t.TempDir()
	f := serve(t, &fakeServer{})
	for _, args := range []string{
		"deploy start", "deploy start -s checkout --version 1", "deploy start -s checkout -e production", "deploy start -s checkout -e production --version !",
		"deploy start -s checkout -e production --version 1 --plan --wait", "deploy start -s a -e b --version 1 --feature x", "deploy list --state nowhere", "deploy list --order best",
		"deploy list --from yesterday", "deploy list --limit -1", "deploy promote d1", "deploy rollback d1", "deploy hold --reason why", "deploy status", "deploy status d1 --output xml", "deploy report d1 --format pdf", "deploy report", "deploy replay", "approve d1",
		"hold put -s a -e b --reason why", "hold put -s a -e b --version 1", "hold put -s a -e b --version 1 --reason why --until whenever", "hold lift -s a --version 1 --reason why",
		"release list --standing superb", "release mark-good -s a -e b --version 1", "stop --reason why", "stop --all -e production --reason why", "stop --all", "resume --reason why",
		"freeze put x --weekly-from Fri --reason why", "freeze put x --weekly-from Fri --weekly-until Mon --until 2h --reason why", "freeze put x", "freeze drop x",
		"events --after 7", "events --follow --from 2h", "events --kind fun", "events --limit -1", "audit verify --after 7", "audit list --outcome fun",
		"connection put", "connection put -f " + write(dir, "a.yaml", "name: x\nseem: source\n"), "connection put -f " + write(dir, "b.yaml", "name: x\nseam: sauce\n"),
		"connection put -f " + write(dir, "c.yaml", "name: x\nseam: source\n") + " --secret p=pl4nted", "connection put -f " + filepath.Join(dir, "c.yaml") + " --secret p=env:NOT_SET_ANYWHERE",
		"connection put -f /nowhere.yaml", "connection list --seam sauce", "token create ci --role king -s a -e b", "token create ci --role viewer", "token create ci --role viewer -s a -e b --lifetime -1h",
		"user create bob", "role grant user:bob viewer", "policy push " + write(dir, "d.yaml", "service: x\n") + " --reason why", "policy push " + write(dir, "g.yaml", guardian), "policy pull",
		"policy diff " + write(dir, "e.yaml", ": ["), "policy approve x -s a -e b --reason why", "policy approve 1 -s a -e b", "whoami --context nobody-knows",
	} {
		t.Run(args, func(t *testing.T) {
			exit, out, errOut := command(t, "", strings.Fields(args)...)
			if method, _ := f.last(); method != "" || exit != ExitUsage && args != "whoami --context nobody-knows" || exit == 0 || out != "" || !strings.HasPrefix(errOut, "adg: ") {
				t.Errorf("exit code %d, out %q, err %q, asked %s", exit, out, errOut, method)
			}
			if strings.Contains(errOut, "pl4nted") {
				t.Error("what may be a secret is repeated")
			}
		})
	}
}

func TestAServersRefusalIsSaidWithItsFieldsAndTheExitCodeOfItsKind(t *testing.T) {
	wrong, err := status.New(codes.InvalidArgument, "wrong").WithDetails(&adgv1.ErrorDetail{Code: adgv1.ErrorCode_ERROR_CODE_INVALID, Sentence: "the release is wrong", WayOut: "see the fields"},
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: "release.version", Description: "nobody built it"}}})
	if err != nil {
		t.Fatal(err)
	}
	serve(t, &fakeServer{answers: map[string]func(proto.Message) (proto.Message, error){"StartDeployment": refuses(wrong.Err())}})
	start := []string{"deploy", "start", "-s", "checkout", "-e", "production", "--version", "1"}
	exit, out, errOut := command(t, "", start...)
	if exit != ExitUsage || out != "" || errOut != "adg: the release is wrong: see the fields\n  release.version: nobody built it\n" {
		t.Errorf("exit code %d, out %q, err %q", exit, out, errOut)
	}
	t.Setenv("ADG_TOKEN", "wr0ng")
	exit, _, errOut = command(t, "", start...)
	if exit != ExitError || !strings.Contains(errOut, "this token is not known") || !strings.Contains(errOut, "adg login http://") || strings.Contains(errOut, "wr0ng") {
		t.Errorf("with a wrong token: exit code %d, err %q", exit, errOut)
	}
}

func TestWhatIsNotThereYetIsMadeAndNotReplaced(t *testing.T) {
	dir := t.TempDir()
	missing := refuses(status.Error(codes.NotFound, "there is none"))
	for name, c := range map[string]struct{ args, get, want string }{
		"a freeze window": {"freeze put weekend --until 2h --reason why", "GetFreezeWindow", "CreateFreezeWindow"},
		"a connection":    {"connection put -f " + write(dir, "c.yaml", "name: x\nseam: source\n"), "GetConnection", "CreateConnection"},
		"a policy":        {"policy push " + write(dir, "g.yaml", guardian) + " --reason why", "ListPolicyVersions", "PutPolicy"},
	} {
		t.Run(name, func(t *testing.T) {
			f := serve(t, &fakeServer{answers: map[string]func(proto.Message) (proto.Message, error){
				c.get: missing, "CreateFreezeWindow": says(&adgv1.FreezeWindow{}), "CreateConnection": says(&adgv1.Connection{}), "PutPolicy": says(&adgv1.PolicyVersion{}),
			}})
			exit, _, errOut := command(t, "", strings.Fields(c.args)...)
			if method, _ := f.last(); exit != 0 || method != c.want {
				t.Errorf("exit code %d, asked %s: %s", exit, method, errOut)
			}
			f = serve(t, &fakeServer{answers: map[string]func(proto.Message) (proto.Message, error){c.get: refuses(status.Error(codes.PermissionDenied, "no"))}})
			exit, _, _ = command(t, "", strings.Fields(c.args)...)
			if method, _ := f.last(); exit != ExitError || method != c.get {
				t.Errorf("who may not look: exit code %d, asked %s", exit, method)
			}
		})
	}
}

func TestBadNewsOfALogOrAConnectionIsAnExitCode(t *testing.T) {
	serve(t, &fakeServer{answers: map[string]func(proto.Message) (proto.Message, error){
		"VerifyAuditLog":  says(&adgv1.VerifyAuditLogResponse{Problem: "entry 7 was changed"}),
		"ReplayDecisions": says(&adgv1.ReplayDecisionsResponse{Decisions: 7, Differences: []string{"decision.kind was hold"}}),
		"TestConnection":  says(&adgv1.TestConnectionResponse{Text: "refused", WayOut: "open the firewall"}),
		"CreateToken":     says(&adgv1.CreateTokenResponse{Token: &adgv1.Token{Id: "k1"}}),
	}})
	for args, want := range map[string]string{
		"audit verify":                            "adg: the audit log is not as it was written: entry 7 was changed\n",
		"deploy replay d1":                        "adg: d1 would be decided differently now\n",
		"connection test prom":                    "adg: prom does not work: refused: open the firewall\n",
		"token create ci --role viewer -s * -e *": "adg: the token k1 was made, and lost on its way here: adg token revoke k1, and make another\n",
	} {
		if exit, _, errOut := command(t, "", strings.Fields(args)...); exit != ExitError || errOut != want {
			t.Errorf("%s: exit code %d: %q", args, exit, errOut)
		}
	}
}
