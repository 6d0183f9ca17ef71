package api_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/freeze"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// past puts a deployment on record that was asked for at that time and is now as told.
func (b *bench) past(service, environment, version string, at time.Time, s adg.Status, change ...func(*adg.Spec)) adg.Deployment {
	b.Helper()
	spec := adg.Spec{
		Release: adg.Release{Service: service, Version: version}, LastGood: &adg.Release{Service: service, Version: "v0"}, Created: at, Actor: "ann",
		Policy: adg.Policy{Service: service, Environment: environment, Target: "hook"},
	}
	for _, c := range change {
		c(&spec)
	}
	d := adg.Deployment{ID: fmt.Sprintf("%s-%s-%s", service, environment, version), Spec: spec, Status: s}
	b.must(b.store.CreateDeployment(b.Context(), d))
	return d
}

func (b *bench) now() time.Time {
	b.Helper()
	now, err := b.store.Now(b.Context())
	b.must(err)
	return now
}

func (b *bench) catalog() adgv1.CatalogServiceClient {
	return adgv1.NewCatalogServiceClient(b.grpc())
}

func TestServicesAreThoseThatWereDeployedOrHaveAPolicy(t *testing.T) {
	b := newBench(t)
	b.furnish()
	now := b.now()
	b.past("shop", "staging", "v1", now.Add(-2*time.Hour), adg.Status{State: adg.Succeeded, Since: now.Add(-time.Hour)})
	b.past("shop", "staging", "v2", now.Add(-time.Hour), adg.Status{State: adg.RolledBack, Since: now, Rollbacks: 1})
	b.past("cart", "staging", "v7", now.Add(-time.Hour), adg.Status{State: adg.Rolling, Health: adg.Unhealthy})
	b.must(b.store.Mark(t.Context(), adg.ReleaseRecord{Environment: "staging", Release: adg.Release{Service: "shop", Version: "v1"}, Standing: adg.StandingGood, Since: now}))
	b.must(b.store.PutHold(t.Context(), adg.ReleaseHold{Service: "shop", Environment: "staging", Identity: "v2", Reason: "bad", Actor: "adg", Since: now}))
	b.must(b.store.StopLine(t.Context(), adg.Stop{Scope: adg.Scope{Environment: "staging"}, Actor: "user:ann", Reason: "fire"}))
	for name, w := range map[string]freeze.Window{
		"short": {Name: "short", Environment: "prod*", From: now.Add(-time.Hour), Until: now.Add(time.Hour), Reason: "r"},
		"long":  {Name: "long", Environment: "production", From: now.Add(-time.Hour), Until: now.Add(9 * time.Hour), Reason: "r"},
		"past":  {Name: "past", From: now.Add(-time.Hour), Until: now.Add(-time.Minute), Reason: "r"},
		"carts": {Name: "carts", Service: "cart", From: now.Add(-time.Hour), Reason: "r"},
	} {
		_, err := b.store.WriteDocuments(t.Context(), []adg.Write{{Document: adg.Document{Kind: freeze.Kind, Key: name, Data: mustJSON(w)}}})
		b.must(err)
	}
	list, err := b.catalog().ListServices(as(t.Context(), b.admin), &adgv1.ListServicesRequest{})
	b.must(err)
	if len(list.GetServices()) != 2 || list.GetServices()[0].GetName() != "cart" || list.GetServices()[1].GetName() != "shop" || list.GetNextPageToken() != "" {
		t.Fatalf("%v", list)
	}
	if cart := list.GetServices()[0].GetEnvironments()[0]; cart.GetLatest().GetVersion() != "v7" || cart.GetFreeze().GetName() != "carts" || cart.GetLive() != nil || cart.GetPolicyVersion() != 0 {
		t.Errorf("%v", cart)
	}
	places := list.GetServices()[1].GetEnvironments()
	if len(places) != 2 || places[0].GetEnvironment() != "production" || places[1].GetEnvironment() != "staging" {
		t.Fatalf("%v", places)
	}
	if p := places[0]; p.GetPolicyVersion() != 1 || p.GetTrust() != adgv1.Trust_TRUST_SUGGEST || p.GetLatest() != nil || p.GetLive() != nil ||
		p.GetStop() != nil || p.GetFreeze().GetName() != "long" || !p.GetFreeze().GetActive() {
		t.Errorf("%v", p)
	}
	if p := places[1]; p.GetPolicyVersion() != 0 || p.GetLatest().GetVersion() != "v2" || p.GetLive().GetVersion() != "v0" || p.GetLastGood().GetVersion() != "v1" ||
		p.GetHolds() != 1 || p.GetStop().GetReason() != "fire" || p.GetFreeze() != nil {
		t.Errorf("%v", p)
	}
	environments, err := b.catalog().ListEnvironments(as(t.Context(), b.admin), &adgv1.ListEnvironmentsRequest{PageSize: 1})
	b.must(err)
	first := environments.GetEnvironments()[0]
	if first.GetName() != "production" || first.GetServices() != 1 || first.GetLive() != 0 || first.GetFreeze().GetName() != "long" || environments.GetNextPageToken() == "" {
		t.Errorf("%v", environments)
	}
	environments, err = b.catalog().ListEnvironments(as(t.Context(), b.admin), &adgv1.ListEnvironmentsRequest{PageSize: 1, PageToken: environments.GetNextPageToken()})
	b.must(err)
	second := environments.GetEnvironments()[0]
	if second.GetName() != "staging" || second.GetServices() != 2 || second.GetLive() != 1 || second.GetUnhealthy() != 1 || second.GetStop().GetReason() != "fire" || second.GetFreeze() != nil || environments.GetNextPageToken() != "" {
		t.Errorf("%v", environments)
	}
}

func TestServiceThatMayNotBeSeenIsAsOneThatIsNotThere(t *testing.T) {
	b := newBench(t)
	now := b.now()
	b.past("shop", "staging", "v1", now, adg.Status{State: adg.Succeeded})
	b.past("cart", "staging", "v1", now, adg.Status{State: adg.Rolling})
	for _, path := range []string{"/v1/services/%s", "/v1/services/%s/figures", "/v1/services/%s/baselines"} {
		hidden, there := b.ask(b.viewer, "GET", fmt.Sprintf(path, "cart"), "")
		missing, not := b.ask(b.viewer, "GET", fmt.Sprintf(path, "nowhere"), "")
		if hidden != http.StatusNotFound || missing != http.StatusNotFound || there["message"] != strings.ReplaceAll(not["message"].(string), "nowhere", "cart") {
			t.Errorf("%s: %d %v, %d %v", path, hidden, there, missing, not)
		}
		if code, answer := b.ask(b.viewer, "GET", fmt.Sprintf(path, "shop"), ""); code != http.StatusOK {
			t.Errorf("%s: %d %v", path, code, answer)
		}
	}
	if code, answer := b.ask(b.viewer, "PATCH", "/v1/services/cart", `{"etag": "v0", "team": "pirates", "reason": "r"}`); code != http.StatusNotFound {
		t.Errorf("%d %v", code, answer)
	}
	if code, answer := b.ask(b.viewer, "PATCH", "/v1/services/shop", `{"etag": "v0", "team": "pirates", "reason": "r"}`); code != http.StatusForbidden {
		t.Errorf("%d %v", code, answer)
	}
	for path, key := range map[string]string{"/v1/services": "services", "/v1/environments": "environments"} {
		code, answer := b.ask(b.viewer, "GET", path, "")
		if rows, _ := answer[key].([]any); code != http.StatusOK || len(rows) != 1 || strings.Contains(string(mustJSON(answer)), "cart") {
			t.Errorf("%s: %d %v", path, code, answer)
		}
	}
	list, err := b.catalog().ListEnvironments(as(t.Context(), b.viewer), &adgv1.ListEnvironmentsRequest{})
	b.must(err)
	if e := list.GetEnvironments()[0]; e.GetServices() != 1 || e.GetLive() != 0 {
		t.Errorf("a deployment that the caller may not see is counted: %v", e)
	}
}

func TestTeamsAreSaidOnceAndListsAreFilteredByThem(t *testing.T) {
	b := newBench(t)
	now := b.now()
	for _, service := range []string{"shop", "cart", "pay"} {
		b.past(service, "staging", "v1", now, adg.Status{State: adg.Rolling})
	}
	update := func(service, body string) (int, map[string]any) {
		return b.ask(b.admin, "PATCH", "/v1/services/"+service, body)
	}
	code, shop := update("shop", `{"etag": "v0", "team": "web", "description": "sells", "repository": "https://git.example.com/shop", "reason": "new here", "idempotencyKey": "k"}`)
	if code != http.StatusOK || shop["team"] != "web" || shop["etag"] == "v0" {
		t.Fatalf("%d %v", code, shop)
	}
	if code, again := update("shop", `{"etag": "v0", "team": "web", "description": "sells", "repository": "https://git.example.com/shop", "reason": "new here", "idempotencyKey": "k"}`); code != http.StatusOK || again["etag"] != shop["etag"] {
		t.Errorf("the same request again: %d %v", code, again)
	}
	if code, answer := update("shop", `{"etag": "v0", "team": "pirates"}`); code != http.StatusConflict {
		t.Errorf("an old etag: %d %v", code, answer)
	}
	if code, answer := update("shop", `{"team": "pirates"}`); code != http.StatusBadRequest {
		t.Errorf("no etag: %d %v", code, answer)
	}
	if code, answer := update("cart", `{"etag": "v0", "team": "mobile"}`); code != http.StatusOK {
		t.Errorf("%d %v", code, answer)
	}
	if code, shop = update("shop", fmt.Sprintf(`{"etag": %q, "description": ""}`, shop["etag"])); code != http.StatusOK || shop["team"] != "web" || shop["description"] != "" {
		t.Errorf("what was not named has changed: %d %v", code, shop)
	}
	for name, body := range map[string]string{
		"a link that runs":         `"repository": "javascript:alert(1)"`,
		"a path":                   `"repository": "/etc/passwd"`,
		"a password":               `"repository": "https://ann:hunter2@git.example.com/shop"`,
		"a team with a line's end": `"team": "a\u202eb"`,
		"a long description":       `"description": "` + strings.Repeat("x", 2001) + `"`,
	} {
		if code, answer := update("pay", `{"etag": "v0", `+body+`}`); code != http.StatusBadRequest || strings.Contains(string(mustJSON(answer)), "hunter2") {
			t.Errorf("%s: %d %v", name, code, answer)
		}
	}
	deployments := adgv1.NewDeploymentServiceClient(b.grpc())
	for _, c := range []struct {
		name  string
		order adgv1.DeploymentOrder
	}{{"the newest first", 0}, {"the worst first", adgv1.DeploymentOrder_DEPLOYMENT_ORDER_WORST}} {
		list, err := deployments.ListDeployments(as(t.Context(), b.admin), &adgv1.ListDeploymentsRequest{Teams: []string{"web", "ops"}, Order: c.order})
		b.must(err)
		if rows := list.GetDeployments(); len(rows) != 1 || rows[0].GetService() != "shop" || rows[0].GetTeam() != "web" {
			t.Errorf("%s: %v", c.name, rows)
		}
	}
	services, err := b.catalog().ListServices(as(t.Context(), b.admin), &adgv1.ListServicesRequest{Teams: []string{"mobile"}})
	b.must(err)
	if rows := services.GetServices(); len(rows) != 1 || rows[0].GetName() != "cart" || rows[0].GetEnvironments()[0].GetLatest().GetTeam() != "mobile" {
		t.Errorf("%v", rows)
	}
	entries, err := b.store.Audit(t.Context(), adg.AuditFilter{Action: "service.update", Limit: 10})
	b.must(err)
	if len(entries) != 3 || entries[0].Resource != "service/shop" || entries[0].Reason != "new here" || entries[0].Detail["team"] != "web" {
		t.Errorf("on record: %+v", entries)
	}
}

func TestServicesComeInPages(t *testing.T) {
	b := newBench(t)
	now := b.now()
	want := []string{"a", "a-1", "a.b", "b", "c"}
	for _, service := range want {
		b.past(service, "staging", "v1", now, adg.Status{State: adg.Succeeded})
	}
	var got []string
	for token := ""; ; {
		page, err := b.catalog().ListServices(as(t.Context(), b.admin), &adgv1.ListServicesRequest{PageSize: 2, PageToken: token})
		b.must(err)
		for _, s := range page.GetServices() {
			got = append(got, s.GetName())
		}
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	page, err := b.catalog().ListServices(as(t.Context(), b.admin), &adgv1.ListServicesRequest{Prefix: "a-"})
	if err != nil || len(page.GetServices()) != 1 {
		t.Errorf("%v %v", page, err)
	}
}

// effect puts on record that a live deployment was given that share at that time.
func (b *bench) effect(d adg.Deployment, at time.Time, share float64, end adg.Status) {
	b.Helper()
	work, err := b.store.Take(b.Context(), "test", time.Minute, 1000)
	b.must(err)
	i := slices.IndexFunc(work, func(w adg.Work) bool { return w.Deployment.ID == d.ID })
	if i < 0 {
		b.Fatalf("%s cannot be had", d.ID)
	}
	w := work[i]
	next := w.Deployment.Status
	next.State, next.Ops, next.Op = adg.Rolling, 1, d.ID+"/1"
	want := &adg.Desired{OpID: next.Op, Deployment: d.ID, Releases: []adg.Placement{{Release: d.Spec.Release, Share: share}, {Release: *d.Spec.LastGood, Share: 100 - share}}}
	moved, err := b.store.Commit(b.Context(), adg.Tick{Lease: w.Lease, Version: w.Deployment.Version, Before: w.Deployment.Status, Input: adg.Input{Now: at}, Decision: adg.Decision{At: at, Next: next, Apply: want}})
	b.must(err)
	_, err = b.store.Commit(b.Context(), adg.Tick{
		Lease: w.Lease, Version: moved.Version, Before: moved.Status, Input: adg.Input{Now: at, Outcome: &adg.Outcome{OpID: next.Op, At: at}},
		Decision: adg.Decision{At: end.Since, From: adg.Rolling, Next: end}, GiveBack: true,
	})
	b.must(err)
	for _, other := range work {
		b.must(b.store.GiveBack(b.Context(), other.Lease))
	}
}

func TestFiguresAreWhatAPersonWouldCount(t *testing.T) {
	b := newBench(t)
	day := b.now().Truncate(24 * time.Hour).Add(-96 * time.Hour)
	at := func(days int, after time.Duration) time.Time {
		return day.Add(time.Duration(days)*24*time.Hour + after)
	}
	committed := func(when time.Time) func(*adg.Spec) {
		return func(s *adg.Spec) { s.Labels = map[string]string{"commit_time": when.Format(time.RFC3339)} }
	}
	good := func(version string, asked, live time.Time, change ...func(*adg.Spec)) {
		b.past("shop", "production", version, asked, adg.Status{State: adg.Succeeded, Ops: 1, ReachedAt: live, Since: live.Add(time.Hour)}, change...)
	}
	// Day 0: two succeed, 2 h and 4 h after their commits; one is rolled back: 90 s from its traffic to its condemnation, 30 s to the way back.
	good("v1", at(0, 0), at(0, time.Hour), committed(at(0, -time.Hour)))
	good("v2", at(0, 2*time.Hour), at(0, 3*time.Hour), committed(at(0, -time.Hour)))
	bad := b.past("shop", "production", "v3", at(0, 5*time.Hour), adg.Status{State: adg.Pending})
	b.effect(bad, at(0, 5*time.Hour+time.Minute), 10, adg.Status{
		State: adg.RolledBack, Ops: 2, Rollbacks: 1, Rule: 1, Condemned: at(0, 5*time.Hour+150*time.Second), Since: at(0, 5*time.Hour+180*time.Second),
	})
	// Day 1: nothing. Day 2: one whose commit's time nobody said, one that could not be rolled back, one blocked, one cancelled before it
	// began, one superseded after it did, one undecided.
	good("v4", at(2, 0), at(2, time.Hour), func(s *adg.Spec) { s.Labels = map[string]string{"commit_time": "yesterday"} })
	b.past("shop", "production", "v5", at(2, time.Hour), adg.Status{State: adg.RollbackFailed, Ops: 2, Condemned: at(2, 2*time.Hour), Since: at(2, 3*time.Hour)})
	b.past("shop", "production", "v6", at(2, 2*time.Hour), adg.Status{State: adg.Blocked})
	b.past("shop", "production", "v7", at(2, 3*time.Hour), adg.Status{State: adg.Cancelled})
	b.past("shop", "production", "v8", at(2, 4*time.Hour), adg.Status{State: adg.Superseded, Ops: 1})
	b.past("shop", "production", "v9", at(2, 5*time.Hour), adg.Status{State: adg.Undecided, Ops: 1})
	// What is elsewhere, under way, or of another time is not counted.
	b.past("shop", "staging", "v1", at(1, 0), adg.Status{State: adg.RolledBack, Ops: 1})
	b.past("cart", "production", "v1", at(1, 0), adg.Status{State: adg.Succeeded, Ops: 1})
	b.past("shop", "production", "v10", at(2, 6*time.Hour), adg.Status{State: adg.Rolling, Ops: 1})
	b.past("shop", "production", "v11", at(3, time.Hour), adg.Status{State: adg.Succeeded, Ops: 1})

	f, err := b.catalog().GetServiceFigures(as(t.Context(), b.viewer), &adgv1.GetServiceFiguresRequest{
		Service: "shop", Environment: "production", FromTime: timestamppb.New(at(0, 0)), ToTime: timestamppb.New(at(3, 0)),
	})
	b.must(err)
	told := func(s *adgv1.FigureSet) string {
		number := func(v *float64) string {
			if v == nil {
				return "-"
			}
			return fmt.Sprintf("%.4g", *v)
		}
		span := func(d *durationpb.Duration) string {
			if d == nil {
				return "-"
			}
			return d.AsDuration().String()
		}
		return fmt.Sprintf("%d: %d good %d back %d blocked %d cancelled, rate %s detect %s restore %s per day %s lead %s fails %s", s.GetDeployments(), s.GetSucceeded(), s.GetRolledBack(),
			s.GetBlocked(), s.GetCancelled(), number(s.SuccessRate), span(s.GetDetectMedian()), span(s.GetRestoreMedian()), number(s.PerDay), span(s.GetLeadMedian()), number(s.ChangeFailureRate))
	}
	got := []string{told(f.GetTotal())}
	for _, stretch := range f.GetCourse() {
		got = append(got, told(stretch.GetFigures()))
	}
	want := []string{
		"9: 3 good 2 back 1 blocked 2 cancelled, rate 0.6 detect 1m30s restore 30s per day 1 lead 3h0m0s fails 0.2857",
		"3: 2 good 1 back 0 blocked 0 cancelled, rate 0.6667 detect 1m30s restore 30s per day 2 lead 3h0m0s fails 0.3333",
		"0: 0 good 0 back 0 blocked 0 cancelled, rate - detect - restore - per day 0 lead - fails -",
		"6: 1 good 1 back 1 blocked 2 cancelled, rate 0.5 detect - restore - per day 1 lead - fails 0.25",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	fields := f.GetTotal().ProtoReflect().Descriptor().Fields()
	if len(f.GetDefinitions()) != fields.Len() {
		t.Errorf("%d of %d figures are defined", len(f.GetDefinitions()), fields.Len())
	}
	for i, d := range f.GetDefinitions() {
		if d.GetFigure() != string(fields.Get(i).Name()) || !strings.HasSuffix(d.GetText(), ".") {
			t.Errorf("%v is not the definition of %s", d, fields.Get(i).Name())
		}
	}
	all, err := b.catalog().GetServiceFigures(as(t.Context(), b.viewer), &adgv1.GetServiceFiguresRequest{Service: "shop"})
	b.must(err)
	if all.GetTotal().GetDeployments() != 11 || !all.GetFromTime().AsTime().Equal(day) || len(all.GetCourse()) != 5 {
		t.Errorf("of everything: %s from %s in %d stretches", told(all.GetTotal()), all.GetFromTime().AsTime(), len(all.GetCourse()))
	}
	for name, r := range map[string]*adgv1.GetServiceFiguresRequest{
		"no time at all":       {Service: "shop", FromTime: timestamppb.New(at(3, 0)), ToTime: timestamppb.New(at(3, 0))},
		"a course without end": {Service: "shop", FromTime: timestamppb.New(at(0, 0)), Bucket: durationpb.New(time.Minute)},
		"a bucket of nothing":  {Service: "shop", Bucket: durationpb.New(time.Second)},
		"backwards":            {Service: "shop", Bucket: durationpb.New(-time.Hour)},
	} {
		if _, err := b.catalog().GetServiceFigures(as(t.Context(), b.viewer), r); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBaselinesAreThoseFrozenLast(t *testing.T) {
	b := newBench(t)
	now := b.now()
	freeze := func(d adg.Deployment, frozen ...adg.Baseline) {
		t.Helper()
		work, err := b.store.Take(t.Context(), "test", time.Minute, 10)
		b.must(err)
		for _, w := range work {
			if w.Deployment.ID != d.ID {
				b.must(b.store.GiveBack(t.Context(), w.Lease))
				continue
			}
			next := adg.Status{State: adg.Succeeded, Since: now}
			_, err := b.store.Commit(t.Context(), adg.Tick{Lease: w.Lease, Version: w.Deployment.Version, Before: w.Deployment.Status, Input: adg.Input{Now: now}, Decision: adg.Decision{At: now, Next: next}, Baselines: frozen, GiveBack: true})
			b.must(err)
		}
	}
	freeze(b.past("shop", "production", "v1", now, adg.Status{}), adg.Baseline{Check: "old", From: now, To: now})
	freeze(b.past("shop", "production", "v2", now, adg.Status{}, func(s *adg.Spec) {
		s.Policy.Checks = []adg.Check{{Name: "errors", Bad: "b", Total: "t"}, {Name: "latency", Query: "q", Unit: "s"}}
	}), adg.Baseline{Check: "latency", From: now, To: now, Values: []float64{1, 2}}, adg.Baseline{Check: "errors", From: now, To: now, Bad: 1, Total: 9})
	b.past("shop", "production", "v3", now, adg.Status{State: adg.Blocked})
	freeze(b.past("shop", "staging", "v1", now, adg.Status{}), adg.Baseline{Check: "errors", From: now, To: now})
	var got []string
	for token := ""; ; {
		page, err := b.catalog().ListServiceBaselines(as(t.Context(), b.viewer), &adgv1.ListServiceBaselinesRequest{Service: "shop", PageSize: 2, PageToken: token})
		b.must(err)
		for _, row := range page.GetBaselines() {
			got = append(got, strings.TrimSpace(row.GetDeployment()+" "+row.GetBaseline().GetCheck()+" "+row.GetUnit()))
		}
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	if diff := cmp.Diff([]string{"shop-production-v2 errors share", "shop-production-v2 latency s", "shop-staging-v1 errors"}, got); diff != "" {
		t.Error(diff)
	}
}
