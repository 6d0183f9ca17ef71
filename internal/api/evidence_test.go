package api_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/deployguardian/adg"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

func TestEvidenceOfARollbackIsWhole(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	id, d := g.rolledBack()
	if d.GetPolicyVersion() != 7 || d.GetStatus().Success == nil {
		t.Errorf("policy version %d, success %v", d.GetPolicyVersion(), d.GetStatus().Success)
	}
	steps := d.GetStatus().GetRollbackSteps()
	if len(steps) != 2 || steps[0].GetState() != adgv1.StepState_STEP_STATE_DONE || steps[1].GetState() != adgv1.StepState_STEP_STATE_DONE || steps[0].GetBeginTime() == nil {
		t.Errorf("the steps of the rollback: %v", steps)
	}
	ctx, read := as(t.Context(), g.viewer), adgv1.NewEvidenceServiceClient(g.grpc())
	decisions, err := read.ListDecisions(ctx, &adgv1.ListDecisionsRequest{Deployment: id})
	g.must(err)
	at := slices.IndexFunc(decisions.GetDecisions(), func(d *adgv1.Decision) bool {
		return d.GetTo() == adgv1.State_STATE_ROLLBACK_PENDING || d.GetTo() == adgv1.State_STATE_ROLLING_BACK
	})
	if at < 1 {
		t.Fatalf("no decision to roll back: %v", decisions)
	}
	condemned := decisions.GetDecisions()[at]
	e, err := read.GetEvidence(ctx, &adgv1.GetEvidenceRequest{Deployment: id, Seq: condemned.GetSeq()})
	g.must(err)
	if !proto.Equal(e.GetDecision(), condemned) || e.GetBefore().GetState() != adgv1.State_STATE_ROLLING || e.GetAfter().GetState() != condemned.GetTo() {
		t.Errorf("the decision: %v", e)
	}
	if e.GetAssessment().GetHealth() != adgv1.Health_HEALTH_UNHEALTHY || len(e.GetMeasurements()) == 0 || e.GetCompacted() || e.GetMeasurements()[0].GetSent()[0] != "errors as sent" {
		t.Errorf("what it was made from: %v", e)
	}
	settled := slices.IndexFunc(decisions.GetDecisions(), func(d *adgv1.Decision) bool { return d.GetTo() == adgv1.State_STATE_VERIFYING_ROLLBACK })
	e, err = read.GetEvidence(ctx, &adgv1.GetEvidenceRequest{Deployment: id, Seq: decisions.GetDecisions()[settled].GetSeq()})
	g.must(err)
	if o := e.GetOutcome(); o == nil || !o.GetRollback() || o.GetBeginTime() == nil || len(o.GetWanted()) != 2 || o.GetEndTime() == nil {
		t.Errorf("the effect that had ended: %v", o)
	}
	if code, answer := g.ask(g.viewer, "GET", "/v1/deployments/"+id+"/decisions/9999", ""); code != 404 || !strings.Contains(string(mustJSON(answer)), "has no decision 9999") {
		t.Errorf("a decision that is none: %d %v", code, answer)
	}

	for path, want := range map[string]string{
		"effects": `"rollback":true`, "facts": "FACT_KIND_ROLLED_BACK", "baselines": `"check":"slow"`, "gates": `"name":"hold","state":"GATE_STATE_OPEN"`,
		"checks": `"query":"errors"`, "assessments": "HEALTH_UNHEALTHY", "measurements": "errors as sent", "rollback-plan": "the deployment has ended",
	} {
		code, answer := g.ask(g.viewer, "GET", "/v1/deployments/"+id+"/"+path, "")
		if text := string(mustJSON(answer)); code != 200 || !strings.Contains(text, want) {
			t.Errorf("%s: %d, no %s in %s", path, code, want, text)
		}
	}
	list, err := adgv1.NewDeploymentServiceClient(g.grpc()).ListDeployments(ctx, &adgv1.ListDeploymentsRequest{})
	g.must(err)
	if h := list.GetDeployments()[0].GetHeadline(); len(h.GetRecent()) < 3 || len(h.GetRecent()) > 32 {
		t.Errorf("the headline has no line: %v", h)
	}
}

func TestEvidenceOfOthersDoesNotExist(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	id := g.begin(spec("till", "v2"))
	g.until(id, in(adgv1.State_STATE_SUCCEEDED))
	for _, path := range []string{
		"checks", "measurements", "assessments", "decisions", "decisions/2", "decisions:replay", "effects", "gates", "baselines", "facts", "rollback-plan", "report",
	} {
		if code, _, body := g.text(g.admin, "/v1/deployments/"+id+"/"+path); code != 200 {
			t.Errorf("%s of an admin: %d %s", path, code, body)
		}
		sentence := func(id string) string {
			t.Helper()
			code, answer := g.ask(g.viewer, "GET", "/v1/deployments/"+id+"/"+path, "")
			if code != 404 {
				t.Errorf("%s of another service: %d %v", path, code, answer)
			}
			return strings.ReplaceAll(answer["message"].(string), id, "ID")
		}
		if there, missing := sentence(id), sentence("nothing"); there != missing || there == "" {
			t.Errorf("%s: what is there is told from what is not: %q and %q", path, there, missing)
		}
	}
	refused, err := g.store.Audit(t.Context(), adg.AuditFilter{Actor: "user:vic"})
	g.must(err)
	tokens, err := g.store.Audit(t.Context(), adg.AuditFilter{Action: "deployment.get"})
	g.must(err)
	if len(refused)+len(tokens) == 0 {
		t.Error("the refusals are not on record")
	}
}

// measured are all measurements that a request selects, page by page.
func (g *guarded) measured(r *adgv1.ListMeasurementsRequest) (all []*adgv1.Measurement, pages int) {
	g.Helper()
	read := adgv1.NewEvidenceServiceClient(g.grpc())
	for {
		answer, err := read.ListMeasurements(as(g.Context(), g.viewer), r)
		g.must(err)
		all, pages = append(all, answer.GetMeasurements()...), pages+1
		if r.PageToken = answer.GetNextPageToken(); r.PageToken == "" {
			return all, pages
		}
	}
}

func sameMeasurement(a, b *adgv1.Measurement) bool { return proto.Equal(a, b) }

func TestPagesHaveEachMeasurementOnce(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	id := g.promoted()
	whole, pages := g.measured(&adgv1.ListMeasurementsRequest{Deployment: id, PageSize: 10_000})
	stored, err := g.store.Measurements(t.Context(), id, adg.MeasurementFilter{Limit: 10_000})
	g.must(err)
	if pages != 1 || len(whole) != len(stored) || len(whole) < 40 {
		t.Fatalf("%d measurements on %d pages, %d are stored", len(whole), pages, len(stored))
	}
	inPages, pages := g.measured(&adgv1.ListMeasurementsRequest{Deployment: id, PageSize: 7})
	if pages != (len(whole)+6)/7 || !slices.EqualFunc(whole, inPages, sameMeasurement) {
		t.Errorf("%d measurements on %d pages of 7, want %d", len(inPages), pages, len(whole))
	}
	middle := whole[len(whole)/2].GetTime()
	before, _ := g.measured(&adgv1.ListMeasurementsRequest{Deployment: id, ToTime: middle, PageSize: 11})
	after, _ := g.measured(&adgv1.ListMeasurementsRequest{Deployment: id, FromTime: middle, PageSize: 11})
	if len(before) == 0 || !slices.EqualFunc(whole, append(before, after...), sameMeasurement) {
		t.Errorf("%d before and %d from a time on, want %d", len(before), len(after), len(whole))
	}
	arm, _ := g.measured(&adgv1.ListMeasurementsRequest{Deployment: id, Check: "slow", Arm: adgv1.Arm_ARM_BASELINE, PageSize: 5})
	if len(arm) == 0 || slices.ContainsFunc(arm, func(m *adgv1.Measurement) bool { return m.GetCheck() != "slow" || m.GetArm() != adgv1.Arm_ARM_BASELINE }) {
		t.Errorf("one arm of one check: %v", arm)
	}

	for _, path := range []string{"decisions", "effects", "facts", "checks", "assessments", "gates", "baselines"} {
		_, one := g.ask(g.viewer, "GET", "/v1/deployments/"+id+"/"+path, "")
		name := path
		all, _ := one[name].([]any)
		var paged []any
		for token := ""; ; {
			code, answer := g.ask(g.viewer, "GET", "/v1/deployments/"+id+"/"+path+"?pageSize=1&pageToken="+token, "")
			rows, _ := answer[name].([]any)
			if code != 200 || len(rows) != 1 {
				t.Fatalf("%s: %d %v", path, code, answer)
			}
			paged = append(paged, rows...)
			if token, _ = answer["nextPageToken"].(string); token == "" {
				break
			}
		}
		if len(all) == 0 || string(mustJSON(all)) != string(mustJSON(paged)) {
			t.Errorf("%s: %d rows on one page, %d on pages of one", path, len(all), len(paged))
		}
	}
	_, page := g.ask(g.viewer, "GET", "/v1/deployments/"+id+"/measurements?pageSize=1", "")
	for what, path := range map[string]string{
		"another filter":          "/measurements?check=errors&pageToken=" + page["nextPageToken"].(string),
		"another list":            "/assessments?pageToken=" + page["nextPageToken"].(string),
		"a number below zero":     "/measurements?maxPoints=-1",
		"a time that goes back":   "/measurements?fromTime=2026-01-02T00:00:00Z&toTime=2026-01-01T00:00:00Z",
		"a format that is none":   "/report?format=7",
		"pages of less than none": "/facts?pageSize=-1",
	} {
		if code, answer := g.ask(g.viewer, "GET", "/v1/deployments/"+id+path, ""); code != 400 {
			t.Errorf("%s: %d %v", what, code, answer)
		}
	}
}

func TestThinningKeepsTheEndsOfEachArm(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	id := g.promoted()
	type arm struct {
		check string
		arm   adgv1.Arm
	}
	byArm := func(all []*adgv1.Measurement) map[arm][]*adgv1.Measurement {
		arms := map[arm][]*adgv1.Measurement{}
		for _, m := range all {
			k := arm{m.GetCheck(), m.GetArm()}
			arms[k] = append(arms[k], m)
		}
		return arms
	}
	all, _ := g.measured(&adgv1.ListMeasurementsRequest{Deployment: id})
	thin, pages := g.measured(&adgv1.ListMeasurementsRequest{Deployment: id, MaxPoints: 4, PageSize: 5})
	whole, kept := byArm(all), byArm(thin)
	if pages < 3 || len(whole) < 4 || len(kept) != len(whole) {
		t.Fatalf("%d arms on %d pages, want %d", len(kept), pages, len(whole))
	}
	for k, every := range whole {
		few := kept[k]
		if len(few) != min(4, len(every)) || !proto.Equal(few[0], every[0]) || !proto.Equal(few[len(few)-1], every[len(every)-1]) {
			t.Errorf("%v: %d of %d, from %v to %v", k, len(few), len(every), few[0].GetTime(), few[len(few)-1].GetTime())
		}
	}
	read := adgv1.NewEvidenceServiceClient(g.grpc())
	health := func(points int32) []*adgv1.Assessment {
		answer, err := read.ListAssessments(as(t.Context(), g.viewer), &adgv1.ListAssessmentsRequest{Deployment: id, MaxPoints: points, Check: "slow"})
		g.must(err)
		return answer.GetAssessments()
	}
	every, few := health(0), health(6)
	if len(few) != 6 || len(every) < 10 || !proto.Equal(few[0], every[0]) || !proto.Equal(few[5], every[len(every)-1]) {
		t.Errorf("%d of %d assessments", len(few), len(every))
	}
	for _, a := range every {
		if len(a.GetJudgements()) != 1 || a.GetJudgements()[0].GetCheck() != "slow" {
			t.Fatalf("judgements of others: %v", a)
		}
	}
}

func TestReplayOverTheNetworkFindsWhatWasChangedOnRecord(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	id, _ := g.rolledBack()
	replay := func() *adgv1.ReplayDecisionsResponse {
		t.Helper()
		answer, err := adgv1.NewEvidenceServiceClient(g.grpc()).ReplayDecisions(as(t.Context(), g.viewer), &adgv1.ReplayDecisionsRequest{Deployment: id})
		g.must(err)
		return answer
	}
	if r := replay(); !r.GetEqual() || r.GetDecisions() < 4 || r.GetCompacted() || len(r.GetDifferences()) > 0 {
		t.Errorf("%v", r)
	}
	g.tamper(`UPDATE ticks SET tick = json_set(tick, '$.decision.kind', 'hold') WHERE n = (SELECT max(n) FROM ticks WHERE keep = 1)`)
	if r := replay(); r.GetEqual() || len(r.GetDifferences()) == 0 || !strings.Contains(r.GetDifferences()[0], "decision.kind was hold") {
		t.Errorf("%v", r)
	}
}

// tamper changes what is on record behind the store's back.
func (g *guarded) tamper(statement string) {
	g.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(g.dir, "adg.db")+"?_pragma=busy_timeout(5000)")
	g.must(err)
	done, err := db.ExecContext(g.Context(), statement)
	g.must(err)
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		g.Fatalf("%s changed nothing: %v", statement, err)
	}
	g.must(db.Close())
}

func TestWhatWasForgottenIsSaid(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	id, _ := g.rolledBack()
	ctx, read := as(t.Context(), g.viewer), adgv1.NewEvidenceServiceClient(g.grpc())
	whole, err := read.ListMeasurements(ctx, &adgv1.ListMeasurementsRequest{Deployment: id})
	g.must(err)
	judged, err := read.ListAssessments(ctx, &adgv1.ListAssessmentsRequest{Deployment: id})
	g.must(err)
	if whole.GetCompacted() || judged.GetCompacted() || len(judged.GetAssessments()) == 0 {
		t.Errorf("nothing was forgotten yet: %v, %v of %d assessments", whole.GetCompacted(), judged.GetCompacted(), len(judged.GetAssessments()))
	}
	half := whole.GetMeasurements()[len(whole.GetMeasurements())/2].GetTime()
	_, err = g.store.Compact(t.Context(), half.AsTime())
	g.must(err)
	for _, c := range []struct {
		name string
		r    *adgv1.ListMeasurementsRequest
		want bool
	}{
		{"all of the time", &adgv1.ListMeasurementsRequest{}, true},
		{"the first half", &adgv1.ListMeasurementsRequest{ToTime: half}, true},
		{"the second half", &adgv1.ListMeasurementsRequest{FromTime: half}, false},
	} {
		c.r.Deployment = id
		got, err := read.ListMeasurements(ctx, c.r)
		g.must(err)
		health, err := read.ListAssessments(ctx, &adgv1.ListAssessmentsRequest{Deployment: id, FromTime: c.r.GetFromTime(), ToTime: c.r.GetToTime()})
		g.must(err)
		if got.GetCompacted() != c.want || health.GetCompacted() != c.want {
			t.Errorf("%s: compacted is %v, of assessments %v", c.name, got.GetCompacted(), health.GetCompacted())
		}
	}
	_, err = g.store.Compact(t.Context(), time.Now().Add(time.Hour))
	g.must(err)
	got, err := read.ListMeasurements(ctx, &adgv1.ListMeasurementsRequest{Deployment: id, FromTime: half})
	g.must(err)
	if !got.GetCompacted() {
		t.Error("the second half was forgotten, too")
	}
	r, err := read.ReplayDecisions(ctx, &adgv1.ReplayDecisionsRequest{Deployment: id})
	if g.must(err); !r.GetEqual() || !r.GetCompacted() {
		t.Errorf("%v", r)
	}
	decisions, err := read.ListDecisions(ctx, &adgv1.ListDecisionsRequest{Deployment: id})
	g.must(err)
	for _, d := range decisions.GetDecisions() {
		e, err := read.GetEvidence(ctx, &adgv1.GetEvidenceRequest{Deployment: id, Seq: d.GetSeq()})
		if g.must(err); e.GetCompacted() || e.GetAssessment() != nil && len(e.GetMeasurements()) == 0 {
			t.Errorf("decision %d lost what it was made from", d.GetSeq())
		}
	}
	g.tamper("DELETE FROM measurements")
	lost := 0
	for _, d := range decisions.GetDecisions() {
		e, err := read.GetEvidence(ctx, &adgv1.GetEvidenceRequest{Deployment: id, Seq: d.GetSeq()})
		if g.must(err); e.GetCompacted() {
			lost++
		}
	}
	if lost == 0 {
		t.Error("decisions whose measurements are gone do not say so")
	}
}

func TestRollbackPlanSaysWhatIsInTheWay(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	g.furnish()
	s := spec("shop", "v2")
	s.Policy.Strategy.Steps[0].Bake = time.Hour
	id := g.begin(s)
	g.until(id, func(d *adgv1.Deployment) bool { return d.GetStatus().GetReached() })
	read := adgv1.NewEvidenceServiceClient(g.grpc())
	plan := func() *adgv1.RollbackPlan {
		t.Helper()
		p, err := read.GetRollbackPlan(as(t.Context(), g.viewer), &adgv1.GetRollbackPlanRequest{Deployment: id})
		g.must(err)
		return p
	}
	if p := plan(); !p.GetPossible() || p.GetTo().GetVersion() != "v1" || len(p.GetSteps()) != 3 || len(p.GetObstacles()) > 0 {
		t.Errorf("%v", p)
	}
	g.must(g.store.PutHold(t.Context(), adg.ReleaseHold{Service: "shop", Environment: "production", Identity: s.LastGood.Identity(), Reason: "loses orders", Actor: "bob"}))
	g.must(g.store.Mark(t.Context(), adg.ReleaseRecord{Environment: "production", Release: *s.LastGood, Standing: adg.StandingRolledBack, Why: "was worse", Since: time.Now()}))
	if code, answer := g.ask(g.admin, "POST", "/v1/stops", `{"reason": "fire"}`); code != 200 {
		t.Fatalf("%d %v", code, answer)
	}
	p := plan()
	said := strings.Join(p.GetObstacles(), "\n")
	for _, want := range []string{"bob put v1 on hold (loses orders)", "v1 is not known to be good any more: was worse", "the line is stopped"} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in %q", want, said)
		}
	}
	if p.GetAutomatic() || !p.GetPossible() {
		t.Errorf("%v", p)
	}
	_, hook := g.ask(g.admin, "GET", "/v1/connections/hook", "")
	hook["services"] = []string{"till"}
	if code, answer := g.ask(g.admin, "PUT", "/v1/connections/hook", string(mustJSON(map[string]any{"connection": hook, "etag": hook["etag"], "reason": "r"}))); code != 200 {
		t.Fatalf("%d %v", code, answer)
	}
	if said := fmt.Sprint(plan().GetObstacles()); !strings.Contains(said, "the target hook is not registered for shop in production any more") {
		t.Errorf("the target is for others now: %s", said)
	}
	// ADG forgets no connection that it needs, but a store may have been put back to a time before it.
	_, err := g.store.WriteDocuments(t.Context(), []adg.Write{{Document: adg.Document{Kind: "connection", Key: "hook"}, If: adg.AnyVersion, Drop: true}})
	g.must(err)
	if said := fmt.Sprint(plan().GetObstacles()); !strings.Contains(said, "the target hook is not registered any more") {
		t.Errorf("the target is gone: %s", said)
	}
}

func TestAShutGateSaysUntilWhen(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	until := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	ctx, read := as(t.Context(), g.admin), adgv1.NewEvidenceServiceClient(g.grpc())
	gateOf := func(gates []*adgv1.Gate, name string) *adgv1.Gate {
		for _, one := range gates {
			if one.GetName() == name {
				return one
			}
		}
		t.Fatalf("no gate %s among %v", name, gates)
		return nil
	}
	listed := func(id, name string) *adgv1.Gate {
		found, err := read.ListGates(ctx, &adgv1.ListGatesRequest{Deployment: id})
		g.must(err)
		return gateOf(found.GetGates(), name)
	}

	for _, hold := range []adg.ReleaseHold{{Identity: "v2", Until: until}, {Identity: "v3"}} {
		hold.Service, hold.Environment, hold.Actor, hold.Reason, hold.Since = "shop", "production", "user:ann", "it leaks", time.Now()
		g.must(g.store.PutHold(t.Context(), hold))
		id := g.begin(spec("shop", hold.Identity))
		g.until(id, in(adgv1.State_STATE_BLOCKED))
		if gate := listed(id, "hold"); gate.GetState() != adgv1.GateState_GATE_STATE_REFUSED || gate.UntilTime == nil != hold.Until.IsZero() || !hold.Until.IsZero() && !gate.GetUntilTime().AsTime().Equal(until) {
			t.Errorf("a hold until %v: %v", hold.Until, gate)
		}
		if gate := listed(id, "freeze"); gate.UntilTime != nil {
			t.Errorf("an open gate is shut until %v", gate.GetUntilTime())
		}
	}

	_, err := adgv1.NewLineServiceClient(g.grpc()).CreateFreezeWindow(ctx, &adgv1.CreateFreezeWindowRequest{Freeze: &adgv1.FreezeWindow{
		Name: "holidays", FromTime: timestamppb.New(until.Add(-2 * time.Hour)), UntilTime: timestamppb.New(until), Reason: "be with your families",
	}})
	g.must(err)
	id := g.begin(spec("shop", "v4"))
	g.until(id, in(adgv1.State_STATE_GATED))
	decisions, err := read.ListDecisions(ctx, &adgv1.ListDecisionsRequest{Deployment: id})
	g.must(err)
	made := decisions.GetDecisions()
	evidence, err := read.GetEvidence(ctx, &adgv1.GetEvidenceRequest{Deployment: id, Seq: made[len(made)-1].GetSeq()})
	g.must(err)
	if gate := gateOf(evidence.GetGates(), "freeze"); gate.GetState() != adgv1.GateState_GATE_STATE_SHUT || !gate.GetUntilTime().AsTime().Equal(until) {
		t.Errorf("a freeze until %v: %v", until, gate)
	}
}
