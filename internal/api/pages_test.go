package api_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/deployguardian/adg/internal/control"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// list is a request for a list and how many rows there are at least.
type list struct {
	ask  string // $ is the id of a deployment that was rolled back
	rows int
}

// lists are all requests for pages: whoever adds one to the API says here what it lists.
var lists = map[string]list{
	"AuditService/ListAuditEntries":       {`{"outcomes": ["AUDIT_OUTCOME_DONE"]}`, 5},
	"CatalogService/ListServices":         {`{}`, 3},
	"CatalogService/ListServiceBaselines": {`{"service": "shop"}`, 0}, // see TestBaselinesAreThoseFrozenLast
	"CatalogService/ListEnvironments":     {`{}`, 2},
	"ConnectionService/ListConnections":   {`{}`, 3},
	"ConnectionService/ListDrivers":       {`{}`, 5},
	"DeploymentService/ListDeployments":   {`{}`, 3},
	"EventService/ListEvents":             {`{}`, 3},
	"EventService/ListDeadDeliveries":     {`{}`, 2},
	"EvidenceService/ListChecks":          {`{"deployment": "$"}`, 2},
	"EvidenceService/ListMeasurements":    {`{"deployment": "$"}`, 3},
	"EvidenceService/ListAssessments":     {`{"deployment": "$"}`, 3},
	"EvidenceService/ListDecisions":       {`{"deployment": "$"}`, 3},
	"EvidenceService/ListEffects":         {`{"deployment": "$"}`, 2},
	"EvidenceService/ListGates":           {`{"deployment": "$"}`, 1},
	"EvidenceService/ListBaselines":       {`{"deployment": "$"}`, 1},
	"EvidenceService/ListFacts":           {`{"deployment": "$"}`, 2},
	"IdentityService/ListUsers":           {`{}`, 3},
	"IdentityService/ListTokens":          {`{}`, 2},
	"IdentityService/ListRoleBindings":    {`{}`, 3},
	"IdentityService/ListRoles":           {`{}`, 4},
	"IdentityService/ListSessions":        {`{"user": "many"}`, 3},
	"LineService/ListStops":               {`{}`, 3},
	"LineService/ListFreezeWindows":       {`{"service": "shop"}`, 3},
	"LoginService/ListLoginProviders":     {`{}`, 1},
	"PolicyService/ListPolicies":          {`{}`, 1},
	"PolicyService/ListPolicyVersions":    {`{` + place + `}`, 3},
	"PredictionService/ListPredictions":   {`{}`, 3},
	"PredictionService/ListModels":        {`{}`, 1},
	"ReleaseService/ListReleases":         {`{"services": ["many", "shop"]}`, 3},
	"ReleaseService/ListHolds":            {`{"services": ["many"]}`, 3},
	"SystemService/ListSettings":          {`{}`, 3},
	"SystemService/ListFeatures":          {`{}`, 2},
	"SystemService/ListReplicas":          {`{}`, 2},
}

func TestPagesOfEveryListHaveEachRowOnce(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	id, _ := g.rolledBack()
	guarded := &matrix{bench: g.bench, conn: g.grpc()}
	b := newBench(t) // where no guard takes what the test wants to move
	m := &matrix{bench: b, conn: b.grpc()}
	m.many()
	for _, rpc := range rpcs() {
		paged := rpc.Input().Fields().ByName("page_size") != nil
		row, known := lists[short(rpc)]
		if paged != known {
			t.Errorf("%s comes in pages: %t, and is in the table of lists: %t", short(rpc), paged, known)
		}
		if paged && known {
			at := m
			if rpc.Parent().Name() == "EvidenceService" {
				at = guarded
			}
			t.Run(short(rpc), func(t *testing.T) { at.in(t).paged(rpc, strings.ReplaceAll(row.ask, "$", id), row.rows) })
		}
	}
}

// paged reads a list at once, and in pages of one and of two.
func (m *matrix) paged(rpc protoreflect.MethodDescriptor, ask string, least int) {
	m.Helper()
	whole, next := m.page(rpc, ask, 1000, "")
	if len(whole) < least || next != "" {
		m.Fatalf("%d rows, and not %d or more, in one page: %v", len(whole), least, whole)
	}
	for _, size := range []int{1, 2} {
		var read []string
		for token, ended := "", false; !ended; {
			rows, next := m.page(rpc, ask, size, token)
			if len(rows) > size || len(rows) == 0 && len(whole) > 0 {
				m.Fatalf("a page of %d has %d rows", size, len(rows))
			}
			read = append(read, rows...)
			token, ended = next, next == ""
		}
		if !slices.Equal(read, whole) {
			m.Errorf("in pages of %d:\n%v\nat once:\n%v", size, read, whole)
		}
	}
}

func (m *matrix) page(rpc protoreflect.MethodDescriptor, ask string, size int, token string) (rows []string, next string) {
	m.Helper()
	r, answer := newMessage(rpc.Input()), newMessage(rpc.Output())
	m.must(protojson.Unmarshal([]byte(ask), r))
	set := r.ProtoReflect()
	set.Set(rpc.Input().Fields().ByName("page_size"), protoreflect.ValueOfInt32(int32(size)))
	set.Set(rpc.Input().Fields().ByName("page_token"), protoreflect.ValueOfString(token))
	m.must(m.call(m.admin, rpc, protojson.Format(r), answer))
	answer.ProtoReflect().Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if f.IsList() && f.Message() != nil {
			for i := range v.List().Len() {
				row, err := proto.MarshalOptions{Deterministic: true}.Marshal(v.List().Get(i).Message().Interface())
				m.must(err)
				rows = append(rows, fmt.Sprintf("%x", row))
			}
		}
		return true
	})
	return rows, answer.ProtoReflect().Get(rpc.Output().Fields().ByName("next_page_token")).String()
}

// many makes several of everything.
func (m *matrix) many() {
	m.Helper()
	m.furnish()
	m.lived()
	_, _, err := m.train("first")
	m.must(err)
	m.person("many")
	for i, name := range []string{"one", "two", "three"} {
		_, err := m.control.Beat(m.Context(), control.Replica{Name: name, Version: marker})
		m.must(err)
		m.stored(name, name, "production-"+name, time.Now())
		m.dead()
		m.root("ReleaseService/CreateHold", `{"service": "many", "environment": "production", "identity": "`+name+`", "reason": "r"}`)
		m.root("ReleaseService/MarkReleaseGood", `{"environment": "production", "release": {"service": "many", "version": "`+name+`"}, "reason": "r"}`)
		m.root("LineService/StopLine", `{"scope": {"service": "`+name+`"}, "reason": "r"}`)
		m.root("LineService/CreateFreezeWindow", `{"freeze": {"name": "`+name+`", "service": "s*", "fromTime": "2031-01-01T00:00:00Z", "reason": "r"}}`)
		m.root("ConnectionService/CreateConnection", `{"connection": {"name": "`+name+`", "seam": "SEAM_TARGET", "type": "webhook", "options": {"url": "http://127.0.0.1:1/x"}, "services": ["*"], "environments": ["*"]}}`)
		m.person(name)
		m.session(somebody{subject: "user:many"})
		m.root("IdentityService/CreateRoleBinding", `{"subject": "user:`+name+`", "role": "viewer", `+place+`}`)
		m.root("PolicyService/PutPolicy", fmt.Sprintf(`{%s, "etag": "v%d", "reason": "r", "text": "%s"}`, place, i+1, policy+`# `+name+`\n`))
	}
	var versions adgv1.ListPolicyVersionsResponse
	m.into(&versions, "PolicyService/ListPolicyVersions", `{`+place+`, "pageSize": 2}`)
	if all := versions.GetVersions(); len(all) != 2 || all[0].GetVersion() != 4 || all[1].GetVersion() != 3 {
		m.Errorf("the newest versions: %v", all)
	}
}

func TestListsHaveWhatWasAskedForOnly(t *testing.T) {
	t.Parallel()
	m := newMatrix(t)
	weaker := m.weakened()
	m.root("LineService/CreateFreezeWindow", `{"freeze": {"name": "of-all", "fromTime": "2020-01-01T00:00:00Z", "reason": "r"}}`)
	m.root("LineService/CreateFreezeWindow", `{"freeze": {"name": "of-tills", "service": "ti*", "fromTime": "2020-01-01T00:00:00Z", "reason": "r"}}`)
	_ = m.call(m.viewer, rpcNamed("LineService/StopLine"), `{"reason": "r"}`, nil)
	for _, c := range []struct{ name, method, ask, has, not string }{
		{"policies that wait", "PolicyService/ListPolicies", `{"pendingApproval": true}`, `"version":"` + weaker + `"`, ""},
		{"policies of another service", "PolicyService/ListPolicies", `{"services": ["till"]}`, "{}", "shop"},
		{"freeze windows that cover a service", "LineService/ListFreezeWindows", `{"service": "till", "active": true}`, "of-tills", "freeze-"},
		{"freeze windows of everything cover a service, too", "LineService/ListFreezeWindows", `{"service": "shop", "environment": "staging"}`, "of-all", "of-tills"},
		{"refusals", "AuditService/ListAuditEntries", `{"outcomes": ["AUDIT_OUTCOME_DENIED"]}`, "stop.put", "AUDIT_OUTCOME_DONE"},
		{"entries of nobody", "AuditService/ListAuditEntries", `{"actor": "user:nobody"}`, "{}", "seq"},
		{"releases of a standing", "ReleaseService/ListReleases", `{"standings": ["STANDING_ROLLED_BACK"]}`, "{}", marker},
	} {
		answer := newMessage(rpcNamed(c.method).Output())
		m.must(m.call(m.admin, rpcNamed(c.method), c.ask, answer))
		text := strings.ReplaceAll(protojson.MarshalOptions{}.Format(answer), " ", "")
		if !strings.Contains(text, c.has) || c.not != "" && strings.Contains(text, c.not) {
			t.Errorf("%s: %s", c.name, text)
		}
	}
}

func rpcNamed(name string) protoreflect.MethodDescriptor {
	all := rpcs()
	return all[slices.IndexFunc(all, func(rpc protoreflect.MethodDescriptor) bool { return short(rpc) == name })]
}
