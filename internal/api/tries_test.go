package api_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/deployguardian/adg"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// outside is what connections reach: metrics, a platform and people.
type outside struct {
	*httptest.Server
	told atomic.Pointer[string] // the last message
}

// newOutside is a Prometheus below /prom, which refuses queries with "broken" in them and whoever has no token and
// repeats what it was sent; a Loki; a platform below /platform; and people below /people.
func newOutside(t *testing.T) *outside {
	t.Helper()
	o := &outside{}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /prom/api/v1/query", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.Header.Get("Authorization") != "Bearer hunter2":
			w.WriteHeader(http.StatusForbidden)
			_, _ = fmt.Fprintf(w, "you said %s", r.Header.Get("Authorization"))
		case strings.Contains(r.PostFormValue("query"), "broken"):
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"status":"error","errorType":"bad_data","error":"parse error"}`)
		default:
			_, _ = fmt.Fprintf(w, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[%d,"0.25"]}]}}`, time.Now().Unix())
		}
	})
	mux.HandleFunc("POST /loki/api/v1/query", func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.PostFormValue("query"), "{") {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, "log queries are not supported as an instant query type, please change your query to a range query type")
			return
		}
		_, _ = fmt.Fprintf(w, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[%d,"1"]}]}}`, time.Now().Unix())
	})
	mux.HandleFunc("POST /loki/api/v1/query_range", func(w http.ResponseWriter, r *http.Request) {
		var lines []string
		for i := range 3 {
			lines = append(lines, fmt.Sprintf(`["%d","ERROR order %d is lost, password=hunter2"]`, time.Now().Add(time.Duration(-i-1)*time.Second).UnixNano(), i))
		}
		if strings.Contains(r.PostFormValue("query"), "nobody") {
			lines = nil
		}
		_, _ = fmt.Fprintf(w, `{"status":"success","data":{"resultType":"streams","result":[{"stream":{"pod":"a"},"values":[%s]}]}}`, strings.Join(lines, ","))
	})
	mux.HandleFunc("GET /platform", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"releases":[{"release":{"version":"v1"},"share":100}],"done":true}`)
	})
	mux.HandleFunc("POST /people", func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		o.told.Store(new(string(body)))
	})
	o.Server = httptest.NewServer(mux)
	t.Cleanup(o.Close)
	return o
}

const tried = `service: shop
environment: production
target: platform
notify: [people]
checks:
- {name: errors, source: prom, query: 'errors{version="$version"}', fail: "> 50%", critical: true}
- {name: odd, source: prom, query: 'broken', fail: "> 5"}
strategy: recreate
`

// connected is a bench with connections to what is outside, and a policy for the shop.
func connected(t *testing.T) (*bench, *outside) {
	t.Helper()
	b, o := newBench(t), newOutside(t)
	for _, body := range []string{
		`{"name": "prom", "seam": "SEAM_SOURCE", "type": "prometheus", "options": {"url": "` + o.URL + `/prom"}, "secrets": {"bearer_token": "hunter2"}, "services": ["shop"], "environments": ["*"]}`,
		`{"name": "platform", "seam": "SEAM_TARGET", "type": "webhook", "options": {"url": "` + o.URL + `/platform", "current_url": "` + o.URL + `/platform"}, "services": ["shop"], "environments": ["*"]}`,
		`{"name": "people", "seam": "SEAM_NOTIFIER", "type": "webhook", "options": {"url": "` + o.URL + `/people"}, "services": ["*"], "environments": ["*"]}`,
		`{"name": "logs", "seam": "SEAM_SOURCE", "type": "loki", "options": {"url": "` + o.URL + `"}, "services": ["cart"], "environments": ["*"]}`,
		`{"name": "others", "seam": "SEAM_SOURCE", "type": "prometheus", "options": {"url": "` + o.URL + `/prom"}, "services": ["cart"], "environments": ["*"]}`,
	} {
		b.good(b.admin, "POST", "/v1/connections", `{"reason": "r", "connection": `+body+`}`)
	}
	b.good(b.admin, "PUT", "/v1/policies/shop/production", string(mustJSON(map[string]string{"reason": "first", "text": tried})))
	return b, o
}

// good makes a request that has to succeed.
func (b *bench) good(token, method, path, body string) map[string]any {
	b.Helper()
	code, answer := b.ask(token, method, path, body)
	if code != http.StatusOK {
		b.Fatalf("%s %s: %d %v", method, path, code, answer)
	}
	return answer
}

// refused makes a request that has to fail like that.
func (b *bench) refused(token, method, path, body string, want int, say string) {
	b.Helper()
	if code, answer := b.ask(token, method, path, body); code != want || !strings.Contains(string(mustJSON(answer)), say) {
		b.Errorf("%s %s: %d %v, want %d with %q", method, path, code, answer, want, say)
	}
}

func TestPoliciesDifferInTextAndInMeaning(t *testing.T) {
	b, _ := connected(t)
	next := strings.Replace(strings.Replace(tried, ", critical: true", ", weight: 2", 1), "strategy:", "interval: 30s # slower\nstrategy:", 1)
	next = strings.Replace(next, "- {name: odd,", "- {name: new, source: prom, query: q, fail: '> 1'}\n- {name: odd,", 1)
	answer := b.good(b.viewer, "POST", "/v1/policies/shop/production:diff", string(mustJSON(map[string]string{"toText": next})))
	unified, _ := answer["unified"].(string)
	if !strings.HasPrefix(unified, "--- version 1\n+++ text\n@@ ") || !strings.Contains(unified, "\n+interval: 30s # slower\n") {
		t.Errorf("got %s", unified)
	}
	type change struct {
		Path, Before, After string
		Weakens             bool
	}
	var changes []change
	b.must(json.Unmarshal(mustJSON(answer["changes"]), &changes))
	for _, want := range []change{
		{"checks[0].critical", "true", "false", true}, {"checks[0].weight", "1", "2", false}, {"interval", "15s", "30s", true}, {"checks[1].name", "", "new", false},
	} {
		if !slices.Contains(changes, want) {
			t.Errorf("%v is not among %v", want, changes)
		}
	}
	for _, one := range changes {
		if strings.HasPrefix(one.Path, "checks[2]") {
			t.Errorf("a check that has only moved is said to have changed: %v", one)
		}
	}
	if weakens := fmt.Sprint(answer["weakens"]); weakens != "[time between measurements: 30s instead of 15s check errors is not critical any more]" {
		t.Errorf("weakens: %s", weakens)
	}
	// Two versions, of which one waits for an approval; and no difference at all.
	b.good(b.admin, "PUT", "/v1/policies/shop/production", string(mustJSON(map[string]string{"reason": "second", "text": next, "etag": "v1"})))
	if two := b.good(b.viewer, "POST", "/v1/policies/shop/production:diff", `{"fromVersion": 1, "toVersion": 2}`); len(two["changes"].([]any)) != len(changes) {
		t.Errorf("between the versions: %v", two)
	}
	if none := b.good(b.viewer, "POST", "/v1/policies/shop/production:diff", string(mustJSON(map[string]string{"toText": next}))); none["unified"] != "" || len(none["changes"].([]any)) != 0 {
		t.Errorf("the newest and itself: %v", none)
	}
	b.refused(b.viewer, "POST", "/v1/policies/shop/production:diff", `{}`, 400, "nothing to compare it with")
	b.refused(b.viewer, "POST", "/v1/policies/shop/production:diff", `{"toText": "service: shop\nenvironment: production\nchecks: 7"}`, 400, "checks")
	b.refused(b.viewer, "POST", "/v1/policies/shop/production:diff", `{"fromVersion": 9, "toVersion": 1}`, 404, "")
	b.refused(b.viewer, "POST", "/v1/policies/cart/production:diff", `{"toText": "x"}`, 403, "policy.read")
	// A text for another service does not tell what that may use.
	if code, answer := b.ask(b.viewer, "POST", "/v1/policies/shop/production:diff", `{"toText": "service: cart\nchecks: []"}`); code != 400 || strings.Contains(string(mustJSON(answer)), "others") {
		t.Errorf("%d %v", code, answer)
	}
}

func TestAPolicyIsTestedByTheConnectionsOfItsService(t *testing.T) {
	b, _ := connected(t)
	answer := b.good(b.viewer, "POST", "/v1/policies/shop/production:test", `{}`)
	text := string(mustJSON(answer["checks"]))
	checks, _ := answer["checks"].([]any)
	if len(checks) != 2 || strings.Contains(text, "hunter2") {
		t.Fatalf("got %s", text)
	}
	first, second := checks[0].(map[string]any), checks[1].(map[string]any)
	if j := first["judgement"].(map[string]any); first["check"] != "errors" || j["verdict"] != "VERDICT_PASS" || j["value"] != 0.25 {
		t.Errorf("got %v", first)
	}
	// The version that is live, as the target reports it, was asked about.
	if m := first["measurements"].([]any)[0].(map[string]any); fmt.Sprint(m["sent"]) != `[errors{version="v1"}]` || m["error"] != "" {
		t.Errorf("got %v", m)
	}
	if m := second["measurements"].([]any)[0].(map[string]any); !strings.Contains(fmt.Sprint(m["error"]), "parse error") || second["judgement"].(map[string]any)["verdict"] != "VERDICT_UNKNOWN" {
		t.Errorf("a query that is refused: %v", second)
	}
	one := b.good(b.viewer, "POST", "/v1/policies/shop/production:test", `{"checks": ["errors"], "release": {"version": "v7"}}`)
	if text := string(mustJSON(one["checks"])); strings.Contains(text, "odd") || !strings.Contains(text, "v7") {
		t.Errorf("got %s", text)
	}
	body := func(text string) string { return string(mustJSON(map[string]string{"text": text})) }
	if answer := b.good(b.admin, "POST", "/v1/policies/shop/production:test", body(strings.Replace(tried, "prom", "others", 1))); len(answer["checks"].([]any)) != 0 || !strings.Contains(string(mustJSON(answer["problems"])), `"fatal":true`) {
		t.Errorf("a source of another service: %v", answer)
	}
	if answer := b.good(b.admin, "POST", "/v1/policies/shop/production:test", body(strings.Replace(tried, "broken", "fine", 1))); strings.Contains(string(mustJSON(answer["checks"])), "UNKNOWN") {
		t.Errorf("a text of one's own: %v", answer)
	}
	// Whoever may not put a policy may not have the server ask what he likes.
	b.refused(b.viewer, "POST", "/v1/policies/shop/production:test", body(tried), 403, "policy.write")
	b.refused(b.viewer, "POST", "/v1/policies/shop/production:test", `{"checks": ["nothing"]}`, 400, "no check")
	b.refused(b.viewer, "POST", "/v1/policies/shop/production:test", `{"release": {"service": "cart", "version": "v1"}}`, 400, "cart")
	b.refused(b.viewer, "POST", "/v1/policies/cart/production:test", `{}`, 403, "policy.read")
}

func TestAPolicyIsTestedWithTheReleaseBeforeThatSomebodyNames(t *testing.T) {
	b, _ := connected(t)
	before := strings.Replace(tried, "$version", "$baseline", 1)
	answer := b.good(b.admin, "POST", "/v1/policies/shop/production:test", string(mustJSON(map[string]any{
		"text": before, "checks": []string{"errors"}, "release": map[string]string{"version": "v7"}, "previous": "v6",
	})))
	first := answer["checks"].([]any)[0].(map[string]any)["measurements"].([]any)[0].(map[string]any)
	if to := answer["rollback"].(map[string]any)["to"]; fmt.Sprint(first["sent"]) != `[errors{version="v6"}]` || to == nil || to.(map[string]any)["version"] != "v6" {
		t.Errorf("got %v", answer)
	}
	// The one on record by that version is meant, with all that is known of it, although another was good last.
	for version, at := range map[string]int64{"v6": 1e9, "v7": 2e9} {
		b.must(b.store.Mark(t.Context(), adg.ReleaseRecord{Environment: "production", Release: adg.Release{Service: "shop", Version: version, Artifact: "shop@sha256:" + version}, Standing: adg.StandingGood, Since: time.Unix(at, 0)}))
	}
	b.must(b.store.CreateDeployment(t.Context(), adg.Deployment{ID: "d6", Spec: adg.Spec{
		Release: adg.Release{Service: "shop", Version: "v6", Artifact: "shop@sha256:v6"}, Policy: adg.Policy{Service: "shop", Environment: "production"},
	}}))
	answer = b.good(b.viewer, "POST", "/v1/policies/shop/production:test", `{"checks": ["errors"], "release": {"version": "v8"}, "previous": "v6"}`)
	if to, _ := answer["rollback"].(map[string]any)["to"].(map[string]any); to["artifact"] != "shop@sha256:v6" {
		t.Errorf("got %v", answer["rollback"])
	}
	b.refused(b.viewer, "POST", "/v1/policies/shop/production:test", `{"release": {"version": "v7"}, "previous": "v7"}`, 400, "the same version")
	b.refused(b.viewer, "POST", "/v1/policies/shop/production:test", `{"release": {"version": "v7"}, "previous": "v6\"} or vector(1)"}`, 400, "version")
}

func TestABacktestTellsCaseByCaseAndThenWhatTheyComeTo(t *testing.T) {
	b, _ := connected(t)
	for i := range 3 {
		d := b.good(b.admin, "POST", "/v1/deployments", fmt.Sprintf(`{"environment": "production", "release": {"service": "shop", "version": "v%d"}, "reason": "r", "idempotencyKey": "k%d"}`, i+2, i))
		work, err := b.store.Take(t.Context(), "test", time.Minute, 10)
		b.must(err)
		for _, w := range work {
			next := w.Deployment.Status
			next.State = adg.Cancelled
			now, err := b.store.Now(t.Context())
			b.must(err)
			_, err = b.store.Commit(t.Context(), adg.Tick{
				Lease: w.Lease, Version: w.Deployment.Version, Before: w.Deployment.Status, Input: adg.Input{Now: now}, GiveBack: true, Decision: adg.Decision{At: now, Next: next},
			})
			b.must(err)
		}
		if d["id"] == "" {
			t.Fatal(d)
		}
	}
	past := adgv1.NewPolicyServiceClient(b.grpc())
	pieces := func(r *adgv1.BacktestPolicyRequest) (cases []*adgv1.BacktestCase, last *adgv1.BacktestPolicyResponse, err error) {
		stream, err := past.BacktestPolicy(as(t.Context(), b.viewer), r)
		b.must(err)
		for {
			piece, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return cases, last, nil
			}
			if err != nil {
				return cases, last, err
			}
			if last = piece; piece.GetCase() != nil {
				cases = append(cases, piece.GetCase())
			}
		}
	}
	cases, last, err := pieces(&adgv1.BacktestPolicyRequest{Service: "shop", Environment: "production", Limit: 2})
	b.must(err)
	if len(cases) != 2 || last.GetDone() != 2 || last.GetAll() != 2 || last.GetSummary().GetSkipped() != 2 {
		t.Fatalf("got %v and %v", cases, last)
	}
	for _, c := range cases {
		if c.GetWas() != adgv1.State_STATE_CANCELLED || c.GetWouldBe() != "not simulated" || c.GetVersion() == "v2" || !strings.Contains(fmt.Sprint(c.GetNotes()), "never got traffic") {
			t.Errorf("got %v", c)
		}
	}
	for name, r := range map[string]*adgv1.BacktestPolicyRequest{
		"of too many":            {Service: "shop", Environment: "production", Limit: 1001},
		"of another service":     {Service: "cart", Environment: "production"},
		"of a text that is none": {Service: "shop", Environment: "production", Text: "service: shop\nenvironment: production\n"},
	} {
		if _, _, err := pieces(r); status.Code(err) != codes.InvalidArgument && status.Code(err) != codes.PermissionDenied {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAConnectionIsTriedOutAndSaysHowItAnswers(t *testing.T) {
	b, o := connected(t)
	test := func(name, body string) map[string]any {
		t.Helper()
		answer := b.good(b.admin, "POST", "/v1/connections/"+name+":test", body)
		if strings.Contains(string(mustJSON(answer)), "hunter2") {
			t.Errorf("%s shows a secret: %v", name, answer)
		}
		return answer
	}
	if answer := test("prom", `{"query": "up", "reason": "is it right?"}`); answer["ok"] != true || answer["text"] != "asked up: 1 series, the first is 0.25" || answer["took"] == nil {
		t.Errorf("a source: %v", answer)
	}
	if answer := test("logs", `{"query": "{app=\"shop\"}"}`); answer["ok"] != true || answer["text"] != `asked {app="shop"}: lines of the last 5m: 3, replicas: 1, patterns: 1` ||
		!strings.Contains(fmt.Sprint(answer["measurement"]), "order <n> is lost") || !strings.Contains(fmt.Sprint(answer["measurement"]), "example:ERROR order") {
		t.Errorf("a source of lines: %v", answer)
	}
	if answer := test("logs", `{"query": "{app=\"nobody\"}"}`); answer["ok"] != true || answer["text"] != `asked {app="nobody"}: no line in the last 5m` {
		t.Errorf("a source that has no line: %v", answer)
	}
	if answer := test("logs", `{}`); answer["ok"] != true || answer["text"] != "asked vector(1): 1 series, the first is 1" {
		t.Errorf("whether a source of lines answers: %v", answer)
	}
	if health := b.good(b.admin, "GET", "/v1/connections/logs", "")["health"].(map[string]any); health["failureTime"] != nil {
		t.Errorf("lines were asked for as numbers: %v", health)
	}
	if answer := test("platform", `{}`); answer["ok"] != true || !strings.Contains(fmt.Sprint(answer["text"]), "v1 with 100 %") || !strings.Contains(fmt.Sprint(answer["observed"]), "v1") {
		t.Errorf("a target: %v", answer)
	}
	// The same request again tells nobody twice.
	for i := range 2 {
		if answer := test("people", `{"idempotencyKey": "once"}`); answer["ok"] != true {
			t.Errorf("a notifier: %v", answer)
		}
		if told := o.told.Swap(nil); (told != nil) != (i == 0) || told != nil && !strings.Contains(*told, "test message") {
			t.Errorf("after %d requests, people were told %v", i+1, told)
		}
	}
	if answer := test("prom", `{"query": "broken"}`); answer["ok"] == true || !strings.Contains(fmt.Sprint(answer["text"]), "parse error") || answer["wayOut"] == "" {
		t.Errorf("a query that is refused: %v", answer)
	}
	// In place of the stored one, with what is sealed there, or with another secret.
	instead := func(secret string) string {
		return `{"connection": {"seam": "SEAM_SOURCE", "type": "prometheus", "options": {"url": "` + o.URL + `/prom"}, "services": ["*"], "environments": ["*"]` + secret + `}}`
	}
	if answer := test("prom", instead("")); answer["ok"] != true {
		t.Errorf("with the sealed secret: %v", answer)
	}
	if answer := test("prom", instead(`, "secrets": {"bearer_token": "hunter3"}`)); answer["ok"] == true || strings.Contains(string(mustJSON(answer)), "hunter3") {
		t.Errorf("with another secret: %v", answer)
	}
	if answer := test("unheard-of", instead(`, "secrets": {"bearer_token": "hunter2"}`)); answer["ok"] != true {
		t.Errorf("one that is not stored: %v", answer)
	}
	b.refused(b.admin, "POST", "/v1/connections/nothing:test", `{}`, 404, "")
	b.refused(b.admin, "POST", "/v1/connections/platform:test", `{"query": "up"}`, 400, "only a source")
	b.refused(b.viewer, "POST", "/v1/connections/prom:test", `{}`, 403, "connection.write")

	k := b.good(b.admin, "GET", "/v1/connections/prom", "")
	health := k["health"].(map[string]any)
	if k["actor"] != "ann" || k["createTime"] == nil || k["updateTime"] != k["createTime"] || health["successTime"] == nil || !strings.Contains(fmt.Sprint(health["error"]), "parse error") || health["latency"] == nil || health["usedBy"] != 1.0 {
		t.Errorf("got %v", k)
	}
	b.refused(b.admin, "DELETE", "/v1/connections/prom", "", 409, "policies in force name prom")
	b.good(b.admin, "DELETE", "/v1/connections/others", "")
	entries, err := b.store.Audit(t.Context(), adg.AuditFilter{Action: "connection.test", Limit: 100})
	b.must(err)
	outcomes := map[adg.AuditOutcome]int{}
	for _, e := range entries {
		outcomes[e.Outcome]++
		if strings.Contains(string(mustJSON(e)), "hunter") {
			t.Errorf("on record: %v", e)
		}
	}
	if entries[0].Reason != "is it right?" || outcomes[adg.AuditFailed] != 2 || outcomes[adg.AuditDenied] != 1 {
		t.Errorf("on record: %v, the first %+v", outcomes, entries[0])
	}
}

func TestDriversAreListedWithASchemaThatTakesWhatIsRegistered(t *testing.T) {
	b, _ := connected(t)
	all := adgv1.NewConnectionServiceClient(b.grpc())
	var drivers []*adgv1.Driver
	r := &adgv1.ListDriversRequest{PageSize: 4}
	for {
		page, err := all.ListDrivers(as(t.Context(), b.admin), r)
		b.must(err)
		drivers = append(drivers, page.GetDrivers()...)
		if r.PageToken = page.GetNextPageToken(); r.GetPageToken() == "" {
			break
		}
	}
	registered, err := all.ListConnections(as(t.Context(), b.admin), &adgv1.ListConnectionsRequest{})
	b.must(err)
	judged := 0
	for _, d := range drivers {
		schema := compiled(t, d.GetSchema())
		if d.GetSummary() == "" || d.GetSeam() == adgv1.Seam_SEAM_UNSPECIFIED {
			t.Errorf("got %v", d)
		}
		for _, k := range registered.GetConnections() {
			if k.GetSeam() == d.GetSeam() && k.GetType() == d.GetType() {
				judged++
				if err := schema.Validate(k.GetOptions().AsMap()); err != nil {
					t.Errorf("%s: %v", k.GetName(), err)
				}
			}
		}
		if d.GetType() == "prometheus" && !slices.Contains(d.GetSecrets(), "bearer_token") {
			t.Errorf("its secrets: %v", d.GetSecrets())
		}
		if d.GetType() == "slack" && !slices.Contains(d.GetSecrets(), "webhook") {
			t.Errorf("its secrets: %v", d.GetSecrets())
		}
	}
	if judged != 5 || len(drivers) < 15 {
		t.Errorf("%d of %d drivers were judged", judged, len(drivers))
	}
	b.refused(b.viewer, "GET", "/v1/drivers", "", 403, "connection.read")
}

func TestTheSchemaOfPoliciesNamesTheConnectionsThatSomebodyMayUse(t *testing.T) {
	b, _ := connected(t)
	for name, c := range map[string]struct {
		token  string
		others bool
	}{"an admin": {b.admin, true}, "who sees the shop": {b.viewer, false}} {
		answer, err := adgv1.NewPolicyServiceClient(b.grpc()).GetPolicySchema(as(t.Context(), c.token), &adgv1.GetPolicySchemaRequest{})
		b.must(err)
		if strings.Contains(answer.String(), "others") != c.others {
			t.Errorf("%s: %v", name, answer)
		}
		schema := compiled(t, answer.GetSchema())
		policy := func(source, target string) map[string]any {
			return map[string]any{"service": "shop", "environment": "production", "target": target, "strategy": "recreate", "notify": []any{"people"},
				"checks": []any{map[string]any{"name": "errors", "source": source, "query": "q", "fail": "> 1"}}}
		}
		if err := schema.Validate(policy("prom", "platform")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, wrong := range []map[string]any{policy("porm", "platform"), policy("prom", "paltform")} {
			if schema.Validate(wrong) == nil {
				t.Errorf("%s: a name that nobody registered is taken", name)
			}
		}
	}
}

func compiled(t *testing.T, schema *structpb.Struct) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	if err := c.AddResource("x.json", schema.AsMap()); err != nil {
		t.Fatal(err)
	}
	made, err := c.Compile("x.json")
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestTheServerSaysHowItIsConfiguredAndWhatIsLeftToDo(t *testing.T) {
	b := newBench(t)
	page := b.good(b.admin, "GET", "/v1/system/settings?prefix=limits.&pageSize=1", "")
	if text := string(mustJSON(page["settings"])); !strings.Contains(text, "limits.burst") || strings.Contains(text, "limits.logins") || page["nextPageToken"] == "" {
		t.Errorf("got %v", page)
	}
	b.refused(b.viewer, "GET", "/v1/system/settings", "", 403, "setting.read")
	if answer := b.good(b.viewer, "GET", "/v1/system/features", ""); len(answer["features"].([]any)) != 2 {
		t.Errorf("got %v", answer)
	}
	done := func() (names []string) {
		t.Helper()
		answer := b.good(b.admin, "GET", "/v1/system/setup", "")
		for _, one := range answer["steps"].([]any) {
			step := one.(map[string]any)
			if step["done"] == true {
				names = append(names, fmt.Sprint(step["name"]))
			}
			if step["text"] == "" || step["example"] == "" {
				t.Errorf("got %v", step)
			}
		}
		if answer["complete"] != (len(names) == 6) || answer["demoAvailable"] != false {
			t.Errorf("%v, and %v", answer, names)
		}
		return names
	}
	if names := done(); !slices.Equal(names, []string{"create-admin"}) {
		t.Errorf("on a new server: %v", names)
	}
	b.furnish()
	if names := done(); !slices.Equal(names, []string{"create-admin", "connect-source", "connect-target", "push-policy"}) {
		t.Errorf("with connections and a policy: %v", names)
	}
	b.refused(b.viewer, "GET", "/v1/system/setup", "", 403, "setting.read")
	b.refused(b.admin, "POST", "/v1/system/demo:start", `{}`, 400, "adg demo --serve")
}
