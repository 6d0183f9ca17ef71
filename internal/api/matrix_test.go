package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/api"
	"github.com/deployguardian/adg/internal/api/wire"
	"github.com/deployguardian/adg/internal/identity"
	"github.com/deployguardian/adg/internal/serve"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

var update = flag.Bool("update", false, "write the reference page of the roles anew")

// marker is in everything that belongs to the shop in production: where it shows up, something of it was shown.
const marker = "zanzibar"

const hold = `{"service": "shop", "environment": "production", "identity": "v-` + marker + `", "reason": "r"}`

// matrix is an API with something of every kind in it, and people who hold every role in every place.
type matrix struct {
	*bench
	conn *grpc.ClientConn
	id   string // of a deployment of the shop in production
}

// somebody is who asks.
type somebody struct {
	name       string
	subject    string
	credential string
	bindings   []identity.Binding
	token      bool
}

func newMatrix(t *testing.T) *matrix {
	t.Helper()
	m := &matrix{bench: newBench(t, func(o *api.Options) { o.Logins = serve.NewRate(1000, 1000) })}
	m.conn = m.grpc()
	m.furnish()
	m.root("PolicyService/PutPolicy", `{"service": "shop", "environment": "production", "etag": "v1", "reason": "r", "text": "`+policy+`# again\n"}`)
	var d adgv1.Deployment
	m.into(&d, "DeploymentService/StartDeployment", `{"environment": "production", "release": {"service": "shop", "version": "`+marker+`"}, "reason": "r", "idempotencyKey": "first"}`)
	m.id = d.GetId()
	m.told()
	m.root("ConnectionService/CreateConnection", `{"connection": {"name": "spare", "seam": "SEAM_TARGET", "type": "webhook", "options": {"url": "http://127.0.0.1:1/`+marker+`"}, "services": ["*"], "environments": ["*"]}}`)
	m.root("IdentityService/CreateUser", `{"name": "`+marker+`", "password": "correct horse battery"}`)
	m.root("IdentityService/CreateRoleBinding", `{"subject": "user:`+marker+`", "role": "viewer", "service": "shop", "environment": "production"}`)
	m.root("ReleaseService/MarkReleaseGood", `{"environment": "production", "release": {"service": "shop", "version": "`+marker+`"}, "reason": "r"}`)
	m.freeze()
	return m
}

// told puts a decision and an event on record.
func (m *matrix) told() {
	m.Helper()
	work, err := m.store.Take(m.Context(), "test", time.Minute, 1)
	m.must(err)
	now, err := m.store.Now(m.Context())
	m.must(err)
	next := work[0].Deployment.Status
	next.Due = now.Add(time.Hour)
	_, err = m.store.Commit(m.Context(), adg.Tick{
		Lease: work[0].Lease, Version: work[0].Deployment.Version, Before: work[0].Deployment.Status, Input: adg.Input{Now: now}, GiveBack: true, Notifiers: []string{"chat"},
		Decision: adg.Decision{At: now, Kind: adg.Hold, Next: next, Facts: []adg.Fact{{ID: "f1", Deployment: m.id, Kind: adg.FactStarted, At: now, Service: "shop", Environment: "production", Text: marker}}},
	})
	m.must(err)
}

// everybody is nobody, a person without a role, and for each role one who holds it everywhere, for the shop in
// production, for another service, in another environment; and tokens of an admin of everything that were made for less.
func (m *matrix) everybody() []somebody {
	m.Helper()
	all := []somebody{{name: "nobody"}, m.person("stranger")}
	for _, r := range identity.Roles() {
		all = append(all, m.person(r.String()+" of everything", identity.Binding{Role: r, Service: "*", Environment: "*"}),
			m.person(r.String()+" of the shop in production", identity.Binding{Role: r, Service: "shop", Environment: "production"}),
			m.person(r.String()+" of another service", identity.Binding{Role: r, Service: "till", Environment: "production"}),
			m.person(r.String()+" in another environment", identity.Binding{Role: r, Service: "shop", Environment: "staging"}))
	}
	m.person("admin who makes tokens", identity.Binding{Role: identity.Admin, Service: "*", Environment: "*"})
	root, err := m.people.Identify(m.Context(), "admin-who-makes-tokens")
	m.must(err)
	for _, r := range []identity.Role{identity.Viewer, identity.Admin} {
		b := identity.Binding{Role: r, Service: "shop", Environment: "production"}
		secret, made, err := m.people.CreateToken(m.Context(), identity.Caller{Identity: root}, identity.NewToken{Label: "t", Scope: []identity.Binding{b}})
		m.must(err)
		all = append(all, somebody{name: "token of an admin, made for a " + r.String() + " of the shop in production", subject: "token:" + made.ID, credential: secret.Reveal(),
			bindings: []identity.Binding{b}, token: true})
	}
	return all
}

func (m *matrix) person(what string, roles ...identity.Binding) somebody {
	m.Helper()
	name := strings.ReplaceAll(what, " ", "-")
	root, err := m.people.Identify(m.Context(), "ann")
	m.must(err)
	m.must(m.people.CreateUser(m.Context(), identity.Caller{Identity: root}, name, adg.NewSecret("correct horse battery")))
	for _, b := range roles {
		b.Subject = "user:" + name
		m.must(m.people.Grant(m.Context(), identity.Caller{Identity: root}, b))
	}
	s := somebody{name: what, subject: "user:" + name, bindings: roles}
	s.credential = m.session(s)
	return s
}

func (m *matrix) session(s somebody) string {
	m.Helper()
	o, err := m.people.Login(m.Context(), identity.Attempt{Name: strings.TrimPrefix(s.subject, "user:"), Password: adg.NewSecret("correct horse battery"), From: "192.0.2.1"})
	m.must(err)
	return o.Credential.Reveal()
}

// The matrix

func TestEveryMethodIsAnsweredToThoseOnlyWhoMay(t *testing.T) {
	t.Parallel()
	m := newMatrix(t)
	everybody := m.everybody()
	for _, rpc := range rpcs() {
		name := short(rpc)
		row, known := methods[name]
		if !known {
			t.Errorf("%s: say in the table of methods which permission it takes, and how its request names a service", name)
			continue
		}
		t.Run(name, func(t *testing.T) {
			at := m.in(t)
			well := false
			for i, who := range everybody {
				well = at.check(rpc, row, who) || well
				if name == "LoginService/LogOut" && !who.token && who.subject != "" {
					everybody[i].credential = at.session(who)
				}
			}
			if !well && row.code == "" {
				t.Error("nobody was answered well: correct its request in the table of methods")
			}
		})
	}
}

func TestTheTableOfMethodsNamesNoneThatIsNotThere(t *testing.T) {
	var there []string
	for _, rpc := range rpcs() {
		there = append(there, short(rpc))
	}
	for name := range methods {
		if !slices.Contains(there, name) {
			t.Errorf("there is no method %s", name)
		}
	}
}

func TestThePageAboutRolesSaysWhichMethodsNeedWhat(t *testing.T) {
	const path = "../../docs/reference/roles.md"
	var page strings.Builder
	page.WriteString(identity.RolesPage())
	page.WriteString("\n## Which methods need what\n\nThe methods of the API, by the permission that they need for the service and the environment that the request is about. Lists show\n" +
		"what the caller has the permission for. Methods that are not here need no permission: they are about the caller himself, or\nfor everybody who is logged in, or for logging in.\n\n" +
		"| permission | roles | methods |\n| --- | --- | --- |\n")
	for _, p := range identity.Permissions() {
		var roles, needed []string
		for _, r := range identity.Roles() {
			if r.Has(p) {
				roles = append(roles, r.String())
			}
		}
		for _, rpc := range rpcs() {
			if row := methods[short(rpc)]; row.permission == p {
				needed = append(needed, "`"+strings.Replace(short(rpc), "Service/", ".", 1)+"`")
			}
		}
		fmt.Fprintf(&page, "| `%s` | %s | %s |\n", p, strings.Join(roles, ", "), strings.Join(needed, ", "))
	}
	if *update {
		if err := os.WriteFile(path, []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	written, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(written), page.String()); diff != "" {
		t.Errorf("%s is stale, run this test with -update and look at what changes:\n%s", path, diff)
	}
}

// Private

// may is what the table says about somebody.
func (row method) may(who somebody, name string) bool {
	switch row.demand {
	case ofNobody:
		return true
	case ofLogin, sees:
		return who.subject != ""
	case ofPerson:
		return who.subject != "" && !who.token
	case here:
		return has(who, row.permission, "shop", "production") && (!who.token || name != "IdentityService/CreateToken")
	case forShop:
		return has(who, row.permission, "shop", "")
	case somewhere:
		return slices.ContainsFunc(who.bindings, func(b identity.Binding) bool { return b.Role.Has(row.permission) })
	case everywhere:
		return has(who, row.permission, "", "")
	default:
		panic("a demand that the test does not know")
	}
}

// has says it in other words than the code under test. No service, and no environment, is all of them.
func has(who somebody, p identity.Permission, service, environment string) bool {
	for _, b := range who.bindings {
		if b.Role.Has(p) && (b.Service == "*" || b.Service == service && !p.FleetWide()) && (b.Environment == "*" || b.Environment == environment && !p.FleetWide()) {
			return true
		}
	}
	return false
}

// check makes one request and tells whether it was answered well.
func (m *matrix) check(rpc protoreflect.MethodDescriptor, row method, who somebody) (well bool) {
	m.Helper()
	ask := m.asked(row)
	before := m.lastEntry()
	answer := newMessage(rpc.Output())
	err := m.call(who.credential, rpc, ask, answer)
	code := status.Code(err)
	text := protojson.Format(answer)
	switch {
	case row.may(who, short(rpc)):
		switch {
		case row.demand == ofNobody && code != codes.PermissionDenied && code != codes.Internal && code != codes.Unimplemented:
		case code != codes.OK && code.String() != row.code:
			m.Errorf("%s may, and is answered %v", who.name, err)
		case row.demand == sees && !row.public && strings.Contains(text, marker) != has(who, row.permission, "shop", "production"):
			m.Errorf("%s is shown what is none of his business, or not what is: %.300s", who.name, text)
		case row.permission != identity.PermissionNone && row.demand == everywhere && !row.public && code == codes.OK && strings.HasPrefix(string(rpc.Name()), "Get") && !strings.Contains(text, marker) && !strings.Contains(text, "prom"):
			m.Errorf("%s is not shown what he asked for: %s", who.name, text)
		}
		return code == codes.OK
	case who.subject == "":
		if code != codes.Unauthenticated {
			m.Errorf("%s is answered %v", who.name, err)
		}
	default:
		m.refused(rpc, row, who, ask, err)
	}
	if proto.Size(answer) > 0 {
		m.Errorf("%s may not, and is shown %.300s", who.name, text)
	}
	m.unchanged(before, who)
	return false
}

// refused looks at a refusal: it says nothing about what is there, and is on record.
func (m *matrix) refused(rpc protoreflect.MethodDescriptor, row method, who somebody, ask string, err error) {
	m.Helper()
	code := status.Code(err)
	if code != codes.PermissionDenied && code != codes.NotFound {
		m.Errorf("%s may not, and is answered %v", who.name, err)
	}
	if said := fmt.Sprint(err, status.Convert(err).Details()); strings.Contains(said, marker) && !strings.Contains(ask, marker) {
		m.Errorf("%s may not, and is told %s", who.name, said)
	}
	if row.hides && !has(who, identity.DeploymentRead, "shop", "production") {
		other, thing, none := m.absent(ask)
		missing := m.call(who.credential, rpc, other, nil)
		if status.Code(missing) != code || strings.ReplaceAll(status.Convert(err).Message(), thing, none) != status.Convert(missing).Message() {
			m.Errorf("%s learns that it is there: %v, and of what is not %v", who.name, err, missing)
		}
	}
	// Nothing is done before the refusal, and what was looked at is not told apart either.
	if f := rpc.Input().Fields().ByName("etag"); f != nil {
		r := newMessage(rpc.Input())
		m.must(protojson.Unmarshal([]byte(ask), r))
		r.ProtoReflect().Set(f, protoreflect.ValueOfString(wire.Etag(99)))
		if again := m.call(who.credential, rpc, protojson.Format(r), nil); status.Code(again) != code {
			m.Errorf("%s is answered %v, and with an old etag %v", who.name, err, again)
		}
	}
}

// absent is a request for something that is not there, instead of what is.
func (m *matrix) absent(ask string) (other, thing, none string) {
	m.Helper()
	var fields map[string]any
	m.must(json.Unmarshal([]byte(ask), &fields))
	for _, name := range []string{"id", "deployment", "service"} {
		if thing, _ = fields[name].(string); thing == "" {
			continue
		}
		none = "none"
		if notifier, _, err := wire.ReadDeliveryID(thing); err == nil {
			none = deliveryID(notifier, "none")
		}
		fields[name] = none
		return string(mustJSON(fields)), thing, none
	}
	m.Fatalf("the request %s names nothing that could be absent", ask)
	return "", "", ""
}

// unchanged demands that somebody has done nothing since, and that what he was refused is on record.
func (m *matrix) unchanged(before int64, who somebody) {
	m.Helper()
	entries, err := m.store.Audit(m.Context(), adg.AuditFilter{After: before, Limit: 1000})
	m.must(err)
	denied := false
	for _, e := range entries {
		if e.Outcome != adg.AuditDenied {
			m.Errorf("%s may not, and has done %s on %s", who.name, e.Action, e.Resource)
		}
		denied = denied || e.Actor == who.subject && e.Reason != "" && e.Action != "" && e.From == "127.0.0.1"
	}
	if who.subject != "" && !denied {
		m.Errorf("%s was refused, and that is not on record", who.name)
	}
}

func (m *matrix) lastEntry() int64 {
	m.Helper()
	last, err := m.store.Audit(m.Context(), adg.AuditFilter{Newest: true, Limit: 1})
	m.must(err)
	return last[0].Seq
}

func (m *matrix) in(t *testing.T) *matrix {
	inner, b := *m, *m.bench
	b.T, inner.bench = t, &b
	return &inner
}

// asked is the request of a row.
func (m *matrix) asked(row method) string {
	m.Helper()
	if row.ask == nil {
		return "{}"
	}
	return withReason(row.ask(m))
}

func withReason(ask string) string {
	return strings.ReplaceAll(ask, `"reason": "r"`, `"reason": "`+marker+`"`)
}

// call makes a request; of a stream it reads all, and of one that does not end by itself the first answer.
func (m *matrix) call(credential string, rpc protoreflect.MethodDescriptor, ask string, answer proto.Message) error {
	m.Helper()
	ctx, cancel := context.WithTimeout(m.Context(), time.Minute)
	defer cancel()
	if credential != "" {
		ctx = as(ctx, credential)
	}
	r := newMessage(rpc.Input())
	m.must(protojson.Unmarshal([]byte(ask), r))
	if answer == nil {
		answer = newMessage(rpc.Output())
	}
	path := fmt.Sprintf("/%s/%s", rpc.Parent().FullName(), rpc.Name())
	if !rpc.IsStreamingServer() {
		return m.conn.Invoke(ctx, path, r, answer)
	}
	stream, err := m.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, path)
	if err != nil {
		return err
	}
	if err := stream.SendMsg(r); err != nil {
		return err
	}
	m.must(stream.CloseSend())
	if err := stream.RecvMsg(answer); err != nil || isEndless(rpc) {
		return err
	}
	for err == nil {
		err = stream.RecvMsg(newMessage(rpc.Output()))
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func isEndless(rpc protoreflect.MethodDescriptor) bool {
	return strings.HasPrefix(string(rpc.Name()), "Watch") || strings.HasPrefix(string(rpc.Name()), "Stream")
}

// into asks as the admin.
func (m *matrix) into(answer proto.Message, name, ask string) {
	m.Helper()
	i := slices.IndexFunc(rpcs(), func(rpc protoreflect.MethodDescriptor) bool { return short(rpc) == name })
	if err := m.call(m.admin, rpcs()[i], withReason(ask), answer); err != nil {
		m.Fatalf("%s: %v", name, err)
	}
}

func (m *matrix) root(name, ask string) {
	m.Helper()
	m.into(nil, name, ask)
}

func (m *matrix) field(answer proto.Message, field protoreflect.Name, name, ask string) string {
	m.Helper()
	m.into(answer, name, ask)
	return answer.ProtoReflect().Get(answer.ProtoReflect().Descriptor().Fields().ByName(field)).String()
}

var counted atomic.Int64

func (m *matrix) next() int { return int(counted.Add(1)) }

func newMessage(d protoreflect.MessageDescriptor) proto.Message {
	kind, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
	if err != nil {
		panic(err)
	}
	return kind.New().Interface()
}

// rpcs are all methods of the API.
func rpcs() (all []protoreflect.MethodDescriptor) {
	protoregistry.GlobalFiles.RangeFilesByPackage("adg.v1", func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			for j := range file.Services().Get(i).Methods().Len() {
				all = append(all, file.Services().Get(i).Methods().Get(j))
			}
		}
		return true
	})
	slices.SortFunc(all, func(a, b protoreflect.MethodDescriptor) int {
		return strings.Compare(string(a.FullName()), string(b.FullName()))
	})
	return all
}

func short(rpc protoreflect.MethodDescriptor) string {
	return fmt.Sprintf("%s/%s", rpc.Parent().Name(), rpc.Name())
}

// Requests

func says(ask string) func(*matrix) string { return func(*matrix) string { return ask } }

func evidence(ask string) method {
	return method{demand: here, permission: identity.DeploymentRead, hides: true, public: true,
		ask: func(m *matrix) string { return strings.ReplaceAll(ask, "$", m.id) }}
}

// decided names the first decision about the deployment.
func (m *matrix) decided() string {
	var all adgv1.ListDecisionsResponse
	m.into(&all, "EvidenceService/ListDecisions", `{"deployment": "`+m.id+`"}`)
	return fmt.Sprintf(`{"deployment": "%s", "seq": %d}`, m.id, all.GetDecisions()[0].GetSeq())
}

func (m *matrix) deployment() string { return `{"id": "` + m.id + `"}` }

func (m *matrix) command() string {
	etag := m.field(&adgv1.Deployment{}, "etag", "DeploymentService/GetDeployment", m.deployment())
	return `{"id": "` + m.id + `", "etag": "` + etag + `", "reason": "r"}`
}

func (m *matrix) held() string {
	m.root("ReleaseService/CreateHold", hold)
	return `{"service": "shop", "environment": "production", "identity": "v-` + marker + `", "reason": "no more"}`
}

func (m *matrix) stopped() string {
	m.root("LineService/StopLine", `{"scope": {"service": "shop", "environment": "production"}, "reason": "r"}`)
	return `{"scope": {"service": "shop", "environment": "production"}, "reason": "no more"}`
}

func (m *matrix) freeze() string {
	name := fmt.Sprintf("freeze-%d", m.next())
	m.root("LineService/CreateFreezeWindow", `{"freeze": {"name": "`+name+`", "service": "shop", "environment": "production", "fromTime": "2031-01-01T00:00:00Z", "reason": "r"}}`)
	return name
}

// abandoned makes sure that what happened to the shop could not be told, and names that.
func (m *matrix) abandoned() string {
	m.Helper()
	all, err := m.store.Undelivered(m.Context(), "test", time.Minute, 10)
	m.must(err)
	for _, d := range all {
		m.must(m.store.Abandon(m.Context(), d, "nobody is there"))
	}
	return `{"id": "` + deliveryID("chat", "f1") + `", "reason": "r"}`
}

func deliveryID(notifier, fact string) string {
	return wire.DeliveryID(adg.Delivery{Notifier: notifier, Fact: adg.Fact{ID: fact}})
}

func (m *matrix) device() string {
	return `{"userCode": "` + m.field(&adgv1.StartDeviceLoginResponse{}, "user_code", "LoginService/StartDeviceLogin", `{"client": "c"}`) + `"}`
}

func (m *matrix) tokenOfAnother() string {
	m.Helper()
	who, err := m.people.Identify(m.Context(), marker)
	m.must(err)
	_, made, err := m.people.CreateToken(m.Context(), identity.Caller{Identity: who}, identity.NewToken{Label: marker})
	m.must(err)
	return made.ID
}

func (m *matrix) policy() string { return policy }

func (m *matrix) newest() string {
	var all adgv1.ListPolicyVersionsResponse
	m.into(&all, "PolicyService/ListPolicyVersions", `{"service": "shop", "environment": "production"}`)
	return fmt.Sprint(all.GetVersions()[0].GetVersion())
}

// weakened puts a policy that may guard less, and waits for an approval.
func (m *matrix) weakened() string {
	text := strings.Replace(policy, "> 5%", fmt.Sprintf("> %d%%", 6+m.next()%90), 1)
	m.root("PolicyService/PutPolicy", `{"service": "shop", "environment": "production", "etag": "v`+m.newest()+`", "reason": "r", "text": "`+text+`"}`)
	return m.newest()
}
