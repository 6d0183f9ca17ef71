package api_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/api"
	"github.com/deployguardian/adg/internal/identity"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// write is a request that changes something, and could not be answered well a second time if it were done twice or would
// leave one more entry in the audit log.
type write struct {
	ask  func(*matrix) string
	who  func(m *matrix, time int) string // the credential of the first and of the second time; nil: the admin's
	free bool                             // another request with the same key is not refused: it is another deployment
}

const place = `"service": "shop", "environment": "production"`

// writes are all requests with a key: whoever adds one to the API says here how one is made.
var writes = map[string]write{
	"CatalogService/UpdateService": {ask: func(m *matrix) string {
		etag := m.field(&adgv1.Service{}, "etag", "CatalogService/GetService", `{"service": "shop"}`)
		return `{"service": "shop", "etag": "` + etag + `", "team": "till", "reason": "r"}`
	}},
	"ConnectionService/CreateConnection": asIn("ConnectionService/CreateConnection"),
	"ConnectionService/UpdateConnection": asIn("ConnectionService/UpdateConnection"),
	"ConnectionService/DeleteConnection": asIn("ConnectionService/DeleteConnection"),
	"ConnectionService/TestConnection":   asIn("ConnectionService/TestConnection"),

	"DeploymentService/StartDeployment":    {ask: says(`{"environment": "production", "release": {"service": "shop", "version": "v77"}, "reason": "r"}`), free: true},
	"DeploymentService/PromoteDeployment":  {ask: (*matrix).command},
	"DeploymentService/HoldDeployment":     {ask: (*matrix).command},
	"DeploymentService/ResumeDeployment":   {ask: (*matrix).command},
	"DeploymentService/RollBackDeployment": {ask: (*matrix).command},
	"DeploymentService/CancelDeployment":   {ask: (*matrix).command},
	"DeploymentService/ApproveDeployment":  {ask: (*matrix).command, who: other},
	"DeploymentService/RejectDeployment":   {ask: (*matrix).command, who: other},

	"EventService/RetryDelivery": {ask: (*matrix).dead},

	"IdentityService/ChangePassword": {ask: says(`{"current": "correct horse battery", "wanted": "battery horse correct", "reason": "r"}`),
		who: func(m *matrix, time int) string {
			if time == 1 {
				return m.person("changes his password").credential
			}
			o, err := m.people.Login(m.Context(), identity.Attempt{Name: "changes-his-password", Password: adg.NewSecret("battery horse correct"), From: "192.0.2.1"})
			m.must(err)
			return o.Credential.Reveal()
		}},
	"IdentityService/CreateUser":        asIn("IdentityService/CreateUser"),
	"IdentityService/UpdateUser":        asIn("IdentityService/UpdateUser"),
	"IdentityService/DeleteUser":        asIn("IdentityService/DeleteUser"),
	"IdentityService/CreateToken":       {ask: methods["IdentityService/CreateToken"].ask, who: other},
	"IdentityService/RevokeToken":       asIn("IdentityService/RevokeToken"),
	"IdentityService/CreateRoleBinding": asIn("IdentityService/CreateRoleBinding"),
	"IdentityService/DeleteRoleBinding": asIn("IdentityService/DeleteRoleBinding"),
	"IdentityService/RevokeSession": {ask: func(m *matrix) string {
		m.person("is logged in")
		var open adgv1.ListSessionsResponse
		m.into(&open, "IdentityService/ListSessions", `{"user": "is-logged-in"}`)
		return `{"id": "` + open.GetSessions()[0].GetId() + `", "etag": "` + open.GetSessions()[0].GetEtag() + `", "reason": "r"}`
	}},

	"LineService/StopLine":           asIn("LineService/StopLine"),
	"LineService/ResumeLine":         asIn("LineService/ResumeLine"),
	"LineService/CreateFreezeWindow": asIn("LineService/CreateFreezeWindow"),
	"LineService/UpdateFreezeWindow": asIn("LineService/UpdateFreezeWindow"),
	"LineService/DeleteFreezeWindow": asIn("LineService/DeleteFreezeWindow"),

	"PolicyService/PutPolicy": asIn("PolicyService/PutPolicy"),
	"PolicyService/ApprovePolicy": {ask: func(m *matrix) string {
		version := m.weakened()
		return `{` + place + `, "version": "` + version + `", "etag": "v` + version + `", "reason": "r"}`
	}, who: other},

	"PredictionService/CorrectOutcome": {ask: says(`{"deployment": "shop-production-v3", "outcome": "OUTCOME_SUCCEEDED", "reason": "r"}`)},
	"PredictionService/TrainModel":     {ask: says(`{"reason": "r"}`)},
	"PredictionService/PinModel": {ask: func(m *matrix) string {
		return `{"id": "` + m.model() + `", "reason": "r"}`
	}},
	"PredictionService/UnpinModel": {ask: func(m *matrix) string {
		id := m.model()
		m.root("PredictionService/PinModel", `{"id": "`+id+`", "reason": "r"}`)
		return `{"id": "` + id + `", "reason": "r"}`
	}},

	"ReleaseService/MarkReleaseGood": asIn("ReleaseService/MarkReleaseGood"),
	"ReleaseService/CreateHold":      asIn("ReleaseService/CreateHold"),
	"ReleaseService/LiftHold":        asIn("ReleaseService/LiftHold"),

	"SystemService/StartDemo": {ask: says(`{"reason": "r"}`)},
}

func TestSameRequestWithTheSameKeyIsDoneOnce(t *testing.T) {
	shop := &demo{}
	m := furnished(newBench(t, func(o *api.Options) { o.Demo = shop }))
	shop.store = m.store
	m.lived()
	_, _, err := m.train("first")
	m.must(err)
	for _, rpc := range rpcs() {
		name := short(rpc)
		options, _ := rpc.Options().(*descriptorpb.MethodOptions)
		row, known := writes[name]
		switch reads := options.GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS; {
		case reads && known:
			t.Errorf("%s changes nothing: it is not to be in the table of writes", name)
		case !reads && !known && rpc.Parent().Name() != "LoginService": // a login is of one use anyway
			t.Errorf("%s: say in the table of writes how a request that can be done once is made", name)
		case known:
			t.Run(name, func(t *testing.T) { m.in(t).twice(rpc, row) })
		}
	}
}

// twice sends the same request twice, and then another one with the same key.
func (m *matrix) twice(rpc protoreflect.MethodDescriptor, row write) {
	m.Helper()
	who := func(int) string { return m.admin }
	if row.who != nil {
		who = func(time int) string { return row.who(m, time) }
	}
	ask := strings.TrimSuffix(withReason(row.ask(m)), "}") + `, "idempotencyKey": "the same"}`
	credential := who(1)
	begin := m.lastEntry()
	first, err := m.last(credential, rpc, ask)
	m.must(err)
	after := m.lastEntry()
	if after == begin {
		m.Error("it did nothing that is on record")
	}
	credential = who(2)
	after = m.lastEntry()
	second, err := m.last(credential, rpc, ask)
	m.must(err)
	if now := m.lastEntry(); now != after {
		m.Errorf("it was done twice: %d more entries in the audit log", now-after)
	}
	for _, name := range []protoreflect.Name{"secret"} { // is shown once
		if f := rpc.Output().Fields().ByName(name); f != nil {
			if second.ProtoReflect().Has(f) {
				m.Errorf("%s is shown a second time", name)
			}
			first.ProtoReflect().Clear(f)
		}
	}
	if rpc.IsStreamingServer() { // of progress there is none any more
		for _, name := range []protoreflect.Name{"done", "all"} {
			first.ProtoReflect().Clear(rpc.Output().Fields().ByName(name))
			second.ProtoReflect().Clear(rpc.Output().Fields().ByName(name))
		}
	}
	if !proto.Equal(first, second) {
		m.Errorf("the second answer is another one:\n%s\n%s", protojson.Format(first), protojson.Format(second))
	}
	if row.free {
		return
	}
	otherwise := strings.Replace(ask, marker, "for another reason", 1)
	if otherwise == ask {
		otherwise = strings.Replace(ask, `"reason": "`, `"reason": "for another `, 1)
	}
	if _, err := m.last(credential, rpc, otherwise); status.Code(err) != codes.Aborted && status.Code(err) != codes.InvalidArgument {
		m.Errorf("another request with the same key: %v", err)
	}
	if now := m.lastEntry(); now != after {
		m.Error("another request with the same key was done")
	}
}

// last is the last answer, of a stream or of a call.
func (m *matrix) last(credential string, rpc protoreflect.MethodDescriptor, ask string) (proto.Message, error) {
	m.Helper()
	answer := newMessage(rpc.Output())
	if !rpc.IsStreamingServer() {
		return answer, m.call(credential, rpc, ask, answer)
	}
	r := &adgv1.TrainModelRequest{}
	m.must(protojson.Unmarshal([]byte(ask), r))
	stream, err := m.predictions().TrainModel(as(m.Context(), credential), r)
	m.must(err)
	for {
		one, err := stream.Recv()
		if err != nil || one.GetModel() != nil {
			return one, err
		}
	}
}

// asIn is the request of the table of methods.
func asIn(name string) write { return write{ask: methods[name].ask} }

// other is a second admin, in person.
func other(m *matrix, _ int) string {
	const name = "second admin"
	if _, err := m.people.Identify(m.Context(), "second-admin"); err == nil {
		return m.session(somebody{subject: "user:second-admin"})
	}
	return m.person(name, identity.Binding{Role: identity.Admin, Service: "*", Environment: "*"}).credential
}

// dead is a delivery that was given up.
func (m *matrix) dead() string {
	id := fmt.Sprintf("dead-%d", m.next())
	m.stored(id, "till", "production", time.Now())
	m.becomes(id, adg.Pending, fact(id+"/held/1", id, time.Now()))
	all, err := m.store.Undelivered(m.Context(), "test", time.Minute, 10)
	m.must(err)
	for _, d := range all {
		m.must(m.store.Abandon(m.Context(), d, "nobody is there"))
	}
	var listed adgv1.ListDeadDeliveriesResponse
	m.into(&listed, "EventService/ListDeadDeliveries", `{}`)
	return `{"id": "` + listed.GetDeliveries()[0].GetId() + `", "reason": "r"}`
}

func (m *matrix) model() string {
	var all adgv1.ListModelsResponse
	m.into(&all, "PredictionService/ListModels", `{}`)
	return all.GetModels()[0].GetId()
}

// demo is a shop that notes that it was opened.
type demo struct{ store adg.Store }

func (d *demo) Start(ctx context.Context, who identity.Caller, _ string) (string, []string, error) {
	_, err := d.store.AppendAudit(ctx, adg.AuditEntry{Actor: who.Subject, Action: "demo.start", Resource: "demo", Outcome: adg.AuditDone})
	return "demo", []string{"one", "two"}, err
}

func TestWhatARequestHasToSayIsDemandedByName(t *testing.T) {
	m := newMatrix(t)
	for _, rpc := range rpcs() {
		if rpc.Parent().Name() == "LoginService" { // it does not say what was wrong
			continue
		}
		var want []string
		for i := range rpc.Input().Fields().Len() {
			f := rpc.Input().Fields().Get(i)
			behaviors, _ := proto.GetExtension(f.Options(), annotations.E_FieldBehavior).([]annotations.FieldBehavior)
			if slices.Contains(behaviors, annotations.FieldBehavior_REQUIRED) && f.Enum() == nil {
				want = append(want, string(f.Name()))
			}
		}
		if len(want) == 0 {
			continue
		}
		err := m.call(m.admin, rpc, `{}`, nil)
		if got := named(err); status.Code(err) != codes.InvalidArgument || !slices.Equal(got, want) {
			t.Errorf("%s names %v and not %v: %v", short(rpc), got, want, err)
		}
	}
}

func TestARefusalNamesTheFieldThatIsWrong(t *testing.T) {
	m := newMatrix(t)
	for _, c := range []struct{ name, method, ask, field string }{
		{"a version that is none", "DeploymentService/StartDeployment", `{"environment": "production", "release": {"service": "shop", "version": "v 1"}}`, "release.version"},
		{"no version", "DeploymentService/StartDeployment", `{"environment": "production", "release": {"service": "shop"}}`, "release.version"},
		{"an artifact that is none", "DeploymentService/StartDeployment", `{"environment": "production", "release": {"service": "shop", "version": "v1", "artifact": "a b"}}`, "release.artifact"},
		{"a commit that is none", "DeploymentService/PlanDeployment", `{"environment": "production", "release": {"service": "shop", "version": "v1", "commit": "a b"}}`, "release.commit"},
		{"an environment that is none", "DeploymentService/StartDeployment", `{"environment": "a/b", "release": {"service": "shop", "version": "v1"}}`, "environment"},
		{"a key that is too long", "DeploymentService/StartDeployment", `{"environment": "production", "release": {"service": "shop", "version": "v1"}, "idempotencyKey": "` + strings.Repeat("k", 129) + `"}`, "idempotency_key"},
		{"a key that is too long, elsewhere", "LineService/StopLine", `{"reason": "r", "idempotencyKey": "` + strings.Repeat("k", 129) + `"}`, "idempotency_key"},
		{"a page below zero", "DeploymentService/ListDeployments", `{"pageSize": -1}`, "page_size"},
		{"a token of another list", "ReleaseService/ListHolds", `{"pageToken": "abc"}`, "page_token"},
		{"an etag that is none", "LineService/DeleteFreezeWindow", `{"name": "x", "etag": "abc"}`, "etag"},
		{"a policy for another service", "PolicyService/PutPolicy", `{"service": "till", "environment": "production", "reason": "r", "text": "` + policy + `"}`, "text"},
		{"a policy that is wrong", "PolicyService/PutPolicy", `{` + place + `, "reason": "r", "etag": "v1", "text": "` + strings.Replace(policy, "strategy: recreate", "strategy: recreated", 1) + `"}`, "strategy"},
		{"a policy without a target", "PolicyService/PutPolicy", `{` + place + `, "reason": "r", "etag": "v1", "text": "` + strings.Replace(policy, "target: hook\\n", "", 1) + `"}`, "target"},
	} {
		i := slices.IndexFunc(rpcs(), func(rpc protoreflect.MethodDescriptor) bool { return short(rpc) == c.method })
		err := m.call(m.admin, rpcs()[i], c.ask, nil)
		if got := named(err); status.Code(err) != codes.InvalidArgument || !slices.Contains(got, c.field) {
			t.Errorf("%s: %v names %v and not %s", c.name, err, got, c.field)
		}
	}
}

// named are the fields that a refusal names.
func named(err error) (all []string) {
	for _, d := range status.Convert(err).Details() {
		if bad, ok := d.(*errdetails.BadRequest); ok {
			for _, v := range bad.GetFieldViolations() {
				all = append(all, v.GetField())
			}
		}
	}
	return all
}

// furnished is what newMatrix makes, of a server that is there.
func furnished(b *bench) *matrix {
	b.Helper()
	m := &matrix{bench: b, conn: b.grpc()}
	m.furnish()
	var d adgv1.Deployment
	m.into(&d, "DeploymentService/StartDeployment", `{"environment": "production", "release": {"service": "shop", "version": "`+marker+`"}, "reason": "r", "idempotencyKey": "first"}`)
	m.id = d.GetId()
	m.root("ConnectionService/CreateConnection", `{"connection": {"name": "spare", "seam": "SEAM_TARGET", "type": "webhook", "options": {"url": "http://127.0.0.1:1/x"}, "services": ["*"], "environments": ["*"]}}`)
	m.root("IdentityService/CreateUser", `{"name": "`+marker+`", "password": "correct horse battery"}`)
	return m
}
