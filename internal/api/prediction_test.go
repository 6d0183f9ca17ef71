package api_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/deployguardian/adg"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

func (b *bench) predictions() adgv1.PredictionServiceClient {
	return adgv1.NewPredictionServiceClient(b.grpc())
}

// lived puts sixty deployments on record, of which those with many files failed.
func (b *bench) lived() {
	b.Helper()
	begin := b.now().Add(-90 * 24 * time.Hour)
	for i := range 60 {
		at := begin.Add(time.Duration(i) * 24 * time.Hour)
		end := adg.Status{State: adg.Succeeded, Since: at.Add(time.Hour), Ops: 1}
		files := float64(1 + i%6)
		if i%4 == 3 {
			files, end = 50+float64(i), adg.Status{State: adg.RolledBack, Rule: 1, Since: at.Add(time.Hour), Ops: 1}
		}
		b.past("shop", "production", fmt.Sprintf("v%d", i), at, end, func(s *adg.Spec) {
			s.Prediction = &adg.Prediction{At: at, Success: 0.8, Base: 0.75, Model: "older", Features: map[string]float64{"nf": files}}
		})
	}
}

func (b *bench) train(reason string) (*adgv1.Model, int, error) {
	b.Helper()
	stream, err := b.predictions().TrainModel(as(b.Context(), b.admin), &adgv1.TrainModelRequest{Reason: reason})
	b.must(err)
	for answers := 1; ; answers++ {
		answer, err := stream.Recv()
		if err != nil {
			return nil, answers, err
		}
		if answer.GetModel() == nil {
			continue
		}
		if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
			b.Errorf("something comes after the model: %v", err)
		}
		if answer.GetDone() != answer.GetAll() || answer.GetAll() == 0 {
			b.Errorf("%d of %d deployments", answer.GetDone(), answer.GetAll())
		}
		return answer.GetModel(), answers, nil
	}
}

func (b *bench) startOf(version, more string) *adgv1.Deployment {
	b.Helper()
	code, d := b.ask(b.admin, "POST", "/v1/deployments", fmt.Sprintf(`{"environment": "production", "release": {"service": "shop", "version": %q}, "reason": "r", "idempotencyKey": %q%s}`, version, version, more))
	if code != http.StatusOK {
		b.Fatalf("%d %v", code, d)
	}
	got, err := adgv1.NewDeploymentServiceClient(b.grpc()).GetDeployment(as(b.Context(), b.viewer), &adgv1.GetDeploymentRequest{Id: d["id"].(string)})
	b.must(err)
	return got
}

func TestServerThatHasLearnedPredictsWhatBegins(t *testing.T) {
	b := newBench(t)
	b.furnish()
	b.lived()
	if d := b.startOf("n1", ""); d.GetPrediction() != nil {
		t.Errorf("predicted without a model: %v", d.GetPrediction())
	}
	if code, answer := b.ask(b.admin, "GET", "/v1/models/active", ""); code != http.StatusNotFound || !strings.Contains(answer["message"].(string), "no model was trained yet") {
		t.Errorf("%d %v", code, answer)
	}
	if p := b.startOf("n2", `, "features": {"nf": 3}`).GetPrediction(); p.GetModel() != "public data" || !strings.Contains(p.GetStanding(), "no outcomes yet") {
		t.Errorf("who tells features gets %v", p)
	}
	model, _, err := b.train("first")
	b.must(err)
	if !model.GetActive() || model.GetAuthor() != "ann" || model.GetReason() != "first" || model.GetOutcomes() != 60 || model.GetFailed() != 15 ||
		len(model.GetLearned()) == 0 || model.GetLearned()[0].GetFeature() != "nf" || model.GetLearned()[0].GetDirection() > -0.5 || model.GetLearned()[0].GetImportance() < 1 {
		t.Errorf("%v", model)
	}
	small, large := b.startOf("n3", `, "features": {"nf": 2}`).GetPrediction(), b.startOf("n4", `, "features": {"nf": 80}`).GetPrediction()
	if small.GetModel() != model.GetId() || large.GetModel() != model.GetId() || large.GetOutcomes() != 60 || large.GetSuccess() > small.GetSuccess()-0.2 {
		t.Errorf("few files %v, many %v", small, large)
	}
	if len(large.GetContributions()) == 0 || large.GetContributions()[0].GetFeature() != "nf" || large.GetContributions()[0].GetPoints() > -5 || large.GetFeatures()["nf"] != 80 || large.GetFeatures()["auto"] != 1 {
		t.Errorf("%v", large)
	}
	// What nobody told is predicted, too, by what the server knows itself.
	if p := b.startOf("n5", "").GetPrediction(); p.GetModel() != model.GetId() || p.GetFeatures()["deploy_no"] < 60 {
		t.Errorf("%v", p)
	}
	if code, answer := b.ask(b.admin, "POST", "/v1/deployments", `{"environment": "production", "release": {"service": "shop", "version": "n6"}, "reason": "r", "features": {"failed": 1}}`); code != http.StatusBadRequest {
		t.Errorf("a feature that is an outcome: %d %v", code, answer)
	}
	code, plan := b.ask(b.viewer, "POST", "/v1/deployments:plan", `{"environment": "production", "release": {"service": "shop", "version": "n9"}, "features": {"nf": 80}}`)
	if p, _ := plan["prediction"].(map[string]any); code != http.StatusOK || p["model"] != model.GetId() {
		t.Errorf("%d %v", code, plan)
	}
	entries, err := b.store.Audit(t.Context(), adg.AuditFilter{Action: "model.train", Limit: 10})
	b.must(err)
	if len(entries) != 1 || entries[0].Reason != "first" || entries[0].Outcome != adg.AuditDone {
		t.Errorf("on record: %+v", entries)
	}
}

func TestPredictAsksForADeploymentThatIsNotStarted(t *testing.T) {
	b := newBench(t)
	b.furnish()
	ask := func(token, service, environment, model string) (*adgv1.Prediction, error) {
		return b.predictions().Predict(as(t.Context(), token), &adgv1.PredictRequest{Environment: environment, Release: &adgv1.Release{Service: service, Version: "v9"}, Features: map[string]float64{"nf": 4}, Model: model})
	}
	p, err := ask(b.viewer, "shop", "production", "")
	if err != nil || p.GetModel() != "public data" || p.GetFeatures()["strategy_recreate"] != 1 {
		t.Errorf("%v %v", p, err)
	}
	if p, err := ask(b.viewer, "shop", "moon", ""); err != nil || p.GetModel() != "public data" {
		t.Errorf("without a policy: %v %v", p, err)
	}
	if _, err := ask(b.viewer, "cart", "production", ""); status.Code(err) != codes.PermissionDenied {
		t.Errorf("of another service: %v", err)
	}
	if _, err := ask(b.viewer, "shop", "production", "nothing"); status.Code(err) != codes.NotFound {
		t.Errorf("by a model that is none: %v", err)
	}
	list, err := adgv1.NewDeploymentServiceClient(b.grpc()).ListDeployments(as(t.Context(), b.admin), &adgv1.ListDeploymentsRequest{})
	if err != nil || len(list.GetDeployments()) != 0 {
		t.Errorf("something was stored: %v %v", list, err)
	}
}

// foretold puts a deployment on record of which success was expected with that probability, and what came of it.
func (b *bench) foretold(service, version string, at time.Time, success float64, state adg.State) {
	b.Helper()
	b.past(service, "production", version, at, adg.Status{State: state, Rule: 1, Since: at.Add(time.Hour)}, func(s *adg.Spec) {
		s.Prediction = &adg.Prediction{At: at, Success: success, Base: 0.5, Model: "m1"}
	})
}

func TestPredictionsAreListedWithTheirOutcomes(t *testing.T) {
	b := newBench(t)
	monday := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	b.foretold("shop", "v1", monday, 0.9, adg.Succeeded)
	b.foretold("shop", "v2", monday.Add(24*time.Hour), 0.8, adg.RolledBack)
	b.foretold("shop", "v3", monday.Add(8*24*time.Hour), 0.6, adg.Succeeded)
	b.foretold("shop", "v4", monday.Add(9*24*time.Hour), 0.7, adg.Cancelled)
	b.foretold("cart", "v1", monday.Add(10*24*time.Hour), 0.3, adg.RolledBack)
	b.past("shop", "production", "v5", monday, adg.Status{State: adg.Succeeded})
	list := func(token string, r *adgv1.ListPredictionsRequest) []string {
		t.Helper()
		var got []string
		for {
			page, err := b.predictions().ListPredictions(as(t.Context(), token), r)
			b.must(err)
			for _, p := range page.GetPredictions() {
				surprise := "?"
				if p.Surprise != nil {
					surprise = fmt.Sprintf("%.3f", p.GetSurprise())
				}
				got = append(got, strings.Join([]string{p.GetService(), p.GetVersion(), strings.TrimPrefix(p.GetOutcome().String(), "OUTCOME_"), surprise}, " "))
			}
			if r.PageToken = page.GetNextPageToken(); r.GetPageToken() == "" {
				return got
			}
		}
	}
	for _, c := range []struct {
		name, token string
		request     *adgv1.ListPredictionsRequest
		want        []string
	}{
		{"the newest first, in pages", b.admin, &adgv1.ListPredictionsRequest{PageSize: 2}, []string{"cart v1 FAILED 0.357", "shop v4 UNKNOWN ?", "shop v3 SUCCEEDED 0.511", "shop v2 FAILED 1.609", "shop v1 SUCCEEDED 0.105"}},
		{"the most wrong first", b.admin, &adgv1.ListPredictionsRequest{PageSize: 2, Order: adgv1.PredictionOrder_PREDICTION_ORDER_SURPRISE}, []string{"shop v2 FAILED 1.609", "shop v3 SUCCEEDED 0.511", "cart v1 FAILED 0.357", "shop v1 SUCCEEDED 0.105", "shop v4 UNKNOWN ?"}},
		{"those of what the caller may see", b.viewer, &adgv1.ListPredictionsRequest{Outcomes: []adgv1.Outcome{adgv1.Outcome_OUTCOME_FAILED}}, []string{"shop v2 FAILED 1.609"}},
		{"of a week", b.admin, &adgv1.ListPredictionsRequest{FromTime: timestamppb.New(monday.Add(time.Hour)), ToTime: timestamppb.New(monday.Add(9 * 24 * time.Hour))}, []string{"shop v3 SUCCEEDED 0.511", "shop v2 FAILED 1.609"}},
		{"of a model that made none", b.admin, &adgv1.ListPredictionsRequest{Model: "m2"}, nil},
		{"of a service", b.admin, &adgv1.ListPredictionsRequest{Services: []string{"cart"}}, []string{"cart v1 FAILED 0.357"}},
	} {
		if diff := cmp.Diff(c.want, list(c.token, c.request)); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
	f, err := b.predictions().GetPredictionFigures(as(t.Context(), b.admin), &adgv1.GetPredictionFiguresRequest{Steps: 2})
	b.must(err)
	// Four outcomes are known: 0.9 and 0.6 came true, 0.8 and 0.3 did not.
	loss := -(math.Log(0.9) + math.Log(1-0.8) + math.Log(0.6) + math.Log(1-0.3)) / 4
	brier := (0.01 + 0.64 + 0.16 + 0.09) / 4
	near := func(what string, got *float64, want float64) {
		t.Helper()
		if got == nil || math.Abs(*got-want) > 1e-9 {
			t.Errorf("%s is %v, want %v", what, got, want)
		}
	}
	near("the loss", f.GetScore().LogLoss, loss)
	near("the loss of the base rate", f.GetBase().LogLoss, math.Ln2)
	near("the Brier score", f.GetScore().Brier, brier)
	near("its skill", f.GetScore().BrierSkill, 1-brier/0.25)
	near("the area", f.GetScore().Auc, 0.75) // of four pairs 0.2 for a failure below 0.4 for a success is the only wrong one
	if f.GetScore().GetRows() != 4 || f.GetBetter() || !strings.Contains(f.GetStanding(), "not yet better") {
		t.Errorf("%v", f)
	}
	if steps := f.GetCalibration(); len(steps) != 2 || steps[0].GetRows() != 2 || math.Abs(steps[0].GetPredicted()-0.15) > 1e-9 || steps[0].GetObserved() != 0.5 || math.Abs(steps[1].GetPredicted()-0.55) > 1e-9 {
		t.Errorf("%v", steps)
	}
	if course := f.GetCourse(); len(course) != 2 || course[0].GetScore().GetRows() != 2 || !course[0].GetFromTime().AsTime().Equal(monday) {
		t.Errorf("%v", course)
	}
	none, err := b.predictions().GetPredictionFigures(as(t.Context(), b.admin), &adgv1.GetPredictionFiguresRequest{Model: "m2"})
	if err != nil || none.GetScore().LogLoss != nil || none.GetScore().GetRows() != 0 || !strings.Contains(none.GetStanding(), "no outcome") {
		t.Errorf("of none: %v %v", none, err)
	}
	for name, r := range map[string]*adgv1.GetPredictionFiguresRequest{"too many steps": {Steps: 51}, "a bucket of nothing": {Bucket: durationpb.New(time.Nanosecond)}} {
		if _, err := b.predictions().GetPredictionFigures(as(t.Context(), b.admin), r); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheLastWordOnAnOutcomeCounts(t *testing.T) {
	b := newBench(t)
	monday := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	b.foretold("shop", "v1", monday, 0.9, adg.Succeeded)
	b.foretold("cart", "v1", monday, 0.9, adg.Succeeded)
	correct := func(token, id, body string) (int, map[string]any) {
		return b.ask(token, "POST", "/v1/deployments/"+id+":correct-outcome", body)
	}
	code, failed := correct(b.admin, "shop-production-v1", `{"outcome": "OUTCOME_FAILED", "reason": "it lost orders", "etag": "v0", "idempotencyKey": "k"}`)
	if code != http.StatusOK || failed["outcome"] != "OUTCOME_FAILED" || failed["etag"] != "v1" || failed["correctedBy"] == "" || math.Abs(failed["surprise"].(float64)+math.Log(0.1)) > 1e-9 || !strings.Contains(failed["why"].(string), "it lost orders") {
		t.Errorf("%d %v", code, failed)
	}
	if code, answer := correct(b.admin, "shop-production-v1", `{"outcome": "OUTCOME_SUCCEEDED", "reason": "no", "etag": "v0"}`); code != http.StatusConflict {
		t.Errorf("an old etag: %d %v", code, answer)
	}
	if code, answer := correct(b.admin, "shop-production-v1", `{"outcome": "OUTCOME_UNKNOWN", "reason": "the network", "etag": "v1"}`); code != http.StatusOK || answer["outcome"] != "OUTCOME_UNKNOWN" || answer["surprise"] != nil {
		t.Errorf("%d %v", code, answer)
	}
	if code, answer := correct(b.admin, "shop-production-v1", `{"outcome": "OUTCOME_SUCCEEDED", "reason": "looked again"}`); code != http.StatusOK || answer["outcome"] != "OUTCOME_SUCCEEDED" || answer["etag"] != "v3" {
		t.Errorf("%d %v", code, answer)
	}
	for _, c := range []struct {
		name, token, id, body string
		code                  int
	}{
		{"no reason", b.admin, "shop-production-v1", `{"outcome": "OUTCOME_FAILED"}`, http.StatusBadRequest},
		{"who may only look", b.viewer, "shop-production-v1", `{"outcome": "OUTCOME_FAILED", "reason": "r"}`, http.StatusForbidden},
		{"who may not even look", b.viewer, "cart-production-v1", `{"outcome": "OUTCOME_FAILED", "reason": "r"}`, http.StatusNotFound},
		{"nothing", b.admin, "nothing", `{"outcome": "OUTCOME_FAILED", "reason": "r"}`, http.StatusNotFound},
	} {
		if code, answer := correct(c.token, c.id, c.body); code != c.code {
			t.Errorf("%s: %d %v", c.name, code, answer)
		}
	}
	entries, err := b.store.Audit(t.Context(), adg.AuditFilter{Action: "outcome.correct", Limit: 10})
	b.must(err)
	if len(entries) != 4 || entries[0].Service != "shop" || entries[0].From != "127.0.0.1" || entries[0].Reason != "it lost orders" || entries[3].Outcome != adg.AuditDenied {
		t.Errorf("on record: %+v", entries)
	}
}

func TestPinnedModelStaysInUse(t *testing.T) {
	b := newBench(t)
	b.lived()
	if _, _, err := b.train("first"); err != nil {
		t.Fatal(err)
	}
	code, first := b.ask(b.admin, "GET", "/v1/models/active", "")
	if code != http.StatusOK || first["learned"] == nil {
		t.Fatalf("%d %v", code, first)
	}
	id := first["id"].(string)
	if code, answer := b.ask(b.admin, "POST", "/v1/models/"+id+":pin", `{"etag": "old", "reason": "r"}`); code != http.StatusConflict {
		t.Errorf("an old etag: %d %v", code, answer)
	}
	code, pinned := b.ask(b.admin, "POST", "/v1/models/"+id+":pin", fmt.Sprintf(`{"etag": %q, "reason": "it is good"}`, first["etag"]))
	if code != http.StatusOK || pinned["pinned"] != true || pinned["etag"] == first["etag"] {
		t.Errorf("%d %v", code, pinned)
	}
	b.foretold("shop", "more", b.now().Add(-8*24*time.Hour), 0.7, adg.RolledBack)
	second, _, err := b.train("more is known")
	if err != nil || second.GetActive() || second.GetId() == id {
		t.Errorf("a newer model took over from a pinned one: %v %v", second, err)
	}
	code, list := b.ask(b.admin, "GET", "/v1/models?pageSize=1", "")
	if rows := list["models"].([]any); code != http.StatusOK || len(rows) != 1 || rows[0].(map[string]any)["id"] != second.GetId() || rows[0].(map[string]any)["learned"] != nil && len(rows[0].(map[string]any)["learned"].([]any)) > 0 || list["nextPageToken"] == "" {
		t.Errorf("%d %v", code, list)
	}
	if code, answer := b.ask(b.admin, "POST", "/v1/models/"+second.GetId()+":unpin", `{"reason": "r"}`); code != http.StatusConflict {
		t.Errorf("a model that is not pinned: %d %v", code, answer)
	}
	if code, answer := b.ask(b.admin, "POST", "/v1/models/"+id+":unpin", fmt.Sprintf(`{"etag": %q, "reason": "r"}`, pinned["etag"])); code != http.StatusOK || answer["pinned"] == true {
		t.Errorf("%d %v", code, answer)
	}
	for method, path := range map[string]string{"GET": "/v1/models", "POST": "/v1/models/" + id + ":pin"} {
		if code, answer := b.ask(b.viewer, method, path, map[string]string{"POST": `{"reason": "r"}`}[method]); code != http.StatusForbidden {
			t.Errorf("%s by a viewer of one service: %d %v", path, code, answer)
		}
	}
}

func TestOneTrainingRunsAtATime(t *testing.T) {
	b := newBench(t)
	if _, _, err := b.train("too early"); status.Code(err) != codes.NotFound {
		t.Errorf("without an outcome: %v", err)
	}
	b.lived()
	_, err := b.store.WriteDocuments(t.Context(), []adg.Write{{Document: adg.Document{Kind: "training", Key: "lease", Data: []byte("{}"), Expires: b.now().Add(time.Hour)}}})
	b.must(err)
	if _, _, err := b.train("while another runs"); status.Code(err) != codes.Aborted || !strings.Contains(err.Error(), "is being trained already") {
		t.Errorf("%v", err)
	}
	_, err = b.store.WriteDocuments(t.Context(), []adg.Write{{Document: adg.Document{Kind: "training", Key: "lease", Data: []byte("{}"), Expires: b.now().Add(-time.Second)}, If: adg.AnyVersion}})
	b.must(err)
	if _, _, err := b.train("when the other was lost"); err != nil {
		t.Error(err)
	}
}
